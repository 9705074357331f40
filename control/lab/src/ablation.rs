//! What is lost when a detection is switched off: exactly its families, if it is what finds them and
//! not chance.

use std::collections::BTreeSet;
use std::num::NonZero;

use serde::Serialize;
use weir_pcaps::bundled;

use crate::draw::Draw;
use crate::family::Family;
use crate::intensity::Intensity;
use crate::judgement::{Found, judge};
use crate::player::{LabError, Player};
use crate::run::side_by_side;
use crate::site::{SUSPECTS, Site};

/// What one detection's absence costs.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The detection that was off.
    pub detection: String,
    /// Thefts of its own that are found with it.
    pub own: BTreeSet<String>,
    /// Thefts that are found no more.
    pub lost: BTreeSet<String>,
}

impl Row {
    /// Whether exactly its own are lost.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.lost == self.own
    }
}

/// A scenario with many thefts.
struct Medley {
    name: &'static str,
    text: String,
}

/// Scenarios in which every family's loud attack is made once.
fn medleys(families: &[Family]) -> Vec<Medley> {
    let weeks = Site::Weeks { days: 10, gnbs: SUSPECTS };
    let patient = families.iter().filter(|family| matches!(family.site, Site::Weeks { .. }));
    let attacks = patient.filter_map(|family| {
        let attack = (family.attack)(Intensity::Loud, &mut Draw::new(family.name, 1))?;
        // Several families make thefts of one kind; each has its own name here.
        Some(attack.replacen("id = \"", &format!("id = \"{}:", family.name), 1))
    });
    let minutes = |name, text: &str| Medley { name, text: text.into() };
    let mut medleys = vec![
        minutes("demo", bundled::DEMO),
        minutes("evasion", bundled::EVASION),
        minutes("sessions", bundled::SESSIONS),
        minutes("interception", bundled::INTERCEPTION),
    ];
    let attacks: String = attacks.collect();
    medleys.push(Medley { name: "weeks", text: weeks.text("weeks", 1) + &attacks });
    medleys
}

/// Switches every detection off that a family is there for, one after the other.
///
/// # Errors
/// A scenario can't be played.
pub fn run(
    player: &Player,
    families: &[Family],
    jobs: NonZero<usize>,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Vec<Row>, LabError> {
    let medleys = medleys(families);
    let detections: BTreeSet<&str> = families.iter().map(|family| family.detection).collect();
    let off = [None].into_iter().chain(detections.iter().copied().map(Some));
    let runs: Vec<(Option<&str>, &Medley)> =
        off.flat_map(|off| medleys.iter().map(move |medley| (off, medley))).collect();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let found = side_by_side(&runs, jobs, |(off, medley)| {
        let name = format!("without-{}-{}", off.unwrap_or("nothing"), medley.name);
        let played = player.play(&name, &medley.text, off.as_slice(), false)?;
        let (thefts, ..) = judge(&played.labels, &played.alerts);
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, runs.len());
        Ok(thefts)
    })?;
    // The first runs are those with everything on.
    let with = |of: Option<&str>| -> Vec<&Found> {
        let runs = runs.iter().zip(&found).filter(|((off, _), _)| *off == of);
        runs.flat_map(|(_, thefts)| thefts).filter(|theft| theft.hit.is_some()).collect()
    };
    let ids = |of| with(of).into_iter().map(|theft| theft.id.clone()).collect::<BTreeSet<_>>();
    let all = ids(None);
    let rows = detections.iter().map(|detection| Row {
        detection: (*detection).into(),
        own: with(None)
            .into_iter()
            .filter(|theft| theft.detection == *detection)
            .map(|theft| theft.id.clone())
            .collect(),
        lost: all.difference(&ids(Some(detection))).cloned().collect(),
    });
    Ok(rows.collect())
}
