//! Spaces of sequence numbers of one sender's requests (TS 29.244 §6.4).
//!
//! One sender counts on in one space. Somebody who forges its requests does not know
//! where it is and counts in a space of his own, which opens later and lies amid the
//! sender's. After a restart the old space falls silent: only a space beside one that
//! goes on counting is evidence.

use crate::Nanos;
use crate::signalling::datagram::HeaderShape;

/// Spaces of one sender and port that are watched.
const SPACES: usize = 4;
/// How far ahead a space may jump: a sender counts for all its peers.
const AHEAD: i32 = 1024;
/// The same of a space under suspicion: who forges counts for itself, and a sender that
/// restarts beside it must not be taken for it.
const AHEAD_SUSPECTED: i32 = 32;
/// How far back a request may come late at least; as far as was counted within
/// [`LATE`], it may come again of which the tap missed the first copy.
const BEHIND: i32 = 64;
const LATE: Nanos = Nanos::from_secs(15);
/// So far ahead may lie what a sender that leaps sent before what comes now.
const LEAP: i32 = 4096;
/// Requests after which a space is the sender's own.
const OWN: u32 = 4;
/// A space that was silent for so long is over.
const IDLE: Nanos = Nanos::from_secs(60);
/// Heartbeats of a space of their own may be a counter of their own, unless there are more.
const HEARTBEATS: u32 = 6;

const HEARTBEAT_REQUEST: u8 = 1;

/// Requests in a space, not yet judged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Heap {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    /// Whether their IP headers differ from those of the space that goes on counting.
    pub(crate) other_shape: bool,
}

impl Heap {
    fn add(&mut self, request: &Request) {
        if self.packets == 0 {
            self.first = request.time;
        }
        self.packets += 1;
        self.bytes += u64::from(request.wire_len);
        self.last = request.time;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Space {
    last: u32,
    time: Nanos,
    opened: Nanos,
    /// Where it stood when the present span of [`LATE`] began, and the one before.
    marks: [u32; 2],
    marked: Nanos,
    requests: u32,
    shape: HeaderShape,
    /// Where the space beside stood when this one opened.
    beside: u32,
    /// What is suspected; a space that opened beside none is above suspicion.
    suspected: bool,
    forged: bool,
    heartbeats_only: bool,
    heap: Heap,
}

/// A request as far as it is looked at here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) sequence: u32,
    pub(crate) message: u8,
    pub(crate) time: Nanos,
    pub(crate) wire_len: u32,
    pub(crate) shape: HeaderShape,
}

/// What a request says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    /// Whether this request may be forged.
    pub(crate) doubted: bool,
    /// Requests that are now known to be forged.
    pub(crate) forged: Option<Heap>,
}

/// The spaces of one (sender, port, receiver).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spaces {
    spaces: [Option<Space>; SPACES],
}

impl Spaces {
    /// Takes a request in. `interleave` is how close in time two spaces lie that are
    /// one amid the other.
    pub(crate) fn take(&mut self, request: &Request, interleave: Nanos) -> Told {
        // A heartbeat may be outside all counting.
        if request.message == HEARTBEAT_REQUEST && request.sequence == 0 {
            return Told::default();
        }
        for space in &mut self.spaces {
            if space.is_some_and(|space| request.time.since(space.time) > IDLE) {
                *space = None;
            }
        }
        match self.nearest(request.sequence) {
            Some((place, step)) => self.count_on(place, step, request, interleave),
            None => {
                self.open(request, interleave);
                Told { doubted: self.is_doubted(request.sequence), forged: None }
            }
        }
    }

    fn nearest(&self, sequence: u32) -> Option<(usize, i32)> {
        (self.spaces.iter().enumerate())
            .filter_map(|(place, space)| {
                let space = space.as_ref()?;
                let step = distance(space.last, sequence);
                let ahead = if space.suspected { AHEAD_SUSPECTED } else { AHEAD };
                let counted = space.last.wrapping_sub(space.marks[1]) & 0xff_ffff;
                let behind = BEHIND.max(counted.min(1 << 20) as i32);
                (-behind..=ahead).contains(&step).then_some((place, step))
            })
            .min_by_key(|(_, step)| step.unsigned_abs())
    }

    fn is_doubted(&self, sequence: u32) -> bool {
        self.nearest(sequence)
            .and_then(|(place, _)| self.spaces[place])
            .is_some_and(|space| space.suspected)
    }

    fn count_on(&mut self, place: usize, step: i32, request: &Request, interleave: Nanos) -> Told {
        let Some(space) = &mut self.spaces[place] else { return Told::default() };
        space.time = space.time.max(request.time);
        if request.time.since(space.marked) > LATE {
            space.marks = [space.last, space.marks[0]];
            space.marked = request.time;
        }
        space.heartbeats_only &= request.message == HEARTBEAT_REQUEST;
        if step > 0 {
            space.last = request.sequence;
            space.requests = space.requests.saturating_add(1);
        }
        if space.suspected {
            // Heartbeats are too many only within a while.
            if space.heartbeats_only && request.time.since(space.heap.first) > interleave {
                space.heap = Heap::default();
            }
            space.heap.add(request);
            let told = space.forged.then(|| std::mem::take(&mut space.heap));
            return Told { doubted: true, forged: told };
        }
        space.shape = request.shape;
        if step <= 0 {
            return Told::default();
        }
        let (opened, now) = (space.opened, space.last);
        // The sender goes on counting: what lies amid its requests is not its own.
        let mut forged: Option<Heap> = None;
        for space in self.spaces.iter_mut().flatten() {
            let heap = space.heap;
            // A sender that leaps, and whose requests change places, passes by itself.
            let ahead = distance(now, space.last);
            let passed = ahead <= 0 && distance(space.beside, space.last) > 0;
            if space.suspected && (passed || (1..LEAP).contains(&ahead)) {
                continue;
            }
            let tells = space.suspected
                && space.opened > opened
                && heap.packets > 0
                && request.time.since(heap.last) <= interleave
                && (!space.heartbeats_only || heap.packets > u64::from(HEARTBEATS));
            if !tells {
                continue;
            }
            space.forged = true;
            space.heap = Heap::default();
            let other_shape = space.shape != request.shape;
            forged = Some(match forged {
                None => Heap { other_shape, ..heap },
                Some(other) => Heap {
                    packets: heap.packets + other.packets,
                    bytes: heap.bytes + other.bytes,
                    first: heap.first.min(other.first),
                    last: heap.last.max(other.last),
                    other_shape: other_shape || other.other_shape,
                },
            });
        }
        Told { doubted: false, forged }
    }

    fn open(&mut self, request: &Request, interleave: Nanos) {
        let own = self.spaces.iter().flatten().filter(|space| {
            !space.suspected
                && space.requests >= OWN
                && request.time.since(space.time) <= interleave
        });
        let own = own.max_by_key(|space| space.time).map(|space| space.last);
        let beside_own = own.is_some();
        let mut space = Space {
            last: request.sequence,
            time: request.time,
            opened: request.time,
            marks: [request.sequence; 2],
            marked: request.time,
            requests: 1,
            shape: request.shape,
            beside: own.unwrap_or(request.sequence),
            suspected: beside_own,
            forged: false,
            heartbeats_only: request.message == HEARTBEAT_REQUEST,
            heap: Heap::default(),
        };
        if beside_own {
            space.heap.add(request);
        }
        let place = self.spaces.iter().position(Option::is_none).or_else(|| {
            // The one that counted least gives way, suspects first.
            let counted = |space: &Option<Space>| {
                space.map_or((false, 0), |space| (!space.suspected, space.requests))
            };
            (0..SPACES).min_by_key(|place| counted(&self.spaces[*place]))
        });
        if let Some(place) = place {
            self.spaces[place] = Some(space);
        }
    }
}

/// How far it is from one number to another: 24 bits, with sign.
const fn distance(from: u32, to: u32) -> i32 {
    (to.wrapping_sub(from) << 8) as i32 >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERLEAVE: Nanos = Nanos::from_secs(10);

    fn at(sequence: u32, seconds: f64) -> Request {
        Request {
            sequence,
            message: 54,
            time: Nanos((seconds * 1e9) as u64 + 1_000_000_000),
            wire_len: 100,
            shape: HeaderShape { hops: 62, options: 0 },
        }
    }

    fn forged(spaces: &mut Spaces, requests: impl IntoIterator<Item = Request>) -> u64 {
        requests
            .into_iter()
            .filter_map(|request| spaces.take(&request, INTERLEAVE).forged)
            .map(|heap| heap.packets)
            .sum()
    }

    #[test]
    fn a_space_amid_the_senders_own_is_forged_to_the_request() {
        let mut spaces = Spaces::default();
        let own = (0..100).map(|i| at(14_000 + i, f64::from(i)));
        let other = (1..=10).map(|i| at(i, 30.5 + f64::from(i) * 3.0));
        let mut all: Vec<Request> = own.chain(other).collect();
        all.sort_by_key(|request| request.time);
        assert_eq!(forged(&mut spaces, all), 10);
    }

    #[test]
    fn one_forged_request_under_one_number_again_and_again_counts_each_time() {
        let mut spaces = Spaces::default();
        let own = (0..60).map(|i| at(900 + i, f64::from(i)));
        let other = [20.5, 20.6, 41.5].map(|second| at(2, second));
        let mut all: Vec<Request> = own.chain(other).collect();
        all.sort_by_key(|request| request.time);
        assert_eq!(forged(&mut spaces, all), 3);
    }

    #[test]
    fn a_restart_is_none_and_neither_are_late_or_repeated_requests() {
        let mut spaces = Spaces::default();
        let before = (0..50).map(|i| at(5_000 + i, f64::from(i)));
        let after = (1..50).map(|i| at(i, 50.0 + f64::from(i)));
        let again = [at(5_049, 50.5), at(5_048, 50.6)];
        let mut all: Vec<Request> = before.chain(after).chain(again).collect();
        all.sort_by_key(|request| request.time);
        assert_eq!(forged(&mut spaces, all), 0);
    }

    #[test]
    fn a_sender_that_restarts_beside_a_forger_is_not_taken_for_it() {
        let mut spaces = Spaces::default();
        let before = (0..20).map(|i| at(650 + i, f64::from(i) * 0.1));
        let other = [at(2, 1.55)];
        let after = (0..20).map(|i| at(216 + i, 52.0 + f64::from(i) * 0.1));
        let mut all: Vec<Request> = before.chain(other).chain(after).collect();
        all.sort_by_key(|request| request.time);
        assert_eq!(forged(&mut spaces, all), 1);
    }

    #[test]
    fn heartbeats_may_count_for_themselves_unless_in_haste() {
        let mut spaces = Spaces::default();
        let beat = |sequence, second| Request { message: 1, ..at(sequence, second) };
        let own = (0..120).map(|i| at(7_000 + i, f64::from(i)));
        let beats = (0..10).map(|i| beat(40_000 + i, 12.5 + f64::from(i) * 10.0));
        let silent = (0..100).map(|i| beat(0, f64::from(i) + 0.2));
        let mut all: Vec<Request> = own.clone().chain(beats).chain(silent).collect();
        all.sort_by_key(|request| request.time);
        assert_eq!(forged(&mut spaces, all), 0);
        let mut spaces = Spaces::default();
        let haste = (0..200).map(|i| beat(1, 12.5 + f64::from(i) * 0.01));
        let mut all: Vec<Request> = own.chain(haste).collect();
        all.sort_by_key(|request| request.time);
        assert_eq!(forged(&mut spaces, all), 200);
    }
}
