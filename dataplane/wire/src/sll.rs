//! Linux cooked capture (LINKTYPE_LINUX_SLL, 113): what stands in place of a
//! link layer in a capture on Linux' `any` device.

use crate::{Layer, WireError};

/// A cooked capture's pseudo-header.
#[derive(Clone, Copy, Debug)]
pub struct Sll<'a> {
    fixed: &'a [u8; 16],
    rest: &'a [u8],
}

impl<'a> Sll<'a> {
    /// Bytes of the header.
    pub const LEN: usize = 16;

    /// Reads the header at the start of a frame.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Sll))?;
        Ok(Self { fixed, rest })
    }

    /// The EtherType; values below 1,536 are Linux' own (1: 802.3, 4: LLC).
    pub const fn ether_type(&self) -> u16 {
        u16::from_be_bytes([self.fixed[14], self.fixed[15]])
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
        let mut seeded = Seeded::new(6);
        for _ in 0..500 {
            let ether_type = seeded.next() as u16;
            let mut bytes: [u8; 18] = core::array::from_fn(|_| seeded.next() as u8);
            bytes[14..16].copy_from_slice(&ether_type.to_be_bytes());
            let sll = Sll::parse(&bytes).unwrap();
            assert_eq!((sll.ether_type(), sll.payload()), (ether_type, &bytes[16..]));
        }
    }

    #[test]
    fn a_frame_sent_by_this_host_is_ipv4() {
        let bytes = [0, 4, 0, 1, 0, 6, 0, 0x0c, 0x29, 1, 2, 3, 0, 0, 0x08, 0x00, 0x45];
        let sll = Sll::parse(&bytes).unwrap();
        assert_eq!((sll.ether_type(), sll.payload()), (ethernet::IPV4, &[0x45][..]));
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Sll::LEN {
            let error = Sll::parse(&[0; 16][..end]).unwrap_err();
            assert_eq!(error, WireError::truncated(Layer::Sll));
        }
    }
}
