//! Figures of the packet path in memory: the engine beside the parse-only walk, on several mixes.

use std::hint::black_box;
use std::sync::Arc;

use weir_engine::Frame;
use weir_engine::rules::Rules;

use crate::counting_allocator::allocations;
use crate::engine_run::EngineRun;
use crate::extent::Extent;
use crate::instructions::{self, Subject};
use crate::machine;
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::traffic::{self, Traffic};
use crate::turn::{PASSES, turn};
use crate::walk::walk_pass;

/// Frames, an engine of their own, and what it took.
struct Case<'a> {
    frames: Vec<Frame<'a>>,
    run: EngineRun,
    ns: Samples,
    judge: Samples,
    allocated: u64,
}

impl<'a> Case<'a> {
    fn new(traffic: &'a Traffic, rules: Arc<Rules>) -> anyhow::Result<Self> {
        Ok(Self {
            frames: traffic.arrivals(),
            run: EngineRun::new(traffic.link, rules, traffic.sessions)?,
            ns: Samples::new(),
            judge: Samples::new(),
            allocated: 0,
        })
    }

    fn measure(&mut self, round: usize) {
        let (before, judged) = (allocations(), self.run.judged().took);
        let ns = turn(&mut self.frames, |frames| self.run.engine_pass(frames));
        self.ns.push_from(round, ns);
        self.allocated += if round > 0 { allocations() - before } else { 0 };
        self.run.judge();
        let took = self.run.judged().took - judged;
        self.judge.push_from(round, took.as_nanos() as f64 / (PASSES * self.frames.len()) as f64);
    }

    fn allocations_per_packet(&self, rounds: usize) -> f64 {
        self.allocated as f64 / (rounds * PASSES * self.frames.len()) as f64
    }
}

/// The engine beside the parse-only walk, and on other mixes than the headline's.
///
/// # Errors
/// When the engine or valgrind can't start.
pub fn packet_path(extent: &Extent, imix: &Traffic, outcome: &mut Outcome) -> anyhow::Result<()> {
    machine::pin(extent.core)?;
    let rounds = extent.rounds;
    let small = Traffic::small(extent.tunnels, extent.frames);
    let real = Traffic::real(extent.tunnels, extent.frames);
    let mixed = Traffic::mixed(extent.frames)?;
    let rules = Arc::new(traffic::rules()?);
    let case = |traffic| Case::new(traffic, rules.clone());
    let mut on_imix = case(imix)?;
    let mut others = [case(&small)?, case(&real)?, case(&mixed)?];
    let mut walked_frames = imix.arrivals();
    let mut walk = Samples::new();
    let mut walk_turn = |round| {
        let ns = turn(&mut walked_frames, |frames| {
            black_box(walk_pass(frames));
        });
        walk.push_from(round, ns);
    };
    // Round 0 warms up, and whoever is first in one round is second in the next.
    for round in 0..=rounds {
        eprintln!("weir-bench: packet path, round {round} of {rounds}");
        if round % 2 == 0 {
            walk_turn(round);
            on_imix.measure(round);
        } else {
            on_imix.measure(round);
            walk_turn(round);
        }
        others.iter_mut().for_each(|case| case.measure(round));
    }
    let [engine_instructions, real_instructions, walk_instructions] = instructions_per_packet()?;
    let ratio = on_imix.ns.over(&walk).median();
    outcome.figure("engine_ns_per_packet", on_imix.ns.median());
    outcome.figure("parse_ns_per_packet", walk.median());
    outcome.figure("engine_to_parse_ratio", ratio);
    outcome.figure("judge_ns_per_packet", on_imix.judge.median());
    outcome.figure("engine_instructions_per_packet", engine_instructions.unwrap_or(f64::NAN));
    outcome.figure("engine_real_instructions_per_packet", real_instructions.unwrap_or(f64::NAN));
    outcome.figure("parse_instructions_per_packet", walk_instructions.unwrap_or(f64::NAN));
    let all = std::iter::once(&on_imix).chain(&others);
    let allocated = all.map(|case| case.allocations_per_packet(rounds)).sum();
    outcome.figure("allocations_per_packet", allocated);
    outcome.section("Packet path, in memory");
    outcome.row(Row {
        what: "parse-only walk, IMIX".into(),
        ns: walk,
        instructions: walk_instructions,
        ..Row::default()
    });
    let allocations = on_imix.allocations_per_packet(rounds);
    outcome.row(Row {
        what: "engine, IMIX".into(),
        ns: on_imix.ns.clone(),
        instructions: engine_instructions,
        allocations: Some(allocations),
        ratio: Some((ratio, "parse")),
        ..Row::default()
    });
    let names = [
        ("64-byte", "small", None),
        ("real sizes", "real", real_instructions),
        ("all links on one tap", "mixed", None),
    ];
    for (case, (title, name, instructions)) in others.into_iter().zip(names) {
        outcome.figure(&format!("engine_{name}_ns_per_packet"), case.ns.median());
        let ratio = case.ns.over(&on_imix.ns).median();
        outcome.row(Row {
            what: format!("engine, {title}"),
            allocations: Some(case.allocations_per_packet(rounds)),
            ns: case.ns,
            instructions,
            ratio: Some((ratio, "IMIX")),
            ..Row::default()
        });
    }
    outcome.row(Row { what: "judge, IMIX".into(), ns: on_imix.judge, ..Row::default() });
    Ok(())
}

/// Of the engine on both mixes and of the walk; none without valgrind, which is then said.
fn instructions_per_packet() -> anyhow::Result<[Option<f64>; 3]> {
    if !instructions::is_installed() {
        eprintln!("weir-bench: no instruction counts: install package valgrind to get them");
        return Ok([None; 3]);
    }
    eprintln!("weir-bench: instructions, in valgrind");
    Ok([
        Some(instructions::per_packet(Subject::Engine)?),
        Some(instructions::per_packet(Subject::RealMix)?),
        Some(instructions::per_packet(Subject::Walk)?),
    ])
}
