//! Packet time, and the slices into which it is cut.

use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch, by the clock of the capture or the tap.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The end of time: a source that is drained has seen it.
    pub const MAX: Nanos = Nanos(u64::MAX);
    /// One second.
    pub const SECOND: Nanos = Nanos(1_000_000_000);

    /// This many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// Later by `span`, or the end of time.
    pub const fn plus(self, span: Nanos) -> Self {
        Nanos(self.0.saturating_add(span.0))
    }

    /// How much later than `earlier` this is; zero if it is not.
    pub const fn since(self, earlier: Nanos) -> Self {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// The UTC day, counted from the epoch.
    pub const fn day(self) -> u32 {
        (self.0 / 86_400_000_000_000) as u32
    }

    /// The number of the slice of length `slice` that holds this time.
    pub const fn slice(self, slice: Nanos) -> u64 {
        self.0 / slice.0
    }
}

/// The length of a slice in replay: part of what makes replays repeatable,
/// hence no option.
pub const REPLAY_SLICE: Nanos = Nanos(100_000_000);

/// The length of a slice on a live tap: half of the latency that a verdict may have.
pub const LIVE_SLICE: Nanos = Nanos(20_000_000);

/// A backward step of more than this is a clock set back; less is reordering.
pub const REORDER_TOLERANCE: Nanos = Nanos::SECOND;
