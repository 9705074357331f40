//! The detections: each a module of its own, a function of the state it names.

pub mod egr_notallowed;
pub mod gtp_peer;
pub mod inv_unknown;
pub mod ops_blind;

/// A detection's standing data.
#[derive(Clone, Copy, Debug)]
pub struct Detection {
    /// Its id in policies, events and metrics.
    pub id: &'static str,
    /// Its number in the published list of signatures.
    pub signature_id: u32,
    /// One line that says what fired.
    pub signature: &'static str,
    /// Suricata's category.
    pub category: &'static str,
    /// MITRE FiGHT and ATT&CK techniques.
    pub technique: &'static [&'static str],
}

/// Every detection of this version. What refers to one does so by its position.
pub const CATALOGUE: [Detection; 4] =
    [inv_unknown::DETECTION, egr_notallowed::DETECTION, gtp_peer::DETECTION, ops_blind::DETECTION];

/// Position of INV-UNKNOWN in [`CATALOGUE`].
pub const INV_UNKNOWN: u16 = 0;
/// Position of EGR-NOTALLOWED.
pub const EGR_NOTALLOWED: u16 = 1;
/// Position of GTP-PEER.
pub const GTP_PEER: u16 = 2;
/// Position of OPS-BLIND.
pub const OPS_BLIND: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_name_their_detections() {
        for (position, id) in [
            (INV_UNKNOWN, "INV-UNKNOWN"),
            (EGR_NOTALLOWED, "EGR-NOTALLOWED"),
            (GTP_PEER, "GTP-PEER"),
            (OPS_BLIND, "OPS-BLIND"),
        ] {
            assert_eq!(CATALOGUE[usize::from(position)].id, id);
        }
    }
}
