//! The decoders that somebody else wrote.

use std::fmt;

use crate::field::Reading;

/// Another decoder.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Oracle {
    Tshark,
    Scapy,
    Etherparse,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tshark => "tshark",
            Self::Scapy => "scapy",
            Self::Etherparse => "etherparse",
        })
    }
}

/// A frame as an oracle sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Theirs {
    pub(crate) reading: Reading,
    /// The oracle's own names of the layers, for limits and messages.
    pub(crate) layers: String,
    /// The versions that it took for PFCP's, if it says.
    pub(crate) versions: Vec<u64>,
    /// Whether the user's packet is a fragment, if it says.
    pub(crate) user_fragment: bool,
}
