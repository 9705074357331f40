//! The summary of a replay, as people read it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;

/// What weir-control's summary says, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    frames: u64,
    bytes: u64,
    inspected: u64,
    not_inspected: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    sessions: Sessions,
    flows: u64,
    alerts: BTreeMap<String, u64>,
    wall_seconds: f64,
    mpps: f64,
    gbps: f64,
    workers: u64,
    unaccounted: i64,
    events_lost: u64,
}

/// PFCP sessions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sessions {
    established: u64,
    deleted: u64,
    active: u64,
}

impl Summary {
    /// Reads the file that weir-control wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let refuse = |why: String| {
            Failure::work(format!(
                "weir-control left no summary: {why}; {}; see its messages above",
                path.display()
            ))
        };
        let text = fs::read(path).map_err(|why| refuse(why.to_string()))?;
        serde_json::from_slice(&text).map_err(|why| refuse(why.to_string()))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "frames   {} ({} bytes), {} inspected, not inspected: {}",
            self.frames,
            self.bytes,
            self.inspected,
            listed(&self.not_inspected)
        )?;
        writeln!(f, "errors   {}", listed(&self.errors))?;
        let Sessions { established, deleted, active } = self.sessions;
        writeln!(f, "sessions {established} established, {deleted} deleted, {active} active")?;
        writeln!(f, "flows    {}", self.flows)?;
        writeln!(f, "alerts   {}", listed(&self.alerts))?;
        write!(
            f,
            "rate     {:.3} Mpps, {:.3} Gbit/s, {:.2} s, workers: {}",
            self.mpps, self.gbps, self.wall_seconds, self.workers
        )?;
        if self.unaccounted != 0 || self.events_lost != 0 {
            write!(
                f,
                "\nlost     {} frames unaccounted, {} events",
                self.unaccounted, self.events_lost
            )?;
        }
        Ok(())
    }
}

/// What was counted, without what never occurred.
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let counted: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if counted.is_empty() { "none".into() } else { counted.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_shown_only_when_there_are_any() {
        let json = r#"{"frames":3,"inspected":2,"not_inspected":{"snapped":1,"runt":0},
                       "sessions":{"established":5,"deleted":2,"active":3},
                       "alerts":{"GTP-PEER":2},"flows":1,"workers":1}"#;
        let mut summary: Summary = serde_json::from_str(json).unwrap();
        let text = summary.to_string();
        assert!(text.contains("2 inspected, not inspected: snapped 1\n"), "{text}");
        assert!(text.contains("sessions 5 established, 2 deleted, 3 active\n"), "{text}");
        assert!(text.contains("errors   none\n") && text.contains("alerts   GTP-PEER 2\n"));
        assert!(!text.contains("lost"), "{text}");
        summary.events_lost = 4;
        assert!(summary.to_string().ends_with("0 frames unaccounted, 4 events"));
    }
}
