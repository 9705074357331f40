//! Generated captures, pass after pass: what changes, what stays, and noise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use weir_engine::decode::{Ports, Trail, decode};
use weir_engine::record::{Flags, Kind};
use weir_engine::{Frame, Record, RxMeta};
use weir_pcaps::Scenario;
use weir_playback::{Passes, Scratch, Stop, Survey};
use weir_wire::Layer;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{FSeid, FTeid, UeIp, kind};

/// A committed scenario as a capture of nanoseconds, and its frames.
fn played(name: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/scenarios").join(name);
    let frames: Vec<Vec<u8>> =
        Scenario::load(path).unwrap().generate().take(40_000).map(|packet| packet.frame).collect();
    (capture(&frames), frames)
}

fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (number, frame) in frames.iter().enumerate() {
        let len = frame.len() as u32;
        for word in [1_700_000_000, number as u32 * 1_000, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn passes(capture: &[u8]) -> Passes {
    let ports = Ports::default();
    Passes::new(Survey::of(&[capture], &ports, &Stop::default(), |_| ()), ports)
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, meta: RxMeta { wire_len: bytes.len() as u32, ..RxMeta::default() } }
}

fn rewritten(passes: &Passes, pass: u32, bytes: &[u8], scratch: &mut Scratch) -> Vec<u8> {
    let mut to = bytes.to_vec();
    passes.rewrite(pass, &frame(bytes), &mut to, scratch);
    to
}

/// A frame's layers by their places.
#[derive(Default)]
struct Places(Vec<(Layer, usize, usize)>, usize);

impl Trail for Places {
    fn layer(&mut self, layer: Layer, at: &[u8]) {
        let start = at.as_ptr() as usize - self.1;
        self.0.push((layer, start, start + at.len()));
    }
    fn vlan(&mut self, _: u16) {}
    fn mpls(&mut self, _: u32) {}
}

fn walked(bytes: &[u8]) -> (Record, Places) {
    let mut places = Places(Vec::new(), bytes.as_ptr() as usize);
    (decode(&frame(bytes), None, &Ports::default(), &mut places), places)
}

fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| (*low).into());
    bytes.chunks(2).map(word).sum()
}

/// Every checksum of a frame, computed whole: whether it is right.
fn checksums(bytes: &[u8]) -> Vec<(Layer, bool)> {
    let mut found = Vec::new();
    let places = walked(bytes).1.0;
    for (index, &(layer, start, end)) in places.iter().enumerate() {
        let mut total = sum(&bytes[start..end]);
        match layer {
            Layer::Ipv4 => total = sum(&bytes[start..start + usize::from(bytes[start] & 15) * 4]),
            Layer::Icmp => {}
            Layer::Udp if bytes[start + 6..start + 8] == [0, 0] => continue,
            Layer::Udp | Layer::Tcp | Layer::Icmpv6 => {
                let (network, at, _) = places[index - 1];
                total += match network {
                    Layer::Ipv4 => sum(&bytes[at + 12..at + 20]),
                    _ => sum(&bytes[at + 8..at + 40]),
                };
                total += match layer {
                    Layer::Udp => 17,
                    Layer::Tcp => 6,
                    _ => 58,
                } + (end - start) as u32;
            }
            _ => continue,
        }
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        found.push((layer, total == 0xffff));
    }
    found
}

#[test]
fn the_first_pass_changes_nothing_and_the_next_no_length_and_no_checksum() {
    let (capture, frames) = played("demo.toml");
    let passes = passes(&capture);
    let mut scratch = Scratch::default();
    let (mut changed, mut right) = (0, BTreeMap::new());
    for bytes in &frames {
        assert_eq!(&rewritten(&passes, 0, bytes, &mut scratch), bytes);
        let after = rewritten(&passes, 2, bytes, &mut scratch);
        changed += usize::from(after != *bytes);
        let (before, now) = (checksums(bytes), checksums(&after));
        assert_eq!(before, now, "{bytes:02x?}");
        for (layer, _) in now.iter().filter(|(_, right)| *right) {
            *right.entry(layer.name()).or_insert(0) += 1;
        }
    }
    assert!(changed > frames.len() / 2, "{changed} of {}", frames.len());
    for layer in ["ipv4", "udp", "tcp"] {
        assert!(right.get(layer).is_some_and(|count| *count > 1_000), "{right:?}");
    }
}

/// What identifies state in a capture.
#[derive(Debug, Default, Eq, PartialEq)]
struct Identities {
    teids: BTreeSet<u32>,
    signalled: BTreeSet<u32>,
    seids: BTreeSet<u64>,
    users: BTreeSet<u128>,
    inner: BTreeSet<u128>,
    /// Of requests, with their senders.
    sequences: BTreeSet<(u128, u32)>,
    outer: BTreeSet<u128>,
}

fn identities(frames: impl Iterator<Item = Vec<u8>>) -> Identities {
    let mut all = Identities::default();
    for bytes in frames {
        let (record, _) = walked(&bytes);
        if let Some((source, destination)) = record.outer_addresses(&bytes)
            && matches!(record.kind, Kind::Gtpu | Kind::Pfcp)
        {
            all.outer.extend([source.0, destination.0]);
        }
        if record.kind == Kind::Gtpu && record.teid != 0 && record.flags.has(Flags::QFI) {
            all.teids.insert(record.teid);
            if let Some((source, destination)) = record.inner_addresses(&bytes) {
                all.inner.extend([source.0, destination.0]);
            }
        }
        if record.kind != Kind::Pfcp || record.is_fragment() {
            continue;
        }
        let message = Pfcp::parse(&bytes[usize::from(record.gtp)..]).unwrap();
        if let Some((source, _)) = record.outer_addresses(&bytes)
            && message.message().0 >= 50
            && message.message().0.is_multiple_of(2)
        {
            all.sequences.insert((source.0, message.sequence()));
        }
        weir_wire::pfcp_walk::walk(&message, &mut |_, element| match element.kind {
            kind::F_TEID => {
                all.signalled.extend(FTeid::parse(element.value).unwrap().teid.map(|teid| teid.0));
            }
            kind::F_SEID => {
                all.seids.insert(FSeid::parse(element.value).unwrap().seid.0);
            }
            kind::UE_IP_ADDRESS => {
                let ends = UeIp::parse(element.value).unwrap();
                all.users.extend(ends.addresses().map(|address| address.0));
            }
            _ => {}
        });
    }
    all
}

#[test]
fn every_pass_has_tunnels_sessions_and_users_of_its_own_and_the_same_equipment() {
    let (capture, frames) = played("demo.toml");
    let passes = passes(&capture);
    let mut scratch = Scratch::default();
    let mut of =
        |pass| identities(frames.iter().map(|bytes| rewritten(&passes, pass, bytes, &mut scratch)));
    let all = [of(0), of(1), of(2)];
    let first = &all[0];
    assert!(first.teids.len() > 100 && first.seids.len() > 100 && first.users.len() > 100);
    assert!(first.sequences.len() > 100);
    for (number, pass) in all.iter().enumerate().skip(1) {
        assert_eq!(pass.outer, first.outer);
        assert_eq!(pass.teids.len(), first.teids.len());
        assert_eq!(pass.users.len(), first.users.len());
        // What N4 says and what G-PDUs carry are mapped alike.
        let both = |pass: &Identities| pass.teids.intersection(&pass.signalled).count();
        assert_eq!(both(pass), both(first));
        let known = |pass: &Identities| pass.inner.intersection(&pass.users).count();
        assert_eq!(known(pass), known(first));
        for before in &all[..number] {
            let twice: Vec<_> = pass.teids.intersection(&before.teids).collect();
            assert!(twice.is_empty(), "{number}: {twice:?} of {:?}", before.teids);
            assert!(pass.seids.is_disjoint(&before.seids));
            assert!(pass.users.is_disjoint(&before.users));
            assert!(pass.sequences.is_disjoint(&before.sequences));
        }
    }
}

/// UDP from 10.0.0.1 to 10.0.1.1, without its checksum.
fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 1, 1], 64)
        .udp(port, port);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes[40..42].fill(0);
    bytes
}

#[test]
fn fields_that_scenarios_lack_are_found_and_what_was_never_set_up_stays() {
    // An Error Indication about tunnel 7 (TEID Data I and the peer's address), and one about 8.
    let indication = |teid| {
        let body = [16, 0, 0, 0, teid, 133, 0, 4, 10, 0, 0, 1];
        datagram(2152, &[&[0x32, 26, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0], &body[..]].concat())
    };
    // A session report whose Error Indication Report (99) has F-TEID 7, and a UE IP Address with
    // both families; SEID 5, number 9.
    let mut elements = vec![0, 99, 0, 13, 0, 21, 0, 9, 1, 0, 0, 0, 7, 10, 0, 1, 1];
    elements.extend([0, 93, 0, 21, 3, 10, 60, 0, 1]);
    elements.extend([0x20, 1, 0x0d, 0xb8, 0, 0x60, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mut message =
        vec![0x21, 56, 0, 12 + elements.len() as u8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 9, 0];
    message.extend(&elements);
    let report = datagram(8805, &message);
    let frames = [indication(7), indication(8), report];
    let passes = passes(&capture(&frames));
    let mut scratch = Scratch::default();
    let [about, other, report] =
        frames.each_ref().map(|bytes| rewritten(&passes, 1, bytes, &mut scratch));
    assert_eq!(other, frames[1], "N4 never set up tunnel 8");
    let body = 14 + 20 + 8;
    let teid = &about[body + 13..body + 17];
    assert_ne!(teid, [0, 0, 0, 7]);
    assert_eq!(about[..body + 13], frames[0][..body + 13]);
    assert_eq!(about[body + 17..], frames[0][body + 17..]);
    let elements = &report[body + 16..];
    assert_eq!(&elements[9..13], teid, "the same tunnel");
    assert_eq!(&elements[13..17], [10, 0, 1, 1], "equipment stays");
    assert_eq!(&elements[22..26], [10, 60, 0, 2]);
    assert_eq!(&elements[26..42], [0x20, 1, 0x0d, 0xb8, 0, 0x60, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_ne!(&report[body + 4..body + 12], [0, 0, 0, 0, 0, 0, 0, 5]);
    assert_eq!(&report[body + 12..body + 15], [0, 0, 10], "counting goes on");
    assert_eq!(&report[40..42], [0, 0], "no checksum stays none");
}

#[test]
fn each_pass_begins_after_the_last_ones_end() {
    let frames = vec![vec![0_u8; 60]; 11];
    let passes = passes(&capture(&frames));
    // Eleven packets, a microsecond apart.
    assert_eq!(passes.shift(0).0, 0);
    assert_eq!(passes.shift(1).0, 11_000);
    assert_eq!(passes.shift(3).0, 33_000);
}

#[test]
fn noise_is_rewritten_without_a_panic_and_within_its_bytes() {
    let (capture, frames) = played("sessions.toml");
    let passes = passes(&capture);
    let mut scratch = Scratch::default();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..200_000 {
        let mut bytes = frames[next() as usize % frames.len()].clone();
        for _ in 0..next() % 6 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        if next().is_multiple_of(3) {
            bytes.truncate(next() as usize % (bytes.len() + 1));
        }
        let after = rewritten(&passes, 1 + next() as u32 % 5, &bytes, &mut scratch);
        assert_eq!(after.len(), bytes.len());
    }
}
