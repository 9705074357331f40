//! Elastic's beaconing identification: every hour, what each process of each host did in the last six
//! is counted by the minute and tested for even bytes, even counts and a period. A network tells no
//! process: everything that a host does is one here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::connections::Connection;
use super::held::Statement;
use super::networks::is_within;

/// Seconds between runs.
const RUN: u64 = 3_600;
/// `time_bucket_length`, in seconds.
const BUCKET: u64 = 60;
/// `number_buckets_in_range`: six hours.
const BUCKETS: usize = 360;
/// `number_destination_ips`.
const DESTINATIONS: usize = 10;
/// `max_beaconing_bytes_cov`.
const MAX_BYTES_VARIATION: f64 = 0.05;
/// `max_beaconing_count_rv`.
const MAX_COUNT_VARIATION: f64 = 0.1;
/// `min_beaconing_count_autocovariance`.
const MIN_AUTOCOVARIANCE: f64 = 0.7;
/// `min_not_empty`.
const MIN_FILLED: f64 = 0.5;
/// `min_number_periods`.
const MIN_PERIODS: usize = 6;
/// `truncate_at`.
const TRUNCATE: (f64, f64) = (0.1, 0.8);

/// Sources that are looked at.
const INSIDE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
/// Destinations that are not. The transform also leaves out the networks for documentation and for
/// benchmarks (RFC 5737, RFC 2544); here they stand for the internet, and are looked at.
const LEFT_OUT: [&str; 15] = [
    "10.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "127.0.0.0/8",
    "192.0.0.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "100.64.0.0/10",
    "224.0.0.0/3",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
];

fn is_kept(connection: &Connection) -> bool {
    is_within(connection.source, &INSIDE) && !is_within(connection.destination, &LEFT_OUT)
}

/// What a host did, by the minute before a run, the newest first.
#[derive(Clone, Debug)]
struct Buckets {
    counts: Vec<f64>,
    sent: Vec<f64>,
    received: Vec<f64>,
}

impl Default for Buckets {
    fn default() -> Self {
        let empty = || vec![0.0; BUCKETS];
        Self { counts: empty(), sent: empty(), received: empty() }
    }
}

/// Mean and standard deviation of those that are counted; both 0 if none are.
fn moments(values: &[f64], is_counted: impl Fn(f64) -> bool) -> (f64, f64) {
    let counted = || values.iter().copied().filter(|value| is_counted(*value));
    let n = counted().count() as f64;
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let mean = counted().sum::<f64>() / n;
    (mean, (counted().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// Whether what is not zero hardly varies, its lowest tenth and its highest fifth apart.
fn varies_little(values: &[f64], at_most: f64) -> bool {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| *value != 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(most) = sorted.len().checked_sub(1) else { return false };
    let at = |share: f64| sorted[((share * sorted.len() as f64 + 0.5) as usize).min(most)];
    let (low, high) = (at(TRUNCATE.0), at(TRUNCATE.1));
    let (mean, deviation) = moments(values, |value| value >= low && value <= high);
    deviation <= at_most * mean.abs()
}

/// The greatest autocovariance of counts over all periods that would have come often enough. What is
/// periodic is so at multiples of its period too: these are averaged, which tells it from what only
/// changes slowly. The default allows no jitter, and so does this.
fn autocovariance(counts: &[f64]) -> f64 {
    let longest = counts.len() / MIN_PERIODS;
    // By period: what was averaged, and of how many.
    let mut averages = vec![(0.0_f64, 0.0_f64); longest + 1];
    for period in 2..=longest {
        let begins = (0..=counts.len() - 2 * period).step_by(period);
        let covered = period * ((counts.len() - 2 * period + 1) / period);
        let mean = match counts.get(period..covered) {
            Some(middle) if !middle.is_empty() => middle.iter().sum::<f64>() / middle.len() as f64,
            _ => 0.0,
        };
        let (mut earlier, mut later, mut both) = (0.0, 0.0, 0.0);
        for at in begins.flat_map(|begin| begin + period..begin + 2 * period) {
            let (x, y) = (counts[at] - mean, counts[at - period] - mean);
            later += x * x;
            earlier += y * y;
            both += x * y;
        }
        let scale = f64::sqrt(later * earlier);
        let covariance = if scale == 0.0 { 1.0 } else { both / scale };
        averages[period] = (covariance, 1.0);
        for part in (2..period / 2).filter(|part| period.is_multiple_of(*part)) {
            let (average, n) = &mut averages[part];
            *average = (*n * *average + covariance) / (*n + 1.0);
            *n += 1.0;
        }
    }
    averages.iter().skip(2).map(|(average, _)| *average).fold(f64::MIN, f64::max)
}

impl Buckets {
    fn add(&mut self, age: u64, connection: &Connection) {
        let at = (age / BUCKET) as usize;
        if at < BUCKETS {
            self.counts[at] += 1.0;
            self.sent[at] += connection.sent as f64;
            self.received[at] += connection.received as f64;
        }
    }

    /// `is_beaconing`: whether any of the tests holds.
    fn is_beaconing(&self) -> bool {
        let is_filled = |count: &f64| *count > 0.0;
        let Some(from) = self.counts.iter().position(is_filled) else { return false };
        let until = self.counts.iter().rposition(is_filled).map_or(from, |last| last + 1);
        let counts = &self.counts[from..until];
        let filled = counts.iter().copied().filter(|count| is_filled(count)).count();
        if counts.len() < 2 * MIN_PERIODS || filled < MIN_PERIODS + 1 {
            return false;
        }
        let each = |bytes: &[f64]| -> Vec<f64> {
            let bytes = bytes[from..until].iter().zip(counts);
            bytes.map(|(bytes, count)| if *count > 0.0 { bytes / count } else { 0.0 }).collect()
        };
        let are_bytes_even = |bytes: &[f64]| {
            let bytes = each(bytes);
            bytes.iter().filter(|value| **value != 0.0).count() > MIN_PERIODS
                && varies_little(&bytes, MAX_BYTES_VARIATION)
        };
        let is_dense = filled > (MIN_FILLED * counts.len() as f64) as usize;
        are_bytes_even(&self.sent)
            || are_bytes_even(&self.received)
            || (is_dense && varies_little(counts, MAX_COUNT_VARIATION))
            || autocovariance(counts) >= MIN_AUTOCOVARIANCE
    }
}

/// The destinations that a run names: it keeps twice as many as it names, and where there are more the
/// rarest gives its place and its count to the next.
#[derive(Default)]
struct Destinations(BTreeMap<IpAddr, u64>);

impl Destinations {
    fn add(&mut self, destination: IpAddr) {
        let mut count = 0;
        if !self.0.contains_key(&destination) && self.0.len() == 2 * DESTINATIONS {
            let rarest = self.0.iter().min_by_key(|(_, count)| **count).map(|(ip, _)| *ip);
            count = rarest.and_then(|ip| self.0.remove(&ip)).unwrap_or_default();
        }
        *self.0.entry(destination).or_insert(count) += 1;
    }

    fn named(self) -> Vec<IpAddr> {
        let mut by_count: Vec<(IpAddr, u64)> = self.0.into_iter().collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        by_count.into_iter().take(DESTINATIONS).map(|(destination, _)| destination).collect()
    }
}

/// What Elastic says of these connections if it runs at every full hour. An endpoint reports a
/// connection when it is over.
pub(super) fn statements(connections: &[Connection]) -> Vec<Statement> {
    let mut log: Vec<&Connection> = connections.iter().filter(|it| is_kept(it)).collect();
    log.sort_by_key(|it| it.end);
    let second = |time: u64| time / 1_000_000_000;
    let (Some(first), Some(last)) = (log.first(), log.last()) else { return Vec::new() };
    let mut said = Vec::new();
    for run in second(first.end) / RUN + 1..=second(last.end) / RUN + 1 {
        let now = run * RUN;
        let from = now.saturating_sub(BUCKETS as u64 * BUCKET);
        let begin = log.partition_point(|it| second(it.end) < from);
        let end = log.partition_point(|it| second(it.end) < now);
        let mut hosts: BTreeMap<IpAddr, (Buckets, Destinations, u64, u64)> = BTreeMap::new();
        for it in &log[begin..end] {
            let (buckets, destinations, first, last) = hosts
                .entry(it.source)
                .or_insert_with(|| (Buckets::default(), Destinations::default(), it.start, it.end));
            buckets.add(now - second(it.end), it);
            destinations.add(it.destination);
            (*first, *last) = ((*first).min(it.start), (*last).max(it.end));
        }
        for (host, (buckets, destinations, first, last)) in hosts {
            if buckets.is_beaconing() {
                said.push(Statement { host, peers: destinations.named(), first, last });
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::peers::connections::tests::connection;
    use crate::peers::networks::all_parse;

    const HOST: &str = "10.0.10.1";
    const PEER: &str = "203.0.113.7";

    fn beats(every: u64, hours: u64, bytes: impl Fn(u64) -> u64) -> Vec<Connection> {
        let beats = 0..hours * 3_600 / every;
        beats.map(|beat| connection(HOST, PEER, beat * every, 1, bytes(beat))).collect()
    }

    fn chance(count: u64, hours: u64, seed: u64) -> Vec<Connection> {
        let mut draw = Draw::new("elastic", seed);
        (0..count)
            .map(|_| {
                let (at, sent) = (draw.between(0, hours * 3_600), draw.between(100, 20_000));
                let mut one = connection(HOST, "198.51.100.9", at, 1, sent);
                one.received = draw.between(100, 20_000);
                one
            })
            .collect()
    }

    #[test]
    fn a_timer_is_told_and_chance_is_not() {
        let told = statements(&beats(300, 6, |_| 500));
        assert!(!told.is_empty());
        assert!(
            told.iter()
                .all(|it| it.host.to_string() == HOST
                    && it.peers == [PEER.parse::<IpAddr>().unwrap()])
        );
        let wrong = (1..=20).filter(|seed| !statements(&chance(40, 6, *seed)).is_empty()).count();
        assert!(wrong <= 2, "{wrong} of 20");
    }

    #[test]
    fn what_is_truncated_may_vary_and_the_rest_hardly() {
        let even = [98.0, 100.0, 0.0, 102.0, 101.0, 99.0, 100.0, 0.0, 100.0, 101.0, 99.0, 900.0];
        assert!(varies_little(&even, MAX_BYTES_VARIATION));
        assert!(!varies_little(&even.map(|it| it * it), MAX_BYTES_VARIATION / 5.0));
        let uneven = [90.0, 100.0, 120.0, 80.0, 110.0, 99.0, 70.0, 130.0];
        assert!(!varies_little(&uneven, MAX_BYTES_VARIATION));
        assert!(!varies_little(&[0.0; 9], MAX_BYTES_VARIATION));
    }

    #[test]
    fn bytes_are_even_by_the_connection_however_many_a_minute_has() {
        let mut log = chance(300, 6, 2);
        assert!(statements(&log).is_empty());
        for it in &mut log {
            it.sent = 500;
        }
        assert!(!statements(&log).is_empty());
    }

    #[test]
    fn a_run_sees_six_hours() {
        let day = statements(&beats(300, 24, |_| 500));
        assert!(day.len() > 20 && day.iter().all(|it| it.last - it.first <= 21_601_000_000_000));
    }

    #[test]
    fn a_period_is_found_by_its_counts_alone() {
        let mut periodic = vec![0.0; 300];
        for at in (0..300).step_by(10) {
            periodic[at] = 1.0;
        }
        assert!(autocovariance(&periodic) > 0.99);
        let mut draw = Draw::new("counts", 1);
        let random: Vec<f64> = (0..300).map(|_| draw.between(0, 1) as f64).collect();
        assert!(autocovariance(&random) < MIN_AUTOCOVARIANCE, "{}", autocovariance(&random));
    }

    #[test]
    fn seven_minutes_of_six_hours_must_be_filled() {
        assert!(statements(&beats(3_600, 30, |_| 500)).is_empty());
        assert!(!statements(&beats(3_000, 30, |_| 500)).is_empty());
    }

    #[test]
    fn a_beat_hides_among_what_else_the_host_does() {
        let mut log = beats(1_200, 6, |beat| 400 + 900 * (beat % 3));
        for (beat, it) in log.iter_mut().enumerate() {
            it.received = 200 + 700 * (beat as u64 % 4);
        }
        assert!(!statements(&log).is_empty());
        log.extend(chance(150, 6, 3));
        assert!(statements(&log).is_empty());
    }

    #[test]
    fn what_stays_inside_is_not_looked_at() {
        assert!(all_parse(&INSIDE) && all_parse(&LEFT_OUT));
        for (source, destination) in
            [(HOST, "10.0.10.200"), (PEER, HOST), ("2001:db8::1", PEER), (HOST, "224.0.0.5")]
        {
            let log: Vec<_> =
                (0..72).map(|beat| connection(source, destination, 300 * beat, 1, 500)).collect();
            assert!(statements(&log).is_empty(), "{source} {destination}");
        }
    }

    #[test]
    fn ten_destinations_are_named_the_most_frequent_first() {
        let mut destinations = Destinations::default();
        let address = |n: u8| IpAddr::from([203, 0, 113, n]);
        for n in 0..30 {
            destinations.add(address(n));
        }
        for _ in 0..50 {
            destinations.add(address(200));
        }
        assert_eq!(destinations.0.len(), 2 * DESTINATIONS);
        let named = destinations.named();
        assert_eq!((named.len(), named[0]), (DESTINATIONS, address(200)));
    }
}
