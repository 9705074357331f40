//! Longest-prefix tables, painted: a later prefix covers what earlier ones
//! said about its range. Painting by ascending length gives the longest match;
//! painting category after category gives one category precedence.

use std::collections::BTreeMap;

use weir_wire::Address;

/// A prefix over the 128-bit form of an address; an IPv4 prefix is 96 longer
/// than it is written.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Prefix {
    address: Address,
    len: u8,
}

impl Prefix {
    /// The prefix of `len` bits (of 32 for IPv4, of 128 for IPv6) at `address`,
    /// whose further bits are cleared. None if `len` is too long.
    pub fn new(address: Address, len: u8) -> Option<Self> {
        let len = if address.as_v4().is_some() { len.checked_add(96)? } else { len };
        let mask = match len {
            0 => 0,
            1..=128 => u128::MAX << (128 - len),
            _ => return None,
        };
        Some(Self { address: Address(address.0 & mask), len })
    }

    /// The prefix of one address.
    pub fn host(address: Address) -> Self {
        Self { address, len: 128 }
    }

    fn last(self) -> u128 {
        if self.len == 0 { u128::MAX } else { self.address.0 | (u128::MAX >> 1 >> (self.len - 1)) }
    }

    /// Whether `address` lies in the prefix.
    pub fn contains(self, address: Address) -> bool {
        (self.address.0..=self.last()).contains(&address.0)
    }

    fn is_v4(self) -> bool {
        self.len >= 96 && self.address.as_v4().is_some()
    }
}

/// Maps addresses to values below 2³¹; 0 says "no prefix".
///
/// IPv4 is a trie with strides of 16, 8 and 8 bits, so that a look-up is at
/// most three dependent reads; IPv6, of which infrastructure has few prefixes,
/// is a sorted list of ranges.
#[derive(Clone, Debug)]
pub struct Lpm {
    root: Box<[u32; 1 << 16]>,
    nodes: Vec<[u32; 256]>,
    ranges: BTreeMap<u128, u32>,
    /// `ranges`, flat, for the look-up.
    starts: Vec<(u128, u32)>,
}

const CHILD: u32 = 1 << 31;

impl Default for Lpm {
    fn default() -> Self {
        Self {
            root: Box::new([0; 1 << 16]),
            nodes: Vec::new(),
            ranges: BTreeMap::from([(0, 0)]),
            starts: vec![(0, 0)],
        }
    }
}

impl Lpm {
    /// A table of these prefixes, painted in ascending length.
    pub fn of(prefixes: impl IntoIterator<Item = (Prefix, u32)>) -> Self {
        let mut table = Self::default();
        table.paint(prefixes);
        table
    }

    /// Paints one category over what is there, its shorter prefixes first.
    pub fn paint(&mut self, prefixes: impl IntoIterator<Item = (Prefix, u32)>) {
        let mut prefixes: Vec<_> = prefixes.into_iter().collect();
        prefixes.sort_by_key(|(prefix, _)| prefix.len);
        for (prefix, value) in prefixes {
            if prefix.is_v4() {
                self.paint_v4(prefix, value & !CHILD);
            } else {
                self.paint_v6(prefix, value & !CHILD);
            }
        }
        self.starts = self.ranges.iter().map(|(start, value)| (*start, *value)).collect();
    }

    fn paint_v4(&mut self, prefix: Prefix, value: u32) {
        let address = prefix.address.0 as u32;
        let len = prefix.len - 96;
        let top = (address >> 16) as usize;
        if len <= 16 {
            self.root[top..top + (1 << (16 - len))].fill(value);
            return;
        }
        let node = Self::descend(&mut self.root[top], &mut self.nodes);
        let middle = (address >> 8) as usize & 0xff;
        if len <= 24 {
            self.nodes[node][middle..middle + (1 << (24 - len))].fill(value);
            return;
        }
        let mut entry = self.nodes[node][middle];
        let leaf = Self::descend(&mut entry, &mut self.nodes);
        self.nodes[node][middle] = entry;
        let low = address as usize & 0xff;
        self.nodes[leaf][low..low + (1 << (32 - len))].fill(value);
    }

    /// The node behind an entry, made of its value if it had none.
    fn descend(entry: &mut u32, nodes: &mut Vec<[u32; 256]>) -> usize {
        if *entry & CHILD == 0 {
            nodes.push([*entry; 256]);
            *entry = CHILD | (nodes.len() - 1) as u32;
        }
        (*entry & !CHILD) as usize
    }

    fn paint_v6(&mut self, prefix: Prefix, value: u32) {
        let (first, last) = (prefix.address.0, prefix.last());
        if let Some(after) = last.checked_add(1) {
            let beyond = self.ranges.range(..=after).next_back().map_or(0, |(_, value)| *value);
            self.ranges.insert(after, beyond);
        }
        let covered: Vec<u128> = self.ranges.range(first..=last).map(|(start, _)| *start).collect();
        for start in covered {
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, value);
    }

    /// The same of an IPv4 address.
    #[inline]
    pub(crate) fn find_v4(&self, v4: u32) -> u32 {
        let mut entry = self.root[(v4 >> 16) as usize];
        if entry & CHILD != 0 {
            entry = self.nodes[(entry & !CHILD) as usize][(v4 >> 8) as usize & 0xff];
            if entry & CHILD != 0 {
                entry = self.nodes[(entry & !CHILD) as usize][v4 as usize & 0xff];
            }
        }
        entry
    }

    /// The value of the prefix that covers `address`, 0 if none does.
    #[inline]
    pub fn find(&self, address: Address) -> u32 {
        match address.as_v4() {
            Some(v4) => self.find_v4(v4),
            None => {
                let behind = self.starts.partition_point(|(start, _)| *start <= address.0);
                self.starts[behind.saturating_sub(1)].1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn prefix(text: &str) -> Prefix {
        let (head, len) = text.split_once('/').unwrap();
        Prefix::new(address(head), len.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_longest_prefix_wins_in_any_order() {
        let table = Lpm::of([
            (prefix("10.1.2.3/32"), 5),
            (prefix("10.0.0.0/8"), 1),
            (prefix("10.1.2.0/25"), 4),
            (prefix("10.1.0.0/16"), 2),
            (prefix("10.1.2.0/24"), 3),
            (prefix("2001:db8::/32"), 6),
            (prefix("2001:db8:1::/64"), 7),
            (prefix("2001:db8:1::9/128"), 8),
        ]);
        for (text, value) in [
            ("10.1.2.3", 5),
            ("10.1.2.4", 4),
            ("10.1.2.200", 3),
            ("10.1.3.1", 2),
            ("10.2.0.0", 1),
            ("11.0.0.0", 0),
            ("2001:db8:1::9", 8),
            ("2001:db8:1::8", 7),
            ("2001:db8:1::a", 7),
            ("2001:db8:2::", 6),
            ("2001:db9::", 0),
            ("::", 0),
        ] {
            assert_eq!(table.find(address(text)), value, "{text}");
        }
    }

    #[test]
    fn a_later_category_covers_an_earlier_one_whatever_the_lengths() {
        let mut table = Lpm::of([(prefix("10.1.2.0/24"), 1), (prefix("2001:db8:1::/64"), 1)]);
        table.paint([(prefix("10.1.0.0/16"), 2), (prefix("2001:db8::/32"), 2)]);
        assert_eq!(table.find(address("10.1.2.3")), 2);
        assert_eq!(table.find(address("2001:db8:1::1")), 2);
    }

    #[test]
    fn random_tables_agree_with_a_linear_search() {
        let mut state = 0x0123_4567_89ab_cdef_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..50 {
            let prefixes: Vec<(Prefix, u32)> = (1..40)
                .map(|value| {
                    let v4 = Address::v4((next() as u32 & 0x0303_ffff).to_be_bytes());
                    (Prefix::new(v4, (next() % 33) as u8).unwrap(), value)
                })
                .collect();
            let table = Lpm::of(prefixes.clone());
            for _ in 0..500 {
                let probe = Address::v4((next() as u32 & 0x0303_ffff).to_be_bytes());
                let longest = prefixes
                    .iter()
                    .filter(|(prefix, _)| prefix.contains(probe))
                    .max_by_key(|(prefix, value)| (prefix.len, *value))
                    .map_or(0, |(_, value)| *value);
                assert_eq!(table.find(probe), longest);
            }
        }
    }
}
