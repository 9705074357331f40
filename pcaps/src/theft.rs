//! The injected misbehaviour: what it sends, and what a detector should say about it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;

use crate::blinding;
use crate::chance::Chance;
use crate::conservation;
use crate::covert;
use crate::evasion;
use crate::frame::{self, MacAddr, Route};
use crate::gtpu::{self, Container, Direction};
use crate::interception;
use crate::n4_attack;
use crate::oam;
use crate::plan::Link;
use crate::scenario::{CallHome, Flow, Role, Scenario, Target};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::tcp::{Connection, Side};
use crate::tls::{self, Library};
use crate::visits;

/// What a scenario promises of one theft, before anything was sent.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// The theft's id in the scenario.
    pub id: String,
    /// What was injected, as the scenario's key calls it.
    pub kind: &'static str,
    /// The detection that should name it.
    pub detection: &'static str,
    /// The severity that it should have; absent where the detection has no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'static str>,
    /// Detections that may speak beside it about the same frames.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub also: &'static [&'static str],
    /// The suspect's inventory id; absent when no listed equipment takes part.
    pub equipment: Option<String>,
    /// The far end, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// What happens, in words.
    pub note: String,
}

/// Brings the thefts onto the stage and says what to expect of each, in the order of the indices
/// that their packets carry.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario) -> Vec<Expectation> {
    let thefts = &scenario.theft;
    const EGRESS: &str = "EGR-NOTALLOWED";
    let mut expected = Vec::new();
    let mut expect = |id: &str, kind, detection, equipment: Option<&str>, peer, note: String| {
        let equipment = equipment.map(str::to_owned);
        let id = id.into();
        let also = if detection == EGRESS { &visits::BESIDE[..] } else { &[] };
        let (severity, peer) = (None, Some(peer));
        expected.push(Expectation { id, kind, detection, severity, also, equipment, peer, note });
        expected.len() - 1
    };

    for call in &thefts.call_home {
        let (node, peer) = (stage.plan.named(call.equipment.get_ref()), *call.peer.get_ref());
        let equipment = Some(call.equipment.get_ref().as_str());
        let note = format!("TLS to {} every {} s", call.server_name, call.every_seconds);
        let theft = expect(call.id.get_ref(), "call_home", EGRESS, equipment, peer.into(), note);
        let (connection, chance) = from_node(stage, node, peer, call.port);
        let means = Means::CallHome { node, call: call.clone() };
        let left = call.reports;
        let talk = Talk { theft, connection, chance, means, opened: false, left };
        stage.enter(call.start_seconds * SECOND, talk);
    }
    for shell in &thefts.reverse_shell {
        let (node, peer) = (stage.plan.named(shell.equipment.get_ref()), *shell.peer.get_ref());
        let equipment = Some(shell.equipment.get_ref().as_str());
        let note = format!("a shell typed to from TCP port {}", shell.port);
        let id = shell.id.get_ref();
        let theft = expect(id, "reverse_shell", EGRESS, equipment, peer.into(), note);
        let (connection, chance) = from_node(stage, node, peer, shell.port);
        let means = Means::Shell { typist: Side::Server };
        let left = shell.commands;
        let talk = Talk { theft, connection, chance, means, opened: false, left };
        stage.enter(shell.start_seconds * SECOND, talk);
    }
    for door in &thefts.backdoor {
        let (node, peer) = (stage.plan.named(door.equipment.get_ref()), *door.peer.get_ref());
        let equipment = Some(door.equipment.get_ref().as_str());
        let note = format!("the peer connects to TCP port {} and is answered", door.port);
        let theft = expect(door.id.get_ref(), "backdoor", EGRESS, equipment, peer.into(), note);
        let mut chance = stage.chance();
        let client = SocketAddr::new(peer.into(), ephemeral(&mut chance));
        let server = SocketAddr::new(stage.plan.nodes[node].on(Link::Oam).into(), door.port);
        let connection = Connection::new(client, server, &mut chance);
        let means = Means::Shell { typist: Side::Client };
        let left = door.exchanges;
        let talk = Talk { theft, connection, chance, means, opened: false, left };
        stage.enter(door.start_seconds * SECOND, talk);
    }
    for rogue in &thefts.gtp_peer {
        let (node, peer) = (stage.plan.named(rogue.equipment.get_ref()), *rogue.peer.get_ref());
        let equipment = Some(rogue.equipment.get_ref().as_str());
        let note = "G-PDUs with an outer address that nobody declared".into();
        let id = rogue.id.get_ref();
        let theft = expect(id, "gtp_peer", "GTP-PEER", equipment, peer.into(), note);
        let mut chance = stage.chance();
        let teids = [chance.u32(), chance.u32()];
        let every = rogue.every_milliseconds * MILLI;
        let (direction, left) = (rogue.direction, rogue.packets);
        let tunnel = RogueTunnel { theft, node, peer, teids, direction, every, left, chance };
        stage.enter(rogue.start_seconds * SECOND, tunnel);
    }
    for unknown in &thefts.unknown_box {
        let (equipment, to) = match unknown.to.get_ref() {
            Target::Equipment(id) => {
                (Some(id.as_str()), stage.plan.nodes[stage.plan.named(id)].on(Link::Oam))
            }
            Target::Address(IpAddr::V4(address)) => (None, *address),
            // The check refuses IPv6 here.
            Target::Address(IpAddr::V6(_)) => continue,
        };
        let address = *unknown.address.get_ref();
        let note = format!("an undeclared box sends to UDP port {} unanswered", unknown.port);
        let id = unknown.id.get_ref();
        let theft = expect(id, "unknown_box", "INV-UNKNOWN", equipment, address.into(), note);
        let intruder = Intruder {
            theft,
            own: (*unknown.mac.get_ref(), address),
            to,
            port: unknown.port,
            every: unknown.every_milliseconds * MILLI,
            sent: 0,
            packets: unknown.packets,
            chance: stage.chance(),
        };
        stage.enter(unknown.start_seconds * SECOND, intruder);
    }
    let evasions = evasion::enter(stage, scenario, expected.len());
    expected.extend(evasions);
    let attacks = n4_attack::enter(stage, scenario, expected.len());
    expected.extend(attacks);
    let patient = visits::enter(stage, scenario, expected.len());
    expected.extend(patient);
    let leaks = conservation::enter(stage, scenario, expected.len());
    expected.extend(leaks);
    let covert = covert::enter(stage, scenario, expected.len());
    expected.extend(covert);
    let streams = interception::enter(stage, scenario, expected.len());
    expected.extend(streams);
    // They stand last: what is captured is not the stage's.
    expected.extend(blinding::expected(scenario));
    expected
}

fn from_node(stage: &mut Stage, node: usize, peer: Ipv4Addr, port: u16) -> (Connection, Chance) {
    let mut chance = stage.chance();
    let own = stage.plan.nodes[node].on(Link::Oam);
    let client = SocketAddr::new(own.into(), ephemeral(&mut chance));
    let connection = Connection::new(client, SocketAddr::new(peer.into(), port), &mut chance);
    (connection, chance)
}

fn ephemeral(chance: &mut Chance) -> u16 {
    chance.between(32_768, 60_999) as u16
}

/// A connection between equipment and someone outside, over O&M.
struct Talk {
    theft: usize,
    connection: Connection,
    chance: Chance,
    means: Means,
    opened: bool,
    left: u64,
}

enum Means {
    CallHome {
        node: usize,
        call: CallHome,
    },
    /// One side types short lines, the other answers with what they print.
    Shell {
        typist: Side,
    },
}

impl Actor for Talk {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if !self.opened {
            self.opened = true;
            return Some(self.open(now, stage));
        }
        if self.left == 0 {
            let mut at = now;
            for packet in self.connection.close(Side::Client) {
                stage.steal(at, Link::Oam, &packet, self.theft);
                at += 30 * MILLI;
            }
            return None;
        }
        self.left -= 1;
        let (asks, question, answer, pause) = match &self.means {
            Means::CallHome { call, .. } => {
                let report = tls::application_data(call.report_bytes.into(), &mut self.chance);
                let thanks = tls::application_data(42, &mut self.chance);
                (Side::Client, report, thanks, call.every_seconds * SECOND)
            }
            Means::Shell { typist } => {
                let commands: [&[u8]; 4] = [b"id\n", b"uname -a\n", b"ip addr\n", b"ls /etc\n"];
                let command = commands[self.chance.below(4) as usize].to_vec();
                let length = self.chance.heavy(40, 4) as usize;
                let printed = (0..length).map(|n| b"root@node: /bin/sh "[n % 19]).collect();
                let pause = self.chance.between(1_200 * MILLI, 6 * SECOND);
                (*typist, command, printed, pause)
            }
        };
        let answers = if asks == Side::Client { Side::Server } else { Side::Client };
        let steps = [
            self.connection.data(asks, &question),
            self.connection.data(answers, &answer),
            self.connection.ack(asks),
        ];
        for (n, packet) in steps.iter().enumerate() {
            stage.steal(now + n as Micros * 35 * MILLI, Link::Oam, packet, self.theft);
        }
        Some(now + pause.max(100 * MILLI))
    }
}

impl Talk {
    fn open(&mut self, now: Micros, stage: &mut Stage) -> Micros {
        let mut at = now;
        if let Means::CallHome { node, call } = &self.means {
            let resolver = stage.plan.first(Role::Dns, Link::Oam);
            let ends = (*node, resolver);
            let name = &call.server_name;
            oam::look_up(now, stage, ends, name, *call.peer.get_ref(), &mut self.chance);
            at += 40 * MILLI;
        }
        let mut opening = self.connection.open().to_vec();
        if let Means::CallHome { call, .. } = &self.means {
            let hello = tls::client_hello(&call.server_name, Library::Own, &mut self.chance);
            let flight = tls::server_flight(1_100, &mut self.chance);
            opening.push(self.connection.data(Side::Client, &hello));
            opening.push(self.connection.data(Side::Server, &flight));
            opening.push(self.connection.ack(Side::Client));
        }
        for packet in opening {
            stage.steal(at, Link::Oam, &packet, self.theft);
            at += 30 * MILLI;
        }
        at + 500 * MILLI
    }
}

/// G-PDUs of a live subscriber, to or from an address that no one declared.
struct RogueTunnel {
    theft: usize,
    node: usize,
    peer: Ipv4Addr,
    teids: [u32; 2],
    direction: Flow,
    every: Micros,
    left: u64,
    chance: Chance,
}

impl Actor for RogueTunnel {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        self.left = self.left.checked_sub(1)?;
        let outward = match self.direction {
            Flow::Out => true,
            Flow::In => false,
            Flow::Both => self.left.is_multiple_of(2),
        };
        let mut live = stage.sessions.iter().flatten().filter(|session| session.ue.is_ipv4());
        let ue = live.next().map_or_else(|| stage.plan.subscriber(0, false), |session| session.ue);
        let host = stage.plan.host(4_242, false);
        let own = stage.plan.nodes[self.node].on(Link::N3);
        let length = self.chance.heavy(80, 3) as usize;
        let mut payload = self.chance.bytes(length);
        payload[0] = 0x60 | (payload[0] & 0x1f);
        let (route, ports, direction, ends) = if outward {
            let ends = (own, self.peer);
            (Route::new(ue, host), (50_123, 443), Direction::Uplink, ends)
        } else {
            let ends = (self.peer, own);
            (Route::new(host, ue), (443, 50_123), Direction::Downlink, ends)
        };
        let packet = frame::udp(&route, ports.0, ports.1, &payload);
        let psc = Container { direction, qfi: 9, rqi: false };
        let message = gtpu::g_pdu(self.teids[usize::from(outward)], None, psc, &packet);
        stage.gtpu(now, ends, &message, Some(self.theft));
        Some(now + self.every)
    }
}

/// A box that asks who is there, then knocks at one address. Only its IP packets are counted as
/// the theft: ARP alone must never raise an alarm.
struct Intruder {
    theft: usize,
    own: (MacAddr, Ipv4Addr),
    to: Ipv4Addr,
    port: u16,
    every: Micros,
    sent: u64,
    packets: u64,
    chance: Chance,
}

impl Actor for Intruder {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let target = (stage.plan.mac(Link::Oam, self.to.into()), self.to);
        if self.sent == 0 {
            stage.raw(now, Link::Oam, frame::arp(false, self.own, target));
            stage.raw(now + 300, Link::Oam, frame::arp(true, target, self.own));
        }
        if self.sent == self.packets {
            return None;
        }
        self.sent += 1;
        let route = Route::new(self.own.1.into(), self.to.into());
        let payload = self.chance.bytes(48);
        let packet = frame::udp(&route, 40_404, self.port, &payload);
        let frame = frame::ethernet_ip(self.own.0, target.0, &packet);
        stage.steal_raw(now + MILLI, Link::Oam, frame, self.theft);
        Some(now + self.every)
    }
}
