//! What subscribers do with a session: web, video, voice, DNS, ping, port scans, odd ports.
//! A flow ends with its session.

use std::net::{IpAddr, SocketAddr};

use crate::chance::Chance;
use crate::dns;
use crate::frame::{self, Route};
use crate::gtpu;
use crate::pfcp;
use crate::scenario::{Mix, Subscribers};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::tcp::{Connection, Side};
use crate::tls::{self, Library};

const BEST_EFFORT: u8 = 9;
const VOICE: u8 = 1;
const VIDEO: u8 = 8;
/// Segments that a sender has under way at once.
const WINDOW: u64 = 10;
/// IPv6 and TCP headers, the longest pair here.
const HEADERS: u64 = 60;

/// One flow of one session.
pub(crate) struct Traffic {
    subscriber: usize,
    cp_seid: u64,
    ue: IpAddr,
    peer: IpAddr,
    rtt: Micros,
    reflective_share: f64,
    segment: u64,
    chance: Chance,
    talk: Talk,
}

enum Talk {
    Web { connection: Connection, opened: bool, left: u64 },
    Video { port: u16, bursts: u64 },
    Voice { ports: (u16, u16), packets: u64, sequence: u16 },
    Dns { port: u16 },
    Ping { id: u16, sequence: u16, left: u64 },
    Scan { left: u64 },
    OddPorts { ports: (u16, u16), left: u64 },
}

#[derive(Clone, Copy)]
enum Kind {
    Web,
    Video,
    Voice,
    Dns,
    Ping,
    Scan,
    OddPorts,
}

impl Mix {
    fn weights(&self) -> [(u32, Kind); 7] {
        [
            (self.web, Kind::Web),
            (self.video, Kind::Video),
            (self.voice, Kind::Voice),
            (self.dns, Kind::Dns),
            (self.ping, Kind::Ping),
            (self.scan, Kind::Scan),
            (self.odd_ports, Kind::OddPorts),
        ]
    }

    pub(crate) fn total(&self) -> u64 {
        self.weights().iter().map(|(weight, _)| u64::from(*weight)).sum()
    }

    fn choose(&self, chance: &mut Chance) -> Kind {
        let mut ticket = chance.below(self.total());
        for (weight, kind) in self.weights() {
            match ticket.checked_sub(weight.into()) {
                Some(rest) => ticket = rest,
                None => return kind,
            }
        }
        Kind::Web
    }
}

impl Traffic {
    /// A flow of a subscriber who has a session.
    pub(crate) fn start(
        subscriber: usize,
        habits: &Subscribers,
        stage: &mut Stage,
    ) -> Option<Self> {
        let mut chance = stage.chance();
        let session = stage.sessions[subscriber].as_ref()?;
        let (ue, cp_seid) = (session.ue, session.cp_seid);
        let kind = habits.mix.choose(&mut chance);
        let peer = match kind {
            Kind::Dns => stage.plan.resolver(ue.is_ipv6()),
            // A hundred thousand hosts are enough to look like the Internet.
            _ => stage.plan.host(1_000 + chance.heavy(1, 16) as u32, ue.is_ipv6()),
        };
        let port = chance.between(32_768, 60_999) as u16;
        let talk = match kind {
            Kind::Web => {
                let client = SocketAddr::new(ue, port);
                let connection = Connection::new(client, SocketAddr::new(peer, 443), &mut chance);
                Talk::Web { connection, opened: false, left: chance.heavy(600, 9) }
            }
            Kind::Video => Talk::Video { port, bursts: chance.heavy(1, 4) },
            Kind::Voice => Talk::Voice {
                ports: (port & !1, chance.between(10_000, 12_800) as u16 * 2),
                packets: chance.heavy(25, 4),
                sequence: chance.u16(),
            },
            Kind::Dns => Talk::Dns { port },
            Kind::Ping => Talk::Ping { id: port, sequence: 1, left: chance.between(1, 5) },
            Kind::Scan => Talk::Scan { left: chance.heavy(5, 3) },
            Kind::OddPorts => {
                let odd = if chance.happens(0.5) { gtpu::PORT } else { pfcp::PORT };
                // The odd port may be the subscriber's ephemeral one or the far side's.
                let ports = if chance.happens(0.7) { (odd, 443) } else { (port, odd) };
                Talk::OddPorts { ports, left: chance.between(2, 8) }
            }
        };
        Some(Self {
            subscriber,
            cp_seid,
            ue,
            peer,
            rtt: chance.between(8 * MILLI, 60 * MILLI),
            reflective_share: habits.reflective_share,
            segment: u64::from(habits.inner_mtu) - HEADERS,
            chance,
            talk,
        })
    }

    fn up(&mut self, at: Micros, stage: &mut Stage, qfi: u8, packet: &[u8]) {
        stage.uplink(at, self.subscriber, qfi, packet);
    }

    fn down(&mut self, at: Micros, stage: &mut Stage, qfi: u8, packet: &[u8]) {
        let rqi = self.chance.happens(self.reflective_share);
        stage.downlink(at, self.subscriber, (qfi, rqi), packet);
    }

    fn outward(&mut self) -> Route {
        Route { id: self.chance.u16(), ..Route::new(self.ue, self.peer) }
    }

    fn inward(&mut self) -> Route {
        Route { id: self.chance.u16(), ttl: 54, ..Route::new(self.peer, self.ue) }
    }
}

impl Actor for Traffic {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        // A subscriber who came back has another session.
        if stage.sessions[self.subscriber].as_ref()?.cp_seid != self.cp_seid {
            return None;
        }
        let mut talk = std::mem::replace(&mut self.talk, Talk::Scan { left: 0 });
        let next = match &mut talk {
            Talk::Web { connection, opened, left } => {
                self.web(now, stage, connection, opened, left)
            }
            Talk::Video { port, bursts } => self.video(now, stage, *port, bursts),
            Talk::Voice { ports, packets, sequence } => {
                self.voice(now, stage, *ports, packets, sequence)
            }
            Talk::Dns { port } => self.look_up(now, stage, *port),
            Talk::Ping { id, sequence, left } => self.ping(now, stage, *id, sequence, left),
            Talk::Scan { left } => self.scan(now, stage, left),
            Talk::OddPorts { ports, left } => self.odd_ports(now, stage, *ports, left),
        };
        self.talk = talk;
        next
    }
}

impl Traffic {
    fn web(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        connection: &mut Connection,
        opened: &mut bool,
        left: &mut u64,
    ) -> Option<Micros> {
        if !*opened {
            *opened = true;
            let [syn, syn_ack, ack] = connection.open();
            self.up(now, stage, BEST_EFFORT, &syn);
            self.down(now + self.rtt, stage, BEST_EFFORT, &syn_ack);
            self.up(now + self.rtt + MILLI, stage, BEST_EFFORT, &ack);
            let name = format!("www{}.example.net", self.chance.below(5_000));
            let hello = tls::client_hello(&name, Library::Own, &mut self.chance);
            let request = connection.data(Side::Client, &hello);
            self.up(now + self.rtt + 2 * MILLI, stage, BEST_EFFORT, &request);
            let flight = tls::server_flight(900, &mut self.chance);
            let answer = connection.data(Side::Server, &flight);
            self.down(now + 2 * self.rtt, stage, BEST_EFFORT, &answer);
            return Some(now + 2 * self.rtt + 5 * MILLI);
        }
        let mut at = now;
        for n in 1..=WINDOW {
            if *left == 0 {
                break;
            }
            let size = (*left).min(self.segment);
            *left -= size;
            at += self.chance.between(100, 250);
            let data = self.chance.bytes(size as usize);
            let packet = connection.data(Side::Server, &data);
            self.down(at, stage, BEST_EFFORT, &packet);
            if n % 2 == 0 || *left == 0 {
                let ack = connection.ack(Side::Client);
                self.up(at + 300, stage, BEST_EFFORT, &ack);
            }
        }
        if *left > 0 {
            return Some(at + self.rtt);
        }
        let [fin, fin_ack, ack] = connection.close(Side::Client);
        self.up(at + 5 * MILLI, stage, BEST_EFFORT, &fin);
        self.down(at + 5 * MILLI + self.rtt, stage, BEST_EFFORT, &fin_ack);
        self.up(at + 6 * MILLI + self.rtt, stage, BEST_EFFORT, &ack);
        None
    }

    /// QUIC: a burst a second, acknowledged now and then.
    fn video(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        port: u16,
        bursts: &mut u64,
    ) -> Option<Micros> {
        let mut at = now;
        let longest = self.segment + HEADERS - 48;
        for n in 0..self.chance.between(8, 24) {
            let size = if n == 0 { self.chance.between(80, longest) } else { longest };
            let packet = frame::udp(&self.inward(), 443, port, &self.short_header(size));
            self.down(at, stage, VIDEO, &packet);
            if n % 8 == 0 {
                let packet = frame::udp(&self.outward(), port, 443, &self.short_header(42));
                self.up(at + 400, stage, VIDEO, &packet);
            }
            at += self.chance.between(120, 600);
        }
        *bursts -= 1;
        (*bursts > 0).then_some(now + SECOND)
    }

    fn voice(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        (ours, theirs): (u16, u16),
        packets: &mut u64,
        sequence: &mut u16,
    ) -> Option<Micros> {
        for outward in [true, false] {
            let mut payload = vec![0x80, 98];
            payload.extend(sequence.to_be_bytes());
            payload.extend((u32::from(*sequence) * 320).to_be_bytes());
            payload.extend((self.cp_seid as u32).to_be_bytes());
            payload.extend(self.chance.bytes(61));
            if outward {
                let packet = frame::udp(&self.outward(), ours, theirs, &payload);
                self.up(now, stage, VOICE, &packet);
            } else {
                let packet = frame::udp(&self.inward(), theirs, ours, &payload);
                self.down(now + 9 * MILLI, stage, VOICE, &packet);
            }
        }
        *sequence = sequence.wrapping_add(1);
        *packets -= 1;
        (*packets > 0).then_some(now + 20 * MILLI)
    }

    fn look_up(&mut self, now: Micros, stage: &mut Stage, port: u16) -> Option<Micros> {
        let number = self.chance.below(5_000) as u32;
        let name = format!("www{number}.example.net");
        let id = self.chance.u16();
        let query = dns::query(id, &name, self.ue.is_ipv6());
        let answer = dns::answer(id, &name, stage.plan.host(1_000 + number, self.ue.is_ipv6()));
        let packet = frame::udp(&self.outward(), port, dns::PORT, &query);
        self.up(now, stage, BEST_EFFORT, &packet);
        let packet = frame::udp(&self.inward(), dns::PORT, port, &answer);
        self.down(now + self.rtt, stage, BEST_EFFORT, &packet);
        None
    }

    fn ping(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        id: u16,
        sequence: &mut u16,
        left: &mut u64,
    ) -> Option<Micros> {
        let request = frame::ping(&self.outward(), false, id, *sequence);
        let reply = frame::ping(&self.inward(), true, id, *sequence);
        self.up(now, stage, BEST_EFFORT, &request);
        self.down(now + self.rtt, stage, BEST_EFFORT, &reply);
        *sequence += 1;
        *left -= 1;
        (*left > 0).then_some(now + SECOND)
    }

    fn scan(&mut self, now: Micros, stage: &mut Stage, left: &mut u64) -> Option<Micros> {
        let client = SocketAddr::new(self.ue, self.chance.between(32_768, 60_999) as u16);
        let server = SocketAddr::new(self.peer, self.chance.between(1, 10_000) as u16);
        let mut connection = Connection::new(client, server, &mut self.chance);
        self.up(now, stage, BEST_EFFORT, &connection.syn());
        if self.chance.happens(0.5) {
            let reset = connection.reset(Side::Server);
            self.down(now + self.rtt, stage, BEST_EFFORT, &reset);
        }
        *left = left.saturating_sub(1);
        (*left > 0).then_some(now + 50 * MILLI)
    }

    fn odd_ports(
        &mut self,
        now: Micros,
        stage: &mut Stage,
        (ours, theirs): (u16, u16),
        left: &mut u64,
    ) -> Option<Micros> {
        let size = self.chance.between(30, 600);
        let packet = frame::udp(&self.outward(), ours, theirs, &self.short_header(size));
        self.up(now, stage, BEST_EFFORT, &packet);
        let size = self.chance.between(30, 900);
        let packet = frame::udp(&self.inward(), theirs, ours, &self.short_header(size));
        self.down(now + self.rtt, stage, BEST_EFFORT, &packet);
        *left -= 1;
        (*left > 0).then_some(now + self.rtt + 200 * MILLI)
    }

    /// A QUIC short header and encrypted rest. Its first octet, 0x60 to 0x7f, would be version 3
    /// of GTP or PFCP: neither exists.
    fn short_header(&mut self, size: u64) -> Vec<u8> {
        let mut payload = self.chance.bytes(size as usize);
        payload[0] = 0x60 | (payload[0] & 0x1f);
        payload
    }
}
