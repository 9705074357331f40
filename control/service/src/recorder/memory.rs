//! Detections with a long memory: what they are told, and what becomes of what they find.

use weir_analytics::egr_crypto::Opening;
use weir_analytics::{Context, Finding, LATE, Side, Spell, cov_dns};
use weir_engine::Nanos;
use weir_engine::contract::content::{Feature, Features, Questions};
use weir_engine::contract::session::Signalled;
use weir_engine::contract::streams::Streams;
use weir_engine::contract::verdict::{Activity, Alert, Initiator};
use weir_engine::rules::{EquipmentId, Link};

use super::{Recorder, unnamed};
use crate::store::Store;

impl Recorder {
    /// Takes a spell of activity in, for each side that is equipment.
    pub(super) fn activity(&mut self, activity: &Activity, store: &Store) {
        // Under no policy nothing is judged.
        let Some(rulebook) = self.rulebook(activity.policy, store) else { return };
        self.pass(activity.last);
        let ids = super::ids(Some(&rulebook), [activity.source, activity.destination]);
        self.ledger.activity(activity, &ids);
        // A flow is told of when it ends, when the day that it began on may be over.
        let day = activity.last.day().max(self.alerts.oldest_open_day(self.progress.latest));
        for (side, id) in [Side::First, Side::Second].into_iter().zip(ids) {
            let (Some(number), Some(id)) = (equipment(activity, side).0, id) else { continue };
            self.remember(&id, activity);
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
    /// Takes in what an equipment asked the DNS for.
    pub(super) fn questions(&mut self, asked: &Questions, store: &Store) {
        let Some(rulebook) = self.rulebook(asked.policy, store) else { return };
        self.pass(asked.last);
        let zones = &rulebook.policy.dns_zones;
        if cov_dns::is_excused(&asked.domain)
            || zones.iter().any(|zone| cov_dns::is_within(&asked.domain, zone))
        {
            return;
        }
        let day = asked.last.day().max(self.alerts.oldest_open_day(self.progress.latest));
        let number = asked.equipment;
        let id = rulebook.entry(number).map_or_else(|| unnamed(number), |entry| entry.id.clone());
        let mut found = None;
        self.analytics
            .ask(&id, asked, day, &rulebook.settings, &mut |finding| found = Some(finding));
        if let Some(finding) = found {
            self.alert(about_questions(&finding, asked), store);
        }
    }

    /// Takes in what an equipment's flow begins with.
    pub(super) fn features(&mut self, features: &Features, store: &Store) {
        let Some(rulebook) = self.rulebook(features.policy, store) else { return };
        self.pass(features.at);
        let number = features.equipment;
        let id = rulebook.entry(number).map_or_else(|| unnamed(number), |entry| entry.id.clone());
        let opening = Opening {
            equipment: &id,
            features,
            day: features.at.day().max(self.alerts.oldest_open_day(self.progress.latest)),
            is_in_window: rulebook.is_in_change_window(number, features.at),
            listed: &rulebook.policy.known_crypto,
        };
        let mut found = Vec::new();
        self.analytics.open(&opening, &rulebook.settings, &mut |finding| found.push(finding));
        for finding in found {
            self.alert(about_features(&finding, features), store);
        }
    }

    /// Takes in how many streams of copies there are.
    pub(super) fn streams(&mut self, streams: &Streams, store: &Store) {
        let Some(rulebook) = self.rulebook(streams.policy, store) else { return };
        self.pass(streams.until);
        let day = streams.until.day().max(self.alerts.oldest_open_day(self.progress.latest));
        let mut found = None;
        self.analytics
            .count(streams, day, &rulebook.settings, &mut |finding| found = Some(finding));
        if let Some(finding) = found {
            self.alert(about_streams(&finding, streams), store);
        }
    }

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

/// The domain stands where else the name of the peer does: there are as many peers as resolvers.
fn about_questions(finding: &Finding, asked: &Questions) -> Alert {
    Alert {
        equipment: Some(asked.equipment),
        peer_name: Some(asked.domain.clone()),
        initiator: Initiator::Equipment,
        tap: asked.tap,
        link: asked.link,
        outer: Some(asked.tuple),
        at: asked.last,
        policy: asked.policy,
        ..blank(finding)
    }
}

fn about_features(finding: &Finding, features: &Features) -> Alert {
    let name = match &features.shows {
        Feature::Tls { name, .. } => name.clone(),
        Feature::Http(host) => Some(host.clone()),
        Feature::Ssh(_) | Feature::Clear(_) => None,
    };
    Alert {
        equipment: Some(features.equipment),
        peer_equipment: features.peer_equipment,
        peer_name: name,
        initiator: Initiator::Equipment,
        tap: features.tap,
        link: features.link,
        outer: Some(features.tuple),
        flow_id: features.flow_id,
        at: features.at,
        policy: features.policy,
        ..blank(finding)
    }
}

/// Counts, and whose doing it is: nothing of who is intercepted, nor where to.
fn about_streams(finding: &Finding, streams: &Streams) -> Alert {
    Alert {
        equipment: streams.upf,
        initiator: Initiator::Equipment,
        link: Link::N4,
        loss_ratio: streams.loss_ratio,
        policy: streams.policy,
        n4: Some(Box::new(Signalled { coverage: streams.coverage, ..Signalled::default() })),
        ..blank(finding)
    }
}

/// What a finding tells by itself.
fn blank(finding: &Finding) -> Alert {
    Alert {
        detection: finding.detection,
        instance: finding.instance,
        day: finding.day,
        last_word: false,
        severity: finding.severity,
        superseded_by: None,
        degraded: finding.is_degraded,
        loss_ratio: 0.0,
        equipment: None,
        peer_equipment: None,
        peer: finding.peer,
        peer_name: None,
        initiator: Initiator::Unknown,
        fact: finding.fact,
        tap: 0,
        link: Link::Mixed,
        direction: None,
        outer: None,
        inner: None,
        tunnel: None,
        flow_id: 0,
        packets: finding.packets,
        bytes: finding.bytes,
        first: finding.first,
        last: finding.last,
        at: finding.last,
        policy: 0,
        n4: None,
        evidence: None,
    }
}

fn alert(finding: &Finding, activity: &Activity, side: Side) -> Alert {
    let (equipment, other) = equipment(activity, side);
    Alert {
        equipment,
        peer_equipment: other.filter(|_| finding.peer.is_some()),
        peer_name: activity.name.clone().filter(|_| finding.peer.is_some()),
        initiator: match (activity.initiator_known, side) {
            (false, _) => Initiator::Unknown,
            (true, Side::First) => Initiator::Equipment,
            (true, Side::Second) => Initiator::Peer,
        },
        tap: activity.tap,
        link: activity.link,
        outer: Some(activity.tuple),
        flow_id: activity.flow_id,
        at: activity.last,
        policy: activity.policy,
        ..blank(finding)
    }
}
