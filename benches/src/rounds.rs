//! Rounds: subjects measured in turn, so that what disturbs the machine disturbs
//! them alike, and the median over rounds.

/// What a subject measured in each round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// No rounds yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds a round unless it is round 0, which warms up.
    pub fn push_from(&mut self, round: usize, value: f64) {
        if round > 0 {
            self.push(value);
        }
    }

    /// The middle value; NaN without rounds.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match (sorted.get(sorted.len().saturating_sub(1) / 2), sorted.get(sorted.len() / 2)) {
            (Some(low), Some(high)) => (low + high) / 2.0,
            _ => f64::NAN,
        }
    }

    /// The least value.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The greatest value.
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// Round by round, these divided by the others: what disturbed both cancels out.
    pub fn over(&self, others: &Samples) -> Samples {
        Samples(self.0.iter().zip(&others.0).map(|(one, other)| one / other).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_ratios_are_per_round() {
        let fast = Samples(vec![3.0, 1.0, 2.0]);
        let slow = Samples(vec![6.0, 4.0, 6.0]);
        assert_eq!((fast.median(), fast.min(), fast.max()), (2.0, 1.0, 3.0));
        assert_eq!(slow.over(&fast).0, [2.0, 4.0, 3.0]);
        assert_eq!(Samples(vec![1.0, 2.0]).median(), 1.5);
        assert!(Samples::default().median().is_nan());
    }
}
