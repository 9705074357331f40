//! What a detection remembers: rows by key, never more than a bound, which ones changed, and how
//! they are stored.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::number_of;
use crate::told::Told;

/// How many rows are compared when one must give way.
const CANDIDATES: usize = 64;

/// What a stored row is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Of BCN-PERIODIC: what equipment opens to a peer, or to strangers, on a service.
    Channel = 1,
    /// Of EGR-COHORT: that equipment turned to a place.
    Visit = 2,
    /// Of EGR-VOLUME: what equipment sent, hour by hour.
    Hours = 3,
    /// Of OAM-WINDOW: a session on a service of management.
    Session = 4,
    /// Of COV-DNS: names that equipment asked for under a domain.
    Domain = 5,
    /// Of EGR-CRYPTO: what equipment shows of its encrypted conversations.
    Trait = 6,
    /// Of LI-UNMATCHED: how many streams of copies go to a place.
    Standing = 7,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Channel,
        Self::Visit,
        Self::Hours,
        Self::Session,
        Self::Domain,
        Self::Trait,
        Self::Standing,
    ];

    /// The label `table` of its evictions.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Channel => "beacon_channels",
            Self::Visit => "cohort_visits",
            Self::Hours => "volume_hours",
            Self::Session => "management_sessions",
            Self::Domain => "dns_domains",
            Self::Trait => "crypto_traits",
            Self::Standing => "stream_standings",
        }
    }
}

/// A row to be stored, or, without a value, to be dropped from the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// What it is.
    pub kind: Kind,
    /// Its key.
    pub key: Vec<u8>,
    /// Its content.
    pub row: Option<Vec<u8>>,
}

/// A row that may have to give way to another.
pub(crate) trait Row: DeserializeOwned + Serialize {
    /// What it is.
    const KIND: Kind;
    /// Rows that are remembered at a time.
    const BOUND: usize;
    /// What ranks rows: the lowest of some gives way. What shows least must rank lowest, so that
    /// nobody drives out what shows much by what shows nothing.
    type Rank: Ord;

    /// Its rank.
    fn rank(&self) -> Self::Rank;

    /// What was told of it.
    fn told(&mut self) -> Option<&mut Told>;

    /// Another life of the sensor begins; whether that changes the row.
    fn restart(&mut self) -> bool {
        self.told().is_some_and(Told::restart)
    }
}

/// At most `bound` rows.
#[derive(Debug)]
pub(crate) struct Memory<K, V> {
    bound: usize,
    rows: BTreeMap<K, V>,
    changed: BTreeSet<K>,
    /// The keys in the order of their numbers.
    order: BTreeSet<(u64, K)>,
    evictions: u64,
}

impl<K: Clone + DeserializeOwned + Ord + Serialize, V: Row> Default for Memory<K, V> {
    fn default() -> Self {
        Self::new(V::BOUND)
    }
}

impl<K: Clone + DeserializeOwned + Ord + Serialize, V: Row> Memory<K, V> {
    /// An empty memory.
    pub(crate) fn new(bound: usize) -> Self {
        let (rows, changed, order) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { bound, rows, changed, order, evictions: 0 }
    }

    /// The row of a key, to be changed; made by `fresh` if there was none, for which the one of the
    /// next 64 that ranks lowest gives way if there is no room.
    pub(crate) fn entry(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.rows.contains_key(&key) {
            if self.rows.len() >= self.bound {
                self.give_way(&key);
            }
            self.order.insert((number_of(&key), key.clone()));
        }
        self.changed.insert(key.clone());
        self.rows.entry(key).or_insert_with(fresh)
    }

    /// Keys of one equipment, or of one peer, are neighbours; by their numbers they are not. Who is
    /// to come says where the search begins: no state that a restart would lose.
    fn give_way(&mut self, comer: &K) {
        let behind = self.order.range((number_of(comer), comer.clone())..);
        let around = behind.chain(&self.order).take(CANDIDATES);
        let ranked =
            around.filter_map(|(number, key)| Some((self.rows.get(key)?.rank(), *number, key)));
        if let Some((_, number, key)) = ranked.min() {
            let victim = (number, key.clone());
            self.order.remove(&victim);
            self.rows.remove(&victim.1);
            self.changed.insert(victim.1);
            self.evictions += 1;
        }
    }

    /// The rows from a key on.
    pub(crate) fn from(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        self.rows.range(key..)
    }
}

/// What a store needs of a memory, whatever its rows are.
pub(crate) trait Remembered {
    /// What its rows are.
    fn kind(&self) -> Kind;
    /// Takes over a stored row; no if it can't be read.
    fn restore(&mut self, key: &[u8], row: &[u8]) -> bool;
    /// Gives the rows that changed since [`Remembered::stored`].
    fn changed(&self, put: &mut dyn FnMut(Stored));
    /// Whether any did.
    fn has_changed(&self) -> bool;
    /// What changed has been stored.
    fn stored(&mut self);
    /// What was counted for alerts counts from 0 again: another life of the sensor begins.
    fn restart(&mut self);
    /// Rows given up so far.
    fn evictions(&self) -> u64;
}

impl<K: Clone + DeserializeOwned + Ord + Serialize, V: Row> Remembered for Memory<K, V> {
    fn kind(&self) -> Kind {
        V::KIND
    }

    fn restore(&mut self, key: &[u8], row: &[u8]) -> bool {
        let (Ok(key), Ok(row)) = (postcard::from_bytes::<K>(key), postcard::from_bytes(row)) else {
            return false;
        };
        self.order.insert((number_of(&key), key.clone()));
        self.rows.insert(key, row);
        true
    }

    fn changed(&self, put: &mut dyn FnMut(Stored)) {
        for key in &self.changed {
            let row = self.rows.get(key).map(postcard::to_allocvec).transpose();
            // Neither can fail: rows are numbers, names and lists of them.
            if let (Ok(row), Ok(key)) = (row, postcard::to_allocvec(key)) {
                put(Stored { kind: V::KIND, key, row });
            }
        }
    }

    fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    fn stored(&mut self) {
        self.changed.clear();
    }

    fn restart(&mut self) {
        for (key, row) in &mut self.rows {
            if row.restart() {
                self.changed.insert(key.clone());
            }
        }
    }

    fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Seen(u32);

    impl Row for Seen {
        const KIND: Kind = Kind::Channel;
        const BOUND: usize = 1;
        type Rank = u32;

        fn rank(&self) -> u32 {
            self.0
        }

        fn told(&mut self) -> Option<&mut Told> {
            None
        }
    }

    #[test]
    fn what_shows_much_stays_however_many_come_that_show_nothing() {
        let mut memory = Memory::new(2_000);
        // Neighbours, many of which stand side by side.
        for key in 0..1_200_u32 {
            memory.entry(key, || Seen(9));
        }
        for key in 0..20_000 {
            memory.entry(key + 100_000, || Seen(1));
        }
        assert_eq!(memory.rows.len(), 2_000);
        assert!((0..1_200).all(|key| memory.rows.get(&key) == Some(&Seen(9))));
        assert_eq!(memory.evictions(), 19_200);
    }

    #[test]
    fn a_memory_that_was_stored_row_by_row_is_the_same() {
        let mut memory = Memory::new(3);
        let mut disk = BTreeMap::new();
        for step in 0..40_u32 {
            memory.entry(step % 7, || Seen(step)).0 += 1;
            memory.changed(&mut |Stored { key, row, .. }| {
                match row {
                    Some(row) => disk.insert(key, row),
                    None => disk.remove(&key),
                };
            });
            memory.stored();
            assert!(!memory.has_changed());
        }
        let mut restored = Memory::<u32, Seen>::new(3);
        assert!(disk.iter().all(|(key, row)| restored.restore(key, row)));
        assert_eq!(restored.rows, memory.rows);
        assert!(!restored.restore(&[0xff; 9], &[]));
    }
}
