//! The threads of DPDK devices: workers that poll their own queues, or receive threads before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::bail;
use indicatif::ProgressBar;
use weir_engine::worker::Setup;
use weir_shm::BlockWriter;

use crate::clock::Pace;
use crate::device::{Devices, Feed};
use crate::idle::Idle;
use crate::link::Links;
use crate::plan::{Plan, Sources};
use crate::receive::{self, Receiving};
use crate::relay::{self, Giving, Taking};
use crate::run::{Ports, ROUND, pin, spawn};
use crate::serve::{self, Serving};
use crate::slicer::Slicer;
use crate::station::Station;
use crate::stop::Stop;
use crate::watch::{self, WatchOut};
use weir_playback::bar;

/// Starts the workers and whatever feeds them, and waits until they have ended.
///
/// # Errors
/// What went wrong with the devices, after everything that they gave was inspected.
pub(crate) fn watch_devices(
    plan: &Plan,
    setup: &Setup,
    devices: &Devices,
    feeds: Vec<Feed>,
    stations: Vec<Station>,
    mut ports: Ports<'_>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let owed: u64 = feeds.iter().filter_map(|feed| feed.owed).sum();
    let start = Start { plan, devices, progress: Arc::default(), stop };
    let receivers = std::mem::take(&mut ports.receivers);
    let threads = if receivers.is_empty() {
        start.watchers(feeds, stations)?
    } else {
        start.relay(setup, feeds, stations, receivers)?
    };
    let bar = if owed > 0 {
        bar(owed, "{bar:40} {pos}/{len} frames {per_sec} {eta}")
    } else {
        ProgressBar::hidden()
    };
    let mut words = Vec::new();
    let mut links = match &plan.sources {
        Sources::Devices(sources) => Links::of(sources),
        Sources::Files(_) => Links::of(&[]),
    };
    while threads.iter().any(|thread| !thread.is_finished()) {
        devices.refresh(&mut words);
        ports.publish(&words);
        links.look();
        bar.set_position(start.progress.load(Ordering::Relaxed));
        thread::sleep(ROUND);
    }
    bar.finish_and_clear();
    let mut owed = 0;
    for thread in threads {
        owed += thread.join().map_err(|_| anyhow::anyhow!("a worker's thread failed"))?.owed;
    }
    devices.refresh(&mut words);
    ports.publish(&words);
    if owed > 0 && !stop.is_asked() {
        bail!(
            "the device withheld {owed} frames of the capture; net_pcap; read it with --source file"
        );
    }
    match &devices.damage {
        Some(damage) => bail!("{damage}; what stands before it was read"),
        None => Ok(()),
    }
}

/// Whether one receive thread cuts time for all workers: several would not agree.
pub(crate) fn cuts_for_all(feeds: &[Feed], receivers: usize) -> bool {
    receivers == 1 && feeds.iter().all(|feed| feed.captured)
}

struct Start<'a> {
    plan: &'a Plan,
    devices: &'a Devices,
    progress: Arc<AtomicU64>,
    stop: &'a Stop,
}

impl Start<'_> {
    /// Starts a thread that DPDK knows.
    fn thread(
        &self,
        name: &str,
        core: Option<usize>,
        work: impl FnOnce() -> WatchOut + Send + 'static,
    ) -> anyhow::Result<JoinHandle<WatchOut>> {
        let eal = self.devices.eal.clone();
        spawn(name, move || {
            pin(core);
            // Without a registration mempool caches are not used, nothing worse.
            let _registration = eal.register_thread();
            work()
        })
    }

    /// Workers that poll their own queues.
    fn watchers(
        &self,
        feeds: Vec<Feed>,
        stations: Vec<Station>,
    ) -> anyhow::Result<Vec<JoinHandle<WatchOut>>> {
        let mut of_worker: Vec<Vec<Feed>> = stations.iter().map(|_| Vec::new()).collect();
        for feed in feeds {
            let worker = feed.queue() % self.plan.workers;
            of_worker[usize::from(worker)].push(feed);
        }
        let mut threads = Vec::new();
        for (number, (station, feeds)) in stations.into_iter().zip(of_worker).enumerate() {
            let (stop, progress) = (self.stop.clone(), self.progress.clone());
            let (pace, idle) = (Pace::new(self.plan.speed), Idle::live(self.plan.idle_nap));
            let core = self.plan.cores.get(number).copied();
            threads.push(self.thread(&format!("worker-{number}"), core, move || {
                if feeds.is_empty() {
                    station.finish();
                    return WatchOut::default();
                }
                watch::watch(feeds, station, pace, idle, &progress, &stop)
            })?);
        }
        Ok(threads)
    }

    /// Receive threads, among which the queues are divided, and the workers that they serve.
    fn relay(
        &self,
        setup: &Setup,
        feeds: Vec<Feed>,
        stations: Vec<Station>,
        blocks: Vec<BlockWriter>,
    ) -> anyhow::Result<Vec<JoinHandle<WatchOut>>> {
        let (workers, receivers) = (stations.len(), blocks.len());
        let is_told = cuts_for_all(&feeds, receivers);
        let is_live = feeds.iter().any(|feed| !feed.captured);
        let idle = if is_live { Idle::live(self.plan.idle_nap) } else { Idle::yielding() };
        let shares: Vec<_> = feeds.iter().map(|feed| feed.shares.clone()).collect();
        let mut of_receiver: Vec<Vec<(u16, Feed)>> = blocks.iter().map(|_| Vec::new()).collect();
        for (lane, feed) in feeds.into_iter().enumerate() {
            of_receiver[lane % receivers].push((lane as u16, feed));
        }
        let (givings, ways): (Vec<Giving>, Vec<Vec<Taking>>) = of_receiver
            .iter()
            .map(|_| relay::ways(self.devices.pools(), workers, shares.len()))
            .unzip();
        let mut of_worker: Vec<Vec<Taking>> = stations.iter().map(|_| Vec::new()).collect();
        for way in ways {
            of_worker.iter_mut().zip(way).for_each(|(of_worker, way)| of_worker.push(way));
        }
        let mut threads = Vec::new();
        for (number, (station, ways)) in stations.into_iter().zip(of_worker).enumerate() {
            let serving = Serving { ways, shares: shares.clone(), is_told, is_live, idle };
            let core = self.plan.cores.get(number).copied();
            threads.push(self.thread(&format!("worker-{number}"), core, move || {
                serve::serve(serving, station);
                WatchOut::default()
            })?);
        }
        let parts = of_receiver.into_iter().zip(givings).zip(blocks);
        for (number, ((feeds, giving), block)) in parts.enumerate() {
            let receiving = Receiving {
                feeds,
                giving,
                setup: setup.clone(),
                slicer: is_told.then(Slicer::default),
                block,
                idle,
            };
            let (stop, progress) = (self.stop.clone(), self.progress.clone());
            let pace = Pace::new(self.plan.speed);
            let core = self.plan.receive_cores.get(number).copied();
            threads.push(self.thread(&format!("receive-{number}"), core, move || {
                receive::receive(receiving, pace, &progress, &stop)
            })?);
        }
        Ok(threads)
    }
}
