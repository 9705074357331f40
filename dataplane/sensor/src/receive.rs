//! A thread that receives for the workers: polls its queues, looks at each frame just enough to
//! find its worker, and hands it over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use weir_dpdk::{BURST, Deal};
use weir_engine::Nanos;
use weir_engine::contract::words::{BLOCK, Reason, ReceiverWords, Words};
use weir_engine::worker::Setup;
use weir_shm::BlockWriter;

use crate::clock::{self, Pace};
use crate::device::Feed;
use crate::idle::Idle;
use crate::relay::{Giving, Order, What, ring_of};
use crate::slicer::{Cut, Slicer};
use crate::station::PUBLISH;
use crate::stop::Stop;
use crate::watch::{RECALIBRATE, STALL, WatchOut, claim};

/// Rounds of polls with frames in them after which workers are shown what is theirs, be it ever so
/// little.
const ROUNDS: u32 = 4;

/// What a receive thread is made of.
pub(crate) struct Receiving {
    /// Its queues, each with the number of its lane.
    pub(crate) feeds: Vec<(u16, Feed)>,
    pub(crate) giving: Giving,
    pub(crate) setup: Setup,
    /// Where time is cut for the workers, if they don't do it themselves.
    pub(crate) slicer: Option<Slicer>,
    pub(crate) block: BlockWriter,
    pub(crate) idle: Idle,
}

/// Receives until a stop or until replays have ended.
pub(crate) fn receive(
    receiving: Receiving,
    mut pace: Pace,
    progress: &AtomicU64,
    stop: &Stop,
) -> WatchOut {
    let Receiving { mut feeds, giving, setup, slicer, block, mut idle } = receiving;
    let is_replay = feeds.iter().all(|(_, feed)| feed.owed.is_some());
    feeds.iter_mut().for_each(|(lane, feed)| feed.queue.set_tag(*lane));
    let mut dealer = Dealer { sent: vec![0; giving.orders.len()], giving, setup, slicer };
    let mut meter = Meter::new(block);
    let (mut spoke, mut calibrated) = (Instant::now(), Instant::now());
    let mut rounds = 0;
    let mut out = WatchOut::default();
    while !stop.is_asked() {
        let mut frames = 0;
        for (lane, feed) in &mut feeds {
            let began = Instant::now();
            let count = dealer.poll(*lane, feed, &mut pace, stop);
            meter.polled(count, began);
            frames += count;
        }
        progress.fetch_add(frames as u64, Ordering::Relaxed);
        rounds += 1;
        if frames == 0 || rounds >= ROUNDS {
            dealer.giving.fan.show();
            rounds = 0;
        }
        if frames > 0 {
            idle.wake();
            spoke = Instant::now();
            continue;
        }
        let owed: u64 = feeds.iter().filter_map(|(_, feed)| feed.owed).sum();
        if is_replay && (owed == 0 || spoke.elapsed() > STALL) {
            out.owed = owed;
            break;
        }
        idle.rest();
        if calibrated.elapsed() > RECALIBRATE {
            calibrated = Instant::now();
            feeds.iter_mut().for_each(|(_, feed)| feed.recalibrate());
        }
    }
    dealer.end();
    meter.publish();
    out
}

/// Deals frames out to the workers.
struct Dealer {
    giving: Giving,
    setup: Setup,
    slicer: Option<Slicer>,
    /// Frames given to each worker, which orders count by.
    sent: Vec<u64>,
}

impl Dealer {
    /// Polls one queue and deals out what it gave; tells how much that was.
    fn poll(&mut self, lane: u16, feed: &mut Feed, pace: &mut Pace, stop: &Stop) -> usize {
        let now = clock::now();
        let Feed { queue, shares, captured, owed, .. } = feed;
        let burst = queue.poll();
        let count = burst.len();
        if count == 0 {
            return 0;
        }
        let workers = self.sent.len();
        let mut deal = self.giving.fan.deal(burst);
        for place in 0..count {
            if *captured {
                wait(&mut deal, place, pace, stop);
            }
            let Some(received) = deal.frame(place) else { continue };
            let time = received.time.map_or(now, Nanos);
            let cut = match &mut self.slicer {
                Some(slicer) => slicer.frame(time, received.bytes.len()),
                None => Cut::default(),
            };
            let dealt = match claim(&received, time, shares) {
                Ok(frame) => self.setup.deal_lean(&frame),
                Err(reason) => {
                    self.giving.losses[0].add(lane, reason);
                    continue;
                }
            };
            if cut != Cut::default() {
                // Whoever waits for the judge must have what the judge waits for.
                deal.show();
                tell(&self.giving.orders, &self.sent, cut);
            }
            let worker = (dealt.number % workers as u64) as usize;
            let ring = ring_of(worker, workers, dealt.is_n4 && !*captured);
            let is_given = deal.give(place, ring, time.0)
                || *captured && give_in_the_end(&mut deal, place, ring, time);
            if is_given {
                self.sent[worker] += 1;
            } else {
                self.giving.losses[worker].add(lane, Reason::RingFull);
            }
        }
        drop(deal);
        if let Some(owed) = owed {
            *owed = owed.saturating_sub(count as u64);
        }
        count
    }

    /// Closes the last slice. The rings end with this.
    fn end(mut self) {
        self.giving.fan.show();
        let close = self.slicer.as_mut().and_then(Slicer::end);
        tell(&self.giving.orders, &self.sent, Cut { back: None, close });
    }
}

/// Tells the workers what time has come to; one of them that the clock was set back, since there
/// is one clock.
#[cold]
fn tell(orders: &[Sender<Order>], sent: &[u64], cut: Cut) {
    for (worker, (to, after)) in orders.iter().zip(sent).enumerate() {
        let step = cut.back.filter(|_| worker == 0).map(|back| What::Step { back });
        let close = cut.close.map(|(slice, latest)| What::Close { slice, latest });
        for what in step.into_iter().chain(close) {
            let _ = to.send(Order { after: *after, what });
        }
    }
}

/// Waits until a captured frame is due; the workers have what came before it meanwhile.
fn wait(deal: &mut Deal<'_>, place: usize, pace: &mut Pace, stop: &Stop) {
    let Some(time) = deal.frame(place).and_then(|frame| frame.time).map(Nanos) else { return };
    if pace.wait(time).is_some() {
        deal.show();
        pace.sleep(time, stop);
    }
}

/// Waits for room: nothing of a capture is dropped. False if the worker is gone, which has failed.
#[cold]
fn give_in_the_end(deal: &mut Deal<'_>, place: usize, ring: usize, time: Nanos) -> bool {
    let mut tries = 0_u32;
    while deal.is_served(ring) {
        if deal.give(place, ring, time.0) {
            return true;
        }
        tries += 1;
        if tries < YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(BREATH);
        }
    }
    false
}

/// How often a full ring is tried before the thread sleeps, and for how long.
const YIELDS: u32 = 64;
const BREATH: Duration = Duration::from_micros(50);

/// What a receive thread publishes.
struct Meter {
    words: ReceiverWords,
    block: BlockWriter,
    polled: Instant,
    published: Instant,
}

impl Meter {
    fn new(block: BlockWriter) -> Self {
        let now = Instant::now();
        Self { words: ReceiverWords::default(), block, polled: now, published: now }
    }

    fn polled(&mut self, frames: usize, began: Instant) {
        let now = Instant::now();
        self.words.bursts[frames.min(BURST)] += 1;
        if frames > 0 {
            self.words.busy_ns += now.duration_since(began).as_nanos() as u64;
        }
        self.words.total_ns += now.duration_since(self.polled).as_nanos() as u64;
        self.polled = now;
        if now.duration_since(self.published) >= PUBLISH {
            self.published = now;
            self.publish();
        }
    }

    fn publish(&mut self) {
        let mut words = [0; BLOCK];
        self.words.store(&mut words);
        self.block.publish(&words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Speed;
    use crate::relay::{self, N4_ROOM, USERS_ROOM};
    use crate::tap::{Share, Shares};
    use weir_dpdk::{Eal, EalConfig, Hugepages, Pool, Port, PortConfig};
    use weir_engine::TapId;
    use weir_pcaps::imix;

    /// A heartbeat between two nodes.
    fn n4(number: u16) -> Vec<u8> {
        let [high, low] = number.to_be_bytes();
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2]);
        frame.extend([0x22, 0x65, 0x22, 0x65, 0, 16, 0, 0]);
        frame.extend([0x20, 1, 0, 4, 0, high, low, 0]);
        frame
    }

    fn write(path: &std::path::Path, frames: &[Vec<u8>]) {
        let mut bytes =
            [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
        for frame in frames {
            let len = frame.len() as u32;
            bytes.extend([1_700_000_000, 0, len, len].map(u32::to_le_bytes).concat());
            bytes.extend(frame);
        }
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn full_rings_lose_users_frames_counted_and_no_n4() {
        const MOST_N4: usize = 900;
        const STRANGE: usize = 10;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flood.pcap");
        let mut frames = imix::frames(64, 8_000, 1);
        for number in 0..MOST_N4 {
            frames.insert(number * 9, n4(number as u16));
        }
        // A broker's tag; the last ones have one of which no tap is.
        let last = frames.len() - STRANGE;
        for (place, frame) in frames.iter_mut().enumerate() {
            frame.splice(12..12, [0x81, 0, 0, if place < last { 5 } else { 9 }]);
        }
        write(&path, &frames);

        let eal = Eal::init(&EalConfig {
            hugepages: Hugepages::Never,
            vdevs: vec![format!("net_pcap0,rx_pcap={}", path.display())],
            memory_mib: 192,
            ..EalConfig::default()
        })
        .unwrap();
        let pool = Pool::new(&eal, "flood", 16_383, Pool::DEFAULT_DATA_ROOM, None).unwrap();
        let (_port, queues) =
            Port::open("net_pcap0", &PortConfig::default(), pool.clone()).unwrap();
        let (giving, mut taking) = relay::ways(&[pool], 1, 2);
        let share = Share { tap: TapId(0), vlans: vec![5], trailer: 0 };
        let mut feed = Feed {
            port: 0,
            queue: queues.into_iter().next().unwrap(),
            shares: Shares(vec![share]),
            // As a live device: nobody waits for room.
            captured: false,
            owed: None,
        };
        let setup = Setup::default();
        let mut dealer = Dealer { sent: vec![0], giving, setup, slicer: None };
        let mut pace = Pace::new(Speed::Max);
        let stop = Stop::default();
        let mut received = 0;
        while received < frames.len() {
            let count = dealer.poll(1, &mut feed, &mut pace, &stop);
            assert!(count > 0, "the device has ended");
            received += count;
        }
        dealer.end();

        let mut lost = [0; Reason::ALL.len()];
        taking[0].noted.note(|lane, count, reason| {
            assert_eq!(lane, 1);
            lost[reason as usize] += count as usize;
        });
        let take = |ring: &mut weir_dpdk::RingReceiver| {
            let mut taken = 0;
            while !ring.is_over() {
                taken += ring.poll().len();
            }
            taken
        };
        let (of_n4, of_users) = (take(&mut taking[0].n4), take(&mut taking[0].users));
        const { assert!(MOST_N4 < N4_ROOM) };
        assert_eq!((of_n4, of_users), (MOST_N4, USERS_ROOM));
        assert_eq!(lost[Reason::Untapped as usize], STRANGE);
        let full = lost[Reason::RingFull as usize];
        assert_eq!(of_n4 + of_users + STRANGE + full, frames.len());
    }
}
