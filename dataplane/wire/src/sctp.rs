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
}

#[cfg(test)]
mod tests {
    use super::*;

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
