//! The common path: a G-PDU as nearly all are, read in one go. Ethernet with one VLAN tag or
//! none, IPv4, UDP, GTP-U with or without a sequence number and a PDU Session Container of
//! the usual two octets, IPv4, TCP or UDP, every length as it should be.
//!
//! Whatever else a frame is, it is none, and the complete walk decodes it. The record of a
//! frame is the same on both ways: a test and a fuzz target compare them.

use weir_wire::ethernet;
use weir_wire::gtpu::G_PDU;
use weir_wire::gtpu_extension::PDU_SESSION_CONTAINER;

use super::{Ports, protocol};
use crate::frame::{Frame, LinkType};
use crate::record::{Evidence, Flags, Kind, Record};

/// Bytes of headers that always stand together.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const TCP: usize = 20;
const GTPU: usize = 8;
const OUTER: usize = IPV4 + UDP + GTPU;

/// What the first octet of an IPv4 header is without options.
const PLAIN_IPV4: u8 = 0x45;
/// More Fragments and the fragment's offset.
const FRAGMENT: u16 = 0x3fff;
/// The optional octets of GTP-U, and a container of four octets behind them.
const OPTIONAL: usize = 4;
const CONTAINER: usize = 4;

#[inline]
const fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The record of a common frame; none of any other.
#[inline]
pub(super) fn read(frame: &Frame<'_>, ports: &Ports) -> Option<Record> {
    let bytes = frame.bytes;
    let meta = &frame.meta;
    if meta.link_type != LinkType::Ethernet || meta.stripped_vlan.is_some() {
        return None;
    }
    let (vlan, at) = match word(bytes.first_chunk::<ETHERNET>()?, 12) {
        ethernet::IPV4 => (Record::UNTAGGED, ETHERNET),
        ethernet::VLAN => {
            let tag = bytes.get(ETHERNET..)?.first_chunk::<4>()?;
            if word(tag, 2) != ethernet::IPV4 {
                return None;
            }
            (word(tag, 0) & 0x0fff, ETHERNET + 4)
        }
        _ => return None,
    };
    let outer = bytes.get(at..)?.first_chunk::<OUTER>()?;
    let total = usize::from(word(outer, 2));
    let (source, destination) = (word(outer, IPV4), word(outer, IPV4 + 2));
    let datagram = usize::from(word(outer, IPV4 + 4));
    let is_plain = outer[0] == PLAIN_IPV4
        && word(outer, 6) & FRAGMENT == 0
        && outer[9] == protocol::UDP
        && at + total <= bytes.len()
        && datagram + IPV4 == total
        && usize::from(word(outer, IPV4 + UDP + 2)) + UDP + GTPU == datagram
        && outer[IPV4 + UDP + 1] == G_PDU;
    if !is_plain || !ports.is_gtpu(source, destination) {
        return None;
    }
    let gtp = at + IPV4 + UDP;
    let (inner_at, qfi) = match outer[IPV4 + UDP] {
        0x30 => (gtp + GTPU, None),
        0x32 => (gtp + GTPU + OPTIONAL, None),
        0x34 | 0x36 => {
            let rest = bytes.get(gtp + GTPU..)?.first_chunk::<{ OPTIONAL + CONTAINER }>()?;
            if rest[3] != PDU_SESSION_CONTAINER || rest[4] != 1 || rest[7] != 0 {
                return None;
            }
            (gtp + GTPU + OPTIONAL + CONTAINER, Some(rest[6] & 0x3f))
        }
        _ => return None,
    };
    let end = at + total;
    let inner = bytes.get(inner_at..end)?.first_chunk::<{ IPV4 + UDP }>()?;
    let inner_total = usize::from(word(inner, 2));
    if inner[0] != PLAIN_IPV4 || word(inner, 6) & FRAGMENT != 0 || inner_at + inner_total > end {
        return None;
    }
    let inner_l4 = inner_at + IPV4;
    let is_sound = match inner[9] {
        protocol::UDP => {
            inner_total >= IPV4 + UDP
                && word(inner, IPV4 + 4) >= UDP as u16
                && !ports.may_be_signalling(word(inner, IPV4), word(inner, IPV4 + 2))
        }
        protocol::TCP => {
            inner_total >= IPV4 + TCP && *bytes.get(inner_l4 + 12)? >> 4 >= (TCP / 4) as u8
        }
        _ => false,
    };
    if !is_sound {
        return None;
    }
    let mut flags = Flags::VERIFIED_GPDU;
    if qfi.is_some() {
        flags.set(Flags::QFI);
    }
    Some(Record {
        time: meta.time,
        wire_len: meta.wire_len,
        tap: meta.tap,
        teid: u32::from_be_bytes(*outer[IPV4 + UDP + 4..].first_chunk()?),
        outer_ip: at as u16,
        outer_l4: (at + IPV4) as u16,
        gtp: gtp as u16,
        inner_ip: inner_at as u16,
        inner_l4: inner_l4 as u16,
        source_port: source,
        destination_port: destination,
        ether_type: ethernet::IPV4,
        vlan,
        payload_len: (datagram - UDP) as u16,
        flags,
        kind: Kind::Gtpu,
        message: G_PDU,
        protocol: protocol::UDP,
        inner_protocol: inner[9],
        qfi: qfi.unwrap_or(0),
        evidence: Evidence::DATA,
        ..Record::default()
    })
}
