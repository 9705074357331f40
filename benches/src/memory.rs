//! What sessions take of memory, measured in a process of its own: the difference in
//! what the kernel says is resident.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::rules::Link;
use weir_engine::track::{FlowDelta, FlowKey, Side};
use weir_engine::{Judge, Nanos, Report, Signalling, SignallingSetup, TapId};
use weir_wire::Address;

use crate::sessions::{self, Sessions};
use crate::{lookup, n4, traffic};

/// The subcommand that runs [`run`].
pub const SUBCOMMAND: &str = "memory";

/// Sessions that are established.
pub const SESSIONS: u64 = 1_000_000;

/// Flows of equipment, fewer than are kept, and of a slice.
const FLOWS: u32 = 200_000;
const FLOWS_AT_ONCE: u32 = 10_000;

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
    let flow = flow_octets()?;
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
    let (access, [table, usage]) = lookup::access(Sessions::of_imix(2 * sessions as u32))?;
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
        "flow": flow,
    });
    println!("{figures}");
    Ok(())
}

/// What the judge's table takes for a flow of equipment, each with a peer of its own.
fn flow_octets() -> anyhow::Result<f64> {
    let rules = Arc::new(n4::rules()?);
    let mut judge = Judge::new([], Signalling::new(&SignallingSetup::default())?);
    judge.set_rules(rules, Nanos(0), &mut |_| {});
    let mut report = Report::with_room();
    let (first, last) = (traffic::START, traffic::START);
    let side = Side { packets: 1, bytes: 100, first, last, ..Side::default() };
    let before = resident()?;
    for slice in 0..FLOWS / FLOWS_AT_ONCE {
        let peers = (0..FLOWS_AT_ONCE).map(|n| 0xcb00_0000 + slice * FLOWS_AT_ONCE + n);
        report.flows.clear();
        report.flows.extend(peers.map(|peer| FlowDelta {
            key: FlowKey {
                low: Address::v4(sessions::GNB),
                high: Address::v4(peer.to_be_bytes()),
                low_port: 40_000,
                high_port: 443,
                protocol: 6,
                fragments: false,
            },
            up: side,
            down: Side::default(),
            tap: TapId(0),
            link: Link::Oam,
            given: Link::Oam,
            is_gtp_or_pfcp: false,
            tunnels: (None, None),
            inner: None,
        }));
        let begin = Nanos(traffic::START.0 + u64::from(slice));
        let reports = std::slice::from_ref(&report);
        judge.slice(begin, begin.plus(Nanos(1)), reports, &Vitals::default(), &mut |_| {});
    }
    anyhow::ensure!(judge.words().flows == u64::from(FLOWS), "{} flows", judge.words().flows);
    Ok(resident()?.saturating_sub(before) as f64 / f64::from(FLOWS))
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
