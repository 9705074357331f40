//! Misbehaviour that hides in the user plane or in tunnels: what decoders must see to call it out.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::encapsulation::{self, IP_IN_IP, route};
use crate::frame::{self, Route};
use crate::gtpu::{self, Container, Direction, Extension, G_PDU, Header};
use crate::labels::{Group, GroupKind};
use crate::pfcp;
use crate::plan::Link;
use crate::scenario::Scenario;
use crate::stage::{Actor, MILLI, Micros, SECOND, Session, Stage};
use crate::theft::Expectation;

/// One way of hiding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evasion {
    pub id: Spanned<String>,
    pub how: How,
    /// Whose frames they are; for a subscriber's own doing, the gNB that carries them.
    pub equipment: Spanned<String>,
    /// Where it leads: the far end of the tunnel, or the destination inside one.
    pub peer: Spanned<Ipv4Addr>,
    pub start_seconds: u64,
    pub packets: u64,
    pub every_milliseconds: u64,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// A G-PDU inside a G-PDU, from the gNB's own address.
    NestedByEquipment,
    /// The same from a subscriber's address.
    NestedBySubscriber,
    /// PFCP in the SMF's name inside a G-PDU.
    PfcpInside,
    /// PFCP in a subscriber's name inside a G-PDU.
    PfcpBySubscriber,
    /// GTPv2-C inside a G-PDU, from the gNB's own address.
    GtpcInside,
    /// NGAP over SCTP inside a G-PDU, from the gNB's own address.
    NgapInside,
    /// A subscriber knocks at infrastructure.
    SubscriberToInfrastructure,
    Gre,
    IpInIp,
    Vxlan,
    Wireguard,
    Esp,
    L2tp,
    Erspan,
    /// GTP-U in clear where only ESP may go.
    ClearGtpu,
    /// A message in the reserved bit of the header, one bit a packet.
    ReservedBit,
    /// An extension header of a type that nobody defined.
    UnknownExtension,
    /// Octets after the header's length.
    TrailingBytes,
    /// A Private Extension in Echo Requests.
    PrivateExtension,
    /// Echo Requests with more octets than their elements need.
    OversizedEcho,
    /// Echo Requests every few seconds, all answered.
    FrequentEcho,
}

impl How {
    /// The key in the scenario, the detection that should name it, and what happens.
    fn said(self) -> (&'static str, &'static str, &'static str) {
        const NEST: &str = "GTP-NEST";
        const INSIDE: &str = "GTP-CPINUP";
        const TUNNEL: &str = "TUN-FOREIGN";
        const HEADER: &str = "GTP-HDRCOV";
        match self {
            Self::NestedByEquipment => {
                ("nested-by-equipment", NEST, "a G-PDU in a G-PDU, from the gNB's own address")
            }
            Self::NestedBySubscriber => {
                ("nested-by-subscriber", NEST, "a G-PDU in a G-PDU, from a subscriber's address")
            }
            Self::PfcpInside => ("pfcp-inside", INSIDE, "PFCP in the SMF's name in a G-PDU"),
            Self::PfcpBySubscriber => {
                ("pfcp-by-subscriber", INSIDE, "PFCP in a subscriber's name in a G-PDU")
            }
            Self::GtpcInside => ("gtpc-inside", INSIDE, "GTPv2-C in a G-PDU"),
            Self::NgapInside => ("ngap-inside", INSIDE, "NGAP in a G-PDU"),
            Self::SubscriberToInfrastructure => {
                ("subscriber-to-infrastructure", INSIDE, "a subscriber knocks at infrastructure")
            }
            Self::Gre => ("gre", TUNNEL, "GRE to an outside peer"),
            Self::IpInIp => ("ip-in-ip", TUNNEL, "IP in IP to an outside peer"),
            Self::Vxlan => ("vxlan", TUNNEL, "VXLAN to an outside peer"),
            Self::Wireguard => ("wireguard", TUNNEL, "WireGuard to an outside peer"),
            Self::Esp => ("esp", TUNNEL, "ESP to an outside peer"),
            Self::L2tp => ("l2tp", TUNNEL, "L2TP to an outside peer"),
            Self::Erspan => ("erspan", TUNNEL, "mirrored frames to an outside peer"),
            Self::ClearGtpu => ("clear-gtpu", TUNNEL, "GTP-U in clear on an ESP-only path"),
            Self::ReservedBit => ("reserved-bit", HEADER, "the reserved bit carries a message"),
            Self::UnknownExtension => {
                ("unknown-extension", HEADER, "extension header 0x5a carries a message")
            }
            Self::TrailingBytes => ("trailing-bytes", HEADER, "octets after the header's length"),
            Self::PrivateExtension => {
                ("private-extension", HEADER, "a Private Extension in Echo Requests")
            }
            Self::OversizedEcho => ("oversized-echo", HEADER, "Echo Requests of 600 octets"),
            Self::FrequentEcho => ("frequent-echo", HEADER, "an Echo Request every few seconds"),
        }
    }

    /// A subscriber's own doing names no equipment, and no alert about it is graver than medium.
    fn by_subscriber(self) -> bool {
        use How::{NestedBySubscriber, PfcpBySubscriber, SubscriberToInfrastructure};
        matches!(self, NestedBySubscriber | PfcpBySubscriber | SubscriberToInfrastructure)
    }

    /// The link whose address the equipment uses, or none where it comes from behind a gateway.
    pub(crate) fn link(self) -> Option<Link> {
        use How::{ClearGtpu, Erspan, Esp, Gre, IpInIp, L2tp, Vxlan, Wireguard};
        match self {
            Gre | IpInIp | Vxlan | Wireguard | Esp | L2tp | Erspan => Some(Link::Oam),
            ClearGtpu => None,
            _ => Some(Link::N3),
        }
    }
}

/// Brings the evasions onto the stage; their packets carry indices from `first` on.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario, first: usize) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for evasion in &scenario.theft.evasion {
        let (kind, detection, note) = evasion.how.said();
        let id = evasion.id.get_ref();
        let by_subscriber = evasion.how.by_subscriber();
        let group = stage.label(Group {
            at_most: (by_subscriber || detection == "GTP-HDRCOV").then_some("medium"),
            ..Group::new(id, GroupKind::Theft)
        });
        let chance = stage.chance();
        let hidden = Hidden {
            how: evasion.how,
            theft: first + expected.len(),
            group,
            node: stage.plan.named(evasion.equipment.get_ref()),
            peer: *evasion.peer.get_ref(),
            every: evasion.every_milliseconds * MILLI,
            sent: 0,
            packets: evasion.packets,
            chance,
        };
        expected.push(Expectation {
            id: id.clone(),
            kind,
            detection,
            severity: None,
            also: &[],
            equipment: (!by_subscriber).then(|| evasion.equipment.get_ref().clone()),
            peer: Some(IpAddr::V4(*evasion.peer.get_ref())),
            note: note.into(),
        });
        stage.enter(evasion.start_seconds * SECOND, hidden);
    }
    expected
}

struct Hidden {
    how: How,
    theft: usize,
    group: usize,
    node: usize,
    peer: Ipv4Addr,
    every: Micros,
    sent: u64,
    packets: u64,
    chance: Chance,
}

impl Actor for Hidden {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if self.sent == self.packets {
            return None;
        }
        stage.group = Some(self.group);
        let played = match self.how {
            How::ClearGtpu => self.clear_gtpu(now, stage),
            How::PrivateExtension | How::OversizedEcho | How::FrequentEcho => self.echo(now, stage),
            how if how.link() == Some(Link::Oam) => self.tunnel(now, stage),
            _ => self.in_session(now, stage),
        };
        // Without a live session there is nothing to hide in yet.
        self.sent += u64::from(played);
        Some(now + self.every)
    }
}

impl Hidden {
    /// G-PDUs in the uplink of a session that is there, from the gNB that serves it.
    fn in_session(&mut self, now: Micros, stage: &mut Stage) -> bool {
        let served = |session: &&Session| session.gnb == self.node && session.ue.is_ipv4();
        let Some(session) = stage.sessions.iter().flatten().find(served).cloned() else {
            return false;
        };
        let teid = session.uplink_teid;
        let nodes = &stage.plan.nodes;
        let ends = (nodes[self.node].on(Link::N3), nodes[session.upf].on(Link::N3));
        let psc = Container { direction: Direction::Uplink, qfi: 9, rqi: false };
        let carried = match self.how {
            How::ReservedBit | How::UnknownExtension | How::TrailingBytes => None,
            _ => Some(self.inside(stage, &session)),
        };
        if let Some(packet) = carried {
            stage.gtpu(now, ends, &gtpu::g_pdu(teid, None, psc, &packet), Some(self.theft));
            return true;
        }
        let host = stage.plan.host(4_242, false);
        let user = frame::udp(&Route::new(session.ue, host), 50_123, 443, &self.noise(120));
        let mut message = gtpu::g_pdu(teid, None, psc, &user);
        match self.how {
            // The letter S, its highest bit first, again and again.
            How::ReservedBit => message[0] |= (b'S' >> (7 - self.sent % 8) & 1) << 3,
            How::UnknownExtension => {
                let extensions = [
                    Extension::new(gtpu::PDU_SESSION_CONTAINER, &[0x10, 9]),
                    Extension::new(0x5a, &self.chance.bytes(10)),
                ];
                let kind = G_PDU;
                let header = Header { kind, teid, extensions: &extensions, ..Header::default() };
                message = header.around(&user);
            }
            _ => message.extend(self.chance.bytes(24)),
        }
        stage.gtpu(now, ends, &message, Some(self.theft));
        // The user packet is an honest one and goes on.
        stage.group = None;
        stage.n6(now + 40, session.upf, true, &frame::forwarded(&user));
        true
    }

    /// The packet inside the tunnel.
    fn inside(&mut self, stage: &Stage, session: &Session) -> Vec<u8> {
        let own = IpAddr::from(stage.plan.nodes[self.node].on(Link::N3));
        let from = |src: IpAddr| Route::new(src, self.peer.into());
        let deletion = pfcp::session_message(
            pfcp::DELETION_REQUEST,
            session.up_seid,
            900 + self.sent as u32,
            &[],
        );
        let pfcp = |src| frame::udp(&from(src), pfcp::PORT, pfcp::PORT, &deletion);
        match self.how {
            How::PfcpInside => {
                let smf = stage.plan.nodes[session.smf].on(Link::N4);
                pfcp(smf.into())
            }
            How::PfcpBySubscriber => pfcp(session.ue),
            How::GtpcInside => {
                let echo = [0x40, 1, 0, 9, 0, 0, 5, 0, 3, 0, 1, 0, 4];
                frame::udp(&from(own), 2123, 2123, &echo)
            }
            How::NgapInside => {
                let setup = crate::shapes::NG_SETUP_REQUEST;
                encapsulation::sctp(&from(own), (40_000, 38_412), (60, self.sent as u16), &setup)
            }
            How::SubscriberToInfrastructure => {
                let ends = [(session.ue, 50_200), (self.peer.into(), 22)];
                let [client, server] = ends.map(std::net::SocketAddr::from);
                crate::tcp::Connection::new(client, server, &mut self.chance).syn()
            }
            _ => {
                let src = if self.how == How::NestedByEquipment { own } else { session.ue };
                let stolen = Route::new(session.ue, stage.plan.host(777, false));
                let packet = frame::udp(&stolen, 50_124, 443, &self.noise(160));
                let psc = Container { direction: Direction::Uplink, qfi: 5, rqi: false };
                let message = gtpu::g_pdu(0x7000_0001, None, psc, &packet);
                let route = Route::new(src, self.peer.into());
                frame::udp(&route, gtpu::PORT, gtpu::PORT, &message)
            }
        }
    }

    /// Echo Requests to the peer and its answers.
    fn echo(&mut self, now: Micros, stage: &mut Stage) -> bool {
        let own = stage.plan.nodes[self.node].on(Link::N3);
        let body = match self.how {
            How::PrivateExtension => {
                let value = [&10_415u16.to_be_bytes()[..], &self.chance.bytes(32)].concat();
                gtpu::element(255, &value)
            }
            How::OversizedEcho => self.chance.bytes(588),
            _ => Vec::new(),
        };
        let sequence = 0x5000 + self.sent as u16;
        let request =
            Header { kind: gtpu::ECHO_REQUEST, sequence: Some(sequence), ..Header::default() };
        stage.gtpu(now, (own, self.peer), &request.around(&body), Some(self.theft));
        let answer = gtpu::echo_response(sequence);
        stage.gtpu(now + MILLI, (self.peer, own), &answer, Some(self.theft));
        true
    }

    /// A G-PDU from a node that speaks only through its security gateway. The tunnel is nobody's:
    /// fewer of them than an orphan takes.
    fn clear_gtpu(&mut self, now: Micros, stage: &mut Stage) -> bool {
        let Some(own) = stage.plan.nodes[self.node].backhaul else { return false };
        let host = stage.plan.host(4_243, false);
        let route = Route::new(stage.plan.subscriber(0, false), host);
        let packet = frame::udp(&route, 50_125, 443, &self.noise(160));
        let psc = Container { direction: Direction::Uplink, qfi: 9, rqi: false };
        let message = gtpu::g_pdu(0x7000_0002, None, psc, &packet);
        stage.gtpu(now, (own, self.peer), &message, Some(self.theft));
        true
    }

    /// A tunnel of equipment to a peer outside, answered every second time.
    fn tunnel(&mut self, now: Micros, stage: &mut Stage) -> bool {
        let own = stage.plan.nodes[self.node].on(Link::Oam);
        let there = route(own, self.peer);
        let inside = frame::udp(&there, 50_126, 9_000, &self.noise(300));
        let (from, to) =
            (stage.plan.mac(Link::Oam, own.into()), stage.plan.mac(Link::Oam, self.peer.into()));
        let mirrored = frame::ethernet_ip(from, to, &inside);
        let noise = self.chance.bytes(148);
        let sequence = self.sent as u32 + 1;
        let wrap = |route: &Route, back: bool| match self.how {
            How::Gre => encapsulation::gre_ip(route, Some(7), None, &inside),
            How::IpInIp => frame::ip(route, IP_IN_IP, &inside),
            How::Vxlan => encapsulation::vxlan(route, 77, &mirrored),
            How::Wireguard => encapsulation::wireguard(route, back, 50_127, &noise),
            How::Esp => encapsulation::esp(route, 0x5e5e + u32::from(back), sequence, &noise),
            How::L2tp => encapsulation::l2tp(route, 1, 1, &inside),
            _ => encapsulation::erspan2(route, sequence, &mirrored),
        };
        let packet = wrap(&there, false);
        let answer = wrap(&encapsulation::back(&there), true);
        stage.steal(now, Link::Oam, &packet, self.theft);
        if self.sent.is_multiple_of(2) && self.how != How::Erspan {
            stage.steal(now + 40 * MILLI, Link::Oam, &answer, self.theft);
        }
        true
    }

    /// Noise that begins like a QUIC short header.
    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = self.chance.bytes(length);
        bytes[0] = 0x60 | (bytes[0] & 0x1f);
        bytes
    }
}
