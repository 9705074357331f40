//! A map that never holds more than its bound.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map of at most `bound` rows. A new row in a full map takes the place of
/// the one that was inserted first; each such loss is counted.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    bound: usize,
    /// Each row, and the number of its place in the order.
    rows: HashMap<K, (u64, V)>,
    /// Places by number. That of a row which was taken out is nobody's, even if its key comes again.
    order: VecDeque<(u64, K)>,
    next: u64,
    evictions: u64,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// An empty map.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, rows: HashMap::new(), order: VecDeque::new(), next: 0, evictions: 0 }
    }

    /// The row of `key`, made by `fresh` if there was none.
    pub(crate) fn entry(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.rows.contains_key(&key) {
            while self.rows.len() >= self.bound
                && let Some((number, oldest)) = self.order.pop_front()
            {
                if self.holds(number, &oldest) {
                    self.rows.remove(&oldest);
                    self.evictions += 1;
                }
            }
            self.next += 1;
            self.order.push_back((self.next, key.clone()));
        }
        &mut self.rows.entry(key).or_insert_with(|| (self.next, fresh())).1
    }

    /// Whether a place is still a row's.
    fn holds(&self, number: u64, key: &K) -> bool {
        self.rows.get(key).is_some_and(|(of, _)| *of == number)
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
            let ranked = candidates.filter_map(|(n, (number, key))| {
                let (of, row) = self.rows.get(key)?;
                (of == number).then(|| (rank(row), n))
            });
            if let Some((_, lowest)) = ranked.min() {
                self.order.rotate_left(lowest);
            }
        }
        self.entry(key, fresh)
    }

    /// Takes the row of `key` out. Its place in the order stays until it comes up, or until there
    /// are more such places than rows.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        let row = self.rows.remove(key);
        if self.order.len() > 2 * self.bound {
            let rows = &self.rows;
            self.order.retain(|(number, key)| rows.get(key).is_some_and(|(of, _)| of == number));
        }
        row.map(|(_, row)| row)
    }

    /// The row of `key`.
    pub(crate) fn find(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|(_, row)| row)
    }

    /// The row of `key`, to be changed.
    pub(crate) fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key).map(|(_, row)| row)
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
    fn what_is_taken_out_and_comes_again_counts_as_inserted_then() {
        let mut map = Bounded::new(4);
        for key in 1..=4 {
            map.entry(key, || key);
        }
        // A request and its reply, again and again.
        for _ in 0..3 {
            assert_eq!(map.take(&1), Some(1));
            map.entry(1, || 1);
        }
        map.entry(5, || 5);
        assert_eq!((map.find(&1), map.find(&2), map.evictions()), (Some(&1), None, 1));
        for _ in 0..1_000 {
            assert_eq!(map.take(&5), Some(5));
            map.entry(5, || 5);
        }
        assert_eq!((map.rows.len(), map.find(&3)), (4, Some(&3)));
        assert!(map.order.len() <= 2 * 4 + 1, "{}", map.order.len());
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
