//! `weir-bench`: the packet path's cost, as a table and as `bench.json`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use weir_benches::counting_allocator::allocations;
use weir_benches::engine_run::EngineRun;
use weir_benches::instructions::{self, Subject};
use weir_benches::outcome::{Outcome, Row};
use weir_benches::rounds::Samples;
use weir_benches::traffic::{self, Traffic, again};
use weir_benches::walk::walk_pass;
use weir_benches::{
    decode, device, file_source, machine, memory, overload, reshard, search, signalling_figures,
    skew, testpmd, tunnel_figures,
};
use weir_engine::Frame;
use weir_mem::FileMap;

/// Measures what a packet costs, beside the least that it could.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Rounds, in which all subjects take their turn.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Tunnels of the Internet mix.
    #[arg(long, default_value_t = 10_000)]
    tunnels: u32,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/bench.json")]
    out: PathBuf,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program runs of itself in processes apart.
#[derive(Debug, Subcommand)]
enum Part {
    /// Polls a DPDK device that repeats a capture; prints nanoseconds per packet.
    Device {
        #[arg(long)]
        capture: PathBuf,
        #[arg(long)]
        frames: usize,
        #[arg(long)]
        tunnels: u32,
        #[arg(long)]
        core: usize,
        #[arg(long)]
        millis: u64,
    },
    /// Deals a DPDK device's frames out to workers' rings; prints nanoseconds per packet of that,
    /// and the share of packets that found a ring full.
    Reshard {
        #[arg(long)]
        capture: PathBuf,
        #[arg(long)]
        frames: usize,
        #[arg(long)]
        workers: usize,
        #[arg(long)]
        core: usize,
        #[arg(long)]
        other: usize,
        #[arg(long)]
        millis: u64,
    },
    /// Measures spreading only.
    Spreading,
    /// Does the work whose instructions valgrind counts.
    Instructions {
        #[arg(long)]
        subject: Subject,
        #[arg(long)]
        passes: usize,
    },
    /// Establishes sessions; prints how much memory they take.
    Memory {
        #[arg(long)]
        sessions: u64,
    },
    /// Measures signalling and tunnels only.
    Signalling,
    /// Shows where every frame goes when more comes than a worker can inspect.
    Overload(overload::Options),
    /// Looks for the rates at which nothing, and 0.1 %, is lost.
    Search(search::Options),
}

/// Frames of the mix: more than the second-level cache holds.
const FRAMES: usize = 1 << 16;

/// Passes over the frames in one round.
const PASSES: usize = 8;

/// Frames that are decoded to text: so many that a program's start is a small part.
const DECODED: usize = 200_000;

/// Workers that the receive thread deals out to.
const RINGS: usize = 4;

/// How long the engine is measured on a device in one round.
const DEVICE_SPAN: Duration = Duration::from_millis(1_000);

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.part {
        None | Some(Part::Signalling | Part::Spreading) => bench(&options),
        Some(Part::Reshard { capture, frames, workers, core, other, millis }) => {
            let span = Duration::from_millis(*millis);
            let (ns, full) = reshard::deal(capture, (*frames, *workers), (*core, *other), span)?;
            println!("{ns} {full}");
            Ok(())
        }
        Some(Part::Device { capture, frames, tunnels, core, millis }) => {
            let span = Duration::from_millis(*millis);
            println!("{}", device::poll(capture, (*frames, *tunnels), *core, span)?);
            Ok(())
        }
        Some(Part::Instructions { subject, passes }) => instructions::run(*subject, *passes),
        Some(Part::Memory { sessions }) => memory::run(*sessions),
        Some(Part::Overload(options)) => options.run(),
        Some(Part::Search(options)) => options.run(),
    }
}

fn bench(options: &Options) -> anyhow::Result<()> {
    let cores = machine::cores()?;
    // The last core: the first takes most interrupts.
    let (&other, &core) = match cores.as_slice() {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => anyhow::bail!("the kernel names no core; it must be able to say its affinity"),
    };
    let mut outcome = Outcome::default();
    outcome.circumstance("machine", machine::description(cores.len()));
    outcome.circumstance("tunnels", options.tunnels.into());
    outcome.circumstance("frames", FRAMES.into());
    outcome.circumstance("rounds", options.rounds.into());

    eprintln!("weir-bench: {FRAMES} frames over {} tunnels", options.tunnels);
    let imix = Traffic::imix(options.tunnels, FRAMES);
    let rounds = options.rounds;
    let is_whole = options.part.is_none();
    if is_whole || matches!(options.part, Some(Part::Spreading)) {
        spreading(options, (core, other), &mut outcome)?;
    }
    if matches!(options.part, Some(Part::Spreading)) {
        println!("{outcome}");
        return outcome.write(&options.out);
    }
    if is_whole {
        apart(|| packet_path(rounds, &imix, core, &mut outcome))?;
    }
    apart(|| signalling_figures::packets_with_n4(rounds, &imix, core, &mut outcome))?;
    apart(|| signalling_figures::messages(rounds, core, &mut outcome))?;
    signalling_figures::sizes(&mut outcome)?;
    apart(|| tunnel_figures::look_ups(rounds, core, &mut outcome))?;
    apart(|| tunnel_figures::growth(rounds, &imix, core, &mut outcome))?;
    if is_whole {
        sources(options, &imix, (core, other), &mut outcome)?;
    }
    println!("{outcome}");
    outcome.write(&options.out)?;
    eprintln!("weir-bench: figures in {}", options.out.display());
    Ok(())
}

/// Threads that measure are pinned one by one, so that others are not.
fn apart(measure: impl FnOnce() -> anyhow::Result<()> + Send) -> anyhow::Result<()> {
    std::thread::scope(|scope| scope.spawn(measure).join())
        .map_err(|_| anyhow::anyhow!("a measurement ended early"))?
}

/// Where frames come from: files and devices, and the decoders of files.
fn sources(
    options: &Options,
    imix: &Traffic,
    (core, other): (usize, usize),
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("imix.pcap");
    imix.write(&capture)?;
    files(options.rounds, &capture, imix, outcome)?;
    decoders(options, folder.path(), outcome)?;
    for (name, frames) in [("1k", 1 << 10), ("64k", 1 << 16)] {
        let capture = folder.path().join(format!("imix-{name}.pcap"));
        Traffic::imix(options.tunnels, frames).write(&capture)?;
        devices(options, &capture, (name, frames), (core, other), outcome)?;
    }
    Ok(())
}

/// What a receive thread costs, and what becomes of skewed traffic.
fn spreading(
    options: &Options,
    cores: (usize, usize),
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, frames) in [("1k", 1 << 10), ("64k", 1 << 16)] {
        let capture = folder.path().join(format!("imix-{name}.pcap"));
        Traffic::imix(options.tunnels, frames).write(&capture)?;
        let (mut dealing, mut fullest) = (Samples::new(), 0.0_f64);
        for round in 1..=options.rounds {
            eprintln!("weir-bench: receive thread, {name}, round {round} of {}", options.rounds);
            let (ns, full) = reshard::measure(&capture, (frames, RINGS), cores, DEVICE_SPAN)?;
            dealing.push(ns);
            fullest = fullest.max(full);
        }
        let figure = match name {
            "1k" => "reshard_rx_ns_per_packet".to_owned(),
            _ => format!("reshard_rx_ns_per_packet_{name}"),
        };
        outcome.figure(&figure, dealing.median());
        outcome.row(Row {
            what: format!("receive thread beyond the poll, net_pcap {name}"),
            ns: dealing,
            ..Row::default()
        });
        outcome.line(format!(
            "receive thread, {name}: at most {:.2} % of the frames found a ring full",
            fullest * 100.0
        ));
    }
    skew::shares(outcome);
    Ok(())
}

/// A subject's turn: nanoseconds per packet over [`PASSES`] passes.
fn turn(frames: &mut [Frame<'_>], mut pass: impl FnMut(&[Frame<'_>])) -> f64 {
    let mut took = Duration::ZERO;
    for _ in 0..PASSES {
        let began = Instant::now();
        pass(black_box(frames));
        took += began.elapsed();
        again(frames);
    }
    took.as_nanos() as f64 / (PASSES * frames.len()) as f64
}

/// The engine beside the parse-only walk.
fn packet_path(
    rounds: usize,
    imix: &Traffic,
    core: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    machine::pin(core)?;
    let mixed = Traffic::mixed(FRAMES)?;
    let rules = Arc::new(traffic::rules()?);
    let (mut frames, mut mixed_frames) = (imix.arrivals(), mixed.arrivals());
    let mut engine = EngineRun::new(imix.link, rules.clone(), imix.tunnels)?;
    let mut mixed_engine = EngineRun::new(mixed.link, rules, mixed.tunnels)?;
    let [mut on_imix, mut on_mixed, mut walk, mut judge] = [const { Samples::new() }; 4];
    let [mut allocated, mut mixed_allocated] = [0, 0];
    // Round 0 warms up, and whoever is first in one round is second in the next.
    for round in 0..=rounds {
        eprintln!("weir-bench: packet path, round {round} of {rounds}");
        for subject in
            [[Subject::Walk, Subject::Engine], [Subject::Engine, Subject::Walk]][round % 2]
        {
            match subject {
                Subject::Walk => {
                    let ns = turn(&mut frames, |frames| {
                        black_box(walk_pass(frames));
                    });
                    walk.push_from(round, ns);
                }
                _ => {
                    let (before, judged) = (allocations(), engine.judged().took);
                    let ns = turn(&mut frames, |frames| engine.engine_pass(frames));
                    on_imix.push_from(round, ns);
                    allocated += if round > 0 { allocations() - before } else { 0 };
                    engine.judge();
                    let took = engine.judged().took - judged;
                    judge.push_from(round, took.as_nanos() as f64 / (PASSES * FRAMES) as f64);
                }
            }
        }
        let before = allocations();
        let ns = turn(&mut mixed_frames, |frames| mixed_engine.engine_pass(frames));
        on_mixed.push_from(round, ns);
        mixed_allocated += if round > 0 { allocations() - before } else { 0 };
        mixed_engine.judge();
    }
    let per_packet = |count: u64| count as f64 / (rounds * PASSES * FRAMES) as f64;
    let [engine_instructions, walk_instructions] = instructions_per_packet()?;
    let ratio = on_imix.over(&walk).median();
    outcome.figure("engine_ns_per_packet", on_imix.median());
    outcome.figure("parse_ns_per_packet", walk.median());
    outcome.figure("engine_to_parse_ratio", ratio);
    outcome.figure("engine_mixed_ns_per_packet", on_mixed.median());
    outcome.figure("judge_ns_per_packet", judge.median());
    outcome.figure("allocations_per_packet", per_packet(allocated + mixed_allocated));
    outcome.figure("engine_instructions_per_packet", engine_instructions.unwrap_or(f64::NAN));
    outcome.figure("parse_instructions_per_packet", walk_instructions.unwrap_or(f64::NAN));
    let mixed_ratio = on_mixed.over(&walk).median();
    outcome.row(Row {
        what: "parse-only walk, IMIX".into(),
        ns: walk,
        instructions: walk_instructions,
        ..Row::default()
    });
    outcome.row(Row {
        what: "engine, IMIX".into(),
        ns: on_imix,
        instructions: engine_instructions,
        allocations: Some(per_packet(allocated)),
        ratio: Some((ratio, "parse")),
    });
    outcome.row(Row {
        what: "engine, all links on one tap".into(),
        ns: on_mixed,
        allocations: Some(per_packet(mixed_allocated)),
        ratio: Some((mixed_ratio, "parse")),
        ..Row::default()
    });
    outcome.row(Row { what: "judge, IMIX".into(), ns: judge, ..Row::default() });
    Ok(())
}

/// Of the engine and of the walk; none without valgrind, which is then said.
fn instructions_per_packet() -> anyhow::Result<[Option<f64>; 2]> {
    if !instructions::is_installed() {
        eprintln!("weir-bench: no instruction counts: install valgrind to get them");
        return Ok([None; 2]);
    }
    eprintln!("weir-bench: instructions, in valgrind");
    Ok([
        Some(instructions::per_packet(Subject::Engine)?),
        Some(instructions::per_packet(Subject::Walk)?),
    ])
}

/// The capture reader, alone and before the engine.
fn files(
    rounds: usize,
    capture: &Path,
    imix: &Traffic,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let map = FileMap::open(capture)?;
    let rules = Arc::new(traffic::rules()?);
    let [mut reader, mut both] = [const { Samples::new() }; 2];
    for round in 0..=rounds {
        eprintln!("weir-bench: file source, round {round} of {rounds}");
        reader.push_from(round, file_source::read(&map, PASSES)?.ns());
        // The same times come again with every pass, hence an engine for each round.
        let mut engine = EngineRun::new(imix.link, rules.clone(), imix.tunnels)?;
        both.push_from(round, file_source::read_and_inspect(&map, PASSES, &mut engine)?.ns());
    }
    outcome.figure("file_reader_mpps", 1e3 / reader.median());
    outcome.figure("file_source_mpps", 1e3 / both.median());
    outcome.row(Row { what: "capture reader".into(), ns: reader, ..Row::default() });
    outcome.row(Row { what: "capture reader → engine".into(), ns: both, ..Row::default() });
    Ok(())
}

/// `weir decode`, beside tshark on the same capture.
fn decoders(options: &Options, folder: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Some(weir) = decode::weir() else {
        eprintln!("weir-bench: no decoder to measure: build weir in the same profile first");
        return Ok(());
    };
    let compares = decode::has_tshark();
    if !compares {
        eprintln!("weir-bench: no {0} to compare with: install package {0}", decode::TSHARK);
    }
    let capture = folder.join("decode.pcap");
    Traffic::imix(options.tunnels, DECODED).write(&capture)?;
    let [mut ours, mut theirs] = [const { Samples::new() }; 2];
    for round in 1..=options.rounds {
        eprintln!("weir-bench: decode to text, round {round} of {}", options.rounds);
        ours.push(decode::measure(&weir, &capture, DECODED)?);
        if compares {
            theirs.push(decode::measure_tshark(&capture, DECODED)?);
        }
    }
    let ratio = theirs.over(&ours).median();
    outcome.figure("decode_ns_per_packet", ours.median());
    outcome.figure("tshark_ns_per_packet", theirs.median());
    outcome.figure("decode_to_tshark_ratio", ratio);
    if compares {
        outcome.row(Row { what: "tshark -T fields".into(), ns: theirs, ..Row::default() });
    }
    outcome.row(Row {
        what: "weir decode".into(),
        ns: ours,
        ratio: compares.then_some((ratio, "tshark's rate")),
        ..Row::default()
    });
    Ok(())
}

/// The engine behind DPDK, beside testpmd on the same device.
fn devices(
    options: &Options,
    capture: &Path,
    (name, frames): (&str, usize),
    (core, other): (usize, usize),
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let rounds = options.rounds;
    let compares = testpmd::is_installed();
    if !compares {
        eprintln!("weir-bench: no {} to compare with: install package dpdk", testpmd::PROGRAM);
    }
    let [mut engine, mut bare] = [const { Samples::new() }; 2];
    for round in 1..=rounds {
        eprintln!("weir-bench: net_pcap of {name} frames, round {round} of {rounds}");
        if compares {
            bare.push(testpmd::measure(capture, frames, core, other)?);
        }
        engine.push(device::measure(capture, (frames, options.tunnels), core, DEVICE_SPAN)?);
    }
    // The share of testpmd's rate that is kept: more is better.
    let ratio = bare.over(&engine).median();
    outcome.figure(&format!("dpdk_engine_ns_per_packet_{name}"), engine.median());
    outcome.figure(&format!("testpmd_ns_per_packet_{name}"), bare.median());
    outcome.figure(&format!("dpdk_to_testpmd_ratio_{name}"), ratio);
    if compares {
        outcome.row(Row {
            what: format!("testpmd rxonly, net_pcap {name}"),
            ns: bare,
            ..Row::default()
        });
    }
    outcome.row(Row {
        what: format!("engine behind DPDK, net_pcap {name}"),
        ns: engine,
        ratio: compares.then_some((ratio, "testpmd's rate")),
        ..Row::default()
    });
    Ok(())
}
