//! AF_XDP sockets. The kernel counts apart what a socket's receive ring had no room for, and the
//! driver of DPDK 22.11 leaves that out of its counters; so it is asked for here.

use std::os::fd::RawFd;

use nix::libc;

/// The AF_XDP sockets of this process.
pub(crate) fn sockets() -> Vec<RawFd> {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    files
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.parse().ok())
        .filter(|&socket| {
            let mut domain: libc::c_int = 0;
            option(socket, libc::SOL_SOCKET, libc::SO_DOMAIN, &mut domain) && domain == libc::AF_XDP
        })
        .collect()
}

/// Frames that a socket's receive ring had no room for; none if the kernel does not tell.
pub(crate) fn ring_full(socket: RawFd) -> Option<u64> {
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
