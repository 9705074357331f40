//! VXLAN (RFC 7348 §5).
//!
//! The I flag must be set, and every reserved bit and octet zero; anything else
//! is an error of version, since who uses the reserved parts gives them a
//! meaning (VXLAN-GPE's next protocol, group policies), and the payload may
//! then be something other than an Ethernet frame.

use crate::{Layer, WireError};

/// The registered UDP port.
pub const PORT: u16 = 4789;

/// A VXLAN header.
#[derive(Clone, Copy, Debug)]
pub struct Vxlan<'a> {
    fixed: &'a [u8; 8],
    rest: &'a [u8],
}

impl<'a> Vxlan<'a> {
    /// Bytes of the header.
    pub const LEN: usize = 8;

    /// Reads the header of a UDP payload.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Vxlan))?;
        match fixed {
            [0x08, 0, 0, 0, _, _, _, 0] => Ok(Self { fixed, rest }),
            _ => Err(WireError::version(Layer::Vxlan)),
        }
    }

    /// The network identifier, 24 bits.
    pub const fn vni(&self) -> u32 {
        u32::from_be_bytes([0, self.fixed[4], self.fixed[5], self.fixed[6]])
    }

    /// The Ethernet frame.
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
        let mut seeded = Seeded::new(5);
        for _ in 0..500 {
            let vni = seeded.next() as u32 >> 8;
            let [_, a, b, c] = vni.to_be_bytes();
            let bytes = [0x08, 0, 0, 0, a, b, c, 0, 0xfe];
            let vxlan = Vxlan::parse(&bytes).unwrap();
            assert_eq!((vxlan.vni(), vxlan.payload()), (vni, &[0xfe][..]));
        }
    }

    #[test]
    fn a_missing_i_flag_or_a_reserved_bit_is_another_version() {
        let valid = [0x08, 0, 0, 0, 0, 0, 123, 0];
        for bit in (0..64).filter(|bit| !(32..56).contains(bit)) {
            let mut bytes = valid;
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(
                Vxlan::parse(&bytes).unwrap_err(),
                WireError::version(Layer::Vxlan),
                "{bit}"
            );
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Vxlan::LEN {
            let error = Vxlan::parse(&[8, 0, 0, 0, 0, 0, 1, 0][..end]).unwrap_err();
            assert_eq!(error, WireError::truncated(Layer::Vxlan));
        }
    }
}
