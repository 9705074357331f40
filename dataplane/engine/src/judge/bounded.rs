//! A map that never holds more than its bound.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map of at most `bound` rows. A new row in a full map takes the place of
/// the one that was inserted first; each such loss is counted.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    bound: usize,
    rows: HashMap<K, V>,
    order: VecDeque<K>,
    evictions: u64,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// An empty map.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, rows: HashMap::new(), order: VecDeque::new(), evictions: 0 }
    }

    /// The row of `key`, made by `fresh` if there was none.
    pub(crate) fn entry(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.rows.contains_key(&key) {
            while self.rows.len() >= self.bound
                && let Some(oldest) = self.order.pop_front()
            {
                self.evictions += u64::from(self.rows.remove(&oldest).is_some());
            }
            self.order.push_back(key.clone());
        }
        self.rows.entry(key).or_insert_with(fresh)
    }

    /// The same, but of the first 64 rows the one that ranks lowest makes room; the others then
    /// count as inserted last.
    pub(crate) fn entry_ranked<R: Ord>(
        &mut self,
        key: K,
        fresh: impl FnOnce() -> V,
        rank: impl Fn(&V) -> R,
    ) -> &mut V {
        if !self.rows.contains_key(&key) && self.rows.len() >= self.bound {
            let candidates = self.order.iter().take(64).enumerate();
            let ranked = candidates.filter_map(|(n, key)| Some((rank(self.rows.get(key)?), n)));
            if let Some((_, lowest)) = ranked.min() {
                self.order.rotate_left(lowest);
            }
        }
        self.entry(key, fresh)
    }

    /// Takes the row of `key` out. Its place in the order stays until it comes up.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        let row = self.rows.remove(key);
        if self.order.len() > 2 * self.bound {
            self.order.retain(|key| self.rows.contains_key(key));
        }
        row
    }

    /// The row of `key`.
    pub(crate) fn find(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// The row of `key`, to be changed.
    pub(crate) fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key)
    }

    /// Empties the map; what it gave up stays counted.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.order.clear();
    }

    /// Rows given up so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_of_the_first_makes_room() {
        let mut map = Bounded::new(100);
        for n in 0..100 {
            map.entry(n, || u32::from(n < 50));
        }
        for n in 100..10_000 {
            map.entry_ranked(n, || 0, |row| *row);
        }
        assert!((0..50).all(|n| map.find(&n).is_some()));
        assert_eq!(map.evictions(), 9_900);
    }

    #[test]
    fn the_first_row_makes_room() {
        let mut map = Bounded::new(2);
        *map.entry(1, || 10) += 1;
        map.entry(2, || 20);
        map.entry(1, || 0);
        map.entry(3, || 30);
        assert_eq!((map.find(&1), map.find(&2), map.find(&3)), (None, Some(&20), Some(&30)));
        assert_eq!(map.evictions(), 1);
    }
}
