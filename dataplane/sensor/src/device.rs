//! DPDK devices as a source: their ports and queues.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use weir_capture::{LinkType, Reader, Source};
use weir_dpdk::{Capabilities, Eal, EalConfig, Hugepages, Pool, Port, PortConfig, RxQueue};
use weir_engine::contract::spreading::{N4Way, Spreading};
use weir_engine::contract::words::{PortWords, Reason};

use crate::numa;
use crate::plan::{Device, DeviceSource, Plan};
use crate::relay;
use crate::run::cannot_read;
use crate::tap::Shares;

/// Buffers of a port's pool.
const MBUFS: u32 = 8192;
/// The largest frame that is asked of a card.
const JUMBO: u16 = 9600;
/// Drivers that fill as many queues as their arguments say, whether somebody polls them or not.
const FILLED: [&str; 3] = ["net_af_packet", "net_af_xdp", "net_pcap"];
/// Memory for one port's pool and rings, in MiB, and how many more mbufs a MiB holds: of ordinary
/// pages each mbuf takes one.
const PORT_MEMORY: u32 = 64;
const MBUFS_PER_MIB: u32 = 200;

/// The opened ports. Field order is the order of their end, after the queues,
/// which the workers hold.
pub(crate) struct Devices {
    reshards: bool,
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
    pub(crate) queue: RxQueue,
    pub(crate) shares: Shares,
    /// Whether the device stamps frames with the time of their capture.
    pub(crate) captured: bool,
    /// Frames that a replay's device still owes.
    pub(crate) owed: Option<u64>,
}

impl Feed {
    pub(crate) fn queue(&self) -> u16 {
        self.queue.id().0
    }

    pub(crate) fn recalibrate(&mut self) {
        self.queue.recalibrate();
    }
}

/// Starts EAL and opens every device, with a queue for each thread that receives, if it has as
/// many.
///
/// # Errors
/// What can't be opened, and what to do about it.
pub(crate) fn open(sources: &[DeviceSource], plan: &Plan) -> anyhow::Result<(Devices, Vec<Feed>)> {
    let reshards = !plan.receive_cores.is_empty();
    let threads = if reshards { plan.receive_cores.len() as u16 } else { plan.workers };
    // Each thread may have filled every worker's rings with a port's frames.
    let in_rings = if reshards {
        u32::from(threads) * relay::mbufs(usize::from(plan.workers)) as u32
    } else {
        0
    };
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
        memory_mib: 64 + (PORT_MEMORY + in_rings / MBUFS_PER_MIB) * sources.len() as u32,
        core: None,
    })?;
    let damage = surveys.iter().flatten().find_map(|survey| survey.damage.clone());
    let mut devices = Devices { reshards, ports: Vec::new(), pools: Vec::new(), eal, damage };
    let mut feeds = Vec::new();
    for (number, (source, survey)) in sources.iter().zip(surveys).enumerate() {
        let name = match &source.device {
            Device::Pci(address) => address,
            Device::Virtual { name, .. } => name,
        };
        let capabilities = Port::capabilities_of(&devices.eal, name)?;
        let mbufs = MBUFS + in_rings;
        let pool = pool(&devices.eal, &format!("weir{number}"), mbufs, capabilities.socket)?;
        let config = port_config(source, &capabilities, threads, plan);
        let (port, queues) = Port::open(name, &config, pool.clone())?;
        say(&port, reshards, plan);
        let captured = is_capture(&capabilities);
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

/// A pool on the port's NUMA node, or, if that has no memory left, anywhere.
fn pool(eal: &Arc<Eal>, name: &str, mbufs: u32, node: Option<u16>) -> anyhow::Result<Arc<Pool>> {
    match Pool::new(eal, name, mbufs, Pool::DEFAULT_DATA_ROOM, node) {
        Err(why) if node.is_some() => {
            let pool = Pool::new(eal, name, mbufs, Pool::DEFAULT_DATA_ROOM, None)?;
            eprintln!("warning: frames lie on another NUMA node than their port; {why}");
            Ok(pool)
        }
        made => Ok(made?),
    }
}

fn port_config(
    source: &DeviceSource,
    capabilities: &Capabilities,
    threads: u16,
    plan: &Plan,
) -> PortConfig {
    let most = capabilities.max_rx_queues;
    let is_filled = FILLED.contains(&&*capabilities.driver);
    PortConfig {
        queues: if is_filled { most } else { threads.min(most).max(1) },
        // A capture's order is its own.
        n4_ports: if is_capture(capabilities) { Vec::new() } else { plan.n4_ports.clone() },
        is_tagged: source.shares.0.iter().any(|share| !share.vlans.is_empty()),
        // A virtual device keeps its interface's own MTU.
        mtu: matches!(source.device, Device::Pci(_)).then_some(JUMBO.min(capabilities.max_mtu)),
        ..PortConfig::default()
    }
}

/// Whether the device stamps frames with the time of their capture.
fn is_capture(capabilities: &Capabilities) -> bool {
    capabilities.driver == "net_pcap"
}

/// Says how a live port's frames come to the workers, and which threads are far from it.
fn say(port: &Port, reshards: bool, plan: &Plan) {
    if is_capture(port.capabilities()) {
        return;
    }
    let then =
        if reshards { "; receive_cores deal out to workers, N4 by rings of its own" } else { "" };
    eprintln!("port {}: {}{then}", port.name(), port.steering());
    let cores = if reshards { &plan.receive_cores } else { &plan.cores };
    for warning in numa::warnings(Path::new(numa::CORES), port.name(), port.socket(), cores) {
        eprintln!("warning: {warning}");
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

    pub(crate) fn pools(&self) -> &[Arc<Pool>] {
        &self.pools
    }

    /// Reads what each port says of frames that no worker got, and how it spreads the others. A port
    /// that can't tell (it may be gone) keeps what it told.
    pub(crate) fn refresh(&self, words: &mut Vec<PortWords>) {
        words.resize(self.ports.len(), PortWords::default());
        for (port, words) in self.ports.iter().zip(words) {
            let (spreading, n4_way) = self.ways_of(port);
            (words.spreading, words.n4_way) = (spreading as u64, n4_way as u64);
            if let Ok(stats) = port.stats() {
                words.not_inspected[Reason::Missed as usize] = stats.missed;
                words.not_inspected[Reason::NoBuffer as usize] = stats.no_buffer;
                words.not_inspected[Reason::RxError as usize] = stats.errors;
            }
        }
    }

    /// By what a port's frames come to the workers, and how N4 does.
    fn ways_of(&self, port: &Port) -> (Spreading, N4Way) {
        let steering = port.steering();
        let n4 = match steering.n4_queue {
            Some(_) => N4Way::Queue,
            // Of a capture nothing is dropped, so nothing has a way of its own.
            None if self.reshards && !is_capture(port.capabilities()) => N4Way::Ring,
            None => N4Way::Shared,
        };
        let spreading = match steering.spreading {
            _ if self.reshards => Spreading::Reshard,
            weir_dpdk::Spreading::Whole => Spreading::Whole,
            weir_dpdk::Spreading::Teid => Spreading::Teid,
            weir_dpdk::Spreading::Innermost => Spreading::Innermost,
            weir_dpdk::Spreading::Outer => Spreading::Outer,
            weir_dpdk::Spreading::Unasked => Spreading::Unasked,
        };
        (spreading, n4)
    }
}
