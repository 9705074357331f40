//! The cursor page: the only memory that control can write.
//!
//! Whatever stands in it, the sensor's idea of what control has finished with moves only
//! forward and never past what was written. A lying cursor makes the ring overwrite records
//! that control still wanted, and nothing else.

use std::mem::offset_of;

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
}

const POSITION: usize = offset_of!(CursorPage, position) / 8;
const HEARTBEAT: usize = offset_of!(CursorPage, heartbeat) / 8;

const _: () = assert!(offset_of!(CursorPage, position) == 0);
const _: () = assert!(offset_of!(CursorPage, heartbeat) == LINE_BYTES);
const _: () = assert!(size_of::<CursorPage>() <= CURSOR_BYTES);

/// Words of the page that are in use.
pub(crate) const CURSOR_WORDS: usize = size_of::<CursorPage>() / 8;

/// The sensor's view of how far control has come in one ring.
pub(crate) struct Acknowledged {
    page: ReadWords,
    sequence: u64,
}

impl Acknowledged {
    pub(crate) fn new(page: ReadWords) -> Self {
        Self { page, sequence: 0 }
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
        let claimed = self.page.load(POSITION, Ordering::Acquire);
        self.sequence = claimed.min(head).max(self.sequence);
        self.sequence
    }
}

/// Control's last sign of life, as the sensor sees it: 0 before the first.
pub(crate) fn heartbeat(page: &ReadWords) -> u64 {
    page.load(HEARTBEAT, Ordering::Relaxed)
}

/// Control's side of the page.
pub(crate) struct CursorWriter {
    page: WriteWords,
}

impl CursorWriter {
    pub(crate) fn new(page: WriteWords) -> Self {
        Self { page }
    }

    /// Lets the sensor reuse the slots of all records below `sequence`.
    pub(crate) fn release(&self, sequence: u64) {
        self.page.store(POSITION, sequence, Ordering::Release);
    }

    /// What was released last, by this process or the one before it.
    #[cfg(not(loom))]
    pub(crate) fn released(&self) -> u64 {
        self.page.load(POSITION, Ordering::Relaxed)
    }

    #[cfg(not(loom))]
    pub(crate) fn beat(&self, now: u64) {
        self.page.store(HEARTBEAT, now, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_believed_only_between_what_was_and_what_is() {
        let page = WriteWords::private(CURSOR_WORDS);
        let mut acknowledged = Acknowledged::new(page.reader());
        let control = CursorWriter::new(page);
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
