//! What is configured wrongly is said with its remedy. EAL starts once in a process, so each case
//! runs in a process of its own: this test's program again.

use std::env;
use std::process::Command;

use weir_dpdk::{Eal, EalConfig, Hugepages};

const VDEV: &str = "WEIR_TEST_VDEV";

#[test]
fn a_device_that_is_wrong_is_told_with_its_remedy() {
    for (vdev, expected) in [
        ("pcap0", "not a device name"),
        (
            "net_nosuch0,iface=lo",
            "no driver net_nosuch is installed; apt-get install librte-net-nosuch23",
        ),
        ("net_pcap0,rx_pcap=/absent.pcap", "can't read /absent.pcap; No such file"),
        ("net_pcap0,rx_pcap=/proc/self/maps", "the driver refused"),
        ("net_af_packet0,iface=absent0", "no interface absent0"),
        ("net_af_xdp0,iface=absent0", "no interface absent0"),
        ("net_null0", "started"),
    ] {
        let said = start(Command::new(env::current_exe().unwrap()), vdev);
        assert!(said.contains(expected), "{vdev}: {said}");
    }
}

#[test]
fn a_device_that_is_not_allowed_is_told_with_the_capability() {
    // Root that executes a program gets back all but what the bounding set lacks.
    let mut unprivileged = Command::new("setpriv");
    unprivileged.arg("--bounding-set=-net_raw").arg(env::current_exe().unwrap());
    let said = start(unprivileged, "net_af_packet0,iface=lo");
    if said.is_empty() {
        return println!("skipped: no setpriv, or not root");
    }
    assert!(said.contains("run as root or give the program CAP_NET_RAW"), "{said}");
}

/// What the child below printed about that device.
fn start(mut program: Command, vdev: &str) -> String {
    program.args(["--exact", "child", "--nocapture"]).env(VDEV, vdev);
    let output = program.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).into_owned()
}

#[test]
fn child() {
    let Ok(vdev) = env::var(VDEV) else { return };
    let config =
        EalConfig { hugepages: Hugepages::Never, vdevs: vec![vdev], ..EalConfig::default() };
    match Eal::init(&config) {
        Ok(_) => println!("started"),
        Err(why) => println!("{why}"),
    }
}
