//! Seeded chance. Whole numbers and the four basic operations only, so that a scenario gives the
//! same bytes on every machine: `ln` and `pow` differ between C libraries.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// One reproducible stream of chance. Every actor of a scenario owns one, so that adding an actor
/// changes no other actor's traffic.
#[derive(Clone, Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        (self.0.next_u32() >> 16) as u16
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias of the multiplication is below 2⁻³²
    /// for every bound used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True with probability `share`.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        // 53 bits are exact in an f64.
        ((self.0.next_u64() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// A waiting time of about the given mean whose tail falls as an exponential's does: the
    /// number of leading zeros of a uniform word is −log₂ of it, interpolated linearly.
    pub(crate) fn wait(&mut self, mean: u64) -> u64 {
        let word = self.0.next_u64() | 1;
        let zeros = word.leading_zeros();
        let fraction = ((word << zeros) << 1) >> 44; // 20 bits below the leading one
        let log2 = (u128::from(zeros) << 20) + (1 << 20) - u128::from(fraction);
        // The interpolated logarithm has mean 1.5; an exponential's would be 1/ln 2 = 1.4427.
        ((log2 * u128::from(mean) * 2 / 3) >> 20) as u64
    }

    /// A heavy-tailed amount: at least `least`, doubled with probability ½ each time up to
    /// `octaves` times, so that P(X > x) falls as 1/x as sizes on the Internet do.
    pub(crate) fn heavy(&mut self, least: u64, octaves: u32) -> u64 {
        let base = least << self.0.next_u64().leading_zeros().min(octaves);
        base + self.below(base)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_its_mean_and_streams_differ() {
        let mut chance = Chance::new(7, 1);
        let mean = (0..100_000).map(|_| chance.wait(1_000)).sum::<u64>() / 100_000;
        assert!((980..1_020).contains(&mean), "mean {mean}");
        assert_ne!(Chance::new(7, 1).u32(), Chance::new(7, 2).u32());
    }

    #[test]
    fn bounds_hold() {
        let mut chance = Chance::new(7, 1);
        assert_eq!(chance.below(0), 0);
        for _ in 0..10_000 {
            assert!((3..=5).contains(&chance.between(3, 5)));
            assert!((100..100 << 6).contains(&chance.heavy(100, 5)));
        }
        assert!(!chance.happens(0.0));
        assert!(chance.happens(1.0));
    }
}
