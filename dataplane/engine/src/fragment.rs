//! A fragment of an IP datagram: what it is a piece of, and which.

use weir_wire::Address;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;

use crate::Nanos;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DatagramKey {
    /// The sender.
    pub source: Address,
    /// The receiver.
    pub destination: Address,
    /// The number that the sender gave the datagram.
    pub identification: u32,
    /// The protocol number in IPv4. None in IPv6, whose fragments may each name
    /// another one and still belong together (RFC 8200 §4.5).
    pub protocol: Option<u8>,
}

impl DatagramKey {
    /// The key of an IPv4 fragment.
    #[inline]
    pub fn v4(ip: &Ipv4<'_>) -> Self {
        Self {
            source: ip.source(),
            destination: ip.destination(),
            identification: ip.identification(),
            protocol: Some(ip.protocol()),
        }
    }

    /// The key of an IPv6 fragment.
    #[inline]
    pub fn v6(ip: &Ipv6<'_>) -> Self {
        Self {
            source: ip.source(),
            destination: ip.destination(),
            identification: ip.identification(),
            protocol: None,
        }
    }

    /// A hash under a secret, so that nobody can aim datagrams at one bucket.
    #[inline]
    pub fn hash(&self, secret: u64) -> u64 {
        let protocol = self.protocol.map_or(0x100, u64::from);
        let mut hash = secret;
        for word in [
            self.source.0 as u64,
            (self.source.0 >> 64) as u64,
            self.destination.0 as u64,
            (self.destination.0 >> 64) as u64,
            u64::from(self.identification) << 16 | protocol,
        ] {
            let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15_u128;
            hash = (product as u64) ^ ((product >> 64) as u64);
        }
        hash
    }
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The datagram that it belongs to.
    pub key: DatagramKey,
    /// The protocol number that it names for the datagram's payload.
    pub protocol: u8,
    /// Where it stands in that payload, in bytes.
    pub offset: usize,
    /// Whether it is not the last.
    pub more: bool,
    /// Whether the capture holds less of it than was sent.
    pub cut: bool,
    /// Its bytes.
    pub payload: &'a [u8],
    /// When it was seen.
    pub time: Nanos,
}

impl<'a> Piece<'a> {
    /// The piece in an IPv4 packet; none if that is no fragment.
    pub fn v4(ip: &Ipv4<'a>, time: Nanos) -> Option<Self> {
        let (offset, more) = (ip.fragment_offset(), ip.more_fragments());
        (offset > 0 || more).then(|| Self {
            key: DatagramKey::v4(ip),
            protocol: ip.protocol(),
            offset,
            more,
            cut: ip.is_short(),
            payload: ip.payload(),
            time,
        })
    }

    /// The piece in an IPv6 packet; none if that is no fragment.
    pub fn v6(ip: &Ipv6<'a>, time: Nanos) -> Option<Self> {
        let (protocol, payload) = ip.piece()?;
        Some(Self {
            key: DatagramKey::v6(ip),
            protocol,
            offset: ip.fragment_offset(),
            more: ip.more_fragments(),
            cut: ip.is_short(),
            payload,
            time,
        })
    }
}
