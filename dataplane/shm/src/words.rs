//! Runs of shared words: the one way in which the protocols of this crate touch memory.
//!
//! In production the words lie in a mapped memfd. Under `--cfg loom` they are loom's atomics on
//! the heap, so that the very same ring and block code is what loom explores.

use std::ops::{Deref, Range};
use std::sync::Arc;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use crate::memfd::Mapping as Memory;

/// Bytes between fields with different writers. Processors fetch cache lines in pairs, so
/// two lines of 64 bytes are the unit that must not be shared.
pub(crate) const LINE_BYTES: usize = 128;
/// [`LINE_BYTES`] in words.
pub(crate) const LINE_WORDS: usize = LINE_BYTES / 8;

/// Words that may be read; another process, or this one through [`WriteWords`], may change
/// them at any moment.
#[derive(Clone)]
pub(crate) struct ReadWords {
    memory: Arc<Memory>,
    range: Range<usize>,
}

impl ReadWords {
    /// All words of `memory`.
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        let range = 0..memory.words().len();
        Self { memory, range }
    }

    /// The words `range` of these. Panics when they are not within.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "part beyond its words");
        let start = self.range.start;
        Self { memory: Arc::clone(&self.memory), range: start + range.start..start + range.end }
    }

    /// Number of words.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    #[inline]
    pub(crate) fn load(&self, index: usize, ordering: Ordering) -> u64 {
        self.words()[index].load(ordering)
    }

    /// Copies `into.len()` words from `start` on, each relaxed.
    #[inline]
    pub(crate) fn load_run(&self, start: usize, into: &mut [u64]) {
        let run = &self.words()[start..start + into.len()];
        for (to, from) in into.iter_mut().zip(run) {
            *to = from.load(Ordering::Relaxed);
        }
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        &self.memory.words()[self.range.clone()]
    }
}

/// Words that may be written as well.
pub(crate) struct WriteWords(ReadWords);

impl WriteWords {
    /// All words of `memory`. Panics when it is mapped read-only: a store would be a crash.
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        assert!(memory.writable(), "words of a read-only mapping can't be written");
        Self(ReadWords::new(memory))
    }

    /// The words `range` of these. Panics when they are not within.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self(self.0.part(range))
    }

    #[inline]
    pub(crate) fn store(&self, index: usize, value: u64, ordering: Ordering) {
        self.words()[index].store(value, ordering);
    }

    /// Stores `count` values from `start` on, each relaxed.
    #[inline]
    pub(crate) fn store_run(&self, start: usize, count: usize, values: impl Iterator<Item = u64>) {
        let run = &self.words()[start..start + count];
        for (to, from) in run.iter().zip(values) {
            to.store(from, Ordering::Relaxed);
        }
    }
}

impl Deref for WriteWords {
    type Target = ReadWords;

    fn deref(&self) -> &ReadWords {
        &self.0
    }
}

/// Zeroed words on the heap, as loom needs them.
#[cfg(loom)]
pub(crate) struct Memory(Vec<AtomicU64>);

#[cfg(loom)]
impl Memory {
    pub(crate) fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    pub(crate) fn writable(&self) -> bool {
        true
    }
}

#[cfg(test)]
impl WriteWords {
    /// Zeroed words that nobody else maps.
    pub(crate) fn private(count: usize) -> Self {
        #[cfg(loom)]
        let memory = Memory((0..count).map(|_| AtomicU64::new(0)).collect());
        #[cfg(not(loom))]
        let memory = {
            let fd = crate::memfd::create(c"weir-test", count * 8).unwrap();
            Memory::writable_over(&fd, count * 8).unwrap()
        };
        Self::new(Arc::new(memory))
    }

    /// A reader of the same words.
    pub(crate) fn reader(&self) -> ReadWords {
        self.0.clone()
    }
}
