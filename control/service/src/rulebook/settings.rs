//! How the policy sets the detections that control makes.

use weir_analytics::{
    Settings, bcn_periodic, cov_dns, egr_cohort, egr_crypto, egr_volume, li_unmatched,
};
use weir_engine::Nanos;
use weir_engine::detect::{
    BCN_PERIODIC, CATALOGUE, COV_DNS, EGR_COHORT, EGR_CRYPTO, EGR_LONGCONN, EGR_VOLUME,
    LI_UNMATCHED, OAM_WINDOW,
};
use weir_policy::Policy;

/// What the policy sets.
pub(super) fn settings(policy: &Policy) -> Settings {
    const MEBIBYTE: f64 = 1_048_576.0;
    let of = |detection| Parameters::of(policy, detection);
    let hours = |hours: f64| Nanos((hours * 3.6e12) as u64);
    Settings {
        beacons: of(BCN_PERIODIC).map(|of| bcn_periodic::Settings {
            min_score: of.value("min_score"),
            min_samples: of.value("min_samples") as usize,
            least: hours(of.value("min_hours")),
        }),
        cohorts: of(EGR_COHORT).map(|of| egr_cohort::Settings {
            min_share: of.value("min_share"),
            min_nodes: of.value("min_nodes") as u32,
            max_other_share: of.value("max_other_share"),
            window: hours(of.value("window_days") * 24.0),
        }),
        longest: of(EGR_LONGCONN).map(|of| hours(of.value("max_hours"))),
        volumes: of(EGR_VOLUME).map(|of| egr_volume::Settings {
            min_z: of.value("min_z"),
            min_bytes: (of.value("min_mebibytes_per_hour") * MEBIBYTE) as u64,
            windows: of.value("windows") as usize,
            repeated_days: of.value("repeated_days") as usize,
            of_days: of.value("of_days") as u32,
        }),
        most_outside_windows: of(OAM_WINDOW)
            .map(|of| (of.value("max_mebibytes") * MEBIBYTE) as u64),
        crypto: of(EGR_CRYPTO).map(|of| egr_crypto::Settings {
            learning: hours(of.value("learning_days") * 24.0),
            min_entropy: (of.value("min_entropy_bits") * 100.0).round() as u16,
            octets: of.value("entropy_bytes") as u16,
        }),
        streams: of(LI_UNMATCHED).map(|of| li_unmatched::Settings {
            lag: Nanos((of.value("feed_lag_seconds") * 1e9) as u64),
        }),
        names: of(COV_DNS).map(|of| cov_dns::Settings {
            min_names: of.value("min_names") as usize,
            window: hours(of.value("window_hours")),
            min_bits: (of.value("min_kibibytes_per_day") * 8.0 * 1024.0) as u64,
            max_label: of.value("max_label_bytes") as u8,
        }),
    }
}

/// A detection's parameters.
struct Parameters<'a>(&'a [(String, f64)]);

impl<'a> Parameters<'a> {
    /// None if it is switched off.
    fn of(policy: &'a Policy, detection: u16) -> Option<Self> {
        let id = CATALOGUE[usize::from(detection)].id;
        let setting = policy.detections.iter().find(|setting| setting.id == id)?;
        setting.enabled.then_some(Self(&setting.parameters))
    }

    /// The policy has every parameter of every detection.
    fn value(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| known == name).map_or(0.0, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::detect::OF_CONTROL;

    use super::*;
    use crate::rulebook::{Rulebook, Texts};

    #[test]
    fn every_parameter_of_a_detection_of_control_arrives() {
        let of = |policy: String| {
            let texts = Texts { policy, ..Texts::default() };
            Rulebook::restore(1, texts).unwrap().settings
        };
        let default = of(String::new());
        for position in OF_CONTROL {
            let id = CATALOGUE[usize::from(position)].id;
            for parameter in weir_policy::Detection::find(id).unwrap().parameters {
                let other = if parameter.most <= 1.0 { 1.0 } else { parameter.most.min(77.0) };
                let set = of(format!("[detections.{id}]\n{} = {other}\n", parameter.name));
                assert_ne!(set, default, "{id} {}", parameter.name);
            }
            assert_ne!(of(format!("[detections.{id}]\nenabled = false\n")), default, "{id}");
        }
    }
}
