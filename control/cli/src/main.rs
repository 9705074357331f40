//! `weir`, the command people type.
#![forbid(unsafe_code)]

mod check;
mod decode;
mod demo;
mod doctor;
mod events;
mod failure;
mod generate;
mod lab;
mod learn;
mod output;
mod policy;
mod programs;
mod replay;
mod sessions;
mod summary;
mod supervise;
mod text;
mod top;
mod verdict;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (packet sources: file; those of the sensor: weir sensor --version)"
);

/// Watches the 5G user plane at tap ports and tells when equipment sends what nobody asked it to
/// send.
#[derive(Parser)]
#[command(name = "weir", version = VERSION, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 1 the work failed, 2 usage or configuration.";

#[derive(Subcommand)]
enum Command {
    /// Show Weir at work: four thefts in a generated network, caught live
    Demo(demo::Options),
    /// Run sensor and control over captures, to their end
    Replay(replay::Options),
    /// Print one JSON object per frame of a capture
    Decode(decode::Options),
    /// Print one JSON object per PFCP session of a capture
    Sessions(sessions::Options),
    /// Check configuration, inventory and policy
    Check(check::Options),
    /// Tell what this machine lacks for line rate, and the command that mends it
    Doctor(doctor::Options),
    /// Write a scenario's capture, labels, inventory and policy
    Generate(generate::Options),
    /// Tell how often Weir is right: labelled attacks through the real sensor and control, scored
    #[command(subcommand)]
    Lab(lab::Command),
    /// Write a candidate policy from what was seen, with reasons; nothing in it is allowed
    Learn(learn::Options),
    /// Tell what a change of policy changes
    #[command(subcommand)]
    Policy(policy::Command),
    /// Watch on a terminal whether Weir sees, and what is open
    Top(top::Options),
    /// Look after the journal of events
    #[command(subcommand)]
    Events(events::Command),
    /// Become weir-sensor, the dataplane process
    #[command(disable_help_flag = true)]
    Sensor(PassedOn),
    /// Become weir-control, the control process
    #[command(disable_help_flag = true)]
    Control(PassedOn),
}

#[derive(clap::Args)]
struct PassedOn {
    /// Its options, as its own --help tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let become_program = |name, passed: PassedOn| {
        programs::become_program(name, passed.arguments).map(|never| match never {})
    };
    let result: Result<(), Failure> = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Decode(options) => decode::run(&options),
        Command::Sessions(options) => sessions::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Generate(options) => generate::run(&options),
        Command::Lab(command) => lab::run(&command),
        Command::Learn(options) => learn::run(&options),
        Command::Policy(command) => policy::run(&command),
        Command::Top(options) => top::run(&options),
        Command::Events(command) => events::run(&command),
        Command::Sensor(passed) => become_program(programs::SENSOR, passed),
        Command::Control(passed) => become_program(programs::CONTROL, passed),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
