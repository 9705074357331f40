//! Shared memory as Prometheus sees it: metric families are made at each
//! scrape from the sensor's words. Every series that can be known is there from
//! the start, as 0; with the sensor away the last known values stay, and
//! `weir_sensor_up` is 0.

mod door;
mod evidence;
mod n4;
mod sinks;
mod spread;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Registry, TextEncoder};
use weir_analytics::memory::Kind;
use weir_engine::contract::verdict::Severity;
use weir_engine::contract::words::{
    BalanceStatus, Reason, SampleFate, Table, fragment_names, reassembly_names,
};
use weir_engine::detect::CATALOGUE;
use weir_engine::record::ERRORS;
use weir_shm::Loss;
use weir_wire::{gtpu, pfcp};

use crate::counts::{Counts, error_names};
use crate::live::{Live, Shared, lock};
use crate::progress::Lost;
use crate::site;

/// The registry with its one collector.
#[derive(Clone)]
pub struct Exposition {
    registry: Arc<Registry>,
}

impl Exposition {
    /// Over the shared state.
    pub fn of(shared: Shared) -> Self {
        let registry = Registry::new();
        // The only collector can't be registered twice.
        let _ = registry.register(Box::new(Memory { shared }));
        Self { registry: Arc::new(registry) }
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// If a family contradicts itself.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

struct Memory {
    shared: Shared,
}

impl Collector for Memory {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut live = lock(&self.shared);
        live.refresh();
        families(&live)
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Families in the making.
#[derive(Default)]
struct Families(Vec<MetricFamily>);

impl Families {
    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(name.into());
        family.set_help(help.into());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) {
        let metric = |(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_counter(counter);
            metric
        };
        self.add(name, help, MetricType::COUNTER, series.into_iter().map(metric).collect());
    }

    fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        let metric = |(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_gauge(gauge);
            metric
        };
        self.add(name, help, MetricType::GAUGE, series.into_iter().map(metric).collect());
    }

    fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'a>, Values)>,
    ) {
        let metrics = series.into_iter().map(|(labels, values)| values.metric(labels)).collect();
        self.add(name, help, MetricType::HISTOGRAM, metrics);
    }
}

/// What a histogram counts.
struct Values {
    /// Upper bounds with the number of values in each.
    buckets: Vec<(f64, u64)>,
    /// The number of values above all bounds.
    rest: u64,
    sum: f64,
}

impl Values {
    /// Of times in buckets of 2^(10+i) nanoseconds, the last of which is open.
    fn of_times(counts: &[u64], sum_ns: u64) -> Self {
        let (rest, bounded) = counts.split_last().unwrap_or((&0, &[]));
        let bound = |index: usize| seconds(1 << (10 + index));
        let buckets = bounded.iter().enumerate().map(|(index, count)| (bound(index), *count));
        Self { buckets: buckets.collect(), rest: *rest, sum: seconds(sum_ns) }
    }

    fn metric(self, labels: Labels<'_>) -> Metric {
        let Self { buckets, rest, sum } = self;
        let mut count = 0;
        let buckets = buckets
            .into_iter()
            .map(|(bound, values)| {
                count += values;
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound);
                bucket.set_cumulative_count(count);
                bucket
            })
            .collect();
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(count + rest);
        histogram.set_sample_sum(sum);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram);
        metric
    }
}

fn pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.into());
        pair.set_value(value.into());
        pair
    };
    labels.into_iter().map(pair).collect()
}

/// Where frames were counted: a port's queue and the worker that polls it, or,
/// for frames that no worker ever got, the port alone.
struct Place {
    port: String,
    queue: String,
    worker: String,
    received: (u64, u64),
    inspected: u64,
    not_inspected: [u64; Reason::ALL.len()],
}

impl Place {
    fn labels(&self) -> Labels<'_> {
        vec![("port", &self.port), ("queue", &self.queue), ("worker", &self.worker)]
    }
}

fn places(live: &Live) -> Vec<Place> {
    let Some(greeting) = &live.greeting else { return Vec::new() };
    let lanes = greeting.lanes.iter().zip(&live.counts.lanes).map(|(lane, words)| Place {
        port: greeting.ports.get(usize::from(lane.port)).cloned().unwrap_or_default(),
        queue: lane.queue.to_string(),
        worker: lane.worker.to_string(),
        received: (words.received_packets, words.received_bytes),
        inspected: words.inspected_packets,
        not_inspected: words.not_inspected,
    });
    let ports = greeting.ports.iter().zip(&live.counts.ports).map(|(port, words)| Place {
        port: port.clone(),
        queue: "none".into(),
        worker: "none".into(),
        received: (words.not_inspected.iter().sum(), 0),
        inspected: 0,
        not_inspected: words.not_inspected,
    });
    lanes.chain(ports).collect()
}

fn families(live: &Live) -> Vec<MetricFamily> {
    let mut families = Families::default();
    packets(live, &mut families);
    spread::ports(live, &mut families);
    spread::threads(live, &mut families);
    protocols(&live.counts, &mut families);
    n4::sessions(&live.counts.judge, &mut families);
    n4::transactions(&live.counts.judge, &mut families);
    engine(&live.counts, &mut families);
    findings(live, &mut families);
    evidence::evidence(live, &mut families);
    sinks::sinks(live, &mut families);
    door::door(live, &mut families);
    process(live, &mut families);
    families.0
}

fn packets(live: &Live, families: &mut Families) {
    let places = places(live);
    families.counter(
        "weir_received_packets_total",
        "Frames received; those that no worker got stand under queue none.",
        places.iter().map(|place| (place.labels(), place.received.0)),
    );
    families.counter(
        "weir_received_bytes_total",
        "Bytes on the wire of the frames that a worker got.",
        places.iter().map(|place| (place.labels(), place.received.1)),
    );
    families.counter(
        "weir_inspected_packets_total",
        "Frames that went through the engine.",
        places.iter().map(|place| (place.labels(), place.inspected)),
    );
    families.counter(
        "weir_not_inspected_packets_total",
        "Frames received and not inspected, each under one reason.",
        places.iter().flat_map(|place| {
            Reason::ALL.iter().zip(place.not_inspected).map(|(reason, count)| {
                let mut labels = place.labels();
                labels.insert(2, ("reason", reason.name()));
                (labels, count)
            })
        }),
    );
}

fn protocols(counts: &Counts, families: &mut Families) {
    let sum = |count: &dyn Fn(&weir_engine::contract::words::WorkerWords) -> u64| {
        counts.workers.iter().map(count).sum::<u64>()
    };
    families.counter(
        "weir_decode_errors_total",
        "Headers that could not be decoded; their frames were inspected as far as possible.",
        (0..ERRORS).map(|index| {
            let (layer, kind) = error_names(index);
            (vec![("kind", kind), ("layer", layer)], sum(&|worker| worker.decode_errors[index]))
        }),
    );
    families.counter(
        "weir_gtpu_packets_total",
        "GTP-U messages by type.",
        gtpu::Message::NAMES.iter().enumerate().map(|(index, name)| {
            (vec![("message", *name)], sum(&|worker| worker.gtpu_messages[index]))
        }),
    );
    families.counter(
        "weir_pfcp_messages_total",
        "PFCP messages by type, bundled ones each.",
        (0..pfcp::Message::COUNTERS).map(|index| {
            let name = pfcp::Message::counter_name(index);
            (vec![("message", name)], sum(&|worker| worker.pfcp_messages[index]))
        }),
    );
    families.counter(
        "weir_fragments_total",
        "Fragments by what became of them: later ones are accounted to the tunnel of their first.",
        fragment_names()
            .into_iter()
            .enumerate()
            .map(|(index, kind)| (vec![("kind", kind)], sum(&|worker| worker.fragments[index]))),
    );
    families.counter(
        "weir_reassembly_total",
        "PFCP in fragments: pieces, and the datagrams put together or given up.",
        reassembly_names()
            .into_iter()
            .enumerate()
            .map(|(index, kind)| (vec![("kind", kind)], sum(&|worker| worker.reassembly[index]))),
    );
    families.counter(
        "weir_sampled_packets_total",
        "Users' packets chosen for proof: of every copy of a packet, at whatever tap, all or none.",
        [(vec![], sum(&|worker| worker.sampled))],
    );
    let judge = &counts.judge;
    let vendors: u64 = judge.vendor_counts.iter().sum();
    families.counter(
        "weir_pfcp_vendor_elements_total",
        "Vendors' own elements in PFCP messages; a replay's summary lists them by kind.",
        [(vec![], vendors.saturating_add(judge.vendor_other))],
    );
}

fn engine(counts: &Counts, families: &mut Families) {
    let judge = &counts.judge;
    families.gauge(
        "weir_proof_digests",
        "Digests of packets chosen for proof in the table.",
        [(vec![], judge.proof_digests as f64)],
    );
    families.counter(
        "weir_proof_packets_total",
        "Packets chosen for proof by what they turned out to be.",
        SampleFate::ALL
            .into_iter()
            .zip(judge.sample_fates)
            .map(|(fate, count)| (vec![("kind", fate.name())], count)),
    );
    families.counter(
        "weir_balance_windows_total",
        "Windows of the UPFs' directions by what CNS-BALANCE could say of them.",
        BalanceStatus::ALL
            .into_iter()
            .zip(judge.balance_statuses)
            .map(|(status, count)| (vec![("status", status.name())], count)),
    );
    families.gauge(
        "weir_equipment_flows",
        "Equipment flows in the table.",
        [(vec![], judge.flows as f64)],
    );
    families.counter(
        "weir_equipment_flows_seen_total",
        "Equipment flows ever seen.",
        [(vec![], judge.flows_seen)],
    );
    families.counter(
        "weir_clock_steps_total",
        "Backward steps of packet time.",
        [(vec![], judge.clock_steps)],
    );
    families.counter(
        "weir_alerts_folded_total",
        "Observations folded into an alert already said.",
        [(vec![], judge.folded)],
    );
    families.counter(
        "weir_sightings_unreported_total",
        "Sightings and names that found no room in a report of the sensor.",
        [(vec![], judge.unreported)],
    );
    families.gauge(
        "weir_packet_timestamp_seconds",
        "Packet time up to which all was judged.",
        [(vec![], seconds(judge.packet_time))],
    );
    families.histogram(
        "weir_detection_latency_seconds",
        "Time from the arrival of the frame that made an alert to its record, grace excluded.",
        [(vec![], Values::of_times(&judge.latency, judge.latency_sum_ns))],
    );
    let version = judge.policy_version.to_string();
    families.gauge(
        "weir_policy_info",
        "The policy in force; version 0 is none.",
        [(vec![("version", version.as_str())], 1.0)],
    );
}

fn findings(live: &Live, families: &mut Families) {
    let tables = Table::ALL.iter().zip(live.counts.judge.evictions);
    let memory = Kind::ALL.map(Kind::table).into_iter().zip(live.memory_evictions);
    let stored = site::TABLES.into_iter().zip(live.given_up);
    let own = std::iter::once(("control_alerts", live.alert_evictions)).chain(memory).chain(stored);
    families.counter(
        "weir_table_evictions_total",
        "Rows given up for others, by bounded table.",
        tables
            .map(|(table, count)| (table.name(), count))
            .chain(own)
            .map(|(table, count)| (vec![("table", table)], count)),
    );
    let tally = &live.tally;
    // A series of its own would show that somebody is intercepted.
    let shown = || CATALOGUE.iter().zip(0u16..).filter(|(known, _)| !known.restricted);
    families.counter(
        "weir_alerts_total",
        "Alerts, not their updates, by the severity that they began with.",
        shown().flat_map(|(known, detection)| {
            Severity::ALL.into_iter().map(move |severity| {
                let count = tally.alerts.get(&(detection, severity)).copied().unwrap_or(0);
                (vec![("detection", known.id), ("severity", severity.name())], count)
            })
        }),
    );
    families.counter(
        "weir_alerts_suppressed_total",
        "Alerts that the policy suppresses.",
        shown().map(|(known, detection)| {
            let count = tally.suppressed.get(&detection).copied().unwrap_or(0);
            (vec![("detection", known.id)], count)
        }),
    );
    families.gauge(
        "weir_alerts",
        "Alerts of the days that are not over, suppressed ones included and restricted ones not.",
        [(vec![], live.alerts as f64)],
    );
    let ring = Loss::ALL.into_iter().map(|loss| (loss.label(), live.counts.lost.by(loss)));
    let own = Lost::ALL.into_iter().map(|lost| (lost.name(), tally.lost[lost as usize]));
    families.counter(
        "weir_events_lost_total",
        "Events lost: in the sensor for want of room in the ring, or in control.",
        ring.chain(own).map(|(reason, count)| (vec![("reason", reason)], count)),
    );
    families.gauge(
        "weir_events_unread",
        "Records in the event ring that are not stored yet.",
        [(vec![], live.unread as f64)],
    );
}

fn process(live: &Live, families: &mut Families) {
    families.gauge(
        "weir_sensor_up",
        "Whether the sensor is attached and gives signs of life.",
        [(vec![], f64::from(u8::from(live.up)))],
    );
    families.gauge(
        "weir_sensor_heartbeat_timestamp_seconds",
        "The sensor's last sign of life.",
        [(vec![], seconds(live.heartbeat))],
    );
    families.gauge(
        "weir_sensor_start_timestamp_seconds",
        "When the sensor started: counters begin anew with it.",
        [(vec![], seconds(live.started))],
    );
    families.gauge(
        "weir_build_info",
        "This program.",
        [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)],
    );
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
