//! PFCP-REDIR: a FAR sends traffic to an address that nobody declared, a UE address or
//! F-TEID is claimed by a second session, or a downlink was moved, used, and nothing
//! comes up from where it went.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "PFCP-REDIR",
    signature_id: 5_290_023,
    signature: "The control plane re-points a subscriber's traffic",
    category: "Misc Attack",
    rank: 6,
    technique: &["T1565.002", "T1557"],
    restricted: false,
};
