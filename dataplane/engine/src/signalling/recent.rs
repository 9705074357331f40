//! What was noted lately: keys with the time at which each was last, and what is known of it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash};

use super::keyed::KeyedHasher;
use crate::Nanos;

/// How many are remembered; the oldest give way.
const BOUND: usize = 1 << 16;

/// Keys with their times, and what is known of each beside.
#[derive(Debug)]
pub(crate) struct Recent<K, V = ()> {
    times: HashMap<K, (Nanos, V), BuildHasherDefault<KeyedHasher>>,
    order: VecDeque<(Nanos, K)>,
    span: Nanos,
    evictions: u64,
}

impl<K: Copy + Eq + Hash, V: Default> Recent<K, V> {
    /// Nothing noted yet; each is remembered for `span`.
    pub(crate) fn new(span: Nanos) -> Self {
        Self { times: HashMap::default(), order: VecDeque::new(), span, evictions: 0 }
    }

    /// Notes a key.
    pub(crate) fn add(&mut self, key: K, time: Nanos) {
        while let Some((noted, oldest)) = self.order.front().copied() {
            let is_over = time.since(noted) > self.span;
            if !is_over && self.order.len() < BOUND {
                break;
            }
            self.order.pop_front();
            self.evictions += u64::from(!is_over);
            if self.times.get(&oldest).is_some_and(|(last, _)| *last == noted) {
                self.times.remove(&oldest);
            }
        }
        self.times.entry(key).or_default().0 = time;
        self.order.push_back((time, key));
    }

    /// When a key was noted, unless that is over.
    pub(crate) fn when(&self, key: &K, now: Nanos) -> Option<Nanos> {
        let noted = self.times.get(key).map(|(noted, _)| *noted);
        noted.filter(|noted| now.since(*noted) <= self.span)
    }

    /// What is known of a key beside its time, to be changed.
    pub(crate) fn of(&mut self, key: &K) -> Option<&mut V> {
        self.times.get_mut(key).map(|(_, of)| of)
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: &K) {
        if !self.times.is_empty() {
            self.times.remove(key);
        }
    }

    /// The key that was noted so many before the last one.
    pub(crate) fn before(&self, many: usize) -> Option<K> {
        self.order.len().checked_sub(many + 1).map(|at| self.order[at].1)
    }

    /// Keys that gave way before their time.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way_and_are_counted_and_all_are_over_some_time() {
        let mut recent: Recent<u64> = Recent::new(Nanos(100));
        recent.add(u64::MAX, Nanos(1));
        assert_eq!(recent.when(&u64::MAX, Nanos(101)), Some(Nanos(1)));
        assert_eq!(recent.when(&u64::MAX, Nanos(102)), None);
        (0..BOUND as u64).for_each(|key| recent.add(key, Nanos(2)));
        assert_eq!((recent.when(&u64::MAX, Nanos(2)), recent.evictions()), (None, 1));
        recent.add(7, Nanos(200));
        assert_eq!((recent.order.len(), recent.evictions()), (1, 1));
        assert_eq!((recent.before(0), recent.before(1)), (Some(7), None));
    }
}
