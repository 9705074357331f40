//! The port that frames go to.

use std::path::Path;
use std::str::FromStr;

use anyhow::bail;
use nix::net::if_::if_nametoindex;
use weir_dpdk::{Eal, EalConfig, Hugepages, PciAddress, Pool, TxPort};

/// mbufs of the pool: as many as a device may hold, and bursts on their way to it.
const MBUFS: u32 = 4_095;
/// The longest frame that is written to an mbuf, and DPDK's headroom before it.
const JUMBO: u16 = 9_728;
const HEADROOM: u16 = 128;
/// The largest payload that is asked of a card.
const CARD_MTU: u16 = 9_600;
/// Memory for the pool and the device's rings, MiB.
const MEMORY: u32 = 128;
/// The payload that a packet socket's ring holds unless it is asked for more.
const RING_MTU: u16 = 1_900;

/// A device, as it is named on the command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// A card.
    Pci(PciAddress),
    /// A virtual device: its name, and the whole of EAL's argument.
    Virtual { name: String, argument: String },
    /// An interface of the kernel's, through a packet socket.
    Interface(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("pci:") {
            return address.parse().map(Self::Pci).map_err(|error| format!("{error}"));
        }
        if let Some(argument) = text.strip_prefix("vdev:") {
            let name = argument.split(',').next().unwrap_or_default();
            return Ok(Self::Virtual { name: name.into(), argument: argument.into() });
        }
        let is_name = !text.is_empty()
            && text.len() < 16
            && !text.starts_with('.')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/,:".contains(&byte));
        if !is_name {
            return Err("write pci:ADDRESS, vdev:NAME,ARGUMENTS or an interface's name".into());
        }
        Ok(Self::Interface(text.into()))
    }
}

/// The port, and what it stands on.
pub(crate) struct Opened {
    pub(crate) port: TxPort,
}

/// Starts EAL and opens the port.
///
/// # Errors
/// What can't be opened, and what to do about it.
pub(crate) fn open(target: &Target) -> anyhow::Result<Opened> {
    let (name, vdev, mtu) = match target {
        Target::Pci(address) => (address.to_string(), None, Some(CARD_MTU)),
        Target::Virtual { name, argument } => {
            let interface = argument.split(',').find_map(|word| word.strip_prefix("iface="));
            let mtu = interface.map(interface_mtu).transpose()?.flatten();
            (name.clone(), Some(argument.clone()), mtu)
        }
        Target::Interface(interface) => {
            let mtu = interface_mtu(interface)?;
            let jumbo = mtu.is_some_and(|mtu| mtu > RING_MTU);
            let room = if jumbo { ",blocksz=65536,framesz=16384,framecnt=512" } else { "" };
            let argument = format!("net_af_packet0,iface={interface}{room}");
            ("net_af_packet0".to_owned(), Some(argument), mtu)
        }
    };
    let pci = if let Target::Pci(address) = target { vec![*address] } else { Vec::new() };
    let eal = Eal::init(&EalConfig {
        program: "weir-sender".to_owned(),
        hugepages: Hugepages::WhenPresent,
        pci,
        vdevs: vdev.into_iter().collect(),
        memory_mib: MEMORY,
        core: None,
    })?;
    // An XDP socket's frame is a page at most.
    let data_room =
        if name.starts_with("net_af_xdp") { Pool::DEFAULT_DATA_ROOM } else { JUMBO + HEADROOM };
    let pool = Pool::new(&eal, "sender", MBUFS, data_room, None)?;
    let port = TxPort::open(&name, mtu, pool)?;
    Ok(Opened { port })
}

/// An interface's MTU, unless /sys shows another network namespace.
fn interface_mtu(interface: &str) -> anyhow::Result<Option<u16>> {
    if if_nametoindex(interface).is_err() {
        bail!("no interface {interface}; --to; ip link shows those there are");
    }
    let path = Path::new("/sys/class/net").join(interface).join("mtu");
    let mtu = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    // A loopback's is larger than any frame.
    Ok(mtu.map(|mtu: u32| mtu.min(u32::from(CARD_MTU)) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_how_they_are_written() {
        let read = |text: &str| text.parse::<Target>();
        assert_eq!(read("pci:3b:00.0"), Ok(Target::Pci("0000:3b:00.0".parse().unwrap())));
        assert_eq!(
            read("vdev:net_pcap0,tx_pcap=out.pcap"),
            Ok(Target::Virtual {
                name: "net_pcap0".into(),
                argument: "net_pcap0,tx_pcap=out.pcap".into()
            })
        );
        assert_eq!(read("eth1.100"), Ok(Target::Interface("eth1.100".into())));
        for wrong in ["", "pci:x", "file:a.pcap", "a/b", "eth1,x", "an-interface-too-long"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
