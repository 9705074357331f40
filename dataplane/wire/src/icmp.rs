//! ICMP (RFC 792) and ICMPv6 (RFC 4443): type and code. What an error quotes
//! is somebody else's packet, not traffic, and is not looked into here.

use crate::{Layer, WireError};

/// What an ICMP message means for the question who asked whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Asks for an answer: echo, time stamp, information, address mask.
    Request,
    /// Answers a request.
    Reply,
    /// Reports an error about a packet that it quotes.
    Error,
    /// Neighbour and router discovery, multicast listeners: the link's own housekeeping.
    Discovery,
    /// Anything else.
    Other,
}

/// The fixed four bytes of ICMP or ICMPv6.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    fixed: &'a [u8; 4],
    rest: &'a [u8],
}

impl<'a> Icmp<'a> {
    /// Reads type, code and checksum; `layer` is [`Layer::Icmp`] or [`Layer::Icmpv6`].
    #[inline]
    pub fn parse(bytes: &'a [u8], layer: Layer) -> Result<Self, WireError> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(WireError::truncated(layer))?;
        Ok(Self { fixed, rest })
    }

    /// The type.
    pub const fn kind(&self) -> u8 {
        self.fixed[0]
    }

    /// The code.
    pub const fn code(&self) -> u8 {
        self.fixed[1]
    }

    /// What follows the first four bytes.
    pub const fn body(&self) -> &'a [u8] {
        self.rest
    }

    /// The purpose of an ICMP (IPv4) message.
    pub const fn purpose_v4(&self) -> Purpose {
        match self.kind() {
            8 | 13 | 15 | 17 => Purpose::Request,
            0 | 14 | 16 | 18 => Purpose::Reply,
            3 | 4 | 5 | 11 | 12 => Purpose::Error,
            9 | 10 => Purpose::Discovery,
            _ => Purpose::Other,
        }
    }

    /// The purpose of an ICMPv6 message.
    pub const fn purpose_v6(&self) -> Purpose {
        match self.kind() {
            128 => Purpose::Request,
            129 => Purpose::Reply,
            1..=127 => Purpose::Error,
            130..=137 | 141..=143 => Purpose::Discovery,
            _ => Purpose::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_told_apart() {
        let echo = Icmp::parse(&[8, 0, 0, 0], Layer::Icmp).unwrap();
        assert_eq!(echo.purpose_v4(), Purpose::Request);
        let unreachable = Icmp::parse(&[3, 3, 0, 0, 1], Layer::Icmp).unwrap();
        assert_eq!((unreachable.purpose_v4(), unreachable.code()), (Purpose::Error, 3));
        assert_eq!(unreachable.body(), [1]);
        let solicitation = Icmp::parse(&[135, 0, 0, 0], Layer::Icmpv6).unwrap();
        assert_eq!(solicitation.purpose_v6(), Purpose::Discovery);
        for end in 0..4 {
            assert!(Icmp::parse(&[8, 0, 0, 0][..end], Layer::Icmp).is_err());
        }
    }
}
