//! Figures of the table of tunnels: what a look-up costs among few and many.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::{Signalling, SignallingSetup};

use crate::engine_run::EngineRun;
use crate::lookup::{self, Draw, Tunnels};
use crate::machine;
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::sessions::Sessions;
use crate::traffic::{self, Traffic};

/// Sizes of the table, and their names in the figures.
const SIZES: [(u32, &str); 4] =
    [(1_000, "1k"), (100_000, "100k"), (1_000_000, "1m"), (10_000_000, "10m")];

/// Passes over the frames in one round.
const PASSES: u64 = 4;

/// A bit of the TEID that no tunnel has.
const ORPHAN: u32 = 1 << 31;

/// The passes over the table alone.
///
/// # Errors
/// When there is no memory for the tables.
pub fn look_ups(rounds: usize, core: usize, outcome: &mut Outcome) -> anyhow::Result<()> {
    machine::pin(core)?;
    let mut tables = Vec::new();
    for (tunnels, name) in SIZES {
        eprintln!("weir-bench: a table of {tunnels} tunnels");
        tables.push((name, Tunnels::new(tunnels)?, Samples::new(), Samples::new()));
    }
    for round in 0..=rounds {
        eprintln!("weir-bench: look-ups, round {round} of {rounds}");
        for (_, table, hit, miss) in &mut tables {
            hit.push_from(round, table.hit());
            miss.push_from(round, table.miss());
        }
    }
    for (name, _, hit, miss) in tables {
        outcome.figure(&format!("lookup_ns_{name}"), hit.median());
        outcome.figure(&format!("lookup_miss_ns_{name}"), miss.median());
        outcome.row(Row { what: format!("look-up, {name} tunnels"), ns: hit, ..Row::default() });
        let what = format!("look-up of none, {name} tunnels");
        outcome.row(Row { what, ns: miss, ..Row::default() });
    }
    Ok(())
}

/// An engine, the frames that it gets, and among how many tunnels theirs are drawn.
struct Subject {
    what: &'static str,
    figure: &'static str,
    run: EngineRun,
    frames: Vec<Vec<u8>>,
    tunnels: u32,
    aside: u32,
    ns: Samples,
}

/// The whole engine among few and many tunnels, and with orphans alone.
///
/// # Errors
/// When there is no memory for the tables.
pub fn growth(
    rounds: usize,
    imix: &Traffic,
    core: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    machine::pin(core)?;
    let rules = Arc::new(traffic::rules()?);
    let subject = |what, figure, tunnels, aside| -> anyhow::Result<Subject> {
        let (mut access, _) = lookup::access(Sessions::of_imix(tunnels))?;
        lookup::use_all(&mut access, Sessions::of_imix(tunnels), &rules);
        let setup = SignallingSetup { tunnels: 1 << 16, ..SignallingSetup::default() };
        let signalling = Signalling::new(&setup)?;
        Ok(Subject {
            what,
            figure,
            run: EngineRun::on(imix.link, rules.clone(), access, signalling)?,
            frames: imix.frames().to_vec(),
            tunnels,
            aside,
            ns: Samples::new(),
        })
    };
    let mut subjects = [
        subject("engine, 1 k tunnels drawn", "engine_ns_per_packet_1k", 1_000, 0)?,
        subject("engine, 10 M tunnels drawn", "engine_ns_per_packet_10m", 10_000_000, 0)?,
        subject("engine, orphans alone", "engine_orphans_ns_per_packet", 1_000, ORPHAN)?,
    ];
    let mut draw = Draw::new(5);
    for round in 0..=rounds {
        eprintln!("weir-bench: growth, round {round} of {rounds}");
        for subject in &mut subjects {
            let mut took = Duration::ZERO;
            for pass in 0..PASSES {
                let sessions = Sessions::of_imix(subject.tunnels);
                lookup::redraw(&mut subject.frames, sessions, subject.aside, &mut draw);
                let frames = lookup::arrive(&subject.frames, round as u64 * PASSES + pass);
                let began = Instant::now();
                subject.run.engine_pass(black_box(&frames));
                took += began.elapsed();
            }
            let packets = PASSES * subject.frames.len() as u64;
            subject.ns.push_from(round, took.as_nanos() as f64 / packets as f64);
            subject.run.judge();
        }
    }
    let [few, many, orphans] = &subjects;
    let all = (rounds as u64 + 1) * PASSES * few.frames.len() as u64;
    for (subject, found) in [(few, true), (many, true), (orphans, false)] {
        let attributed = subject.run.attributed();
        anyhow::ensure!(
            if found { attributed * 10 > all * 8 } else { attributed == 0 },
            "{}: {attributed} of {all} G-PDUs were found",
            subject.what,
        );
    }
    let ratio = many.ns.over(&few.ns).median();
    outcome.figure("growth_1k_to_10m", ratio);
    for subject in subjects {
        outcome.figure(subject.figure, subject.ns.median());
        let is_many = subject.tunnels == 10_000_000;
        outcome.row(Row {
            what: subject.what.into(),
            ns: subject.ns,
            ratio: is_many.then_some((ratio, "with 1 k")),
            ..Row::default()
        });
    }
    Ok(())
}
