//! A pool without a free mbuf: the port says how often, and goes on when there are some again.

mod pattern;

use pattern::frame;
use weir_dpdk::{Eal, EalConfig, Fan, Hugepages, Pool, Port, PortConfig};

const FRAMES: usize = 400;
const MBUFS: u32 = 127;

#[test]
fn an_exhausted_pool_is_counted_to_the_packet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in.pcap");
    let mut bytes = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for _ in 0..FRAMES {
        bytes.extend([0_u32, 0, 100, 100].map(u32::to_le_bytes).concat());
        bytes.extend(frame(100));
    }
    std::fs::write(&path, bytes).unwrap();
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec![format!("net_pcap0,rx_pcap={}", path.display())],
        ..EalConfig::default()
    })
    .unwrap();
    let pool = Pool::new(&eal, "small", MBUFS, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    let (port, mut queues) = Port::open("net_pcap0", &PortConfig::default(), pool.clone()).unwrap();
    // Nobody takes frames out of this ring, so the pool's mbufs stay in it.
    let (mut fan, mut rings) = Fan::new(std::slice::from_ref(&pool), &[1_024]);
    let mut kept = 0;
    let keep = |fan: &mut Fan, burst: weir_dpdk::Burst<'_>| {
        let mut deal = fan.deal(burst);
        for place in 0..deal.len() {
            assert!(deal.give(place, 0, 0), "the ring has room");
        }
        deal.len()
    };
    while kept < MBUFS as usize {
        kept += keep(&mut fan, queues[0].poll());
    }
    assert_eq!(pool.available(), 0);
    let before = port.stats().unwrap().no_buffer;
    assert!((0..10).all(|_| queues[0].poll().is_empty()));
    assert!(port.stats().unwrap().no_buffer > before, "{:?}", port.stats());

    fan.show();
    while !rings[0].poll().is_empty() {}
    let mut received = kept;
    loop {
        let count = queues[0].poll().len();
        if count == 0 {
            break;
        }
        received += count;
    }
    let stats = port.stats().unwrap();
    assert_eq!(stats.received_packets, received as u64);
    assert_eq!(received as u64 + stats.no_buffer, FRAMES as u64, "{stats:?}");
    assert_eq!(pool.in_use(), 0);
}
