//! `weir generate`: a scenario's capture with labels, inventory and policy.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use weir_pcaps::{Report, Scenario, ScenarioError};

use crate::failure::Failure;
use crate::output::print;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The scenario's description
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// The directory to write into; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let scenario = Scenario::load(&options.scenario).map_err(refuse)?;
    let report = write(&scenario, &options.out)?;
    let files = [&report.labels_file, &report.inventory_file, &report.policy_file];
    for path in report.captures.iter().chain(files).chain(&report.config_file) {
        print(path.display())?;
    }
    let labels = &report.labels;
    let (frames, bytes, thefts) = (labels.frames, labels.bytes, labels.thefts.len());
    print(format_args!("{}: {frames} frames, {bytes} bytes, {thefts} thefts", labels.scenario))
}

/// A scenario that is no scenario is the user's mistake.
pub(crate) fn refuse(why: ScenarioError) -> Failure {
    Failure::usage(why)
}

/// Writes a scenario into a directory, with a bar on a terminal.
pub(crate) fn write(scenario: &Scenario, directory: &Path) -> Result<Report, Failure> {
    const PARTS: u64 = 1_000;
    let bar = ProgressBar::new(PARTS);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg} frames {eta}") {
        bar.set_style(style);
    }
    bar.set_prefix(format!("generating {}", scenario.name()));
    let report = scenario.write_to(directory, |progress| {
        bar.set_position((progress.share * PARTS as f64) as u64);
        bar.set_message(progress.frames.to_string());
    });
    bar.finish_and_clear();
    report.map_err(Failure::work)
}
