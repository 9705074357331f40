//! `weir decode` beside tshark on the same capture: whole processes, from start
//! to end, their output thrown away.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// Wireshark's program for terminals.
pub const TSHARK: &str = "tshark";

/// Of the fields that `weir decode` always gives, those that tshark is asked for:
/// numbers are not looked up as names, so that it does no work beyond them.
const FIELDS: [&str; 7] = [
    "frame.number",
    "gtp.message",
    "gtp.teid",
    "ip.src",
    "ip.dst",
    "pfcp.msg_type",
    "pfcp.ie_type",
];

/// The program `weir`, where it was built beside this one.
pub fn weir() -> Option<PathBuf> {
    crate::machine::program_beside("weir")
}

/// Whether there is a tshark to compare with.
pub fn has_tshark() -> bool {
    crate::machine::has_program(TSHARK)
}

/// Nanoseconds per packet of `weir decode`.
///
/// # Errors
/// When it can't be started or fails.
pub fn measure(weir: &Path, capture: &Path, frames: usize) -> anyhow::Result<f64> {
    ns_per_packet(Command::new(weir).arg("decode").arg(capture), frames)
}

/// Nanoseconds per packet of tshark.
///
/// # Errors
/// When it can't be started or fails.
pub fn measure_tshark(capture: &Path, frames: usize) -> anyhow::Result<f64> {
    let fields = FIELDS.iter().flat_map(|field| ["-e", field]).map(OsStr::new);
    let mut command = Command::new(TSHARK);
    command.args(["-n", "-T", "fields"]).args(fields).arg("-r").arg(capture);
    ns_per_packet(&mut command, frames)
}

/// Nanoseconds per packet of a program, from its start to its end.
pub(crate) fn ns_per_packet(command: &mut Command, frames: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("can't start {command:?}"))?;
    let took = began.elapsed();
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {words}", output.status);
    }
    Ok(took.as_nanos() as f64 / frames as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_not_fast() {
        assert!(ns_per_packet(&mut Command::new("true"), 1).unwrap() > 0.0);
        let failed = ns_per_packet(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), 1);
        let error = failed.unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }
}
