//! A net_ring that is fed from within the process: what it has no room for is told, and no mbuf is
//! lost on either way.
#![cfg(feature = "inject")]

mod pattern;

use pattern::frame;
use weir_dpdk::{BURST, Eal, EalConfig, Hugepages, Pool, Port, PortConfig, PortError, RingFeeder};

#[test]
fn what_is_fed_is_received_in_order_and_a_full_ring_says_so() {
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec!["net_ring0".into(), "net_null0".into()],
        ..EalConfig::default()
    })
    .unwrap();
    let pool = Pool::new(&eal, "fed", 2_047, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    let config = PortConfig::default();
    let (null, _queues) = Port::open("net_null0", &config, pool.clone()).unwrap();
    assert!(matches!(RingFeeder::of(&null), Err(PortError::Refused { .. })));
    let (port, mut queues) = Port::open("net_ring0", &config, pool.clone()).unwrap();
    let mut feeder = RingFeeder::of(&port).unwrap();
    let second = RingFeeder::of(&port);
    assert!(matches!(second, Err(PortError::AlreadyOpen { .. })), "one producer");

    let frames: Vec<Vec<u8>> = (60..60 + BURST).map(frame).collect();
    let burst: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut taken = 0;
    loop {
        let now = feeder.offer(&burst).unwrap();
        taken += now;
        if now < BURST {
            break;
        }
    }
    // The driver makes its rings of 1,024 slots, of which one stays empty.
    assert_eq!((taken, feeder.offer(&burst).unwrap()), (1_023, 0));
    let mut received = 0;
    while received < taken {
        let polled = queues[0].poll();
        for (place, frame) in polled.frames().enumerate() {
            assert!(frame.bytes == burst[(received + place) % BURST]);
        }
        received += polled.len();
    }
    assert_eq!(pool.in_use(), 0);
    let long = vec![0; usize::from(Pool::DEFAULT_DATA_ROOM)];
    assert!(feeder.offer(&[&long]).is_err(), "it is longer than an mbuf");
    assert_eq!(pool.in_use(), 0);
}
