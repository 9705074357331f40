//! Captures as a source: one thread reads them, merges them by time, cuts time
//! into slices and deals packets out to the workers.
//!
//! A packet of a mapped file is dealt as the place of its bytes. One that came
//! through a stream is copied into the arena of the hand that it is dealt with.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use weir_capture::{Damage, LinkType, OpenError, Packet, Reader, Stream};
use weir_engine::contract::words::Reason;
use weir_engine::frame::BURST;
use weir_engine::time::{REORDER_TOLERANCE, REPLAY_SLICE};
use weir_engine::worker::Setup;
use weir_engine::{Frame, Nanos, RxMeta, TapId};
use weir_mem::FileMap;

use crate::clock::Pace;
use crate::options::Speed;
use crate::station::Station;
use crate::stop::Stop;
use crate::tap::Shares;

/// An opened capture, as the workers see it.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) name: String,
    /// Its bytes; none if they come through a stream.
    pub(crate) map: Option<FileMap>,
    pub(crate) shares: Shares,
}

/// A packet dealt to a worker: where it stands, not its bytes.
#[derive(Clone, Copy, Debug)]
struct Dealt {
    file: u16,
    link_type: LinkType,
    /// In the mapped capture, or in the hand's arena.
    offset: usize,
    len: u32,
    wire_len: u32,
    time: Nanos,
    fate: Result<TapId, Reason>,
}

/// Packets on the way to a worker.
#[derive(Debug, Default)]
struct Hand {
    packets: Vec<Dealt>,
    /// The bytes of those that came through streams.
    arena: Vec<u8>,
}

/// What the reader tells a worker.
#[derive(Debug)]
enum Order {
    Packets(Hand),
    Step { back: Nanos },
    Close { slice: u64, latest: Nanos },
}

/// Packets that are dealt to a worker at a time.
const HAND: usize = 256;
/// Hands on the way to a worker.
const HANDS: usize = 16;
/// Packets and bytes after which the judge is asked before a slice goes on: what N4 may
/// be among them must fit the way to it.
const STEP: usize = 1 << 15;
const STEP_BYTES: usize = 8 << 20;
/// Bytes of streams' packets in one hand, give or take the last packet.
const ARENA: usize = 512 << 10;

/// The reader's end of the way to one worker.
pub(crate) struct Dealer {
    orders: Sender<Order>,
    spent: Receiver<Hand>,
    hand: Hand,
}

/// The worker's end.
pub(crate) struct Player {
    orders: Receiver<Order>,
    spent: Sender<Hand>,
}

/// The way from the reader to one worker.
pub(crate) fn deal() -> (Dealer, Player) {
    let (orders, take) = crossbeam::channel::bounded(HANDS);
    let (give_back, spent) = crossbeam::channel::bounded(HANDS + 2);
    let dealer = Dealer { orders, spent, hand: Hand::with_room() };
    (dealer, Player { orders: take, spent: give_back })
}

impl Hand {
    fn with_room() -> Self {
        Self { packets: Vec::with_capacity(HAND), arena: Vec::new() }
    }
}

impl Dealer {
    fn deal(&mut self, packet: Dealt) {
        self.hand.packets.push(packet);
        if self.hand.packets.len() == HAND || self.hand.arena.len() >= ARENA {
            self.flush();
        }
    }

    /// Deals a packet whose bytes will be gone.
    fn deal_copy(&mut self, packet: Dealt, bytes: &[u8]) {
        let offset = self.hand.arena.len();
        self.hand.arena.extend_from_slice(bytes);
        self.deal(Dealt { offset, ..packet });
    }

    fn flush(&mut self) {
        if self.hand.packets.is_empty() {
            return;
        }
        let empty = self.spent.try_recv().unwrap_or_else(|_| Hand::with_room());
        let hand = std::mem::replace(&mut self.hand, empty);
        let _ = self.orders.send(Order::Packets(hand));
    }

    fn tell(&mut self, order: Order) {
        self.flush();
        let _ = self.orders.send(order);
    }
}

/// How far a replay has come, for whoever shows it.
#[derive(Debug, Default)]
pub(crate) struct Progress(pub(crate) AtomicU64);

/// What the reader found out about its captures.
#[derive(Debug, Default)]
pub(crate) struct ReadOut {
    pub(crate) last: Nanos,
    /// What ended captures before their end, with the captures' numbers.
    pub(crate) ended: Vec<(u16, OpenError)>,
    /// A link type that can't be decoded, with the capture's number.
    pub(crate) link_type: Option<(u16, u16)>,
}

impl ReadOut {
    /// Notes what ended a capture. Whoever asked for a stop knows that the rest was not read.
    fn end(&mut self, number: usize, error: OpenError, stop: &Stop) {
        if !stop.is_asked() {
            self.ended.push((number as u16, error));
        }
    }
}

/// What is read in order. A stop ends the wait for more of it.
struct Awaited {
    input: File,
    stop: Stop,
}

/// How long an input is waited for before a stop is looked for, in milliseconds.
const WAIT: u16 = 50;

impl Read for Awaited {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.stop.is_asked() {
            let mut inputs = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut inputs, PollTimeout::from(WAIT)) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) => return self.input.read(into),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

/// One capture on its way through the merge.
struct Head<'a> {
    feed: Feed<'a>,
    /// The time of its next packet; none at its end.
    due: Option<Nanos>,
}

impl Head<'_> {
    #[inline]
    fn pull(&mut self, dealers: &mut [Dealer], damaged: impl FnOnce(Damage)) {
        self.due = self.feed.advance(dealers).transpose().unwrap_or_else(|damage| {
            damaged(damage);
            None
        });
    }
}

enum Feed<'a> {
    Mapped(Reader<'a>, Option<Packet<'a>>),
    Stream(Box<Stream>),
}

impl<'a> Feed<'a> {
    fn open(map: Option<&'a FileMap>, input: Option<File>, stop: &Stop) -> Result<Self, OpenError> {
        match (map, input) {
            (_, Some(input)) => {
                let stream = Stream::open(Awaited { input, stop: stop.clone() })?;
                Ok(Feed::Stream(Box::new(stream)))
            }
            (map, None) => Ok(Feed::Mapped(Reader::open(map.map_or(&[], |map| map))?, None)),
        }
    }

    /// Goes to the next packet, and gives its time.
    #[inline]
    fn advance(&mut self, dealers: &mut [Dealer]) -> Option<Result<Nanos, Damage>> {
        match self {
            Feed::Mapped(reader, next) => {
                let read = reader.next();
                *next = read.as_ref().and_then(|read| read.as_ref().ok()).copied();
                read.map(|read| read.map(|packet| packet.time))
            }
            Feed::Stream(stream) => {
                let time = |read: Result<Packet<'_>, Damage>| read.map(|packet| packet.time);
                if let Some(arrived) = stream.arrived().map(time) {
                    return Some(arrived);
                }
                // What is in hand should not wait for an input that may be slow.
                dealers.iter_mut().for_each(Dealer::flush);
                stream.next().map(time)
            }
        }
    }

    /// The packet that it stands at.
    #[inline]
    fn packet(&self) -> Option<Packet<'_>> {
        match self {
            Feed::Mapped(_, next) => *next,
            Feed::Stream(stream) => stream.current(),
        }
    }
}

/// Reads all captures to their ends, or until a stop. `inputs` are the streams
/// of those captures that have no map.
pub(crate) fn read(
    captures: &[Capture],
    inputs: Vec<Option<File>>,
    mut dealers: Vec<Dealer>,
    setup: &Setup,
    speed: Speed,
    progress: &Progress,
    stop: &Stop,
) -> ReadOut {
    let mut out = ReadOut::default();
    let mut heads: Vec<Option<Head<'_>>> = Vec::with_capacity(captures.len());
    for (number, (capture, input)) in captures.iter().zip(inputs).enumerate() {
        let feed = Feed::open(capture.map.as_ref(), input, stop);
        let feed = feed.map_err(|error| out.end(number, error, stop)).ok();
        heads.push(feed.map(|feed| Head { feed, due: None }));
        if let Some(head) = &mut heads[number] {
            head.pull(&mut dealers, |damage| out.end(number, damage.into(), stop));
        }
    }
    let mut pace = Pace::new(speed);
    let mut slice = None;
    let mut step = (0, 0);
    let mut latest = Nanos(0);
    let mut done = 0_u64;
    // The earliest packet; of equals the one whose capture was named first.
    while let Some((_, number)) = (heads.iter().enumerate())
        .filter_map(|(number, head)| Some((head.as_ref()?.due?, number)))
        .min()
    {
        let Some(head) = &mut heads[number] else { break };
        let Some(packet) = head.feed.packet() else { break };
        if pace.wait(packet.time).is_some() {
            dealers.iter_mut().for_each(Dealer::flush);
            pace.sleep(packet.time, stop);
        }
        if stop.is_asked() {
            break;
        }
        let back = latest.since(packet.time);
        if back > REORDER_TOLERANCE {
            dealers[0].tell(Order::Step { back });
        }
        latest = latest.max(packet.time);
        let now = latest.slice(REPLAY_SLICE);
        let is_long = step.0 >= STEP || step.1 >= STEP_BYTES;
        if let Some(open) = slice.filter(|open| *open != now || is_long) {
            step = (0, 0);
            for dealer in &mut dealers {
                dealer.tell(Order::Close { slice: open, latest });
            }
        }
        slice = Some(now);
        step = (step.0 + 1, step.1 + packet.bytes.len());
        let capture = &captures[number];
        let (fate, bytes) = match packet.link_type {
            LinkType::Other(code) => {
                out.link_type.get_or_insert((number as u16, code));
                (Err(Reason::LinkType), packet.bytes)
            }
            _ => match capture.shares.claim(packet.bytes, packet.link_type, None) {
                Ok((tap, bytes)) => (Ok(tap), bytes),
                Err(reason) => (Err(reason), packet.bytes),
            },
        };
        let tap = fate.unwrap_or_default();
        let meta = RxMeta { link_type: packet.link_type, tap, ..RxMeta::default() };
        let worker = match dealers.len() {
            1 => 0,
            many => (setup.spread(&Frame { bytes, meta }) % many as u64) as usize,
        };
        let cut = (packet.bytes.len() - bytes.len()) as u32;
        let dealt = Dealt {
            file: number as u16,
            link_type: packet.link_type,
            offset: packet.offset,
            len: bytes.len() as u32,
            wire_len: packet.wire_len - cut,
            time: packet.time,
            fate,
        };
        match (&capture.map, fate) {
            (None, Ok(_)) => dealers[worker].deal_copy(dealt, bytes),
            // What is skipped is counted, not read.
            _ => dealers[worker].deal(dealt),
        }
        done += packet.bytes.len() as u64;
        progress.0.store(done, Ordering::Relaxed);
        head.pull(&mut dealers, |damage| out.end(number, damage.into(), stop));
    }
    if let Some(open) = slice {
        for dealer in &mut dealers {
            dealer.tell(Order::Close { slice: open, latest });
        }
    }
    out.last = latest;
    out
}

/// Plays what the reader deals until it deals no more.
pub(crate) fn play(player: &Player, captures: &Arc<[Capture]>, mut station: Station) {
    for order in &player.orders {
        match order {
            Order::Packets(hand) => {
                for burst in hand.packets.chunks(BURST) {
                    let began = Instant::now();
                    inspect(burst, &hand.arena, captures, &mut station);
                    station.polled(burst.len(), began);
                }
                let mut spent = hand;
                spent.packets.clear();
                spent.arena.clear();
                let _ = player.spent.try_send(spent);
            }
            Order::Step { back } => station.worker.clock_step(back, Nanos(0)),
            Order::Close { slice, latest } => station.close(slice, latest),
        }
    }
    station.finish();
}

fn inspect(burst: &[Dealt], arena: &[u8], captures: &[Capture], station: &mut Station) {
    let mut frames = [Frame { bytes: &[], meta: RxMeta::default() }; BURST];
    let mut ready = 0;
    let mut lane = 0;
    for dealt in burst {
        let file = usize::from(dealt.file);
        match dealt.fate {
            Ok(tap) => {
                if file != lane && ready > 0 {
                    station.burst(lane, &frames[..ready]);
                    ready = 0;
                }
                lane = file;
                let end = dealt.offset + dealt.len as usize;
                let whole = captures[file].map.as_deref().unwrap_or(arena);
                frames[ready] = Frame {
                    bytes: whole.get(dealt.offset..end).unwrap_or_default(),
                    meta: RxMeta {
                        time: dealt.time,
                        wire_len: dealt.wire_len,
                        tap,
                        link_type: dealt.link_type,
                        stripped_vlan: None,
                    },
                };
                ready += 1;
            }
            Err(reason) => station.skip(file, dealt.wire_len, reason),
        }
    }
    if ready > 0 {
        station.burst(lane, &frames[..ready]);
    }
}
