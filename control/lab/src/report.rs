//! The results for people and for machines: a table, a page with plots, and `lab.json`.

mod page;
mod plot;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::ablation::Row;
use crate::family::Half;
use crate::judgement::Outcome;
use crate::score::Score;

/// Everything that a run found out.
#[derive(Clone, Debug)]
pub struct Results {
    /// The command that made it.
    pub command: String,
    /// Which half was played.
    pub half: Half,
    /// What it comes to.
    pub score: Score,
    /// What each detection's absence costs; none if it was not asked.
    pub ablation: Vec<Row>,
    /// Every case.
    pub outcomes: Vec<Outcome>,
}

/// A case as `lab.json` has it.
#[derive(Serialize)]
struct CaseLine<'a> {
    family: Option<&'a str>,
    intensity: Option<crate::intensity::Intensity>,
    seed: u64,
    loss: f64,
    thefts: Vec<TheftLine<'a>>,
    false_alarms: Vec<String>,
}

#[derive(Serialize)]
struct TheftLine<'a> {
    id: &'a str,
    detection: &'a str,
    bytes: u64,
    found: bool,
    latency_seconds: Option<f64>,
    bytes_before_alert: Option<u64>,
    names_equipment: Option<bool>,
    alerts: Option<u64>,
}

impl<'a> CaseLine<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let thefts = outcome.thefts.iter().map(|theft| {
            let hit = theft.hit.as_ref();
            TheftLine {
                id: &theft.id,
                detection: &theft.detection,
                bytes: theft.bytes,
                found: hit.is_some(),
                latency_seconds: hit.map(|hit| hit.latency_seconds),
                bytes_before_alert: hit.map(|hit| hit.bytes_before),
                names_equipment: hit.map(|hit| hit.names_equipment),
                alerts: hit.map(|hit| hit.alerts),
            }
        });
        let false_alarms =
            outcome.false_alarms.iter().map(|it| format!("{}: {}", it.detection, it.observed));
        Self {
            family: outcome.family,
            intensity: outcome.intensity,
            seed: outcome.seed,
            loss: outcome.loss,
            thefts: thefts.collect(),
            false_alarms: false_alarms.collect(),
        }
    }
}

impl Results {
    /// The table, as Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        table::markdown(self)
    }

    /// `lab.json`: what is scored stands under `scored`, what thresholds are tuned on under `tuned`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let half = match self.half {
            Half::Scored => "scored",
            Half::Tuned => "tuned",
        };
        serde_json::json!({
            "command": self.command,
            half: self.score,
            "ablation": self.ablation,
            "cases": self.outcomes.iter().map(CaseLine::of).collect::<Vec<_>>(),
        })
    }

    /// Writes `lab.json`, `lab.md` and `index.html` into a directory, which is made if it is not
    /// there; their paths.
    ///
    /// # Errors
    /// One can't be written: which, and why.
    pub fn write_to(&self, directory: &Path) -> Result<[PathBuf; 3], (PathBuf, io::Error)> {
        std::fs::create_dir_all(directory).map_err(|why| (directory.to_owned(), why))?;
        let json = serde_json::to_string_pretty(&self.json()).unwrap_or_default() + "\n";
        let files =
            [("lab.json", json), ("lab.md", self.table()), ("index.html", page::html(self))];
        let write = |(name, text): (&str, String)| {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(|why| (path.clone(), why))?;
            Ok(path)
        };
        let [json, table, page] = files.map(write);
        Ok([json?, table?, page?])
    }
}
