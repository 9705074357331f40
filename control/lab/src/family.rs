//! Families of attacks: one way of stealing or hiding each, at every intensity.

use crate::draw::Draw;
use crate::families::{
    blindings, covert, egress, evasions, interception, patient, proof, sessions,
};
use crate::intensity::Intensity;
use crate::site::Site;

/// Which half of the laboratory a family or a seed belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Half {
    /// It may be looked at while thresholds are tuned.
    Tuned,
    /// It is only ever scored.
    Scored,
}

/// One way of stealing or hiding.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// The detection that is to find it.
    pub detection: &'static str,
    /// Where it is made.
    pub site: Site,
    /// Its half.
    pub half: Half,
    /// The attack at an intensity, as a part of a scenario; none where there is no such variant.
    pub attack: fn(Intensity, &mut Draw) -> Option<String>,
}

impl Family {
    /// Every family, by detection.
    #[must_use]
    pub fn all() -> Vec<Self> {
        [
            egress::FAMILIES,
            patient::FAMILIES,
            evasions::FAMILIES,
            sessions::FAMILIES,
            covert::FAMILIES,
            proof::FAMILIES,
            interception::FAMILIES,
            blindings::FAMILIES,
        ]
        .concat()
    }

    /// Those whose name or detection is among these; all if these are none.
    ///
    /// # Errors
    /// One of these is neither: the text says which, and what there is.
    pub fn chosen(names: &[String]) -> Result<Vec<Self>, String> {
        let all = Self::all();
        let is = |family: &Self, name: &str| family.name == name || family.detection == name;
        if let Some(stranger) = names.iter().find(|name| !all.iter().any(|family| is(family, name)))
        {
            let known: Vec<&str> = all.iter().map(|family| family.name).collect();
            return Err(format!(
                "{stranger:?} is no family; --families; give a detection or some of {}",
                known.join(", ")
            ));
        }
        let chosen = |family: &Self| names.is_empty() || names.iter().any(|name| is(family, name));
        Ok(all.into_iter().filter(chosen).collect())
    }

    /// The seeds of a run of so many that belong to a half, counted from 1: of a family that is
    /// tuned on, the even ones are only scored; of the others all are.
    #[must_use]
    pub fn seeds(&self, count: u64, half: Half) -> Vec<u64> {
        let of = |seed: u64| match self.half {
            Half::Tuned if !seed.is_multiple_of(2) => Half::Tuned,
            _ => Half::Scored,
        };
        // Both halves of a family that is split have as many as were asked for.
        let most = if self.half == Half::Tuned { 2 * count } else { count };
        (1..=most).filter(|seed| of(*seed) == half).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use weir_engine::detect::CATALOGUE;
    use weir_pcaps::Scenario;

    use super::*;

    #[test]
    fn every_variant_of_every_family_is_a_scenario_that_expects_its_detection() {
        for family in Family::all() {
            for intensity in Intensity::ALL {
                let mut draw = Draw::new(family.name, 5);
                let Some(attack) = (family.attack)(intensity, &mut draw) else { continue };
                let text = family.site.text(family.name, 5) + &attack;
                let scenario = Scenario::parse(&text, Path::new(family.name))
                    .unwrap_or_else(|why| panic!("{}: {why}", intensity.name()));
                let labels = scenario.generate().labels().clone();
                assert!(!labels.thefts.is_empty());
                for theft in labels.thefts {
                    assert_eq!(theft.expectation.detection, family.detection, "{}", family.name);
                }
            }
        }
    }

    #[test]
    fn names_are_unique_and_detections_exist() {
        let names: Vec<&str> = Family::all().iter().map(|family| family.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for family in Family::all() {
            assert!(CATALOGUE.iter().any(|it| it.id == family.detection), "{}", family.detection);
        }
    }

    #[test]
    fn what_is_tuned_on_is_never_scored() {
        for family in Family::all() {
            let (tuned, scored) = (family.seeds(3, Half::Tuned), family.seeds(3, Half::Scored));
            assert_eq!(scored.len(), 3);
            assert!(scored.iter().all(|seed| !tuned.contains(seed)));
            assert_eq!(tuned.is_empty(), family.half == Half::Scored);
        }
    }
}
