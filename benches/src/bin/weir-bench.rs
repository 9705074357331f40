//! `weir-bench`: the packet path's cost, as a table, as a plot and as `bench.json`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use weir_benches::extent::Extent;
use weir_benches::hostile::Hostile;
use weir_benches::instructions::{self, Subject};
use weir_benches::outcome::Outcome;
use weir_benches::traffic::Traffic;
use weir_benches::{
    alert_figures, baseline, device, hostile_figures, interface_figures, machine, memory, overload,
    overload_figures, packet_figures, reshard, scaling_figures, search, signalling_figures, sizing,
    source_figures, spreading_figures, stage_figures, tunnel_figures, whole_sensor_figures,
};

/// Measures what a packet costs, beside the least that it could.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Rounds, in which all subjects take their turn; at most 5 of what takes whole seconds.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// One short round, to see that everything can be measured. Its figures are not to be quoted.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Tunnels of the mixes.
    #[arg(long, default_value_t = 100_000)]
    tunnels: u32,
    /// Where the figures go; the table as Markdown and the plot go beside them.
    #[arg(long, default_value = "target/bench/bench.json")]
    out: PathBuf,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts of the bench, and what this program runs of itself in processes apart.
#[derive(Debug, Subcommand)]
enum Part {
    /// Measures the packet path in memory only.
    Packets,
    /// Shows where a packet's nanoseconds go only.
    Stages,
    /// Measures two workers only.
    Scaling,
    /// Measures signalling and tunnels only.
    Signalling,
    /// Measures bad input only.
    BadInput,
    /// Measures captures and other programs that read them only.
    Captures,
    /// Measures DPDK's device that repeats a capture only.
    Devices,
    /// Measures the kernel's interfaces only.
    Interfaces,
    /// Measures how long alerts of the whole sensor take only.
    Latency,
    /// Measures spreading only.
    Spreading,
    /// Measures what becomes of a million alerts only.
    Alerts,
    /// Measures what the sizing sheet is made of only.
    Sizing,
    /// Counts instructions and fails where they are too many.
    Gate {
        /// Write them down instead, as what is right from now on.
        #[arg(long)]
        renew: bool,
    },
    /// Polls a DPDK device; prints nanoseconds per packet.
    Device {
        #[arg(long)]
        vdev: String,
        #[arg(long)]
        mbufs: u32,
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
    /// Does the work whose instructions valgrind counts.
    Instructions {
        #[arg(long)]
        subject: Subject,
        /// Bad input instead of the subject's frames.
        #[arg(long)]
        bad_input: Option<Hostile>,
        #[arg(long)]
        passes: usize,
    },
    /// Establishes sessions; prints how much memory they take.
    Memory {
        #[arg(long)]
        sessions: u64,
    },
    /// Shows where every frame goes when more comes than a worker can inspect.
    Overload(overload::Options),
    /// Looks for the rates at which nothing, and 0.1 %, is lost.
    Search(search::Options),
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.part {
        Some(Part::Gate { renew }) => baseline::gate(*renew),
        Some(Part::Reshard { capture, frames, workers, core, other, millis }) => {
            let span = Duration::from_millis(*millis);
            let (ns, full) = reshard::deal(capture, (*frames, *workers), (*core, *other), span)?;
            println!("{ns} {full}");
            Ok(())
        }
        Some(Part::Device { vdev, mbufs, tunnels, core, millis }) => {
            let span = Duration::from_millis(*millis);
            println!("{}", device::poll((vdev, *mbufs), *tunnels, *core, span)?);
            Ok(())
        }
        Some(Part::Instructions { subject, bad_input, passes }) => {
            instructions::run(*subject, *bad_input, *passes)
        }
        Some(Part::Memory { sessions }) => memory::run(*sessions),
        Some(Part::Overload(options)) => options.run(),
        Some(Part::Search(options)) => options.run(),
        part => bench(&options, part.as_ref()),
    }
}

/// Measures one part, or all of them in turn.
fn bench(options: &Options, part: Option<&Part>) -> anyhow::Result<()> {
    let cores = machine::cores()?;
    let (other, core) = match cores.as_slice() {
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
        [] => anyhow::bail!("the kernel names no core; it must be able to say its affinity"),
    };
    let rounds = if options.quick { 1 } else { options.rounds };
    let extent = Extent::new(rounds, options.tunnels, options.quick, (core, other));
    let mut outcome = Outcome::default();
    outcome.circumstance("machine", machine::description(cores.len()));
    extent.note(&mut outcome);

    eprintln!("weir-bench: {} frames over {} tunnels", extent.frames, extent.tunnels);
    let imix = Traffic::imix(extent.tunnels, extent.frames);
    let is_asked = |asked: fn(&Part) -> bool| part.is_none_or(asked);
    if is_asked(|part| matches!(part, Part::Packets)) {
        apart(|| packet_figures::packet_path(&extent, &imix, &mut outcome))?;
    }
    if is_asked(|part| matches!(part, Part::Stages)) {
        apart(|| stage_figures::stages(&extent, &imix, &mut outcome))?;
    }
    if is_asked(|part| matches!(part, Part::Scaling)) {
        scaling_figures::two_workers(&extent, &mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::Signalling)) {
        outcome.section("Signalling and tunnels");
        apart(|| signalling_figures::packets_with_n4(rounds, &imix, core, &mut outcome))?;
        apart(|| signalling_figures::messages(rounds, core, &mut outcome))?;
        apart(|| tunnel_figures::look_ups(rounds, core, &mut outcome))?;
        apart(|| tunnel_figures::growth(rounds, &imix, core, &mut outcome))?;
        signalling_figures::sizes(&mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::BadInput)) {
        apart(|| hostile_figures::bad_input(&extent, &mut outcome))?;
    }
    if is_asked(|part| matches!(part, Part::Captures)) {
        source_figures::captures(&extent, &imix, &mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::Devices)) {
        source_figures::devices(&extent, &mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::Spreading)) {
        spreading_figures::spreading(&extent, &mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::Interfaces)) {
        interface_figures::interfaces(&extent, &mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::Latency)) {
        whole_sensor_figures::latency(&extent, &mut outcome)?;
    }
    if part.is_none() {
        overload_figures::overload(&extent, &mut outcome)?;
    }
    if is_asked(|part| matches!(part, Part::Alerts)) {
        alert_figures::flood(&extent, &mut outcome)?;
    }
    let is_sized = is_asked(|part| matches!(part, Part::Sizing));
    if is_sized {
        sizing::measure(&extent, &mut outcome)?;
        if part.is_some() {
            signalling_figures::sizes(&mut outcome)?;
        }
    }
    println!("{outcome}");
    outcome.write(&options.out)?;
    if is_sized {
        sizing::write_sheet(&outcome, &options.out)?;
    }
    eprintln!("weir-bench: figures in {}, and for people beside them", options.out.display());
    Ok(())
}

/// Threads that measure are pinned one by one, so that others are not.
fn apart(measure: impl FnOnce() -> anyhow::Result<()> + Send) -> anyhow::Result<()> {
    std::thread::scope(|scope| scope.spawn(measure).join())
        .map_err(|_| anyhow::anyhow!("a measurement ended early"))?
}
