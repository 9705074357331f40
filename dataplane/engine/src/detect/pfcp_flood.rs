//! PFCP-FLOOD: far more requests of one kind than the peer's median of the last hour,
//! or, without such a history, heartbeats in haste and establishments that mostly fail.

use std::collections::VecDeque;

use arrayvec::ArrayVec;

use crate::Nanos;
use crate::detect::Detection;
use crate::rules::Settings;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "PFCP-FLOOD",
    signature_id: 5_290_024,
    signature: "A flood of PFCP requests",
    category: "Attempted Denial of Service",
    rank: 6,
    technique: &["T1498", "T1499"],
    restricted: false,
};

const HEARTBEAT: u8 = 1;
const ESTABLISHMENT: u8 = 50;
/// Seconds that are kept one by one.
const SECONDS: usize = 64;
/// Minutes of an hour.
const MINUTES: usize = 60;
/// A flood is over when it was calm for so long.
const CALM: u64 = 10;
/// What counts from before a flood was known: its own beginning.
const RUN_UP: u64 = 10;

/// Requests of one kind in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: u64,
    requests: u32,
    failed: u32,
    bytes: u64,
    first: Nanos,
    /// Whether a flood has told of it.
    told: bool,
}

/// What a flood adds to its alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Flood {
    pub(crate) message: u8,
    pub(crate) per_second: u32,
    /// For establishments that fail: how many, of how many.
    pub(crate) failing: Option<(u32, u32)>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) first: Nanos,
}

#[derive(Debug, Default)]
struct Kind {
    message: u8,
    seconds: VecDeque<Second>,
    /// Requests a minute, of the last hour.
    minutes: VecDeque<u32>,
    minute: u64,
    in_minute: u32,
    /// The median of the hour, a second.
    median: f64,
    /// Until when a flood lasts, by second.
    flood_until: Option<u64>,
    worst: u32,
}

/// The rates of one sender's requests to one receiver.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    kinds: Vec<Kind>,
}

impl Rates {
    fn kind(&mut self, message: u8) -> &mut Kind {
        let place = self.kinds.iter().position(|kind| kind.message == message);
        let place = place.unwrap_or_else(|| {
            self.kinds.push(Kind { message, ..Kind::default() });
            self.kinds.len() - 1
        });
        &mut self.kinds[place]
    }

    /// Counts a request; says what a flood adds if there is one.
    pub(crate) fn request(
        &mut self,
        message: u8,
        time: Nanos,
        bytes: u32,
        settings: &Settings,
    ) -> Option<Flood> {
        self.kind(message).request(time, u64::from(bytes), settings)
    }

    /// Counts a request of the storm after a restart: that there are many says nothing, that they
    /// fail does.
    pub(crate) fn request_in_storm(&mut self, message: u8, time: Nanos, bytes: u32) {
        self.kind(message).count(time.slice(Nanos::SECOND), time, u64::from(bytes));
    }

    /// A request was not answered, or rejected.
    pub(crate) fn failed(
        &mut self,
        message: u8,
        asked: Nanos,
        settings: &Settings,
    ) -> Option<Flood> {
        self.kind(message).failed(asked, settings)
    }
}

impl Kind {
    fn count(&mut self, number: u64, time: Nanos, bytes: u64) {
        match self.seconds.back_mut() {
            Some(second) if second.number >= number => {
                second.requests += 1;
                second.bytes += bytes;
            }
            _ => {
                if self.seconds.len() >= SECONDS {
                    self.seconds.pop_front();
                }
                self.seconds.push_back(Second {
                    number,
                    requests: 1,
                    failed: 0,
                    bytes,
                    first: time,
                    told: false,
                });
            }
        }
    }

    fn request(&mut self, time: Nanos, bytes: u64, settings: &Settings) -> Option<Flood> {
        let number = time.slice(Nanos::SECOND);
        self.turn(number);
        self.count(number, time, bytes);
        self.in_minute = self.in_minute.saturating_add(1);
        let now = self.seconds.back().map_or(0, |second| second.requests);
        if self.flood_until.is_some_and(|until| number > until) {
            self.flood_until = None;
            self.worst = 0;
        }
        let threshold = self.threshold(settings);
        if self.flood_until.is_some() {
            if f64::from(now) >= threshold {
                self.flood_until = Some(number + CALM);
            }
            self.worst = self.worst.max(now);
            if let Some(second) = self.seconds.back_mut() {
                second.told = true;
            }
            return Some(self.flood(1, bytes, time, None));
        }
        if f64::from(now) >= threshold && self.is_sustained(number, threshold, settings) {
            return Some(self.begin(number, None));
        }
        None
    }

    fn failed(&mut self, asked: Nanos, settings: &Settings) -> Option<Flood> {
        if self.message != ESTABLISHMENT {
            return None;
        }
        let number = asked.slice(Nanos::SECOND);
        if let Some(second) = self.seconds.iter_mut().rev().find(|second| second.number == number) {
            second.failed += 1;
        }
        let last = self.seconds.back()?.number;
        if self.flood_until.is_some_and(|until| last <= until) {
            return None;
        }
        let (requests, failed) = (self.seconds.iter())
            .fold((0, 0), |(requests, failed), second| {
                (requests + second.requests, failed + second.failed)
            });
        let share = f64::from(failed) / f64::from(requests.max(1));
        (self.minutes.len() < MINUTES
            && u64::from(requests) >= settings.flood_establishments
            && share >= settings.flood_failed_share)
            .then(|| self.begin(last, Some((failed, requests))))
    }

    /// A flood begins: what led to it counts.
    fn begin(&mut self, number: u64, failing: Option<(u32, u32)>) -> Flood {
        self.flood_until = Some(number + CALM);
        let run_up = if failing.is_some() { SECONDS as u64 } else { RUN_UP };
        let since = number.saturating_sub(run_up);
        let (mut packets, mut bytes, mut first) = (0, 0, None);
        self.worst = 0;
        for second in self.seconds.iter_mut().filter(|it| it.number >= since && !it.told) {
            packets += u64::from(second.requests);
            bytes += second.bytes;
            first = first.or(Some(second.first));
            self.worst = self.worst.max(second.requests);
            second.told = true;
        }
        let first = first.unwrap_or_default();
        self.flood(packets, bytes, first, failing)
    }

    fn flood(&self, packets: u64, bytes: u64, first: Nanos, failing: Option<(u32, u32)>) -> Flood {
        Flood { message: self.message, per_second: self.worst, failing, packets, bytes, first }
    }

    /// Requests a second that are too many.
    fn threshold(&self, settings: &Settings) -> f64 {
        if self.minutes.len() < MINUTES {
            return match self.message {
                HEARTBEAT => settings.flood_heartbeats,
                _ => f64::INFINITY,
            };
        }
        (settings.flood_factor * self.median).max(settings.flood_requests)
    }

    /// Whether every second of the last few was above the threshold.
    fn is_sustained(&self, number: u64, threshold: f64, settings: &Settings) -> bool {
        let wanted = settings.flood_sustained.slice(Nanos::SECOND).clamp(1, SECONDS as u64);
        (0..wanted).all(|back| {
            let second = self.seconds.iter().rev().find(|second| second.number + back == number);
            second.is_some_and(|second| f64::from(second.requests) >= threshold)
        })
    }

    fn turn(&mut self, number: u64) {
        let minute = number / 60;
        if self.minute == 0 {
            self.minute = minute;
        }
        // A long silence is an hour without requests.
        let turns = minute.saturating_sub(self.minute).min(MINUTES as u64 + 1);
        for _ in 0..turns {
            if self.minutes.len() >= MINUTES {
                self.minutes.pop_front();
            }
            self.minutes.push_back(std::mem::take(&mut self.in_minute));
        }
        self.minute = self.minute.max(minute);
        if turns > 0 {
            let mut sorted: ArrayVec<u32, MINUTES> = self.minutes.iter().copied().collect();
            sorted.sort_unstable();
            self.median = f64::from(sorted[sorted.len() / 2]) / 60.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(floods: impl IntoIterator<Item = Option<Flood>>) -> u64 {
        floods.into_iter().flatten().map(|flood| flood.packets).sum()
    }

    fn at(millis: u64) -> Nanos {
        Nanos(1_700_000_000_000_000_000 + millis * 1_000_000)
    }

    #[test]
    fn heartbeats_in_haste_count_from_their_first() {
        let settings = Settings::default();
        let mut rates = Rates::default();
        let floods: Vec<_> =
            (0..200).map(|i| rates.request(HEARTBEAT, at(i * 50), 60, &settings)).collect();
        assert_eq!(total(floods), 200);
        let mut rates = Rates::default();
        let calm: Vec<_> =
            (0..600).map(|i| rates.request(HEARTBEAT, at(i * 200), 60, &settings)).collect();
        assert_eq!(total(calm), 0);
    }

    #[test]
    fn establishments_are_a_flood_if_they_fail() {
        let settings = Settings::default();
        let mut rates = Rates::default();
        let mut floods = Vec::new();
        for i in 0..300 {
            floods.push(rates.request(ESTABLISHMENT, at(i * 20), 200, &settings));
            if i % 2 == 0 {
                floods.push(rates.failed(ESTABLISHMENT, at(i * 20), &settings));
            }
        }
        assert_eq!(total(floods), 300);
        let mut rates = Rates::default();
        let busy: Vec<_> =
            (0..3000).map(|i| rates.request(ESTABLISHMENT, at(i * 2), 200, &settings)).collect();
        assert_eq!(total(busy), 0, "a busy hour has no history to be measured by");
    }

    #[test]
    fn in_the_storm_after_a_restart_only_failure_is_a_flood() {
        let settings = Settings::default();
        let storm = |failing: u64| {
            let mut rates = Rates::default();
            let mut floods = Vec::new();
            for i in 0..300 {
                rates.request_in_storm(ESTABLISHMENT, at(i * 20), 200);
                if i % failing == 0 {
                    floods.push(rates.failed(ESTABLISHMENT, at(i * 20), &settings));
                }
            }
            total(floods)
        };
        assert!(storm(2) >= 100);
        assert_eq!(storm(5), 0);
    }

    #[test]
    fn with_an_hour_of_history_its_median_counts() {
        let settings = Settings::default();
        let mut rates = Rates::default();
        // Two a second for 61 minutes, then 19 a second, then 40.
        let hour = 61 * 60 * 1000;
        let times = (0..hour / 500).map(|i| i * 500).chain((0..200).map(|i| hour + i * 53));
        let calm: Vec<_> = times.map(|time| rates.request(52, at(time), 100, &settings)).collect();
        assert_eq!(total(calm), 0);
        let mut rates = Rates::default();
        for i in 0..hour / 500 {
            rates.request(52, at(i * 500), 100, &settings);
        }
        let flood: Vec<_> =
            (0..400).map(|i| rates.request(52, at(hour + i * 25), 100, &settings)).collect();
        assert!(total(flood) >= 400);
    }
}
