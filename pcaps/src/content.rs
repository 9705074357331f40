//! What looks as if everyday protocols carried data, and does not: each kind is what a detection by
//! content must stay silent for.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::covert::letters;
use crate::frame::{self, MacAddr, Route};
use crate::labels::{Group, GroupKind};
use crate::plan::Link;
use crate::scenario::Role;
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::{dns, oam, ptp};

/// What SCENARIO.toml says of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    /// From one of a kind to the next, as a mean.
    pub every_seconds: u64,
    /// Whom the network's resolver asks in turn.
    pub upstream: Spanned<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    DeliveryNames,
    Recursion,
    OperatorNames,
    OtherPings,
    Probes,
    Iburst,
    PtpOfProfile,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::DeliveryNames, "delivery-names"),
    (Kind::Recursion, "recursion"),
    (Kind::OperatorNames, "operator-names"),
    (Kind::OtherPings, "other-pings"),
    (Kind::Probes, "probes"),
    (Kind::Iburst, "iburst"),
    (Kind::PtpOfProfile, "ptp-of-profile"),
];

/// Brings them onto the stage.
pub(crate) fn enter(stage: &mut Stage, said: &Content, start: jiff::Timestamp) {
    for (n, (kind, name)) in (1..).zip(KINDS) {
        let group = stage.label(Group::new(name, GroupKind::Silent));
        let (every, chance) = (said.every_seconds * SECOND, stage.chance());
        let upstream = *said.upstream.get_ref();
        let actor = Lookalike { kind, group, upstream, start, every, turn: 0, chance };
        stage.enter(5 * SECOND + n * 110 * MILLI, actor);
    }
}

struct Lookalike {
    kind: Kind,
    group: usize,
    upstream: Ipv4Addr,
    start: jiff::Timestamp,
    every: Micros,
    turn: u32,
    chance: Chance,
}

/// Questions of a start (RFC 5905 §13.2), and how many turns lie between two starts.
const BURST: u64 = 8;
const TURNS_TO_BURST: u32 = 60;
/// By what a probe of IP SLA is filled as a rule.
const PROBE: [u8; 2] = [0xab, 0xcd];

impl Actor for Lookalike {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let gnb = stage.plan.first(Role::Gnb, Link::Oam);
        match self.kind {
            Kind::DeliveryNames => {
                let name = format!("{}.cloudfront.net", letters(14, &mut self.chance));
                self.look_up(now, stage, gnb, &name);
            }
            Kind::OperatorNames => {
                let tac = self.chance.below(1 << 24);
                let [low, middle, high] = [tac & 0xff, tac >> 8 & 0xff, tac >> 16];
                let name = format!(
                    "tac-lb{low:02x}.tac-mb{middle:02x}.tac-hb{high:02x}.5gstac.5gc.mnc001.mcc001.3gppnetwork.org"
                );
                self.look_up(now, stage, gnb, &name);
            }
            Kind::Recursion => self.recursion(now, stage),
            Kind::OtherPings => {
                let size = 16 + self.turn as usize * 37 % 1_380;
                let mut content: Vec<u8> = (0..size).map(|at| at as u8).collect();
                let seconds = u64::try_from(self.start.as_second()).unwrap_or(0) + now / SECOND;
                content[..8].copy_from_slice(&seconds.to_le_bytes());
                content[8..16].copy_from_slice(&(now % SECOND).to_le_bytes());
                self.ping(now, stage, gnb, (0x6a, &content));
            }
            Kind::Probes => {
                let content: Vec<u8> = PROBE.into_iter().cycle().take(1_400).collect();
                self.ping(now, stage, gnb, (0x51a, &content));
            }
            Kind::Iburst if self.turn.is_multiple_of(TURNS_TO_BURST) => {
                let server = stage.plan.first(Role::Ntp, Link::Oam);
                for n in 0..BURST {
                    oam::ask_time(now + 2 * n * SECOND, stage, (gnb, server), self.start);
                }
            }
            Kind::Iburst => {}
            Kind::PtpOfProfile => self.announce(now, stage),
        }
        self.turn += 1;
        let slack = self.every / 2;
        Some(now + self.every - slack + self.chance.below(2 * slack + 1))
    }
}

impl Lookalike {
    fn look_up(&mut self, now: Micros, stage: &mut Stage, client: usize, name: &str) {
        let resolver = stage.plan.first(Role::Dns, Link::Oam);
        let address = Ipv4Addr::from_bits(self.chance.u32());
        oam::look_up(now, stage, (client, resolver), name, address, &mut self.chance);
    }

    /// The resolver asks for its clients, among whom are subscribers: names beneath one domain, each once.
    fn recursion(&mut self, now: Micros, stage: &mut Stage) {
        let own = stage.plan.nodes[stage.plan.first(Role::Dns, Link::Oam)].on(Link::Oam);
        let there = Route::new(own.into(), self.upstream.into());
        let back = Route { ttl: 54, ..Route::new(self.upstream.into(), own.into()) };
        let name = format!("{}.users.example", letters(24, &mut self.chance));
        let (id, port) = (self.chance.u16(), oam::ephemeral(&mut self.chance));
        let query = dns::query(id, &name, false);
        let answer = dns::answer(id, &name, stage.plan.host(1_000, false));
        stage.send(now, Link::Oam, &frame::udp(&there, port, dns::PORT, &query));
        stage.send(now + 30 * MILLI, Link::Oam, &frame::udp(&back, dns::PORT, port, &answer));
    }

    /// The management station pings a gNB with what it likes.
    fn ping(&mut self, now: Micros, stage: &mut Stage, gnb: usize, (id, content): (u16, &[u8])) {
        let station = stage.plan.first(Role::Oam, Link::Oam);
        let [station, gnb] =
            [station, gnb].map(|node| IpAddr::from(stage.plan.nodes[node].on(Link::Oam)));
        let numbers = (id, self.turn as u16 + 1);
        let request = frame::echo(&Route::new(station, gnb), false, numbers, content);
        let reply = frame::echo(&Route::new(gnb, station), true, numbers, content);
        stage.send(now, Link::Oam, &request);
        stage.send(now + 600, Link::Oam, &reply);
    }

    /// A clock announces itself with the path that its time came by, without IP.
    fn announce(&mut self, now: Micros, stage: &mut Stage) {
        let mac = stage.plan.nodes[stage.plan.first(Role::Router, Link::Oam)].mac(Link::Oam);
        let clock = [mac.0, mac.1, mac.2, 0xff, 0xfe, mac.3, mac.4, mac.5];
        let message = ptp::announce(clock, self.turn as u16, (ptp::PATH_TRACE, &clock));
        let everyone = MacAddr::new(0x01, 0x1b, 0x19, 0, 0, 0);
        stage.raw(now, Link::Oam, frame::ethernet(mac, everyone, ptp::ETHERTYPE, &message));
    }
}
