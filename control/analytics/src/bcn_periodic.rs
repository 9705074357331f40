//! BCN-PERIODIC: equipment that turns to a peer in a rhythm which nobody declared.
//!
//! Remembered are the newest beats of each channel: what one equipment opens to one peer on one
//! service; and, since an implant may rotate its peers, to all strangers on a service together.
//! Nothing is discounted for being old or shared by many: that is what an implant shipped in every
//! unit looks like.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::BCN_PERIODIC;

use crate::memory::{Kind, Memory, Row};
use crate::rhythm::{Beat, Rhythm};
use crate::told::{Subject, Told};
use crate::{Finding, LATE, Spell, number_of};

/// Channels that are remembered at a time.
const CHANNELS: usize = 1 << 16;
/// Beats of a channel that are, the newest.
const BEATS: usize = 256;
/// Peers of a channel of strangers that are told apart.
const PEERS: usize = 16;
/// A channel with fewer beats shows less the fewer it has; with more it shows enough to stay.
const ENOUGH: usize = 4;
/// Whatever the sizes and hours are like, with intervals scattered wider than this, or fewer of them
/// near the period, there is no beacon: a jitter of 30 % scatters them by 0.15 and leaves nearly
/// all of them near, times that are drawn evenly scatter them by 0.45 and leave two thirds.
const WIDEST: f64 = 0.25;
const FEWEST_NEAR: f64 = 0.85;

/// What is periodic by its own standard, where the policy allows it: GTP-U's Echoes, PFCP's and
/// SCTP's heartbeats, NTP, PTP, keep-alives of BGP and IKE.
pub const BY_STANDARD: [(u8, u16); 9] = [
    (17, 2152),
    (17, 8805),
    (132, 38412),
    (17, 123),
    (17, 319),
    (17, 320),
    (6, 179),
    (17, 500),
    (17, 4500),
];

/// `[detections.BCN-PERIODIC]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `min_score`.
    pub min_score: f64,
    /// `min_samples`.
    pub min_samples: usize,
    /// `min_hours`, as a time.
    pub least: Nanos,
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct ChannelKey {
    equipment: String,
    /// None: all strangers.
    peer: Option<IpAddr>,
    protocol: u8,
    port: u16,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Channel {
    /// In the order of time.
    beats: Vec<Beat>,
    /// Where they went, a few of these places, and when last.
    peers: Vec<(IpAddr, Nanos)>,
    /// Beats since their rhythm was looked at.
    unseen: usize,
    /// The day on which it was.
    looked: u32,
    told: Option<Told>,
    is_of_strangers: bool,
}

impl Row for Channel {
    const KIND: Kind = Kind::Channel;
    const BOUND: usize = CHANNELS;
    type Rank = (bool, usize, Nanos);

    /// Who floods peers leaves the channel of all of them as it is: it goes last.
    fn rank(&self) -> Self::Rank {
        let of_strangers = self.is_of_strangers;
        (
            of_strangers,
            self.beats.len().min(ENOUGH),
            self.beats.last().map_or(Nanos(0), |beat| beat.at),
        )
    }

    fn told(&mut self) -> Option<&mut Told> {
        self.told.as_mut()
    }
}

/// The detection's memory.
#[derive(Debug, Default)]
pub struct Beacons {
    pub(crate) channels: Memory<ChannelKey, Channel>,
}

impl Beacons {
    /// Takes a spell in, and says what its channels show by it.
    pub fn observe(
        &mut self,
        spell: &Spell<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        let activity = spell.activity;
        let is_declared = activity.periodic || activity.allowed && spell.is_on(&BY_STANDARD);
        if is_declared || !spell.may_have_opened {
            return;
        }
        let is_stranger = !activity.allowed && !spell.is_peer_equipment;
        let own = self.channel(spell, Some(spell.peer)).take(spell, settings);
        if let Some(finding) = own {
            say(finding);
        }
        // The channel of strangers repeats what one of them shows alone.
        if is_stranger {
            let found = self.channel(spell, None).take(spell, settings);
            if let Some(finding) = found.filter(|_| own.is_none()) {
                say(finding);
            }
        }
    }

    fn channel(&mut self, spell: &Spell<'_>, peer: Option<IpAddr>) -> ChannelOf<'_> {
        let tuple = &spell.activity.tuple;
        let key = ChannelKey {
            equipment: spell.equipment.to_owned(),
            peer,
            protocol: tuple.protocol,
            port: tuple.destination_port,
        };
        let instance = number_of(&key);
        let fresh = || Channel { is_of_strangers: peer.is_none(), ..Channel::default() };
        ChannelOf { instance, channel: self.channels.entry(key, fresh) }
    }
}

/// A channel with its name.
struct ChannelOf<'a> {
    instance: u64,
    channel: &'a mut Channel,
}

impl ChannelOf<'_> {
    /// Adds a spell, and says what the channel shows with it.
    fn take(self, spell: &Spell<'_>, settings: &Settings) -> Option<Finding> {
        let Self { instance, channel } = self;
        channel.add(spell);
        let day = spell.context.day;
        let is_told = channel.told.is_some_and(|told| told.covers(day));
        // Who beat yesterday is looked at with the first beat of today.
        let is_due = !is_told && channel.told.is_some() && channel.looked != day;
        let shown = channel.shows(settings, day, is_due);
        if !is_told {
            let (fact, first) = (shown?, channel.beats.first()?.at);
            channel.told = Some(Told::new(day, fact, first));
        }
        let told = channel.told.as_mut()?;
        told.fact = shown.unwrap_or(told.fact);
        let peer = if let [(only, _)] = channel.peers[..] { Some(only) } else { None };
        let severity = Severity::Medium;
        Some(told.grow(spell, Subject { detection: BCN_PERIODIC, severity, peer, instance }))
    }
}

impl Channel {
    fn add(&mut self, spell: &Spell<'_>) {
        let beat = Beat { at: spell.activity.first, bytes: spell.sent.1 };
        if spell.activity.continues {
            return;
        }
        // A clock that was ahead has come back.
        let latest = beat.at.plus(LATE);
        self.beats.retain(|other| other.at <= latest);
        // Flows are told of when they end, and not in the order in which they began.
        let place = self.beats.partition_point(|other| other.at <= beat.at);
        self.beats.insert(place, beat);
        if self.beats.len() > BEATS {
            self.beats.remove(0);
        }
        let oldest = self.beats.first().map_or(beat.at, |first| first.at);
        self.peers.retain(|(_, last)| (oldest..=latest).contains(last));
        if let Some((_, last)) = self.peers.iter_mut().find(|(peer, _)| *peer == spell.peer) {
            *last = beat.at.max(*last);
        } else if self.peers.len() < PEERS {
            self.peers.push((spell.peer, beat.at));
        }
        self.unseen += 1;
    }

    /// The rhythm that it shows, looked for the less often the more beats there are, or now.
    fn shows(&mut self, settings: &Settings, day: u32, is_due: bool) -> Option<Fact> {
        let (first, last) = (self.beats.first()?.at, self.beats.last()?.at);
        let count = self.beats.len();
        let is_due = is_due || self.unseen * 16 >= count;
        if !is_due || count < settings.min_samples.min(BEATS) || last.since(first) < settings.least
        {
            return None;
        }
        (self.unseen, self.looked) = (0, day);
        let rhythm = Rhythm::of(&self.beats)?;
        let is_beacon = rhythm.beats >= settings.min_samples.min(BEATS)
            && rhythm.scatter <= WIDEST
            && rhythm.near >= FEWEST_NEAR
            && rhythm.score() >= settings.min_score;
        is_beacon.then(|| Fact::Beacon {
            period: rhythm.period,
            beats: rhythm.beats as u32,
            peers: self.peers.len() as u32,
            score: rhythm.score() as f32,
        })
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::contract::verdict::Activity;

    use super::*;
    use crate::memory::{Remembered, Stored};
    use crate::test_spells::{activity, hours, spell};

    const SETTINGS: Settings =
        Settings { min_score: 0.80, min_samples: 24, least: Nanos(6 * 3_600_000_000_000) };

    /// Activities at these hours, changed by their number.
    fn at(
        hours_of: impl IntoIterator<Item = f64>,
        change: impl Fn(usize, &mut Activity),
    ) -> Vec<Activity> {
        let changed = |(number, at)| {
            let mut activity = activity(hours(at));
            change(number, &mut activity);
            activity
        };
        hours_of.into_iter().enumerate().map(changed).collect()
    }

    fn observe(beacons: &mut Beacons, activities: &[Activity]) -> Vec<Finding> {
        let mut found = Vec::new();
        for activity in activities {
            beacons.observe(&spell(activity), &SETTINGS, &mut |it| found.push(it));
        }
        found
    }

    fn found(activities: &[Activity]) -> Vec<Finding> {
        observe(&mut Beacons::default(), activities)
    }

    fn every(period: f64, count: u32) -> Vec<f64> {
        (0..count).map(|beat| f64::from(beat) * period).collect()
    }

    #[test]
    fn a_heartbeat_every_seven_hours_is_found_after_a_week() {
        let found = found(&at(every(7.0, 30), |_, _| {}));
        let first = found[0];
        assert_eq!(first.last, hours(23.0 * 7.0));
        let Fact::Beacon { period, beats, peers, score } = first.fact else { panic!("{first:?}") };
        assert_eq!((period, beats, peers), (hours(7.0), 24, 1));
        assert!(score > 0.95, "{score}");
        assert_eq!(first.peer, Some([198, 51, 100, 7].into()));
        assert_eq!((first.first, first.packets), (hours(0.0), 6));
    }

    #[test]
    fn each_day_has_a_finding_that_grows() {
        let found = found(&at(every(0.25, 24 * 4 * 2), |_, _| {}));
        let days: std::collections::BTreeSet<u32> = found.iter().map(|it| it.last.day()).collect();
        assert_eq!(days.len(), 2);
        let last = found.last().unwrap();
        assert_eq!(last.packets, 96 * 6, "those of its day alone");
        assert!(found.iter().all(|it| it.instance == last.instance));
    }

    #[test]
    fn peers_that_take_turns_are_one_beacon() {
        let found = found(&at(every(0.5, 60), |number, activity| {
            activity.tuple.destination = [198, 51, 100 + (number * 7 % 5) as u8, 9].into();
        }));
        assert!(!found.is_empty() && found.iter().all(|it| it.peer.is_none()));
        let Fact::Beacon { peers: 5, .. } = found[0].fact else { panic!("{:?}", found[0]) };
    }

    #[test]
    fn what_is_declared_or_periodic_by_standard_or_opened_by_others_is_silent() {
        let silent = |change: fn(&mut Activity)| {
            found(&at(every(0.25, 100), |_, activity| change(activity)))
        };
        assert_ne!(silent(|_| {}), []);
        assert_ne!(silent(|it| it.allowed = true), [], "allowed is not yet declared periodic");
        assert_eq!(silent(|it| (it.allowed, it.periodic) = (true, true)), []);
        assert_eq!(
            silent(|it| {
                (it.allowed, it.tuple.protocol, it.tuple.destination_port) = (true, 17, 123);
            }),
            []
        );
        let polled = |it: &mut Activity| (it.destination, it.source) = (it.source, None);
        assert_eq!(silent(polled), []);
    }

    #[test]
    fn a_stream_that_never_pauses_is_no_beacon() {
        let parts = at(every(1.0 / 12.0, 300), |number, it| it.continues = number > 0);
        assert_eq!(found(&parts), []);
    }

    #[test]
    fn too_few_or_too_short_is_too_early() {
        assert_eq!(found(&at(every(7.0, 23), |_, _| {})), []);
        assert_eq!(found(&at(every(0.02, 290), |_, _| {})), []);
    }

    #[test]
    fn records_in_another_order_show_the_same_rhythm() {
        let mut activities = at(every(0.5, 40), |_, _| {});
        activities.chunks_mut(3).for_each(<[Activity]>::reverse);
        assert!(!found(&activities).is_empty());
    }

    #[test]
    fn a_restart_changes_no_finding() {
        let activities = at(every(0.5, 100), |number, it| it.to_server.1 += number as u64 % 3);
        let whole = found(&activities);
        let (before, after) = activities.split_at(55);
        let mut first = Beacons::default();
        let mut parts = observe(&mut first, before);
        let mut second = Beacons::default();
        first.channels.changed(&mut |Stored { key, row, .. }| {
            assert!(second.channels.restore(&key, &row.unwrap()));
        });
        parts.extend(observe(&mut second, after));
        assert_eq!(parts, whole);
    }

    #[test]
    fn a_flood_of_peers_does_not_drive_out_a_beacon() {
        let mut beacons = Beacons { channels: Memory::new(500) };
        let beat = |beacons: &mut Beacons, number: u32| {
            observe(beacons, &at([f64::from(number)], |_, _| {}))
        };
        let mut found = Vec::new();
        for number in 0..40 {
            found.extend(beat(&mut beacons, number));
            for flood in 0..2_000_u32 {
                let scan = at([f64::from(number) + 0.5], |_, it| {
                    let [_, b, c, d] = (number * 2_000 + flood).to_be_bytes();
                    it.tuple.destination = [100, b, c, d].into();
                    it.tuple.destination_port = 22;
                });
                observe(&mut beacons, &scan);
            }
        }
        assert!(found.len() >= 16, "{}", found.len());
        assert!(beacons.channels.evictions() > 70_000);
    }
}
