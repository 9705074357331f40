//! From a frame's first byte to the network packet: link headers, VLAN tags,
//! MPLS labels, PPPoE.

use weir_wire::ethernet::{self, Ethernet, Vlan};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::mpls::{self, Label};
use weir_wire::null::Null;
use weir_wire::pppoe::{self, Pppoe};
use weir_wire::sll::Sll;
use weir_wire::sll2::Sll2;
use weir_wire::{Layer, WireError};

use super::{MAX_FRAMES, MAX_VLANS, Trail, Walk};
use crate::frame::LinkType;
use crate::record::Record;

/// A network packet, by what announced it.
pub(super) enum Network<'a> {
    /// IPv4.
    V4(&'a [u8]),
    /// IPv6.
    V6(&'a [u8]),
    /// Nothing that is walked on, or an error that is noted.
    Nothing,
}

/// A control word in front of the Ethernet frame of a pseudowire (RFC 4385).
const CONTROL_WORD: usize = 4;

impl<'a, T: Trail> Walk<'a, '_, T> {
    /// Walks the whole frame.
    #[inline]
    pub(super) fn link(&mut self, link_type: LinkType, stripped_vlan: Option<u16>) {
        let network = if link_type == LinkType::Ethernet {
            self.ethernet(self.frame, stripped_vlan)
        } else {
            self.other_link(link_type)
        };
        self.outermost(network);
    }

    #[inline]
    pub(super) fn outermost(&mut self, network: Network<'a>) {
        match network {
            Network::V4(packet) => self.outer_v4(packet),
            Network::V6(packet) => self.outer_v6(packet),
            Network::Nothing => {}
        }
    }

    /// Starts again inside a tap's wrapper, whose own addresses are the broker's.
    pub(super) fn unwrapped(&mut self, network: impl FnOnce(&mut Self) -> Network<'a>) {
        let Record { time, wire_len, tap, .. } = *self.record;
        *self.record = Record { time, wire_len, tap, ..Record::default() };
        self.wrapper = None;
        let network = network(self);
        self.outermost(network);
    }

    #[cold]
    fn other_link(&mut self, link_type: LinkType) -> Network<'a> {
        let bytes = self.frame;
        match link_type {
            LinkType::Raw | LinkType::Ipv4 | LinkType::Ipv6 => self.by_version(bytes),
            LinkType::Sll => {
                self.trail.layer(Layer::Sll, bytes);
                match Sll::parse(bytes) {
                    Ok(sll) => self.network(sll.ether_type(), sll.payload(), 0),
                    Err(error) => self.broken(error, bytes),
                }
            }
            LinkType::Sll2 => {
                self.trail.layer(Layer::Sll2, bytes);
                match Sll2::parse(bytes) {
                    Ok(sll) => self.network(sll.ether_type(), sll.payload(), 0),
                    Err(error) => self.broken(error, bytes),
                }
            }
            LinkType::Null | LinkType::Loop => {
                self.trail.layer(Layer::Null, bytes);
                let header = if link_type == LinkType::Null {
                    Null::parse_null(bytes)
                } else {
                    Null::parse_loop(bytes)
                };
                match header {
                    Ok(null) => match null.ether_type() {
                        Some(ether_type) => self.network(ether_type, null.payload(), 0),
                        None => self.unknown(null.payload()),
                    },
                    Err(error) => self.broken(error, bytes),
                }
            }
            LinkType::Ethernet | LinkType::Other(_) => self.unknown(bytes),
        }
    }

    /// An Ethernet header and what is below IP behind it.
    #[inline]
    pub(super) fn ethernet(&mut self, bytes: &'a [u8], stripped_vlan: Option<u16>) -> Network<'a> {
        self.trail.layer(Layer::Eth, bytes);
        if self.frames == MAX_FRAMES {
            self.too_deep(Layer::Eth, bytes);
            return Network::Nothing;
        }
        self.frames += 1;
        match Ethernet::parse(bytes) {
            Ok(ethernet) => {
                let mut tags = 0;
                if let Some(id) = stripped_vlan {
                    self.trail.layer(Layer::Vlan, bytes);
                    self.trail.vlan(id);
                    self.tagged(id);
                    tags = 1;
                }
                self.network(ethernet.ether_type(), ethernet.payload(), tags)
            }
            Err(error) => self.broken(error, bytes),
        }
    }

    /// What an EtherType announces, behind `tags` VLAN tags.
    #[inline]
    pub(super) fn network(&mut self, ether_type: u16, rest: &'a [u8], tags: usize) -> Network<'a> {
        match ether_type {
            ethernet::IPV4 => {
                self.typed(ether_type);
                Network::V4(rest)
            }
            ethernet::IPV6 => {
                self.typed(ether_type);
                Network::V6(rest)
            }
            _ => self.below_ip(ether_type, rest, tags),
        }
    }

    /// What stands between Ethernet and IP, tags first.
    #[inline(never)]
    fn below_ip(&mut self, ether_type: u16, rest: &'a [u8], tags: usize) -> Network<'a> {
        if !ethernet::is_vlan(ether_type) {
            self.typed(ether_type);
            return self.uncommon(ether_type, rest);
        }
        self.trail.layer(Layer::Vlan, rest);
        if tags == MAX_VLANS {
            self.too_deep(Layer::Vlan, rest);
            return Network::Nothing;
        }
        match Vlan::parse(rest) {
            Ok(vlan) => {
                self.tagged(vlan.id());
                self.trail.vlan(vlan.id());
                self.network(vlan.ether_type(), vlan.payload(), tags + 1)
            }
            Err(error) => self.broken(error, rest),
        }
    }

    /// Notes the outermost tag of the outermost frame.
    #[inline]
    fn tagged(&mut self, id: u16) {
        if self.record.vlan == Record::UNTAGGED && self.record.outer_ip == Record::ABSENT {
            self.record.vlan = id;
        }
    }

    /// Notes the EtherType of the outermost frame.
    #[inline]
    fn typed(&mut self, ether_type: u16) {
        if self.record.outer_ip == Record::ABSENT {
            self.record.ether_type = ether_type;
        }
    }

    #[cold]
    fn uncommon(&mut self, ether_type: u16, rest: &'a [u8]) -> Network<'a> {
        match ether_type {
            mpls::UNICAST | mpls::MULTICAST => self.labels(rest),
            pppoe::SESSION => self.pppoe(rest),
            pppoe::DISCOVERY => {
                self.trail.layer(Layer::Pppoe, rest);
                Network::Nothing
            }
            ethernet::ARP => {
                self.trail.layer(Layer::Arp, rest);
                Network::Nothing
            }
            _ => self.unknown(rest),
        }
    }

    fn labels(&mut self, mut rest: &'a [u8]) -> Network<'a> {
        for _ in 0..mpls::MAX_LABELS {
            self.trail.layer(Layer::Mpls, rest);
            let label = match Label::parse(rest) {
                Ok(label) => label,
                Err(error) => return self.broken(error, rest),
            };
            self.trail.mpls(label.label());
            rest = label.payload();
            if label.is_bottom() {
                return self.labelled(rest);
            }
        }
        self.too_deep(Layer::Mpls, rest);
        Network::Nothing
    }

    /// The packet under a label stack, which nothing announces: IP by its version,
    /// or the Ethernet frame of a pseudowire, with a control word or without.
    fn labelled(&mut self, rest: &'a [u8]) -> Network<'a> {
        match rest.first().map(|first| first >> 4) {
            Some(_) if is_rather_ethernet(rest) => self.ethernet(rest, None),
            Some(4) => Network::V4(rest),
            Some(6) => Network::V6(rest),
            Some(0) if rest.get(CONTROL_WORD..).is_some_and(looks_like_ethernet) => {
                self.ethernet(&rest[CONTROL_WORD..], None)
            }
            _ => self.unknown(rest),
        }
    }

    fn pppoe(&mut self, rest: &'a [u8]) -> Network<'a> {
        self.trail.layer(Layer::Pppoe, rest);
        match Pppoe::parse(rest) {
            Ok(session) => match session.ether_type() {
                Some(ether_type) => self.network(ether_type, session.payload(), MAX_VLANS),
                None => self.unknown(session.payload()),
            },
            Err(error) => self.broken(error, rest),
        }
    }

    /// An IP packet that only its own version announces.
    pub(super) fn by_version(&mut self, bytes: &'a [u8]) -> Network<'a> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => {
                self.typed(ethernet::IPV4);
                Network::V4(bytes)
            }
            Some(6) => {
                self.typed(ethernet::IPV6);
                Network::V6(bytes)
            }
            _ => self.unknown(bytes),
        }
    }

    fn unknown(&mut self, rest: &[u8]) -> Network<'a> {
        self.trail.layer(Layer::Other, rest);
        Network::Nothing
    }

    #[cold]
    fn broken(&mut self, error: WireError, header: &[u8]) -> Network<'a> {
        self.fail(error, header);
        Network::Nothing
    }
}

/// Whether bytes that nothing announces are an Ethernet frame, although their first octet may be
/// an IP packet's as well as a MAC address's. What can be IP is IP: a frame's look is easily given.
pub(super) fn is_rather_ethernet(bytes: &[u8]) -> bool {
    let can_be_ip = match bytes.first().map(|first| first >> 4) {
        Some(4) => Ipv4::parse(bytes).is_ok_and(|ip| !ip.is_short()),
        Some(6) => Ipv6::parse(bytes).is_ok_and(|ip| !ip.is_short()),
        _ => false,
    };
    !can_be_ip && looks_like_ethernet(bytes)
}

/// Whether bytes begin with two MAC addresses and an EtherType that is walked.
pub(super) fn looks_like_ethernet(bytes: &[u8]) -> bool {
    Ethernet::parse(bytes).is_ok_and(|ethernet| {
        let ether_type = ethernet.ether_type();
        matches!(
            ether_type,
            ethernet::IPV4 | ethernet::IPV6 | ethernet::ARP | mpls::UNICAST | pppoe::SESSION
        ) || ethernet::is_vlan(ether_type)
    })
}
