//! `weir replay`, run to its end.

use std::process::Stdio;

use serde_json::Value;

use crate::{said, text, weir};

/// What a replay left behind.
#[derive(Debug)]
pub struct Replayed {
    /// Its exit code.
    pub code: Option<i32>,
    /// The event file.
    pub events: Vec<u8>,
    /// The summary; null if there is none.
    pub summary: Value,
    /// Standard error and output.
    pub said: String,
}

impl Replayed {
    /// The events.
    ///
    /// # Panics
    /// If a line is no JSON.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("an event is JSON")).collect()
    }
}

/// Replays with these arguments.
///
/// # Panics
/// If `weir` can't be started.
pub fn replay(arguments: &[&str]) -> Replayed {
    replay_from(arguments, Stdio::null())
}

/// Replays with these arguments and this standard input.
///
/// # Panics
/// If `weir` can't be started.
pub fn replay_from(arguments: &[&str], input: Stdio) -> Replayed {
    let directory = tempfile::tempdir().expect("there is room for scratch files");
    let (events, summary) = (directory.path().join("events"), directory.path().join("summary"));
    let mut all = vec!["replay", "--events", text(&events), "--summary", text(&summary)];
    all.extend(arguments);
    let output = weir(&all).stdin(input).output().expect("weir starts");
    let summary = std::fs::read(&summary).ok();
    Replayed {
        code: output.status.code(),
        events: std::fs::read(&events).unwrap_or_default(),
        summary: summary.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default(),
        said: said(&output),
    }
}
