//! Linux cooked capture, version 2 (LINKTYPE_LINUX_SLL2, 276): the EtherType
//! stands first, and the interface is told.

use crate::{Layer, WireError};

/// A cooked capture's pseudo-header, version 2.
#[derive(Clone, Copy, Debug)]
pub struct Sll2<'a> {
    fixed: &'a [u8; 20],
    rest: &'a [u8],
}

impl<'a> Sll2<'a> {
    /// Bytes of the header.
    pub const LEN: usize = 20;

    /// Reads the header at the start of a frame.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Sll2))?;
        Ok(Self { fixed, rest })
    }

    /// The EtherType; values below 1,536 are Linux' own (1: 802.3, 4: LLC).
    pub const fn ether_type(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// What follows the header.
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethernet;
    use crate::seeded::Seeded;

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(7);
        for _ in 0..500 {
            let ether_type = seeded.next() as u16;
            let mut bytes: [u8; 22] = core::array::from_fn(|_| seeded.next() as u8);
            bytes[..2].copy_from_slice(&ether_type.to_be_bytes());
            let sll2 = Sll2::parse(&bytes).unwrap();
            assert_eq!((sll2.ether_type(), sll2.payload()), (ether_type, &bytes[20..]));
        }
    }

    #[test]
    fn a_frame_on_the_second_interface_is_ipv6() {
        let bytes =
            [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 0, 0x0c, 0x29, 1, 2, 3, 0, 0, 0x60, 0x00];
        let sll2 = Sll2::parse(&bytes).unwrap();
        assert_eq!((sll2.ether_type(), sll2.payload()), (ethernet::IPV6, &[0x60, 0x00][..]));
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Sll2::LEN {
            let error = Sll2::parse(&[0; 20][..end]).unwrap_err();
            assert_eq!(error, WireError::truncated(Layer::Sll2));
        }
    }
}
