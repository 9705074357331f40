//! COV-ICMP: echoes that carry data: content that is none of the patterns by which pings and IP-SLA fill
//! theirs, replies that do not repeat their requests, large ones to who is not declared.

use crate::detect::Detection;

/// The detection.
pub const DETECTION: Detection = Detection {
    id: "COV-ICMP",
    signature_id: 5_290_010,
    signature: "Echoes of equipment carry what no ping carries",
    category: "Potential Corporate Privacy Violation",
    rank: 2,
    technique: &["T1095", "T1048.003"],
    restricted: false,
};
