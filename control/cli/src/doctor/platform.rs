//! What the machine is: bare, virtual, a container.

use super::finding::{Check, Finding};
use super::machine::Machine;
use super::wanted::Wanted;

const CONTAINER: Check = Check {
    name: "platform",
    why: "isolation, hugepages and interrupts are settings of the host's kernel",
};
const PLATFORM: Check = Check {
    name: "platform",
    why: "a host takes cores and caches away when it likes, so that what is lost is its doing too",
};

pub(crate) fn check(machine: &Machine, _: &Wanted) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(kind) = container(machine) {
        found.push(CONTAINER.warning(
            format!("a container ({kind}), whose kernel is its host's"),
            "weir doctor on the host as well, and: docker run --cpuset-cpus=2,3 --ulimit memlock=-1",
        ));
    }
    match machine.text("proc/cpuinfo") {
        None => found.push(PLATFORM.unknown("/proc/cpuinfo can't be read", None)),
        Some(text) if is_virtual(&text) => {
            let product = machine.text("sys/class/dmi/id/product_name");
            found.push(PLATFORM.warning(
                format!("a virtual machine ({})", product.as_deref().unwrap_or("of unknown make")),
                "on its host: virsh vcpupin DOMAIN VCPU CORE for each core, and \
                 virsh numatune DOMAIN --mode strict",
            ));
        }
        Some(_) if found.is_empty() => found.push(PLATFORM.ok("bare metal")),
        Some(_) => {}
    }
    found
}

fn is_virtual(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn container(machine: &Machine) -> Option<&'static str> {
    let groups = machine.text("proc/1/cgroup").unwrap_or_default();
    let named = ["docker", "kubepods", "lxc"].into_iter().find(|name| groups.contains(name));
    let marked = [(".dockerenv", "docker"), ("run/.containerenv", "podman")];
    named.or_else(|| marked.iter().find(|(path, _)| machine.exists(path)).map(|(_, name)| *name))
}
