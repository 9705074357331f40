//! The command line.

use std::path::PathBuf;

use clap::Parser;
use weir_playback::Speed;

use crate::device::Target;

/// Replays captures into a port, to load another device with them. Nothing is inspected.
#[derive(Debug, Parser)]
#[command(name = "weir-sender", version)]
pub(crate) struct Options {
    /// Where frames go: pci:ADDRESS, vdev:NAME,ARGUMENTS in DPDK's form, or a network interface's
    /// name
    #[arg(long, value_name = "DEVICE")]
    pub(crate) to: Target,
    /// How fast: max, recorded, or a multiple of recorded such as 10x
    #[arg(long, default_value = "max")]
    pub(crate) speed: Speed,
    /// How often the captures are played; from the second time on with tunnels, sessions and users
    /// of their own
    #[arg(long = "loop", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) passes: u32,
    /// Read captures into memory, whole, before the first packet
    #[arg(long)]
    pub(crate) preload: bool,
    /// Where the summary goes as JSON; - for standard output
    #[arg(long, value_name = "FILE|-")]
    pub(crate) summary: Option<PathBuf>,
    /// Captures; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}
