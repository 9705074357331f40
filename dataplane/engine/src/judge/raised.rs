//! How long alerts take: from the frame that made one be raised until its record can be read.

use std::collections::VecDeque;

use crate::Nanos;
use crate::contract::words::{JudgeWords, LATENCY_BUCKETS};
use crate::detect::CATALOGUE;

/// The alerts that a slice raised, each with the frame's arrival.
#[derive(Debug, Default)]
pub(super) struct Raised {
    /// By the alerts' numbers, which only grow.
    rows: VecDeque<(u64, Nanos)>,
}

impl Raised {
    /// Notes a new alert. Of a restricted one nothing is counted, since the count would tell of it.
    pub(super) fn note(&mut self, detection: u16, instance: u64, made: Nanos) {
        if !CATALOGUE[usize::from(detection)].restricted {
            self.rows.push_back((instance, made));
        }
    }

    /// Counts the new alert of the number `said`, whose record can be read at `at`; updates count
    /// nothing.
    pub(super) fn readable(&mut self, said: u64, at: Nanos, words: &mut JudgeWords) {
        while let Some((instance, made)) = self.rows.front().copied()
            && instance <= said
        {
            self.rows.pop_front();
            // One that is passed over never got its record.
            if instance == said {
                let took = at.since(made).0;
                let bucket = (took.max(1).ilog2() as usize).saturating_sub(9);
                words.latency[bucket.min(LATENCY_BUCKETS - 1)] += 1;
                words.latency_sum_ns = words.latency_sum_ns.saturating_add(took);
            }
        }
    }

    /// Forgets those that got no record.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restricted_alerts_and_those_without_a_record_count_nothing() {
        let mut raised = Raised::default();
        let mut words = JudgeWords::default();
        let restricted = CATALOGUE.iter().position(|known| known.restricted).unwrap() as u16;
        raised.note(restricted, 1, Nanos(0));
        raised.note(0, 2, Nanos(0));
        raised.note(0, 3, Nanos(100));
        raised.readable(1, Nanos(9_000), &mut words);
        // The ring had no room for the second.
        raised.readable(3, Nanos(3_100), &mut words);
        raised.readable(3, Nanos(9_000), &mut words);
        assert_eq!((words.latency.iter().sum::<u64>(), words.latency_sum_ns), (1, 3_000));
        assert_eq!(words.latency[2], 1, "from 2,048 ns to 4,096");
    }
}
