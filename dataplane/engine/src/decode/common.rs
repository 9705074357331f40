//! The common path: a G-PDU as nearly all are, read in one go. Ethernet with one VLAN tag or
//! none, IPv4, UDP, GTP-U with or without a sequence number and a PDU Session Container of
//! the usual two octets, IPv4 or IPv6 without extension headers, TCP or UDP, every length as it
//! should be.
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
const IPV6: usize = 40;
const UDP: usize = 8;
const TCP: usize = 20;
/// Octets of a datagram's payload by which packets are chosen for proof: behind a shorter one
/// stands what is not its own.
const CHOSEN_BY: usize = 8;
const GTPU: usize = 8;
/// Where GTP-U stands behind the outer IP header's start, and what is behind its fixed part.
const GTP: usize = IPV4 + UDP;
const BEHIND: usize = GTP + GTPU;
/// The optional octets of GTP-U, and a container of four octets behind them.
const OPTIONAL: usize = 4;
const CONTAINER: usize = 4;
/// Octets that are there whatever stands behind the fixed part.
const HEADERS: usize = BEHIND + OPTIONAL + CONTAINER + IPV4 + UDP;

/// The first eight octets of an IPv4 header: version and length of one without options, and
/// that it is no fragment.
const PLAIN_IPV4: u64 = 0x4500_0000_0000_0000;
const PLAIN: u64 = 0xff00_0000_0000_3fff;

#[inline]
const fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Eight octets of a header: several fields for one load.
#[inline]
pub(crate) fn octets<const N: usize>(header: &[u8; N], at: usize) -> u64 {
    header[at..].first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets))
}

/// What a G-PDU of the common shape says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    /// The Ethernet header from the source address on.
    pub(crate) source_and_type: u64,
    /// The outer addresses, the source's above the destination's.
    pub(crate) addresses: u64,
    /// The outer ports, likewise.
    pub(crate) ports: u32,
    pub(crate) teid: u32,
    /// The QoS flow, if there is a container.
    pub(crate) qfi: Option<u8>,
    /// Where the inner packet stands.
    pub(crate) inner: u16,
    /// Bytes from there to the end of the outer packet.
    pub(crate) user_bytes: u16,
    pub(crate) vlan: u16,
    outer: u16,
    pub(crate) user: User,
}

/// What the packet inside says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) ends: UserEnds,
    /// What tells it from others, which neither a router nor a NAT changes: the length and
    /// identification of IPv4, the payload's length and half the flow label of IPv6.
    pub(crate) shape: u32,
    pub(crate) protocol: u8,
    /// Bytes of its header.
    header: u8,
}

/// The ends of a user's packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserEnds {
    /// An IPv4 address, or the first 64 bits of an IPv6 one.
    pub(crate) source: u64,
    /// Likewise.
    pub(crate) destination: u64,
    pub(crate) is_v6: bool,
}

/// A user's packet whose header is plain.
struct Plain {
    user: User,
    /// Its length.
    total: usize,
    /// The first eight octets behind its header.
    transport: u64,
}

impl Plain {
    /// A packet of which `granted` octets are there; none if it is not plain.
    #[inline(always)]
    fn v4(packet: &[u8; IPV4 + UDP], granted: usize) -> Option<Self> {
        let ip = octets(packet, 0);
        let total = (ip >> 32) as u16 as usize;
        let ends = octets(packet, 12);
        let user = User {
            ends: UserEnds { source: ends >> 32, destination: ends as u32 as u64, is_v6: false },
            shape: (ip >> 16) as u32,
            protocol: packet[9],
            header: IPV4 as u8,
        };
        let is_plain = ip & PLAIN == PLAIN_IPV4 && total <= granted;
        is_plain.then_some(Self { user, total, transport: octets(packet, IPV4) })
    }

    /// The same of IPv6. An address that stands for one of IPv4 is not plain.
    #[inline(always)]
    fn v6(packet: &[u8; IPV6 + UDP], granted: usize) -> Option<Self> {
        let ip = octets(packet, 0);
        let payload = (ip >> 16) as u16;
        let total = IPV6 + usize::from(payload);
        let (source, destination) = (octets(packet, 8), octets(packet, 24));
        let user = User {
            ends: UserEnds { source, destination, is_v6: true },
            shape: u32::from(payload) << 16 | (ip >> 32) as u32 & 0xffff,
            protocol: packet[6],
            header: IPV6 as u8,
        };
        let is_plain = ip >> 60 == 6 && total <= granted && source != 0 && destination != 0;
        is_plain.then_some(Self { user, total, transport: octets(packet, IPV6) })
    }

    /// Whether the transport header is whole, and nothing that is looked into stands behind it;
    /// `behind` gives an octet of it.
    #[inline(always)]
    fn is_sound(&self, ports: &Ports, behind: impl FnOnce(usize) -> Option<u8>) -> bool {
        let header = usize::from(self.user.header);
        match self.user.protocol {
            protocol::UDP => {
                let udp = self.transport;
                self.total >= header + UDP + CHOSEN_BY
                    && (udp >> 16) as u16 >= UDP as u16
                    && !ports.may_be_signalling((udp >> 48) as u16, (udp >> 32) as u16)
            }
            protocol::TCP => {
                let words = behind(header + 12).map(|octet| octet >> 4);
                self.total >= header + TCP && words >= Some((TCP / 4) as u8)
            }
            _ => false,
        }
    }
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
        let ethernet = bytes.first_chunk::<ETHERNET>()?;
        let (vlan, at) = match word(ethernet, 12) {
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
        let outer = bytes.get(at..)?.first_chunk::<HEADERS>()?;
        let ip = octets(outer, 0);
        let udp = octets(outer, IPV4);
        let gtpu = octets(outer, GTP);
        let total = (ip >> 32) as u16 as usize;
        let datagram = (udp >> 16) as u16 as usize;
        let (teid, len, message) = (gtpu as u32, (gtpu >> 32) as u16, (gtpu >> 48) as u8);
        let is_plain = ip & PLAIN == PLAIN_IPV4
            && outer[9] == protocol::UDP
            && at + total <= bytes.len()
            && datagram + IPV4 == total
            && usize::from(len) + UDP + GTPU == datagram
            && message == G_PDU;
        if !is_plain {
            return None;
        }
        let (inner_at, qfi) = match (gtpu >> 56) as u8 {
            0x30 => (BEHIND, None),
            0x32 => (BEHIND + OPTIONAL, None),
            0x34 | 0x36 => {
                let [_, _, _, next, len, _, qfi, last] = *outer[BEHIND..].first_chunk()?;
                if next != PDU_SESSION_CONTAINER || len != 1 || last != 0 {
                    return None;
                }
                (BEHIND + OPTIONAL + CONTAINER, Some(qfi & 0x3f))
            }
            _ => return None,
        };
        let inner = outer.get(inner_at..)?.first_chunk::<{ IPV4 + UDP }>()?;
        let granted = total - inner_at;
        let plain = if inner[0] >> 4 == 4 {
            Plain::v4(inner, granted)?
        } else {
            Plain::v6(bytes.get(at + inner_at..)?.first_chunk()?, granted)?
        };
        if !plain.is_sound(ports, |octet| bytes.get(at + inner_at + octet).copied()) {
            return None;
        }
        Some(Self {
            source_and_type: octets(ethernet, 6),
            addresses: octets(outer, 12),
            ports: (udp >> 32) as u32,
            teid,
            qfi,
            inner: (at + inner_at) as u16,
            user_bytes: (total - inner_at) as u16,
            vlan,
            outer: at as u16,
            user: plain.user,
        })
    }

    /// What stands in its frame from the inner transport header on.
    #[inline]
    pub(crate) fn inner_transport<'a>(&self, frame: &Frame<'a>) -> &'a [u8] {
        let at = usize::from(self.inner) + usize::from(self.user.header);
        frame.bytes.get(at..).unwrap_or_default()
    }

    /// The outer ports, source first.
    #[inline]
    pub(super) fn ports(&self) -> (u16, u16) {
        ((self.ports >> 16) as u16, self.ports as u16)
    }

    /// The record that the complete walk would make.
    #[inline]
    pub(super) fn record(&self, frame: &Frame<'_>, ports: &Ports) -> Record {
        let gtp = self.outer + GTP as u16;
        let mut flags = Flags::VERIFIED_GPDU;
        if ports.takes_gtpu(self.ports().1) {
            flags.set(Flags::TO_GTPU);
        }
        if self.qfi.is_some() {
            flags.set(Flags::QFI);
        }
        if self.user.ends.is_v6 {
            flags.set(Flags::INNER_V6);
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
            inner_l4: self.inner + u16::from(self.user.header),
            source_port: self.ports().0,
            destination_port: self.ports().1,
            ether_type: ethernet::IPV4,
            vlan: self.vlan,
            payload_len: self.user_bytes + (self.inner - gtp),
            flags,
            kind: Kind::Gtpu,
            message: G_PDU,
            protocol: protocol::UDP,
            inner_protocol: self.user.protocol,
            qfi: self.qfi.unwrap_or(0),
            evidence: Evidence::DATA,
            ..Record::default()
        }
    }
}
