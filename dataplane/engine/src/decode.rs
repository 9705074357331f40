//! `decode`: headers into a record.
//!
//! One walk serves the packet path, where nobody follows it, and `weir decode`,
//! where a [`Trail`] writes down every layer.

use weir_wire::ethernet::{self, Ethernet, Vlan};
use weir_wire::gtpu::{self, Gtpu, Message, TPdu};
use weir_wire::gtpu_extension::{PDU_SESSION_CONTAINER, PduSession};
use weir_wire::icmp::{Icmp, Purpose};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::pfcp::Pfcp;
use weir_wire::sctp::{self, Sctp};
use weir_wire::tcp::{self, Tcp};
use weir_wire::udp::Udp;
use weir_wire::{Fragment, Layer, WireError};

use crate::frame::Frame;
use crate::record::{Evidence, Flags, Ip, Kind, Record};

/// IP protocol numbers that are decoded further.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ESP.
    pub const ESP: u8 = 50;
    /// AH.
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// The most VLAN tags that are walked.
pub const MAX_VLANS: usize = 4;

/// The UDP ports on which GTP-U and PFCP are tried, on either side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ports {
    gtpu: [u16; Ports::MOST],
    pfcp: [u16; Ports::MOST],
}

impl Ports {
    /// The most ports of one protocol.
    pub const MOST: usize = 4;

    /// These ports, at most [`Ports::MOST`] of each; further ones are left out.
    pub fn new(gtpu: &[u16], pfcp: &[u16]) -> Self {
        let fill = |given: &[u16]| {
            let mut ports = [0; Self::MOST];
            for (slot, port) in ports.iter_mut().zip(given) {
                *slot = *port;
            }
            ports
        };
        Self { gtpu: fill(gtpu), pfcp: fill(pfcp) }
    }

    #[inline]
    fn is_gtpu(&self, source: u16, destination: u16) -> bool {
        either(&self.gtpu, source, destination)
    }

    #[inline]
    fn is_pfcp(&self, source: u16, destination: u16) -> bool {
        either(&self.pfcp, source, destination)
    }
}

#[inline]
fn either(ports: &[u16; Ports::MOST], source: u16, destination: u16) -> bool {
    ports.iter().any(|&port| port != 0 && (port == source || port == destination))
}

impl Default for Ports {
    fn default() -> Self {
        Self::new(&[weir_wire::gtpu::PORT], &[weir_wire::pfcp::PORT])
    }
}

/// Follows the walk from layer to layer.
pub trait Trail {
    /// A layer was entered.
    fn layer(&mut self, layer: Layer);
    /// A VLAN tag was passed.
    fn vlan(&mut self, id: u16);
}

/// Nobody follows.
impl Trail for () {
    #[inline(always)]
    fn layer(&mut self, _: Layer) {}
    #[inline(always)]
    fn vlan(&mut self, _: u16) {}
}

/// Decodes one frame.
#[inline]
pub fn decode(frame: &Frame<'_>, ports: &Ports, trail: &mut impl Trail) -> Record {
    let mut walk = Walk {
        frame: frame.bytes,
        ports,
        record: Record {
            time: frame.meta.time,
            wire_len: frame.meta.wire_len,
            tap: frame.meta.tap,
            vlan: Record::UNTAGGED,
            ..Record::default()
        },
        trail,
    };
    if let Some(id) = frame.meta.stripped_vlan {
        walk.record.vlan = id;
    }
    walk.ethernet(frame.meta.stripped_vlan);
    walk.record
}

struct Walk<'a, 'p, T> {
    frame: &'a [u8],
    ports: &'p Ports,
    record: Record,
    trail: &'p mut T,
}

impl<'a, T: Trail> Walk<'a, '_, T> {
    /// Where a part of the frame stands in it.
    #[inline]
    fn offset(&self, part: &[u8]) -> u16 {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.frame.as_ptr() as usize);
        u16::try_from(offset).unwrap_or(u16::MAX)
    }

    #[cold]
    fn fail(&mut self, error: WireError, header: &[u8]) {
        let offset = self.offset(header);
        self.record.fail(error, offset);
    }

    #[inline]
    fn ethernet(&mut self, stripped: Option<u16>) {
        self.trail.layer(Layer::Eth);
        let ethernet = match Ethernet::parse(self.frame) {
            Ok(ethernet) => ethernet,
            Err(error) => return self.fail(error, self.frame),
        };
        if let Some(id) = stripped {
            self.trail.layer(Layer::Vlan);
            self.trail.vlan(id);
        }
        let mut ether_type = ethernet.ether_type();
        let mut rest = ethernet.payload();
        let mut tags = usize::from(stripped.is_some());
        while ethernet::is_vlan(ether_type) {
            self.trail.layer(Layer::Vlan);
            if tags == MAX_VLANS {
                let error = WireError { layer: Layer::Vlan, kind: weir_wire::ErrorKind::Depth };
                return self.fail(error, rest);
            }
            let vlan = match Vlan::parse(rest) {
                Ok(vlan) => vlan,
                Err(error) => return self.fail(error, rest),
            };
            if tags == 0 {
                self.record.vlan = vlan.id();
            }
            self.trail.vlan(vlan.id());
            tags += 1;
            ether_type = vlan.ether_type();
            rest = vlan.payload();
        }
        self.record.ether_type = ether_type;
        match ether_type {
            ethernet::IPV4 => self.outer_v4(rest),
            ethernet::IPV6 => self.outer_v6(rest),
            ethernet::ARP => self.trail.layer(Layer::Arp),
            _ => self.trail.layer(Layer::Other),
        }
    }

    #[inline]
    fn outer_v4(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Ipv4);
        match Ipv4::parse(bytes) {
            Ok(ip) => self.outer(bytes, &Ip::V4(ip)),
            Err(error) => self.fail(error, bytes),
        }
    }

    fn outer_v6(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Ipv6);
        match Ipv6::parse(bytes) {
            Ok(ip) => {
                self.record.flags.set(Flags::OUTER_V6);
                self.outer(bytes, &Ip::V6(ip));
            }
            Err(error) => self.fail(error, bytes),
        }
    }

    #[inline]
    fn outer(&mut self, bytes: &[u8], ip: &Ip<'a>) {
        let (fragment, protocol, payload, short) = match ip {
            Ip::V4(ip) => (ip.fragment(), ip.protocol(), ip.payload(), ip.is_short()),
            Ip::V6(ip) => (ip.fragment(), ip.protocol(), ip.payload(), ip.is_short()),
        };
        self.record.kind = Kind::Ip;
        self.record.outer_ip = self.offset(bytes);
        self.record.protocol = protocol;
        self.record.payload_len = bounded(payload.len());
        if short {
            self.record.flags.set(Flags::SHORT);
        }
        match fragment {
            Fragment::None => {}
            Fragment::First => self.record.flags.set(Flags::FIRST_FRAGMENT),
            Fragment::Later => {
                self.record.flags.set(Flags::LATER_FRAGMENT);
                self.record.evidence.set(Evidence::DATA);
                return;
            }
        }
        self.record.outer_l4 = self.offset(payload);
        match protocol {
            protocol::UDP => self.udp(payload),
            protocol::TCP => self.tcp(payload),
            protocol::SCTP => self.sctp(payload),
            protocol::ICMP => self.icmp(payload, Layer::Icmp),
            protocol::ICMPV6 => self.icmp(payload, Layer::Icmpv6),
            other => {
                self.trail.layer(opaque_layer(other));
                self.record.outer_l4 = 0;
                self.record.evidence.set(Evidence::DATA);
            }
        }
    }

    #[inline]
    fn udp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Udp);
        let udp = match Udp::parse(bytes) {
            Ok(udp) => udp,
            Err(error) => return self.fail(error, bytes),
        };
        let payload = udp.payload();
        self.record.source_port = udp.source();
        self.record.destination_port = udp.destination();
        self.record.payload_len = bounded(payload.len());
        if !payload.is_empty() {
            self.record.evidence.set(Evidence::DATA);
        }
        let Some(&first) = payload.first() else { return };
        if self.ports.is_gtpu(udp.source(), udp.destination()) && Gtpu::is_version_1(first) {
            self.gtpu(payload);
        } else if self.ports.is_pfcp(udp.source(), udp.destination()) && Pfcp::is_version_1(first) {
            self.pfcp(payload);
        } else if is_control(udp.source(), udp.destination(), first) {
            self.trail.layer(Layer::Gtpc);
        }
    }

    fn tcp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Tcp);
        let tcp = match Tcp::parse(bytes) {
            Ok(tcp) => tcp,
            Err(error) => return self.fail(error, bytes),
        };
        self.record.source_port = tcp.source();
        self.record.destination_port = tcp.destination();
        self.record.payload_len = bounded(tcp.payload().len());
        self.record.tcp_flags = tcp.flags();
        let evidence = &mut self.record.evidence;
        match tcp.flags() & (tcp::SYN | tcp::ACK | tcp::RST) {
            tcp::SYN => evidence.set(Evidence::OPENS),
            both if both == tcp::SYN | tcp::ACK => evidence.set(Evidence::ACCEPTS),
            flags if flags & tcp::RST != 0 => evidence.set(Evidence::REFUSES),
            _ => {}
        }
        if tcp.flags() & tcp::FIN != 0 {
            evidence.set(Evidence::CLOSES);
        }
        if tcp.flags() & (tcp::ACK | tcp::RST) == tcp::ACK {
            evidence.set(Evidence::ACKNOWLEDGES);
        }
        if !tcp.payload().is_empty() && tcp.flags() & tcp::RST == 0 {
            evidence.set(Evidence::DATA);
        }
    }

    fn sctp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Sctp);
        let sctp = match Sctp::parse(bytes) {
            Ok(sctp) => sctp,
            Err(error) => return self.fail(error, bytes),
        };
        self.record.source_port = sctp.source();
        self.record.destination_port = sctp.destination();
        self.record.payload_len = bounded(sctp.chunks().len());
        self.record.evidence.set(match sctp.first_chunk() {
            Some(sctp::INIT) => Evidence::OPENS,
            Some(sctp::INIT_ACK) => Evidence::ACCEPTS,
            Some(sctp::ABORT) => Evidence::REFUSES,
            Some(sctp::DATA) => Evidence::DATA,
            _ => Evidence::default(),
        });
    }

    fn icmp(&mut self, bytes: &'a [u8], layer: Layer) {
        self.trail.layer(layer);
        let icmp = match Icmp::parse(bytes, layer) {
            Ok(icmp) => icmp,
            Err(error) => return self.fail(error, bytes),
        };
        let purpose = if layer == Layer::Icmp { icmp.purpose_v4() } else { icmp.purpose_v6() };
        self.record.payload_len = bounded(icmp.body().len());
        self.record.evidence.set(match purpose {
            Purpose::Request | Purpose::Other => Evidence::OPENS,
            Purpose::Reply | Purpose::Error => Evidence::REPORTS,
            Purpose::Discovery => Evidence::HOUSEKEEPING,
        });
    }

    #[inline]
    fn gtpu(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Gtpu);
        let gtpu = match Gtpu::parse(bytes) {
            Ok(gtpu) => gtpu,
            Err(error) => return self.fail(error, bytes),
        };
        self.record.kind = Kind::Gtpu;
        self.record.gtp = self.offset(bytes);
        self.record.message = gtpu.message_code();
        self.record.teid = gtpu.teid().0;
        if gtpu.trailing() > 0 {
            self.record.flags.set(Flags::TRAILING);
        }
        if gtpu.is_short() {
            self.record.flags.set(Flags::SHORT);
        }
        let mut extensions = gtpu.extensions();
        for step in extensions.by_ref() {
            match step {
                Ok(extension) if extension.kind == PDU_SESSION_CONTAINER => {
                    if let Ok(container) = PduSession::parse(extension.content) {
                        self.record.qfi = container.qfi();
                        self.record.flags.set(Flags::QFI);
                    }
                }
                Ok(_) => {}
                Err(error) => return self.fail(error, bytes),
            }
        }
        if gtpu.message() == Message::GPdu {
            self.t_pdu(extensions.rest());
        }
    }

    #[inline]
    fn t_pdu(&mut self, bytes: &'a [u8]) {
        let parsed = match TPdu::guess(bytes) {
            TPdu::Ipv4 => Ipv4::parse(bytes).map(Ip::V4),
            TPdu::Ipv6 => Ipv6::parse(bytes).map(Ip::V6),
            TPdu::Opaque => {
                if !bytes.is_empty() {
                    self.trail.layer(Layer::Other);
                }
                return;
            }
        };
        let (layer, fragment, protocol, payload) = match &parsed {
            Ok(Ip::V4(ip)) => (Layer::Ipv4, ip.fragment(), ip.protocol(), ip.payload()),
            Ok(Ip::V6(ip)) => (Layer::Ipv6, ip.fragment(), ip.protocol(), ip.payload()),
            Err(error) => {
                self.trail.layer(error.layer);
                return self.fail(*error, bytes);
            }
        };
        self.trail.layer(layer);
        self.record.inner_ip = self.offset(bytes);
        self.record.inner_protocol = protocol;
        self.record.flags.set(Flags::VERIFIED_GPDU);
        if layer == Layer::Ipv6 {
            self.record.flags.set(Flags::INNER_V6);
        }
        if fragment == Fragment::Later {
            return;
        }
        let inner = match protocol {
            protocol::UDP => Udp::parse(payload).map(|_| Layer::Udp),
            protocol::TCP => Tcp::parse(payload).map(|_| Layer::Tcp),
            protocol::SCTP => Sctp::parse(payload).map(|_| Layer::Sctp),
            protocol::ICMP => Icmp::parse(payload, Layer::Icmp).map(|_| Layer::Icmp),
            protocol::ICMPV6 => Icmp::parse(payload, Layer::Icmpv6).map(|_| Layer::Icmpv6),
            other => return self.trail.layer(opaque_layer(other)),
        };
        match inner {
            Ok(layer) => {
                self.trail.layer(layer);
                self.record.inner_l4 = self.offset(payload);
            }
            Err(error) => {
                self.trail.layer(error.layer);
                self.fail(error, payload);
            }
        }
    }

    fn pfcp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Pfcp);
        match Pfcp::parse(bytes) {
            Ok(pfcp) => {
                self.record.kind = Kind::Pfcp;
                self.record.gtp = self.offset(bytes);
                self.record.message = pfcp.message().0;
                if pfcp.is_short() {
                    self.record.flags.set(Flags::SHORT);
                }
            }
            Err(error) => self.fail(error, bytes),
        }
    }
}

/// Whether a datagram is GTP-C (version 1 or 2) or GTP' by port and version:
/// identified, and no more.
fn is_control(source: u16, destination: u16, first_octet: u8) -> bool {
    [gtpu::CONTROL_PORT, gtpu::PRIME_PORT].iter().any(|port| [source, destination].contains(port))
        && first_octet >> 5 <= 2
}

fn opaque_layer(protocol: u8) -> Layer {
    match protocol {
        protocol::ESP => Layer::Esp,
        protocol::AH => Layer::Ah,
        _ => Layer::Other,
    }
}

#[inline]
fn bounded(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// The PFCP messages bundled in one datagram (FO), each with the error that
/// ended the bundle as its last item; bounded by the datagram itself.
pub fn pfcp_bundle(bytes: &[u8]) -> impl Iterator<Item = Result<Pfcp<'_>, WireError>> {
    let mut next = Some(bytes);
    std::iter::from_fn(move || {
        let message = Pfcp::parse(next.take()?);
        if let Ok(pfcp) = &message {
            next = pfcp.next_message();
        }
        Some(message)
    })
}
