//! A receive thread's work: the look at a frame that finds its worker, and the hand-over, beyond
//! what receiving costs in any case. In a process apart, as [`crate::device`].

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use weir_dpdk::{
    BURST, Deal, Eal, EalConfig, Fan, Hugepages, Pool, Port, PortConfig, RingReceiver,
};
use weir_engine::worker::Setup;
use weir_engine::{Frame, RxMeta, TapId};

use crate::device::{mbufs, memory_mib, vdev};
use crate::{machine, traffic};

/// The subcommand that runs [`deal`].
pub const SUBCOMMAND: &str = "reshard";

/// How long the device is polled before the clock starts.
const WARM_UP: Duration = Duration::from_millis(200);

/// Bursts that are timed.
const MOST_BURSTS: usize = 1 << 20;

/// Frames that a worker's ring has room for, as the sensor's.
const ROOM: usize = 4096;

/// Nanoseconds per packet of dealing out to so many workers, measured in another process; and the
/// share of packets that found a ring full.
///
/// # Errors
/// When that process fails; its own words are on the standard error.
pub fn measure(
    capture: &Path,
    (frames, workers): (usize, usize),
    (core, other): (usize, usize),
    span: Duration,
) -> anyhow::Result<(f64, f64)> {
    let output = Command::new(std::env::current_exe()?)
        .arg(SUBCOMMAND)
        .arg("--capture")
        .arg(capture)
        .args(["--frames", &frames.to_string()])
        .args(["--workers", &workers.to_string()])
        .args(["--core", &core.to_string()])
        .args(["--other", &other.to_string()])
        .args(["--millis", &span.as_millis().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("can't start the process for the DPDK device")?;
    if !output.status.success() {
        bail!("the process for the DPDK device ended with {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Option<Vec<f64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[ns, full]) => Ok((ns, full)),
        _ => bail!("not two numbers: {text:?}"),
    }
}

/// Deals out what the device gives to so many workers, whose rings another core empties; gives
/// nanoseconds per packet on the dealing core without those of the poll itself, of the median burst,
/// since one in which the kernel gives the core to somebody else says nothing; and the share of
/// packets that found a ring full.
///
/// # Errors
/// When DPDK can't start, or the device gives nothing.
pub fn deal(
    capture: &Path,
    (frames, workers): (usize, usize),
    (core, other): (usize, usize),
    span: Duration,
) -> anyhow::Result<(f64, f64)> {
    let mbufs = mbufs(frames) + (workers * ROOM) as u32;
    let eal = Eal::init(&EalConfig {
        program: "weir-bench".into(),
        hugepages: Hugepages::Never,
        vdevs: vec![vdev(capture)],
        memory_mib: memory_mib(mbufs),
        ..EalConfig::default()
    })?;
    let pool = Pool::new(&eal, "bench", mbufs, Pool::DEFAULT_DATA_ROOM, None)?;
    let (_port, mut queues) = Port::open("net_pcap0", &PortConfig::default(), pool.clone())?;
    let queue = queues.first_mut().context("net_pcap0 has no receive queue")?;
    let (mut fan, rings) = Fan::new(&[pool], &vec![ROOM; workers]);
    let emptying = empty(&eal, rings, other);
    machine::pin(core)?;
    let setup =
        Setup { links: vec![weir_engine::rules::Link::N3], hash_key: 7, ..Setup::default() };
    let began = Instant::now();
    let mut bursts: Vec<f64> = Vec::with_capacity(MOST_BURSTS);
    let mut counted_from = None;
    let (mut packets, mut full) = (0_u64, 0_u64);
    loop {
        let now = began.elapsed();
        match counted_from {
            None if now >= WARM_UP => {
                counted_from = Some(now);
                (packets, full) = (0, 0);
                bursts.clear();
            }
            Some(from) if now - from >= span => break,
            _ => {}
        }
        // Workers keep up, or there would be more of them.
        while !fan.has_room_for(BURST) {
            std::hint::spin_loop();
        }
        let burst = queue.poll();
        let received = Instant::now();
        let mut deal = fan.deal(burst);
        let count = deal.len();
        packets += count as u64;
        full += deal_out(&mut deal, &setup, workers);
        drop(deal);
        if count == BURST && bursts.len() < MOST_BURSTS {
            bursts.push(received.elapsed().as_nanos() as f64 / BURST as f64);
        }
    }
    drop(fan);
    emptying.join().map_err(|_| anyhow::anyhow!("the emptying thread ended early"))??;
    if packets == 0 {
        bail!("{} gave no frame", vdev(capture));
    }
    bursts.sort_unstable_by(f64::total_cmp);
    let median = bursts.get(bursts.len() / 2).copied().unwrap_or(f64::NAN);
    Ok((median, full as f64 / packets as f64))
}

/// What the sensor's receive thread does with a burst of a port that is one tap. Frames that found
/// no room.
fn deal_out(deal: &mut Deal<'_>, setup: &Setup, workers: usize) -> u64 {
    let mut full = 0;
    for place in 0..deal.len() {
        let Some(received) = deal.frame(place) else { continue };
        let meta = RxMeta { wire_len: received.wire_len, tap: TapId(0), ..RxMeta::default() };
        let spread = setup.deal_lean(&Frame { bytes: received.bytes, meta });
        let worker = (spread.number % workers as u64) as usize;
        full += u64::from(!deal.give(place, worker, traffic::START.0));
    }
    full
}

/// Empties rings on another core until they are over.
fn empty(
    eal: &Arc<Eal>,
    mut rings: Vec<RingReceiver>,
    core: usize,
) -> std::thread::JoinHandle<anyhow::Result<()>> {
    let eal = eal.clone();
    let is_ready = Arc::new(AtomicBool::new(false));
    let ready = is_ready.clone();
    let thread = std::thread::spawn(move || {
        machine::pin(core)?;
        let _registration = eal.register_thread();
        ready.store(true, Ordering::Release);
        while !rings.iter().all(RingReceiver::is_over) {
            rings.iter_mut().for_each(|ring| drop(ring.poll()));
        }
        Ok(())
    });
    while !is_ready.load(Ordering::Acquire) && !thread.is_finished() {
        std::thread::yield_now();
    }
    thread
}
