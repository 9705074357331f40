//! Figures of signalling: what a message of N4 costs, what G-PDUs lose to N4 on the
//! same worker, and what sessions take of memory.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::{Frame, Nanos, Signalling, SignallingSetup};

use crate::counting_allocator::allocations;
use crate::engine_run::EngineRun;
use crate::instructions::{self, Subject};
use crate::n4::{self, GAP, Load, MESSAGES};
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::traffic::{self, N4_SHARE, Traffic};
use crate::{machine, memory};

/// Sessions of a pass: at [`GAP`] they take longer than any of them, or of their
/// transactions, is remembered, so that a pass begins as the one before did.
const SESSIONS: u64 = 300_000;

/// Passes over the frames in one round.
const PASSES: usize = 8;

/// Whole lives of sessions through the session machine on one core.
///
/// # Errors
/// When the machine did not take them for what they are.
pub fn messages(rounds: usize, core: usize, outcome: &mut Outcome) -> anyhow::Result<()> {
    machine::pin(core)?;
    let mut load = Load::cycles(1, SESSIONS);
    let mut signalling = Signalling::new(&SignallingSetup::default())?;
    signalling.set_rules(Arc::new(n4::rules()?), Nanos(0));
    let mut start = traffic::START;
    let mut ns = Samples::new();
    let mut allocated = 0;
    for round in 0..=rounds {
        eprintln!("weir-bench: N4, round {round} of {rounds}");
        let before = allocations();
        let began = Instant::now();
        load.n4_pass(&mut signalling, start, GAP);
        ns.push_from(round, began.elapsed().as_nanos() as f64 / load.len() as f64);
        allocated += if round > 0 { allocations() - before } else { 0 };
        start = start.plus(load.span(GAP));
        load.count_on();
    }
    let lives = SESSIONS * (rounds as u64 + 1);
    n4::check(&mut signalling, lives, lives, GAP)?;
    let per_message = allocated as f64 / (rounds * load.len()) as f64;
    let counted = if instructions::is_installed() {
        eprintln!("weir-bench: instructions of N4, in valgrind");
        Some(instructions::per_packet(Subject::N4)?)
    } else {
        None
    };
    outcome.figure("n4_ns_per_message", ns.median());
    outcome.figure("n4_messages_per_second", 1e9 / ns.median());
    outcome.figure("n4_instructions_per_message", counted.unwrap_or(f64::NAN));
    outcome.figure("n4_allocations_per_message", per_message);
    outcome.row(Row {
        what: "N4, a message".into(),
        ns,
        instructions: counted,
        allocations: Some(per_message),
        ..Row::default()
    });
    Ok(())
}

/// G-PDUs of the mix with N4 among them, beside the mix alone, on one worker.
///
/// # Errors
/// When the engine can't start.
pub fn packets_with_n4(
    rounds: usize,
    imix: &Traffic,
    core: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    machine::pin(core)?;
    let rules = Arc::new(n4::rules()?);
    let mut alone = EngineRun::new(imix.link, rules.clone(), imix.sessions)?;
    let mut among = EngineRun::new(imix.link, rules, imix.sessions)?;
    let len = imix.arrivals().len();
    let needed = (rounds + 1) * PASSES * (len / N4_SHARE);
    let n4_frames: Vec<Vec<u8>> = n4::frames(1, needed.div_ceil(MESSAGES) as u64).collect();
    let mut signalled = n4_frames.iter();
    let [mut without, mut with, mut ratio, mut judged_ratio] = [const { Samples::new() }; 4];
    for round in 0..=rounds {
        eprintln!("weir-bench: G-PDUs with N4, round {round} of {rounds}");
        let mut took = [Duration::ZERO; 2];
        let judged_before = [alone.judged().took, among.judged().took];
        for pass in 0..PASSES {
            let mut frames = imix.arrivals();
            let ahead = ((round * PASSES + pass) * len) as u64 * traffic::GAP.0;
            frames.iter_mut().for_each(|frame| frame.meta.time.0 += ahead);
            let mut mixed: Vec<Frame<'_>> = frames.clone();
            for place in mixed.iter_mut().skip(N4_SHARE - 1).step_by(N4_SHARE) {
                let Some(bytes) = signalled.next() else { break };
                place.bytes = bytes;
                place.meta.wire_len = bytes.len() as u32;
            }
            // Whoever is first in one pass is second in the next.
            for n4_turn in [pass % 2 == 0, pass % 2 == 1] {
                let (run, frames) =
                    if n4_turn { (&mut among, &mixed) } else { (&mut alone, &frames) };
                let began = Instant::now();
                run.engine_pass(black_box(frames));
                took[usize::from(n4_turn)] += began.elapsed();
                run.judge();
            }
        }
        let judge = [alone.judged().took, among.judged().took];
        let packets = (PASSES * len) as f64;
        let [bare, n4] = took.map(|took| took.as_nanos() as f64 / packets);
        let judges = [0, 1].map(|i| (judge[i] - judged_before[i]).as_nanos() as f64 / packets);
        without.push_from(round, bare);
        with.push_from(round, n4);
        let g_pdus = 1.0 - 1.0 / N4_SHARE as f64;
        ratio.push_from(round, g_pdus * bare / n4);
        judged_ratio.push_from(round, g_pdus * (bare + judges[0]) / (n4 + judges[1]));
    }
    n4_was_heard(&among, needed)?;
    outcome.figure("gpdu_rate_with_n4", ratio.median());
    outcome.figure("gpdu_rate_with_n4_one_core", judged_ratio.median());
    outcome.row(Row { what: "engine, IMIX, policy of N4".into(), ns: without, ..Row::default() });
    outcome.row(Row {
        what: "engine, IMIX with 1 % N4".into(),
        ns: with,
        ratio: Some((ratio.median(), "the G-PDU rate")),
        ..Row::default()
    });
    Ok(())
}

/// Fails unless the session machine got most of the messages; the last slice stays open.
fn n4_was_heard(run: &EngineRun, messages: usize) -> anyhow::Result<()> {
    let lives = run.sessions_established();
    let least = (messages / MESSAGES) as u64 * 8 / 10;
    anyhow::ensure!(lives >= least, "{lives} sessions were established and not {least}");
    Ok(())
}

/// What a million sessions take.
///
/// # Errors
/// When the process that establishes them fails.
pub fn sizes(outcome: &mut Outcome) -> anyhow::Result<()> {
    eprintln!("weir-bench: memory of {} sessions", memory::SESSIONS);
    let sizes = memory::measure()?;
    let bytes = |name: &str| sizes[name].as_f64().unwrap_or(f64::NAN);
    let sessions = memory::SESSIONS as f64;
    let mib = bytes("full") / f64::from(1 << 20);
    // The table is touched everywhere before it is half full.
    outcome.figure("session_bytes", (bytes("full") - bytes("half")) / (sessions / 2.0));
    outcome.figure("session_bytes_with_tunnels", bytes("full") / sessions);
    outcome.figure("sessions_memory_mib_1m", mib);
    outcome.figure("sessions_memory_mib_empty", bytes("empty") / f64::from(1 << 20));
    outcome.figure("tunnel_table_bytes_per_tunnel", bytes("table") / (2.0 * sessions));
    outcome.figure("usage_bytes_per_tunnel", bytes("usage") / (2.0 * sessions));
    outcome.figure("flow_bytes", bytes("flow"));
    outcome.line(format!(
        "1,000,000 sessions: {mib:.0} MiB, {:.0} bytes a session; a tunnel {:.1} bytes in the \
         table and {:.1} for each worker",
        bytes("full") / sessions,
        bytes("table") / (2.0 * sessions),
        bytes("usage") / (2.0 * sessions),
    ));
    Ok(())
}
