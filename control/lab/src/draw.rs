//! What a family leaves to chance: seeded by the family, the intensity and the seed, so that a case is
//! the same on every machine and adding a family changes no other.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// One stream of chance.
#[derive(Clone, Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream that belongs to a name and a seed.
    #[must_use]
    pub fn new(name: &str, seed: u64) -> Self {
        // FNV-1a: it has to be the same everywhere, and no more.
        let stream = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        chance.set_stream(stream);
        Self(chance)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let room = u128::from(high - low) + 1;
        low + ((u128::from(self.0.next_u64()) * room) >> 64) as u64
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.between(0, of.len() as u64 - 1) as usize]
    }

    /// So many different ones of these, in their order.
    pub fn some<T: Clone>(&mut self, of: &[T], count: usize) -> Vec<T> {
        let mut left: Vec<usize> = (0..of.len()).collect();
        while left.len() > count {
            let at = self.between(0, left.len() as u64 - 1) as usize;
            left.remove(at);
        }
        left.into_iter().map(|at| of[at].clone()).collect()
    }

    /// An address of nobody: in the ranges for documentation (RFC 5737), beside those that the sites use.
    pub fn stranger(&mut self) -> String {
        let net = self.one(&["198.51.100", "203.0.113"]).to_owned();
        format!("{net}.{}", self.between(64, 250))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_seed_have_a_stream_of_their_own() {
        let first = |name, seed| Draw::new(name, seed).between(0, u64::MAX);
        assert_eq!(first("beacon", 1), first("beacon", 1));
        assert_ne!(first("beacon", 1), first("beacon", 2));
        assert_ne!(first("beacon", 1), first("upload", 1));
        let mut draw = Draw::new("beacon", 1);
        assert_eq!(draw.some(&[1, 2, 3], 3), [1, 2, 3]);
        assert_eq!(draw.some(&[1, 2, 3, 4], 2).len(), 2);
        assert!((0..100).all(|_| (3..=5).contains(&draw.between(3, 5))));
    }
}
