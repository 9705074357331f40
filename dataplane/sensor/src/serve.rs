//! A worker that receive threads serve: takes frames out of its rings, N4 first.

use std::time::Instant;

use crossbeam::channel::Receiver;
use weir_dpdk::{RxFrame, Taken};
use weir_engine::frame::BURST;
use weir_engine::{Frame, Nanos, RxMeta};

use crate::clock;
use crate::idle::Idle;
use crate::relay::{Order, Taking, What};
use crate::station::Station;
use crate::tap::Shares;
use crate::watch::claim;

/// Bursts of N4 before users' frames have their turn: a flood of N4 must not end inspection.
const N4_BURSTS: usize = 4;

/// What such a worker is made of.
pub(crate) struct Serving {
    /// From each receive thread.
    pub(crate) ways: Vec<Taking>,
    /// The taps of each lane's port.
    pub(crate) shares: Vec<Shares>,
    /// Whether a receive thread cuts time, and tells.
    pub(crate) is_told: bool,
    /// Whether time passes without frames.
    pub(crate) is_live: bool,
    pub(crate) idle: Idle,
}

/// Takes frames until all rings are over.
pub(crate) fn serve(serving: Serving, mut station: Station) {
    let Serving { mut ways, shares, is_told, is_live, mut idle } = serving;
    let mut told = Told::default();
    loop {
        measure(&ways, &mut station);
        let mut frames = 0;
        for way in &mut ways {
            for _ in 0..N4_BURSTS {
                let began = Instant::now();
                let taken = way.n4.poll();
                let count = taken.len();
                if count == 0 {
                    break;
                }
                inspect(&taken, &shares, &mut station);
                drop(taken);
                station.polled(count, began);
                frames += count;
            }
        }
        for (number, way) in ways.iter_mut().enumerate() {
            let began = Instant::now();
            let taken = way.users.poll();
            let count = taken.len();
            if is_told {
                told.inspect(&taken, &way.orders, &shares, &mut station);
            } else {
                inspect(&taken, &shares, &mut station);
            }
            drop(taken);
            way.noted.note(|lane, count, reason| station.lost(lane, count, reason));
            station.polled_queue(number, count, began);
            frames += count;
        }
        if frames > 0 {
            idle.wake();
            continue;
        }
        if ways.iter().all(|way| way.users.is_over() && way.n4.is_over()) {
            break;
        }
        if is_live {
            // So that timers fire on a quiet link.
            let now = clock::now();
            station.step(now);
            station.advance(now);
        }
        idle.rest();
    }
    for way in &mut ways {
        told.finish(&way.orders, &mut station);
        way.noted.note(|lane, count, reason| station.lost(lane, count, reason));
    }
    station.finish();
}

/// Counts how full the fullest rings are.
fn measure(ways: &[Taking], station: &mut Station) {
    let fill = |ring: &weir_dpdk::RingReceiver| (ring.waiting() * 64).div_ceil(ring.room());
    let n4 = ways.iter().map(|way| fill(&way.n4)).max();
    let users = ways.iter().map(|way| fill(&way.users)).max();
    station.worker.tally().rings(n4.unwrap_or(0), users.unwrap_or(0));
}

/// Takes frames through the engine, and cuts time by them.
fn inspect(taken: &Taken<'_>, shares: &[Shares], station: &mut Station) {
    if taken.is_empty() {
        return;
    }
    let mut gathered = Gathered::new(shares);
    for (lane, received) in taken.frames() {
        let time = received.time.map_or(Nanos(0), Nanos);
        if station.crosses(time) {
            gathered.inspect(station);
        }
        station.step(time);
        station.advance(time);
        gathered.push(lane, received, time, station);
    }
    gathered.inspect(station);
}

/// Frames of several lanes on the way into the engine.
struct Gathered<'a> {
    frames: [Frame<'a>; BURST],
    lanes: [u16; BURST],
    ready: usize,
    shares: &'a [Shares],
}

impl<'a> Gathered<'a> {
    fn new(shares: &'a [Shares]) -> Self {
        let none = Frame { bytes: &[], meta: RxMeta::default() };
        Self { frames: [none; BURST], lanes: [0; BURST], ready: 0, shares }
    }

    /// Takes a frame; there is room for as many as one poll gives.
    #[inline]
    fn push(&mut self, lane: u16, received: RxFrame<'a>, time: Nanos, station: &mut Station) {
        match claim(&received, time, &self.shares[usize::from(lane)]) {
            Ok(frame) => {
                (self.frames[self.ready], self.lanes[self.ready]) = (frame, lane);
                self.ready += 1;
            }
            Err(reason) => station.skip(usize::from(lane), received.wire_len, reason),
        }
    }

    #[inline]
    fn inspect(&mut self, station: &mut Station) {
        station.burst_of_lanes(&self.lanes[..self.ready], &self.frames[..self.ready]);
        self.ready = 0;
    }
}

/// What a worker does that is told where slices end.
#[derive(Default)]
struct Told {
    /// Frames taken so far.
    taken: u64,
    next: Option<Order>,
}

impl Told {
    /// Takes frames through the engine, and follows the orders between them. An order is given
    /// before the frames behind it are shown, so it is there when they are.
    fn inspect(
        &mut self,
        taken: &Taken<'_>,
        orders: &Receiver<Order>,
        shares: &[Shares],
        station: &mut Station,
    ) {
        if taken.is_empty() {
            while let Some(what) = self.due(orders) {
                follow(what, station);
            }
            return;
        }
        let mut gathered = Gathered::new(shares);
        for (lane, received) in taken.frames() {
            while let Some(what) = self.due(orders) {
                gathered.inspect(station);
                follow(what, station);
            }
            let time = received.time.map_or(Nanos(0), Nanos);
            gathered.push(lane, received, time, station);
            self.taken += 1;
        }
        gathered.inspect(station);
    }

    /// The next order, if it comes before the next frame.
    fn due(&mut self, orders: &Receiver<Order>) -> Option<What> {
        if self.next.is_none() {
            self.next = orders.try_recv().ok();
        }
        self.next.take_if(|order| order.after <= self.taken).map(|order| order.what)
    }

    /// Follows what is left, until no more can come.
    fn finish(&mut self, orders: &Receiver<Order>, station: &mut Station) {
        self.next.take().into_iter().chain(orders).for_each(|order| follow(order.what, station));
    }
}

fn follow(what: What, station: &mut Station) {
    match what {
        What::Step { back } => station.worker.clock_step(back, Nanos(0)),
        What::Close { slice, latest } => station.close(slice, latest),
    }
}
