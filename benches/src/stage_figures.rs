//! Where the nanoseconds of a packet go: what the engine computes where everything is in the
//! cache, what frames and what tunnels from memory add, and which stage's instructions they are.

use std::hint::black_box;
use std::sync::Arc;

use weir_engine::Frame;

use crate::engine_run::EngineRun;
use crate::extent::Extent;
use crate::machine;
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::stages;
use crate::traffic::{self, Traffic};
use crate::turn::turn;
use crate::walk::walk_pass;

/// Frames and tunnels that the first two caches hold with everything else.
const FEW_FRAMES: usize = 256;
const FEW_TUNNELS: u32 = 64;

/// Turns over few frames, to take about as long as one over many.
const TURNS: usize = 64;

struct Case<'a> {
    frames: Vec<Frame<'a>>,
    run: EngineRun,
    ns: Samples,
}

impl<'a> Case<'a> {
    fn new(traffic: &'a Traffic) -> anyhow::Result<Self> {
        let run = EngineRun::new(traffic.link, Arc::new(traffic::rules()?), traffic.sessions)?;
        Ok(Self { frames: traffic.arrivals(), run, ns: Samples::new() })
    }

    fn measure(&mut self, round: usize) {
        let Self { frames, run, ns } = self;
        ns.push_from(round, turns(frames, |frames| run.engine_pass(frames)));
        run.judge();
    }
}

fn turns(frames: &mut [Frame<'_>], mut pass: impl FnMut(&[Frame<'_>])) -> f64 {
    let turns = if frames.len() > FEW_FRAMES { 1 } else { TURNS };
    (0..turns).map(|_| turn(frames, &mut pass)).sum::<f64>() / turns as f64
}

/// The engine and the walk with all in the cache, then with frames, then with tunnels from memory.
///
/// # Errors
/// When the engine or valgrind can't start.
pub fn stages(extent: &Extent, imix: &Traffic, outcome: &mut Outcome) -> anyhow::Result<()> {
    machine::pin(extent.core)?;
    let cached = Traffic::imix(FEW_TUNNELS, FEW_FRAMES);
    let of_few_tunnels = Traffic::imix(FEW_TUNNELS, extent.frames);
    let mut cases = [Case::new(&cached)?, Case::new(&of_few_tunnels)?, Case::new(imix)?];
    let mut walked = [cached.arrivals(), imix.arrivals()];
    let mut walks = [Samples::new(), Samples::new()];
    for round in 0..=extent.rounds {
        eprintln!("weir-bench: stages, round {round} of {}", extent.rounds);
        for (frames, ns) in walked.iter_mut().zip(&mut walks) {
            let took = turns(frames, |frames| {
                black_box(walk_pass(frames));
            });
            ns.push_from(round, took);
        }
        cases.iter_mut().for_each(|case| case.measure(round));
    }
    outcome.section("Where the nanoseconds go");
    let [walk_cached, walk] = walks;
    let [in_cache, with_frames, with_tunnels] = cases.map(|case| case.ns);
    let computing = in_cache.median();
    let from_frames = with_frames.median() - computing;
    let from_tunnels = with_tunnels.median() - with_frames.median();
    outcome.figure("engine_cached_ns_per_packet", computing);
    outcome.figure("parse_cached_ns_per_packet", walk_cached.median());
    outcome.figure("frames_from_memory_ns_per_packet", from_frames);
    outcome.figure("tunnels_from_memory_ns_per_packet", from_tunnels);
    for (what, ns, of) in [
        ("parse-only walk, all in the cache", &walk_cached, None),
        ("parse-only walk, frames from memory", &walk, None),
        ("engine, all in the cache", &in_cache, Some((&walk_cached, "parse"))),
        ("engine, frames from memory", &with_frames, Some((&walk, "parse"))),
        ("engine, frames and tunnels from memory", &with_tunnels, Some((&walk, "parse"))),
    ] {
        let ratio = of.map(|(of, name)| (ns.over(of).median(), name));
        outcome.row(Row { what: what.into(), ns: ns.clone(), ratio, ..Row::default() });
    }
    if extent.is_quick {
        return Ok(());
    }
    if !stages::is_possible() {
        outcome.absent("instructions by stage", "install packages valgrind and binutils");
        return Ok(());
    }
    eprintln!("weir-bench: instructions by stage, in valgrind");
    let shares = stages::shares()?;
    let all: f64 = shares.iter().map(|share| share.instructions).sum();
    for share in shares {
        let count = share.instructions;
        outcome.figure(&format!("stage_{}_instructions", share.name), count);
        let ns = computing * count / all;
        outcome.line(format!("{}: {count:.0} instructions, {ns:.1} ns", share.title));
    }
    outcome.line(format!("frames from memory: {from_frames:.1} ns"));
    outcome.line(format!("tunnels from memory: {from_tunnels:.1} ns"));
    Ok(())
}
