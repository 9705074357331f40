//! Between receive threads and workers: the rings, what is told beside them, and what was lost.
//!
//! A receive thread has two rings to each worker: one for N4, so that a flood of users' frames
//! never drops it, and one for all else. What was captured goes through the second alone, in its
//! order, and nothing of it is dropped: the receive thread waits for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::{Receiver, Sender};
use weir_dpdk::{Fan, Pool, RingReceiver};
use weir_engine::Nanos;
use weir_engine::contract::words::Reason;

/// Frames that one ring has room for: of users, some 0.5 ms of what one worker can inspect.
pub(crate) const USERS_ROOM: usize = 4096;
pub(crate) const N4_ROOM: usize = 1024;

/// What a worker is told beside the frames of its ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Frames of the ring that come before it.
    pub(crate) after: u64,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// The clock was set back.
    Step { back: Nanos },
    /// A slice is over.
    Close { slice: u64, latest: Nanos },
}

/// Orders on the way to a worker.
const ORDERS: usize = 16;

/// What one receive thread dropped of one worker's frames, by lane and reason. The receive thread
/// writes, the worker reads.
#[derive(Debug)]
pub(crate) struct Losses {
    all: AtomicU64,
    lanes: Box<[[AtomicU64; Reason::ALL.len()]]>,
}

impl Losses {
    fn of_lanes(lanes: usize) -> Self {
        Self { all: AtomicU64::new(0), lanes: (0..lanes).map(|_| Default::default()).collect() }
    }

    /// Counts a frame.
    pub(crate) fn add(&self, lane: u16, reason: Reason) {
        let count = &self.lanes[usize::from(lane)][reason as usize];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.all.store(self.all.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// What a worker knows of one receive thread's losses.
#[derive(Debug)]
pub(crate) struct Noted {
    losses: Arc<Losses>,
    all: u64,
    lanes: Vec<[u64; Reason::ALL.len()]>,
}

impl Noted {
    /// Tells of each count that has grown: lane, by how much, and why.
    #[inline]
    pub(crate) fn note(&mut self, tell: impl FnMut(usize, u64, Reason)) {
        let all = self.losses.all.load(Ordering::Acquire);
        if all != self.all {
            self.all = all;
            self.compare(tell);
        }
    }

    #[cold]
    fn compare(&mut self, mut tell: impl FnMut(usize, u64, Reason)) {
        for (lane, (seen, counts)) in self.lanes.iter_mut().zip(&*self.losses.lanes).enumerate() {
            for (reason, (seen, count)) in Reason::ALL.into_iter().zip(seen.iter_mut().zip(counts))
            {
                let count = count.load(Ordering::Relaxed);
                if count > *seen {
                    tell(lane, count - *seen, reason);
                    *seen = count;
                }
            }
        }
    }
}

/// A receive thread's end of the ways to all workers.
pub(crate) struct Giving {
    pub(crate) fan: Fan,
    /// By worker.
    pub(crate) losses: Vec<Arc<Losses>>,
    pub(crate) orders: Vec<Sender<Order>>,
}

/// A worker's end of the way from one receive thread.
pub(crate) struct Taking {
    pub(crate) users: RingReceiver,
    pub(crate) n4: RingReceiver,
    pub(crate) noted: Noted,
    pub(crate) orders: Receiver<Order>,
}

/// The number of a worker's ring in [`Giving::fan`].
pub(crate) fn ring_of(worker: usize, workers: usize, is_n4: bool) -> usize {
    if is_n4 { workers + worker } else { worker }
}

/// The ways from one receive thread to so many workers, whose frames are of so many lanes.
pub(crate) fn ways(pools: &[Arc<Pool>], workers: usize, lanes: usize) -> (Giving, Vec<Taking>) {
    let rooms = [vec![USERS_ROOM; workers], vec![N4_ROOM; workers]].concat();
    let (fan, mut users) = Fan::new(pools, &rooms);
    let n4 = users.split_off(workers);
    let mut giving = Giving { fan, losses: Vec::new(), orders: Vec::new() };
    let taking = users
        .into_iter()
        .zip(n4)
        .map(|(users, n4)| {
            let losses = Arc::new(Losses::of_lanes(lanes));
            let (give, orders) = crossbeam::channel::bounded(ORDERS);
            giving.losses.push(losses.clone());
            giving.orders.push(give);
            let lanes = vec![[0; Reason::ALL.len()]; lanes];
            Taking { users, n4, noted: Noted { losses, all: 0, lanes }, orders }
        })
        .collect();
    (giving, taking)
}

/// mbufs that the rings of so many workers may hold.
pub(crate) fn mbufs(workers: usize) -> usize {
    workers * (USERS_ROOM + N4_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_noted_once_under_its_lane_and_reason() {
        let (giving, mut taking) = ways(&[], 2, 3);
        let noted = &mut taking[1].noted;
        let mut told = Vec::new();
        giving.losses[1].add(2, Reason::RingFull);
        giving.losses[1].add(2, Reason::RingFull);
        giving.losses[1].add(0, Reason::Untapped);
        giving.losses[0].add(1, Reason::RingFull);
        noted.note(|lane, count, reason| told.push((lane, count, reason)));
        assert_eq!(told, [(0, 1, Reason::Untapped), (2, 2, Reason::RingFull)]);
        noted.note(|_, _, _| panic!("it was noted"));
        giving.losses[1].add(2, Reason::RingFull);
        noted.note(|lane, count, reason| told.push((lane, count, reason)));
        assert_eq!(told[2..], [(2, 1, Reason::RingFull)]);
    }

    #[test]
    fn no_two_rings_are_one() {
        let mut rings: Vec<_> =
            (0..4).flat_map(|worker| [false, true].map(|n4| ring_of(worker, 4, n4))).collect();
        rings.sort_unstable();
        assert_eq!(rings, (0..8).collect::<Vec<_>>());
    }
}
