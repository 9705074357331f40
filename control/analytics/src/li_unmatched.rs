//! LI-UNMATCHED: more streams of copies than are authorised, for longer than the administration of
//! interception takes to say so; or to who is no mediation function, at once.
//!
//! Who is to be intercepted changes all the time, and what is authorised is told some time later.
//! So not each moment is judged: an excess is what remains if of the time that a change may take the
//! fewest streams are held against the most that were authorised.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::streams::Streams;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::LI_UNMATCHED;

use crate::Finding;
use crate::memory::{Kind, Memory, Row};
use crate::told::Told;

/// Places that are remembered: as many as the sensor follows.
const PLACES: usize = 4096;
/// Into so many parts the time is divided that a change may take.
const PARTS: u64 = 32;

/// How the detection is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `feed_lag_seconds`: how long it takes until a change of what is authorised is told.
    pub lag: Nanos,
}

/// A part of the time: the fewest streams in it, and the most that were authorised.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Part {
    begin: Nanos,
    fewest: u32,
    authorised: u32,
}

/// A place to which there were more streams than are authorised.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Place {
    parts: VecDeque<Part>,
    until: Nanos,
}

impl Row for Place {
    const KIND: Kind = Kind::Standing;
    const BOUND: usize = PLACES;
    /// What ended longest ago goes first.
    type Rank = Nanos;

    fn rank(&self) -> Nanos {
        self.until
    }

    fn told(&mut self) -> Option<&mut Told> {
        None
    }

    /// Another sensor counts places anew, and knows nothing of before.
    fn restart(&mut self) -> bool {
        let had_any = !self.parts.is_empty();
        *self = Self::default();
        had_any
    }
}

impl Place {
    /// Takes in what became of it.
    fn take(&mut self, seen: &Streams, lag: Nanos) {
        // What is told goes on without a gap. Behind one, nobody knows what was in it.
        if seen.from != self.until || seen.until < seen.from {
            self.parts.clear();
        }
        self.until = seen.until;
        let length = Nanos(lag.0 / PARTS);
        match self.parts.back_mut() {
            Some(part) if seen.from.since(part.begin) < length => {
                part.fewest = part.fewest.min(seen.fewest);
                part.authorised = part.authorised.max(seen.authorised);
            }
            _ => self.parts.push_back(Part {
                begin: seen.from,
                fewest: seen.fewest,
                authorised: seen.authorised,
            }),
        }
        let begin = Nanos(seen.until.0.saturating_sub(lag.0));
        while self.parts.get(1).is_some_and(|part| part.begin <= begin) {
            self.parts.pop_front();
        }
    }

    /// The fewest streams and the most that were authorised, if that has been told for long enough.
    fn lasting(&self, lag: Nanos) -> Option<(u32, u32)> {
        let since = self.parts.front()?.begin;
        let fewest = self.parts.iter().map(|part| part.fewest).min()?;
        let authorised = self.parts.iter().map(|part| part.authorised).max()?;
        (self.until.since(since) >= lag).then_some((fewest, authorised))
    }
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    pub(crate) places: Memory<u32, Place>,
}

impl Standings {
    /// Takes in how many streams there are, and says if these are too many.
    pub(crate) fn observe(
        &mut self,
        seen: &Streams,
        day: u32,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        let lag = settings.lag;
        let place = self.places.entry(seen.place, Place::default);
        place.take(seen, lag);
        let (streams, authorised) = if seen.is_declared {
            let Some(lasting) = place.lasting(lag) else { return };
            lasting
        } else {
            (seen.most, seen.authorised)
        };
        if streams <= authorised {
            return;
        }
        let since = place.parts.front().map_or(seen.from, |part| part.begin);
        say(Finding {
            detection: LI_UNMATCHED,
            day,
            severity: Severity::Critical,
            is_degraded: seen.degraded,
            fact: Fact::Unmatched { streams, authorised, is_declared: seen.is_declared },
            peer: None,
            instance: u64::from(seen.place),
            packets: 0,
            bytes: 0,
            first: since,
            last: seen.until,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Analytics;
    use crate::memory::Stored;

    const LAG: u64 = 900;

    fn settings() -> crate::Settings {
        let streams = Some(Settings { lag: Nanos::from_secs(LAG) });
        crate::Settings { streams, ..crate::Settings::default() }
    }

    /// Streams between two seconds: the fewest, and the most that were authorised.
    fn streams((from, until): (u64, u64), fewest: u32, authorised: u32) -> Streams {
        Streams {
            place: 1,
            upf: None,
            is_declared: true,
            fewest,
            most: fewest,
            authorised,
            from: Nanos::from_secs(from),
            until: Nanos::from_secs(until),
            coverage: None,
            loss_ratio: 0.0,
            degraded: false,
            policy: 1,
        }
    }

    fn told(analytics: &mut Analytics, seen: &Streams) -> Option<(Fact, u64)> {
        let mut found = None;
        analytics.count(seen, 0, &settings(), &mut |it| found = Some((it.fact, it.last.0)));
        found.map(|(fact, last)| (fact, last / 1_000_000_000))
    }

    /// As the sensor tells of `number` at each second, of which `of` are authorised then.
    fn play(
        seconds: std::ops::Range<u64>,
        number: impl Fn(u64) -> u32,
        of: impl Fn(u64) -> u32,
    ) -> Vec<(Fact, u64)> {
        let mut analytics = Analytics::default();
        let (mut from, mut found) = (None, Vec::new());
        for now in seconds {
            let (streams_now, authorised) = (number(now), of(now));
            if from.is_some() || streams_now > authorised {
                let seen = streams((from.unwrap_or(now), now), streams_now, authorised);
                found.extend(told(&mut analytics, &seen));
                from = (streams_now > authorised).then_some(now);
            }
        }
        found
    }

    fn unmatched(streams: u32, authorised: u32) -> Fact {
        Fact::Unmatched { streams, authorised, is_declared: true }
    }

    #[test]
    fn an_excess_that_outlasts_the_lag_is_told() {
        let found = play(0..1_200, |now| if now < 100 { 2 } else { 3 }, |_| 2);
        assert_eq!(found[0], (unmatched(3, 2), 100 + LAG));
        assert!(found.iter().all(|(fact, _)| *fact == unmatched(3, 2)));
    }

    #[test]
    fn one_that_ends_within_it_is_not_and_the_next_begins_anew() {
        let of = |now: u64| if now % 901 < 899 { 3 } else { 2 };
        assert_eq!(play(0..9_000, of, |_| 2), []);
        // Nor one that is authorised in time, or stopped in time after its end.
        assert_eq!(play(0..9_000, |_| 3, |now| if now < 890 { 2 } else { 3 }), []);
        let stopped = |now| if now < 1_500 { 3 } else { 2 };
        assert_eq!(play(0..9_000, stopped, |now| if now < 700 { 3 } else { 2 }), []);
    }

    #[test]
    fn a_feed_that_is_always_late_is_no_excess_however_much_changes() {
        // Every five minutes one more is intercepted, and told ten minutes later: for hours there
        // is no moment at which as many are authorised as are intercepted.
        let number = |now: u64| 10 + (now / 300) as u32;
        let found = play(600..40_000, number, |now| number(now - 600));
        assert_eq!(found, []);
        // One that is told of nowhere shows all the same: within a part of the lag, and no more is
        // told than lasted.
        let found = play(600..40_000, |now| number(now) + 4, |now| number(now - 600));
        assert!(found.len() > 30_000);
        let Fact::Unmatched { streams, authorised, .. } = found[900].0 else { panic!() };
        assert!((1..=4).contains(&(streams - authorised)), "{streams} {authorised}");
    }

    #[test]
    fn who_is_no_mediation_function_is_told_of_at_once() {
        let seen = Streams { is_declared: false, most: 1, ..streams((5, 5), 0, 0) };
        let said = told(&mut Analytics::default(), &seen);
        assert_eq!(
            said,
            Some((Fact::Unmatched { streams: 1, authorised: 0, is_declared: false }, 5))
        );
    }

    #[test]
    fn no_lag_tells_at_once_and_what_is_switched_off_never() {
        let mut analytics = Analytics::default();
        let set = |lag| crate::Settings { streams: lag, ..crate::Settings::default() };
        let mut found = 0;
        let mut count = |settings: crate::Settings| {
            analytics.count(&streams((5, 5), 1, 0), 0, &settings, &mut |_| found += 1);
            found
        };
        assert_eq!(count(set(None)), 0);
        assert_eq!(count(set(Some(Settings { lag: Nanos(0) }))), 1);
    }

    #[test]
    fn a_gap_in_what_is_told_and_another_sensor_begin_anew() {
        let mut analytics = Analytics::default();
        for second in (0..890).step_by(10) {
            assert_eq!(told(&mut analytics, &streams((second, second + 10), 3, 2)), None);
        }
        assert_eq!(told(&mut analytics, &streams((900, 910), 3, 2)), None);
        let until = |begin: u64| (begin..begin + 1_000).step_by(10);
        let first =
            until(910).find(|at| told(&mut analytics, &streams((*at, at + 10), 3, 2)).is_some());
        assert_eq!(first, Some(900 + LAG - 10));
        analytics.restarted();
        assert_eq!(told(&mut analytics, &streams((1_800, 1_810), 3, 2)), None);
    }

    #[test]
    fn what_was_stored_goes_on_and_rows_are_bounded() {
        let (mut whole, mut halves) = (Analytics::default(), Analytics::default());
        let mut disk = std::collections::BTreeMap::new();
        let mut said = 0;
        for second in (0..2_000).step_by(10) {
            let seen = streams((second, second + 10), 3 + (second % 7) as u32, 2);
            halves.changed(|Stored { key, row, .. }| drop(disk.insert(key, row.unwrap())));
            let mut restored = Analytics::default();
            assert!(disk.iter().all(|(key, row)| restored.restore(Kind::Standing, key, row)));
            halves = restored;
            let told_now = told(&mut whole, &seen);
            assert_eq!(told(&mut halves, &seen), told_now);
            said += u32::from(told_now.is_some());
        }
        assert!(said > 100);
        let row = disk.values().map(Vec::len).max().unwrap();
        assert!(row < 1_024, "{row} octets");
        for place in 0..2 * PLACES as u32 {
            told(&mut whole, &Streams { place, ..streams((5, 5), 1, 0) });
        }
        assert_eq!(whole.evictions().last(), Some(&(PLACES as u64)));
    }
}
