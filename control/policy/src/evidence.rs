//! `[control.evidence]` of `weir.toml`: whether alerts' frames are kept, and how many.

use crate::section::Section;

/// What is kept of evidence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EvidenceConfig {
    /// Whether any is.
    pub enabled: bool,
    /// How much at most, in MiB; the oldest gives way.
    pub mebibytes: u64,
    /// For how many days after it was written last.
    pub days: u64,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self { enabled: true, mebibytes: 1_024, days: 90 }
    }
}

pub(crate) fn evidence(control: &Section<'_>) -> EvidenceConfig {
    let default = EvidenceConfig::default();
    let keys = ["enabled", "mebibytes", "days"];
    let Some(section) = control.table("evidence", "[control.evidence]", &keys) else {
        return default;
    };
    EvidenceConfig {
        enabled: section.boolean("enabled").unwrap_or(default.enabled),
        mebibytes: section.integer("mebibytes", 1..=1 << 24).unwrap_or(default.mebibytes),
        days: section.integer("days", 1..=3_650).unwrap_or(default.days),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::config_from_str;

    #[test]
    fn evidence_is_kept_unless_it_is_not_wanted_and_within_bounds() {
        let read =
            |text: &str| config_from_str("weir.toml", text).map(|it| it.value.control.evidence);
        assert_eq!(read("").unwrap(), EvidenceConfig::default());
        let text = "[control.evidence]\nenabled = false\nmebibytes = 10\ndays = 3\n";
        let own = EvidenceConfig { enabled: false, mebibytes: 10, days: 3 };
        assert_eq!(read(text).unwrap(), own);
        for wrong in ["mebibytes = 0", "days = 100_000", "enabled = 1", "gigabytes = 1"] {
            let found = read(&format!("[control.evidence]\n{wrong}\n")).unwrap_err();
            assert!(found[0].to_string().contains("weir.toml:2:"), "{}", found[0]);
        }
    }
}
