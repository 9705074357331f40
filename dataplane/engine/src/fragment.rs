//! A fragment of an IP datagram: what it is a piece of, and which.

use weir_wire::Address;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;

use crate::Nanos;
use crate::keyed_hash::keyed_hash;

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
    /// No datagram's.
    pub(crate) const NONE: Self =
        Self { source: Address(0), destination: Address(0), identification: 0, protocol: None };

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
        let words = [
            self.source.0 as u64,
            (self.source.0 >> 64) as u64,
            self.destination.0 as u64,
            (self.destination.0 >> 64) as u64,
            u64::from(self.identification) << 16 | protocol,
        ];
        keyed_hash(words, secret)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(identification: u32) -> DatagramKey {
        DatagramKey {
            source: Address::v4([10, 0, 0, 1]),
            destination: Address::v4([10, 0, 1, 1]),
            identification,
            protocol: Some(17),
        }
    }

    #[test]
    fn the_hash_depends_on_every_part_of_the_key_and_on_the_secret() {
        let one = key(1);
        for other in [
            DatagramKey { source: one.destination, ..one },
            DatagramKey { destination: one.source, ..one },
            DatagramKey { source: one.destination, destination: one.source, ..one },
            key(2),
            DatagramKey { protocol: Some(6), ..one },
            DatagramKey { protocol: None, ..one },
            DatagramKey { protocol: Some(0), ..one },
        ] {
            assert_ne!(other.hash(1), one.hash(1), "{other:?}");
        }
        assert_ne!(one.hash(1), one.hash(2));
    }

    /// Whoever knows the code but not the secret can try out keys at home; what
    /// meets there must not meet here.
    #[test]
    fn keys_that_meet_under_one_secret_part_under_another() {
        let bucket = |key: &DatagramKey, secret| key.hash(secret) % 1024;
        for secret in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let aimed: Vec<_> =
                (0..).map(key).filter(|key| bucket(key, 42) == 7).take(64).collect();
            let mut hit: Vec<_> = aimed.iter().map(|key| bucket(key, secret)).collect();
            hit.sort_unstable();
            hit.dedup();
            assert!(hit.len() > 54, "{secret}: {} buckets for 64 keys", hit.len());
        }
    }

    /// Keys that differ in one part only meet no more and no less often than chance.
    #[test]
    fn no_difference_between_keys_makes_them_meet_or_part() {
        type Change = fn(DatagramKey) -> DatagramKey;
        let changes: [Change; 5] = [
            |key| DatagramKey { source: Address::v4([10, 0, 0, 2]), ..key },
            |key| DatagramKey { destination: Address::v4([10, 0, 0, 2]), ..key },
            |key| DatagramKey { identification: key.identification ^ 0x8000, ..key },
            |key| DatagramKey { protocol: Some(6), ..key },
            |key| DatagramKey { protocol: None, ..key },
        ];
        for (i, change) in changes.into_iter().enumerate() {
            for secret in [0, 1, 0x0123_4567_89ab_cdef] {
                let meet = (0..102_400)
                    .map(key)
                    .filter(|key| key.hash(secret) % 1024 == change(*key).hash(secret) % 1024)
                    .count();
                assert!((50..=200).contains(&meet), "change {i}, secret {secret}: {meet} of 100");
            }
        }
    }
}
