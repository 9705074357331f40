//! `weir lab`: labelled attacks through the real sensor and control, scored.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use weir_lab::family::{Family, Half};
use weir_lab::intensity::Intensity;
use weir_lab::judgement::Outcome;
use weir_lab::player::Player;
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
    let cases = plan.cases();
    let bar = ProgressBar::new(cases.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("playing {wide_bar} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    let outcomes: Vec<Outcome> =
        side_by_side(&cases, options.jobs.unwrap_or(cores), |case| {
            let began = std::time::Instant::now();
            let outcome = case.judge(&player, false)?.0;
            bar.inc(1);
            bar.set_message(case.name());
            if std::env::var_os("WEIR_LAB_TRACE").is_some() {
                eprintln!("{} {:?} hits {:?} false {:?}", case.name(), began.elapsed(), outcome.thefts.iter().map(|t| t.hit.as_ref().map(|h| h.latency_seconds)).collect::<Vec<_>>(), outcome.false_alarms.iter().map(|a| format!("{} {:?} {:?} {} {}", a.detection, a.equipment, a.peer, a.severity, a.observed)).collect::<Vec<_>>());
            }
            Ok(outcome)
        })
        .map_err(Failure::work)?;
    bar.finish_and_clear();
    let score = Score::of(&outcomes);
    print(serde_json::to_string_pretty(&score).unwrap_or_default())
}
