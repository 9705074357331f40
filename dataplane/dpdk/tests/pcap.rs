//! net_pcap: time stamps, frames of several mbufs, the end of a file and damage in it.

mod capture;
mod pattern;

use capture::Capture;
use pattern::frame;
use weir_dpdk::{Eal, EalConfig, Hugepages, Pool, Port, PortConfig};

const EPOCH: u64 = 1_700_000_000_123_456;

#[test]
fn a_capture_comes_whole_and_in_time() {
    let lengths = [60, 64, 190, 9_728, 192, 193, 65_535, 1_514, 60];
    let mut capture = Capture::new();
    for (place, &len) in lengths.iter().enumerate() {
        capture.push(EPOCH + place as u64, &frame(len));
    }
    let many = 200;
    for place in 0..many {
        capture.push(EPOCH + 1_000 + place, &frame(1_000));
    }
    let whole = capture.write("whole.pcap");
    capture.cut(10);
    let damaged = capture.write("damaged.pcap");

    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec![
            format!("net_pcap0,rx_pcap={}", whole.display()),
            format!("net_pcap1,rx_pcap={}", damaged.display()),
        ],
        ..EalConfig::default()
    })
    .unwrap();
    // 192 bytes of frame in each mbuf, so that most frames take several.
    let pool = Pool::new(&eal, "pcap", 8_191, 192 + 128, None).unwrap();
    let config = PortConfig { mtu: Some(9_000), ..PortConfig::default() };
    let (port, mut queues) = Port::open("net_pcap0", &config, pool.clone()).unwrap();
    assert_eq!(port.mtu(), 9_000);
    assert_eq!(port.capabilities().max_rx_queues, 1, "one file, one queue");
    let mut received = Vec::new();
    loop {
        let burst = queues[0].poll();
        if burst.is_empty() {
            break;
        }
        received.extend(burst.frames().map(|frame| {
            assert_eq!(frame.wire_len as usize, frame.bytes.len());
            assert_eq!(frame.stripped_vlan, None);
            (frame.time.unwrap(), frame.bytes.to_vec())
        }));
    }
    assert_eq!(received.len(), lengths.len() + many as usize);
    for (place, &len) in lengths.iter().enumerate() {
        let (time, bytes) = &received[place];
        assert_eq!(*time, (EPOCH + place as u64) * 1_000);
        assert!(*bytes == frame(len), "frame {place} of {len} bytes");
    }
    for (place, (time, bytes)) in received[lengths.len()..].iter().enumerate() {
        assert_eq!(*time, (EPOCH + 1_000 + place as u64) * 1_000);
        assert!(*bytes == frame(1_000), "frame {place} of many");
    }
    let stats = port.stats().unwrap();
    assert_eq!(stats.received_packets, received.len() as u64);
    assert_eq!(stats.received_bytes, received.iter().map(|(_, bytes)| bytes.len() as u64).sum());
    assert_eq!((stats.errors, stats.no_buffer, stats.missed), (0, 0, 0));
    assert!(queues[0].poll().is_empty(), "a file that ended stays ended");
    assert_eq!(pool.in_use(), 0);

    let (port, mut queues) = Port::open("net_pcap1", &config, pool.clone()).unwrap();
    let mut frames = 0;
    for _ in 0..100 {
        frames += queues[0].poll().len();
    }
    assert_eq!(frames, received.len() - 1, "what is whole before the damage is kept");
    assert!(port.stats().unwrap().errors > 0, "and the damage is told");
    assert_eq!(pool.in_use(), 0);
}
