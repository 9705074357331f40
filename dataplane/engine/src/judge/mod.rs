//! The judge: merges what all workers saw in a slice, keeps the lasting state
//! of flows, and says verdicts.
//!
//! Its order is fixed by packet time and keys alone: first what is due before
//! the slice begins, then names, then flows by (first packet, key), then what
//! was held back for a more specific detection.

mod alerts;
pub(crate) mod bounded;
mod confidential;
mod exhibits;
mod features;
mod findings;
pub mod flow;
mod flow_offences;
mod flow_records;
mod flows;
mod ja4;
mod marks;
mod n4;
mod names;
pub mod offence;
mod proof;
mod questions;
pub(crate) mod quic;
mod raised;
mod shelf;
pub mod spell;
pub(crate) mod ssh;
mod unknown;

use std::sync::Arc;

use weir_wire::Address;

use crate::contract::verdict::{
    Alert, Fact, FlowEnd, Initiator, InputEnd, PolicySwap, Severity, Verdict,
};
use crate::contract::words::{JudgeWords, Table};
use crate::detect::gtp_hdrcov::Echoes;
use crate::detect::inv_unknown::Strangers;
use crate::detect::ops_blind::{N4Sight, Vitals, Watch};
use crate::detect::{INV_UNKNOWN, OPS_BLIND};
use crate::proof::Proof;
use crate::report::{Heard, Report, Seen, Speech};
use crate::rules::{EquipmentId, Link, Roles, Rules};
use crate::series::Evictions;
use crate::signalling::Signalling;
use crate::time::REORDER_TOLERANCE;
use crate::vendor_elements::VendorElements;
use crate::{Nanos, TapId};
use alerts::{Alerts, DAYS_GRACE};
use exhibits::Shelves;
use features::Openings;
use flow::{Flow, Way};
use flows::Flows;
use marks::Marks;
use names::Names;
use questions::Asked;
use raised::Raised;

/// How long a general detection waits for a more specific one, in packet time.
const HOLD: Nanos = Nanos::from_secs(2);

/// Findings that may be held back at a time.
const HELD: usize = 1 << 16;

/// A general detection's finding that waits for a more specific one.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// An unknown address.
    Stranger(Address, TapId, Link),
    /// A flow's offence, on a port where a specific detection may explain it.
    Flow(usize, crate::track::FlowKey),
}

/// The judge's state.
#[derive(Debug)]
pub struct Judge {
    rules: Option<Arc<Rules>>,
    flows: Flows,
    names: Names,
    asked: Asked,
    marks: Marks,
    openings: Openings,
    strangers: Strangers,
    echoes: Echoes,
    alerts: Alerts,
    held: std::collections::VecDeque<(Nanos, Held)>,
    watch: Watch,
    /// What the workers' tables of fragments gave up.
    fragments: Evictions,
    vendors: VendorElements,
    signalling: Signalling,
    proof: Proof,
    words: JudgeWords,
    raised: Raised,
    shelves: Shelves,
    /// When the slice before began, or what this one's reports tell of did, if that is earlier.
    since: Nanos,
    begun: Nanos,
    now: Nanos,
}

impl Judge {
    /// A judge without rules, who watches both directions of these taps, and follows N4.
    pub fn new(two_way: impl IntoIterator<Item = TapId>, signalling: Signalling) -> Self {
        Self {
            rules: None,
            flows: Flows::default(),
            names: Names::default(),
            asked: Asked::default(),
            marks: Marks::default(),
            openings: Openings::default(),
            strangers: Strangers::default(),
            echoes: Echoes::default(),
            alerts: Alerts::default(),
            held: std::collections::VecDeque::new(),
            watch: Watch::new(two_way),
            fragments: Evictions::default(),
            vendors: VendorElements::default(),
            signalling,
            proof: Proof::default(),
            words: JudgeWords::default(),
            raised: Raised::default(),
            shelves: Shelves::default(),
            since: Nanos(0),
            begun: Nanos(0),
            now: Nanos(0),
        }
    }

    /// Sources that workers are to look for on the link to the data network, if they
    /// are others than before.
    pub fn watched_sources(&mut self) -> Option<Arc<[Address]>> {
        self.signalling.watched_sources()
    }

    /// Takes other rules from the slice that begins at `at`, and says so.
    pub fn set_rules(&mut self, rules: Arc<Rules>, at: Nanos, say: &mut impl FnMut(Verdict)) {
        let size = |rules: Option<&Arc<Rules>>| {
            rules.map_or((0, 0), |rules| (rules.installed() as u32, rules.allow_rules() as u32))
        };
        let (before, now) = (size(self.rules.as_ref()), size(Some(&rules)));
        say(Verdict::Policy(PolicySwap {
            at,
            version: rules.version(),
            sha256: rules.sha256(),
            equipment: (before.0, now.0),
            rules: (before.1, now.1),
        }));
        self.say_questions(Nanos::MAX, say);
        self.words.policy_version = rules.version();
        self.signalling.set_rules(rules.clone(), at);
        if self.rules.replace(rules).is_some() {
            self.forget_numbers(at, say);
        }
    }

    /// Ends and forgets what is known by equipment numbers: another inventory
    /// numbers otherwise. Flows look their ends up again when they are next seen.
    fn forget_numbers(&mut self, at: Nanos, say: &mut impl FnMut(Verdict)) {
        self.alerts.end_days_before(u32::MAX, at, &mut |alert| {
            say(Verdict::Alert(Box::new(alert)));
        });
        self.names.forget();
        self.marks.forget();
        self.openings.forget();
        self.strangers.forget();
        self.held.clear();
        self.proof.forget();
        self.shelves.clear();
    }

    /// Counters, as they are published.
    pub fn words(&self) -> &JudgeWords {
        &self.words
    }

    /// Judges one slice, from `begin` to `end`, by the reports of all workers.
    pub fn slice(
        &mut self,
        begin: Nanos,
        end: Nanos,
        reports: &[Report],
        vitals: &Vitals,
        say: &mut impl FnMut(Verdict),
    ) {
        self.raised.clear();
        self.since = since(begin, end, reports).min(std::mem::replace(&mut self.begun, begin));
        // What N4 is owed by now belongs to the days that end by now.
        self.signalling.pass(begin);
        self.accuse_by_n4(say);
        self.run_timers(begin, say);
        // A live clock may be set back, and time goes on from there.
        self.now = if vitals.live { end } else { self.now.max(end) };
        for report in reports {
            self.words.clock_steps += report.clock_steps;
            self.words.unreported += report.dropped;
            self.fragments.trails += report.evictions.trails;
            self.fragments.datagrams += report.evictions.datagrams;
            self.vendors.join(&report.vendors);
        }
        let back = reports.iter().map(|report| report.clock_back).max().unwrap_or_default();
        if back > REORDER_TOLERANCE {
            self.signalling.begin_anew(self.now);
        }
        // What N4 tells explains flows: it comes first.
        self.signalling.hear(reports);
        self.accuse_by_n4(say);
        if let Some(rules) = self.rules.clone() {
            // Numbers of another inventory say nothing here.
            let of_today = |report: &&Report| report.policy == rules.identity();
            self.shelves.take(reports.iter().filter(of_today));
            let heard = self.learn_names(reports.iter().filter(of_today), &rules);
            self.judge_sightings(reports.iter().filter(of_today), &rules, say);
            self.judge_flows(reports, &rules, say);
            self.judge_findings(reports.iter().filter(of_today), &rules, say);
            self.judge_marks(reports.iter().filter(of_today), &rules, say);
            self.judge_openings(&heard, &rules, say);
        }
        self.signalling.settle(reports, self.now);
        self.accuse_by_n4(say);
        self.judge_samples(reports, say);
        let evictions = self.evictions();
        let settings = self.rules.as_ref().map(|rules| rules.settings().clone());
        let n4 = N4Sight { coverage: self.signalling.coverage(), lost: self.signalling.lost() };
        let blind = self.watch.slice(self.now, reports, vitals, evictions, &n4, settings.as_ref());
        for (tap, fact) in blind {
            self.blind(tap, fact, say);
        }
        self.count(evictions);
    }

    /// Lets time run on until every timer has fired, and ends the input.
    pub fn finish(&mut self, end: InputEnd, say: &mut impl FnMut(Verdict)) {
        self.finish_proof(say);
        // Copies that proof has only now made sure of are streams too.
        self.signalling.look_at_streams_last(self.now);
        self.signalling.finish(self.now);
        self.accuse_by_n4(say);
        self.run_timers(Nanos::MAX, say);
        let at = self.now;
        self.alerts.end_days_before(u32::MAX, at, &mut |alert| {
            say(Verdict::Alert(Box::new(alert)));
        });
        self.count(self.evictions());
        say(Verdict::End(end));
    }

    /// Notes that an alert's record can be read at `at`, by the clock that frames are stamped by.
    /// Counts how long a new alert took; to be told in the order in which they were said.
    pub fn readable(&mut self, alert: &Alert, at: Nanos) {
        self.raised.readable(alert.instance, at, &mut self.words);
    }

    fn count(&mut self, evictions: [u64; Table::ALL.len()]) {
        self.words.packet_time = self.now.0;
        self.words.flows = self.flows.len() as u64;
        self.words.flows_seen = self.flows.seen();
        self.words.evictions = evictions;
        self.words.folded = self.alerts.folded();
        let slots = self.words.vendor_elements.iter_mut().zip(&mut self.words.vendor_counts);
        for ((element, count), row) in slots.zip(self.vendors.rows()) {
            (*element, *count) = (row.0.word(), row.1);
        }
        self.words.vendor_other = self.vendors.other();
        self.signalling.count(&mut self.words);
        self.proof.count(&mut self.words);
        self.words.exhibits_lost = self.shelves.lost();
    }

    fn evictions(&self) -> [u64; Table::ALL.len()] {
        let [sessions, tunnels, transactions, parked, nodes] = self.signalling.evictions();
        let [samples, digests, copies] = self.proof.evictions();
        [
            self.flows.evictions(),
            self.strangers.evictions(),
            self.alerts.evictions(),
            self.names.evictions(),
            self.echoes.evictions(),
            self.fragments.trails,
            self.fragments.datagrams,
            self.vendors.other(),
            sessions,
            tunnels,
            transactions,
            parked,
            nodes,
            samples,
            digests,
            copies,
            self.asked.shared(),
            self.marks.evictions(),
            self.openings.evictions(),
        ]
    }

    fn run_timers(&mut self, until: Nanos, say: &mut impl FnMut(Verdict)) {
        self.say_questions(until, say);
        self.release_held(until, say);
        for due in self.flows.due(until) {
            self.say_flow(&due, say);
            if due.end != FlowEnd::Hourly {
                self.openings.end(due.flow.key);
            }
        }
        if until != Nanos::MAX {
            self.alerts.end_days_before(
                Nanos(until.since(DAYS_GRACE).0).day(),
                until,
                &mut |alert| {
                    say(Verdict::Alert(Box::new(alert)));
                },
            );
        }
    }

    /// Learns names and notes questions; gives what else was heard, in order.
    fn learn_names<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a Report>,
        rules: &Rules,
    ) -> Vec<(Seen, Speech, &'a [u8])> {
        let mut heard: Vec<(Seen, Speech, &[u8])> = reports
            .flat_map(|report| {
                let of = |heard: &Heard| (heard.seen, heard.speech, report.message(heard));
                report.heard.iter().map(of)
            })
            .collect();
        heard.sort_unstable();
        for (seen, speech, message) in &heard {
            match speech {
                Speech::DnsAnswer => {
                    self.names.learn_answer(seen.client, message);
                    if !is_resolver(rules, seen.client) {
                        self.note_question(seen, *speech, message);
                    }
                }
                Speech::DnsQuestion => self.note_question(seen, *speech, message),
                Speech::ClientHello(server) => {
                    self.names.learn_hello(seen.client, *server, message);
                }
                Speech::Quic | Speech::Ssh | Speech::Http | Speech::Clear => {}
            }
        }
        heard
    }

    fn hold(&mut self, until: Nanos, held: Held) {
        if self.held.len() >= HELD {
            self.words.unreported += 1;
            return;
        }
        let place = self.held.partition_point(|(time, _)| *time <= until);
        self.held.insert(place, (until, held));
    }

    fn release_held(&mut self, until: Nanos, say: &mut impl FnMut(Verdict)) {
        while let Some((time, held)) = self.held.front().copied() {
            if time > until {
                break;
            }
            self.held.pop_front();
            match held {
                Held::Stranger(address, tap, link) => {
                    self.strangers.set_held(address, false);
                    match self.alerts.names(address) {
                        // Its order may have come meanwhile.
                        _ if self.is_confidential(address) => drop(self.strangers.take(address)),
                        None | Some(INV_UNKNOWN) => {
                            self.accuse_stranger(address, (tap, link), time, say);
                        }
                        Some(_) => drop(self.strangers.take(address)),
                    }
                }
                Held::Flow(row, key) => {
                    let flow = self.flows.row(row).filter(|flow| flow.key == key).cloned();
                    if let Some(flow) = flow
                        && let Some(offence) = flow.offence
                        && !self.is_withheld(&flow, flow.sender(offence.peer))
                        && !self.is_n4s(key, offence)
                    {
                        self.accuse(row, offence, time, say);
                    }
                }
            }
        }
    }

    /// Adds an observation to its alert. A new one was made by what came at `made`, if by a frame
    /// at all: the first that this slice tells of it, since no slice before raised it.
    fn observe(&mut self, alert: Alert, made: Option<Nanos>, say: &mut impl FnMut(Verdict)) {
        let detection = alert.detection;
        let new = self.alerts.observe(alert, &mut |alert| say(Verdict::Alert(Box::new(alert))));
        if let (Some(instance), Some(made)) = (new, made) {
            self.raised.note(detection, instance, made);
        }
    }

    fn blind(&mut self, tap: TapId, fact: Fact, say: &mut impl FnMut(Verdict)) {
        if !self.is_enabled(OPS_BLIND) {
            return;
        }
        let now = self.now;
        let alert = Alert {
            tap: tap.0,
            packets: match fact {
                Fact::Loss { lost, .. } | Fact::N4Dropped { dropped: lost } => lost,
                _ => 0,
            },
            ..self.blank(OPS_BLIND, Severity::Info, fact, now)
        };
        self.observe(alert, None, say);
    }

    fn is_enabled(&self, position: u16) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.settings().enabled[usize::from(position)])
    }

    /// An alert of which only the common part is filled in.
    fn blank(&self, detection: u16, severity: Severity, fact: Fact, time: Nanos) -> Alert {
        let loss_ratio = self.watch.loss_ratio();
        Alert {
            detection,
            instance: 0,
            day: time.day(),
            last_word: false,
            severity,
            superseded_by: None,
            degraded: loss_ratio > 0.0,
            loss_ratio: loss_ratio as f32,
            equipment: None,
            peer_equipment: None,
            peer: None,
            peer_name: None,
            initiator: Initiator::Unknown,
            fact,
            tap: 0,
            link: Link::Mixed,
            direction: None,
            outer: None,
            inner: None,
            tunnel: None,
            flow_id: 0,
            packets: 0,
            bytes: 0,
            first: time,
            last: time,
            at: self.now,
            policy: self.words.policy_version,
            n4: None,
            evidence: None,
        }
    }

    fn name(&self, flow: &Flow, peer: Way) -> Option<String> {
        let equipment = flow.equipment(peer.reverse())?;
        self.names.find(equipment, flow.sender(peer)).map(str::to_owned)
    }
}

/// The beginning of the earliest slice that these reports tell of: live, one that a worker was late
/// with comes among those of a later one.
fn since(begin: Nanos, end: Nanos, reports: &[Report]) -> Nanos {
    let earliest =
        reports.iter().map(|report| Nanos(report.slice.saturating_mul(end.since(begin).0)));
    earliest.fold(begin, Nanos::min)
}

/// Whether what an equipment asks the DNS it asks for others.
fn is_resolver(rules: &Rules, client: EquipmentId) -> bool {
    rules.equipment(client).is_some_and(|equipment| equipment.roles.any(Roles::DNS))
}
