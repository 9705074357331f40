//! How often vendors' own PFCP elements occur, by (enterprise, type, length).
//!
//! Nobody but the vendor knows what is in them, so they are never entered; but
//! one that is new, or comes in a new length, may be a covert channel.
//!
//! The table is bounded, and what it holds must depend neither on the order of
//! messages nor on how many workers share them. So it does not keep what came
//! first: it keeps the [`ROWS`] kinds of smallest rank, a hash under the site's
//! secret, and counts the elements of all others together. A kind that is given
//! up ranks behind [`ROWS`] others and never comes back; therefore what is kept
//! is counted exactly, and tables can be joined in any order. Whoever fills the
//! table can't choose what is given up, and shows in [`VendorElements::other`].

use weir_wire::WireError;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_walk::walk;

use crate::keyed_hash::keyed_hash;

/// How many kinds are told apart. A core has some dozens.
pub const ROWS: usize = 512;

/// A kind of vendor's element. The order is that of listings.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct VendorElement {
    /// The enterprise number; none if the element is too short for one.
    pub enterprise: Option<u16>,
    /// The type, 32768 or above.
    pub kind: u16,
    /// The length field: bytes behind it, the two of the enterprise number included;
    /// so it is below 2 if and only if there is no such number.
    pub length: u16,
}

impl VendorElement {
    /// In one word, which is never 0.
    pub const fn word(self) -> u64 {
        let enterprise = match self.enterprise {
            Some(enterprise) => enterprise as u64,
            None => 0,
        };
        enterprise << 32 | (self.kind as u64) << 16 | self.length as u64
    }

    /// From its word; none if that is none of a vendor's element.
    pub const fn of_word(word: u64) -> Option<Self> {
        let (enterprise, kind, length) = (word >> 32, (word >> 16) as u16, word as u16);
        let is_one =
            kind >= 0x8000 && if length < 2 { enterprise == 0 } else { enterprise >> 16 == 0 };
        let number = if length < 2 { None } else { Some(enterprise as u16) };
        if is_one { Some(Self { enterprise: number, kind, length }) } else { None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// Where the kind stands in the table: (hash, kind), so that no two are equal.
    rank: (u64, VendorElement),
    count: u64,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct VendorElements {
    /// By rank.
    rows: Vec<Row>,
    other: u64,
}

impl VendorElements {
    /// An empty table that never has to grow.
    pub fn with_room() -> Self {
        Self { rows: Vec::with_capacity(ROWS), other: 0 }
    }

    /// Counts the vendors' elements of a message, at whatever depth. Gives the first
    /// thing that is wrong with the message's elements: what stands behind it, or
    /// in it, is not counted.
    pub fn read(&mut self, message: &Pfcp<'_>, secret: u64) -> Option<WireError> {
        let fault = walk(message, &mut |_, element| {
            let enterprise = element.enterprise;
            if enterprise.is_some() || element.lacks_enterprise() {
                let number = if enterprise.is_some() { 2 } else { 0 };
                let (kind, length) = (element.kind, element.value.len() as u16 + number);
                self.count(VendorElement { enterprise, kind, length }, secret);
            }
        });
        fault.map(|(error, _)| error)
    }

    /// Counts one element.
    pub fn count(&mut self, element: VendorElement, secret: u64) {
        let hash = keyed_hash([element.word(), 0, 0, 0, 0], secret);
        self.add(Row { rank: (hash, element), count: 1 });
    }

    /// Adds what another table counted under the same secret.
    pub fn join(&mut self, of: &Self) {
        for row in &of.rows {
            self.add(*row);
        }
        self.other += of.other;
    }

    /// Empties the table and keeps its room.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.other = 0;
    }

    /// Elements of the kinds for which there is no row.
    pub fn other(&self) -> u64 {
        self.other
    }

    /// The kinds with their counts, in no useful order.
    pub fn rows(&self) -> impl Iterator<Item = (VendorElement, u64)> {
        self.rows.iter().map(|row| (row.rank.1, row.count))
    }

    fn add(&mut self, row: Row) {
        match self.rows.binary_search_by_key(&row.rank, |known| known.rank) {
            Ok(known) => self.rows[known].count += row.count,
            Err(ROWS..) => self.other += row.count,
            Err(place) => {
                if self.rows.len() >= ROWS {
                    self.other += self.rows.pop().map_or(0, |last| last.count);
                }
                self.rows.insert(place, row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: u64 = 99;

    fn of_length(length: u16) -> VendorElement {
        VendorElement { enterprise: Some(10_415), kind: 0x8001, length }
    }

    /// An element with its header.
    fn element(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes
    }

    fn vendors(enterprise: u16, kind: u16, value: &[u8]) -> Vec<u8> {
        element(kind, &[&enterprise.to_be_bytes()[..], value].concat())
    }

    /// (enterprise, type, length, count) of every kind.
    type Listed = Vec<(u16, u16, u16, u64)>;

    /// What the elements of a session modification request count.
    fn read(elements: &[Vec<u8>]) -> (Listed, Option<WireError>) {
        let body = elements.concat();
        let mut bytes = vec![0x21, 52];
        bytes.extend((body.len() as u16 + 12).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 1, 0]);
        bytes.extend(body);
        let mut table = VendorElements::with_room();
        let fault = table.read(&Pfcp::parse(&bytes).unwrap(), SECRET);
        (listed(&table), fault)
    }

    fn listed(table: &VendorElements) -> Listed {
        let mut rows: Listed = table
            .rows()
            .map(|(kind, count)| (kind.enterprise.unwrap_or(0), kind.kind, kind.length, count))
            .collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn elements_are_told_apart_by_enterprise_type_and_length_at_any_depth() {
        let nested = element(1, &[vendors(10_415, 0x8001, b"abc"), element(56, &[0, 1])].concat());
        let message = [
            vendors(10_415, 0x8001, b"abc"),
            vendors(10_415, 0x8001, b""),
            vendors(10_415, 0xffff, b"abc"),
            vendors(28_458, 0x8001, b"abc"),
            nested,
            // A standard element of the same shape is none.
            element(0x0001, &[]),
        ];
        let expected = [
            (10_415, 0x8001, 2, 1),
            (10_415, 0x8001, 5, 2),
            (10_415, 0xffff, 5, 1),
            (28_458, 0x8001, 5, 1),
        ];
        assert_eq!(read(&message), (expected.to_vec(), None));
    }

    #[test]
    fn what_is_in_a_vendors_element_is_not_entered() {
        let inside = vendors(1, 0x8002, b"x");
        let (rows, fault) = read(&[vendors(10_415, 0x8001, &inside)]);
        assert_eq!((rows, fault), (vec![(10_415, 0x8001, 9, 1)], None));
    }

    #[test]
    fn malformed_elements_are_told_and_what_a_length_still_frames_is_counted() {
        let good = vendors(10_415, 0x8001, b"abc");
        for (bad, counted) in [
            // No room for the enterprise number: told, and read on behind it.
            (element(0x8001, &[1]), 2),
            (element(0x8001, &[]), 2),
            // More than there is; a cut header.
            (vec![0x80, 1, 0xff, 0xff, 0, 1], 1),
            (vec![0x80, 1, 0], 1),
        ] {
            let (rows, fault) = read(&[good.clone(), bad.clone(), good.clone()]);
            assert_eq!(rows.last(), Some(&(10_415, 0x8001, 5, counted)), "{bad:?}");
            assert!(fault.is_some(), "{bad:?}");
        }
        let mut deep = good.clone();
        for _ in 0..100 {
            deep = element(1, &deep);
        }
        let (rows, fault) = read(&[deep, good]);
        assert_eq!((rows.len(), rows[0].3), (1, 1), "what is too deep is told, not counted");
        assert!(fault.is_some());
    }

    #[test]
    fn elements_too_short_for_an_enterprise_number_are_kinds_of_their_own() {
        let message = [element(0x8001, &[1]), element(0x8001, &[]), vendors(0, 0x8001, b"")];
        let (rows, fault) = read(&message);
        assert_eq!(rows, [(0, 0x8001, 0, 1), (0, 0x8001, 1, 1), (0, 0x8001, 2, 1)]);
        let length =
            WireError { layer: weir_wire::Layer::Pfcp, kind: weir_wire::ErrorKind::Length };
        assert_eq!(fault, Some(length));
    }

    #[test]
    fn nothing_is_lost_beyond_the_table_and_what_is_kept_is_exact() {
        let mut table = VendorElements::with_room();
        let room = table.rows.capacity();
        for round in 1..=3 {
            for length in 2..20_000 {
                table.count(of_length(length), SECRET);
            }
            assert_eq!(table.rows.len(), ROWS);
            assert!(table.rows().all(|(_, count)| count == round), "{round}");
            assert_eq!(table.other(), round * (19_998 - ROWS as u64));
        }
        assert_eq!(table.rows.capacity(), room);
        // Which are kept is nobody's choice.
        let mut elsewhere = VendorElements::with_room();
        (2..20_000).for_each(|length| elsewhere.count(of_length(length), 1));
        let here: Vec<_> = listed(&table).iter().map(|row| row.2).collect();
        let common = listed(&elsewhere).iter().filter(|row| here.contains(&row.2)).count();
        assert!(common < 60, "{common}");
    }

    #[test]
    fn neither_order_nor_the_number_of_tables_changes_what_is_counted() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let elements: Vec<VendorElement> = (0..60_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                of_length((state >> 20) as u16 % 2_000 + 2)
            })
            .collect();
        let run = |workers: usize, slice: usize, backwards: bool| {
            let mut judge = VendorElements::default();
            let mut tables = vec![VendorElements::with_room(); workers];
            for (n, _) in elements.iter().enumerate() {
                let at = if backwards { elements.len() - 1 - n } else { n };
                tables[n % workers].count(elements[at], SECRET);
                if n % slice == slice - 1 {
                    for table in tables.iter_mut().rev() {
                        judge.join(table);
                        table.clear();
                    }
                }
            }
            tables.iter().for_each(|table| judge.join(table));
            (listed(&judge), judge.other())
        };
        let alone = run(1, 60_000, false);
        assert!(alone.0.len() == ROWS && alone.1 > 10_000, "{}", alone.1);
        for (workers, slice, backwards) in [(1, 7, false), (2, 1_000, true), (8, 333, false)] {
            assert!(run(workers, slice, backwards) == alone, "{workers} {slice}");
        }
    }

    #[test]
    fn words_give_their_elements_back_and_nothing_else() {
        for element in [
            of_length(2),
            VendorElement { enterprise: Some(0xffff), kind: 0xffff, length: 0xffff },
            VendorElement { enterprise: None, kind: 0x8001, length: 1 },
        ] {
            assert_eq!(VendorElement::of_word(element.word()), Some(element));
        }
        for word in [0, 0x7fff_0002, 1 << 48 | 0x8001_0002, 1 << 32 | 0x8001_0001, u64::MAX] {
            assert_eq!(VendorElement::of_word(word), None, "{word:#x}");
        }
    }
}
