//! What both formats say, in both byte orders, and that no byte makes the
//! reader believe more than is there.

mod lab;

use lab::*;
use weir_capture::{LinkType, Packet, Reader};
use weir_engine::Nanos;

fn packets(file: &[u8]) -> Vec<Packet<'_>> {
    Reader::open(file).unwrap().map(Result::unwrap).collect()
}

#[test]
fn pcap_in_either_order_and_unit() {
    for order in ORDERS {
        for (magic, nanos) in [(0xa1b2_c3d4, 7_000), (0xa1b2_3c4d, 7)] {
            let file = order.pcap(magic, 276, &[b"abc", b"", b"defgh"]);
            let packets = packets(&file);
            assert_eq!(packets.len(), 3);
            assert_eq!(packets[2].bytes, b"defgh");
            assert_eq!(packets[2].time, Nanos(1_700_000_002_000_000_000 + nanos));
            assert_eq!(packets[2].link_type, LinkType::Sll2);
        }
    }
}

#[test]
fn a_frame_check_sequence_does_not_hide_the_link_type() {
    let file = ORDERS[0].pcap(0xa1b2_c3d4, 0x4400_0001, &[b"abc"]);
    assert_eq!(packets(&file)[0].link_type, LinkType::Ethernet);
}

#[test]
fn every_section_has_its_own_order_and_interfaces() {
    let file = everything();
    let packets = packets(&file);
    assert_eq!(packets.len(), 8);
    for half in packets.chunks(4) {
        let seen: Vec<_> = half.iter().map(|p| (p.bytes, p.time.0, p.link_type)).collect();
        assert_eq!(
            seen,
            [
                (&b"enhanced"[..], 5_000_000_007, LinkType::Ethernet),
                (b"old", 2_000_007_000, LinkType::Sll),
                // Without a time of its own.
                (b"simple", 2_000_007_000, LinkType::Ethernet),
                (b"", 3_000_000_000, LinkType::Sll),
            ]
        );
        assert_eq!(half[0].wire_len, 12);
    }
    for packet in &packets {
        assert_eq!(&file[packet.offset..][..packet.bytes.len()], packet.bytes);
    }
}

#[test]
fn a_simple_packet_is_cut_at_its_interfaces_snap_length() {
    for order in ORDERS {
        let file = [order.section(), order.interface(1, 4, None, None), order.simple(900, b"abcd")]
            .concat();
        let packets = packets(&file);
        assert_eq!((packets[0].bytes, packets[0].wire_len), (&b"abcd"[..], 900));
    }
}

#[test]
fn resolutions_are_powers_of_10_and_of_2() {
    let second_and_half = |resolution: u8, stamp: u64| {
        let order = ORDERS[usize::from(resolution) % 2];
        let file = [
            order.section(),
            order.interface(1, 0, Some(resolution), None),
            order.enhanced(0, stamp, b"x"),
        ]
        .concat();
        packets(&file)[0].time.0
    };
    for exponent in 1..=18 {
        let units = 10_u64.pow(exponent.into());
        let stamp = units + units / 2;
        assert_eq!(second_and_half(exponent, stamp), 1_500_000_000, "10^{exponent}");
    }
    for exponent in 1..=62 {
        let stamp = 3 << (exponent - 1);
        assert_eq!(second_and_half(0x80 | exponent, stamp), 1_500_000_000, "2^{exponent}");
    }
    assert_eq!(second_and_half(0, 2), 2_000_000_000);
    // Seconds beyond what nanoseconds can tell are the last nanosecond, not a wrapped one.
    assert_eq!(second_and_half(0, u64::MAX), u64::MAX);
}

#[test]
fn offsets_of_time_go_both_ways_and_not_below_nothing() {
    for (offset, expected) in [(10, 15), (-3, 2), (-5, 0), (i64::MIN, 0)] {
        for order in ORDERS {
            let file = [
                order.section(),
                order.interface(1, 0, Some(6), Some(offset)),
                order.enhanced(0, 5_000_000, b"x"),
            ]
            .concat();
            assert_eq!(packets(&file)[0].time, Nanos(expected * 1_000_000_000), "{offset}");
        }
    }
}

#[test]
fn every_cut_gives_the_packets_before_it_and_its_record() {
    let pcap = ORDERS[1].pcap(0xa1b2_3c4d, 1, &[b"abc", b"", b"defgh"]);
    for file in [pcap, everything()] {
        let whole = packets(&file);
        // The last byte that a packet's record needs before it can be given.
        for end in 24..file.len() {
            let mut reader = Reader::open(&file[..end]).unwrap();
            let (mut given, mut damage) = (Vec::new(), None);
            for read in reader.by_ref() {
                match read {
                    Ok(packet) => given.push(packet),
                    Err(found) => assert!(damage.replace(found).is_none()),
                }
            }
            assert_eq!(given, whole[..given.len()]);
            let after = given.last().map_or(0, |packet| packet.offset + packet.bytes.len());
            if let Some(damage) = damage {
                assert!((after..end).contains(&damage.offset), "{damage} cut at {end}");
                // What stands from there on is one broken thing, so that no packet is missing.
                let next = whole.get(given.len()).map_or(file.len(), |packet| packet.offset);
                assert!(damage.offset < next);
            }
            assert!(reader.next().is_none());
        }
    }
}

#[test]
fn noise_ends_and_gives_nothing_that_is_not_there() {
    let mut noise = Noise(0x5eed_0003);
    let pcap = ORDERS[0].pcap(0xa1b2_c3d4, 1, &[b"abc", b"", b"defgh"]);
    for file in [pcap, everything()] {
        for _ in 0..20_000 {
            let mut file = file.clone();
            for _ in 0..=noise.next() % 6 {
                let at = noise.next() as usize % file.len();
                file[at] = noise.next() as u8;
            }
            let Ok(reader) = Reader::open(&file) else { continue };
            for packet in reader.flatten() {
                assert_eq!(&file[packet.offset..][..packet.bytes.len()], packet.bytes);
            }
        }
    }
}

#[test]
fn blocks_without_an_end_and_interfaces_without_number_are_damage() {
    let order = ORDERS[0];
    let begin = [order.section(), order.interface(1, 0, None, None)].concat();
    for (block, what) in [
        (order.words(&[6, 0, 0, 0]), "impossible length"),
        (order.words(&[6, 13, 0, 0]), "impossible length"),
        (order.words(&[6, (16 << 20) + 4, 0]), "impossible length"),
        (order.words(&[6, 12, 16]), "two lengths"),
        (order.block(6, &[0; 8]), "short packet"),
        (order.block(1, b"x"), "short interface"),
        (order.enhanced(1, 0, b"x"), "unknown interface"),
        (order.simple(9, b"abcd"), "longer than its block"),
        (order.block(0x0a0d_0d0a, b"what order?!"), "byte order"),
    ] {
        let file = [&begin[..], &block, &order.enhanced(0, 0, b"behind")].concat();
        let read: Vec<_> = Reader::open(&file).unwrap().collect();
        let [Err(damage)] = &read[..] else { panic!("{what}: {read:?}") };
        assert_eq!(damage.offset, begin.len());
        assert!(damage.to_string().contains(what), "{damage}");
    }
    let mut many = order.section();
    for _ in 0..=65_536 {
        many.extend(order.interface(1, 0, None, None));
    }
    let last = Reader::open(&many).unwrap().last().unwrap();
    assert!(last.unwrap_err().to_string().contains("too many interfaces"));
}
