//! From verdicts to event lines: the state that one record changes, and what is said about it.

mod alert;
mod evidence;
mod memory;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use weir_analytics::Analytics;
use weir_engine::Nanos;
use weir_engine::contract::exhibit::Kept;
use weir_engine::contract::greeting::Greeting;
use weir_engine::contract::session::SessionRecord;
use weir_engine::contract::verdict::{Flow, FlowEnd, Initiator, PolicySwap, Verdict};
use weir_engine::detect::CATALOGUE;
use weir_engine::rules::EquipmentId;

use crate::alerts::{Alerts, is_restricted};
use crate::cases::Cases;
use crate::counts::Totals;
use crate::eve::{
    self, Body, Change, Ends, Event, FlowBody, FlowCounts, HealthBody, Peer, PolicyBody,
    PolicyName, SessionBody, StatsBody, Suspect,
};
use crate::evidence::{Cabinet, Recent};
use crate::live::now;
use crate::news::News;
use crate::print::Printer;
use crate::progress::Progress;
use crate::rulebook::{self, hex};
use crate::sinks::{Feed, Flows, Sinks};
use crate::site::Site;
use crate::store::{Store, StoreError};

/// Rulebooks that are held parsed; more are read from the store again.
const RULEBOOKS: usize = 8;
/// What the journal keeps: what Weir found and what became of it. Flows, sessions and counters are
/// many, and nobody's decision; deeds are in it before they are done.
const JOURNALED: [&str; 3] = ["alert", "health", "policy"];
/// Frames that are remembered of equipment and a network.
const OF_A_PAIR: usize = 16;
/// Frames that wait for their alert to be told of.
const OF_AN_ALERT: usize = 64;
/// Versions of one sensor's life whose hashes are kept: the newest.
const VERSIONS: usize = 64;

/// Lines that are not in their event file yet, or not in the journal.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: Vec<u8>,
    /// Lines that are not in the event file, and where the first of them begins.
    unfiled: u64,
    filed: usize,
    /// Those of all lines that the journal keeps.
    kept: Vec<Range<usize>>,
    /// Who else hears of them.
    feed: Feed,
}

impl Outbox {
    fn put(&mut self, event: &Event<'_>) {
        let begin = self.lines.len();
        event.write(&mut self.lines);
        self.took(event, begin);
    }

    /// The same of an event that is written already.
    fn put_line(&mut self, event: &Event<'_>, line: &[u8]) {
        let begin = self.lines.len();
        self.lines.extend_from_slice(line);
        self.took(event, begin);
    }

    fn took(&mut self, event: &Event<'_>, begin: usize) {
        self.unfiled += 1;
        self.feed.event(event, &self.lines[begin..]);
        if JOURNALED.contains(&event.event_type) {
            self.kept.push(begin..self.lines.len());
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is to go to the event file.
    pub fn unfiled(&self) -> &[u8] {
        &self.lines[self.filed..]
    }

    /// What was to go to the event file is there; answers what the journal keeps of it.
    pub fn file(&mut self) -> impl Iterator<Item = &[u8]> {
        let before = std::mem::replace(&mut self.filed, self.lines.len());
        self.unfiled = 0;
        let since = self.kept.iter().filter(move |range| range.start >= before);
        since.map(|range| &self.lines[range.clone()])
    }

    /// How many lines are not in the event file, and how many the journal keeps of all.
    pub fn counts(&self) -> (u64, u64) {
        (self.unfiled, self.kept.len() as u64)
    }

    /// Lets everything go.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.kept.clear();
        (self.unfiled, self.filed) = (0, 0);
    }
}

/// The state that records change, and the lines that are not in the event file yet.
pub struct Recorder {
    /// Alerts.
    pub alerts: Alerts,
    /// What the detections with a long memory remember.
    pub analytics: Analytics,
    /// What becomes of alerts that were said.
    pub cases: Cases,
    /// Who talked to whom, and the sessions of subscribers.
    pub ledger: Site,
    /// How far the records are read, and counters.
    pub progress: Progress,
    /// Events for everybody.
    pub open: Outbox,
    /// Events for a named role.
    pub restricted: Outbox,
    /// Whether somebody asked that these go apart even in a replay.
    guarded: bool,
    site: String,
    taps: Arc<Greeting>,
    rulebooks: HashMap<[u8; 32], rulebook::Shared>,
    /// Versions that came into force before this process could see it, by the store's word.
    inferred: HashMap<u64, Option<rulebook::Shared>>,
    printer: Option<Printer>,
    flows: Flows,
    news: Arc<News>,
    cabinet: Option<Cabinet>,
    /// The frames of the verdict that is taken in.
    frames: Vec<Kept>,
    /// The latest frames of equipment and a network.
    recent: Recent,
    /// Frames of alerts that are not told of yet.
    aside: Recent,
    /// Whether it was said that evidence can't be written.
    complained: bool,
}

impl Recorder {
    /// Goes on where what was stored stands.
    pub fn new(
        (progress, alerts, analytics, cases): (Progress, Alerts, Analytics, Cases),
        ledger: Site,
        site: String,
        guarded: bool,
        printer: Option<Printer>,
    ) -> Self {
        let nobody = Greeting {
            version: String::new(),
            site: site.clone(),
            replay: false,
            taps: Vec::new(),
            ports: Vec::new(),
            lanes: Vec::new(),
            workers: 0,
            receivers: 0,
            policy: None,
        };
        Self {
            alerts,
            analytics,
            cases,
            ledger,
            progress,
            open: Outbox::default(),
            restricted: Outbox::default(),
            guarded,
            site,
            taps: Arc::new(nobody),
            rulebooks: HashMap::new(),
            inferred: HashMap::new(),
            printer,
            flows: Flows::default(),
            news: Arc::default(),
            cabinet: None,
            frames: Vec::new(),
            recent: Recent::of(OF_A_PAIR),
            aside: Recent::of(OF_AN_ALERT),
            complained: false,
        }
    }

    /// Sends what is said from now on to these sinks, too.
    pub fn feed(&mut self, sinks: &Sinks) {
        self.open.feed = sinks.open();
        self.restricted.feed = sinks.restricted();
        self.flows = sinks.flows();
    }

    /// Notes there what is stored from now on.
    pub fn note_in(&mut self, news: Arc<News>) {
        self.news = news;
    }

    /// Takes the names of taps and site from a sensor.
    pub fn greet(&mut self, greeting: &Arc<Greeting>) {
        self.site.clone_from(&greeting.site);
        self.taps = Arc::clone(greeting);
        self.progress.replay = greeting.replay;
    }

    /// Whether restricted events go apart. Who replays a capture owns it and sees all, unless
    /// they name a place for such events.
    fn is_apart(&self) -> bool {
        self.guarded || !self.progress.replay
    }

    /// Whether what is to be stored changed since it was.
    pub fn has_changed(&self) -> bool {
        self.alerts.has_changed()
            || self.analytics.has_changed()
            || self.cases.has_changed()
            || self.ledger.has_changed()
    }

    /// Stores what changed, all or nothing.
    ///
    /// # Errors
    /// What SQLite says; nothing is stored then.
    pub fn commit(&mut self, store: &mut Store) -> Result<(), StoreError> {
        self.progress.waiting = self.aside.frames();
        let changed = (&self.alerts, &self.analytics, &self.cases, &self.ledger);
        store.commit(&self.progress, changed)?;
        let filings = self.cases.filings().iter();
        self.news.stored(filings.map(|filing| (filing.id, filing.restricted)));
        self.alerts.stored();
        self.analytics.stored();
        self.cases.stored();
        self.ledger.stored();
        Ok(())
    }

    /// Another sensor took over.
    pub fn restarted(&mut self) {
        self.alerts.restarted();
        self.analytics.restarted();
        self.ledger.restarted();
        self.progress.latest = Nanos(0);
    }

    /// Whether nothing waits to be written.
    pub fn is_written(&self) -> bool {
        self.open.is_empty() && self.restricted.is_empty()
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
            Verdict::Activity(activity) => Some(activity.last),
            Verdict::Questions(asked) => Some(asked.last),
            Verdict::Features(features) => Some(features.at),
            Verdict::Streams(streams) => Some(streams.until),
            _ => None,
        }
    }

    /// Takes a verdict in. The end of the input closes nothing yet.
    pub fn take(&mut self, verdict: Verdict, store: &Store) {
        match verdict {
            Verdict::Alert(alert) => {
                self.pass(alert.at);
                self.alert(*alert, store);
            }
            Verdict::Flow(flow) => self.flow(&flow, store),
            Verdict::Session(record) => self.session(&record, store),
            Verdict::Activity(activity) => self.activity(&activity, store),
            Verdict::Questions(asked) => self.questions(&asked, store),
            Verdict::Features(features) => self.features(&features, store),
            Verdict::Streams(streams) => self.streams(&streams, store),
            Verdict::Policy(swap) => self.policy(&swap, store),
            Verdict::End(_) => {}
        }
        self.frames.clear();
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
        self.open.put(&event);
        self.flows.flow(flow, tap);
        let ids = ids(rulebook.as_deref(), [flow.source, flow.destination]);
        self.ledger.flow(flow, ids, rulebook.as_deref(), store);
    }

    /// A session was agreed, or has ended.
    fn session(&mut self, record: &SessionRecord, store: &Store) {
        let rulebook = self.rulebook(record.policy, store);
        let policy = policy_name(record.policy, rulebook.map(|rulebook| rulebook.sha256));
        let body = SessionBody::of(record, &self.site, policy);
        self.open.put(&Event::bare(record.at, "session", Body::Session(Box::new(body))));
        self.ledger.session(record);
    }

    /// A policy came into force. The same one again is no news.
    fn policy(&mut self, swap: &PolicySwap, store: &Store) {
        self.progress.policy = swap.version;
        // The sensor's own name for a policy depends on what is authorised, and is told to nobody.
        let public = store.public_hash(&swap.sha256).ok().flatten();
        let name = public.unwrap_or(swap.sha256);
        let before = self.progress.policies.insert(swap.version, name);
        if self.progress.policies.len() > VERSIONS {
            self.progress.policies.pop_first();
        }
        if before == Some(name) {
            return;
        }
        let site = self.site.clone();
        // The first policy comes before the first packet. In a replay that is the epoch:
        // the time of day would make each replay's events differ.
        let is_early = swap.at == Nanos(0) && !self.taps.replay;
        self.open.put(&Event::bare(
            if is_early { now() } else { swap.at },
            "policy",
            Body::Policy(PolicyBody {
                site: &site,
                state: "in_force",
                policy: policy_name(swap.version, public),
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
        self.open.put(&Event::bare(time, "health", Body::Health(body)));
    }

    /// The site's name.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Writes what somebody did; the journal has it already.
    pub fn tell_deed(&mut self, event: &Event<'_>, restricted: bool) {
        let outbox = if restricted { &mut self.restricted } else { &mut self.open };
        outbox.put(event);
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
        self.open.put(&Event::bare(time, "policy", Body::Policy(body)));
    }

    /// Writes the counters.
    pub fn stats(&mut self, time: Nanos, totals: &Totals) {
        let site = self.site.clone();
        // How far it is committed depends on the time of day, which no event of a replay does.
        let head = self.progress.journals[0].head;
        let journal = (!self.progress.replay).then_some(head);
        let body = Body::Stats(StatsBody { site: &site, journal, totals });
        self.open.put(&Event::bare(time, "stats", body));
    }

    /// The alerts said, by detection id; without those that go apart.
    pub fn alerts_by_id(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let mut by_id = std::collections::BTreeMap::new();
        let shown = |detection: u16| !(self.is_apart() && is_restricted(detection));
        let said = self.progress.tally.alerts.iter();
        for ((detection, _), count) in said.filter(|((detection, _), _)| shown(*detection)) {
            if let Some(known) = CATALOGUE.get(usize::from(*detection)) {
                *by_id.entry(known.id).or_default() += count;
            }
        }
        by_id
    }
}

/// The ids of a flow's sides, where they are equipment.
fn ids(
    rulebook: Option<&rulebook::Rulebook>,
    sides: [Option<EquipmentId>; 2],
) -> [Option<String>; 2] {
    let id = |number: EquipmentId| match rulebook.and_then(|book| book.entry(number)) {
        Some(entry) => entry.id.clone(),
        None => unnamed(number),
    };
    sides.map(|side| side.map(id))
}

fn unnamed(number: EquipmentId) -> String {
    format!("#{}", number.0)
}

fn policy_name(version: u64, sha256: Option<[u8; 32]>) -> Option<PolicyName> {
    (version != 0).then(|| PolicyName { version, sha256: sha256.map(|hash| hex(&hash)) })
}
