//! What looks like an evasion and is none: each kind is what a detection of evasions must stay
//! silent for. The echo once a minute is the background's.

use std::net::IpAddr;

use ipnet::Ipv4Net;
use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::encapsulation::{self, route};
use crate::frame::{self, Route};
use crate::gtpu::{self, Container, Direction, Extension, G_PDU, Header};
use crate::labels::{Group, GroupKind};
use crate::plan::Link;
use crate::scenario::Role;
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::{dns, pfcp};

/// What SCENARIO.toml says of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookalikes {
    /// From one of a kind to the next.
    pub every_seconds: u64,
    /// The gNB behind a security gateway, and the gateway.
    pub secured: Spanned<String>,
    pub gateway: Spanned<String>,
    /// Who mirrors frames, and the broker that takes them.
    pub mirror: Spanned<String>,
    pub broker: Spanned<String>,
    /// The UPF that stops answering on N3, when, and for how long.
    pub lost: Spanned<String>,
    pub lost_at_seconds: u64,
    pub lost_seconds: u64,
    /// Servers of local break-out.
    pub mec: Spanned<Ipv4Net>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Ipsec,
    EphemeralPorts,
    LocalServices,
    HandoverForwarding,
    ErrorIndications,
    EndMarkers,
    ErspanToBroker,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Ipsec, "ipsec"),
    (Kind::EphemeralPorts, "ephemeral-ports"),
    (Kind::LocalServices, "local-services"),
    (Kind::HandoverForwarding, "handover-forwarding"),
    (Kind::ErrorIndications, "error-indications"),
    (Kind::EndMarkers, "end-markers"),
    (Kind::ErspanToBroker, "erspan-to-broker"),
];

/// Brings them onto the stage.
pub(crate) fn enter(stage: &mut Stage, said: &Lookalikes) {
    for (n, (kind, name)) in (1..).zip(KINDS) {
        let group = stage.label(Group::new(name, GroupKind::Silent));
        let (every, chance) = (said.every_seconds * SECOND, stage.chance());
        let actor = Lookalike { kind, group, said: said.clone(), every, turn: 0, chance };
        stage.enter(5 * SECOND + n * 130 * MILLI, actor);
    }
    let group = stage.label(Group::new("path-failure", GroupKind::Silent));
    let node = stage.plan.named(said.lost.get_ref());
    let until = (said.lost_at_seconds + said.lost_seconds) * SECOND;
    stage.enter(said.lost_at_seconds * SECOND, Failure { lost: (node, group), until });
}

/// A node that answers nobody on N3 for a while; those who ask it repeat themselves.
struct Failure {
    lost: (usize, usize),
    until: Micros,
}

impl Actor for Failure {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.lost = (now < self.until).then_some(self.lost);
        (now < self.until).then_some(self.until)
    }
}

struct Lookalike {
    kind: Kind,
    group: usize,
    said: Lookalikes,
    every: Micros,
    turn: u32,
    chance: Chance,
}

impl Actor for Lookalike {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        match self.kind {
            Kind::Ipsec => self.ipsec(now, stage),
            Kind::EphemeralPorts => self.ephemeral_ports(now, stage),
            Kind::LocalServices => self.local_services(now, stage),
            Kind::HandoverForwarding => self.forwarding(now, stage),
            Kind::ErrorIndications => self.error_indication(now, stage),
            Kind::EndMarkers => self.end_markers(now, stage),
            Kind::ErspanToBroker => self.mirror(now, stage),
        }
        self.turn += 1;
        Some(now + self.every)
    }
}

impl Lookalike {
    /// IKE once, then ESP both ways between a gNB and its gateway.
    fn ipsec(&mut self, now: Micros, stage: &mut Stage) {
        let own = &stage.plan.nodes[stage.plan.named(self.said.secured.get_ref())];
        let gateway = stage.plan.nodes[stage.plan.named(self.said.gateway.get_ref())].on(Link::N3);
        let Some(own) = own.backhaul else { return };
        let there = route(own, gateway);
        if self.turn == 0 {
            let init = ike_init(&mut self.chance);
            stage.send(now, Link::N3, &frame::udp(&there, 500, 500, &init));
        }
        for n in 0..4 {
            let sequence = self.turn * 2 + n / 2 + 1;
            let sealed = self.chance.bytes(164);
            let (route, spi) =
                if n % 2 == 0 { (there, 0xc001) } else { (encapsulation::back(&there), 0xc002) };
            let packet = encapsulation::esp(&route, spi, sequence, &sealed);
            stage.send(now + 20 * MILLI * u64::from(n + 1), Link::N3, &packet);
        }
    }

    /// A subscriber and the tunnel that it has now, each time another.
    fn subscriber(&self, stage: &Stage) -> Option<(usize, IpAddr)> {
        let live: Vec<(usize, IpAddr)> = stage
            .sessions
            .iter()
            .enumerate()
            .filter_map(|(n, session)| session.as_ref().map(|session| (n, session.ue)))
            .filter(|(_, ue)| ue.is_ipv4())
            .collect();
        live.get(self.turn as usize % live.len().max(1)).copied()
    }

    /// Ports of GTP and PFCP on either side, with payload that is neither.
    fn ephemeral_ports(&mut self, now: Micros, stage: &mut Stage) {
        let Some((number, ue)) = self.subscriber(stage) else { return };
        let host = stage.plan.host(5_000 + self.turn, false);
        let mut at = now;
        for port in [gtpu::PORT, pfcp::PORT, 2123] {
            for (ours, theirs) in [(port, 443), (40_404, port)] {
                let mut payload = self.chance.bytes(90);
                payload[0] = 0x60 | (payload[0] & 0x1f);
                let there = frame::udp(&Route::new(ue, host), ours, theirs, &payload);
                let back = frame::udp(&Route::new(host, ue), theirs, ours, &payload[..60]);
                stage.uplink(at, number, 9, &there);
                stage.downlink(at + 20 * MILLI, number, (9, false), &back);
                at += 50 * MILLI;
            }
        }
    }

    /// Local break-out and the operator's resolver, both inside infrastructure.
    fn local_services(&mut self, now: Micros, stage: &mut Stage) {
        let Some((number, ue)) = self.subscriber(stage) else { return };
        let mec = self.said.mec.get_ref().network().to_bits() + 10;
        let mec = IpAddr::from(std::net::Ipv4Addr::from_bits(mec));
        let mut payload = self.chance.bytes(200);
        payload[0] = 0x60 | (payload[0] & 0x1f);
        let there = frame::udp(&Route::new(ue, mec), 40_405, 443, &payload);
        let back = frame::udp(&Route::new(mec, ue), 443, 40_405, &payload[..150]);
        stage.uplink(now, number, 9, &there);
        stage.downlink(now + 4 * MILLI, number, (9, false), &back);
        let resolver = stage.plan.nodes[stage.plan.first(Role::Dns, Link::Oam)].on(Link::Oam);
        let (id, name) = (self.chance.u16(), "www7.example.net");
        let answer = dns::answer(id, name, stage.plan.host(1_007, false));
        let asked = Route::new(ue, resolver.into());
        let there = frame::udp(&asked, 40_406, dns::PORT, &dns::query(id, name, false));
        let back = frame::udp(&encapsulation::back(&asked), dns::PORT, 40_406, &answer);
        stage.uplink(now + 10 * MILLI, number, 9, &there);
        stage.downlink(now + 14 * MILLI, number, (9, false), &back);
    }

    /// A gNB forwards what it still holds to the next one: numbered PDCP PDUs, then user packets,
    /// then the end (TS 38.300 §9.2.3.2).
    fn forwarding(&mut self, now: Micros, stage: &mut Stage) {
        let gnbs = stage.plan.with(Role::Gnb, &[Link::N3]);
        let [from, to, ..] = gnbs[..] else { return };
        let teid = stage.numbers.teid(to);
        let ends = (stage.plan.nodes[from].on(Link::N3), stage.plan.nodes[to].on(Link::N3));
        let ue = stage.plan.subscriber(0, false);
        let mut payload = self.chance.bytes(120);
        payload[0] = 0x60 | (payload[0] & 0x1f);
        let user = frame::udp(&Route::new(stage.plan.host(9, false), ue), 443, 40_407, &payload);
        let ciphered = self.chance.bytes(100);
        let number = [0x01, self.turn as u8];
        let status = [0x10, 0, 0, 0, 0x10, 0, 0, 9, 0, 0];
        let steps = [
            (vec![Extension::new(0xc0, &number)], &ciphered),
            (vec![Extension::new(0x82, &[0, 1, self.turn as u8])], &ciphered),
            (vec![Extension::new(0x84, &[0, 0, 0, 0, 7])], &ciphered),
            (vec![Extension::new(0x84, &status)], &user),
            (vec![Extension::new(gtpu::PDU_SESSION_CONTAINER, &[0, 9])], &user),
        ];
        let mut at = now;
        for (extensions, pdu) in &steps {
            let header = Header { kind: G_PDU, teid, extensions, ..Header::default() };
            stage.gtpu(at, ends, &header.around(pdu), None);
            at += 2 * MILLI;
        }
        stage.gtpu(at, ends, &gtpu::end_marker(teid), None);
    }

    /// A packet for a tunnel that the gNB has just dropped, and the gNB's word about it.
    fn error_indication(&mut self, now: Micros, stage: &mut Stage) {
        let gnb = stage.plan.first(Role::Gnb, Link::N3);
        let upf = stage.plan.first(Role::Upf, Link::N3);
        let ends = (stage.plan.nodes[gnb].on(Link::N3), stage.plan.nodes[upf].on(Link::N3));
        let teid = stage.numbers.teid(gnb);
        let mut payload = self.chance.bytes(80);
        payload[0] = 0x60 | (payload[0] & 0x1f);
        let ue = stage.plan.subscriber(1, false);
        let late = frame::udp(&Route::new(stage.plan.host(9, false), ue), 443, 40_408, &payload);
        let psc = Container { direction: Direction::Downlink, qfi: 9, rqi: false };
        stage.gtpu(now, (ends.1, ends.0), &gtpu::g_pdu(teid, None, psc, &late), None);
        let about = [&[16][..], &teid.to_be_bytes(), &gtpu::element(133, &ends.0.octets())];
        let extensions = [Extension::new(0x40, &gtpu::PORT.to_be_bytes())];
        let kind = gtpu::ERROR_INDICATION;
        let header =
            Header { kind, sequence: Some(0), extensions: &extensions, ..Header::default() };
        stage.gtpu(now + MILLI, ends, &header.around(&about.concat()), None);
    }

    /// End Markers of a downlink, with and without a container.
    fn end_markers(&mut self, now: Micros, stage: &mut Stage) {
        let Some((number, _)) = self.subscriber(stage) else { return };
        let Some(session) = stage.sessions[number].clone() else { return };
        let nodes = &stage.plan.nodes;
        let ends = (nodes[session.upf].on(Link::N3), nodes[session.gnb].on(Link::N3));
        let teid = session.downlink_teid;
        let extensions = [Extension::new(gtpu::PDU_SESSION_CONTAINER, &[0, 9])];
        let kind = gtpu::END_MARKER;
        let header = Header { kind, teid, extensions: &extensions, ..Header::default() };
        stage.gtpu(now, ends, &gtpu::end_marker(teid), None);
        stage.gtpu(now + MILLI, ends, &header.around(&[]), None);
    }

    /// Frames of a tap on their way to the broker that is meant to have them.
    fn mirror(&mut self, now: Micros, stage: &mut Stage) {
        let plan = &stage.plan;
        let on = |id: &Spanned<String>| plan.nodes[plan.named(id.get_ref())].on(Link::Oam);
        let there = route(on(&self.said.mirror), on(&self.said.broker));
        let (client, resolver) =
            (plan.first(Role::Gnb, Link::Oam), plan.first(Role::Dns, Link::Oam));
        let (client, resolver) = (&plan.nodes[client], &plan.nodes[resolver]);
        let query = dns::query(self.turn as u16, "ems1.oam.mnc001.mcc001.3gppnetwork.org", false);
        let asked = route(client.on(Link::Oam), resolver.on(Link::Oam));
        let packet = frame::udp(&asked, 40_409, dns::PORT, &query);
        let (from, to) = (client.mac(Link::Oam), resolver.mac(Link::Oam));
        let mirrored = frame::ethernet_ip(from, to, &packet);
        stage.send(now, Link::Oam, &encapsulation::erspan2(&there, self.turn, &mirrored));
    }
}

/// The header of IKE_SA_INIT with one opaque Nonce payload (RFC 7296 §3.1).
fn ike_init(chance: &mut Chance) -> Vec<u8> {
    let nonce = chance.bytes(32);
    let mut bytes = chance.bytes(8);
    bytes.extend([0; 8]);
    bytes.extend([40, 0x20, 34, 0x08]);
    bytes.extend([0; 4]);
    bytes.extend((28u32 + 36).to_be_bytes());
    bytes.extend([0, 0, 0, 36]);
    bytes.extend(nonce);
    bytes
}
