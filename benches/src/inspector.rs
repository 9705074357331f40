//! A worker behind receive queues, as the sensor's stations drive one: whole polls, overload, the
//! lane's counters, slices as on a live tap. Its judge has its turn on the same core, between bursts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_dpdk::RxQueue;
use weir_engine::account::Lane;
use weir_engine::contract::verdict::Verdict;
use weir_engine::contract::words::{LaneWords, Reason, WorkerWords};
use weir_engine::detect::EGR_NOTALLOWED;
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::frame::BURST;
use weir_engine::rules::{Link, Rules};
use weir_engine::shed::Overload;
use weir_engine::time::LIVE_SLICE;
use weir_engine::worker::Setup;
use weir_engine::{
    Frame, Judge, Nanos, Report, RxMeta, Signalling, SignallingSetup, TapId, Worker,
};

use crate::sessions::{self, Sessions};
use crate::traffic;

/// What an inspector is to be.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Tunnels of the mix that N4 has established.
    pub tunnels: u32,
    /// What each inspected packet costs beyond its inspection: the core is kept busy for so long.
    pub slowness: Duration,
}

/// An alert that equipment exchanges data with a peer that is not allowed.
#[derive(Clone, Copy, Debug)]
pub struct Raised {
    /// From the first packet that it is about to the verdict.
    pub latency: Duration,
    /// What was lost of all, as the alert says.
    pub loss_ratio: f32,
}

/// The worker with all that belongs to it.
pub struct Inspector {
    manner: Manner,
    worker: Worker,
    overload: Overload,
    lane: Lane,
    judge: Judge,
    spare: Option<Report>,
    slice: Option<u64>,
    missed: Arc<AtomicU64>,
    began: Instant,
    raised: Vec<Raised>,
    /// The alerts that were said: their updates are no new ones.
    known: BTreeSet<u64>,
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector").field("manner", &self.manner).finish_non_exhaustive()
    }
}

impl Inspector {
    /// An inspector of one tap with all links on it. `missed` is what its ports tell of frames that
    /// they had no room for.
    ///
    /// # Errors
    /// When there is no memory for the table of tunnels or the worker's ledger.
    pub fn new(manner: Manner, rules: Arc<Rules>, missed: Arc<AtomicU64>) -> std::io::Result<Self> {
        let room = (manner.tunnels as usize).max(1 << 17);
        let setup = SignallingSetup { tunnels: room, ..SignallingSetup::default() };
        let mut signalling = Signalling::new(&setup)?;
        signalling.set_rules(rules.clone(), Nanos(0));
        sessions::establish(&mut signalling, Sessions::of_imix(manner.tunnels), traffic::START);
        drop(signalling.records());
        let setup = Setup {
            links: vec![Link::Mixed],
            hash_key: 0x7765_6972,
            live: true,
            ..Setup::default()
        };
        let mut worker = Worker::new(setup, signalling.enlist()?)?;
        worker.set_rules(Some(rules.clone()));
        let mut judge = Judge::new([], signalling);
        judge.set_rules(rules, Nanos(0), &mut |_| {});
        // A report gets its room for flows when it is first exchanged.
        let spare = worker.close(0, Nanos(0), false, Report::with_room());
        Ok(Self {
            manner,
            worker,
            overload: Overload::new(Nanos(0)),
            lane: Lane::default(),
            judge,
            spare: Some(spare),
            slice: None,
            missed,
            began: Instant::now(),
            raised: Vec::new(),
            known: BTreeSet::new(),
        })
    }

    /// Polls a queue once and inspects what it gave, or in overload what stays of it. `see` is shown
    /// every frame, whether it was inspected, and how many of 256 flows are left out. Gives the
    /// number of frames. In the queue of number 0 are users' frames, which overload is told by.
    #[inline]
    pub fn poll(
        &mut self,
        (number, queue): (usize, &mut RxQueue),
        mut see: impl FnMut(&Frame<'_>, bool, u32),
    ) -> usize {
        let now = traffic::START.plus(Nanos(self.began.elapsed().as_nanos() as u64));
        self.advance(now);
        let burst = queue.poll();
        let count = burst.len();
        let meta = RxMeta { time: now, tap: TapId(0), ..RxMeta::default() };
        let mut frames = [Frame { bytes: &[], meta }; BURST];
        let mut bytes = 0;
        for (slot, received) in frames.iter_mut().zip(&burst) {
            slot.bytes = received.bytes;
            slot.meta.wire_len = received.wire_len;
            bytes += u64::from(received.wire_len);
        }
        if count > 0 {
            let frames = &frames[..count];
            let share = self.overload.share();
            let staying = self.inspect(frames);
            for (place, frame) in frames.iter().enumerate() {
                see(frame, staying >> place & 1 == 1, share);
            }
            let inspected = u64::from(staying.count_ones());
            self.lane.received(count as u64, bytes);
            self.lane.inspected(inspected);
            self.lane.not_inspected(count as u64 - inspected, Reason::Shed);
            spin(self.manner.slowness * staying.count_ones());
        }
        if number == 0 {
            self.overload.polled(number, count, Nanos(self.began.elapsed().as_nanos() as u64));
        }
        count
    }

    fn inspect(&mut self, frames: &[Frame<'_>]) -> u64 {
        if self.overload.share() == 0 {
            let inspected = self.worker.burst(frames);
            return u64::MAX.checked_shr(64 - inspected as u32).unwrap_or(0);
        }
        self.worker.burst_in_overload(frames, &self.overload)
    }

    #[inline]
    fn advance(&mut self, now: Nanos) {
        let slice = now.slice(LIVE_SLICE);
        let is_over = self.slice.is_some_and(|open| open < slice);
        if is_over || self.worker.is_full() {
            self.judge(now, !is_over);
        }
        self.slice = Some(slice);
    }

    /// Has the open slice judged.
    #[cold]
    fn judge(&mut self, now: Nanos, partial: bool) {
        let (Some(slice), Some(empty)) = (self.slice, self.spare.take()) else { return };
        let report = self.worker.close(slice, now, partial, empty);
        let begin = Nanos(slice * LIVE_SLICE.0);
        let missed = self.missed.load(Ordering::Relaxed);
        let words = self.lane.words();
        let vitals = Vitals {
            received: words.received_packets + missed,
            lost: words.not_inspected[Reason::Shed as usize] + missed,
            live: true,
            ..Vitals::default()
        };
        let Self { judge, raised, known, began, .. } = self;
        let reports = std::slice::from_ref(&report);
        judge.slice(begin, begin.plus(LIVE_SLICE), reports, &vitals, &mut |verdict| {
            let Verdict::Alert(alert) = verdict else { return };
            if alert.detection == EGR_NOTALLOWED && known.insert(alert.instance) {
                let said = traffic::START.plus(Nanos(began.elapsed().as_nanos() as u64));
                let latency = Duration::from_nanos(said.since(alert.first).0);
                raised.push(Raised { latency, loss_ratio: alert.loss_ratio });
            }
        });
        self.spare = Some(report);
    }

    /// Has what is open judged: nothing more will come.
    pub fn finish(&mut self) {
        let now = traffic::START.plus(Nanos(self.began.elapsed().as_nanos() as u64));
        self.judge(now, false);
        self.slice = None;
    }

    /// Forgets that there was overload.
    pub fn calm(&mut self) {
        self.overload = Overload::new(Nanos(self.began.elapsed().as_nanos() as u64));
    }

    /// What was received, and what became of it.
    pub fn lane(&self) -> &LaneWords {
        self.lane.words()
    }

    /// The worker's other counters.
    pub fn words(&mut self) -> &WorkerWords {
        self.worker.tally().words()
    }

    /// Whether and how much is left out.
    pub fn overload(&self) -> &Overload {
        &self.overload
    }

    /// The alerts so far.
    pub fn raised(&self) -> &[Raised] {
        &self.raised
    }
}

/// Keeps the core busy.
fn spin(span: Duration) {
    if span > Duration::ZERO {
        let began = Instant::now();
        while began.elapsed() < span {
            std::hint::spin_loop();
        }
    }
}
