//! How many events the whole of Weir says in a second, and how long their lines are: a replay of
//! the scenario with the most of them, by the programs as they are installed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;
use weir_pcaps::Scenario;

const SESSIONS: &str = include_str!("../../../pcaps/scenarios/sessions.toml");

/// What came of the longer of two replays.
pub(super) struct Events {
    pub(super) count: u64,
    /// The events that it had more, by the time that it took longer: starting and ending aside.
    pub(super) per_second: f64,
    /// The mean length of an event's line, by its type.
    pub(super) octets: BTreeMap<String, f64>,
}

/// Plays the scenario so many times over, and twice as many times.
///
/// # Errors
/// When it can't be written, or a program fails.
pub(super) fn measure(weir: &Path, times: u32) -> anyhow::Result<Events> {
    let folder = tempfile::tempdir()?;
    let scenario = Scenario::parse(SESSIONS, Path::new("sessions.toml"))?;
    let captures = scenario.write_to(folder.path(), |_| ())?.captures;
    let (short_count, short, _) = replay(weir, folder.path(), &captures, times)?;
    let (count, long, octets) = replay(weir, folder.path(), &captures, 2 * times)?;
    let per_second = (count - short_count) as f64 / (long - short);
    Ok(Events { count, per_second, octets })
}

/// Gives the number of events, the seconds that it took, and how long events are by their types.
fn replay(
    weir: &Path,
    folder: &Path,
    captures: &[PathBuf],
    times: u32,
) -> anyhow::Result<(u64, f64, BTreeMap<String, f64>)> {
    let file = |name: &str| folder.join(name);
    let events = file("events.json");
    let began = Instant::now();
    let output = Command::new(weir)
        .args(["replay", "--preload", "--loop", &times.to_string()])
        .args(["--inventory".as_ref(), file("inventory.toml").as_os_str()])
        .args(["--policy".as_ref(), file("policy.toml").as_os_str()])
        .args(["--events".as_ref(), events.as_os_str()])
        .args(captures)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .with_context(|| format!("can't start {}", weir.display()))?;
    let took = began.elapsed().as_secs_f64();
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("weir replay ended with {}: {words}", output.status);
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
    Ok((count, took, kinds.into_iter().map(mean).collect()))
}
