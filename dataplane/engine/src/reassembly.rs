//! Fragments put together to datagrams again (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! **Whose bytes win.** Receivers differ where fragments overlap, and whoever
//! wants to be read differently by the inspector than by the receiver sends
//! overlaps. In IPv4 the first bytes win here: today's Linux, on which most of a
//! 5G core runs, keeps the first copy of what comes twice and discards a series
//! that overlaps in part; older systems went by five other rules. Reading more
//! than a receiver does costs a needless look; reading less would be the evasion.
//! In IPv6 a partial overlap discards the datagram with all its fragments, those
//! still to come included (RFC 5722), as every common receiver does; a piece of
//! which all bytes are there already is a repetition, and the first copy stays.
//! How many datagrams would read otherwise under another rule is counted
//! ([`Counters::conflicting`]).
//!
//! **What a bad piece does.** One that no receiver could place (too long, empty,
//! contradicting the length that is already known) is left out, counted, and
//! spoils nothing: else a single forged piece would blind the inspector.
//!
//! **Bounds.** A datagram is laid out in pages of 64 blocks of 8 bytes, each with
//! a word that says which blocks are there: a piece costs time in proportion to
//! its own length, in whatever order pieces come. All memory is set aside at the
//! start; a full table gives up the datagram that began to wait first.

mod pages;

use crate::Nanos;
use crate::fragment::{DatagramKey, Piece};

use pages::{BLOCK, LONGEST, Layout, NONE, PAGE, PAGES_PER_DATAGRAM, Pages};

/// Why a datagram, or a piece of one, was given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum GiveUp {
    /// A datagram whose missing pieces did not come in time.
    TimedOut,
    /// A datagram that had waited longest when there was no room for another.
    Evicted,
    /// An IPv6 datagram with pieces that overlap in part (RFC 5722).
    Overlap,
    /// A piece that contradicts the length that another gave the datagram.
    Contradiction,
    /// A piece that reaches beyond the 65,535 bytes that a datagram can have.
    TooLong,
    /// A piece without bytes, or one amid the datagram that is no multiple of 8 long.
    BadLength,
    /// A piece of which the capture holds only the beginning.
    Cut,
}

impl GiveUp {
    /// Every reason, in the order of its code.
    pub const ALL: [GiveUp; 7] = [
        GiveUp::TimedOut,
        GiveUp::Evicted,
        GiveUp::Overlap,
        GiveUp::Contradiction,
        GiveUp::TooLong,
        GiveUp::BadLength,
        GiveUp::Cut,
    ];

    /// The name in counters.
    pub const fn name(self) -> &'static str {
        match self {
            GiveUp::TimedOut => "timed_out",
            GiveUp::Evicted => "evicted",
            GiveUp::Overlap => "overlap",
            GiveUp::Contradiction => "contradiction",
            GiveUp::TooLong => "too_long",
            GiveUp::BadLength => "bad_length",
            GiveUp::Cut => "cut",
        }
    }
}

/// What came of a piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome<'a> {
    /// Others are missing.
    Waiting,
    /// It was the missing one.
    Complete(Datagram<'a>),
    /// It was left out, or its datagram given up.
    GivenUp(GiveUp),
}

/// A datagram put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// The protocol number by its first fragment: in IPv6 possibly that of an
    /// extension header ([`weir_wire::ipv6::Upper`] walks on).
    pub protocol: u8,
    /// Everything behind the IP header, or behind the fragment header in IPv6.
    pub payload: &'a [u8],
}

/// What reassembly may hold at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Datagrams, at least 1.
    pub datagrams: usize,
    /// Bytes for their payloads, in pages of 512; at least 64 KiB.
    pub bytes: usize,
    /// How long a datagram waits for its missing pieces, either way on the clock.
    pub patience: Nanos,
}

/// 16,384 datagrams and 32 MiB, for 30 s: as long as Linux receivers wait, so
/// that pieces sent slowly reach the inspector no later than the receiver.
impl Default for Limits {
    fn default() -> Self {
        Self { datagrams: 1 << 14, bytes: 32 << 20, patience: Nanos::from_secs(30) }
    }
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Pieces that came.
    pub pieces: u64,
    /// Datagrams put together.
    pub completed: u64,
    /// Datagrams of which some bytes came twice, the same both times.
    pub repeated: u64,
    /// Datagrams of which some bytes came twice and differed: under another
    /// rule than this reader's they read otherwise.
    pub conflicting: u64,
    /// IPv4 pieces amid a datagram whose bytes behind the last whole block were left out.
    pub trimmed: u64,
    /// Datagrams or pieces given up, by [`GiveUp`].
    pub given_up: [u64; GiveUp::ALL.len()],
}

impl Counters {
    /// All of them by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("pieces", self.pieces),
            ("completed", self.completed),
            ("repeated", self.repeated),
            ("conflicting", self.conflicting),
            ("trimmed", self.trimmed),
        ]
        .into_iter()
        .chain(GiveUp::ALL.map(GiveUp::name).into_iter().zip(self.given_up))
    }
}

/// Datagrams that one piece times out in passing, so that no piece waits for many.
const SWEEP: usize = 4;

/// Puts datagrams together.
#[derive(Debug)]
pub struct Reassembler {
    limits: Limits,
    secret: u64,
    rows: Vec<Row>,
    free_rows: Vec<u32>,
    /// The first row of each chain of rows whose keys have the same hash.
    buckets: Vec<u32>,
    oldest: u32,
    newest: u32,
    pages: Pages,
    whole: Vec<u8>,
    counters: Counters,
}

/// A datagram that waits.
#[derive(Clone, Debug)]
struct Row {
    key: DatagramKey,
    started: Nanos,
    /// By the piece with offset 0.
    protocol: Option<u8>,
    /// By the last piece.
    total: Option<usize>,
    /// How far the pieces reach.
    reach: usize,
    blocks: usize,
    repeated: bool,
    conflicting: bool,
    /// Nothing of it is wanted any more, and it holds no pages.
    discarded: bool,
    pages: Layout,
    /// The chain that it is in.
    bucket: u32,
    next_in_bucket: u32,
    older: u32,
    newer: u32,
}

impl Row {
    /// No datagram's.
    const VACANT: Self = Self {
        key: DatagramKey::NONE,
        started: Nanos(0),
        protocol: None,
        total: None,
        reach: 0,
        blocks: 0,
        repeated: false,
        conflicting: false,
        discarded: false,
        pages: Layout::EMPTY,
        bucket: 0,
        next_in_bucket: NONE,
        older: NONE,
        newer: NONE,
    };
}

impl Reassembler {
    /// An empty table within `limits`, whose hash has this secret.
    pub fn new(limits: Limits, secret: u64) -> Self {
        let datagrams = limits.datagrams.clamp(1, 1 << 24);
        Self {
            limits: Limits { datagrams, ..limits },
            secret,
            rows: Vec::with_capacity(datagrams),
            free_rows: Vec::with_capacity(datagrams),
            buckets: vec![NONE; datagrams.next_power_of_two()],
            oldest: NONE,
            newest: NONE,
            pages: Pages::new((limits.bytes / PAGE).clamp(PAGES_PER_DATAGRAM, 1 << 24)),
            whole: vec![0; PAGES_PER_DATAGRAM * PAGE],
            counters: Counters::default(),
        }
    }

    /// Takes a piece in. Datagrams that waited too long by its time are given up
    /// in passing.
    pub fn add(&mut self, piece: &Piece<'_>) -> Outcome<'_> {
        self.counters.pieces += 1;
        self.sweep(piece.time, SWEEP);
        match self.take(piece) {
            Err(reason) => Outcome::GivenUp(reason),
            Ok(row) => match self.rows[row as usize].whole() {
                Some((protocol, total)) => Outcome::Complete(self.complete(row, protocol, total)),
                None => Outcome::Waiting,
            },
        }
    }

    /// Gives up what waits too long by `now`; [`Nanos::MAX`] gives up everything.
    pub fn expire(&mut self, now: Nanos) {
        self.sweep(now, usize::MAX);
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Datagrams held, those included of which nothing is wanted any more.
    pub fn waiting(&self) -> usize {
        self.rows.len() - self.free_rows.len()
    }

    /// Bytes of the pages held.
    pub fn bytes(&self) -> usize {
        self.pages.taken() * PAGE
    }

    fn give_up(&mut self, reason: GiveUp) -> GiveUp {
        self.counters.given_up[reason as usize] += 1;
        reason
    }

    fn sweep(&mut self, now: Nanos, most: usize) {
        for _ in 0..most {
            if self.oldest == NONE || !self.is_over(self.oldest, now) {
                return;
            }
            self.time_out(self.oldest);
        }
    }

    /// A clock set back by more than the patience ends the waiting too: what
    /// began in a future that never comes would wait for ever.
    fn is_over(&self, row: u32, now: Nanos) -> bool {
        let started = self.rows[row as usize].started;
        now == Nanos::MAX || now.0.abs_diff(started.0) > self.limits.patience.0
    }

    fn time_out(&mut self, row: u32) {
        if !self.rows[row as usize].discarded {
            self.give_up(GiveUp::TimedOut);
        }
        self.remove(row);
    }

    fn evict(&mut self, row: u32) {
        if !self.rows[row as usize].discarded {
            self.give_up(GiveUp::Evicted);
        }
        self.remove(row);
    }

    /// Lays a piece into its datagram's row.
    fn take(&mut self, piece: &Piece<'_>) -> Result<u32, GiveUp> {
        let payload = placeable(piece).map_err(|reason| self.give_up(reason))?;
        let index = self.row(piece);
        let row = &mut self.rows[index as usize];
        if row.discarded {
            return Err(GiveUp::Overlap);
        }
        let end = piece.offset + payload.len();
        if !row.agrees(end, piece.more) {
            return Err(self.give_up(GiveUp::Contradiction));
        }
        let survey = self.pages.survey(&row.pages, piece.offset, payload);
        if survey.known > 0 {
            row.note(survey.conflicting, &mut self.counters);
            let partial = survey.known < payload.len().div_ceil(BLOCK);
            if partial && piece.key.protocol.is_none() {
                row.discarded = true;
                self.pages.release(&mut row.pages);
                return Err(self.give_up(GiveUp::Overlap));
            }
        }
        self.make_room(survey.absent_pages, index)?;
        let row = &mut self.rows[index as usize];
        row.blocks += self.pages.lay(&mut row.pages, piece.offset, payload);
        row.reach = row.reach.max(end);
        if !piece.more {
            row.total = Some(end);
        }
        if piece.offset == 0 {
            row.protocol.get_or_insert(piece.protocol);
        }
        self.counters.trimmed += u64::from(payload.len() < piece.payload.len());
        Ok(index)
    }

    /// Evicts the oldest datagrams until `pages` are free. It is `row`'s own turn
    /// if that is the oldest; alone it always finds room.
    fn make_room(&mut self, pages: usize, row: u32) -> Result<(), GiveUp> {
        while self.pages.free() < pages {
            let oldest = self.oldest;
            self.evict(oldest);
            if oldest == row {
                return Err(GiveUp::Evicted);
            }
        }
        Ok(())
    }

    /// The row of the piece's datagram, a new one if none waits.
    fn row(&mut self, piece: &Piece<'_>) -> u32 {
        let bucket = self.bucket(&piece.key);
        let mut row = self.buckets[bucket];
        while row != NONE && self.rows[row as usize].key != piece.key {
            row = self.rows[row as usize].next_in_bucket;
        }
        if row != NONE {
            if !self.is_over(row, piece.time) {
                return row;
            }
            self.time_out(row);
        }
        if self.waiting() == self.limits.datagrams {
            self.evict(self.oldest);
        }
        self.open(piece, bucket)
    }

    fn bucket(&self, key: &DatagramKey) -> usize {
        key.hash(self.secret) as usize % self.buckets.len()
    }

    fn open(&mut self, piece: &Piece<'_>, bucket: usize) -> u32 {
        let index = match self.free_rows.pop() {
            Some(free) => free,
            None => {
                self.rows.push(Row::VACANT);
                (self.rows.len() - 1) as u32
            }
        };
        let row = &mut self.rows[index as usize];
        // A vacant row's layout is empty whatever stands in it, and too large to be written anew.
        row.key = piece.key;
        row.started = piece.time;
        (row.protocol, row.total) = (None, None);
        (row.reach, row.blocks) = (0, 0);
        (row.repeated, row.conflicting, row.discarded) = (false, false, false);
        row.bucket = bucket as u32;
        row.next_in_bucket = self.buckets[bucket];
        (row.older, row.newer) = (self.newest, NONE);
        self.buckets[bucket] = index;
        match self.rows.get_mut(self.newest as usize) {
            Some(newest) => newest.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
        index
    }

    fn remove(&mut self, index: u32) {
        let row = &mut self.rows[index as usize];
        self.pages.release(&mut row.pages);
        let (next, older, newer) = (row.next_in_bucket, row.older, row.newer);
        let bucket = row.bucket as usize;
        match self.rows.get_mut(older as usize) {
            Some(row) => row.newer = newer,
            None => self.oldest = newer,
        }
        match self.rows.get_mut(newer as usize) {
            Some(row) => row.older = older,
            None => self.newest = older,
        }
        let mut before = self.buckets[bucket];
        if before == index {
            self.buckets[bucket] = next;
        } else {
            while self.rows[before as usize].next_in_bucket != index {
                before = self.rows[before as usize].next_in_bucket;
            }
            self.rows[before as usize].next_in_bucket = next;
        }
        self.free_rows.push(index);
    }

    fn complete(&mut self, row: u32, protocol: u8, total: usize) -> Datagram<'_> {
        self.counters.completed += 1;
        let pages = &self.rows[row as usize].pages;
        for (page, to) in pages.leading().iter().zip(self.whole[..total].chunks_mut(PAGE)) {
            to.copy_from_slice(&self.pages.page(*page)[..to.len()]);
        }
        self.remove(row);
        Datagram { protocol, payload: &self.whole[..total] }
    }
}

impl Row {
    /// Whether a piece that ends there fits to what is known of the length.
    fn agrees(&self, end: usize, more: bool) -> bool {
        match (self.total, more) {
            (Some(total), true) => end <= total,
            (Some(total), false) => end == total,
            (None, true) => true,
            (None, false) => end >= self.reach,
        }
    }

    /// Notes that bytes came twice, once per datagram.
    fn note(&mut self, conflicting: bool, counters: &mut Counters) {
        let (noted, counter) = if conflicting {
            (&mut self.conflicting, &mut counters.conflicting)
        } else {
            (&mut self.repeated, &mut counters.repeated)
        };
        *counter += u64::from(!std::mem::replace(noted, true));
    }

    /// The protocol and the length, once every block is there.
    fn whole(&self) -> Option<(u8, usize)> {
        let (protocol, total) = (self.protocol?, self.total?);
        (self.blocks == total.div_ceil(BLOCK)).then_some((protocol, total))
    }
}

/// The bytes of a piece that can be placed.
fn placeable<'a>(piece: &Piece<'a>) -> Result<&'a [u8], GiveUp> {
    let mut payload = piece.payload;
    if piece.cut {
        return Err(GiveUp::Cut);
    }
    if !piece.offset.is_multiple_of(BLOCK) {
        return Err(GiveUp::BadLength);
    }
    if piece.more && !payload.len().is_multiple_of(BLOCK) {
        // Linux reads the whole blocks of such an IPv4 piece, and refuses an
        // IPv6 one (RFC 8200 §4.5).
        if piece.key.protocol.is_none() {
            return Err(GiveUp::BadLength);
        }
        payload = &payload[..payload.len() / BLOCK * BLOCK];
    }
    if payload.is_empty() {
        Err(GiveUp::BadLength)
    } else if piece.offset.saturating_add(payload.len()) > LONGEST {
        Err(GiveUp::TooLong)
    } else {
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_wire::Address;

    fn first(number: u32, payload: &[u8]) -> Piece<'_> {
        let key = DatagramKey {
            source: Address::v4([10, 0, (number >> 24) as u8, 1]),
            destination: Address::v4([10, 0, 1, 1]),
            identification: number,
            protocol: Some(17),
        };
        let time = Nanos(u64::from(number));
        Piece { key, protocol: 17, offset: 0, more: true, cut: false, payload, time }
    }

    /// Where the memory is and how much: it neither grows nor moves.
    fn memory(of: &Reassembler) -> [(usize, usize); 7] {
        let [bytes, held, free] = of.pages.memory();
        [
            (of.rows.as_ptr() as usize, of.rows.capacity()),
            (of.free_rows.as_ptr() as usize, of.free_rows.capacity()),
            (of.buckets.as_ptr() as usize, of.buckets.capacity()),
            (of.whole.as_ptr() as usize, of.whole.capacity()),
            bytes,
            held,
            free,
        ]
    }

    #[test]
    fn ten_million_first_fragments_stay_within_bounds() {
        let limits = Limits { datagrams: 4096, bytes: 1 << 20, patience: Nanos(1 << 40) };
        let mut reassembler = Reassembler::new(limits, 3);
        let before = memory(&reassembler);
        let payload = [7; 520];
        for number in 0..10_000_000_u32 {
            let len = if number % 16 == 0 { 520 } else { 8 };
            assert_eq!(reassembler.add(&first(number, &payload[..len])), Outcome::Waiting);
            if number % 1024 == 0 {
                assert!(reassembler.waiting() <= limits.datagrams);
                assert!(reassembler.bytes() <= limits.bytes);
            }
        }
        assert_eq!(memory(&reassembler), before);
        let evicted = reassembler.counters.given_up[GiveUp::Evicted as usize];
        assert_eq!(evicted as usize + reassembler.waiting(), 10_000_000);
        // And it goes on working.
        let last = Piece { offset: 8, more: false, ..first(9_999_999, &payload[..8]) };
        assert!(matches!(reassembler.add(&last), Outcome::Complete(_)));
        reassembler.expire(Nanos::MAX);
        assert_eq!((reassembler.waiting(), reassembler.bytes()), (0, 0));
        assert_eq!(memory(&reassembler), before);
    }

    #[test]
    fn datagrams_in_one_bucket_are_told_apart_and_taken_out_in_any_order() {
        let limits = Limits { datagrams: 8, bytes: 1 << 20, patience: Nanos::SECOND };
        let mut reassembler = Reassembler::new(limits, 3);
        let bucket = reassembler.bucket(&first(0, &[]).key);
        let together: Vec<u32> = (0..1_000)
            .filter(|&number| reassembler.bucket(&first(number, &[]).key) == bucket)
            .take(5)
            .collect();
        for taken_out in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
            for &number in &together {
                reassembler.add(&first(number, &number.to_be_bytes().repeat(2)));
            }
            for number in taken_out.map(|i| together[i]) {
                let last = Piece { offset: 8, more: false, ..first(number, &[0]) };
                let Outcome::Complete(whole) = reassembler.add(&last) else {
                    panic!("{number} was lost")
                };
                assert_eq!(whole.payload[..4], number.to_be_bytes());
            }
            assert_eq!(reassembler.waiting(), 0);
        }
    }

    #[test]
    fn codes_index_the_counters() {
        for (i, reason) in GiveUp::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
        }
        let counters = Counters { given_up: [1, 2, 3, 4, 5, 6, 7], ..Counters::default() };
        assert!(counters.named().any(|named| named == ("contradiction", 4)));
    }
}
