//! The kernel's sockets below a port. The kernel counts apart what a socket's ring had no room for,
//! and the drivers of DPDK 22.11 leave that out of their counters; so it is asked for here.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;

/// A port's sockets, which its driver keeps open as long as the port is.
#[derive(Debug)]
pub(crate) enum Sockets {
    /// The driver has none that count apart.
    None,
    /// The kernel counts since the socket was made.
    Xdp(Vec<RawFd>),
    /// The kernel counts since it was asked last, so what it told is added up.
    Packet { sockets: Vec<RawFd>, told: AtomicU64 },
}

impl Sockets {
    /// Those that were there before a port of that driver is opened. AF_XDP's are made while it is, and
    /// have no name to tell them by.
    pub(crate) fn before(driver: &str) -> Vec<RawFd> {
        if driver == "net_af_xdp" { xdp_sockets() } else { Vec::new() }
    }

    /// Those that a driver of that name has on an interface, none of [`Self::before`].
    pub(crate) fn of(driver: &str, interface: u32, before: &[RawFd]) -> Self {
        match driver {
            "net_af_xdp" => {
                let mut sockets = xdp_sockets();
                sockets.retain(|socket| !before.contains(socket));
                Self::Xdp(sockets)
            }
            "net_af_packet" => {
                let mut sockets = all();
                sockets.retain(|&socket| is_bound_to(socket, interface));
                // What was dropped before the port was opened is not the port's.
                for &socket in &sockets {
                    let _ = packet_drops(socket);
                }
                Self::Packet { sockets, told: AtomicU64::new(0) }
            }
            _ => Self::None,
        }
    }

    /// Frames that the rings had no room for; of a socket whose kernel does not tell, none.
    pub(crate) fn rings_full(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Xdp(sockets) => sockets.iter().filter_map(|&socket| xdp_drops(socket)).sum(),
            Self::Packet { sockets, told } => {
                let new: u64 = sockets.iter().filter_map(|&socket| packet_drops(socket)).sum();
                told.fetch_add(new, Ordering::Relaxed) + new
            }
        }
    }
}

/// The AF_XDP sockets of this process.
fn xdp_sockets() -> Vec<RawFd> {
    let mut sockets = all();
    sockets.retain(|&socket| {
        let mut domain: libc::c_int = 0;
        option(socket, libc::SOL_SOCKET, libc::SO_DOMAIN, &mut domain) && domain == libc::AF_XDP
    });
    sockets
}

/// The numbers of all files that this process has open.
fn all() -> Vec<RawFd> {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    files.flatten().filter_map(|file| file.file_name().to_str()?.parse().ok()).collect()
}

/// Whether that is a packet socket of an interface.
fn is_bound_to(socket: RawFd, interface: u32) -> bool {
    // SAFETY: zeros are a valid address of this kind.
    let mut at: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes; a number that is no socket is refused.
    let result = unsafe { libc::getsockname(socket, (&raw mut at).cast(), &mut length) };
    result == 0
        && i32::from(at.sll_family) == libc::AF_PACKET
        && u32::try_from(at.sll_ifindex) == Ok(interface)
}

fn packet_drops(socket: RawFd) -> Option<u64> {
    let mut told = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    option(socket, libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut told)
        .then_some(u64::from(told.tp_drops))
}

fn xdp_drops(socket: RawFd) -> Option<u64> {
    // What an older kernel does not tell stays 0.
    let mut told = libc::xdp_statistics {
        rx_dropped: 0,
        rx_invalid_descs: 0,
        tx_invalid_descs: 0,
        rx_ring_full: 0,
        rx_fill_ring_empty_descs: 0,
        tx_ring_empty_descs: 0,
    };
    option(socket, libc::SOL_XDP, libc::XDP_STATISTICS, &mut told).then_some(told.rx_ring_full)
}

/// Reads an option of integers alone; false if the kernel does not tell, or it is no socket.
fn option<T: Copy>(socket: RawFd, level: libc::c_int, name: libc::c_int, to: &mut T) -> bool {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `to`, which any bytes are a value of; a
    // number that is no socket is refused.
    let result =
        unsafe { libc::getsockopt(socket, level, name, (&raw mut *to).cast(), &mut length) };
    result == 0
}
