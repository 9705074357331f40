//! From verdicts to event lines: the state that one record changes, and what is said about it.

use std::collections::HashMap;
use std::sync::Arc;

use weir_engine::Nanos;
use weir_engine::contract::greeting::Greeting;
use weir_engine::contract::verdict::{Alert, Flow, FlowEnd, Initiator, PolicySwap, Verdict};
use weir_engine::detect::CATALOGUE;
use weir_engine::rules::EquipmentId;

use crate::alerts::{Alerts, Saying, Subject};
use crate::counts::Totals;
use crate::eve::{
    self, AlertBody, Body, Change, Ends, Event, FlowBody, FlowCounts, Gtpu, HealthBody, Peer,
    PolicyBody, PolicyName, SameBuild, Signature, StatsBody, Suspect,
};
use crate::live::now;
use crate::narrate;
use crate::print::Printer;
use crate::progress::{Lost, Progress};
use crate::rulebook::{self, hex};
use crate::store::Store;

/// Rulebooks that are held parsed; more are read from the store again.
const RULEBOOKS: usize = 8;
/// Versions of one sensor's life whose hashes are kept: the newest.
const VERSIONS: usize = 64;

/// The state that records change, and the lines that are not in the event file yet.
pub struct Recorder {
    /// Alerts.
    pub alerts: Alerts,
    /// How far the records are read, and counters.
    pub progress: Progress,
    /// Event lines.
    pub lines: Vec<u8>,
    /// How many.
    pub events: u64,
    site: String,
    taps: Arc<Greeting>,
    rulebooks: HashMap<[u8; 32], rulebook::Shared>,
    /// Versions that came into force before this process could see it, by the store's word.
    inferred: HashMap<u64, Option<rulebook::Shared>>,
    printer: Option<Printer>,
}

impl Recorder {
    /// Goes on where `progress` and `alerts` stand.
    pub fn new(progress: Progress, alerts: Alerts, site: String, printer: Option<Printer>) -> Self {
        let nobody = Greeting {
            version: String::new(),
            site: site.clone(),
            replay: false,
            taps: Vec::new(),
            ports: Vec::new(),
            lanes: Vec::new(),
            workers: 0,
            policy: None,
        };
        Self {
            alerts,
            progress,
            lines: Vec::new(),
            events: 0,
            site,
            taps: Arc::new(nobody),
            rulebooks: HashMap::new(),
            inferred: HashMap::new(),
            printer,
        }
    }

    /// Takes the names of taps and site from a sensor.
    pub fn greet(&mut self, greeting: &Arc<Greeting>) {
        self.site.clone_from(&greeting.site);
        self.taps = Arc::clone(greeting);
    }

    /// Holds a rulebook for what is to come.
    pub fn hold(&mut self, rulebook: rulebook::Shared) {
        self.inferred.clear();
        if self.rulebooks.len() >= RULEBOOKS {
            self.rulebooks.clear();
        }
        self.rulebooks.insert(rulebook.sha256, rulebook);
    }

    /// The time to which days must be over before this verdict is taken in.
    pub fn time(verdict: &Verdict) -> Option<Nanos> {
        // A flow's record may be dated to the end of its idle time-out, after midnight.
        match verdict {
            Verdict::Alert(alert) => Some(alert.at),
            _ => None,
        }
    }

    /// Takes a verdict in. The end of the input closes nothing yet.
    pub fn take(&mut self, verdict: Verdict, store: &Store) {
        match verdict {
            Verdict::Alert(alert) => self.alert(*alert, store),
            Verdict::Flow(flow) => self.flow(&flow, store),
            Verdict::Policy(swap) => self.policy(&swap),
            Verdict::End(_) => {}
        }
    }

    fn write(&mut self, event: &Event<'_>) {
        event.write(&mut self.lines);
        self.events += 1;
    }

    /// The rulebook of a version that judged in this life of the sensor.
    fn rulebook(&mut self, version: u64, store: &Store) -> Option<rulebook::Shared> {
        let Some(sha256) = self.progress.policies.get(&version).copied() else {
            return self.inferred(version, store);
        };
        if let Some(held) = self.rulebooks.get(&sha256) {
            return Some(Arc::clone(held));
        }
        let rulebook = Arc::new(store.rulebook(&sha256).ok().flatten()?);
        self.hold(Arc::clone(&rulebook));
        Some(rulebook)
    }

    fn inferred(&mut self, version: u64, store: &Store) -> Option<rulebook::Shared> {
        if self.inferred.len() >= RULEBOOKS {
            self.inferred.clear();
        }
        let stored = || store.rulebook_of_version(version).ok().flatten().map(Arc::new);
        self.inferred.entry(version).or_insert_with(stored).clone()
    }

    fn alert(&mut self, alert: Alert, store: &Store) {
        if CATALOGUE.get(usize::from(alert.detection)).is_none() {
            self.progress.tally.lose(Lost::Malformed, 1);
            return;
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

    /// Writes an event about an alert.
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
        let story = narrate::tell(alert, suspect, peer_id, tap.unwrap_or("unknown"));
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
            gtpu: alert.tunnel.map(|tunnel| Gtpu { teid: tunnel.teid, qfi: tunnel.qfi }),
            observed: story.observed,
            expected: story.expected,
            packets: alert.packets,
            bytes: alert.bytes,
            first: eve::timestamp(alert.first),
            last: eve::timestamp(alert.last),
            sensor_loss_ratio: alert.loss_ratio,
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
        if let Some(printer) = &mut self.printer {
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
        event.write(&mut self.lines);
        self.events += 1;
        if saying.update == 0 {
            let key = (alert.detection, severity);
            *self.progress.tally.alerts.entry(key).or_default() += 1;
        }
    }

    fn flow(&mut self, flow: &Flow, store: &Store) {
        let rulebook = self.rulebook(flow.policy, store);
        let entry = |number: Option<EquipmentId>| {
            number.and_then(|number| rulebook.as_ref()?.entry(number))
        };
        let suspect = |number: EquipmentId| match entry(Some(number)) {
            Some(entry) => Suspect::Entry(entry),
            None => Suspect::Number { id: unnamed(number) },
        };
        // The first side is the equipment of the event, unless only the second is any.
        let (own, other, other_ip) = match flow.source {
            Some(_) => (flow.source, flow.destination, flow.tuple.destination),
            None => (flow.destination, None, flow.tuple.source),
        };
        let initiator = match (flow.initiator_known, flow.source) {
            (false, _) => Initiator::Unknown,
            (true, Some(_)) => Initiator::Equipment,
            (true, None) => Initiator::Peer,
        };
        let tap = self.taps.taps.get(usize::from(flow.tap)).map(|tap| tap.name.as_str());
        let flags = |flags: u8| (flow.tuple.protocol == 6).then(|| format!("{flags:02x}"));
        let event = Event {
            timestamp: eve::timestamp(flow.at),
            flow_id: Some(eve::identity(flow.flow_id)),
            in_iface: tap,
            event_type: "flow",
            ends: Ends::of(&flow.tuple),
            alert: None,
            flow: Some(FlowCounts {
                pkts_toserver: flow.to_server.packets,
                pkts_toclient: flow.to_client.packets,
                bytes_toserver: flow.to_server.bytes,
                bytes_toclient: flow.to_client.bytes,
                start: eve::timestamp(flow.first),
                end: eve::timestamp(flow.last),
                age: flow.last.since(flow.first).0 / 1_000_000_000,
                state: match (flow.end, flow.to_client.packets) {
                    (FlowEnd::Closed, _) => "closed",
                    (_, 0) => "new",
                    _ => "established",
                },
                reason: flow.end,
                tcp_flags_ts: flags(flow.to_server.tcp_flags),
                tcp_flags_tc: flags(flow.to_client.tcp_flags),
            }),
            weir: Body::Flow(Box::new(FlowBody {
                site: &self.site,
                tap,
                link: flow.link.name(),
                allowed: flow.allowed,
                initiator,
                equipment: own.map(suspect),
                peer: Peer {
                    ip: other_ip,
                    equipment: entry(other).map(|entry| entry.id.as_str()),
                    name: flow.name.as_deref(),
                },
                policy: policy_name(flow.policy, rulebook.as_ref().map(|rulebook| rulebook.sha256)),
            })),
        };
        event.write(&mut self.lines);
        self.events += 1;
    }

    /// A policy came into force. The same one again is no news.
    fn policy(&mut self, swap: &PolicySwap) {
        self.progress.policy = swap.version;
        let before = self.progress.policies.insert(swap.version, swap.sha256);
        if self.progress.policies.len() > VERSIONS {
            self.progress.policies.pop_first();
        }
        if before == Some(swap.sha256) {
            return;
        }
        let site = self.site.clone();
        // The first policy comes before the first packet. In a replay that is the epoch:
        // the time of day would make each replay's events differ.
        let is_early = swap.at == Nanos(0) && !self.taps.replay;
        self.write(&Event::bare(
            if is_early { now() } else { swap.at },
            "policy",
            Body::Policy(PolicyBody {
                site: &site,
                state: "in_force",
                policy: policy_name(swap.version, Some(swap.sha256)),
                equipment: Some(Change { before: swap.equipment.0, now: swap.equipment.1 }),
                rules: Some(Change { before: swap.rules.0, now: swap.rules.1 }),
                reason: None,
            }),
        ));
    }

    /// Writes an event about a change of health.
    pub fn health(
        &mut self,
        time: Nanos,
        subject: &'static str,
        state: &'static str,
        observed: String,
        since: Option<Nanos>,
        lost: Option<u64>,
    ) {
        let site = self.site.clone();
        let since = since.map(eve::timestamp);
        let body = HealthBody { site: &site, subject, state, observed, since, lost };
        self.write(&Event::bare(time, "health", Body::Health(body)));
    }

    /// Writes an event about a policy that did not come into force.
    pub fn refused(&mut self, time: Nanos, reason: &str) {
        let site = self.site.clone();
        let body = PolicyBody {
            site: &site,
            state: "refused",
            policy: None,
            equipment: None,
            rules: None,
            reason: Some(reason),
        };
        self.write(&Event::bare(time, "policy", Body::Policy(body)));
    }

    /// Writes the counters.
    pub fn stats(&mut self, time: Nanos, totals: &Totals) {
        let site = self.site.clone();
        let body = Body::Stats(StatsBody { site: &site, totals });
        self.write(&Event::bare(time, "stats", body));
    }

    /// The alerts said, by detection id.
    pub fn alerts_by_id(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let mut by_id = std::collections::BTreeMap::new();
        for ((detection, _), count) in &self.progress.tally.alerts {
            if let Some(known) = CATALOGUE.get(usize::from(*detection)) {
                *by_id.entry(known.id).or_default() += count;
            }
        }
        by_id
    }
}

fn unnamed(number: EquipmentId) -> String {
    format!("#{}", number.0)
}

fn policy_name(version: u64, sha256: Option<[u8; 32]>) -> Option<PolicyName> {
    (version != 0).then(|| PolicyName { version, sha256: sha256.map(|hash| hex(&hash)) })
}
