//! Skewed traffic: which share of the frames each of four workers gets, by what a network card
//! does with outer headers and by what receive threads do.

use weir_engine::Frame;
use weir_engine::worker::Setup;

use crate::outcome::Outcome;
use crate::traffic::Traffic;

/// Workers among which frames are spread.
const WORKERS: usize = 4;

/// Frames of a case.
const FRAMES: usize = 1 << 16;

/// Of ten frames, those in the one large tunnel.
const ELEPHANT: usize = 9;

/// Adds the shares of each case to the table, and the largest ones as figures.
pub fn shares(outcome: &mut Outcome) {
    let pair = Traffic::imix(10_000, FRAMES);
    let one = Traffic::imix(1, 64);
    let elephant: Vec<&[u8]> = (pair.frames().iter().enumerate())
        .map(|(n, frame)| match n % 10 {
            of if of < ELEPHANT => &one.frames()[n % 64][..],
            _ => frame,
        })
        .collect();
    let pair: Vec<&[u8]> = pair.frames().iter().map(Vec::as_slice).collect();
    let setup = Setup { hash_key: 7, ..Setup::default() };
    let cases = [
        ("pair", "one gNB–UPF pair, 10,000 tunnels", &pair),
        ("elephant", "the same, 9 of 10 frames in one tunnel", &elephant),
    ];
    for (name, title, frames) in cases {
        let outer = Shares::of(frames, |frame| u64::from(outer_hash(frame)));
        let reshard = Shares::of(frames, |frame| {
            setup.deal_lean(&Frame { bytes: frame, meta: Default::default() }).number
        });
        for (by, what, shares) in [
            ("outer", "a card's hash of outer headers", outer),
            ("reshard", "receive_cores", reshard),
        ] {
            outcome.figure(&format!("skew_{name}_{by}_largest_share"), shares.largest());
            outcome.line(format!("spread over {WORKERS} workers, {title}: {what}: {shares}"));
        }
    }
}

/// The share of each worker.
#[derive(Clone, Copy, Debug)]
struct Shares([f64; WORKERS]);

impl Shares {
    fn of(frames: &[&[u8]], number: impl Fn(&[u8]) -> u64) -> Self {
        let mut counts = [0_u32; WORKERS];
        for frame in frames {
            counts[(number(frame) % WORKERS as u64) as usize] += 1;
        }
        Self(counts.map(|count| f64::from(count) / frames.len() as f64))
    }

    fn largest(self) -> f64 {
        self.0.into_iter().fold(0.0, f64::max)
    }
}

impl std::fmt::Display for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shares = self.0.map(|share| format!("{:.1} %", share * 100.0));
        f.write_str(&shares.join(", "))
    }
}

/// Toeplitz over addresses and ports of IPv4 and UDP, under the key that is alike in both
/// directions: what a card does that knows no GTP-U.
fn outer_hash(frame: &[u8]) -> u32 {
    const KEY: u32 = 0x6d5a_6d5a;
    let input = frame.get(26..38).unwrap_or_default();
    // The key repeats every 16 bits, so bit n meets it rotated by n.
    let bits = input.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.zip(0_u32..)
        .filter(|(bit, _)| *bit == 1)
        .fold(0, |hash, (_, n)| hash ^ KEY.rotate_left(n % 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_are_spread_evenly_where_outer_headers_are_one_flow() {
        let mut outcome = Outcome::default();
        shares(&mut outcome);
        let figure = |name: &str| outcome.figures()[name].as_f64().unwrap();
        assert_eq!(figure("skew_pair_outer_largest_share"), 1.0);
        assert!(figure("skew_pair_reshard_largest_share") < 0.3);
        // One tunnel stays in order on one worker, whoever spreads.
        assert_eq!(figure("skew_elephant_outer_largest_share"), 1.0);
        let elephant = figure("skew_elephant_reshard_largest_share");
        assert!((0.9..0.95).contains(&elephant), "{elephant}");
    }

    #[test]
    fn both_directions_hash_alike() {
        let mut frame = vec![0; 14];
        frame.extend([
            0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2, 1, 2, 3, 4,
        ]);
        let mut back = frame.clone();
        back[26..30].copy_from_slice(&frame[30..34]);
        back[30..34].copy_from_slice(&frame[26..30]);
        back[34..36].copy_from_slice(&frame[36..38]);
        back[36..38].copy_from_slice(&frame[34..36]);
        assert_eq!(outer_hash(&frame), outer_hash(&back));
        back[33] ^= 1;
        assert_ne!(outer_hash(&frame), outer_hash(&back));
    }
}
