//! A shelf: the latest frames kept for one cause, in a memory of fixed size that is written round
//! and round. Frames of the same neighbourhoods are chained, so that an alert finds its own without
//! looking at others'.

use std::collections::{HashMap, VecDeque};

use weir_wire::Address;

use crate::exhibits::{Exhibit, Label};

/// What frames are looked up by: two neighbourhoods in order, or one and nothing.
pub(super) type Place = (Address, Address);

/// Every frame takes room for so much at least: that bounds their number.
const LEAST: usize = 64;

#[derive(Debug)]
struct Row {
    label: Label,
    place: Place,
    start: usize,
    len: usize,
    /// The number of the frame before of the same place, plus one; 0 for none.
    before: u64,
}

/// The frames. Each has a number, which only grows.
#[derive(Debug)]
pub(super) struct Shelf {
    memory: Vec<u8>,
    room: usize,
    at: usize,
    rows: VecDeque<Row>,
    /// The number of the oldest.
    oldest: u64,
    /// The number of the newest of each place, plus one.
    newest: HashMap<Place, u64>,
}

impl Shelf {
    /// An empty shelf with so many bytes, which must be more than the longest frame has. The memory is taken as it is used.
    pub(super) fn new(room: usize) -> Self {
        Self {
            memory: Vec::new(),
            room,
            at: 0,
            rows: VecDeque::new(),
            oldest: 0,
            newest: HashMap::new(),
        }
    }

    /// The number of the next frame.
    pub(super) fn next(&self) -> u64 {
        self.oldest + self.rows.len() as u64
    }

    /// Puts a frame in, and lets go of the oldest ones that are in its way.
    pub(super) fn put(&mut self, exhibit: &Exhibit<'_>, place: Place) {
        let taken = exhibit.bytes.len().max(LEAST);
        if taken > self.room {
            return;
        }
        if self.at + taken > self.room {
            // What stands behind here is older than what stands at the beginning.
            while self.rows.front().is_some_and(|row| row.start >= self.at) {
                self.let_go();
            }
            self.at = 0;
        }
        let end = self.at + taken;
        while self.rows.front().is_some_and(|row| row.start >= self.at && row.start < end) {
            self.let_go();
        }
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        if let Some(memory) = self.memory.get_mut(self.at..self.at + exhibit.bytes.len()) {
            memory.copy_from_slice(exhibit.bytes);
        }
        let number = self.next();
        let before = self.newest.insert(place, number + 1).unwrap_or(0);
        self.rows.push_back(Row {
            label: exhibit.label,
            place,
            start: self.at,
            len: exhibit.bytes.len(),
            before,
        });
        self.at = end;
    }

    fn let_go(&mut self) {
        if let Some(row) = self.rows.pop_front() {
            if self.newest.get(&row.place) == Some(&(self.oldest + 1)) {
                self.newest.remove(&row.place);
            }
            self.oldest += 1;
        }
    }

    /// The frames of a place with their numbers, the latest first.
    pub(super) fn of(&self, place: &Place) -> impl Iterator<Item = (u64, Exhibit<'_>)> {
        let mut next = self.newest.get(place).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let number = next.checked_sub(1).filter(|number| *number >= self.oldest)?;
            let row = self.rows.get((number - self.oldest) as usize)?;
            next = row.before;
            let bytes = self.memory.get(row.start..row.start + row.len)?;
            Some((number, Exhibit { label: row.label, bytes }))
        })
    }

    /// Lets go of all.
    pub(super) fn clear(&mut self) {
        self.oldest = self.next();
        self.rows.clear();
        self.newest.clear();
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exhibits::Cause;
    use crate::{Nanos, TapId};

    fn place(n: u8) -> Place {
        (Address::v4([10, 0, n, 0]), Address::default())
    }

    fn put(shelf: &mut Shelf, time: u64, n: u8, len: usize) {
        let bytes = vec![time as u8; len];
        let label = Label {
            time: Nanos(time),
            tap: TapId(0),
            ends: Default::default(),
            parties: (0, 0),
            cause: Cause::Stranger,
            link_type: 1,
            wire_len: len as u32,
            teid: 0,
            pfcp: 0,
        };
        shelf.put(&Exhibit { label, bytes: &bytes }, place(n));
    }

    fn times(shelf: &Shelf, n: u8) -> Vec<u64> {
        shelf
            .of(&place(n))
            .map(|(_, exhibit)| {
                let time = exhibit.label.time.0;
                assert!(exhibit.bytes.iter().all(|byte| *byte == time as u8), "{time} is torn");
                time
            })
            .collect()
    }

    #[test]
    fn the_latest_frames_of_a_place_are_found_and_the_oldest_give_way() {
        let mut shelf = Shelf::new(10 * 100);
        for time in 0..10 {
            put(&mut shelf, time, (time % 2) as u8, 100);
        }
        assert_eq!(
            (times(&shelf, 0), times(&shelf, 1)),
            (vec![8, 6, 4, 2, 0], vec![9, 7, 5, 3, 1])
        );
        put(&mut shelf, 10, 0, 150);
        // The first two were in its way.
        assert_eq!((times(&shelf, 0), times(&shelf, 1)), (vec![10, 8, 6, 4, 2], vec![9, 7, 5, 3]));
        assert_eq!(times(&shelf, 7), Vec::<u64>::new());
    }

    #[test]
    fn nothing_is_torn_and_nothing_grows_whatever_lengths_come() {
        let mut shelf = Shelf::new(4_000);
        let mut seeded = 7_u64;
        for time in 0..5_000 {
            seeded = seeded.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            put(&mut shelf, time, (seeded >> 40) as u8 % 5, (seeded >> 50) as usize % 1_900);
            let found: usize = (0..5).map(|n| times(&shelf, n).len()).sum();
            assert_eq!(found, shelf.rows.len());
            assert!(shelf.newest.len() <= 5 && shelf.memory.len() <= 4_000);
        }
        assert_eq!(shelf.next(), 5_000);
        shelf.clear();
        assert_eq!((shelf.next(), times(&shelf, 0)), (5_000, vec![]));
    }

    #[test]
    fn a_frame_longer_than_the_shelf_is_left_out() {
        let mut shelf = Shelf::new(100);
        put(&mut shelf, 1, 0, 101);
        assert_eq!(times(&shelf, 0), Vec::<u64>::new());
    }
}
