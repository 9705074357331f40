//! Data that hides in what every network has: questions for names, echoes, the time, logs.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::frame::{self, Route};
use crate::plan::Link;
use crate::scenario::{Role, Scenario, domain_name};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::theft::Expectation;
use crate::{dns, ntp, oam, ptp};

/// One covert channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Covert {
    pub id: Spanned<String>,
    pub how: How,
    /// Whose packets they are.
    pub equipment: Spanned<String>,
    /// The far end, where it is not the network's own server.
    pub peer: Option<Spanned<Ipv4Addr>>,
    /// Beneath what names are asked for.
    #[serde(default = "domain", deserialize_with = "domain_name")]
    pub domain: String,
    pub start_seconds: u64,
    /// Packets that carry data, or that are asked.
    pub packets: u64,
    pub every_milliseconds: u64,
    /// Octets that each carries.
    pub bytes: u64,
}

/// Where the data is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// In labels of names, each as long as is usual.
    DnsTunnel,
    /// In one label of a name.
    DnsLongLabel,
    /// In names beneath a new domain each time: nobody answers for all of them but who owns them all.
    DnsSpread,
    /// In what Echo Requests hold, behind a time stamp; they come back as they went.
    IcmpTunnel,
    /// In what Echo Replies hold to requests as `ping` makes them.
    IcmpUnlike,
    /// In the length of pings, which hold what pings do.
    IcmpLarge,
    /// Nowhere: the server is nobody's.
    NtpServer,
    /// In control messages to the network's own server, and its answers.
    NtpMode,
    /// Behind the 48 octets of a question.
    NtpLength,
    /// In when the time is asked for.
    NtpOften,
    /// In the low half of the fraction of a time stamp.
    NtpLowBits,
    /// In an element of PTP that organisations fill as they like.
    PtpTlv,
    /// In the names of clocks that an Announce is said to have come by.
    PtpPathTrace,
    /// In a log, ciphered, from one port.
    Entropy,
    /// In a log, ciphered, from another port each time.
    EntropyScattered,
    /// In a log, ciphered and written in letters.
    EntropyText,
}

/// Whom it is sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Counterpart {
    Resolver,
    Clock,
    Log,
    Peer,
}

/// Nobody declared the flow; and of a box that is nobody's, what is told of it by others.
const BESIDE: &[&str] = &["EGR-NOTALLOWED", "INV-UNKNOWN"];

impl How {
    /// The key in the scenario, the detection that should name it, and what happens.
    fn said(self) -> (&'static str, &'static str, &'static str) {
        const NAMES: &str = "COV-DNS";
        const ECHOES: &str = "COV-ICMP";
        const TIME: &str = "COV-TIME";
        const CRYPTO: &str = "EGR-CRYPTO";
        match self {
            Self::DnsTunnel => ("dns-tunnel", NAMES, "names that carry data, beneath one domain"),
            Self::DnsLongLabel => ("dns-long-label", NAMES, "names with a label that carries data"),
            Self::DnsSpread => ("dns-spread", NAMES, "names that carry data, beneath many domains"),
            Self::IcmpTunnel => ("icmp-tunnel", ECHOES, "echoes that carry data there and back"),
            Self::IcmpUnlike => ("icmp-unlike", ECHOES, "Echo Replies that hold something else"),
            Self::IcmpLarge => ("icmp-large", ECHOES, "pings of unusual length to a stranger"),
            Self::NtpServer => ("ntp-server", TIME, "the time is asked of a stranger"),
            Self::NtpMode => ("ntp-mode", TIME, "control messages to the network's own clock"),
            Self::NtpLength => ("ntp-length", TIME, "octets behind questions for the time"),
            Self::NtpOften => ("ntp-often", TIME, "the time is asked for again and again"),
            Self::NtpLowBits => ("ntp-low-bits", TIME, "the low bits of time stamps carry data"),
            Self::PtpTlv => ("ptp-tlv", TIME, "an organisation's element in PTP"),
            Self::PtpPathTrace => ("ptp-path-trace", TIME, "clocks of PTP that do not exist"),
            Self::Entropy => ("entropy", CRYPTO, "ciphered octets to the log, from one port"),
            Self::EntropyScattered => {
                ("entropy-scattered", CRYPTO, "ciphered octets to the log, a port for each packet")
            }
            Self::EntropyText => ("entropy-text", CRYPTO, "ciphered octets to the log, as letters"),
        }
    }

    /// Whom it is sent to.
    pub(crate) fn counterpart(self) -> Counterpart {
        match self {
            Self::DnsTunnel | Self::DnsLongLabel | Self::DnsSpread => Counterpart::Resolver,
            Self::NtpMode | Self::NtpLength | Self::NtpOften | Self::NtpLowBits => {
                Counterpart::Clock
            }
            Self::Entropy | Self::EntropyScattered | Self::EntropyText => Counterpart::Log,
            _ => Counterpart::Peer,
        }
    }
}

fn domain() -> String {
    "sync.example".into()
}

/// Brings the covert channels onto the stage; their packets carry indices from `first` on.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario, first: usize) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for said in &scenario.theft.covert {
        let (kind, detection, note) = said.how.said();
        let counterpart = said.how.counterpart();
        let server = |role| stage.plan.nodes[stage.plan.first(role, Link::Oam)].on(Link::Oam);
        let peer = match counterpart {
            Counterpart::Resolver => server(Role::Dns),
            Counterpart::Clock => server(Role::Ntp),
            Counterpart::Log => server(Role::Syslog),
            Counterpart::Peer => said.peer.as_ref().map_or(Ipv4Addr::UNSPECIFIED, |p| *p.get_ref()),
        };
        expected.push(Expectation {
            id: said.id.get_ref().clone(),
            kind,
            detection,
            severity: Some(match detection {
                "COV-DNS" | "COV-ICMP" => "high",
                _ => "medium",
            }),
            also: if counterpart == Counterpart::Peer { BESIDE } else { &[] },
            equipment: Some(said.equipment.get_ref().clone()),
            peer: Some(peer.into()),
            note: note.into(),
        });
        let mut chance = stage.chance();
        let channel = Channel {
            how: said.how,
            theft: first + expected.len() - 1,
            ends: (
                stage.plan.nodes[stage.plan.named(said.equipment.get_ref())].on(Link::Oam),
                peer,
            ),
            domain: said.domain.clone(),
            start: scenario.start,
            every: said.every_milliseconds * MILLI,
            bytes: said.bytes as usize,
            packets: said.packets,
            sent: 0,
            number: chance.u16(),
            chance,
        };
        stage.enter(said.start_seconds * SECOND, channel);
    }
    expected
}

struct Channel {
    how: How,
    theft: usize,
    /// The equipment and its counterpart.
    ends: (Ipv4Addr, Ipv4Addr),
    domain: String,
    start: jiff::Timestamp,
    every: Micros,
    bytes: usize,
    packets: u64,
    sent: u64,
    /// Of an echo, and the port that a log is sent from.
    number: u16,
    chance: Chance,
}

impl Actor for Channel {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        if self.sent == self.packets {
            return None;
        }
        stage.theft = Some(self.theft);
        match self.how {
            How::DnsTunnel | How::DnsLongLabel | How::DnsSpread => self.ask_name(now, stage),
            How::IcmpTunnel | How::IcmpUnlike | How::IcmpLarge => self.echo(now, stage),
            How::PtpTlv | How::PtpPathTrace => self.announce(now, stage),
            How::Entropy | How::EntropyScattered | How::EntropyText => self.log(now, stage),
            _ => self.ask_time(now, stage),
        }
        self.sent += 1;
        // Not like clockwork: that would be another detection's.
        let slack = self.every / 4;
        Some(now + self.every - slack + self.chance.below(2 * slack + 1))
    }
}

/// A label as tunnels write them: no longer than names of machines are.
const LABEL: usize = 40;
/// Base 32, as names may be written in either case.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Octets in front of what an echo carries, where pings have a time stamp.
const STAMP: usize = 8;

/// So many letters that carry five bits each.
pub(crate) fn letters(count: usize, chance: &mut Chance) -> String {
    let octets = chance.bytes(count);
    octets.into_iter().map(|octet| char::from(LETTERS[usize::from(octet) % 32])).collect()
}

impl Channel {
    fn routes(&self) -> (Route, Route) {
        let (own, peer) = (IpAddr::from(self.ends.0), IpAddr::from(self.ends.1));
        (Route::new(own, peer), Route::new(peer, own))
    }

    fn ask_name(&mut self, now: Micros, stage: &mut Stage) {
        let (there, back) = self.routes();
        let data = letters(self.bytes, &mut self.chance);
        let label = if self.how == How::DnsLongLabel { 63 } else { LABEL };
        let labels: Vec<&str> = (0..data.len())
            .step_by(label)
            .map(|from| &data[from..data.len().min(from + label)])
            .collect();
        let domain = match self.how {
            How::DnsSpread => format!("{}.example", letters(8, &mut self.chance)),
            _ => self.domain.clone(),
        };
        let name = format!("{}.{domain}", labels.join("."));
        let (id, port) = (self.chance.u16(), oam::ephemeral(&mut self.chance));
        let query = dns::query(id, &name, false);
        // Four octets come back.
        let answer = dns::answer(id, &name, Ipv4Addr::from_bits(self.chance.u32()).into());
        stage.send(now, Link::Oam, &frame::udp(&there, port, dns::PORT, &query));
        stage.send(now + 30 * MILLI, Link::Oam, &frame::udp(&back, dns::PORT, port, &answer));
    }

    fn echo(&mut self, now: Micros, stage: &mut Stage) {
        let (there, back) = self.routes();
        let numbers = (self.number, self.sent as u16 + 1);
        let stamp = (now / SECOND).to_be_bytes();
        let as_pings = |octets: usize| -> Vec<u8> {
            let filling = (STAMP..STAMP + octets).map(|at| at as u8);
            stamp.into_iter().chain(filling).collect()
        };
        let data = [&stamp[..], &self.chance.bytes(self.bytes)].concat();
        let (asked, answered) = match self.how {
            How::IcmpTunnel => (data.clone(), data),
            How::IcmpUnlike => (as_pings(self.bytes), data),
            _ => {
                let whole = as_pings(self.bytes.saturating_sub(STAMP));
                (whole.clone(), whole)
            }
        };
        let request = frame::echo(&there, false, numbers, &asked);
        let reply = frame::echo(&back, true, numbers, &answered);
        stage.send(now, Link::Oam, &request);
        stage.send(now + 20 * MILLI, Link::Oam, &reply);
    }

    fn ask_time(&mut self, now: Micros, stage: &mut Stage) {
        let (there, back) = self.routes();
        let mut question = ntp::question(self.start, now).to_vec();
        let mut answer = ntp::answer(self.start, now).to_vec();
        let data = self.chance.bytes(self.bytes);
        match self.how {
            How::NtpMode => {
                let number = self.sent as u16 + 1;
                question = ntp::control(false, number, &[]);
                answer = ntp::control(true, number, &data);
            }
            How::NtpLength => question.extend(data),
            How::NtpLowBits => question[ntp::OCTETS - 2..].copy_from_slice(&self.chance.bytes(2)),
            _ => {}
        }
        stage.send(now, Link::Oam, &frame::udp(&there, ntp::PORT, ntp::PORT, &question));
        stage.send(now + 900, Link::Oam, &frame::udp(&back, ntp::PORT, ntp::PORT, &answer));
    }

    fn announce(&mut self, now: Micros, stage: &mut Stage) {
        let (there, _) = self.routes();
        let [a, b, c, d] = self.ends.0.octets();
        let clock = [0x02, a, b, 0xff, 0xfe, c, d, 1];
        let (kind, value) = match self.how {
            // Whose it is and which of its elements, of three octets each.
            How::PtpTlv => {
                let octets = self.bytes.next_multiple_of(2);
                let value = [&[0x02, 0x4f, 0x53, 0, 0, 1][..], &self.chance.bytes(octets)].concat();
                (ptp::ORGANISATION, value)
            }
            _ => (ptp::PATH_TRACE, self.chance.bytes(self.bytes.next_multiple_of(8))),
        };
        let message = ptp::announce(clock, self.sent as u16, (kind, &value));
        let packet = frame::udp(&there, ptp::GENERAL_PORT, ptp::GENERAL_PORT, &message);
        stage.send(now, Link::Oam, &packet);
    }

    fn log(&mut self, now: Micros, stage: &mut Stage) {
        let (there, _) = self.routes();
        let port = match self.how {
            How::EntropyScattered => oam::ephemeral(&mut self.chance),
            _ => 32_768 + self.number % 28_000,
        };
        let data = match self.how {
            How::EntropyText => letters(self.bytes, &mut self.chance).into_bytes(),
            _ => self.chance.bytes(self.bytes),
        };
        stage.send(now, Link::Oam, &frame::udp(&there, port, oam::SYSLOG, &data));
    }
}
