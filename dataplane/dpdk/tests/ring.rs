//! net_ring, fed by hand: what a driver may put into an mbuf and what becomes of it.

mod pattern;

use std::ffi::CStr;

use pattern::frame;
use weir_dpdk::{BURST, Eal, EalConfig, Hugepages, LONGEST_FRAME, Pool, Port, PortConfig};
use weir_dpdk_sys as sys;

/// What the driver calls the ring of its first queue, which it both sends to and receives from.
const RING: &CStr = c"ETH_RXTX0_net_ring0";

const MBUFS: u32 = 4_095;

/// A second pool, whose mbufs frames are made of; the port only needs one to be opened.
const SOURCE: &CStr = c"MP_source";

#[test]
fn what_a_driver_hands_over_is_what_a_frame_says() {
    let eal = Eal::init(&EalConfig {
        hugepages: Hugepages::Never,
        vdevs: vec!["net_ring0".into()],
        ..EalConfig::default()
    })
    .unwrap();
    let pool = Pool::new(&eal, "ring", 63, Pool::DEFAULT_DATA_ROOM, None).unwrap();
    let source = Source::new();
    let (port, mut queues) = Port::open("net_ring0", &PortConfig::default(), pool).unwrap();
    let queue = &mut queues[0];
    assert_eq!((port.driver(), queue.poll().len()), ("net_ring", 0));

    // A tag that the device took off, in a frame of one segment and in one of several.
    source.inject(&frame(100), 2_048, sys::WEIR_RX_VLAN_STRIPPED, 0x6064);
    source.inject(&frame(9_000), 2_048, sys::WEIR_RX_VLAN_STRIPPED, 0x6065);
    // A number in the field means nothing unless the flag says that a tag was there.
    source.inject(&frame(101), 2_048, 0, 0x6066);
    let burst = queue.poll();
    let frames: Vec<_> = burst.frames().collect();
    assert_eq!(
        frames.iter().map(|frame| frame.stripped_vlan).collect::<Vec<_>>(),
        [Some(0x6064), Some(0x6065), None]
    );
    for (received, sent) in frames.iter().zip([100, 9_000, 101]) {
        assert!(received.bytes == frame(sent), "{sent}");
        assert_eq!(received.time, None, "no driver here gives time");
    }
    drop(burst);

    // A full burst of the longest jumbo frames, each of many segments.
    for len in 0..BURST {
        source.inject(&frame(9_728 - len), 500, 0, 0);
    }
    source.inject(&frame(60), 2_048, 0, 0);
    let burst = queue.poll();
    assert_eq!(burst.len(), BURST);
    for (received, len) in burst.frames().zip((0..BURST).map(|less| 9_728 - less)) {
        assert!(received.bytes == frame(len), "{len}");
        assert_eq!(received.wire_len as usize, len);
    }
    drop(burst);
    assert!(queue.poll().frames().next().unwrap().bytes == frame(60));

    // What is longer than any frame can be is cut, and says how long it was.
    source.inject(&frame(LONGEST_FRAME), 2_048, 0, 0);
    source.inject(&frame(LONGEST_FRAME + 1_000), 2_048, 0, 0);
    source.inject(&frame(61), 2_048, 0, 0);
    let burst = queue.poll();
    let frames: Vec<_> = burst.frames().collect();
    assert!(frames[0].bytes == frame(LONGEST_FRAME));
    assert!(frames[1].bytes == &frame(LONGEST_FRAME + 1_000)[..LONGEST_FRAME]);
    assert_eq!(frames[1].wire_len as usize, LONGEST_FRAME + 1_000);
    assert!(frames[2].bytes == frame(61));
    drop(burst);
    assert_eq!(source.in_use(), 0, "every segment of every frame was freed");
}

/// Makes frames of mbufs as a driver would.
struct Source(*mut sys::rte_mempool);

impl Source {
    fn new() -> Self {
        // SAFETY: EAL runs; the name is static.
        let pool = unsafe {
            sys::rte_pktmbuf_pool_create(SOURCE.as_ptr(), MBUFS, 0, 0, Pool::DEFAULT_DATA_ROOM, -1)
        };
        assert!(!pool.is_null());
        Self(pool)
    }

    fn inject(&self, bytes: &[u8], segment: u16, flags: u64, vlan: u16) {
        // SAFETY: ring and pool live, and the bytes are copied.
        let result = unsafe {
            sys::weir_inject(
                RING.as_ptr(),
                self.0,
                bytes.as_ptr(),
                bytes.len() as u32,
                segment,
                flags,
                vlan,
            )
        };
        assert_eq!(result, 0);
    }

    fn in_use(&self) -> u32 {
        // SAFETY: the pool lives.
        unsafe { sys::rte_mempool_in_use_count(self.0) }
    }
}
