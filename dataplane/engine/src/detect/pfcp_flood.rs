//! PFCP-FLOOD: far more requests of one kind than the peer's median of the last hour,
//! or, without such a history, heartbeats in haste and establishments that mostly fail.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "PFCP-FLOOD",
    signature_id: 5_290_024,
    signature: "A flood of PFCP requests",
    category: "Attempted Denial of Service",
    rank: 6,
    technique: &["T1498", "T1499"],
    restricted: false,
};
