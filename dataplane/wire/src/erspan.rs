//! ERSPAN, a switch's mirror session inside GRE (draft-foschiano-erspan-03 §4).
//!
//! Type I has no header: it is protocol type 0x88be in a GRE header *without* a
//! sequence number, and the frame follows at once. What is read here is type
//! II (the same protocol type with a sequence number, version 1) and type III
//! (version 2, with a platform's own subheader if its O flag is set).

use crate::{Layer, WireError};

/// GRE protocol type of types I and II.
pub const TYPE_II: u16 = 0x88be;
/// GRE protocol type of type III.
pub const TYPE_III: u16 = 0x22eb;

/// An ERSPAN header of type II or III.
#[derive(Clone, Copy, Debug)]
pub struct Erspan<'a> {
    fixed: &'a [u8; 8],
    /// Type III's flags: frame type, hardware, direction, granularity, O.
    flags: u16,
    payload: &'a [u8],
}

impl<'a> Erspan<'a> {
    /// Reads the header; its version tells the type.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let truncated = WireError::truncated(Layer::Erspan);
        let (fixed, rest) = bytes.split_first_chunk::<8>().ok_or(truncated)?;
        match fixed[0] >> 4 {
            1 => Ok(Self { fixed, flags: 0, payload: rest }),
            2 => {
                let (more, rest) = rest.split_first_chunk::<4>().ok_or(truncated)?;
                let flags = u16::from_be_bytes([more[2], more[3]]);
                let subheader = if flags & 1 != 0 { 8 } else { 0 };
                Ok(Self { fixed, flags, payload: rest.get(subheader..).ok_or(truncated)? })
            }
            _ => Err(WireError::version(Layer::Erspan)),
        }
    }

    /// The version: 1 for type II, 2 for type III.
    pub const fn version(&self) -> u8 {
        self.fixed[0] >> 4
    }

    /// The mirrored frame's VLAN, 12 bits.
    pub const fn vlan(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]]) & 0x0fff
    }

    /// The mirror session, 10 bits.
    pub const fn session(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]]) & 0x03ff
    }

    /// Whether the payload is an Ethernet frame. Type III may say otherwise
    /// (an IP packet, or a vendor's own), and then it must not be read as one.
    pub const fn is_ethernet(&self) -> bool {
        self.flags >> 10 & 0x1f == 0
    }

    /// The mirrored frame.
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

    fn header(version: u8, vlan: u16, session: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((u16::from(version) << 12 | vlan).to_be_bytes());
        // Class of service and truncation bits all set: they are no part of the session.
        bytes.extend((0xfc00 | session).to_be_bytes());
        bytes.extend([0xaa; 4]);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(4);
        for round in 0..600 {
            let (vlan, session) = (seeded.next() as u16 & 0xfff, seeded.next() as u16 & 0x3ff);
            let (version, subheader) = [(1, 0), (2, 0), (2, 8)][round % 3];
            let mut bytes = header(version, vlan, session);
            let frame_type = seeded.next() as u16 & 0x1f;
            if version == 2 {
                bytes.extend((seeded.next() as u16).to_be_bytes());
                let low = seeded.next() as u16 & 0x03fe;
                let flags = frame_type << 10 | low | u16::from(subheader != 0);
                bytes.extend(flags.to_be_bytes());
                bytes.extend(std::vec![0xbb; subheader]);
            }
            let end = bytes.len();
            bytes.push(0x33);
            let erspan = Erspan::parse(&bytes).unwrap();
            assert_eq!((erspan.version(), erspan.vlan()), (version, vlan));
            assert_eq!((erspan.session(), erspan.payload()), (session, &[0x33][..]));
            assert_eq!(erspan.is_ethernet(), version == 1 || frame_type == 0);
            for cut in 0..end {
                let error = Erspan::parse(&bytes[..cut]).unwrap_err();
                assert_eq!(error, WireError::truncated(Layer::Erspan), "{cut} of {end}");
            }
        }
    }

    #[test]
    fn a_platform_subheader_is_not_the_frame() {
        // Type III, session 7, O set, platform 1: whoever stops at twelve octets reads
        // the subheader as the frame's addresses.
        let mut bytes = std::vec![0x20, 0x64, 0x00, 0x07, 0, 0, 0, 1, 0, 0, 0x00, 0x01];
        bytes.extend([0x04, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0xde, 0xad]);
        let erspan = Erspan::parse(&bytes).unwrap();
        assert_eq!((erspan.vlan(), erspan.session()), (100, 7));
        assert_eq!(erspan.payload(), [0xde, 0xad]);
    }

    #[test]
    fn other_versions_are_errors() {
        for version in (0..16).filter(|version| !matches!(version, 1 | 2)) {
            let error = Erspan::parse(&header(version, 1, 1)).unwrap_err();
            assert_eq!(error, WireError::version(Layer::Erspan));
        }
    }
}
