//! Vendors' PFCP elements in all the ways in which messages come.

mod lab;

use std::sync::Arc;

use lab::*;
use weir_engine::contract::verdict::{Fact, InputEnd, Verdict};
use weir_engine::contract::words::{JudgeWords, Table};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::rules::Link;
use weir_engine::vendor_elements::ROWS;
use weir_engine::worker::Setup;
use weir_engine::{Frame, Judge, Report, Rules, RxMeta, Worker};

const SMF: &str = "10.0.2.1:8805";
const UPF: &str = "10.0.1.1:8805";

fn element(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes
}

fn vendors(kind: u16, value: &[u8]) -> Vec<u8> {
    element(kind, &[&[0x28, 0xaf], value].concat())
}

/// A heartbeat request; `more` announces another message behind it.
fn heartbeat(more: bool, elements: &[Vec<u8>]) -> Vec<u8> {
    let body = elements.concat();
    let mut bytes = vec![0x20 | u8::from(more) << 2, 1];
    bytes.extend((body.len() as u16 + 4).to_be_bytes());
    bytes.extend([0, 0, 1, 0]);
    bytes.extend(body);
    bytes
}

/// An IPv4 packet's frame as one of its fragments.
fn cut(payload: &[u8], from: usize, to: usize) -> Vec<u8> {
    let mut frame = ip("10.0.2.1", "10.0.1.1", 17, &payload[from..to]);
    let more = u16::from(to < payload.len()) << 13;
    frame[18..20].copy_from_slice(&[0x12, 0x34]);
    frame[20..22].copy_from_slice(&((from / 8) as u16 | more).to_be_bytes());
    frame
}

/// The judge's words and what it said, frames spread over so many workers and a
/// slice closed behind every `slice` of them.
fn judged(frames: &[Vec<u8>], workers: usize, slice: usize) -> (JudgeWords, Vec<Fact>) {
    let rules = Arc::new(Rules::compile(rule_set()).unwrap());
    let setup = Setup { links: vec![Link::N4], hash_key: 7, ..Setup::default() };
    let mut signalling = signalling();
    let mut team: Vec<Worker> = (0..workers)
        .map(|_| {
            let mut worker = Worker::new(setup.clone(), signalling.enlist().unwrap()).unwrap();
            worker.set_rules(Some(rules.clone()));
            worker
        })
        .collect();
    let mut judge = Judge::new([], signalling);
    let mut facts = Vec::new();
    let mut say = |verdict| {
        if let Verdict::Alert(alert) = verdict
            && alert.last_word
        {
            facts.push(alert.fact);
        }
    };
    judge.set_rules(rules, at(0.0), &mut say);
    for (n, frames) in frames.chunks(slice).enumerate() {
        let now = at(n as f64);
        for bytes in frames {
            let meta = RxMeta { time: now, wire_len: bytes.len() as u32, ..RxMeta::default() };
            let frame = Frame { bytes, meta };
            team[setup.spread(&frame) as usize % workers].burst(&[frame]);
        }
        let reports: Vec<Report> = team
            .iter_mut()
            .map(|worker| worker.close(n as u64, now, false, Report::with_room()))
            .collect();
        judge.slice(now, at(n as f64 + 0.1), &reports, &Vitals::default(), &mut say);
    }
    judge.finish(InputEnd { last: at(1e4) }, &mut say);
    (judge.words().clone(), facts)
}

/// (type, length, count) of all kinds, the same on any number of workers.
fn counted(frames: &[Vec<u8>]) -> Vec<(u16, u16, u64)> {
    let (words, _) = judged(frames, 1, frames.len());
    for (workers, slice) in [(1, 1), (2, 3), (3, 1)] {
        let (others, _) = judged(frames, workers, slice);
        assert_eq!(others.vendors(), words.vendors(), "{workers} workers, slices of {slice}");
    }
    assert_eq!(words.vendor_other, 0);
    words
        .vendors()
        .into_iter()
        .map(|(element, count)| {
            assert_eq!(element.enterprise, Some(0x28af));
            (element.kind, element.length, count)
        })
        .collect()
}

#[test]
fn plain_grouped_and_bundled_messages_count() {
    let grouped = element(1, &[element(56, &[0, 1]), vendors(0x8002, b"deep")].concat());
    let bundle = [
        heartbeat(true, &[vendors(0x8001, b"one")]),
        heartbeat(false, &[vendors(0x8001, b"two"), vendors(0x8001, b"longer")]),
    ]
    .concat();
    let frames = [
        udp(SMF, UPF, &heartbeat(false, &[vendors(0x8001, b"one"), grouped])),
        udp(UPF, SMF, &bundle),
    ];
    assert_eq!(counted(&frames), [(0x8001, 5, 3), (0x8001, 8, 1), (0x8002, 6, 1)]);
}

#[test]
fn a_message_in_fragments_counts_once_when_it_is_whole() {
    let message = heartbeat(false, &[vendors(0x8001, &[7; 600]), vendors(0x8002, &[])]);
    let datagram = udp_datagram(SMF, UPF, &message);
    let end = datagram.len();
    let last_first = [cut(&datagram, 200, end), cut(&datagram, 0, 200)];
    assert_eq!(counted(&last_first), [(0x8001, 602, 1), (0x8002, 2, 1)]);
    assert_eq!(counted(&last_first[..1]), [], "what is not whole is not read");
}

#[test]
fn what_subscribers_send_is_not_the_networks_but_what_a_tunnel_carries_is() {
    let message = heartbeat(false, &[vendors(0x8001, b"one")]);
    let of_user = ip_packet(
        "10.60.0.7",
        "192.0.2.9",
        17,
        &udp_datagram("10.60.0.7:8805", "192.0.2.9:8805", &message),
    );
    let mut g_pdu = vec![0x30, 255];
    g_pdu.extend((of_user.len() as u16).to_be_bytes());
    g_pdu.extend([0, 0, 0, 1]);
    g_pdu.extend(of_user);
    assert_eq!(counted(&[udp("10.0.0.1:2152", "10.0.1.1:2152", &g_pdu)]), []);

    let bundle = [heartbeat(true, &[vendors(0x8001, b"one")]), message].concat();
    let inner = ip_packet("10.0.2.1", "10.0.1.1", 17, &udp_datagram(SMF, UPF, &bundle));
    let in_ip = ip("10.0.2.1", "10.0.1.1", 4, &inner);
    assert_eq!(counted(&[in_ip]), [(0x8001, 5, 2)]);
}

#[test]
fn a_flood_of_kinds_fills_the_table_the_same_on_any_number_of_workers_and_is_said() {
    let frames: Vec<Vec<u8>> = (0..300_u16)
        .map(|n| {
            let elements: Vec<_> =
                (0..20).map(|m| vendors(0x8000 + (n * 20 + m) % 4_000, b"x")).collect();
            udp(&format!("10.0.2.1:{}", 20_000 + n), UPF, &heartbeat(false, &elements))
        })
        .collect();
    let (words, facts) = judged(&frames, 1, 300);
    assert_eq!(words.vendors().len(), ROWS);
    let kept: u64 = words.vendors().iter().map(|(_, count)| count).sum();
    assert_eq!(kept + words.vendor_other, 6_000, "nothing is lost");
    assert_eq!(words.evictions[Table::VendorElements as usize], words.vendor_other);
    assert!(facts.contains(&Fact::table_full(Table::VendorElements)));
    for (workers, slice) in [(2, 300), (3, 17), (1, 1)] {
        let (others, _) = judged(&frames, workers, slice);
        assert_eq!(others.vendors(), words.vendors(), "{workers} workers, slices of {slice}");
        assert_eq!(others.vendor_other, words.vendor_other);
    }
}

#[test]
fn every_truncation_of_a_datagram_is_read_as_far_as_it_goes() {
    let group = element(1, &[vendors(0x8003, b"abc"), vendors(0x8004, b"")].concat());
    let message = heartbeat(false, &[vendors(0x8001, b"one"), group, vendors(0x8002, b"two")]);
    let mut most = 0;
    for end in 0..=message.len() {
        let (words, _) = judged(&[udp(SMF, UPF, &message[..end])], 1, 1);
        let sum = words.vendors().iter().map(|(_, count)| *count as usize).sum();
        assert!((most..=4).contains(&sum), "{end}: {sum} after {most}");
        most = sum;
    }
    assert_eq!(most, 4);
}
