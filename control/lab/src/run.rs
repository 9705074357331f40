//! A run of the laboratory: which cases there are, played side by side, judged.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::intensity::Intensity;
use crate::judgement::{Outcome, judge};
use crate::peers::{Peer, Verdict};
use crate::player::{LabError, Player};
use crate::site::Site;

/// Shares of frames that the tap loses, beside none.
pub const LOSSES: [f64; 3] = [0.001, 0.01, 0.05];

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The families.
    pub families: Vec<Family>,
    /// How boldly.
    pub intensities: Vec<Intensity>,
    /// How many seeds of each.
    pub seeds: u64,
    /// Which half.
    pub half: Half,
    /// Days that nothing happens on, in one scenario of each seed; none: no such scenario.
    pub quiet_days: Option<NonZero<u64>>,
    /// Whether the tap loses frames in some of them.
    pub with_loss: bool,
}

/// One scenario to be played.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The family and how boldly; none on a good day.
    pub attack: Option<(Family, Intensity)>,
    /// Where.
    pub site: Site,
    /// By which chance.
    pub seed: u64,
    /// Share of frames that the tap loses.
    pub loss: f64,
}

/// gNBs of a site on which nothing happens.
const QUIET_GNBS: u32 = 60;
/// The first seed of good days that are only scored.
const QUIET_SCORED: u64 = 101;

impl Plan {
    /// Every case, the longest first.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        if let Some(days) = self.quiet_days {
            let first = if self.half == Half::Tuned { 1 } else { QUIET_SCORED };
            let seeds = first..first + self.seeds;
            let weeks = Site::Weeks { days: days.get(), gnbs: QUIET_GNBS };
            for seed in seeds {
                let quiet = |site| Case { attack: None, site, seed, loss: 0.0 };
                let minutes =
                    [Site::Plain, Site::Evasions, Site::Sessions, Site::Proof, Site::Interception];
                cases.extend([weeks].into_iter().chain(minutes).map(quiet));
            }
        }
        for family in &self.families {
            for intensity in &self.intensities {
                for seed in family.seeds(self.seeds, self.half) {
                    let attack = Some((*family, *intensity));
                    cases.push(Case { attack, site: family.site, seed, loss: 0.0 });
                }
            }
            if self.with_loss && self.intensities.contains(&Intensity::Moderate) {
                for (loss, seed) in LOSSES.into_iter().flat_map(|loss| {
                    family.seeds(self.seeds, self.half).into_iter().map(move |seed| (loss, seed))
                }) {
                    let attack = Some((*family, Intensity::Moderate));
                    cases.push(Case { attack, site: family.site, seed, loss });
                }
            }
        }
        cases.retain(|case| case.text().is_some());
        cases.sort_by_key(|case| match case.site {
            Site::Weeks { days, gnbs } => std::cmp::Reverse(days * u64::from(gnbs)),
            _ => std::cmp::Reverse(0),
        });
        cases
    }
}

impl Case {
    /// What it is called, as its files are.
    #[must_use]
    pub fn name(&self) -> String {
        let what = match self.attack {
            Some((family, intensity)) => format!("{}-{}", family.name, intensity.name()),
            None => format!("quiet-{}", self.site_name()),
        };
        let loss = if self.loss > 0.0 { format!("-loss-{}", self.loss) } else { String::new() };
        format!("{what}-{}{loss}", self.seed)
    }

    fn site_name(&self) -> &'static str {
        match self.site {
            Site::Plain => "plain",
            Site::Evasions => "evasions",
            Site::Sessions => "sessions",
            Site::Proof => "proof",
            Site::Interception => "interception",
            Site::Weeks { .. } => "weeks",
        }
    }

    /// Its scenario; none if the family has no such variant.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let mut text = self.site.text(&self.name(), self.seed);
        if let Some((family, intensity)) = self.attack {
            let stream = format!("{}-{}", family.name, intensity.name());
            text += &(family.attack)(intensity, &mut Draw::new(&stream, self.seed))?;
        }
        if self.loss > 0.0 {
            let loss = format!("loss_share = {}", self.loss);
            text = match text.find("[tap]") {
                Some(_) => text.replace("[tap]", &format!("[tap]\n{loss}")),
                None => format!("{text}\n[tap]\n{loss}\n"),
            };
        }
        Some(text)
    }

    /// Whether it counts for a score, or is told of apart.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.loss == 0.0 && self.attack.is_none_or(|(_, how)| how != Intensity::Evasive)
    }

    /// Plays it and holds what was said against its labels, and what each of these peers says.
    ///
    /// # Errors
    /// It can't be played.
    pub fn judge(
        &self,
        player: &Player,
        peers: &[Peer],
    ) -> Result<(Outcome, Vec<(Peer, Verdict)>), LabError> {
        let text = self.text().unwrap_or_default();
        let played = player.play(&self.name(), &text, &[], !peers.is_empty())?;
        let (thefts, false_alarms, informative) = judge(&played.labels, &played.alerts);
        let outcome = Outcome {
            family: self.attack.map(|(family, _)| family.name),
            detection: self.attack.map(|(family, _)| family.detection),
            intensity: self.attack.map(|(_, intensity)| intensity),
            seed: self.seed,
            loss: self.loss,
            thefts,
            false_alarms,
            informative,
            equipment_days: played.equipment_days,
        };
        let said = peers.iter().map(|peer| Ok((*peer, peer.judge(&played)?)));
        Ok((outcome, said.collect::<Result<_, LabError>>()?))
    }
}

/// Does something with each of these on so many threads; the results stand in their order.
///
/// # Errors
/// The first that failed; what had not begun by then is not done.
pub fn side_by_side<T: Sync, R: Send>(
    of: &[T],
    jobs: NonZero<usize>,
    work: impl Fn(&T) -> Result<R, LabError> + Sync,
) -> Result<Vec<R>, LabError> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = of.get(at) else { break };
                    let result = work(one);
                    if result.is_err() {
                        next.store(of.len(), Ordering::Relaxed);
                    }
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
