//! Proof of conservation: what came to a UPF must leave it, once, where its session leads.
//!
//! Workers choose one of 256 users' packets by a secret, the same ones at every tap, and tell of
//! each by its digests ([`Sample`]). The judge puts together where each was seen ([`seen`]), asks
//! the sessions whether that is a part of its way ([`path`]), and holds what each UPF let out
//! against what came to it ([`ledger`]). A packet that is nowhere on its way waits until N4, and
//! its other sightings, can have come.

mod digest;
mod ledger;
mod path;
mod sample;
mod seen;
#[cfg(test)]
pub(crate) mod test_samples;
mod users_packet;

use std::collections::VecDeque;

pub(crate) use digest::Digester;
pub use digest::Digests;
pub(crate) use ledger::{Flow, Window};
pub use sample::{Carrier, Sample, Samples};
pub(crate) use users_packet::UsersPacket;

use crate::Nanos;
use crate::contract::words::{BalanceStatus, JudgeWords, SampleFate};
use crate::detect::cns_balance::{Balances, Outcome};
use crate::detect::cns_dup::{Copies, Watched};
use crate::report::Report;
use crate::rules::{EquipmentId, Link, Party, Roles, Rules};
use crate::signalling::{Interception, Owner, Signalling};
use crate::time::REORDER_TOLERANCE;
use ledger::Ledger;
use path::{Path, path};
use seen::{Seen, Table, WINDOW};

/// How long a packet off its way waits for N4, and for the sighting that it is a copy of: longer
/// than a handover takes.
const HOLD: Nanos = Nanos::from_secs(10);
/// Packets that wait at a time.
const WAITING: usize = 1 << 16;

/// What proof found.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// Copies off their way.
    Copied {
        sample: Sample,
        copies: Copies,
        owner: Option<Owner>,
        /// The UPF that the packet itself passed.
        passed: Option<EquipmentId>,
        /// Whether they go to a place of interception.
        is_secret: bool,
    },
    /// A UPF let out what had not come to it.
    TooMuch { upf: EquipmentId, is_up: bool, flow: Flow, windows: u32, loss: f64 },
}

/// A packet off its way, until it is judged.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    due: Nanos,
    sample: Sample,
    /// What is known of the packet that it is a copy of.
    original: Option<Original>,
    interception: Interception,
}

/// The packet that another is a copy of.
#[derive(Clone, Copy, Debug)]
struct Original {
    passed: Option<EquipmentId>,
    /// Its user's session, which a copy with other ends does not tell.
    owner: Option<Owner>,
    has_left: bool,
}

impl Original {
    fn of(seen: &Seen, signalling: &Signalling) -> Self {
        let passed = seen.visits.first().map(|visit| visit.upf);
        let ends = (seen.user.source.into(), seen.user.destination.into());
        let owner = signalling.owner(ends, seen.first);
        Self { passed, owner, has_left: seen.has_left() }
    }

    /// What both know.
    fn or(self, other: Option<Self>) -> Self {
        Self {
            passed: self.passed.or(other.and_then(|other| other.passed)),
            owner: self.owner.or(other.and_then(|other| other.owner)),
            has_left: self.has_left || other.is_some_and(|other| other.has_left),
        }
    }
}

/// What samples are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) signalling: &'a Signalling,
    pub(crate) rules: &'a Rules,
    /// Lost ÷ received of late.
    pub(crate) loss: f64,
}

/// The state of proof.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    seen: Table,
    waiting: VecDeque<Waiting>,
    watched: Watched,
    ledger: Ledger,
    balances: Balances,
    findings: Vec<Finding>,
    fates: [u64; SampleFate::ALL.len()],
    statuses: [u64; BalanceStatus::ALL.len()],
    /// Samples that found no room: in a report, or while they waited.
    dropped: u64,
    /// The share of frames that is lost, since when each.
    losses: VecDeque<(Nanos, f64)>,
    now: Nanos,
}

impl Proof {
    /// Takes what all workers chose in a slice that ends at `now`.
    pub(crate) fn slice(&mut self, reports: &[Report], now: Nanos, ground: &Ground<'_>) {
        if now.plus(REORDER_TOLERANCE) < self.now {
            // What was seen by another clock can't be held against this one.
            self.forget();
        }
        self.now = now;
        self.note_loss(ground.loss);
        self.dropped += reports.iter().map(|report| report.samples.dropped()).sum::<u64>();
        let samples = reports.iter().flat_map(|report| report.samples.rows());
        let mut samples: Vec<Sample> = samples.copied().collect();
        samples.sort_unstable();
        for sample in &samples {
            self.pass(sample.time.min(now), ground);
            self.take(sample, ground);
        }
        self.pass(now, ground);
    }

    /// Notes the share that is lost now, and forgets what no packet can be told of any more.
    fn note_loss(&mut self, loss: f64) {
        let now = self.now;
        let is_over = |(until, _): &(Nanos, f64)| until.plus(WINDOW).plus(WINDOW) < now;
        while self.losses.get(1).is_some_and(is_over) {
            self.losses.pop_front();
        }
        if self.losses.back().is_none_or(|(_, before)| *before != loss) {
            self.losses.push_back((now, loss));
        }
    }

    /// The largest share that was lost from then on: what is lost is known some seconds later.
    fn loss_since(&self, time: Nanos) -> f64 {
        let mut worst: f64 = 0.0;
        for (since, loss) in self.losses.iter().rev() {
            worst = worst.max(*loss);
            if *since <= time {
                break;
            }
        }
        worst
    }

    /// Lets time run on until everything is judged.
    pub(crate) fn finish(&mut self, ground: &Ground<'_>) {
        self.pass(Nanos::MAX, ground);
    }

    /// Takes what was found.
    pub(crate) fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Forgets what was seen: another inventory numbers otherwise, or another clock counts.
    pub(crate) fn forget(&mut self) {
        self.seen.forget();
        self.waiting.clear();
        self.watched.forget();
        self.ledger.forget();
        self.balances.forget();
        self.losses.clear();
    }

    /// Rows given up: samples, digests, ends of copies and windows.
    pub(crate) fn evictions(&self) -> [u64; 3] {
        [self.dropped, self.seen.evictions(), self.watched.evictions() + self.ledger.evictions()]
    }

    /// Writes the counters down.
    pub(crate) fn count(&self, words: &mut JudgeWords) {
        words.proof_digests = self.seen.len() as u64;
        words.sample_fates = self.fates;
        words.balance_statuses = self.statuses;
    }

    fn fate(&mut self, fate: SampleFate) {
        self.fates[fate as usize] += 1;
    }

    fn take(&mut self, sample: &Sample, ground: &Ground<'_>) {
        if self.seen.is_doubled(sample) {
            return self.fate(SampleFate::Doubled);
        }
        let owner = ground.signalling.owner(sample.user, sample.time);
        if self.settle_on_path(sample, owner, ground) {
            return;
        }
        if self.waiting.len() >= WAITING {
            // Judged before its time rather than not at all.
            self.dropped += 1;
            if let Some(first) = self.waiting.pop_front() {
                self.settle(&first, ground);
            }
        }
        let original = self.original(sample, ground);
        let interception = ground.signalling.interception(sample.user, sample.to, sample.time);
        let due = self.now.max(sample.time).plus(HOLD);
        self.waiting.push_back(Waiting { due, sample: *sample, original, interception });
    }

    /// Notes a packet that is on its way; no if it is not.
    fn settle_on_path(
        &mut self,
        sample: &Sample,
        owner: Option<Owner>,
        ground: &Ground<'_>,
    ) -> bool {
        let Path::Hop(hop) = path(sample, owner, ground.signalling, ground.rules) else {
            // Its user may be behind a NAT that nobody declared.
            let is_bare = sample.carrier == Carrier::Bare && sample.link == Link::N6;
            let is_masked = is_bare && self.seen.mask(sample);
            if is_masked {
                self.fate(SampleFate::OnPath);
            }
            return is_masked;
        };
        self.fate(SampleFate::OnPath);
        if is_upfs_echo(sample, owner, ground) {
            return true;
        }
        if let Some(evicted) = self.seen.note(sample, hop) {
            self.enter(&evicted, ground);
        }
        true
    }

    /// The packet that a sample is a copy of, if one was on its way.
    fn original(&self, sample: &Sample, ground: &Ground<'_>) -> Option<Original> {
        let rewritten = || self.seen.find_rewritten(sample);
        let seen = self.seen.find(sample).or_else(rewritten)?;
        Some(Original::of(seen, ground.signalling))
    }

    /// Judges a packet that was nowhere on its way.
    fn settle(&mut self, waiting: &Waiting, ground: &Ground<'_>) {
        let sample = &waiting.sample;
        let owner = ground.signalling.owner(sample.user, sample.time);
        if self.settle_on_path(sample, owner, ground) {
            return;
        }
        if path(sample, owner, ground.signalling, ground.rules) == Path::Unknown {
            return self.fate(SampleFate::NotCovered);
        }
        let later = self.original(sample, ground);
        let Some(original) = waiting.original.or(later).map(|original| original.or(later)) else {
            return self.fate(SampleFate::Unmatched);
        };
        let is_local = Party::unpack(ground.rules.party(sample.to)) == Party::Mec;
        // What leaves in another way only was led there, and not copied.
        let is_copy = sample.carrier == Carrier::GPdu || original.has_left;
        if !is_copy || is_local && sample.carrier == Carrier::Bare {
            return self.fate(SampleFate::Unmatched);
        }
        let interception = match ground.signalling.interception(sample.user, sample.to, self.now) {
            Interception::None => waiting.interception,
            // An order may have ended meanwhile.
            Interception::Unauthorised if waiting.interception == Interception::Authorised => {
                waiting.interception
            }
            found => found,
        };
        if interception == Interception::Authorised {
            return self.fate(SampleFate::OnPath);
        }
        // Nor is it anybody's to know what a mediation function hands on.
        let is_secret =
            interception == Interception::Unauthorised || ground.rules.is_mediation(sample.from);
        // Open counters tell nothing that an open alert does not.
        self.fate(if is_secret { SampleFate::OnPath } else { SampleFate::Copied });
        if let Some(copies) = self.watched.add(sample, ground.rules.settings()) {
            self.findings.push(Finding::Copied {
                sample: *sample,
                copies,
                owner: owner.or(original.owner),
                passed: original.passed,
                is_secret,
            });
        }
    }

    /// Lets time pass: what waits is judged, and packets whose time is over are entered.
    fn pass(&mut self, now: Nanos, ground: &Ground<'_>) {
        while self.waiting.front().is_some_and(|waiting| waiting.due <= now)
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.settle(&waiting, ground);
        }
        while let Some(seen) = self.seen.due(now) {
            self.enter(&seen, ground);
        }
        let length = ground.rules.settings().balance_window;
        while let Some((number, upf, window)) = self.ledger.due(now, length) {
            self.judge(number, upf, &window, ground);
        }
    }

    fn enter(&mut self, seen: &Seen, ground: &Ground<'_>) {
        let loss = self.loss_since(seen.first);
        self.ledger.enter(seen, ground.rules.settings().balance_window, loss);
    }

    fn judge(&mut self, number: u64, upf: EquipmentId, window: &Window, ground: &Ground<'_>) {
        let settings = ground.rules.settings();
        let outcomes = self.balances.judge(number, upf, window, settings);
        for ((outcome, flow), is_up) in outcomes.into_iter().zip(&window.flows).zip([true, false]) {
            if flow.came + flow.left == 0 {
                continue;
            }
            let status = match outcome {
                _ if !ground.signalling.sees_balance() => BalanceStatus::NotCovered,
                Outcome::NotCovered => BalanceStatus::NotCovered,
                Outcome::Degraded => BalanceStatus::Degraded,
                Outcome::Even | Outcome::TooMuch { .. } => BalanceStatus::Judged,
            };
            self.statuses[status as usize] += 1;
            if let Outcome::TooMuch { windows } = outcome
                && status == BalanceStatus::Judged
            {
                let (flow, loss) = (*flow, window.loss);
                self.findings.push(Finding::TooMuch { upf, is_up, flow, windows, loss });
            }
        }
    }
}

/// Whether a UPF answers its user's echo itself: by an address of its own, or by its gateway's in
/// the users' pool, that is no session's.
fn is_upfs_echo(sample: &Sample, owner: Option<Owner>, ground: &Ground<'_>) -> bool {
    if !sample.is_echo_reply || owner.is_none_or(|owner| owner.is_source) {
        return false;
    }
    match Party::unpack(ground.rules.party(sample.user.0)) {
        Party::Subscriber => true,
        party => party
            .equipment()
            .and_then(|id| ground.rules.equipment(id))
            .is_some_and(|equipment| equipment.roles.any(Roles::UPF)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Link, RuleSet};
    use crate::{Nanos, SignallingSetup};

    fn stray(millis: u64, whole: u64) -> Sample {
        Sample {
            time: Nanos(1_000_000_000_000 + millis * 1_000_000),
            digests: Digests { whole, content: 0 },
            from: weir_wire::Address(1),
            to: weir_wire::Address(2),
            protocol: 6,
            port: 443,
            teid: 0,
            tap: 0,
            link: Link::Oam,
            carrier: Carrier::Bare,
            user: (weir_wire::Address(1), weir_wire::Address(2)),
            ports: (1, 443),
            kind: 6,
            source_port: 1,
            is_fragment: false,
            is_report: false,
            is_echo_reply: false,
            bytes: 100,
            wire_len: 114,
        }
    }

    fn with(run: impl FnOnce(&mut Proof, &Ground<'_>)) {
        let setup = SignallingSetup { tunnels: 64, ..SignallingSetup::default() };
        let signalling = Signalling::new(&setup).unwrap();
        let rules = Rules::compile(RuleSet::default()).unwrap();
        let ground = Ground { signalling: &signalling, rules: &rules, loss: 0.0 };
        run(&mut Proof::default(), &ground);
    }

    #[test]
    fn a_flood_of_strays_is_judged_before_its_time_and_counted() {
        with(|proof, ground| {
            for n in 0..WAITING as u64 + 100 {
                proof.take(&stray(0, n), ground);
            }
            assert_eq!((proof.waiting.len(), proof.evictions()), (WAITING, [100, 0, 0]));
            assert_eq!(proof.fates[SampleFate::Unmatched as usize], 100);
            proof.finish(ground);
            assert_eq!(proof.fates[SampleFate::Unmatched as usize], WAITING as u64 + 100);
            assert!(proof.waiting.is_empty());
        });
    }

    #[test]
    fn a_clock_set_back_begins_anew_and_reordering_does_not() {
        with(|proof, ground| {
            proof.slice(&[], stray(10_000, 0).time, ground);
            proof.take(&stray(9_000, 1), ground);
            proof.slice(&[], stray(9_500, 0).time, ground);
            assert_eq!(proof.waiting.len(), 1);
            proof.slice(&[], stray(1_000, 0).time, ground);
            assert!(proof.waiting.is_empty());
            // What jumps ahead is over at once.
            proof.take(&stray(1_000, 2), ground);
            proof.slice(&[], stray(9_000_000, 0).time, ground);
            assert!(proof.waiting.is_empty());
            assert_eq!(proof.fates[SampleFate::Unmatched as usize], 1);
        });
    }

    /// A window is judged more than a minute after its packets: what was lost then counts, and not
    /// what is lost when it is judged.
    #[test]
    fn a_window_knows_what_was_lost_while_its_packets_passed() {
        let upf = EquipmentId(2);
        let lost_at = |bad: std::ops::Range<u64>| {
            let mut worst = 0.0_f64;
            with(|proof, ground| {
                for second in 0..200 {
                    let loss = if bad.contains(&second) { 0.25 } else { 0.0 };
                    let ground = Ground { loss, ..*ground };
                    proof.slice(&[], stray(second * 1_000, 0).time, &ground);
                    if second == 30 {
                        let hop = path::Hop { left: Some(upf), is_up: true, ..Default::default() };
                        proof.seen.note(&stray(second * 1_000, 7), hop);
                    }
                    worst = proof.ledger.worst().map_or(worst, |loss| worst.max(loss));
                }
                assert!(proof.losses.len() <= 3, "{:?}", proof.losses);
            });
            worst
        };
        assert_eq!(lost_at(35..45), 0.25);
        assert_eq!(lost_at(25..31), 0.25);
        assert_eq!(lost_at(5..20), 0.0);
    }
}
