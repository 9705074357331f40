//! Blocks: words that are published and read as a whole, under a sequence word.
//!
//! The sequence word is odd while the writer is at work. The writer never waits; a reader
//! that was overtaken tries again, a bounded number of times. Publishing costs a
//! fraction of a nanosecond a word, and a reader succeeds only if the writer leaves it time to copy the block
//! between two publications: publish large blocks every few hundred microseconds, not every
//! burst.

use crate::words::{LINE_WORDS, Ordering, ReadWords, WriteWords, fence};

#[cfg(loom)]
const ATTEMPTS: usize = 2;
#[cfg(not(loom))]
const ATTEMPTS: usize = 256;

const SEQUENCE: usize = 0;
const WORDS: usize = 1;

/// Words from one block to the next: the sequence word and the block's own, on lines that no
/// other block shares.
pub(crate) const fn stride(words_per_block: usize) -> usize {
    (WORDS + words_per_block).next_multiple_of(LINE_WORDS)
}

/// A block could not be read in one piece: its writer publishes faster than the block can be
/// copied, or died while publishing. Keep the last snapshot and ask again later.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("block {block} is torn; its writer publishes too often or died; read it again later")]
pub struct Torn {
    /// Index of the block.
    pub block: usize,
}

/// The one owner of a block on the sensor's side.
pub struct BlockWriter {
    words: WriteWords,
    count: usize,
    sequence: u64,
}

impl BlockWriter {
    /// Takes over the zeroed words of one block, of which `count` are its own.
    pub(crate) fn new(words: WriteWords, count: usize) -> Self {
        assert!(words.len() >= WORDS + count, "block beyond its words");
        Self { words, count, sequence: 0 }
    }

    /// Number of words of the block.
    pub fn words(&self) -> usize {
        self.count
    }

    /// Makes `values` the content of the block. Never waits, whatever readers do.
    ///
    /// # Panics
    /// When `values` is not as long as the block.
    pub fn publish(&mut self, values: &[u64]) {
        assert_eq!(values.len(), self.count, "words published and words of the block");
        // Whoever sees one of the new words also sees the odd sequence: the fence stands
        // between the two, and pairs with the reader's.
        self.words.store(SEQUENCE, self.sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.words.store_run(WORDS, self.count, values.iter().copied());
        self.sequence += 2;
        self.words.store(SEQUENCE, self.sequence, Ordering::Release);
    }
}

/// Reads one block.
#[derive(Clone)]
pub(crate) struct BlockReader {
    words: ReadWords,
    block: usize,
}

impl BlockReader {
    pub(crate) fn new(words: ReadWords, block: usize) -> Self {
        Self { words, block }
    }

    /// Copies the first `into.len()` words as one `publish` wrote them (zeros before the
    /// first). After an error `into` holds a mixture.
    pub(crate) fn snapshot(&self, into: &mut [u64]) -> Result<(), Torn> {
        for attempt in 0..ATTEMPTS {
            let before = self.words.load(SEQUENCE, Ordering::Acquire);
            if before.is_multiple_of(2) {
                self.words.load_run(WORDS, into);
                fence(Ordering::Acquire);
                if self.words.load(SEQUENCE, Ordering::Relaxed) == before {
                    return Ok(());
                }
            }
            pause(attempt);
        }
        Err(Torn { block: self.block })
    }
}

/// Gives the writer time to finish; after some attempts also the processor, which it may
/// be waiting for.
fn pause(attempt: usize) {
    #[cfg(loom)]
    {
        let _ = attempt;
        loom::thread::yield_now();
    }
    #[cfg(not(loom))]
    if attempt < ATTEMPTS / 4 { std::hint::spin_loop() } else { std::thread::yield_now() }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn loom_a_snapshot_never_mixes_two_publications() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let memory = WriteWords::private(3);
            let reader = BlockReader::new(memory.reader(), 0);
            let mut writer = BlockWriter::new(memory, 2);
            let publishing = loom::thread::spawn(move || {
                writer.publish(&[1, 1]);
                writer.publish(&[2, 2]);
            });
            let mut earlier = 0;
            for _ in 0..2 {
                let mut words = [0; 2];
                if reader.snapshot(&mut words).is_ok() {
                    assert_eq!(words[0], words[1], "words of two publications");
                    assert!(words[0] >= earlier, "a snapshot went back in time");
                    earlier = words[0];
                }
            }
            publishing.join().unwrap();
            let mut words = [0; 2];
            reader.snapshot(&mut words).expect("a block at rest is never torn");
            assert_eq!(words, [2, 2]);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_what_was_published_last() {
        let memory = WriteWords::private(stride(5));
        let reader = BlockReader::new(memory.reader(), 0);
        let mut writer = BlockWriter::new(memory, 5);
        let mut words = [9; 5];
        reader.snapshot(&mut words).unwrap();
        assert_eq!(words, [0; 5]);
        writer.publish(&[1, 2, 3, 4, 5]);
        writer.publish(&[6, 7, 8, 9, u64::MAX]);
        reader.snapshot(&mut words).unwrap();
        assert_eq!(words, [6, 7, 8, 9, u64::MAX]);
    }

    #[test]
    fn a_writer_that_died_while_publishing_leaves_a_torn_block_and_no_endless_reader() {
        let memory = WriteWords::private(stride(2));
        let reader = BlockReader::new(memory.reader(), 3);
        memory.store(SEQUENCE, 7, Ordering::Relaxed);
        assert_eq!(reader.snapshot(&mut [0; 2]), Err(Torn { block: 3 }));
    }

    #[test]
    #[should_panic(expected = "words of the block")]
    fn a_publication_of_another_length_is_a_mistake_of_the_caller() {
        BlockWriter::new(WriteWords::private(stride(2)), 2).publish(&[1]);
    }

    #[test]
    fn blocks_share_no_line() {
        assert_eq!(stride(1), LINE_WORDS);
        assert_eq!(stride(LINE_WORDS - 1), LINE_WORDS);
        assert_eq!(stride(LINE_WORDS), 2 * LINE_WORDS);
    }
}
