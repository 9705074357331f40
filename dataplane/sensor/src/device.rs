//! DPDK devices as a source: every worker polls its own queues.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use weir_capture::{LinkType, Reader, Source};
use weir_dpdk::{
    Capabilities, Eal, EalConfig, Hugepages, Pool, Port, PortConfig, RxFrame, RxQueue,
};
use weir_engine::contract::words::PortWords;
use weir_engine::contract::words::Reason;
use weir_engine::frame::BURST;
use weir_engine::{Frame, Nanos, RxMeta};

use crate::clock::{self, Pace};
use crate::plan::{Device, DeviceSource};
use crate::run::cannot_read;
use crate::station::Station;
use crate::stop::Stop;
use crate::tap::Shares;

/// Buffers of a port's pool.
const MBUFS: u32 = 8192;
/// The largest frame that is asked of a card.
const JUMBO: u16 = 9600;
/// Memory for one port's pool and rings, in MiB.
const PORT_MEMORY: u32 = 64;
/// Empty polls before a worker naps, and how long it naps.
const IDLE_POLLS: u32 = 1000;
const NAP: Duration = Duration::from_micros(100);
/// A replay whose device gives nothing for this long has failed.
const STALL: Duration = Duration::from_secs(5);
/// How often a device's clock is compared with the system's.
const RECALIBRATE: Duration = Duration::from_secs(1);

/// The opened ports. Field order is the order of their end, after the queues,
/// which the workers hold.
pub(crate) struct Devices {
    ports: Vec<Port>,
    pools: Vec<Arc<Pool>>,
    pub(crate) eal: Arc<Eal>,
    /// What is wrong with the replayed capture, and which it is: net_pcap itself
    /// ends there in silence.
    pub(crate) damage: Option<String>,
}

/// A queue and everything that its worker must know about it.
pub(crate) struct Feed {
    pub(crate) port: u16,
    queue: RxQueue,
    shares: Shares,
    /// Whether the device stamps frames with the time of their capture.
    captured: bool,
    /// Frames that a replay's device still owes.
    owed: Option<u64>,
}

impl Feed {
    pub(crate) fn is_captured(&self) -> bool {
        self.captured
    }

    pub(crate) fn owed(&self) -> Option<u64> {
        self.owed
    }

    pub(crate) fn queue(&self) -> u16 {
        self.queue.id().0
    }
}

/// Starts EAL and opens every device, with at most `workers` queues each.
///
/// # Errors
/// What can't be opened, and what to do about it.
pub(crate) fn open(sources: &[DeviceSource], workers: u16) -> anyhow::Result<(Devices, Vec<Feed>)> {
    let surveys = sources
        .iter()
        .map(|source| source.capture.as_deref().map(Survey::of).transpose())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let pci = sources
        .iter()
        .filter_map(|source| match &source.device {
            Device::Pci(address) => Some(address.parse().context("not a PCI address")),
            Device::Virtual { .. } => None,
        })
        .collect::<anyhow::Result<_>>()?;
    let vdevs = sources
        .iter()
        .filter_map(|source| match &source.device {
            Device::Pci(_) => None,
            Device::Virtual { argument, .. } => Some(argument.clone()),
        })
        .collect();
    let eal = Eal::init(&EalConfig {
        program: "weir-sensor".to_owned(),
        hugepages: Hugepages::WhenPresent,
        pci,
        vdevs,
        memory_mib: 64 + PORT_MEMORY * sources.len() as u32,
        core: None,
    })?;
    let damage = surveys.iter().flatten().find_map(|survey| survey.damage.clone());
    let mut devices = Devices { ports: Vec::new(), pools: Vec::new(), eal, damage };
    let mut feeds = Vec::new();
    for (number, (source, survey)) in sources.iter().zip(surveys).enumerate() {
        let name = match &source.device {
            Device::Pci(address) => address,
            Device::Virtual { name, .. } => name,
        };
        let capabilities = Port::capabilities_of(&devices.eal, name)?;
        let pool =
            Pool::new(&devices.eal, &format!("weir{number}"), MBUFS, Pool::DEFAULT_DATA_ROOM)?;
        let (port, queues) =
            Port::open(name, &port_config(&source.device, &capabilities, workers), pool.clone())?;
        let captured = capabilities.driver == "net_pcap";
        let owed = survey.map(|survey| survey.packets);
        feeds.extend(queues.into_iter().map(|queue| Feed {
            port: number as u16,
            queue,
            shares: source.shares.clone(),
            captured,
            owed,
        }));
        devices.ports.push(port);
        devices.pools.push(pool);
    }
    Ok((devices, feeds))
}

fn port_config(device: &Device, capabilities: &Capabilities, workers: u16) -> PortConfig {
    PortConfig {
        queues: workers.min(capabilities.max_rx_queues).max(1),
        // A virtual device keeps its interface's own MTU.
        mtu: matches!(device, Device::Pci(_)).then_some(JUMBO.min(capabilities.max_mtu)),
        ..PortConfig::default()
    }
}

/// What net_pcap will give of a capture, told by our own reader.
struct Survey {
    packets: u64,
    damage: Option<String>,
}

impl Survey {
    /// Walks the capture once.
    fn of(path: &Path) -> anyhow::Result<Self> {
        let Source::Mapped(map) = weir_capture::open(path).with_context(|| cannot_read(path))?
        else {
            bail!("DPDK reads plain files only; {}; use --source file", path.display());
        };
        let reader = Reader::open(&map).map_err(|error| {
            anyhow::anyhow!("{error}; {}; give a pcap or pcapng file", path.display())
        })?;
        let mut survey = Self { packets: 0, damage: None };
        for packet in reader {
            match packet {
                Ok(packet) if packet.link_type == LinkType::Ethernet => survey.packets += 1,
                Ok(packet) => bail!(
                    "link type {:?} is no Ethernet, which DPDK takes it for; {}; use --source file",
                    packet.link_type,
                    path.display()
                ),
                Err(damage) => survey.damage = Some(format!("{damage}; {}", path.display())),
            }
        }
        Ok(survey)
    }
}

impl Devices {
    pub(crate) fn names(&self) -> Vec<String> {
        self.ports.iter().map(|port| port.name().to_owned()).collect()
    }

    /// What each port says of frames that no worker got.
    pub(crate) fn losses(&self) -> Vec<PortWords> {
        self.ports
            .iter()
            .map(|port| {
                let mut words = PortWords::default();
                // A port that can't tell (it may be gone) keeps what it told.
                if let Ok(stats) = port.stats() {
                    words.not_inspected[Reason::Missed as usize] = stats.missed;
                    words.not_inspected[Reason::NoBuffer as usize] = stats.no_buffer;
                    words.not_inspected[Reason::RxError as usize] = stats.errors;
                }
                words
            })
            .collect()
    }
}

/// What a worker found out about its queues.
#[derive(Debug, Default)]
pub(crate) struct WatchOut {
    /// Frames that replays' devices still owed when they fell silent.
    pub(crate) owed: u64,
}

/// Polls the feeds, one lane each, until a stop or until replays have ended.
pub(crate) fn watch(
    mut feeds: Vec<Feed>,
    mut station: Station,
    mut pace: Pace,
    progress: &AtomicU64,
    stop: &Stop,
) -> WatchOut {
    let replay = feeds.iter().all(|feed| feed.owed.is_some());
    let mut empty_polls = 0;
    let mut spoke = Instant::now();
    let mut calibrated = Instant::now();
    let mut out = WatchOut::default();
    while !stop.is_asked() {
        let mut frames = 0;
        for (lane, feed) in feeds.iter_mut().enumerate() {
            frames += poll(lane, feed, &mut station, &mut pace, stop);
        }
        progress.fetch_add(frames as u64, Ordering::Relaxed);
        if frames > 0 {
            empty_polls = 0;
            spoke = Instant::now();
            continue;
        }
        let owed: u64 = feeds.iter().filter_map(|feed| feed.owed).sum();
        if replay && (owed == 0 || spoke.elapsed() > STALL) {
            out.owed = owed;
            break;
        }
        empty_polls += 1;
        if empty_polls > IDLE_POLLS {
            std::thread::sleep(NAP);
        }
        if calibrated.elapsed() > RECALIBRATE {
            calibrated = Instant::now();
            feeds.iter_mut().for_each(|feed| feed.queue.recalibrate());
        }
    }
    station.finish();
    out
}

/// Polls one queue and inspects what it gave; gives the number of frames.
fn poll(
    lane: usize,
    feed: &mut Feed,
    station: &mut Station,
    pace: &mut Pace,
    stop: &Stop,
) -> usize {
    let began = Instant::now();
    let now = clock::now();
    let burst = feed.queue.poll();
    if burst.is_empty() {
        if !feed.captured {
            // So that timers fire on a quiet link.
            station.step(now);
            station.advance(now);
        }
        station.polled(0, began);
        return 0;
    }
    let count = burst.len();
    let mut frames = [Frame { bytes: &[], meta: RxMeta::default() }; BURST];
    let mut ready = 0;
    for received in burst.frames() {
        let time = received.time.map_or(now, Nanos);
        if feed.captured && pace.wait(time).is_some() {
            station.burst(lane, &frames[..ready]);
            ready = 0;
            pace.sleep(time, stop);
        }
        if station.crosses(time) {
            station.burst(lane, &frames[..ready]);
            ready = 0;
        }
        station.step(time);
        station.advance(time);
        match claim(&received, time, &feed.shares) {
            Ok(frame) => {
                frames[ready] = frame;
                ready += 1;
            }
            Err(reason) => station.skip(lane, received.wire_len, reason),
        }
    }
    station.burst(lane, &frames[..ready]);
    if let Some(owed) = &mut feed.owed {
        *owed = owed.saturating_sub(count as u64);
    }
    drop(burst);
    station.polled(count, began);
    count
}

fn claim<'a>(received: &RxFrame<'a>, time: Nanos, shares: &Shares) -> Result<Frame<'a>, Reason> {
    let stripped_vlan = received.stripped_vlan.map(|tag| tag & 0x0fff);
    let (tap, bytes) = shares.claim(received.bytes, LinkType::Ethernet, stripped_vlan)?;
    let cut = (received.bytes.len() - bytes.len()) as u32;
    Ok(Frame {
        bytes,
        meta: RxMeta {
            time,
            wire_len: received.wire_len - cut,
            tap,
            link_type: LinkType::Ethernet,
            stripped_vlan,
        },
    })
}
