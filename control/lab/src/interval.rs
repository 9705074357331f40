//! How far a number may be trusted: intervals of 95 % confidence.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// What both ends leave out.
const LEFT_OUT: f64 = 0.05;

/// A value and the ends of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// What was measured.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Estimate {
    /// A share of independent trials, by Wilson's interval; none of no trials.
    #[must_use]
    pub fn of_share(hits: u64, trials: u64) -> Option<Self> {
        if trials == 0 {
            return None;
        }
        let (n, share) = (trials as f64, hits as f64 / trials as f64);
        let z = Normal::standard().inverse_cdf(1.0 - LEFT_OUT / 2.0);
        let centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half =
            z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        let (low, high) = ((centre - half).max(0.0), (centre + half).min(1.0));
        Some(Self { value: share, low: low.min(share), high: high.max(share) })
    }

    /// A rate of rare events over an exposure, by Garwood's exact interval.
    #[must_use]
    pub fn of_rate(events: u64, exposure: f64) -> Option<Self> {
        if exposure <= 0.0 {
            return None;
        }
        let quantile = |degrees: f64, share: f64| {
            ChiSquared::new(degrees).map_or(0.0, |chi| chi.inverse_cdf(share) / 2.0)
        };
        let count = events as f64;
        let low = if events == 0 { 0.0 } else { quantile(2.0 * count, LEFT_OUT / 2.0) };
        let high = quantile(2.0 * (count + 1.0), 1.0 - LEFT_OUT / 2.0);
        Some(Self { value: count / exposure, low: low / exposure, high: high / exposure })
    }

    /// What a statistic comes to where its sample is drawn anew from itself, again and again;
    /// `resample` makes it from a draw's indices below `count`.
    #[must_use]
    pub fn by_bootstrap(
        value: f64,
        count: usize,
        draw: &mut crate::draw::Draw,
        mut resample: impl FnMut(&[usize]) -> f64,
    ) -> Self {
        const DRAWS: usize = 1_000;
        if count == 0 {
            return Self { value, low: value, high: value };
        }
        let mut indices = vec![0; count];
        let mut values: Vec<f64> = (0..DRAWS)
            .map(|_| {
                indices.fill_with(|| draw.between(0, count as u64 - 1) as usize);
                resample(&indices)
            })
            .collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (DRAWS - 1) as f64).round() as usize];
        Self { value, low: at(LEFT_OUT / 2.0), high: at(1.0 - LEFT_OUT / 2.0) }
    }
}

/// The value that a share of these is at most; none of none.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(estimate: Option<Estimate>, [value, low, high]: [f64; 3]) {
        let Estimate { value: a, low: b, high: c } = estimate.unwrap();
        for (is, should) in [(a, value), (b, low), (c, high)] {
            assert!((is - should).abs() < 5e-4, "{estimate:?}");
        }
    }

    #[test]
    fn intervals_are_those_of_the_textbooks() {
        // Wilson: 9 of 10, 10 of 10. Garwood: 0 and 3 events.
        close(Estimate::of_share(9, 10), [0.9, 0.5958, 0.9821]);
        close(Estimate::of_share(10, 10), [1.0, 0.7225, 1.0]);
        close(Estimate::of_rate(0, 1.0), [0.0, 0.0, 3.6889]);
        close(Estimate::of_rate(3, 1.0), [3.0, 0.6187, 8.7673]);
        assert_eq!((Estimate::of_share(0, 0), Estimate::of_rate(1, 0.0)), (None, None));
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.95), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_bootstrap_spreads_around_its_value() {
        let sample: Vec<f64> = (0..100).map(f64::from).collect();
        let mean = |at: &[usize]| at.iter().map(|n| sample[*n]).sum::<f64>() / at.len() as f64;
        let mut draw = crate::draw::Draw::new("mean", 1);
        let estimate = Estimate::by_bootstrap(49.5, sample.len(), &mut draw, mean);
        assert!((42.0..46.0).contains(&estimate.low), "{estimate:?}");
        assert!((53.0..57.0).contains(&estimate.high), "{estimate:?}");
    }
}
