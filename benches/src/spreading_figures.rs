//! Figures of spreading: what a receive thread costs, and what becomes of skewed traffic.

use crate::extent::Extent;
use crate::outcome::{Outcome, Row};
use crate::rounds::Samples;
use crate::traffic::Traffic;
use crate::{reshard, skew};

/// Workers that the receive thread deals out to.
const RINGS: usize = 4;

/// A receive thread on captures of both lengths, then the shares of skewed traffic.
///
/// # Errors
/// When a capture can't be written, or the device gives nothing.
pub fn spreading(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Spreading");
    let folder = tempfile::tempdir()?;
    let cores = (extent.core, extent.other);
    for (name, frames) in [("1k", 1 << 10), ("64k", 1 << 16)] {
        let capture = folder.path().join(format!("imix-{name}.pcap"));
        Traffic::imix(extent.tunnels, frames).write(&capture)?;
        let (mut dealing, mut fullest) = (Samples::new(), 0.0_f64);
        for round in 1..=extent.slow_rounds {
            let rounds = extent.slow_rounds;
            eprintln!("weir-bench: receive thread, {name}, round {round} of {rounds}");
            let (ns, full) = reshard::measure(&capture, (frames, RINGS), cores, extent.span)?;
            dealing.push(ns);
            fullest = fullest.max(full);
        }
        let figure = match name {
            "1k" => "reshard_rx_ns_per_packet".to_owned(),
            _ => format!("reshard_rx_ns_per_packet_{name}"),
        };
        outcome.figure(&figure, dealing.median());
        outcome.row(Row {
            what: format!("receive thread beyond the poll, {name}"),
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
