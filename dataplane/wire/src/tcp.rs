//! TCP (RFC 9293): the fixed header, and where the payload starts.

use crate::{Layer, WireError};

/// Flag FIN.
pub const FIN: u8 = 0x01;
/// Flag SYN.
pub const SYN: u8 = 0x02;
/// Flag RST.
pub const RST: u8 = 0x04;
/// Flag PSH.
pub const PSH: u8 = 0x08;
/// Flag ACK.
pub const ACK: u8 = 0x10;

/// A TCP header.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    fixed: &'a [u8; 20],
    payload: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// Reads the header; options that reach beyond the bytes leave an empty payload.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, _) = bytes.split_first_chunk::<20>().ok_or(WireError::truncated(Layer::Tcp))?;
        let header = usize::from(fixed[12] >> 4) * 4;
        if header < 20 {
            return Err(WireError::length(Layer::Tcp));
        }
        Ok(Self { fixed, payload: bytes.get(header..).unwrap_or_default() })
    }

    /// The sender's port.
    pub const fn source(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The receiver's port.
    pub const fn destination(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The sequence number.
    pub const fn sequence(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The acknowledgement number; meaningful if [`ACK`] is set.
    pub const fn acknowledgement(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// The eight flags from CWR to FIN.
    pub const fn flags(&self) -> u8 {
        self.fixed[13]
    }

    /// The payload.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_stepped_over() {
        let mut bytes = [0; 26];
        bytes[..4].copy_from_slice(&[0x15, 0xb3, 0x84, 0xf2]);
        bytes[8..12].copy_from_slice(&[0, 0, 1, 0]);
        bytes[12] = 0x60;
        bytes[13] = PSH | ACK;
        bytes[24..].copy_from_slice(b"ls");
        let tcp = Tcp::parse(&bytes).unwrap();
        assert_eq!((tcp.source(), tcp.destination()), (5555, 34034));
        assert_eq!((tcp.acknowledgement(), tcp.flags()), (256, PSH | ACK));
        assert_eq!(tcp.payload(), b"ls");
        bytes[12] = 0xf0;
        assert!(Tcp::parse(&bytes).unwrap().payload().is_empty());
        bytes[12] = 0x40;
        assert_eq!(Tcp::parse(&bytes).unwrap_err(), WireError::length(Layer::Tcp));
        for end in 0..20 {
            assert_eq!(Tcp::parse(&bytes[..end]).unwrap_err(), WireError::truncated(Layer::Tcp));
        }
    }
}
