//! The hash of the session machine's maps: fast, and under a secret, since peers
//! choose the keys.

use std::hash::Hasher;
use std::sync::OnceLock;

use crate::keyed_hash::fold;

/// A secret of this process. Maps under it are never walked in their own order
/// where that could be seen.
fn secret() -> u64 {
    static SECRET: OnceLock<u64> = OnceLock::new();
    *SECRET.get_or_init(|| {
        use std::hash::BuildHasher;
        std::collections::hash_map::RandomState::new().hash_one(0_u64)
    })
}

/// A multiplying hash under the process's secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyedHasher {
    state: u64,
    multiplier: u64,
}

impl Default for KeyedHasher {
    #[inline]
    fn default() -> Self {
        let secret = secret();
        Self { state: secret, multiplier: secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1 }
    }
}

impl KeyedHasher {
    #[inline]
    fn word(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.multiplier);
    }
}

impl Hasher for KeyedHasher {
    #[inline]
    fn finish(&self) -> u64 {
        fold(self.state, 0xd6e8_feb8_6659_fd93)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.word(number as u64);
        self.word((number >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }
}

/// The hash of a message's bytes: equal bytes come again.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = KeyedHasher::default();
    hasher.write(bytes);
    hasher.finish()
}
