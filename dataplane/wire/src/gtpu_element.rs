//! Information elements of GTP-U's signalling messages (TS 29.281 §8): what
//! stands behind the extension headers of every message but the G-PDU.
//!
//! Types below 128 have no length field: their length is the standard's, so
//! that an unknown one can't be stepped over and ends the walk. The others
//! have two octets of length, except the Extension Header Type List with one.

use crate::gtpu::Teid;
use crate::{Address, Layer, WireError};

/// Recovery: a restart counter, always 0 since release 7.
pub const RECOVERY: u8 = 14;
/// Tunnel Endpoint Identifier Data I: the tunnel that an error is about.
pub const TEID_DATA_I: u8 = 16;
/// GTP-U Peer Address: the receiver of the packet that an error is about.
pub const PEER_ADDRESS: u8 = 133;
/// Extension Header Type List: what the sender supports.
pub const EXTENSION_HEADER_TYPES: u8 = 141;
/// GTP-U Tunnel Status Information.
pub const TUNNEL_STATUS: u8 = 230;
/// Recovery Time Stamp.
pub const RECOVERY_TIME_STAMP: u8 = 231;
/// Private Extension: a vendor's own.
pub const PRIVATE_EXTENSION: u8 = 255;

/// An information element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    /// The type.
    pub kind: u8,
    /// The value, without type and length.
    pub value: &'a [u8],
}

impl<'a> Element<'a> {
    /// The restart counter of a Recovery.
    pub const fn recovery(&self) -> Option<u8> {
        match self {
            Self { kind: RECOVERY, value: [counter, ..] } => Some(*counter),
            _ => None,
        }
    }

    /// The tunnel that an Error Indication is about.
    pub fn teid(&self) -> Option<Teid> {
        self.word(TEID_DATA_I).map(Teid)
    }

    /// The peer that an Error Indication is about; none if the value is no address.
    pub fn peer(&self) -> Option<Address> {
        if self.kind != PEER_ADDRESS {
            return None;
        }
        match self.value.len() {
            4 => self.value.first_chunk().copied().map(Address::v4),
            16 => self.value.first_chunk().copied().map(Address::v6),
            _ => None,
        }
    }

    /// The extension header types that the sender supports.
    pub const fn extension_types(&self) -> Option<&'a [u8]> {
        match self {
            Self { kind: EXTENSION_HEADER_TYPES, value } => Some(value),
            _ => None,
        }
    }

    /// The flags of Tunnel Status Information: 1 charging pauses, 2 it goes on.
    pub const fn tunnel_status(&self) -> Option<u8> {
        match self {
            Self { kind: TUNNEL_STATUS, value: [flags, ..] } => Some(*flags),
            _ => None,
        }
    }

    /// When the sender started, in seconds since 1900.
    pub fn recovery_time_stamp(&self) -> Option<u32> {
        self.word(RECOVERY_TIME_STAMP)
    }

    /// The enterprise number of a Private Extension, and its content.
    pub const fn private_extension(&self) -> Option<(u16, &'a [u8])> {
        match self {
            Self { kind: PRIVATE_EXTENSION, value: [high, low, content @ ..] } => {
                Some((u16::from_be_bytes([*high, *low]), content))
            }
            _ => None,
        }
    }

    fn word(&self, kind: u8) -> Option<u32> {
        let octets = self.value.first_chunk()?;
        (self.kind == kind).then(|| u32::from_be_bytes(*octets))
    }

    /// Octets of the element that its definition needs, type and length included.
    fn needed(&self) -> usize {
        let length_octets = match self.kind {
            0..128 => 0,
            EXTENSION_HEADER_TYPES => 1,
            _ => 2,
        };
        let value = match self.kind {
            RECOVERY | TUNNEL_STATUS => 1,
            TEID_DATA_I | RECOVERY_TIME_STAMP => 4,
            PEER_ADDRESS if self.value.len() < 16 => 4,
            PEER_ADDRESS => 16,
            EXTENSION_HEADER_TYPES | PRIVATE_EXTENSION => self.value.len(),
            _ => return 0,
        };
        1 + length_octets + value.min(self.value.len())
    }
}

/// Walks the elements of a message's body. After an error the walk is over.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    ended: bool,
}

impl<'a> Elements<'a> {
    /// The elements of a body: what [`Extensions::rest`](crate::gtpu_extension::Extensions::rest)
    /// gives when its walk has ended.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body, ended: false }
    }

    /// What follows the elements walked so far; empty at the end of a sound body.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn step(&self) -> Result<(Element<'a>, &'a [u8]), WireError> {
        let truncated = WireError::truncated(Layer::Gtpu);
        let (&kind, rest) = self.rest.split_first().ok_or(truncated)?;
        let (length, rest) = match kind {
            RECOVERY => (1, rest),
            TEID_DATA_I => (4, rest),
            0..128 => return Err(WireError::length(Layer::Gtpu)),
            EXTENSION_HEADER_TYPES => {
                let (length, rest) = rest.split_first().ok_or(truncated)?;
                (usize::from(*length), rest)
            }
            _ => {
                let (length, rest) = rest.split_first_chunk().ok_or(truncated)?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length).ok_or(truncated)?;
        Ok((Element { kind, value }, rest))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.rest.is_empty() {
            return None;
        }
        Some(match self.step() {
            Ok((element, rest)) => {
                self.rest = rest;
                Ok(element)
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        })
    }
}

/// Octets of a body that its elements need: those of the elements that TS
/// 29.281 defines, as long as their definition has them. What is left of the
/// body (unknown elements, overlong ones, bytes in no element) is room to hide
/// in. A Private Extension needs all of itself, and is told as such.
pub fn needed(body: &[u8]) -> usize {
    Elements::new(body).flatten().map(|element| element.needed()).sum()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    /// Error Indication's body: TEID Data I, and the peer's IPv4 address.
    const INDICATION: [u8; 12] = [16, 0x12, 0x34, 0x56, 0x78, 133, 0, 4, 10, 0, 0, 1];

    fn written(kind: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![kind];
        match kind {
            0..128 => {}
            141 => bytes.push(value.len() as u8),
            _ => bytes.extend((value.len() as u16).to_be_bytes()),
        }
        bytes.extend(value);
        bytes
    }

    #[test]
    fn what_is_written_is_read_and_every_truncation_ends_the_walk() {
        let mut seeded = Seeded::new(12);
        for _ in 0..500 {
            let mut values = Vec::new();
            for kind in [14, 16, 133, 141, 230, 231, 255, 200] {
                let len = match kind {
                    14 | 230 => 1,
                    16 | 231 => 4,
                    133 => [4, 16][seeded.next() as usize % 2],
                    _ => seeded.next() as usize % 30,
                };
                let value: Vec<u8> = (0..len).map(|_| seeded.next() as u8).collect();
                values.push((kind, value));
            }
            let bytes: Vec<u8> =
                values.iter().flat_map(|(kind, value)| written(*kind, value)).collect();
            let read: Vec<_> = Elements::new(&bytes).map(Result::unwrap).collect();
            assert_eq!(read.len(), values.len());
            for (element, (kind, value)) in read.iter().zip(&values) {
                assert_eq!((element.kind, element.value), (*kind, &value[..]));
                let word = value.first_chunk().map(|octets| u32::from_be_bytes(*octets));
                let wants = |other: u8| *kind == other;
                assert_eq!(element.recovery(), wants(14).then(|| value[0]));
                assert_eq!(element.teid(), word.filter(|_| wants(16)).map(Teid));
                assert_eq!(element.tunnel_status(), wants(230).then(|| value[0]));
                assert_eq!(element.recovery_time_stamp(), word.filter(|_| wants(231)));
                assert_eq!(element.extension_types(), wants(141).then_some(&value[..]));
                assert_eq!(element.peer().is_some(), wants(133));
                assert_eq!(element.private_extension().is_some(), wants(255) && value.len() > 1);
            }
            let unknown = written(200, &values[7].1).len();
            assert_eq!(needed(&bytes), bytes.len() - unknown);
            for end in 0..bytes.len() {
                let mut walk = Elements::new(&bytes[..end]);
                let sound = walk.by_ref().take_while(Result::is_ok).count();
                assert!(sound < values.len());
                assert!(walk.next().is_none());
            }
        }
    }

    #[test]
    fn an_error_indication_names_tunnel_and_peer() {
        let read: Vec<_> = Elements::new(&INDICATION).map(Result::unwrap).collect();
        assert_eq!(read[0].teid(), Some(Teid(0x1234_5678)));
        assert_eq!(read[1].peer(), Some(Address::v4([10, 0, 0, 1])));
        assert_eq!(needed(&INDICATION), INDICATION.len());
        let odd = Element { kind: PEER_ADDRESS, value: &[1, 2, 3, 4, 5] };
        assert_eq!(odd.peer(), None);
    }

    #[test]
    fn the_extension_header_types_have_one_octet_of_length() {
        // Supported Extension Headers Notification, then a Private Extension of 3GPP's 10415.
        let bytes = [141, 2, 0x85, 0xc0, 255, 0, 3, 0x28, 0xaf, 7];
        let read: Vec<_> = Elements::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(read[0].extension_types(), Some(&[0x85, 0xc0][..]));
        assert_eq!(read[1].private_extension(), Some((10415, &[7][..])));
    }

    #[test]
    fn an_unknown_element_without_length_ends_the_walk_where_it_stands() {
        let bytes = [14, 0, 1, 2, 3];
        let mut walk = Elements::new(&bytes);
        assert_eq!(walk.next().unwrap().unwrap().recovery(), Some(0));
        assert_eq!(walk.next(), Some(Err(WireError::length(Layer::Gtpu))));
        assert!(walk.next().is_none());
        assert_eq!(walk.rest(), [1, 2, 3]);
    }

    #[test]
    fn whatever_an_echo_does_not_need_is_seen() {
        // A Recovery, and behind it: bytes of no element; an unknown element; a status
        // of one octet with four. tshark 4.0 stops at the first and the last, and takes the
        // other for an element of GTP-C.
        assert_eq!(needed(&[14, 0]), 2);
        assert_eq!(needed(&[14, 0, 0, 0, 0, 0]), 2);
        assert_eq!(needed(&[14, 0, 200, 0, 3, b'k', b'e', b'y']), 2);
        assert_eq!(needed(&[14, 0, 230, 0, 4, 1, b'k', b'e', b'y']), 6);
        assert_eq!(needed(&[133, 0, 5, 1, 2, 3, 4, 5]), 7);
        assert_eq!(needed(&[255, 0, 3, 0, 1, 2]), 6);
    }
}
