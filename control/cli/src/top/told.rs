//! What weir-control tells, as far as it is shown. No text gets past this file as it came: names of
//! peers are their own choice, and a terminal obeys what it is sent.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::text::plain;

/// Names of a list that are kept.
const NAMES: usize = 3;

/// A text from outside without anything that a terminal would obey, of a bounded length.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Plain(String);

impl Plain {
    pub(super) fn of(text: &str) -> Self {
        Self(plain(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The seconds of an RFC 3339 time, as in `2026-11-26 23:40:01`.
    pub(super) fn moment(&self) -> String {
        match self.0.get(..19) {
            Some(moment) => moment.replace('T', " "),
            None => "-".into(),
        }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::of(&text))
    }
}

/// The first names of a list, and how many more there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Few {
    names: Vec<Plain>,
    more: usize,
}

impl Few {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl fmt::Display for Few {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names.iter().enumerate() {
            write!(f, "{}{name}", if place == 0 { "" } else { ", " })?;
        }
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut names = Vec::<Plain>::deserialize(deserializer)?;
        let more = names.len().saturating_sub(NAMES);
        names.truncate(NAMES);
        names.shrink_to_fit();
        Ok(Self { names, more })
    }
}

/// The answer to `GET /state`. What control does not know is null.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) time: Plain,
    pub(super) site: Option<Plain>,
    pub(super) up: bool,
    pub(super) reason: Option<Plain>,
    pub(super) replay: bool,
    pub(super) packets_per_second: Option<f64>,
    pub(super) bits_per_second: Option<f64>,
    pub(super) not_inspected_per_second: Option<f64>,
    pub(super) not_inspected: Option<BTreeMap<Plain, Option<u64>>>,
    pub(super) received: Option<u64>,
    pub(super) inspected: Option<u64>,
    pub(super) workers: Option<Vec<Load>>,
    pub(super) receivers: Option<Vec<Load>>,
    pub(super) sessions: Option<u64>,
    pub(super) tunnels: Option<u64>,
    pub(super) flows: Option<u64>,
    /// From 0 to 1.
    pub(super) n4_coverage: Option<f64>,
    pub(super) events_lost: Option<u64>,
    pub(super) latency_ms: Option<Latency>,
    pub(super) alerts: Option<Standing>,
    pub(super) policy: Option<Policy>,
}

/// How busy a thread is, from 0 to 1.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Load {
    pub(super) busy: Option<f64>,
}

/// From a frame's arrival to its alert: what so many are under, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

/// How many alerts stand where.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Standing {
    pub(super) new: Option<u64>,
    pub(super) acknowledged: Option<u64>,
    pub(super) suppressed: Option<u64>,
    pub(super) closed: Option<u64>,
}

/// The policy in force.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) version: u64,
    pub(super) sha256: Option<Plain>,
}

/// How grave something is, the gravest first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Info,
    /// One that a later control has.
    #[serde(other)]
    Unknown,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
            Self::Unknown => "unknown",
        }
    }
}

/// Where an alert or incident stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    New,
    Acknowledged,
    Suppressed,
    Closed,
    /// One that a later control has.
    #[serde(other)]
    Unknown,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::Suppressed => "suppressed",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// An item of `GET /incidents`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Incident {
    pub(super) number: u64,
    pub(super) severity: Severity,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) restricted: bool,
    pub(super) last: Plain,
    pub(super) alerts: u64,
    #[serde(default)]
    pub(super) detections: Few,
    #[serde(default)]
    equipment: Few,
    #[serde(default)]
    peers: Few,
}

impl Incident {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, Status::New | Status::Acknowledged)
    }

    /// Who is part of it.
    pub(super) fn place(&self) -> String {
        match (self.equipment.is_empty(), self.peers.is_empty()) {
            (true, true) => "-".into(),
            (false, true) => self.equipment.to_string(),
            (true, false) => self.peers.to_string(),
            (false, false) => format!("{} -> {}", self.equipment, self.peers),
        }
    }
}

/// An item of `GET /alerts`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Alert {
    pub(super) id: Plain,
    pub(super) detection: Plain,
    pub(super) severity: Severity,
    pub(super) status: Status,
    pub(super) equipment: Option<Plain>,
    pub(super) peer: Option<Plain>,
    pub(super) first: Plain,
    pub(super) last: Plain,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Something, if there are more.
    next: Option<Plain>,
}

impl<T> Page<T> {
    pub(super) fn has_more(&self) -> bool {
        self.next.is_some()
    }
}

impl Page<Incident> {
    /// Those that nobody is done with, the gravest first, then the latest.
    pub(super) fn open(mut self) -> Self {
        self.items.retain(Incident::is_open);
        self.items.sort_by(|one, other| {
            one.severity.cmp(&other.severity).then_with(|| other.last.cmp(&one.last))
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_gets_in_as_it_came() {
        let state: State = serde_json::from_str(
            r#"{"site":"a\u001b[2Jb\u202ec\u009b","reason":"x\r\ny","not_inspected":{"ring\u001b]0;":3}}"#,
        )
        .unwrap();
        assert_eq!(state.site.unwrap().as_str(), "a?[2Jb?c?");
        assert_eq!(state.reason.unwrap().as_str(), "x??y");
        assert_eq!(state.not_inspected.unwrap().keys().next().unwrap().as_str(), "ring?]0;");
    }

    #[test]
    fn what_is_null_or_left_out_or_new_is_no_error() {
        let nulls = r#"{"up":false,"site":null,"packets_per_second":null,"latency_ms":{"p50":null},
            "workers":[{"busy":null}],"policy":{"version":1,"sha256":null},"alerts":null,"new":{}}"#;
        let state: State = serde_json::from_str(nulls).unwrap();
        assert!(!state.up && state.received.is_none());
        assert!(serde_json::from_str::<State>("{}").is_ok());
        let severity: Severity = serde_json::from_str("\"dreadful\"").unwrap();
        assert_eq!(severity, Severity::Unknown);
    }

    #[test]
    fn open_incidents_stand_the_gravest_first_then_the_latest() {
        let item = |number: u64, severity: &str, status: &str, last: &str| {
            format!(
                r#"{{"number":{number},"severity":"{severity}","status":"{status}","last":"{last}","alerts":1,
                "equipment":["a","b","c","d","e"],"peers":["198.51.100.0/24"]}}"#
            )
        };
        let items = [
            item(1, "high", "new", "2026-01-01"),
            item(2, "high", "acknowledged", "2026-01-02"),
            item(3, "critical", "closed", "2026-01-03"),
            item(4, "critical", "new", "2026-01-01"),
            item(5, "low", "suppressed", "2026-01-01"),
        ];
        let page = format!(r#"{{"items":[{}],"next":"7-1"}}"#, items.join(","));
        let page = serde_json::from_str::<Page<Incident>>(&page).unwrap().open();
        assert_eq!(page.items.iter().map(|it| it.number).collect::<Vec<_>>(), [4, 2, 1]);
        assert!(page.has_more());
        assert_eq!(page.items[0].place(), "a, b, c and 2 more -> 198.51.100.0/24");
    }
}
