//! Fragments on the packet path: what becomes of them is counted, to the last one.

mod lab;

use std::sync::Arc;

use lab::*;
use weir_engine::contract::verdict::{Fact, Verdict};
use weir_engine::contract::words::{Table, fragment_names, reassembly_names};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::fragment_trails::SETS;
use weir_engine::worker::Setup;
use weir_engine::{Frame, Judge, Report, Rules, RxMeta, Worker};

fn worker() -> Worker {
    let setup = Setup { hash_key: 7, ..Setup::default() };
    let mut worker = Worker::new(setup, signalling().enlist().unwrap()).unwrap();
    worker.set_rules(Some(Arc::new(Rules::compile(rule_set()).unwrap())));
    worker
}

/// A fragment from the SMF to the UPF: its identification, its offset in blocks
/// of 8 bytes, whether more follow.
fn fragment(identification: u16, block: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = ip("10.0.2.1", "10.0.1.1", 17, payload);
    frame[18..20].copy_from_slice(&identification.to_be_bytes());
    frame[20..22].copy_from_slice(&(block | u16::from(more) << 13).to_be_bytes());
    frame
}

fn see(worker: &mut Worker, seconds: f64, bytes: &[u8]) {
    let meta = RxMeta { time: at(seconds), wire_len: bytes.len() as u32, ..RxMeta::default() };
    worker.burst(&[Frame { bytes, meta }]);
}

fn count(worker: &mut Worker, kind: &str) -> u64 {
    let words = worker.tally().words();
    let fragments = fragment_names().into_iter().zip(words.fragments);
    let counts: Vec<_> =
        fragments.chain(reassembly_names().into_iter().zip(words.reassembly)).collect();
    counts.iter().find(|(name, _)| *name == kind).unwrap().1
}

/// The beginning of a datagram on the port of PFCP.
fn beginning() -> Vec<u8> {
    let mut datagram = udp_datagram("10.0.2.1:8805", "10.0.1.1:8805", &[0x21; 24]);
    datagram[4..6].copy_from_slice(&200_u16.to_be_bytes());
    datagram
}

#[test]
fn what_still_waits_at_the_end_of_the_input_is_given_up_and_counted() {
    let mut worker = worker();
    for identification in 0..5 {
        see(&mut worker, 0.0, &fragment(identification, 0, true, &beginning()));
    }
    assert_eq!((count(&mut worker, "pieces"), count(&mut worker, "timed_out")), (5, 0));
    worker.finish();
    assert_eq!(count(&mut worker, "timed_out"), 5);
    worker.finish();
    assert_eq!(count(&mut worker, "timed_out"), 5, "the end is counted once");
}

#[test]
fn a_flood_of_first_fragments_fills_both_tables_and_the_judge_says_so() {
    let (mut worker, mut judge) = (worker(), Judge::new([], signalling()));
    judge.set_rules(Arc::new(Rules::compile(rule_set()).unwrap()), at(0.0), &mut |_| {});
    let mut slice = |worker: &mut Worker, seconds: f64| {
        let report = worker.close(1, at(seconds), false, Report::with_room());
        let mut full = Vec::new();
        judge.slice(at(seconds), at(seconds + 0.1), &[report], &Vitals::default(), &mut |said| {
            if let Verdict::Alert(alert) = said {
                full.push(alert.fact);
            }
        });
        (full, judge.words().evictions)
    };
    let flood = 4 * SETS as u16 + 3_000;
    for identification in 0..flood {
        see(&mut worker, 0.0, &fragment(identification, 0, true, &beginning()));
    }
    let (full, evictions) = slice(&mut worker, 0.1);
    assert_eq!(full, [Table::Trails, Table::Datagrams].map(Fact::table_full));
    // The last of 4,096 trails and of 1,024 datagrams are there, all others were given up;
    // of the trails some more, since not every set is full when the first one overflows.
    let (trails, datagrams) =
        (evictions[Table::Trails as usize], evictions[Table::Datagrams as usize]);
    assert_eq!(datagrams, u64::from(flood) - 1_024);
    assert!((3_000..u64::from(flood)).contains(&trails), "{trails}");
    // Nothing more is given up: the next slice tells of nothing, and adds nothing.
    assert_eq!(slice(&mut worker, 0.2), (vec![], evictions));
}
