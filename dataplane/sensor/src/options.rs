//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use weir_engine::rules::Link;
pub(crate) use weir_playback::Speed;

/// How the packet sources of this build are named in `--version`.
const VERSION: &str = if cfg!(feature = "dpdk") {
    concat!(env!("CARGO_PKG_VERSION"), " (packet sources: file, dpdk)")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " (packet sources: file)")
};

/// Decodes and judges what taps or captures hold, and tells weir-control.
#[derive(Debug, Parser)]
#[command(name = "weir-sensor", version = VERSION)]
pub(crate) struct Options {
    /// The configuration; without FILEs its taps are watched live
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A capture of one link: n2 n3 n4 n6 n9 xn f1 s1u sbi oam mixed
    #[arg(long, value_name = "LINK=FILE")]
    pub(crate) tap: Vec<TapFile>,
    /// Captures to replay as one tap named "replay"; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How fast captures are replayed: max, recorded, or a factor such as 10x
    #[arg(long)]
    pub(crate) speed: Option<Speed>,
    /// How often captures are played; from the second time on with tunnels, sessions and users of
    /// their own
    #[arg(long = "loop", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) passes: u32,
    /// Read captures into memory, whole, before the first packet
    #[arg(long)]
    pub(crate) preload: bool,
    /// What reads the captures: the sensor itself or DPDK's net_pcap
    #[arg(long, value_enum, default_value_t = SourceKind::File)]
    pub(crate) source: SourceKind,
    /// Workers of a replay; they are not pinned
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: Option<u16>,
    /// Where control attaches [default: sensor.sock in the state directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Where the last good policy is kept [default: sensor/ in the configured state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

impl Options {
    /// Whether captures are replayed to their end.
    pub(crate) fn is_replay(&self) -> bool {
        !self.files.is_empty() || !self.tap.is_empty()
    }
}

/// What reads captures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SourceKind {
    /// The engine's own reader.
    File,
    /// DPDK's net_pcap device.
    Dpdk,
}

/// A capture with the link that it was taken on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TapFile {
    pub(crate) link: Link,
    pub(crate) file: PathBuf,
}

impl FromStr for TapFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, file) = text.split_once('=').ok_or("write LINK=FILE, for example n3=a.pcap")?;
        let link = Link::ALL.into_iter().find(|link| link.name() == name).ok_or_else(|| {
            format!("\"{name}\" is no link; use n2 n3 n4 n6 n9 xn f1 s1u sbi oam or mixed")
        })?;
        Ok(Self { link, file: file.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_read_or_refused() {
        let tap: TapFile = "n3=a=b.pcap".parse().unwrap();
        assert_eq!((tap.link, tap.file), (Link::N3, PathBuf::from("a=b.pcap")));
        assert!("n5=a.pcap".parse::<TapFile>().unwrap_err().contains("n5"));
    }
}
