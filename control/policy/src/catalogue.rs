//! The catalogue of detections as policy sees it: which there are, and the published names,
//! defaults and ranges of their parameters. The unit of a parameter is in its name; a parameter
//! without one is a count, a score or a factor.

/// A detection that `[detections.…]`, `[[suppress]]` and `[[quirk]]` may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Its stable id.
    pub id: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
}

/// A number that tunes a detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its published name.
    pub name: &'static str,
    /// What holds when the policy does not say.
    pub default: f64,
    /// The smallest value that is accepted.
    pub least: f64,
    /// The largest value that is accepted.
    pub most: f64,
    /// Whether it must be a whole number.
    pub whole: bool,
}

/// The detections that show who is intercepted: only a named role may see them.
const RESTRICTED: [&str; 2] = ["PFCP-DUPL", "LI-UNMATCHED"];

impl Detection {
    /// Whether only a named role may see what it finds.
    pub fn is_restricted(&self) -> bool {
        RESTRICTED.contains(&self.id)
    }

    /// The detection with this id.
    pub fn find(id: &str) -> Option<&'static Detection> {
        DETECTIONS.iter().find(|detection| detection.id == id)
    }

    /// Its parameter with this name.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

impl Parameter {
    /// Whether the parameter can have this value. Infinities and NaN are never accepted.
    pub fn accepts(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value) && (!self.whole || value.fract() == 0.0)
    }
}

const fn count(name: &'static str, default: f64) -> Parameter {
    Parameter { name, default, least: 1.0, most: 1e9, whole: true }
}

/// Up to a year; 0 switches the waiting off.
const fn seconds(name: &'static str, default: f64) -> Parameter {
    Parameter { name, default, least: 0.0, most: 31_622_400.0, whole: false }
}

const fn ratio(name: &'static str, default: f64) -> Parameter {
    Parameter { name, default, least: 0.0, most: 1.0, whole: false }
}

const fn positive(name: &'static str, default: f64) -> Parameter {
    Parameter { name, default, least: 0.0, most: 1e9, whole: false }
}

const fn detection(id: &'static str, parameters: &'static [Parameter]) -> Detection {
    Detection { id, parameters }
}

/// Every detection. Each also takes `enabled`.
pub const DETECTIONS: &[Detection] = &[
    detection("INV-UNKNOWN", &[count("min_packets", 3.0), seconds("window_seconds", 60.0)]),
    detection("EGR-NOTALLOWED", &[]),
    detection(
        "EGR-COHORT",
        &[
            ratio("min_share", 0.30),
            count("min_nodes", 3.0),
            ratio("max_other_share", 0.05),
            positive("window_days", 7.0),
        ],
    ),
    detection(
        "EGR-VOLUME",
        &[
            positive("min_z", 6.0),
            positive("min_mebibytes_per_hour", 50.0),
            count("windows", 3.0),
            count("repeated_days", 3.0),
            count("of_days", 5.0),
        ],
    ),
    detection("EGR-LONGCONN", &[positive("max_hours", 4.0)]),
    detection(
        "EGR-CRYPTO",
        &[
            positive("learning_days", 14.0),
            Parameter { most: 8.0, ..positive("min_entropy_bits", 7.3) },
            Parameter { most: 4096.0, ..count("entropy_bytes", 512.0) },
        ],
    ),
    detection("OAM-WINDOW", &[positive("max_mebibytes", 10.0)]),
    detection(
        "BCN-PERIODIC",
        &[ratio("min_score", 0.80), count("min_samples", 24.0), positive("min_hours", 6.0)],
    ),
    detection(
        "COV-DNS",
        &[
            Parameter { most: 1024.0, ..count("min_names", 100.0) },
            positive("window_hours", 24.0),
            positive("min_kibibytes_per_day", 4.0),
            Parameter { most: 63.0, ..count("max_label_bytes", 48.0) },
        ],
    ),
    detection("COV-ICMP", &[count("min_packets", 8.0), count("min_bytes", 256.0)]),
    detection(
        "COV-TIME",
        &[Parameter { least: 1e-6, ..positive("max_packets_per_second", 0.0625) }],
    ),
    detection("TUN-FOREIGN", &[]),
    detection("GTP-PEER", &[]),
    detection(
        "GTP-ORPHAN",
        &[
            count("min_packets", 10.0),
            seconds("grace_seconds", 2.0),
            seconds("start_grace_seconds", 300.0),
        ],
    ),
    detection(
        "GTP-TEIDSCAN",
        &[
            count("min_teids", 64.0),
            count("min_error_indications", 20.0),
            seconds("window_seconds", 10.0),
            seconds("grace_seconds", 2.0),
            seconds("start_grace_seconds", 300.0),
        ],
    ),
    detection("GTP-TEIDCLONE", &[count("min_equipment", 2.0), seconds("window_seconds", 5.0)]),
    detection("GTP-NEST", &[]),
    detection("GTP-CPINUP", &[]),
    detection("GTP-UESPOOF", &[count("min_packets", 5.0), positive("cohort_factor", 10.0)]),
    detection("GTP-HDRCOV", &[count("echo_responses", 2.0), seconds("echo_window_seconds", 60.0)]),
    detection("PFCP-PEER", &[seconds("interleave_seconds", 10.0)]),
    detection("PFCP-DUPL", &[]),
    detection("PFCP-REDIR", &[seconds("uplink_seconds", 60.0)]),
    detection(
        "PFCP-FLOOD",
        &[
            positive("median_factor", 10.0),
            positive("min_requests_per_second", 20.0),
            positive("min_heartbeats_per_second", 10.0),
            seconds("sustained_seconds", 3.0),
            ratio("min_failed_share", 0.30),
            count("min_establishments", 100.0),
        ],
    ),
    detection("PFCP-GHOST", &[ratio("user_id_share", 0.95), positive("one_way_minutes", 10.0)]),
    detection(
        "CNS-BALANCE",
        &[
            ratio("max_ratio", 0.005),
            positive("sigmas", 3.0),
            count("windows", 5.0),
            seconds("window_seconds", 60.0),
            positive("max_mebibytes_per_minute", 1.0),
        ],
    ),
    detection("CNS-DUP", &[count("min_digests", 3.0), seconds("window_seconds", 3600.0)]),
    detection("LI-UNMATCHED", &[seconds("feed_lag_seconds", 900.0)]),
    detection(
        "OPS-BLIND",
        &[
            ratio("loss_ratio", 0.00001),
            seconds("loss_window_seconds", 10.0),
            seconds("silent_seconds", 60.0),
            ratio("n4_coverage", 0.9),
            count("min_n4_transactions", 20.0),
            seconds("control_away_seconds", 60.0),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_DETECTIONS, MAX_PARAMETERS};

    #[test]
    fn ids_and_names_are_distinct_and_defaults_within_their_ranges() {
        let ids: std::collections::HashSet<_> = DETECTIONS.iter().map(|d| d.id).collect();
        assert_eq!(ids.len(), 29);
        assert!(DETECTIONS.len() == ids.len() && ids.len() <= MAX_DETECTIONS);
        for detection in DETECTIONS {
            let names: std::collections::HashSet<_> =
                detection.parameters.iter().map(|p| p.name).collect();
            assert!(names.len() == detection.parameters.len() && names.len() <= MAX_PARAMETERS);
            for parameter in detection.parameters {
                assert!(
                    parameter.accepts(parameter.default),
                    "{} {}",
                    detection.id,
                    parameter.name
                );
            }
        }
    }

    #[test]
    fn parameters_in_use_have_their_published_defaults() {
        let default = |id, name| Detection::find(id).unwrap().parameter(name).unwrap().default;
        assert_eq!(default("INV-UNKNOWN", "min_packets"), 3.0);
        assert_eq!(default("INV-UNKNOWN", "window_seconds"), 60.0);
        assert_eq!(default("OPS-BLIND", "loss_ratio"), 0.00001);
        assert_eq!(default("OPS-BLIND", "loss_window_seconds"), 10.0);
        assert_eq!(default("OPS-BLIND", "silent_seconds"), 60.0);
        assert_eq!(default("OPS-BLIND", "n4_coverage"), 0.9);
        assert_eq!(default("OPS-BLIND", "control_away_seconds"), 60.0);
        assert_eq!(default("GTP-HDRCOV", "echo_responses"), 2.0);
        assert_eq!(default("GTP-HDRCOV", "echo_window_seconds"), 60.0);
    }

    #[test]
    fn a_value_that_is_no_number_or_not_whole_is_refused() {
        let packets = Detection::find("INV-UNKNOWN").unwrap().parameter("min_packets").unwrap();
        assert!(packets.accepts(3.0));
        for wrong in [0.0, 2.5, -1.0, f64::NAN, f64::INFINITY, 1e10] {
            assert!(!packets.accepts(wrong), "{wrong}");
        }
    }
}
