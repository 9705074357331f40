//! Packets that are chosen for proof: what a worker tells of each.

use weir_wire::{Address, Fragment};

use super::digest::{Digester, Digests};
use super::users_packet::UsersPacket;
use crate::Nanos;
use crate::contract::verdict::Tuple;
use crate::decode::protocol;
use crate::frame::{BURST, Frame};
use crate::record::Record;
use crate::rules::Link;

/// What a user's packet came in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Carrier {
    /// Nothing.
    Bare,
    /// A G-PDU.
    GPdu,
    /// A tunnel that is not GTP-U.
    Tunnel,
}

/// A chosen packet where it was seen. The order is that in which they are judged.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sample {
    /// When.
    pub time: Nanos,
    /// What tells it from others.
    pub digests: Digests,
    /// Who sent the frame's packet: the outermost ends.
    pub from: Address,
    /// Where it goes.
    pub to: Address,
    /// The outermost protocol.
    pub protocol: u8,
    /// Its destination port, 0 if there is none.
    pub port: u16,
    /// The G-PDU's tunnel.
    pub teid: u32,
    /// The tap.
    pub tap: u16,
    /// The link.
    pub link: Link,
    /// What the user's packet is in.
    pub carrier: Carrier,
    /// The user's packet: its ends.
    pub user: (Address, Address),
    /// Its ports, 0 if there are none.
    pub ports: (u16, u16),
    /// Its protocol.
    pub kind: u8,
    /// The outermost source port, 0 if there is none.
    pub source_port: u16,
    /// Whether it is a fragment.
    pub is_fragment: bool,
    /// Whether it reports an error, as routers do.
    pub is_report: bool,
    /// Whether it answers an echo.
    pub is_echo_reply: bool,
    /// Its bytes.
    pub bytes: u16,
    /// The frame's bytes on the wire.
    pub wire_len: u32,
}

impl Sample {
    fn of(
        frame: &Frame<'_>,
        record: &Record,
        packet: &UsersPacket<'_>,
        digester: &Digester,
    ) -> Option<Self> {
        let digests = digester.of(packet)?;
        let (from, to) = record.outer_addresses(frame.bytes)?;
        let (kind, fragment) = packet.kind()?;
        let behind = packet.payload();
        let has_ports = matches!(kind, protocol::TCP | protocol::UDP | protocol::SCTP)
            && fragment != Fragment::Later;
        let ports = behind.first_chunk::<4>().filter(|_| has_ports).map_or((0, 0), |octets| {
            let [a, b, c, d] = *octets;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        });
        let is_report = match (kind, behind.first()) {
            (protocol::ICMP, Some(kind)) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            (protocol::ICMPV6, Some(kind)) => *kind < 128,
            _ => false,
        };
        let is_echo_reply = matches!(
            (kind, behind.first()),
            (protocol::ICMP, Some(0)) | (protocol::ICMPV6, Some(129))
        );
        let is_bare = packet.carrier == Carrier::Bare;
        Some(Self {
            time: record.time,
            digests,
            from,
            to,
            protocol: record.protocol,
            port: if is_bare { ports.1 } else { record.destination_port },
            teid: if packet.carrier == Carrier::GPdu { record.teid } else { 0 },
            tap: record.tap.0,
            link: record.link,
            carrier: packet.carrier,
            user: packet.ends()?,
            ports,
            kind,
            source_port: if is_bare { ports.0 } else { record.source_port },
            is_fragment: fragment != Fragment::None,
            is_report,
            is_echo_reply,
            bytes: packet.len(),
            wire_len: record.wire_len,
        })
    }

    /// The outermost packet.
    pub(crate) fn outer(&self) -> Tuple {
        Tuple {
            source: self.from.into(),
            destination: self.to.into(),
            source_port: self.source_port,
            destination_port: self.port,
            protocol: self.protocol,
        }
    }

    /// The user's packet in it.
    pub(crate) fn inner(&self) -> Tuple {
        Tuple {
            source: self.user.0.into(),
            destination: self.user.1.into(),
            source_port: self.ports.0,
            destination_port: self.ports.1,
            protocol: self.kind,
        }
    }
}

/// Chosen packets of a slice that there is room for: eight times as many as a slice of ten million
/// packets a second has.
const SAMPLES: usize = 2048;

/// The chosen packets of a slice.
#[derive(Debug, Default)]
pub struct Samples {
    rows: Vec<Sample>,
    dropped: u64,
}

impl Samples {
    /// Empty, with room for a slice.
    pub fn with_room() -> Self {
        Self { rows: Vec::with_capacity(SAMPLES), dropped: 0 }
    }

    /// The chosen packets, in order of arrival.
    pub fn rows(&self) -> &[Sample] {
        &self.rows
    }

    /// How many found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.dropped = 0;
    }

    /// Whether another burst may find no room.
    pub(crate) fn is_filling(&self) -> bool {
        self.rows.len() + BURST > SAMPLES
    }

    /// Notes a chosen packet. What only neighbours on a link tell each other is no user's.
    #[cold]
    pub(crate) fn add(
        &mut self,
        frame: &Frame<'_>,
        record: &Record,
        packet: &UsersPacket<'_>,
        digester: &Digester,
    ) {
        let Some(sample) = Sample::of(frame, record, packet, digester) else { return };
        if sample.user.0.is_local_scope() || sample.user.1.is_local_scope() {
            return;
        }
        if self.rows.len() < SAMPLES {
            self.rows.push(sample);
        } else {
            self.dropped += 1;
        }
    }
}
