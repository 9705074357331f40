//! What a worker can't tell alone: G-PDUs on tunnels that it does not know, other
//! senders and other users' addresses than a tunnel had, Error Indications. Summed
//! per slice in bounded tables, and told to the session machine.

use weir_wire::Address;

use super::FTeid;
use super::qos::QosFlows;
use super::table::Slot;
use super::usage::Sender;
use crate::keyed_hash::keyed_hash;
use crate::rules::Link;
use crate::track::Inner;
use crate::{Nanos, TapId};

/// Packets of a kind: when, and how many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sum {
    /// The first one's time.
    pub first: Nanos,
    /// The last one's time.
    pub last: Nanos,
    /// How many.
    pub packets: u64,
    /// Bytes of the users' packets.
    pub bytes: u64,
    /// Bytes on the wire.
    pub wire_bytes: u64,
    /// The tap of the first one.
    pub tap: TapId,
    /// Its link.
    pub link: Link,
}

impl Sum {
    /// Adds more of the kind; says whether the more came first.
    pub fn join(&mut self, more: &Sum) -> bool {
        let earlier = (more.first, more.tap.0) < (self.first, self.tap.0);
        if earlier {
            (self.first, self.tap, self.link) = (more.first, more.tap, more.link);
        }
        self.last = self.last.max(more.last);
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.wire_bytes += more.wire_bytes;
        earlier
    }
}

/// G-PDUs of one sender on a tunnel that the worker did not know.
#[derive(Clone, Copy, Debug)]
pub struct Stray {
    /// The tunnel.
    pub end: FTeid,
    /// Who sent.
    pub from: Address,
    /// The users' source address in them.
    pub source: Address,
    /// How many.
    pub sum: Sum,
    /// Their QoS flows.
    pub flows: QosFlows,
    /// The first one's user packet.
    pub inner: Option<Inner>,
}

/// A sender that a worker saw on a tunnel after another, or first.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The tunnel.
    pub slot: Slot,
    /// Which use of the slot.
    pub generation: u16,
    /// Who sent.
    pub sender: Sender,
    /// From where.
    pub from: Address,
    /// Who sent the packet before, if anybody did.
    pub before: Sender,
    /// When that was.
    pub before_last: Nanos,
    /// How many packets differed from the one before; of a contested tunnel all.
    pub sum: Sum,
    /// The first one's user packet.
    pub inner: Option<Inner>,
}

/// Uplink packets whose source is not the UE address that the row has.
#[derive(Clone, Copy, Debug)]
pub struct OddSource {
    /// The tunnel.
    pub slot: Slot,
    /// Which use of the slot.
    pub generation: u16,
    /// The source.
    pub source: Address,
    /// Who sent the G-PDUs.
    pub from: Address,
    /// Towards whom.
    pub to: Address,
    /// How many.
    pub sum: Sum,
    /// The first one's user packet.
    pub inner: Option<Inner>,
}

/// Packets on the link to the data network from a source that is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Escape {
    /// The source.
    pub source: Address,
    /// How many.
    pub sum: Sum,
}

/// Error Indications about one tunnel (TS 29.281 §7.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Complaint {
    /// The tunnel that whoever complains does not know.
    pub end: FTeid,
    /// Who is told.
    pub told: Address,
    /// How many.
    pub sum: Sum,
}

/// What makes several observations one.
pub trait Kind: Copy {
    /// The order of the kinds, and their identity.
    type Key: Copy + Ord;
    /// Its key.
    fn key(&self) -> Self::Key;
    /// Words for a hash of a key.
    fn words(key: &Self::Key) -> [u64; 5];
    /// Adds more of the kind.
    fn join(&mut self, more: &Self);
    /// How many packets it sums up.
    fn sum(&self) -> &Sum;
}

const fn halves(address: Address) -> [u64; 2] {
    [(address.0 >> 64) as u64, address.0 as u64]
}

impl Kind for Stray {
    type Key = (FTeid, Address, Address);
    fn key(&self) -> Self::Key {
        (self.end, self.from, self.source)
    }
    fn words((end, from, source): &Self::Key) -> [u64; 5] {
        let ([a, b], [c, d]) = (halves(end.address), halves(*from));
        let [e, f] = halves(*source);
        [a, b, c, d ^ e.rotate_left(32), u64::from(end.teid) << 32 ^ f]
    }
    fn join(&mut self, more: &Self) {
        self.flows.join(more.flows);
        if self.sum.join(&more.sum) {
            self.inner = more.inner;
        }
    }
    fn sum(&self) -> &Sum {
        &self.sum
    }
}

impl Kind for Change {
    type Key = (Slot, u16, Sender);
    fn key(&self) -> Self::Key {
        (self.slot, self.generation, self.sender)
    }
    fn words((slot, generation, sender): &Self::Key) -> [u64; 5] {
        [u64::from(slot.0), u64::from(*generation), sender.word(), 0, 0]
    }
    fn join(&mut self, more: &Self) {
        if self.sum.join(&more.sum) {
            (self.from, self.inner) = (more.from, more.inner);
            (self.before, self.before_last) = (more.before, more.before_last);
        }
    }
    fn sum(&self) -> &Sum {
        &self.sum
    }
}

impl Kind for OddSource {
    type Key = (Slot, u16, Address, Address);
    fn key(&self) -> Self::Key {
        (self.slot, self.generation, self.source, self.from)
    }
    fn words((slot, generation, source, from): &Self::Key) -> [u64; 5] {
        let ([a, b], [c, d]) = (halves(*source), halves(*from));
        [a, b, c, d, u64::from(slot.0) << 16 | u64::from(*generation)]
    }
    fn join(&mut self, more: &Self) {
        if self.sum.join(&more.sum) {
            (self.to, self.inner) = (more.to, more.inner);
        }
    }
    fn sum(&self) -> &Sum {
        &self.sum
    }
}

impl Kind for Complaint {
    type Key = (FTeid, Address);
    fn key(&self) -> Self::Key {
        (self.end, self.told)
    }
    fn words((end, told): &Self::Key) -> [u64; 5] {
        let ([a, b], [c, d]) = (halves(end.address), halves(*told));
        [a, b, c, d, u64::from(end.teid)]
    }
    fn join(&mut self, more: &Self) {
        self.sum.join(&more.sum);
    }
    fn sum(&self) -> &Sum {
        &self.sum
    }
}

impl Kind for Escape {
    type Key = Address;
    fn key(&self) -> Self::Key {
        self.source
    }
    fn words(source: &Self::Key) -> [u64; 5] {
        let [a, b] = halves(*source);
        [a, b, 0, 0, 0]
    }
    fn join(&mut self, more: &Self) {
        self.sum.join(&more.sum);
    }
    fn sum(&self) -> &Sum {
        &self.sum
    }
}

const FREE: u16 = u16::MAX;

/// The kinds of one slice, and an index over them.
#[derive(Debug)]
pub struct Sums<T> {
    rows: Vec<T>,
    index: Vec<u16>,
    bound: usize,
    secret: u64,
}

impl<T> Default for Sums<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), index: Vec::new(), bound: 0, secret: 0 }
    }
}

impl<T: Kind> Sums<T> {
    /// Empty, with room for `bound` kinds, fewer than 32,768.
    pub fn with_room(bound: usize) -> Self {
        let index = vec![FREE; (bound * 2).next_power_of_two()];
        Self { rows: Vec::with_capacity(bound), index, bound, secret: 0 }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        if !self.rows.is_empty() {
            self.rows.clear();
            self.index.fill(FREE);
        }
    }

    /// The kinds in order of arrival.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// Adds an observation, and gives the packets of its kind; none if there is no room for another
    /// kind.
    pub fn add(&mut self, seen: T) -> Option<u64> {
        match self.look_up(&seen.key()) {
            Ok(place) => {
                let row = self.rows.get_mut(place)?;
                row.join(&seen);
                Some(row.sum().packets)
            }
            Err(_) if self.is_full() => None,
            Err(slot) => {
                *self.index.get_mut(slot)? = self.rows.len() as u16;
                self.rows.push(seen);
                Some(seen.sum().packets)
            }
        }
    }

    /// The row of a kind, if it is there.
    #[inline]
    pub fn row_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        let place = self.look_up(key).ok()?;
        self.rows.get_mut(place)
    }

    /// Whether there is no room for another kind.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.bound
    }

    /// The place of a kind's row, or the slot of the index where it would be noted.
    #[inline]
    fn look_up(&self, key: &T::Key) -> Result<usize, usize> {
        let mask = self.index.len().wrapping_sub(1);
        let mut slot = keyed_hash(T::words(key), self.secret) as usize & mask;
        // At most half of the slots are taken: the search ends.
        while let Some(place) = self.index.get(slot).filter(|place| **place != FREE) {
            let place = usize::from(*place);
            if self.rows.get(place).is_some_and(|row| row.key() == *key) {
                return Ok(place);
            }
            slot = (slot + 1) & mask;
        }
        Err(slot)
    }

    /// Hashes under another secret. There are no kinds yet.
    fn under(&mut self, secret: u64) {
        self.clear();
        self.secret = secret;
    }
}

/// What several workers saw, one row a kind, in the order of the keys.
pub fn merged<'a, T: Kind + 'a>(sums: impl Iterator<Item = &'a Sums<T>>) -> Vec<T> {
    let mut rows: Vec<T> = sums.flat_map(|sums| sums.rows.iter().copied()).collect();
    rows.sort_by_key(Kind::key);
    rows.dedup_by(|later, row| {
        let same = later.key() == row.key();
        if same {
            row.join(later);
        }
        same
    });
    rows
}

/// Everything of one worker and slice.
#[derive(Debug, Default)]
pub struct Unresolved {
    /// G-PDUs on unknown tunnels.
    pub strays: Sums<Stray>,
    /// Senders that follow others.
    pub changes: Sums<Change>,
    /// Users' addresses that differ from the tunnel's.
    pub odd_sources: Sums<OddSource>,
    /// Error Indications.
    pub complaints: Sums<Complaint>,
    /// Sources that are looked for on N6.
    pub escapes: Sums<Escape>,
    /// Users' sources on N6 that no session has.
    pub homeless: Sums<Escape>,
    /// G-PDUs that were found in the table.
    pub attributed: u64,
    /// Observations that found no room.
    pub dropped: u64,
}

impl Unresolved {
    /// Empty, with room for a slice.
    pub fn with_room() -> Self {
        Self {
            strays: Sums::with_room(8192),
            changes: Sums::with_room(4096),
            odd_sources: Sums::with_room(2048),
            complaints: Sums::with_room(2048),
            escapes: Sums::with_room(64),
            homeless: Sums::with_room(2048),
            attributed: 0,
            dropped: 0,
        }
    }

    /// Forgets all, and hashes under this secret from now on: strangers choose much of the keys.
    pub(crate) fn under(&mut self, secret: u64) {
        self.clear();
        self.strays.under(secret);
        self.changes.under(secret);
        self.odd_sources.under(secret);
        self.complaints.under(secret);
        self.escapes.under(secret);
        self.homeless.under(secret);
    }

    /// Forgets all and keeps the room.
    pub fn clear(&mut self) {
        self.strays.clear();
        self.changes.clear();
        self.odd_sources.clear();
        self.complaints.clear();
        self.escapes.clear();
        self.homeless.clear();
        self.attributed = 0;
        self.dropped = 0;
    }
}
