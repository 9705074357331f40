//! PFCP-GHOST: a session whose UE address, data network or slice is declared nowhere,
//! or that has no User ID where nearly all of its SMF's have one.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "PFCP-GHOST",
    signature_id: 5_290_025,
    signature: "A session that is not like those of subscribers",
    category: "Potentially Bad Traffic",
    rank: 6,
    technique: &["T1136"],
    restricted: false,
};
