//! A laboratory for detections: frames in, verdicts out, through the same
//! stages as the sensor's, with any number of workers.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod n4;
pub mod said;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use weir_engine::contract::verdict::{Alert, Flow, InputEnd, Verdict};
use weir_engine::contract::words::JudgeWords;
use weir_engine::detect::CATALOGUE;
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::frame::BURST;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{
    Allow, End, Equipment, EquipmentId, Link, Roles, RuleSet, Rules, Service,
};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::worker::Setup;
use weir_engine::{
    Frame, Judge, Nanos, Report, RxMeta, Signalling, SignallingSetup, TapId, Worker,
};

pub const START: u64 = 1_767_600_000;

/// A session machine with little room, and what one worker needs of it.
pub fn signalling() -> Signalling {
    Signalling::new(&SignallingSetup { tunnels: 4096, ..SignallingSetup::default() }).unwrap()
}

/// Chance of a fixed seed, which is not 0.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }
}

fn setup(link: Link) -> Setup {
    Setup { links: vec![link], hash_key: 7, ..Setup::default() }
}

/// A frame with its packet time in nanoseconds since [`START`].
#[derive(Clone)]
pub struct Shot {
    pub time: Nanos,
    pub bytes: Vec<u8>,
}

pub fn at(seconds: f64) -> Nanos {
    Nanos(START * 1_000_000_000 + (seconds * 1e9) as u64)
}

pub fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().unwrap();
    let full = if address.is_ipv4() { 32 } else { 128 };
    Prefix::new(address.into(), len.parse().unwrap_or(full)).unwrap()
}

/// gnb-1 10.0.0.1, gnb-2 10.0.0.2, upf-1 10.0.1.1, smf-1 10.0.2.1, dns-1 10.0.3.53.
pub const GNB: EquipmentId = EquipmentId(0);
pub const UPF: EquipmentId = EquipmentId(2);
pub const SMF: EquipmentId = EquipmentId(3);

pub fn rule_set() -> RuleSet {
    let equipment = |address: &str, roles, mac: Option<u8>| Equipment {
        roles,
        prefixes: vec![prefix(address)],
        macs: mac.map(|last| [2, 0, 0, 0, 0, last]).into_iter().collect(),
    };
    let end = |ids: &[u32]| End {
        equipment: Some(ids.iter().map(|id| EquipmentId(*id)).collect()),
        prefix: None,
    };
    let service =
        |protocol, port, either_way| Service { protocol, ports: Some((port, port)), either_way };
    let allow = |from: &[u32], to: &[u32], services| Allow {
        from: end(from),
        to: end(to),
        services,
        not_after: None,
        is_periodic: false,
    };
    let icmp = Service { protocol: 1, ports: None, either_way: true };
    RuleSet {
        version: 1,
        equipment: vec![
            equipment("10.0.0.1", Roles(1), None),
            equipment("10.0.0.2", Roles(1), Some(2)),
            equipment("10.0.1.1", Roles::UPF, None),
            equipment("10.0.2.1", Roles::SMF, None),
            equipment("10.0.3.53", Roles(1 << 9), None),
        ],
        ue_pools: vec![prefix("10.60.0.0/16")],
        nat: vec![(Link::N6, prefix("203.0.113.0/28"))],
        roaming: vec![prefix("198.51.100.0/24")],
        allow: vec![
            allow(&[0, 1], &[2], vec![service(17, 2152, true)]),
            allow(&[3], &[2], vec![service(17, 8805, true), icmp]),
            allow(&[0, 1, 2], &[4], vec![service(17, 53, false)]),
            Allow {
                from: end(&[0]),
                to: End { equipment: None, prefix: Some(prefix("192.0.2.10")) },
                services: vec![service(6, 443, false)],
                not_after: None,
                is_periodic: false,
            },
        ],
        ..RuleSet::default()
    }
}

/// How a worker is given its frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feeding {
    /// One by one.
    Single,
    /// In bursts.
    Bursts,
    /// In bursts, of which none takes the common path.
    CompleteStages,
}

/// The verdicts of these frames on a link, judged by `workers` workers.
pub fn judge(shots: &[Shot], link: Link, set: RuleSet, workers: usize) -> Vec<Verdict> {
    let spread = |frame: &Frame<'_>| setup(link).spread(frame) as usize % workers;
    judge_fed(shots, link, set, (workers, Feeding::Single), spread)
}

/// The same, where a network card says which worker gets a frame.
pub fn judge_spread(
    shots: &[Shot],
    link: Link,
    set: RuleSet,
    workers: usize,
    spread: impl Fn(&Frame<'_>) -> usize,
) -> Vec<Verdict> {
    judge_fed(shots, link, set, (workers, Feeding::Single), spread)
}

/// A worker and the frames that wait for the next burst.
struct Fed<'a> {
    worker: Worker,
    feeding: Feeding,
    waiting: Vec<Frame<'a>>,
}

impl<'a> Fed<'a> {
    fn take(&mut self, frame: Frame<'a>) {
        self.waiting.push(frame);
        if self.feeding == Feeding::Single || self.waiting.len() == BURST {
            self.flush();
        }
    }

    fn flush(&mut self) {
        match self.feeding {
            Feeding::CompleteStages => self.worker.burst_by_complete_stages(&self.waiting),
            _ => self.worker.burst(&self.waiting),
        };
        self.waiting.clear();
    }

    fn close(&mut self, slice: u64, latest: Nanos) -> Report {
        self.flush();
        self.worker.close(slice, latest, false, Report::with_room())
    }
}

/// The same, fed in any way.
pub fn judge_fed(
    shots: &[Shot],
    link: Link,
    set: RuleSet,
    fed: (usize, Feeding),
    spread: impl Fn(&Frame<'_>) -> usize,
) -> Vec<Verdict> {
    judge_counted(shots, link, set, fed, spread).0
}

/// The same, and what the judge counted.
pub fn judge_counted(
    shots: &[Shot],
    link: Link,
    set: RuleSet,
    (workers, feeding): (usize, Feeding),
    spread: impl Fn(&Frame<'_>) -> usize,
) -> (Vec<Verdict>, JudgeWords) {
    let rules = Arc::new(Rules::compile(set).unwrap());
    let mut signalling = signalling();
    let mut team: Vec<Fed<'_>> = (0..workers)
        .map(|_| {
            let setup = setup(link);
            let mut worker = Worker::new(setup, signalling.enlist().unwrap()).unwrap();
            worker.set_rules(Some(rules.clone()));
            Fed { worker, feeding, waiting: Vec::new() }
        })
        .collect();
    let mut judge = Judge::new([], signalling);
    let mut said = Vec::new();
    let mut say = |verdict| said.push(verdict);
    let mut latest = Nanos(0);
    let mut open = None;
    let close = |team: &mut [Fed<'_>],
                 judge: &mut Judge,
                 slice: u64,
                 latest,
                 say: &mut dyn FnMut(Verdict)| {
        let reports: Vec<Report> = team.iter_mut().map(|fed| fed.close(slice, latest)).collect();
        let begin = Nanos(slice * REPLAY_SLICE.0);
        let end = begin.plus(REPLAY_SLICE);
        judge.slice(begin, end, &reports, &Vitals::default(), &mut |verdict| say(verdict));
    };
    if let Some(first) = shots.first() {
        judge.set_rules(rules, first.time, &mut say);
    }
    for shot in shots {
        latest = latest.max(shot.time);
        let slice = latest.slice(REPLAY_SLICE);
        if let Some(open) = open.filter(|open| *open != slice) {
            close(&mut team, &mut judge, open, latest, &mut say);
        }
        open = Some(slice);
        let meta = RxMeta {
            time: shot.time,
            wire_len: shot.bytes.len() as u32,
            tap: TapId(0),
            ..RxMeta::default()
        };
        let frame = Frame { bytes: &shot.bytes, meta };
        team[spread(&frame)].take(frame);
    }
    if let Some(open) = open {
        close(&mut team, &mut judge, open, latest, &mut say);
    }
    judge.finish(InputEnd { last: latest }, &mut say);
    let counted = judge.words().clone();
    (said, counted)
}

/// The last word of every alert, after 1, 2 and 3 workers have said the same, also in bursts and
/// without the common path.
pub fn alerts(shots: &[Shot], link: Link, set: RuleSet) -> Vec<Alert> {
    let said = judge(shots, link, set.clone(), 1);
    let ways = [
        (2, Feeding::Single),
        (3, Feeding::Single),
        (1, Feeding::Bursts),
        (2, Feeding::Bursts),
        (1, Feeding::CompleteStages),
    ];
    for (workers, feeding) in ways {
        let spread = |frame: &Frame<'_>| setup(link).spread(frame) as usize % workers;
        let others = judge_fed(shots, link, set.clone(), (workers, feeding), spread);
        let differs = said.iter().zip(&others).find(|(one, other)| one != other);
        assert_eq!((differs, others.len()), (None, said.len()), "{workers} workers, {feeding:?}");
    }
    said.into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Alert(alert) if alert.last_word => Some(*alert),
            _ => None,
        })
        .collect()
}

/// (detection, equipment, peer, packets) of every alert.
pub fn summary(alerts: &[Alert]) -> Vec<(&'static str, Option<EquipmentId>, String, u64)> {
    alerts
        .iter()
        .map(|alert| {
            (
                CATALOGUE[usize::from(alert.detection)].id,
                alert.equipment,
                alert.peer.map(|peer| peer.to_string()).unwrap_or_default(),
                alert.packets,
            )
        })
        .collect()
}

pub fn flows(shots: &[Shot]) -> Vec<Flow> {
    judge(shots, Link::Mixed, rule_set(), 1)
        .into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Flow(flow) => Some(*flow),
            _ => None,
        })
        .collect()
}

/// Builds frames at growing times.
#[derive(Default)]
pub struct Script {
    pub shots: Vec<Shot>,
    pub now: f64,
}

impl Script {
    pub fn push(&mut self, bytes: Vec<u8>) -> &mut Self {
        self.shots.push(Shot { time: at(self.now), bytes });
        self.now += 0.01;
        self
    }

    pub fn wait(&mut self, seconds: f64) -> &mut Self {
        self.now += seconds;
        self
    }

    pub fn udp(&mut self, from: &str, to: &str, payload: &[u8]) -> &mut Self {
        self.push(udp(from, to, payload))
    }

    pub fn tcp(&mut self, from: &str, to: &str, flags: u8, ack: u32, payload: &[u8]) -> &mut Self {
        self.push(tcp(from, to, flags, ack, payload))
    }

    pub fn icmp(&mut self, from: &str, to: &str, kind: u8) -> &mut Self {
        self.push(ip(from, to, 1, &[kind, 0, 0, 0, 0, 0, 0, 1]))
    }
}

fn end(text: &str) -> (Ipv4Addr, u16) {
    match text.split_once(':') {
        Some((address, port)) => (address.parse().unwrap(), port.parse().unwrap()),
        None => (text.parse().unwrap(), 0),
    }
}

/// An Ethernet frame around an IPv4 packet.
pub fn ip(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0];
    frame.extend(ip_packet(from, to, protocol, payload));
    frame
}

pub fn ip_packet(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(end(from).0.octets());
    packet.extend(end(to).0.octets());
    packet.extend(payload);
    packet
}

pub fn udp_datagram(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(end(from).1.to_be_bytes());
    datagram.extend(end(to).1.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

pub fn udp(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    ip(from, to, 17, &udp_datagram(from, to, payload))
}

pub fn tcp(from: &str, to: &str, flags: u8, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(end(from).1.to_be_bytes());
    segment.extend(end(to).1.to_be_bytes());
    segment.extend([0, 0, 0, 1]);
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    segment.extend(payload);
    ip(from, to, 6, &segment)
}

/// A G-PDU with a subscriber's DNS question in it.
pub fn g_pdu(teid: u32) -> Vec<u8> {
    g_pdu_of(teid, "10.60.0.7:40000", "192.0.2.53:53")
}

/// The same of one address to another.
pub fn g_pdu_of(teid: u32, from: &str, to: &str) -> Vec<u8> {
    let inner = ip_packet(from, to, 17, &udp_datagram(from, to, b"question"));
    let mut message = vec![0x34, 255];
    message.extend((inner.len() as u16 + 8).to_be_bytes());
    message.extend(teid.to_be_bytes());
    message.extend([0, 0, 0, 0x85, 1, 0x10, 9, 0]);
    message.extend(inner);
    message
}
