//! Digests of users' packets, under the site's secret: equal for the same packet wherever it is
//! seen, whatever routers change on its way, and for no other packet.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use weir_wire::Fragment;

use super::users_packet::UsersPacket;
use crate::decode::protocol;

/// How much of what a transport header carries counts.
const PAYLOAD: usize = 64;
/// What stands for the protocol where no transport header is: IPv6's number for it.
const NO_TRANSPORT: u8 = 59;
/// The least payload of a datagram by which it is told from others without its addresses.
const TELLING: usize = 8;

/// What tells a packet from others.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Digests {
    /// Of addresses, protocol, transport header and the beginning of the payload, without what
    /// routers change.
    pub whole: u64,
    /// The same without addresses and ports, which a NAT changes; 0 where nothing is left by which
    /// the packet could be told from others.
    pub content: u64,
}

/// Makes digests under a secret.
#[derive(Clone, Copy)]
pub(crate) struct Digester {
    secret: u64,
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digester")
    }
}

impl Digester {
    pub(crate) fn new(secret: u64) -> Self {
        Self { secret }
    }

    /// The digests of a packet; none if its header can't be read.
    pub(crate) fn of(&self, packet: &UsersPacket<'_>) -> Option<Digests> {
        let (source, destination) = packet.ends()?;
        let (kind, fragment) = packet.kind()?;
        let carried = packet.payload();
        // Of later fragments there is no transport header.
        let kind = if fragment == Fragment::Later { NO_TRANSPORT } else { kind };
        let (ports, header, payload) = parts(kind, carried);
        let (mut whole, mut content) = (self.hasher(1), self.hasher(2));
        whole.write(&source.0.to_be_bytes());
        whole.write(&destination.0.to_be_bytes());
        whole.write(ports);
        for hasher in [&mut whole, &mut content] {
            hasher.write_u8(kind);
            header.iter().for_each(|part| hasher.write(part));
            hasher.write(payload);
        }
        let tells = kind == protocol::TCP || payload.len() >= TELLING;
        let content = if tells { content.finish().max(1) } else { 0 };
        Some(Digests { whole: whole.finish(), content })
    }

    fn hasher(&self, purpose: u64) -> SipHasher24 {
        SipHasher24::new_with_keys(self.secret, self.secret.rotate_left(32) ^ purpose)
    }
}

/// What a NAT changes of a transport header, the rest of it without its checksum, and the
/// beginning of what it carries. A header that is cut counts as payload.
fn parts(kind: u8, bytes: &[u8]) -> (&[u8], [&[u8]; 2], &[u8]) {
    let cut = |end: usize| bytes.get(..end.min(bytes.len())).unwrap_or_default();
    let opaque = (&[][..], [&[][..]; 2], cut(PAYLOAD));
    let behind = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        rest.get(..PAYLOAD).unwrap_or(rest)
    };
    match kind {
        protocol::TCP => {
            let Some(fixed) = bytes.first_chunk::<20>() else { return opaque };
            let header = usize::from(fixed[12] >> 4) * 4;
            let Some(options) = bytes.get(18..header.max(20)) else { return opaque };
            (&bytes[..4], [&bytes[4..16], options], behind(header.max(20)))
        }
        protocol::UDP => {
            let Some(fixed) = bytes.get(..8) else { return opaque };
            (&fixed[..4], [&fixed[4..6], &[]], behind(8))
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let Some(fixed) = bytes.get(..8) else { return opaque };
            // A NAT gives queries another identifier.
            (&fixed[4..6], [&fixed[..2], &fixed[6..8]], behind(8))
        }
        _ => opaque,
    }
}
