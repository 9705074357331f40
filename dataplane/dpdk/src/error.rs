//! What can go wrong, operation by operation: what, where, what to do.

use std::ffi::{CStr, c_int};
use std::io;
use std::path::PathBuf;

use weir_dpdk_sys as sys;

/// Why EAL did not start.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// EAL keeps process-wide state that it can't rebuild, not even after a failed start.
    #[error("DPDK was started before in this process; it starts once; use a new process")]
    AlreadyStarted,
    /// Hugepages were required and there are not enough.
    #[error(
        "{free_mib} MiB of hugepages are free; DPDK is to have {needed_mib} MiB; \
         sysctl -w vm.nr_hugepages={pages} or allow it to run without"
    )]
    NoHugepages {
        /// What the configuration asks for, MiB.
        needed_mib: u32,
        /// What is free, MiB.
        free_mib: u64,
        /// As many 2 MiB pages as would do.
        pages: u32,
    },
    /// The core is not there or not allowed to this process.
    #[error("core {core} can't be used by DPDK; {why}; name one of this process's cores")]
    Core {
        /// The core of [`EalConfig::core`](crate::EalConfig::core).
        core: u16,
        /// The system's word.
        why: nix::Error,
    },
    /// A text with a NUL byte in it can't be handed to C.
    #[error("{text:?} has a NUL byte in it; DPDK's arguments are C strings; remove it")]
    Nul {
        /// The argument.
        text: String,
    },
    /// EAL itself refused.
    #[error("DPDK's EAL did not start with {arguments:?}; {why}; see its own words on stderr")]
    Init {
        /// What it was given.
        arguments: Vec<String>,
        /// The text of `rte_errno`.
        why: String,
    },
    /// A virtual device was not made.
    #[error("vdev {vdev}; {fault}")]
    Vdev {
        /// The device as configured.
        vdev: String,
        /// What is wrong with it.
        fault: VdevFault,
    },
}

/// What is wrong with a virtual device.
#[derive(Debug, thiserror::Error)]
pub enum VdevFault {
    /// Not a name of the form `net_DRIVER`, with or without a number.
    #[error("not a device name; write it like net_pcap0,rx_pcap=FILE")]
    Malformed,
    /// The driver's plugin is not installed, or no such driver exists.
    #[error("no driver {driver} is installed; apt-get install {package}")]
    NoPlugin {
        /// The driver's name.
        driver: String,
        /// Debian's package of that plugin.
        package: String,
    },
    /// The process lacks a capability that the driver needs.
    #[error("no permission; run as root or give the program {capability}")]
    NoPermission {
        /// The capability by name.
        capability: &'static str,
    },
    /// The network interface is not in this network namespace.
    #[error("no interface {interface} in this network namespace; ip link shows those there are")]
    NoInterface {
        /// The interface by name.
        interface: String,
    },
    /// The file can't be read.
    #[error("can't read {path}; {why}", path = path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
        /// The system's word.
        why: io::Error,
    },
    /// The driver refused for a reason that it only wrote to its log.
    #[error("the driver refused; {why}; see its own words on stderr")]
    Refused {
        /// The text of the error number.
        why: String,
    },
}

/// Why a pool was not made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A mbuf has to hold DPDK's headroom and a useful piece of a frame.
    #[error("pool {name}: {data_room} bytes of data room; an mbuf takes {least} or more")]
    DataRoom {
        /// The pool.
        name: String,
        /// What was asked for, bytes.
        data_room: u16,
        /// The least that works, bytes.
        least: u16,
    },
    /// DPDK refused.
    #[error(
        "pool {name} of {mbufs} mbufs, {mib} MiB; {why}; give DPDK more memory or ask for fewer"
    )]
    Refused {
        /// The pool.
        name: String,
        /// How many mbufs were asked for.
        mbufs: u32,
        /// About how much memory that takes, MiB.
        mib: u64,
        /// The text of `rte_errno`.
        why: String,
    },
}

/// Why a port was not opened or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// No device of that name.
    #[error(
        "no port {name}; there are: {present}; a PCI device must be bound to vfio-pci \
         (dpdk-devbind.py --status), a vdev be configured"
    )]
    NotFound {
        /// The name that was asked for.
        name: String,
        /// The names there are, or `none`.
        present: String,
    },
    /// The port has an owner in this process.
    #[error("port {name} is open; its queues are handed out once; use those")]
    AlreadyOpen {
        /// The port.
        name: String,
    },
    /// The device has fewer queues, or none was asked for.
    #[error("port {name}: {asked} receive queues; it has 1 to {has}; use as many workers")]
    Queues {
        /// The port.
        name: String,
        /// What was asked for.
        asked: u16,
        /// What the device has.
        has: u16,
    },
    /// The driver keeps more mbufs than the pool has.
    #[error("port {name} keeps {needs} mbufs; its pool has {has} free; make the pool larger")]
    PoolTooSmall {
        /// The port.
        name: String,
        /// What the driver keeps and a burst for each queue.
        needs: u32,
        /// What is free.
        has: u32,
    },
    /// The driver refused a step.
    #[error("port {name}, {step}; {why}; see the driver's own words on stderr")]
    Refused {
        /// The port.
        name: String,
        /// Which step it was.
        step: &'static str,
        /// The text of the error number.
        why: String,
    },
}

/// The text of an error number, DPDK's own or the system's, of either sign.
pub(crate) fn errno_text(number: c_int) -> String {
    // SAFETY: rte_strerror answers any number with a string that is static or belongs to this
    // thread until its next call, and it is copied before that.
    let text = unsafe { CStr::from_ptr(sys::rte_strerror(number.abs())) };
    text.to_string_lossy().into_owned()
}

/// The text of this thread's `rte_errno`.
pub(crate) fn last_error() -> String {
    // SAFETY: reads a thread-local integer.
    errno_text(unsafe { sys::weir_errno() })
}
