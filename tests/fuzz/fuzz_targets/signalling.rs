//! N4 datagrams between two nodes and a stranger: nothing panics, the counters of states
//! are those of a listing, and when every session is forgotten no tunnel is left.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use weir_engine::contract::words::JudgeWords;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{Equipment, Link, Roles, RuleSet};
use weir_engine::signalling::{HeaderShape, N4Datagram};
use weir_engine::{Nanos, Rules, Signalling, SignallingSetup, TapId};
use weir_wire::Address;

const NODES: [[u8; 4]; 4] = [[10, 0, 2, 1], [10, 0, 2, 9], [10, 0, 2, 2], [192, 0, 2, 1]];

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let listed = |address: [u8; 4], roles| Equipment {
        roles,
        prefixes: vec![Prefix::host(Address::v4(address))],
        macs: vec![],
    };
    let set = RuleSet {
        equipment: vec![
            listed(NODES[0], Roles::SMF),
            listed(NODES[1], Roles::UPF),
            listed(NODES[2], Roles::SMF),
        ],
        ue_pools: vec![Prefix::host(Address::v4([10, 60, 0, 1]))],
        ..RuleSet::default()
    };
    Arc::new(Rules::compile(set).unwrap())
});

fuzz_target!(|input: &[u8]| {
    let setup = SignallingSetup { tunnels: 128, ..SignallingSetup::default() };
    let mut machine = Signalling::new(&setup).unwrap();
    let mut now = Nanos(1 << 60);
    machine.set_rules(RULES.clone(), now);
    let listed = Arc::new(Mutex::new(0));
    let shared = listed.clone();
    machine.show_forgotten(Box::new(move |_| *shared.lock().unwrap() += 1));
    let mut rest = input;
    while let [head, len_high, len_low, more @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]) % 1024);
        let (payload, behind) = more.split_at(len.min(more.len()));
        rest = behind;
        let step = [0, 1_000_000, 900_000_000, 20_000_000_000][usize::from(head >> 6)];
        now = now.plus(Nanos(step));
        machine.take(&N4Datagram {
            time: now,
            source: Address::v4(NODES[usize::from(head & 3)]),
            source_port: 8805 + u16::from(head >> 4 & 1),
            destination: Address::v4(NODES[usize::from(head >> 2 & 3)]),
            destination_port: 8805,
            tap: TapId(0),
            link: Link::N4,
            shape: HeaderShape::default(),
            wire_len: payload.len() as u32,
            payload,
        });
        machine.settle(&[], now);
        let (found, _) = machine.accusations();
        assert!(found.len() <= 4096);
    }
    let mut words = JudgeWords::default();
    machine.count(&mut words);
    let held: u64 = words.sessions.iter().sum();
    assert!(held <= 64, "{held} sessions in room for 64");
    let before = *listed.lock().unwrap();
    machine.list_all(false);
    assert_eq!(*listed.lock().unwrap() - before, held);
    machine.advance(now.plus(Nanos::from_secs(3600)));
    machine.count(&mut words);
    assert_eq!((words.sessions.iter().sum::<u64>(), words.tunnels), (0, 0));
});
