//! `weir policy test`: captures replayed under two policies, and the alerts that only one of them
//! makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::Files;
use crate::failure::Failure;
use crate::output::print;
use crate::replay::{self, Place};
use crate::text::{counted, plain};

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 whatever would change, 1 a capture is damaged (what was read is \
used) or the work failed, 2 usage or configuration."
)]
pub(crate) struct Options {
    /// Past traffic
    #[arg(value_name = "CAPTURE", required = true)]
    captures: Vec<PathBuf>,
    /// The policy to try
    #[arg(long, value_name = "NEW")]
    policy: PathBuf,
    /// The policy to hold against it; without it, the one that weir.toml names, else one that allows
    /// nothing
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// What is installed; instead of the one that weir.toml names
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// weir.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let files = |policy: &Path| Files {
        config: options.config.clone(),
        inventory: options.inventory.clone(),
        policy: Some(policy.to_owned()),
    };
    let named = Files { policy: None, ..files(&options.policy) }.paths();
    if named.inventory.is_none() {
        return Err(Failure::usage(
            "without an inventory nothing is judged; the command line; give --inventory, or a \
             --config that names one",
        ));
    }
    let place = Place::make()?;
    let (against, name) = match options.against.clone().or(named.policy) {
        Some(path) => (path.clone(), path.display().to_string()),
        None => (nothing(&place)?, "no policy".into()),
    };
    let (old, old_code) = alerts(options, &files(&against))?;
    let (new, new_code) = alerts(options, &files(&options.policy))?;
    let trial = Trial::of(old, new);
    if options.json {
        print(json!({
            "policy": options.policy,
            "against": name,
            "would_flag": trial.flagged,
            "would_silence": trial.silenced,
            "would_change": trial.changed,
            "totals": trial.totals,
        }))?;
    } else {
        let policy = options.policy.display();
        print(format_args!("{policy} instead of {name}\n{trial}"))?;
    }
    match old_code.max(new_code) {
        0 => Ok(()),
        code => Err(Failure::Said(code)),
    }
}

/// A policy that says nothing.
fn nothing(place: &Place) -> Result<PathBuf, Failure> {
    let path = place.path().join("policy.toml");
    fs::write(&path, "").map_err(|why| {
        Failure::work(format!("can't write: {why}; {}; make room", path.display()))
    })?;
    Ok(path)
}

/// The last word of each alert of a replay, and the replay's exit code.
fn alerts(options: &Options, files: &Files) -> Result<(Alerts, u8), Failure> {
    let place = Place::make()?;
    let events = place.path().join("events");
    let outcome = replay::rehearse(files, &options.captures, &place, &events)?;
    if outcome.code > 1 {
        return Err(Failure::Said(outcome.code));
    }
    let unreadable = |why: std::io::Error| {
        Failure::work(format!(
            "weir-control left no events: {why}; {}; see its messages above",
            events.display()
        ))
    };
    let mut alerts = Alerts::new();
    for line in BufReader::new(File::open(&events).map_err(unreadable)?).lines() {
        // Of a control that was killed the last line may be cut; it is written again.
        let event = serde_json::from_str(&line.map_err(unreadable)?).unwrap_or(Event::Other);
        if let Event::Alert { weir } = event {
            alerts.insert(weir.dedup.clone(), *weir);
        }
    }
    Ok((alerts, outcome.code))
}

/// By what tells one from another: detection, equipment, the peer's network, and day.
type Alerts = BTreeMap<String, Alert>;

#[derive(Deserialize)]
#[serde(tag = "event_type", rename_all = "lowercase")]
enum Event {
    Alert {
        weir: Box<Alert>,
    },
    #[serde(other)]
    Other,
}

/// What is shown of an alert.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Alert {
    detection: String,
    severity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equipment: Option<Equipment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<Peer>,
    packets: u64,
    observed: String,
    first: String,
    last: String,
    dedup: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Equipment {
    id: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Peer {
    ip: String,
    equipment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equipment = self.equipment.as_ref().map_or("-", |equipment| &equipment.id);
        write!(f, "{} {}", self.detection, plain(equipment))?;
        let Some(peer) = &self.peer else { return Ok(()) };
        match (&peer.equipment, &peer.name) {
            (Some(name), _) | (None, Some(name)) => {
                write!(f, " and {} ({})", plain(name), plain(&peer.ip))
            }
            _ => write!(f, " and {}", plain(&peer.ip)),
        }
    }
}

/// An alert that both make, but not the same.
#[derive(Debug, Serialize)]
struct Changed {
    before: Alert,
    after: Alert,
}

/// How many alerts of a detection there would be more, fewer, others and as before.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
struct Totals {
    would_flag: u64,
    would_silence: u64,
    would_change: u64,
    unchanged: u64,
}

/// What the change of policy changes.
#[derive(Debug, Default)]
struct Trial {
    flagged: Vec<Alert>,
    silenced: Vec<Alert>,
    changed: Vec<Changed>,
    totals: BTreeMap<String, Totals>,
}

impl Trial {
    fn of(mut old: Alerts, mut new: Alerts) -> Self {
        let mut trial = Self::default();
        let keys: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
        for key in keys {
            let (before, after) = (old.remove(&key), new.remove(&key));
            let Some(detection) = before.as_ref().or(after.as_ref()).map(|it| it.detection.clone())
            else {
                continue;
            };
            let totals = trial.totals.entry(detection).or_default();
            match (before, after) {
                (None, Some(after)) => {
                    totals.would_flag += 1;
                    trial.flagged.push(after);
                }
                (Some(before), None) => {
                    totals.would_silence += 1;
                    trial.silenced.push(before);
                }
                (Some(before), Some(after)) if before.says_the_same(&after) => {
                    totals.unchanged += 1;
                }
                (Some(before), Some(after)) => {
                    totals.would_change += 1;
                    trial.changed.push(Changed { before, after });
                }
                (None, None) => {}
            }
        }
        trial
    }
}

impl Alert {
    /// An alert is about a network: its first peer may be another while what it counts is the same.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.packets, &self.severity, &self.first)
            == (other.packets, &other.severity, &other.first)
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, alerts) in [("would flag", &self.flagged), ("would silence", &self.silenced)] {
            for alert in alerts {
                let packets = counted(alert.packets, "packet", "packets");
                write!(f, "\n{title}: {alert}: {packets}, {}", alert.severity)?;
                write!(f, "\n    {}", plain(&alert.observed))?;
            }
        }
        for Changed { before, after } in &self.changed {
            let (packets, now) = (before.packets, after.packets);
            write!(f, "\nwould change: {before}: {packets} packets before, {now} after")?;
            if before.severity != after.severity {
                write!(f, ", {} before, {} after", before.severity, after.severity)?;
            }
            write!(f, "\n    {}", plain(&after.observed))?;
        }
        let mut table = String::new();
        for (detection, totals) in &self.totals {
            let Totals { would_flag, would_silence, would_change, unchanged } = totals;
            write!(
                table,
                "\n{detection:<15} {would_flag:>11} {would_silence:>13} {would_change:>12} {unchanged:>10}"
            )?;
        }
        if table.is_empty() {
            return f.write_str("\nno alert under either");
        }
        write!(
            f,
            "\n\n{:<15}  would flag would silence would change  unchanged{table}",
            "detection"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(dedup: &str, packets: u64, severity: &str) -> (String, Alert) {
        let text = json!({
            "detection": dedup.split('|').next(), "severity": severity, "packets": packets,
            "equipment": { "id": "gnb-1" }, "peer": { "ip": "192.0.2.1", "equipment": null },
            "observed": "x\u{1b}[2J", "first": "a", "last": "b", "dedup": dedup,
        });
        (dedup.into(), serde_json::from_value(text).unwrap())
    }

    #[test]
    fn alerts_are_added_silenced_changed_or_as_before() {
        let old = [alert("A|1", 3, "high"), alert("A|2", 3, "high"), alert("B|1", 9, "low")];
        let new = [alert("A|2", 3, "high"), alert("B|1", 4, "low"), alert("C|1", 1, "info")];
        let trial = Trial::of(old.into(), new.into());
        let names = |alerts: &[Alert]| alerts.iter().map(|it| it.dedup.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&trial.flagged), names(&trial.silenced)),
            (vec!["C|1".into()], vec!["A|1".into()])
        );
        let totals = Totals { would_silence: 1, unchanged: 1, ..Totals::default() };
        assert_eq!(trial.totals["A"], totals);
        assert_eq!(trial.totals["B"], Totals { would_change: 1, ..Totals::default() });
        let text = trial.to_string();
        assert!(
            text.contains("would change: B gnb-1 and 192.0.2.1: 9 packets before, 4 after"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(Trial::default().to_string().contains("no alert under either"));
    }
}
