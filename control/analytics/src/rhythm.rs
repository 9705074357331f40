//! How regular events are: in their intervals, in their sizes, over the hours, and for how long.
//!
//! Each of the four is a number from 0 to 1, and their mean is the score. An implant may jitter its
//! beats, miss some and sleep at night; it is told by what it can't hide from a robust statistic.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;

use crate::quantile::{middle, quantile};

/// One event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Beat {
    /// When it began.
    pub at: Nanos,
    /// Bytes that were sent in it.
    pub bytes: u64,
}

/// How regular some beats are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// The usual time between two.
    pub period: Nanos,
    /// How many there were; what comes in quick succession is one.
    pub beats: usize,
    /// The regularity of the intervals.
    pub intervals: f64,
    /// How far half of the intervals are from the usual one, at most, as a share of it.
    pub scatter: f64,
    /// The share of intervals that are near a whole number of periods, of that half of them, the
    /// earlier or the later, of which fewer are.
    pub near: f64,
    /// That of the sizes.
    pub sizes: f64,
    /// How evenly they are spread over the times in which there are any.
    pub spread: f64,
    /// The share of the times in which there are any, among those in which there might be.
    pub persistence: f64,
}

const HOUR: u64 = 3_600_000_000_000;

/// Beats closer than this share of the interval that three quarters of them keep below are one: a
/// beat may take several connections.
const TOGETHER: f64 = 0.1;

/// Intervals beyond this many periods span beats that are missing.
const MISSING: f64 = 1.5;

/// If more intervals than this share span missing beats, or the others are further apart than
/// this, there is no rhythm that beats would be missing from.
const MOST_MISSING: f64 = 1.0 / 3.0;
const WIDEST: f64 = 0.25;

/// As far from a period as an interval may be to be near it, as a share: more than a jitter of 30 %.
const NEAR: f64 = 1.0 / 3.0;

/// A spread of the middle half below this share of the median has no skew worth the name.
const NARROW: f64 = 0.02;

impl Rhythm {
    /// The rhythm of beats in the order of time; none of fewer than four, or of one time.
    pub fn of(beats: &[Beat]) -> Option<Self> {
        let beats = joined(beats);
        let in_order = intervals(&beats);
        if in_order.len() < 3 {
            return None;
        }
        let mut intervals = in_order.clone();
        intervals.sort_by(f64::total_cmp);
        let may_miss = fold_missing(&mut intervals);
        intervals.sort_by(f64::total_cmp);
        let period = quantile(&intervals, 0.5);
        if period <= 0.0 {
            return None;
        }
        let (early, late) = in_order.split_at(in_order.len() / 2);
        let near = near(early, period, may_miss).min(near(late, period, may_miss));
        let mut sizes: Vec<f64> = beats.iter().map(|beat| beat.bytes as f64).collect();
        sizes.sort_by(f64::total_cmp);
        let (spread, persistence) = over_time(&beats, period);
        Some(Self {
            period: Nanos(period as u64),
            beats: beats.len(),
            intervals: regularity(&intervals),
            scatter: scatter(&intervals),
            near,
            sizes: regularity(&sizes),
            spread,
            persistence,
        })
    }

    /// The mean of the four.
    pub fn score(&self) -> f64 {
        (self.intervals + self.sizes + self.spread + self.persistence) / 4.0
    }
}

/// The times between beats.
fn intervals(beats: &[Beat]) -> Vec<f64> {
    beats.windows(2).map(|pair| pair[1].at.since(pair[0].at).0 as f64).collect()
}

/// Beats in quick succession as one, with the sum of their bytes.
fn joined(beats: &[Beat]) -> Vec<Beat> {
    let mut apart = intervals(beats);
    apart.sort_by(f64::total_cmp);
    let together = quantile(&apart, 0.75) * TOGETHER;
    let mut joined: Vec<Beat> = Vec::with_capacity(beats.len());
    for beat in beats {
        match joined.last_mut() {
            Some(last) if (beat.at.since(last.at).0 as f64) < together => {
                last.bytes = last.bytes.saturating_add(beat.bytes);
            }
            _ => joined.push(*beat),
        }
    }
    joined
}

/// Divides sorted intervals that span missing beats, and silences of a night, by how many periods
/// they are long; whether there is a rhythm that they could be missing from.
fn fold_missing(intervals: &mut [f64]) -> bool {
    let longest = MISSING * quantile(intervals, 0.5);
    let (short, long) = intervals.split_at_mut(intervals.partition_point(|it| *it <= longest));
    let is_rhythm = long.len() as f64 <= MOST_MISSING * (short.len() + long.len()) as f64
        && scatter(short) <= WIDEST;
    let period = quantile(short, 0.5);
    for interval in long.iter_mut().filter(|_| is_rhythm) {
        *interval /= (*interval / period).round().max(1.0);
    }
    is_rhythm
}

/// The share of intervals that are near a period, or near as many as may be missing: what several
/// jitters add up to is further away by the root of how many they are.
fn near(intervals: &[f64], period: f64, may_miss: bool) -> f64 {
    let is_near = |interval: &&f64| {
        let periods = if may_miss { (**interval / period).round().max(1.0) } else { 1.0 };
        (**interval - periods * period).abs() <= NEAR * period * periods.sqrt()
    };
    intervals.iter().filter(is_near).count() as f64 / intervals.len().max(1) as f64
}

/// Half for how little skewed the middle of sorted values is, half for how close they are to it.
fn regularity(values: &[f64]) -> f64 {
    let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(values, share));
    let width = high - low;
    let skew = if width < NARROW * median { 0.0 } else { (low + high - 2.0 * median) / width };
    let skew = if skew.is_finite() { skew.abs() } else { 0.0 };
    0.5 * (1.0 - skew) + 0.5 * (1.0 - scatter(values)).max(0.0)
}

/// The median distance of sorted values from their median, as a share of it.
fn scatter(values: &[f64]) -> f64 {
    let (median, distance) = middle(values);
    if distance == 0.0 { 0.0 } else { distance / median }
}

/// How evenly the beats fill the stretches of time in which there are any, and the share of these
/// among those in which there might be: hours, or longer parts of a day where a beat is rare, or
/// days. Parts of a day in which it never beats don't count.
fn over_time(beats: &[Beat], period: f64) -> (f64, f64) {
    let (Some(first), Some(last)) = (beats.first(), beats.last()) else { return (0.0, 0.0) };
    let wanted = ((4.0 * period) as u64).div_ceil(HOUR).max(1);
    let hours = [1, 2, 3, 4, 6, 8, 12].into_iter().find(|hours| *hours >= wanted);
    let stretch = HOUR.saturating_mul(hours.unwrap_or(wanted.div_ceil(24) * 24));
    let a_day = (24 * HOUR / stretch).max(1);
    // Whole stretches only: the last one may just have begun.
    let whole = last.at.since(first.at).0 / stretch;
    let mut counts = BTreeMap::<u64, u32>::new();
    for beat in beats {
        *counts.entry(beat.at.since(first.at).0 / stretch).or_default() += 1;
    }
    counts.retain(|number, _| *number < whole);
    if counts.is_empty() {
        return (0.0, 0.0);
    }
    let mean = f64::from(counts.values().sum::<u32>()) / counts.len() as f64;
    let scatter = counts.values().map(|count| (f64::from(*count) - mean).powi(2)).sum::<f64>();
    let spread = 1.0 - ((scatter / counts.len() as f64).sqrt() / mean).min(1.0);
    let beating: BTreeSet<u64> = counts.keys().map(|number| number % a_day).collect();
    // A capture may span any number of years.
    let of_last_day = beating.iter().filter(|part| **part < whole % a_day).count() as u64;
    let possible = whole / a_day * beating.len() as u64 + of_last_day;
    (spread, counts.len() as f64 / possible.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0 to 1 that look drawn and are the same in each run.
    struct Drawn(u64);

    impl Drawn {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn beats(times: impl IntoIterator<Item = f64>) -> Vec<Beat> {
        let beat = |seconds: f64| Beat { at: Nanos((seconds * 1e9) as u64), bytes: 200 };
        times.into_iter().map(beat).collect()
    }

    fn jittered(seed: u64, count: u32, period: f64, jitter: f64) -> Vec<f64> {
        let mut drawn = Drawn(seed);
        let mut now = 1e9;
        (0..count)
            .map(|_| {
                now += period * (1.0 + jitter * (2.0 * drawn.next() - 1.0));
                now
            })
            .collect()
    }

    #[test]
    fn jitter_of_a_third_hides_no_beacon() {
        let mut far = 0;
        for seed in 1..50 {
            for (count, period) in [(60, 420.0), (24, 25_200.0), (256, 90.0)] {
                let rhythm = Rhythm::of(&beats(jittered(seed, count, period, 0.3))).unwrap();
                assert!(rhythm.score() > 0.85 && rhythm.scatter < 0.25, "{rhythm:?}");
                assert!((rhythm.period.0 as f64 / 1e9 / period - 1.0).abs() < 0.2, "{rhythm:?}");
                far += u32::from(rhythm.near < 0.85);
            }
        }
        // Of the fewest beats that count one in five; more of them come.
        assert!(far < 15, "{far} of 147");
    }

    #[test]
    fn missing_beats_and_nights_hide_none_either() {
        let mut drawn = Drawn(3);
        let missing = jittered(3, 300, 300.0, 0.1).into_iter().filter(|_| drawn.next() > 0.2);
        assert!(Rhythm::of(&beats(missing)).unwrap().score() > 0.85);
        let by_day = (0..7).flat_map(|day| {
            (0..36).map(move |beat| f64::from(day) * 86_400.0 + f64::from(beat) * 1_200.0)
        });
        let rhythm = Rhythm::of(&beats(by_day)).unwrap();
        assert!(rhythm.score() > 0.9 && rhythm.persistence > 0.9, "{rhythm:?}");
    }

    #[test]
    fn a_beat_of_several_connections_is_one() {
        let times =
            (0..60).flat_map(|beat| [0.0, 0.2, 1.5].map(|more| f64::from(beat) * 600.0 + more));
        let rhythm = Rhythm::of(&beats(times)).unwrap();
        assert_eq!((rhythm.beats, rhythm.period), (60, Nanos::from_secs(600)));
        assert!(rhythm.score() > 0.95);
    }

    #[test]
    fn what_comes_by_chance_has_no_regular_intervals() {
        for seed in 1..200 {
            let mut drawn = Drawn(seed);
            let mut now = 1e9;
            let times: Vec<f64> = (0..100)
                .map(|_| {
                    now -= 600.0 * (1.0 - drawn.next()).ln();
                    now
                })
                .collect();
            let rhythm = Rhythm::of(&beats(times)).unwrap();
            assert!(rhythm.scatter > 0.40, "seed {seed}: {rhythm:?}");
        }
    }

    #[test]
    fn evenly_drawn_times_are_near_no_period() {
        let is_near = |seed: &u64| {
            let mut drawn = Drawn(*seed);
            let mut now = 1e9;
            let times: Vec<f64> = (0..30)
                .map(|_| {
                    now += 80_000.0 * (0.1 + 1.8 * drawn.next());
                    now
                })
                .collect();
            let rhythm = Rhythm::of(&beats(times)).unwrap();
            rhythm.scatter <= 0.25 && rhythm.near >= 0.85
        };
        assert!((1..1_000).filter(is_near).count() < 10);
    }

    #[test]
    fn any_times_have_an_answer_at_once() {
        let ends = [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX].map(Nanos);
        let far = |at| Beat { at, bytes: u64::MAX };
        let _ = Rhythm::of(&ends.map(far));
        let mut minutes = beats((0..200).map(|beat| f64::from(beat) * 60.0));
        minutes.push(far(Nanos::MAX));
        let rhythm = Rhythm::of(&minutes).unwrap();
        assert!(rhythm.persistence < 0.01, "{rhythm:?}");
    }

    #[test]
    fn a_few_or_equal_times_are_no_rhythm() {
        assert_eq!(Rhythm::of(&[]), None);
        assert_eq!(Rhythm::of(&beats([1.0, 2.0, 3.0])), None);
        assert_eq!(Rhythm::of(&beats([7.0; 50])), None);
    }
}
