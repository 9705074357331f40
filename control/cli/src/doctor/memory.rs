//! Memory: hugepages, what is free, and what takes pages away.

use super::finding::{Check, Finding};
use super::machine::Machine;
use super::wanted::Wanted;

const HUGEPAGES: Check = Check {
    name: "hugepages",
    why: "on ordinary pages a random row costs several TLB misses, and cards can't be driven",
};
const TRANSPARENT: Check = Check {
    name: "transparent hugepages",
    why: "the tables ask for huge pages by madvise; asked for by all, compaction stalls workers",
};
const MEMORY: Check = Check {
    name: "memory",
    why: "tunnels and sessions are set aside at the start, which fails without",
};
const SWAP: Check =
    Check { name: "swap", why: "a row that was swapped out costs a worker milliseconds" };

/// MiB of hugepages that suit a sensor of which nothing is known.
const USUAL_MIB: u64 = 1_024;
/// The sizes that x86 and ARM have, KiB.
const SIZES: [u64; 2] = [2_048, 1_048_576];

pub(crate) fn check(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let mut found = vec![hugepages(machine, wanted)];
    found.extend(on_nodes(machine, wanted));
    found.extend([transparent(machine), memory(machine, wanted), swap(machine)]);
    found
}

/// Hugepages below a directory: in words, and MiB that are free; none if it tells of none.
fn pages(machine: &Machine, directory: &str) -> Option<(String, u64)> {
    let mut words = Vec::new();
    let mut free_mib = 0;
    for kib in SIZES {
        let at = |file: &str| machine.number(&format!("{directory}/hugepages-{kib}kB/{file}"));
        let (Some(all), Some(free)) = (at("nr_hugepages"), at("free_hugepages")) else { continue };
        free_mib += free.saturating_mul(kib) >> 10;
        let size = if kib == 2_048 { "2 MiB" } else { "1 GiB" };
        words.push(format!("{all} of {size}, {free} free"));
    }
    (!words.is_empty()).then(|| (words.join("; "), free_mib))
}

fn hugepages(machine: &Machine, wanted: &Wanted) -> Finding {
    let needed = match wanted.dpdk_mib() {
        0 => USUAL_MIB,
        needed => needed,
    };
    let Some((found, free)) = pages(machine, "sys/kernel/mm/hugepages") else {
        return HUGEPAGES.unknown("the kernel tells of none", None);
    };
    if free >= needed {
        return HUGEPAGES.ok(found);
    }
    HUGEPAGES.warning(
        format!("{found}; {needed} MiB are wanted"),
        format!("echo vm.nr_hugepages={} | sudo tee /etc/sysctl.d/60-weir.conf && sudo sysctl -p /etc/sysctl.d/60-weir.conf", needed.div_ceil(2)),
    )
}

/// Whether each card's node has its share.
fn on_nodes(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let mut found = Vec::new();
    for card in &wanted.cards {
        let Some(node) = machine.number(&format!("sys/bus/pci/devices/{card}/numa_node")) else {
            continue;
        };
        let directory = format!("sys/devices/system/node/node{node}/hugepages");
        let Some((words, free)) = pages(machine, &directory) else { continue };
        let needed = wanted.dpdk_mib();
        found.push(if free >= needed {
            HUGEPAGES.ok(format!("node {node}, where {card} is: {words}"))
        } else {
            HUGEPAGES.warning(
                format!("node {node}, where {card} is: {words}; {needed} MiB are wanted there"),
                format!(
                    "echo {} | sudo tee /{directory}/hugepages-2048kB/nr_hugepages",
                    needed.div_ceil(2)
                ),
            )
        });
    }
    found
}

fn transparent(machine: &Machine) -> Finding {
    const FILE: &str = "sys/kernel/mm/transparent_hugepage/enabled";
    let text = machine.text(FILE);
    let chosen = text.as_deref().and_then(|text| text.split_once('[')?.1.split_once(']'));
    match chosen.map(|(chosen, _)| chosen) {
        None => TRANSPARENT.unknown("the kernel does not tell", None),
        Some("madvise") => TRANSPARENT.ok("madvise"),
        Some(other) => TRANSPARENT.warning(other, format!("echo madvise | sudo tee /{FILE}")),
    }
}

fn memory(machine: &Machine, wanted: &Wanted) -> Finding {
    let Some(free) = machine.memory_mib("MemAvailable") else {
        return MEMORY.unknown("/proc/meminfo does not tell", None);
    };
    let (Some(needed), Some(tunnels)) = (wanted.memory_mib(), wanted.tunnels) else {
        return MEMORY.ok(format!("{free} MiB available"));
    };
    let found = format!("{free} MiB available; {tunnels} tunnels take about {needed} MiB");
    if free >= needed {
        return MEMORY.ok(found);
    }
    let fitting = tunnels.saturating_mul(free) / needed.max(1);
    MEMORY.error(found, format!("set [sensor] tunnels = {fitting} in weir.toml, or add memory"))
}

fn swap(machine: &Machine) -> Finding {
    match machine.text("proc/swaps") {
        None => SWAP.unknown("/proc/swaps can't be read", None),
        Some(text) => match text.lines().count().saturating_sub(1) {
            0 => SWAP.ok("off"),
            areas => SWAP.warning(
                format!("on, {areas} areas"),
                "sudo swapoff -a && sudo sed -i '/\\sswap\\s/s/^/#/' /etc/fstab",
            ),
        },
    }
}
