//! What is wrapped in other tunnels or nested in G-PDUs: decoded to be told of,
//! never to be counted as a flow or a tunnel of its own.

use weir_wire::ah::Ah;
use weir_wire::erspan::{self, Erspan};
use weir_wire::foreign::Foreign;
use weir_wire::gre::{self, Gre};
use weir_wire::gtpc;
use weir_wire::gtpu::{Gtpu, Message, TPdu};
use weir_wire::icmp::Icmp;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::pfcp::Pfcp;
use weir_wire::sctp::{self, Sctp};
use weir_wire::tcp::Tcp;
use weir_wire::udp::Udp;
use weir_wire::vxlan::Vxlan;
use weir_wire::{Fragment, Layer};

use super::link::{Network, is_rather_ethernet};
use super::outer::is_control;
use super::{Trail, Walk, opaque_layer, protocol};
use crate::record::{Flags, Ip};

/// What the packet in question is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Within {
    /// A tunnel other than GTP-U.
    Tunnel,
    /// A G-PDU.
    User,
    /// A G-PDU in a G-PDU, where the walk ends.
    Nested,
}

impl<'a, T: Trail> Walk<'a, '_, T> {
    /// The network packet in GRE, ERSPAN or VXLAN.
    pub(super) fn in_tunnel(&mut self, tunnel: Foreign, bytes: &'a [u8]) -> Network<'a> {
        if tunnel == Foreign::Vxlan {
            self.trail.layer(Layer::Vxlan, bytes);
            return match Vxlan::parse(bytes) {
                Ok(vxlan) => self.ethernet(vxlan.payload(), None),
                Err(error) => {
                    self.fail(error, bytes);
                    Network::Nothing
                }
            };
        }
        self.trail.layer(Layer::Gre, bytes);
        match Gre::parse(bytes) {
            Ok(gre) => self.in_gre(&gre),
            Err(error) => {
                self.fail(error, bytes);
                Network::Nothing
            }
        }
    }

    fn in_gre(&mut self, gre: &Gre<'a>) -> Network<'a> {
        let rest = gre.payload();
        match gre.protocol() {
            // Type I has neither a sequence number nor a header of its own.
            erspan::TYPE_II if gre.sequence().is_none() => {
                self.trail.layer(Layer::Erspan, rest);
                self.ethernet(rest, None)
            }
            erspan::TYPE_II | erspan::TYPE_III => {
                self.trail.layer(Layer::Erspan, rest);
                match Erspan::parse(rest) {
                    Ok(mirror) if mirror.is_ethernet() => self.ethernet(mirror.payload(), None),
                    Ok(mirror) => self.by_version(mirror.payload()),
                    Err(error) => {
                        self.fail(error, rest);
                        Network::Nothing
                    }
                }
            }
            gre::ETHERNET => self.ethernet(rest, None),
            ether_type if gre.version() == 0 => self.network(ether_type, rest, 0),
            _ => {
                self.trail.layer(Layer::Other, rest);
                Network::Nothing
            }
        }
    }

    /// An IP packet and what it carries.
    #[cold]
    pub(super) fn evidence(&mut self, network: Network<'a>, within: Within) {
        let (bytes, layer, parsed) = match network {
            Network::V4(bytes) => (bytes, Layer::Ipv4, Ipv4::parse(bytes).map(Ip::V4)),
            Network::V6(bytes) => (bytes, Layer::Ipv6, Ipv6::parse(bytes).map(Ip::V6)),
            Network::Nothing => return,
        };
        self.trail.layer(layer, bytes);
        let (fragment, protocol, payload) = match &parsed {
            Ok(Ip::V4(ip)) => (ip.fragment(), ip.protocol(), ip.payload()),
            Ok(Ip::V6(ip)) => (ip.fragment(), ip.protocol(), ip.payload()),
            Err(error) => return self.fail(*error, bytes),
        };
        if self.record.inner_ip == crate::Record::ABSENT {
            self.record.inner_ip = self.offset(bytes);
            self.record.inner_protocol = protocol;
            if layer == Layer::Ipv6 {
                self.record.flags.set(Flags::INNER_V6);
            }
        }
        if fragment != Fragment::Later {
            self.transport(protocol, payload, within);
        }
    }

    fn transport(&mut self, protocol: u8, payload: &'a [u8], within: Within) {
        let parsed = match protocol {
            protocol::UDP => Udp::parse(payload).map(|udp| {
                self.inner_transport(Layer::Udp, payload);
                self.datagram(&udp, within);
            }),
            protocol::TCP => Tcp::parse(payload).map(|_| self.inner_transport(Layer::Tcp, payload)),
            protocol::SCTP => Sctp::parse(payload).map(|sctp| {
                self.inner_transport(Layer::Sctp, payload);
                self.ran_application(&sctp, within);
            }),
            protocol::ICMP => Icmp::parse(payload, Layer::Icmp)
                .map(|_| self.inner_transport(Layer::Icmp, payload)),
            protocol::ICMPV6 => Icmp::parse(payload, Layer::Icmpv6)
                .map(|_| self.inner_transport(Layer::Icmpv6, payload)),
            other => return self.portless(other, payload, within),
        };
        if let Err(error) = parsed {
            self.trail.layer(error.layer, payload);
            self.fail(error, payload);
        }
    }

    fn inner_transport(&mut self, layer: Layer, payload: &[u8]) {
        self.trail.layer(layer, payload);
        if self.record.inner_l4 == crate::Record::ABSENT {
            self.record.inner_l4 = self.offset(payload);
        }
    }

    /// A protocol without ports: only an Authentication Header is looked behind.
    #[cold]
    pub(super) fn portless(&mut self, protocol: u8, payload: &'a [u8], within: Within) {
        if protocol == protocol::AH {
            self.authenticated(payload, within);
        } else {
            self.trail.layer(opaque_layer(protocol), payload);
        }
    }

    /// What an Authentication Header covers, which it does not hide. A second one
    /// in a row is not looked behind.
    pub(super) fn authenticated(&mut self, payload: &'a [u8], within: Within) {
        self.trail.layer(Layer::Ah, payload);
        match Ah::parse(payload) {
            Ok(ah) => match ah.next_header() {
                protocol::IPV4 => self.evidence(Network::V4(ah.payload()), within),
                protocol::IPV6 => self.evidence(Network::V6(ah.payload()), within),
                protocol::AH => self.trail.layer(Layer::Ah, ah.payload()),
                other => self.transport(other, ah.payload(), within),
            },
            Err(error) => self.fail(error, payload),
        }
    }

    /// GTP or PFCP where only users' or wrapped packets are expected.
    #[cold]
    pub(super) fn datagram(&mut self, udp: &Udp<'a>, within: Within) {
        let (ports, payload) = ((udp.source(), udp.destination()), udp.payload());
        let Some(&first) = payload.first() else { return };
        if within == Within::Nested {
            return;
        }
        if self.ports.is_gtpu(ports.0, ports.1) && Gtpu::is_version_1(first) {
            self.deeper_gtpu(payload, within);
        } else if self.ports.is_pfcp(ports.0, ports.1) && Pfcp::is_version_1(first) {
            self.trail.layer(Layer::Pfcp, payload);
            match Pfcp::parse(payload) {
                Ok(pfcp) if within == Within::Tunnel => {
                    self.wrapped(payload, pfcp.message().0, 0);
                }
                Ok(_) if Pfcp::is_plausible(payload) => self.control_inside(),
                Ok(_) => {}
                // Whose user's packet it is may speak whatever it likes on this port.
                Err(error) if within == Within::Tunnel => self.fail(error, payload),
                Err(_) => {}
            }
        } else if is_control(ports.0, ports.1, first) {
            self.trail.layer(Layer::Gtpc, payload);
            if within == Within::User && gtpc::identify(payload).is_some() {
                self.control_inside();
            }
        } else if within == Within::Tunnel
            && Foreign::of_datagram(ports.0, ports.1, payload) == Some(Foreign::Vxlan)
        {
            self.trail.layer(Layer::Vxlan, payload);
        }
    }

    fn deeper_gtpu(&mut self, bytes: &'a [u8], within: Within) {
        self.trail.layer(Layer::Gtpu, bytes);
        let gtpu = match Gtpu::parse(bytes) {
            Ok(gtpu) => gtpu,
            Err(error) if within == Within::Tunnel => return self.fail(error, bytes),
            Err(_) => return,
        };
        let deeper = if within == Within::Tunnel {
            self.wrapped(bytes, gtpu.message_code(), gtpu.teid().0);
            Within::User
        } else {
            if is_nested(bytes, &gtpu) {
                self.record.flags.set(Flags::NESTED);
            }
            Within::Nested
        };
        let mut extensions = gtpu.extensions();
        if extensions.by_ref().any(|step| step.is_err()) || gtpu.message() != Message::GPdu {
            return;
        }
        let pdu = extensions.rest();
        let network = match TPdu::guess(pdu) {
            _ if is_rather_ethernet(pdu) => self.ethernet(pdu, None),
            TPdu::Ipv4 => Network::V4(pdu),
            TPdu::Ipv6 => Network::V6(pdu),
            TPdu::Opaque => Network::Nothing,
        };
        self.evidence(network, deeper);
    }

    fn wrapped(&mut self, header: &[u8], message: u8, teid: u32) {
        self.record.flags.set(Flags::WRAPPED);
        self.record.gtp = self.offset(header);
        self.record.message = message;
        self.record.teid = teid;
    }

    fn control_inside(&mut self) {
        self.record.flags.set(Flags::CONTROL_INSIDE);
    }

    /// The application protocols between RAN and core, which no subscriber speaks.
    #[cold]
    pub(super) fn ran_application(&mut self, sctp: &Sctp<'_>, within: Within) {
        const RAN: [u32; 6] =
            [sctp::NGAP, sctp::S1AP, sctp::X2AP, sctp::XNAP, sctp::F1AP, sctp::E1AP];
        if within == Within::User && sctp.data_protocols().any(|of| RAN.contains(&of)) {
            self.control_inside();
        }
    }
}

/// Whether a datagram inside a G-PDU is GTP-U. Bytes behind its length do not
/// hide it if a user's packet stands where the header says.
fn is_nested(bytes: &[u8], gtpu: &Gtpu<'_>) -> bool {
    let Some(message) = bytes.get(..bytes.len() - gtpu.trailing()) else { return false };
    let mut extensions = gtpu.extensions();
    let sound = extensions.by_ref().all(|step| step.is_ok());
    let carries_ip = sound && TPdu::guess(extensions.rest()) != TPdu::Opaque;
    Gtpu::is_plausible(message) && (gtpu.trailing() == 0 || carries_ip)
}
