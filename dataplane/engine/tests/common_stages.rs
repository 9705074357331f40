//! A worker reports and counts the same whether G-PDUs take the common path or the complete
//! stages, however they come in bursts.

mod lab;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab::{Noise, prefix, rule_set, said, signalling};
use weir_capture::{LinkType, Stream};
use weir_engine::contract::verdict::{InputEnd, Verdict};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::frame::BURST;
use weir_engine::rules::{Link, RuleSet};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::tunnels::{FTeid, Row, RowFlags, TunnelWriter, usage};
use weir_engine::worker::Setup;
use weir_engine::{Frame, Judge, Nanos, Report, Rules, RxMeta, TapId, Worker};
use weir_pcaps::{Scenario, real_mix};
use weir_wire::Address;

type Packet = (Nanos, Vec<u8>);

/// A worker, the judge of what it reports, and whether G-PDUs may take the common path.
struct Side {
    worker: Worker,
    judge: Judge,
    by_complete_stages: bool,
    verdicts: Vec<Verdict>,
}

impl Side {
    fn new(link: Link, rules: &Arc<Rules>, rows: &[Row], by_complete_stages: bool) -> Self {
        let setup = Setup { links: vec![link, link], hash_key: 7, ..Setup::default() };
        let mut signalling = signalling();
        let mut access = signalling.enlist().unwrap();
        if !rows.is_empty() {
            let mut writer = TunnelWriter::new(1_024, 7).unwrap();
            for row in rows {
                writer.insert(*row).unwrap();
            }
            access.table = writer.reader();
            access.usage = usage::usage(access.table.slots()).unwrap().0;
        }
        let mut worker = Worker::new(setup, access).unwrap();
        worker.set_rules(Some(rules.clone()));
        let mut judge = Judge::new([], signalling);
        let mut verdicts = Vec::new();
        judge.set_rules(rules.clone(), Nanos(0), &mut |verdict| verdicts.push(verdict));
        Self { worker, judge, by_complete_stages, verdicts }
    }

    fn burst(&mut self, frames: &[Frame<'_>]) {
        let taken = if self.by_complete_stages {
            self.worker.burst_by_complete_stages(frames)
        } else {
            self.worker.burst(frames)
        };
        assert_eq!(taken, frames.len());
    }

    fn close(&mut self, slice: u64, latest: Nanos) -> Vec<String> {
        let report = self.worker.close(slice, latest, false, Report::with_room());
        let begin = Nanos(slice * REPLAY_SLICE.0);
        let (end, verdicts) = (begin.plus(REPLAY_SLICE), &mut self.verdicts);
        let reports = [report];
        let mut say = |verdict| verdicts.push(verdict);
        self.judge.slice(begin, end, &reports, &Vitals::default(), &mut say);
        said::said(&reports[0])
    }
}

/// Both sides get the packets in bursts of any length, and have said the same after every slice.
fn agree(packets: &[Packet], link: Link, set: RuleSet, noise: &mut Noise) -> u64 {
    agree_on_tunnels(packets, &[], link, set, noise)
}

/// The same where these tunnels are known, if any, instead of those that N4 tells of.
fn agree_on_tunnels(
    packets: &[Packet],
    rows: &[Row],
    link: Link,
    set: RuleSet,
    noise: &mut Noise,
) -> u64 {
    let rules = Arc::new(Rules::compile(set).unwrap());
    let mut sides = [false, true].map(|complete| Side::new(link, &rules, rows, complete));
    let mut waiting: Vec<Frame<'_>> = Vec::new();
    let mut size = 1;
    let (mut open, mut latest) = (None, Nanos(0));
    for (time, bytes) in packets {
        latest = latest.max(*time);
        let slice = latest.slice(REPLAY_SLICE);
        let is_over = open.is_some_and(|open| open != slice);
        if is_over || waiting.len() >= size {
            sides.iter_mut().for_each(|side| side.burst(&waiting));
            waiting.clear();
            size = 1 + noise.below(BURST);
        }
        if let Some(open) = open.filter(|_| is_over) {
            let [common, complete] = &mut sides;
            said::agree(&common.close(open, latest), &complete.close(open, latest));
        }
        open = Some(slice);
        let tap = TapId(noise.below(2) as u16);
        let meta = RxMeta { time: *time, wire_len: bytes.len() as u32, tap, ..RxMeta::default() };
        waiting.push(Frame { bytes, meta });
    }
    for side in &mut sides {
        side.burst(&waiting);
    }
    let [common, complete] = &mut sides;
    let last = open.unwrap_or(0);
    said::agree(&common.close(last, latest), &complete.close(last, latest));
    for side in &mut sides {
        let verdicts = &mut side.verdicts;
        side.judge.finish(InputEnd { last: latest }, &mut |verdict| verdicts.push(verdict));
    }
    let [common, complete] = &mut sides;
    assert_eq!(common.verdicts, complete.verdicts);
    assert_eq!(common.worker.tally().words(), complete.worker.tally().words());
    common.worker.tally().words().sampled
}

fn packets_of(scenario: &str) -> Vec<Packet> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/scenarios").join(scenario);
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario = Scenario::parse(&text, &path).unwrap();
    scenario.generate().map(|packet| (Nanos(packet.time_ns), packet.frame)).collect()
}

/// The lab's policy, where equipment has MAC addresses and users may not go everywhere.
fn strict() -> RuleSet {
    let mut set = rule_set();
    set.infrastructure = vec![prefix("10.0.0.0/16")];
    for (n, equipment) in set.equipment.iter_mut().enumerate() {
        equipment.macs = vec![[2, 0, 0, 0, n as u8 / 2, 1]];
    }
    set
}

#[test]
fn every_scenario_is_reported_alike() {
    let mut noise = Noise(3);
    let mut sampled = 0;
    for scenario in ["small.toml", "evasion.toml", "shapes.toml", "sessions.toml"] {
        let packets = packets_of(scenario);
        for (link, set) in
            [(Link::Mixed, rule_set()), (Link::Mixed, strict()), (Link::N3, strict())]
        {
            sampled += agree(&packets, link, set, &mut noise);
        }
    }
    assert!(sampled > 0, "no packet was chosen for proof");
}

/// The tunnels of the mix of real sizes; of each kind some whose user is looked at.
fn tunnels(count: u32) -> Vec<Row> {
    let row = |teid: u32| {
        let session = real_mix::session(teid.div_ceil(2));
        let (end, mut flags) = match teid % 2 {
            0 => (session.upf, RowFlags::LOCAL),
            _ => (session.gnb, RowFlags::DOWNLINK),
        };
        if !teid.is_multiple_of(5) {
            flags.set(RowFlags::CHECKED);
        }
        let (ue4, ue6) = match session.user {
            IpAddr::V4(user) => (user.to_bits(), 0),
            IpAddr::V6(user) => (0, (user.to_bits() >> 64) as u64),
        };
        flags.set(if session.user.is_ipv4() { RowFlags::UE_V4 } else { RowFlags::UE_V6 });
        let end = FTeid { address: Address::v4(end.octets()), teid };
        Row { end, flags, since: Nanos(0), until: Nanos::MAX, session: teid, ue4, ue6 }
    };
    (1..=count).map(row).collect()
}

/// Where a frame of the mix has its source port, its TEID, the user's packet and what IPv6 says in it.
const SOURCE_PORT: usize = 34;
const TEID_AT: usize = 46;
const USER_AT: usize = 58;
const FLOW_LABEL: usize = USER_AT + 2;
const PAYLOAD_LENGTH: usize = USER_AT + 4;
const SOURCE: usize = USER_AT + 8;
const DESTINATION: usize = USER_AT + 24;

#[test]
fn users_of_either_family_are_reported_alike() {
    let mut noise = Noise(5);
    let mut packets: Vec<Packet> = Vec::new();
    for (n, mut frame) in real_mix::frames(64, 30_000, 5).into_iter().enumerate() {
        if noise.below(4) == 0 {
            // Another source port, which between equipment is no other flow.
            frame[SOURCE_PORT] = noise.below(256) as u8;
        }
        if frame[USER_AT] >> 4 == 6 {
            frame[FLOW_LABEL..PAYLOAD_LENGTH].copy_from_slice(&(n as u16).to_be_bytes());
            let (at, octets) = match noise.below(40) {
                // A payload without a length, other users, and an address that is one of IPv4.
                0 => (PAYLOAD_LENGTH, vec![0; 2]),
                1 => (SOURCE + 7, vec![n as u8]),
                2 => (DESTINATION + 7, vec![n as u8]),
                3 => {
                    // That of tunnel 2, whose user is on IPv4.
                    frame[TEID_AT..TEID_AT + 4].copy_from_slice(&2_u32.to_be_bytes());
                    (SOURCE, [vec![0; 10], vec![0xff, 0xff, 10, 60, 0, 1]].concat())
                }
                4 => (TEID_AT, vec![9]),
                _ => (0, Vec::new()),
            };
            frame[at..at + octets.len()].copy_from_slice(&octets);
        }
        packets.push((Nanos(n as u64 * 10_000), frame));
    }
    let mut set = strict();
    set.infrastructure.push(prefix("2600:1900::/118"));
    let mut sampled = 0;
    for set in [rule_set(), set] {
        sampled += agree_on_tunnels(&packets, &tunnels(60), Link::N3, set, &mut noise);
    }
    assert!(sampled > 100, "{sampled} packets were chosen for proof");
}

/// Where a frame of the mix has its outer header, and the user's fragment field.
const IP_AT: usize = 14;
const USERS_FRAGMENT: usize = USER_AT + 6;

/// Adds so many octets to a frame of the mix, and to the lengths of what holds them.
fn insert(frame: &mut Vec<u8>, at: usize, octets: &[u8], lengths: &[usize]) {
    frame.splice(at..at, octets.iter().copied());
    for &length in lengths {
        let word = u16::from_be_bytes([frame[length], frame[length + 1]]) + octets.len() as u16;
        frame[length..length + 2].copy_from_slice(&word.to_be_bytes());
    }
}

/// A frame of the mix in another shape than the common one: one, or the fragments of one.
fn reshaped(mut frame: Vec<u8>, n: usize, noise: &mut Noise) -> Vec<Vec<u8>> {
    const TAGS: [[u8; 4]; 3] = [[0x88, 0xa8, 0, 100], [0x81, 0, 0, 200], [0x81, 0, 0, 7]];
    match noise.below(10) {
        0 | 1 => {
            let tags: Vec<_> = (0..noise.below(4)).flat_map(|_| TAGS[noise.below(3)]).collect();
            frame.splice(12..12, tags);
        }
        2 => {
            insert(&mut frame, SOURCE_PORT, &[0x94, 4, 0, 0], &[IP_AT + 2]);
            frame[IP_AT] = 0x46;
        }
        3 => {
            // One extension header more, of one of three kinds.
            let kind = [0x40, 0xc0, 0x84][noise.below(3)];
            frame[USER_AT - 1] = kind;
            insert(&mut frame, USER_AT, &[1, 0, 0, 0], &[IP_AT + 2, 38, 44]);
        }
        4 if frame[USER_AT] >> 4 == 4 => {
            let part = [[0x20, 0], [0, 185]][noise.below(2)];
            frame[USERS_FRAGMENT..USERS_FRAGMENT + 2].copy_from_slice(&part);
        }
        // Octets behind the length, a spare bit, another protocol, a message that is no G-PDU.
        5 => frame[USER_AT - 12..USER_AT - 10].copy_from_slice(&[0, 40]),
        6 => frame[42] |= 0x08,
        7 => {
            let protocol = if frame[USER_AT] >> 4 == 4 { 9 } else { 6 };
            frame[USER_AT + protocol] = 50;
        }
        8 if noise.below(8) == 0 => frame[43] = 254,
        _ => {
            let first = 8 * (2 + noise.below(8));
            let payload = frame.split_off(SOURCE_PORT);
            let (head, tail) = payload.split_at(first.min(payload.len()));
            let mut fragments = Vec::new();
            for (place, octets) in [(0x2000, head), ((first / 8) as u16, tail)] {
                let mut part = [&frame[..], octets].concat();
                let length = (part.len() - IP_AT) as u16;
                part[IP_AT + 2..IP_AT + 4].copy_from_slice(&length.to_be_bytes());
                part[IP_AT + 4..IP_AT + 6].copy_from_slice(&(n as u16).to_be_bytes());
                part[IP_AT + 6..IP_AT + 8].copy_from_slice(&u16::to_be_bytes(place));
                fragments.push(part);
            }
            if noise.below(4) == 0 {
                fragments.remove(noise.below(2));
            }
            return fragments;
        }
    }
    vec![frame]
}

#[test]
fn plain_packets_of_other_shapes_are_reported_alike() {
    let mut noise = Noise(8);
    let mut packets: Vec<Packet> = Vec::new();
    let mut mac = [2, 0, 0, 0, 0, 1];
    for (n, mut frame) in real_mix::frames(64, 30_000, 5).into_iter().enumerate() {
        if noise.below(50) == 0 {
            mac[4] = noise.below(3) as u8;
        }
        frame[6..12].copy_from_slice(&mac);
        if noise.below(16) == 0 {
            frame[SOURCE_PORT] = noise.below(256) as u8;
        }
        let frames = if noise.below(2) == 0 { vec![frame] } else { reshaped(frame, n, &mut noise) };
        for frame in frames {
            // Many at one time, and some before those that came before them.
            let time = (n as u64 / 4 * 40_000).saturating_sub(noise.below(3) as u64 * 70_000);
            packets.push((Nanos(time), frame));
        }
    }
    let mut set = strict();
    set.infrastructure.push(prefix("2600:1900::/118"));
    let mut sampled = 0;
    for (link, set) in [(Link::N3, rule_set()), (Link::N3, set.clone()), (Link::Mixed, set)] {
        sampled += agree_on_tunnels(&packets, &tunnels(60), link, set, &mut noise);
    }
    assert!(sampled > 100, "{sampled} packets were chosen for proof");
}

/// The captures in a folder and those in it.
fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut captures: Vec<_> =
        files.into_iter().filter(|path| path.to_string_lossy().contains(".pcap")).collect();
    captures.extend(folders.iter().flat_map(|folder| captures_in(folder)));
    captures.sort();
    captures
}

/// The Ethernet frames of a capture, up to where it is damaged.
fn packets_in(capture: &Path) -> Vec<Packet> {
    let read = |stream: &mut Stream| {
        let mut packets = Vec::new();
        while let Some(Ok(packet)) = stream.next() {
            if packet.link_type == LinkType::Ethernet {
                packets.push((packet.time, packet.bytes.to_vec()));
            }
        }
        packets
    };
    let file = std::fs::File::open(capture).unwrap();
    Stream::open(file).map_or(Vec::new(), |mut stream| read(&mut stream))
}

/// All that is private is equipment, so that captures of any lab are of somebody's.
fn everybody() -> RuleSet {
    let mut set = rule_set();
    let nodes = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7"];
    for (equipment, network) in set.equipment.iter_mut().zip(nodes) {
        equipment.prefixes = vec![prefix(network)];
    }
    set
}

#[test]
fn every_capture_is_reported_alike() {
    let pcaps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/captures");
    let mut captures = captures_in(&pcaps);
    let committed = captures.len();
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    match above.find_map(|folder| Some(folder.join("shared/pcaps")).filter(|path| path.is_dir())) {
        Some(shared) => captures.extend(captures_in(&shared)),
        None => eprintln!("skipped: captures that nobody here wrote, since there are none"),
    }
    let mut noise = Noise(6);
    let mut frames = 0;
    for capture in &captures {
        let packets = packets_in(capture);
        frames += packets.len();
        for set in [rule_set(), everybody()] {
            agree(&packets, Link::Mixed, set, &mut noise);
        }
    }
    println!("{frames} frames of {} captures, {committed} of them committed", captures.len());
    let least = if captures.len() > committed { 10_000 } else { 3_000 };
    assert!(frames > least, "{frames} frames of {captures:?}");
}

#[test]
fn changed_packets_out_of_order_are_reported_alike() {
    let mut noise = Noise(4);
    let mut packets = packets_of("sessions.toml");
    packets.truncate(40_000);
    for round in 0..4 {
        let mut changed = packets.clone();
        for n in 0..changed.len() {
            if noise.below(8) == 0 {
                let bytes = &mut changed[n].1;
                let place = noise.below(bytes.len().clamp(1, 100));
                match noise.below(4) {
                    0 => bytes.truncate(place),
                    1 => bytes[place] ^= 1 << noise.below(8),
                    2 => bytes[place] = noise.below(256) as u8,
                    _ => bytes.extend_from_slice(&[0; 3]),
                }
            }
            if noise.below(16) == 0 {
                let other = (n + noise.below(20)).min(changed.len() - 1);
                let (time, later) = (changed[n].0, changed[other].0);
                (changed[n].0, changed[other].0) = (later, time);
            }
        }
        let set = if round % 2 == 0 { strict() } else { rule_set() };
        agree(&changed, Link::Mixed, set, &mut noise);
    }
}
