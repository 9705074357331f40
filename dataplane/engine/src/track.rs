//! `track`: what each equipment flow did in this slice.
//!
//! A worker keeps no flow beyond the slice. Its ledger gathers, per flow, sums
//! and bounds that do not depend on the order in which workers saw the packets;
//! the judge adds them to the flow's lasting state. So the number of workers,
//! and how the packets were spread over them, changes no verdict.

use std::hint::select_unpredictable;

use weir_mem::{HugeArray, prefetch};
use weir_wire::foreign::Foreign;
use weir_wire::tcp::Tcp;
use weir_wire::{Address, tcp};

use crate::contract::verdict::{Tunnel, Tuple};
use crate::decode::protocol;
use crate::keyed_hash::keyed_hash;
use crate::record::{Evidence, Flags, Kind, Record};
use crate::rules::{Link, Party};
use crate::{Nanos, TapId};

/// A flow's two ends in a fixed order, so that both directions have one key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FlowKey {
    /// The end with the smaller (address, port).
    pub low: Address,
    /// The other end.
    pub high: Address,
    /// The low end's port, 0 if there is none.
    pub low_port: u16,
    /// The high end's port, 0 if there is none.
    pub high_port: u16,
    /// The IP protocol number.
    pub protocol: u8,
    /// Whether these are later fragments, whose ports are unknown.
    pub fragments: bool,
}

impl FlowKey {
    /// The key of a record's flow, and whether the packet goes from low to high. Users' packets
    /// between two equipment are one flow, whichever ports their tunnels are sent from.
    #[inline]
    pub fn of(record: &Record, source: Address, destination: Address) -> (Self, bool) {
        let is_from_any =
            has_any_source_port(record) && is_between_equipment(record.source, record.destination);
        let from = (source, if is_from_any { record.destination_port } else { record.source_port });
        let to = (destination, record.destination_port);
        // Spelt out: a flow's ends share their address only inside one node.
        let upward = if source == destination { from.1 <= to.1 } else { source < destination };
        // Which of the two it is, no branch could foretell.
        let ((low, low_port), (high, high_port)) =
            select_unpredictable(upward, (from, to), (to, from));
        let fragments = record.flags.has(Flags::LATER_FRAGMENT);
        (Self { low, high, low_port, high_port, protocol: record.protocol, fragments }, upward)
    }

    /// The packet tuple of one direction.
    pub fn tuple(&self, upward: bool) -> Tuple {
        let (source, source_port, destination, destination_port) = if upward {
            (self.low, self.low_port, self.high, self.high_port)
        } else {
            (self.high, self.high_port, self.low, self.low_port)
        };
        Tuple {
            source: source.into(),
            destination: destination.into(),
            source_port,
            destination_port,
            protocol: self.protocol,
        }
    }

    /// A hash under a secret key, so that nobody can aim flows at one bucket.
    #[inline]
    pub fn hash(&self, key: u64) -> u64 {
        let ports = u64::from(self.low_port) << 32
            | u64::from(self.high_port) << 16
            | u64::from(self.protocol) << 1
            | u64::from(self.fragments);
        let words = [
            self.low.0 as u64,
            (self.low.0 >> 64) as u64,
            self.high.0 as u64,
            (self.high.0 >> 64) as u64,
            ports,
        ];
        keyed_hash(words, key)
    }
}

/// What has other ports than a plain G-PDU, or none.
const IN_PARTS: Flags =
    Flags::FIRST_FRAGMENT.or(Flags::LATER_FRAGMENT).or(Flags::ATTRIBUTED).or(Flags::WRAPPED);

/// Whether a record is of a G-PDU to a port of GTP-U's, which a sender may send from a port of its
/// choice, another one for each tunnel (TS 29.281 §4.4.2.0).
#[inline]
pub(crate) fn has_any_source_port(record: &Record) -> bool {
    record.kind == Kind::Gtpu
        && record.flags.has(Flags::VERIFIED_GPDU.or(Flags::TO_GTPU))
        && !record.flags.any(IN_PARTS)
}

/// Whether both of two packed parties are equipment.
#[inline]
pub(crate) fn is_between_equipment(source: u32, destination: u32) -> bool {
    [source, destination].iter().all(|packed| Party::unpack(*packed).equipment().is_some())
}

/// One direction of a flow in a slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Side {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Verified G-PDUs among them.
    pub gpdus: u64,
    /// The first packet's time.
    pub first: Nanos,
    /// The last packet's time.
    pub last: Nanos,
    /// The time of the first packet that opens a conversation.
    pub opened: Option<Nanos>,
    /// All evidence seen.
    pub evidence: Evidence,
    /// All TCP flags seen.
    pub tcp_flags: u8,
    /// The first and last acknowledgement number, and how often it grew.
    pub acknowledged: Option<Acknowledged>,
}

impl Side {
    /// Adds what was seen elsewhere or later.
    pub fn join(&mut self, more: &Side) {
        if more.packets == 0 {
            return;
        }
        if self.packets == 0 {
            *self = *more;
            return;
        }
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.gpdus += more.gpdus;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        self.opened = match (self.opened, more.opened) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.evidence.set(more.evidence);
        self.tcp_flags |= more.tcp_flags;
        match (&mut self.acknowledged, more.acknowledged) {
            (Some(so_far), Some(later)) => so_far.join(later),
            (none @ None, later) => *none = later,
            (Some(_), None) => {}
        }
    }
}

/// How one side acknowledged the other's data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Acknowledged {
    /// The first number.
    pub first: u32,
    /// The furthest number.
    pub furthest: u32,
    /// How often it grew.
    pub growths: u32,
}

/// Growth beyond this is another connection or a lie, not data in flight.
const WINDOW: u32 = 1 << 30;

impl Acknowledged {
    /// Takes a later acknowledgement into account.
    pub fn grow(&mut self, number: u32) {
        let ahead = number.wrapping_sub(self.furthest);
        if ahead != 0 && ahead < WINDOW {
            self.furthest = number;
            self.growths += 1;
        }
    }

    /// Joins what was seen in a later slice.
    pub fn join(&mut self, later: Acknowledged) {
        self.grow(later.first);
        let ahead = later.furthest.wrapping_sub(self.furthest);
        if ahead < WINDOW {
            self.furthest = later.furthest;
        }
        self.growths = self.growths.saturating_add(later.growths);
    }
}

/// The packet inside a G-PDU or another tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    /// When it was seen.
    pub time: Nanos,
    /// The GTP-U tunnel, if it is one.
    pub tunnel: Option<Tunnel>,
    /// Its own ends.
    pub tuple: Tuple,
}

impl Inner {
    /// Reads it from a frame again; none without an inner IP header.
    pub fn of(record: &Record, bytes: &[u8]) -> Option<Self> {
        let (source, destination) = record.inner_addresses(bytes)?;
        let has_ports =
            matches!(record.inner_protocol, protocol::TCP | protocol::UDP | protocol::SCTP)
                && record.inner_l4 != Record::ABSENT;
        let ports = bytes
            .get(usize::from(record.inner_l4)..)
            .and_then(|header| header.first_chunk::<4>())
            .filter(|_| has_ports)
            .map_or((0, 0), |p| {
                (u16::from_be_bytes([p[0], p[1]]), u16::from_be_bytes([p[2], p[3]]))
            });
        let is_gtpu =
            record.kind == Kind::Gtpu || (record.flags.has(Flags::WRAPPED) && record.teid != 0);
        Some(Self {
            time: record.time,
            tunnel: is_gtpu.then_some(Tunnel {
                teid: record.teid,
                qfi: record.flags.has(Flags::QFI).then_some(record.qfi),
            }),
            tuple: Tuple {
                source: source.into(),
                destination: destination.into(),
                source_port: ports.0,
                destination_port: ports.1,
                protocol: record.inner_protocol,
            },
        })
    }

    /// The earlier of two: the one with the smaller TEID and ends if both are of one time,
    /// whoever saw them and in which order.
    #[must_use]
    pub fn or_earlier(self, other: Self) -> Self {
        let order = |inner: &Self| (inner.time, inner.tunnel, inner.tuple);
        if order(&other) < order(&self) { other } else { self }
    }
}

/// What a flow did in a slice.
#[derive(Clone, Copy, Debug)]
pub struct FlowDelta {
    /// The flow.
    pub key: FlowKey,
    /// From low to high.
    pub up: Side,
    /// From high to low.
    pub down: Side,
    /// The tap of the first packet.
    pub tap: TapId,
    /// The link of the first packet, given or inferred.
    pub link: Link,
    /// The tap's own link.
    pub given: Link,
    /// Whether the first packet was GTP-U or PFCP by its header.
    pub is_gtp_or_pfcp: bool,
    /// The tunnel other than GTP-U that the low end, and the high end, sent.
    pub tunnels: (Option<Foreign>, Option<Foreign>),
    /// The first packet inside a verified G-PDU or another tunnel.
    pub inner: Option<Inner>,
}

impl FlowDelta {
    /// The time of the first packet either way.
    pub fn first(&self) -> Nanos {
        match (self.up.packets, self.down.packets) {
            (0, _) => self.down.first,
            (_, 0) => self.up.first,
            _ => self.up.first.min(self.down.first),
        }
    }

    /// What makes a packet the first one, whoever saw it and in which order.
    fn order(&self) -> (Nanos, u16, bool, Link) {
        (self.first(), self.tap.0, !self.is_gtp_or_pfcp, self.link)
    }

    /// Takes over what is kept of the first packet, if this one is it.
    #[inline]
    fn begin(&mut self, record: &Record, given: Link) {
        let is_gtp_or_pfcp = record.is_gtp_or_pfcp();
        let order = (record.time, record.tap.0, !is_gtp_or_pfcp, record.link);
        if order < self.order() {
            (self.tap, self.link, self.given) = (record.tap, record.link, given);
            self.is_gtp_or_pfcp = is_gtp_or_pfcp;
        }
    }

    #[cold]
    fn tunnel(&mut self, upward: bool, tunnel: Foreign, record: &Record, bytes: &[u8]) {
        let sent = if upward { &mut self.tunnels.0 } else { &mut self.tunnels.1 };
        *sent = Some(tunnel);
        if self.inner.is_none_or(|first| record.time < first.time) {
            self.inner = Inner::of(record, bytes).or(self.inner);
        }
    }

    /// Adds what another worker, or a later part of the slice, saw of the flow.
    pub fn join(&mut self, later: &FlowDelta) {
        self.up.join(&later.up);
        self.down.join(&later.down);
        self.tunnels.0 = self.tunnels.0.or(later.tunnels.0);
        self.tunnels.1 = self.tunnels.1.or(later.tunnels.1);
        if let Some(inner) = later.inner {
            self.inner = Some(self.inner.map_or(inner, |first| first.or_earlier(inner)));
        }
    }
}

/// Whether a classified record belongs to a flow that the judge must know:
/// equipment at an end, nobody's address on an infrastructure link, or GTP-U on
/// the link to the data network. Addresses that name no single node make none:
/// ask that first.
#[inline]
pub fn concerns_equipment(record: &Record) -> bool {
    let (from, to) = (Party::unpack(record.source), Party::unpack(record.destination));
    from.equipment().is_some()
        || to.equipment().is_some()
        || if record.link == Link::N6 {
            record.flags.has(Flags::VERIFIED_GPDU)
        } else {
            from == Party::Unknown || to == Party::Unknown
        }
}

/// A packet whose flow is known and whose index line is on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    key: FlowKey,
    upward: bool,
    hash: u64,
    /// Its row in the ledger, in that generation of it.
    row: (u32, u32),
}

/// The flows that a slice may hold before they are handed over early.
pub const LEDGER_ROWS: usize = 1 << 15;

/// The ledger of one worker: rows in order of arrival and an index over them.
#[derive(Debug)]
pub struct Ledger {
    rows: Vec<FlowDelta>,
    /// Open addressing; each slot holds (generation << 32 | row), so that a new
    /// slice empties the index by counting up.
    index: HugeArray<u64>,
    /// Never 0: that is no ledger's.
    generation: u32,
    key: u64,
}

const SLOTS: usize = LEDGER_ROWS * 4;

impl Ledger {
    /// An empty ledger whose hash has this secret key.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(key: u64) -> std::io::Result<Self> {
        Ok(Self {
            rows: Vec::with_capacity(LEDGER_ROWS),
            index: HugeArray::new(SLOTS)?,
            generation: 1,
            key,
        })
    }

    /// Finds a record's flow and asks for its index line.
    #[inline]
    pub fn prepare(&self, record: &Record, source: Address, destination: Address) -> Prepared {
        let (key, upward) = FlowKey::of(record, source, destination);
        let hash = key.hash(self.key);
        prefetch(&self.index[hash as usize % SLOTS]);
        Prepared { key, upward, hash, row: (0, 0) }
    }

    /// Whether the next packet might not find room; the rows must then be handed over.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rows.len() + crate::frame::BURST > LEDGER_ROWS
    }

    /// Adds one prepared packet to its flow, and gives the flow's packets so far. `given` is its
    /// tap's link.
    #[inline]
    pub fn add(
        &mut self,
        record: &Record,
        given: Link,
        bytes: &[u8],
        packet: &mut Prepared,
    ) -> u64 {
        let Prepared { key, upward, hash, row: (generation, row) } = *packet;
        let row = if generation == self.generation {
            row as usize
        } else {
            let row = self.row(record, given, key, hash);
            packet.row = (self.generation, row as u32);
            row
        };
        let Some(row) = self.rows.get_mut(row) else { return u64::MAX };
        row.begin(record, given);
        let side = select_unpredictable(upward, &mut row.up, &mut row.down);
        if side.packets == 0 {
            side.first = record.time;
            side.last = record.time;
        } else {
            side.first = side.first.min(record.time);
            side.last = side.last.max(record.time);
        }
        side.packets += 1;
        side.bytes += u64::from(record.wire_len);
        side.evidence.set(record.evidence);
        side.tcp_flags |= record.tcp_flags;
        if record.evidence.any(Evidence::OPENS) && side.opened.is_none_or(|at| record.time < at) {
            side.opened = Some(record.time);
        }
        if record.flags.has(Flags::VERIFIED_GPDU) && record.kind == Kind::Gtpu {
            side.gpdus += 1;
            if row.inner.is_none_or(|first| record.time <= first.time)
                && let Some(inner) = Inner::of(record, bytes)
            {
                row.inner = Some(row.inner.map_or(inner, |first| first.or_earlier(inner)));
            }
        }
        if record.protocol == protocol::TCP && record.evidence.any(Evidence::ACKNOWLEDGES) {
            let header = bytes.get(usize::from(record.outer_l4)..).unwrap_or_default();
            if let Ok(tcp) = Tcp::parse(header) {
                acknowledge(side, tcp.acknowledgement());
            }
        }
        if let Some(tunnel) = record.tunnel {
            row.tunnel(upward, tunnel, record, bytes);
        }
        row.up.packets + row.down.packets
    }

    /// Adds verified G-PDUs that came after one that was added to the same flow in this slice.
    pub(crate) fn add_more(&mut self, flow: &Prepared, packets: u64, bytes: u64, last: Nanos) {
        let (generation, row) = flow.row;
        if generation != self.generation {
            return;
        }
        let Some(row) = self.rows.get_mut(row as usize) else { return };
        let side = if flow.upward { &mut row.up } else { &mut row.down };
        side.packets += packets;
        side.gpdus += packets;
        side.bytes += bytes;
        side.last = side.last.max(last);
    }

    #[inline]
    fn row(&mut self, record: &Record, given: Link, key: FlowKey, hash: u64) -> usize {
        let mut slot = hash as usize % SLOTS;
        loop {
            let entry = self.index[slot];
            if (entry >> 32) as u32 != self.generation {
                break;
            }
            let row = entry as u32 as usize;
            if self.rows[row].key == key {
                return row;
            }
            slot = (slot + 1) % SLOTS;
        }
        let row = self.rows.len();
        self.rows.push(FlowDelta {
            key,
            up: Side::default(),
            down: Side::default(),
            tap: record.tap,
            link: record.link,
            given,
            is_gtp_or_pfcp: record.is_gtp_or_pfcp(),
            tunnels: (None, None),
            inner: None,
        });
        self.index[slot] = u64::from(self.generation) << 32 | row as u64;
        row
    }

    /// Hands over the rows and goes on with `empty`, whose memory is reused.
    pub fn hand_over(&mut self, mut empty: Vec<FlowDelta>) -> Vec<FlowDelta> {
        empty.clear();
        empty.reserve(LEDGER_ROWS);
        self.begin();
        std::mem::replace(&mut self.rows, empty)
    }

    /// Gives the rows up and keeps their memory; tells how many there were.
    pub fn discard(&mut self) -> usize {
        let given_up = self.rows.len();
        self.rows.clear();
        self.begin();
        given_up
    }

    /// Empties the index.
    fn begin(&mut self) {
        if self.generation == u32::MAX {
            self.index.fill(0);
            self.generation = 0;
        }
        self.generation += 1;
    }
}

#[inline]
fn acknowledge(side: &mut Side, number: u32) {
    match &mut side.acknowledged {
        Some(acknowledged) => acknowledged.grow(number),
        none => *none = Some(Acknowledged { first: number, furthest: number, growths: 0 }),
    }
}

/// Whether TCP flags say that a side has closed or broken the connection.
pub const fn is_closing(tcp_flags: u8) -> bool {
    tcp_flags & (tcp::FIN | tcp::RST) != 0
}
