//! BSD's loopback encapsulation: an address family before the packet, in the
//! capturing host's byte order (LINKTYPE_NULL, 0) or in network order
//! (LINKTYPE_LOOP, 108).

use crate::{Layer, WireError, ethernet};

/// AF_INET, on every system.
const INET: u32 = 2;
/// AF_INET6: Linux and Windows' npcap, NetBSD and OpenBSD, FreeBSD, Darwin.
const INET6: [u32; 4] = [10, 24, 28, 30];

/// A loopback header.
#[derive(Clone, Copy, Debug)]
pub struct Null<'a> {
    family: u32,
    rest: &'a [u8],
}

impl<'a> Null<'a> {
    /// Bytes of the header.
    pub const LEN: usize = 4;

    /// Reads LINKTYPE_NULL. The file does not tell the host's byte order, but
    /// families are small numbers: the smaller reading is the right one.
    #[inline]
    pub fn parse_null(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Null))?;
        let family = u32::from_be_bytes(*fixed).min(u32::from_le_bytes(*fixed));
        Ok(Self { family, rest })
    }

    /// Reads LINKTYPE_LOOP, whose family is in network order.
    #[inline]
    pub fn parse_loop(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Null))?;
        Ok(Self { family: u32::from_be_bytes(*fixed), rest })
    }

    /// The EtherType that the family stands for, if it is IP's.
    pub fn ether_type(&self) -> Option<u16> {
        match self.family {
            INET => Some(ethernet::IPV4),
            family if INET6.contains(&family) => Some(ethernet::IPV6),
            _ => None,
        }
    }

    /// The packet.
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    fn expected(family: u32) -> Option<u16> {
        match family {
            2 => Some(0x0800),
            10 | 24 | 28 | 30 => Some(0x86dd),
            _ => None,
        }
    }

    #[test]
    fn every_family_is_read_in_either_byte_order() {
        for family in 0..=255_u32 {
            let [a, b, c, d] = family.to_be_bytes();
            let big = [a, b, c, d, 0x45];
            let little = [d, c, b, a, 0x45];
            for bytes in [&big, &little] {
                let null = Null::parse_null(bytes).unwrap();
                assert_eq!((null.ether_type(), null.payload()), (expected(family), &[0x45][..]));
            }
            assert_eq!(Null::parse_loop(&big).unwrap().ether_type(), expected(family));
        }
        assert_eq!(Null::parse_loop(&[2, 0, 0, 0]).unwrap().ether_type(), None);
    }

    #[test]
    fn a_large_number_is_no_family() {
        let mut seeded = Seeded::new(8);
        for _ in 0..500 {
            let bytes = (seeded.next() as u32 | 0x0001_0100).to_be_bytes();
            assert_eq!(Null::parse_null(&bytes).unwrap().ether_type(), None);
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Null::LEN {
            let cut = &[0, 0, 0, 2][..end];
            assert_eq!(Null::parse_null(cut).unwrap_err(), WireError::truncated(Layer::Null));
            assert_eq!(Null::parse_loop(cut).unwrap_err(), WireError::truncated(Layer::Null));
        }
    }
}
