//! IPv4 (RFC 791), with options.

use crate::{Address, ErrorKind, Fragment, Layer, WireError};

/// An IPv4 header and the payload that its total length grants.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    fixed: &'a [u8; 20],
    options: &'a [u8],
    payload: &'a [u8],
    short: bool,
}

impl<'a> Ipv4<'a> {
    /// Reads the header. The payload is what the total length says, or what is
    /// there if that is less ([`Ipv4::is_short`]): captures and first fragments
    /// are often cut. A total length of 0 means "to the end": segmentation
    /// offload leaves such packets in captures.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<20>().ok_or(WireError::truncated(Layer::Ipv4))?;
        if fixed[0] >> 4 != 4 {
            return Err(WireError::version(Layer::Ipv4));
        }
        let header = usize::from(fixed[0] & 0x0f) * 4;
        if header < 20 {
            return Err(WireError::length(Layer::Ipv4));
        }
        let (options, rest) =
            rest.split_at_checked(header - 20).ok_or(WireError::truncated(Layer::Ipv4))?;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let granted = match total {
            0 => rest.len(),
            total if total < header => {
                return Err(WireError { layer: Layer::Ipv4, kind: ErrorKind::Length });
            }
            total => total - header,
        };
        let short = granted > rest.len();
        let payload = rest.get(..granted).unwrap_or(rest);
        Ok(Self { fixed, options, payload, short })
    }

    /// Bytes of the header with its options.
    #[inline]
    pub const fn header_len(&self) -> usize {
        20 + self.options.len()
    }

    /// The options, not interpreted.
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// The total length field in bytes.
    pub const fn total_len(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The identification that fragments of one datagram share.
    pub const fn identification(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// Where this packet stands in a fragmented series.
    #[inline]
    pub const fn fragment(&self) -> Fragment {
        let field = u16::from_be_bytes([self.fixed[6], self.fixed[7]]);
        match (field & 0x1fff, field & 0x2000) {
            (0, 0) => Fragment::None,
            (0, _) => Fragment::First,
            _ => Fragment::Later,
        }
    }

    /// The payload's protocol number.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        self.fixed[9]
    }

    /// The sender.
    #[inline]
    pub const fn source(&self) -> Address {
        Address::v4([self.fixed[12], self.fixed[13], self.fixed[14], self.fixed[15]])
    }

    /// The receiver.
    #[inline]
    pub const fn destination(&self) -> Address {
        Address::v4([self.fixed[16], self.fixed[17], self.fixed[18], self.fixed[19]])
    }

    /// The payload, at most what the total length grants.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether the total length promises more than is there.
    pub const fn is_short(&self) -> bool {
        self.short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 28] = [
        0x46, 0x00, 0x00, 0x1a, 0x12, 0x34, 0x20, 0x00, 0x40, 0x11, 0x00, 0x00, 10, 0, 0, 1, 10, 0,
        1, 1, 0x94, 0x04, 0x00, 0x00, 0xaa, 0xbb, 0xcc, 0xdd,
    ];

    #[test]
    fn options_are_stepped_over_and_padding_is_not_payload() {
        let ip = Ipv4::parse(&PACKET).unwrap();
        assert_eq!(ip.header_len(), 24);
        assert_eq!(ip.options(), [0x94, 0x04, 0, 0]);
        assert_eq!(ip.payload(), [0xaa, 0xbb]);
        assert_eq!(ip.fragment(), Fragment::First);
        assert_eq!(ip.source(), Address::v4([10, 0, 0, 1]));
        assert_eq!(ip.destination(), Address::v4([10, 0, 1, 1]));
        assert!(!ip.is_short());
    }

    #[test]
    fn lying_lengths_are_told_apart() {
        let mut packet = PACKET;
        packet[0] = 0x44;
        assert_eq!(Ipv4::parse(&packet).unwrap_err(), WireError::length(Layer::Ipv4));
        packet[0] = 0x65;
        assert_eq!(Ipv4::parse(&packet).unwrap_err(), WireError::version(Layer::Ipv4));
        packet[0] = 0x46;
        packet[3] = 23;
        assert_eq!(Ipv4::parse(&packet).unwrap_err(), WireError::length(Layer::Ipv4));
        packet[2] = 0xff;
        let ip = Ipv4::parse(&packet).unwrap();
        assert!(ip.is_short());
        assert_eq!(ip.payload().len(), 4);
        packet[2..4].fill(0);
        assert_eq!(Ipv4::parse(&packet).unwrap().payload().len(), 4);
    }

    #[test]
    fn every_truncation_is_an_error_or_short() {
        for end in 0..24 {
            assert_eq!(Ipv4::parse(&PACKET[..end]).unwrap_err(), WireError::truncated(Layer::Ipv4));
        }
        assert!(Ipv4::parse(&PACKET[..25]).unwrap().is_short());
    }
}
