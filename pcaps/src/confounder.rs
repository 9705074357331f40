//! Traffic that looks like misbehaviour and is none: each kind is what a detection must stay
//! silent for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::Ipv4Net;

use crate::chance::Chance;
use crate::conservation;
use crate::content;
use crate::frame::{self, MacAddr, Route};
use crate::interception;
use crate::lookalike;
use crate::n4_confounder;
use crate::oam;
use crate::plan::Link;
use crate::scenario::{Role, Scanner, Scenario};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::tcp::{Connection, Side};
use crate::visits;

const MINUTE: Micros = 60 * SECOND;

/// Brings the declared confounders onto the stage.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario) {
    let (confounders, start) = (&scenario.confounders, scenario.start);
    let subscribers = scenario.subscribers.as_ref().map_or(0, |place| place.get_ref().count);
    let chance = stage.chance();
    if let Some(place) = &confounders.scanner {
        let scanner = place.get_ref().clone();
        let at = scanner.start_seconds * SECOND;
        stage.enter(at, OamScan { scanner, probe: 0, chance: chance.clone() });
    }
    let chance = stage.chance();
    if let Some(rate) = &confounders.n6_scans_per_minute {
        let every = MINUTE / rate.get_ref().min(&MINUTE);
        stage.enter(every, InternetScan { every, subscribers, chance });
    }
    let chance = stage.chance();
    if let Some(period) = &confounders.icmp_errors_seconds {
        let every = period.get_ref() * SECOND;
        stage.enter(every / 2, Errors { every, start, turn: 0, chance });
    }
    if let Some(period) = &confounders.link_protocols_seconds {
        let every = period.get_ref() * SECOND;
        stage.enter(every / 3, LinkProtocols { every });
    }
    let chance = stage.chance();
    if let Some(place) = &confounders.nat {
        let nat = place.get_ref();
        let every = MINUTE / nat.flows_per_minute.min(MINUTE);
        let addresses = *nat.addresses.get_ref();
        stage.enter(every, Masqueraded { addresses, every, chance });
    }
    if let Some(place) = &confounders.followed {
        conservation::enter_silent(stage, place.get_ref());
    }
    if let Some(place) = &confounders.lookalikes {
        lookalike::enter(stage, place.get_ref());
    }
    if let Some(place) = &confounders.sessions {
        n4_confounder::enter(stage, place.get_ref(), scenario);
    }
    visits::enter_routines(stage, scenario);
    if let Some(place) = &scenario.interception {
        interception::enter_warrants(stage, place.get_ref());
    }
    if let Some(place) = &confounders.content {
        content::enter(stage, place.get_ref(), start);
    }
}

/// A declared management station that scans: answers are resets, ICMP errors, empty SYN-ACKs.
struct OamScan {
    scanner: Scanner,
    probe: usize,
    chance: Chance,
}

impl Actor for OamScan {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let scanned: Vec<usize> = [Role::Gnb, Role::Upf]
            .iter()
            .flat_map(|role| stage.plan.with(*role, &[Link::Oam]))
            .collect();
        let ports = &self.scanner.ports;
        if self.probe >= ports.len() * scanned.len() {
            return None;
        }
        let node = &stage.plan.nodes[scanned[self.probe / ports.len()]];
        let port = ports[self.probe % ports.len()];
        let (theirs, to) = (node.mac(Link::Oam), node.on(Link::Oam));
        let own = *self.scanner.mac.get_ref();
        let client = SocketAddr::new(self.scanner.address.into(), 45_000 + port % 1_000);
        let mut connection =
            Connection::new(client, SocketAddr::new(to.into(), port), &mut self.chance);
        let answer_at = now + 400;
        let there = |at, packet: &[u8], stage: &mut Stage| {
            stage.raw(at, Link::Oam, frame::ethernet_ip(own, theirs, packet));
        };
        let answer = match self.probe % 3 {
            0 => {
                there(now, &connection.syn(), stage);
                connection.reset(Side::Server)
            }
            1 => {
                there(now, &connection.syn(), stage);
                let empty = connection.syn_ack();
                there(answer_at + 400, &connection.reset(Side::Client), stage);
                empty
            }
            _ => {
                let route = Route::new(client.ip(), to.into());
                let probe = frame::udp(&route, client.port(), port, &[0; 8]);
                there(now, &probe, stage);
                frame::unreachable(&Route::new(to.into(), client.ip()), 3, &probe)
            }
        };
        stage.raw(answer_at, Link::Oam, frame::ethernet_ip(theirs, own, &answer));
        self.probe += 1;
        Some(now + 20 * MILLI)
    }
}

/// Scans from the Internet over N6: at subscribers, attached or not, and at the UPFs themselves.
struct InternetScan {
    every: Micros,
    subscribers: u32,
    chance: Chance,
}

impl Actor for InternetScan {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let upfs = stage.plan.with(Role::Upf, &[Link::N6]);
        let host = stage.plan.host(self.chance.u32(), false);
        let ports: [u16; 6] = [22, 23, 80, 443, 2152, 8080];
        let port = ports[self.chance.below(6) as usize];
        let client = SocketAddr::new(host, self.chance.between(1_024, 65_535) as u16);
        if self.subscribers == 0 || self.chance.happens(0.2) {
            let upf = upfs[self.chance.below(upfs.len() as u64) as usize];
            let own = stage.plan.nodes[upf].on(Link::N6);
            let server = SocketAddr::new(own.into(), port);
            let mut connection = Connection::new(client, server, &mut self.chance);
            stage.send(now, Link::N6, &connection.syn());
            stage.send(now + 300, Link::N6, &connection.reset(Side::Server));
        } else {
            let number = self.chance.below(self.subscribers.into()) as u32;
            let session = stage.sessions[number as usize].as_ref();
            let ue = session.map(|session| session.ue);
            // An address that nobody has now is still routed to its UPF, which drops the packet.
            let target = ue.filter(IpAddr::is_ipv4).unwrap_or(stage.plan.subscriber(number, false));
            let server = SocketAddr::new(target, port);
            let mut connection = Connection::new(client, server, &mut self.chance);
            let syn = connection.syn();
            if ue == Some(target) {
                stage.downlink(now, number as usize, (9, false), &syn);
                let reset = connection.reset(Side::Server);
                stage.uplink(now + 25 * MILLI, number as usize, 9, &reset);
            } else {
                stage.n6(now, upfs[number as usize % upfs.len()], false, &syn);
            }
        }
        Some(now + self.chance.wait(self.every))
    }
}

/// An allowed flow (syslog) that is answered by an ICMP error, from its end or from the way.
struct Errors {
    every: Micros,
    start: jiff::Timestamp,
    turn: usize,
    chance: Chance,
}

impl Actor for Errors {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let gnbs = stage.plan.with(Role::Gnb, &[Link::Oam]);
        let gnb = gnbs[self.turn % gnbs.len()];
        let address = |node: usize| IpAddr::from(stage.plan.nodes[node].on(Link::Oam));
        let (client, server) = (address(gnb), address(stage.plan.first(Role::Syslog, Link::Oam)));
        let router = address(stage.plan.first(Role::Router, Link::Oam));
        let port = self.chance.between(32_768, 60_999) as u16;
        let asked =
            oam::syslog_line(&Route::new(client, server), port, self.start, now, stage, gnb);
        let error = if self.turn.is_multiple_of(2) {
            frame::unreachable(&Route::new(server, client), 3, &asked)
        } else {
            frame::unreachable(&Route::new(router, client), 1, &asked)
        };
        stage.send(now, Link::Oam, &asked);
        stage.send(now + 700, Link::Oam, &error);
        self.turn += 1;
        Some(now + self.every)
    }
}

/// What boxes say to their neighbours on the link and to nobody beyond.
struct LinkProtocols {
    every: Micros,
}

impl Actor for LinkProtocols {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let router = &stage.plan.nodes[stage.plan.first(Role::Router, Link::Oam)];
        let (mac, own) = (router.mac(Link::Oam), router.on(Link::Oam));
        let frames = [lacp(mac), spanning_tree(mac), vrrp(own), neighbour(mac), multicast_dns()];
        for (n, frame) in frames.into_iter().enumerate() {
            stage.raw(now + n as Micros * 7 * MILLI, Link::Oam, frame);
        }
        Some(now + self.every)
    }
}

/// A LACPDU without a partner yet (IEEE 802.1AX §6.4.2).
fn lacp(mac: MacAddr) -> Vec<u8> {
    let system = [mac.0, mac.1, mac.2, mac.3, mac.4, mac.5];
    let mut unit = vec![1, 1, 1, 20, 0x80, 0];
    unit.extend(system);
    unit.extend([0, 1, 0x80, 0, 0, 1, 0x45, 0, 0, 0]);
    unit.extend([2, 20]);
    unit.extend([0; 18]);
    unit.extend([3, 16]);
    unit.extend([0; 14]);
    unit.extend([0; 52]);
    frame::ethernet(mac, MacAddr::new(0x01, 0x80, 0xc2, 0, 0, 2), 0x8809, &unit)
}

/// A configuration BPDU of the root bridge, in IEEE 802.3 framing: its EtherType is a length.
fn spanning_tree(mac: MacAddr) -> Vec<u8> {
    let bridge = [0x80, 0, mac.0, mac.1, mac.2, mac.3, mac.4, mac.5];
    let mut unit = vec![0x42, 0x42, 0x03, 0, 0, 0, 0, 0];
    unit.extend(bridge);
    unit.extend([0; 4]);
    unit.extend(bridge);
    unit.extend([0x80, 1, 0, 0, 20, 0, 2, 0, 15, 0]);
    let length = unit.len() as u16;
    frame::ethernet(mac, MacAddr::new(0x01, 0x80, 0xc2, 0, 0, 0), length, &unit)
}

/// A VRRPv2 advertisement, from the virtual router's MAC address (RFC 3768 §5).
fn vrrp(own: Ipv4Addr) -> Vec<u8> {
    let mut unit = vec![0x21, 7, 100, 1, 0, 1, 0, 0];
    unit.extend(own.octets());
    unit.extend([0; 8]);
    let sum = pnet_packet::util::checksum(&unit, 3).to_be_bytes();
    unit[6..8].copy_from_slice(&sum);
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let packet = frame::ip(&Route { ttl: 255, ..Route::new(own.into(), group.into()) }, 112, &unit);
    let virtual_mac = MacAddr::new(0, 0, 0x5e, 0, 1, 7);
    frame::ethernet_ip(virtual_mac, MacAddr::new(0x01, 0, 0x5e, 0, 0, 18), &packet)
}

/// A neighbour solicitation between link-local addresses (RFC 4861 §4.3).
fn neighbour(mac: MacAddr) -> Vec<u8> {
    let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let target = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);
    let mut body = target.octets().to_vec();
    body.extend([1, 1, mac.0, mac.1, mac.2, mac.3, mac.4, mac.5]);
    let route = Route { ttl: 255, ..Route::new(own.into(), group.into()) };
    let packet = frame::icmp(&route, 135, 0, [0; 4], &body);
    frame::ethernet_ip(mac, MacAddr::new(0x33, 0x33, 0xff, 0, 0, 2), &packet)
}

/// A laptop without an address asks by multicast DNS, from a link-local one.
fn multicast_dns() -> Vec<u8> {
    let own = Ipv4Addr::new(169, 254, 7, 7);
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let route = Route { ttl: 255, ..Route::new(own.into(), group.into()) };
    let query = crate::dns::query(0, "laptop.local", false);
    let packet = frame::udp(&route, 5353, 5353, &query);
    let mac = MacAddr::new(0x02, 0, 0, 0, 7, 7);
    frame::ethernet_ip(mac, MacAddr::new(0x01, 0, 0x5e, 0, 0, 251), &packet)
}

/// Subscribers of a neighbour on N6, whose addresses are those of a NAT.
struct Masqueraded {
    addresses: Ipv4Net,
    every: Micros,
    chance: Chance,
}

impl Actor for Masqueraded {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let room = 1u64 << (32 - self.addresses.prefix_len());
        let own = self.addresses.network().to_bits() + self.chance.below(room) as u32;
        let client = SocketAddr::new(
            Ipv4Addr::from_bits(own).into(),
            self.chance.between(1_024, 65_535) as u16,
        );
        let server = SocketAddr::new(stage.plan.host(self.chance.u32(), false), 443);
        let mut connection = Connection::new(client, server, &mut self.chance);
        let gateway = stage.plan.mac(Link::N6, server.ip());
        let neighbour = MacAddr::new(0x02, 0, 0x5e, 0x10, 0, 1);
        let mut talk = connection.open().to_vec();
        let payload = self.chance.bytes(240);
        talk.push(connection.data(Side::Client, &payload));
        let payload = self.chance.bytes(900);
        talk.push(connection.data(Side::Server, &payload));
        talk.extend(connection.close(Side::Client));
        for (n, packet) in talk.iter().enumerate() {
            let outward = frame::ends(packet).0 == client.ip();
            let (from, to) = if outward { (neighbour, gateway) } else { (gateway, neighbour) };
            let at = now + n as Micros * 15 * MILLI;
            stage.raw(at, Link::N6, frame::ethernet_ip(from, to, packet));
        }
        Some(now + self.chance.wait(self.every))
    }
}
