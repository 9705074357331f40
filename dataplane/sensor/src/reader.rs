//! Captures as a source: one thread reads them, merges them by time, cuts time
//! into slices and deals packets out to the workers.
//!
//! A packet of a capture that is all there is dealt as the place of its bytes. One
//! that came through a stream is copied into the arena of the hand that it is dealt
//! with. What is played again is rewritten by the worker that it is dealt to.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::bail;
use crossbeam::channel::{Receiver, Sender};
use weir_capture::{Damage, LinkType, OpenError};
use weir_engine::contract::words::Reason;
use weir_engine::frame::BURST;
use weir_engine::time::{REORDER_TOLERANCE, REPLAY_SLICE};
use weir_engine::worker::Setup;
use weir_engine::{Frame, Nanos, RxMeta, TapId};
use weir_playback::{Content, Input, Merge, Passes, Scratch, Unplayed, Wishes, rehearse};

use crate::clock::Pace;
use crate::options::Speed;
use crate::plan::Plan;
use crate::station::Station;
use crate::stop::Stop;
use crate::tap::Shares;

/// An opened capture, as the workers see it.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) name: String,
    /// Its bytes; none if they come through a stream.
    pub(crate) content: Option<Content>,
    pub(crate) shares: Shares,
}

/// A packet dealt to a worker: where it stands, not its bytes.
#[derive(Clone, Copy, Debug)]
struct Dealt {
    file: u16,
    link_type: LinkType,
    /// In the capture's bytes, or in the hand's arena.
    offset: usize,
    len: u32,
    wire_len: u32,
    time: Nanos,
    fate: Result<TapId, Reason>,
}

/// Packets on the way to a worker.
#[derive(Debug, Default)]
struct Hand {
    /// How often the captures were played before.
    pass: u32,
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
    pass: u32,
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
    let dealer = Dealer { orders, spent, hand: Hand::with_room(), pass: 0 };
    (dealer, Player { orders: take, spent: give_back })
}

impl Hand {
    fn with_room() -> Self {
        Self { pass: 0, packets: Vec::with_capacity(HAND), arena: Vec::new() }
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
        let mut empty = self.spent.try_recv().unwrap_or_else(|_| Hand::with_room());
        empty.pass = self.pass;
        let hand = std::mem::replace(&mut self.hand, empty);
        let _ = self.orders.send(Order::Packets(hand));
    }

    /// What is dealt from now on belongs to this pass.
    fn begin(&mut self, pass: u32) {
        self.flush();
        self.pass = pass;
        self.hand.pass = pass;
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
    fn end(&mut self, capture: &Capture, number: usize, error: OpenError, stop: &Stop) {
        let packing = capture.content.as_ref().and_then(Content::packing);
        let error = match (capture.content.as_ref().and_then(Content::broken), error) {
            // What its loading met is told by `loaded`.
            (Some(_), _) => return,
            (None, OpenError::Damaged(damage)) if packing.is_some() => {
                Damage { packing, ..damage }.into()
            }
            (None, error) => error,
        };
        if !stop.is_asked() {
            self.ended.push((number as u16, error));
        }
    }

    /// Says what is wrong with the captures, all of it.
    ///
    /// # Errors
    /// If anything is.
    pub(crate) fn complain(&self, captures: &[Capture]) -> anyhow::Result<()> {
        let name = |number: u16| &captures[usize::from(number)].name;
        let mut complaints: Vec<String> = self
            .ended
            .iter()
            .map(|(number, error)| {
                let then = match error {
                    OpenError::Damaged(_) => "what stands before it was read",
                    OpenError::Foreign(_) => {
                        "give a pcap or pcapng file, plain or packed with gzip or zstd"
                    }
                };
                format!("{error}; {}; {then}", name(*number))
            })
            .collect();
        complaints.extend(self.link_type.map(|(number, code)| {
            format!(
                "link type {code} is not decoded in this version; {}; its frames are counted as link_type",
                name(number)
            )
        }));
        if complaints.is_empty() { Ok(()) } else { bail!("{}", complaints.join("\nerror: ")) }
    }

    /// Notes what ended captures while they were loaded.
    fn loaded(&mut self, captures: &[Capture], stop: &Stop) {
        let broken = |capture: &Capture| capture.content.as_ref()?.broken().cloned();
        for (number, damage) in captures.iter().map(broken).enumerate() {
            if let Some(damage) = damage.filter(|_| !stop.is_asked()) {
                self.ended.push((number as u16, damage.into()));
            }
        }
    }
}

/// How often captures are played, and what that takes if it is more than once.
#[derive(Clone, Debug)]
pub(crate) struct Repetition {
    pub(crate) passes: u32,
    /// There if there is more than one pass.
    pub(crate) anew: Option<Arc<Passes>>,
}

impl Repetition {
    /// Loads captures, and learns of them what playing them again takes, as far as it is wished.
    ///
    /// # Errors
    /// If memory does not suffice for them.
    pub(crate) fn of(
        plan: &Plan,
        captures: &mut [Capture],
        inputs: &mut [Option<File>],
        stop: &Stop,
    ) -> anyhow::Result<Repetition> {
        let wishes = Wishes { preload: plan.preload, passes: plan.passes, ports: plan.ports };
        let mut opened: Vec<Unplayed<'_>> = captures
            .iter_mut()
            .zip(inputs)
            .map(|(capture, input)| Unplayed {
                name: &capture.name,
                content: &mut capture.content,
                input,
            })
            .collect();
        let anew = rehearse(&mut opened, &wishes, stop)?;
        let shortcomings = anew.iter().flat_map(|anew| anew.survey().shortcomings());
        shortcomings.for_each(|shortcoming| eprintln!("warning: {shortcoming}"));
        Ok(Repetition { passes: plan.passes, anew: anew.map(Arc::new) })
    }

    /// How much later than the first a pass is.
    fn shift(&self, pass: u32) -> Nanos {
        self.anew.as_ref().map_or(Nanos(0), |anew| anew.shift(pass))
    }
}

/// How a replay goes.
pub(crate) struct Course<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) speed: Speed,
    pub(crate) repetition: &'a Repetition,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
}

/// Reads all captures to their ends, as often as they are to be played, or until a
/// stop. `inputs` are the streams of those whose bytes are not there; such are
/// played once.
pub(crate) fn read(
    captures: &[Capture],
    mut inputs: Vec<Option<File>>,
    dealers: Vec<Dealer>,
    course: &Course<'_>,
) -> ReadOut {
    let mut reading = Reading {
        captures,
        course,
        dealers,
        pace: Pace::new(course.speed),
        slice: None,
        step: (0, 0),
        latest: Nanos(0),
        done: 0,
        out: ReadOut::default(),
    };
    reading.out.loaded(captures, course.stop);
    for pass in (0..course.repetition.passes).take_while(|_| !course.stop.is_asked()) {
        reading.pass(pass, &mut inputs);
    }
    reading.close();
    reading.out.last = reading.latest;
    reading.out
}

/// The reader's state, from pass to pass.
struct Reading<'a> {
    captures: &'a [Capture],
    course: &'a Course<'a>,
    dealers: Vec<Dealer>,
    pace: Pace,
    /// The open slice, and the packets and bytes since the judge was asked.
    slice: Option<u64>,
    step: (usize, usize),
    latest: Nanos,
    /// Bytes read.
    done: u64,
    out: ReadOut,
}

impl<'a> Reading<'a> {
    /// Opens the captures anew.
    fn merge(&mut self, pass: u32, inputs: &mut [Option<File>]) -> Merge<'a> {
        let (captures, stop, out) = (self.captures, self.course.stop, &mut self.out);
        let inputs = captures.iter().zip(inputs).map(|(capture, input)| match input.take() {
            Some(input) => Input::Stream(input),
            None => Input::Bytes(capture.content.as_deref().unwrap_or_default()),
        });
        Merge::open(inputs, stop, |number, error| {
            if pass == 0 {
                out.end(&captures[number], number, error, stop);
            }
        })
    }

    /// Plays the captures once.
    fn pass(&mut self, pass: u32, inputs: &mut [Option<File>]) {
        let mut merge = self.merge(pass, inputs);
        let Self { captures, course, dealers, pace, slice, step, latest, done, out } = self;
        let (captures, stop) = (*captures, course.stop);
        let shift = course.repetition.shift(pass);
        dealers.iter_mut().for_each(|dealer| dealer.begin(pass));
        while let Some(number) = merge.earliest() {
            let Some(packet) = merge.packet(number) else { break };
            let time = packet.time.plus(shift);
            if pace.wait(time).is_some() {
                dealers.iter_mut().for_each(Dealer::flush);
                pace.sleep(time, stop);
            }
            if stop.is_asked() {
                break;
            }
            let back = latest.since(time);
            if back > REORDER_TOLERANCE {
                dealers[0].tell(Order::Step { back });
            }
            *latest = time.max(*latest);
            let now = latest.slice(REPLAY_SLICE);
            let is_long = step.0 >= STEP || step.1 >= STEP_BYTES;
            if let Some(open) = slice.filter(|open| *open != now || is_long) {
                *step = (0, 0);
                for dealer in dealers.iter_mut() {
                    dealer.tell(Order::Close { slice: open, latest: *latest });
                }
            }
            *slice = Some(now);
            *step = (step.0 + 1, step.1 + packet.bytes.len());
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
                many => (course.setup.spread(&Frame { bytes, meta }) % many as u64) as usize,
            };
            let cut = (packet.bytes.len() - bytes.len()) as u32;
            let dealt = Dealt {
                file: number as u16,
                link_type: packet.link_type,
                offset: packet.offset,
                len: bytes.len() as u32,
                wire_len: packet.wire_len - cut,
                time,
                fate,
            };
            match (&capture.content, fate) {
                (None, Ok(_)) => dealers[worker].deal_copy(dealt, bytes),
                // What is skipped is counted, not read.
                _ => dealers[worker].deal(dealt),
            }
            *done += packet.bytes.len() as u64;
            course.progress.0.store(*done, Ordering::Relaxed);
            let damaged = |damage: Damage| {
                if pass == 0 {
                    out.end(capture, number, damage.into(), stop);
                }
            };
            // What is in hand should not wait for an input that may be slow.
            let flush = || dealers.iter_mut().for_each(Dealer::flush);
            merge.pull(number, flush, damaged);
        }
    }

    /// Closes the last slice.
    fn close(&mut self) {
        let Some(slice) = self.slice else { return };
        for dealer in &mut self.dealers {
            dealer.tell(Order::Close { slice, latest: self.latest });
        }
    }
}

/// Plays what the reader deals until it deals no more.
pub(crate) fn play(
    player: &Player,
    captures: &[Capture],
    anew: Option<&Passes>,
    mut station: Station,
) {
    let contents: Vec<Option<&[u8]>> =
        captures.iter().map(|capture| capture.content.as_deref()).collect();
    let mut rewriting = Rewriting::default();
    for order in &player.orders {
        match order {
            Order::Packets(mut hand) => {
                let (contents, arena) = match anew {
                    Some(anew) if hand.pass > 0 => {
                        rewriting.rewrite(anew, &mut hand, &contents);
                        (&[][..], &rewriting.arena)
                    }
                    _ => (&contents[..], &hand.arena),
                };
                for burst in hand.packets.chunks(BURST) {
                    let began = Instant::now();
                    inspect(burst, arena, contents, &mut station);
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

/// The frames of a hand as they are in its pass: as many bytes as a hand has, at most.
#[derive(Default)]
struct Rewriting {
    arena: Vec<u8>,
    scratch: Scratch,
}

impl Rewriting {
    /// Rewrites a hand's frames into the arena, and points its packets there.
    fn rewrite(&mut self, anew: &Passes, hand: &mut Hand, contents: &[Option<&[u8]>]) {
        self.arena.clear();
        for dealt in hand.packets.iter_mut().filter(|dealt| dealt.fate.is_ok()) {
            let frame = dealt.frame(&hand.arena, contents);
            let offset = self.arena.len();
            self.arena.extend_from_slice(frame.bytes);
            anew.rewrite(hand.pass, &frame, &mut self.arena[offset..], &mut self.scratch);
            dealt.offset = offset;
        }
    }
}

impl Dealt {
    /// Its frame. What is in no capture's bytes is in the arena.
    #[inline]
    fn frame<'a>(&self, arena: &'a [u8], contents: &[Option<&'a [u8]>]) -> Frame<'a> {
        let whole = contents.get(usize::from(self.file)).copied().flatten().unwrap_or(arena);
        Frame {
            bytes: whole.get(self.offset..self.offset + self.len as usize).unwrap_or_default(),
            meta: RxMeta {
                time: self.time,
                wire_len: self.wire_len,
                tap: self.fate.unwrap_or_default(),
                link_type: self.link_type,
                stripped_vlan: None,
            },
        }
    }
}

fn inspect(burst: &[Dealt], arena: &[u8], contents: &[Option<&[u8]>], station: &mut Station) {
    let mut frames = [Frame { bytes: &[], meta: RxMeta::default() }; BURST];
    let mut ready = 0;
    let mut lane = 0;
    for dealt in burst {
        let file = usize::from(dealt.file);
        match dealt.fate {
            Ok(_) => {
                if file != lane && ready > 0 {
                    station.burst(lane, &frames[..ready]);
                    ready = 0;
                }
                lane = file;
                frames[ready] = dealt.frame(arena, contents);
                ready += 1;
            }
            Err(reason) => station.skip(file, dealt.wire_len, reason),
        }
    }
    if ready > 0 {
        station.burst(lane, &frames[..ready]);
    }
}
