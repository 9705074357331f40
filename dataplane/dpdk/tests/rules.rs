//! A queue of N4's own, asked of devices that don't give one: named, and the port is as it was.

use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use weir_dpdk::{Eal, EalConfig, EalError, Hugepages, Pool, Port, PortConfig, Spreading};

/// net_null knows no rules. net_tap validates them, and then either the kernel can't hold them or
/// users' frames can't be kept off the queue: a device for the whole way there and back.
#[test]
fn what_a_device_refuses_is_named_and_the_port_goes_on_without() {
    let mut vdevs = vec!["net_null0,size=64".to_owned()];
    let has_tap = Path::new("/dev/net/tun").exists() && unshare(CloneFlags::CLONE_NEWNET).is_ok();
    if has_tap {
        vdevs.push("net_tap0,iface=dtap0".into());
    } else {
        println!("skipped in part: no /dev/net/tun, or no network namespace without root");
    }
    let eal = match Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs,
        ..EalConfig::default()
    }) {
        Ok(eal) => eal,
        Err(why @ EalError::Vdev { .. }) => return println!("skipped: {why}"),
        Err(why) => panic!("{why}"),
    };
    let pool = Pool::new(&eal, "rules", 4_095, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    let config = PortConfig { queues: 2, n4_ports: vec![8805], ..PortConfig::default() };

    let (null, mut queues) = Port::open("net_null0", &config, pool.clone()).unwrap();
    let steering = null.steering();
    assert_eq!((queues.len(), steering.n4_queue), (2, None));
    assert_eq!(steering.refused, ["the driver takes no rules (rte_flow)"]);
    assert_eq!(queues[1].poll().len(), 64);

    if has_tap {
        let (tap, mut queues) = Port::open("net_tap0", &config, pool).unwrap();
        let steering = tap.steering();
        assert_eq!((queues.len(), steering.n4_queue), (2, None));
        assert_eq!(steering.spreading, Spreading::Outer);
        let refused = |what: &str| steering.refused.iter().any(|why| why.starts_with(what));
        assert!(refused("N4 has no queue of its own: "), "{steering}");
        assert!(refused("no hash of inner addresses: "), "{steering}");
        for queue in &mut queues {
            drop(queue.poll());
        }
    }
}
