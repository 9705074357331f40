//! `weir doctor` over machines that are directories.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A machine: files of /proc, /sys and /etc.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn config(&self, text: &str) -> String {
        self.write("weir.toml", text);
        self.0.path().join("weir.toml").to_str().unwrap().to_owned()
    }

    fn doctor(&self, arguments: &[&str]) -> Output {
        let root = self.0.path().to_str().unwrap();
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["doctor", "--root", root])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The exit code, and the findings. Of several of one check the worst counts.
    fn examined(&self, config: &str) -> (Option<i32>, Found) {
        let config = self.config(config);
        let output = self.doctor(&["--json", "--config", &config]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let order = ["ok", "unknown", "warning", "error"];
        let mut found = Found::new();
        let mut worst = 0;
        for finding in report["findings"].as_array().unwrap() {
            let status = text(&finding["status"]);
            let weight = order.iter().position(|known| *known == status).unwrap();
            worst = worst.max(weight);
            assert!(!text(&finding["why"]).is_empty());
            // Whoever is warned is told what to do.
            assert!(weight < 2 || !text(&finding["mend"]).is_empty(), "{finding}");
            let new = (status, text(&finding["found"]), text(&finding["mend"]));
            let known = found.get(&text(&finding["check"]));
            let known = known.and_then(|(status, _, _)| order.iter().position(|it| it == status));
            if known.is_none_or(|known| known < weight) {
                found.insert(text(&finding["check"]), new);
            }
        }
        assert_eq!(report["status"], order[worst]);
        (output.status.code(), found)
    }
}

/// Status, what was found and the remedy, by check.
type Found = BTreeMap<String, (String, String, String)>;

const CARD: &str = "0000:3b:00.0";

/// Sensors of a server: one card on node 1, workers on that node's cores.
const SERVER: &str = "[[tap]]\nname = \"east\"\nlink = \"n3\"\nsource = \"pci:0000:3b:00.0\"\n\
    [sensor]\nworkers = [5, 6]\ncontrol_core = 4\ntunnels = 2000000\n";

/// A bare server of two sockets, set up well.
fn server() -> Machine {
    let machine = Machine::new();
    machine
        .write("proc/cpuinfo", "processor : 0\nflags\t\t: fpu vme tsc")
        .write("proc/cmdline", "quiet isolcpus=5,6 nohz_full=5,6 rcu_nocbs=5,6")
        .write("proc/meminfo", "MemTotal: 263000000 kB\nMemAvailable: 250000000 kB")
        .write("proc/swaps", "Filename Type Size Used Priority")
        .write("proc/1/comm", "systemd")
        .write("proc/sys/kernel/watchdog", "0")
        .write("proc/sys/kernel/nmi_watchdog", "0")
        .write("proc/irq/24/smp_affinity_list", "0-3")
        .write("proc/self/status", "Name:\tweir\nCapEff:\t0000000000000000")
        .write(
            "proc/self/limits",
            "Limit                     Soft Limit           Hard Limit           Units\n\
             Max locked memory         unlimited            unlimited            bytes",
        )
        .write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
        .write("sys/devices/system/cpu/online", "0-7")
        .write("sys/devices/system/cpu/isolated", "5-6")
        .write("sys/devices/system/cpu/nohz_full", "5-6")
        .write("sys/devices/system/cpu/intel_pstate/no_turbo", "1")
        .write("sys/devices/system/node/node1/cpulist", "4-7")
        .write("sys/class/dmi/id/product_name", "R750");
    let clock = "sys/devices/system/clocksource/clocksource0";
    machine.write(&format!("{clock}/current_clocksource"), "tsc");
    for pages in ["sys/kernel/mm", "sys/devices/system/node/node1"] {
        let pages = format!("{pages}/hugepages/hugepages-2048kB");
        machine.write(&format!("{pages}/nr_hugepages"), "1024");
        machine.write(&format!("{pages}/free_hugepages"), "1000");
    }
    for core in 0..8 {
        let cpu = format!("sys/devices/system/cpu/cpu{core}");
        machine
            .write(&format!("{cpu}/topology/thread_siblings_list"), &core.to_string())
            .write(&format!("{cpu}/cpufreq/scaling_governor"), "performance")
            .write(&format!("{cpu}/cpuidle/state1/latency"), "2")
            .write(&format!("{cpu}/cpuidle/state2/latency"), "133")
            .write(&format!("{cpu}/cpuidle/state2/name"), "C6")
            .write(&format!("{cpu}/cpuidle/state2/disable"), "1");
    }
    let card = format!("sys/bus/pci/devices/{CARD}");
    machine
        .write(&format!("{card}/numa_node"), "1")
        .write(&format!("{card}/vendor"), "0x8086")
        .link(&format!("{card}/driver"), "../../../bus/pci/drivers/vfio-pci")
        .link(&format!("{card}/iommu_group"), "../../../kernel/iommu_groups/42")
        .write("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_ice.so", "");
    machine
}

#[test]
fn a_server_that_is_set_up_well_has_nothing_to_mend() {
    let (code, found) = server().examined(SERVER);
    assert_eq!(code, Some(0));
    let odd: Vec<_> = found.iter().filter(|(_, (status, _, _))| status != "ok").collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert_eq!(found.len(), 21, "{:?}", found.keys());
}

#[test]
fn each_thing_that_a_server_lacks_is_found_with_its_remedy() {
    let card = format!("sys/bus/pci/devices/{CARD}");
    let cpu = "sys/devices/system/cpu";
    let at = |path: &str| format!("{cpu}/{path}");
    let clock = "sys/devices/system/clocksource/clocksource0";
    let pages = "hugepages/hugepages-2048kB/free_hugepages";
    let balanced = ("proc/77/comm".to_owned(), "irqbalance");
    // What is written, which check finds it, how bad it is, and part of the remedy.
    for (path, text, check, status, mend) in [
        (at("isolated"), "", "isolated cores", "warning", "isolcpus=5-6 nohz_full=5-6"),
        (at("nohz_full"), "6", "tickless cores", "warning", "rcu_nocbs=5-6"),
        (at("online"), "0-5", "worker cores", "error", "[sensor] workers"),
        (at("cpu5/topology/thread_siblings_list"), "5,13", "core siblings", "warning", "cpu13/onl"),
        (at("cpu5/topology/thread_siblings_list"), "5-6", "core siblings", "warning", "one thread"),
        (at("cpu5/topology/thread_siblings_list"), "4-5", "core siblings", "warning", "control_c"),
        (at("cpu6/cpufreq/scaling_governor"), "powersave", "frequency governor", "warning", "5-6"),
        (at("cpu6/cpuidle/state2/disable"), "0", "idle states", "warning", "idle-set -D 10"),
        (balanced.0, balanced.1, "irqbalance", "warning", "disable --now irqbalance"),
        (
            "proc/irq/24/smp_affinity_list".into(),
            "0-7",
            "interrupt affinity",
            "warning",
            "echo 0-4,7",
        ),
        (format!("{clock}/current_clocksource"), "hpet", "clock source", "warning", "tsc=reliable"),
        ("proc/sys/kernel/watchdog".into(), "1", "kernel watchdog", "warning", "watchdog=0"),
        ("proc/swaps".into(), "F\n/dev/sda2 partition 1 0 -2", "swap", "warning", "swapoff -a"),
        (format!("sys/kernel/mm/{pages}"), "8", "hugepages", "warning", "vm.nr_hugepages=64"),
        (format!("sys/devices/system/node/node1/{pages}"), "8", "hugepages", "warning", "node1"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled".into(),
            "[always] madvise never",
            "transparent hugepages",
            "warning",
            "echo madvise",
        ),
        ("proc/meminfo".into(), "MemAvailable: 1048576 kB", "memory", "error", "tunnels = "),
        (format!("{card}/numa_node"), "0", "numa", "unknown", ""),
        ("sys/devices/system/node/node1/cpulist".into(), "0-3", "numa", "warning", "node 1"),
        (
            "proc/self/limits".into(),
            "Max locked memory  8388608  8388608  bytes",
            "locked memory",
            "warning",
            "LimitMEMLOCK=infinity",
        ),
    ] {
        let machine = server();
        machine.write(&path, text);
        let (code, found) = machine.examined(SERVER);
        let (said, what, remedy) = &found[check];
        assert_eq!(said, status, "{path}: {what}");
        assert!(remedy.contains(mend), "{path}: {remedy}");
        assert_eq!(code, Some(i32::from(status == "error")), "{path}");
    }
}

#[test]
fn a_card_that_the_kernel_has_or_that_is_not_there_is_an_error() {
    let card = format!("sys/bus/pci/devices/{CARD}");
    let relink = |name: &str, target: Option<&str>| {
        let machine = server();
        fs::remove_file(machine.0.path().join(format!("{card}/{name}"))).unwrap();
        if let Some(target) = target {
            machine.link(&format!("{card}/{name}"), target);
        }
        machine.examined(SERVER)
    };
    let (code, found) = relink("driver", Some("../ice"));
    let (status, what, mend) = &found["card's driver"];
    assert_eq!((code, status.as_str()), (Some(1), "error"), "{what}");
    assert!(mend.contains("--bind=vfio-pci 0000:3b:00.0"), "{mend}");
    let (code, found) = relink("iommu_group", None);
    assert_eq!((code, found["iommu"].0.as_str()), (Some(1), "error"));
    // Mellanox's cards stay with the kernel.
    let (code, found) = relink("driver", Some("../mlx5_core"));
    assert_eq!((code, found["card's driver"].0.as_str()), (Some(0), "ok"));
    let other = SERVER.replace("3b:00.0", "3b:00.1");
    let (code, found) = server().examined(&other);
    assert_eq!((code, found["card's driver"].1.as_str()), (Some(1), "0000:3b:00.1: no such card"));
    let machine = server();
    fs::remove_dir_all(machine.0.path().join("usr")).unwrap();
    let (code, found) = machine.examined(SERVER);
    assert_eq!((code, found["dpdk plugin"].0.as_str()), (Some(1), "error"));
    assert!(found["dpdk plugin"].2.contains("librte-net-ice23"), "{:?}", found["dpdk plugin"]);
}

/// A laptop's interface through an XDP socket.
const LAPTOP: &str = "[[tap]]\nname = \"lab\"\nlink = \"n3\"\n\
    source = \"vdev:net_af_xdp0,iface=eth0\"\n[sensor]\nworkers = [1]\n";

#[test]
fn a_laptop_runs_with_warnings() {
    let machine = server();
    machine
        .write("sys/devices/system/cpu/intel_pstate/no_turbo", "0")
        .write("sys/devices/system/cpu/isolated", "")
        .write("sys/class/net/eth0/operstate", "up")
        .write("sys/class/net/eth0/mtu", "1500")
        .write("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_af_xdp.so", "");
    let (code, found) = machine.examined(LAPTOP);
    assert_eq!(code, Some(0));
    let status = |check: &str| found[check].0.as_str();
    assert_eq!((status("turbo"), status("interface"), status("dpdk plugin")), ("ok", "ok", "ok"));
    assert_eq!((status("mtu"), status("isolated cores")), ("warning", "warning"));
    assert_eq!(status("capabilities"), "warning");
    assert!(found["capabilities"].2.contains("cap_net_raw,cap_net_admin,cap_bpf=ep"));
    assert!(found["vlan stripping"].2.contains("ethtool -K eth0 rxvlan off"));
    assert!(!found.contains_key("card's driver"));
    machine.write("proc/self/status", "CapEff:\t000001ffffffffff");
    assert_eq!(machine.examined(LAPTOP).1["capabilities"].0, "ok");
    fs::remove_dir_all(machine.0.path().join("sys/class/net/eth0")).unwrap();
    let (code, found) = machine.examined(LAPTOP);
    assert_eq!((code, found["interface"].0.as_str()), (Some(1), "error"));
}

#[test]
fn a_virtual_machine_and_a_container_are_told_as_such() {
    let machine = server();
    machine.write("proc/cpuinfo", "flags : fpu hypervisor").write("proc/1/cgroup", "0::/docker/a");
    let output = machine.doctor(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a virtual machine (R750)"), "{text}");
    assert!(text.contains("a container (docker)"), "{text}");
    assert!(text.contains("mend: ") && !text.contains('\x1b'), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_can_not_be_read_is_unknown_and_noise_is_no_panic() {
    let (code, found) = Machine::new().examined("[sensor]\nworkers = [5, 6]\n");
    assert_eq!(code, Some(0));
    let known: Vec<_> = found.iter().filter(|(_, (status, _, _))| status != "unknown").collect();
    assert!(known.is_empty(), "{known:?}");
    let machine = server();
    for file in files(machine.0.path()) {
        fs::write(&file, b"\xff\xfe-9,,[4294967295-\n\x00:kB 18446744073709551616").unwrap();
    }
    let (code, _) = machine.examined(SERVER);
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

#[test]
fn a_wrong_configuration_is_refused() {
    let machine = server();
    let config = machine.config("[sensor]\nworkers = \"x\"\n");
    let output = machine.doctor(&["--config", &config]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}
