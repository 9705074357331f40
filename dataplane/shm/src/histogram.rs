//! Log-linear buckets: which word of a block counts a value.
//!
//! Values below 8 have a bucket each; above, every power of two is cut into 8 equal parts, so
//! that a bucket's width is at most an eighth of its lower bound. That is the precision of
//! any quantile, over the whole range of 64 bits, in [`Histogram::FULL`] words at most.

use std::ops::RangeInclusive;

const SUB_BITS: u32 = 3;
const SUB_BUCKETS: usize = 1 << SUB_BITS;

/// The shape of a histogram; the counts are words of a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Histogram {
    buckets: usize,
}

impl Histogram {
    /// Buckets that the whole range of `u64` takes.
    pub const FULL: usize = (64 - SUB_BITS as usize + 1) * SUB_BUCKETS;

    /// A histogram of `buckets` words, at least 1; more than [`Self::FULL`] are not used. The
    /// last bucket takes everything above its lower bound.
    pub const fn new(buckets: usize) -> Self {
        let at_least_one = if buckets == 0 { 1 } else { buckets };
        Self { buckets: if at_least_one > Self::FULL { Self::FULL } else { at_least_one } }
    }

    /// The smallest histogram in which `value` is below the last bucket.
    pub const fn covering(value: u64) -> Self {
        Self::new(unbounded(value) + 2)
    }

    /// Number of buckets, and of words.
    pub const fn buckets(self) -> usize {
        self.buckets
    }

    /// The bucket of `value`, always below [`Self::buckets`].
    #[inline]
    pub const fn index(self, value: u64) -> usize {
        let index = unbounded(value);
        if index < self.buckets { index } else { self.buckets - 1 }
    }

    /// Smallest and largest value of a bucket.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub const fn bounds(self, index: usize) -> RangeInclusive<u64> {
        assert!(index < self.buckets, "bucket beyond the histogram");
        let upper = if index + 1 == self.buckets { u64::MAX } else { lower(index + 1) - 1 };
        lower(index)..=upper
    }

    /// The largest value of the bucket in which the share `q` (0 to 1) of all values is
    /// reached; `None` when nothing was counted. `counts` beyond the buckets are not looked
    /// at. For the last bucket the answer is its lower bound, as its upper is unknown.
    pub fn quantile(self, counts: &[u64], q: f64) -> Option<u64> {
        let counts = &counts[..counts.len().min(self.buckets)];
        let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
        let rank = ((total as f64 * q.clamp(0.0, 1.0)).ceil() as u128).clamp(1, total.max(1));
        let mut reached = 0;
        let index = counts.iter().position(|count| {
            reached += u128::from(*count);
            reached >= rank
        })?;
        let bounds = self.bounds(index);
        Some(if index + 1 == self.buckets { *bounds.start() } else { *bounds.end() })
    }
}

const fn unbounded(value: u64) -> usize {
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    (shift as usize + 1) * SUB_BUCKETS + ((value >> shift) as usize & (SUB_BUCKETS - 1))
}

const fn lower(index: usize) -> u64 {
    if index < SUB_BUCKETS {
        return index as u64;
    }
    let shift = index / SUB_BUCKETS - 1;
    ((SUB_BUCKETS + index % SUB_BUCKETS) as u64) << shift
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        let histogram = Histogram::new(Histogram::FULL);
        let mut next = 0;
        for index in 0..histogram.buckets() {
            let bounds = histogram.bounds(index);
            assert_eq!(*bounds.start(), next, "bucket {index}");
            assert_eq!(histogram.index(*bounds.start()), index);
            assert_eq!(histogram.index(*bounds.end()), index);
            let width = bounds.end() - bounds.start();
            assert!(width <= bounds.start() / SUB_BUCKETS as u64, "bucket {index} is too wide");
            next = bounds.end().wrapping_add(1);
        }
        assert_eq!(next, 0, "the last bucket ends with u64::MAX");
    }

    #[test]
    fn the_last_bucket_of_a_bounded_histogram_takes_the_rest() {
        let histogram = Histogram::covering(1000);
        assert_eq!(histogram.index(1000), histogram.buckets() - 2);
        assert_eq!(histogram.index(u64::MAX), histogram.buckets() - 1);
        assert_eq!(*histogram.bounds(histogram.buckets() - 1).end(), u64::MAX);
        assert_eq!(Histogram::covering(u64::MAX).buckets(), Histogram::FULL);
        assert_eq!(Histogram::new(0).index(77), 0);
    }

    #[test]
    fn quantiles_are_exact_to_an_eighth() {
        let histogram = Histogram::covering(1_000_000);
        let mut counts = vec![0; histogram.buckets()];
        for value in 1..=1000 {
            counts[histogram.index(value)] += 1;
        }
        for (q, exact) in [(0.0, 1), (0.5, 500), (0.99, 990), (1.0, 1000)] {
            let quantile = histogram.quantile(&counts, q).unwrap();
            assert!((exact..=exact + exact / 8).contains(&quantile), "{q}: {quantile}");
        }
        assert_eq!(histogram.quantile(&vec![0; counts.len()], 0.5), None);
        assert_eq!(histogram.quantile(&[u64::MAX; 3], 1.0), Some(2));
    }
}
