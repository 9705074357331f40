//! PFCP-PEER: PFCP from an undeclared address, a Node ID that moved outside its
//! declared set, SEIDs used by one who does not own them, requests that contradict what
//! the owner goes on doing, and requests in a second space of sequence numbers.
//!
//! SMF sets, several addresses of one node and restarts stay silent.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "PFCP-PEER",
    signature_id: 5_290_021,
    signature: "PFCP from one who has no say here",
    category: "Misc Attack",
    rank: 6,
    technique: &["T1557", "T1565.002"],
    restricted: false,
};
