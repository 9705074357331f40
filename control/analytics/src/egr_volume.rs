//! EGR-VOLUME: equipment sends far more than it does at such an hour, or every night the same heap.
//!
//! Remembered is what each equipment sent hour by hour, apart what its policy allows and what it
//! does not. An upload that has been there since installation is in every median of its hour; so
//! hours are also compared with all others of the week, and the same one on several days counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::EGR_VOLUME;

use crate::memory::{Kind, Memory, Row};
use crate::quantile::middle;
use crate::told::{Subject, Told};
use crate::{Finding, Spell, number_of};

/// Rows that are remembered at a time: two for an equipment.
const ROWS: usize = 1 << 18;
const DAY: u32 = 24;
const WEEK: u32 = 7 * DAY;
/// Hours of a row that are remembered: five weeks.
const HOURS: u32 = 5 * WEEK;
/// Peers of an hour that are told apart.
const PEERS: usize = 16;
/// Values of the same hour that are enough to compare with.
const ENOUGH: usize = 3;
/// What scatters less is taken to scatter by this share of the median, and by this many bytes.
const LEAST_SHARE: f64 = 0.05;
const LEAST_BYTES: f64 = 1_048_576.0;

/// `[detections.EGR-VOLUME]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `min_z`.
    pub min_z: f64,
    /// `min_mebibytes_per_hour`, in bytes.
    pub min_bytes: u64,
    /// `windows`.
    pub windows: usize,
    /// `repeated_days`.
    pub repeated_days: usize,
    /// `of_days`.
    pub of_days: u32,
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct HoursKey {
    equipment: String,
    is_allowed: bool,
}

impl HoursKey {
    /// The hours in which anybody sent anything: in others there was nobody to see it.
    const UP: Self = Self { equipment: String::new(), is_allowed: true };
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Hours {
    /// Bytes by the hour since 1970; none where there were none.
    bytes: BTreeMap<u32, u64>,
    /// The first hour that was seen at all.
    since: u32,
    /// Hours that were far above such hours, and far above all of their week.
    high: BTreeSet<u32>,
    tall: BTreeSet<u32>,
    /// Hours in which work was declared: they say nothing.
    left_out: BTreeSet<u32>,
    /// Who got how much in the newest hour, as far as can be told apart.
    to: Vec<(IpAddr, u64)>,
    /// The day's alert, and who got most when it was raised.
    told: Option<(Told, Option<IpAddr>)>,
}

impl Row for Hours {
    const KIND: Kind = Kind::Hours;
    const BOUND: usize = ROWS;
    type Rank = (bool, usize, u32);

    fn rank(&self) -> Self::Rank {
        let newest = self.bytes.last_key_value().map_or(0, |(hour, _)| *hour);
        (self.told.is_some(), self.high.len() + self.tall.len(), newest)
    }

    fn told(&mut self) -> Option<&mut Told> {
        self.told.as_mut().map(|(told, _)| told)
    }
}

/// The detection's memory.
#[derive(Debug, Default)]
pub struct Volumes {
    pub(crate) hours: Memory<HoursKey, Hours>,
}

impl Volumes {
    /// Takes a spell in, and says what its equipment's hours show.
    pub fn observe(
        &mut self,
        spell: &Spell<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        let activity = spell.activity;
        // A declared backup.
        if activity.periodic {
            return;
        }
        let hour = (activity.last.0 / Nanos::from_secs(3600).0) as u32;
        let fresh = || Hours { since: hour, ..Hours::default() };
        let up = self.hours.entry(HoursKey::UP, fresh);
        up.forget(hour);
        up.bytes.insert(hour, 0);
        let key = HoursKey { equipment: spell.equipment.to_owned(), is_allowed: activity.allowed };
        let instance = number_of(&key);
        let row = self.hours.entry(key.clone(), fresh);
        row.forget(hour);
        if spell.context.is_in_window {
            row.left_out.insert(hour);
            return;
        }
        row.add(hour, spell);
        let is_much = row.of(hour) >= settings.min_bytes;
        let day = spell.context.day;
        let told = row.told.filter(|(told, _)| told.covers(day));
        if !is_much && told.is_none() {
            return;
        }
        let up = self.hours.entry(HoursKey::UP, fresh).bytes.keys().copied().collect();
        let row = self.hours.entry(key, fresh);
        let shown = if is_much { row.shows(hour, &up, settings) } else { None };
        let begin = |fact| (Told::new(day, fact, activity.first), row.most());
        let Some((mut told, peer)) = told.or_else(|| shown.map(begin)) else { return };
        told.fact = shown.unwrap_or(told.fact);
        let severity = Severity::High;
        say(told.grow(spell, Subject { detection: EGR_VOLUME, severity, peer, instance }));
        row.told = Some((told, peer));
    }
}

impl Hours {
    /// Forgets what is too old at an hour, and what a clock that was ahead has left.
    fn forget(&mut self, hour: u32) {
        let latest = hour.saturating_add(DAY);
        let newest = self.bytes.range(..=latest).next_back().map_or(hour, |(newest, _)| *newest);
        let kept = newest.max(hour).saturating_sub(HOURS)..=latest;
        self.since = self.since.min(hour).max(*kept.start());
        self.bytes.retain(|hour, _| kept.contains(hour));
        self.left_out.retain(|hour| kept.contains(hour));
        self.high.retain(|high| kept.contains(high) && high.abs_diff(hour) < WEEK);
        self.tall.retain(|tall| kept.contains(tall));
    }

    fn add(&mut self, hour: u32, spell: &Spell<'_>) {
        let sent = spell.sent.1;
        if self.bytes.last_key_value().is_none_or(|(newest, _)| *newest < hour) {
            self.to.clear();
        }
        *self.bytes.entry(hour).or_default() += sent;
        if let Some((_, bytes)) = self.to.iter_mut().find(|(peer, _)| *peer == spell.peer) {
            *bytes += sent;
            return;
        }
        // A newcomer takes the place of who got least, with what that got ("Space-Saving").
        let least = match self.to.iter().enumerate().min_by_key(|(_, (_, bytes))| *bytes) {
            Some((place, _)) if self.to.len() >= PEERS => self.to.swap_remove(place).1,
            _ => 0,
        };
        self.to.push((spell.peer, least + sent));
    }

    /// Who got at least half of the newest hour.
    fn most(&self) -> Option<IpAddr> {
        let all = self.bytes.last_key_value().map_or(0, |(_, bytes)| *bytes);
        let (peer, bytes) = self.to.iter().max_by_key(|(_, bytes)| *bytes)?;
        (*bytes >= all / 2).then_some(*peer)
    }

    fn of(&self, hour: u32) -> u64 {
        self.bytes.get(&hour).copied().unwrap_or(0)
    }

    /// What was sent at these hours, as far as they say anything, sorted.
    fn at(&self, hours: impl Iterator<Item = u32>, up: &BTreeSet<u32>) -> Vec<f64> {
        let says = |hour: &u32| up.contains(hour) && !self.left_out.contains(hour);
        let mut bytes: Vec<f64> = hours.filter(says).map(|hour| self.of(hour) as f64).collect();
        bytes.sort_by(f64::total_cmp);
        bytes
    }

    /// What is usual at an hour: as on its day of the week, else as on other days, else all day.
    fn usual(&self, hour: u32, up: &BTreeSet<u32>) -> Option<Vec<f64>> {
        let before = |step: u32| {
            let earlier = move |count: u32| hour.checked_sub(count * step);
            (1..).map_while(earlier).take_while(|hour| *hour >= self.since)
        };
        [WEEK, DAY].into_iter().map(|step| self.at(before(step), up)).find(|of| of.len() >= ENOUGH)
    }

    /// All hours of the week before.
    fn week(&self, hour: u32, up: &BTreeSet<u32>) -> Option<Vec<f64>> {
        let first = hour.saturating_sub(WEEK).max(self.since);
        let week = self.at(first..hour, up);
        (week.len() >= DAY as usize).then_some(week)
    }

    /// What the hours show with this one.
    fn shows(&mut self, hour: u32, up: &BTreeSet<u32>, settings: &Settings) -> Option<Fact> {
        let bytes = self.of(hour);
        let week = self.week(hour, up)?;
        let usual = self.usual(hour, up).unwrap_or_else(|| week.clone());
        let is_above = |values: &[f64]| {
            let (median, scatter) = middle(values);
            let above = bytes as f64 - median;
            let scatter = scatter.max(LEAST_SHARE * median).max(LEAST_BYTES);
            above >= settings.min_bytes as f64 && 0.6745 * above / scatter >= settings.min_z
        };
        let (now_high, now_tall) = (is_above(&usual), is_above(&week));
        if now_high {
            self.high.insert(hour);
        }
        if now_tall {
            self.tall.insert(hour);
        }
        let days = settings.of_days.saturating_mul(DAY);
        let is_same = |tall: &&u32| hour % DAY == **tall % DAY && hour.abs_diff(**tall) < days;
        let same = self.tall.iter().filter(is_same).count();
        let is_high = now_high && self.high.len() >= settings.windows;
        let is_nightly = now_tall && same >= settings.repeated_days;
        (is_high || is_nightly).then(|| Fact::Volume {
            bytes,
            usual: middle(if is_high { &usual } else { &week }).0 as u64,
            hours: if is_high { self.high.len() } else { same } as u32,
            is_same_hour: !is_high,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_spells::{activity, hours, spell};
    use crate::{Context, Side};

    const MIB: u64 = 1 << 20;
    const SETTINGS: Settings =
        Settings { min_z: 6.0, min_bytes: 50 * MIB, windows: 3, repeated_days: 3, of_days: 5 };

    #[test]
    fn what_comes_after_a_pause_of_the_sensor_or_after_work_is_held_against_what_was_seen() {
        assert_eq!(found((0..168).chain(288..400).map(|hour| (hour, 500))), []);
        let mut volumes = Volumes::default();
        for hour in 0..400 {
            let mut activity = activity(hours(f64::from(hour)));
            activity.to_server.1 = 500 * MIB;
            let is_in_window = (168..288).contains(&hour);
            let context = Context { day: activity.last.day(), is_in_window, ..Context::default() };
            let spell = Spell::of("gnb-1", &activity, Side::First, context);
            volumes.observe(&spell, &SETTINGS, &mut |it| panic!("{it:?}"));
        }
    }

    #[test]
    fn a_clock_that_was_ahead_blinds_nothing() {
        let sent = (0..100).map(|hour| (hour, 2)).chain([(200_000, 1)]);
        let nights = (101..300).map(|hour| (hour, if hour % 24 == 3 { 80 } else { 2 }));
        assert!(found(sent.chain(nights)).iter().any(|(hour, _)| *hour > 100 && *hour < 300));
    }

    /// What is found where so many mebibytes are sent in each of these hours.
    fn found(sent: impl IntoIterator<Item = (u32, u64)>) -> Vec<(u32, Fact)> {
        let mut volumes = Volumes::default();
        let mut found = Vec::new();
        for (hour, mebibytes) in sent {
            let mut activity = activity(hours(f64::from(hour) + 0.5));
            activity.to_server = (1_000, mebibytes * MIB);
            volumes.observe(&spell(&activity), &SETTINGS, &mut |it| found.push((hour, it.fact)));
        }
        found
    }

    /// A day's wave: much at noon, little at night.
    fn wave(hour: u32) -> u64 {
        20 + 60 * u64::from((hour % 24).min(24 - hour % 24)) / 12
    }

    #[test]
    fn the_third_hour_far_above_its_like_is_told() {
        let thefts = [700, 701, 710];
        let sent =
            (0..800).map(|hour| (hour, wave(hour) + if thefts.contains(&hour) { 90 } else { 0 }));
        let found = found(sent);
        let (hour, fact) = found[0];
        assert_eq!(hour, 710);
        assert!(found.iter().all(|(hour, _)| hour / 24 == 710 / 24), "{found:?}");
        assert_eq!(
            fact,
            Fact::Volume {
                bytes: (wave(710) + 90) * MIB,
                usual: wave(710) * MIB,
                hours: 3,
                is_same_hour: false
            }
        );
    }

    #[test]
    fn who_got_most_of_the_hour_is_named_whoever_gets_most_otherwise() {
        let mut volumes = Volumes::default();
        let mut peers = Vec::new();
        for hour in 0..200_u32 {
            let heap = if hour % 24 == 3 { 80 } else { 0 };
            for (to, mebibytes) in [(1, 10), (2, heap), (1, 10)] {
                let mut activity = activity(hours(f64::from(hour)));
                activity.tuple.destination = [192, 0, 2, to].into();
                activity.to_server.1 = mebibytes * MIB;
                volumes.observe(&spell(&activity), &SETTINGS, &mut |it| peers.push(it.peer));
            }
        }
        assert_eq!(peers[0], Some([192, 0, 2, 2].into()));
    }

    #[test]
    fn a_nightly_heap_is_told_though_it_has_always_been_there() {
        let sent = (0..200).map(|hour| (hour, if hour % 24 == 3 { 80 } else { 2 }));
        let found = found(sent);
        assert_eq!(found[0].0, 3 * 24 + 3, "the third night after a whole day was seen");
        let Fact::Volume { is_same_hour: true, hours: 3, .. } = found[0].1 else {
            panic!("{:?}", found[0])
        };
    }

    #[test]
    fn a_daily_wave_and_what_is_little_are_silent() {
        assert_eq!(found((0..900).map(|hour| (hour, wave(hour)))), []);
        assert_eq!(found((0..900).map(|hour| (hour, u64::from(hour % 24 == 3) * 40))), []);
        assert_eq!(found((0..20).map(|hour| (hour, 900))), [], "nothing to compare with yet");
    }

    #[test]
    fn declared_backups_and_declared_work_are_silent() {
        for (periodic, is_in_window) in [(true, false), (false, true)] {
            let mut volumes = Volumes::default();
            for hour in 0..200 {
                let mut activity = activity(hours(f64::from(hour)));
                activity.periodic = periodic;
                activity.to_server.1 = if hour % 24 == 3 { 80 * MIB } else { MIB };
                let context =
                    Context { day: activity.last.day(), is_in_window, ..Context::default() };
                let spell = Spell::of("gnb-1", &activity, Side::First, context);
                volumes.observe(&spell, &SETTINGS, &mut |it| panic!("{it:?}"));
            }
        }
    }
}
