//! The engine behind DPDK, on a device that repeats a capture for ever. EAL
//! starts once in a process, so each measurement is a process of its own: this
//! program again, with [`SUBCOMMAND`].

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use weir_dpdk::{Eal, EalConfig, Hugepages, Pool, Port, PortConfig};
use weir_engine::frame::BURST;
use weir_engine::rules::Link;
use weir_engine::{Frame, Nanos, RxMeta, TapId};

use crate::engine_run::EngineRun;
use crate::{machine, traffic};

/// The subcommand that runs [`poll`].
pub const SUBCOMMAND: &str = "device";

/// How long the device is polled before the clock starts.
const WARM_UP: Duration = Duration::from_millis(200);

/// The virtual device that repeats a capture, in DPDK's words.
pub fn vdev(capture: &Path) -> String {
    format!("net_pcap0,rx_pcap={},infinite_rx=1", capture.display())
}

/// mbufs for a device that keeps `frames` of them for itself.
pub fn mbufs(frames: usize) -> u32 {
    frames as u32 + 8_191
}

/// Memory that so many mbufs need, MiB: of ordinary pages each mbuf takes a
/// whole one, since it may not cross their border; the rest is DPDK's own.
pub fn memory_mib(mbufs: u32) -> u32 {
    96 + mbufs / 200
}

/// Nanoseconds per packet of the engine on a device of this capture, measured in another process.
///
/// # Errors
/// When that process fails; its own words are on the standard error.
pub fn measure(
    capture: &Path,
    (frames, tunnels): (usize, u32),
    core: usize,
    span: Duration,
) -> anyhow::Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .arg(SUBCOMMAND)
        .arg("--capture")
        .arg(capture)
        .args(["--frames", &frames.to_string()])
        .args(["--tunnels", &tunnels.to_string()])
        .args(["--core", &core.to_string()])
        .args(["--millis", &span.as_millis().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("can't start the process for the DPDK device")?;
    if !output.status.success() {
        bail!("the process for the DPDK device ended with {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("not a number of nanoseconds: {text:?}"))
}

/// Polls the device in this process and takes what it gives through the engine;
/// gives nanoseconds per packet.
///
/// # Errors
/// When DPDK or the engine can't start, or the device gives nothing.
pub fn poll(
    capture: &Path,
    (frames, tunnels): (usize, u32),
    core: usize,
    span: Duration,
) -> anyhow::Result<f64> {
    let mbufs = mbufs(frames);
    let eal = Eal::init(&EalConfig {
        program: "weir-bench".into(),
        // As testpmd is started, so that both have the same memory.
        hugepages: Hugepages::Never,
        vdevs: vec![vdev(capture)],
        memory_mib: memory_mib(mbufs),
        ..EalConfig::default()
    })?;
    let pool = Pool::new(&eal, "bench", mbufs, Pool::DEFAULT_DATA_ROOM, None)?;
    let (_port, mut queues) = Port::open("net_pcap0", &PortConfig::default(), pool)?;
    let queue = queues.first_mut().context("net_pcap0 has no receive queue")?;
    machine::pin(core)?;
    let mut run = EngineRun::new(Link::N3, Arc::new(traffic::rules()?), tunnels)?;
    let began = Instant::now();
    let mut counted_from = None;
    let mut packets = 0_u64;
    loop {
        let now = began.elapsed();
        match counted_from {
            None if now >= WARM_UP => {
                counted_from = Some(now);
                packets = 0;
            }
            Some(from) if now - from >= span => {
                if packets == 0 {
                    bail!("{} gave no frame", vdev(capture));
                }
                return Ok((now - from).as_nanos() as f64 / packets as f64);
            }
            _ => {}
        }
        let burst = queue.poll();
        let meta = RxMeta {
            time: traffic::START.plus(Nanos(now.as_nanos() as u64)),
            tap: TapId(0),
            ..RxMeta::default()
        };
        let mut frames = [Frame { bytes: &[], meta }; BURST];
        for (slot, received) in frames.iter_mut().zip(&burst) {
            slot.bytes = received.bytes;
            slot.meta.wire_len = received.wire_len;
        }
        run.burst(&frames[..burst.len()]);
        packets += burst.len() as u64;
    }
}
