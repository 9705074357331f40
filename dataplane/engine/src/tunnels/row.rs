//! A tunnel's row: eight words, one cache line, under a sequence word.
//!
//! The writer makes the sequence odd, writes, and makes it even again; a reader
//! that meets an odd one, or another one after its reading than before, has read
//! nothing. So a row is never seen half old and half new.

use weir_wire::Address;

use super::FTeid;
use super::cells::{AtomicU64, Ordering, fence};
use crate::Nanos;

/// Words of a row.
pub(super) const WORDS: usize = 8;

/// How often a reader tries again before it takes the row as busy. The model checker
/// follows every try.
const PATIENCE: usize = if cfg!(loom) { 2 } else { 64 };

/// Facts about a tunnel that are single bits; the top half counts how often the
/// slot was used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RowFlags(pub u32);

impl RowFlags {
    /// G-PDUs go towards the radio side.
    pub const DOWNLINK: RowFlags = RowFlags(1);
    /// The UP function of the session gave the F-TEID; else it sends there.
    pub const LOCAL: RowFlags = RowFlags(1 << 1);
    /// The user's address in uplink packets is that of the row, or odd.
    pub const CHECKED: RowFlags = RowFlags(1 << 2);
    /// A UE address of IPv4 is known.
    pub const UE_V4: RowFlags = RowFlags(1 << 3);
    /// A UE prefix of IPv6 is known.
    pub const UE_V6: RowFlags = RowFlags(1 << 4);
    /// Several senders were seen at a time: every packet's is told.
    pub const CONTESTED: RowFlags = RowFlags(1 << 5);
    /// Several senders were seen: one that comes again after a silence is told.
    pub const SHARED: RowFlags = RowFlags(1 << 7);
    /// The session is known in part: who its user is, its packets tell.
    pub const NAMELESS: RowFlags = RowFlags(1 << 6);

    /// Another row has, or had, the same F-TEID: a look-up must compare them.
    pub const TWIN: RowFlags = RowFlags(1 << 8);

    /// Whether any bit of `wanted` is set.
    #[inline]
    pub const fn any(self, wanted: RowFlags) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Both sets of bits.
    pub const fn or(self, more: RowFlags) -> RowFlags {
        RowFlags(self.0 | more.0)
    }

    /// Whether every bit of `wanted` is set.
    #[inline]
    pub const fn has(self, wanted: RowFlags) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Sets the bits of `more`.
    pub const fn set(&mut self, more: RowFlags) {
        self.0 |= more.0;
    }

    /// Clears the bits of `less`.
    pub const fn clear(&mut self, less: RowFlags) {
        self.0 &= !less.0;
    }

    /// Which use of the slot this is.
    #[inline]
    pub const fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The same facts in another use of the slot.
    pub(super) const fn with_generation(self, generation: u16) -> Self {
        Self(self.0 & 0xffff | (generation as u32) << 16)
    }
}

/// What is known of a tunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// The F-TEID.
    pub end: FTeid,
    /// Facts.
    pub flags: RowFlags,
    /// From this packet time on.
    pub since: Nanos,
    /// Before this packet time; [`Nanos::MAX`] while the tunnel lives.
    pub until: Nanos,
    /// The session, by its place in the session machine's store.
    pub session: u32,
    /// The UE's IPv4 address, if [`RowFlags::UE_V4`].
    pub ue4: u32,
    /// The first 64 bits of the UE's prefix, if [`RowFlags::UE_V6`].
    pub ue6: u64,
}

impl Row {
    /// Whether a packet of this time is the tunnel's.
    #[inline]
    pub fn holds_at(&self, time: Nanos) -> bool {
        self.since <= time && time < self.until
    }

    /// Whether an uplink packet may come from this address.
    #[inline]
    pub fn is_ue(&self, source: Address) -> bool {
        match source.as_v4() {
            Some(v4) => self.flags.has(RowFlags::UE_V4) && v4 == self.ue4,
            None => self.flags.has(RowFlags::UE_V6) && (source.0 >> 64) as u64 == self.ue6,
        }
    }

    fn words(&self) -> [u64; WORDS - 1] {
        [
            u64::from(self.end.teid) << 32 | u64::from(self.flags.0),
            self.end.address.0 as u64,
            (self.end.address.0 >> 64) as u64,
            self.since.0,
            self.until.0,
            u64::from(self.session) << 32 | u64::from(self.ue4),
            self.ue6,
        ]
    }

    fn of_words(words: [u64; WORDS - 1]) -> Self {
        let [head, low, high, since, until, session, ue6] = words;
        Self {
            end: FTeid {
                address: Address(u128::from(high) << 64 | u128::from(low)),
                teid: (head >> 32) as u32,
            },
            flags: RowFlags(head as u32),
            since: Nanos(since),
            until: Nanos(until),
            session: (session >> 32) as u32,
            ue4: session as u32,
            ue6,
        }
    }
}

/// Reads a row; none if the writer is at it.
#[inline]
pub(super) fn read(cells: &[AtomicU64; WORDS]) -> Option<Row> {
    let [sequence, content @ ..] = cells;
    for _ in 0..PATIENCE {
        let before = sequence.load(Ordering::Acquire);
        if before & 1 == 0 {
            let words = content.each_ref().map(|cell| cell.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if sequence.load(Ordering::Relaxed) == before {
                return Some(Row::of_words(words));
            }
        }
        std::hint::spin_loop();
        #[cfg(loom)]
        loom::thread::yield_now();
    }
    None
}

/// What counts of a row for a packet of its tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Facts.
    pub flags: RowFlags,
    /// The UE's IPv4 address, if [`RowFlags::UE_V4`].
    pub ue4: u32,
    /// The first 64 bits of the UE's prefix, if [`RowFlags::UE_V6`].
    pub ue6: u64,
}

/// Reads what counts for a packet to an IPv4 address; none if the writer is at the row, or
/// the row is another tunnel's, has a twin, or does not hold at that time.
#[inline]
pub(super) fn glance(
    cells: &[AtomicU64; WORDS],
    to: u32,
    teid: u32,
    time: Nanos,
) -> Option<Glance> {
    let [sequence, head, low, high, since, until, session, ue6] = cells;
    let before = sequence.load(Ordering::Acquire);
    let [head, low, high, since, until, session, ue6] =
        [head, low, high, since, until, session, ue6].map(|cell| cell.load(Ordering::Relaxed));
    fence(Ordering::Acquire);
    let after = sequence.load(Ordering::Relaxed);
    let flags = RowFlags(head as u32);
    let end = Address::v4(to.to_be_bytes()).0;
    let differing = (before ^ after)
        | before & 1
        | (head >> 32 ^ u64::from(teid))
        | (low ^ end as u64)
        | (high ^ (end >> 64) as u64)
        | u64::from(flags.0 & RowFlags::TWIN.0);
    let holds = differing == 0 && since <= time.0 && time.0 < until;
    holds.then_some(Glance { flags, ue4: session as u32, ue6 })
}

/// Writes a row. One thread writes a table.
pub(super) fn write(cells: &[AtomicU64; WORDS], row: &Row) {
    let [sequence, content @ ..] = cells;
    let before = sequence.load(Ordering::Relaxed);
    sequence.store(before.wrapping_add(1), Ordering::Relaxed);
    fence(Ordering::Release);
    for (cell, word) in content.iter().zip(row.words()) {
        cell.store(word, Ordering::Relaxed);
    }
    sequence.store(before.wrapping_add(2), Ordering::Release);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let cells = [const { 0_u64 }; WORDS].map(AtomicU64::new);
        let row = Row {
            end: FTeid { address: Address(0x1234_5678 << 96 | 7), teid: 0xdead_beef },
            flags: RowFlags(0xabcd_0013),
            since: Nanos(1),
            until: Nanos::MAX,
            session: 0xffff_fffe,
            ue4: 0x0a3c_0001,
            ue6: 0x2001_0db8_0060_0000,
        };
        write(&cells, &row);
        assert_eq!(read(&cells), Some(row));
    }

    #[test]
    fn an_address_is_the_ues_by_family() {
        let row = Row {
            end: FTeid::default(),
            flags: RowFlags(RowFlags::UE_V4.0 | RowFlags::UE_V6.0),
            since: Nanos(0),
            until: Nanos::MAX,
            session: 0,
            ue4: 0x0a3c_0001,
            ue6: 0x2001_0db8_0060_0001,
        };
        assert!(row.is_ue(Address::v4([10, 60, 0, 1])) && !row.is_ue(Address::v4([10, 60, 0, 2])));
        assert!(row.is_ue(Address(0x2001_0db8_0060_0001 << 64 | 99)));
        assert!(!row.is_ue(Address(0x2001_0db8_0060_0002 << 64 | 99)));
        let unknown = Row { flags: RowFlags(0), ..row };
        assert!(!unknown.is_ue(Address::v4([10, 60, 0, 1])));
    }
}
