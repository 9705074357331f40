//! A small network whose packets can be followed: gnb-1 and gnb-2, upf-1 and upf-2, an SMF that
//! sets sessions up, subscribers, and a server.

#![allow(unreachable_pub, reason = "a part of one test")]

use weir_engine::contract::verdict::Alert;
use weir_engine::rules::{Equipment, Link, Roles, RuleSet};

use crate::lab::n4::{cause, f_seid, group, ie, message};
use crate::lab::{Noise, Shot, alerts, at, ip, prefix, rule_set, udp};

pub const GNB: &str = "10.0.0.1";
pub const GNB2: &str = "10.0.0.2";
pub const UPF: &str = "10.0.1.1";
pub const UPF2: &str = "10.0.1.2";
pub const SMF: &str = "10.0.2.1";
pub const SERVER: [u8; 4] = [192, 0, 2, 7];
pub const THIEF: &str = "198.18.0.66";

/// Frames in the order of their times.
pub struct World {
    pub shots: Vec<Shot>,
    pub noise: Noise,
    sequence: u32,
}

/// One user's packet, whole.
#[derive(Clone)]
pub struct Packet(pub Vec<u8>);

impl Packet {
    /// As a router passes it on.
    pub fn forwarded(&self) -> Packet {
        let mut bytes = self.0.clone();
        bytes[8] -= 1;
        bytes[10] ^= 0x5a;
        Packet(bytes)
    }

    /// With other ends, as a NAT or a thief writes them.
    pub fn rewritten(&self, from: Option<[u8; 4]>, to: Option<[u8; 4]>) -> Packet {
        let mut bytes = self.0.clone();
        for (address, place) in [(from, 12), (to, 16)] {
            if let Some(address) = address {
                bytes[place..place + 4].copy_from_slice(&address);
            }
        }
        // Checksums follow.
        bytes[10] ^= 0x3c;
        bytes[26] ^= 0x77;
        Packet(bytes)
    }
}

pub fn ue(n: u32) -> [u8; 4] {
    let [_, _, c, d] = n.to_be_bytes();
    [10, 60, c, d]
}

fn octets(address: &str) -> [u8; 4] {
    address.parse::<std::net::Ipv4Addr>().unwrap().octets()
}

pub fn rules() -> RuleSet {
    let mut set = rule_set();
    set.equipment.push(Equipment {
        roles: Roles::UPF,
        prefixes: vec![prefix(UPF2)],
        macs: Vec::new(),
    });
    let mut allow = set.allow[0].clone();
    allow.from.equipment = None;
    allow.from.prefix = Some(prefix("10.0.0.0/16"));
    allow.to = allow.from.clone();
    let n4 = set.allow[1].services.clone();
    allow.services.extend(n4);
    set.allow.push(allow);
    set
}

impl World {
    /// With heartbeats on N4, so that it is covered, for so many seconds.
    pub fn new(seconds: u32) -> Self {
        let mut world = Self { shots: Vec::new(), noise: Noise(0x5eed_0007), sequence: 0 };
        for second in (0..seconds).step_by(20) {
            for upf in [UPF, UPF2] {
                world.sequence += 1;
                let [_, a, b, c] = world.sequence.to_be_bytes();
                let beat = |kind| [0x20, kind, 0, 12, a, b, c, 0, 0, 96, 0, 4, 0xe0, 0, 0, 1];
                let ends = (format!("{SMF}:8805"), format!("{upf}:8805"));
                let time = f64::from(second) + 0.1;
                world.push(time, udp(&ends.0, &ends.1, &beat(1)));
                world.push(time + 0.01, udp(&ends.1, &ends.0, &beat(2)));
            }
        }
        world
    }

    pub fn push(&mut self, time: f64, bytes: Vec<u8>) {
        self.shots.push(Shot { time: at(time), bytes });
    }

    fn agree(
        &mut self,
        time: f64,
        upf: &str,
        kind: u8,
        seids: [u64; 2],
        ask: &[Vec<u8>],
        answer: &[Vec<u8>],
    ) {
        self.sequence += 1;
        let ends = (format!("{SMF}:8805"), format!("{upf}:8805"));
        let request = message(kind, seids[0], self.sequence, ask, false);
        let response = message(kind + 1, seids[1], self.sequence, answer, false);
        self.push(time, udp(&ends.0, &ends.1, &request));
        self.push(time + 0.002, udp(&ends.1, &ends.0, &response));
    }

    /// A session of the user `n`: uplink TEID n, downlink TEID n + 2^24 at a gNB.
    pub fn establish(&mut self, time: f64, n: u32, gnb: &str) {
        self.establish_at(time, n, gnb, UPF);
    }

    /// The same at any UPF.
    pub fn establish_at(&mut self, time: f64, n: u32, gnb: &str, upf: &str) {
        let ask = [
            ie(60, &[&[0][..], &octets(SMF)].concat()),
            f_seid(u64::from(n), octets(SMF)),
            pdr(1, 0, Some((n, upf)), n),
            far(3, 1, 0, (n | 1 << 24, gnb)),
        ];
        let answer = [cause(1), f_seid(u64::from(n) + 0x1000, octets(upf))];
        self.agree(time, upf, 50, [0, u64::from(n)], &ask, &answer);
    }

    /// The same with upf-2 between: uplink TEID n + 2^20 there, downlink TEID n + 2^21.
    pub fn establish_chain(&mut self, time: f64, n: u32) {
        self.establish(time, n, UPF2);
        let ask = [
            ie(60, &[&[0][..], &octets(SMF)].concat()),
            f_seid(u64::from(n) + 0x8000, octets(SMF)),
            pdr(1, 0, Some((n | 1 << 20, UPF2)), n),
            pdr(2, 1, Some((n | 1 << 24, UPF2)), n),
            far(3, 1, 1, (n, UPF)),
            far(3, 2, 0, (n | 1 << 21, GNB)),
        ];
        let answer = [cause(1), f_seid(u64::from(n) + 0x9000, octets(UPF2))];
        self.agree(time, UPF2, 50, [0, u64::from(n) + 0x8000], &ask, &answer);
    }

    /// The session's downlink goes to another gNB, TEID n + 2^25.
    pub fn hand_over(&mut self, time: f64, n: u32, gnb: &str) {
        let ask = [far(10, 1, 0, (n | 1 << 25, gnb))];
        self.agree(time, UPF, 52, [u64::from(n) + 0x1000, u64::from(n)], &ask, &[cause(1)]);
    }

    /// A rule orders copies of the session's packets.
    pub fn duplicate(&mut self, time: f64, n: u32, to: &str) {
        self.duplicate_at(time, n, UPF, to);
    }

    /// The same at any UPF.
    pub fn duplicate_at(&mut self, time: f64, n: u32, upf: &str, to: &str) {
        let outer = [&[1, 0][..], &0x77_u32.to_be_bytes(), &octets(to)].concat();
        let copies = group(5, &[ie(42, &[0]), ie(84, &outer)]);
        let ask = [group(10, &[ie(108, &1_u32.to_be_bytes()), ie(44, &[18]), copies])];
        self.agree(time, upf, 52, [u64::from(n) + 0x1000, u64::from(n)], &ask, &[cause(1)]);
    }

    /// No rule orders copies of the session's packets any more.
    pub fn end_copies_at(&mut self, time: f64, n: u32, upf: &str) {
        let ask = [group(10, &[ie(108, &1_u32.to_be_bytes()), ie(44, &[2])])];
        self.agree(time, upf, 52, [u64::from(n) + 0x1000, u64::from(n)], &ask, &[cause(1)]);
    }

    /// A packet that no other is like.
    pub fn packet(&mut self, from: [u8; 4], to: [u8; 4], len: usize) -> Packet {
        let text = |octets: [u8; 4], port| format!("{}:{port}", std::net::Ipv4Addr::from(octets));
        let payload: Vec<u8> = (0..len).map(|_| self.noise.next() as u8 | 0x80).collect();
        let (from, to) = (text(from, 40_000), text(to, 443));
        let mut bytes = udp(&from, &to, &payload)[14..].to_vec();
        let id = self.noise.next() as u16;
        bytes[4..6].copy_from_slice(&id.to_be_bytes());
        Packet(bytes)
    }

    pub fn n3(&mut self, time: f64, from: &str, to: &str, teid: u32, packet: &Packet) {
        self.push(time, g_pdu(from, to, teid, packet));
    }

    pub fn n6(&mut self, time: f64, packet: &Packet) {
        self.push(time, bare(packet));
    }

    /// An uplink packet from gNB to N6; gives it.
    pub fn up(&mut self, time: f64, n: u32, gnb: &str) -> Packet {
        let packet = self.packet(ue(n), SERVER, 90);
        self.n3(time, gnb, UPF, n, &packet);
        self.n6(time + 0.000_05, &packet.forwarded());
        packet
    }

    /// A downlink packet from N6 to the gNB; gives it.
    pub fn down(&mut self, time: f64, n: u32, gnb: &str) -> Packet {
        let packet = self.packet(SERVER, ue(n), 180);
        self.n6(time, &packet);
        self.n3(time + 0.000_05, UPF, gnb, n | 1 << 24, &packet.forwarded());
        packet
    }

    /// What is said of it.
    pub fn judged(self) -> Vec<Alert> {
        self.judged_by(rules())
    }

    pub fn judged_by(mut self, set: RuleSet) -> Vec<Alert> {
        self.shots.sort_by_key(|shot| shot.time);
        alerts(&self.shots, Link::Mixed, set)
    }
}

fn pdr(id: u16, source: u8, end: Option<(u32, &str)>, n: u32) -> Vec<u8> {
    let end =
        end.map(|(teid, upf)| ie(21, &[&[1][..], &teid.to_be_bytes(), &octets(upf)].concat()));
    let ue = ie(93, &[&[2][..], &ue(n)].concat());
    let pdi = group(2, &[ie(20, &[source]), end.unwrap_or_default(), ue]);
    group(1, &[ie(56, &id.to_be_bytes()), ie(29, &[0, 0, 0, 255]), pdi])
}

fn far(kind: u16, id: u32, interface: u8, (teid, to): (u32, &str)) -> Vec<u8> {
    let outer = [&[1, 0][..], &teid.to_be_bytes(), &octets(to)].concat();
    let inside = if kind == 3 { 4 } else { 11 };
    let parameters = group(inside, &[ie(42, &[interface]), ie(84, &outer)]);
    group(kind, &[ie(108, &id.to_be_bytes()), ie(44, &[2]), parameters])
}

pub fn g_pdu(from: &str, to: &str, teid: u32, packet: &Packet) -> Vec<u8> {
    let mut message = vec![0x34, 255];
    message.extend((packet.0.len() as u16 + 8).to_be_bytes());
    message.extend(teid.to_be_bytes());
    message.extend([0, 0, 0, 0x85, 1, 0x10, 9, 0]);
    message.extend(&packet.0);
    udp(&format!("{from}:2152"), &format!("{to}:2152"), &message)
}

pub fn bare(packet: &Packet) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
    frame.extend(if packet.0[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] });
    frame.extend(&packet.0);
    // What an Ethernet link pads.
    frame.resize(frame.len().max(60), 0);
    frame
}

/// In GRE between two addresses.
pub fn gre(from: &str, to: &str, packet: &Packet) -> Vec<u8> {
    ip(from, to, 47, &[&[0, 0, 8, 0][..], &packet.0].concat())
}
