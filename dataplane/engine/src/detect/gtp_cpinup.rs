//! GTP-CPINUP: control plane in the user plane. A packet inside a G-PDU goes to
//! the operator's infrastructure, or is PFCP, GTP-C or a protocol of the RAN.
//!
//! Local break-out servers and declared DNS servers are infrastructure that
//! subscribers may reach. A datagram on such a port that is not the protocol,
//! by header, length and message type, stays silent.

use crate::detect::Detection;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-CPINUP",
    signature_id: 5_290_018,
    signature: "Control plane or infrastructure reached through a subscriber's tunnel",
    category: "Misc Attack",
    rank: 3,
    technique: &["T1599", "T1572"],
    restricted: false,
};
