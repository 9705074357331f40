//! Cards and drivers.

use super::finding::{Check, Finding};
use super::machine::{Cores, Machine};
use super::wanted::Wanted;

const DRIVER: Check =
    Check { name: "card's driver", why: "DPDK drives a card only through vfio, or Mellanox's own" };
const IOMMU: Check =
    Check { name: "iommu", why: "vfio gives a card to a process only behind an IOMMU" };
const NUMA: Check =
    Check { name: "numa", why: "each frame crosses between sockets if card and worker are on two" };
const PLUGIN: Check =
    Check { name: "dpdk plugin", why: "EAL loads a driver only where its plugin is installed" };

/// Drivers of the kernel beside which DPDK works on the same card.
const SHARED: [&str; 2] = ["mlx5_core", "mlx4_core"];
/// The part of a library's version in the names of Debian's plugin packages.
const ABI: &str = "23";
/// Vendors of cards, and the plugins that drive theirs.
const VENDORS: [(&str, &[&str]); 6] = [
    ("0x8086", &["net_ice", "net_i40e", "net_ixgbe", "net_e1000"]),
    ("0x15b3", &["net_mlx5"]),
    ("0x14e4", &["net_bnxt"]),
    ("0x1d0f", &["net_ena"]),
    ("0x1af4", &["net_virtio"]),
    ("0x15ad", &["net_vmxnet3"]),
];

pub(crate) fn check(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let mut found = Vec::new();
    for card in &wanted.cards {
        if !machine.exists(&format!("sys/bus/pci/devices/{card}")) {
            found.push(DRIVER.error(
                format!("{card}: no such card"),
                "lspci -D shows those there are; name one in [[tap]] source of weir.toml",
            ));
            continue;
        }
        found.push(driver(machine, card));
        found.extend(iommu(machine, card));
        found.push(numa(machine, wanted, card));
        found.extend(card_plugin(machine, card));
    }
    let mut drivers: Vec<&str> = wanted.vdevs.iter().map(|vdev| vdev.driver.as_str()).collect();
    drivers.sort_unstable();
    drivers.dedup();
    found.extend(drivers.into_iter().map(|driver| plugin(machine, &[driver], driver)));
    found
}

fn bound(machine: &Machine, card: &str) -> Option<String> {
    machine.target(&format!("sys/bus/pci/devices/{card}/driver"))
}

fn driver(machine: &Machine, card: &str) -> Finding {
    let bind = format!("sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci {card}");
    match bound(machine, card) {
        Some(name) if name == "vfio-pci" || SHARED.contains(&name.as_str()) => {
            DRIVER.ok(format!("{card}: {name}"))
        }
        Some(name) if name == "uio_pci_generic" || name == "igb_uio" => {
            DRIVER.warning(format!("{card}: {name}, which no IOMMU keeps in bounds"), bind)
        }
        Some(name) => DRIVER.error(format!("{card}: {name}, the kernel's own"), bind),
        None => DRIVER.error(format!("{card}: none"), bind),
    }
}

/// Only vfio needs it.
fn iommu(machine: &Machine, card: &str) -> Option<Finding> {
    if bound(machine, card).is_some_and(|name| SHARED.contains(&name.as_str())) {
        return None;
    }
    if let Some(group) = machine.target(&format!("sys/bus/pci/devices/{card}/iommu_group")) {
        return Some(IOMMU.ok(format!("{card}: group {group}")));
    }
    let unsafely = machine.text("sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
    let boot = "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on iommu=pt /' \
                /etc/default/grub && sudo update-grub && sudo reboot (and VT-d or AMD-Vi in the \
                firmware)";
    Some(match unsafely.as_deref() {
        Some("Y") => IOMMU.warning(format!("{card}: none, and vfio goes without"), boot),
        _ => IOMMU.error(format!("{card}: none"), boot),
    })
}

fn numa(machine: &Machine, wanted: &Wanted, card: &str) -> Finding {
    let node = machine.text(&format!("sys/bus/pci/devices/{card}/numa_node"));
    let Some(node) = node.and_then(|node| node.parse::<i32>().ok()) else {
        return NUMA.unknown(format!("{card}: the kernel does not tell its node"), None);
    };
    if node < 0 {
        return NUMA.ok(format!("{card}: the machine has no nodes"));
    }
    let near = machine.cores(&format!("sys/devices/system/node/node{node}/cpulist"));
    let Some(near) = near else {
        return NUMA.unknown(format!("{card}: node {node}, whose cores are not told"), None);
    };
    let far = wanted.workers.without(&near);
    if far.is_empty() {
        return NUMA.ok(format!("{card}: node {node}, as the workers"));
    }
    NUMA.warning(
        format!("{card}: node {node}, whose cores are {near}; workers on {far} are elsewhere"),
        format!(
            "name cores of node {node} in [sensor] workers of weir.toml, as in {:?}",
            nearest(&near, wanted)
        ),
    )
}

fn nearest(near: &Cores, wanted: &Wanted) -> Vec<u32> {
    near.0.iter().skip(1).take(wanted.workers.0.len()).copied().collect()
}

fn card_plugin(machine: &Machine, card: &str) -> Option<Finding> {
    let vendor = machine.text(&format!("sys/bus/pci/devices/{card}/vendor"))?;
    let (_, plugins) = VENDORS.iter().find(|(id, _)| *id == vendor)?;
    Some(plugin(machine, plugins, card))
}

/// Whether any of the plugins is there.
fn plugin(machine: &Machine, names: &[&str], of: &str) -> Finding {
    let directories = directories(machine);
    let packages: Vec<String> =
        names.iter().map(|name| format!("librte-{}{ABI}", name.replace('_', "-"))).collect();
    if directories.is_empty() {
        return PLUGIN.error(
            format!("{of}: no directory of DPDK's plugins"),
            format!("sudo apt-get install {}", packages.join(" ")),
        );
    }
    let is_there = |name: &&&str| {
        let file = format!("librte_{name}.so");
        directories.iter().any(|directory| machine.exists(&format!("{directory}/{file}")))
    };
    let there: Vec<&str> = names.iter().filter(is_there).copied().collect();
    if there.is_empty() {
        return PLUGIN.error(
            format!("{of}: {} is not installed", names.join(" or ")),
            format!("sudo apt-get install {}", packages.join(" ")),
        );
    }
    PLUGIN.ok(format!("{of}: {}", there.join(", ")))
}

/// Where plugins lie, with the version in the name.
fn directories(machine: &Machine) -> Vec<String> {
    let mut found = Vec::new();
    for library in ["usr/lib", "usr/lib64", "usr/local/lib"] {
        let places = machine.names(library).into_iter().map(|name| format!("{library}/{name}"));
        for place in places.chain([library.to_owned()]) {
            let plugins = machine.names(&format!("{place}/dpdk"));
            let plugins = plugins.iter().filter(|name| name.starts_with("pmds-"));
            found.extend(plugins.map(|name| format!("{place}/dpdk/{name}")));
        }
    }
    found
}
