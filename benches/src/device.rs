//! The engine behind DPDK, on a device that repeats a capture for ever or on an interface. EAL
//! starts once in a process, so each measurement is a process of its own: this program again,
//! with [`SUBCOMMAND`].

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
use crate::extent::Extent;
use crate::sessions::Sessions;
use crate::veth::Pair;
use crate::{machine, n4, traffic};

/// The subcommand that runs [`poll`].
pub const SUBCOMMAND: &str = "device";

/// How long the device is polled before the clock starts.
const WARM_UP: Duration = Duration::from_millis(200);

/// A device to receive from.
#[derive(Clone, Debug)]
pub struct Device {
    /// The virtual device, in DPDK's words.
    pub vdev: String,
    /// mbufs that it and its user need together.
    pub mbufs: u32,
    /// The pair of interfaces at whose receiving end it is, if it is at one.
    pub pair: Option<Arc<Pair>>,
}

impl Device {
    /// One that repeats a capture of so many frames.
    pub fn repeating(capture: &Path, frames: usize) -> Self {
        Self { vdev: vdev(capture), mbufs: mbufs(frames), pair: None }
    }

    /// A command where the device is.
    pub fn command(&self, program: &Path) -> Command {
        match &self.pair {
            Some(pair) => pair.tap.command(program),
            None => Command::new(program),
        }
    }
}

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

/// Nanoseconds per packet of the engine on a device, measured in another process.
///
/// # Errors
/// When that process fails; its own words are on the standard error.
pub fn measure(device: &Device, extent: &Extent) -> anyhow::Result<f64> {
    let output = device
        .command(&std::env::current_exe()?)
        .args([SUBCOMMAND, "--vdev", &device.vdev])
        .args(["--mbufs", &device.mbufs.to_string()])
        .args(["--tunnels", &extent.tunnels.to_string()])
        .args(["--core", &extent.core.to_string()])
        .args(["--millis", &extent.span.as_millis().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("can't start the process for the DPDK device")?;
    if !output.status.success() {
        bail!("the process for the DPDK device ended with {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("not a number of nanoseconds: {text:?}"))
}

/// Polls the device in this process and takes what it gives through the engine; gives nanoseconds
/// per packet. The judge's own are not among them: the sensor has it on another core.
///
/// # Errors
/// When DPDK or the engine can't start, or the device gives nothing.
pub fn poll(
    (vdev, mbufs): (&str, u32),
    tunnels: u32,
    core: usize,
    span: Duration,
) -> anyhow::Result<f64> {
    let eal = Eal::init(&EalConfig {
        program: "weir-bench".into(),
        // As testpmd is started, so that both have the same memory.
        hugepages: Hugepages::Never,
        vdevs: vec![vdev.to_owned()],
        memory_mib: memory_mib(mbufs),
        ..EalConfig::default()
    })?;
    let pool = Pool::new(&eal, "bench", mbufs, Pool::DEFAULT_DATA_ROOM, None)?;
    let name = vdev.split(',').next().unwrap_or_default();
    let (_port, mut queues) = Port::open(name, &PortConfig::default(), pool)?;
    let queue = queues.first_mut().with_context(|| format!("{name} has no receive queue"))?;
    machine::pin(core)?;
    let rules = Arc::new(n4::rules()?);
    let mut run = EngineRun::new(Link::N3, rules, Sessions::of_imix(tunnels))?;
    let began = Instant::now();
    let mut counted_from = None;
    let mut packets = 0_u64;
    loop {
        let now = began.elapsed();
        match counted_from {
            None if now >= WARM_UP => {
                counted_from = Some((now, run.judged().took));
                packets = 0;
            }
            Some((from, judged)) if now - from >= span => {
                if packets == 0 {
                    bail!("{vdev} gave no frame");
                }
                let took = now - from - (run.judged().took - judged);
                return Ok(took.as_nanos() as f64 / packets as f64);
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
