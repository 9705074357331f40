//! Generated scenarios, replayed with their own inventory and policy and held against their labels.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::replay::{Replayed, replay};
use crate::{of_type, run, said, text};

/// A scenario, played into a folder of its own.
#[derive(Debug)]
pub struct Played {
    directory: tempfile::TempDir,
    /// Its `labels.json`.
    pub labels: Value,
}

impl Played {
    /// Plays a committed scenario with its own seed.
    ///
    /// # Panics
    /// If it can't be played.
    pub fn new(scenario: &str) -> Self {
        Self::seeded(scenario, None)
    }

    /// Plays a committed scenario with another seed, or its own.
    ///
    /// # Panics
    /// If it can't be played.
    pub fn seeded(scenario: &str, seed: Option<u64>) -> Self {
        match seed {
            Some(seed) => Self::changed(scenario, &[("seed", &seed.to_string())]),
            None => Self::changed(scenario, &[]),
        }
    }

    /// Plays a committed scenario with other values of some keys, wherever they stand.
    ///
    /// # Panics
    /// If it can't be played.
    pub fn changed(scenario: &str, values: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for scratch files");
        let toml = directory.path().join("scenario.toml");
        let lines = std::fs::read_to_string(committed(scenario)).expect("the scenario is there");
        let changed = |line: &str| {
            let key = line.split(" = ").next().unwrap_or_default();
            match values.iter().find(|(changed, _)| *changed == key) {
                Some((_, value)) => format!("{key} = {value}\n"),
                None => format!("{line}\n"),
            }
        };
        let lines: String = lines.lines().map(changed).collect();
        std::fs::write(&toml, lines).expect("the scenario is written");
        let made = run(&["generate", text(&toml), "--out", text(directory.path())]);
        assert!(made.status.success(), "{}", said(&made));
        let labels = std::fs::read(directory.path().join("labels.json")).expect("it has labels");
        Self { labels: serde_json::from_slice(&labels).expect("labels are JSON"), directory }
    }

    /// A file that was generated.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replays it with its own inventory and policy, and with more arguments; every frame is
    /// accounted for.
    ///
    /// # Panics
    /// If it is not.
    pub fn replay(&self, more: &[&str]) -> Replayed {
        let files = ["inventory.toml", "policy.toml", "capture.pcap"].map(|name| self.file(name));
        let [inventory, policy, capture] = files.each_ref().map(|path| text(path));
        let mut arguments = vec!["--inventory", inventory, "--policy", policy, capture];
        arguments.extend(more);
        let done = replay(&arguments);
        assert_eq!(done.code, Some(0), "{}", done.said);
        assert_eq!(done.summary["unaccounted"], 0);
        assert_eq!(done.summary["frames"], self.labels["frames"]);
        assert_eq!(done.summary["inspected"], self.labels["frames"]);
        done
    }

    /// The groups of one kind by name.
    pub fn groups(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let groups = self.labels["groups"].as_array().into_iter().flatten();
        groups
            .filter(|group| group["kind"] == kind)
            .filter_map(|group| Some((group["name"].as_str()?, group)))
            .collect()
    }

    /// What was to be injected and never was.
    pub fn unsent(&self) -> Vec<String> {
        let labels = self.labels["thefts"].as_array().into_iter().flatten();
        labels.filter(|label| label["packets"] == 0).map(|label| string(&label["id"])).collect()
    }

    /// What was injected.
    ///
    /// # Panics
    /// If a label lacks what every label has.
    pub fn thefts(&self) -> Vec<Theft> {
        let bounds = self.groups("theft");
        let labels = self.labels["thefts"].as_array().into_iter().flatten();
        labels
            .filter(|label| label["packets"] != 0)
            .map(|label| {
                let id = string(&label["id"]);
                let at_most = bounds.get(id.as_str()).map(|group| string(&group["at_most"]));
                Theft {
                    kind: string(&label["kind"]),
                    detection: string(&label["detection"]),
                    also: label["also"].as_array().into_iter().flatten().map(string).collect(),
                    severity: label["severity"].as_str().map(str::to_owned),
                    at_most: at_most.filter(|at_most| !at_most.is_empty()),
                    equipment: string(&label["equipment"]),
                    peer: label["peer"].as_str().and_then(|ip| ip.parse().ok()),
                    packets: label["packets"].as_u64().expect("a theft has packets"),
                    first: moment(&label["first"]).expect("a theft has a first packet"),
                    last: moment(&label["last"]).expect("a theft has a last packet"),
                    id,
                }
            })
            .collect()
    }
}

/// A committed scenario's file.
pub fn committed(scenario: &str) -> PathBuf {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps/scenarios");
    scenarios.join(format!("{scenario}.toml"))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Microseconds since midnight of the first of the month of an RFC 3339 time in UTC: enough to
/// order moments of one scenario.
fn moment(value: &Value) -> Option<u64> {
    let (date, time) = value.as_str()?.trim_end_matches('Z').split_once('T')?;
    let day: u64 = date.rsplit('-').next()?.parse().ok()?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds =
        whole.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?));
    let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some((day * 86_400 + seconds?) * 1_000_000 + micros)
}

/// One injected misbehaviour as it was sent, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Theft {
    /// Its id in the scenario.
    pub id: String,
    /// What was done.
    pub kind: String,
    /// The detection that should name it.
    pub detection: String,
    /// Detections that may speak beside it.
    pub also: Vec<String>,
    /// The severity that the alert must have; absent: bounds hold.
    pub severity: Option<String>,
    /// The gravest severity that it may have.
    pub at_most: Option<String>,
    /// The suspect's id in the inventory.
    pub equipment: String,
    /// The far end.
    pub peer: Option<IpAddr>,
    /// Its packets of both directions.
    pub packets: u64,
    first: u64,
    last: u64,
}

/// The last word of an alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Which detection speaks.
    pub detection: String,
    /// How grave it is.
    pub severity: String,
    /// The suspect's id in the inventory; empty if there is none.
    pub equipment: String,
    /// The far end.
    pub peer: Option<IpAddr>,
    /// Its id in the inventory; empty if it has none.
    pub peer_equipment: String,
    /// Packets that it counts.
    pub packets: u64,
    /// How sure it is.
    pub confidence: f64,
    /// The whole event.
    pub event: Value,
    first: u64,
    last: u64,
}

impl Alert {
    /// What it says of whom, for messages.
    pub fn told(&self) -> String {
        let observed = &self.event["weir"]["observed"];
        format!("{} {} {:?}: {observed}", self.detection, self.equipment, self.peer)
    }

    /// Whether it speaks of the moment of a frame, in seconds since 1970 with a fraction.
    pub fn is_about(&self, time: &str) -> bool {
        let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
        let micros = format!("{fraction:0<6}");
        let (Ok(seconds), Some(Ok(micros))) =
            (seconds.parse::<u64>(), micros.get(..6).map(str::parse::<u64>))
        else {
            return false;
        };
        // Scenarios are shorter than a day.
        let of_day = |micros: u64| micros % 86_400_000_000;
        (of_day(self.first)..=of_day(self.last)).contains(&of_day(seconds * 1_000_000 + micros))
    }
}

/// The last words of all alerts, in the order of the file.
pub fn alerts(done: &Replayed) -> Vec<Alert> {
    let events = done.events();
    let last = of_type(&events, "alert").into_iter().filter(|event| event["weir"]["final"] == true);
    last.map(|event| {
        let weir = &event["weir"];
        Alert {
            detection: string(&weir["detection"]),
            severity: string(&weir["severity"]),
            equipment: string(&weir["equipment"]["id"]),
            peer: weir["peer"]["ip"].as_str().and_then(|ip| ip.parse().ok()),
            peer_equipment: string(&weir["peer"]["equipment"]),
            packets: weir["packets"].as_u64().unwrap_or_default(),
            confidence: weir["confidence"].as_f64().unwrap_or_default(),
            first: moment(&weir["first"]).unwrap_or_default(),
            last: moment(&weir["last"]).unwrap_or_default(),
            event: event.clone(),
        }
    })
    .collect()
}

const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

/// Where a severity stands.
pub fn weight(severity: &str) -> usize {
    SEVERITIES.iter().position(|known| severity == *known).unwrap_or_default()
}

/// The network that one alert is about: the peer's /24 or /48.
pub fn neighbourhood(peer: Option<IpAddr>) -> Option<IpAddr> {
    Some(match peer? {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            [a, b, c, 0].into()
        }
        IpAddr::V6(six) => {
            let [a, b, c, ..] = six.segments();
            [a, b, c, 0, 0, 0, 0, 0].into()
        }
    })
}

/// What is granted to an alert after the last packet of its cause, in microseconds: a rate falls
/// seconds after it rose.
const AFTERWARDS: u64 = 5_000_000;

/// How long what is done in consequence may go on, in microseconds.
const CONSEQUENCE: u64 = 20_000_000;

impl Theft {
    /// Whether an alert is the one that this theft calls for.
    pub fn is_named_by(&self, alert: &Alert) -> bool {
        alert.detection == self.detection
            && alert.equipment == self.equipment
            && neighbourhood(alert.peer) == neighbourhood(self.peer)
            && alert.first <= self.last + AFTERWARDS
            && self.first <= alert.last
    }

    /// Whether the severity of the alert is right.
    pub fn is_as_grave(&self, alert: &Alert) -> bool {
        let said = weight(&alert.severity);
        match (&self.severity, &self.at_most) {
            (Some(severity), _) => alert.severity == *severity,
            (None, Some(at_most)) => said <= weight(at_most),
            (None, None) => said >= weight("high"),
        }
    }

    /// Whether an alert may stand beside it: its detection is among those, one of its ends takes
    /// part, and it is about the same time.
    fn allows(&self, alert: &Alert, parts: &[String]) -> bool {
        let peer = self.peer.map(|peer| peer.to_string());
        let of_theft = [self.equipment.clone(), peer.unwrap_or_default()];
        let of_alert = [
            alert.equipment.clone(),
            alert.peer_equipment.clone(),
            alert.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        ];
        let known = of_theft.iter().chain(parts).filter(|part| !part.is_empty());
        self.also.contains(&alert.detection)
            && known.clone().any(|part| of_alert.contains(part))
            && alert.first <= self.last + CONSEQUENCE
            && self.first <= alert.last
    }
}

/// A scenario's labels held against what was said.
#[derive(Debug)]
pub struct Verdict {
    /// Every theft, with the alert that names it and whether its severity is right.
    pub thefts: Vec<(Theft, Option<Alert>)>,
    /// Alerts that no theft explains.
    pub unexplained: Vec<Alert>,
}

/// Holds what was said against the labels. Only alerts that matter are asked to be explained:
/// those of GTP and PFCP, and all that are high or critical.
pub fn judge(played: &Played, said: &[Alert]) -> Verdict {
    let thefts: Vec<(Theft, Option<Alert>)> = played
        .thefts()
        .into_iter()
        .map(|theft| {
            let named = said.iter().find(|alert| theft.is_named_by(alert)).cloned();
            (theft, named)
        })
        .collect();
    let explained = |alert: &&Alert| {
        thefts.iter().any(|(theft, named)| {
            let parts: Vec<String> =
                named.iter().map(|named| named.peer_equipment.clone()).collect();
            theft.is_named_by(alert) || theft.allows(alert, &parts)
        })
    };
    let matters = |alert: &&Alert| {
        let detection = &alert.detection;
        detection.starts_with("GTP-")
            || detection.starts_with("PFCP-")
            || weight(&alert.severity) >= weight("high")
    };
    let unexplained = said.iter().filter(matters).filter(|alert| !explained(alert));
    Verdict { unexplained: unexplained.cloned().collect(), thefts }
}

impl Verdict {
    /// Alerts that count packets from further than so many seconds outside the time of all thefts
    /// that they may be about: what is silent has slipped in.
    pub fn astray(&self, said: &[Alert], seconds: u64) -> Vec<Alert> {
        let slack = seconds * 1_000_000;
        let judged = said.iter().filter(|alert| {
            let about: Vec<&Theft> = self
                .thefts
                .iter()
                .map(|(theft, _)| theft)
                .filter(|theft| theft.is_named_by(alert) || theft.allows(alert, &[]))
                .collect();
            let first = about.iter().map(|theft| theft.first).min();
            let last = about.iter().map(|theft| theft.last).max();
            let packets: u64 = about.iter().map(|theft| theft.packets).sum();
            match (first, last) {
                (Some(first), Some(last)) => {
                    alert.first < first || alert.last > last + slack || alert.packets > packets
                }
                _ => false,
            }
        });
        judged.cloned().collect()
    }
}
