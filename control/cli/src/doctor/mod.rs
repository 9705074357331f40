//! `weir doctor`: what this machine lacks for line rate, and the command that mends it. It reads
//! /proc and /sys and changes nothing.

mod clock;
mod cores;
mod devices;
mod finding;
mod interfaces;
mod interrupts;
mod machine;
mod memory;
mod permissions;
mod platform;
mod table;
mod wanted;

use std::io::IsTerminal;
use std::path::PathBuf;

use serde::Serialize;

use self::finding::{Finding, Status};
use self::machine::Machine;
use self::table::Table;
use self::wanted::Wanted;
use crate::failure::Failure;
use crate::output::print;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// weir.toml: what the machine must be fit for; without it only what matters to all
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the findings as one JSON object
    #[arg(long)]
    json: bool,
    /// Where /proc, /sys, /etc and /usr are: a copy of another machine's
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    status: Status,
    findings: Vec<Finding>,
}

/// The checks, in the order in which they are told.
const CHECKS: [fn(&Machine, &Wanted) -> Vec<Finding>; 8] = [
    platform::check,
    memory::check,
    cores::check,
    interrupts::check,
    clock::check,
    permissions::check,
    devices::check,
    interfaces::check,
];

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let wanted = match &options.config {
        Some(path) => match weir_policy::load_config(path) {
            Ok(checked) => Wanted::of(&checked.value),
            Err(diagnostics) => {
                diagnostics.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
                return Err(Failure::Said(2));
            }
        },
        None => Wanted::default(),
    };
    let machine = Machine::at(&options.root);
    let findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&machine, &wanted)).collect();
    let status = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
    if options.json {
        let report = Report { status, findings };
        print(serde_json::to_string(&report).map_err(Failure::work)?)?;
    } else {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(Table { findings: &findings, colours })?;
    }
    // What was found stands there already.
    if status == Status::Error { Err(Failure::Said(1)) } else { Ok(()) }
}
