//! Visits: equipment turns to someone outside, or is turned to, again and again, for minutes or for
//! weeks. A patient theft and a routine that is declared differ in nothing but in who knows of them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::chance::Chance;
use crate::oam;
use crate::plan::Link;
use crate::scenario::{Role, Scenario, domain_name, https};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::tcp::{Connection, Side};
use crate::theft::Expectation;
use crate::tls::{self, Library};

const HOUR: Micros = 3_600 * SECOND;
/// What a segment carries, and what a card hands over that joins segments: only where the tap cuts
/// frames short, since no cable carries it.
const SEGMENT: u64 = 1_360;
const JOINED: u64 = 60_000;
/// Segments to each acknowledgement.
const WINDOW: u64 = 16;
const SSH: u16 = 22;

/// When equipment visits whom, and what goes there and back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visits {
    /// Who does so, each for itself.
    pub equipment: Vec<Spanned<String>>,
    /// To whom, in turn.
    pub peers: Vec<Spanned<Ipv4Addr>>,
    #[serde(default = "https")]
    pub port: u16,
    /// TLS to this name, which is looked up first; absent: no TLS.
    #[serde(default, deserialize_with = "some_domain_name")]
    pub server_name: Option<String>,
    /// Who makes its hellos.
    #[serde(default)]
    pub library: Library,
    /// The peers come to the equipment.
    #[serde(default)]
    pub incoming: bool,
    pub start_seconds: u64,
    /// From one visit to the next, counted from the beginning of one.
    pub every_seconds: u64,
    pub visits: u64,
    /// Share by which that time is longer or shorter at most; above 1: waiting times of chance.
    #[serde(default)]
    pub jitter: f64,
    /// Share of visits that do not take place.
    #[serde(default)]
    pub missed: f64,
    /// From which to which hour of the day (UTC) none takes place.
    pub quiet_hours: Option<[u64; 2]>,
    /// All visits over one connection.
    #[serde(default)]
    pub keeps_connection: bool,
    /// What the equipment sends in a visit, and what it gets.
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// Share by which both are more or less at most.
    #[serde(default)]
    pub spread: f64,
}

/// A theft that takes its time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patient {
    pub id: Spanned<String>,
    pub how: How,
    /// The policy allows the flow: somebody was persuaded.
    #[serde(default)]
    pub allowed: bool,
    pub visits: Visits,
}

/// What a patient theft is to be known by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// It is not allowed, and no more.
    Plain,
    /// Its rhythm.
    Beacon,
    /// How much it carries away.
    Upload,
    /// A connection that does not end.
    LongConnection,
    /// All equipment of a build does it.
    Cohort,
    /// Somebody works on the equipment unannounced.
    RemoteSession,
    /// A hello that the equipment is not known for: another library, or another name.
    NewHello,
    /// It asks for names over HTTPS.
    Doh,
}

/// A routine that looks like a theft and is declared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routine {
    pub id: Spanned<String>,
    pub declared: Declared,
    pub visits: Visits,
}

/// How the policy declares it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Declared {
    /// A rule allows it.
    Allowed,
    /// A rule allows it and says that it is periodic.
    Periodic,
    /// A rule allows it, and each visit stands in a change window.
    InWindows,
}

/// What a flow that nobody allowed may be told of beside its own alert, and one that is allowed.
pub(crate) const BESIDE: [&str; 7] = [
    "EGR-NOTALLOWED",
    "EGR-LONGCONN",
    "EGR-COHORT",
    "EGR-CRYPTO",
    "EGR-VOLUME",
    "BCN-PERIODIC",
    "OAM-WINDOW",
];
const BESIDE_ALLOWED: [&str; 4] = ["EGR-CRYPTO", "EGR-VOLUME", "BCN-PERIODIC", "OAM-WINDOW"];

impl How {
    /// The key in the scenario, the detection that should name it, and its severity.
    fn said(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Plain => ("plain", "EGR-NOTALLOWED", "high"),
            Self::Beacon => ("beacon", "BCN-PERIODIC", "medium"),
            Self::Upload => ("upload", "EGR-VOLUME", "high"),
            Self::LongConnection => ("long-connection", "EGR-LONGCONN", "medium"),
            Self::Cohort => ("cohort", "EGR-COHORT", "critical"),
            Self::RemoteSession => ("remote-session", "OAM-WINDOW", "high"),
            Self::NewHello => ("new-hello", "EGR-CRYPTO", "medium"),
            Self::Doh => ("doh", "EGR-CRYPTO", "medium"),
        }
    }
}

/// Brings the patient thefts onto the stage; their packets carry indices from `first` on. Each
/// equipment's part is a theft of its own.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario, first: usize) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for theft in &scenario.theft.patient {
        let (kind, detection, severity) = theft.how.said();
        let visits = &theft.visits;
        for equipment in &visits.equipment {
            let (id, node) = (theft.id.get_ref(), equipment.get_ref());
            expected.push(Expectation {
                id: match visits.equipment.as_slice() {
                    [_] => id.clone(),
                    _ => format!("{id}/{node}"),
                },
                kind,
                detection,
                severity: Some(severity),
                also: if theft.allowed { &BESIDE_ALLOWED } else { &BESIDE },
                equipment: Some(node.clone()),
                peer: Some((*visits.peers[0].get_ref()).into()),
                note: visits.to_string(),
            });
            Visitor::enter(stage, visits, node, Some(first + expected.len() - 1));
        }
    }
    expected
}

/// Brings the declared routines onto the stage.
pub(crate) fn enter_routines(stage: &mut Stage, scenario: &Scenario) {
    for routine in &scenario.confounders.routine {
        for equipment in &routine.visits.equipment {
            Visitor::enter(stage, &routine.visits, equipment.get_ref(), None);
        }
    }
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visits, every_seconds, sent_bytes, .. } = self;
        write!(f, "{visits} visits, about every {every_seconds} s, of {sent_bytes} bytes sent")
    }
}

impl Visits {
    /// When each visit would be made, if none came late: what a change window is declared by.
    pub(crate) fn times(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.visits).map(|n| self.start_seconds + n * self.every_seconds)
    }

    /// What a policy calls the service; none if it has no name for the port.
    pub(crate) fn service(&self) -> Option<&'static str> {
        match self.port {
            SSH => Some("ssh"),
            443 => Some("https"),
            830 => Some("netconf"),
            _ => None,
        }
    }

    fn is_quiet(&self, now: Micros, start_ns: u64) -> bool {
        let hour = (start_ns / 1_000 + now) / HOUR % 24;
        self.quiet_hours.is_some_and(|[from, to]| match from <= to {
            true => (from..to).contains(&hour),
            false => hour >= from || hour < to,
        })
    }
}

/// One equipment that visits or is visited.
struct Visitor {
    theft: Option<usize>,
    node: usize,
    visits: Visits,
    made: u64,
    connection: Option<Connection>,
    segment: u64,
    chance: Chance,
}

impl Visitor {
    fn enter(stage: &mut Stage, visits: &Visits, node: &str, theft: Option<usize>) {
        let (node, chance) = (stage.plan.named(node), stage.chance());
        let segment = if stage.snap_bytes.is_some() { JOINED } else { SEGMENT };
        let mut visitor = Self {
            theft,
            node,
            visits: visits.clone(),
            made: 0,
            connection: None,
            segment,
            chance,
        };
        // Who is not on time is not so together with others.
        let late = (visits.every_seconds as f64 * visits.jitter.min(1.0)) as u64;
        let late = visitor.chance.below(late * SECOND);
        stage.enter(visits.start_seconds * SECOND + late, visitor);
    }

    fn pause(&mut self) -> Micros {
        let every = self.visits.every_seconds * SECOND;
        let jitter = self.visits.jitter;
        if jitter > 1.0 {
            return self.chance.wait(every);
        }
        self.varied(every, jitter)
    }

    /// A number that is up to this share more or less.
    fn varied(&mut self, mean: u64, share: f64) -> u64 {
        let most = (mean as f64 * share) as u64;
        mean - most + self.chance.below(2 * most + 1)
    }

    /// A new connection with the next peer: at this time its packets begin, and its data.
    fn open(&mut self, now: Micros, stage: &mut Stage) -> (Connection, Micros) {
        let visits = &self.visits;
        let peer = *visits.peers[(self.made % visits.peers.len() as u64) as usize].get_ref();
        let own = stage.plan.nodes[self.node].on(Link::Oam);
        let ephemeral = self.chance.between(32_768, 60_999) as u16;
        let (client, server) = if visits.incoming { (peer, own) } else { (own, peer) };
        let client = SocketAddr::new(client.into(), ephemeral);
        let server = SocketAddr::new(server.into(), visits.port);
        let mut connection = Connection::new(client, server, &mut self.chance);
        let mut at = now;
        let mut opening = Vec::new();
        if let Some(name) = &visits.server_name {
            if !visits.incoming {
                let ends = (self.node, stage.plan.first(Role::Dns, Link::Oam));
                oam::look_up(now, stage, ends, name, peer, &mut self.chance);
                at += 40 * MILLI;
            }
            opening.extend(connection.open());
            let hello = tls::client_hello(name, visits.library, &mut self.chance);
            let flight = tls::server_flight(1_100, &mut self.chance);
            opening.push(connection.data(Side::Client, &hello));
            opening.push(connection.data(Side::Server, &flight));
            opening.push(connection.ack(Side::Client));
        } else {
            opening.extend(connection.open());
            if visits.port == SSH {
                opening.push(connection.data(Side::Server, b"SSH-2.0-OpenSSH_9.2\r\n"));
                opening.push(connection.data(Side::Client, b"SSH-2.0-OpenSSH_9.6\r\n"));
            }
        }
        for packet in opening {
            self.send(at, stage, &packet);
            at += 30 * MILLI;
        }
        (connection, at)
    }

    fn send(&self, at: Micros, stage: &mut Stage, packet: &[u8]) {
        match self.theft {
            Some(theft) => stage.steal(at, Link::Oam, packet, theft),
            None => stage.send(at, Link::Oam, packet),
        }
    }

    /// So many bytes one way, in segments that the other side acknowledges.
    fn carry(
        &mut self,
        mut at: Micros,
        stage: &mut Stage,
        connection: &mut Connection,
        (from, bytes): (Side, u64),
    ) -> Micros {
        let other = if from == Side::Client { Side::Server } else { Side::Client };
        let mut left = bytes;
        for n in 1.. {
            let Some(part) = Some(left.min(self.segment)).filter(|part| *part > 0) else { break };
            left -= part;
            let payload = if self.visits.server_name.is_some() && part < 16_384 {
                tls::application_data(part as usize, &mut self.chance)
            } else {
                self.chance.bytes(part as usize)
            };
            self.send(at, stage, &connection.data(from, &payload));
            at += 10 * MILLI;
            if n % WINDOW == 0 || left == 0 {
                self.send(at, stage, &connection.ack(other));
                at += 10 * MILLI;
            }
        }
        at
    }
}

impl Actor for Visitor {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if self.made == self.visits.visits {
            return None;
        }
        let is_missed = self.chance.happens(self.visits.missed);
        if !is_missed && !self.visits.is_quiet(now, stage.start_ns()) {
            let (mut connection, mut at) = match self.connection.take() {
                Some(connection) => (connection, now),
                None => self.open(now, stage),
            };
            let spread = self.visits.spread;
            let sent = self.varied(self.visits.sent_bytes, spread);
            let received = self.varied(self.visits.received_bytes, spread);
            let own = if self.visits.incoming { Side::Server } else { Side::Client };
            let other = if self.visits.incoming { Side::Client } else { Side::Server };
            at = self.carry(at, stage, &mut connection, (own, sent));
            at = self.carry(at, stage, &mut connection, (other, received));
            if self.visits.keeps_connection && self.made + 1 < self.visits.visits {
                self.connection = Some(connection);
            } else {
                for packet in connection.close(Side::Client) {
                    self.send(at, stage, &packet);
                    at += 30 * MILLI;
                }
            }
        }
        self.made += 1;
        Some(now + self.pause().max(SECOND))
    }
}

fn some_domain_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    domain_name(from).map(Some)
}
