//! Cutting captured time into slices for several workers, as the capture reader does: by the
//! largest time seen by anybody, so that it does not matter who saw which frame.

use weir_engine::Nanos;
use weir_engine::time::{REORDER_TOLERANCE, REPLAY_SLICE};

/// Frames and bytes after which the judge is asked before a slice goes on: what N4 may be among
/// them must fit the way to it.
const STEP: usize = 1 << 15;
const STEP_BYTES: usize = 8 << 20;

/// What all workers must be told before they see a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cut {
    /// How far the clock was set back.
    pub(crate) back: Option<Nanos>,
    /// A slice that is over, or a part of it, and the time that it came to.
    pub(crate) close: Option<(u64, Nanos)>,
}

/// The slice that is open.
#[derive(Debug, Default)]
pub(crate) struct Slicer {
    open: Option<u64>,
    latest: Nanos,
    frames: usize,
    bytes: usize,
}

impl Slicer {
    /// Takes the next frame's time and length.
    #[inline]
    pub(crate) fn frame(&mut self, time: Nanos, len: usize) -> Cut {
        let back = Some(self.latest.since(time)).filter(|back| *back > REORDER_TOLERANCE);
        self.latest = self.latest.max(time);
        let now = self.latest.slice(REPLAY_SLICE);
        let is_long = self.frames >= STEP || self.bytes >= STEP_BYTES;
        let over = self.open.filter(|open| *open != now || is_long);
        if over.is_some() {
            (self.frames, self.bytes) = (0, 0);
        }
        self.open = Some(now);
        self.frames += 1;
        self.bytes += len;
        Cut { back, close: over.map(|slice| (slice, self.latest)) }
    }

    /// The slice that is open at the end.
    pub(crate) fn end(&mut self) -> Option<(u64, Nanos)> {
        self.open.take().map(|slice| (slice, self.latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_end_by_time_or_by_length_and_a_clock_set_back_is_told() {
        let mut slicer = Slicer::default();
        let at = |slices: u64| Nanos(slices * REPLAY_SLICE.0);
        assert_eq!(slicer.frame(at(20), 100), Cut::default());
        // A late frame belongs to the slice that is open.
        assert_eq!(slicer.frame(at(19), 100), Cut::default());
        let cut = slicer.frame(at(21), 100);
        assert_eq!(cut, Cut { back: None, close: Some((20, at(21))) });
        let cut = slicer.frame(at(1), 100);
        assert_eq!(cut, Cut { back: Some(at(20)), close: None });
        for _ in 0..STEP - 2 {
            assert_eq!(slicer.frame(at(21), 100).close, None);
        }
        assert_eq!(slicer.frame(at(21), 100).close, Some((21, at(21))));
        assert_eq!(slicer.frame(at(21), STEP_BYTES).close, None);
        assert_eq!(slicer.frame(at(21), 100).close, Some((21, at(21))));
        assert_eq!((slicer.end(), slicer.end()), (Some((21, at(21))), None));
    }
}
