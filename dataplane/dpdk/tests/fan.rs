//! Frames through rings to another thread: whole, in order, freed once, whoever goes first.

mod capture;
mod pattern;

use capture::Capture;
use pattern::frame;
use weir_dpdk::{Eal, EalConfig, Fan, Hugepages, Pool, Port, PortConfig};

const EPOCH: u64 = 1_700_000_000_000_000;
/// 192 bytes of frame in each mbuf, so that long frames take several.
const DATA_ROOM: u16 = 192 + 128;

#[test]
fn two_workers_get_every_frame_once_and_the_pool_gets_every_mbuf_back() {
    let lengths: Vec<usize> = (0..3_000).map(|place| 60 + place % 700).collect();
    let mut capture = Capture::new();
    for (place, len) in lengths.iter().enumerate() {
        capture.push(EPOCH + place as u64, &frame(*len));
    }
    let path = capture.write("fan.pcap");
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec![
            format!("net_pcap0,rx_pcap={}", path.display()),
            format!("net_pcap1,rx_pcap={}", path.display()),
        ],
        ..EalConfig::default()
    })
    .unwrap();
    let pool = Pool::new(&eal, "fan", 8_191, DATA_ROOM, None).unwrap();
    let (port, mut queues) = Port::open("net_pcap0", &PortConfig::default(), pool.clone()).unwrap();
    let (mut fan, receivers) = Fan::new(std::slice::from_ref(&pool), &[256, 256]);

    let workers: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(number, mut ring)| {
            let lengths = lengths.clone();
            let eal = eal.clone();
            std::thread::spawn(move || {
                let _registration = eal.register_thread();
                let mut expected = (number..lengths.len()).step_by(2);
                while !ring.is_over() {
                    for (tag, received) in ring.poll().frames() {
                        let place = expected.next().unwrap();
                        assert_eq!(tag, 7, "it is the queue's");
                        assert!(received.bytes == frame(lengths[place]), "frame {place}");
                        assert_eq!(received.time, Some((EPOCH + place as u64) * 1_000));
                    }
                }
                assert_eq!(expected.next(), None);
            })
        })
        .collect();
    queues[0].set_tag(7);
    let mut place = 0;
    while place < lengths.len() {
        let mut deal = fan.deal(queues[0].poll());
        for in_burst in 0..deal.len() {
            let time = deal.frame(in_burst).unwrap().time.unwrap();
            while !deal.give(in_burst, place % 2, time) {
                std::thread::yield_now();
            }
            assert_eq!(deal.frame(in_burst), None, "it has another owner");
            assert!(!deal.give(in_burst, 0, 0), "and is given once");
            place += 1;
        }
        drop(deal);
        fan.show();
    }
    drop(fan);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(pool.in_use(), 0);
    drop((queues, port));

    // What no worker took goes back with the ring, what was not given with the burst.
    let (port, mut queues) = Port::open("net_pcap1", &PortConfig::default(), pool.clone()).unwrap();
    let (mut fan, receivers) = Fan::new(std::slice::from_ref(&pool), &[64]);
    let mut deal = fan.deal(queues[0].poll());
    let given = (0..deal.len()).filter(|place| place % 3 == 0 && deal.give(*place, 0, 0)).count();
    assert_eq!((deal.len(), given), (64, 22));
    drop(deal);
    assert!(pool.in_use() >= 22);
    drop((queues, port));
    // The ring keeps pool and EAL for its frames.
    drop((pool, eal));
    drop(fan);
    assert_eq!(receivers[0].waiting(), 22);
    drop(receivers);
}
