//! Figures of the whole sensor's latency of alerts.

use std::time::Duration;

use crate::extent::Extent;
use crate::outcome::Outcome;
use crate::search::{self, Limit};
use crate::site::{Cores, Site};
use crate::whole_sensor::{self, Plan};

/// What 99 of 100 alerts may take, milliseconds.
const TARGET: f64 = 50.0;

/// Frames of the interface's ring: ten milliseconds and more of what comes, since a shared machine's
/// kernel takes the worker's core away for some.
const RING: u32 = 4_096;

/// Latency of alerts at four fifths of the rate up to which nothing is lost.
///
/// # Errors
/// When a program fails, or frames or alerts are not accounted for.
pub fn latency(extent: &Extent, outcome: &mut Outcome) -> anyhow::Result<()> {
    outcome.section("Alerts of the whole sensor, a veth pair");
    let alone =
        || (!extent.has_two_cores()).then(|| "a sender needs a core beside the worker's".into());
    if let Some(why) = Site::obstacle().or_else(alone) {
        eprintln!("weir-bench: latency: skipped: {why}");
        outcome.line(format!("skipped: {why}"));
        return Ok(());
    }
    let quick = extent.is_quick;
    eprintln!("weir-bench: latency of alerts, the whole sensor");
    let measured = whole_sensor::measure(&Plan {
        ring: RING,
        cores: Cores { worker: extent.core, others: extent.other },
        tunnels: 2_000,
        frames: 1 << 16,
        search: search::Plan {
            trial: Duration::from_millis(if quick { 200 } else { 300 }),
            resolution: if quick { 0.2 } else { 0.05 },
            most: 1e6,
            attempts: if quick { 3 } else { 5 },
        },
        span: Duration::from_secs(if quick { 2 } else { 15 }),
    })?;
    let Some(measured) = measured else {
        outcome.absent("latency", "frames were lost at every rate: give it two quiet cores");
        return Ok(());
    };
    let latency = &measured.latency;
    let [median, most, bound, mean] =
        [latency.quantile(0.5), latency.quantile(0.99), latency.bound(0.99), latency.mean()]
            .map(|seconds| seconds * 1e3);
    for (name, value) in [
        ("p50", median),
        ("p99", most),
        ("p99_at_most", bound),
        ("mean", mean),
        ("p99_target", TARGET),
    ] {
        outcome.figure(&format!("sensor_alert_latency_ms_{name}"), value);
    }
    outcome.figure("sensor_alerts", measured.alerts);
    outcome.figure("sensor_alerts_expected", measured.provoking as f64);
    outcome.figure("sensor_throughput_mfps", measured.throughput / 1e6);
    outcome.figure("sensor_load_mfps", measured.rate() / 1e6);
    outcome.figure("sensor_worker_busy_ratio", measured.busy);
    outcome.figure("sensor_frames_not_inspected", measured.not_inspected);
    outcome.figure("sensor_frames_unknown", measured.unknown());
    outcome.line(format!(
        "no frame lost up to {:.3} Mfps through AF_PACKET ({}); sent {:.3} Mfps for \
         {:.0} s, {} frames and {} of equipment: {} received, {} inspected, {} not, {} unknown to the sensor",
        measured.throughput / 1e6,
        match measured.limit {
            Limit::Engine => "above it some were",
            Limit::Generator => "the sender sends no more",
            Limit::Bound => "more was not tried",
        },
        measured.rate() / 1e6,
        measured.sent.seconds,
        measured.sent.frames,
        measured.provoking,
        measured.received,
        measured.inspected,
        measured.not_inspected,
        measured.unknown(),
    ));
    outcome.line(format!(
        "weir_detection_latency_seconds: {} of {} alerts, {mean:.1} ms in the mean, {median:.1} ms in the median, \
         99 % within {most:.1} ms, and surely within {bound:.1} ms; target: at most {TARGET:.0} ms: {}",
        measured.egress_alerts,
        measured.provoking,
        if bound <= TARGET { "kept" } else { "missed" },
    ));
    outcome.line(format!(
        "core {}: the worker alone, busy {:.0} % of its busiest second; core {}: the senders, the kernel's end of the pair, the judge, weir-control; not in these times: \
         at most {:.1} ms in the interface's ring",
        extent.core,
        measured.busy * 100.0,
        extent.other,
        f64::from(RING) / measured.rate() * 1e3,
    ));
    Ok(())
}
