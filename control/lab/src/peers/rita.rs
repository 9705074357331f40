//! RITA 5: every hour, the pairs of an inside and an outside host of the last 24 hours are scored by
//! the rhythm of their connections and by how long these last; what is new or rare to the network is
//! raised, what is old or common lowered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::connections::Connection;
use super::held::Statement;
use super::networks::is_within;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// `internal_subnets`.
const INTERNAL: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"];
/// What is never included, whatever the configuration says.
const NEVER: [&str; 9] = [
    "0.0.0.0/32",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "::/128",
    "fe80::/10",
    "ff00::/8",
];

/// `unique_connection_threshold`: connections that start in different seconds.
const UNIQUE_CONNECTIONS: usize = 4;
/// Connections within a day from which on a pair is a strobe and no beacon.
const STROBE: usize = 86_400;
/// `duration_min_hours_seen`.
const MIN_HOURS: usize = 6;
/// `duration_consistency_ideal_hours_seen`.
const IDEAL_HOURS: f64 = 12.0;
/// `histogram_mode_sensitivity`.
const MODE_SENSITIVITY: f64 = 0.05;
/// `histogram_bimodal_outlier_removal`.
const OUTLIERS: usize = 1;
/// `histogram_bimodal_min_hours_seen`.
const BIMODAL_MIN_HOURS: usize = 11;
/// Bars of the histogram.
const BARS: usize = 24;
/// Below this, quartiles that lie apart are not held against a distribution.
const SKEW_MIN_SPREAD: f64 = 10.0;

/// `score_thresholds` of beacons: base, low, medium, high.
const BEACON: [f64; 4] = [50.0, 70.0, 90.0, 100.0];
/// `long_connection_score_thresholds`, in seconds.
const LONG: [f64; 4] = [3_600.0, 14_400.0, 28_800.0, 43_200.0];
/// What the four thresholds are worth: severities none, low, medium and high end there.
const WORTH: [f64; 4] = [0.2, 0.4, 0.6, 0.8];
/// Scores above this are of medium severity or graver: what RITA is held to have said.
pub(super) const SAID_ABOVE: f64 = WORTH[1];

/// Days since the outside host was first seen, up to which the score is raised, and from which it is
/// lowered.
const FIRST_SEEN: (f64, f64) = (7.0, 30.0);
/// Share of inside hosts that turn to the outside host, likewise.
const PREVALENCE: (f64, f64) = (0.02, 0.5);
/// By how much either raises or lowers.
const MODIFIER: f64 = 0.15;

fn is_internal(address: IpAddr) -> bool {
    is_within(address, &INTERNAL)
}

/// Whether a connection is analysed: from the inside to the outside.
fn is_kept(connection: &Connection) -> bool {
    let ends = [connection.source, connection.destination];
    !ends.iter().any(|end| is_within(*end, &NEVER))
        && is_internal(connection.source)
        && !is_internal(connection.destination)
}

/// Whether a connection is read as DNS, of which queries to resolvers inside are kept too: they make
/// the network's size and nothing else that is scored here.
fn is_query(connection: &Connection) -> bool {
    connection.destination_port == 53 && is_internal(connection.source)
}

/// To three decimals.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn median(sorted: &[f64]) -> f64 {
    let (half, n) = (sorted.len() / 2, sorted.len());
    match n {
        0 => 0.0,
        _ if n.is_multiple_of(2) => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

/// How symmetric (by Bowley) and how narrow (by the median deviation) a distribution is; what `fallback`
/// says of one whose median is below one.
fn evenness(sorted: &[f64], fallback: f64) -> f64 {
    let half = sorted.len() / 2;
    let (low, middle) = (median(&sorted[..half]), median(sorted));
    let high = median(&sorted[sorted.len() - half..]);
    let spread = high - low;
    let is_skewed = spread >= SKEW_MIN_SPREAD && middle != low && middle != high;
    let skew = if is_skewed { (low + high - 2.0 * middle) / spread } else { 0.0 };
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
    deviations.sort_by(f64::total_cmp);
    let narrowness = if middle >= 1.0 { (middle - median(&deviations)) / middle } else { fallback };
    rounded((1.0 - skew.abs() + narrowness.max(0.0)) / 2.0)
}

/// How even the intervals between different seconds are; none of fewer than three.
fn timestamp_score(seconds: &[u64]) -> Option<f64> {
    let mut intervals: Vec<f64> = seconds
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f64)
        .filter(|interval| *interval > 0.0)
        .collect();
    intervals.sort_by(f64::total_cmp);
    (intervals.len() >= 3).then(|| evenness(&intervals, 1.0))
}

/// How even the bytes are that the inside host sent.
fn size_score(bytes: &[f64]) -> Option<f64> {
    let mut sorted = bytes.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted.len() >= 3).then(|| evenness(&sorted, 0.0))
}

/// Connections in each 24th of the time that was analysed.
fn histogram(seconds: &[u64], (first, last): (u64, u64)) -> [u32; BARS] {
    let step = (last - first) as f64 / BARS as f64;
    let mut bars = [0; BARS];
    for second in seconds {
        let bar = (second.saturating_sub(first) as f64 / step) as usize;
        bars[bar.min(BARS - 1)] += 1;
    }
    bars
}

/// How flat a histogram is, or how well two heights describe it.
fn histogram_score(bars: &[u32; BARS]) -> f64 {
    let mean = bars.iter().sum::<u32>() as f64 / BARS as f64;
    let variance =
        bars.iter().map(|bar| (f64::from(*bar) - mean).powi(2)).sum::<f64>() / BARS as f64;
    let flatness = rounded((1.0 - variance.sqrt() / mean).max(0.0));
    let filled = bars.iter().filter(|bar| **bar > 0);
    let count = filled.clone().count();
    if count < BIMODAL_MIN_HOURS {
        return flatness;
    }
    let highest = bars.iter().copied().max().unwrap_or_default();
    let width = (f64::from(highest) * MODE_SENSITIVITY).ceil();
    let mut heights: BTreeMap<u64, usize> = BTreeMap::new();
    for bar in filled {
        *heights.entry((f64::from(*bar) / width) as u64).or_default() += 1;
    }
    let mut often: Vec<usize> = heights.into_values().collect();
    often.sort_unstable_by(|a, b| b.cmp(a));
    let two: usize = often.iter().take(2).sum();
    let fit = rounded(two as f64 / count.saturating_sub(OUTLIERS).max(1) as f64);
    flatness.max(fit.min(1.0))
}

/// How much of the time is covered, or how many hours in a row, the day's end joined to its begin.
fn duration_score(bars: &[u32; BARS], seen: (u64, u64), analysed: (u64, u64)) -> f64 {
    if bars.iter().filter(|bar| **bar > 0).count() < MIN_HOURS {
        return 0.0;
    }
    let mut longest = 0;
    let mut run = 0;
    for bar in bars.iter().chain(bars) {
        run = if *bar > 0 { run + 1 } else { 0 };
        longest = longest.max(run.min(BARS));
    }
    let raised = |share: f64| ((share * 1_000.0).ceil() / 1_000.0).min(1.0);
    let coverage = (seen.1 - seen.0) as f64 / (analysed.1 - analysed.0) as f64;
    raised(coverage).max(raised(longest as f64 / IDEAL_HOURS))
}

/// The beacon score of connections that began in these seconds, in their order, with the bytes that
/// were sent on each, within the seconds that were analysed; none where there is nothing to score.
pub(super) fn beacon_score(seconds: &[u64], bytes: &[f64], analysed: (u64, u64)) -> Option<f64> {
    if analysed.1 <= analysed.0 {
        return None;
    }
    let bars = histogram(seconds, analysed);
    let seen = (*seconds.first()?, *seconds.last()?);
    let parts = [
        timestamp_score(seconds)?,
        size_score(bytes)?,
        duration_score(&bars, seen, analysed),
        histogram_score(&bars),
    ];
    // All four weigh the same.
    Some(rounded(parts.iter().sum::<f64>() / 4.0))
}

/// What a value is worth between its thresholds.
fn worth(value: f64, thresholds: [f64; 4]) -> f64 {
    let [base, .., high] = thresholds;
    if value < base {
        return 0.0;
    }
    let value = value.min(high);
    let above = (1..4).find(|at| value < thresholds[*at]).unwrap_or(3);
    let (low, high) = (thresholds[above - 1], thresholds[above]);
    WORTH[above - 1] + (value - low) / (high - low) * (WORTH[above] - WORTH[above - 1])
}

/// What is raised if it is small and lowered if it is great.
fn modifier(value: f64, (raised_to, lowered_from): (f64, f64)) -> f64 {
    match value {
        small if small <= raised_to => MODIFIER,
        great if great >= lowered_from => -MODIFIER,
        _ => 0.0,
    }
}

/// A pair's connections within the time that is analysed.
#[derive(Default)]
struct Pair {
    seconds: Vec<u64>,
    bytes: Vec<f64>,
    /// Of those that are over and of those that are not, in seconds.
    duration: f64,
    first: u64,
    last: u64,
    /// Whether the newest logs tell of it.
    is_new: bool,
}

impl Pair {
    fn add(&mut self, connection: &Connection) {
        self.seconds.push(second(connection.start));
        self.bytes.push(connection.sent as f64);
        self.span(connection.start, connection.end);
    }

    fn span(&mut self, first: u64, last: u64) {
        self.first = if self.last == 0 { first } else { self.first.min(first) };
        self.last = self.last.max(last);
        self.duration += last.saturating_sub(first) as f64 / 1e9;
    }

    /// The gravest of what it shows, before modifiers; none if it shows nothing. Without anything that
    /// is over there is no time in which a rhythm could be looked for.
    fn base(&self, analysed: Option<(u64, u64)>) -> Option<f64> {
        let unique = self.seconds.iter().collect::<BTreeSet<_>>().len();
        let is_strobe = self.seconds.len() >= STROBE;
        let strobe = is_strobe.then_some(WORTH[3]);
        let long = (self.duration >= LONG[0]).then(|| worth(self.duration, LONG));
        let beacon = match analysed {
            Some(analysed) if unique >= UNIQUE_CONNECTIONS && !is_strobe => {
                // A pair whose rhythm can't be scored is dropped with all that it shows.
                Some(worth(beacon_score(&self.seconds, &self.bytes, analysed)? * 100.0, BEACON))
            }
            _ => None,
        };
        [strobe, long, beacon].into_iter().flatten().max_by(f64::total_cmp)
    }
}

fn second(time: u64) -> u64 {
    time / 1_000_000_000
}

fn hour(time: u64) -> u64 {
    second(time) / HOUR
}

/// The logs by the hour in which they are written.
#[derive(Default)]
struct Logs<'a> {
    /// Connections that are analysed, in the order of their starts.
    kept: Vec<&'a Connection>,
    /// Their hosts inside, and those of DNS, with the hours of their starts and ends.
    inside: Vec<(IpAddr, u64, u64)>,
    /// What is over, and what was still open when the hour was.
    hours: BTreeMap<u64, (Vec<&'a Connection>, Vec<&'a Connection>)>,
}

impl<'a> Logs<'a> {
    fn of(connections: &'a [Connection]) -> Self {
        let mut logs = Self::default();
        for connection in connections {
            let hours = (hour(connection.start), hour(connection.end));
            let is_kept = is_kept(connection);
            if is_kept || is_query(connection) {
                let ends = [connection.source, connection.destination];
                let inside = ends.into_iter().filter(|end| is_internal(*end));
                logs.inside.extend(inside.map(|end| (end, hours.0, hours.1)));
            }
            if is_kept {
                logs.kept.push(connection);
                logs.hours.entry(hours.1).or_default().0.push(connection);
                for open in hours.0..hours.1 {
                    logs.hours.entry(open).or_default().1.push(connection);
                }
            }
        }
        logs
    }
}

/// What RITA says of these connections, which are in the order of their starts, if it reads the logs of
/// every hour as soon as that is over.
pub(super) fn statements(connections: &[Connection]) -> Vec<Statement> {
    let logs = Logs::of(connections);
    let mut first_seen: BTreeMap<IpAddr, u64> = BTreeMap::new();
    let mut dataset: Option<(u64, u64)> = None;
    let mut said = Vec::new();
    for (import, (over, open)) in &logs.hours {
        let now = (import + 1) * HOUR;
        for new in over.iter().chain(open) {
            let seen = first_seen.entry(new.destination).or_insert(now);
            *seen = (*seen).min(second(new.start));
        }
        for start in over.iter().map(|it| second(it.start)) {
            let (first, last) = dataset.unwrap_or((start, start));
            dataset = Some((first.min(start), last.max(start)));
        }
        let analysed = dataset.map(|(first, last)| (first.max(last.saturating_sub(DAY)), last));
        // Rows are held by the hour: the whole hour in which the day begins is read.
        let from = analysed.map_or(*import, |(first, _)| first / HOUR);
        let is_read = |start: u64, end: u64| start >= from && end <= *import;

        let mut pairs: BTreeMap<(IpAddr, IpAddr), Pair> = BTreeMap::new();
        let begin = logs.kept.partition_point(|it| hour(it.start) < from);
        let read = logs.kept[begin..].iter().take_while(|it| hour(it.start) <= *import);
        for it in read.filter(|it| is_read(hour(it.start), hour(it.end))) {
            let pair = pairs.entry((it.source, it.destination)).or_default();
            pair.add(it);
            pair.is_new |= hour(it.end) == *import;
        }
        for it in open {
            let pair = pairs.entry((it.source, it.destination)).or_default();
            pair.span(it.start, now * 1_000_000_000);
            pair.is_new = true;
        }
        let mut guests: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (_, destination) in pairs.keys() {
            *guests.entry(*destination).or_default() += 1;
        }
        let inside = logs.inside.iter().filter(|(_, start, end)| is_read(*start, *end));
        let mut inside: BTreeSet<IpAddr> = inside.map(|(host, ..)| *host).collect();
        inside.extend(open.iter().map(|it| it.source));

        for ((source, destination), pair) in pairs.into_iter().filter(|(_, pair)| pair.is_new) {
            let Some(base) = pair.base(analysed) else { continue };
            let days = now.saturating_sub(first_seen[&destination]) as f64 / DAY as f64;
            let prevalence = guests[&destination] as f64 / inside.len() as f64;
            let score = base + modifier(days, FIRST_SEEN) + modifier(prevalence, PREVALENCE);
            if score > SAID_ABOVE {
                let (first, last) = (pair.first, pair.last);
                said.push(Statement { host: source, peers: vec![destination], first, last });
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

    /// Seconds that are so far apart.
    fn beats(intervals: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let begin = 1_517_338_924;
        let sums = intervals.into_iter().scan(begin, |at, interval| {
            *at += interval;
            Some(*at)
        });
        std::iter::once(begin).chain(sums).collect()
    }

    #[test]
    fn the_parts_come_to_what_ritas_own_examples_say() {
        let score = |intervals: &[u64]| timestamp_score(&beats(intervals.to_vec()));
        assert_eq!(score(&[60; 9]), Some(1.0));
        assert_eq!(score(&[98, 99, 99, 100, 100, 100, 101, 101, 102]), Some(0.995));
        assert_eq!(score(&[98, 300, 98, 300, 98, 300, 98, 300, 98, 300]), Some(0.746));
        assert_eq!(score(&[1, 299, 25, 4_975, 90, 2, 42, 500, 1_500]), Some(0.083));
        // Quartiles of 60, 62 and 64.5 are skewed, and too near to each other to count.
        assert_eq!(score(&[60, 60, 60, 61, 62, 63, 64, 65, 66]), Some(0.984));
        assert_eq!(score(&[0, 60, 0, 60]), None);
        assert_eq!(size_score(&[60.0; 9]), Some(1.0));
        let numbers: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(size_score(&numbers), Some(0.773));
        assert_eq!(size_score(&[60.0; 2]), None);
        assert_eq!(
            [0.0, 49.9, 50.0, 60.0, 70.0, 90.0, 100.0].map(|it| rounded(worth(it, BEACON))),
            [0.0, 0.0, 0.2, 0.3, 0.4, 0.6, 0.8]
        );
        assert_eq!(worth(1e9, LONG), 0.8);
    }

    #[test]
    fn a_histogram_is_good_if_it_is_flat_or_has_two_heights() {
        assert_eq!(histogram_score(&[7; BARS]), 1.0);
        let mut bars = [0; BARS];
        bars[3] = 40;
        assert_eq!(histogram_score(&bars), 0.0);
        let two: [u32; BARS] = std::array::from_fn(|hour| if hour % 2 == 0 { 100 } else { 2 });
        assert_eq!(histogram_score(&two), 1.0);
        // One outlier is forgiven, and two are not.
        let outliers = |count: usize| {
            let mut bars = two;
            for (bar, height) in bars.iter_mut().zip([40, 60]).take(count) {
                *bar = height;
            }
            histogram_score(&bars)
        };
        assert_eq!((outliers(1), outliers(2)), (1.0, 0.957));
        let many: [u32; BARS] = std::array::from_fn(|hour| 20 * hour as u32);
        assert!(histogram_score(&many) < 0.5);
    }

    #[test]
    fn hours_in_a_row_count_across_the_ends_of_the_day() {
        let mut bars = [0; BARS];
        assert_eq!(duration_score(&bars, (0, DAY), (0, DAY)), 0.0);
        for hour in [0, 1, 2, 21, 22, 23] {
            bars[hour] = 1;
        }
        assert_eq!(duration_score(&bars, (0, 600), (0, DAY)), 0.5);
        assert_eq!(duration_score(&bars, (0, DAY), (0, DAY)), 1.0);
        bars[0] = 0;
        assert_eq!(duration_score(&bars, (0, DAY), (0, DAY)), 0.0);
    }

    #[test]
    fn a_timer_scores_one_and_chance_does_not() {
        let (begin, end) = (0, DAY);
        let timer: Vec<u64> = (0..=144).map(|beat| beat * 600).collect();
        assert_eq!(beacon_score(&timer, &[500.0; 145], (begin, end)), Some(1.0));
        let mut draw = Draw::new("rita", 1);
        let mut chance: Vec<u64> = (0..145).map(|_| draw.between(begin, end)).collect();
        chance.sort_unstable();
        let bytes: Vec<f64> = (0..145).map(|_| draw.between(100, 20_000) as f64).collect();
        let score = beacon_score(&chance, &bytes, (begin, end)).unwrap();
        assert!(score < 0.8, "{score}");
    }

    fn said_of(log: &[Connection], host: &str) -> usize {
        statements(log).iter().filter(|it| it.host.to_string() == host).count()
    }

    /// A day of beats from a host to another.
    fn timer(source: &str, destination: &str) -> Vec<Connection> {
        (0..144).map(|beat| connection(source, destination, 600 * beat, 2, 500)).collect()
    }

    #[test]
    fn only_what_goes_out_is_analysed() {
        assert!(all_parse(&INTERNAL) && all_parse(&NEVER));
        assert!(said_of(&timer("10.0.10.1", "203.0.113.7"), "10.0.10.1") > 0);
        for (source, destination) in [
            ("10.0.10.1", "10.0.10.200"),
            ("203.0.113.7", "10.0.10.1"),
            ("203.0.113.7", "198.51.100.1"),
            ("10.0.10.1", "224.0.0.5"),
        ] {
            assert_eq!(statements(&timer(source, destination)), [], "{source} {destination}");
        }
    }

    #[test]
    fn three_connections_are_no_beacon() {
        let of = |count: usize| statements(&timer("10.0.10.1", "203.0.113.7")[..count]).len();
        assert_eq!(of(3), 0);
        // One connection kept open all day is one, with a beat or without.
        assert!(of(30) > 0);
    }

    #[test]
    fn a_day_is_analysed_and_no_more() {
        let mut log = timer("10.0.10.1", "203.0.113.7");
        let told = statements(&log).len();
        assert!(told > 0);
        // Whoever comes again after two days begins anew.
        log.push(connection("10.0.10.1", "203.0.113.7", 3 * DAY, 2, 500));
        assert_eq!(statements(&log).len(), told);
    }

    #[test]
    fn a_long_connection_is_told_while_it_goes_on() {
        let told = statements(&[connection("10.0.10.1", "203.0.113.7", 600, 5 * HOUR, 9_000)]);
        // The only host inside is all of them: what is new is lowered as much as it is raised.
        let until = |it: &Statement| second(it.last);
        assert_eq!(told.iter().map(until).collect::<Vec<_>>(), [5 * HOUR, 5 * HOUR + 600]);
        assert!(
            statements(&[connection("10.0.10.1", "203.0.113.7", 600, 50 * 60, 9_000)]).is_empty()
        );
    }

    #[test]
    fn what_is_old_and_shared_by_all_hides() {
        // Uneven beats, for five weeks.
        let log = |hosts: u64| {
            let mut log = Vec::new();
            for beat in 0..35 * 48 {
                for host in 0..hosts {
                    let at = 1_800 * beat + if beat % 2 == 0 { 600 } else { 0 } + host;
                    let sent = if beat % 2 == 0 { 150 } else { 1_000 };
                    let source = format!("10.0.10.{}", host + 1);
                    log.push(connection(&source, "203.0.113.7", at, 2, sent));
                }
                // So that the network is greater than those who beat.
                let other = format!("10.0.11.{}", beat % 20 + 1);
                let quiet = format!("198.51.{}.{}", beat / 250, beat % 250 + 1);
                log.push(connection(&other, &quiet, 1_800 * beat, 2, 70));
            }
            log.sort_by_key(|it| it.start);
            log
        };
        let late = |hosts| {
            let told = statements(&log(hosts));
            let of = |days: std::ops::Range<u64>| {
                let last = |it: &&Statement| days.contains(&(it.last / 1_000_000_000 / DAY));
                told.iter().filter(last).filter(|it| it.host.to_string() == "10.0.10.1").count()
            };
            (of(1..6), of(31..35))
        };
        let (young, old) = late(1);
        assert!(young > 100 && old > 50, "{young} {old}");
        let (young, old) = late(24);
        assert!(young > 100 && old == 0, "{young} {old}");
    }
}
