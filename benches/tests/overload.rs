//! Three times what a worker can inspect: every frame is accounted for, N4 and what equipment itself
//! sends are not left out, and its alerts come. EAL starts once in a process, hence one test.

use std::time::Duration;

use weir_benches::overload::{Class, Ledger, Plan, measure};

/// The identity, to the packet, and what overload spares.
fn assert_honest(run: &Ledger, said: &str) {
    for class in Class::ALL {
        let row = run.row(class);
        assert!(row.offered > 0, "{class:?} {said}");
        assert_eq!(row.unaccounted(), 0, "{class:?} {said}");
        assert_eq!(row.offered, row.missed + row.received, "{class:?} {said}");
    }
    // The worker's own counters say the same.
    assert_eq!(run.counted.received, run.sum(|row| row.received), "{said}");
    assert_eq!(run.counted.inspected, run.sum(|row| row.inspected), "{said}");
    assert_eq!(run.counted.shed, run.sum(|row| row.shed), "{said}");
    assert_eq!(run.counted.received, run.counted.inspected + run.counted.shed, "{said}");

    assert!(run.row(Class::Users).shed > 0, "{said}");
    assert_eq!((run.row(Class::N4).shed, run.row(Class::Equipment).shed), (0, 0), "{said}");
    assert_eq!(run.cut, 0, "flows are left out whole {said}");
    // The engine itself took what is said to be inspected.
    assert_eq!(run.g_pdus, run.row(Class::Users).inspected, "{said}");
    assert_eq!(run.n4_heard, run.row(Class::N4).received, "{said}");
    assert_eq!(run.raised.len() as u64, run.peers, "{said}");
    // The first alerts come before a window of losses is over.
    assert!(run.raised.last().unwrap().loss_ratio > 0.3, "{said}");
}

#[test]
fn at_three_times_the_load_every_frame_is_accounted_for() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return eprintln!("skipped: a generator needs a core beside the worker's");
    }
    let outcome = measure(&Plan {
        slowness: Duration::from_micros(4),
        load: 3.0,
        span: Duration::from_millis(1_500),
        tunnels: 20_000,
        frames: 1 << 15,
        rounds: 9,
    })
    .unwrap();
    let said = format!("in\n{outcome}");
    println!("{said}");
    let load = outcome.among.rate() / outcome.capacity;
    assert!(load > 2.0, "the generator did not come to it: {load} {said}");
    assert_honest(&outcome.among, &said);
    assert_honest(&outcome.apart, &said);
    assert_eq!(outcome.apart.row(Class::N4).missed, 0, "N4 has a ring of its own {said}");
    // How much less is the command's to measure, in a build that is optimised.
    assert!(outcome.shed_ns < outcome.inspected_ns, "{said}");
    assert_eq!(outcome.json()["n4_apart"]["all"]["unaccounted"], 0);
}
