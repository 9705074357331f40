//! The hash of the session machine's maps: fast, and under a secret, since peers
//! choose the keys; and an index by such hashes for the tables that every message asks.

use std::alloc::{Layout, handle_alloc_error};
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use weir_mem::{HugeArray, prefetch};

use crate::keyed_hash::fold;

/// A secret of this process. Maps under it are never walked in their own order
/// where that could be seen.
fn secret() -> u64 {
    static SECRET: OnceLock<u64> = OnceLock::new();
    *SECRET.get_or_init(|| {
        use std::hash::BuildHasher;
        std::collections::hash_map::RandomState::new().hash_one(0_u64)
    })
}

/// A multiplying hash under the process's secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyedHasher {
    state: u64,
    multiplier: u64,
}

impl Default for KeyedHasher {
    #[inline]
    fn default() -> Self {
        let secret = secret();
        Self { state: secret, multiplier: secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1 }
    }
}

impl KeyedHasher {
    #[inline]
    fn word(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.multiplier);
    }
}

impl Hasher for KeyedHasher {
    #[inline]
    fn finish(&self) -> u64 {
        fold(self.state, 0xd6e8_feb8_6659_fd93)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let last = rest.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet));
        // The length tells apart what ends in zeros; what it says of the words is said already,
        // and its low octet stands above the seven that may be left.
        self.word(last ^ (bytes.len() as u64).rotate_right(8));
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.word(number as u64);
        self.word((number >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }
}

/// The hash of a message's bytes: equal bytes come again. Whether another message follows in its
/// datagram (FO, TS 29.244 §7.2.2.1) is none of them: it may come again without that one.
pub(crate) fn hash_message(bytes: &[u8]) -> u64 {
    const FOLLOWED: u8 = 0x04;
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut hasher = KeyedHasher::default();
    hasher.write(rest);
    hasher.write_u8(first & !FOLLOWED);
    hasher.finish()
}

/// The hash of a key in an [`Index`].
#[inline]
pub(crate) fn hash_key(key: &impl Hash) -> u64 {
    let mut hasher = KeyedHasher::default();
    key.hash(&mut hasher);
    // Zero means a free slot.
    hasher.finish().max(1)
}

/// Numbers by the hashes of their keys. The keys themselves are not kept: two of a million
/// share a hash by a chance of one in 2^24, and nobody can aim at that without the secret.
/// So an entry is 16 octets, a look-up touches one cache line of a huge page, and nothing
/// is allocated after the start.
#[derive(Debug)]
pub(crate) struct Index {
    slots: HugeArray<[u64; 2]>,
    shift: u32,
    len: usize,
}

impl Index {
    /// An index with room for `entries`; at most four fifths of the slots are taken then.
    pub(crate) fn new(entries: usize) -> Self {
        let slots = (entries + entries / 4).next_power_of_two().max(64);
        let Ok(array) = HugeArray::new(slots) else {
            handle_alloc_error(Layout::array::<[u64; 2]>(slots).unwrap_or(Layout::new::<u64>()))
        };
        Self { slots: array, shift: u64::BITS - slots.ilog2(), len: 0 }
    }

    fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// The slot of a hash, or the free one at which the search for it ended.
    fn slot(&self, hash: u64) -> usize {
        let mut slot = self.home(hash);
        while self.slots[slot][0] != hash && self.slots[slot][0] != 0 {
            slot = self.next(slot);
        }
        slot
    }

    /// Asks for the slots where a hash is looked for.
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots[self.home(hash)]);
    }

    /// The number under a hash.
    pub(crate) fn find(&self, hash: u64) -> Option<u64> {
        let [of, number] = self.slots[self.slot(hash)];
        (of == hash).then_some(number)
    }

    /// Puts a number under a hash in place of the one that was there; no if there is no room.
    pub(crate) fn insert(&mut self, hash: u64, number: u64) -> bool {
        let slot = self.slot(hash);
        if self.slots[slot][0] == 0 {
            if self.is_full() {
                return false;
            }
            self.len += 1;
        }
        self.slots[slot] = [hash, number];
        true
    }

    /// Whether another hash finds no room: a fifth stays free, so that searches end soon.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.slots.len() / 5 * 4
    }

    /// Forgets a hash if that number is under it.
    pub(crate) fn remove(&mut self, hash: u64, number: u64) {
        let mut free = self.slot(hash);
        if self.slots[free] != [hash, number] {
            return;
        }
        self.len -= 1;
        // Those behind move up where a free slot would end the search for them.
        let mut slot = self.next(free);
        while self.slots[slot][0] != 0 {
            let mask = self.slots.len() - 1;
            let way = |from: usize| slot.wrapping_sub(from) & mask;
            if way(self.home(self.slots[slot][0])) >= way(free) {
                self.slots[free] = self.slots[slot];
                free = slot;
            }
            slot = self.next(slot);
        }
        self.slots[free] = [0; 2];
    }

    /// Forgets all numbers that are not `wanted`.
    pub(crate) fn retain(&mut self, wanted: impl Fn(u64) -> bool) {
        let kept: Vec<[u64; 2]> =
            self.slots.iter().copied().filter(|[of, number]| *of != 0 && wanted(*number)).collect();
        self.slots.fill([0; 2]);
        self.len = 0;
        for [hash, number] in kept {
            self.insert(hash, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn messages_that_differ_hash_otherwise() {
        let bytes = [0_u8; 40];
        let mut hashes: Vec<u64> = (1..40).map(|len| hash_message(&bytes[..len])).collect();
        hashes.extend((0..40).map(|at| {
            let mut bytes = bytes;
            bytes[at] = 1;
            hash_message(&bytes)
        }));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 79);
        assert_eq!(hash_message(&[0x25, 1]), hash_message(&[0x21, 1]), "followed or not");
    }

    #[test]
    fn an_index_is_what_a_map_is() {
        let mut index = Index::new(200);
        let mut map = HashMap::new();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few homes, so that entries stand in each other's way.
            let hash = (state >> 40 & 0x1f) << 59 | (state >> 50 & 7) | 1;
            if state >> 33 & 3 != 0 {
                if index.insert(hash, state) {
                    map.insert(hash, state);
                } else {
                    assert!(index.is_full());
                }
            } else if let Some(number) = map.remove(&hash) {
                index.remove(hash, number ^ 1);
                assert_eq!(index.find(hash), Some(number), "another number is not taken out");
                index.remove(hash, number);
            }
            assert_eq!(index.len, map.len());
            assert_eq!(index.find(hash), map.get(&hash).copied());
        }
        index.retain(|number| number % 2 == 0);
        map.retain(|_, number| *number % 2 == 0);
        assert!(index.len == map.len() && !map.is_empty());
        assert!(map.iter().all(|(hash, number)| index.find(*hash) == Some(*number)));
    }
}
