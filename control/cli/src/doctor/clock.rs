//! The clock, and what the kernel does by it.

use super::finding::{Check, Finding};
use super::machine::Machine;
use super::wanted::Wanted;

const SOURCE: Check = Check {
    name: "clock source",
    why: "the clock is read once a poll, which is a system call or slow unless it is the TSC",
};
const WATCHDOG: Check = Check {
    name: "kernel watchdog",
    why: "it wakes a thread on every core, and takes a performance counter for itself",
};

pub(crate) fn check(machine: &Machine, _: &Wanted) -> Vec<Finding> {
    vec![source(machine), watchdog(machine)]
}

fn source(machine: &Machine) -> Finding {
    const DIRECTORY: &str = "sys/devices/system/clocksource/clocksource0";
    let at = |file: &str| machine.text(&format!("{DIRECTORY}/{file}"));
    let Some(current) = at("current_clocksource") else {
        return SOURCE.unknown("the kernel does not tell", None);
    };
    if ["tsc", "arch_sys_counter"].contains(&current.as_str()) {
        return SOURCE.ok(current);
    }
    let offered = at("available_clocksource").unwrap_or_default();
    if offered.split_whitespace().any(|name| name == "tsc") {
        return SOURCE.warning(
            format!("{current}; tsc is there"),
            format!("echo tsc | sudo tee /{DIRECTORY}/current_clocksource"),
        );
    }
    SOURCE.warning(
        format!("{current}; the kernel does not trust the TSC"),
        "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&tsc=reliable clocksource=tsc /' /etc/default/grub && \
         sudo update-grub && sudo reboot",
    )
}

fn watchdog(machine: &Machine) -> Finding {
    let runs = |file: &str| machine.number(&format!("proc/sys/kernel/{file}"));
    match (runs("watchdog"), runs("nmi_watchdog")) {
        (None, None) => WATCHDOG.unknown("the kernel does not tell", None),
        (Some(0) | None, Some(0) | None) => WATCHDOG.ok("off"),
        _ => WATCHDOG.warning(
            "on",
            "echo kernel.watchdog=0 | sudo tee /etc/sysctl.d/61-weir.conf && \
             sudo sysctl -p /etc/sysctl.d/61-weir.conf",
        ),
    }
}
