//! Alerts: whose they are, whether they are wanted, what is said of them, and to whom.

use weir_engine::Nanos;
use weir_engine::contract::verdict::{Alert, Severity};
use weir_engine::detect::CATALOGUE;
use weir_policy::Suppression;

use super::{Recorder, policy_name, unnamed};
use crate::alerts::{Observed, Saying, Subject, is_restricted};
use crate::cases::{AlertId, Filing, Silence};
use crate::eve::{
    self, AlertBody, Body, Context, Ends, Event, Evidence, Gtpu, Orderer, Peer, RuleChange,
    SameBuild, Signature, Suspect,
};
use crate::live::now;
use crate::narrate::{self, Names};
use crate::progress::Lost;
use crate::rulebook::hex;
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
        let silence = self.silence(&alert, &subject, store);
        if silence.is_none() {
            self.set_aside(&alert, &subject);
        }
        let detection = alert.detection;
        match self.alerts.observe(alert, subject, silence.is_some()) {
            Observed::Nothing => {}
            Observed::Due(saying) => self.say(&saying, store),
            Observed::Silenced { saying, is_first } => {
                if is_first {
                    *self.progress.tally.suppressed.entry(detection).or_default() += 1;
                }
                self.tell(&saying, silence, store);
            }
        }
    }

    /// Who does not want to hear of it: the policy in force now, or somebody who said so.
    fn silence(&mut self, alert: &Alert, subject: &Subject, store: &Store) -> Option<Silence> {
        let detection = CATALOGUE[usize::from(alert.detection)].id;
        let (equipment, peer) = (subject.equipment.as_deref(), alert.peer);
        let person = self.cases.suppressions.matching(detection, equipment, peer, now());
        if let Some(number) = person {
            return Some(Silence::Person(number));
        }
        let version = self.progress.policy.max(alert.policy);
        let rulebook = self.rulebook(version, store)?;
        let mut suppressions = rulebook.policy.suppressions().iter();
        suppressions
            .any(|it| it.matches(detection, equipment, peer, alert.last.0))
            .then_some(Silence::Policy)
    }

    /// What was said already is silenced from `now` on, and counted as the store counts it.
    pub fn silence_said(&mut self, scope: &Suppression, now: Nanos) {
        let counts = self.alerts.silence(|row| {
            let detection = CATALOGUE[usize::from(row.alert.detection)].id;
            scope.matches(detection, row.subject.equipment.as_deref(), row.alert.peer, now.0)
        });
        for (detection, count) in counts {
            *self.progress.tally.suppressed.entry(detection).or_default() += count;
        }
    }

    /// Writes an event about an alert, to where such events go.
    pub fn say(&mut self, saying: &Saying, store: &Store) {
        self.tell(saying, None, store);
    }

    /// Makes the event about an alert, stores it, and writes it unless it is silenced.
    fn tell(&mut self, saying: &Saying, silence: Option<Silence>, store: &Store) {
        let alert = &saying.row.alert;
        let detection = &CATALOGUE[usize::from(alert.detection)];
        let severity = narrate::severity(alert);
        let (id, is_apart) = (AlertId::of(&saying.dedup), detection.restricted && self.is_apart());
        // What nobody wants to hear of begins no incident.
        let joined_as = silence.map_or(severity, |_| Severity::Info);
        let incident = self.cases.incident(saying, joined_as);
        let rulebook = self.rulebook(alert.policy, store);
        let entry = alert.equipment.and_then(|number| rulebook.as_ref()?.entry(number));
        let peer_entry = alert.peer_equipment.and_then(|number| rulebook.as_ref()?.entry(number));
        let taps = std::sync::Arc::clone(&self.taps);
        let tap = taps.taps.get(usize::from(alert.tap)).map(|tap| tap.name.as_str());
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
        let (frames, evidence) = match silence {
            None => {
                let frames = self.frames_of(saying);
                let evidence = self.keep(saying, &story, is_apart, &frames);
                (frames, evidence)
            }
            Some(_) => (Vec::new(), saying.row.evidence.clone()),
        };
        let installed = alert
            .equipment
            .and_then(|number| rulebook.as_ref().map(|rulebook| rulebook.same_build(number)));
        let body = AlertBody {
            id: id.to_string(),
            incident,
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
            evidence: evidence.as_ref().map(|capture| Evidence {
                pcap: &capture.pcap,
                sha256: hex(&capture.sha256),
                frames: capture.frames,
            }),
            dedup: &saying.dedup,
            policy: policy_name(alert.policy, saying.row.subject.policy),
        };
        if let Some(printer) = self.printer.as_mut().filter(|_| !is_apart && silence.is_none()) {
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
        let mut line = Vec::with_capacity(2_048);
        event.write(&mut line);
        if silence.is_none() {
            let outbox = if is_apart { &mut self.restricted } else { &mut self.open };
            outbox.put_line(&event, &line);
        }
        line.pop();
        let saying = saying.clone();
        let is_first = saying.update == 0 && silence.is_none();
        let key = (saying.row.alert.detection, severity);
        self.cases.file(Filing {
            id,
            saying,
            severity,
            restricted: is_apart,
            silence,
            incident,
            event: line,
        });
        if is_first {
            *self.progress.tally.alerts.entry(key).or_default() += 1;
            self.flows.alert(alert, &frames, tap);
        }
    }
}
