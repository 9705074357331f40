//! How long alerts of the whole sensor take, by its own metric: `weir-sensor` and `weir-control` on a
//! veth pair, at four fifths of the rate up to which nothing is lost there.

use std::time::Duration;

use anyhow::Context;
use weir_engine::Nanos;

use crate::exposition::{Exposition, Histogram};
use crate::overload::equipment_frame;
use crate::search::{self, Limit, Trial};
use crate::sessions::Sessions;
use crate::site::{Cores, Sent, Site};
use crate::traffic::{self, GAP, Traffic};

/// The share of that rate that is sent.
const LOAD: f64 = 0.8;

/// Between two packets that each raise an alert: not in step with the slices of 20 ms, so that the
/// packets come at twenty places of theirs.
const APART: Nanos = Nanos(23_000_000);

/// How long the alerts may take to be stored.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at how busy the worker is.
const SAMPLE: Duration = Duration::from_millis(500);

const LATENCY: &str = "weir_detection_latency_seconds";
const RECEIVED: &str = "weir_received_packets_total";
const INSPECTED: &str = "weir_inspected_packets_total";
const NOT_INSPECTED: &str = "weir_not_inspected_packets_total";
const ALERTS: &str = "weir_alerts_total";

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Frames that the interface's ring holds: what waits there has not arrived yet.
    pub ring: u32,
    /// Where.
    pub cores: Cores,
    /// Tunnels of the mix, and its G-PDUs; the next pass has other sessions and tunnels.
    pub tunnels: u32,
    /// See [`Plan::tunnels`].
    pub frames: usize,
    /// The search for the rate up to which nothing is lost.
    pub search: search::Plan,
    /// How long is sent at four fifths of it.
    pub span: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The rate up to which nothing was lost, and what limited it.
    pub throughput: f64,
    /// See [`Measured::throughput`].
    pub limit: Limit,
    /// Users' packets and N4 that were sent, and those of equipment that each raise an alert.
    pub sent: Sent,
    /// See [`Measured::sent`].
    pub provoking: u64,
    /// How long alerts took.
    pub latency: Histogram,
    /// New alerts: that equipment exchanges data, and all but those that no frame makes.
    pub egress_alerts: f64,
    /// See [`Measured::egress_alerts`].
    pub alerts: f64,
    /// Frames by the sensor's counters.
    pub received: f64,
    /// Of them, inspected.
    pub inspected: f64,
    /// Of them, not inspected, whatever the reason.
    pub not_inspected: f64,
    /// The share of its busiest second in which the worker was busy.
    pub busy: f64,
}

impl Measured {
    /// Frames a second that were sent.
    pub fn rate(&self) -> f64 {
        self.sent.frames as f64 / self.sent.seconds
    }

    /// Frames that were sent and that the sensor knows nothing of.
    pub fn unknown(&self) -> f64 {
        (self.sent.frames + self.provoking) as f64 - self.received
    }
}

/// Searches for the rate, and measures at four fifths of it with a sensor that was just started. None
/// if frames were lost at every rate.
///
/// # Errors
/// When a program fails, or the sensor's counters contradict each other.
pub fn measure(plan: &Plan) -> anyhow::Result<Option<Measured>> {
    let mix = Traffic::imix(plan.tunnels, plan.frames);
    let mut frames = crate::sessions::frames(Sessions::of_imix(plan.tunnels));
    frames.extend(mix.into_frames());
    let passes = |rate: f64, span: Duration| {
        (rate * span.as_secs_f64() / frames.len() as f64).ceil().max(1.0) as u32
    };
    // The capture's frames are as far apart as a million a second.
    let speed = |rate: f64| rate * GAP.0 as f64 / 1e9;

    let mut site = Site::start(plan.ring, plan.cores)?;
    let capture = site.file("mix.pcap");
    traffic::write(&frames, GAP, &capture)?;
    let mut before = site.settled()?;
    let found = search::throughput(&plan.search, |asked| {
        let passes = passes(asked, plan.search.trial);
        let sent = site.send(&capture, speed(asked), passes)?.finish()?;
        let after = site.settled()?;
        let inspected = after.sum(INSPECTED, &[]) - before.sum(INSPECTED, &[]);
        before = after;
        let lost = sent.frames.saturating_sub(inspected as u64);
        Ok(Trial { asked, offered: sent.frames, lost, seconds: sent.seconds })
    })?;
    drop(site);
    if found.rate == 0.0 {
        return Ok(None);
    }

    let mut site = Site::start(plan.ring, plan.cores)?;
    let (capture, provocation) = (site.file("mix.pcap"), site.file("equipment.pcap"));
    traffic::write(&frames, GAP, &capture)?;
    let rate = LOAD * found.rate;
    let passes = passes(rate, plan.span);
    let seconds = f64::from(passes) * frames.len() as f64 / rate;
    let peers = (seconds * 1e9 / APART.0 as f64) as u16;
    let equipment: Vec<_> = (0..peers).map(equipment_frame).collect();
    traffic::write(&equipment, APART, &provocation)?;
    let before = site.settled()?;
    let mut users = site.send(&capture, speed(rate), passes)?;
    let provoking = site.send(&provocation, 1.0, 1)?;
    let mut busy = 0_f64;
    while users.is_running()? {
        std::thread::sleep(SAMPLE);
        busy = busy.max(site.metrics()?.sum("weir_worker_busy_ratio", &[]));
    }
    let (sent, provoking) = (users.finish()?, provoking.finish()?.frames);
    let egress = |metrics: &Exposition| metrics.sum(ALERTS, &["detection=\"EGR-NOTALLOWED\""]);
    // Those that do not come are told by their number.
    site.await_metrics(PATIENCE, |metrics| egress(metrics) >= f64::from(peers))?;
    let after = site.settled()?;
    let since = |name, labels: &[&str]| after.sum(name, labels) - before.sum(name, labels);
    let made_by_no_frame = since(ALERTS, &["detection=\"OPS-BLIND\""]);
    let measured = Measured {
        throughput: found.rate,
        limit: found.limit,
        sent,
        provoking,
        latency: after.histogram(LATENCY),
        egress_alerts: egress(&after),
        alerts: since(ALERTS, &[]) - made_by_no_frame,
        received: since(RECEIVED, &[]),
        inspected: since(INSPECTED, &[]),
        not_inspected: since(NOT_INSPECTED, &[]),
        busy,
    };
    let counted_before = before.histogram(LATENCY).count();
    anyhow::ensure!(counted_before == 0.0, "{counted_before} alerts before anything was sent");
    measured.check().with_context(|| format!("{measured:?}"))?;
    Ok(Some(measured))
}

impl Measured {
    /// The identity of the sensor's counters, and that the histogram tells of every alert.
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.received == self.inspected + self.not_inspected,
            "received is not inspected and the reasons"
        );
        anyhow::ensure!(self.unknown() >= 0.0, "more was received than was sent");
        anyhow::ensure!(self.latency.count() == self.alerts, "the histogram has not every alert");
        Ok(())
    }
}
