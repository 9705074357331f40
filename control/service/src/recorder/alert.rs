//! Alerts: whose they are, whether they are wanted, what is said of them, and to whom.

use weir_engine::contract::verdict::Alert;
use weir_engine::detect::CATALOGUE;

use super::{Recorder, policy_name, unnamed};
use crate::alerts::{Saying, Subject, is_restricted};
use crate::eve::{
    self, AlertBody, Body, Context, Ends, Event, Gtpu, Orderer, Peer, RuleChange, SameBuild,
    Signature, Suspect,
};
use crate::narrate::{self, Names};
use crate::progress::Lost;
use crate::store::Store;

impl Recorder {
    /// Takes in what the sensor says of an alert.
    pub(super) fn alert(&mut self, mut alert: Alert, store: &Store) {
        if CATALOGUE.get(usize::from(alert.detection)).is_none() {
            self.progress.tally.lose(Lost::Malformed, 1);
            return;
        }
        // That a restricted finding explains this one would show that there is such a finding.
        if self.is_apart() {
            alert.superseded_by = alert.superseded_by.filter(|by| !is_restricted(*by));
        }
        let rulebook = self.rulebook(alert.policy, store);
        let entry = alert.equipment.and_then(|number| rulebook.as_ref()?.entry(number));
        let subject = Subject {
            equipment: alert
                .equipment
                .map(|number| entry.map_or_else(|| unnamed(number), |entry| entry.id.clone())),
            build: entry
                .filter(|entry| !entry.build.is_empty())
                .map(|entry| (entry.vendor.clone(), entry.model.clone(), entry.build.clone())),
            policy: rulebook.as_ref().map(|rulebook| rulebook.sha256),
        };
        let suppressed = self.is_suppressed(&alert, &subject, store);
        let detection = alert.detection;
        let (saying, newly_suppressed) = self.alerts.observe(alert, subject, suppressed);
        if newly_suppressed {
            *self.progress.tally.suppressed.entry(detection).or_default() += 1;
        }
        if let Some(saying) = saying {
            self.say(&saying, store);
        }
    }

    /// Whether the policy in force now wants to hear of it.
    fn is_suppressed(&mut self, alert: &Alert, subject: &Subject, store: &Store) -> bool {
        let version = self.progress.policy.max(alert.policy);
        let Some(rulebook) = self.rulebook(version, store) else { return false };
        let detection = CATALOGUE[usize::from(alert.detection)].id;
        rulebook.policy.suppressions().iter().any(|suppression| {
            suppression.matches(detection, subject.equipment.as_deref(), alert.peer, alert.last.0)
        })
    }

    /// Writes an event about an alert, to where such events go.
    pub fn say(&mut self, saying: &Saying, store: &Store) {
        let alert = &saying.row.alert;
        let detection = &CATALOGUE[usize::from(alert.detection)];
        let severity = narrate::severity(alert);
        let rulebook = self.rulebook(alert.policy, store);
        let entry = alert.equipment.and_then(|number| rulebook.as_ref()?.entry(number));
        let peer_entry = alert.peer_equipment.and_then(|number| rulebook.as_ref()?.entry(number));
        let tap = self.taps.taps.get(usize::from(alert.tap)).map(|tap| tap.name.as_str());
        let suspect = saying.row.subject.equipment.as_deref();
        let peer_id = peer_entry.map(|entry| entry.id.as_str());
        let n4 = alert.n4.as_deref();
        let ordered_by = n4.and_then(|n4| n4.ordered_by).map(|ip| Orderer {
            ip,
            equipment: rulebook.as_ref().and_then(|rulebook| rulebook.holder(ip)),
        });
        let names = Names {
            suspect,
            peer: peer_id,
            orderer: ordered_by.as_ref().and_then(|orderer| orderer.equipment),
            tap: tap.unwrap_or("unknown"),
        };
        let story = narrate::tell(alert, names);
        let installed = alert
            .equipment
            .and_then(|number| rulebook.as_ref().map(|rulebook| rulebook.same_build(number)));
        let body = AlertBody {
            detection: detection.id,
            severity,
            confidence: narrate::confidence(alert),
            status: if alert.degraded { "degraded" } else { "ok" },
            update: saying.update,
            is_final: saying.is_final,
            site: &self.site,
            tap,
            link: alert.link.name(),
            direction: alert.direction,
            equipment: suspect.map(|id| match entry {
                Some(entry) => Suspect::Entry(entry),
                None => Suspect::Number { id: id.to_owned() },
            }),
            initiator: alert.initiator,
            peer: alert.peer.map(|ip| Peer {
                ip,
                equipment: peer_id,
                name: alert.peer_name.as_deref(),
            }),
            same_build: installed
                .filter(|_| entry.is_some())
                .map(|installed| SameBuild { installed, showing: saying.showing }),
            outer: alert.outer.as_ref().map(Into::into),
            inner: alert.inner.as_ref().map(Into::into),
            gtpu: Gtpu::of(alert),
            session: n4.and_then(|n4| n4.session.as_ref()).map(Context::from),
            rule: n4.and_then(|n4| RuleChange::of(n4.before, n4.after, detection.restricted)),
            ordered_by,
            observed: story.observed,
            expected: story.expected,
            packets: alert.packets,
            bytes: alert.bytes,
            first: eve::timestamp(alert.first),
            last: eve::timestamp(alert.last),
            sensor_loss_ratio: alert.loss_ratio,
            n4_coverage: n4.and_then(|n4| n4.coverage),
            why: story.why,
            ruled_out: story.ruled_out,
            next: story.next,
            technique: detection.technique,
            superseded_by: alert
                .superseded_by
                .and_then(|by| CATALOGUE.get(usize::from(by)))
                .map(|by| by.id),
            dedup: &saying.dedup,
            policy: policy_name(alert.policy, saying.row.subject.policy),
        };
        let is_apart = detection.restricted && self.is_apart();
        if let Some(printer) = self.printer.as_mut().filter(|_| !is_apart) {
            printer.print(saying, entry, &body);
        }
        let event = Event {
            timestamp: eve::timestamp(alert.last),
            flow_id: (alert.flow_id != 0).then(|| eve::identity(alert.flow_id)),
            in_iface: tap,
            event_type: "alert",
            ends: match (&alert.outer, alert.peer) {
                (Some(outer), _) => Ends::of(outer),
                (None, Some(peer)) => Ends::sender(peer),
                (None, None) => Ends::default(),
            },
            alert: Some(Signature {
                action: "allowed",
                gid: 1,
                signature_id: detection.signature_id,
                rev: 1,
                signature: detection.signature,
                category: detection.category,
                severity: severity.suricata(),
            }),
            flow: None,
            weir: Body::Alert(Box::new(body)),
        };
        if is_apart { &mut self.restricted } else { &mut self.open }.put(&event);
        if saying.update == 0 {
            let key = (alert.detection, severity);
            *self.progress.tally.alerts.entry(key).or_default() += 1;
            self.flows.alert(alert, tap);
        }
    }
}
