//! What this process may do, as whoever runs the sensor may if it is the same user.

use super::finding::{Check, Finding};
use super::machine::Machine;
use super::wanted::Wanted;

const CAPABILITIES: Check =
    Check { name: "capabilities", why: "a driver that lacks one does not open its device" };
const LOCKED: Check = Check {
    name: "locked memory",
    why: "vfio and XDP sockets lock the mbufs they use, and fail beyond the limit",
};

const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;
const IPC_LOCK: u32 = 14;
const BPF: u32 = 39;

pub(crate) fn check(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let uses = |driver: &str| wanted.vdevs.iter().any(|vdev| vdev.driver == driver);
    let mut needed: Vec<(&str, u32)> = Vec::new();
    if uses("net_af_packet") || uses("net_af_xdp") {
        needed.push(("CAP_NET_RAW", NET_RAW));
    }
    if uses("net_af_xdp") {
        needed.extend([("CAP_NET_ADMIN", NET_ADMIN), ("CAP_BPF", BPF)]);
    }
    let effective = effective(machine);
    let mut found = Vec::new();
    if !needed.is_empty() {
        found.push(capabilities(effective, &needed));
    }
    if uses("net_af_xdp") || !wanted.cards.is_empty() {
        found.push(locked(machine, effective, wanted.dpdk_mib()));
    }
    found
}

fn effective(machine: &Machine) -> Option<u64> {
    let status = machine.text("proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn capabilities(effective: Option<u64>, needed: &[(&str, u32)]) -> Finding {
    let Some(effective) = effective else {
        return CAPABILITIES.unknown("/proc/self/status does not tell", None);
    };
    let missing: Vec<&str> = (needed.iter())
        .filter(|(_, bit)| effective >> bit & 1 == 0)
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return CAPABILITIES.ok("all that the drivers need");
    }
    // The units give them; whoever runs doctor may be another user.
    CAPABILITIES.warning(
        format!("this user lacks {}", missing.join(", ")),
        format!(
            "run the sensor by its unit, or: sudo setcap {}=ep \"$(command -v weir-sensor)\"",
            missing.join(",").to_lowercase()
        ),
    )
}

fn locked(machine: &Machine, effective: Option<u64>, needed_mib: u64) -> Finding {
    if effective.is_some_and(|mask| mask >> IPC_LOCK & 1 == 1) {
        return LOCKED.ok("no limit for this user");
    }
    let limits = machine.text("proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let Some(soft) = line.and_then(|line| line.split_whitespace().next()) else {
        return LOCKED.unknown("/proc/self/limits does not tell", None);
    };
    match soft.parse::<u64>().map(|bytes| bytes >> 20) {
        _ if soft == "unlimited" => LOCKED.ok("unlimited"),
        Ok(mib) if mib >= needed_mib => LOCKED.ok(format!("{mib} MiB")),
        Ok(mib) => LOCKED.warning(
            format!("{mib} MiB; {needed_mib} are wanted"),
            "sudo mkdir -p /etc/systemd/system/weir-sensor.service.d && printf \
             '[Service]\\nLimitMEMLOCK=infinity\\n' | sudo tee \
             /etc/systemd/system/weir-sensor.service.d/memlock.conf && sudo systemctl daemon-reload",
        ),
        Err(_) => LOCKED.unknown(format!("/proc/self/limits says {soft:?}"), None),
    }
}
