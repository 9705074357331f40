//! Detections with a long memory: what they are told, and what becomes of what they find.

use weir_analytics::{Finding, Settings, Spell, bcn_periodic};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Activity, Alert, Initiator};
use weir_engine::detect::{BCN_PERIODIC, CATALOGUE, EGR_LONGCONN};
use weir_policy::Policy;

use super::{Recorder, unnamed};
use crate::rulebook::Rulebook;
use crate::store::Store;

impl Recorder {
    /// Takes a spell of activity in.
    pub(super) fn activity(&mut self, activity: &Activity, store: &Store) {
        let Some(number) = activity.source.or(activity.destination) else { return };
        // Under no policy nothing is judged.
        let Some(rulebook) = self.rulebook(activity.policy, store) else { return };
        let id = rulebook.entry(number).map_or_else(|| unnamed(number), |entry| entry.id.clone());
        self.progress.latest = self.progress.latest.max(activity.last);
        // A flow is told of when it ends, when the day that it began on may be over.
        let day = activity.last.day().max(self.alerts.oldest_open_day(self.progress.latest));
        let spell = Spell::of(&id, activity, day);
        let settings = settings(&rulebook);
        let mut found = Vec::new();
        self.analytics.observe(&spell, &settings, &mut |finding| found.push(finding));
        for finding in found {
            self.alert(alert(&finding, activity, day), store);
        }
    }
}

/// What the policy sets.
fn settings(rulebook: &Rulebook) -> Settings {
    let policy = &rulebook.policy;
    let hours = |hours: f64| Nanos((hours * 3.6e12) as u64);
    Settings {
        beacons: Parameters::of(policy, BCN_PERIODIC).map(|of| bcn_periodic::Settings {
            min_score: of.value("min_score"),
            min_samples: of.value("min_samples") as usize,
            least: hours(of.value("min_hours")),
        }),
        longest: Parameters::of(policy, EGR_LONGCONN).map(|of| hours(of.value("max_hours"))),
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

fn alert(finding: &Finding, activity: &Activity, day: u32) -> Alert {
    let is_peers = activity.source.is_none();
    Alert {
        detection: finding.detection,
        instance: finding.instance,
        day,
        last_word: false,
        severity: finding.severity,
        superseded_by: None,
        degraded: false,
        loss_ratio: 0.0,
        equipment: activity.source.or(activity.destination),
        peer_equipment: activity.source.and(activity.destination),
        peer: finding.peer,
        peer_name: activity.name.clone().filter(|_| finding.peer.is_some()),
        initiator: match (activity.initiator_known, is_peers) {
            (false, _) => Initiator::Unknown,
            (true, false) => Initiator::Equipment,
            (true, true) => Initiator::Peer,
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
