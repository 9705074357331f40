//! A device that takes so much and no more: what it refuses comes back, and no mbuf is lost.

use weir_dpdk::{BURST, Eal, EalConfig, Hugepages, Pool, PortError, TxPort};

#[test]
fn a_full_device_refuses_and_every_mbuf_is_accounted_for() {
    let eal = match Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec!["net_ring0".into()],
        ..EalConfig::default()
    }) {
        Ok(eal) => eal,
        Err(why) if why.to_string().contains("no driver") => return println!("skipped: {why}"),
        Err(why) => panic!("{why}"),
    };
    let pool = Pool::new(&eal, "ring", 16_383, 1_000 + 128, None).unwrap();
    let mut port = TxPort::open("net_ring0", None, pool.clone()).unwrap();
    assert_eq!((port.name(), port.longest_frame()), ("net_ring0", 1_000));
    let bytes = [7; 1_000];
    let burst = [&bytes[..]; BURST];
    // Nobody takes anything out of the ring.
    let mut sent = 0;
    let last = loop {
        let taken = port.send(&burst, 3).unwrap();
        sent += taken;
        if taken < BURST {
            break taken;
        }
    };
    assert_eq!(port.send(&burst, 3).unwrap(), 0);
    assert_eq!(sent % BURST, last);
    assert!((512..16_000).contains(&sent), "{sent}");
    assert_eq!(pool.in_use(), sent as u32, "what was refused is free again");
    assert_eq!(port.stats().unwrap().sent_packets, sent as u64);

    assert_eq!(port.send(&[], 1).unwrap(), 0);
    let too_long = [0; 1_001];
    let refused = port.send(&[&bytes, &too_long], 1).unwrap_err();
    assert!(matches!(refused, PortError::Refused { step: "writing frames to mbufs", .. }));
    assert_eq!(pool.in_use(), sent as u32, "and so is what was written in vain");
    // The device is one process's, once.
    assert!(matches!(
        TxPort::open("net_ring0", None, pool.clone()),
        Err(PortError::AlreadyOpen { .. })
    ));
}
