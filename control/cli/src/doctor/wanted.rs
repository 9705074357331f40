//! What a machine must be fit for, as weir.toml says.

use weir_policy::{Config, PacketSource};

use super::machine::Cores;

/// Memory that DPDK takes, and for each port's mbufs and rings, MiB.
const DPDK_MIB: u64 = 64;
const PORT_MIB: u64 = 64;
/// Bytes of a tunnel with its half of a session, for the first worker and for each further one
/// (docs/benchmarks.md).
const TUNNEL_BYTES: u64 = 750;
const WORKER_BYTES: u64 = 40;
/// What the rest of both processes takes, MiB.
const PROCESSES_MIB: u64 = 512;

/// A virtual device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Vdev {
    /// `net_af_xdp`.
    pub(crate) driver: String,
    /// The interface below it.
    pub(crate) interface: Option<String>,
}

/// What is asked of the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Cores that poll.
    pub(crate) workers: Cores,
    pub(crate) control_core: Option<u32>,
    /// Cards by PCI address.
    pub(crate) cards: Vec<String>,
    pub(crate) vdevs: Vec<Vdev>,
    /// Tunnels that there must be room for; none without a configuration.
    pub(crate) tunnels: Option<u64>,
}

impl Wanted {
    pub(crate) fn of(config: &Config) -> Self {
        let mut wanted = Self {
            workers: Cores(config.sensor.workers.iter().map(|core| u32::from(*core)).collect()),
            control_core: config.sensor.control_core.map(u32::from),
            tunnels: Some(u64::from(config.sensor.tunnels)),
            ..Self::default()
        };
        for tap in &config.taps {
            match &tap.source {
                PacketSource::File(_) => {}
                PacketSource::Pci(address) => wanted.card(address.to_string()),
                PacketSource::Vdev { name, arguments } => wanted.vdev(name, arguments),
            }
        }
        wanted
    }

    fn card(&mut self, address: String) {
        if !self.cards.contains(&address) {
            self.cards.push(address);
        }
    }

    fn vdev(&mut self, name: &str, arguments: &str) {
        let driver = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let interface = arguments.split(',').find_map(|word| word.strip_prefix("iface="));
        let vdev = Vdev { driver, interface: interface.map(str::to_owned) };
        if !self.vdevs.contains(&vdev) {
            self.vdevs.push(vdev);
        }
    }

    /// DPDK's memory, MiB; 0 where it is not used.
    pub(crate) fn dpdk_mib(&self) -> u64 {
        match (self.cards.len() + self.vdevs.len()) as u64 {
            0 => 0,
            ports => DPDK_MIB + PORT_MIB * ports,
        }
    }

    /// Memory of both processes beside DPDK's, MiB.
    pub(crate) fn memory_mib(&self) -> Option<u64> {
        let workers = self.workers.0.len().max(1) as u64;
        let a_tunnel = TUNNEL_BYTES + WORKER_BYTES * (workers - 1);
        Some((self.tunnels?.saturating_mul(a_tunnel) >> 20) + PROCESSES_MIB)
    }
}
