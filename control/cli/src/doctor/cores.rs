//! The cores that workers poll on.

use std::collections::BTreeMap;

use super::finding::{Check, Finding};
use super::machine::{Cores, Machine};
use super::wanted::Wanted;

const WORKERS: Check =
    Check { name: "worker cores", why: "each worker is pinned to the core that it is given" };
const ISOLATED: Check = Check {
    name: "isolated cores",
    why: "whatever else is scheduled there makes a worker miss frames for milliseconds",
};
const TICK: Check = Check {
    name: "tickless cores",
    why: "the scheduler's tick and RCU callbacks interrupt a worker up to a thousand times a second",
};
const SIBLINGS: Check = Check {
    name: "core siblings",
    why: "two threads of one core share its caches and execution units: each is a good half",
};
const GOVERNOR: Check =
    Check { name: "frequency governor", why: "a core that is slow to speed up loses the burst" };
const TURBO: Check = Check { name: "turbo", why: "with it, rates depend on heat and neighbours" };
const IDLE: Check = Check {
    name: "idle states",
    why: "a core that sleeps deeply wakes too late for a ring of a thousand frames",
};

/// Microseconds that a core may take to wake: at 15 Mpps a thousand frames come in 70.
const WAKING: u64 = 10;

pub(crate) fn check(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    if wanted.workers.is_empty() {
        let name = "name the cores that are to poll: [sensor] workers = [2, 3] in weir.toml";
        return vec![WORKERS.unknown("none are named", Some(name.into())), turbo(machine)];
    }
    vec![
        workers(machine, wanted),
        isolated(machine, wanted),
        tick(machine, wanted),
        siblings(machine, wanted),
        governor(machine, wanted),
        turbo(machine),
        idle(machine, wanted),
    ]
}

fn workers(machine: &Machine, wanted: &Wanted) -> Finding {
    let Some(online) = machine.cores("sys/devices/system/cpu/online") else {
        return WORKERS.unknown("the kernel does not tell which cores are online", None);
    };
    let missing = wanted.workers.without(&online);
    if missing.is_empty() && online.without(&wanted.workers).is_empty() {
        return WORKERS.warning(
            format!("all of {online}: none is left for the kernel, control and the judge"),
            "leave core 0 and one more out of [sensor] workers in weir.toml",
        );
    }
    if missing.is_empty() {
        return WORKERS.ok(format!("{} of {online}", wanted.workers));
    }
    WORKERS.error(
        format!("{missing} are not online; {online} are"),
        format!("name others in [sensor] workers of weir.toml, as in {:?}", last(&online, wanted)),
    )
}

/// As many cores from the end of the list as there are workers.
fn last(online: &Cores, wanted: &Wanted) -> Vec<u32> {
    let mut cores: Vec<u32> = online.0.iter().rev().take(wanted.workers.0.len()).copied().collect();
    cores.reverse();
    cores
}

/// The boot options that keep everything else off the workers' cores.
fn boot(wanted: &Wanted) -> String {
    let cores = &wanted.workers;
    format!(
        "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus={cores} nohz_full={cores} \
         rcu_nocbs={cores} /' /etc/default/grub && sudo update-grub && sudo reboot"
    )
}

fn isolated(machine: &Machine, wanted: &Wanted) -> Finding {
    let Some(isolated) = machine.cores("sys/devices/system/cpu/isolated") else {
        return ISOLATED.unknown("the kernel does not tell", None);
    };
    let open = wanted.workers.without(&isolated);
    if open.is_empty() {
        return ISOLATED.ok(isolated.to_string());
    }
    ISOLATED.warning(format!("{open} are not"), boot(wanted))
}

fn tick(machine: &Machine, wanted: &Wanted) -> Finding {
    let has_command_line = machine.exists("proc/cmdline");
    let of_boot = |key| machine.boot_option(key).and_then(|list| Cores::parse(&list));
    let tickless = machine
        .cores("sys/devices/system/cpu/nohz_full")
        .or_else(|| of_boot("nohz_full"))
        .unwrap_or_default();
    // nohz_full takes callbacks away as well.
    let quiet = of_boot("rcu_nocbs").unwrap_or_else(|| tickless.clone());
    if !has_command_line && tickless.is_empty() {
        return TICK.unknown("/proc/cmdline can't be read", None);
    }
    let ticking = wanted.workers.without(&tickless.both(&quiet));
    if ticking.is_empty() {
        return TICK.ok(tickless.to_string());
    }
    TICK.warning(format!("{ticking} are not in nohz_full and rcu_nocbs"), boot(wanted))
}

fn siblings(machine: &Machine, wanted: &Wanted) -> Finding {
    let mut others = Cores::default();
    let mut told = false;
    for core in &wanted.workers.0 {
        let path = format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let Some(list) = machine.cores(&path) else { continue };
        told = true;
        others.0.extend(list.0.into_iter().filter(|other| other != core));
    }
    if !told {
        return SIBLINGS.unknown("the kernel does not tell", None);
    }
    if others.is_empty() {
        return SIBLINGS.ok("each worker has its core alone");
    }
    let both = others.both(&wanted.workers);
    if !both.is_empty() {
        return SIBLINGS.warning(
            format!("workers on {both} share cores with each other"),
            "name one thread of each core in [sensor] workers of weir.toml; \
             cat /sys/devices/system/cpu/cpu*/topology/thread_siblings_list shows which are one",
        );
    }
    if wanted.control_core.is_some_and(|core| others.0.contains(&core)) {
        return SIBLINGS.warning(
            "the judge's core shares one with a worker",
            "name another in [sensor] control_core of weir.toml",
        );
    }
    let switch: Vec<String> = (others.0.iter())
        .map(|core| format!("echo 0 | sudo tee /sys/devices/system/cpu/cpu{core}/online"))
        .collect();
    SIBLINGS.warning(format!("{others} share cores with workers"), switch.join("; "))
}

fn governor(machine: &Machine, wanted: &Wanted) -> Finding {
    let mut by_name: BTreeMap<String, Cores> = BTreeMap::new();
    for core in &wanted.workers.0 {
        let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        if let Some(name) = machine.text(&path) {
            by_name.entry(name).or_default().0.insert(*core);
        }
    }
    let found: Vec<String> =
        by_name.iter().map(|(name, cores)| format!("{name} on {cores}")).collect();
    if found.is_empty() {
        return GOVERNOR.unknown("the machine rules it by itself", None);
    }
    if by_name.keys().all(|name| name == "performance") {
        return GOVERNOR.ok(found.join("; "));
    }
    let cores = &wanted.workers;
    GOVERNOR.warning(
        found.join("; "),
        format!(
            "sudo apt-get install linux-cpupower && sudo cpupower -c {cores} frequency-set -g \
             performance"
        ),
    )
}

/// Neither way is wrong; whoever compares figures has to know.
fn turbo(machine: &Machine) -> Finding {
    let off = machine.number("sys/devices/system/cpu/intel_pstate/no_turbo").map(|off| off == 1);
    let boost = machine.number("sys/devices/system/cpu/cpufreq/boost").map(|on| on == 0);
    match off.or(boost) {
        None => TURBO.unknown("the machine does not tell", None),
        Some(true) => TURBO.ok("off: rates are steady"),
        Some(false) => TURBO.ok("on: rates are higher, and vary"),
    }
}

fn idle(machine: &Machine, wanted: &Wanted) -> Finding {
    let mut deep: BTreeMap<String, Cores> = BTreeMap::new();
    let mut told = false;
    for core in &wanted.workers.0 {
        let directory = format!("sys/devices/system/cpu/cpu{core}/cpuidle");
        for state in machine.names(&directory).iter().filter(|name| name.starts_with("state")) {
            let at = |file: &str| format!("{directory}/{state}/{file}");
            let Some(latency) = machine.number(&at("latency")) else { continue };
            told = true;
            if latency > WAKING && machine.number(&at("disable")) != Some(1) {
                let name = machine.text(&at("name")).unwrap_or_else(|| state.clone());
                deep.entry(format!("{name} ({latency} µs)")).or_default().0.insert(*core);
            }
        }
    }
    if !told {
        return IDLE.unknown("the machine does not tell", None);
    }
    if deep.is_empty() {
        return IDLE.ok(format!("all wake within {WAKING} µs"));
    }
    let found: Vec<String> =
        deep.iter().map(|(name, cores)| format!("{name} on {cores}")).collect();
    IDLE.warning(
        found.join("; "),
        format!("sudo cpupower -c {} idle-set -D {WAKING}", wanted.workers),
    )
}
