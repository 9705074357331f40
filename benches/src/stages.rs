//! Where the common path's instructions go: counted one by one in valgrind's callgrind, and each
//! given to the stage in whose code it stands, through what the compiler has put in line.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::instructions::{FRAMES, PASSES, PROGRAM, Subject, callgrind};
use crate::machine;

/// The program that names the functions of an address, from package binutils.
const NAMER: &str = "addr2line";

/// A stage: its name in figures, what it does, and its code, by the ends of files' names and the
/// functions there; all of a file's where none is named.
struct Stage {
    name: &'static str,
    title: &'static str,
    code: &'static [(&'static str, &'static [&'static str])],
}

const STAGES: [Stage; 10] = [
    Stage {
        name: "headers",
        title: "reads the headers, each length checked",
        code: &[("engine/src/decode/common.rs", &[])],
    },
    Stage {
        name: "pair",
        title: "finds the pair of nodes and what is known of it",
        code: &[("engine/src/pairs.rs", &[])],
    },
    Stage {
        name: "closed",
        title: "looks whether a user may go there",
        code: &[("engine/src/worker/common.rs", &["goes_to_infrastructure"])],
    },
    Stage {
        name: "ask",
        title: "hashes the F-TEID, asks for its tags, keeps what the packet says",
        code: &[("engine/src/attribute.rs", &["ask", "begin"])],
    },
    Stage {
        name: "sample",
        title: "chooses samples for proof",
        code: &[("engine/src/sample.rs", &[]), ("engine/src/account.rs", &["sample"])],
    },
    Stage {
        name: "run",
        title: "adds to the pair's run",
        code: &[("engine/src/worker/common.rs", &["pass"])],
    },
    Stage {
        name: "fetch",
        title: "compares eight tags, asks for the tunnel's row and counters",
        code: &[("engine/src/attribute.rs", &["fetch"])],
    },
    Stage {
        name: "glance",
        title: "reads the tunnel's row, whose writer may be at it",
        code: &[("engine/src/tunnels/row.rs", &[]), ("engine/src/tunnels/table.rs", &["glance"])],
    },
    Stage {
        name: "count",
        title: "counts on the tunnel, with sender and QoS flow",
        code: &[("engine/src/tunnels/usage.rs", &["count"])],
    },
    Stage {
        name: "judge",
        title: "judges the sender and the user's address",
        code: &[("engine/src/attribute.rs", &["settle_known", "is_news", "counted"])],
    },
];

/// What is in none of them.
const REST: (&str, &str) = ("rest", "bursts, slices, what is told");

/// A stage's share.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// The stage's name in figures.
    pub name: &'static str,
    /// What it does.
    pub title: &'static str,
    /// Instructions per packet.
    pub instructions: f64,
}

/// Whether everything is there that this takes.
pub fn is_possible() -> bool {
    machine::has_program(PROGRAM) && machine::has_program(NAMER)
}

/// The stages of the common path with their shares, in a packet's order; the rest last.
///
/// # Errors
/// When a program can't be run or says what is not understood.
pub fn shares() -> anyhow::Result<Vec<Share>> {
    let program = std::env::current_exe()?;
    let passes = 2 * PASSES;
    let profile = callgrind(Subject::Engine, None, passes, &["--dump-instr=yes"])?;
    let counts = by_address(&profile, &program);
    let mut shares = [0; STAGES.len() + 1];
    for (stage, count) in stages(&program, &counts)?.into_iter().zip(counts.values()) {
        shares[stage] += count;
    }
    let packets = (passes * FRAMES) as f64;
    let names = STAGES.iter().map(|stage| (stage.name, stage.title)).chain([REST]);
    let share =
        |((name, title), count)| Share { name, title, instructions: count as f64 / packets };
    Ok(names.zip(shares).map(share).collect())
}

/// Instructions that were executed at each address of a program, by what callgrind wrote
/// ("Callgrind Format Specification": positions may be relative to those before, and a line
/// behind `calls=` is another function's).
fn by_address(profile: &str, program: &Path) -> BTreeMap<u64, u64> {
    let program = program.to_string_lossy();
    let mut counts = BTreeMap::new();
    let mut objects = BTreeMap::new();
    let (mut address, mut is_ours, mut is_callees) = (0_u64, false, false);
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
            let (number, name) = object.split_once(' ').unwrap_or((object, ""));
            if !name.is_empty() {
                objects.insert(number.to_owned(), name == program);
            }
            if line.starts_with("ob=") {
                is_ours = objects.get(number).copied().unwrap_or(false);
            }
        } else if line.starts_with("calls=") {
            is_callees = true;
        } else if let Some((position, count)) = cost(line) {
            address = moved(address, position);
            if is_ours && !is_callees {
                *counts.entry(address).or_default() += count;
            }
            is_callees = false;
        }
    }
    counts
}

/// The position and the count of a line of three columns.
fn cost(line: &str) -> Option<(&str, u64)> {
    let mut columns = line.split(' ');
    let (position, _line, count) = (columns.next()?, columns.next()?, columns.next()?);
    let is_position = position.starts_with(['+', '-', '*']) || position.starts_with("0x");
    (is_position && columns.next().is_none()).then_some((position, count.parse().ok()?))
}

fn moved(from: u64, position: &str) -> u64 {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap_or(0),
        None => text.parse().unwrap_or(0),
    };
    match position.split_at_checked(1) {
        Some(("+", ahead)) => from.wrapping_add(number(ahead)),
        Some(("-", back)) => from.wrapping_sub(number(back)),
        Some(("*", _)) => from,
        _ => number(position),
    }
}

/// Each address's stage, by its place in [`STAGES`].
fn stages(program: &Path, counts: &BTreeMap<u64, u64>) -> anyhow::Result<Vec<usize>> {
    let mut namer = Command::new(NAMER)
        .args(["--inlines", "--functions", "--demangle", "--addresses", "--exe"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {NAMER}"))?;
    let mut input = namer.stdin.take().context("its input is a pipe")?;
    let asked: String = counts.keys().map(|address| format!("{address:#x}\n")).collect();
    // It answers while it is asked, and neither pipe may fill up.
    let asking = std::thread::spawn(move || input.write_all(asked.as_bytes()));
    let output = namer.wait_with_output()?;
    asking.join().map_err(|_| anyhow::anyhow!("{NAMER} can't be asked"))??;
    let text = String::from_utf8(output.stdout)?;
    let stages = by_answer(&text);
    if stages.len() != counts.len() {
        bail!("{NAMER} named {} of {} addresses", stages.len(), counts.len());
    }
    Ok(stages)
}

/// The stages of addresses that were named: each is followed by the functions in which it stands
/// with their files, from the innermost one outwards.
fn by_answer(text: &str) -> Vec<usize> {
    let mut stages = Vec::new();
    let mut lines = text.lines();
    let mut is_settled = false;
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            stages.push(STAGES.len());
            is_settled = false;
        } else if let (Some(at), Some(last)) = (lines.next(), stages.last_mut())
            && !is_settled
            && let Some(stage) = stage_of(line, at)
        {
            *last = stage;
            is_settled = true;
        }
    }
    stages
}

fn stage_of(function: &str, at: &str) -> Option<usize> {
    let file = at.rsplit_once(':').map_or(at, |(file, _)| file);
    let plain = function.split('<').next().unwrap_or(function);
    let function = plain.rsplit("::").next().unwrap_or(plain);
    let has = |code: &(&str, &[&str])| {
        file.ends_with(code.0) && (code.1.is_empty() || code.1.contains(&function))
    };
    STAGES.iter().position(|stage| stage.code.iter().any(has))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_relative_and_calls_are_the_callees() {
        let profile = "\
positions: instr line
ob=(1) /usr/lib/libc.so.6
0x10 4 7
ob=(2) /bench
0x100 5 3
+4 +1 3
cob=(1)
calls=2 0x10 0
* * 900
-0x4 * 2
ob=(1)
+4 1 50
";
        let counts = by_address(profile, Path::new("/bench"));
        assert_eq!(counts, BTreeMap::from([(0x100, 5), (0x104, 3)]));
    }

    #[test]
    fn the_innermost_function_that_is_a_stages_says_which() {
        let text = "\
0x0000000000000100
from_be_bytes
/rustc/1/library/core/src/num/uint_macros.rs:923
glance
/src/dataplane/engine/src/tunnels/row.rs:203
weir_engine::attribute::settle_known
/src/dataplane/engine/src/attribute.rs:272
0x0000000000000104
weir_engine::attribute::settle_known
/src/dataplane/engine/src/attribute.rs:280
0x0000000000000108
stages<true>
/src/dataplane/engine/src/worker.rs:150 (discriminator 1)
";
        let named: Vec<_> = by_answer(text)
            .into_iter()
            .map(|stage| STAGES.get(stage).map_or(REST.0, |stage| stage.name))
            .collect();
        assert_eq!(named, ["glance", "judge", "rest"]);
    }
}
