//! GTP-UESPOOF: the inner source of uplink G-PDUs is not the session's UE address, nor
//! one of its prefixes or framed routes.
//!
//! UPFs drop odd sources, so alone they are information; they are grave if they leave
//! on N6 or are far more than other sessions' behind the same sender.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-UESPOOF",
    signature_id: 5_290_019,
    signature: "A user's packets with another source than the session's",
    category: "Misc Attack",
    rank: 3,
    technique: &["T1036"],
    restricted: false,
};
