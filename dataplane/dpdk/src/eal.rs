//! DPDK's environment: memory, drivers, devices. It starts once in a process.

use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_int};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use weir_dpdk_sys as sys;

use crate::error::{EalError, last_error};
use crate::pci::PciAddress;
use crate::thread::ThreadRegistration;
use crate::vdev;

/// Whether DPDK's memory is hugepages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hugepages {
    /// Hugepages if enough of them are free, else ordinary pages.
    WhenPresent,
    /// Ordinary pages.
    Never,
    /// Hugepages, or EAL does not start.
    Required,
}

/// What DPDK's memory turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Memory {
    /// Hugepages.
    Hugepages,
    /// Ordinary pages: fit for a laboratory, too slow for line rate.
    OrdinaryPages,
}

/// How DPDK is to start.
#[derive(Clone, Debug)]
pub struct EalConfig {
    /// The program's name in DPDK's log.
    pub program: String,
    /// Where its memory comes from.
    pub hugepages: Hugepages,
    /// The devices on the PCI bus that it may touch. None: it does not look at the bus.
    pub pci: Vec<PciAddress>,
    /// Virtual devices in DPDK's form, `net_pcap0,rx_pcap=f.pcap`. See [`vdev`].
    pub vdevs: Vec<String>,
    /// Its memory, MiB. Pools must fit: an mbuf of the default data room takes 2.4 KiB.
    pub memory_mib: u32,
    /// Where the thread that starts EAL runs meanwhile. None: wherever it may now. Afterwards it
    /// runs where it ran before.
    pub core: Option<u16>,
}

impl Default for EalConfig {
    /// Hugepages when present, no device, 256 MiB.
    fn default() -> Self {
        Self {
            program: "weir".into(),
            hugepages: Hugepages::WhenPresent,
            pci: Vec::new(),
            vdevs: Vec::new(),
            memory_mib: 256,
            core: None,
        }
    }
}

/// DPDK, running. The last owner to go cleans it up.
#[derive(Debug)]
pub struct Eal {
    memory: Memory,
    /// The ports that were opened. A closed one never comes back.
    claimed: Mutex<BTreeSet<String>>,
    /// EAL may keep pointers into its arguments.
    _arguments: Vec<CString>,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts DPDK with the configured devices and no shared files, sockets or telemetry. The
    /// calling thread becomes its main lcore and keeps its affinity.
    ///
    /// # Errors
    /// [`EalError::AlreadyStarted`] on any second call, even after a failed one;
    /// [`EalError::Vdev`] for the first virtual device that can't be made.
    pub fn init(config: &EalConfig) -> Result<Arc<Self>, EalError> {
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(EalError::AlreadyStarted);
        }
        let memory = memory(config)?;
        let before = Affinity::of_this_thread();
        let cores = cores(config, &before)?;
        let arguments = arguments(config, memory, &cores);
        let c_arguments = c_strings(&arguments)?;
        let mut pointers: Vec<*mut c_char> =
            c_arguments.iter().map(|text| text.as_ptr().cast_mut()).collect();
        // The length is a handful of arguments and one per PCI device.
        let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
        pointers.push(std::ptr::null_mut());
        // SAFETY: argc and argv as C's main has them; EAL reorders the pointers, writes to no
        // text, and the texts live as long as EAL does.
        let started = unsafe { sys::rte_eal_init(count, pointers.as_mut_ptr()) };
        if started < 0 {
            return Err(EalError::Init { arguments, why: last_error() });
        }
        // From here on an early return cleans EAL up.
        let eal = Self { memory, claimed: Mutex::default(), _arguments: c_arguments };
        drop(before);
        for vdev in &config.vdevs {
            vdev::add(vdev)?;
        }
        Ok(Arc::new(eal))
    }

    /// Registers the calling thread, so that pools give it a cache of its own.
    ///
    /// # Errors
    /// When the thread is registered already, as the one that started EAL is, or too many are.
    pub fn register_thread(self: &Arc<Self>) -> io::Result<ThreadRegistration> {
        ThreadRegistration::new(self)
    }

    /// What DPDK's memory is.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Marks a port as owned; false when it was.
    pub(crate) fn claim_port(&self, name: &str) -> bool {
        // A set of names is whole after any panic.
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into())
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        // SAFETY: ports, pools and registered threads hold an Arc of self, so none is left. The
        // result tells nothing that could still be acted upon.
        unsafe { sys::rte_eal_cleanup() };
    }
}

/// The calling thread's affinity, given back on drop: EAL pins the thread that starts it, and
/// threads made later would inherit that.
struct Affinity(Option<CpuSet>);

impl Affinity {
    fn of_this_thread() -> Self {
        Self(sched_getaffinity(Pid::from_raw(0)).ok())
    }

    fn cores(&self) -> Vec<usize> {
        let set = self.0.unwrap_or_default();
        (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect()
    }
}

impl Drop for Affinity {
    fn drop(&mut self) {
        if let Some(set) = &self.0 {
            // The set was this thread's a moment ago: the kernel takes it back.
            let _ = sched_setaffinity(Pid::from_raw(0), set);
        }
    }
}

/// The cores for EAL's one lcore, in its own notation.
fn cores(config: &EalConfig, now: &Affinity) -> Result<String, EalError> {
    let cores = match config.core {
        None => now.cores(),
        Some(core) => {
            let refused = |why| EalError::Core { core, why };
            let mut set = CpuSet::new();
            set.set(usize::from(core)).map_err(refused)?;
            // EAL would only say that its arguments are invalid. The thread moves back at once,
            // since EAL puts its own service threads where this one may run.
            let _back = Affinity(now.0);
            sched_setaffinity(Pid::from_raw(0), &set).map_err(refused)?;
            vec![usize::from(core)]
        }
    };
    Ok(cores.iter().map(usize::to_string).collect::<Vec<_>>().join(","))
}

fn memory(config: &EalConfig) -> Result<Memory, EalError> {
    let needed_mib = config.memory_mib;
    let enough = |free: u64| free >= u64::from(needed_mib);
    match config.hugepages {
        Hugepages::Never => Ok(Memory::OrdinaryPages),
        Hugepages::WhenPresent if !enough(free_hugepages_mib()) => Ok(Memory::OrdinaryPages),
        Hugepages::Required if !enough(free_hugepages_mib()) => Err(EalError::NoHugepages {
            needed_mib,
            free_mib: free_hugepages_mib(),
            pages: needed_mib.div_ceil(2),
        }),
        Hugepages::WhenPresent | Hugepages::Required => Ok(Memory::Hugepages),
    }
}

/// Free hugepages of all sizes, MiB.
fn free_hugepages_mib() -> u64 {
    hugepages_mib_under(Path::new("/sys/kernel/mm/hugepages"))
}

fn hugepages_mib_under(folder: &Path) -> u64 {
    let sizes = fs::read_dir(folder).into_iter().flatten().flatten();
    let kib = sizes.filter_map(|size| {
        let name = size.file_name();
        let kib: u64 =
            name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
        Some(free.trim().parse::<u64>().ok()?.saturating_mul(kib))
    });
    kib.fold(0, u64::saturating_add) >> 10
}

fn arguments(config: &EalConfig, memory: Memory, cores: &str) -> Vec<String> {
    let mut arguments = vec![
        config.program.clone(),
        // One lcore, DPDK's number 0: workers are our own threads.
        format!("--lcores=0@({cores})"),
        "--no-telemetry".into(),
        "--log-level=warning".into(),
        "-m".into(),
        config.memory_mib.to_string(),
    ];
    match memory {
        Memory::Hugepages => arguments.push("--in-memory".into()),
        // 22.11 refuses --no-huge with --in-memory; these three have the same effect.
        Memory::OrdinaryPages => {
            arguments.extend(["--no-huge", "--no-shconf", "--iova-mode=va"].map(String::from));
        }
    }
    if config.pci.is_empty() {
        arguments.push("--no-pci".into());
    }
    for address in &config.pci {
        arguments.extend(["-a".into(), address.to_string()]);
    }
    arguments
}

fn c_strings(texts: &[String]) -> Result<Vec<CString>, EalError> {
    let c_string = |text: &String| {
        CString::new(text.as_str()).map_err(|_| EalError::Nul { text: text.clone() })
    };
    texts.iter().map(c_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pci: &[&str]) -> EalConfig {
        EalConfig {
            pci: pci.iter().map(|address| address.parse().unwrap()).collect(),
            ..EalConfig::default()
        }
    }

    #[test]
    fn the_pci_bus_is_left_alone_unless_devices_are_named() {
        let none = arguments(&config(&[]), Memory::OrdinaryPages, "0,1");
        assert!(none.contains(&"--no-pci".into()));
        assert!(none.contains(&"--lcores=0@(0,1)".into()));
        let two = arguments(&config(&["3b:00.0", "3b:00.1"]), Memory::Hugepages, "2");
        assert!(!two.contains(&"--no-pci".into()));
        assert!(two.ends_with(&["-a", "0000:3b:00.0", "-a", "0000:3b:00.1"].map(String::from)));
    }

    #[test]
    fn no_huge_and_in_memory_exclude_each_other() {
        for memory in [Memory::Hugepages, Memory::OrdinaryPages] {
            let arguments = arguments(&config(&[]), memory, "0");
            let has = |argument: &str| arguments.iter().any(|a| a == argument);
            assert!(has("--in-memory") != has("--no-huge"));
            assert_eq!(has("--no-huge"), has("--no-shconf") && has("--iova-mode=va"));
        }
    }

    #[test]
    fn free_hugepages_of_every_size_count() {
        let folder = tempfile::tempdir().unwrap();
        for (size, free) in [("hugepages-2048kB", "100\n"), ("hugepages-1048576kB", "3\n")] {
            let size = folder.path().join(size);
            fs::create_dir(&size).unwrap();
            fs::write(size.join("free_hugepages"), free).unwrap();
        }
        assert_eq!(hugepages_mib_under(folder.path()), 200 + 3 * 1_024);
        assert_eq!(hugepages_mib_under(&folder.path().join("absent")), 0);
    }

    #[test]
    fn a_start_without_the_hugepages_it_requires_says_how_to_get_them() {
        let config = EalConfig {
            hugepages: Hugepages::Required,
            memory_mib: u32::MAX,
            ..EalConfig::default()
        };
        let error = memory(&config).unwrap_err().to_string();
        assert!(error.contains("vm.nr_hugepages=2147483648"), "{error}");
    }
}
