//! Bursts of frames that are G-PDUs of the common shape but for what the input changes: a worker
//! reports and counts the same by the common path and by the complete stages.
//!
//! The workers go on from input to input, as they do from slice to slice.
#![no_main]

#[path = "../../../dataplane/engine/tests/lab/said.rs"]
mod said;

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weir_engine::frame::BURST;
use weir_engine::lpm::Prefix;
use weir_engine::rules::{Equipment, Link, Roles, RuleSet};
use weir_engine::worker::Setup;
use weir_engine::tunnels::usage::usage;
use weir_engine::tunnels::{Access, FTeid, Row, RowFlags, TunnelWriter};
use weir_engine::{Frame, Nanos, Report, Rules, RxMeta, TapId, Worker};
use weir_pcaps::real_mix;
use weir_wire::Address;

/// Tunnels of the frames.
const TUNNELS: u32 = 64;

fn prefix(octets: [u8; 4], len: u8) -> Prefix {
    Prefix::new(Address::v4(octets), len).unwrap()
}

fn rules() -> Arc<Rules> {
    let equipment = |octets, roles, last| Equipment {
        roles,
        prefixes: vec![prefix(octets, 24)],
        macs: vec![[2, 0, 0, 0, last, 1]],
    };
    let set = RuleSet {
        version: 1,
        equipment: vec![
            equipment([10, 0, 0, 0], Roles(1), 0),
            equipment([10, 0, 1, 0], Roles::UPF, 7),
        ],
        ue_pools: vec![prefix([10, 60, 0, 0], 16)],
        infrastructure: vec![prefix([10, 0, 0, 0], 16)],
        ..RuleSet::default()
    };
    Arc::new(Rules::compile(set).unwrap())
}

/// The mix's tunnels, three of four, of every kind of row; one F-TEID has two.
fn tunnels() -> Access {
    let mut table = TunnelWriter::new(4096, 3).unwrap();
    for teid in (0..TUNNELS).filter(|teid| teid % 4 != 3) {
        let is_uplink = teid % 2 == 0;
        let address = Address::v4([10, 0, u8::from(is_uplink), 1]);
        let mut flags = RowFlags::UE_V4;
        let kinds = [RowFlags::CHECKED, RowFlags::CONTESTED, RowFlags::SHARED, RowFlags::NAMELESS];
        flags.set(kinds[teid as usize / 4 % kinds.len()]);
        if !is_uplink {
            flags.set(RowFlags::DOWNLINK);
        }
        let row = Row {
            end: FTeid { address, teid },
            flags,
            since: Nanos(0),
            until: Nanos::MAX,
            session: teid,
            ue4: 0x0a3c_0001 + teid.saturating_sub(1) / 2,
            ue6: 0,
        };
        table.insert(row).unwrap();
        if teid == 4 {
            table.insert(Row { ue4: 1, since: Nanos(1), ..row }).unwrap();
        }
    }
    for teid in (1..=TUNNELS).filter(|teid| teid % 5 != 0) {
        table.insert(row_of_real_mix(teid)).unwrap();
    }
    let (writer, _) = usage(table.slots()).unwrap();
    let users = TunnelWriter::new(8, 3).unwrap();
    Access { table: table.reader(), usage: writer, users: users.reader() }
}

/// What the TEIDs of the mix of real sizes have beside their number, not to be the other mix's.
const ASIDE: u32 = 0x100;
const TEID_AT: usize = 46;

/// A tunnel of the mix of real sizes, in which users are on IPv6, too.
fn row_of_real_mix(teid: u32) -> Row {
    let session = real_mix::session(teid.div_ceil(2));
    let is_uplink = teid % 2 == 0;
    let (end, way) = if is_uplink {
        (session.upf, RowFlags::LOCAL.or(RowFlags::CHECKED))
    } else {
        (session.gnb, RowFlags::DOWNLINK.or(RowFlags::NAMELESS))
    };
    let (family, ue4, ue6) = match session.user {
        IpAddr::V4(user) => (RowFlags::UE_V4, user.to_bits(), 0),
        IpAddr::V6(user) => (RowFlags::UE_V6, 0, (user.to_bits() >> 64) as u64),
    };
    Row {
        end: FTeid { address: Address::v4(end.octets()), teid: ASIDE | teid },
        flags: way.or(family),
        since: Nanos(0),
        until: Nanos::MAX,
        session: teid,
        ue4,
        ue6,
    }
}

fn frames_of_real_mix() -> impl Iterator<Item = Vec<u8>> {
    real_mix::frames(TUNNELS, 2 * TUNNELS as usize, 1).into_iter().map(|mut frame| {
        frame[TEID_AT + 2] |= (ASIDE >> 8) as u8;
        frame
    })
}

struct Bench {
    bases: Vec<Vec<u8>>,
    common: Worker,
    complete: Worker,
    empty: [Report; 2],
    now: Nanos,
    slice: u64,
}

impl Bench {
    fn new() -> Self {
        let setup = Setup { links: vec![Link::N3], hash_key: 7, ..Setup::default() };
        let [common, complete] = [(), ()].map(|()| {
            let mut worker = Worker::new(setup.clone(), tunnels()).unwrap();
            worker.set_rules(Some(rules()));
            worker
        });
        let mut bases = weir_pcaps::imix::frames(TUNNELS, 2 * TUNNELS as usize, 1);
        bases.extend(frames_of_real_mix());
        let empty = [Report::with_room(), Report::with_room()];
        Self { bases, common, complete, empty, now: Nanos(1 << 60), slice: 0 }
    }
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

fuzz_target!(|input: &[u8]| {
    BENCH.with_borrow_mut(|bench| {
        // Three octets a change: which frame, where, and to what; a place beyond the headers
        // begins another burst, or cuts the frame.
        let mut bursts: Vec<Vec<(Vec<u8>, u64, u16)>> = vec![Vec::new()];
        for change in input.chunks_exact(3) {
            let [base, place, value] = [change[0], change[1], change[2]];
            let burst = bursts.last_mut().unwrap();
            if place >= 240 || burst.len() >= BURST {
                bursts.push(Vec::new());
                continue;
            }
            let mut frame = bench.bases[usize::from(base) % bench.bases.len()].clone();
            match frame.get_mut(usize::from(place)) {
                Some(octet) if place < 130 => *octet = value,
                _ => frame.truncate(usize::from(value)),
            }
            burst.push((frame, u64::from(value % 4), u16::from(place % 7 == 0)));
        }
        for burst in &bursts {
            let mut frames = Vec::new();
            for (bytes, gap, tap) in burst {
                bench.now = bench.now.plus(Nanos(*gap));
                let meta = RxMeta {
                    time: bench.now,
                    wire_len: bytes.len() as u32,
                    tap: TapId(*tap),
                    ..RxMeta::default()
                };
                frames.push(Frame { bytes, meta });
            }
            bench.common.burst(&frames);
            bench.complete.burst_by_complete_stages(&frames);
        }
        bench.slice += 1;
        let Bench { common, complete, empty, now, slice, .. } = bench;
        let close = |worker: &mut Worker, empty: &mut Report| {
            let before = std::mem::take(empty);
            *empty = worker.close(*slice, *now, false, before);
            said::said(empty)
        };
        let [first, second] = empty;
        said::agree(&close(common, first), &close(complete, second));
        assert_eq!(common.tally().words(), complete.tally().words());
    });
});
