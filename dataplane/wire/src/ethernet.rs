//! Ethernet II and its VLAN tags (IEEE 802.3, 802.1Q).

use crate::{Layer, WireError};

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of a customer VLAN tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of a service VLAN tag (802.1ad).
pub const SERVICE_VLAN: u16 = 0x88a8;
/// The service tag's number before 802.1ad gave it one.
pub const OLD_SERVICE_VLAN: u16 = 0x9100;

/// Whether an EtherType announces a VLAN tag.
pub const fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN)
}

/// An Ethernet II header.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<'a> {
    fixed: &'a [u8; 14],
    rest: &'a [u8],
}

impl<'a> Ethernet<'a> {
    /// Bytes of the header.
    pub const LEN: usize = 14;

    /// Reads the header at the start of a frame.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Eth))?;
        Ok(Self { fixed, rest })
    }

    /// The receiver's MAC address.
    pub const fn destination(&self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = *self.fixed;
        [a, b, c, d, e, f]
    }

    /// The sender's MAC address.
    pub const fn source(&self) -> [u8; 6] {
        let [_, _, _, _, _, _, a, b, c, d, e, f, ..] = *self.fixed;
        [a, b, c, d, e, f]
    }

    /// The EtherType, or below 1,536 the length of an 802.3 frame.
    #[inline]
    pub const fn ether_type(&self) -> u16 {
        u16::from_be_bytes([self.fixed[12], self.fixed[13]])
    }

    /// What follows the header.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

/// A VLAN tag: the four bytes after an EtherType for which [`is_vlan`] holds,
/// its own type being the next header's.
#[derive(Clone, Copy, Debug)]
pub struct Vlan<'a> {
    fixed: &'a [u8; 4],
    rest: &'a [u8],
}

impl<'a> Vlan<'a> {
    /// Bytes of a tag.
    pub const LEN: usize = 4;

    /// Reads the tag control information and the next EtherType.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Vlan))?;
        Ok(Self { fixed, rest })
    }

    /// The VLAN identifier, 12 bits.
    pub const fn id(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]]) & 0x0fff
    }

    /// The EtherType of what follows.
    pub const fn ether_type(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// What follows the tag.
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGGED: [u8; 20] =
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0x00, 0x20, 0x64, 0x08, 0x00, 0x45, 0x00];

    #[test]
    fn a_tagged_frame_gives_its_parts() {
        let ethernet = Ethernet::parse(&TAGGED).unwrap();
        assert_eq!(ethernet.destination(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(ethernet.source(), [7, 8, 9, 10, 11, 12]);
        assert!(is_vlan(ethernet.ether_type()));
        let vlan = Vlan::parse(ethernet.payload()).unwrap();
        assert_eq!((vlan.id(), vlan.ether_type()), (100, IPV4));
        assert_eq!(vlan.payload(), [0x45, 0x00]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        for end in 0..Ethernet::LEN {
            assert_eq!(
                Ethernet::parse(&TAGGED[..end]).unwrap_err(),
                WireError::truncated(Layer::Eth)
            );
        }
        for end in 0..Vlan::LEN {
            assert!(Vlan::parse(&TAGGED[14..14 + end]).is_err());
        }
    }
}
