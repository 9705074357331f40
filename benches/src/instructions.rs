//! Instructions per packet, counted by valgrind's callgrind, which runs this
//! program again with [`SUBCOMMAND`]. They are the same on a busy machine and
//! on an idle one, hence fit to guard against slow growth.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::ValueEnum;
use weir_engine::{Nanos, Signalling, SignallingSetup};

use crate::engine_run::EngineRun;
use crate::hostile::Hostile;
use crate::n4;
use crate::traffic::{self, Traffic, again};
use crate::walk::walk_pass;

/// The subcommand that runs [`run`].
pub const SUBCOMMAND: &str = "instructions";

/// The program's name.
pub const PROGRAM: &str = "valgrind";

/// The C library copies and compares by whatever the processor offers. Without this, counts would
/// differ from machine to machine.
const PLAIN: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX_Fast_Unaligned_Load,\
                     -ERMS,-FSRM,-BMI1,-BMI2,-LZCNT,-MOVBE,-POPCNT,-SSE4_1,-SSE4_2,-SSSE3,\
                     -Fast_Unaligned_Copy,-Prefer_No_VZEROUPPER";

/// Frames of a pass, and passes of the short run, which close one slice together.
pub(crate) const FRAMES: usize = 25_600;
pub(crate) const PASSES: usize = 4;
const TUNNELS: u32 = 10_000;
/// Sessions whose lives a pass of N4 tells, so slowly that those of the pass before are
/// forgotten meanwhile.
const SESSIONS: usize = 4_000;
const N4_GAP: Nanos = Nanos(1_000_000);

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Subject {
    /// The whole engine on the Internet mix, all of whose frames take the common path.
    Engine,
    /// The whole engine on the mix of real sizes.
    RealMix,
    /// The parse-only walk.
    Walk,
    /// The session machine.
    N4,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Engine, Self::RealMix, Self::Walk, Self::N4];

    /// The function between whose start and end instructions count.
    fn function(self) -> &'static str {
        match self {
            Subject::Engine | Subject::RealMix => "*engine_pass*",
            Subject::Walk => "*walk_pass*",
            Subject::N4 => "*n4_pass*",
        }
    }

    /// Its name on the command line and in the baseline.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Engine => "engine",
            Subject::RealMix => "real-mix",
            Subject::Walk => "walk",
            Subject::N4 => "n4",
        }
    }

    /// Packets, or messages, of a pass.
    fn len(self) -> usize {
        match self {
            Subject::Engine | Subject::RealMix | Subject::Walk => FRAMES,
            Subject::N4 => SESSIONS * n4::MESSAGES,
        }
    }
}

/// Whether valgrind is there.
pub fn is_installed() -> bool {
    crate::machine::has_program(PROGRAM)
}

/// Instructions per packet: the difference of a run twice as long, so that
/// whatever happens once does not count.
///
/// # Errors
/// When valgrind can't run this program or says no count.
pub fn per_packet(subject: Subject) -> anyhow::Result<f64> {
    difference(subject, None)
}

/// The same of the engine with bad input.
///
/// # Errors
/// When valgrind can't run this program or says no count.
pub fn of_bad_input(kind: Hostile) -> anyhow::Result<f64> {
    difference(Subject::Engine, Some(kind))
}

fn difference(subject: Subject, bad: Option<Hostile>) -> anyhow::Result<f64> {
    let long = count(subject, bad, 2 * PASSES)?;
    let short = count(subject, bad, PASSES)?;
    if long <= short {
        bail!("{PROGRAM} counted {short} and {long} instructions; is the function inlined?");
    }
    let packets = bad.map_or(subject.len(), |kind| kind.traffic(TUNNELS, FRAMES).frames().len());
    Ok((long - short) as f64 / (PASSES * packets) as f64)
}

fn count(subject: Subject, bad: Option<Hostile>, passes: usize) -> anyhow::Result<u64> {
    total(&callgrind(subject, bad, passes, &[])?)
}

/// What callgrind writes of a subject's passes, counted with more options.
pub(crate) fn callgrind(
    subject: Subject,
    bad: Option<Hostile>,
    passes: usize,
    options: &[&str],
) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind.out");
    let output = Command::new(PROGRAM)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("GLIBC_TUNABLES", PLAIN)
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .args(options)
        .arg(format!("--toggle-collect={}", subject.function()))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args([SUBCOMMAND, "--subject", subject.name(), "--passes", &passes.to_string()])
        .args(bad.iter().flat_map(|kind| ["--bad-input".into(), kind.argument()]))
        .stdout(Stdio::null())
        .output()
        .with_context(|| format!("can't start {PROGRAM}"))?;
    if !output.status.success() {
        bail!("{PROGRAM} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(std::fs::read_to_string(&out)?)
}

fn total(text: &str) -> anyhow::Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .with_context(|| format!("no totals in what {PROGRAM} wrote"))
}

/// The work that is counted.
///
/// # Errors
/// When the engine can't start.
pub fn run(subject: Subject, bad: Option<Hostile>, passes: usize) -> anyhow::Result<()> {
    match subject {
        Subject::Engine | Subject::RealMix | Subject::Walk => run_packets(subject, bad, passes),
        Subject::N4 => {
            let mut load = n4::Load::cycles(1, SESSIONS as u64);
            let mut machine = Signalling::new(&SignallingSetup::default())?;
            machine.set_rules(Arc::new(n4::rules()?), Nanos(0));
            let mut start = traffic::START;
            for _ in 0..passes {
                load.n4_pass(&mut machine, start, N4_GAP);
                start = start.plus(load.span(N4_GAP));
                load.count_on();
            }
            let lives = (passes * SESSIONS) as u64;
            n4::check(&mut machine, lives, lives, N4_GAP)
        }
    }
}

fn run_packets(subject: Subject, bad: Option<Hostile>, passes: usize) -> anyhow::Result<()> {
    let traffic = match (subject, bad) {
        (_, Some(kind)) => kind.traffic(TUNNELS, FRAMES),
        (Subject::RealMix, None) => Traffic::real(TUNNELS, FRAMES),
        _ => Traffic::imix(TUNNELS, FRAMES),
    };
    let rules = Arc::new(traffic::rules()?);
    let mut frames = traffic.arrivals();
    let mut engine = match bad {
        Some(kind) => kind.run(&traffic, rules)?,
        None => EngineRun::new(traffic.link, rules, traffic.sessions)?,
    };
    for _ in 0..passes {
        match subject {
            Subject::Walk => {
                black_box(walk_pass(black_box(&frames)));
            }
            _ => engine.engine_pass(black_box(&frames)),
        }
        again(&mut frames);
    }
    Ok(())
}
