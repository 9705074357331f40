//! Parameters of the detections.

use crate::Nanos;
use crate::detect::CATALOGUE;

/// Parameters of the detections, by their published names.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which detections judge, by position in [`crate::detect::CATALOGUE`].
    pub enabled: [bool; CATALOGUE.len()],
    /// Whether evidence may hold what subscribers send, and not its headers alone.
    pub subscriber_payload: bool,
    /// INV-UNKNOWN `min_packets`.
    pub unknown_min_packets: u64,
    /// INV-UNKNOWN `window_seconds`.
    pub unknown_window: Nanos,
    /// GTP-HDRCOV `echo_responses`.
    pub echo_responses: u64,
    /// GTP-HDRCOV `echo_window_seconds`.
    pub echo_window: Nanos,
    /// GTP-ORPHAN `min_packets`.
    pub orphan_min_packets: u64,
    /// GTP-ORPHAN `grace_seconds`.
    pub orphan_grace: Nanos,
    /// GTP-ORPHAN `start_grace_seconds`.
    pub orphan_start_grace: Nanos,
    /// GTP-TEIDSCAN `min_teids`.
    pub scan_min_teids: u64,
    /// GTP-TEIDSCAN `min_error_indications`.
    pub scan_min_errors: u64,
    /// GTP-TEIDSCAN `window_seconds`.
    pub scan_window: Nanos,
    /// GTP-TEIDSCAN `start_grace_seconds`.
    pub scan_start_grace: Nanos,
    /// GTP-TEIDCLONE `min_equipment`.
    pub clone_min_equipment: u64,
    /// GTP-TEIDCLONE `window_seconds`.
    pub clone_window: Nanos,
    /// GTP-UESPOOF `min_packets`.
    pub spoof_min_packets: u64,
    /// GTP-UESPOOF `cohort_factor`.
    pub spoof_cohort_factor: f64,
    /// PFCP-PEER `interleave_seconds`.
    pub peer_interleave: Nanos,
    /// PFCP-REDIR `uplink_seconds`.
    pub redir_uplink: Nanos,
    /// PFCP-FLOOD `median_factor`.
    pub flood_factor: f64,
    /// PFCP-FLOOD `min_requests_per_second`.
    pub flood_requests: f64,
    /// PFCP-FLOOD `min_heartbeats_per_second`.
    pub flood_heartbeats: f64,
    /// PFCP-FLOOD `sustained_seconds`.
    pub flood_sustained: Nanos,
    /// PFCP-FLOOD `min_failed_share`.
    pub flood_failed_share: f64,
    /// PFCP-FLOOD `min_establishments`.
    pub flood_establishments: u64,
    /// PFCP-GHOST `user_id_share`.
    pub ghost_user_id_share: f64,
    /// PFCP-GHOST `one_way_minutes`.
    pub ghost_one_way: Nanos,
    /// CNS-BALANCE `max_ratio`.
    pub balance_max_ratio: f64,
    /// CNS-BALANCE `sigmas`.
    pub balance_sigmas: f64,
    /// CNS-BALANCE `windows`.
    pub balance_windows: u64,
    /// CNS-BALANCE `window_seconds`.
    pub balance_window: Nanos,
    /// CNS-BALANCE `max_mebibytes_per_minute`.
    pub balance_max_mebibytes: f64,
    /// CNS-DUP `min_digests`.
    pub dup_min_digests: u64,
    /// CNS-DUP `window_seconds`.
    pub dup_window: Nanos,
    /// COV-ICMP `min_packets`.
    pub icmp_min_packets: u64,
    /// COV-ICMP `min_bytes`.
    pub icmp_min_bytes: u64,
    /// What COV-TIME's `max_packets_per_second` leaves between two questions.
    pub ntp_pause: Nanos,
    /// EGR-CRYPTO `entropy_bytes`.
    pub crypto_octets: usize,
    /// EGR-CRYPTO `min_entropy_bits`.
    pub crypto_entropy: f64,
    /// OPS-BLIND `n4_coverage`.
    pub blind_coverage: f64,
    /// OPS-BLIND `min_n4_transactions`.
    pub blind_transactions: u64,
    /// OPS-BLIND `loss_ratio`.
    pub blind_loss_ratio: f64,
    /// OPS-BLIND `loss_window_seconds`.
    pub blind_loss_window: Nanos,
    /// OPS-BLIND `silent_seconds`.
    pub blind_silent: Nanos,
    /// OPS-BLIND `control_away_seconds`.
    pub blind_control_away: Nanos,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: [true; CATALOGUE.len()],
            subscriber_payload: false,
            unknown_min_packets: 3,
            unknown_window: Nanos::from_secs(60),
            echo_responses: 2,
            echo_window: Nanos::from_secs(60),
            orphan_min_packets: 10,
            orphan_grace: Nanos::from_secs(2),
            orphan_start_grace: Nanos::from_secs(300),
            scan_min_teids: 64,
            scan_min_errors: 20,
            scan_window: Nanos::from_secs(10),
            scan_start_grace: Nanos::from_secs(300),
            clone_min_equipment: 2,
            clone_window: Nanos::from_secs(5),
            spoof_min_packets: 5,
            spoof_cohort_factor: 10.0,
            peer_interleave: Nanos::from_secs(10),
            redir_uplink: Nanos::from_secs(60),
            flood_factor: 10.0,
            flood_requests: 20.0,
            flood_heartbeats: 10.0,
            flood_sustained: Nanos::from_secs(3),
            flood_failed_share: 0.30,
            flood_establishments: 100,
            ghost_user_id_share: 0.95,
            ghost_one_way: Nanos::from_secs(600),
            balance_max_ratio: 0.005,
            balance_sigmas: 3.0,
            balance_windows: 5,
            balance_window: Nanos::from_secs(60),
            balance_max_mebibytes: 1.0,
            dup_min_digests: 3,
            dup_window: Nanos::from_secs(3600),
            icmp_min_packets: 8,
            icmp_min_bytes: 256,
            ntp_pause: Nanos::from_secs(16),
            crypto_octets: 512,
            crypto_entropy: 7.3,
            blind_coverage: 0.9,
            blind_transactions: 20,
            blind_loss_ratio: 0.000_01,
            blind_loss_window: Nanos::from_secs(10),
            blind_silent: Nanos::from_secs(60),
            blind_control_away: Nanos::from_secs(60),
        }
    }
}
