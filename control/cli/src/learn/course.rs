//! How much was sent when: a few stretches of time, which widen as time goes on.

use weir_engine::Nanos;

/// Stretches that are told apart.
const STRETCHES: usize = 48;
/// How long they are at first.
const SHORTEST: u64 = 600_000_000_000;
/// Growth shows in quarters of the time. It takes as many stretches and as long to be any.
const QUARTERS: usize = 4;
const LEAST: (usize, Nanos) = (2 * QUARTERS, Nanos::from_secs(4 * 3600));
/// What the last quarter holds at least, and how many times the first.
const MUCH: u64 = 64 << 10;
const TIMES: u64 = 3;

/// Bytes over time.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    from: Nanos,
    stretch: u64,
    bytes: Vec<u64>,
}

impl Course {
    pub(crate) fn from(from: Nanos) -> Self {
        Self { from, stretch: SHORTEST, bytes: Vec::new() }
    }

    /// Adds what was sent at a time; what was before the beginning counts in the first stretch.
    pub(crate) fn add(&mut self, at: Nanos, bytes: u64) {
        let mut place = at.since(self.from).0 / self.stretch;
        while place >= STRETCHES as u64 {
            let pairs =
                self.bytes.chunks(2).map(|pair| pair.iter().fold(0, |a, b| b.saturating_add(a)));
            self.bytes = pairs.collect();
            self.stretch = self.stretch.saturating_mul(2);
            place /= 2;
        }
        let place = place as usize;
        if self.bytes.len() <= place {
            self.bytes.resize(place + 1, 0);
        }
        self.bytes[place] = self.bytes[place].saturating_add(bytes);
    }

    /// The first and last quarter of the time, in bytes, if each quarter has more than the one before
    /// and the last one much more than the first.
    pub(crate) fn growth(&self) -> Option<(u64, u64)> {
        let long = (self.bytes.len() as u64).saturating_mul(self.stretch);
        if self.bytes.len() < LEAST.0 || long < LEAST.1.0 {
            return None;
        }
        let quarter = |number: usize| {
            let at = |number: usize| number * self.bytes.len() / QUARTERS;
            let part = &self.bytes[at(number)..at(number + 1)];
            // Quarters differ by a stretch at most: they are compared by what is usual in them.
            part.iter().fold(0_u64, |a, b| a.saturating_add(*b)) / part.len().max(1) as u64
        };
        let quarters: Vec<u64> = (0..QUARTERS).map(quarter).collect();
        let each = self.bytes.len() as u64 / QUARTERS as u64;
        let (first, last) = (quarters[0], quarters[QUARTERS - 1]);
        let rises = quarters.windows(2).all(|pair| pair[0] < pair[1]);
        (rises && last >= first.saturating_mul(TIMES) && last.saturating_mul(each) >= MUCH)
            .then(|| (first.saturating_mul(each), last.saturating_mul(each)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(bytes: impl Iterator<Item = u64>) -> Course {
        let mut course = Course::from(Nanos::from_secs(1_000));
        for (hour, bytes) in (0_u64..).zip(bytes) {
            course.add(Nanos::from_secs(1_000 + hour * 3600), bytes);
        }
        course
    }

    #[test]
    fn what_grows_is_told_from_what_is_even_or_ends() {
        assert!(course((1..=24).map(|hour| hour * 10_000)).growth().is_some());
        let (first, last) = course((1..=24).map(|hour| hour * 10_000)).growth().unwrap();
        assert!(first < last / 3, "{first} {last}");
        assert_eq!(course((1..=24).map(|_| 50_000)).growth(), None);
        assert_eq!(course((1..=24).rev().map(|hour| hour * 10_000)).growth(), None);
        assert_eq!(course(1..=24).growth(), None, "a trickle");
        assert_eq!(course((1..=3).map(|hour| hour * 1_000_000)).growth(), None, "three hours");
    }

    #[test]
    fn years_cost_no_more_than_hours() {
        let mut course = course((0..20_000).map(|_| 7));
        assert!(course.bytes.len() <= STRETCHES);
        assert_eq!(course.bytes.iter().sum::<u64>(), 140_000);
        course.add(Nanos(u64::MAX), u64::MAX);
        course.add(Nanos(0), u64::MAX);
        assert!(course.bytes.len() <= STRETCHES);
        let _ = course.growth();
    }
}
