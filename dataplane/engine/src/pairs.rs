//! Pairs of ends between which G-PDUs went lately. Nearly all go between a few gNBs and UPFs, and
//! what follows from their ends alone need not be found out for each: who they are, which
//! link it is, which flow, and where that flow's row in the slice's ledger is.

use weir_wire::Address;

use crate::Nanos;
use crate::decode::Common;
use crate::frame::{Frame, TapId};
use crate::gather::Shown;
use crate::keyed_hash::fold;
use crate::record::{Flags, Kind, Record};
use crate::rules::Link;
use crate::track::{Prepared, is_between_equipment};
use crate::tunnels::Sender;

/// Pairs are remembered in sets of four, whose keys fill a line.
const WAYS: usize = 4;
const SETS: usize = 1024;
const PAIRS: usize = SETS * WAYS;

/// What stands for a source port in the key of a pair whose G-PDUs may come from any.
const ANY_SOURCE: u64 = 1 << 48;

/// Where the key of a fragment says which part of what it is: above the ports, the tap and
/// [`ANY_SOURCE`].
const PART: u32 = 49;

/// What a fragment is, until its first one has shown that it is nothing of interest.
const IN_FRAGMENTS: Flags = Flags::FIRST_FRAGMENT.or(Flags::LATER_FRAGMENT).or(Flags::ATTRIBUTED);

/// Marks the place of a fragments' pair, which is in a table of its own: senders that send each
/// tunnel from a port of its own would drive users' pairs out with their fragments.
pub(crate) const OF_FRAGMENTS: u16 = 1 << 15;

/// A record whose pair is not looked for has none.
pub(crate) const NONE: u16 = u16::MAX;

/// What makes a packet other than of IPv4, whole and a GTP-U message by its own header.
const OTHER: Flags = Flags::OUTER_V6
    .or(Flags::FIRST_FRAGMENT)
    .or(Flags::LATER_FRAGMENT)
    .or(Flags::ATTRIBUTED)
    .or(Flags::WRAPPED);

/// The ends of a packet, and the tap that it was seen on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct PairKey {
    addresses: u64,
    ports_and_tap: u64,
}

impl PairKey {
    /// The key of a GTP-U packet; none of any other.
    #[inline]
    pub(crate) fn of(record: &Record, frame: &Frame<'_>) -> Option<Self> {
        if record.kind != Kind::Gtpu || record.flags.any(OTHER) {
            return None;
        }
        let header = frame.bytes.get(usize::from(record.outer_ip)..)?.first_chunk::<20>()?;
        let addresses = u64::from_be_bytes(*header[12..].first_chunk()?);
        let ports = u32::from(record.source_port) << 16 | u32::from(record.destination_port);
        Some(Self::new(addresses, ports, record.tap))
    }

    /// The key of a fragment in IPv4, by what its first one showed: apart from whole packets', and
    /// by all that makes its ends other parties or its flow another one.
    #[inline]
    pub(crate) fn of_fragment(record: &Record, frame: &Frame<'_>) -> Option<Self> {
        if !record.flags.any(IN_FRAGMENTS) || record.flags.has(Flags::OUTER_V6) {
            return None;
        }
        let header = frame.bytes.get(usize::from(record.outer_ip)..)?.first_chunk::<20>()?;
        let addresses = u64::from_be_bytes(*header[12..].first_chunk()?);
        let ports = u32::from(record.source_port) << 16 | u32::from(record.destination_port);
        let part = u64::from(record.flags.has(Flags::FIRST_FRAGMENT))
            | u64::from(record.flags.has(Flags::LATER_FRAGMENT)) << 1
            | u64::from(record.flags.has(Flags::ATTRIBUTED)) << 2
            | (record.kind as u64) << 3
            | u64::from(record.protocol) << 5;
        let Self { addresses, ports_and_tap } = Self::new(addresses, ports, record.tap);
        Some(Self { addresses, ports_and_tap: ports_and_tap | part << PART })
    }

    /// The key of a G-PDU of the common shape.
    #[inline]
    pub(crate) fn of_common(common: &Common, tap: TapId) -> Self {
        Self::new(common.addresses, common.ports, tap)
    }

    /// The key of all G-PDUs between the same ends to the same port.
    #[inline]
    pub(crate) fn of_any_source(&self) -> Self {
        Self { ports_and_tap: self.ports_and_tap as u32 as u64 | ANY_SOURCE, ..*self }
    }

    /// The tap.
    pub(crate) fn tap(&self) -> TapId {
        TapId(self.ports_and_tap as u16)
    }

    #[inline]
    fn new(addresses: u64, ports: u32, tap: TapId) -> Self {
        Self { addresses, ports_and_tap: u64::from(ports) << 16 | u64::from(tap.0) }
    }

    /// The addresses, source first.
    #[inline]
    pub(crate) fn ends(&self) -> (Address, Address) {
        let v4 = |number: u32| Address::v4(number.to_be_bytes());
        (v4((self.addresses >> 32) as u32), v4(self.addresses as u32))
    }
}

/// What follows from a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) key: PairKey,
    /// Who is at either end, packed.
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) link: Link,
    /// Whether G-PDUs go up, if it is known which way is up.
    pub(crate) uplink: Option<bool>,
    /// The sender as tunnels know it.
    pub(crate) sender: Sender,
    /// What the packets of the common shape show below IP that are counted in `run`.
    pub(crate) shown: Shown,
    /// Those of them that are still to be told of.
    pub(crate) run: Run,
    /// Whether the sender is looked at below IP.
    pub(crate) is_sighted: bool,
    /// Whether the destination's address names no single node.
    pub(crate) to_local_scope: bool,
    /// Whether both addresses name one.
    pub(crate) is_between_nodes: bool,
    /// Whether the flow of users' packets between them is kept.
    pub(crate) is_tracked: bool,
    /// The flow, with its row in the ledger once it has one.
    pub(crate) flow: Prepared,
}

/// Packets of the common shape that came one after the other and are alike but for their
/// tunnels: added up here, and told of together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// When it began; later ones belong to it, [`Nanos::MAX`] if there is none.
    pub(crate) begin: Nanos,
    pub(crate) last: Nanos,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Run {
    /// No packet belongs to it.
    pub(crate) const NONE: Self = Self { begin: Nanos::MAX, last: Nanos(0), packets: 0, bytes: 0 };
}

/// The keys of a set.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Set([PairKey; WAYS]);

impl Set {
    /// What is the key of no packet: tap and ports have 49 bits.
    const FREE: Self = Self([PairKey { addresses: 0, ports_and_tap: u64::MAX }; WAYS]);
}

/// The pairs of one worker, under one policy.
#[derive(Debug)]
pub(crate) struct Pairs {
    sets: Box<[Set]>,
    rows: Box<[Option<Pair>]>,
    /// A bit for each place whose pair has a run.
    runs: [u64; PAIRS / 64],
    /// Of a full set, the way that is given to the next pair.
    turn: usize,
    secret: u64,
    multiplier: u64,
}

impl Pairs {
    pub(crate) fn new(secret: u64) -> Self {
        Self {
            sets: vec![Set::FREE; SETS].into(),
            rows: vec![None; PAIRS].into(),
            runs: [0; PAIRS / 64],
            turn: 0,
            secret,
            multiplier: secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1,
        }
    }

    /// Forgets all: another policy knows them otherwise.
    pub(crate) fn forget(&mut self) {
        self.sets.fill(Set::FREE);
        self.rows.fill(None);
    }

    #[inline]
    fn set_of(&self, key: &PairKey) -> usize {
        let hash = fold(key.addresses ^ self.secret, self.multiplier);
        (fold(hash ^ key.ports_and_tap, self.multiplier) >> 32) as usize % SETS
    }

    /// The pair of a key, if it is remembered, and its place.
    pub(crate) fn find(&mut self, key: &PairKey) -> Option<(u16, &mut Pair)> {
        let place = self.place(key)?;
        Some((place as u16, self.rows[place].as_mut()?))
    }

    /// The place of a pair that is remembered by its ports; none if it is of two equipment, whose
    /// G-PDUs have another one: another message of GTP-U came before them.
    #[inline(never)]
    fn place_by_ports(&self, key: &PairKey) -> Option<usize> {
        let place = self.place(key)?;
        let pair = self.rows[place].as_ref()?;
        (!is_between_equipment(pair.source, pair.destination)).then_some(place)
    }

    #[inline(always)]
    fn place(&self, key: &PairKey) -> Option<usize> {
        let set = self.set_of(key);
        let way = self.sets[set].0.iter().position(|it| it == key)?;
        Some(set * WAYS + way)
    }

    /// The pair of a G-PDU: that of its ends whichever port it is from, else of its ports.
    #[inline(always)]
    pub(crate) fn find_of_users(&mut self, key: &PairKey) -> Option<(u16, &mut Pair)> {
        let place = self.place(&key.of_any_source()).or_else(|| self.place_by_ports(key))?;
        Some((place as u16, self.rows[place].as_mut()?))
    }

    /// Where a pair that is not remembered will be: in a free place of its set, else in that of
    /// another pair, each in its turn.
    pub(crate) fn room(&mut self, key: &PairKey) -> u16 {
        let first = self.set_of(key) * WAYS;
        let free = self.rows[first..first + WAYS].iter().position(Option::is_none);
        let way = free.unwrap_or_else(|| {
            self.turn = (self.turn + 1) % WAYS;
            self.turn
        });
        (first + way) as u16
    }

    /// The pair in a place that was just found or put.
    #[inline]
    pub(crate) fn at(&mut self, place: u16) -> Option<&mut Pair> {
        self.rows.get_mut(usize::from(place))?.as_mut()
    }

    /// Notes that the pair of a place has a run.
    pub(crate) fn note_run(&mut self, place: u16) {
        self.runs[usize::from(place) / 64 % (PAIRS / 64)] |= 1 << (place % 64);
    }

    /// Visits the pairs that have runs, and then none has.
    pub(crate) fn end_runs(&mut self, mut end: impl FnMut(&mut Pair)) {
        for (word, runs) in self.runs.iter_mut().enumerate() {
            while *runs != 0 {
                let place = word * 64 + runs.trailing_zeros() as usize;
                *runs &= *runs - 1;
                if let Some(Some(pair)) = self.rows.get_mut(place) {
                    end(pair);
                    pair.run = Run::NONE;
                }
            }
        }
    }

    /// Remembers what was found out about a pair, in its room.
    pub(crate) fn put(&mut self, place: u16, pair: Pair) {
        let place = usize::from(place);
        self.sets[place / WAYS].0[place % WAYS] = pair.key;
        self.rows[place] = Some(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> PairKey {
        let (gnb, upf) = (0x0a00_0000 + n / 4, 0x0a00_ff00 + n / 2 % 2);
        let (from, to) = if n.is_multiple_of(2) { (gnb, upf) } else { (upf, gnb) };
        PairKey::new(u64::from(from) << 32 | u64::from(to), 2152 << 16 | 2152, TapId(0))
    }

    fn pair(key: PairKey) -> Pair {
        Pair {
            key,
            source: 0,
            destination: 0,
            link: Link::N3,
            uplink: None,
            sender: Sender::default(),
            shown: Shown::default(),
            run: Run::NONE,
            is_sighted: false,
            to_local_scope: false,
            is_between_nodes: true,
            is_tracked: true,
            flow: Prepared::default(),
        }
    }

    #[test]
    fn whatever_makes_a_fragment_of_another_flow_or_party_makes_another_key() {
        let frame = Frame { bytes: &[0x45; 40], ..Frame::default() };
        let fragment = Record { outer_ip: 0, flags: Flags::FIRST_FRAGMENT, ..Record::default() };
        let later = Record { flags: Flags::LATER_FRAGMENT, ..fragment };
        let parts = [
            fragment,
            later,
            Record { flags: Flags::ATTRIBUTED, ..fragment },
            Record { kind: Kind::Gtpu, ..fragment },
            Record { kind: Kind::Pfcp, ..fragment },
            Record { protocol: 6, ..fragment },
            Record { protocol: 255, ..fragment },
            Record { source_port: 1, ..fragment },
            Record { destination_port: 1, ..fragment },
            Record { tap: TapId(1), ..fragment },
        ];
        let key = |record: &Record| PairKey::of_fragment(record, &frame);
        for (i, one) in parts.iter().enumerate() {
            assert!(key(one).is_some());
            assert!(parts[..i].iter().all(|other| key(other) != key(one)), "{one:?}");
        }
        assert!(key(&Record { flags: Flags(0), ..fragment }).is_none());
        let v6 = Record { flags: fragment.flags.or(Flags::OUTER_V6), ..fragment };
        assert!(key(&v6).is_none());
    }

    #[test]
    fn the_pairs_of_a_region_are_remembered_side_by_side() {
        for secret in [0, 7, 0x9e37_79b9_7f4a_7c15_u64, 0xd6e8_feb8_6659_fd93] {
            let mut pairs = Pairs::new(secret);
            for n in 0..800 {
                let place = pairs.room(&key(n));
                pairs.put(place, pair(key(n)));
            }
            let forgotten = (0..800).filter(|n| pairs.find(&key(*n)).is_none()).count();
            assert!(forgotten < 8, "{forgotten} with {secret:x}");
            pairs.forget();
            assert!((0..800).all(|n| pairs.find(&key(n)).is_none()));
        }
    }

    #[test]
    fn of_a_full_set_each_pair_gives_way_in_its_turn() {
        let mut pairs = Pairs::new(7);
        let first = pairs.set_of(&key(0));
        let meeting: Vec<_> =
            (0..).map(key).filter(|key| pairs.set_of(key) == first).take(9).collect();
        for key in &meeting {
            let place = pairs.room(key);
            pairs.put(place, pair(*key));
            assert_eq!(pairs.find(key).map(|(at, pair)| (at, pair.key)), Some((place, *key)));
        }
        let kept = meeting.iter().filter(|key| pairs.find(key).is_some()).count();
        assert_eq!(kept, WAYS);
    }

    #[test]
    fn the_same_ends_on_two_taps_have_sets_of_their_own() {
        let mut shared = 0;
        for secret in (1..200).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let pairs = Pairs::new(secret);
            let set = |tap| {
                let ends = 0x0a00_0001_0a00_0101;
                pairs.set_of(&PairKey::new(ends, 2152 << 16 | 2152, TapId(tap)))
            };
            shared += usize::from(set(0) == set(1)) + usize::from(set(2) == set(3));
        }
        assert!(shared < 5, "{shared} of 398 pairs of taps share a set");
    }
}
