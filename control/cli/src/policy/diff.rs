//! `weir policy diff`: what one policy says and another does not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use weir_policy::{Became, Change, policy_changes};

use crate::check::{Files, Findings};
use crate::failure::Failure;
use crate::output::print;

#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 whether or not they differ, 2 if a file is invalid.")]
pub(crate) struct Options {
    /// The policy before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The policy after
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// What is installed: then ids that are not are mistakes
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut is_valid = true;
    for policy in [&options.old, &options.new] {
        let files = Files {
            config: None,
            inventory: options.inventory.clone(),
            policy: Some(policy.clone()),
        };
        let findings = Findings::of(&files);
        for error in findings.errors() {
            eprintln!("{error}");
        }
        is_valid &= !findings.has_errors();
    }
    if !is_valid {
        return Err(Failure::Said(2));
    }
    let changes = policy_changes(&read(&options.old)?, &read(&options.new)?);
    if options.json {
        return print(json!({ "changes": changes }));
    }
    for change in &changes {
        print(change)?;
    }
    print(total(&changes))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|why| {
        Failure::usage(format!(
            "the policy can't be read: {why}; {}; check its path and its permissions",
            path.display()
        ))
    })
}

fn total(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no difference".into();
    }
    let count = |became| changes.iter().filter(|change| change.became == became).count();
    format!(
        "{} added, {} removed, {} changed",
        count(Became::Added),
        count(Became::Removed),
        count(Became::Changed)
    )
}
