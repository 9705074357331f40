//! How boldly an attack is made.

use serde::Serialize;

/// How boldly an attack is made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intensity {
    /// Nobody who looks could miss it.
    Loud,
    /// As an attacker who does not expect Weir would.
    Moderate,
    /// Just beyond what the detection is set to.
    Threshold,
    /// Below it, or another way: what is told of it is told as it is.
    Evasive,
}

impl Intensity {
    /// From the boldest to the shyest.
    pub const ALL: [Self; 4] = [Self::Loud, Self::Moderate, Self::Threshold, Self::Evasive];

    /// Its name in options and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loud => "loud",
            Self::Moderate => "moderate",
            Self::Threshold => "threshold",
            Self::Evasive => "evasive",
        }
    }

    /// One of four, by intensity.
    #[must_use]
    pub fn of<T>(self, [loud, moderate, threshold, evasive]: [T; 4]) -> T {
        match self {
            Self::Loud => loud,
            Self::Moderate => moderate,
            Self::Threshold => threshold,
            Self::Evasive => evasive,
        }
    }
}

impl std::str::FromStr for Intensity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|intensity| intensity.name() == name).ok_or_else(|| {
            format!("{name:?} is no intensity: give loud, moderate, threshold or evasive")
        })
    }
}
