//! What equipment does on the O&M link all day, each service by one actor for every client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::chance::Chance;
use crate::dns;
use crate::frame::{self, MacAddr, Route};
use crate::ntp;
use crate::plan::Link;
use crate::scenario::{Background, Role};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::tcp::{Connection, Side};

pub(crate) const SYSLOG: u16 = 514;
const NETCONF_SSH: u16 = 830;
const LLDP_ETHERTYPE: u16 = 0x88cc;

#[derive(Clone, Copy)]
enum Service {
    Dns,
    Ntp,
    Syslog,
    Netconf,
    Ping,
    Arp,
    Lldp,
}

/// A service between two nodes, asked for periodically by `client`.
struct Routine {
    service: Service,
    client: usize,
    server: usize,
    every: Micros,
    start: jiff::Timestamp,
    turn: u16,
    chance: Chance,
}

/// Brings the declared routines onto the stage.
pub(crate) fn enter(stage: &mut Stage, background: &Background, start: jiff::Timestamp) {
    // Asked by everyone of the one server.
    let asked = [
        (&background.dns_seconds, Service::Dns, Some(Role::Dns)),
        (&background.ntp_seconds, Service::Ntp, Some(Role::Ntp)),
        (&background.syslog_seconds, Service::Syslog, Some(Role::Syslog)),
        (&background.arp_seconds, Service::Arp, None),
        (&background.lldp_seconds, Service::Lldp, None),
    ];
    let managed: Vec<usize> =
        (0..stage.plan.nodes.len()).filter(|node| stage.plan.nodes[*node].has(Link::Oam)).collect();
    let mut routines = Vec::new();
    for (period, service, server) in asked {
        let Some(every) = period else { continue };
        let server = server.map(|role| stage.plan.first(role, Link::Oam));
        for (n, client) in managed.iter().enumerate() {
            let server = server.unwrap_or(managed[(n + 1) % managed.len()]);
            if *client != server && is_client(service, stage.plan.nodes[*client].role) {
                routines.push((service, *client, server, *every.get_ref()));
            }
        }
    }
    // The management station comes to the equipment.
    let visits = [
        (&background.netconf_seconds, Service::Netconf),
        (&background.ping_seconds, Service::Ping),
    ];
    for (period, service) in visits {
        let Some(every) = period else { continue };
        let station = stage.plan.first(Role::Oam, Link::Oam);
        for node in &managed {
            if matches!(stage.plan.nodes[*node].role, Role::Gnb | Role::Upf) {
                routines.push((service, station, *node, *every.get_ref()));
            }
        }
    }
    for (service, client, server, seconds) in routines {
        let mut chance = stage.chance();
        let every = seconds * SECOND;
        let at = chance.below(every);
        let routine = Routine { service, client, server, every, start, turn: 0, chance };
        stage.enter(at, routine);
    }
}

/// Servers do not ask each other; everyone has neighbours.
fn is_client(service: Service, role: Role) -> bool {
    let equipment = matches!(role, Role::Gnb | Role::Upf | Role::Smf | Role::Router);
    equipment || matches!(service, Service::Arp | Service::Lldp)
}

impl Actor for Routine {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        self.turn = self.turn.wrapping_add(1);
        match self.service {
            Service::Dns => self.dns(now, stage),
            Service::Ntp => self.ntp(now, stage),
            Service::Syslog => self.syslog(now, stage),
            Service::Netconf => self.netconf(now, stage),
            Service::Ping => self.ping(now, stage),
            Service::Arp => self.arp(now, stage),
            Service::Lldp => self.lldp(now, stage),
        }
        // Timers drift by a sixteenth, so that the boxes do not march in step.
        Some(now + self.every - self.chance.below(self.every / 16))
    }
}

impl Routine {
    fn addresses(&self, stage: &Stage) -> (Ipv4Addr, Ipv4Addr) {
        let nodes = &stage.plan.nodes;
        (nodes[self.client].on(Link::Oam), nodes[self.server].on(Link::Oam))
    }

    fn routes(&self, stage: &Stage) -> (Route, Route) {
        let (client, server) = self.addresses(stage);
        (Route::new(client.into(), server.into()), Route::new(server.into(), client.into()))
    }

    fn dns(&mut self, now: Micros, stage: &mut Stage) {
        let name = format!("ems{}.oam.mnc001.mcc001.3gppnetwork.org", 1 + self.turn % 3);
        let (_, server) = self.addresses(stage);
        look_up(now, stage, (self.client, self.server), &name, server, &mut self.chance);
    }

    /// Client and server mode, 48 octets.
    fn ntp(&mut self, now: Micros, stage: &mut Stage) {
        ask_time(now, stage, (self.client, self.server), self.start);
    }

    fn syslog(&mut self, now: Micros, stage: &mut Stage) {
        let (there, _) = self.routes(stage);
        let port = ephemeral(&mut self.chance);
        stage.send(now, Link::Oam, &syslog_line(&there, port, self.start, now, stage, self.client));
    }

    /// A session of some queries, then both sides close.
    fn netconf(&mut self, now: Micros, stage: &mut Stage) {
        let (station, node) = self.addresses(stage);
        let client = SocketAddr::new(station.into(), ephemeral(&mut self.chance));
        let server = SocketAddr::new(node.into(), NETCONF_SSH);
        let mut connection = Connection::new(client, server, &mut self.chance);
        let mut at = now;
        for packet in connection.open() {
            stage.send(at, Link::Oam, &packet);
            at += 300;
        }
        let mut say = |at: &mut Micros, stage: &mut Stage, from, payload: &[u8]| {
            *at += 4 * MILLI;
            stage.send(*at, Link::Oam, &connection.data(from, payload));
        };
        say(&mut at, stage, Side::Server, b"SSH-2.0-OpenSSH_9.2\r\n");
        say(&mut at, stage, Side::Client, b"SSH-2.0-netconf_3.1\r\n");
        for _ in 0..self.chance.between(3, 8) {
            let request = self.chance.bytes(180);
            say(&mut at, stage, Side::Client, &request);
            let length = self.chance.heavy(200, 1) as usize;
            let answer = self.chance.bytes(length);
            say(&mut at, stage, Side::Server, &answer);
        }
        for packet in connection.close(Side::Client) {
            at += MILLI;
            stage.send(at, Link::Oam, &packet);
        }
    }

    fn ping(&mut self, now: Micros, stage: &mut Stage) {
        let (there, back) = self.routes(stage);
        let id = self.client as u16 + 1;
        stage.send(now, Link::Oam, &frame::ping(&there, false, id, self.turn));
        stage.send(now + 600, Link::Oam, &frame::ping(&back, true, id, self.turn));
    }

    fn arp(&mut self, now: Micros, stage: &mut Stage) {
        let (client, server) = self.addresses(stage);
        let asking = (stage.plan.nodes[self.client].mac(Link::Oam), client);
        let asked = (stage.plan.nodes[self.server].mac(Link::Oam), server);
        stage.raw(now, Link::Oam, frame::arp(false, asking, asked));
        stage.raw(now + 200, Link::Oam, frame::arp(true, asked, asking));
    }

    /// Chassis, port, time to live, system name (IEEE 802.1AB §8).
    fn lldp(&mut self, now: Micros, stage: &mut Stage) {
        let node = &stage.plan.nodes[self.client];
        let mac = node.mac(Link::Oam);
        let octets = [mac.0, mac.1, mac.2, mac.3, mac.4, mac.5];
        let mut unit = Vec::new();
        let mut tlv = |kind: u16, value: &[u8]| {
            unit.extend((kind << 9 | value.len() as u16).to_be_bytes());
            unit.extend_from_slice(value);
        };
        tlv(1, &[&[4][..], &octets].concat());
        tlv(2, b"\x05oam0");
        tlv(3, &120u16.to_be_bytes());
        tlv(5, node.id.as_bytes());
        tlv(0, &[]);
        let nearest = MacAddr::new(0x01, 0x80, 0xc2, 0, 0, 0x0e);
        stage.raw(now, Link::Oam, frame::ethernet(mac, nearest, LLDP_ETHERTYPE, &unit));
    }
}

/// A port that a client is given.
pub(crate) fn ephemeral(chance: &mut Chance) -> u16 {
    chance.between(32_768, 60_999) as u16
}

/// A look-up of a name at the operator's resolver, and its answer.
pub(crate) fn look_up(
    at: Micros,
    stage: &mut Stage,
    (client, resolver): (usize, usize),
    name: &str,
    address: Ipv4Addr,
    chance: &mut Chance,
) {
    let client: IpAddr = stage.plan.nodes[client].on(Link::Oam).into();
    let resolver: IpAddr = stage.plan.nodes[resolver].on(Link::Oam).into();
    let (id, port) = (chance.u16(), chance.between(32_768, 60_999) as u16);
    let query = dns::query(id, name, false);
    let answer = dns::answer(id, name, address.into());
    let there = frame::udp(&Route::new(client, resolver), port, dns::PORT, &query);
    let back = frame::udp(&Route::new(resolver, client), dns::PORT, port, &answer);
    stage.send(at, Link::Oam, &there);
    stage.send(at + chance.between(MILLI, 20 * MILLI), Link::Oam, &back);
}

/// A client asks a server for the time, and is answered.
pub(crate) fn ask_time(
    at: Micros,
    stage: &mut Stage,
    (client, server): (usize, usize),
    start: jiff::Timestamp,
) {
    let client: IpAddr = stage.plan.nodes[client].on(Link::Oam).into();
    let server: IpAddr = stage.plan.nodes[server].on(Link::Oam).into();
    let (there, back) = (Route::new(client, server), Route::new(server, client));
    let (question, answer) = (ntp::question(start, at), ntp::answer(start, at));
    stage.send(at, Link::Oam, &frame::udp(&there, ntp::PORT, ntp::PORT, &question));
    stage.send(at + 900, Link::Oam, &frame::udp(&back, ntp::PORT, ntp::PORT, &answer));
}

/// A line of syslog (RFC 5424 §6) in UDP and IP.
pub(crate) fn syslog_line(
    route: &Route,
    port: u16,
    start: jiff::Timestamp,
    at: Micros,
    stage: &Stage,
    node: usize,
) -> Vec<u8> {
    let time = start + std::time::Duration::from_micros(at);
    let line = format!("<134>1 {time:.6} {} oamd 411 - - link up", stage.plan.nodes[node].id);
    frame::udp(route, port, SYSLOG, line.as_bytes())
}
