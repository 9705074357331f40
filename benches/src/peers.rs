//! Other programs that read captures, as whole processes from start to end, their output thrown
//! away; all of them packages of Debian.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::decode::ns_per_packet;
use crate::machine::has_program;

/// A program beside which Weir is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// nDPI's reader: flows and protocols of what is in the tunnels.
    NdpiReader,
    /// tcpdump: a line of text for each frame.
    Tcpdump,
    /// nfdump's reader of captures: flows of the outer headers.
    Nfpcapd,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NdpiReader, Self::Tcpdump, Self::Nfpcapd];

    /// The program, and its name in figures.
    pub fn program(self) -> &'static str {
        match self {
            Self::NdpiReader => "ndpiReader",
            Self::Tcpdump => "tcpdump",
            Self::Nfpcapd => "nfpcapd",
        }
    }

    /// The package that has it.
    pub fn package(self) -> &'static str {
        match self {
            Self::NdpiReader => "libndpi-bin",
            Self::Tcpdump => "tcpdump",
            Self::Nfpcapd => "nfdump",
        }
    }

    /// Whether the program is there.
    pub fn is_installed(self) -> bool {
        has_program(self.program())
    }

    /// Nanoseconds per packet over a capture of so many.
    ///
    /// # Errors
    /// When it can't be started or fails.
    pub fn measure(self, capture: &Path, frames: usize) -> anyhow::Result<f64> {
        let flows = tempfile::tempdir()?;
        let mut command = Command::new(self.program());
        match self {
            Self::NdpiReader => command.args(["-q", "-t", "-i"]).arg(capture),
            Self::Tcpdump => command.args(["-n", "-r"]).arg(capture),
            Self::Nfpcapd => {
                command.args([OsStr::new("-r"), capture.as_ref()]).arg("-w").arg(flows.path())
            }
        };
        ns_per_packet(&mut command, frames)
    }
}
