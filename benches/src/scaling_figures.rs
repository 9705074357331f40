//! Two workers on two cores: how much more they do than one, beside how much more two parse-only
//! walks do, since two cores of one machine share memory and sometimes more.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use weir_engine::Frame;

use crate::engine_run::EngineRun;
use crate::extent::Extent;
use crate::machine;
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::traffic::{self, Traffic, again};
use crate::walk::walk_pass;

/// How long a turn takes: whole passes, so that both threads work all the while.
const SPAN: Duration = Duration::from_millis(150);

/// What a thread does with frames, pass by pass.
type Pass<'a> = Box<dyn FnMut(&[Frame<'_>]) + Send + 'a>;

/// A thread's frames and work.
struct Hand<'a> {
    core: usize,
    frames: Vec<Frame<'a>>,
    pass: Pass<'a>,
}

impl Hand<'_> {
    /// Nanoseconds per packet on its core, from when all are there.
    fn work(&mut self, all: &Barrier) -> nix::Result<f64> {
        machine::pin(self.core)?;
        all.wait();
        let (mut took, mut packets) = (Duration::ZERO, 0);
        while took < SPAN {
            let began = Instant::now();
            (self.pass)(black_box(&self.frames));
            took += began.elapsed();
            packets += self.frames.len();
            again(&mut self.frames);
        }
        Ok(took.as_nanos() as f64 / packets as f64)
    }
}

/// Nanoseconds per packet of each hand: alone, one after the other, and then together.
fn alone_and_together(hands: &mut [Hand<'_>; 2]) -> anyhow::Result<([f64; 2], [f64; 2])> {
    let [first, second] = hands;
    let solo = |hand: &mut Hand<'_>| join(|| hand.work(&Barrier::new(1)));
    let alone = [solo(first)?, solo(second)?];
    let both = Barrier::new(2);
    let together = std::thread::scope(|scope| {
        let other = scope.spawn(|| second.work(&both));
        let one = scope.spawn(|| first.work(&both));
        [one.join(), other.join()]
    });
    let [one, other] = together.map(|joined| joined.map_err(|_| ended_early()));
    Ok((alone, [one??, other??]))
}

fn join(work: impl FnOnce() -> nix::Result<f64> + Send) -> anyhow::Result<f64> {
    let joined = std::thread::scope(|scope| scope.spawn(work).join());
    Ok(joined.map_err(|_| ended_early())??)
}

fn ended_early() -> anyhow::Error {
    anyhow::anyhow!("a measuring thread ended early")
}

fn engine(run: &mut EngineRun) -> Pass<'_> {
    Box::new(move |frames| run.engine_pass(frames))
}

fn walk() -> Pass<'static> {
    Box::new(|frames| {
        black_box(walk_pass(frames));
    })
}

/// The rate of two over the mean rate of one.
fn speed_up(alone: [f64; 2], together: [f64; 2]) -> f64 {
    let rate = |ns: [f64; 2]| ns.map(|ns| 1.0 / ns).iter().sum::<f64>();
    2.0 * rate(together) / rate(alone)
}

/// Two engines on one table of tunnels, each with frames of its own, and two walks.
///
/// # Errors
/// When the engine can't start.
pub fn two_workers(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Two workers on two cores");
    if !extent.has_two_cores() {
        outcome.line("two workers: skipped: this process may use one core only".into());
        return Ok(());
    }
    let traffic = [0, 1].map(|part| Traffic::imix_part(extent.tunnels, extent.frames, part));
    let rules = Arc::new(traffic::rules()?);
    let [mut one, mut other] = EngineRun::two(traffic[0].link, rules, traffic[0].sessions)?;
    let hand = |core, part: usize, pass| Hand { core, frames: traffic[part].arrivals(), pass };
    let mut engines =
        [hand(extent.core, 0, engine(&mut one)), hand(extent.other, 1, engine(&mut other))];
    let mut walks = [hand(extent.core, 0, walk()), hand(extent.other, 1, walk())];
    let [mut single, mut double, mut engine_up, mut walk_up] = [const { Samples::new() }; 4];
    for round in 0..=extent.rounds {
        eprintln!("weir-bench: two workers, round {round} of {}", extent.rounds);
        let (alone, together) = alone_and_together(&mut engines)?;
        engine_up.push_from(round, speed_up(alone, together));
        single.push_from(round, alone.iter().sum::<f64>() / 2.0);
        double.push_from(round, together.iter().sum::<f64>() / 2.0);
        let (alone, together) = alone_and_together(&mut walks)?;
        walk_up.push_from(round, speed_up(alone, together));
    }
    outcome.figure("two_worker_scaling", engine_up.median());
    outcome.figure("two_walk_scaling", walk_up.median());
    let ratio = engine_up.over(&walk_up).median();
    outcome.figure("two_worker_scaling_to_parse", ratio);
    outcome.row(Row { what: "one worker".into(), ns: single, ..Row::default() });
    outcome.row(Row {
        what: "two workers, each".into(),
        ns: double,
        ratio: Some((ratio, "the walk's scaling")),
        ..Row::default()
    });
    outcome.line(format!(
        "two workers do {:.2} times as much as one, two walks {:.2} times",
        engine_up.median(),
        walk_up.median()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_disturb_each_other_not_are_twice_one() {
        assert_eq!(speed_up([10.0, 10.0], [10.0, 10.0]), 2.0);
        assert_eq!(speed_up([10.0, 10.0], [20.0, 20.0]), 1.0);
        // Cores of unequal speed are no gain and no loss.
        assert_eq!(speed_up([10.0, 40.0], [10.0, 40.0]), 2.0);
    }
}
