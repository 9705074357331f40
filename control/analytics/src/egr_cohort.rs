//! EGR-COHORT: equipment of one build turns to a place that its policy does not name and that
//! equipment of other makers does not turn to. What has been there since installation shows in no
//! baseline, but in this contrast.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::EGR_COHORT;

use crate::memory::{Kind, Memory, Row};
use crate::told::{Subject, Told};
use crate::{Cohort, Finding, LATE, Spell, number_of};

/// Pairs of a place and an equipment that are remembered at a time.
const VISITS: usize = 1 << 18;
/// A place with more visitors is judged anew when one comes for the first time on a day, not
/// with each of its spells.
const MANY: usize = 512;

/// `[detections.EGR-COHORT]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `min_share`.
    pub min_share: f64,
    /// `min_nodes`.
    pub min_nodes: u32,
    /// `max_other_share`.
    pub max_other_share: f64,
    /// `window_days`, as a time.
    pub window: Nanos,
}

/// Where equipment turns to.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
enum Place {
    /// A /24, or a /48.
    Network(IpAddr),
    /// What DNS or TLS calls it.
    Name(String),
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct VisitKey {
    place: Place,
    equipment: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Visit {
    last: Nanos,
    vendor: u64,
    build: u64,
    /// Whether its policy allowed it: then it shows what others do, and no doing of its build.
    is_allowed: bool,
    told: Option<Told>,
}

impl Row for Visit {
    const KIND: Kind = Kind::Visit;
    const BOUND: usize = VISITS;
    type Rank = (bool, Nanos);

    fn rank(&self) -> Self::Rank {
        (self.told.is_some(), self.last)
    }

    fn told(&mut self) -> Option<&mut Told> {
        self.told.as_mut()
    }
}

/// The detection's memory.
#[derive(Debug, Default)]
pub struct Cohorts {
    pub(crate) visits: Memory<VisitKey, Visit>,
}

impl Cohorts {
    /// Takes a spell in, and says what it shows of the equipment's build.
    pub fn observe(
        &mut self,
        spell: &Spell<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        let activity = spell.activity;
        let Some(cohort) = spell.context.cohort else { return };
        if spell.is_peer_equipment || !spell.may_have_opened {
            return;
        }
        let network = self.visit(Place::Network(spell.network()), spell, &cohort, settings);
        let name = activity.name.as_ref().map(|name| Place::Name(name.to_ascii_lowercase()));
        let name = name.and_then(|place| self.visit(place, spell, &cohort, settings));
        // The name and the network of a place tell the same story.
        if let Some(finding) = network.or(name) {
            say(finding);
        }
    }

    fn visit(
        &mut self,
        place: Place,
        spell: &Spell<'_>,
        cohort: &Cohort,
        settings: &Settings,
    ) -> Option<Finding> {
        let (Cohort { vendor, build, .. }, first) = (*cohort, spell.activity.first);
        let key = VisitKey { place, equipment: spell.equipment.to_owned() };
        let (last, is_allowed) = (spell.activity.last, spell.activity.allowed);
        let fresh = || Visit { last: Nanos(0), vendor, build, is_allowed, told: None };
        let visit = self.visits.entry(key.clone(), fresh);
        let is_first_today = visit.last == Nanos(0) || visit.last.day() != last.day();
        (visit.vendor, visit.build, visit.is_allowed) = (vendor, build, is_allowed);
        // A clock that was ahead has come back.
        let is_ahead = visit.last.since(last) > LATE;
        visit.last = if is_ahead { last } else { visit.last.max(last) };
        let day = spell.context.day;
        let mut told = visit.told.filter(|told| told.covers(day));
        if is_allowed {
            return None;
        }
        if told.is_none() {
            let since = last.since(settings.window);
            let fact = self.shows(&key.place, since, is_first_today, cohort, settings)?;
            told = Some(Told::new(day, fact, first));
        }
        let mut told = told?;
        // Without anybody to compare with, who knows whether it is the build's own doing.
        let is_blind = cohort.others == 0;
        let severity = if is_blind { Severity::Medium } else { Severity::Critical };
        let (peer, instance) = (Some(spell.peer), number_of(&key));
        let subject = Subject { detection: EGR_COHORT, severity, peer, instance };
        let finding = Finding { is_degraded: is_blind, ..told.grow(spell, subject) };
        self.visits.entry(key, fresh).told = Some(told);
        Some(finding)
    }

    /// What the visitors of a place since some time have in common.
    fn shows(
        &self,
        place: &Place,
        since: Nanos,
        is_first_today: bool,
        cohort: &Cohort,
        settings: &Settings,
    ) -> Option<Fact> {
        let from = VisitKey { place: place.clone(), equipment: String::new() };
        let latest = since.plus(settings.window).plus(LATE);
        let (mut nodes, mut others) = (0_u32, 0_u32);
        for (count, (_, visit)) in
            self.visits.from(&from).take_while(|(key, _)| key.place == *place).enumerate()
        {
            if count >= MANY && !is_first_today {
                return None;
            }
            if (since..=latest).contains(&visit.last) {
                nodes += u32::from(visit.build == cohort.build && !visit.is_allowed);
                others += u32::from(cohort.is_contrast(visit.vendor, visit.build));
            }
        }
        let is_enough = nodes >= settings.min_nodes
            && f64::from(nodes) >= settings.min_share * f64::from(cohort.installed);
        let is_own = f64::from(others) <= settings.max_other_share * f64::from(cohort.others);
        (is_enough && is_own).then_some(Fact::Cohort {
            nodes,
            installed: cohort.installed,
            others,
            of_others: cohort.others,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_spells::{activity, hours};
    use crate::{Context, Contrast, Side};

    const SETTINGS: Settings = Settings {
        min_share: 0.30,
        min_nodes: 3,
        max_other_share: 0.05,
        window: Nanos(7 * 86_400_000_000_000),
    };

    /// Of vendor 1, build 11, eight are installed, and forty of other vendors.
    const SUSPECT: Cohort =
        Cohort { vendor: 1, build: 11, installed: 8, contrast: Contrast::OtherVendors, others: 40 };
    const OTHER: Cohort = Cohort { vendor: 2, build: 21, installed: 40, others: 8, ..SUSPECT };

    struct Site(Cohorts);

    impl Site {
        fn visit(&mut self, id: &str, cohort: Cohort, day: f64, to: [u8; 4]) -> Vec<Finding> {
            let mut activity = activity(hours(day * 24.0));
            activity.tuple.destination = to.into();
            activity.name = (to[3] == 99).then(|| "Telemetry.example".into());
            let context =
                Context { day: activity.last.day(), cohort: Some(cohort), ..Context::default() };
            let spell = Spell::of(id, &activity, Side::First, context);
            let mut found = Vec::new();
            self.0.observe(&spell, &SETTINGS, &mut |it| found.push(it));
            found
        }
    }

    #[test]
    fn the_third_of_a_build_that_alone_turns_there_is_told_and_the_next_ones() {
        let mut site = Site(Cohorts::default());
        for (day, id) in [(1.0, "a"), (3.0, "b")] {
            assert_eq!(site.visit(id, SUSPECT, day, [198, 51, 100, 7]), []);
        }
        let third = site.visit("c", SUSPECT, 5.0, [198, 51, 100, 200])[0];
        assert_eq!(third.fact, Fact::Cohort { nodes: 3, installed: 8, others: 0, of_others: 40 });
        assert_eq!((third.severity, third.is_degraded), (Severity::Critical, false));
        assert_eq!(site.visit("a", SUSPECT, 5.1, [198, 51, 100, 9]).len(), 1);
    }

    #[test]
    fn the_same_name_at_other_addresses_is_one_place() {
        let mut site = Site(Cohorts::default());
        let found: Vec<_> = (0..3)
            .map(|n| site.visit(&format!("node {n}"), SUSPECT, 1.0, [198, 51, n, 99]).len())
            .collect();
        assert_eq!(found, [0, 0, 1]);
    }

    #[test]
    fn where_others_turn_too_nobody_is_told_of() {
        let mut site = Site(Cohorts::default());
        for n in 0..3 {
            site.visit(&format!("other {n}"), OTHER, 1.0, [198, 51, 100, 7]);
        }
        for n in 0..8 {
            assert_eq!(site.visit(&format!("node {n}"), SUSPECT, 2.0, [198, 51, 100, 7]), []);
        }
        // Two of forty are few.
        let mut site = Site(Cohorts::default());
        for n in 0..2 {
            site.visit(&format!("other {n}"), OTHER, 1.0, [198, 51, 100, 7]);
        }
        let found: usize = (0..3)
            .map(|n| site.visit(&format!("node {n}"), SUSPECT, 2.0, [198, 51, 100, 7]).len())
            .sum();
        assert_eq!(found, 1);
    }

    #[test]
    fn another_build_of_the_same_vendor_is_no_witness_against_it() {
        let mut site = Site(Cohorts::default());
        let older = Cohort { build: 10, installed: 20, ..SUSPECT };
        for n in 0..10 {
            site.visit(&format!("older {n}"), older, 1.0, [198, 51, 100, 7]);
        }
        let visit =
            |site: &mut Site, n| site.visit(&format!("node {n}"), SUSPECT, 2.0, [198, 51, 100, 7]);
        let found: usize = (0..3).map(|n| visit(&mut site, n).len()).sum();
        assert_eq!(found, 1);
    }

    #[test]
    fn a_cohort_is_held_against_other_vendors_else_against_other_builds() {
        let names = ["Vendor A", "M", "1"];
        let of = |counts| {
            let Cohort { installed, contrast, others, .. } = Cohort::of(names, counts);
            (installed, contrast, others)
        };
        assert_eq!(of([3, 8, 20]), (3, Contrast::OtherVendors, 12));
        assert_eq!(of([3, 8, 8]), (3, Contrast::OtherBuilds, 5));
        assert_eq!(of([8, 8, 8]), (8, Contrast::OtherBuilds, 0));
        let other = Cohort::of(["Vendor A", "M", "2"], [5, 8, 8]);
        assert!(other.is_contrast(other.vendor, Cohort::of(names, [3, 8, 8]).build));
    }

    #[test]
    fn what_others_may_do_counts_as_what_others_do() {
        let mut site = Site(Cohorts::default());
        for n in 0..3 {
            let mut activity = activity(hours(24.0));
            activity.allowed = true;
            let context = Context { day: 1, cohort: Some(OTHER), ..Context::default() };
            let id = format!("other {n}");
            let spell = Spell::of(&id, &activity, Side::First, context);
            site.0.observe(&spell, &SETTINGS, &mut |it| panic!("{it:?}"));
        }
        for n in 0..8 {
            assert_eq!(site.visit(&format!("node {n}"), SUSPECT, 2.0, [198, 51, 100, 7]), []);
        }
    }

    #[test]
    fn few_of_many_and_long_ago_are_no_cohort() {
        let mut site = Site(Cohorts::default());
        let many = Cohort { installed: 11, ..SUSPECT };
        for n in 0..3 {
            assert_eq!(site.visit(&format!("node {n}"), many, 1.0, [198, 51, 100, 7]), []);
        }
        let mut site = Site(Cohorts::default());
        for (day, id) in [(1.0, "a"), (2.0, "b"), (9.5, "c")] {
            assert_eq!(site.visit(id, SUSPECT, day, [198, 51, 100, 7]), []);
        }
    }

    #[test]
    fn of_one_vendor_other_builds_are_the_contrast_and_without_them_it_is_blind() {
        let builds = Cohort { contrast: Contrast::OtherBuilds, others: 10, ..SUSPECT };
        let old = Cohort { build: 10, installed: 10, others: 8, ..builds };
        let mut site = Site(Cohorts::default());
        site.visit("old", old, 1.0, [198, 51, 100, 7]);
        for n in 0..4 {
            assert_eq!(site.visit(&format!("node {n}"), builds, 1.0, [198, 51, 100, 7]), []);
        }
        let alone = Cohort { others: 0, ..builds };
        let mut site = Site(Cohorts::default());
        let found: Vec<_> = (0..3)
            .flat_map(|n| site.visit(&format!("node {n}"), alone, 1.0, [198, 51, 100, 7]))
            .collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].is_degraded), (Severity::Medium, true));
    }
}
