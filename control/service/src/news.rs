//! Alerts that changed in the store since whoever watches was told last: the process that writes
//! notes their ids as it commits, and waits for nobody. What finds no room is counted, apart for
//! what is restricted, so that no number that all may see depends on that.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cases::AlertId;
use crate::live::lock;

/// Alerts that are noted at once of each kind.
const MOST: usize = 2_048;

/// What changed.
#[derive(Debug, Default)]
pub struct Fresh {
    /// Each once, however often it changed.
    pub ids: HashSet<AlertId>,
    /// Changes that found no room.
    pub missed: u64,
}

/// The notes.
#[derive(Debug, Default)]
pub struct News {
    watchers: AtomicUsize,
    open: Mutex<Fresh>,
    restricted: Mutex<Fresh>,
}

impl News {
    /// Whether anybody watches: nothing is noted otherwise.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    /// One more watches, or one less.
    pub fn set_watchers(&self, watchers: usize) {
        self.watchers.store(watchers, Ordering::Relaxed);
    }

    /// Notes alerts that were stored, each with whether it is restricted.
    pub fn stored(&self, alerts: impl IntoIterator<Item = (AlertId, bool)>) {
        if !self.is_watched() {
            return;
        }
        let (mut open, mut restricted) = (lock(&self.open), lock(&self.restricted));
        for (id, is_restricted) in alerts {
            let fresh = if is_restricted { &mut *restricted } else { &mut *open };
            if fresh.ids.len() < MOST {
                fresh.ids.insert(id);
            } else if !fresh.ids.contains(&id) {
                fresh.missed += 1;
            }
        }
    }

    /// Takes what was noted of one kind.
    pub fn take(&self, restricted: bool) -> Fresh {
        std::mem::take(&mut *lock(if restricted { &self.restricted } else { &self.open }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_apart_and_nobody_watching_costs_nothing() {
        let news = News::default();
        news.stored([(AlertId(1), false)]);
        assert!(news.take(false).ids.is_empty(), "nobody watched");
        news.set_watchers(1);
        let most = MOST as u64;
        news.stored((0..most + 3).map(|id| (AlertId(id), false)));
        // What is noted already needs no room.
        news.stored([(AlertId(0), false), (AlertId(7), true)]);
        let (open, restricted) = (news.take(false), news.take(true));
        assert_eq!((open.ids.len(), open.missed), (MOST, 3));
        assert_eq!((restricted.ids.len(), restricted.missed), (1, 0));
        assert!(news.take(false).ids.is_empty());
    }
}
