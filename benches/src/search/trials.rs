//! What a trial is: frames into a ring of this process, or through two devices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use weir_dpdk::{Eal, EalConfig, Hugepages, Pool, Port, PortConfig, RingFeeder, RxQueue, TxPort};
use weir_engine::contract::words::Reason;

use super::Trial;
use crate::inspector::{Inspector, Manner};
use crate::paced::{AT_ONCE, BEHIND, paced};
use crate::traffic::Traffic;
use crate::{machine, traffic};

/// Frames of the mix, which come again and again.
const FRAMES: usize = 1 << 16;
/// mbufs of each direction.
const MBUFS: u32 = 8_191;
/// Memory for DPDK's own and the pools, MiB.
const MEMORY_MIB: u32 = 192;
/// How long nothing must come for everything to have come.
const SILENCE: Duration = Duration::from_millis(50);
/// How often a device that takes nothing is offered a burst again.
const TRIES: u32 = 64;

/// The engine behind a net_ring, which another core feeds.
#[derive(Debug)]
pub struct Ring {
    bench: Bench,
    feeder: RingFeeder,
}

impl Ring {
    /// Starts EAL, which this process must not have done, and an engine with so many tunnels of the
    /// mix and so slow an inspection.
    ///
    /// # Errors
    /// When DPDK or the engine can't start.
    pub fn new(tunnels: u32, slowness: Duration) -> anyhow::Result<Self> {
        let eal = eal(vec!["net_ring0".into()])?;
        let pool = Pool::new(&eal, "search", MBUFS, Pool::DEFAULT_DATA_ROOM, None)?;
        let (port, queues) = Port::open("net_ring0", &PortConfig::default(), pool.clone())?;
        let feeder = RingFeeder::of(&port)?;
        let queue = queues.into_iter().next().context("a net_ring has a queue")?;
        Ok(Self { bench: Bench::new(eal, queue, tunnels, slowness)?, feeder })
    }

    /// Offers frames at that rate; what the ring has no room for is lost.
    ///
    /// # Errors
    /// When there are no mbufs left.
    pub fn trial(&mut self, asked: f64, span: Duration) -> anyhow::Result<Trial> {
        let feeder = &mut self.feeder;
        self.bench.trial(asked, span, Duration::ZERO, |frames| {
            let taken = feeder.offer(frames)?;
            Ok((frames.len(), frames.len() - taken))
        })
    }

    /// The mean length of a frame, octets.
    pub fn mean_frame(&self) -> f64 {
        self.bench.mean_frame()
    }
}

/// The engine behind a device that another one is connected with.
#[derive(Debug)]
pub struct Devices {
    bench: Bench,
    sender: TxPort,
}

impl Devices {
    /// As [`Ring::new`], with the virtual devices of these texts.
    ///
    /// # Errors
    /// When DPDK, a device or the engine can't start.
    pub fn new(
        send: &str,
        receive: &str,
        tunnels: u32,
        slowness: Duration,
    ) -> anyhow::Result<Self> {
        let eal = eal(vec![send.into(), receive.into()])?;
        let name = |text: &str| text.split(',').next().unwrap_or_default().to_owned();
        let sending = Pool::new(&eal, "sending", MBUFS, Pool::DEFAULT_DATA_ROOM, None)?;
        let receiving = Pool::new(&eal, "receiving", MBUFS, Pool::DEFAULT_DATA_ROOM, None)?;
        let sender = TxPort::open(&name(send), None, sending)?;
        let (_port, queues) = Port::open(&name(receive), &PortConfig::default(), receiving)?;
        let queue = queues.into_iter().next().context("the device has no receive queue")?;
        Ok(Self { bench: Bench::new(eal, queue, tunnels, slowness)?, sender })
    }

    /// Sends frames at that rate; what was sent and not inspected is lost.
    ///
    /// # Errors
    /// When there are no mbufs left.
    pub fn trial(&mut self, asked: f64, span: Duration) -> anyhow::Result<Trial> {
        let sender = &mut self.sender;
        let before = self.bench.inspected();
        let trial = self
            .bench
            .trial(asked, span, SILENCE, |frames| Ok((sender.send(frames, TRIES)?, 0)))?;
        let inspected = self.bench.inspected() - before;
        Ok(Trial { lost: trial.offered.saturating_sub(inspected), ..trial })
    }

    /// The mean length of a frame, octets.
    pub fn mean_frame(&self) -> f64 {
        self.bench.mean_frame()
    }
}

fn eal(vdevs: Vec<String>) -> anyhow::Result<Arc<Eal>> {
    Ok(Eal::init(&EalConfig {
        program: "weir-bench".into(),
        hugepages: Hugepages::Never,
        vdevs,
        memory_mib: MEMORY_MIB,
        ..EalConfig::default()
    })?)
}

#[derive(Debug)]
struct Bench {
    // The queue goes before what it stands on.
    queue: RxQueue,
    inspector: Inspector,
    missed: Arc<AtomicU64>,
    mix: Traffic,
    next: usize,
    eal: Arc<Eal>,
}

impl Bench {
    fn new(
        eal: Arc<Eal>,
        queue: RxQueue,
        tunnels: u32,
        slowness: Duration,
    ) -> anyhow::Result<Self> {
        let missed = Arc::new(AtomicU64::new(0));
        let manner = Manner { tunnels, slowness };
        let inspector = Inspector::new(manner, Arc::new(traffic::rules()?), missed.clone())?;
        Ok(Self { queue, inspector, missed, mix: Traffic::imix(tunnels, FRAMES), next: 0, eal })
    }

    fn inspected(&self) -> u64 {
        self.inspector.lane().inspected_packets
    }

    fn mean_frame(&self) -> f64 {
        let frames = self.mix.frames();
        frames.iter().map(Vec::len).sum::<usize>() as f64 / frames.len() as f64
    }

    /// Sends by `offer`, which tells how many frames were offered and how many of them are lost, on
    /// one core, while another one inspects until nothing came for `silence` after the end.
    fn trial(
        &mut self,
        asked: f64,
        span: Duration,
        silence: Duration,
        mut offer: impl FnMut(&[&[u8]]) -> anyhow::Result<(usize, usize)> + Send,
    ) -> anyhow::Result<Trial> {
        let cores = machine::cores()?;
        let (&sending, &inspecting) = match cores.as_slice() {
            [first, .., last] => (first, last),
            [only] => (only, only),
            [] => anyhow::bail!("the kernel names no core; it must be able to say its affinity"),
        };
        let Self { queue, inspector, missed, mix, next, eal } = self;
        let eal = &*eal;
        inspector.calm();
        let shed = |inspector: &Inspector| inspector.lane().not_inspected[Reason::Shed as usize];
        let shed_before = shed(inspector);
        let (is_over, is_ready) = (&AtomicBool::new(false), &AtomicBool::new(false));
        std::thread::scope(|scope| {
            let working = &mut *inspector;
            let worker = scope.spawn(move || -> anyhow::Result<()> {
                let pinned = machine::pin(inspecting);
                let _registration = eal.register_thread();
                is_ready.store(true, Ordering::Release);
                pinned?;
                let mut spoke = Instant::now();
                loop {
                    let was_over = is_over.load(Ordering::Acquire);
                    if working.poll((0, queue), |_, _, _| {}) > 0 {
                        spoke = Instant::now();
                    } else if was_over && spoke.elapsed() >= silence {
                        return Ok(());
                    }
                }
            });
            // A thread of its own, so that this one stays on the cores that it had.
            let sender = scope.spawn(move || -> anyhow::Result<_> {
                machine::pin(sending)?;
                let _registration = eal.register_thread();
                while !is_ready.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                let (mut offered, mut lost) = (0, 0);
                let sent = paced(asked, span, BEHIND, || {
                    let mut frames: [&[u8]; AT_ONCE] = [&[]; AT_ONCE];
                    for frame in &mut frames {
                        *frame = &mix.frames()[*next];
                        *next = (*next + 1) % mix.frames().len();
                    }
                    let (more, missing) = offer(&frames)?;
                    offered += more as u64;
                    lost += missing as u64;
                    missed.fetch_add(missing as u64, Ordering::Relaxed);
                    Ok(())
                });
                is_over.store(true, Ordering::Release);
                Ok((offered, lost, sent?.took.as_secs_f64()))
            });
            let failed = |_| anyhow::anyhow!("a thread failed");
            let sent = sender.join().map_err(failed)?;
            is_over.store(true, Ordering::Release);
            worker.join().map_err(failed)??;
            let (offered, lost, seconds) = sent?;
            Ok((offered, lost, seconds))
        })
        .map(|(offered, lost, seconds): (u64, u64, f64)| Trial {
            asked,
            offered,
            lost: lost + shed(inspector) - shed_before,
            seconds,
        })
    }
}
