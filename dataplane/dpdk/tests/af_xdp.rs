//! net_af_xdp on a veth: all frames, VLAN tags where they were, and an idle poll that returns.

mod tap;

use std::time::{Duration, Instant};

use tap::{Tap, frame, link, receive};
use weir_dpdk::{
    Eal, EalConfig, EalError, Hugepages, Pool, Port, PortConfig, PortError, VdevFault,
};

#[test]
fn frames_of_an_interface_come_whole_with_their_tags() {
    let Some(tap) = Tap::new(1, 1_500) else { return };
    let eal = match Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec!["net_af_xdp0,iface=tap0".into()],
        ..EalConfig::default()
    }) {
        Ok(eal) => eal,
        Err(EalError::Vdev { fault: why @ VdevFault::NoPlugin { .. }, .. }) => {
            return println!("skipped: {why}");
        }
        Err(why) => panic!("{why}"),
    };
    let pool = Pool::new(&eal, "af_xdp", 8_191, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    let config = PortConfig::default();
    let small = Pool::new(&eal, "small", 2_047, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    let error = Port::open("net_af_xdp0", &config, small).unwrap_err();
    assert!(matches!(error, PortError::PoolTooSmall { needs: 2_112, .. }), "{error}");
    let (port, mut queues) = Port::open("net_af_xdp0", &config, pool.clone()).unwrap();
    assert!(port.promiscuous());

    let sent: Vec<_> = (0..200)
        .map(|number| frame(number, (number % 3 == 0).then_some(0x6064), 60 + number as usize))
        .chain([frame(200, None, 1_514), frame(201, Some(0x0fff), 1_518)])
        .collect();
    for frame in &sent {
        tap.send(frame);
    }
    let received = receive(&mut queues, sent.len());
    for (received, sent) in received.iter().zip(&sent) {
        assert!(received == sent, "{:02x?} {:02x?}", &received[..24], &sent[..24]);
    }
    let before = Instant::now();
    for _ in 0..100 {
        assert!(queues[0].poll().is_empty());
    }
    assert!(before.elapsed() < Duration::from_secs(1), "an idle poll waits");
    let stats = port.stats().unwrap();
    assert_eq!(stats.received_packets, sent.len() as u64);
    // The driver never gives back what is in its fill rings: that goes with the pool.
    assert_eq!(pool.in_use(), 2_048);
    assert!(link().contains("prog/xdp"));
    drop((port, queues));
    assert!(!link().contains("prog/xdp"), "the interface is left as it was");
}
