//! What a thread that polls does while there is nothing: it spins a moment, then naps, so that an
//! idle link costs no core.

use std::time::Duration;

/// Empty polls in a row before the first nap: some 50 µs.
const SPINS: u32 = 1000;

/// How one thread bears having nothing to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// Zero: it never sleeps.
    nap: Duration,
    /// Whether others may have the core at once.
    yields: bool,
    empty_polls: u32,
}

/// The nap of a replay.
const SHORT_NAP: Duration = Duration::from_micros(20);

impl Idle {
    /// On a live link: naps of this length; of none, it spins for ever.
    pub(crate) fn live(nap: Duration) -> Self {
        Self { nap, yields: false, empty_polls: 0 }
    }

    /// In a replay, where threads wait for each other and cores may be few.
    pub(crate) fn yielding() -> Self {
        Self { nap: SHORT_NAP, yields: true, empty_polls: 0 }
    }

    /// Something came.
    #[inline]
    pub(crate) fn wake(&mut self) {
        self.empty_polls = 0;
    }

    /// Nothing came: pauses or naps. True if it napped.
    #[inline]
    pub(crate) fn rest(&mut self) -> bool {
        self.empty_polls = self.empty_polls.saturating_add(1);
        let naps = self.empty_polls > SPINS && !self.nap.is_zero();
        if naps {
            std::thread::sleep(self.nap);
        } else if self.yields {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
        naps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_naps_after_a_while_of_nothing_and_never_if_it_is_to_spin() {
        let mut idle = Idle::live(Duration::from_nanos(1));
        assert!((0..SPINS).all(|_| !idle.rest()));
        assert!(idle.rest());
        idle.wake();
        assert!(!idle.rest());
        let mut spinning = Idle::live(Duration::ZERO);
        assert!((0..3 * SPINS).all(|_| !spinning.rest()));
    }
}
