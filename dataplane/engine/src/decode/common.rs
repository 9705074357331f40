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

/// What a G-PDU of the common shape says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    /// The outer addresses, the source's above the destination's.
    pub(crate) addresses: u64,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) teid: u32,
    /// The QoS flow, if there is a container.
    pub(crate) qfi: Option<u8>,
    /// Where the inner packet stands.
    pub(crate) inner: u16,
    /// Bytes from there to the end of the outer packet.
    pub(crate) user_bytes: u16,
    pub(crate) inner_destination: u32,
    pub(crate) vlan: u16,
    outer: u16,
    inner_protocol: u8,
}

impl Common {
    /// What a frame says; none if it is no G-PDU of the common shape or may hold signalling.
    /// Whether its ports are GTP-U's is for the caller to know.
    #[inline(always)]
    pub(crate) fn read(frame: &Frame<'_>, ports: &Ports) -> Option<Self> {
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
        let datagram = usize::from(word(outer, IPV4 + 4));
        let is_plain = outer[0] == PLAIN_IPV4
            && word(outer, 6) & FRAGMENT == 0
            && outer[9] == protocol::UDP
            && at + total <= bytes.len()
            && datagram + IPV4 == total
            && usize::from(word(outer, IPV4 + UDP + 2)) + UDP + GTPU == datagram
            && outer[IPV4 + UDP + 1] == G_PDU;
        if !is_plain {
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
        if inner[0] != PLAIN_IPV4 || word(inner, 6) & FRAGMENT != 0 || inner_at + inner_total > end
        {
            return None;
        }
        let is_sound = match inner[9] {
            protocol::UDP => {
                inner_total >= IPV4 + UDP
                    && word(inner, IPV4 + 4) >= UDP as u16
                    && !ports.may_be_signalling(word(inner, IPV4), word(inner, IPV4 + 2))
            }
            protocol::TCP => {
                inner_total >= IPV4 + TCP
                    && *bytes.get(inner_at + IPV4 + 12)? >> 4 >= (TCP / 4) as u8
            }
            _ => false,
        };
        if !is_sound {
            return None;
        }
        Some(Self {
            addresses: u64::from_be_bytes(*outer[12..].first_chunk()?),
            source_port: word(outer, IPV4),
            destination_port: word(outer, IPV4 + 2),
            teid: u32::from_be_bytes(*outer[IPV4 + UDP + 4..].first_chunk()?),
            qfi,
            inner: inner_at as u16,
            user_bytes: (end - inner_at) as u16,
            inner_destination: u32::from_be_bytes(*inner[16..].first_chunk()?),
            vlan,
            outer: at as u16,
            inner_protocol: inner[9],
        })
    }

    /// The record that the complete walk would make.
    #[inline]
    pub(super) fn record(&self, frame: &Frame<'_>) -> Record {
        let gtp = self.outer + (IPV4 + UDP) as u16;
        let mut flags = Flags::VERIFIED_GPDU;
        if self.qfi.is_some() {
            flags.set(Flags::QFI);
        }
        Record {
            time: frame.meta.time,
            wire_len: frame.meta.wire_len,
            tap: frame.meta.tap,
            teid: self.teid,
            outer_ip: self.outer,
            outer_l4: self.outer + IPV4 as u16,
            gtp,
            inner_ip: self.inner,
            inner_l4: self.inner + IPV4 as u16,
            source_port: self.source_port,
            destination_port: self.destination_port,
            ether_type: ethernet::IPV4,
            vlan: self.vlan,
            payload_len: self.user_bytes + (self.inner - gtp),
            flags,
            kind: Kind::Gtpu,
            message: G_PDU,
            protocol: protocol::UDP,
            inner_protocol: self.inner_protocol,
            qfi: self.qfi.unwrap_or(0),
            evidence: Evidence::DATA,
            ..Record::default()
        }
    }
}
