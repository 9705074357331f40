//! SCTP (RFC 9260): ports, and what the first chunk says about the association.

use crate::{Layer, WireError};

/// Chunk type DATA.
pub const DATA: u8 = 0;
/// Chunk type INIT: the sender opens the association.
pub const INIT: u8 = 1;
/// Chunk type INIT ACK.
pub const INIT_ACK: u8 = 2;
/// Chunk type ABORT.
pub const ABORT: u8 = 6;
/// Chunk type COOKIE ECHO, which DATA may follow.
pub const COOKIE_ECHO: u8 = 10;

/// Payload protocol identifier of S1AP (TS 36.412).
pub const S1AP: u32 = 18;
/// Payload protocol identifier of X2AP (TS 36.422).
pub const X2AP: u32 = 27;
/// Payload protocol identifier of NGAP (TS 38.412).
pub const NGAP: u32 = 60;
/// Payload protocol identifier of XnAP (TS 38.422).
pub const XNAP: u32 = 61;
/// Payload protocol identifier of F1AP (TS 38.472).
pub const F1AP: u32 = 62;
/// Payload protocol identifier of E1AP (TS 37.482).
pub const E1AP: u32 = 64;

/// An SCTP common header with its chunks behind it.
#[derive(Clone, Copy, Debug)]
pub struct Sctp<'a> {
    fixed: &'a [u8; 12],
    chunks: &'a [u8],
}

impl<'a> Sctp<'a> {
    /// Reads the common header.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, chunks) =
            bytes.split_first_chunk::<12>().ok_or(WireError::truncated(Layer::Sctp))?;
        Ok(Self { fixed, chunks })
    }

    /// The sender's port.
    pub const fn source(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The receiver's port.
    pub const fn destination(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The type of the first chunk, if there is one.
    pub const fn first_chunk(&self) -> Option<u8> {
        match self.chunks {
            [kind, ..] => Some(*kind),
            [] => None,
        }
    }

    /// The chunks.
    pub const fn chunks(&self) -> &'a [u8] {
        self.chunks
    }

    /// The payload protocol identifiers of the DATA chunks, one each.
    pub const fn data_protocols(&self) -> DataProtocols<'a> {
        DataProtocols { rest: self.chunks }
    }
}

/// Walks the chunks (§3.2) for the payload protocol identifiers of DATA (§3.3.1).
/// A chunk shorter than its own header ends the walk; a DATA chunk too short to
/// have an identifier has none.
#[derive(Clone, Copy, Debug)]
pub struct DataProtocols<'a> {
    rest: &'a [u8],
}

impl Iterator for DataProtocols<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while let Some(&[kind, _, high, low]) = self.rest.first_chunk() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length < 4 {
                break;
            }
            let chunk = self.rest.get(..length).unwrap_or(self.rest);
            self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            if let (DATA, Some((_, [a, b, c, d, ..]))) = (kind, chunk.split_first_chunk::<12>()) {
                return Some(u32::from_be_bytes([*a, *b, *c, *d]));
            }
        }
        self.rest = &[];
        None
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    fn data(protocol: u32, payload: &[u8]) -> Vec<u8> {
        let mut chunk = std::vec![DATA, 3];
        chunk.extend((16 + payload.len() as u16).to_be_bytes());
        chunk.extend([0, 0, 0, 1, 0, 2, 0, 3]);
        chunk.extend(protocol.to_be_bytes());
        chunk.extend(payload);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    fn packet(chunks: &[u8]) -> Vec<u8> {
        [&[0x96, 0x0c, 0x96, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0], chunks].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seeded = Seeded::new(18);
        for _ in 0..300 {
            let mut chunks = Vec::new();
            let (mut protocols, mut ends) = (Vec::new(), Vec::new());
            for _ in 0..seeded.next() % 6 {
                // A selective acknowledgement may stand anywhere between.
                chunks.extend([3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0]);
                protocols.push(seeded.next() as u32);
                ends.push(12 + chunks.len() + 16);
                let payload = seeded.next().to_be_bytes();
                let len = seeded.next() as usize % 9;
                chunks.extend(data(protocols[protocols.len() - 1], &payload[..len]));
            }
            let bytes = packet(&chunks);
            for end in 12..=bytes.len() {
                let there = ends.iter().filter(|chunk| **chunk <= end).count();
                let read: Vec<_> = Sctp::parse(&bytes[..end]).unwrap().data_protocols().collect();
                assert_eq!(read, protocols[..there], "{end}");
            }
        }
    }

    #[test]
    fn ngap_behind_a_cookie_is_found() {
        // COOKIE ECHO of seven octets and its padding, then an NG Setup's first octets.
        let mut chunks = std::vec![COOKIE_ECHO, 0, 0, 7, 1, 2, 3, 0];
        chunks.extend(data(NGAP, &[0x00, 0x15, 0x00]));
        let bytes = packet(&chunks);
        let protocols: Vec<_> = Sctp::parse(&bytes).unwrap().data_protocols().collect();
        assert_eq!(protocols, [60]);
    }

    #[test]
    fn lying_chunk_lengths_end_the_walk() {
        for length in 0..4 {
            let bytes = packet(&[&[3, 0, 0, length], &data(NGAP, &[])[..]].concat());
            assert_eq!(Sctp::parse(&bytes).unwrap().data_protocols().count(), 0);
        }
        // A DATA chunk that claims to end within its header has no identifier; the next has.
        let short = packet(&[&[DATA, 3, 0, 8, 0, 0, 0, 1], &data(F1AP, &[])[..]].concat());
        let protocols: Vec<_> = Sctp::parse(&short).unwrap().data_protocols().collect();
        assert_eq!(protocols, [F1AP]);
    }

    #[test]
    fn the_first_chunk_is_told() {
        let bytes = [0x96, 0x0c, 0x96, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, INIT, 0, 0, 20];
        let sctp = Sctp::parse(&bytes).unwrap();
        assert_eq!((sctp.source(), sctp.destination()), (38412, 38412));
        assert_eq!(sctp.first_chunk(), Some(INIT));
        assert_eq!(Sctp::parse(&bytes[..12]).unwrap().first_chunk(), None);
        for end in 0..12 {
            assert_eq!(Sctp::parse(&bytes[..end]).unwrap_err(), WireError::truncated(Layer::Sctp));
        }
    }
}
