//! Interrupts on the workers' cores.

use super::finding::{Check, Finding};
use super::machine::{Cores, Machine};
use super::wanted::Wanted;

const BALANCE: Check = Check {
    name: "irqbalance",
    why: "it moves interrupts to idle cores, and what polls looks busy only to some of it",
};
const AFFINITY: Check = Check {
    name: "interrupt affinity",
    why: "each interrupt on a worker's core takes microseconds and cache from it",
};

pub(crate) fn check(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let mut found = vec![balance(machine, wanted)];
    if !wanted.workers.is_empty() {
        found.push(affinity(machine, wanted));
    }
    found
}

fn balance(machine: &Machine, wanted: &Wanted) -> Finding {
    let processes = machine.names("proc");
    let mut processes =
        processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).peekable();
    if processes.peek().is_none() {
        return BALANCE.unknown("no process shows in /proc", None);
    }
    let runs = processes.any(|id| {
        machine.text(&format!("proc/{id}/comm")).is_some_and(|name| name == "irqbalance")
    });
    if !runs {
        return BALANCE.ok("does not run");
    }
    let settings = machine.text("etc/default/irqbalance").unwrap_or_default();
    let banned = (settings.lines())
        .find_map(|line| line.trim().strip_prefix("IRQBALANCE_BANNED_CPULIST="))
        .and_then(|list| Cores::parse(list.trim_matches('"')))
        .unwrap_or_default();
    if !wanted.workers.is_empty() && wanted.workers.without(&banned).is_empty() {
        return BALANCE.ok(format!("runs, and keeps off {banned}"));
    }
    BALANCE.warning("runs", "sudo systemctl disable --now irqbalance")
}

fn affinity(machine: &Machine, wanted: &Wanted) -> Finding {
    let mut told = false;
    let mut on_workers = Vec::new();
    for irq in machine.names("proc/irq") {
        // Where it goes, if the kernel tells; else where it may.
        let effective = machine.cores(&format!("proc/irq/{irq}/effective_affinity_list"));
        let list = effective
            .filter(|cores| !cores.is_empty())
            .or_else(|| machine.cores(&format!("proc/irq/{irq}/smp_affinity_list")));
        let Some(list) = list else { continue };
        told = true;
        if !list.both(&wanted.workers).is_empty() {
            on_workers.push(irq);
        }
    }
    if !told {
        return AFFINITY.unknown("/proc/irq does not tell", None);
    }
    if on_workers.is_empty() {
        return AFFINITY.ok(format!("none on {}", wanted.workers));
    }
    let found = format!("{} interrupts may go to {}", on_workers.len(), wanted.workers);
    let online = machine.cores("sys/devices/system/cpu/online").unwrap_or_default();
    let others = online.without(&wanted.workers);
    if others.is_empty() {
        return AFFINITY
            .warning(found, "leave a core out of [sensor] workers in weir.toml for them");
    }
    AFFINITY.warning(
        found,
        format!(
            "for irq in /proc/irq/[0-9]*; do echo {others} | sudo tee $irq/smp_affinity_list; done"
        ),
    )
}
