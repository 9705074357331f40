//! The IP authentication header (RFC 4302 §2): authenticated, not encrypted,
//! so that what follows is read on.

use crate::{Layer, WireError};

/// IP protocol number.
pub const PROTOCOL: u8 = 51;

/// An authentication header.
#[derive(Clone, Copy, Debug)]
pub struct Ah<'a> {
    fixed: &'a [u8; 12],
    payload: &'a [u8],
}

impl<'a> Ah<'a> {
    /// Reads the header. Its length is in words, less two, and the integrity
    /// check value belongs to it.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<12>().ok_or(WireError::truncated(Layer::Ah))?;
        let header = (usize::from(fixed[1]) + 2) * 4;
        let check_value = header.checked_sub(12).ok_or(WireError::length(Layer::Ah))?;
        let payload = rest.get(check_value..).ok_or(WireError::truncated(Layer::Ah))?;
        Ok(Self { fixed, payload })
    }

    /// The protocol number of what follows.
    pub const fn next_header(&self) -> u8 {
        self.fixed[0]
    }

    /// The security parameters index.
    pub const fn spi(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The sequence number.
    pub const fn sequence(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// What follows the header.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(9);
        for _ in 0..300 {
            let (next, words) = (seeded.next() as u8, seeded.next() as u8 % 9);
            let (spi, sequence) = (seeded.next() as u32, seeded.next() as u32);
            let mut bytes = std::vec![next, words + 1, 0, 0];
            bytes.extend(spi.to_be_bytes());
            bytes.extend(sequence.to_be_bytes());
            bytes.extend(std::vec![0xcc; usize::from(words) * 4]);
            let end = bytes.len();
            bytes.extend([1, 2]);
            let ah = Ah::parse(&bytes).unwrap();
            assert_eq!((ah.next_header(), ah.spi(), ah.sequence()), (next, spi, sequence));
            assert_eq!(ah.payload(), [1, 2]);
            for cut in 0..end {
                assert_eq!(Ah::parse(&bytes[..cut]).unwrap_err(), WireError::truncated(Layer::Ah));
            }
        }
    }

    #[test]
    fn hmac_sha1_96_is_stepped_over() {
        // Payload length 4 is 24 octets: 12 of them the check value.
        let mut bytes = [0xee; 25];
        bytes[..12].copy_from_slice(&[17, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
        bytes[24] = 0x08;
        let ah = Ah::parse(&bytes).unwrap();
        assert_eq!((ah.next_header(), ah.spi(), ah.sequence()), (17, 256, 1));
        assert_eq!(ah.payload(), [0x08]);
    }

    #[test]
    fn a_length_below_the_fixed_part_is_an_error() {
        let mut bytes = [0; 40];
        assert_eq!(Ah::parse(&bytes).unwrap_err(), WireError::length(Layer::Ah));
        bytes[1] = 255;
        assert_eq!(Ah::parse(&bytes).unwrap_err(), WireError::truncated(Layer::Ah));
    }
}
