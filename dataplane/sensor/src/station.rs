//! A worker's station: its engine, its lanes, what it publishes, and the
//! exchange of reports with the judge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use weir_engine::account::Lane;
use weir_engine::contract::words::{BLOCK, Reason, Words};
use weir_engine::shed::Overload;
#[cfg(feature = "dpdk")]
use weir_engine::time::REORDER_TOLERANCE;
use weir_engine::{Frame, Nanos, Report, Worker};
use weir_shm::BlockWriter;
use weir_wire::Address;

use crate::court::Notice;
use crate::policy::PolicySlot;

/// How often counters are published at least; a reader of a block that changes
/// every burst would never see it at rest.
pub(crate) const PUBLISH: Duration = Duration::from_millis(1);

/// What a worker hands to the judge.
#[derive(Debug)]
pub(crate) enum Handed {
    /// What it saw in a slice, or in a part of it.
    Report(Box<Report>),
    /// It has nothing more to say, ever.
    Done,
}

/// The judge's end of the exchange with one worker.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) handed: Receiver<Handed>,
    pub(crate) empties: Sender<Box<Report>>,
    /// When the worker last showed life, in nanoseconds of the system's clock.
    pub(crate) alive: Arc<AtomicU64>,
    /// Told when a slice of the worker has been judged.
    pub(crate) judged: Sender<()>,
}

/// Sources that workers look for on the link to the data network: written by the
/// judge, read between bursts.
#[derive(Debug, Default)]
pub(crate) struct WatchSlot {
    sources: Mutex<Arc<[Address]>>,
    epoch: AtomicU64,
}

impl WatchSlot {
    pub(crate) fn put(&self, sources: Arc<[Address]>) {
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = sources;
        self.epoch.fetch_add(1, Ordering::Release);
    }

    fn changed(&self, seen: &mut u64) -> Option<Arc<[Address]>> {
        let epoch = self.epoch.load(Ordering::Acquire);
        if epoch == *seen {
            return None;
        }
        *seen = epoch;
        Some(self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A lane with the block that it is published in.
pub(crate) struct Published<T> {
    pub(crate) counters: T,
    pub(crate) block: BlockWriter,
}

/// The worker's end.
pub(crate) struct Station {
    pub(crate) worker: Worker,
    lanes: Vec<Published<Lane>>,
    block: BlockWriter,
    handed: Sender<Handed>,
    empties: Receiver<Box<Report>>,
    alive: Arc<AtomicU64>,
    policy: Arc<PolicySlot>,
    notice: Arc<Notice>,
    /// Frames that `notice` knows of, and those of them that were lost.
    noticed: u64,
    noticed_lost: u64,
    epoch: u64,
    watch: Arc<WatchSlot>,
    watch_epoch: u64,
    /// Told when a slice has been judged; what follows it waits for that, so that the
    /// table of tunnels is as N4 left it.
    judged: Option<Receiver<()>>,
    slice: Option<u64>,
    slice_len: Nanos,
    /// Whether packet time is the system's.
    live: bool,
    latest: Nanos,
    overload: Overload,
    #[cfg(feature = "dpdk")]
    started: Instant,
    published: Instant,
    polled: Instant,
    words: Vec<u64>,
}

/// Reports on the way between a worker and the judge.
pub(crate) const EXCHANGE: usize = 8;

/// What a station is made of.
pub(crate) struct Outfit {
    pub(crate) worker: Worker,
    pub(crate) lanes: Vec<BlockWriter>,
    pub(crate) block: BlockWriter,
    pub(crate) policy: Arc<PolicySlot>,
    pub(crate) notice: Arc<Notice>,
    pub(crate) watch: Arc<WatchSlot>,
    pub(crate) slice: Nanos,
    pub(crate) live: bool,
    /// Whether a slice waits for the judgement of the one before.
    pub(crate) lockstep: bool,
}

impl Station {
    /// A station and the judge's desk for it.
    pub(crate) fn new(outfit: Outfit) -> (Self, Desk) {
        let (give, handed) = crossbeam::channel::bounded(EXCHANGE);
        let (empties, take) = crossbeam::channel::bounded(EXCHANGE + 2);
        for _ in 0..EXCHANGE + 1 {
            let _ = empties.send(Box::new(Report::with_room()));
        }
        let (tell, judged) = crossbeam::channel::bounded(EXCHANGE);
        let alive = Arc::new(AtomicU64::new(crate::clock::now().0));
        let now = Instant::now();
        let station = Self {
            worker: outfit.worker,
            lanes: outfit
                .lanes
                .into_iter()
                .map(|block| Published { counters: Lane::default(), block })
                .collect(),
            block: outfit.block,
            handed: give,
            empties: take,
            alive: alive.clone(),
            policy: outfit.policy,
            notice: outfit.notice,
            noticed: 0,
            noticed_lost: 0,
            epoch: 0,
            watch: outfit.watch,
            watch_epoch: 0,
            judged: outfit.lockstep.then_some(judged),
            slice: None,
            slice_len: outfit.slice,
            live: outfit.live,
            latest: Nanos(0),
            overload: Overload::new(Nanos(0)),
            #[cfg(feature = "dpdk")]
            started: now,
            published: now,
            polled: now,
            words: vec![0; BLOCK],
        };
        (station, Desk { handed, empties, alive, judged: tell })
    }

    /// Takes a policy that came meanwhile. Called between bursts.
    #[inline]
    fn refresh_policy(&mut self) {
        if let Some(rules) = self.policy.changed(&mut self.epoch) {
            // A report speaks for one policy.
            if self.slice.is_some() {
                self.hand_over(true);
            }
            self.worker.set_rules(Some(rules));
        }
        if let Some(sources) = self.watch.changed(&mut self.watch_epoch) {
            self.worker.watch(sources);
        }
    }

    /// Takes a burst of at most 64 frames of one lane through the engine.
    pub(crate) fn burst(&mut self, lane: usize, frames: &[Frame<'_>]) {
        if frames.is_empty() {
            return;
        }
        self.refresh_policy();
        if self.worker.is_full() {
            self.hand_over(true);
        }
        let bytes = frames.iter().map(|frame| u64::from(frame.meta.wire_len)).sum();
        let staying = self.inspect(frames).count_ones();
        let lane = &mut self.lanes[lane].counters;
        lane.received(frames.len() as u64, bytes);
        lane.inspected(u64::from(staying));
        lane.not_inspected(frames.len() as u64 - u64::from(staying), Reason::Shed);
    }

    /// Takes frames through the engine, or in overload what stays of them; gives a bit for each
    /// that went through.
    #[inline]
    fn inspect(&mut self, frames: &[Frame<'_>]) -> u64 {
        if self.overload.share() == 0 {
            let inspected = self.worker.burst(frames);
            return u64::MAX.checked_shr(64 - inspected as u32).unwrap_or(0);
        }
        self.worker.burst_in_overload(frames, &self.overload)
    }

    /// Counts a frame that is not inspected.
    pub(crate) fn skip(&mut self, lane: usize, wire_len: u32, reason: Reason) {
        let lane = &mut self.lanes[lane].counters;
        lane.received(1, u64::from(wire_len));
        lane.not_inspected(1, reason);
    }

    /// Closes a slice that another thread has cut.
    pub(crate) fn close(&mut self, slice: u64, latest: Nanos) {
        self.slice = Some(slice);
        self.latest = latest;
        self.hand_over(false);
        self.slice = None;
    }

    fn hand_over(&mut self, partial: bool) {
        let slice = self.slice.unwrap_or_else(|| self.latest.slice(self.slice_len));
        let Some(empty) = self.empty_report() else { return };
        let report = self.worker.close(slice, self.latest, partial, *empty);
        let _ = self.handed.send(Handed::Report(Box::new(report)));
        if !partial && let Some(judged) = &self.judged {
            let _ = judged.recv();
        }
    }

    /// An empty report to go on with. A replay waits for the judge. A live
    /// worker never does: it gathers on into the open slice, and if its ledger is
    /// full, gives up what the ledger holds, counted.
    fn empty_report(&mut self) -> Option<Box<Report>> {
        if !self.live {
            return self.empties.recv().ok();
        }
        let empty = self.empties.try_recv().ok();
        if empty.is_none() && self.worker.is_out_of_rows() {
            self.worker.discard();
        }
        empty
    }

    /// Notes that a poll brought `frames` frames and began at `began`; publishes
    /// the counters now and then.
    pub(crate) fn polled(&mut self, frames: usize, began: Instant) {
        let now = Instant::now();
        let busy = if frames == 0 { Duration::ZERO } else { now.duration_since(began) };
        let total = now.duration_since(self.polled);
        self.worker.tally().poll(frames, busy.as_nanos() as u64, total.as_nanos() as u64);
        self.polled = now;
        if now.duration_since(self.published) >= PUBLISH {
            self.published = now;
            self.publish();
        }
    }

    /// Publishes all counters, and a sign of life.
    pub(crate) fn publish(&mut self) {
        self.alive.store(crate::clock::now().0, Ordering::Relaxed);
        let (mut received, mut lost) = (0, 0);
        for words in self.lanes.iter().map(|lane| lane.counters.words()) {
            received += words.received_packets;
            lost += [Reason::RingFull, Reason::Shed]
                .map(|reason| words.not_inspected[reason as usize])
                .into_iter()
                .sum::<u64>();
        }
        self.notice.received.fetch_add(received - self.noticed, Ordering::Relaxed);
        self.notice.left_out.fetch_add(lost - self.noticed_lost, Ordering::Relaxed);
        (self.noticed, self.noticed_lost) = (received, lost);
        for lane in &mut self.lanes {
            lane.counters.words().store(&mut self.words);
            lane.block.publish(&self.words);
        }
        let tally = self.worker.tally();
        tally.overload(&self.overload);
        tally.words().store(&mut self.words);
        self.block.publish(&self.words);
    }

    /// Hands over what is left and says that nothing more will come. No frame waits any more, so
    /// a live worker has time for a judge that is behind: what it holds is not lost.
    pub(crate) fn finish(mut self) {
        self.live = false;
        if self.slice.is_some() {
            self.hand_over(false);
        }
        self.worker.finish();
        self.publish();
        let _ = self.handed.send(Handed::Done);
    }
}

/// What a worker does that DPDK feeds.
#[cfg(feature = "dpdk")]
impl Station {
    /// Takes a burst of at most 64 frames through the engine, each of the lane in its place.
    pub(crate) fn burst_of_lanes(&mut self, lanes: &[u16], frames: &[Frame<'_>]) {
        if frames.is_empty() {
            return;
        }
        self.refresh_policy();
        if self.worker.is_full() {
            self.hand_over(true);
        }
        let staying = self.inspect(frames);
        for (place, (lane, frame)) in lanes.iter().zip(frames).enumerate() {
            let lane = &mut self.lanes[usize::from(*lane)].counters;
            let stays = staying >> place & 1;
            lane.received(1, u64::from(frame.meta.wire_len));
            lane.inspected(stays);
            lane.not_inspected(1 - stays, Reason::Shed);
        }
    }

    /// Notes the same poll as one of the worker's queue of that number, in which users' frames are:
    /// one that never comes to its end is overload. Of what was captured nothing is left out.
    #[inline]
    pub(crate) fn polled_queue(&mut self, queue: usize, frames: usize, began: Instant) {
        self.polled(frames, began);
        if self.live {
            let steady = self.polled.duration_since(self.started).as_nanos() as u64;
            self.overload.polled(queue, frames, Nanos(steady));
        }
    }

    /// Counts frames that were to come to this worker and did not.
    pub(crate) fn lost(&mut self, lane: usize, frames: u64, reason: Reason) {
        let lane = &mut self.lanes[lane].counters;
        lane.received(frames, 0);
        lane.not_inspected(frames, reason);
    }

    /// Whether a frame of this time ends the open slice.
    #[inline]
    pub(crate) fn crosses(&self, time: Nanos) -> bool {
        let stepped = self.live && self.latest.since(time) > REORDER_TOLERANCE;
        stepped || self.slice.is_some_and(|open| open < self.latest.max(time).slice(self.slice_len))
    }

    /// Notes a clock that was set back, or, live, ahead. A live clock that was set
    /// back ends the open slice: time goes on from there.
    #[inline]
    pub(crate) fn step(&mut self, time: Nanos) {
        let back = self.latest.since(time);
        if back > REORDER_TOLERANCE {
            self.worker.clock_step(back, Nanos(0));
            if self.live {
                self.hand_over(false);
                self.slice = None;
                self.latest = time;
            }
        }
        if self.live && self.latest > Nanos(0) {
            self.worker.clock_step(Nanos(0), time.since(self.latest));
        }
    }

    /// Moves packet time on, and closes the slice if it has passed its end.
    #[inline]
    pub(crate) fn advance(&mut self, time: Nanos) {
        self.latest = self.latest.max(time);
        let slice = self.latest.slice(self.slice_len);
        match self.slice {
            None => self.slice = Some(slice),
            Some(open) if open < slice => {
                self.hand_over(false);
                self.slice = Some(slice);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::frame::BURST;
    use weir_engine::time::LIVE_SLICE;
    use weir_engine::worker::Setup;
    use weir_engine::{RxMeta, Signalling, SignallingSetup};
    use weir_shm::{Segment, Shape};

    fn live() -> (Station, Desk) {
        let shape = Shape {
            blocks: 2,
            words_per_block: BLOCK,
            ring_slots: 64,
            evidence_slots: 64,
            schema: 1,
        };
        let mut blocks = Segment::create(&shape, 0).unwrap().blocks.into_iter();
        let setup = SignallingSetup { tunnels: 64, ..SignallingSetup::default() };
        let access = Signalling::new(&setup).unwrap().enlist().unwrap();
        Station::new(Outfit {
            worker: Worker::new(Setup::default(), access).unwrap(),
            block: blocks.next().unwrap(),
            lanes: blocks.collect(),
            policy: Arc::default(),
            notice: Arc::default(),
            watch: Arc::default(),
            slice: LIVE_SLICE,
            live: true,
            lockstep: false,
        })
    }

    #[test]
    fn the_last_slice_of_a_live_worker_waits_for_a_judge_that_is_behind() {
        let (mut station, desk) = live();
        // The judge has all the reports.
        while station.empties.try_recv().is_ok() {}
        (station.slice, station.latest) = (Some(7), Nanos::SECOND);
        let finishing = std::thread::spawn(move || station.finish());
        assert!(desk.handed.recv_timeout(Duration::from_millis(20)).is_err());
        desk.empties.send(Box::new(Report::with_room())).unwrap();
        let Handed::Report(last) = desk.handed.recv().unwrap() else { panic!("it is lost") };
        assert_eq!((last.slice, last.latest, last.partial), (7, Nanos::SECOND, false));
        assert!(matches!(desk.handed.recv().unwrap(), Handed::Done));
        finishing.join().unwrap();
    }

    /// A load under which all users' flows are left out.
    fn too_much() -> Overload {
        let mut overload = Overload::new(Nanos(0));
        (0..50_000).for_each(|n| overload.polled(0, BURST, Nanos(n * 1_000)));
        overload
    }

    fn frames(bytes: &[Vec<u8>]) -> Vec<Frame<'_>> {
        let meta = |bytes: &[u8]| RxMeta { wire_len: bytes.len() as u32, ..RxMeta::default() };
        bytes.iter().map(|bytes| Frame { bytes, meta: meta(bytes) }).collect()
    }

    #[test]
    fn what_is_left_out_in_overload_is_received_and_told_to_the_judge() {
        let (mut station, _desk) = live();
        let notice = station.notice.clone();
        let mut bytes = weir_pcaps::imix::frames(50, BURST - 4, 1);
        // What is not read at all stays.
        bytes.extend(vec![vec![0; 60]; 4]);
        let frames = frames(&bytes);
        let words = |station: &Station| station.lanes[0].counters.words().clone();
        station.burst(0, &frames);
        assert_eq!(words(&station).inspected_packets, BURST as u64);

        station.overload = too_much();
        station.burst(0, &frames);
        let said = words(&station);
        let length: usize = bytes.iter().map(Vec::len).sum();
        assert_eq!(said.received_packets, 2 * BURST as u64);
        assert_eq!(said.received_bytes, 2 * length as u64);
        assert_eq!(said.inspected_packets, BURST as u64 + 4);
        assert_eq!(said.not_inspected[Reason::Shed as usize], BURST as u64 - 4);
        station.publish();
        station.publish();
        assert_eq!(notice.received.load(Ordering::Relaxed), 2 * BURST as u64);
        assert_eq!(notice.left_out.load(Ordering::Relaxed), BURST as u64 - 4);
        let worker = station.worker.tally().words();
        assert_eq!((worker.shed_share, worker.overloads), (256, 1));
    }

    #[cfg(feature = "dpdk")]
    #[test]
    fn what_is_left_out_is_counted_in_its_own_lane() {
        let (mut station, _desk) = live();
        let second = Segment::create(
            &Shape {
                blocks: 1,
                words_per_block: BLOCK,
                ring_slots: 64,
                evidence_slots: 64,
                schema: 1,
            },
            0,
        );
        let block = second.unwrap().blocks.into_iter().next().unwrap();
        station.lanes.push(Published { counters: Lane::default(), block });
        station.overload = too_much();
        let mut bytes = weir_pcaps::imix::frames(50, 10, 1);
        bytes.insert(3, vec![0; 60]);
        bytes.insert(7, vec![0; 60]);
        let lanes = [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1];
        station.burst_of_lanes(&lanes, &frames(&bytes));
        station.lost(1, 5, Reason::RingFull);
        let counts = station.lanes.iter().map(|lane| {
            let words = lane.counters.words();
            let shed = words.not_inspected[Reason::Shed as usize];
            (words.received_packets, words.inspected_packets, shed)
        });
        assert_eq!(counts.collect::<Vec<_>>(), [(7, 1, 6), (10, 1, 4)]);
        station.publish();
        assert_eq!(station.notice.left_out.load(Ordering::Relaxed), 15);
    }

    #[cfg(feature = "dpdk")]
    #[test]
    fn a_queue_without_an_end_is_overload_on_a_live_tap_alone() {
        for is_live in [true, false] {
            let (mut station, _desk) = live();
            station.live = is_live;
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(20) {
                station.polled_queue(0, BURST, Instant::now());
            }
            assert_eq!(station.overload.share() > 0, is_live);
        }
    }
}
