//! The same packets are chosen, by the same digests, whatever they come in.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_engine::proof::{Carrier, Digests, Sample};
use weir_engine::rules::{Link, Rules};
use weir_engine::worker::Setup;
use weir_engine::{Frame, Nanos, Report, RxMeta, TapId, Worker};

use crate::lab::{Noise, at, prefix, signalling};
use crate::world::{GNB, Packet, THIEF, UPF, bare, g_pdu, gre, rules};

const UE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const SERVER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

/// What a packet carries behind its header, and the protocol: every kind that counts otherwise.
fn carried(kind: usize, noise: &mut Noise) -> (u8, Vec<u8>) {
    let ports = [0x9c, 0x40, 1, 187];
    let long = 40 + noise.below(300);
    let payload: Vec<u8> = (0..long).map(|_| noise.next() as u8 | 0x80).collect();
    match kind {
        0 => (6, [&ports[..], &payload[..8], &[0x50, 0x18, 1, 0, 0, 0, 0, 0], &payload].concat()),
        1 => {
            let header = [&ports[..], &payload[..8], &[0x80, 0x10, 1, 0, 0, 0, 0, 0]].concat();
            (6, [&header[..], &payload[..12]].concat())
        }
        // Datagrams that a link pads.
        2 => {
            let short = noise.below(10);
            let len = (8 + short) as u16;
            (17, [&ports[..], &len.to_be_bytes(), &[0, 0], &payload[..short]].concat())
        }
        3 => {
            let len = (8 + payload.len()) as u16;
            (17, [&ports[..], &len.to_be_bytes(), &[0, 0], &payload].concat())
        }
        4 => (1, [&[8, 0, 0, 0, 0, 7][..], &payload[..40]].concat()),
        // A protocol that nobody looks into; users' own tunnels: GRE with IPv4 in it, and an
        // authentication header before UDP.
        5 => (253, payload),
        6 => {
            let inner = v4(3, 0, noise).0;
            (47, [&[0, 0, 8, 0][..], &inner].concat())
        }
        _ => {
            let ah = [&[17, 4, 0, 0][..], &payload[..20]].concat();
            let len = (8 + payload.len()) as u16;
            (51, [&ah[..], &ports, &len.to_be_bytes(), &[0, 0], &payload].concat())
        }
    }
}

fn v4(kind: usize, fragment: u16, noise: &mut Noise) -> Packet {
    let (protocol, rest) = carried(kind, noise);
    let mut packet = vec![0x45, 0];
    packet.extend((20 + rest.len() as u16).to_be_bytes());
    packet.extend((noise.next() as u16).to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 60, 0, 7, 192, 0, 2, 7]);
    packet.extend(rest);
    Packet(packet)
}

fn v6(kind: usize, extended: bool, noise: &mut Noise) -> Packet {
    let (protocol, mut rest) = carried(kind, noise);
    let mut next = if protocol == 1 { 58 } else { protocol };
    if extended {
        rest = [&[next, 0, 1, 4, 0, 0, 0, 0][..], &rest].concat();
        next = 0;
    }
    let [_, label @ ..] = (noise.next() as u32).to_be_bytes();
    let mut packet = vec![0x60, label[0] & 0xf, label[1], label[2]];
    packet.extend((rest.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(UE6.iter().chain(&SERVER6));
    packet.extend(rest);
    Packet(packet)
}

fn chosen(frames: &[Vec<u8>], complete: bool) -> Vec<Sample> {
    let mut set = rules();
    set.ue_pools.push(prefix("2001:db8:60::/48"));
    let rules = Arc::new(Rules::compile(set).unwrap());
    let mut signalling = signalling();
    let setup = Setup { links: vec![Link::Mixed], hash_key: 7, ..Setup::default() };
    let mut worker = Worker::new(setup, signalling.enlist().unwrap()).unwrap();
    worker.set_rules(Some(rules));
    let mut samples = Vec::new();
    for (n, bytes) in frames.iter().enumerate() {
        let time = Nanos(at(0.0).0 + n as u64 * 1_000);
        let meta =
            RxMeta { time, wire_len: bytes.len() as u32, tap: TapId(0), ..RxMeta::default() };
        let frame = [Frame { bytes, meta }];
        if complete {
            worker.burst_by_complete_stages(&frame)
        } else {
            worker.burst(&frame)
        };
        if n % 1_000 == 999 || n + 1 == frames.len() {
            let report = worker.close(0, time, true, Report::with_room());
            assert_eq!(report.samples.dropped(), 0);
            samples.extend_from_slice(report.samples.rows());
        }
    }
    samples
}

#[test]
fn the_same_packets_are_chosen_on_n3_on_n6_and_in_other_tunnels() {
    let mut noise = Noise(0x5eed_0011);
    for kind in 0..8 {
        for shape in 0..5 {
            let packets: Vec<Packet> = (0..3_000)
                .map(|_| match shape {
                    0 => v4(kind, 0, &mut noise),
                    // The first fragment of a packet, and a later one.
                    1 => v4(kind, 0x2000, &mut noise),
                    2 => v4(kind, 0x2010, &mut noise),
                    3 => v6(kind, false, &mut noise),
                    _ => v6(kind, true, &mut noise),
                })
                .collect();
            let mut frames = Vec::new();
            for packet in &packets {
                let passed = forwarded(packet);
                frames.push(g_pdu(GNB, UPF, 9, packet));
                // What follows the packet on the wire is none of it.
                frames.extend([g_pdu(GNB, UPF, 9, packet), bare(&passed), bare(&passed)]);
                let last = frames.len();
                frames[last - 3].extend([0xab; 4]);
                frames[last - 1].extend([0xcd; 6]);
                // IPv6 in GRE has another protocol number.
                if shape < 3 {
                    frames.push(gre(UPF, THIEF, packet));
                }
            }
            for complete in [false, true] {
                let samples = chosen(&frames, complete);
                let of = |carrier| -> BTreeSet<Digests> {
                    let of = samples.iter().filter(|sample| sample.carrier == carrier);
                    of.map(|sample| sample.digests).collect()
                };
                let (in_gtpu, alone) = (of(Carrier::GPdu), of(Carrier::Bare));
                assert!(!in_gtpu.is_empty(), "{kind}, {shape}");
                assert_eq!(in_gtpu, alone, "{kind}, {shape}");
                // Each of the four sightings: nothing appended made one the less.
                let count = samples.iter().filter(|it| it.carrier != Carrier::Tunnel).count();
                assert_eq!(count % 4, 0, "{kind}, {shape}: {count} of {}", in_gtpu.len());
                if shape < 3 {
                    assert_eq!(in_gtpu, of(Carrier::Tunnel), "{kind}, {shape}");
                }
            }
        }
    }
}

fn forwarded(packet: &Packet) -> Packet {
    let mut bytes = packet.0.clone();
    if bytes[0] >> 4 == 4 {
        // DSCP, hop limit, checksum.
        bytes[1] ^= 0x28;
        bytes[8] -= 1;
        bytes[10] ^= 0x5a;
    } else {
        bytes[0] |= 0x0a;
        bytes[7] -= 1;
    }
    Packet(bytes)
}
