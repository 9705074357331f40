//! Pieces of datagrams in any order: the bounds hold, and every byte of a whole
//! datagram is one that some piece carried at its place.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use weir_engine::Nanos;
use weir_engine::fragment::{DatagramKey, Piece};
use weir_engine::fragment_trails::{FragmentTrails, Trail};
use weir_engine::reassembly::{Limits, Outcome, Reassembler};

fuzz_target!(|input: &[u8]| {
    let limits = Limits { datagrams: 4, bytes: 128 << 10, patience: Nanos::from_secs(30) };
    let mut table = Reassembler::new(limits, 7);
    let mut trails = FragmentTrails::new(7);
    let mut carried: HashMap<(u32, usize), Vec<u8>> = HashMap::new();
    let mut now = 0;
    let mut rest = input;
    while let [head, place_high, place_low, len, more @ ..] = rest {
        let len = usize::from(*len) * if head & 0x40 != 0 { 8 } else { 1 };
        let (payload, behind) = more.split_at(len.min(more.len()));
        rest = behind;
        now += u64::from(head >> 4 & 3) * 4_000_000_000;
        let key = DatagramKey {
            identification: u32::from(head & 7),
            protocol: (head & 8 == 0).then_some(17),
            ..DatagramKey::default()
        };
        let offset = usize::from(u16::from_be_bytes([*place_high, *place_low]) & 0x1fff) * 8;
        let is_more = place_high & 0x80 != 0;
        for (i, byte) in payload.iter().enumerate() {
            carried.entry((key.identification << 1 | u32::from(head & 8 == 0), offset + i)).or_default().push(*byte);
        }
        if offset == 0 {
            trails.remember(&key, Trail { teid: 1, ..Trail::default() }, Nanos(now));
        } else {
            let _ = trails.find(&key, is_more, Nanos(now));
        }
        let piece = Piece { key, protocol: 17, offset, more: is_more, cut: false, payload, time: Nanos(now) };
        if let Outcome::Complete(datagram) = table.add(&piece) {
            assert!(datagram.payload.len() <= 65_535);
            for (i, byte) in datagram.payload.iter().enumerate() {
                let place = (key.identification << 1 | u32::from(head & 8 == 0), i);
                assert!(carried.get(&place).is_some_and(|bytes| bytes.contains(byte)));
            }
        }
        assert!(table.waiting() <= limits.datagrams && table.bytes() <= limits.bytes);
    }
    table.expire(Nanos::MAX);
    assert_eq!((table.waiting(), table.bytes()), (0, 0));
});
