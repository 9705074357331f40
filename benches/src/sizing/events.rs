//! How many events the whole of Weir says in a second, and how long their lines are: a replay of
//! the scenario with the most of them, by the programs as they are installed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;
use weir_pcaps::Scenario;

const SESSIONS: &str = include_str!("../../../pcaps/scenarios/sessions.toml");

/// What came of a replay.
pub(super) struct Events {
    pub(super) count: u64,
    pub(super) per_second: f64,
    /// The mean length of an event's line, by its type.
    pub(super) octets: BTreeMap<String, f64>,
}

/// Plays the scenario so many times over.
///
/// # Errors
/// When it can't be written, or a program fails.
pub(super) fn measure(weir: &Path, times: u32) -> anyhow::Result<Events> {
    let folder = tempfile::tempdir()?;
    let scenario = Scenario::parse(SESSIONS, Path::new("sessions.toml"))?;
    let written = scenario.write_to(folder.path(), |_| ())?;
    let file = |name: &str| folder.path().join(name);
    let events = file("events.json");
    let began = Instant::now();
    let output = Command::new(weir)
        .args(["replay", "--preload", "--loop", &times.to_string()])
        .args(["--inventory".as_ref(), file("inventory.toml").as_os_str()])
        .args(["--policy".as_ref(), file("policy.toml").as_os_str()])
        .args(["--events".as_ref(), events.as_os_str()])
        .args(&written.captures)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .with_context(|| format!("can't start {}", weir.display()))?;
    let took = began.elapsed();
    if !output.status.success() {
        bail!(
            "weir replay ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in BufReader::new(std::fs::File::open(&events)?).lines() {
        let line = line?;
        let event: Value = serde_json::from_str(&line)?;
        let kind = event["event_type"].as_str().unwrap_or("other").to_owned();
        let (count, octets) = kinds.entry(kind).or_default();
        *count += 1;
        *octets += line.len() as u64 + 1;
    }
    let count = kinds.values().map(|(count, _)| count).sum();
    let mean = |(kind, (count, octets)): (String, (u64, u64))| (kind, octets as f64 / count as f64);
    Ok(Events {
        count,
        per_second: count as f64 / took.as_secs_f64(),
        octets: kinds.into_iter().map(mean).collect(),
    })
}
