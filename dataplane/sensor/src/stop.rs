//! The wish to stop.

pub(crate) use weir_playback::Stop;
