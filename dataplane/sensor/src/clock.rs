//! The system's clock, and the pace of a replay.

use std::time::{SystemTime, UNIX_EPOCH};

use weir_engine::Nanos;
pub(crate) use weir_playback::Pace;

/// The time now, in nanoseconds since the Unix epoch: the clock of heartbeats
/// and of frames without a time stamp.
pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(since.as_nanos() as u64)
}
