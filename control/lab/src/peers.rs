//! Peers on the same scenarios: what RITA, Elastic and nDPI say of a case, by their own methods and
//! with the thresholds that they come with, held against the same labels.
//!
//! RITA's and Elastic's scores are written out here from what is published of them, and read the flows
//! that Weir saw as a connection log; nDPI is run on the capture. `docs/lab-peers.md` tells from where
//! each number is taken, and what is left out.

pub mod connections;
mod elastic;
mod held;
mod ndpi;
mod networks;
mod reach;
mod rita;

use std::collections::BTreeMap;

use serde::Serialize;

use self::held::{Installed, Statement};
pub use self::reach::Reach;
use crate::interval::Estimate;
use crate::player::{LabError, Played};

/// Somebody else's method.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Peer {
    /// RITA 5, by Active Countermeasures.
    Rita,
    /// Elastic's network beaconing identification.
    Elastic,
    /// nDPI's flow risks, by ntop.
    Ndpi,
}

/// Every peer.
pub const ALL: [Peer; 3] = [Peer::Rita, Peer::Elastic, Peer::Ndpi];

/// What became of a theft.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The peer spoke of it.
    Found,
    /// It did not, though it could have.
    Missed,
    /// It has no words for such a thing, whatever it says of the pair.
    CantExpress,
}

/// One theft, and what became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Said {
    /// The detection that should name it.
    pub detection: &'static str,
    /// What the peer said.
    pub answer: Answer,
}

/// What a peer said of a case.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Every theft that was sent, in the order of the labels; empty if the peer was skipped.
    pub thefts: Vec<Said>,
    /// Pairs of equipment and a far end that it accused without a cause.
    pub false_alarms: u64,
    /// Equipment × days that were watched.
    pub equipment_days: f64,
    /// Why the peer could not be asked; none if it was.
    pub skipped: Option<String>,
}

impl Peer {
    /// Its name, as results call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rita => "RITA",
            Self::Elastic => "Elastic",
            Self::Ndpi => "nDPI",
        }
    }

    /// What is held to be a word of its.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Rita => "a pair of medium severity or graver, in any hour",
            Self::Elastic => {
                "a host that is beaconing, in any hour, with the ten destinations named"
            }
            Self::Ndpi => "a flow with any risk",
        }
    }

    /// Asks it about a case, which must have been played with its flows.
    ///
    /// # Errors
    /// The case's files can't be read.
    pub fn judge(self, played: &Played) -> Result<Verdict, LabError> {
        let directory = played.directory.path();
        let failed = |file: &str| {
            let path = directory.join(file);
            move |why| LabError::File { path, why }
        };
        let statements: Vec<Statement> = match self {
            Self::Rita => rita::statements(&played.connections),
            Self::Elastic => elastic::statements(&played.connections),
            Self::Ndpi => match ndpi::statements(directory).map_err(failed("capture.pcap"))? {
                Ok(statements) => statements,
                Err(skipped) => {
                    let (thefts, equipment_days) = (Vec::new(), played.equipment_days);
                    let skipped = Some(skipped);
                    return Ok(Verdict { thefts, false_alarms: 0, equipment_days, skipped });
                }
            },
        };
        let inventory = "inventory.toml";
        let installed = Installed::read(&directory.join(inventory)).map_err(failed(inventory))?;
        let (thefts, false_alarms) = held::hold(self, &played.labels, &installed, &statements);
        let equipment_days = played.equipment_days;
        Ok(Verdict { thefts, false_alarms, equipment_days, skipped: None })
    }
}

/// What a peer's answers about one detection come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OfDetection {
    /// Thefts that it spoke of.
    pub found: u64,
    /// Those that it could have spoken of, and did not.
    pub missed: u64,
    /// Those that it has no words for.
    pub cant_express: u64,
    /// Of what it could have spoken of, how much it did; none of nothing.
    pub recall: Option<Estimate>,
}

impl OfDetection {
    fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Found => self.found += 1,
            Answer::Missed => self.missed += 1,
            Answer::CantExpress => self.cant_express += 1,
        }
        self.recall = Estimate::of_share(self.found, self.found + self.missed);
    }
}

/// What a peer's verdicts come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// By detection.
    pub per_detection: BTreeMap<&'static str, OfDetection>,
    /// All detections together.
    pub all: OfDetection,
    /// Pairs that it accused without a cause.
    pub false_alarms: u64,
    /// Those, a day and 1,000 equipment; none if nothing was watched.
    pub false_positives_per_day_per_1000: Option<Estimate>,
    /// Equipment × days that it watched.
    pub equipment_days: f64,
    /// Cases about which it could not be asked; they count for nothing else.
    pub skipped_cases: u64,
    /// Why not, of the first.
    pub skipped: Option<String>,
}

impl Score {
    /// Adds up a peer's verdicts.
    #[must_use]
    pub fn of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let mut score = Self::default();
        for verdict in verdicts {
            if let Some(why) = &verdict.skipped {
                score.skipped_cases += 1;
                score.skipped.get_or_insert_with(|| why.clone());
                continue;
            }
            for said in &verdict.thefts {
                score.per_detection.entry(said.detection).or_default().add(said.answer);
                score.all.add(said.answer);
            }
            score.false_alarms += verdict.false_alarms;
            score.equipment_days += verdict.equipment_days;
        }
        score.false_positives_per_day_per_1000 =
            Estimate::of_rate(score.false_alarms, score.equipment_days / 1_000.0);
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_keeps_what_cant_be_expressed_apart_from_what_is_missed() {
        let said = |detection, answer| Said { detection, answer };
        let beacons = Verdict {
            thefts: vec![
                said("BCN-PERIODIC", Answer::Found),
                said("BCN-PERIODIC", Answer::Missed),
                said("EGR-COHORT", Answer::CantExpress),
            ],
            false_alarms: 3,
            equipment_days: 500.0,
            skipped: None,
        };
        let skipped = Verdict {
            thefts: Vec::new(),
            false_alarms: 0,
            equipment_days: 500.0,
            skipped: Some("not installed".into()),
        };
        let score = Score::of([&beacons, &skipped, &beacons]);
        let beacon = score.per_detection["BCN-PERIODIC"];
        assert_eq!((beacon.found, beacon.missed, beacon.cant_express), (2, 2, 0));
        assert_eq!(beacon.recall.unwrap().value, 0.5);
        let cohort = score.per_detection["EGR-COHORT"];
        assert_eq!((cohort.cant_express, cohort.recall), (2, None));
        assert_eq!((score.all.found, score.all.missed, score.all.cant_express), (2, 2, 2));
        // What was not watched dilutes no rate.
        assert_eq!((score.false_alarms, score.equipment_days), (6, 1_000.0));
        assert_eq!(score.false_positives_per_day_per_1000.unwrap().value, 6.0);
        assert_eq!((score.skipped_cases, score.skipped.as_deref()), (1, Some("not installed")));
    }
}
