//! IPv4 (RFC 791), with options.

use crate::{Address, ErrorKind, Fragment, Layer, WireError};

const MORE_FRAGMENTS: u16 = 0x2000;
/// The bits of the offset, in units of 8 bytes.
const FRAGMENT_OFFSET: u16 = 0x1fff;

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

    /// The options, padding included. They are not interpreted: nothing in them
    /// moves the payload, so no length or loop in them can mislead a reader.
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// Whether the header is longer than its fixed part.
    pub const fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// The total length field in bytes.
    pub const fn total_len(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The identification that fragments of one datagram share, 16 bits; without
    /// meaning in a datagram that is not fragmented (RFC 6864).
    #[inline]
    pub const fn identification(&self) -> u32 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]]) as u32
    }

    /// Where the payload stands in its datagram, in bytes: a multiple of 8, at
    /// most 65,528.
    #[inline]
    pub const fn fragment_offset(&self) -> usize {
        (self.fragment_field() & FRAGMENT_OFFSET) as usize * 8
    }

    /// Whether more of the datagram follows this packet.
    #[inline]
    pub const fn more_fragments(&self) -> bool {
        self.fragment_field() & MORE_FRAGMENTS != 0
    }

    const fn fragment_field(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]])
    }

    /// Where this packet stands in a fragmented series.
    #[inline]
    pub const fn fragment(&self) -> Fragment {
        match self.fragment_field() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) {
            0 => Fragment::None,
            MORE_FRAGMENTS => Fragment::First,
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
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const PACKET: [u8; 28] = [
        0x46, 0x00, 0x00, 0x1a, 0x12, 0x34, 0x20, 0x00, 0x40, 0x11, 0x00, 0x00, 10, 0, 0, 1, 10, 0,
        1, 1, 0x94, 0x04, 0x00, 0x00, 0xaa, 0xbb, 0xcc, 0xdd,
    ];

    /// A packet with these options, a multiple of 4 bytes, and this payload.
    fn packet(options: &[u8], payload: &[u8]) -> Vec<u8> {
        let header = 20 + options.len();
        let mut bytes = std::vec![0x40 | (header / 4) as u8, 0];
        bytes.extend(((header + payload.len()) as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]);
        bytes.extend(options);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn options_are_stepped_over_and_padding_is_not_payload() {
        let ip = Ipv4::parse(&PACKET).unwrap();
        assert_eq!(ip.header_len(), 24);
        assert_eq!(ip.options(), [0x94, 0x04, 0, 0]);
        assert!(ip.has_options());
        assert_eq!(ip.payload(), [0xaa, 0xbb]);
        assert_eq!(ip.fragment(), Fragment::First);
        assert_eq!(ip.source(), Address::v4([10, 0, 0, 1]));
        assert_eq!(ip.destination(), Address::v4([10, 0, 1, 1]));
        assert!(!ip.is_short());
        assert!(!Ipv4::parse(&packet(&[], &[1])).unwrap().has_options());
    }

    #[test]
    fn every_fragment_field_is_read_back() {
        let mut bytes = packet(&[], &[0xaa; 8]);
        for (offset, more, kind) in [
            (0, false, Fragment::None),
            (0, true, Fragment::First),
            (8, true, Fragment::Later),
            (1480, false, Fragment::Later),
            (0x1fff * 8, true, Fragment::Later),
        ] {
            // Don't Fragment and the reserved ("evil") bit, with which some
            // filters tell fragments, mean nothing here.
            for others in [0, 0x4000, 0x8000, 0xc000] {
                let field = others | u16::from(more) << 13 | (offset / 8) as u16;
                bytes[4..6].copy_from_slice(&[0xbe, 0xef]);
                bytes[6..8].copy_from_slice(&field.to_be_bytes());
                let ip = Ipv4::parse(&bytes).unwrap();
                assert_eq!(
                    (ip.identification(), ip.fragment_offset(), ip.more_fragments()),
                    (0xbeef, offset, more)
                );
                assert_eq!(ip.fragment(), kind);
                assert_eq!(ip.payload(), [0xaa; 8]);
            }
        }
    }

    /// Readers that walk options loop for ever on a length of 0, or run past the
    /// header on one that points beyond it, and so lose the datagram behind it.
    #[test]
    fn evasion_by_options_that_loop_or_point_beyond_moves_no_payload() {
        let payload = [0x08, 0x68, 0x08, 0x68];
        for options in [
            [0x94, 0, 0, 0],       // router alert of length 0: a loop
            [0x94, 1, 0, 0],       // of length 1: shorter than its own header
            [0x94, 0xff, 0, 0],    // beyond the header and the packet
            [1, 1, 1, 0x94],       // a type as the last byte: its length would be payload
            [0, 0x94, 4, 0],       // bytes behind End of Options: unused, and never looked at
            [0x83, 3, 4, 0x44],    // loose source route, cut
            [0xff, 0xff, 0xff, 1], // no option of any standard
        ] {
            let bytes = packet(&options, &payload);
            let ip = Ipv4::parse(&bytes).unwrap();
            assert_eq!((ip.options(), ip.payload()), (&options[..], &payload[..]));
            assert_eq!(ip.header_len(), 24);
        }
        let longest = packet(&[0; 40], &payload);
        let ip = Ipv4::parse(&longest).unwrap();
        assert_eq!((ip.header_len(), ip.payload()), (60, &payload[..]));
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

    #[test]
    fn noise_yields_parts_of_the_input_only() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut parsed = 0;
        for round in 0..50_000_usize {
            let mut bytes: Vec<u8> = (0..round % 80)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state as u8
                })
                .collect();
            if let Some(first) = bytes.first_mut() {
                *first = 0x40 | *first & 0x0f;
            }
            if let Ok(ip) = Ipv4::parse(&bytes) {
                parsed += 1;
                let end = ip.header_len() + ip.payload().len();
                assert_eq!(ip.payload(), &bytes[ip.header_len()..end]);
                assert_eq!(ip.options(), &bytes[20..ip.header_len()]);
                let promised = usize::from(ip.total_len());
                assert_eq!(ip.is_short(), promised > bytes.len());
                assert!(promised == 0 || ip.is_short() || end == promised);
                assert_eq!(
                    ip.fragment() == Fragment::None,
                    ip.fragment_offset() == 0 && !ip.more_fragments()
                );
            }
        }
        assert!(parsed > 10_000, "{parsed}");
    }
}
