//! GTP-TEIDSCAN: a peer tries many F-TEIDs that no session has, or earns Error
//! Indications for such.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-TEIDSCAN",
    signature_id: 5_290_015,
    signature: "A peer tries tunnels that no session has",
    category: "Attempted Information Leak",
    rank: 4,
    technique: &["T1046"],
    restricted: false,
};
