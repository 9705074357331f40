//! The first page of the data memfd, and where everything after it lies.
//!
//! What stands in the first line is written once, before the hand-over, and tells a reader
//! whether it can read the rest. Every other field has one writer and lines of its own.

use std::fmt;
use std::mem::offset_of;
use std::ops::Range;

use crate::block;
use crate::ring::{LOST_WORDS, SLOT_BYTES, SLOT_WORDS};
use crate::words::{LINE_BYTES, LINE_WORDS};

/// `weir-shm` as bytes in memory.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"weir-shm");
/// Counts up with every change of the layout that the hash can't see.
pub(crate) const VERSION: u64 = 2;
/// Size of the header in bytes.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Largest data memfd in bytes.
pub(crate) const LARGEST_BYTES: usize = 1 << 30;

#[repr(C, align(128))]
struct Line([u64; LINE_WORDS]);

/// The header as it lies in memory, in words of the machine.
#[repr(C)]
struct Header {
    magic: u64,
    version: u64,
    total_bytes: u64,
    layout_hash: u64,
    schema: u64,
    boot: [u64; 2],
    pid: u64,
    /// When the segment was created, in nanoseconds of its creator's clock.
    started: u64,
    blocks: u64,
    words_per_block: u64,
    ring_slots: u64,
    evidence_slots: u64,
    /// Written by whichever thread of the sensor owns the heartbeat.
    heartbeat: Line,
    /// Written by whichever thread of the sensor owns its state.
    state: Line,
    /// Records written to the event ring; by its writer.
    event_head: Line,
    /// Records lost by the event ring, by reason; by its writer.
    event_lost: Line,
    /// The same of the evidence ring.
    evidence_head: Line,
    evidence_lost: Line,
}

macro_rules! word {
    ($field:ident) => {
        offset_of!(Header, $field) / 8
    };
}

pub(crate) const WORD_MAGIC: usize = word!(magic);
pub(crate) const WORD_VERSION: usize = word!(version);
pub(crate) const WORD_TOTAL_BYTES: usize = word!(total_bytes);
pub(crate) const WORD_LAYOUT_HASH: usize = word!(layout_hash);
pub(crate) const WORD_SCHEMA: usize = word!(schema);
pub(crate) const WORD_BOOT: usize = word!(boot);
pub(crate) const WORD_PID: usize = word!(pid);
pub(crate) const WORD_STARTED: usize = word!(started);
pub(crate) const WORD_BLOCKS: usize = word!(blocks);
pub(crate) const WORD_WORDS_PER_BLOCK: usize = word!(words_per_block);
pub(crate) const WORD_RING_SLOTS: usize = word!(ring_slots);
pub(crate) const WORD_EVIDENCE_SLOTS: usize = word!(evidence_slots);
pub(crate) const WORD_HEARTBEAT: usize = word!(heartbeat);
pub(crate) const WORD_STATE: usize = word!(state);
pub(crate) const WORD_EVENT_HEAD: usize = word!(event_head);
pub(crate) const WORDS_EVENT_LOST: Range<usize> = word!(event_lost)..word!(event_lost) + LOST_WORDS;
pub(crate) const WORD_EVIDENCE_HEAD: usize = word!(evidence_head);
pub(crate) const WORDS_EVIDENCE_LOST: Range<usize> =
    word!(evidence_lost)..word!(evidence_lost) + LOST_WORDS;

const _: () = assert!(offset_of!(Header, ring_slots) == 88);
const _: () = assert!(offset_of!(Header, heartbeat) == LINE_BYTES);
const _: () = assert!(offset_of!(Header, state) == 2 * LINE_BYTES);
const _: () = assert!(offset_of!(Header, event_head) == 3 * LINE_BYTES);
const _: () = assert!(offset_of!(Header, event_lost) == 4 * LINE_BYTES);
const _: () = assert!(offset_of!(Header, evidence_head) == 5 * LINE_BYTES);
const _: () = assert!(offset_of!(Header, evidence_lost) == 6 * LINE_BYTES);
const _: () = assert!(size_of::<Header>() == 7 * LINE_BYTES);
const _: () = assert!(size_of::<Header>() <= HEADER_BYTES);
const _: () = assert!(LOST_WORDS <= LINE_WORDS);

/// What a segment has room for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// Number of blocks, 1 to 4096.
    pub blocks: usize,
    /// Words of each block, 1 to 1,048,576.
    pub words_per_block: usize,
    /// Slots of the event ring, a power of two from 2 to 1,048,576; a slot is 1,024 bytes.
    pub ring_slots: usize,
    /// Slots of the evidence ring; the same.
    pub evidence_slots: usize,
    /// A hash of what the words and records mean. Both sides must have the same.
    pub schema: u64,
}

/// A shape of which no segment can be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShapeError {
    /// Not 1 to 4096 blocks.
    #[error("{0} blocks in a segment; from 1 to 4096 are possible")]
    Blocks(usize),
    /// Not 1 to 1,048,576 words.
    #[error("{0} words in a block; from 1 to 1048576 are possible")]
    WordsPerBlock(usize),
    /// Not a power of two from 2 to 1,048,576.
    #[error("{0} slots in a ring; a power of two from 2 to 1048576 is possible")]
    RingSlots(usize),
    /// More than 1 GiB together.
    #[error("a segment of {0} bytes; at most {LARGEST_BYTES} are possible: ask for less")]
    TooLarge(usize),
}

/// Where the parts of a segment lie, in words from its start.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    shape: Shape,
    slots_at: usize,
    /// Size of the whole segment in bytes.
    pub(crate) bytes: usize,
}

impl Layout {
    pub(crate) fn of(shape: &Shape) -> Result<Self, ShapeError> {
        let Shape { blocks, words_per_block, ring_slots, evidence_slots, .. } = *shape;
        if !(1..=4096).contains(&blocks) {
            return Err(ShapeError::Blocks(blocks));
        }
        if !(1..=1 << 20).contains(&words_per_block) {
            return Err(ShapeError::WordsPerBlock(words_per_block));
        }
        for slots in [ring_slots, evidence_slots] {
            if !slots.is_power_of_two() || !(2..=1 << 20).contains(&slots) {
                return Err(ShapeError::RingSlots(slots));
            }
        }
        // The bounds above keep these sums far below 2^64.
        let blocks_end = HEADER_BYTES + blocks * block::stride(words_per_block) * 8;
        let slots_at = blocks_end.next_multiple_of(4096);
        let bytes = (slots_at + (ring_slots + evidence_slots) * SLOT_BYTES).next_multiple_of(4096);
        if bytes > LARGEST_BYTES {
            return Err(ShapeError::TooLarge(bytes));
        }
        Ok(Self { shape: *shape, slots_at: slots_at / 8, bytes })
    }

    /// The words of one block.
    pub(crate) fn block(&self, index: usize) -> Range<usize> {
        assert!(index < self.shape.blocks, "block beyond the segment");
        let stride = block::stride(self.shape.words_per_block);
        let start = HEADER_BYTES / 8 + index * stride;
        start..start + stride
    }

    /// The slots of the event ring.
    pub(crate) fn event_slots(&self) -> Range<usize> {
        self.slots_at..self.slots_at + self.shape.ring_slots * SLOT_WORDS
    }

    /// The slots of the evidence ring, behind them.
    pub(crate) fn evidence_slots(&self) -> Range<usize> {
        let start = self.event_slots().end;
        start..start + self.shape.evidence_slots * SLOT_WORDS
    }

    /// A hash of everything that reader and writer must see alike.
    pub(crate) fn hash(&self) -> u64 {
        let words = [
            VERSION,
            self.shape.schema,
            self.shape.blocks as u64,
            self.shape.words_per_block as u64,
            self.shape.ring_slots as u64,
            self.shape.evidence_slots as u64,
            self.slots_at as u64,
            self.bytes as u64,
            block::stride(self.shape.words_per_block) as u64,
            SLOT_WORDS as u64,
            WORD_HEARTBEAT as u64,
            WORD_STATE as u64,
            WORD_EVENT_HEAD as u64,
            WORDS_EVENT_LOST.start as u64,
            WORD_EVIDENCE_HEAD as u64,
            WORDS_EVIDENCE_LOST.start as u64,
            LOST_WORDS as u64,
        ];
        // FNV-1a: the hash guards against mistakes; against malice the reader checks bounds.
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
    }
}

/// Sixteen random bytes that tell one life of the sensor from every other.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct BootId([u8; 16]);

impl BootId {
    /// The identity with these bytes, as stored earlier.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    pub(crate) fn from_words(words: [u64; 2]) -> Self {
        Self((u128::from(words[0]) | u128::from(words[1]) << 64).to_le_bytes())
    }

    pub(crate) fn to_words(self) -> [u64; 2] {
        let both = u128::from_le_bytes(self.0);
        [both as u64, (both >> 64) as u64]
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

/// A place in the event ring that stays meaningful when either process is replaced. Control
/// stores it in the same transaction as what it read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Position {
    /// The life of the sensor that numbered the records.
    pub boot: BootId,
    /// The next record that is still needed.
    pub sequence: u64,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { blocks: 3, words_per_block: 100, ring_slots: 8, evidence_slots: 4, schema: 1 };

    #[test]
    fn the_parts_of_a_segment_do_not_overlap() {
        let layout = Layout::of(&SHAPE).unwrap();
        let mut end = HEADER_BYTES / 8;
        let rings = [layout.event_slots(), layout.evidence_slots()];
        for part in [0, 1, 2].map(|block| layout.block(block)).into_iter().chain(rings) {
            assert!(part.start >= end && part.end > part.start, "{part:?}");
            assert!(part.start.is_multiple_of(LINE_WORDS));
            end = part.end;
        }
        assert!(end * 8 <= layout.bytes);
        assert!(layout.bytes.is_multiple_of(4096));
    }

    #[test]
    fn the_hash_covers_shape_and_schema() {
        let hash = Layout::of(&SHAPE).unwrap().hash();
        for other in [
            Shape { blocks: 4, ..SHAPE },
            Shape { words_per_block: 101, ..SHAPE },
            Shape { ring_slots: 16, ..SHAPE },
            Shape { evidence_slots: 8, ..SHAPE },
            Shape { schema: 2, ..SHAPE },
        ] {
            assert_ne!(Layout::of(&other).unwrap().hash(), hash, "{other:?}");
        }
        assert_eq!(Layout::of(&SHAPE).unwrap().hash(), hash);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        for (shape, error) in [
            (Shape { blocks: 0, ..SHAPE }, ShapeError::Blocks(0)),
            (Shape { blocks: usize::MAX, ..SHAPE }, ShapeError::Blocks(usize::MAX)),
            (Shape { words_per_block: 0, ..SHAPE }, ShapeError::WordsPerBlock(0)),
            (Shape { ring_slots: 12, ..SHAPE }, ShapeError::RingSlots(12)),
            (Shape { ring_slots: 1 << 63, ..SHAPE }, ShapeError::RingSlots(1 << 63)),
            (Shape { evidence_slots: 1, ..SHAPE }, ShapeError::RingSlots(1)),
        ] {
            assert_eq!(Layout::of(&shape).err(), Some(error));
        }
        let largest = Shape { blocks: 4096, words_per_block: 1 << 20, ..SHAPE };
        assert!(matches!(Layout::of(&largest), Err(ShapeError::TooLarge(_))));
    }

    #[test]
    fn a_boot_id_survives_the_way_through_memory() {
        let boot = BootId(*b"0123456789abcdef");
        assert_eq!(BootId::from_words(boot.to_words()), boot);
        assert_eq!(boot.to_string(), "30313233343536373839616263646566");
    }
}
