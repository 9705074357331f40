//! The packet path does not allocate, nor does the way of N4.

use std::sync::Arc;

use weir_benches::counting_allocator::allocations;
use weir_benches::engine_run::EngineRun;
use weir_benches::n4::{self, Load};
use weir_benches::traffic::{self, Traffic, again};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::{Nanos, Signalling, SignallingSetup};

const PACKETS: usize = 10_000;

/// Passes of a warm-up and of a measurement: two slices are closed in either.
const PASSES: usize = 2 * (REPLAY_SLICE.0 / traffic::GAP.0) as usize / PACKETS;

fn engine(traffic: &Traffic) -> EngineRun {
    let rules = Arc::new(traffic::rules().unwrap());
    EngineRun::new(traffic.link, rules, traffic.sessions).unwrap()
}

/// Allocations after a warm-up, and the G-PDUs that were counted meanwhile.
fn after_warm_up(traffic: &Traffic) -> (u64, u64) {
    let mut run = engine(traffic);
    let mut frames = traffic.arrivals();
    let mut passes = |run: &mut EngineRun| {
        for _ in 0..PASSES {
            run.engine_pass(&frames);
            again(&mut frames);
        }
    };
    passes(&mut run);
    run.judge();
    let judged = run.judged().slices;
    let g_pdus = run.tally().words().gtpu_messages[6];
    let before = allocations();
    passes(&mut run);
    let allocated = allocations() - before;
    let counted = run.tally().words().gtpu_messages[6] - g_pdus;
    run.judge();
    assert!(run.judged().slices > judged, "a slice was closed while allocations were counted");
    (allocated, counted)
}

#[test]
fn an_internet_mix_allocates_nothing() {
    let imix = Traffic::imix(1_000, PACKETS);
    assert_eq!(after_warm_up(&imix), (0, (PASSES * PACKETS) as u64));
}

#[test]
fn all_links_on_one_tap_allocate_nothing() {
    let mixed = Traffic::mixed(PACKETS).unwrap();
    let (allocated, g_pdus) = after_warm_up(&mixed);
    assert_eq!(allocated, 0);
    assert!(g_pdus > 0 && g_pdus < (PASSES * PACKETS) as u64, "{g_pdus} G-PDUs are not a mix");
}

#[test]
fn declared_traffic_gives_the_judge_flows_and_no_verdicts() {
    let imix = Traffic::imix(1_000, PACKETS);
    let mut run = engine(&imix);
    let mut frames = imix.arrivals();
    for _ in 0..PASSES {
        run.engine_pass(&frames);
        again(&mut frames);
    }
    run.judge();
    assert_eq!((run.judged().slices, run.judged().verdicts), (1, 0));
    assert_eq!(run.flows(), 1, "the mix runs between one gNB and one UPF");
    assert_eq!(run.attributed(), 100_000, "of the slice that was closed, all");
}

/// The load's own list of a slice's datagrams.
const OF_THE_LOAD: u64 = 1;

#[test]
fn sessions_that_come_and_go_allocate_nothing() {
    let setup = SignallingSetup { tunnels: 20_000, ..SignallingSetup::default() };
    let mut machine = Signalling::new(&setup).unwrap();
    machine.set_rules(Arc::new(n4::rules().unwrap()), Nanos(0));
    let mut load = Load::cycles(7, 5_000);
    // So slowly that the sessions of the pass before are forgotten meanwhile.
    let gap = Nanos(1_000_000);
    let mut start = traffic::START;
    let mut pass = |machine: &mut Signalling| {
        load.n4_pass(machine, start, gap);
        start = start.plus(load.span(gap));
        load.count_on();
    };
    (0..4).for_each(|_| pass(&mut machine));
    let before = allocations();
    pass(&mut machine);
    assert!(allocations() - before <= OF_THE_LOAD, "{} allocations", allocations() - before);
    n4::check(&mut machine, 25_000, 25_000, gap).unwrap();
}
