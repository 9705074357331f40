//! Detections with a long memory: what they are told, and what becomes of what they find.

use weir_analytics::{Context, Finding, LATE, Side, Spell};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Activity, Alert, Initiator};
use weir_engine::rules::EquipmentId;

use super::{Recorder, unnamed};
use crate::store::Store;

impl Recorder {
    /// Takes a spell of activity in, for each side that is equipment.
    pub(super) fn activity(&mut self, activity: &Activity, store: &Store) {
        // Under no policy nothing is judged.
        let Some(rulebook) = self.rulebook(activity.policy, store) else { return };
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
            self.analytics.observe(&spell, &rulebook.settings, &mut |finding| found.push(finding));
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
        let is_ahead = latest.since(time) > LATE;
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
