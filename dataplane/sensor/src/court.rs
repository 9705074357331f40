//! The judge's thread: gathers the workers' reports slice by slice, has them
//! judged, and writes the verdicts to the event ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::RecvTimeoutError;
use weir_engine::contract::verdict::{InputEnd, MAX_BYTES, Verdict};
use weir_engine::contract::words::{BLOCK, Words};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::{Judge, Nanos, Report, Signalling, TapId};
use weir_shm::{BlockWriter, RingWriter, Status};

use crate::clock;
use crate::evidence::EvidenceWriter;
use crate::policy::PolicySlot;
use crate::station::{Desk, EXCHANGE, Handed, WatchSlot};

/// The kind of ring records that hold a verdict.
const VERDICT: u16 = 1;
/// How long the judge waits before it looks at the clock.
const NAP: Duration = Duration::from_millis(20);
/// How long a live slice waits for a worker that does not report.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the last verdicts wait for a control that is attached and does not read.
const FAREWELL: Duration = Duration::from_secs(30);
/// A worker without a sign of life for this long hangs.
const HANG: Nanos = Nanos::SECOND;

/// What the other threads let the judge know.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    /// Whether control is attached.
    pub(crate) attached: AtomicBool,
    /// Frames that workers got.
    pub(crate) received: AtomicU64,
    /// Frames that no worker got.
    pub(crate) lost: AtomicU64,
    /// Of those that workers got, what found no room in a ring or was left out in overload.
    pub(crate) left_out: AtomicU64,
    /// Whether every counter but the judge's has its last value.
    pub(crate) settled: AtomicBool,
}

/// What the judge's thread is given.
pub(crate) struct Court {
    pub(crate) desks: Vec<Desk>,
    pub(crate) block: BlockWriter,
    pub(crate) ring: RingWriter,
    pub(crate) evidence: EvidenceWriter,
    pub(crate) status: Status,
    pub(crate) policy: Arc<PolicySlot>,
    pub(crate) notice: Arc<Notice>,
    pub(crate) two_way: Vec<TapId>,
    pub(crate) watch: Arc<WatchSlot>,
    pub(crate) slice: Nanos,
    /// Whether packet time is the system's.
    pub(crate) live: bool,
    /// Whether a full ring makes the judge wait for control.
    pub(crate) patient: bool,
    pub(crate) started: Nanos,
    /// When waiting for room ends, once the input has ended.
    pub(crate) until: Option<Instant>,
}

/// One worker's reports that wait for the others'.
#[derive(Default)]
struct Pile {
    reports: Vec<Report>,
    done: bool,
}

impl Pile {
    /// The slice that is reported whole, or as far as reports are at hand: a
    /// worker that waits for an empty one must not be waited for.
    fn slice(&self) -> Option<u64> {
        self.reports
            .last()
            .filter(|report| !report.partial || self.reports.len() >= EXCHANGE)
            .map(|report| report.slice)
    }
}

impl Court {
    /// Judges until all workers are done; gives back the ring, to be watched
    /// until control has read it.
    pub(crate) fn sit(mut self, signalling: Signalling) -> RingWriter {
        let mut judge = Judge::new(self.two_way.iter().copied(), signalling);
        let mut piles: Vec<Pile> = self.desks.iter().map(|_| Pile::default()).collect();
        let mut epoch = 0;
        let mut words = vec![0; BLOCK];
        let mut begun = Nanos(0);
        let mut last = Nanos(0);
        while let Some(slice) = self.gather(&mut piles) {
            let begin = Nanos(slice.saturating_mul(self.slice.0));
            // A live clock may be set back; a capture's time only grows.
            let begin = if self.live { begin } else { begin.max(begun) };
            begun = begin;
            if let Some(rules) = self.policy.changed(&mut epoch) {
                let mut said = Vec::new();
                judge.set_rules(rules, begin, &mut |verdict| said.push(verdict));
                for verdict in &mut said {
                    self.say(&mut judge, verdict);
                }
            }
            let mut reports = Vec::with_capacity(piles.len());
            let mut owners = Vec::with_capacity(piles.len());
            for (number, pile) in piles.iter_mut().enumerate() {
                if pile.slice().is_some_and(|of| of <= slice || self.live) {
                    owners.extend(pile.reports.iter().map(|_| number));
                    reports.append(&mut pile.reports);
                }
            }
            last = reports.iter().map(|report| report.latest).fold(last, Nanos::max);
            let vitals = self.vitals();
            let mut said = Vec::new();
            judge.slice(begin, begin.plus(self.slice), &reports, &vitals, &mut |verdict| {
                said.push(verdict);
            });
            for verdict in &mut said {
                let is_readable = self.say(&mut judge, verdict);
                if self.live
                    && is_readable
                    && let Verdict::Alert(alert) = verdict
                {
                    judge.readable(alert, clock::now());
                }
            }
            if let Some(sources) = judge.watched_sources() {
                self.watch.put(sources);
            }
            for (number, report) in owners.into_iter().zip(reports) {
                if !report.partial {
                    let _ = self.desks[number].judged.try_send(());
                }
                let _ = self.desks[number].empties.try_send(Box::new(report));
            }
            judge.words().store(&mut words);
            self.block.publish(&words);
        }
        // Whoever reads the end reads the last counts as well.
        while !self.notice.settled.load(Ordering::Acquire) {
            self.status.heartbeat(clock::now().0);
            std::thread::sleep(Duration::from_millis(1));
        }
        let end = InputEnd { last };
        let mut said = Vec::new();
        judge.finish(end, &mut |verdict| said.push(verdict));
        // The last word comes after the last count.
        judge.words().store(&mut words);
        self.block.publish(&words);
        // Nobody feeds the workers any more: the last verdicts wait for room.
        self.patient = true;
        self.until = Some(Instant::now() + FAREWELL);
        for verdict in &mut said {
            self.say(&mut judge, verdict);
        }
        self.ring
    }

    /// Waits until every worker that is not done has reported a slice whole, and
    /// gives the smallest; live, a worker that hangs is not waited for.
    fn gather(&mut self, piles: &mut [Pile]) -> Option<u64> {
        let began = Instant::now();
        loop {
            self.beat();
            for (desk, pile) in self.desks.iter().zip(piles.iter_mut()) {
                while pile.slice().is_none() && !pile.done {
                    match desk.handed.recv_timeout(NAP) {
                        Ok(Handed::Report(report)) => pile.reports.push(*report),
                        Ok(Handed::Done) | Err(RecvTimeoutError::Disconnected) => pile.done = true,
                        Err(RecvTimeoutError::Timeout) => break,
                    }
                }
            }
            // Who waits for an empty report must not wait for others' full ones.
            let ready = piles.iter().all(|pile| pile.done || pile.slice().is_some())
                || piles.iter().any(|pile| pile.reports.len() >= EXCHANGE);
            let smallest = piles.iter().filter_map(Pile::slice).min();
            match smallest {
                Some(slice) if ready || (self.live && began.elapsed() > PATIENCE) => {
                    return Some(slice);
                }
                None if ready => return None,
                _ => {}
            }
        }
    }

    /// A sign of life, as long as every worker gives one.
    fn beat(&self) {
        let now = clock::now();
        let hangs =
            |desk: &Desk| self.live && now.since(Nanos(desk.alive.load(Ordering::Relaxed))) > HANG;
        if !self.desks.iter().any(hangs) {
            self.status.heartbeat(now.0);
        }
    }

    fn vitals(&self) -> Vitals {
        let seen = Nanos(self.status.control_heartbeat()).max(self.started);
        let Notice { received, lost, left_out, .. } = &*self.notice;
        let [received, lost, left_out] =
            [received, lost, left_out].map(|count| count.load(Ordering::Relaxed));
        Vitals {
            received: received + lost,
            lost: lost + left_out,
            control_away: clock::now().since(seen),
            live: self.live,
        }
    }

    /// Writes a verdict, behind the frames that belong to it. Tells whether it can be read.
    fn say(&mut self, judge: &mut Judge, verdict: &mut Verdict) -> bool {
        let Self { evidence, ring, status, notice, patient, until, .. } = self;
        // A replay at full speed waits for room in a ring while control is attached, and so do, for
        // a while, the last verdicts of any input; otherwise a full ring drops, and counts it.
        let waits = || {
            let waits = *patient
                && notice.attached.load(Ordering::Relaxed)
                && until.is_none_or(|until| Instant::now() < until);
            if waits {
                status.heartbeat(clock::now().0);
                std::thread::sleep(Duration::from_micros(200));
            }
            waits
        };
        match verdict {
            Verdict::Alert(alert) => {
                alert.evidence = evidence.write(&waits, |show| judge.exhibits(alert, show));
            }
            Verdict::Activity(activity) => {
                activity.evidence =
                    evidence.write(&waits, |show| judge.first_frames(activity, show));
            }
            _ => {}
        }
        let mut slot = [0; MAX_BYTES];
        let Some(bytes) = verdict.encode(&mut slot) else {
            evidence.told(false);
            return false;
        };
        while !ring.has_room() && waits() {}
        // The ring counts what it drops.
        let is_readable = ring.push(0, VERDICT, bytes).is_ok();
        evidence.told(is_readable);
        is_readable
    }
}
