//! Detections with a long memory: what they are told, and what becomes of what they find.

use weir_analytics::{
    Context, Finding, Settings, Side, Spell, bcn_periodic, egr_cohort, egr_volume,
};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Activity, Alert, Initiator};
use weir_engine::detect::{
    BCN_PERIODIC, CATALOGUE, EGR_COHORT, EGR_LONGCONN, EGR_VOLUME, OAM_WINDOW,
};
use weir_engine::rules::EquipmentId;
use weir_policy::Policy;

use super::{Recorder, unnamed};
use crate::rulebook::Rulebook;
use crate::store::Store;

impl Recorder {
    /// Takes a spell of activity in, for each side that is equipment.
    pub(super) fn activity(&mut self, activity: &Activity, store: &Store) {
        // Under no policy nothing is judged.
        let Some(rulebook) = self.rulebook(activity.policy, store) else { return };
        let settings = settings(&rulebook);
        self.pass(activity.last);
        // A flow is told of when it ends, when the day that it began on may be over.
        let day = activity.last.day().max(self.alerts.oldest_open_day(self.progress.latest));
        for side in [Side::First, Side::Second] {
            let Some(number) = equipment(activity, side).0 else { continue };
            let id =
                rulebook.entry(number).map_or_else(|| unnamed(number), |entry| entry.id.clone());
            let is_in_window = rulebook.is_in_change_window(number, activity.last);
            let context = Context { day, is_in_window, cohort: rulebook.cohort(number) };
            let spell = Spell::of(&id, activity, side, context);
            let mut found = Vec::new();
            self.analytics.observe(&spell, &settings, &mut |finding| found.push(finding));
            for finding in found {
                self.alert(alert(&finding, activity, side), store);
            }
        }
    }
}

impl Recorder {
    /// Notes a time that has come. One far ahead of what comes later was a clock's mistake.
    pub fn pass(&mut self, time: Nanos) {
        let latest = &mut self.progress.latest;
        let is_ahead = latest.since(time) > Nanos::from_secs(86_400);
        *latest = if is_ahead { time } else { time.max(*latest) };
    }
}

/// The equipment of a side, and that of the other, by their numbers.
fn equipment(activity: &Activity, side: Side) -> (Option<EquipmentId>, Option<EquipmentId>) {
    match side {
        Side::First => (activity.source, activity.destination),
        Side::Second => (activity.destination, activity.source),
    }
}

/// What the policy sets.
fn settings(rulebook: &Rulebook) -> Settings {
    const MEBIBYTE: f64 = 1_048_576.0;
    let of = |detection| Parameters::of(&rulebook.policy, detection);
    let hours = |hours: f64| Nanos((hours * 3.6e12) as u64);
    Settings {
        beacons: of(BCN_PERIODIC).map(|of| bcn_periodic::Settings {
            min_score: of.value("min_score"),
            min_samples: of.value("min_samples") as usize,
            least: hours(of.value("min_hours")),
        }),
        cohorts: of(EGR_COHORT).map(|of| egr_cohort::Settings {
            min_share: of.value("min_share"),
            min_nodes: of.value("min_nodes") as u32,
            max_other_share: of.value("max_other_share"),
            window: hours(of.value("window_days") * 24.0),
        }),
        longest: of(EGR_LONGCONN).map(|of| hours(of.value("max_hours"))),
        volumes: of(EGR_VOLUME).map(|of| egr_volume::Settings {
            min_z: of.value("min_z"),
            min_bytes: (of.value("min_mebibytes_per_hour") * MEBIBYTE) as u64,
            windows: of.value("windows") as usize,
            repeated_days: of.value("repeated_days") as usize,
            of_days: of.value("of_days") as u32,
        }),
        most_outside_windows: of(OAM_WINDOW)
            .map(|of| (of.value("max_mebibytes") * MEBIBYTE) as u64),
    }
}

/// A detection's parameters.
struct Parameters<'a>(&'a [(String, f64)]);

impl<'a> Parameters<'a> {
    /// None if it is switched off.
    fn of(policy: &'a Policy, detection: u16) -> Option<Self> {
        let id = CATALOGUE[usize::from(detection)].id;
        let setting = policy.detections.iter().find(|setting| setting.id == id)?;
        setting.enabled.then_some(Self(&setting.parameters))
    }

    /// The policy has every parameter of every detection.
    fn value(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| known == name).map_or(0.0, |(_, value)| *value)
    }
}

fn alert(finding: &Finding, activity: &Activity, side: Side) -> Alert {
    let (equipment, other) = equipment(activity, side);
    Alert {
        detection: finding.detection,
        instance: finding.instance,
        day: finding.day,
        last_word: false,
        severity: finding.severity,
        superseded_by: None,
        degraded: finding.is_degraded,
        loss_ratio: 0.0,
        equipment,
        peer_equipment: other.filter(|_| finding.peer.is_some()),
        peer: finding.peer,
        peer_name: activity.name.clone().filter(|_| finding.peer.is_some()),
        initiator: match (activity.initiator_known, side) {
            (false, _) => Initiator::Unknown,
            (true, Side::First) => Initiator::Equipment,
            (true, Side::Second) => Initiator::Peer,
        },
        fact: finding.fact,
        tap: activity.tap,
        link: activity.link,
        direction: None,
        outer: Some(activity.tuple),
        inner: None,
        tunnel: None,
        flow_id: activity.flow_id,
        packets: finding.packets,
        bytes: finding.bytes,
        first: finding.first,
        last: finding.last,
        at: activity.last,
        policy: activity.policy,
        n4: None,
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::detect::OF_CONTROL;

    use super::*;
    use crate::rulebook::Texts;

    #[test]
    fn every_parameter_of_a_detection_of_control_arrives() {
        let of = |policy: String| {
            let texts = Texts { inventory: String::new(), policy };
            settings(&Rulebook::restore(1, texts).unwrap())
        };
        let default = of(String::new());
        for position in OF_CONTROL {
            let id = CATALOGUE[usize::from(position)].id;
            for parameter in weir_policy::Detection::find(id).unwrap().parameters {
                let other = if parameter.most <= 1.0 { 1.0 } else { 77.0 };
                let set = of(format!("[detections.{id}]\n{} = {other}\n", parameter.name));
                assert_ne!(set, default, "{id} {}", parameter.name);
            }
            assert_ne!(of(format!("[detections.{id}]\nenabled = false\n")), default, "{id}");
        }
    }
}
