//! Which tunnel later fragments belong to.
//!
//! Only a datagram's first fragment shows ports and TEID. On the packet path
//! nothing is put together: the first fragment leaves a trail, by which the later
//! ones are accounted to their flow and tunnel.
//!
//! The table is a fixed number of sets of four trails. The set of a datagram
//! depends on its key and the secret alone, and whoever spreads fragments over
//! workers sends all of one set to one worker: so what is found, and what is
//! given up for lack of room, does not depend on how many workers there are.
//!
//! In a set the harmless goes first: what has timed out, then what has seen its
//! last fragment, then, counted, the oldest of those that still wait.

use weir_mem::prefetch;
use weir_wire::Address;

use crate::Nanos;
use crate::fragment::DatagramKey;

/// The sets of the table.
pub const SETS: usize = 1024;
const WAYS: usize = 4;

/// How long a trail is followed, either way on the clock: as long as Linux
/// receivers wait for missing fragments. RFC 8200 grants 60 s; on a busy pair
/// the 16-bit identifications of IPv4 come round within seconds, so that a long
/// memory is rather a wrong one, and what comes later than 30 s is counted as
/// [`Counters::unknown`] instead.
pub const PATIENCE: Nanos = Nanos::from_secs(30);

/// The set in which a datagram's trail is kept.
#[inline]
pub fn set_of(key: &DatagramKey, secret: u64) -> usize {
    key.hash(secret) as usize % SETS
}

/// What a first fragment showed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Trail {
    /// The source port, 0 if there is none.
    pub source_port: u16,
    /// The destination port, 0 if there is none.
    pub destination_port: u16,
    /// The TEID, if it is GTP-U.
    pub teid: u32,
    /// Whether it is a G-PDU by its verified header.
    pub g_pdu: bool,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// First fragments that left a trail.
    pub remembered: u64,
    /// Later fragments whose trail was found.
    pub found: u64,
    /// Later fragments whose first one was not seen, or too long ago.
    pub unknown: u64,
    /// Trails given up for lack of room before their last fragment.
    pub evicted: u64,
    /// Trails that another first fragment of the same key contradicted before
    /// their last fragment: an identification used again too soon, or an overlap.
    pub contradicted: u64,
}

impl Counters {
    /// All of them by name.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("remembered", self.remembered),
            ("found", self.found),
            ("unknown", self.unknown),
            ("evicted", self.evicted),
            ("contradicted", self.contradicted),
        ]
    }
}

/// The trails of datagrams whose first fragment was seen.
#[derive(Debug)]
pub struct FragmentTrails {
    sets: Box<[[Way; WAYS]]>,
    secret: u64,
    counters: Counters,
}

/// One cache line, for which the parts of the key stand by themselves.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Way {
    source: Address,
    destination: Address,
    identification: u32,
    protocol: Option<u8>,
    time: Nanos,
    trail: Trail,
    state: State,
}

const _: () = assert!(size_of::<Way>() == 64);

/// In the order in which ways are given up.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum State {
    #[default]
    Empty,
    /// The last fragment was seen; reordered ones may follow.
    Ended,
    Waiting,
}

impl Way {
    fn state(&self, now: Nanos) -> State {
        if now.0.abs_diff(self.time.0) > PATIENCE.0 { State::Empty } else { self.state }
    }

    fn holds(&self, key: &DatagramKey, now: Nanos) -> bool {
        self.identification == key.identification
            && self.source == key.source
            && self.destination == key.destination
            && self.protocol == key.protocol
            && self.state(now) != State::Empty
    }
}

impl FragmentTrails {
    /// An empty table whose sets depend on this secret: 256 KiB, once and for all.
    pub fn new(secret: u64) -> Self {
        Self {
            sets: vec![[Way::default(); WAYS]; SETS].into_boxed_slice(),
            secret,
            counters: Counters::default(),
        }
    }

    /// Asks for the lines of the datagram's set.
    #[inline]
    pub fn prefetch(&self, key: &DatagramKey) {
        for way in &self.sets[set_of(key, self.secret)] {
            prefetch(way);
        }
    }

    /// Keeps what a first fragment showed. The newest first fragment of a key is
    /// the one that later fragments are taken to belong to: on a busy pair
    /// identifications are used again before every straggler has timed out.
    pub fn remember(&mut self, key: &DatagramKey, trail: Trail, time: Nanos) {
        self.counters.remembered += 1;
        let set = &mut self.sets[set_of(key, self.secret)];
        let way = if let Some(same) = set.iter().position(|way| way.holds(key, time)) {
            let old = &set[same];
            let contradicts = old.state == State::Waiting && old.trail != trail;
            self.counters.contradicted += u64::from(contradicts);
            same
        } else {
            let mut victim = 0;
            for way in 1..WAYS {
                let order = |way: &Way| (way.state(time), way.time);
                if order(&set[way]) < order(&set[victim]) {
                    victim = way;
                }
            }
            let given_up = set[victim].state(time) == State::Waiting;
            self.counters.evicted += u64::from(given_up);
            victim
        };
        let DatagramKey { source, destination, identification, protocol } = *key;
        let state = State::Waiting;
        set[way] = Way { source, destination, identification, protocol, time, trail, state };
    }

    /// The trail of a later fragment's datagram; `more` says that it is not the
    /// last one.
    #[inline]
    pub fn find(&mut self, key: &DatagramKey, more: bool, time: Nanos) -> Option<Trail> {
        let set = &mut self.sets[set_of(key, self.secret)];
        let Some(way) = set.iter_mut().find(|way| way.holds(key, time)) else {
            self.counters.unknown += 1;
            return None;
        };
        self.counters.found += 1;
        if !more {
            way.state = State::Ended;
        }
        Some(way.trail)
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: u64 = 99;

    fn key(identification: u32) -> DatagramKey {
        DatagramKey {
            source: Address::v4([10, 0, 0, 1]),
            destination: Address::v4([10, 0, 1, 1]),
            identification,
            protocol: Some(17),
        }
    }

    fn trail(teid: u32) -> Trail {
        Trail { source_port: 2152, destination_port: 2152, teid, g_pdu: true }
    }

    /// So many keys of one set.
    fn of_one_set(count: usize) -> Vec<DatagramKey> {
        (0..).map(key).filter(|key| set_of(key, SECRET) == 5).take(count).collect()
    }

    fn at(seconds: u64) -> Nanos {
        Nanos::from_secs(1_000 + seconds)
    }

    #[test]
    fn later_fragments_find_their_tunnel_and_no_other() {
        let mut trails = FragmentTrails::new(SECRET);
        trails.remember(&key(1), trail(7), at(0));
        assert_eq!(trails.find(&key(1), true, at(0)), Some(trail(7)));
        // Behind the last fragment come reordered ones and copies.
        assert_eq!(trails.find(&key(1), false, at(1)), Some(trail(7)));
        assert_eq!(trails.find(&key(1), true, at(1)), Some(trail(7)));
        let base = key(1);
        for other in [
            key(2),
            DatagramKey { source: base.destination, destination: base.source, ..base },
            DatagramKey { protocol: Some(6), ..base },
            DatagramKey { protocol: None, ..base },
        ] {
            assert_eq!(trails.find(&other, true, at(0)), None);
        }
        let expected = Counters { remembered: 1, found: 3, unknown: 4, ..Counters::default() };
        assert_eq!(trails.counters(), &expected);
    }

    #[test]
    fn keys_of_one_set_are_told_apart_by_every_part() {
        type Change = fn(DatagramKey) -> DatagramKey;
        let changes: [Change; 5] = [
            |key| DatagramKey { source: Address::v4([10, 0, 0, 2]), ..key },
            |key| DatagramKey { destination: Address::v4([10, 0, 0, 2]), ..key },
            |key| DatagramKey { identification: key.identification ^ 0x8000, ..key },
            |key| DatagramKey { protocol: Some(6), ..key },
            |key| DatagramKey { protocol: None, ..key },
        ];
        for change in changes {
            let alike = |key: &DatagramKey| set_of(key, SECRET) == set_of(&change(*key), SECRET);
            let key = (0..1 << 20).map(key).find(alike).unwrap();
            let mut trails = FragmentTrails::new(SECRET);
            trails.remember(&key, trail(7), at(0));
            assert_eq!(trails.find(&change(key), true, at(0)), None, "{:?}", change(key));
        }
    }

    #[test]
    fn an_empty_table_finds_nothing_even_for_a_key_of_zeroes_at_time_zero() {
        let mut trails = FragmentTrails::new(SECRET);
        let zero = DatagramKey { protocol: None, ..DatagramKey::default() };
        assert_eq!(trails.find(&zero, false, Nanos(0)), None);
        trails.remember(&zero, trail(1), Nanos(0));
        assert_eq!(trails.find(&zero, false, Nanos(0)), Some(trail(1)));
        assert_eq!(trails.counters().evicted, 0);
    }

    #[test]
    fn patience_is_exact_either_way_on_the_clock() {
        for (time, found) in [
            (at(30), true),
            (at(30).plus(Nanos(1)), false),
            (at(0).since(PATIENCE), true),
            (at(0).since(PATIENCE).since(Nanos(1)), false),
            (Nanos(0), false),
            (Nanos::MAX, false),
        ] {
            let mut trails = FragmentTrails::new(SECRET);
            trails.remember(&key(1), trail(7), at(0));
            assert_eq!(trails.find(&key(1), true, time).is_some(), found, "{time:?}");
        }
    }

    #[test]
    fn the_harmless_goes_first() {
        let keys = of_one_set(9);
        let mut trails = FragmentTrails::new(SECRET);
        for (second, key) in (0..).zip(&keys[..4]) {
            trails.remember(key, trail(second as u32), at(second));
        }
        // Both have ended; the older one makes room first.
        trails.find(&keys[2], false, at(4));
        trails.find(&keys[1], false, at(4));
        trails.remember(&keys[4], trail(4), at(5));
        trails.remember(&keys[5], trail(5), at(6));
        assert_eq!(trails.counters().evicted, 0);
        let there = |trails: &mut FragmentTrails, now| {
            keys.iter().map(|key| trails.find(key, true, now).is_some()).collect::<Vec<_>>()
        };
        let expected = [true, false, false, true, true, true, false, false, false];
        assert_eq!(there(&mut trails, at(6)), expected);
        // Now all wait: the oldest is given up, and that is counted.
        trails.remember(&keys[6], trail(6), at(7));
        assert_eq!(trails.counters().evicted, 1);
        // Time out comes before everything, and is no eviction.
        trails.find(&keys[6], false, at(7));
        trails.remember(&keys[7], trail(7), at(34));
        assert_eq!(trails.counters().evicted, 1);
        let expected = [false, false, false, false, true, true, true, true, false];
        assert_eq!(there(&mut trails, at(35)), expected);
    }

    #[test]
    fn an_identification_used_again_means_the_newest_datagram() {
        let mut trails = FragmentTrails::new(SECRET);
        trails.remember(&key(1), trail(7), at(0));
        trails.find(&key(1), false, at(0));
        trails.remember(&key(1), trail(8), at(1));
        assert_eq!(trails.find(&key(1), true, at(1)), Some(trail(8)));
        assert_eq!(trails.counters().contradicted, 0);
        // A copy by a doubled tap says the same; what says otherwise is counted.
        trails.remember(&key(1), trail(8), at(1));
        assert_eq!(trails.counters().contradicted, 0);
        trails.remember(&key(1), trail(9), at(1));
        assert_eq!(trails.counters().contradicted, 1);
        assert_eq!(trails.find(&key(1), false, at(1)), Some(trail(9)));
    }

    #[test]
    fn sets_depend_on_the_secret_and_are_filled_evenly() {
        let mut load = vec![0_u32; SETS];
        for number in 0..SETS as u32 * 64 {
            load[set_of(&key(number), SECRET)] += 1;
        }
        let (least, most) = (load.iter().min().unwrap(), load.iter().max().unwrap());
        assert!(*least > 24 && *most < 128, "{least} {most}");
        let moved = (0..1_000).filter(|&n| set_of(&key(n), SECRET) != set_of(&key(n), 1)).count();
        assert!(moved > 990, "{moved}");
    }

    /// What is found and what is given up is the same however many workers share
    /// the sets.
    #[test]
    fn the_number_of_workers_changes_nothing() {
        let run = |workers: usize| {
            let mut tables: Vec<_> = (0..workers).map(|_| FragmentTrails::new(SECRET)).collect();
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let mut found = Vec::new();
            for round in 0..200_000_u64 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let key = key((state >> 20) as u32 % 12_000);
                let table = &mut tables[set_of(&key, SECRET) % workers];
                // One a millisecond, reordered a little.
                let time =
                    at(0).plus(Nanos(round * 1_000_000)).since(Nanos((state >> 60) * 100_000));
                if state & 1 == 0 {
                    table.remember(&key, trail(round as u32), time);
                } else {
                    found.push(table.find(&key, state & 2 == 0, time));
                }
            }
            let mut sums = [0; 5];
            for table in &tables {
                for (sum, (_, count)) in sums.iter_mut().zip(table.counters().named()) {
                    *sum += count;
                }
            }
            (found, sums)
        };
        let alone = run(1);
        assert!(alone.1.iter().all(|&count| count > 1_000), "{:?}", alone.1);
        assert_eq!(run(3), alone);
        assert_eq!(run(8), alone);
    }

    #[test]
    fn ten_million_first_fragments_stay_in_the_table() {
        let mut trails = FragmentTrails::new(SECRET);
        for number in 0..10_000_000_u32 {
            trails.remember(&key(number), trail(number), Nanos(u64::from(number)));
        }
        let last = 9_999_999;
        assert_eq!(trails.find(&key(last), false, Nanos(0)), Some(trail(last)));
        assert_eq!(trails.counters().evicted, 10_000_000 - (SETS * WAYS) as u64);
    }
}
