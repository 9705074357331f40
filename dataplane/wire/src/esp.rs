//! The IP encapsulating security payload (RFC 4303 §2): opaque behind its
//! first eight octets.

use crate::{Layer, WireError};

/// IP protocol number.
pub const PROTOCOL: u8 = 50;
/// UDP port of ESP behind a NAT (RFC 3948), shared with IKE.
pub const NAT_PORT: u16 = 4500;

/// The clear part of ESP.
#[derive(Clone, Copy, Debug)]
pub struct Esp<'a> {
    fixed: &'a [u8; 8],
    rest: &'a [u8],
}

impl<'a> Esp<'a> {
    /// Bytes of the clear part.
    pub const LEN: usize = 8;

    /// Reads the clear part.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Esp))?;
        Ok(Self { fixed, rest })
    }

    /// The security parameters index; RFC 4303 reserves 0 to 255.
    pub const fn spi(&self) -> u32 {
        u32::from_be_bytes([self.fixed[0], self.fixed[1], self.fixed[2], self.fixed[3]])
    }

    /// The sequence number; a sender's first is 1.
    pub const fn sequence(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The encrypted rest.
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(10);
        for _ in 0..500 {
            let word = seeded.next();
            let mut bytes = [0xdd; 12];
            bytes[..8].copy_from_slice(&word.to_be_bytes());
            let esp = Esp::parse(&bytes).unwrap();
            assert_eq!((esp.spi(), esp.sequence()), ((word >> 32) as u32, word as u32));
            assert_eq!(esp.payload(), [0xdd; 4]);
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Esp::LEN {
            let error = Esp::parse(&[0; 8][..end]).unwrap_err();
            assert_eq!(error, WireError::truncated(Layer::Esp));
        }
    }
}
