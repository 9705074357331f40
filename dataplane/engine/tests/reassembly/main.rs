//! Reassembly: hostile orders, bounds and timers; against a naive model; against
//! the classic attacks.

mod attacks;
mod model;

use weir_engine::Nanos;
use weir_engine::fragment::{DatagramKey, Piece};
use weir_engine::reassembly::{Counters, Datagram, GiveUp, Limits, Outcome, Reassembler};
use weir_wire::Address;
use weir_wire::ipv4::Ipv4;

const UDP: u8 = 17;

fn v4_key(identification: u32) -> DatagramKey {
    DatagramKey {
        source: Address::v4([10, 0, 0, 1]),
        destination: Address::v4([10, 0, 1, 1]),
        identification,
        protocol: Some(UDP),
    }
}

fn v6_key(identification: u32) -> DatagramKey {
    DatagramKey {
        source: Address(0x2001_0db8 << 96 | 1),
        destination: Address(0x2001_0db8 << 96 | 2),
        identification,
        protocol: None,
    }
}

/// A piece at an offset in blocks of 8 bytes.
fn piece(key: DatagramKey, block: usize, more: bool, payload: &[u8]) -> Piece<'_> {
    Piece { key, protocol: UDP, offset: block * 8, more, cut: false, payload, time: Nanos(1_000) }
}

fn reassembler() -> Reassembler {
    Reassembler::new(Limits { datagrams: 64, bytes: 1 << 20, ..Limits::default() }, 7)
}

fn complete(payload: &[u8]) -> Outcome<'_> {
    Outcome::Complete(Datagram { protocol: UDP, payload })
}

fn given_up(counters: &Counters, reason: GiveUp) -> u64 {
    counters.given_up[reason as usize]
}

/// xorshift64*, so that every run sees the same noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Every order of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in orders(n - 1) {
        for at in 0..n {
            let mut order = shorter.clone();
            order.insert(at, n - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn every_order_completes_with_its_last_piece() {
    let whole: Vec<u8> = (0..8 * 12 + 3).collect();
    let cuts = [0, 1, 2, 4, 7, 11];
    for order in orders(cuts.len()) {
        let mut reassembler = reassembler();
        for (turn, &i) in order.iter().enumerate() {
            let end = cuts.get(i + 1).map_or(whole.len(), |cut| cut * 8);
            let part = &whole[cuts[i] * 8..end];
            let outcome = reassembler.add(&piece(v4_key(1), cuts[i], i + 1 < cuts.len(), part));
            let last = turn + 1 == cuts.len();
            assert_eq!(
                outcome,
                if last { complete(&whole) } else { Outcome::Waiting },
                "{order:?}"
            );
        }
        assert_eq!((reassembler.waiting(), reassembler.bytes()), (0, 0));
    }
}

#[test]
fn the_longest_datagram_in_blocks_of_eight_comes_in_any_order() {
    let whole: Vec<u8> = (0..65_535_u32).map(|i| (i / 8 * 7 + i) as u8).collect();
    let forward: Vec<usize> = (0..8192).collect();
    let backward: Vec<usize> = (0..8192).rev().collect();
    // Neighbours come as late as possible: no two pieces ever join until the end.
    let bit_reversed: Vec<usize> =
        (0..8192_u16).map(|i| usize::from(i.reverse_bits() >> 3)).collect();
    let outside_in: Vec<usize> =
        (0..8192).map(|i| if i % 2 == 0 { i / 2 } else { 8191 - i / 2 }).collect();
    let mut shuffled = forward.clone();
    Noise(3).shuffle(&mut shuffled);
    for order in [forward, backward, bit_reversed, outside_in, shuffled] {
        let mut reassembler = reassembler();
        for (turn, &block) in order.iter().enumerate() {
            let part = &whole[block * 8..whole.len().min(block * 8 + 8)];
            let outcome = reassembler.add(&piece(v4_key(1), block, block < 8191, part));
            assert_eq!(outcome, if turn < 8191 { Outcome::Waiting } else { complete(&whole) });
        }
    }
}

#[test]
fn pieces_without_bytes_or_of_uneven_length_spoil_nothing() {
    for (key, v6) in [(v4_key(1), false), (v6_key(1), true)] {
        let mut reassembler = reassembler();
        let bad = Outcome::GivenUp(GiveUp::BadLength);
        for (block, more) in [(0, true), (0, false), (5, true), (5, false), (8191, false)] {
            assert_eq!(reassembler.add(&piece(key, block, more, &[])), bad);
        }
        for len in 1..8 {
            assert_eq!(reassembler.add(&piece(key, 0, true, &[7; 8][..len])), bad);
        }
        let unaligned = Piece { offset: 4, ..piece(key, 0, true, &[7; 8]) };
        assert_eq!(reassembler.add(&unaligned), bad);
        assert_eq!(reassembler.waiting(), 0);
        // Fools readers that drop the whole of it: Linux reads the whole blocks
        // of an uneven piece in IPv4.
        let uneven = reassembler.add(&piece(key, 0, true, &[7; 13]));
        assert_eq!(uneven, if v6 { bad } else { Outcome::Waiting });
        assert_eq!(reassembler.counters().trimmed, u64::from(!v6));
        let last = reassembler.add(&piece(key, 1, false, &[8]));
        let whole = [7, 7, 7, 7, 7, 7, 7, 7, 8];
        assert_eq!(last, if v6 { Outcome::Waiting } else { complete(&whole) });
    }
}

#[test]
fn the_first_length_that_is_stated_stands() {
    let mut reassembler = reassembler();
    let key = v4_key(1);
    assert_eq!(reassembler.add(&piece(key, 2, false, &[3; 5])), Outcome::Waiting);
    for (block, more, len) in
        [(2, true, 8), (3, true, 8), (2, false, 6), (1, false, 8), (9, false, 1)]
    {
        let bytes = vec![9; len];
        assert_eq!(
            reassembler.add(&piece(key, block, more, &bytes)),
            Outcome::GivenUp(GiveUp::Contradiction),
            "{block} {more} {len}"
        );
    }
    let mut whole = [1; 21];
    whole[16..].fill(3);
    assert_eq!(reassembler.add(&piece(key, 0, true, &[1; 16])), complete(&whole));
    assert_eq!(given_up(reassembler.counters(), GiveUp::Contradiction), 5);
}

#[test]
fn what_a_capture_cut_is_not_taken_for_the_whole() {
    let mut reassembler = reassembler();
    let cut = Piece { cut: true, ..piece(v4_key(1), 1, false, &[2; 8]) };
    assert_eq!(reassembler.add(&cut), Outcome::GivenUp(GiveUp::Cut));
    assert_eq!(reassembler.add(&piece(v4_key(1), 0, true, &[1; 8])), Outcome::Waiting);
}

#[test]
fn patience_is_exact_either_way_on_the_clock() {
    let patience = Nanos::from_secs(30);
    let begin = Nanos::from_secs(1_000);
    for (time, in_time) in [
        (begin.plus(patience), true),
        (begin.plus(patience).plus(Nanos(1)), false),
        (begin.since(patience), true),
        (begin.since(patience).since(Nanos(1)), false),
        (Nanos(0), false),
    ] {
        let mut reassembler = reassembler();
        let first = Piece { time: begin, ..piece(v4_key(1), 0, true, &[1; 8]) };
        reassembler.add(&first);
        let last = Piece { time, ..piece(v4_key(1), 1, false, &[1; 8]) };
        let outcome = reassembler.add(&last);
        assert_eq!(outcome, if in_time { complete(&[1; 16]) } else { Outcome::Waiting });
        assert_eq!(given_up(reassembler.counters(), GiveUp::TimedOut), u64::from(!in_time));
        reassembler.expire(Nanos::MAX);
        assert_eq!(reassembler.waiting(), 0);
    }
}

#[test]
fn time_outs_come_without_being_asked_for() {
    let mut reassembler = reassembler();
    for number in 0..10 {
        reassembler.add(&piece(v4_key(number), 0, true, &[1; 8]));
    }
    for number in 10..14 {
        let time = Nanos::from_secs(100);
        reassembler.add(&Piece { time, ..piece(v4_key(number), 0, true, &[1; 8]) });
    }
    assert_eq!(reassembler.waiting(), 4);
    assert_eq!(given_up(reassembler.counters(), GiveUp::TimedOut), 10);
}

#[test]
fn the_oldest_goes_first_for_want_of_rows() {
    let mut reassembler =
        Reassembler::new(Limits { datagrams: 3, bytes: 0, patience: Nanos::SECOND }, 7);
    for number in 1..=4 {
        reassembler.add(&piece(v4_key(number), 0, true, &[1; 8]));
    }
    assert_eq!(given_up(reassembler.counters(), GiveUp::Evicted), 1);
    for number in 2..=4 {
        let last = reassembler.add(&piece(v4_key(number), 1, false, &[1; 8]));
        assert_eq!(last, complete(&[1; 16]));
    }
    assert_eq!(reassembler.add(&piece(v4_key(1), 1, false, &[1; 8])), Outcome::Waiting);
}

#[test]
fn the_oldest_goes_first_for_want_of_bytes_even_if_it_asks_for_them() {
    let mut reassembler =
        Reassembler::new(Limits { datagrams: 9, bytes: 1 << 16, patience: Nanos::SECOND }, 7);
    let half = vec![1; 1 << 15];
    assert_eq!(reassembler.add(&piece(v4_key(1), 0, true, &half)), Outcome::Waiting);
    assert_eq!(reassembler.add(&piece(v4_key(2), 0, true, &half)), Outcome::Waiting);
    assert_eq!(reassembler.bytes(), 1 << 16);
    // The oldest wants a page, and is itself what has to go.
    assert_eq!(
        reassembler.add(&piece(v4_key(1), 4096, true, &[1; 8])),
        Outcome::GivenUp(GiveUp::Evicted)
    );
    assert_eq!(reassembler.add(&piece(v4_key(3), 0, true, &half)), Outcome::Waiting);
    // A third half: now the second goes, whatever it still waits for.
    assert_eq!(reassembler.add(&piece(v4_key(3), 4096, true, &[1; 512])), Outcome::Waiting);
    assert_eq!(given_up(reassembler.counters(), GiveUp::Evicted), 2);
    assert_eq!((reassembler.waiting(), reassembler.bytes()), (1, (1 << 15) + 512));
}

#[test]
fn packets_of_both_families_come_together_by_their_headers() {
    let mut reassembler = reassembler();
    let v4 = |field: u16, protocol: u8, payload: &[u8]| {
        let mut bytes = vec![0x46, 0];
        bytes.extend((24 + payload.len() as u16).to_be_bytes());
        bytes.extend([0xab, 0xcd]);
        bytes.extend(field.to_be_bytes());
        bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1, 1, 1, 1, 0]);
        bytes.extend(payload);
        bytes
    };
    let first = v4(0x2000, UDP, &[1; 8]);
    let last = v4(1, UDP, &[2; 3]);
    let whole = v4(0, UDP, &[3; 3]);
    let parse = |bytes| Piece::v4(&Ipv4::parse(bytes).unwrap(), Nanos(5));
    assert!(parse(&whole).is_none());
    assert!(parse(&last[..26]).unwrap().cut);
    assert_eq!(reassembler.add(&parse(&first).unwrap()), Outcome::Waiting);
    // Another protocol is another datagram (RFC 791).
    let other = v4(1, 6, &[2; 3]);
    assert_eq!(reassembler.add(&parse(&other).unwrap()), Outcome::Waiting);
    let mut expected = vec![1; 8];
    expected.extend([2; 3]);
    assert_eq!(reassembler.add(&parse(&last).unwrap()), complete(&expected));
}
