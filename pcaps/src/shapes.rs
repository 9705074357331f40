//! Shapes: every form of packet that a decoder must know and that hours of ordinary traffic may
//! never show, each once, under a name. They are synthetic: no network sends them in this order.

mod beside;
mod broken;
mod extension;
mod fragment;
mod layer;
mod message;
mod node;
mod pdu;
mod session;
mod tunnel;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::encapsulation::route;
use crate::frame::{self, MacAddr, Route};
use crate::gtpu::{self, Extension, Header};
use crate::labels::{Group, GroupKind};
use crate::pfcp;
use crate::plan::Link;
use crate::stage::{Actor, MILLI, Micros, Stage};

pub(crate) use pdu::NG_SETUP_REQUEST;

/// What SCENARIO.toml says of shapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shapes {
    /// The gNB, with addresses of both families on N3.
    pub gnb: Spanned<String>,
    /// The UPF, with the same and an address on N4.
    pub upf: Spanned<String>,
    /// The SMF.
    pub smf: Spanned<String>,
    /// From one shape to the next.
    pub every_milliseconds: u64,
    /// Which ones, in this order; all if left out.
    #[serde(default = "all")]
    pub families: Vec<Family>,
}

/// Shapes of a kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Family {
    /// Optional octets and extension headers of G-PDUs.
    Extensions,
    /// GTP-U messages other than G-PDUs.
    Messages,
    /// What a G-PDU carries.
    Pdus,
    /// What stands around the outer IP header, and in it.
    Layers,
    /// Tunnels around GTP-U.
    Tunnels,
    /// Pieces of G-PDUs and of PFCP messages.
    Fragments,
    /// PFCP, every message.
    Pfcp,
    /// What breaks the rules of its protocol.
    Broken,
    /// Neighbours on the wire: GTP-C, GTP', ICMP errors, ARP, LLDP.
    Beside,
}

fn all() -> Vec<Family> {
    use Family::{Beside, Broken, Extensions, Fragments, Layers, Messages, Pdus, Pfcp, Tunnels};
    vec![Extensions, Messages, Pdus, Layers, Tunnels, Fragments, Pfcp, Broken, Beside]
}

/// One form, as the frames that show it.
pub(crate) struct Shape {
    name: String,
    kind: GroupKind,
    claim: &'static str,
    link: Link,
    frames: Vec<Vec<u8>>,
}

impl Shape {
    /// A shape of one frame on N3 that keeps the rules, and what Wireshark says of it.
    fn new(name: impl Into<String>, claim: &'static str, frame: Vec<u8>) -> Self {
        Self::of(name, claim, vec![frame])
    }

    /// A shape of several frames on N3.
    fn of(name: impl Into<String>, claim: &'static str, frames: Vec<Vec<u8>>) -> Self {
        Self { name: name.into(), kind: GroupKind::Shape, claim, link: Link::N3, frames }
    }

    fn broken(self) -> Self {
        Self { kind: GroupKind::Broken, ..self }
    }

    fn on(self, link: Link) -> Self {
        Self { link, ..self }
    }
}

/// A box that takes part.
struct Box4And6 {
    mac: MacAddr,
    four: Ipv4Addr,
    six: Ipv6Addr,
}

/// Who takes part, and a user packet each way.
struct Scene {
    gnb: Box4And6,
    upf: Box4And6,
    /// The ends of N4, SMF first.
    n4: [(MacAddr, Ipv4Addr); 2],
    ue: Ipv4Addr,
    ue6: Ipv6Addr,
    host: Ipv4Addr,
    host6: Ipv6Addr,
    dnn: String,
    noise: Vec<u8>,
}

const TEID: u32 = 0x0a0b_0c0d;

impl Scene {
    fn new(stage: &mut Stage, shapes: &Shapes) -> Self {
        let noise = stage.chance().bytes(4_096);
        let plan = &stage.plan;
        let n3 = |id: &Spanned<String>| {
            let node = &plan.nodes[plan.named(id.get_ref())];
            Box4And6 { mac: node.mac(Link::N3), four: node.on(Link::N3), six: node.n3_v6() }
        };
        let n4 = |id: &Spanned<String>| {
            let node = &plan.nodes[plan.named(id.get_ref())];
            (node.mac(Link::N4), node.on(Link::N4))
        };
        Self {
            gnb: n3(&shapes.gnb),
            upf: n3(&shapes.upf),
            n4: [n4(&shapes.smf), n4(&shapes.upf)],
            ue: four(plan.subscriber(0, false)),
            ue6: six(plan.subscriber(0, true)),
            host: four(plan.host(4_242, false)),
            host6: six(plan.host(4_242, true)),
            dnn: plan.realm.dnn.clone(),
            noise,
        }
    }

    fn family(&self, family: Family) -> Vec<Shape> {
        match family {
            Family::Extensions => extension::shapes(self),
            Family::Messages => message::shapes(self),
            Family::Pdus => pdu::shapes(self),
            Family::Layers => layer::shapes(self),
            Family::Tunnels => tunnel::shapes(self),
            Family::Fragments => fragment::shapes(self),
            Family::Pfcp => node::shapes(self).into_iter().chain(session::shapes(self)).collect(),
            Family::Broken => broken::shapes(self),
            Family::Beside => beside::shapes(self),
        }
    }

    fn route(&self) -> Route {
        route(self.gnb.four, self.upf.four)
    }

    fn route6(&self) -> Route {
        route(self.gnb.six, self.upf.six)
    }

    /// A UDP payload of noise that begins like a QUIC short header, which no decoder's guess takes
    /// for another protocol.
    fn payload(&self, length: usize) -> Vec<u8> {
        let mut bytes = self.noise[..length].to_vec();
        if let Some(first) = bytes.first_mut() {
            *first = 0x60 | (*first & 0x1f);
        }
        bytes
    }

    /// A subscriber's packet to a host on the Internet, with that many octets in UDP.
    fn user(&self, length: usize) -> Vec<u8> {
        frame::udp(&route(self.ue, self.host), 40_000, 443, &self.payload(length))
    }

    /// The answer.
    fn answer(&self) -> Vec<u8> {
        frame::udp(&route(self.host, self.ue), 443, 40_000, &self.payload(48))
    }

    fn user6(&self) -> Vec<u8> {
        frame::udp(&route(self.ue6, self.host6), 40_000, 443, &self.payload(40))
    }

    /// A G-PDU with a PDU Session Container of uplink.
    fn g_pdu(&self, pdu: &[u8]) -> Vec<u8> {
        let extensions = [Extension::new(gtpu::PDU_SESSION_CONTAINER, &[0x10, 9])];
        let header =
            Header { kind: gtpu::G_PDU, teid: TEID, extensions: &extensions, ..Header::default() };
        header.around(pdu)
    }

    /// The outer IP packet of a GTP-U message from the gNB.
    fn packet(&self, message: &[u8]) -> Vec<u8> {
        frame::udp(&self.route(), gtpu::PORT, gtpu::PORT, message)
    }

    /// The same over IPv6.
    fn packet6(&self, message: &[u8]) -> Vec<u8> {
        frame::udp(&self.route6(), gtpu::PORT, gtpu::PORT, message)
    }

    /// A packet of whatever protocol from gNB to UPF, as a frame of N3.
    fn framed(&self, packet: &[u8]) -> Vec<u8> {
        frame::ethernet_ip(self.gnb.mac, self.upf.mac, packet)
    }

    /// A GTP-U message from the gNB to the UPF.
    fn up(&self, message: &[u8]) -> Vec<u8> {
        self.framed(&self.packet(message))
    }

    /// A GTP-U message from the UPF to the gNB.
    fn down(&self, message: &[u8]) -> Vec<u8> {
        let packet =
            frame::udp(&route(self.upf.four, self.gnb.four), gtpu::PORT, gtpu::PORT, message);
        frame::ethernet_ip(self.upf.mac, self.gnb.mac, &packet)
    }

    /// The IP packet of a PFCP message from the SMF.
    fn asking(&self, message: &[u8]) -> Vec<u8> {
        frame::udp(&route(self.n4[0].1, self.n4[1].1), pfcp::PORT, pfcp::PORT, message)
    }

    /// The same over IPv6.
    fn asking6(&self, message: &[u8]) -> Vec<u8> {
        let [smf, upf] = self.n4.map(|(_, four)| documentation(four));
        frame::udp(&route(smf, upf), pfcp::PORT, pfcp::PORT, message)
    }

    /// An IP packet from the SMF to the UPF, as a frame of N4.
    fn on_n4(&self, packet: &[u8]) -> Vec<u8> {
        frame::ethernet_ip(self.n4[0].0, self.n4[1].0, packet)
    }

    /// A PFCP message from the SMF to the UPF.
    fn ask(&self, message: &[u8]) -> Vec<u8> {
        self.on_n4(&self.asking(message))
    }

    /// A PFCP message from the UPF to the SMF.
    fn tell(&self, message: &[u8]) -> Vec<u8> {
        let [(smf, cp), (upf, up)] = self.n4;
        let packet = frame::udp(&route(up, cp), pfcp::PORT, pfcp::PORT, message);
        frame::ethernet_ip(upf, smf, &packet)
    }
}

/// Brings the shapes onto the stage, each with its label.
pub(crate) fn enter(stage: &mut Stage, shapes: &Shapes) {
    let scene = Scene::new(stage, shapes);
    let mut parade = Vec::new();
    for shape in shapes.families.iter().flat_map(|family| scene.family(*family)) {
        let Shape { name, kind, claim, link, frames } = shape;
        let group = stage.label(Group { claim, ..Group::new(name, kind) });
        parade.push((group, link, frames));
    }
    let every = shapes.every_milliseconds * MILLI;
    let chance = stage.chance();
    stage.enter(MILLI, Parade { shapes: parade.into_iter(), every, chance });
}

/// One shape after the other; the frames of a shape follow within microseconds.
struct Parade {
    shapes: std::vec::IntoIter<(usize, Link, Vec<Vec<u8>>)>,
    every: Micros,
    chance: Chance,
}

impl Actor for Parade {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let (group, link, frames) = self.shapes.next()?;
        stage.group = Some(group);
        let mut at = now;
        for frame in frames {
            stage.raw(at, link, frame);
            at += self.chance.between(1, 3);
        }
        Some(now + self.every)
    }
}

/// An address of the documentation prefix that holds an IPv4 address.
fn documentation(four: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = four.octets().map(u16::from);
    Ipv6Addr::new(0x2001, 0xdb8, 4, 0, 0, 0, a << 8 | b, c << 8 | d)
}

fn four(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(four) => four,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}
