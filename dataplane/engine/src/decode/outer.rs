//! The outermost IP packet and its transport header.

use weir_wire::foreign::Foreign;
use weir_wire::gre::Gre;
use weir_wire::gtpu::{self, Gtpu};
use weir_wire::icmp::{Icmp, Purpose};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::pfcp::Pfcp;
use weir_wire::sctp::{self, Sctp};
use weir_wire::tcp::{self, Tcp};
use weir_wire::udp::Udp;
use weir_wire::vxlan::Vxlan;
use weir_wire::{Fragment, Layer};

use super::evidence::Within;
use super::link::Network;
use super::{Trail, Walk, opaque_layer, protocol};
use crate::record::{Evidence, Flags, Kind};

impl<'a, T: Trail> Walk<'a, '_, T> {
    #[inline]
    pub(super) fn outer_v4(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Ipv4, bytes);
        match Ipv4::parse(bytes) {
            Ok(ip) => {
                let short = ip.is_short();
                self.outer(bytes, ip.fragment(), ip.protocol(), ip.payload(), short);
            }
            Err(error) => self.fail(error, bytes),
        }
    }

    pub(super) fn outer_v6(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Ipv6, bytes);
        match Ipv6::parse(bytes) {
            Ok(ip) => {
                self.record.flags.set(Flags::OUTER_V6);
                let short = ip.is_short();
                self.outer(bytes, ip.fragment(), ip.protocol(), ip.payload(), short);
            }
            Err(error) => self.fail(error, bytes),
        }
    }

    /// What the packet's own header says, whichever its version.
    #[inline]
    fn outer(
        &mut self,
        bytes: &[u8],
        fragment: Fragment,
        protocol: u8,
        payload: &'a [u8],
        short: bool,
    ) {
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
            other => self.without_ports(other, payload),
        }
    }

    /// A protocol without ports, which may be a tunnel.
    #[cold]
    fn without_ports(&mut self, protocol: u8, payload: &'a [u8]) {
        self.record.outer_l4 = crate::Record::ABSENT;
        self.record.evidence.set(Evidence::DATA);
        let Some(mut tunnel) = Foreign::of_protocol(protocol) else {
            return self.trail.layer(opaque_layer(protocol), payload);
        };
        if tunnel == Foreign::Gre && Gre::parse(payload).is_ok_and(|gre| is_mirror(gre.protocol()))
        {
            tunnel = Foreign::Erspan;
        }
        self.tunnel(tunnel, protocol, payload);
    }

    /// Takes a tap's own wrapper off, or walks what is in somebody else's tunnel as evidence.
    #[cold]
    fn tunnel(&mut self, tunnel: Foreign, protocol: u8, payload: &'a [u8]) {
        if self.wrapper.is_some_and(|wrapper| wrapper.covers(tunnel)) {
            return self.unwrapped(|walk| walk.in_tunnel(tunnel, payload));
        }
        self.record.tunnel = Some(tunnel);
        match tunnel {
            Foreign::Gre | Foreign::Erspan | Foreign::Vxlan => {
                let network = self.in_tunnel(tunnel, payload);
                self.evidence(network, Within::Tunnel);
            }
            Foreign::IpInIp => self.evidence(Network::V4(payload), Within::Tunnel),
            Foreign::SixInFour => self.evidence(Network::V6(payload), Within::Tunnel),
            Foreign::Ah => self.authenticated(payload, Within::Tunnel),
            _ => self.trail.layer(opaque_layer(protocol), payload),
        }
    }

    #[inline]
    fn udp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Udp, bytes);
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
            if self.ports.takes_gtpu(udp.destination()) {
                self.record.flags.set(Flags::TO_GTPU);
            }
            self.gtpu(payload);
        } else if self.ports.is_pfcp(udp.source(), udp.destination()) && Pfcp::is_version_1(first) {
            self.pfcp(payload);
        } else if is_control(udp.source(), udp.destination(), first) {
            self.trail.layer(Layer::Gtpc, payload);
        } else if let Some(tunnel) = Foreign::of_datagram(udp.source(), udp.destination(), payload)
        {
            self.tunnel_in_udp(tunnel, payload);
        }
    }

    #[cold]
    fn tunnel_in_udp(&mut self, tunnel: Foreign, payload: &'a [u8]) {
        match tunnel {
            // Its layer has a name and its content is walked.
            Foreign::Vxlan if Vxlan::parse(payload).is_ok() => {
                self.tunnel(tunnel, protocol::UDP, payload);
            }
            _ => {
                self.record.tunnel = Some(tunnel);
                let layer = if tunnel == Foreign::Esp { Layer::Esp } else { Layer::Other };
                self.trail.layer(layer, payload);
            }
        }
    }

    fn tcp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Tcp, bytes);
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
        self.trail.layer(Layer::Sctp, bytes);
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
        self.trail.layer(layer, bytes);
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

    fn pfcp(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Pfcp, bytes);
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

/// Whether a GRE packet carries a mirrored frame (ERSPAN).
pub(super) const fn is_mirror(gre_protocol: u16) -> bool {
    matches!(gre_protocol, weir_wire::erspan::TYPE_II | weir_wire::erspan::TYPE_III)
}

/// Whether a datagram is GTP-C (version 1 or 2) or GTP' by port and version:
/// identified, and no more.
pub(super) fn is_control(source: u16, destination: u16, first_octet: u8) -> bool {
    [gtpu::CONTROL_PORT, gtpu::PRIME_PORT].iter().any(|port| [source, destination].contains(port))
        && first_octet >> 5 <= 2
}

#[inline]
fn bounded(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
