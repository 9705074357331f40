//! `weir policy`: what a change of policy changes, in its own words and on past traffic.

mod diff;
mod trial;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tell in words how two policies differ
    Diff(diff::Options),
    /// Tell which alerts a policy would add or silence on captures
    Test(trial::Options),
}

pub(crate) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Diff(options) => diff::run(options),
        Command::Test(options) => trial::run(options),
    }
}
