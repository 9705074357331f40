//! Detections with a long memory: what shows only over hours and weeks. They are functions of
//! equipment's spells of activity, in packet time, and of what they remember; what they remember is
//! bounded, kept row by row, and can be stored and taken up again.
//!
//! - [`bcn_periodic`]: a rhythm that nobody declared.
//! - [`cov_dns`]: names that carry more than names do.
//! - [`egr_cohort`]: a place to which one build turns and nobody else.
//! - [`egr_crypto`]: encrypted conversations that are not those that equipment is known for.
//! - [`egr_longconn`]: a flow that the policy does not allow and that never ends.
//! - [`egr_volume`]: far more than usual, or every night the same heap.
//! - [`li_unmatched`]: more streams of copies than are authorised.
//! - [`oam_window`]: work on equipment that nobody declared.

pub mod bcn_periodic;
pub mod cov_dns;
pub mod egr_cohort;
pub mod egr_crypto;
pub mod egr_longconn;
pub mod egr_volume;
pub mod li_unmatched;
pub mod memory;
pub mod oam_window;
mod quantile;
pub mod rhythm;
mod spell;
#[cfg(test)]
mod test_spells;
mod told;

use std::net::IpAddr;

use serde::Serialize;
use weir_engine::Nanos;
use weir_engine::contract::content::Questions;
use weir_engine::contract::streams::Streams;
use weir_engine::contract::verdict::{Fact, Severity};

use bcn_periodic::Beacons;
use cov_dns::Domains;
use egr_cohort::Cohorts;
use egr_crypto::{Crypto, Opening};
use egr_volume::Volumes;
use li_unmatched::Standings;
use memory::{Kind, Remembered, Stored};
use oam_window::Management;

pub use spell::{Cohort, Context, Contrast, Side, Spell};

/// Flows are told of when they end, and not in the order in which they began, yet never as late as
/// this: what is further ahead was a clock's mistake.
pub const LATE: Nanos = Nanos::from_secs(86_400);

/// How the detections are set; those that are absent do not judge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// BCN-PERIODIC's.
    pub beacons: Option<bcn_periodic::Settings>,
    /// EGR-COHORT's.
    pub cohorts: Option<egr_cohort::Settings>,
    /// EGR-LONGCONN's `max_hours`, as a time.
    pub longest: Option<Nanos>,
    /// EGR-VOLUME's.
    pub volumes: Option<egr_volume::Settings>,
    /// OAM-WINDOW's `max_mebibytes`, in bytes.
    pub most_outside_windows: Option<u64>,
    /// COV-DNS's.
    pub names: Option<cov_dns::Settings>,
    /// EGR-CRYPTO's.
    pub crypto: Option<egr_crypto::Settings>,
    /// LI-UNMATCHED's.
    pub streams: Option<li_unmatched::Settings>,
}

/// What a detection found, about the equipment of the spell that showed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The detection: an index into the engine's catalogue.
    pub detection: u16,
    /// The UTC day that it is counted on.
    pub day: u32,
    /// How grave it is.
    pub severity: Severity,
    /// Whether what it needs was not all there.
    pub is_degraded: bool,
    /// What was seen.
    pub fact: Fact,
    /// The other side; none if there are several.
    pub peer: Option<IpAddr>,
    /// Tells what grows together from other findings of the same kind.
    pub instance: u64,
    /// Packets of it so far, on its day.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The first packet that belongs to it.
    pub first: Nanos,
    /// The last one.
    pub last: Nanos,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub struct Analytics {
    beacons: Beacons,
    cohorts: Cohorts,
    volumes: Volumes,
    management: Management,
    domains: Domains,
    crypto: Crypto,
    standings: Standings,
}

impl Analytics {
    /// Takes a spell in, and says what it shows.
    pub fn observe(
        &mut self,
        spell: &Spell<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        if let Some(settings) = &settings.beacons {
            self.beacons.observe(spell, settings, say);
        }
        if let Some(settings) = &settings.cohorts {
            self.cohorts.observe(spell, settings, say);
        }
        if let Some(longest) = settings.longest {
            egr_longconn::observe(spell, longest, say);
        }
        if let Some(settings) = &settings.volumes {
            self.volumes.observe(spell, settings, say);
        }
        if let Some(most) = settings.most_outside_windows {
            self.management.observe(spell, most, say);
        }
    }

    /// Takes in what an equipment asked the DNS for, and says what that shows.
    pub fn ask(
        &mut self,
        equipment: &str,
        asked: &Questions,
        day: u32,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        if let Some(settings) = &settings.names {
            self.domains.observe(equipment, asked, day, settings, say);
        }
    }

    /// Takes in what an equipment's flow begins with, and says what of it is new.
    pub fn open(
        &mut self,
        opening: &Opening<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        if let Some(settings) = &settings.crypto {
            self.crypto.observe(opening, settings, say);
        }
    }

    /// Takes in how many streams of copies there are, and says if these are too many.
    pub fn count(
        &mut self,
        seen: &Streams,
        day: u32,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        if let Some(settings) = &settings.streams {
            self.standings.observe(seen, day, settings, say);
        }
    }

    /// Another life of the sensor begins: what was counted for alerts counts from 0 again.
    pub fn restarted(&mut self) {
        self.memories_mut().into_iter().for_each(Remembered::restart);
    }

    fn memories(&self) -> [&dyn Remembered; Kind::ALL.len()] {
        let Self { beacons, cohorts, volumes, management, domains, crypto, standings } = self;
        let sessions = &management.sessions;
        let (domains, traits, places) = (&domains.domains, &crypto.traits, &standings.places);
        [&beacons.channels, &cohorts.visits, &volumes.hours, sessions, domains, traits, places]
    }

    fn memories_mut(&mut self) -> [&mut dyn Remembered; Kind::ALL.len()] {
        let Self { beacons, cohorts, volumes, management, domains, crypto, standings } = self;
        let sessions = &mut management.sessions;
        [
            &mut beacons.channels,
            &mut cohorts.visits,
            &mut volumes.hours,
            sessions,
            &mut domains.domains,
            &mut crypto.traits,
            &mut standings.places,
        ]
    }

    /// Takes over a stored row; no if it is none of this version.
    pub fn restore(&mut self, kind: Kind, key: &[u8], row: &[u8]) -> bool {
        self.memories_mut()
            .into_iter()
            .any(|memory| memory.kind() == kind && memory.restore(key, row))
    }

    /// Gives the rows that changed since [`Analytics::stored`].
    pub fn changed(&self, mut put: impl FnMut(Stored)) {
        self.memories().into_iter().for_each(|memory| memory.changed(&mut put));
    }

    /// Whether any did.
    pub fn has_changed(&self) -> bool {
        self.memories().into_iter().any(Remembered::has_changed)
    }

    /// What changed has been stored.
    pub fn stored(&mut self) {
        self.memories_mut().into_iter().for_each(Remembered::stored);
    }

    /// Rows given up for lack of room so far, in the order of [`Kind::ALL`].
    pub fn evictions(&self) -> [u64; Kind::ALL.len()] {
        self.memories().map(Remembered::evictions)
    }
}

/// A number that stands for a key, the same in every life of the process: FNV-1a, and what MurmurHash3
/// ends with, since keys that differ in their last octets must be far from each other.
fn number_of(key: &impl Serialize) -> u64 {
    let bytes = postcard::to_allocvec(key).unwrap_or_default();
    let number = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (number ^ number >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_row_has_its_memory() {
        let mut analytics = Analytics::default();
        assert_eq!(analytics.memories().map(Remembered::kind), Kind::ALL);
        assert_eq!(analytics.memories_mut().map(|memory| memory.kind()), Kind::ALL);
    }
}
