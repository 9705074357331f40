//! GTP-NEST: GTP-U inside a G-PDU. What is tunnelled twice goes past every
//! decoder that stops at the user's packet.
//!
//! Only GTP-U whose version, spare bit, message type and exact length agree
//! counts: a subscriber's datagram on port 2152 that is no GTP stays silent.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-NEST",
    signature_id: 5_290_017,
    signature: "A GTP-U tunnel inside a subscriber's tunnel",
    category: "Misc Attack",
    rank: 3,
    technique: &["T1572"],
    restricted: false,
};
