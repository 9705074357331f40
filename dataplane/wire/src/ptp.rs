//! PTP (IEEE 1588-2019 §13, §14): the header, and the elements (TLVs) behind a message's body.

use crate::{Layer, WireError};

/// Event messages over UDP.
pub const EVENT_PORT: u16 = 319;
/// General messages over UDP.
pub const GENERAL_PORT: u16 = 320;
/// PTP over Ethernet.
pub const ETHER_TYPE: u16 = 0x88f7;

/// A PTP message of a known type.
#[derive(Clone, Copy, Debug)]
pub struct Ptp<'a> {
    fixed: &'a [u8; 34],
    elements: &'a [u8],
}

impl<'a> Ptp<'a> {
    /// Reads the header and steps over the body. What is behind the message's length, padding above
    /// all, is no part of it.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, _) = bytes.split_first_chunk::<34>().ok_or(TRUNCATED)?;
        let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let message = bytes.get(..length).unwrap_or(bytes);
        let body = match fixed[0] & 0xf {
            // Sync, Delay_Req, Follow_Up: a time stamp. Signaling: a port identity.
            0x0 | 0x1 | 0x8 | 0xc => 44,
            // Those of peer delay, and Delay_Resp: a port identity besides.
            0x2 | 0x3 | 0x9 | 0xa => 54,
            // Announce.
            0xb => 64,
            // Management.
            0xd => 48,
            _ => return Err(WireError::length(Layer::Other)),
        };
        let elements = message.get(body..).ok_or(TRUNCATED)?;
        Ok(Self { fixed, elements })
    }

    /// The message's type.
    #[inline]
    pub const fn kind(&self) -> u8 {
        self.fixed[0] & 0xf
    }

    /// The types of its elements. One whose length lies is the last.
    pub fn elements(&self) -> Elements<'a> {
        Elements(self.elements)
    }
}

const TRUNCATED: WireError = WireError::truncated(Layer::Other);

/// The types of a message's elements.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a>(&'a [u8]);

impl Iterator for Elements<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (&[a, b, c, d], rest) = self.0.split_first_chunk()?;
        self.0 = rest.get(usize::from(u16::from_be_bytes([c, d]))..).unwrap_or_default();
        Some(u16::from_be_bytes([a, b]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: usize, elements: &[u8]) -> [u8; 96] {
        let mut bytes = [0; 96];
        bytes[0] = 0x10 | kind;
        bytes[1] = 2;
        bytes[2..4].copy_from_slice(&((body + elements.len()) as u16).to_be_bytes());
        bytes[body..body + elements.len()].copy_from_slice(elements);
        bytes
    }

    #[test]
    fn elements_stand_behind_the_body_of_their_message() {
        let elements = [0, 8, 0, 2, 1, 1, 0, 3, 0, 4, 0, 25, 0xa7, 0];
        for (kind, body) in [(0, 44), (1, 44), (2, 54), (9, 54), (0xb, 64), (0xc, 44), (0xd, 48)] {
            let bytes = message(kind, body, &elements);
            let ptp = Ptp::parse(&bytes).unwrap();
            assert_eq!(ptp.kind(), kind);
            let mut found = ptp.elements();
            assert_eq!([found.next(), found.next(), found.next()], [Some(8), Some(3), None]);
        }
        // Padding is no element.
        assert_eq!(Ptp::parse(&message(0, 44, &[])).unwrap().elements().next(), None);
    }

    #[test]
    fn lengths_that_lie_and_messages_that_are_cut_end_the_walk() {
        let bytes = message(0xb, 64, &[0, 3, 0xff, 0xff, 1, 2]);
        let mut found = Ptp::parse(&bytes).unwrap().elements();
        assert_eq!([found.next(), found.next()], [Some(3), None]);
        for end in 0..64 {
            assert!(Ptp::parse(&bytes[..end]).is_err());
        }
        assert!(Ptp::parse(&message(5, 44, &[])).is_err());
        let mut short = bytes;
        short[3] = 30;
        assert!(Ptp::parse(&short).is_err());
    }
}
