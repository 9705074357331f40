//! What equipment hears and says: DNS questions and answers, the first packets of TLS, QUIC, SSH and
//! HTTP, clear text, echoes and NTP, as a worker reads them and the judge takes them.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::contract::content::{Feature, MAX_ASKED, MAX_PROTOCOL};
use weir_engine::contract::verdict::{MAX_NAME, Verdict};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::frame::LinkType;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{Allow, End, Equipment, Link, Roles, RuleSet, Service};
use weir_engine::worker::Setup;
use weir_engine::{
    Frame, Judge, Nanos, Report, Rules, RxMeta, Signalling, SignallingSetup, TapId, Worker,
};
use weir_wire::Address;

const NODE: [u8; 4] = [10, 0, 0, 1];
const PEER: [u8; 4] = [192, 0, 2, 7];

/// A node that may talk to everybody about everything, so that its clear text is looked at.
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let anyone = End { equipment: None, prefix: Some(Prefix::new(Address::v4([0; 4]), 0).unwrap()) };
    let services = [1, 6, 17].map(|protocol| Service { protocol, ports: None, either_way: true });
    let set = RuleSet {
        version: 1,
        equipment: vec![Equipment {
            roles: Roles(1),
            prefixes: vec![Prefix::new(Address::v4(NODE), 32).unwrap()],
            macs: Vec::new(),
        }],
        allow: vec![Allow {
            from: anyone.clone(),
            to: anyone,
            services: services.to_vec(),
            not_after: None,
            is_periodic: false,
        }],
        ..RuleSet::default()
    };
    Arc::new(Rules::compile(set).unwrap())
});

/// A packet of the node to its peer, or back.
fn packet(is_back: bool, (protocol, port): (u8, u16), payload: &[u8]) -> Vec<u8> {
    let (from, to) = if is_back { (PEER, NODE) } else { (NODE, PEER) };
    let (source, destination) = if is_back { (port, 40_000) } else { (40_000, port) };
    let mut behind = Vec::new();
    if protocol != 1 {
        behind.extend(source.to_be_bytes());
        behind.extend(destination.to_be_bytes());
    }
    match protocol {
        6 => behind.extend(b"\0\0\0\x01\0\0\0\x01\x50\x18\xff\xff\0\0\0\0"),
        17 => {
            behind.extend((payload.len() as u16 + 8).to_be_bytes());
            behind.extend([0, 0]);
        }
        _ => behind.extend([if is_back { 0 } else { 8 }, 0, 0, 0]),
    }
    behind.extend(payload);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((behind.len() as u16 + 20).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    frame.extend(from);
    frame.extend(to);
    frame.extend(behind);
    frame
}

fuzz_target!(|input: &[u8]| {
    let [which, payload @ ..] = input else { return };
    let services =
        [(17, 53), (6, 53), (6, 443), (17, 443), (6, 22), (6, 80), (17, 514), (17, 161), (17, 123), (1, 0)];
    let payload = payload.get(..9_000).unwrap_or(payload);
    let service = services[usize::from(which >> 1) % services.len()];
    let small = SignallingSetup { tunnels: 4096, ..SignallingSetup::default() };
    let mut signalling = Signalling::new(&small).unwrap();
    let setup = Setup { links: vec![Link::Oam], hash_key: 7, ..Setup::default() };
    let mut worker = Worker::new(setup, signalling.enlist().unwrap()).unwrap();
    worker.set_rules(Some(RULES.clone()));
    let mut judge = Judge::new([], signalling);
    judge.set_rules(RULES.clone(), Nanos(0), &mut |_| {});
    let mut told = Vec::new();
    // The handshake, and both halves of what is said.
    let (one, other) = payload.split_at(payload.len() / 2);
    let mut frames = Vec::new();
    if service.0 == 6 {
        let mut opens = packet(false, service, &[]);
        opens[47] = 2;
        frames.push(opens);
    }
    for part in [payload, one, other] {
        frames.push(packet(which & 1 != 0, service, part));
    }
    frames.push(packet(which & 1 == 0, service, payload));
    for (n, bytes) in frames.iter().enumerate() {
        let meta = RxMeta {
            time: Nanos(1_000_000_000 + n as u64),
            tap: TapId(0),
            wire_len: bytes.len() as u32,
            link_type: LinkType::Ethernet,
            ..RxMeta::default()
        };
        worker.burst(&[Frame { bytes, meta }]);
    }
    let report = worker.close(10, Nanos(1_000_000_010), false, Report::with_room());
    let mut say = |verdict| told.push(verdict);
    let begin = Nanos(1_000_000_000);
    judge.slice(begin, Nanos(1_100_000_000), &[report], &Vitals::default(), &mut say);
    judge.slice(Nanos(60_000_000_000), Nanos(60_100_000_000), &[], &Vitals::default(), &mut say);
    for verdict in told {
        match verdict {
            Verdict::Questions(asked) => {
                assert!(asked.names.len() <= MAX_ASKED && asked.first_label < 64);
                assert!(asked.name.len() <= MAX_NAME && asked.domain.len() <= MAX_NAME);
            }
            Verdict::Features(features) => match features.shows {
                Feature::Tls { name, protocol, ja4 } => {
                    assert!(name.is_none_or(|name| name.len() <= MAX_NAME && name.is_ascii()));
                    assert!(protocol.is_none_or(|name| name.len() <= MAX_PROTOCOL));
                    assert!(ja4.is_none_or(|ja4| ja4.len() == 36 && ja4.is_ascii()), "36 characters");
                }
                Feature::Http(host) => assert!(host.len() <= MAX_NAME && host.is_ascii()),
                Feature::Clear(hundredths) => assert!(hundredths <= 800),
                Feature::Ssh(_) => {}
            },
            _ => {}
        }
    }
});
