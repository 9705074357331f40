//! The kernel's interfaces below virtual devices.

use super::finding::{Check, Finding};
use super::machine::Machine;
use super::wanted::{Vdev, Wanted};

const INTERFACE: Check =
    Check { name: "interface", why: "a virtual device receives what its interface does" };
const MTU: Check = Check { name: "mtu", why: "frames with GTP-U are longer than those they carry" };
const STRIPPING: Check = Check {
    name: "vlan stripping",
    why: "an XDP socket never sees the tag that a card took off, and so not whose tap it is",
};
const RING: Check = Check {
    name: "receive ring",
    why: "a ring of some hundred frames overflows while a worker is away for 50 µs",
};

/// A user's packet of 1,500 bytes in GTP-U over IPv6 with a container.
const ENOUGH: u64 = 1_564;

pub(crate) fn check(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let of_interface = |vdev: &Vdev| Some((vdev.driver.clone(), vdev.interface.clone()?));
    wanted
        .vdevs
        .iter()
        .filter_map(of_interface)
        .flat_map(|(driver, name)| interface(machine, &driver, &name))
        .collect()
}

fn interface(machine: &Machine, driver: &str, name: &str) -> Vec<Finding> {
    let at = |file: &str| format!("sys/class/net/{name}/{file}");
    if !machine.exists(&at("")) {
        return vec![INTERFACE.error(
            format!("{name}: not there"),
            "ip link shows those there are; name one in [[tap]] source of weir.toml",
        )];
    }
    let mut found = vec![match machine.text(&at("operstate")).as_deref() {
        None => INTERFACE.unknown(format!("{name}: its state is not told"), None),
        Some("down") => {
            INTERFACE.warning(format!("{name}: down"), format!("sudo ip link set {name} up"))
        }
        Some(state) => INTERFACE.ok(format!("{name}: {state}")),
    }];
    found.push(match machine.number(&at("mtu")) {
        None => MTU.unknown(format!("{name}: not told"), None),
        Some(mtu) if mtu >= ENOUGH => MTU.ok(format!("{name}: {mtu}")),
        Some(mtu) => MTU.warning(
            format!("{name}: {mtu}"),
            // An XDP socket's frame is a page at most.
            match driver {
                "net_af_xdp" => format!("sudo ip link set {name} mtu 3000"),
                _ => format!("sudo ip link set {name} mtu 9000"),
            },
        ),
    });
    // Neither stands in /proc or /sys.
    if driver == "net_af_xdp" {
        found.push(STRIPPING.unknown(
            format!("{name}: ethtool -k {name} | grep rx-vlan-offload tells"),
            Some(format!("sudo ethtool -K {name} rxvlan off")),
        ));
    }
    found.push(RING.unknown(
        format!("{name}: ethtool -g {name} tells"),
        Some(format!("sudo ethtool -G {name} rx 4096")),
    ));
    found
}
