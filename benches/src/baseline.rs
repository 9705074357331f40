//! The gate: instructions per packet beside those that were written down. Times drift on a shared
//! machine; these do not.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use toml::{Table, Value};

use crate::instructions::{self, Subject};

/// How much more than written down is let pass, in percent.
pub const GROWTH: f64 = 5.0;

/// The command that writes a new baseline.
pub const RENEWAL: &str =
    "cargo run --release --locked -p weir-benches --bin weir-bench -- gate --renew";

/// What is written down.
fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

/// Counts every subject's instructions and compares them with the baseline, or writes them down.
///
/// # Errors
/// When a subject takes too many; the message names the subjects and the way to renew the baseline.
pub fn gate(renew: bool) -> anyhow::Result<()> {
    if !instructions::is_installed() {
        println!("skipped: {} is not installed", instructions::PROGRAM);
        return Ok(());
    }
    let mut counted = Vec::new();
    for subject in Subject::ALL {
        counted.push((subject.name(), instructions::per_packet(subject)?));
    }
    if renew {
        let path = path();
        return std::fs::write(&path, written(&counted, &compiler()))
            .with_context(|| format!("can't write {}", path.display()));
    }
    let path = path();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("can't read {}; to write it: {RENEWAL}", path.display()))?;
    let baseline: Table = text.parse()?;
    let verdict = compare(&baseline, &counted)?;
    println!("{}", verdict.table);
    if verdict.grown.is_empty() {
        return Ok(());
    }
    let compilers = match baseline.get("compiler").and_then(Value::as_str) {
        Some(then) if then != compiler() => {
            format!(" The baseline is of {then}, this is {}.", compiler())
        }
        _ => String::new(),
    };
    bail!(
        "more than {GROWTH} % above benches/instructions.toml: {}.{compilers} If that is worth it, \
         renew the baseline and say why in the commit: {RENEWAL}",
        verdict.grown.join(", ")
    )
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let words = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    words.unwrap_or_default().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The baseline as it is written down.
fn written(counted: &[(&str, f64)], compiler: &str) -> String {
    let mut text = format!(
        "# Instructions per packet, of n4 per message. `make test` fails at {GROWTH} % more. To renew:\n\
         # {RENEWAL}\n\
         compiler = \"{compiler}\"\n\n\
         [instructions]\n"
    );
    for (subject, count) in counted {
        // A string takes whatever is written.
        let _ = writeln!(text, "{subject} = {count:.1}");
    }
    text
}

/// What the comparison says.
struct Verdict {
    table: String,
    grown: Vec<String>,
}

fn compare(baseline: &Table, counted: &[(&str, f64)]) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict { table: String::new(), grown: Vec::new() };
    for (subject, now) in counted {
        let then = baseline.get("instructions").and_then(|counts| counts.get(subject));
        let then = then
            .and_then(Value::as_float)
            .with_context(|| format!("no instructions.{subject} in the baseline; {RENEWAL}"))?;
        let growth = (now / then - 1.0) * 100.0;
        let hint = if growth < -GROWTH { "; renew the baseline to keep this" } else { "" };
        // A string takes whatever is written.
        let _ =
            writeln!(verdict.table, "{subject:8} {now:8.1}, was {then:8.1}: {growth:+.1} %{hint}");
        if growth > GROWTH {
            verdict.grown.push(format!("{subject} {growth:+.1} % ({then:.1} to {now:.1})"));
        }
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_five_percent_more_is_too_much() {
        let text = written(&[("engine", 600.0), ("n4", 6_000.0)], "rustc 1.95.0");
        let baseline: Table = text.parse().unwrap();
        assert_eq!(baseline["compiler"].as_str(), Some("rustc 1.95.0"));
        let grown = |engine, n4| {
            compare(&baseline, &[("engine", engine), ("n4", n4)]).unwrap().grown.join(" ")
        };
        assert_eq!(grown(600.0, 6_000.0), "");
        assert_eq!(grown(629.0, 6_299.0), "");
        assert_eq!(grown(631.0, 5_000.0), "engine +5.2 % (600.0 to 631.0)");
        assert!(grown(600.0, 6_400.0).starts_with("n4"));
    }

    #[test]
    fn a_subject_that_nobody_wrote_down_is_no_pass() {
        let baseline: Table = written(&[("engine", 600.0)], "").parse().unwrap();
        let error = compare(&baseline, &[("real", 700.0)]).err().unwrap().to_string();
        assert!(error.contains("instructions.real") && error.contains("--renew"), "{error}");
        let less = compare(&baseline, &[("engine", 500.0)]).unwrap();
        assert!(less.table.contains("renew the baseline to keep this"), "{}", less.table);
    }
}
