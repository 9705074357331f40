//! GTP-U and the user's packet in it.

use weir_wire::gtpu::{Gtpu, Message, TPdu};
use weir_wire::gtpu_element::{self, Elements, PRIVATE_EXTENSION};
use weir_wire::gtpu_extension::{Extension, PDU_SESSION_CONTAINER};
use weir_wire::icmp::Icmp;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::pdu_session::PduSession;
use weir_wire::sctp::Sctp;
use weir_wire::tcp::Tcp;
use weir_wire::udp::Udp;
use weir_wire::{Fragment, Layer};

use super::evidence::Within;
use super::link::{is_rather_ethernet, looks_like_ethernet};
use super::{Trail, Walk, protocol};
use crate::record::{Flags, Ip, Kind, Oddities};

impl<'a, T: Trail> Walk<'a, '_, T> {
    #[inline]
    pub(super) fn gtpu(&mut self, bytes: &'a [u8]) {
        self.trail.layer(Layer::Gtpu, bytes);
        let gtpu = match Gtpu::parse(bytes) {
            Ok(gtpu) => gtpu,
            Err(error) => return self.fail(error, bytes),
        };
        self.record.kind = Kind::Gtpu;
        self.record.gtp = self.offset(bytes);
        self.record.message = gtpu.message_code();
        self.record.teid = gtpu.teid().0;
        if gtpu.trailing() > 0 {
            self.record.oddities.set(Oddities::TRAILING);
        }
        if gtpu.spare() {
            self.record.oddities.set(Oddities::SPARE);
        }
        if gtpu.is_short() {
            self.record.flags.set(Flags::SHORT);
        }
        let mut extensions = gtpu.extensions();
        for step in extensions.by_ref() {
            match step {
                Ok(extension) => self.extension(&extension),
                Err(error) => return self.fail(error, bytes),
            }
        }
        if gtpu.message() == Message::GPdu {
            self.t_pdu(extensions.rest());
        } else {
            self.path_management(gtpu.message(), extensions.rest());
        }
    }

    #[inline]
    fn extension(&mut self, extension: &Extension<'_>) {
        if extension.kind != PDU_SESSION_CONTAINER {
            return self.other_extension(extension.kind);
        }
        if let Ok(container) = PduSession::parse(extension.content) {
            self.record.qfi = container.qfi();
            self.record.flags.set(Flags::QFI);
        }
    }

    /// Of several, the one with the smallest type stands for all.
    #[cold]
    fn other_extension(&mut self, kind: u8) {
        let first = !self.record.oddities.has(Oddities::EXTENSION);
        if first || kind < self.record.extension {
            self.record.extension = kind;
        }
        self.record.oddities.set(Oddities::EXTENSION);
    }

    /// A message of the path or tunnel itself: what its elements do not need is odd.
    #[cold]
    fn path_management(&mut self, message: Message, body: &'a [u8]) {
        let echo = matches!(message, Message::EchoRequest | Message::EchoResponse);
        if echo {
            self.record.oddities.set(Oddities::ECHO);
        }
        let mut elements = Elements::new(body).map_while(Result::ok);
        if elements.any(|element| element.kind == PRIVATE_EXTENSION) {
            self.record.oddities.set(Oddities::PRIVATE);
        }
        if echo && gtpu_element::needed(body) < body.len() {
            self.record.oddities.set(Oddities::PADDED);
        }
    }

    #[inline]
    fn t_pdu(&mut self, bytes: &'a [u8]) {
        let parsed = match TPdu::guess(bytes) {
            TPdu::Ipv4 => Ipv4::parse(bytes).map(Ip::V4),
            TPdu::Ipv6 => Ipv6::parse(bytes).map(Ip::V6),
            TPdu::Opaque => return self.other_pdu(bytes),
        };
        let sound = match &parsed {
            Ok(Ip::V4(ip)) => !ip.is_short(),
            Ok(Ip::V6(ip)) => !ip.is_short(),
            Err(_) => false,
        };
        if !sound && is_rather_ethernet(bytes) {
            return self.other_pdu(bytes);
        }
        let (layer, fragment, protocol, payload) = match &parsed {
            Ok(Ip::V4(ip)) => (Layer::Ipv4, ip.fragment(), ip.protocol(), ip.payload()),
            Ok(Ip::V6(ip)) => (Layer::Ipv6, ip.fragment(), ip.protocol(), ip.payload()),
            Err(error) => {
                self.trail.layer(error.layer, bytes);
                return self.fail(*error, bytes);
            }
        };
        self.trail.layer(layer, bytes);
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
            protocol::UDP => Udp::parse(payload).map(|udp| {
                if self.ports.may_be_signalling(udp.source(), udp.destination()) {
                    self.trail.layer(Layer::Udp, payload);
                    self.record.inner_l4 = self.offset(payload);
                    self.datagram(&udp, Within::User);
                    return None;
                }
                Some(Layer::Udp)
            }),
            protocol::TCP => Tcp::parse(payload).map(|_| Some(Layer::Tcp)),
            protocol::SCTP => Sctp::parse(payload).map(|sctp| {
                self.ran_application(&sctp, Within::User);
                Some(Layer::Sctp)
            }),
            protocol::ICMP => Icmp::parse(payload, Layer::Icmp).map(|_| Some(Layer::Icmp)),
            protocol::ICMPV6 => Icmp::parse(payload, Layer::Icmpv6).map(|_| Some(Layer::Icmpv6)),
            other => return self.portless(other, payload, Within::User),
        };
        match inner {
            Ok(Some(layer)) => {
                self.trail.layer(layer, payload);
                self.record.inner_l4 = self.offset(payload);
            }
            Ok(None) => {}
            Err(error) => {
                self.trail.layer(error.layer, payload);
                self.fail(error, payload);
            }
        }
    }

    /// An Ethernet PDU by its EtherType, else an unstructured one.
    #[cold]
    fn other_pdu(&mut self, bytes: &'a [u8]) {
        if looks_like_ethernet(bytes) {
            self.record.flags.set(Flags::VERIFIED_GPDU);
            let network = self.ethernet(bytes, None);
            self.evidence(network, Within::User);
        } else if !bytes.is_empty() {
            self.trail.layer(Layer::Other, bytes);
        }
    }
}
