//! The same rules once more, byte by byte and without any bound on work.

use std::collections::BTreeMap;

use crate::*;

/// The rules as reassembly states them, byte by byte and without any bound on work.
struct Naive {
    datagrams: usize,
    patience: u64,
    waiting: Vec<NaiveRow>,
    counters: Counters,
}

struct NaiveRow {
    key: DatagramKey,
    started: Nanos,
    protocol: Option<u8>,
    total: Option<usize>,
    bytes: BTreeMap<usize, u8>,
    noted: [bool; 2],
    discarded: bool,
}

impl Naive {
    fn new(limits: &Limits) -> Self {
        Self {
            datagrams: limits.datagrams,
            patience: limits.patience.0,
            waiting: Vec::new(),
            counters: Counters::default(),
        }
    }

    fn count(&mut self, reason: GiveUp) -> GiveUp {
        self.counters.given_up[reason as usize] += 1;
        reason
    }

    fn drop(&mut self, at: usize, reason: GiveUp) {
        if !self.waiting.remove(at).discarded {
            self.count(reason);
        }
    }

    fn is_over(&self, row: &NaiveRow, now: Nanos) -> bool {
        now == Nanos::MAX || now.0.abs_diff(row.started.0) > self.patience
    }

    fn expire(&mut self, now: Nanos) {
        while self.waiting.first().is_some_and(|row| self.is_over(row, now)) {
            self.drop(0, GiveUp::TimedOut);
        }
    }

    fn add(&mut self, piece: &Piece<'_>) -> Result<Option<(u8, Vec<u8>)>, GiveUp> {
        self.counters.pieces += 1;
        self.expire(piece.time);
        let v6 = piece.key.protocol.is_none();
        let mut payload = piece.payload;
        let uneven = piece.more && !payload.len().is_multiple_of(8);
        if piece.cut {
            return Err(self.count(GiveUp::Cut));
        }
        if uneven && !v6 {
            payload = &payload[..payload.len() - payload.len() % 8];
        }
        if payload.is_empty() || (uneven && v6) {
            return Err(self.count(GiveUp::BadLength));
        }
        let end = piece.offset + payload.len();
        if end > 65_535 {
            return Err(self.count(GiveUp::TooLong));
        }
        let mut at = self.waiting.iter().position(|row| row.key == piece.key);
        if let Some(found) = at
            && self.is_over(&self.waiting[found], piece.time)
        {
            self.drop(found, GiveUp::TimedOut);
            at = None;
        }
        let at = at.unwrap_or_else(|| {
            if self.waiting.len() == self.datagrams {
                self.drop(0, GiveUp::Evicted);
            }
            self.waiting.push(NaiveRow {
                key: piece.key,
                started: piece.time,
                protocol: None,
                total: None,
                bytes: BTreeMap::new(),
                noted: [false; 2],
                discarded: false,
            });
            self.waiting.len() - 1
        });
        let row = &mut self.waiting[at];
        if row.discarded {
            return Err(GiveUp::Overlap);
        }
        let reach = row.bytes.last_key_value().map_or(0, |(last, _)| last + 1);
        let agrees = match row.total {
            Some(total) if piece.more => end <= total,
            Some(total) => end == total,
            None => piece.more || end >= reach,
        };
        if !agrees {
            return Err(self.count(GiveUp::Contradiction));
        }
        let mut twice = 0;
        let mut conflicting = false;
        for (i, byte) in payload.iter().enumerate() {
            if let Some(there) = row.bytes.get(&(piece.offset + i)) {
                twice += 1;
                conflicting |= there != byte;
            }
        }
        if twice > 0 {
            let noted = std::mem::replace(&mut row.noted[usize::from(conflicting)], true);
            match conflicting {
                _ if noted => {}
                true => self.counters.conflicting += 1,
                false => self.counters.repeated += 1,
            }
            if v6 && twice < payload.len() {
                row.discarded = true;
                return Err(self.count(GiveUp::Overlap));
            }
        }
        self.counters.trimmed += u64::from(uneven);
        for (i, byte) in payload.iter().enumerate() {
            row.bytes.entry(piece.offset + i).or_insert(*byte);
        }
        if !piece.more {
            row.total = Some(end);
        }
        if piece.offset == 0 {
            row.protocol.get_or_insert(piece.protocol);
        }
        if row.total != Some(row.bytes.len()) {
            return Ok(None);
        }
        let row = self.waiting.remove(at);
        self.counters.completed += 1;
        Ok(Some((row.protocol.unwrap(), row.bytes.into_values().collect())))
    }

    fn check(&mut self, reassembler: &mut Reassembler, piece: &Piece<'_>) {
        let expected = self.add(piece);
        match (reassembler.add(piece), &expected) {
            (Outcome::Waiting, Ok(None)) => {}
            (Outcome::Complete(whole), Ok(Some((protocol, bytes)))) => {
                assert_eq!((whole.protocol, whole.payload), (*protocol, &bytes[..]));
            }
            (Outcome::GivenUp(reason), Err(expected)) => assert_eq!(reason, *expected),
            (outcome, _) => panic!("{outcome:?} for {piece:?}, expected {expected:?}"),
        }
        assert_eq!(reassembler.counters(), &self.counters);
        assert_eq!(reassembler.waiting(), self.waiting.len());
    }
}

#[test]
fn noise_reads_as_by_the_naive_model() {
    let limits = Limits { datagrams: 3, bytes: 1 << 20, patience: Nanos(40) };
    let mut reassembler = Reassembler::new(limits, 11);
    let mut naive = Naive::new(&limits);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut time = 1_000_u64;
    for round in 0..300_000 {
        // Reordered a little, and now and then set to another day.
        time = (time + noise.below(6) as u64).saturating_sub(noise.below(4) as u64);
        if noise.below(2_000) == 0 {
            time = noise.below(1 << 20) as u64;
        }
        let number = noise.below(3) as u32;
        let key = if noise.below(2) == 0 { v4_key(number) } else { v6_key(number) };
        let blocks = noise.below(4);
        let tail = if noise.below(4) == 0 { noise.below(8) } else { 0 };
        let payload: Vec<u8> = (0..blocks * 8 + tail).map(|_| noise.below(64) as u8 / 63).collect();
        naive.check(
            &mut reassembler,
            &Piece {
                key,
                protocol: round as u8,
                offset: noise.below(6) * 8,
                more: noise.below(4) != 0,
                cut: noise.below(50) == 0,
                payload: &payload,
                time: Nanos(time),
            },
        );
    }
    reassembler.expire(Nanos::MAX);
    naive.expire(Nanos::MAX);
    assert_eq!(reassembler.counters(), &naive.counters);
    for (name, count) in reassembler.counters().named() {
        assert!(count > 100 || name == "too_long", "{name} came up {count} times only");
    }
}

#[test]
fn every_order_of_overlaps_and_lies_reads_as_by_the_naive_model() {
    let (a, b) = ([0xaa; 24], [0xbb; 24]);
    for key in [v4_key(1), v6_key(1)] {
        let pieces = [
            piece(key, 0, true, &a[..16]),
            piece(key, 1, true, &b[..16]),
            piece(key, 2, true, &a[..8]),
            piece(key, 3, false, &a[..5]),
            piece(key, 3, false, &b[..7]),
            piece(key, 0, true, &b),
        ];
        for order in orders(pieces.len()) {
            let mut reassembler = reassembler();
            let mut naive = Naive::new(&Limits { datagrams: 64, ..Limits::default() });
            for i in order {
                naive.check(&mut reassembler, &pieces[i]);
            }
        }
    }
}
