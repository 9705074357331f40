//! net_af_packet on a veth: all frames, VLAN tags where they were, jumbo frames.

mod tap;

use tap::{Tap, frame, link, receive};
use weir_dpdk::{Eal, EalConfig, EalError, Hugepages, Pool, Port, PortConfig, VdevFault};

#[test]
fn frames_of_an_interface_come_whole_with_their_tags() {
    let Some(tap) = Tap::new(2, 9_000) else { return };
    let eal = match Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec![
            "net_af_packet0,iface=tap0,blocksz=65536,framesz=16384,framecnt=1024,qpairs=2".into(),
        ],
        ..EalConfig::default()
    }) {
        Ok(eal) => eal,
        Err(EalError::Vdev { fault: why @ VdevFault::NoPlugin { .. }, .. }) => {
            return println!("skipped: {why}");
        }
        Err(why) => panic!("{why}"),
    };
    let pool = Pool::new(&eal, "af_packet", 4_095, 16_384 + 128, None).unwrap();
    let config = PortConfig { queues: 2, mtu: Some(9_000), ..PortConfig::default() };
    let (port, mut queues) = Port::open("net_af_packet0", &config, pool.clone()).unwrap();
    assert!(port.promiscuous());

    let sent: Vec<_> = (0..200)
        .map(|number| frame(number, (number % 3 == 0).then_some(0x6064), 60 + number as usize))
        .chain([frame(200, None, 9_014), frame(201, Some(0x0fff), 9_018)])
        .collect();
    for frame in &sent {
        tap.send(frame);
    }
    let received = receive(&mut queues, sent.len());
    for (received, sent) in received.iter().zip(&sent) {
        assert!(received == sent, "{:02x?} {:02x?}", &received[..24], &sent[..24]);
    }
    let stats = port.stats().unwrap();
    assert_eq!(stats.received_packets, sent.len() as u64);
    assert_eq!(stats.missed, 0);
    assert_eq!(pool.in_use(), 0);
    assert!(link().contains("promiscuity 1"));

    // Nobody polls, and the rings are of 1,024 frames: asked twice, what was missed stays.
    for number in 0..4_000 {
        tap.send(&frame(number, None, 60));
    }
    let missed = [(); 2].map(|()| port.stats().unwrap().missed);
    assert!((4_000 - 2 * 1_024..=4_000 - 1_024).contains(&missed[0]), "{missed:?}");
    assert_eq!(missed[0], missed[1]);
    receive(&mut queues, 4_000 - missed[0] as usize);
    assert!(queues.iter_mut().all(|queue| queue.poll().is_empty()));
    drop((port, queues));
    assert!(link().contains("promiscuity 0"), "the interface is left as it was");
}
