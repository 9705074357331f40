//! UDP (RFC 768).

use crate::{Layer, WireError};

/// A UDP header and the payload that its length grants.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    fixed: &'a [u8; 8],
    payload: &'a [u8],
}

impl<'a> Udp<'a> {
    /// Bytes of the header.
    pub const LEN: usize = 8;

    /// Reads the header. A length of 0 (jumbograms, segmentation offload) or
    /// beyond the bytes that are there (fragments, cut captures) means "to the
    /// end"; a length of 1 to 7 is an error.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<8>().ok_or(WireError::truncated(Layer::Udp))?;
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let payload = match length {
            0 => rest,
            1..8 => return Err(WireError::length(Layer::Udp)),
            length => rest.get(..length - 8).unwrap_or(rest),
        };
        Ok(Self { fixed, payload })
    }

    /// The sender's port.
    #[inline]
    pub const fn source(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The receiver's port.
    #[inline]
    pub const fn destination(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The payload.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_governs_and_lies_are_bounded() {
        let mut bytes = [0x08, 0x68, 0x22, 0x65, 0, 10, 0, 0, 1, 2, 3];
        let udp = Udp::parse(&bytes).unwrap();
        assert_eq!((udp.source(), udp.destination(), udp.payload()), (2152, 8805, &[1, 2][..]));
        bytes[5] = 0;
        assert_eq!(Udp::parse(&bytes).unwrap().payload().len(), 3);
        bytes[4] = 0xff;
        assert_eq!(Udp::parse(&bytes).unwrap().payload().len(), 3);
        bytes[4..6].copy_from_slice(&[0, 7]);
        assert_eq!(Udp::parse(&bytes).unwrap_err(), WireError::length(Layer::Udp));
        for end in 0..8 {
            assert_eq!(Udp::parse(&bytes[..end]).unwrap_err(), WireError::truncated(Layer::Udp));
        }
    }
}
