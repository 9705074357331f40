//! Figures of where frames come from: captures, beside other programs that read them, and DPDK's
//! device that repeats a capture, beside testpmd.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use weir_mem::FileMap;

use crate::decode::{self, ns_per_packet};
use crate::device::{self, Device};
use crate::engine_run::EngineRun;
use crate::extent::Extent;
use crate::file_source;
use crate::outcome::{Outcome, Row};
use crate::peers::Peer;
use crate::rounds::Samples;
use crate::testpmd;
use crate::traffic::{self, Traffic};

/// Passes over a capture in one round.
const PASSES: usize = 8;

/// The capture reader, alone and before the engine, then whole programs over a longer capture.
///
/// # Errors
/// When a capture can't be written or a program fails.
pub fn captures(extent: &Extent, imix: &Traffic, outcome: &mut Outcome) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("imix.pcap");
    imix.write(&capture)?;
    outcome.section("Captures");
    reader(extent.rounds, &capture, imix, outcome)?;
    Traffic::imix(extent.tunnels, extent.read).write(&capture)?;
    decoders(extent, &capture, outcome)?;
    programs(extent, &capture, outcome)
}

fn reader(
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
        let mut engine = EngineRun::new(imix.link, rules.clone(), imix.sessions)?;
        both.push_from(round, file_source::read_and_inspect(&map, PASSES, &mut engine)?.ns());
    }
    outcome.figure("file_reader_mpps", 1e3 / reader.median());
    outcome.figure("file_source_mpps", 1e3 / both.median());
    outcome.row(Row { what: "capture reader".into(), ns: reader, ..Row::default() });
    outcome.row(Row { what: "capture reader → engine".into(), ns: both, ..Row::default() });
    Ok(())
}

/// `weir decode`, beside tshark on the same capture.
fn decoders(extent: &Extent, capture: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Some(weir) = decode::weir() else {
        outcome.absent("weir decode", "build weir in the same profile");
        return Ok(());
    };
    let compares = decode::has_tshark();
    if !compares {
        outcome.absent(decode::TSHARK, "install package tshark");
    }
    let [mut ours, mut theirs] = [const { Samples::new() }; 2];
    for round in 1..=extent.slow_rounds {
        eprintln!("weir-bench: decode to text, round {round} of {}", extent.slow_rounds);
        ours.push(decode::measure(&weir, capture, extent.read)?);
        if compares {
            theirs.push(decode::measure_tshark(capture, extent.read)?);
        }
    }
    let ratio = theirs.over(&ours).median();
    outcome.figure("decode_ns_per_packet", ours.median());
    outcome.figure("tshark_ns_per_packet", theirs.median());
    outcome.figure("decode_to_tshark_ratio", ratio);
    if compares {
        let what = "tshark -T fields".into();
        outcome.row(Row { what, ns: theirs, is_peer: true, ..Row::default() });
    }
    outcome.row(Row {
        what: "weir decode".into(),
        ns: ours,
        ratio: compares.then_some((ratio, "tshark's rate")),
        ..Row::default()
    });
    Ok(())
}

/// `weir replay`, and the other programs that read captures.
fn programs(extent: &Extent, capture: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let weir = decode::weir();
    let mut replay = Samples::new();
    let (present, absent): (Vec<Peer>, Vec<Peer>) =
        Peer::ALL.into_iter().partition(|peer| peer.is_installed());
    for peer in absent {
        outcome.absent(peer.program(), &format!("install package {}", peer.package()));
    }
    let mut peers: Vec<_> = present.into_iter().map(|peer| (peer, Samples::new())).collect();
    for round in 1..=extent.slow_rounds {
        eprintln!("weir-bench: readers of captures, round {round} of {}", extent.slow_rounds);
        for (peer, samples) in &mut peers {
            samples.push(peer.measure(capture, extent.read)?);
        }
        if let Some(weir) = &weir {
            replay.push(ns_per_packet(Command::new(weir).arg("replay").arg(capture), extent.read)?);
        }
    }
    for (peer, ns) in peers {
        let name = peer.program().to_lowercase();
        outcome.figure(&format!("{name}_ns_per_packet"), ns.median());
        let what = peer.program().into();
        outcome.row(Row { what, ns, is_peer: true, ..Row::default() });
    }
    if weir.is_some() {
        outcome.figure("replay_ns_per_packet", replay.median());
        let what = "weir replay, start and end included".into();
        outcome.row(Row { what, ns: replay, ..Row::default() });
    }
    Ok(())
}

/// The engine behind DPDK's device that repeats a capture, beside testpmd on the same device.
///
/// # Errors
/// When a capture can't be written, or the device gives nothing.
pub fn devices(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Behind DPDK, net_pcap with infinite_rx");
    if !testpmd::is_installed() {
        outcome.absent(testpmd::PROGRAM, "install package dpdk-dev");
    }
    let folder = tempfile::tempdir()?;
    let captures = [
        ("1k", Traffic::imix(extent.tunnels, 1 << 10)),
        ("64k", Traffic::imix(extent.tunnels, 1 << 16)),
        ("64k_n4", Traffic::imix_with_n4(extent.tunnels, 1 << 16)),
    ];
    for (name, traffic) in captures {
        let capture = folder.path().join(format!("imix-{name}.pcap"));
        traffic.write(&capture)?;
        let device = Device::repeating(&capture, traffic.frames().len());
        device_beside_testpmd(extent, &device, name, outcome)?;
    }
    Ok(())
}

fn device_beside_testpmd(
    extent: &Extent,
    device: &Device,
    name: &str,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let rounds = extent.slow_rounds;
    let compares = testpmd::is_installed();
    let [mut engine, mut bare] = [const { Samples::new() }; 2];
    for round in 1..=rounds {
        eprintln!("weir-bench: net_pcap of {name} frames, round {round} of {rounds}");
        if compares {
            bare.push(testpmd::measure(device, extent.core, extent.other)?);
        }
        engine.push(device::measure(device, extent)?);
    }
    let ratio = bare.over(&engine).median();
    outcome.figure(&format!("dpdk_engine_ns_per_packet_{name}"), engine.median());
    outcome.figure(&format!("testpmd_ns_per_packet_{name}"), bare.median());
    outcome.figure(&format!("dpdk_to_testpmd_ratio_{name}"), ratio);
    let title = name.replace("_n4", " with 1 % N4");
    testpmd::rows(&title, bare, engine, outcome);
    Ok(())
}
