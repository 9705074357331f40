//! A case played: generated, replayed through the real sensor and control, and read.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use weir_pcaps::{Labels, Scenario};

use crate::heard::{self, Alert};
use crate::peers::connections::{Connection, Log};

/// Why a case could not be played. The text says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A family or site makes no scenario.
    #[error("{0}; the laboratory's own scenario; report this as a mistake of Weir's")]
    Scenario(String),
    /// Scratch files could not be written or read.
    #[error("{why}; {}; make room there, or set TMPDIR", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The generator could not write.
    #[error(transparent)]
    Write(#[from] weir_pcaps::WriteError),
    /// The replay failed.
    #[error("the replay of {case} failed: {said}; run it alone with `weir lab run --keep DIR`")]
    Replay {
        /// The case.
        case: String,
        /// What it said last.
        said: String,
    },
}

/// How cases are played.
#[derive(Clone, Debug)]
pub struct Player {
    /// The program `weir`.
    pub weir: PathBuf,
    /// Where captures and events are kept; none: nowhere.
    pub keep: Option<PathBuf>,
}

/// What is left of a case that was played.
#[derive(Debug)]
pub struct Played {
    /// What was injected.
    pub labels: Labels,
    /// What was said.
    pub alerts: Vec<Alert>,
    /// Its flows as a connection log, if that was asked for.
    pub connections: Vec<Connection>,
    /// Where its capture is, as long as this lives.
    pub directory: Directory,
    /// Equipment × days.
    pub equipment_days: f64,
}

/// A case's files, which go with it unless they are kept.
#[derive(Debug)]
pub enum Directory {
    /// They are kept.
    Kept(PathBuf),
    /// They go.
    Scratch(tempfile::TempDir),
}

impl Directory {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Scratch(directory) => directory.path(),
        }
    }
}

/// A policy with detections switched off, whatever else is set of them.
fn switched_off(policy: &str, off: &[&str]) -> Result<String, String> {
    let mut policy: toml::Table = policy.parse().map_err(|why: toml::de::Error| why.to_string())?;
    let detections = policy.entry("detections").or_insert_with(|| toml::Table::new().into());
    for detection in off {
        let switched = toml::Table::from_iter([("enabled".to_owned(), toml::Value::from(false))]);
        if let Some(detections) = detections.as_table_mut() {
            detections.insert((*detection).into(), switched.into());
        }
    }
    toml::to_string(&policy).map_err(|why| why.to_string())
}

impl Player {
    /// Plays a scenario with these detections switched off; `flows`: whether these are read too.
    ///
    /// # Errors
    /// It can't be generated, written, replayed or read.
    pub fn play(
        &self,
        name: &str,
        text: &str,
        off: &[&str],
        flows: bool,
    ) -> Result<Played, LabError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| LabError::File { path, why }
        };
        let directory = match &self.keep {
            Some(place) => Directory::Kept(place.join(name)),
            None => {
                let scratch = tempfile::tempdir().map_err(failed(&std::env::temp_dir()))?;
                Directory::Scratch(scratch)
            }
        };
        let scenario = Scenario::parse(text, Path::new(name))
            .map_err(|why| LabError::Scenario(why.to_string()))?;
        let report = scenario.write_to(directory.path(), |_| {})?;
        if !off.is_empty() {
            let path = &report.policy_file;
            let policy = std::fs::read_to_string(path).map_err(failed(path))?;
            let policy = switched_off(&policy, off).map_err(LabError::Scenario)?;
            std::fs::write(path, policy).map_err(failed(path))?;
        }
        let events = directory.path().join("events.json");
        let output = Command::new(&self.weir)
            .arg("replay")
            .arg("--inventory")
            .arg(&report.inventory_file)
            .arg("--policy")
            .arg(&report.policy_file)
            .arg("--events")
            .arg(&events)
            .args(
                report
                    .config_file
                    .iter()
                    .flat_map(|path| [OsStr::new("--config"), path.as_os_str()]),
            )
            .args(&report.captures)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .map_err(failed(&self.weir))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or("nothing").to_owned();
            return Err(LabError::Replay { case: name.into(), said });
        }
        let mut log = Log::default();
        let alerts = heard::alerts(&events, |line| match line.contains(r#""event_type":"flow""#) {
            true if flows => log.add(line),
            _ => Ok(()),
        })
        .map_err(failed(&events))?;
        let equipment = scenario.equipment() as f64;
        let equipment_days = equipment * scenario.seconds() as f64 / 86_400.0;
        Ok(Played {
            labels: report.labels,
            alerts,
            connections: log.connections(),
            directory,
            equipment_days,
        })
    }
}
