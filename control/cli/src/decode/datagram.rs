//! Datagrams that come in fragments, put together.

use weir_engine::Nanos;
use weir_engine::fragment::Piece;
use weir_engine::reassembly::{GiveUp, Limits, Outcome, Reassembler};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;

/// What a packet is to its datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It is no fragment.
    Whole,
    /// Others are missing.
    Part,
    /// It was left out, or its datagram given up.
    GivenUp(GiveUp),
    /// It completes the datagram, which stands in [`Datagrams::whole`].
    Completes,
}

/// Puts the datagrams of a capture together.
pub(super) struct Datagrams {
    table: Reassembler,
    whole: Vec<u8>,
}

/// Octets of the fixed headers.
const IPV4: usize = 20;
const IPV6: usize = 40;

/// A replay of one file has no secret to keep.
const KEY: u64 = 0x5eed;

impl Datagrams {
    /// None are waiting.
    pub(super) fn new() -> Self {
        Self { table: Reassembler::new(Limits::default(), KEY), whole: Vec::new() }
    }

    /// The last datagram that was completed, from its IP header on.
    pub(super) fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Takes a packet in that was seen at `time`.
    pub(super) fn take(&mut self, packet: &[u8], time: Nanos) -> Standing {
        let (piece, header) = if let Ok(ip) = Ipv4::parse(packet) {
            (Piece::v4(&ip, time), packet.get(..IPV4))
        } else if let Ok(ip) = Ipv6::parse(packet) {
            (Piece::v6(&ip, time), packet.get(..IPV6))
        } else {
            return Standing::Whole;
        };
        let (Some(piece), Some(header)) = (piece, header) else { return Standing::Whole };
        let datagram = match self.table.add(&piece) {
            Outcome::Complete(datagram) => datagram,
            Outcome::Waiting => return Standing::Part,
            Outcome::GivenUp(reason) => return Standing::GivenUp(reason),
        };
        self.whole.clear();
        self.whole.extend_from_slice(header);
        self.whole.extend_from_slice(datagram.payload);
        let (at, length) = if header.len() == IPV4 {
            // No options, no fragment.
            self.whole[0] = 0x45;
            self.whole[6..8].fill(0);
            (2, IPV4 + datagram.payload.len())
        } else {
            self.whole[6] = datagram.protocol;
            (4, datagram.payload.len())
        };
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.whole[at..at + 2].copy_from_slice(&length.to_be_bytes());
        Standing::Completes
    }
}
