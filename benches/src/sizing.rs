//! What a sizing sheet is made of: packets by their sizes and among how many tunnels, flows'
//! memory, and events.

mod events;
mod sheet;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use weir_engine::rules::Rules;
use weir_engine::{Signalling, SignallingSetup};

use crate::engine_run::EngineRun;
use crate::extent::Extent;
use crate::lookup::{self, Draw};
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::sessions::Sessions;
use crate::traffic::{self, Traffic};
use crate::{decode, machine};

/// A mix: what it is called in figures and for people, its frames, and what is established.
struct Mix {
    name: &'static str,
    title: &'static str,
    traffic: fn(u32, usize) -> Traffic,
    sessions: fn(u32) -> Sessions,
}

const MIXES: [Mix; 3] = [
    Mix {
        name: "small",
        title: "64-byte packets",
        traffic: Traffic::small,
        sessions: Sessions::of_imix,
    },
    Mix { name: "imix", title: "IMIX", traffic: Traffic::imix, sessions: Sessions::of_imix },
    Mix {
        name: "real",
        title: "real sizes",
        traffic: Traffic::real,
        sessions: Sessions::of_real_mix,
    },
];

/// Numbers of tunnels, and their names in figures and for people.
const TUNNELS: [(u32, &str, &str); 4] = [
    (1_000, "1k", "1 k"),
    (100_000, "100k", "100 k"),
    (1_000_000, "1m", "1 M"),
    (10_000_000, "10m", "10 M"),
];

/// Passes over the frames in one round; before each every frame's tunnel is drawn anew.
const PASSES: u64 = 4;

/// Measures every mix among every number of tunnels, then events.
///
/// # Errors
/// When there is no memory for the tables, or a program fails.
pub fn measure(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Sizing");
    let rules = Arc::new(traffic::rules()?);
    std::thread::scope(|scope| {
        let pinned = scope.spawn(|| -> anyhow::Result<()> {
            machine::pin(extent.core)?;
            MIXES.iter().try_for_each(|mix| grid(mix, extent, &rules, outcome))
        });
        pinned.join().map_err(|_| anyhow::anyhow!("a measurement ended early"))?
    })?;
    let Some(weir) = decode::weir() else {
        outcome
            .absent("events", "build weir and its two processes beside this program: make build");
        return Ok(());
    };
    eprintln!("weir-bench: events of a replay, round 1 of 1");
    let events = events::measure(&weir, if extent.is_quick { 1 } else { 10 })?;
    outcome.figure("events_per_second", events.per_second);
    for (kind, octets) in &events.octets {
        outcome.figure(&format!("event_octets_{kind}"), *octets);
    }
    outcome.line(format!(
        "events, from frames to lines of JSON: {:.0} a second ({} events)",
        events.per_second, events.count
    ));
    Ok(())
}

fn grid(
    mix: &Mix,
    extent: &Extent,
    rules: &Arc<Rules>,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    for (tunnels, name, count) in TUNNELS {
        eprintln!("weir-bench: sizing, {} among {count} tunnels", mix.title);
        let sessions = (mix.sessions)(tunnels);
        let (mut access, _) = lookup::access(sessions)?;
        lookup::use_all(&mut access, sessions, rules);
        let setup = SignallingSetup { tunnels: 1 << 16, ..SignallingSetup::default() };
        let traffic = (mix.traffic)(tunnels, extent.frames);
        let mut run = EngineRun::on(traffic.link, rules.clone(), access, Signalling::new(&setup)?)?;
        let mut frames = traffic.into_frames();
        let octets = frames.iter().map(Vec::len).sum::<usize>() as f64 / frames.len() as f64;
        outcome.figure(&format!("{}_frame_octets", mix.name), octets);
        let mut draw = Draw::new(11);
        let mut ns = Samples::new();
        for round in 0..=extent.slow_rounds {
            let mut took = Duration::ZERO;
            for pass in 0..PASSES {
                lookup::redraw(&mut frames, sessions, 0, &mut draw);
                let arrivals = lookup::arrive(&frames, round as u64 * PASSES + pass);
                let began = Instant::now();
                run.engine_pass(black_box(&arrivals));
                took += began.elapsed();
            }
            ns.push_from(round, took.as_nanos() as f64 / (PASSES * frames.len() as u64) as f64);
            run.judge();
        }
        let all = (extent.slow_rounds as u64 + 1) * PASSES * frames.len() as u64;
        let found = run.attributed();
        anyhow::ensure!(found * 10 > all * 8, "{}: {found} of {all} tunnels found", mix.title);
        outcome.figure(&format!("sizing_{}_{name}_ns", mix.name), ns.median());
        let what = format!("engine, {}, {count} tunnels", mix.title);
        outcome.row(Row { what, ns, ..Row::default() });
    }
    Ok(())
}

/// Writes the sheet for people beside the figures.
///
/// # Errors
/// What the file system says.
pub fn write_sheet(outcome: &Outcome, figures: &Path) -> anyhow::Result<()> {
    let path = figures.with_file_name("sizing.md");
    std::fs::write(&path, sheet::of(outcome.figures()))
        .with_context(|| format!("can't write {}", path.display()))
}
