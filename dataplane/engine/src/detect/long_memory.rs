//! The standing data of the detections that control makes, over spells of activity: crate
//! `weir-analytics` holds what they do.

use crate::detect::Detection;

/// A flow that the policy does not allow and that lasts for hours.
pub const EGR_LONGCONN: Detection = Detection {
    id: "EGR-LONGCONN",
    signature_id: 5_290_005,
    signature: "Equipment keeps a flow open that its policy does not allow",
    category: "Potential Corporate Privacy Violation",
    rank: 1,
    technique: &["T1071", "T1572"],
    restricted: false,
};

/// A rhythm that nobody declared.
pub const BCN_PERIODIC: Detection = Detection {
    id: "BCN-PERIODIC",
    signature_id: 5_290_008,
    signature: "Equipment turns to a peer in a rhythm that nobody declared",
    category: "A Network Trojan was detected",
    rank: 1,
    technique: &["T1071", "T1573", "T1029"],
    restricted: false,
};
