//! The search finds the rate of a worker that is slowed by a known cost. EAL starts once in a
//! process, hence one test.

use std::time::Duration;

use weir_benches::search::{Limit, Plan, Ring, search};

const SLOWNESS: Duration = Duration::from_micros(10);
const TRIES: usize = 3;

#[test]
fn the_rate_of_a_slowed_worker_is_found() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return eprintln!("skipped: a generator needs a core beside the worker's");
    }
    let mut ring = Ring::new(2_000, SLOWNESS).unwrap();
    let plan =
        Plan { trial: Duration::from_millis(250), resolution: 0.03, most: 400_000.0, attempts: 4 };
    let expected = 1.0 / SLOWNESS.as_secs_f64();
    // Another process that takes the worker's core for a moment slows it, and none speeds it up.
    let mut trials = Vec::new();
    for _ in 0..TRIES {
        let outcome = search(&plan, |rate| ring.trial(rate, plan.trial)).unwrap();
        if outcome.found.iter().any(|found| found.limit == Limit::Generator) {
            return eprintln!("skipped: this machine has too little time for the generator now");
        }
        let is_found = |rate: f64| (rate / expected - 1.0).abs() < 0.15;
        if outcome.found.iter().all(|found| is_found(found.rate)) {
            return;
        }
        trials.push(outcome);
    }
    panic!("not {expected}: {trials:#?}");
}
