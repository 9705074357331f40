//! The hash of table keys that strangers choose: addresses, ports, identifications.

/// A hash under a secret, so that nobody can aim keys at one bucket. The secret
/// is in the multiplier too: with a known one, whoever chooses part of a key
/// finds some that meet whatever the secret is.
#[inline]
pub(crate) fn keyed_hash(words: [u64; 5], secret: u64) -> u64 {
    let multiplier = secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1;
    let hash = words.into_iter().fold(secret, |hash, word| fold(hash ^ word, multiplier));
    fold(hash, 0xd6e8_feb8_6659_fd93)
}

/// Both halves of the product, so that every bit of it counts.
#[inline]
pub(crate) const fn fold(word: u64, multiplier: u64) -> u64 {
    let product = word as u128 * multiplier as u128;
    product as u64 ^ (product >> 64) as u64
}
