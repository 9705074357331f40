//! Figures of the kernel's interfaces: the engine behind AF_PACKET and AF_XDP on one end of a veth
//! pair, beside testpmd on the same device, while `weir-sender` sends the mix into the other end.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::device::{self, Device};
use crate::extent::Extent;
use crate::machine::program_beside;
use crate::outcome::Outcome;
use crate::rounds::Samples;
use crate::testpmd;
use crate::traffic::Traffic;
use crate::veth::{Pair, TAP, WIRE};

/// Passes of the sender over its capture: more than any measurement lasts.
const PASSES: u32 = 1_000_000;

/// Frames of its capture.
const FRAMES: usize = 1 << 12;

/// mbufs of either receiver.
const MBUFS: u32 = 16_383;

/// The drivers, as they are called in figures and in DPDK.
const DRIVERS: [(&str, &str); 2] = [("af_packet", "net_af_packet0"), ("af_xdp", "net_af_xdp0")];

/// Both drivers, in turn with testpmd.
///
/// # Errors
/// When the pair can't be made or a device gives nothing.
pub fn interfaces(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Interfaces of the kernel, a veth pair");
    let sender = program_beside("weir-sender");
    let obstacle = Pair::obstacle().or_else(|| {
        sender.is_none().then(|| "weir-sender is not built in the same profile".into())
    });
    if let Some(why) = obstacle {
        eprintln!("weir-bench: interfaces: skipped: {why}");
        outcome.line(format!("skipped: {why}"));
        return Ok(());
    }
    let sender = sender.context("weir-sender was there before")?;
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("imix.pcap");
    Traffic::imix(extent.tunnels, FRAMES).write(&capture)?;
    let pair = Arc::new(Pair::new()?);
    for (name, driver) in DRIVERS {
        let device = Device {
            vdev: format!("{driver},iface={TAP}"),
            mbufs: MBUFS,
            pair: Some(pair.clone()),
        };
        let load = Load { pair: &pair, sender: &sender, capture: &capture };
        // A kernel without XDP, or a machine without the driver, is no reason to have no figures.
        if let Err(why) = beside_testpmd(extent, &device, &load, name, outcome) {
            eprintln!("weir-bench: {name}: skipped: {why:#}");
            outcome.line(format!("{name}: skipped: {why:#}"));
        }
    }
    Ok(())
}

fn beside_testpmd(
    extent: &Extent,
    device: &Device,
    load: &Load<'_>,
    name: &str,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let rounds = extent.slow_rounds;
    let compares = testpmd::is_installed();
    let [mut engine, mut bare] = [const { Samples::new() }; 2];
    for round in 1..=rounds {
        eprintln!("weir-bench: {name}, round {round} of {rounds}");
        let _sending = load.start(extent.other)?;
        engine.push(device::measure(device, extent)?);
        if compares {
            bare.push(testpmd::measure(device, extent.core, extent.other)?);
        }
    }
    let ratio = bare.over(&engine).median();
    outcome.figure(&format!("{name}_mpps"), 1e3 / engine.median());
    outcome.figure(&format!("{name}_testpmd_mpps"), 1e3 / bare.median());
    outcome.figure(&format!("{name}_to_testpmd_ratio"), ratio);
    testpmd::rows(name, bare, engine, outcome);
    Ok(())
}

/// What sends.
struct Load<'a> {
    pair: &'a Pair,
    sender: &'a Path,
    capture: &'a Path,
}

impl Load<'_> {
    /// Sends on a core until it is dropped.
    fn start(&self, core: usize) -> anyhow::Result<Sending> {
        let mut command: Command = self.pair.wire.command(Path::new("taskset"));
        let child = command
            .args(["-c", &core.to_string()])
            .arg(self.sender)
            .args(["--to", WIRE, "--preload", "--loop", &PASSES.to_string()])
            .arg(self.capture)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't start weir-sender")?;
        Ok(Sending(child))
    }
}

/// A sender at work.
struct Sending(Child);

impl Drop for Sending {
    fn drop(&mut self) {
        // One that has ended by itself leaves nothing to stop; what came is what counts.
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}
