//! How much of N4 is seen, per node and minute: transactions with both halves ÷
//! transactions seen; and over hours, how many were not seen at all.

use crate::Nanos;

/// The window, and the parts in which it moves.
const PARTS: usize = 6;
const PART: Nanos = Nanos::from_secs(10);

/// After so long what was counted is worth half: sessions of hours ago still live.
const HALF_LIFE: Nanos = Nanos::from_secs(6 * 3_600);
/// What one transaction counts, so that it is not soon worth nothing.
const ONE: u64 = 1 << 16;
/// A tap that misses one half of fewer than that many is as good as whole.
const LOSSY: u64 = 2_000;

/// The half of a transaction that was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Half {
    Request,
    Answer,
}

/// Transactions of the last minute, and of the last hours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    parts: [Part; PARTS],
    lately: Lately,
}

/// Transactions of the last hours, older ones for less.
#[derive(Clone, Copy, Debug, Default)]
struct Lately {
    number: u64,
    whole: u64,
    requests: u64,
    answers: u64,
}

impl Lately {
    /// Whether so many halves are more than an accident.
    fn is_share(&self, halves: u64) -> bool {
        halves > 0 && halves >= self.whole / LOSSY
    }

    fn at(&mut self, time: Nanos) -> &mut Self {
        let number = time.slice(HALF_LIFE);
        let aged = number.saturating_sub(self.number).min(63);
        if aged > 0 {
            self.number = number;
            for count in [&mut self.whole, &mut self.requests, &mut self.answers] {
                *count >>= aged;
            }
        }
        self
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: u64,
    whole: u32,
    halves: u32,
}

impl Coverage {
    /// The part of a time; none if that is a minute before what was counted last.
    fn part(&mut self, time: Nanos) -> Option<&mut Part> {
        let number = time.slice(PART);
        let part = &mut self.parts[number as usize % PARTS];
        if part.number < number {
            *part = Part { number, ..Part::default() };
        }
        (part.number == number).then_some(part)
    }

    /// Both halves of a transaction were seen; of an overdue one the second half now.
    pub(crate) fn whole(&mut self, time: Nanos, was_overdue: bool) {
        if let Some(part) = self.part(time) {
            part.whole += 1;
            part.halves = part.halves.saturating_sub(u32::from(was_overdue));
        }
        let lately = self.lately.at(time);
        lately.whole += ONE;
        if was_overdue {
            lately.requests = lately.requests.saturating_sub(ONE);
        }
    }

    /// Only one half was seen, and that counts in its minute.
    pub(crate) fn half_of_minute(&mut self, time: Nanos) {
        if let Some(part) = self.part(time) {
            part.halves += 1;
        }
    }

    /// Only one half was seen, and that counts for hours.
    pub(crate) fn half(&mut self, half: Half, time: Nanos) {
        let lately = self.lately.at(time);
        match half {
            Half::Request => lately.requests += ONE,
            Half::Answer => lately.answers += ONE,
        }
    }

    /// Whether the tap misses N4: nobody answers what nobody asked, nor leaves unanswered what
    /// another answers.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lately.is_share(self.lately.requests) && self.lately.is_share(self.lately.answers)
    }

    /// Whether any transaction of the last hours was seen by a half.
    pub(crate) fn has_halves(&self) -> bool {
        self.lately.is_share(self.lately.requests) || self.lately.is_share(self.lately.answers)
    }

    /// How many transactions of the last hours went by unseen. A tap that loses one half and the
    /// other by chance loses both as often as the product of the shares says (Lincoln-Petersen).
    pub(crate) fn unseen(&self) -> f64 {
        let Lately { whole, requests, answers, .. } = self.lately;
        let of = |count: u64| count as f64 / ONE as f64;
        if whole == 0 { 0.0 } else { of(requests) * of(answers) / of(whole) }
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
        coverage.half_of_minute(at(109));
        assert_eq!(coverage.of(at(110)), (10, 11));
        coverage.whole(at(112), true);
        assert_eq!(coverage.of(at(150)).0, 11);
        assert_eq!(coverage.of(at(165)), (1, 1));
        assert_eq!(coverage.share(at(500)), None);
    }

    #[test]
    fn what_went_by_unseen_is_told_by_the_halves_and_forgotten_in_hours() {
        let mut coverage = Coverage::default();
        let at = Nanos::from_secs;
        (0..900).for_each(|second| coverage.whole(at(second), false));
        (0..50).for_each(|second| coverage.half(Half::Request, at(second)));
        // Requests that nobody answers tell of no loss.
        assert!(coverage.has_halves() && !coverage.is_lossy() && coverage.unseen() == 0.0);
        (0..36).for_each(|second| coverage.half(Half::Answer, at(second)));
        assert!(coverage.is_lossy() && coverage.unseen() == 2.0);
        coverage.whole(at(43_200), false);
        assert!((coverage.unseen() - 0.5).abs() < 0.01);
        coverage.whole(at(4_000_000), false);
        assert!(!coverage.has_halves() && !coverage.is_lossy());
    }
}
