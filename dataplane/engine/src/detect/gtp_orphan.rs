//! GTP-ORPHAN: G-PDUs on F-TEIDs that no session has, although N4 of their UPF is
//! seen whole.
//!
//! N4 may come late, and sessions may be older than the tap: both have a grace.
//! Tunnels that N4 never signals (RAN to RAN, F1-U, S1-U) are not judged here.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-ORPHAN",
    signature_id: 5_290_014,
    signature: "G-PDUs on tunnels that no session has",
    category: "Misc Attack",
    rank: 3,
    technique: &["T1599", "T1572"],
    restricted: false,
};
