//! How frames come to the workers, and how busy who polls is.

use prometheus::proto::MetricType;
use weir_engine::contract::spreading::{N4Way, Spreading};
use weir_engine::contract::words::RING_FILLS;
use weir_engine::frame::BURST;
use weir_engine::shed::FLOWS;

use super::{Families, Values};
use crate::live::{Live, Load};

/// What is obtained of each port.
pub(super) fn ports(live: &Live, families: &mut Families) {
    let names = live.greeting.iter().flat_map(|greeting| &greeting.ports);
    families.gauge(
        "weir_port_spreading_info",
        "By what a port's frames are spread over workers, and how N4 comes to one.",
        names.zip(&live.counts.ports).map(|(port, words)| {
            let spreading = Spreading::of_word(words.spreading).name();
            let n4 = N4Way::of_word(words.n4_way).name();
            (vec![("n4", n4), ("port", port.as_str()), ("spreading", spreading)], 1.0)
        }),
    );
}

/// The load of workers and receive threads, their bursts, and the rings between them.
pub(super) fn threads(live: &Live, families: &mut Families) {
    let counts = &live.counts;
    let (workers, receivers) = (numbers(live.busy.len()), numbers(live.receiving.len()));
    families.gauge(
        "weir_worker_busy_ratio",
        "Share of the last second that a worker spent on frames.",
        ratios("worker", &workers, &live.busy),
    );
    families.gauge(
        "weir_receiver_busy_ratio",
        "Share of the last second that a receive thread spent on frames.",
        ratios("receiver", &receivers, &live.receiving),
    );
    let by_worker = || workers.iter().zip(&counts.workers);
    families.gauge(
        "weir_shed_ratio",
        "Share of users' flows that a worker with too much to do leaves out just now.",
        by_worker().map(|(worker, words)| {
            (vec![("worker", worker.as_str())], words.shed_share as f64 / f64::from(FLOWS))
        }),
    );
    families.counter(
        "weir_overloads_total",
        "How often a worker began to have more to do than it can.",
        by_worker().map(|(worker, words)| (vec![("worker", worker.as_str())], words.overloads)),
    );
    families.histogram(
        "weir_burst_packets",
        "Workers' polls by the number of frames that they brought.",
        [(vec![], bursts(counts.workers.iter().map(|worker| &worker.bursts)))],
    );
    families.histogram(
        "weir_receiver_burst_packets",
        "Receive threads' polls by the number of frames that they brought.",
        [(vec![], bursts(counts.receivers.iter().map(|receiver| &receiver.bursts)))],
    );
    let fills = by_worker().flat_map(|(worker, words)| {
        let (n4, users) = words.ring_fills.split_at(RING_FILLS.len());
        [("n4", n4), ("users", users)]
            .map(|(ring, polls)| (vec![("ring", ring), ("worker", worker.as_str())], polls))
    });
    let metrics = fills.map(|(labels, polls)| fill(polls).metric(labels)).collect();
    families.add(
        "weir_ring_fill_ratio",
        "A worker's polls by how full the fullest of its rings was: full ones lose frames.",
        MetricType::HISTOGRAM,
        metrics,
    );
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn ratios<'a>(
    label: &'static str,
    numbers: &'a [String],
    loads: &'a [Load],
) -> impl Iterator<Item = (super::Labels<'a>, f64)> {
    numbers
        .iter()
        .zip(loads)
        .map(move |(number, load)| (vec![(label, number.as_str())], load.ratio))
}

fn bursts<'a>(threads: impl Iterator<Item = &'a [u64; BURST + 1]>) -> Values {
    let mut polls = [0_u64; BURST + 1];
    for thread in threads {
        polls.iter_mut().zip(thread).for_each(|(sum, more)| *sum += more);
    }
    let mut from = 0;
    let buckets = [0, 1, 2, 4, 8, 16, 32, BURST]
        .into_iter()
        .map(|bound| {
            let count = polls[from..=bound].iter().sum();
            from = bound + 1;
            (bound as f64, count)
        })
        .collect();
    let frames: u64 =
        polls.iter().zip(0_u64..).map(|(count, size)| count.saturating_mul(size)).sum();
    Values { buckets, rest: 0, sum: frames as f64 }
}

/// Each poll counts as the upper bound of its bucket in the sum.
fn fill(polls: &[u64]) -> Values {
    let bounds = RING_FILLS.map(|fill| fill as f64 / 64.0);
    let buckets: Vec<(f64, u64)> = bounds.into_iter().zip(polls.iter().copied()).collect();
    let sum = buckets.iter().map(|(bound, polls)| bound * *polls as f64).sum();
    Values { buckets, rest: 0, sum }
}
