//! IPv6 (RFC 8200), its extension headers walked to the upper layer.

use crate::{Address, Fragment, Layer, WireError};

/// Next header: hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Next header: routing.
pub const ROUTING: u8 = 43;
/// Next header: fragment.
pub const FRAGMENT: u8 = 44;
/// Next header: destination options.
pub const DESTINATION: u8 = 60;
/// Next header: mobility (RFC 6275).
pub const MOBILITY: u8 = 135;
/// Next header: host identity protocol (RFC 7401).
pub const HIP: u8 = 139;
/// Next header: shim6 (RFC 5533).
pub const SHIM6: u8 = 140;

/// The longest chain of extension headers that is walked.
pub const MAX_EXTENSIONS: usize = 16;

/// An IPv6 header, the end of its extension headers, and the payload that its
/// length grants.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    fixed: &'a [u8; 40],
    extensions: usize,
    protocol: u8,
    fragment: Fragment,
    identification: u32,
    payload: &'a [u8],
    short: bool,
}

impl<'a> Ipv6<'a> {
    /// Reads the header and walks the extension headers that precede the upper
    /// layer. A payload length of 0 means "to the end" (jumbograms and
    /// segmentation offload). After a later fragment's header nothing is walked.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<40>().ok_or(WireError::truncated(Layer::Ipv6))?;
        if fixed[0] >> 4 != 6 {
            return Err(WireError::version(Layer::Ipv6));
        }
        let granted = match usize::from(u16::from_be_bytes([fixed[4], fixed[5]])) {
            0 => rest.len(),
            length => length,
        };
        let short = granted > rest.len();
        let upper = rest.get(..granted).unwrap_or(rest);
        let mut view = Self {
            fixed,
            extensions: 0,
            protocol: fixed[6],
            fragment: Fragment::None,
            identification: 0,
            payload: upper,
            short,
        };
        if is_extension(fixed[6]) {
            view.walk()?;
        }
        Ok(view)
    }

    fn walk(&mut self) -> Result<(), WireError> {
        for _ in 0..MAX_EXTENSIONS {
            if !is_extension(self.protocol) || self.fragment == Fragment::Later {
                return Ok(());
            }
            let (head, _) =
                self.payload.split_first_chunk::<8>().ok_or(WireError::truncated(Layer::Ipv6))?;
            let length = if self.protocol == FRAGMENT {
                let field = u16::from_be_bytes([head[2], head[3]]);
                self.fragment = match (field >> 3, field & 1) {
                    (0, 0) => self.fragment,
                    (0, _) => Fragment::First,
                    _ => Fragment::Later,
                };
                self.identification = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                8
            } else {
                (usize::from(head[1]) + 1) * 8
            };
            self.payload = self.payload.get(length..).ok_or(WireError::truncated(Layer::Ipv6))?;
            self.protocol = head[0];
            self.extensions += length;
        }
        if is_extension(self.protocol) { Err(WireError::depth(Layer::Ipv6)) } else { Ok(()) }
    }

    /// Bytes of the header with its extension headers.
    #[inline]
    pub const fn header_len(&self) -> usize {
        40 + self.extensions
    }

    /// The payload length field in bytes, extension headers included.
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// The fragment header's identification, 0 without one.
    pub const fn identification(&self) -> u32 {
        self.identification
    }

    /// Where this packet stands in a fragmented series.
    #[inline]
    pub const fn fragment(&self) -> Fragment {
        self.fragment
    }

    /// The protocol number of the payload.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The sender.
    #[inline]
    pub fn source(&self) -> Address {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[8..24]);
        Address::v6(octets)
    }

    /// The receiver.
    #[inline]
    pub fn destination(&self) -> Address {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[24..40]);
        Address::v6(octets)
    }

    /// The upper layer, at most what the payload length grants.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether the payload length promises more than is there.
    pub const fn is_short(&self) -> bool {
        self.short
    }
}

const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION | MOBILITY | HIP | SHIM6)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn packet(next: u8, upper: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0x60, 0, 0, 0, 0, upper.len() as u8, next, 64];
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(upper);
        bytes
    }

    #[test]
    fn extensions_lead_to_the_upper_layer() {
        let mut upper = std::vec![DESTINATION, 0, 0, 0, 0, 0, 0, 0];
        upper.extend([17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        upper.extend([0xaa; 8]);
        let bytes = packet(HOP_BY_HOP, &upper);
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ip.protocol(), ip.header_len()), (17, 64));
        assert_eq!(ip.payload(), [0xaa; 8]);
        for end in 40..64 {
            assert!(Ipv6::parse(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_later_fragment_is_not_walked_into() {
        let upper = [HOP_BY_HOP, 0, 0x05, 0x18, 0, 0, 0, 9, 0xff, 0xff];
        let bytes = packet(FRAGMENT, &upper);
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!(ip.fragment(), Fragment::Later);
        assert_eq!(ip.identification(), 9);
        assert_eq!(ip.payload(), [0xff, 0xff]);
    }

    #[test]
    fn an_atomic_fragment_is_no_fragment() {
        let bytes = packet(FRAGMENT, &[17, 0, 0, 0, 0, 0, 0, 9, 1, 2]);
        assert_eq!(Ipv6::parse(&bytes).unwrap().fragment(), Fragment::None);
    }

    #[test]
    fn an_endless_chain_ends() {
        let upper: Vec<u8> =
            std::iter::repeat_n([DESTINATION, 0, 0, 0, 0, 0, 0, 0], 30).flatten().collect();
        assert_eq!(
            Ipv6::parse(&packet(DESTINATION, &upper)).unwrap_err(),
            WireError::depth(Layer::Ipv6)
        );
    }
}
