//! `weir lab`: labelled attacks through the real sensor and control, scored.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use weir_lab::ablation::{self, Row};
use weir_lab::family::{Family, Half};
use weir_lab::intensity::Intensity;
use weir_lab::judgement::Outcome;
use weir_lab::peers::{self, Peer, Verdict};
use weir_lab::player::Player;
use weir_lab::report::Results;
use weir_lab::run::{Plan, side_by_side};
use weir_lab::score::Score;

use crate::failure::Failure;
use crate::output::print;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Play attacks of every family and tell how often Weir is right
    Run(Options),
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Families or detections, separated by commas; all if absent
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    families: Vec<String>,
    /// Seeds of each family and intensity
    #[arg(long, value_name = "N", default_value = "2")]
    seeds: NonZero<u64>,
    /// How boldly: loud, moderate, threshold, evasive; all if absent
    #[arg(long, value_name = "HOW", value_delimiter = ',')]
    intensity: Vec<Intensity>,
    /// Play the half that thresholds may be tuned on, instead of the one that is only scored
    #[arg(long)]
    tuning: bool,
    /// Days on which nothing happens, in one scenario for each seed; 0: none
    #[arg(long, value_name = "N", default_value_t = 30)]
    quiet_days: u64,
    /// Leave out the cases in which the tap loses frames
    #[arg(long)]
    without_loss: bool,
    /// Do not play everything once more with each detection switched off
    #[arg(long)]
    without_ablation: bool,
    /// Do not ask RITA, Elastic and nDPI about the same cases
    #[arg(long)]
    without_peers: bool,
    /// Print lab.json instead of the table
    #[arg(long)]
    json: bool,
    /// Cases that are played at the same time; as many as there are cores if absent
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Keep captures and events here
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where results are written
    #[arg(long, value_name = "DIR", default_value = "target/lab")]
    out: PathBuf,
}

pub(crate) fn run(Command::Run(options): &Command) -> Result<(), Failure> {
    let intensities = match options.intensity.as_slice() {
        [] => Intensity::ALL.to_vec(),
        some => some.to_vec(),
    };
    let plan = Plan {
        families: Family::chosen(&options.families).map_err(Failure::usage)?,
        intensities,
        seeds: options.seeds.get(),
        half: if options.tuning { Half::Tuned } else { Half::Scored },
        quiet_days: NonZero::new(options.quiet_days),
        with_loss: !options.without_loss,
    };
    let weir = std::env::current_exe().map_err(|why| {
        Failure::work(format!("can't tell where weir is: {why}; /proc; mount it"))
    })?;
    let player = Player { weir, keep: options.keep.clone() };
    let cores = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let jobs = options.jobs.unwrap_or(cores);
    let asked = if options.without_peers { &[][..] } else { &peers::ALL[..] };
    let (outcomes, peers) = play(&plan, &player, jobs, asked)?;
    let ablation = match options.without_ablation {
        true => Vec::new(),
        false => ablate(&plan, &player, jobs)?,
    };
    let score = Score::of(&outcomes);
    let results = Results { command: command(), half: plan.half, score, ablation, peers, outcomes };
    let files = results.write_to(&options.out).map_err(|(path, why)| {
        Failure::work(format!("{why}; {}; give --out another place", path.display()))
    })?;
    match options.json {
        true => print(results.json()),
        false => {
            print(results.table())?;
            print(files.each_ref().map(|path| path.display().to_string()).join("\n"))
        }
    }
}

/// A bar for so many steps of a kind.
fn bar(what: &str, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// Plays every case; what is told of each, and what peers come to.
fn play(
    plan: &Plan,
    player: &Player,
    jobs: NonZero<usize>,
    asked: &[Peer],
) -> Result<(Vec<Outcome>, BTreeMap<Peer, peers::Score>), Failure> {
    let cases = plan.cases();
    let bar = bar("playing", cases.len());
    let judged = side_by_side(&cases, jobs, |case| {
        let asked = if case.is_counted() { asked } else { &[] };
        let judged = case.judge(player, asked)?;
        bar.set_message(case.name());
        bar.inc(1);
        Ok(judged)
    });
    bar.finish_and_clear();
    let (outcomes, said): (Vec<_>, Vec<_>) = judged.map_err(Failure::work)?.into_iter().unzip();
    let mut verdicts: BTreeMap<Peer, Vec<Verdict>> = BTreeMap::new();
    for (peer, verdict) in said.into_iter().flatten() {
        verdicts.entry(peer).or_default().push(verdict);
    }
    let scores = verdicts.into_iter().map(|(peer, of)| (peer, peers::Score::of(&of)));
    Ok((outcomes, scores.collect()))
}

fn ablate(plan: &Plan, player: &Player, jobs: NonZero<usize>) -> Result<Vec<Row>, Failure> {
    let bar = bar("switching off", 0);
    let rows = ablation::run(player, &plan.families, jobs, |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    rows.map_err(Failure::work)
}

/// The command as it was typed, without the path of the program.
fn command() -> String {
    let words = std::env::args().skip(1);
    std::iter::once("weir".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
