//! PFCP-DUPL: a FAR duplicates a subscriber's traffic, and more sessions do so towards
//! that address than are authorised. Restricted: it shows who is intercepted.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "PFCP-DUPL",
    signature_id: 5_290_022,
    signature: "The control plane orders copies of subscribers' traffic",
    category: "Misc Attack",
    rank: 6,
    technique: &["T1020.001"],
    restricted: true,
};
