//! PPP over Ethernet (RFC 2516 §4), with the PPP protocol number behind it
//! (RFC 1661 §2).
//!
//! The length field governs, since Ethernet pads short frames. A number whose
//! first octet is odd is one octet long (protocol field compression, RFC 1661
//! §6.5): RFC 2516 §7 advises against it and peers negotiate it all the same.
//! Who always takes off two octets reads every packet of such a session askew.

use crate::{Layer, WireError, ethernet};

/// EtherType of the discovery stage.
pub const DISCOVERY: u16 = 0x8863;
/// EtherType of the session stage.
pub const SESSION: u16 = 0x8864;

/// PPP protocol number of IPv4.
const PPP_IPV4: u16 = 0x0021;
/// PPP protocol number of IPv6.
const PPP_IPV6: u16 = 0x0057;

/// A PPPoE header, and in a session the PPP protocol number.
#[derive(Clone, Copy, Debug)]
pub struct Pppoe<'a> {
    fixed: &'a [u8; 6],
    protocol: u16,
    payload: &'a [u8],
}

impl<'a> Pppoe<'a> {
    /// Bytes of the header before the PPP protocol number.
    pub const LEN: usize = 6;

    /// Reads the header. The payload is what the length says, or what is there
    /// if that is less, as a cut capture leaves it. A length in which a session's
    /// protocol number does not fit is an error.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<6>().ok_or(WireError::truncated(Layer::Pppoe))?;
        if fixed[0] != 0x11 {
            return Err(WireError::version(Layer::Pppoe));
        }
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let granted = rest.get(..length).unwrap_or(rest);
        if fixed[1] != 0 {
            return Ok(Self { fixed, protocol: 0, payload: granted });
        }
        let (protocol, payload) = match granted {
            [short, payload @ ..] if short & 1 == 1 => (u16::from(*short), payload),
            [high, low, payload @ ..] => (u16::from_be_bytes([*high, *low]), payload),
            _ if length > granted.len() => return Err(WireError::truncated(Layer::Pppoe)),
            _ => return Err(WireError::length(Layer::Pppoe)),
        };
        Ok(Self { fixed, protocol, payload })
    }

    /// The code: 0 in a session, else a step of discovery.
    pub const fn code(&self) -> u8 {
        self.fixed[1]
    }

    /// The session identifier.
    pub const fn session_id(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The PPP protocol number; 0, which PPP does not use, in discovery.
    pub const fn protocol(&self) -> u16 {
        self.protocol
    }

    /// The EtherType of the payload, if it is an IP packet.
    pub const fn ether_type(&self) -> Option<u16> {
        match self.protocol {
            PPP_IPV4 => Some(ethernet::IPV4),
            PPP_IPV6 => Some(ethernet::IPV6),
            _ => None,
        }
    }

    /// What follows the PPP protocol number, or discovery's tags.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    fn session(id: u16, protocol: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0x11, 0];
        bytes.extend(id.to_be_bytes());
        bytes.extend(((protocol.len() + payload.len()) as u16).to_be_bytes());
        bytes.extend([protocol, payload].concat());
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(2);
        for _ in 0..500 {
            let id = seeded.next() as u16;
            // An uncompressed number has an even first octet.
            let protocol = seeded.next() as u16 & 0xfeff;
            let payload = seeded.next().to_be_bytes();
            let mut bytes = session(id, &protocol.to_be_bytes(), &payload);
            bytes.extend([0; 9]);
            let pppoe = Pppoe::parse(&bytes).unwrap();
            assert_eq!((pppoe.code(), pppoe.session_id(), pppoe.protocol()), (0, id, protocol));
            assert_eq!(pppoe.payload(), payload, "Ethernet's padding is not payload");
        }
    }

    #[test]
    fn ip_in_both_forms_of_the_protocol_number_is_found() {
        // A reader of two octets takes 0x2145 for the protocol here and passes over the packet.
        for (protocol, ether_type) in [
            (&[0x00, 0x21][..], Some(ethernet::IPV4)),
            (&[0x21], Some(ethernet::IPV4)),
            (&[0x00, 0x57], Some(ethernet::IPV6)),
            (&[0x57], Some(ethernet::IPV6)),
            (&[0xc0, 0x21], None),
        ] {
            let bytes = session(0x1234, protocol, &[0x45, 0x00]);
            let pppoe = Pppoe::parse(&bytes).unwrap();
            assert_eq!((pppoe.ether_type(), pppoe.payload()), (ether_type, &[0x45, 0x00][..]));
        }
    }

    #[test]
    fn discovery_has_tags_and_no_protocol() {
        // PADI with an empty Service-Name tag (RFC 2516 appendix B).
        let bytes = [0x11, 0x09, 0, 0, 0, 4, 0x01, 0x01, 0x00, 0x00];
        let pppoe = Pppoe::parse(&bytes).unwrap();
        assert_eq!((pppoe.code(), pppoe.protocol(), pppoe.ether_type()), (9, 0, None));
        assert_eq!(pppoe.payload(), [1, 1, 0, 0]);
    }

    #[test]
    fn lying_lengths_and_versions_are_told() {
        let mut bytes = session(1, &[0x00, 0x21], &[0x45]);
        bytes[4..6].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Pppoe::parse(&bytes).unwrap().payload(), [0x45]);
        for short in [0, 1] {
            bytes[4..6].copy_from_slice(&[0, short]);
            assert_eq!(Pppoe::parse(&bytes).unwrap_err(), WireError::length(Layer::Pppoe));
        }
        bytes[0] = 0x21;
        assert_eq!(Pppoe::parse(&bytes).unwrap_err(), WireError::version(Layer::Pppoe));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_shorter_payload() {
        let bytes = session(1, &[0x00, 0x21], &[0x45, 0, 0, 20]);
        for end in 0..8 {
            let error = Pppoe::parse(&bytes[..end]).unwrap_err();
            assert_eq!(error, WireError::truncated(Layer::Pppoe), "{end}");
        }
        for end in 8..bytes.len() {
            assert_eq!(Pppoe::parse(&bytes[..end]).unwrap().payload(), &bytes[8..end]);
        }
    }
}
