//! Frames through a worker and the judge: every slice is judged, every verdict
//! fits its slot, and two workers, or one by the complete stages alone, say and count what
//! one does.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::contract::verdict::{InputEnd, MAX_BYTES, Verdict};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::frame::LinkType;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{Equipment, Link, Roles, RuleSet};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::vendor_elements::VendorElement;
use weir_engine::worker::Setup;
use weir_engine::{
    Frame, Judge, Nanos, Report, Rules, RxMeta, Signalling, SignallingSetup, Worker,
};
use weir_wire::Address;

fn prefix(octets: [u8; 4], len: u8) -> Prefix {
    Prefix::new(Address::v4(octets), len).unwrap()
}

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let equipment = |octets, roles| Equipment {
        roles,
        prefixes: vec![prefix(octets, 24)],
        macs: vec![[2, 0, 0, 0, 0, 1]],
    };
    let set = RuleSet {
        version: 1,
        equipment: vec![equipment([10, 0, 0, 0], Roles(1)), equipment([10, 0, 1, 0], Roles::UPF)],
        ue_pools: vec![prefix([10, 60, 0, 0], 16)],
        infrastructure: vec![prefix([10, 0, 0, 0], 16)],
        esp_only: vec![(prefix([10, 0, 0, 0], 28), prefix([10, 0, 1, 0], 28))],
        nat: vec![(Link::N6, prefix([203, 0, 113, 0], 28))],
        ..RuleSet::default()
    };
    Arc::new(Rules::compile(set).unwrap())
});

/// Every kind of vendors' PFCP elements with its count, and the count of all others.
type Vendors = (Vec<(VendorElement, u64)>, u64);

fn said(input: &[u8], workers: usize, by_complete_stages: bool) -> (Vec<Verdict>, Vendors) {
    let link = Link::ALL[usize::from(input.first().copied().unwrap_or(0)) % Link::ALL.len()];
    let setup = Setup { links: vec![link], hash_key: 7, ..Setup::default() };
    let small = SignallingSetup { tunnels: 4096, ..SignallingSetup::default() };
    let mut signalling = Signalling::new(&small).unwrap();
    let mut team: Vec<Worker> = (0..workers)
        .map(|_| {
            let mut worker = Worker::new(setup.clone(), signalling.enlist().unwrap()).unwrap();
            worker.set_rules(Some(RULES.clone()));
            worker
        })
        .collect();
    let mut judge = Judge::new([], signalling);
    let mut verdicts = Vec::new();
    judge.set_rules(RULES.clone(), Nanos(0), &mut |verdict| verdicts.push(verdict));
    let mut latest = Nanos(1 << 60);
    let mut rest = input.get(1..).unwrap_or_default();
    let mut slice = latest.slice(REPLAY_SLICE);
    let close = |team: &mut [Worker], judge: &mut Judge, slice: u64, latest, verdicts: &mut Vec<_>| {
        let reports: Vec<Report> = team
            .iter_mut()
            .map(|worker| worker.close(slice, latest, false, Report::with_room()))
            .collect();
        let begin = Nanos(slice * REPLAY_SLICE.0);
        let end = begin.plus(REPLAY_SLICE);
        judge.slice(begin, end, &reports, &Vitals::default(), &mut |verdict| verdicts.push(verdict));
    };
    while let [gap, len, more @ ..] = rest {
        let (bytes, behind) = more.split_at(usize::from(*len).min(more.len()));
        rest = behind;
        let step = if gap & 0x80 != 0 { 1_000_000_000 } else { 1_000_000 };
        latest = latest.plus(Nanos(u64::from(gap & 0x3f) * step));
        let now = latest.slice(REPLAY_SLICE);
        if now != slice {
            close(&mut team, &mut judge, slice, latest, &mut verdicts);
            slice = now;
        }
        let link_type = if gap & 0x40 != 0 { LinkType::Raw } else { LinkType::Ethernet };
        let meta = RxMeta { time: latest, wire_len: bytes.len() as u32, link_type, ..RxMeta::default() };
        let frame = Frame { bytes, meta };
        let worker = setup.spread(&frame) as usize % workers;
        if by_complete_stages {
            team[worker].burst_by_complete_stages(&[frame]);
        } else {
            team[worker].burst(&[frame]);
        }
    }
    close(&mut team, &mut judge, slice, latest, &mut verdicts);
    judge.finish(InputEnd { last: latest }, &mut |verdict| verdicts.push(verdict));
    let words = judge.words();
    (verdicts, (words.vendors(), words.vendor_other))
}

fuzz_target!(|input: &[u8]| {
    let one = said(input, 1, false);
    for verdict in &one.0 {
        assert!(verdict.encode(&mut [0; MAX_BYTES]).is_some());
    }
    assert!(matches!(one.0.last(), Some(Verdict::End(_))));
    assert_eq!(one, said(input, 2, false));
    assert_eq!(one, said(input, 1, true));
});
