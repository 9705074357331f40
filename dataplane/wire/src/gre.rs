//! GRE (RFC 2784, with RFC 2890's key and sequence number) and the version 1
//! that PPTP uses (RFC 2637 §4.1).
//!
//! RFC 1701's routing field is of a length that only its own entries tell. No
//! system of today sends it, so a header that announces one is an error of
//! version, rather than a payload read at the wrong place. Its other bits
//! (strict source route, recursion) move nothing and are not looked at: who
//! discards them, as RFC 2784 §2.3 allows, can be led past a packet by one bit.

use crate::{Layer, WireError};

/// Protocol type of an Ethernet frame (transparent Ethernet bridging).
pub const ETHERNET: u16 = 0x6558;
/// Protocol type of PPP, version 1's only one.
pub const PPP: u16 = 0x880b;

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
/// Version 1's acknowledgement number, in the second octet.
const ACKNOWLEDGEMENT: u8 = 0x80;

/// A GRE header.
#[derive(Clone, Copy, Debug)]
pub struct Gre<'a> {
    fixed: &'a [u8; 4],
    key: Option<&'a [u8; 4]>,
    sequence: Option<&'a [u8; 4]>,
    payload: &'a [u8],
}

impl<'a> Gre<'a> {
    /// Bytes of the mandatory part.
    pub const LEN: usize = 4;

    /// Reads the header with its optional fields.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<4>().ok_or(WireError::truncated(Layer::Gre))?;
        let (flags, version) = (fixed[0], fixed[1] & 0x07);
        let accepted = match version {
            0 => flags & ROUTING == 0,
            // RFC 2637 wants a key, and neither checksum nor routing.
            1 => flags & (CHECKSUM | ROUTING | KEY) == KEY,
            _ => false,
        };
        if !accepted {
            return Err(WireError::version(Layer::Gre));
        }
        let (_, rest) = optional(rest, flags & CHECKSUM != 0)?;
        let (key, rest) = optional(rest, flags & KEY != 0)?;
        let (sequence, rest) = optional(rest, flags & SEQUENCE != 0)?;
        let (_, payload) = optional(rest, version == 1 && fixed[1] & ACKNOWLEDGEMENT != 0)?;
        Ok(Self { fixed, key, sequence, payload })
    }

    /// The version: 0, or 1 for PPTP.
    pub const fn version(&self) -> u8 {
        self.fixed[1] & 0x07
    }

    /// The payload's EtherType.
    pub const fn protocol(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The key, if there is one; in version 1 payload length and call identifier.
    pub const fn key(&self) -> Option<u32> {
        number(self.key)
    }

    /// The sequence number, if there is one.
    pub const fn sequence(&self) -> Option<u32> {
        number(self.sequence)
    }

    /// What follows the header; in version 1 a PPP frame.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

type Field<'a> = Option<&'a [u8; 4]>;

fn optional(bytes: &[u8], present: bool) -> Result<(Field<'_>, &[u8]), WireError> {
    if !present {
        return Ok((None, bytes));
    }
    let (field, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(Layer::Gre))?;
    Ok((Some(field), rest))
}

const fn number(field: Field<'_>) -> Option<u32> {
    match field {
        Some(octets) => Some(u32::from_be_bytes(*octets)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    fn header(flags: u8, protocol: u16, fields: &[u32]) -> Vec<u8> {
        let mut bytes = std::vec![flags, 0];
        bytes.extend(protocol.to_be_bytes());
        bytes.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(3);
        for round in 0..800 {
            let flags = round % 8;
            let (checksum, keyed, numbered) = (flags & 4 != 0, flags & 2 != 0, flags & 1 != 0);
            let values: [u32; 3] = core::array::from_fn(|_| seeded.next() as u32);
            let protocol = seeded.next() as u16;
            let present = [checksum, keyed, numbered];
            let fields: Vec<u32> = values
                .into_iter()
                .zip(present)
                .filter(|(_, there)| *there)
                .map(|(v, _)| v)
                .collect();
            let mut bits = if checksum { CHECKSUM } else { 0 };
            bits |= if keyed { KEY } else { 0 };
            bits |= if numbered { SEQUENCE } else { 0 };
            let mut bytes = header(bits, protocol, &fields);
            let end = bytes.len();
            bytes.push(0x45);
            let gre = Gre::parse(&bytes).unwrap();
            assert_eq!((gre.version(), gre.protocol()), (0, protocol));
            assert_eq!(gre.key(), keyed.then_some(values[1]));
            assert_eq!(gre.sequence(), numbered.then_some(values[2]));
            assert_eq!(gre.payload(), &bytes[end..]);
            for cut in 0..end {
                let error = Gre::parse(&bytes[..cut]).unwrap_err();
                assert_eq!(error, WireError::truncated(Layer::Gre));
            }
        }
    }

    #[test]
    fn pptps_version_is_read_to_its_ppp_frame() {
        // A data packet with sequence and acknowledgement numbers, as Windows sends it.
        let bytes =
            [0x30, 0x81, 0x88, 0x0b, 0x00, 0x02, 0x40, 0x00, 0, 0, 0, 7, 0, 0, 0, 3, 0xff, 0x03];
        let gre = Gre::parse(&bytes).unwrap();
        assert_eq!((gre.version(), gre.protocol()), (1, PPP));
        assert_eq!((gre.key(), gre.sequence()), (Some(0x0002_4000), Some(7)));
        assert_eq!(gre.payload(), [0xff, 0x03]);
        let keyless = [0x10, 0x01, 0x88, 0x0b, 0, 0, 0, 7];
        assert_eq!(Gre::parse(&keyless).unwrap_err(), WireError::version(Layer::Gre));
    }

    #[test]
    fn routing_is_an_error_rather_than_a_wrong_offset() {
        let bytes = header(ROUTING, 0x0800, &[0, 0x0800_0004, 0x0a00_0001, 0, 0x4500_0014]);
        assert_eq!(Gre::parse(&bytes).unwrap_err(), WireError::version(Layer::Gre));
        for version in 2..8 {
            let bytes = [0, version, 0x08, 0x00];
            assert_eq!(Gre::parse(&bytes).unwrap_err(), WireError::version(Layer::Gre));
        }
    }

    #[test]
    fn bits_that_move_nothing_do_not_hide_the_packet() {
        // Strict source route and recursion control: RFC 2784 receivers discard, some do not.
        let bytes = [0x0f, 0x00, 0x08, 0x00, 0x45];
        assert_eq!(Gre::parse(&bytes).unwrap().payload(), [0x45]);
    }
}
