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

/// A place to which equipment of one build turns, and no other.
pub const EGR_COHORT: Detection = Detection {
    id: "EGR-COHORT",
    signature_id: 5_290_003,
    signature: "Equipment of one build turns to a place that no other equipment turns to",
    category: "A Network Trojan was detected",
    rank: 1,
    technique: &["T1071", "T1195.002"],
    restricted: false,
};

/// Far more than usual.
pub const EGR_VOLUME: Detection = Detection {
    id: "EGR-VOLUME",
    signature_id: 5_290_004,
    signature: "Equipment sends far more than usual",
    category: "Potential Corporate Privacy Violation",
    rank: 1,
    technique: &["T1041", "T1048", "T1029"],
    restricted: false,
};

/// Work that nobody declared.
pub const OAM_WINDOW: Detection = Detection {
    id: "OAM-WINDOW",
    signature_id: 5_290_007,
    signature: "Equipment is worked on outside every declared change window",
    category: "Attempted Administrator Privilege Gain",
    rank: 1,
    technique: &["T1021", "T1133", "T1199"],
    restricted: false,
};

/// Names that carry data.
pub const COV_DNS: Detection = Detection {
    id: "COV-DNS",
    signature_id: 5_290_009,
    signature: "Equipment asks the DNS for names that carry more than names do",
    category: "Potential Corporate Privacy Violation",
    rank: 2,
    technique: &["T1071.004", "T1048", "T1572"],
    restricted: false,
};

/// Ciphers, names and keys that the equipment has not used before.
pub const EGR_CRYPTO: Detection = Detection {
    id: "EGR-CRYPTO",
    signature_id: 5_290_006,
    signature: "Equipment's encrypted conversations are not those that it is known for",
    category: "Potential Corporate Privacy Violation",
    rank: 1,
    technique: &["T1573", "T1071.001", "T1095"],
    restricted: false,
};

/// More streams of copies than anybody authorised. Restricted, as what it counts is.
pub const LI_UNMATCHED: Detection = Detection {
    id: "LI-UNMATCHED",
    signature_id: 5_290_026,
    signature: "More of subscribers' traffic is copied than is authorised",
    category: "Misc Attack",
    rank: 1,
    technique: &["T1020.001", "T1040"],
    restricted: true,
};
