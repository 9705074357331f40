//! COV-TIME: NTP with servers that nobody listed, in modes or lengths that clients have no need of, or
//! far too often; PTP with elements that its profiles do not ask for.

use crate::detect::Detection;

/// The detection.
pub const DETECTION: Detection = Detection {
    id: "COV-TIME",
    signature_id: 5_290_011,
    signature: "Time synchronisation carries what it need not",
    category: "Potential Corporate Privacy Violation",
    rank: 2,
    technique: &["T1095", "T1001.003"],
    restricted: false,
};
