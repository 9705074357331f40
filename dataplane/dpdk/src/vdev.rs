//! Virtual devices: ports that are files, kernel interfaces or nothing.
//!
//! Each is one text in [`EalConfig::vdevs`](crate::EalConfig::vdevs), DPDK's own form: a name that
//! begins with the driver's, then its arguments. The port is opened by that name.
//!
//! | device | what it reads | queues |
//! |---|---|---|
//! | `net_pcap0,rx_pcap=tap.pcap` | a capture, from start to end as fast as it is polled | one for each `rx_pcap` |
//! | `net_pcap0,rx_iface=eth1` | an interface through libpcap | one for each `rx_iface` |
//! | `net_af_packet0,iface=eth1,qpairs=2` | an interface through a packet socket's ring | `qpairs`, spread by the kernel |
//! | `net_af_xdp0,iface=eth1,start_queue=0,queue_count=1` | an interface's queues through XDP sockets | `queue_count` |
//! | `net_ring0` | a ring in this process, for tests | `RTE_PMD_RING_MAX_RX_RINGS` |
//! | `net_null0,size=64` | frames of zeros without end, for benches | any |
//!
//! # net_pcap
//!
//! Time stamps are the capture's, in whole microseconds. After the last frame every poll is empty;
//! damage in the file ends it too and counts in [`PortStats::errors`](crate::PortStats::errors).
//! The driver drops the length that a sliced frame had on the wire. The classic format, Ethernet.
//!
//! # net_af_packet
//!
//! Needs `CAP_NET_RAW`. The kernel takes the outer VLAN tag off before it hands a frame over; the
//! driver puts it back, always as 0x8100. A frame longer than the ring's frame (2,048 bytes unless
//! `framesz=` says more) is cut by the kernel without a sign, so for jumbo frames give `framesz=`,
//! `blocksz=` and a pool of that data room. The ring has `framecnt=` frames, 512 unless given; what
//! it had no room for is in [`PortStats::missed`](crate::PortStats::missed). No time stamps.
//!
//! # net_af_xdp
//!
//! Needs `CAP_NET_RAW`, `CAP_NET_ADMIN` and `CAP_BPF`, and without `CAP_IPC_LOCK` a
//! `RLIMIT_MEMLOCK` as large as the pool, which is mapped into the kernel whole. The interface must
//! be in the network namespace of the thread that starts [`Eal`](crate::Eal). One port reads only
//! the hardware queues `start_queue` to `start_queue + queue_count − 1`; set the interface to as
//! many (`ethtool -L eth1 combined 1`) or the rest is lost. Of a veth the driver takes one queue.
//! Each queue keeps 2,048 mbufs, also after the port closed and until the pool goes: give such a
//! port a pool of its own. The longest frame is about 3,300 bytes, one page less the headers.
//! `force_copy=1` is for network drivers whose zero-copy mode misbehaves; a veth copies anyhow.
//! Keep the interface from taking VLAN tags off: `ethtool -K eth1 rxvlan off`. An idle poll is a
//! system call; with `busy_budget=0` it waits up to a second wherever the network driver asks to be
//! woken, so leave that out. No time stamps.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use weir_dpdk_sys as sys;

use crate::error::{EalError, VdevFault, errno_text};

/// The part of a library's version in the names of Debian's plugin packages.
const ABI: &str = "23";

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// One virtual device, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Vdev<'a> {
    name: &'a str,
    driver: &'a str,
    arguments: &'a str,
}

impl<'a> Vdev<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, arguments) = text.split_once(',').unwrap_or((text, ""));
        let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let known = driver.strip_prefix("net_").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        known.then_some(Self { name, driver, arguments })
    }

    fn values(self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.arguments
            .split(',')
            .filter_map(|argument| argument.split_once('='))
            .filter_map(move |(name, value)| (name == key).then_some(value))
    }

    /// Debian's package of the driver's plugin.
    fn package(self) -> String {
        format!("librte-{}{ABI}", self.driver.replace('_', "-"))
    }

    /// Looks for what the driver said only in its log.
    fn fault(self, number: i32) -> VdevFault {
        if !plugin_is_loaded(self.driver) {
            return VdevFault::NoPlugin { driver: self.driver.into(), package: self.package() };
        }
        for path in self.values("rx_pcap").map(PathBuf::from) {
            if let Err(why) = File::open(&path) {
                return VdevFault::NoFile { path, why };
            }
        }
        for interface in self.values("iface").chain(self.values("rx_iface")) {
            if nix::net::if_::if_nametoindex(interface).is_err() {
                return VdevFault::NoInterface { interface: interface.into() };
            }
        }
        if self.driver.starts_with("net_af_") && !has_capability(CAP_NET_RAW) {
            return VdevFault::NoPermission { capability: "CAP_NET_RAW" };
        }
        if self.driver == "net_af_xdp" && !has_capability(CAP_NET_ADMIN) {
            return VdevFault::NoPermission { capability: "CAP_NET_ADMIN and CAP_BPF" };
        }
        VdevFault::Refused { why: errno_text(number) }
    }
}

/// Makes the device. EAL must run.
///
/// EAL could make it from its own command line, but then a device that fails is one line of log
/// among others and the start goes on.
pub(crate) fn add(text: &str) -> Result<(), EalError> {
    let refuse = |fault| EalError::Vdev { vdev: text.into(), fault };
    let vdev = Vdev::parse(text).ok_or_else(|| refuse(VdevFault::Malformed))?;
    let nul = |_| EalError::Nul { text: text.into() };
    let name = CString::new(vdev.name).map_err(nul)?;
    let arguments = CString::new(vdev.arguments).map_err(nul)?;
    // SAFETY: the three strings outlive the call, which copies them.
    let made =
        unsafe { sys::rte_eal_hotplug_add(c"vdev".as_ptr(), name.as_ptr(), arguments.as_ptr()) };
    if made == 0 { Ok(()) } else { Err(refuse(vdev.fault(made))) }
}

/// EAL opens every plugin in its directory, so a driver that is not mapped is not installed.
fn plugin_is_loaded(driver: &str) -> bool {
    let file = format!("/librte_{driver}.so");
    fs::read_to_string("/proc/self/maps").is_ok_and(|maps| maps.contains(&file))
}

/// Whether the process may; one that can't tell is taken to, so that the driver's own error shows.
fn has_capability(number: u32) -> bool {
    effective_capabilities().map_or(true, |mask| mask >> number & 1 == 1)
}

fn effective_capabilities() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("no CapEff line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_names_its_driver_and_package() {
        let vdev = Vdev::parse("net_af_packet12,iface=eth1,qpairs=2").unwrap();
        assert_eq!((vdev.name, vdev.driver), ("net_af_packet12", "net_af_packet"));
        assert_eq!(vdev.package(), "librte-net-af-packet23");
        assert_eq!(vdev.values("iface").collect::<Vec<_>>(), ["eth1"]);
        assert_eq!(vdev.values("qpair").count(), 0);
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for text in ["", "pcap0", "net_", "net_7,a=b", "eth_pcap0", "net_pcap 0", "0000:3b:00.0"] {
            assert_eq!(Vdev::parse(text), None, "{text}");
        }
    }
}
