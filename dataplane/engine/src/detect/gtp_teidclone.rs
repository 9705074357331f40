//! GTP-TEIDCLONE: two pieces of equipment send on one F-TEID at the same time, and no
//! handover explains it. Several addresses of one equipment are one sender.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-TEIDCLONE",
    signature_id: 5_290_016,
    signature: "One tunnel is used by several equipment",
    category: "Misc Attack",
    rank: 3,
    technique: &["T1557"],
    restricted: false,
};
