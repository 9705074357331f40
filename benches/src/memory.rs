//! What sessions take of memory, measured in a process of its own: the difference in
//! what the kernel says is resident.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use weir_engine::{Nanos, Signalling, SignallingSetup};

use crate::{lookup, n4};

/// The subcommand that runs [`run`].
pub const SUBCOMMAND: &str = "memory";

/// Sessions that are established.
pub const SESSIONS: u64 = 1_000_000;

/// Memory of this process that is resident, in bytes.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.context("the kernel does not say how much memory is resident")? << 10)
}

/// Establishes half of the sessions and then the other half, and prints how much memory
/// that took, as JSON.
///
/// # Errors
/// When there is no memory, or the machine did not take the sessions for what they are.
pub fn run(sessions: u64) -> anyhow::Result<()> {
    let rules = Arc::new(n4::rules()?);
    let at_first = resident()?;
    let setup = SignallingSetup { tunnels: 2 * sessions as usize, ..SignallingSetup::default() };
    let mut machine = Signalling::new(&setup)?;
    machine.set_rules(rules, Nanos(0));
    let empty = resident()?;
    let half = n4::establish(&mut machine, sessions, resident)?;
    let full = resident()?;
    n4::check(&mut machine, sessions, 0, n4::GAP)?;
    drop(machine);
    let before = resident()?;
    let (access, [table, usage]) = lookup::access(2 * sessions as u32)?;
    let bare = resident()?;
    drop(access);
    let figures = json!({
        "sessions": sessions,
        "empty": empty - at_first,
        "half": half - at_first,
        "full": full - at_first,
        "table": table,
        "table_resident": bare - before,
        "usage": usage,
    });
    println!("{figures}");
    Ok(())
}

/// The figures that [`run`] prints in a process of its own.
///
/// # Errors
/// When that process fails; its own words are on the standard error.
pub fn measure() -> anyhow::Result<Value> {
    let output = Command::new(std::env::current_exe()?)
        .args([SUBCOMMAND, "--sessions", &SESSIONS.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("can't start the process for memory")?;
    if !output.status.success() {
        bail!("the process for memory ended with {}", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
