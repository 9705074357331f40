//! The table of tunnels: one writer, readers without locks.
//!
//! A word of eight one-byte tags stands for eight rows; a look-up compares all
//! eight at once and reads only rows whose tag fits. Rows never move, so a
//! tunnel that is there is found. One F-TEID may have several rows: those of
//! earlier sessions, with their times, and that of a session that sends there
//! beside that of the one that gave it.

use std::sync::Arc;

use weir_mem::prefetch;

use super::FTeid;
use super::cells::{AtomicU64, Ordering, Rows, rows};
use super::row::{self, Glance, Row, RowFlags, WORDS};
use crate::Nanos;

/// The place of a row in the table; workers count by it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(pub u32);

/// Tags in a word.
const GROUP: usize = 8;
/// Words that a look-up reads at most. Nearly all end at the first or second word; with
/// fewer a table would refuse some of the tunnels that it is made for.
const PROBES: usize = 64;
/// The tag of a free row in a word that nobody went past: look-ups end here.
const EMPTY: u8 = 0;
/// The tag of a free row in a word that some went past when it was full: look-ups go on.
const GONE: u8 = 1;
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// There is no room for another tunnel near its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no room for another tunnel")]
pub struct TableFull;

/// What a look-up found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// The tunnel, alive at that time.
    Live(Slot, Row),
    /// A tunnel whose time was over, or had not begun; or a row that was being
    /// written: only the session machine can tell.
    Other,
    /// No such tunnel.
    Unknown,
}

#[derive(Debug)]
struct Table {
    /// Words of tags.
    tags: Rows<1>,
    rows: Rows<WORDS>,
    groups: u32,
    secret: u64,
}

impl Table {
    fn slots(&self) -> usize {
        self.groups as usize * GROUP
    }

    /// The word at which a row's look-ups begin, by its F-TEID.
    fn home(&self, place: usize) -> Option<usize> {
        let row = row::read(self.rows.get(place)?)?;
        Some(self.group(row.end.hash(self.secret), 0))
    }

    #[inline]
    fn group(&self, hash: u64, step: usize) -> usize {
        let first = ((hash & 0xffff_ffff) * u64::from(self.groups)) >> 32;
        let group = first as usize + step;
        if group >= self.groups as usize { group - self.groups as usize } else { group }
    }

    #[inline]
    fn probe(&self, end: &FTeid) -> Probe {
        let hash = end.hash(self.secret);
        Probe { group: self.group(hash, 0) as u32, tag: tag(hash) }
    }

    #[inline]
    fn tags(&self, group: usize) -> &AtomicU64 {
        &self.tags[group][0]
    }

    fn probes(&self) -> usize {
        PROBES.min(self.groups as usize)
    }

    /// Visits the rows whose tag fits until `visit` is content.
    #[inline]
    fn find<T>(&self, probe: Probe, mut visit: impl FnMut(usize) -> Option<T>) -> Option<T> {
        let wanted = probe.wanted();
        let mut next = probe.group as usize;
        for _ in 0..self.probes() {
            let group = next;
            next = if group + 1 == self.groups as usize { 0 } else { group + 1 };
            let tags = self.tags(group).load(Ordering::Acquire);
            let mut fits = zero_bytes(tags ^ wanted);
            while fits != 0 {
                let place = group * GROUP + fits.trailing_zeros() as usize / 8;
                if let Some(found) = visit(place) {
                    return Some(found);
                }
                fits &= fits - 1;
            }
            if zero_bytes(tags) != 0 {
                return None;
            }
        }
        None
    }
}

/// The tag of a hash: never [`EMPTY`] or [`GONE`].
#[inline]
const fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | 0x80
}

/// The top bit of every byte that is zero; above such a byte some others may
/// show too, so whoever asks which ones compares again.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// The first free row of a word.
#[inline]
fn free_index(tags: u64) -> Option<usize> {
    // Tags of rows in use have their top bit set.
    let free = !tags & HIGH;
    (free != 0).then(|| free.trailing_zeros() as usize / 8)
}

/// Where a look-up begins, and the tag that it looks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probe {
    group: u32,
    tag: u8,
}

impl Probe {
    #[inline]
    const fn wanted(self) -> u64 {
        self.tag as u64 * LOW
    }
}

/// A worker's end of the table.
#[derive(Clone, Debug)]
pub struct TunnelReader(Arc<Table>);

impl TunnelReader {
    /// Where the look-up of an F-TEID begins.
    #[inline]
    pub fn probe(&self, end: &FTeid) -> Probe {
        self.0.probe(end)
    }

    /// Asks for the tags where a look-up begins.
    #[inline]
    pub fn prefetch_tags(&self, probe: Probe) {
        prefetch(self.0.tags(probe.group as usize));
    }

    /// Asks for the row that a look-up most likely means, and names its slot.
    #[inline]
    pub fn prefetch_row(&self, probe: Probe) -> Option<Slot> {
        let group = probe.group as usize;
        let tags = self.0.tags(group).load(Ordering::Acquire);
        let fits = zero_bytes(tags ^ probe.wanted());
        if fits == 0 {
            return None;
        }
        let place = group * GROUP + fits.trailing_zeros() as usize / 8;
        prefetch(&self.0.rows[place]);
        Some(Slot(place as u32))
    }

    /// Asks for the first row whose tag fits, and names its slot: nearly always the tunnel's.
    #[inline]
    pub fn prefetch_first(&self, probe: Probe) -> Option<Slot> {
        let group = probe.group as usize;
        let tags = self.0.tags(group).load(Ordering::Acquire);
        let fits = zero_bytes(tags ^ probe.wanted());
        if fits == 0 {
            return if zero_bytes(tags) != 0 { None } else { self.prefetch_behind(probe) };
        }
        let place = group * GROUP + fits.trailing_zeros() as usize / 8;
        prefetch(&self.0.rows[place]);
        Some(Slot(place as u32))
    }

    /// The same where the first word is full of others.
    #[inline(never)]
    fn prefetch_behind(&self, probe: Probe) -> Option<Slot> {
        let place = self.0.find(probe, Some)?;
        prefetch(&self.0.rows[place]);
        Some(Slot(place as u32))
    }

    /// What counts for a packet to an IPv4 address in the row of a slot, if it is that
    /// tunnel's at that time and no other can be; none says that `find` must look.
    #[inline]
    pub fn glance(&self, slot: Slot, to: u32, teid: u32, time: Nanos) -> Option<Glance> {
        row::glance(self.0.rows.get(slot.0 as usize)?, to, teid, time)
    }

    /// Looks a tunnel up as it was at `time`. The session that gave the F-TEID
    /// comes before one that only sends there, a later one before an earlier one.
    #[inline]
    pub fn find(&self, end: &FTeid, probe: Probe, time: Nanos) -> Found {
        let table = &*self.0;
        let group = probe.group as usize;
        let tags = table.tags(group).load(Ordering::Acquire);
        let fits = zero_bytes(tags ^ probe.wanted());
        // Nearly always one tag fits in a word at which the search ends.
        if fits & fits.wrapping_sub(1) == 0 && zero_bytes(tags) != 0 {
            if fits == 0 {
                return Found::Unknown;
            }
            let place = group * GROUP + fits.trailing_zeros() as usize / 8;
            return match row::read(&table.rows[place]) {
                Some(row) if row.end != *end => Found::Unknown,
                Some(row) if row.holds_at(time) => Found::Live(Slot(place as u32), row),
                _ => Found::Other,
            };
        }
        self.find_among(end, probe, time)
    }

    /// The same where several tags fit, or the search goes on.
    #[inline(never)]
    fn find_among(&self, end: &FTeid, probe: Probe, time: Nanos) -> Found {
        let mut best: Option<(Slot, Row)> = None;
        let mut other = false;
        self.0.find(probe, |place| -> Option<()> {
            match row::read(&self.0.rows[place]) {
                None => other = true,
                Some(row) if row.end != *end => {}
                Some(row) if !row.holds_at(time) => other = true,
                Some(row) => {
                    if best.as_ref().is_none_or(|(_, best)| precedes(&row, best)) {
                        best = Some((Slot(place as u32), row));
                    }
                }
            }
            None
        });
        match best {
            Some((slot, row)) => Found::Live(slot, row),
            None if other => Found::Other,
            None => Found::Unknown,
        }
    }

    /// The rows that the table has.
    pub fn slots(&self) -> usize {
        self.0.slots()
    }
}

fn precedes(row: &Row, other: &Row) -> bool {
    let rank = |row: &Row| (row.flags.has(RowFlags::LOCAL), row.since);
    rank(row) > rank(other)
}

/// The session machine's end of the table: the only one that writes.
#[derive(Debug)]
pub struct TunnelWriter {
    table: Arc<Table>,
    /// How many rows found each word full and went past it.
    passed: Vec<u32>,
    len: usize,
}

impl TunnelWriter {
    /// A table for `tunnels` tunnels whose hash has this secret.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(tunnels: usize, secret: u64) -> std::io::Result<Self> {
        // A quarter more than it holds, so that all of them find room, and look-ups end soon.
        let groups = (tunnels + tunnels / 4).div_ceil(GROUP).max(1);
        let groups = u32::try_from(groups).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        let table = Table {
            tags: rows(groups as usize)?,
            rows: rows(groups as usize * GROUP)?,
            groups,
            secret,
        };
        Ok(Self { table: Arc::new(table), passed: vec![0; groups as usize], len: 0 })
    }

    /// An end for a worker.
    pub fn reader(&self) -> TunnelReader {
        TunnelReader(self.table.clone())
    }

    /// The rows that the table has.
    pub fn slots(&self) -> usize {
        self.table.slots()
    }

    /// Tunnels in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Asks for the tags where an F-TEID is looked for.
    pub fn prefetch_tags(&self, end: &FTeid) {
        prefetch(self.table.tags(self.table.probe(end).group as usize));
    }

    /// Asks for the row that an F-TEID would get; its tags are there.
    pub fn prefetch_free(&self, end: &FTeid) {
        let group = self.table.probe(end).group as usize;
        let tags = self.table.tags(group).load(Ordering::Relaxed);
        if let Some(index) = free_index(tags) {
            prefetch(&self.table.rows[group * GROUP + index]);
        }
    }

    /// Asks for a row and its tags.
    pub fn prefetch_slot(&self, slot: Slot) {
        if let Some(row) = self.table.rows.get(slot.0 as usize) {
            prefetch(row);
            prefetch(self.table.tags(slot.0 as usize / GROUP));
        }
    }

    /// Adds a row; the flags' generation is the slot's.
    ///
    /// # Errors
    /// [`TableFull`] if there is no place for it.
    pub fn insert(&mut self, row: Row) -> Result<Slot, TableFull> {
        let table = &self.table;
        let hash = row.end.hash(table.secret);
        for step in 0..table.probes() {
            let group = table.group(hash, step);
            let tags = table.tags(group).load(Ordering::Relaxed);
            if let Some(index) = free_index(tags) {
                let place = group * GROUP + index;
                let cells = &table.rows[place];
                // The one before has read its last: the slot counts up.
                let generation = row::read(cells).map_or(0, |old| old.flags.generation());
                let mut flags = row.flags.with_generation(generation.wrapping_add(1));
                if self.tell_twins(&row.end) {
                    flags.set(RowFlags::TWIN);
                }
                row::write(cells, &Row { flags, ..row });
                let mut bytes = tags.to_le_bytes();
                bytes[index] = tag(hash);
                table.tags(group).store(u64::from_le_bytes(bytes), Ordering::Release);
                for step in 0..step {
                    self.passed[table.group(hash, step)] += 1;
                }
                self.len += 1;
                return Ok(Slot(place as u32));
            }
        }
        Err(TableFull)
    }

    /// Marks the rows that an F-TEID has, before it gets another; says if there are any.
    fn tell_twins(&self, end: &FTeid) -> bool {
        let table = &self.table;
        let mut has_twins = false;
        table.find(table.probe(end), |place| -> Option<()> {
            let cells = &table.rows[place];
            if let Some(mut row) = row::read(cells).filter(|row| row.end == *end) {
                has_twins = true;
                row.flags.set(RowFlags::TWIN);
                row::write(cells, &row);
            }
            None
        });
        has_twins
    }

    fn free_tag(&self, group: usize) -> u8 {
        if self.passed[group] == 0 { EMPTY } else { GONE }
    }

    /// A row as it stands.
    pub fn row(&self, slot: Slot) -> Option<Row> {
        row::read(self.table.rows.get(slot.0 as usize)?)
    }

    /// Changes a row; its F-TEID and its generation stay.
    pub fn update(&mut self, slot: Slot, change: impl FnOnce(&mut Row)) {
        let Some(cells) = self.table.rows.get(slot.0 as usize) else { return };
        let Some(old) = row::read(cells) else { return };
        let mut row = old;
        change(&mut row);
        if row != old {
            row.end = old.end;
            row.flags = row.flags.with_generation(old.flags.generation());
            if old.flags.has(RowFlags::TWIN) {
                row.flags.set(RowFlags::TWIN);
            }
            row::write(cells, &row);
        }
    }

    /// Takes a row out.
    pub fn remove(&mut self, slot: Slot) {
        let (group, index) = (slot.0 as usize / GROUP, slot.0 as usize % GROUP);
        if group >= self.table.groups as usize {
            return;
        }
        let word = self.table.tags(group);
        let mut tags = word.load(Ordering::Relaxed).to_le_bytes();
        if matches!(tags[index], EMPTY | GONE) {
            return;
        }
        tags[index] = self.free_tag(group);
        word.store(u64::from_le_bytes(tags), Ordering::Release);
        // Look-ups need not go past the words any more that only this row went past.
        let mut passed = self.table.home(slot.0 as usize).unwrap_or(group);
        while passed != group {
            self.passed[passed] = self.passed[passed].saturating_sub(1);
            if self.passed[passed] == 0 {
                let word = self.table.tags(passed);
                let tags = word.load(Ordering::Relaxed).to_le_bytes();
                let ended = tags.map(|tag| if tag == GONE { EMPTY } else { tag });
                word.store(u64::from_le_bytes(ended), Ordering::Release);
            }
            passed = if passed + 1 == self.table.groups as usize { 0 } else { passed + 1 };
        }
        self.len -= 1;
    }

    /// Every row of an F-TEID.
    pub fn rows_of(&self, end: &FTeid) -> Vec<(Slot, Row)> {
        let mut found = Vec::new();
        self.table.find(self.table.probe(end), |place| -> Option<()> {
            if let Some(row) = row::read(&self.table.rows[place]).filter(|row| row.end == *end) {
                found.push((Slot(place as u32), row));
            }
            None
        });
        found
    }

    /// The first row of an F-TEID that is `wanted`, without allocating.
    pub fn find_row(
        &self,
        end: &FTeid,
        mut wanted: impl FnMut(&Row) -> bool,
    ) -> Option<(Slot, Row)> {
        self.table.find(self.table.probe(end), |place| {
            let row = row::read(&self.table.rows[place])?;
            (row.end == *end && wanted(&row)).then_some((Slot(place as u32), row))
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use weir_wire::Address;

    fn row(teid: u32) -> Row {
        Row {
            end: FTeid { address: Address::v4([10, 0, 0, 1]), teid },
            flags: RowFlags::LOCAL,
            since: Nanos(5),
            until: Nanos::MAX,
            session: teid,
            ue4: 0,
            ue6: 0,
        }
    }

    fn finds(table: &TunnelReader, teid: u32) -> bool {
        let end = row(teid).end;
        matches!(table.find(&end, table.probe(&end), Nanos(9)), Found::Live(_, row) if row.end == end)
    }

    #[test]
    fn a_table_takes_all_the_tunnels_that_it_is_made_for() {
        for (tunnels, secret) in [(64, 1), (1_000, 2), (30_000, 3), (200_000, 4)] {
            let mut writer = TunnelWriter::new(tunnels as usize, secret).unwrap();
            for teid in 0..tunnels {
                writer.insert(row(teid)).unwrap();
            }
            let reader = writer.reader();
            assert_eq!(writer.len(), tunnels as usize);
            assert!((0..tunnels).all(|teid| finds(&reader, teid)));
            assert!(!(tunnels..2 * tunnels).any(|teid| finds(&reader, teid)));
        }
    }

    #[test]
    fn look_ups_end_as_soon_after_many_uses_of_the_table_as_in_a_fresh_one() {
        let tunnels = 2_000;
        let mut writer = TunnelWriter::new(tunnels as usize, 9).unwrap();
        let mut held: std::collections::VecDeque<(u32, Slot)> = Default::default();
        for teid in 0..200_000 {
            held.push_back((teid, writer.insert(row(teid)).unwrap()));
            if held.len() == tunnels as usize {
                let (_, slot) = held.remove(teid as usize * 7 % held.len()).unwrap();
                writer.remove(slot);
            }
        }
        let reader = writer.reader();
        assert!(held.iter().all(|(teid, _)| finds(&reader, *teid)));
        for (_, slot) in held {
            writer.remove(slot);
        }
        assert!(writer.is_empty() && writer.passed.iter().all(|rows| *rows == 0));
        let table = &writer.table;
        assert!(
            (0..table.groups as usize)
                .all(|group| { table.tags(group).load(Ordering::Relaxed) == 0 })
        );
    }
}
