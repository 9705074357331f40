//! Named evasions and attacks, and whom each one fools.

use weir_wire::ipv6::{self, Ipv6, Upper};

use crate::*;

/// The series by which Shankar and Paxson (Active Mapping, 2003) and Novak
/// (Target-Based Fragmentation Reassembly, 2005) told receivers apart.
#[test]
fn overlap_series_of_active_mapping_reads_as_the_first_bytes() {
    // First block, blocks, what they carry.
    let series: [(usize, usize, u8); 6] =
        [(0, 3, b'1'), (4, 2, b'2'), (6, 3, b'3'), (1, 4, b'4'), (6, 3, b'5'), (9, 3, b'6')];
    // Whether a new piece takes blocks from an older one, by where both begin.
    type Rule = fn(usize, usize) -> bool;
    let rules: [(&str, Rule, &[u8]); 5] = [
        ("first: Windows, SunOS 5.8, HP-UX 11, and here", |_, _| false, b"111422333666"),
        ("BSD: FreeBSD, AIX, IRIX", |old, new| old > new, b"111442333666"),
        ("Linux 2.2 and 2.4", |old, new| old >= new, b"111442555666"),
        ("BSD-right: HP JetDirect", |old, new| old <= new, b"144422555666"),
        ("last: Cisco IOS", |_, _| true, b"144442555666"),
    ];
    let mut readings = Vec::new();
    for (name, takes, expected) in rules {
        let mut blocks = [(0, 0); 12];
        let mut there = [false; 12];
        for (new, count, letter) in series {
            for block in new..new + count {
                if !there[block] || takes(blocks[block].0, new) {
                    (blocks[block], there[block]) = ((new, letter), true);
                }
            }
        }
        let reading = blocks.map(|(_, letter)| letter);
        assert_eq!(reading, expected, "{name}");
        readings.push(reading);
    }
    let mut reassembler = reassembler();
    for (i, (block, count, letter)) in series.into_iter().enumerate() {
        let payload = vec![letter; count * 8];
        let outcome = reassembler.add(&piece(v4_key(1), block, i < 5, &payload));
        if i < 5 {
            assert_eq!(outcome, Outcome::Waiting);
        } else {
            let here: Vec<u8> = readings[0].iter().flat_map(|letter| [*letter; 8]).collect();
            assert_eq!(outcome, complete(&here));
        }
    }
    // That the four others read something else does not stay unsaid.
    assert_eq!((reassembler.counters().conflicting, reassembler.counters().repeated), (1, 0));
}

/// Fools readers by the last bytes (Cisco IOS's rule): for them a harmless
/// message covers the one that the receiver reads.
#[test]
fn overlap_by_a_second_first_fragment_does_not_cover_the_first() {
    let mut reassembler = reassembler();
    reassembler.add(&piece(v4_key(1), 0, true, b"delete the UPF's"));
    let cover = reassembler.add(&piece(v4_key(1), 0, true, b"heartbeat please"));
    assert_eq!(cover, Outcome::Waiting);
    let whole = reassembler.add(&piece(v4_key(1), 2, false, b"rules"));
    assert_eq!(whole, complete(b"delete the UPF'srules"));
    assert_eq!(reassembler.counters().conflicting, 1);
}

/// A doubled tap or broker sends everything twice: noted, and read once.
#[test]
fn repeated_pieces_are_no_conflict() {
    for key in [v4_key(1), v6_key(1)] {
        let mut reassembler = reassembler();
        for _ in 0..3 {
            assert_eq!(reassembler.add(&piece(key, 0, true, &[1; 16])), Outcome::Waiting);
            // Refragmented on another way: within what is there, at other borders.
            assert_eq!(reassembler.add(&piece(key, 1, true, &[1; 8])), Outcome::Waiting);
        }
        let mut whole = [1; 19];
        whole[16..].fill(2);
        assert_eq!(reassembler.add(&piece(key, 2, false, &[2; 3])), complete(&whole));
        assert_eq!((reassembler.counters().conflicting, reassembler.counters().repeated), (0, 1));
    }
}

/// Teardrop and its kin (1997): a later piece within the first one, or one that
/// ends before it begins to be new, made lengths negative.
#[test]
fn teardrop_ends_before_the_first_piece_does() {
    let mut reassembler = reassembler();
    assert_eq!(reassembler.add(&piece(v4_key(1), 0, true, &[1; 40])), Outcome::Waiting);
    // The last piece, wholly inside the first: it contradicts its reach.
    assert_eq!(
        reassembler.add(&piece(v4_key(1), 3, false, &[2; 4])),
        Outcome::GivenUp(GiveUp::Contradiction)
    );
    let mut whole = [1; 44];
    whole[40..].fill(3);
    assert_eq!(reassembler.add(&piece(v4_key(1), 5, false, &[3; 4])), complete(&whole));
}

/// Ping of death: an offset near the end and a piece that reaches beyond.
#[test]
fn ping_of_death_is_too_long_and_spoils_nothing() {
    for key in [v4_key(1), v6_key(1)] {
        let mut reassembler = reassembler();
        assert_eq!(reassembler.add(&piece(key, 0, true, &[1; 8])), Outcome::Waiting);
        for (block, more, len) in [(8191, true, 8), (8191, false, 8), (8100, false, 65_535)] {
            let bytes = vec![9; len];
            let outcome = reassembler.add(&piece(key, block, more, &bytes));
            assert_eq!(outcome, Outcome::GivenUp(GiveUp::TooLong));
        }
        let beyond = Piece { offset: usize::MAX - 7, ..piece(key, 0, false, &[9; 8]) };
        assert_eq!(reassembler.add(&beyond), Outcome::GivenUp(GiveUp::TooLong));
        let mut whole = [1; 9];
        whole[8] = 2;
        assert_eq!(reassembler.add(&piece(key, 1, false, &[2])), complete(&whole));
        assert_eq!(given_up(reassembler.counters(), GiveUp::TooLong), 4);
    }
}

/// Jolt 2: the same last piece for ever, which kept Windows busy.
#[test]
fn jolt2_holds_one_page_and_times_out() {
    let mut reassembler = reassembler();
    for _ in 0..100_000 {
        assert_eq!(reassembler.add(&piece(v4_key(1), 8190, false, &[0; 9])), Outcome::Waiting);
    }
    assert_eq!((reassembler.waiting(), reassembler.bytes()), (1, 512));
    reassembler.expire(Nanos::from_secs(31));
    assert_eq!(reassembler.waiting(), 0);
    assert_eq!(given_up(reassembler.counters(), GiveUp::TimedOut), 1);
}

/// Fools readers that put IPv6 together as they do IPv4: common receivers
/// discard the datagram, pieces still to come included.
#[test]
fn overlap_in_ipv6_discards_the_datagram_for_good() {
    let mut reassembler = reassembler();
    let key = v6_key(1);
    assert_eq!(reassembler.add(&piece(key, 0, true, &[1; 16])), Outcome::Waiting);
    let overlap = Outcome::GivenUp(GiveUp::Overlap);
    assert_eq!(reassembler.add(&piece(key, 1, true, &[1; 16])), overlap);
    assert_eq!(reassembler.bytes(), 0);
    for (block, more) in [(0, true), (1, true), (2, false)] {
        assert_eq!(reassembler.add(&piece(key, block, more, &[1; 8])), overlap);
    }
    assert_eq!(given_up(reassembler.counters(), GiveUp::Overlap), 1);
    // The same number means another datagram once the patience is over.
    let later = Piece { time: Nanos::from_secs(40), ..piece(key, 0, true, &[1; 8]) };
    assert_eq!(reassembler.add(&later), Outcome::Waiting);
    assert_eq!(given_up(reassembler.counters(), GiveUp::TimedOut), 0);
}

/// RFC 5722 would have a piece that repeats a place with other bytes spoil an IPv6
/// datagram; Linux and FreeBSD keep the first copy. Who follows the letter is
/// blinded by one forged piece.
#[test]
fn overlap_in_ipv6_by_a_forged_copy_keeps_the_first_one() {
    let mut reassembler = reassembler();
    reassembler.add(&piece(v6_key(1), 0, true, &[1; 8]));
    assert_eq!(reassembler.add(&piece(v6_key(1), 0, true, &[9; 8])), Outcome::Waiting);
    assert_eq!(reassembler.add(&piece(v6_key(1), 1, false, &[1; 8])), complete(&[1; 16]));
    assert_eq!(reassembler.counters().conflicting, 1);
}

/// Fools readers whose IPv6 key has the next header in it, as the IPv4 one has
/// the protocol: fragments may name different ones, and the first one's counts.
/// The first goes on with options that belong to the datagram.
#[test]
fn evasion_by_another_next_header_in_a_later_ipv6_fragment() {
    let mut reassembler = reassembler();
    let v6 = |next: u8, offset: u16, more: bool, payload: &[u8]| {
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend((8 + payload.len() as u16).to_be_bytes());
        bytes.extend([ipv6::FRAGMENT, 64]);
        bytes.extend([1; 16]);
        bytes.extend([2; 16]);
        bytes.extend([next, 0]);
        bytes.extend((offset | u16::from(more)).to_be_bytes());
        bytes.extend([0, 0, 0, 9]);
        bytes.extend(payload);
        bytes
    };
    let atomic = v6(UDP, 0, false, &[1; 8]);
    let options = [UDP, 0, 1, 4, 0, 0, 0, 0, 0x22, 0x65, 0x22, 0x65, 0, 11, 0, 0];
    let last = v6(6, 16, false, &[0x20, 1, 0]);
    let first = v6(ipv6::DESTINATION, 0, true, &options);
    let parse = |bytes| Piece::v6(&Ipv6::parse(bytes).unwrap(), Nanos(5));
    assert!(parse(&atomic).is_none());
    assert_eq!(reassembler.add(&parse(&last).unwrap()), Outcome::Waiting);
    let Outcome::Complete(whole) = reassembler.add(&parse(&first).unwrap()) else {
        panic!("both pieces came")
    };
    let upper = Upper::parse(whole.protocol, whole.payload).unwrap();
    assert_eq!(upper.protocol(), UDP);
    assert_eq!(upper.payload(), [0x22, 0x65, 0x22, 0x65, 0, 11, 0, 0, 0x20, 1, 0]);
}
