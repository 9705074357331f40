//! DPDK's own `dpdk-testpmd` in receive-only mode: what the device itself
//! costs, with nobody looking at the frames.

use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::device::{Device, memory_mib};
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;

/// The program's name.
pub const PROGRAM: &str = "dpdk-testpmd";

/// How long a run takes: starting, and a few of its statistics, one a second.
const SPAN: Duration = Duration::from_millis(3_500);

/// How long it takes on a machine so busy that the first did not do.
const LONG_SPAN: Duration = Duration::from_millis(12_000);

/// Whether the program is there.
pub fn is_installed() -> bool {
    crate::machine::has_program(PROGRAM)
}

/// Nanoseconds per packet that it receives on `core` from a device. `other` is the core of the
/// thread that prints.
///
/// # Errors
/// When it does not start or says no rate.
pub fn measure(device: &Device, core: usize, other: usize) -> anyhow::Result<f64> {
    run(device, (core, other), SPAN).or_else(|_| run(device, (core, other), LONG_SPAN))
}

fn run(device: &Device, (core, other): (usize, usize), span: Duration) -> anyhow::Result<f64> {
    let child = device
        .command(Path::new(PROGRAM))
        .args(["--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "--iova-mode=va"])
        .args(["-m", &memory_mib(device.mbufs).to_string()])
        .arg(format!("--lcores=0@{other},1@{core}"))
        .arg(format!("--vdev={}", device.vdev))
        .args(["--", "--forward-mode=rxonly", "--burst=64", "--stats-period=1"])
        .arg(format!("--total-num-mbufs={}", device.mbufs))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {PROGRAM}"))?;
    std::thread::sleep(span);
    let output = interrupt(child)?;
    let rates = rates(&String::from_utf8_lossy(&output.stdout));
    if rates.median() > 0.0 {
        return Ok(1e9 / rates.median());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    bail!("{PROGRAM} received nothing from {}; it says: {errors}", device.vdev)
}

/// Tells what it took for a packet, if it was measured, beside the engine on the same device: the
/// ratio is the share of its rate that is kept, more is better.
pub(crate) fn rows(title: &str, bare: Samples, engine: Samples, outcome: &mut Outcome) {
    let ratio = bare.over(&engine).median();
    let compares = ratio.is_finite();
    if compares {
        let what = format!("testpmd rxonly, {title}");
        outcome.row(Row { what, ns: bare, is_peer: true, ..Row::default() });
    }
    outcome.row(Row {
        what: format!("engine, {title}"),
        ns: engine,
        ratio: compares.then_some((ratio, "testpmd's rate")),
        ..Row::default()
    });
}

/// Asks for a clean end, and gives what was said until then.
fn interrupt(child: Child) -> anyhow::Result<Output> {
    let pid = i32::try_from(child.id()).context("a process id beyond its type")?;
    // One that has ended already fails later, by what it did not say.
    let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    child.wait_with_output().with_context(|| format!("can't read from {PROGRAM}"))
}

/// Packets per second of every full second in the port statistics; the first
/// figure covers the start.
fn rates(said: &str) -> Samples {
    let mut rates = Samples::default();
    said.lines()
        .filter_map(|line| line.trim().strip_prefix("Rx-pps:")?.split_whitespace().next())
        .filter_map(|rate| rate.parse().ok())
        .filter(|rate| *rate > 0.0)
        .skip(1)
        .for_each(|rate| rates.push(rate));
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_seconds_of_the_port_statistics_are_read() {
        let said = "\
  Throughput (since last show)
  Rx-pps:            0          Rx-bps:            0
  Rx-pps:      1000000          Rx-bps:  51254570776
  Tx-pps:            0          Tx-bps:            0
  Rx-pps:     32034106          Rx-bps:  51254570776
  Rx-pps:     31970424          Rx-bps:  51152677136
  RX-packets: 158437248      RX-dropped: 0             RX-total: 158437248";
        assert_eq!(rates(said).median(), 32_002_265.0);
        assert!(rates("EAL: no such device").median().is_nan());
    }
}
