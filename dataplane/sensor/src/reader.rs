//! Captures as a source: one thread reads them, merges them by time, cuts time
//! into slices and deals packets out to the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};
use weir_capture::{Damage, LinkType, Packet, Reader};
use weir_engine::contract::words::Reason;
use weir_engine::decode::Ports;
use weir_engine::frame::BURST;
use weir_engine::time::{REORDER_TOLERANCE, REPLAY_SLICE};
use weir_engine::worker::spread;
use weir_engine::{Frame, Nanos, RxMeta, TapId};
use weir_mem::FileMap;

use crate::clock::Pace;
use crate::options::Speed;
use crate::station::Station;
use crate::stop::Stop;
use crate::tap::Shares;

/// A mapped capture.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) map: FileMap,
    pub(crate) shares: Shares,
}

/// A packet dealt to a worker: where it stands, not its bytes.
#[derive(Clone, Copy, Debug)]
struct Dealt {
    file: u16,
    offset: usize,
    len: u32,
    wire_len: u32,
    time: Nanos,
    fate: Result<TapId, Reason>,
}

/// What the reader tells a worker.
#[derive(Debug)]
enum Order {
    Packets(Vec<Dealt>),
    Step { back: Nanos },
    Close { slice: u64, latest: Nanos },
}

/// Packets that are dealt to a worker at a time.
const HAND: usize = 256;
/// Hands on the way to a worker.
const HANDS: usize = 16;

/// The reader's end of the way to one worker.
pub(crate) struct Dealer {
    orders: Sender<Order>,
    spent: Receiver<Vec<Dealt>>,
    hand: Vec<Dealt>,
}

/// The worker's end.
pub(crate) struct Player {
    orders: Receiver<Order>,
    spent: Sender<Vec<Dealt>>,
}

/// The way from the reader to one worker.
pub(crate) fn deal() -> (Dealer, Player) {
    let (orders, take) = crossbeam::channel::bounded(HANDS);
    let (give_back, spent) = crossbeam::channel::bounded(HANDS + 2);
    let dealer = Dealer { orders, spent, hand: Vec::with_capacity(HAND) };
    (dealer, Player { orders: take, spent: give_back })
}

impl Dealer {
    fn deal(&mut self, packet: Dealt) {
        self.hand.push(packet);
        if self.hand.len() == HAND {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.hand.is_empty() {
            return;
        }
        let empty = self.spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(HAND));
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
    /// The first damage: the capture's number and the place.
    pub(crate) damage: Vec<(u16, Damage)>,
    /// A link type that can't be decoded, with the capture's number.
    pub(crate) link_type: Option<(u16, u16)>,
}

/// One capture on its way through the merge.
struct Head<'a> {
    reader: Option<Reader<'a>>,
    next: Option<Packet<'a>>,
}

/// Reads all captures to their ends, or until a stop.
pub(crate) fn read(
    captures: &[Capture],
    mut dealers: Vec<Dealer>,
    ports: &Ports,
    speed: Speed,
    progress: &Progress,
    stop: &Stop,
) -> ReadOut {
    let mut out = ReadOut::default();
    let mut heads: Vec<Head<'_>> = Vec::with_capacity(captures.len());
    for (number, capture) in captures.iter().enumerate() {
        let reader = Reader::open(&capture.map)
            .map_err(|damage| out.damage.push((number as u16, damage)))
            .ok();
        let mut head = Head { reader, next: None };
        pull(&mut head, number, &mut out);
        heads.push(head);
    }
    let mut pace = Pace::new(speed);
    let mut slice = None;
    let mut latest = Nanos(0);
    let mut done = 0_u64;
    // The earliest packet; of equals the one whose capture was named first.
    while let Some(number) = (0..heads.len())
        .filter(|i| heads[*i].next.is_some())
        .min_by_key(|i| heads[*i].next.map(|packet| packet.time))
    {
        let Some(packet) = heads[number].next else { break };
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
        if let Some(open) = slice.filter(|open| *open != now) {
            for dealer in &mut dealers {
                dealer.tell(Order::Close { slice: open, latest });
            }
        }
        slice = Some(now);
        let capture = &captures[number];
        let (fate, bytes) = match packet.link_type {
            LinkType::Other(code) => {
                out.link_type.get_or_insert((number as u16, code));
                (Err(Reason::LinkType), packet.bytes)
            }
            _ => match capture.shares.claim(packet.bytes, None) {
                Ok((tap, bytes)) => (Ok(tap), bytes),
                Err(reason) => (Err(reason), packet.bytes),
            },
        };
        let meta = RxMeta { link_type: packet.link_type, ..RxMeta::default() };
        let worker = match dealers.len() {
            1 => 0,
            many => (spread(&Frame { bytes, meta }, None, ports) % many as u64) as usize,
        };
        let cut = (packet.bytes.len() - bytes.len()) as u32;
        dealers[worker].deal(Dealt {
            file: number as u16,
            offset: packet.offset,
            len: bytes.len() as u32,
            wire_len: packet.wire_len - cut,
            time: packet.time,
            fate,
        });
        done += packet.bytes.len() as u64;
        progress.0.store(done, Ordering::Relaxed);
        pull(&mut heads[number], number, &mut out);
    }
    if let Some(open) = slice {
        for dealer in &mut dealers {
            dealer.tell(Order::Close { slice: open, latest });
        }
    }
    out.last = latest;
    out
}

fn pull(head: &mut Head<'_>, number: usize, out: &mut ReadOut) {
    head.next = match head.reader.as_mut().and_then(Iterator::next) {
        Some(Ok(packet)) => Some(packet),
        Some(Err(damage)) => {
            out.damage.push((number as u16, damage));
            None
        }
        None => None,
    };
}

/// Plays what the reader deals until it deals no more.
pub(crate) fn play(player: &Player, captures: &Arc<[Capture]>, mut station: Station) {
    for order in &player.orders {
        match order {
            Order::Packets(hand) => {
                for burst in hand.chunks(BURST) {
                    let began = Instant::now();
                    inspect(burst, captures, &mut station);
                    station.polled(burst.len(), began);
                }
                let mut spent = hand;
                spent.clear();
                let _ = player.spent.try_send(spent);
            }
            Order::Step { back } => station.worker.clock_step(back, Nanos(0)),
            Order::Close { slice, latest } => station.close(slice, latest),
        }
    }
    station.finish();
}

fn inspect(burst: &[Dealt], captures: &[Capture], station: &mut Station) {
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
                frames[ready] = Frame {
                    bytes: captures[file].map.get(dealt.offset..end).unwrap_or_default(),
                    meta: RxMeta {
                        time: dealt.time,
                        wire_len: dealt.wire_len,
                        tap,
                        ..RxMeta::default()
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
