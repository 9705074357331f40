//! What the outcomes of a run come to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::draw::Draw;
use crate::intensity::Intensity;
use crate::interval::{Estimate, quantile};
use crate::judgement::{Found, Outcome};

/// One detection's score. Evasive variants count for its precision alone.
#[derive(Clone, Debug, Serialize)]
pub struct OfDetection {
    /// Of what it said, how much was true.
    pub precision: Option<Estimate>,
    /// Of what it should have found, how much it found.
    pub recall: Option<Estimate>,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Thefts that it should have found, and those that it found.
    pub thefts: u64,
    /// Those that it found.
    pub found: u64,
    /// Alerts that nothing explains.
    pub false_alarms: u64,
    /// From a theft's first packet to its alert, in seconds: the median.
    pub latency_seconds_p50: Option<f64>,
    /// The 95th percentile.
    pub latency_seconds_p95: Option<f64>,
    /// Bytes that left before the alert: the median.
    pub bytes_before_alert_p50: Option<f64>,
    /// Of those that were found, whether the right equipment was named.
    pub names_equipment: Option<Estimate>,
    /// Alerts of any detection about one theft, on average.
    pub alerts_per_incident: Option<f64>,
}

/// Everything that was scored.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The mean of all detections' F1.
    pub macro_f1: f64,
    /// How far it may be trusted: cases drawn anew.
    pub macro_f1_interval: Estimate,
    /// Of all thefts of an intensity, how many were found.
    pub recall: BTreeMap<&'static str, f64>,
    /// How far those may be trusted.
    pub recall_interval: BTreeMap<&'static str, Estimate>,
    /// Alerts that nothing explains, a day and 1,000 equipment.
    pub false_positives_per_day_per_1000: f64,
    /// How far that may be trusted.
    pub false_positives_interval: Option<Estimate>,
    /// The same by the share of frames that the tap lost, in per cent.
    pub false_positives_by_loss: BTreeMap<String, Estimate>,
    /// Equipment × days that were watched.
    pub equipment_days: f64,
    /// Bytes that left before the alert: the median.
    pub bytes_before_alert_p50: Option<f64>,
    /// From a theft's first packet to its alert, in seconds: the median.
    pub latency_seconds_p50: Option<f64>,
    /// The 95th percentile.
    pub latency_seconds_p95: Option<f64>,
    /// Whether the right equipment was named.
    pub names_equipment: Option<Estimate>,
    /// Alerts about one theft, on average.
    pub alerts_per_incident: Option<f64>,
    /// By detection.
    pub per_detection: BTreeMap<String, OfDetection>,
    /// Recall by family and intensity, as found of made.
    pub per_family: BTreeMap<String, BTreeMap<&'static str, (u64, u64)>>,
    /// Recall of moderate attacks by the share of frames that the tap lost, in per cent.
    pub recall_by_loss: BTreeMap<String, Estimate>,
    /// Alerts that accuse nobody.
    pub informative_alerts: u64,
}

fn is_counted(outcome: &&Outcome) -> bool {
    outcome.intensity != Some(Intensity::Evasive) && outcome.loss == 0.0
}

fn thefts<'a>(of: impl Iterator<Item = &'a Outcome>) -> Vec<&'a Found> {
    of.flat_map(|outcome| &outcome.thefts).collect()
}

fn found(of: &[&Found]) -> u64 {
    of.iter().filter(|theft| theft.hit.is_some()).count() as u64
}

fn share(of: &[&Found]) -> Option<Estimate> {
    Estimate::of_share(found(of), of.len() as u64)
}

/// F1 of each detection that some case was made for.
fn f1(outcomes: &[&Outcome]) -> BTreeMap<String, f64> {
    let detections: BTreeSet<&str> =
        outcomes.iter().filter(|it| is_counted(it)).filter_map(|it| it.detection).collect();
    let of = |detection: &str| {
        let made = outcomes.iter().copied().filter(is_counted);
        let made = thefts(made.filter(|it| it.detection == Some(detection)));
        let hits = found(&made) as f64;
        let wrong = outcomes.iter().flat_map(|it| &it.false_alarms);
        let wrong = wrong.filter(|alert| alert.detection == detection).count() as f64;
        let missed = made.len() as f64 - hits;
        if hits == 0.0 { 0.0 } else { 2.0 * hits / (2.0 * hits + wrong + missed) }
    };
    detections.into_iter().map(|detection| (detection.to_owned(), of(detection))).collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 { 0.0 } else { values.sum::<f64>() / count as f64 }
}

impl Score {
    /// Adds up.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let all: Vec<&Outcome> = outcomes.iter().collect();
        let by_detection = f1(&all);
        let macro_f1 = mean(by_detection.values().copied());
        let macro_f1_interval =
            Estimate::by_bootstrap(macro_f1, all.len(), &mut Draw::new("score", 1), |indices| {
                let drawn: Vec<&Outcome> = indices.iter().map(|at| all[*at]).collect();
                mean(f1(&drawn).into_values().collect::<Vec<_>>().into_iter())
            });
        let lossless = || outcomes.iter().filter(|it| it.loss == 0.0);
        let recall_interval: BTreeMap<&str, Estimate> = Intensity::ALL
            .into_iter()
            .filter_map(|intensity| {
                let of = thefts(lossless().filter(|it| it.intensity == Some(intensity)));
                Some((intensity.name(), share(&of)?))
            })
            .collect();
        let counted = thefts(outcomes.iter().filter(is_counted));
        let equipment_days: f64 = outcomes.iter().map(|it| it.equipment_days).sum();
        let wrong: usize = outcomes.iter().map(|it| it.false_alarms.len()).sum();
        let rate = Estimate::of_rate(wrong as u64, equipment_days / 1_000.0);
        let mut per_family: BTreeMap<String, BTreeMap<&str, (u64, u64)>> = BTreeMap::new();
        for outcome in lossless() {
            let (Some(family), Some(intensity)) = (outcome.family, outcome.intensity) else {
                continue;
            };
            let of = per_family.entry(family.into()).or_default().entry(intensity.name());
            let (hits, made) = of.or_default();
            *hits += found(&thefts(std::iter::once(outcome)));
            *made += outcome.thefts.len() as u64;
        }
        Self {
            macro_f1,
            macro_f1_interval,
            recall: recall_interval.iter().map(|(name, it)| (*name, it.value)).collect(),
            recall_interval,
            false_positives_per_day_per_1000: rate.map_or(0.0, |rate| rate.value),
            false_positives_interval: rate,
            false_positives_by_loss: of_each_loss(outcomes, |of| {
                let wrong: usize = of.iter().map(|it| it.false_alarms.len()).sum();
                let days: f64 = of.iter().map(|it| it.equipment_days).sum();
                Estimate::of_rate(wrong as u64, days / 1_000.0)
            }),
            equipment_days,
            bytes_before_alert_p50: bytes_before(&counted),
            latency_seconds_p50: latency(&counted, 0.5),
            latency_seconds_p95: latency(&counted, 0.95),
            names_equipment: names_equipment(&counted),
            alerts_per_incident: alerts_per_incident(&counted),
            per_detection: by_detection
                .into_iter()
                .map(|(detection, f1)| {
                    let of = OfDetection::of(&detection, f1, outcomes);
                    (detection, of)
                })
                .collect(),
            per_family,
            recall_by_loss: of_each_loss(outcomes, |of| {
                let moderate = |it: &&Outcome| it.intensity == Some(Intensity::Moderate);
                share(&thefts(of.iter().copied().filter(moderate)))
            }),
            informative_alerts: outcomes.iter().map(|it| it.informative).sum(),
        }
    }
}

impl OfDetection {
    fn of(detection: &str, f1: f64, outcomes: &[Outcome]) -> Self {
        let made = outcomes.iter().filter(is_counted);
        let made = thefts(made.filter(|it| it.detection == Some(detection)));
        let wrong = outcomes.iter().flat_map(|it| &it.false_alarms);
        let wrong = wrong.filter(|alert| alert.detection == detection).count() as u64;
        Self {
            precision: Estimate::of_share(found(&made), found(&made) + wrong),
            recall: share(&made),
            f1,
            thefts: made.len() as u64,
            found: found(&made),
            false_alarms: wrong,
            latency_seconds_p50: latency(&made, 0.5),
            latency_seconds_p95: latency(&made, 0.95),
            bytes_before_alert_p50: bytes_before(&made),
            names_equipment: names_equipment(&made),
            alerts_per_incident: alerts_per_incident(&made),
        }
    }
}

fn latency(of: &[&Found], share: f64) -> Option<f64> {
    let values: Vec<f64> =
        of.iter().filter_map(|it| Some(it.hit.as_ref()?.latency_seconds)).collect();
    quantile(&values, share)
}

fn bytes_before(of: &[&Found]) -> Option<f64> {
    let values: Vec<f64> =
        of.iter().filter_map(|it| Some(it.hit.as_ref()?.bytes_before as f64)).collect();
    quantile(&values, 0.5)
}

fn names_equipment(of: &[&Found]) -> Option<Estimate> {
    let named = of.iter().filter(|it| it.hit.as_ref().is_some_and(|hit| hit.names_equipment));
    Estimate::of_share(named.count() as u64, found(of))
}

fn alerts_per_incident(of: &[&Found]) -> Option<f64> {
    let alerts: u64 = of.iter().filter_map(|it| Some(it.hit.as_ref()?.alerts)).sum();
    (found(of) > 0).then(|| alerts as f64 / found(of) as f64)
}

/// Something of the outcomes of each share of frames that a tap lost, by that in per cent.
fn of_each_loss(
    outcomes: &[Outcome],
    what: impl Fn(&[&Outcome]) -> Option<Estimate>,
) -> BTreeMap<String, Estimate> {
    let losses: BTreeSet<u64> = outcomes.iter().map(|it| it.loss.to_bits()).collect();
    let of = |bits: u64| {
        let of: Vec<&Outcome> = outcomes.iter().filter(|it| it.loss.to_bits() == bits).collect();
        Some((format!("{}", f64::from_bits(bits) * 100.0), what(&of)?))
    };
    losses.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heard::Alert;
    use crate::judgement::Hit;

    fn outcome(detection: &'static str, intensity: Intensity, is_found: bool) -> Outcome {
        let hit = is_found.then_some(Hit {
            latency_seconds: 4.0,
            bytes_before: 100,
            names_equipment: true,
            alerts: 3,
        });
        let (id, of) = (String::from("theft"), detection.into());
        Outcome {
            family: Some("family"),
            detection: Some(detection),
            intensity: Some(intensity),
            seed: 1,
            loss: 0.0,
            thefts: vec![Found { id, detection: of, bytes: 900, hit }],
            false_alarms: Vec::new(),
            informative: 0,
            equipment_days: 50.0,
        }
    }

    fn false_alarm(detection: &str) -> Alert {
        Alert {
            detection: detection.into(),
            severity: "high".into(),
            equipment: None,
            peer: None,
            peer_equipment: None,
            is_superseded: false,
            first: 0,
            last: 0,
            said: 0,
            observed: String::new(),
        }
    }

    #[test]
    fn evasive_attacks_and_losses_count_apart() {
        use Intensity::{Evasive, Loud, Moderate};
        let lossy = Outcome { loss: 0.05, ..outcome("A", Moderate, false) };
        let score = Score::of(&[
            outcome("A", Loud, true),
            outcome("A", Moderate, true),
            outcome("A", Evasive, false),
            lossy,
            outcome("B", Loud, true),
            outcome("B", Loud, false),
        ]);
        assert_eq!(score.per_detection["A"].f1, 1.0);
        assert_eq!((score.per_detection["B"].found, score.per_detection["B"].thefts), (1, 2));
        assert!((score.per_detection["B"].f1 - 2.0 / 3.0).abs() < 1e-9);
        assert!((score.macro_f1 - 5.0 / 6.0).abs() < 1e-9);
        assert_eq!((score.recall["loud"], score.recall["evasive"]), (2.0 / 3.0, 0.0));
        assert_eq!(score.recall_by_loss["0"].value, 1.0);
        assert_eq!(score.recall_by_loss["5"].value, 0.0);
        assert_eq!((score.alerts_per_incident, score.latency_seconds_p95), (Some(3.0), Some(4.0)));
    }

    #[test]
    fn false_alarms_count_against_their_detection_and_all_equipment() {
        let mut quiet = Outcome {
            family: None,
            detection: None,
            intensity: None,
            thefts: Vec::new(),
            equipment_days: 1_950.0,
            ..outcome("A", Intensity::Loud, true)
        };
        quiet.false_alarms = vec![false_alarm("A"), false_alarm("C")];
        let lossy = Outcome {
            loss: 0.001,
            false_alarms: vec![false_alarm("A")],
            equipment_days: 1_000.0,
            ..quiet.clone()
        };
        let score = Score::of(&[outcome("A", Intensity::Loud, true), quiet, lossy]);
        assert_eq!(score.per_detection["A"].f1, 0.5);
        assert_eq!(score.false_positives_per_day_per_1000, 1.0);
        assert_eq!(score.false_positives_by_loss["0"].value, 1.0);
        assert_eq!(score.false_positives_by_loss["0.1"].value, 1.0);
        assert_eq!(score.equipment_days, 3_000.0);
    }
}
