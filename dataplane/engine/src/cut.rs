//! What of a kept frame nobody is to see: what subscribers say, and what may name one.
//!
//! Only headers of users' packets are kept, wherever they are carried: in a G-PDU, in a tunnel of
//! another kind, behind an ICMP error. Where headers end, the complete decoder says. Signalling that names
//! subscribers is kept as far as its header, but for PFCP, of which the judge hides what identifies.

use std::ops::Range;

use weir_wire::Layer;
use weir_wire::ah::Ah;
use weir_wire::erspan::Erspan;
use weir_wire::ethernet::{self, Ethernet};
use weir_wire::gre::Gre;
use weir_wire::gtpu::{G_PDU, Gtpu, TPdu};
use weir_wire::icmp::{Icmp, Purpose};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::pfcp::Pfcp;

use crate::decode::{Ports, Trail, follow};
use crate::record::{Flags, Kind, Oddities, Record};
use crate::rules::Party;

/// The longest header of a PFCP message (TS 29.244 §7.2.2).
pub(crate) const PFCP_HEADER: usize = 16;

/// Bytes of a frame that is not IP: Ethernet with two tags, and the header of what follows.
const NOT_IP: usize = 38;

/// Bytes that are kept of a tunnel whose content is not read: its own header.
const OPAQUE: usize = 16;

/// SCTP's header with that of its first chunk (RFC 9260 §3.3.1).
const SCTP: usize = 12 + 16;

/// The part of a GTP-C header that all versions have.
const GTPC: usize = 8;

/// What is kept of a frame's bytes: the first ones, those of a range as zeros.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cut {
    /// How many are kept.
    pub(crate) len: usize,
    /// Which of these are zeros.
    pub(crate) hidden: Range<usize>,
}

impl Cut {
    fn at(len: usize) -> Self {
        Self { len, hidden: len..len }
    }

    /// Of a frame, whose users' words may be kept if `whole`.
    pub(crate) fn of(bytes: &[u8], record: &Record, ports: &Ports, whole: bool) -> Self {
        let end = bytes.len();
        if let Some(start) = unreadable(record, bytes) {
            return Self::at(start.min(end));
        }
        if record.outer_ip == Record::ABSENT {
            let is_arp = record.ether_type == ethernet::ARP;
            return Self::at(if whole || is_arp { end } else { end.min(NOT_IP) });
        }
        let headers = Headers::of(bytes, record, ports);
        let names_subscribers = match headers.layer {
            Layer::Gtpc | Layer::Sctp => true,
            // Of a message that stands where it should, the judge hides what identifies.
            Layer::Pfcp => record.kind != Kind::Pfcp,
            _ => false,
        };
        if names_subscribers {
            return Self::at(headers.end.min(end));
        }
        if whole || !may_be_a_users(record, &headers, bytes) {
            return Self::at(end);
        }
        // What stands behind a user's packet is what the finding is about.
        let covert = is_g_pdu(record) && record.oddities.has(Oddities::TRAILING);
        match covert.then(|| behind_users_packet(bytes, record)).flatten() {
            Some(behind) => Self { len: end, hidden: headers.end.min(behind)..behind },
            None => Self::at(headers.end.min(end)),
        }
    }
}

fn is_g_pdu(record: &Record) -> bool {
    record.kind == Kind::Gtpu && record.message == G_PDU
}

/// Where a fragment begins of which nobody can tell whether it identifies a subscriber: that is hidden
/// in whole PFCP messages alone, and what a later fragment is of may be told later only.
fn unreadable(record: &Record, bytes: &[u8]) -> Option<usize> {
    if record.flags.has(Flags::LATER_FRAGMENT) {
        Some(usize::from(record.outer_ip) + ip_header(bytes.get(usize::from(record.outer_ip)..)?))
    } else if record.kind == Kind::Pfcp && record.is_fragment() {
        let start = usize::from(record.gtp);
        Some(start + pfcp_header(bytes.get(start..)?))
    } else {
        None
    }
}

/// Whether a user's packet may be in a frame: in any tunnel, as what an error is about, or as itself.
fn may_be_a_users(record: &Record, headers: &Headers, bytes: &[u8]) -> bool {
    let is_users = |packed| Party::unpack(packed) == Party::Subscriber;
    let is_in_tunnel = is_g_pdu(record)
        || record.tunnel.is_some()
        || record.flags.any(Flags::WRAPPED.or(Flags::ATTRIBUTED));
    let is_own =
        record.kind == Kind::Ip && (is_users(record.source) || is_users(record.destination));
    is_in_tunnel
        || is_own
        || is_error(headers.layer, bytes.get(headers.start..).unwrap_or_default())
}

fn is_error(layer: Layer, message: &[u8]) -> bool {
    let purpose = match (layer, Icmp::parse(message, layer)) {
        (Layer::Icmp, Ok(icmp)) => icmp.purpose_v4(),
        (Layer::Icmpv6, Ok(icmp)) => icmp.purpose_v6(),
        _ => return false,
    };
    purpose == Purpose::Error
}

/// Where what is hidden behind a user's packet begins: behind its message and behind the packet itself, since
/// a length that is too small hides nothing. None if that looks like a packet once more.
fn behind_users_packet(bytes: &[u8], record: &Record) -> Option<usize> {
    let message = behind_gtpu(bytes, record.gtp)?;
    let start = usize::from(record.inner_ip);
    let packet = match bytes.get(start..) {
        Some(inner) if record.inner_ip != Record::ABSENT => start + ip_length(inner)?,
        _ => 0,
    };
    let behind = message.max(packet);
    let covert = bytes.get(behind..)?;
    (TPdu::guess(covert) == TPdu::Opaque).then_some(behind)
}

/// Where a GTP-U message ends by its own length (TS 29.281 §5.1).
fn behind_gtpu(bytes: &[u8], gtp: u16) -> Option<usize> {
    let header = bytes.get(usize::from(gtp)..)?.first_chunk::<{ Gtpu::LEN }>()?;
    let length = u16::from_be_bytes([header[2], header[3]]);
    Some(usize::from(gtp) + Gtpu::LEN + usize::from(length))
}

/// The length of an IP packet by its own header; none if it says none.
fn ip_length(packet: &[u8]) -> Option<usize> {
    let field = |at: usize| {
        let octets = packet.get(at..)?.first_chunk::<2>()?;
        Some(usize::from(u16::from_be_bytes(*octets)))
    };
    match packet.first()? >> 4 {
        6 => field(4).map(|payload| 40 + payload),
        _ => field(2).filter(|total| *total > 0),
    }
}

/// The deepest header of a frame that has a name.
struct Headers {
    layer: Layer,
    start: usize,
    end: usize,
}

impl Headers {
    fn of(bytes: &[u8], record: &Record, ports: &Ports) -> Self {
        let outer = usize::from(record.outer_ip);
        let packet = bytes.get(outer..).unwrap_or_default();
        let mut deepest =
            Deepest { origin: bytes.as_ptr().addr(), layer: Layer::Other, start: outer };
        follow(packet, ports, &mut deepest);
        let Deepest { layer, start, .. } = deepest;
        let header = bytes.get(start..).map_or(0, |header| length(layer, header, record));
        Self { layer, start, end: start + header }
    }
}

struct Deepest {
    /// The address of the frame's first byte.
    origin: usize,
    layer: Layer,
    start: usize,
}

impl Trail for Deepest {
    fn layer(&mut self, layer: Layer, at: &[u8]) {
        self.layer = layer;
        self.start = at.as_ptr().addr().wrapping_sub(self.origin);
    }

    fn vlan(&mut self, _: u16) {}

    fn mpls(&mut self, _: u32) {}
}

/// How long a header is; what is damaged has the least that a header of its kind has.
fn length(layer: Layer, header: &[u8], record: &Record) -> usize {
    match layer {
        Layer::Ipv4 | Layer::Ipv6 => ip_header(header),
        Layer::Tcp => header.get(12).map_or(20, |offset| usize::from(offset >> 4) * 4),
        Layer::Udp | Layer::Esp | Layer::Vxlan | Layer::Pppoe => 8,
        Layer::Sctp => SCTP,
        Layer::Icmp | Layer::Icmpv6 if is_error(layer, header) => {
            // The packet that it is about, as far as its ports.
            8 + header.get(8..).map_or(0, ip_header) + 8
        }
        Layer::Icmp | Layer::Icmpv6 => 8,
        Layer::Ah => Ah::parse(header).map_or(12, |ah| behind(header, ah.payload())),
        Layer::Gre => Gre::parse(header).map_or(4, |gre| behind(header, gre.payload())),
        Layer::Erspan => Erspan::parse(header).map_or(8, |it| behind(header, it.payload())),
        Layer::Gtpu => gtpu_header(header),
        Layer::Pfcp => pfcp_header(header),
        Layer::Gtpc => GTPC,
        Layer::Eth => Ethernet::LEN,
        Layer::Vlan | Layer::Mpls | Layer::Null => 4,
        Layer::Sll => 16,
        Layer::Sll2 => 20,
        Layer::Arp => 28,
        Layer::Other if record.tunnel.is_some() && record.inner_ip == Record::ABSENT => OPAQUE,
        Layer::Other => 0,
    }
}

/// The length of what stands before a payload; 0 if that is no part of the whole.
fn behind(whole: &[u8], payload: &[u8]) -> usize {
    let length = payload.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    if length <= whole.len() { length } else { 0 }
}

/// The length of an IP header with what extends it.
fn ip_header(packet: &[u8]) -> usize {
    match packet.first().map(|first| first >> 4) {
        Some(6) => Ipv6::parse(packet).map_or(40, |ip| behind(packet, ip.payload())),
        Some(_) => Ipv4::parse(packet).map_or(20, |ip| behind(packet, ip.payload())),
        None => 0,
    }
}

/// The length of a GTP-U header with what extends it.
fn gtpu_header(message: &[u8]) -> usize {
    let Ok(gtpu) = Gtpu::parse(message) else { return Gtpu::LEN };
    let mut extensions = gtpu.extensions();
    extensions.by_ref().for_each(drop);
    behind(message, extensions.rest()).max(Gtpu::LEN)
}

/// The length of a PFCP header.
fn pfcp_header(message: &[u8]) -> usize {
    match Pfcp::parse(message) {
        Ok(pfcp) if pfcp.seid().is_some() => PFCP_HEADER,
        Ok(_) => 8,
        Err(_) => 4,
    }
}
