//! The journal: what Weir said and what people did with it, in lines of which none can be removed
//! or altered without a trace.
//!
//! A journal is a directory of segments. A segment is a text file; each of its lines is
//!
//! ```text
//! SEQUENCE CRC HASH PAYLOAD
//! ```
//!
//! where the sequence counts up by one from line to line over all segments, the CRC-32 tells damage of
//! the disk apart from deeds, and the hash is SHA-256 over the hash of the line before, the sequence
//! and the payload: whoever alters a line must write all later ones anew. What a chain can't show by
//! itself is that its end was cut off, or that all of it was written anew: for that, heads (sequence
//! and hash) are sent to where others keep them, and [`verify`] is told of them.
#![forbid(unsafe_code)]

mod line;
mod segments;
mod verify;
mod writer;

use serde::{Deserialize, Serialize};

pub use line::{Head, Note};
pub use verify::{Fault, FaultKind, Report, verify};
pub use writer::{Journal, Limits};

/// The place in a journal that is committed: a start after a crash goes on behind it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mark {
    /// The last line.
    pub head: Head,
    /// The first sequence of the segment that it stands in.
    pub segment: u64,
    /// Bytes of that segment.
    pub length: u64,
}
