//! Figures of bad input: what each kind costs, as a multiple of the common path in the same rounds.

use std::sync::Arc;

use clap::ValueEnum;
use weir_engine::Frame;

use crate::engine_run::EngineRun;
use crate::extent::Extent;
use crate::hostile::Hostile;
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::traffic::{self, Traffic};
use crate::turn::{PASSES, turn};
use crate::{instructions, machine};

/// Frames of a kind: as many as no second-level cache holds, and few enough for all kinds to be in
/// memory at once.
const FRAMES: usize = 1 << 15;

/// The common path, then every kind, in every round.
///
/// # Errors
/// When the engine can't start.
pub fn bad_input(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    machine::pin(extent.core)?;
    let rules = Arc::new(traffic::rules()?);
    let imix = Traffic::imix(extent.tunnels, FRAMES);
    let mut common_frames = imix.arrivals();
    let mut common_run = EngineRun::new(imix.link, rules.clone(), imix.sessions)?;
    let kinds = Hostile::value_variants().iter();
    let traffics: Vec<_> =
        kinds.map(|&kind| (kind, kind.traffic(extent.tunnels, FRAMES))).collect();
    let mut cases = Vec::new();
    for (kind, traffic) in &traffics {
        let run = kind.run(traffic, rules.clone())?;
        cases.push((*kind, traffic.arrivals(), run, Samples::new()));
    }
    let mut common = Samples::new();
    for round in 0..=extent.rounds {
        eprintln!("weir-bench: bad input, round {round} of {}", extent.rounds);
        common.push_from(round, worker_turn(&mut common_frames, &mut common_run));
        for (_, frames, run, samples) in &mut cases {
            samples.push_from(round, worker_turn(frames, run));
        }
    }
    let counts = !extent.is_quick && instructions::is_installed();
    if counts {
        eprintln!("weir-bench: instructions of bad input, in valgrind");
    }
    outcome.section("Bad input");
    outcome.row(Row { what: "common path".into(), ns: common.clone(), ..Row::default() });
    for (kind, _, _, ns) in cases {
        let ratio = ns.over(&common).median();
        let instructions = if counts { Some(instructions::of_bad_input(kind)?) } else { None };
        outcome.figure(&format!("bad_input_{}_to_common", kind.name()), ratio);
        outcome.row(Row {
            what: kind.title().into(),
            ns,
            instructions,
            ratio: Some((ratio, "common path")),
            ..Row::default()
        });
    }
    Ok(())
}

/// Nanoseconds per packet of the worker alone: where input makes it hand slices over early, the judge
/// hears them meanwhile, as it would on another core.
fn worker_turn(frames: &mut [Frame<'_>], run: &mut EngineRun) -> f64 {
    let judged = run.judged().took;
    let packets = (PASSES * frames.len()) as f64;
    let ns = turn(frames, |frames| run.engine_pass(frames));
    let ns = ns - (run.judged().took - judged).as_nanos() as f64 / packets;
    run.judge();
    ns
}
