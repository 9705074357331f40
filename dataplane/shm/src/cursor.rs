//! The cursor page: the only memory that control can write.
//!
//! Whatever stands in it, the sensor's idea of what control has finished with moves only
//! forward and never past what was written. A lying cursor makes the ring overwrite records
//! that control still wanted, and nothing else.

use std::mem::offset_of;
use std::ops::Range;

use crate::words::{LINE_BYTES, Ordering, ReadWords, WriteWords};

/// Size of the cursor memfd in bytes.
pub(crate) const CURSOR_BYTES: usize = 4096;

#[repr(C, align(128))]
struct Line(u64);

/// The page as it lies in memory; every field is written by control alone.
#[repr(C)]
struct CursorPage {
    /// Sequence of the next record that control still needs.
    position: Line,
    /// When control was last alive, in nanoseconds of its caller's clock.
    heartbeat: Line,
    /// Sequence of the next record of the evidence ring that control still needs.
    evidence: Line,
}

const POSITION: usize = offset_of!(CursorPage, position) / 8;
const HEARTBEAT: usize = offset_of!(CursorPage, heartbeat) / 8;
const EVIDENCE: usize = offset_of!(CursorPage, evidence) / 8;

/// The word of the event ring's cursor.
pub(crate) const WORDS_POSITION: Range<usize> = POSITION..POSITION + 1;
/// The word of the evidence ring's cursor.
pub(crate) const WORDS_EVIDENCE: Range<usize> = EVIDENCE..EVIDENCE + 1;

const _: () = assert!(offset_of!(CursorPage, position) == 0);
const _: () = assert!(offset_of!(CursorPage, heartbeat) == LINE_BYTES);
const _: () = assert!(offset_of!(CursorPage, evidence) == 2 * LINE_BYTES);
const _: () = assert!(size_of::<CursorPage>() <= CURSOR_BYTES);

/// Words of the page that are in use.
pub(crate) const CURSOR_WORDS: usize = size_of::<CursorPage>() / 8;

/// The sensor's view of how far control has come in one ring.
pub(crate) struct Acknowledged {
    cursor: ReadWords,
    sequence: u64,
}

impl Acknowledged {
    /// By the one word of the ring's cursor.
    pub(crate) fn new(cursor: ReadWords) -> Self {
        Self { cursor, sequence: 0 }
    }

    /// What was believed at the last [`Self::refresh`].
    #[inline]
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads the cursor and believes it as far as it lies between what was believed before and
    /// `head`. The acquire pairs with control's release: its copies of the records below
    /// the cursor are done before the writer reuses their slots. (Loom runs loads in program
    /// order, so that no test of it can show this pair to be needed; the hardware may not.)
    #[inline]
    pub(crate) fn refresh(&mut self, head: u64) -> u64 {
        let claimed = self.cursor.load(0, Ordering::Acquire);
        self.sequence = claimed.min(head).max(self.sequence);
        self.sequence
    }
}

/// Control's last sign of life, as the sensor sees it: 0 before the first.
pub(crate) fn heartbeat(page: &ReadWords) -> u64 {
    page.load(HEARTBEAT, Ordering::Relaxed)
}

/// Control's side of one ring's cursor: one word.
pub(crate) struct CursorWriter {
    cursor: WriteWords,
}

impl CursorWriter {
    pub(crate) fn new(cursor: WriteWords) -> Self {
        Self { cursor }
    }

    /// Lets the sensor reuse the slots of all records below `sequence`.
    pub(crate) fn release(&self, sequence: u64) {
        self.cursor.store(0, sequence, Ordering::Release);
    }

    /// What was released last, by this process or the one before it.
    #[cfg(not(loom))]
    pub(crate) fn released(&self) -> u64 {
        self.cursor.load(0, Ordering::Relaxed)
    }
}

/// Tells the sensor by the page that control is alive at `now`.
#[cfg(not(loom))]
pub(crate) fn beat(page: &WriteWords, now: u64) {
    page.store(HEARTBEAT, now, Ordering::Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_believed_only_between_what_was_and_what_is() {
        let page = WriteWords::private(CURSOR_WORDS);
        let mut acknowledged = Acknowledged::new(page.reader().part(WORDS_POSITION));
        let control = CursorWriter::new(page.part(WORDS_POSITION));
        // The cursor of the other ring is another word.
        CursorWriter::new(page.part(WORDS_EVIDENCE)).release(9);
        for (claim, head, believed) in [
            (0, 10, 0),
            (4, 10, 4),
            (2, 10, 4),
            (u64::MAX, 10, 10),
            (11, 10, 10),
            (3, 12, 10),
            (12, 12, 12),
        ] {
            control.release(claim);
            assert_eq!(acknowledged.refresh(head), believed, "claim {claim} at head {head}");
            assert_eq!(acknowledged.sequence(), believed);
        }
    }
}
