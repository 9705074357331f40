//! The detections: each a module of its own, a function of the state it names.

pub mod cns_balance;
pub mod cns_dup;
pub mod cov_icmp;
pub mod cov_time;
pub mod egr_notallowed;
pub mod gtp_cpinup;
pub mod gtp_hdrcov;
pub mod gtp_nest;
pub mod gtp_orphan;
pub mod gtp_peer;
pub mod gtp_teidclone;
pub mod gtp_teidscan;
pub mod gtp_uespoof;
pub mod inv_unknown;
pub mod long_memory;
pub mod ops_blind;
pub mod pfcp_dupl;
pub mod pfcp_flood;
pub mod pfcp_ghost;
pub mod pfcp_peer;
pub mod pfcp_redir;
pub mod tun_foreign;

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
    /// What a detection of a higher rank explains, one of a lower rank does not repeat.
    pub rank: u8,
    /// MITRE FiGHT and ATT&CK techniques.
    pub technique: &'static [&'static str],
    /// Whether it shows who is intercepted: only a named role may see it.
    pub restricted: bool,
}

/// Every detection of this version. What refers to one does so by its position.
pub const CATALOGUE: [Detection; 29] = [
    inv_unknown::DETECTION,
    egr_notallowed::DETECTION,
    gtp_peer::DETECTION,
    ops_blind::DETECTION,
    tun_foreign::DETECTION,
    gtp_nest::DETECTION,
    gtp_cpinup::DETECTION,
    gtp_hdrcov::DETECTION,
    gtp_orphan::DETECTION,
    gtp_teidscan::DETECTION,
    gtp_teidclone::DETECTION,
    gtp_uespoof::DETECTION,
    pfcp_peer::DETECTION,
    pfcp_dupl::DETECTION,
    pfcp_redir::DETECTION,
    pfcp_flood::DETECTION,
    pfcp_ghost::DETECTION,
    long_memory::EGR_LONGCONN,
    long_memory::BCN_PERIODIC,
    long_memory::EGR_COHORT,
    long_memory::EGR_VOLUME,
    long_memory::OAM_WINDOW,
    cns_balance::DETECTION,
    cns_dup::DETECTION,
    cov_icmp::DETECTION,
    cov_time::DETECTION,
    long_memory::COV_DNS,
    long_memory::EGR_CRYPTO,
    long_memory::LI_UNMATCHED,
];

/// Position of INV-UNKNOWN in [`CATALOGUE`].
pub const INV_UNKNOWN: u16 = 0;
/// Position of EGR-NOTALLOWED.
pub const EGR_NOTALLOWED: u16 = 1;
/// Position of GTP-PEER.
pub const GTP_PEER: u16 = 2;
/// Position of OPS-BLIND.
pub const OPS_BLIND: u16 = 3;
/// Position of TUN-FOREIGN.
pub const TUN_FOREIGN: u16 = 4;
/// Position of GTP-NEST.
pub const GTP_NEST: u16 = 5;
/// Position of GTP-CPINUP.
pub const GTP_CPINUP: u16 = 6;
/// Position of GTP-HDRCOV.
pub const GTP_HDRCOV: u16 = 7;
/// Position of GTP-ORPHAN.
pub const GTP_ORPHAN: u16 = 8;
/// Position of GTP-TEIDSCAN.
pub const GTP_TEIDSCAN: u16 = 9;
/// Position of GTP-TEIDCLONE.
pub const GTP_TEIDCLONE: u16 = 10;
/// Position of GTP-UESPOOF.
pub const GTP_UESPOOF: u16 = 11;
/// Position of PFCP-PEER.
pub const PFCP_PEER: u16 = 12;
/// Position of PFCP-DUPL.
pub const PFCP_DUPL: u16 = 13;
/// Position of PFCP-REDIR.
pub const PFCP_REDIR: u16 = 14;
/// Position of PFCP-FLOOD.
pub const PFCP_FLOOD: u16 = 15;
/// Position of PFCP-GHOST.
pub const PFCP_GHOST: u16 = 16;
/// Position of EGR-LONGCONN.
pub const EGR_LONGCONN: u16 = 17;
/// Position of BCN-PERIODIC.
pub const BCN_PERIODIC: u16 = 18;
/// Position of EGR-COHORT.
pub const EGR_COHORT: u16 = 19;
/// Position of EGR-VOLUME.
pub const EGR_VOLUME: u16 = 20;
/// Position of OAM-WINDOW.
pub const OAM_WINDOW: u16 = 21;
/// Position of CNS-BALANCE.
pub const CNS_BALANCE: u16 = 22;
/// Position of CNS-DUP.
pub const CNS_DUP: u16 = 23;
/// Position of COV-ICMP.
pub const COV_ICMP: u16 = 24;
/// Position of COV-TIME.
pub const COV_TIME: u16 = 25;
/// Position of COV-DNS.
pub const COV_DNS: u16 = 26;
/// Position of EGR-CRYPTO.
pub const EGR_CRYPTO: u16 = 27;
/// Position of LI-UNMATCHED.
pub const LI_UNMATCHED: u16 = 28;

/// The detections that control makes, by position: their parameters have their effect there.
pub const OF_CONTROL: [u16; 8] = [
    EGR_LONGCONN,
    BCN_PERIODIC,
    EGR_COHORT,
    EGR_VOLUME,
    OAM_WINDOW,
    COV_DNS,
    EGR_CRYPTO,
    LI_UNMATCHED,
];

/// The rank of a detection by its position.
pub fn rank(position: u16) -> u8 {
    CATALOGUE.get(usize::from(position)).map_or(0, |detection| detection.rank)
}

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
            (TUN_FOREIGN, "TUN-FOREIGN"),
            (GTP_NEST, "GTP-NEST"),
            (GTP_CPINUP, "GTP-CPINUP"),
            (GTP_HDRCOV, "GTP-HDRCOV"),
            (GTP_ORPHAN, "GTP-ORPHAN"),
            (GTP_TEIDSCAN, "GTP-TEIDSCAN"),
            (GTP_TEIDCLONE, "GTP-TEIDCLONE"),
            (GTP_UESPOOF, "GTP-UESPOOF"),
            (PFCP_PEER, "PFCP-PEER"),
            (PFCP_DUPL, "PFCP-DUPL"),
            (PFCP_REDIR, "PFCP-REDIR"),
            (PFCP_FLOOD, "PFCP-FLOOD"),
            (PFCP_GHOST, "PFCP-GHOST"),
            (EGR_LONGCONN, "EGR-LONGCONN"),
            (BCN_PERIODIC, "BCN-PERIODIC"),
            (EGR_COHORT, "EGR-COHORT"),
            (EGR_VOLUME, "EGR-VOLUME"),
            (OAM_WINDOW, "OAM-WINDOW"),
            (CNS_BALANCE, "CNS-BALANCE"),
            (CNS_DUP, "CNS-DUP"),
            (COV_ICMP, "COV-ICMP"),
            (COV_TIME, "COV-TIME"),
            (COV_DNS, "COV-DNS"),
            (EGR_CRYPTO, "EGR-CRYPTO"),
            (LI_UNMATCHED, "LI-UNMATCHED"),
        ] {
            assert_eq!(CATALOGUE[usize::from(position)].id, id);
        }
    }
}
