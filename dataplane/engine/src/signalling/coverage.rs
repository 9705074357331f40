//! How much of N4 is seen, per node and minute: transactions with both halves ÷
//! transactions seen.

use crate::Nanos;

/// The window, and the parts in which it moves.
const PARTS: usize = 6;
const PART: Nanos = Nanos::from_secs(10);

/// Transactions of the last minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    parts: [Part; PARTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: u64,
    whole: u32,
    halves: u32,
}

impl Coverage {
    fn part(&mut self, time: Nanos) -> &mut Part {
        let number = time.slice(PART);
        let part = &mut self.parts[number as usize % PARTS];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part
    }

    /// Both halves of a transaction were seen; of an overdue one the second half now.
    pub(crate) fn whole(&mut self, time: Nanos, was_overdue: bool) {
        let part = self.part(time);
        part.whole += 1;
        if was_overdue {
            part.halves = part.halves.saturating_sub(1);
        }
    }

    /// Only one half was seen.
    pub(crate) fn half(&mut self, time: Nanos) {
        self.part(time).halves += 1;
    }

    /// Transactions seen whole, and all that were seen, in the minute before `now`.
    pub(crate) fn of(&self, now: Nanos) -> (u64, u64) {
        let last = now.slice(PART);
        let recent = self.parts.iter().filter(|part| {
            part.number <= last && part.number + PARTS as u64 > last && part.number > 0
        });
        recent.fold((0, 0), |(whole, seen), part| {
            let more = u64::from(part.whole);
            (whole + more, seen + more + u64::from(part.halves))
        })
    }

    /// Whether sessions can be judged by: their share, if it is at least `least`.
    pub(crate) fn share(&self, now: Nanos) -> Option<f64> {
        let (whole, seen) = self.of(now);
        (seen > 0).then(|| whole as f64 / seen as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_counts_and_then_no_more() {
        let mut coverage = Coverage::default();
        let at = Nanos::from_secs;
        for second in 100..110 {
            coverage.whole(at(second), false);
        }
        coverage.half(at(109));
        assert_eq!(coverage.of(at(110)), (10, 11));
        coverage.whole(at(112), true);
        assert_eq!(coverage.of(at(150)).0, 11);
        assert_eq!(coverage.of(at(165)), (1, 1));
        assert_eq!(coverage.share(at(500)), None);
    }
}
