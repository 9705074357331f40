//! How many streams of copies there are, as control is told: the same on any number of workers.

use std::collections::BTreeSet;

use weir_engine::Nanos;
use weir_engine::contract::streams::Streams;
use weir_engine::contract::verdict::Verdict;
use weir_engine::detect::{CATALOGUE, PFCP_DUPL};
use weir_engine::rules::{Authorised, EquipmentId, Link, RuleSet};

use crate::lab::{self, at};
use crate::world::*;
use crate::{UPF_1, honest};

const FUNCTION: &str = "10.9.9.9";
const UPF_2: EquipmentId = EquipmentId(5);

fn authorising(sessions: u32) -> RuleSet {
    let to = FUNCTION.parse::<std::net::IpAddr>().unwrap().into();
    RuleSet { authorised: Some(vec![Authorised { upf: None, to, sessions }]), ..rules() }
}

/// What is told of streams, and in how many alerts PFCP-DUPL is.
fn told(mut world: World, set: &RuleSet) -> (Vec<Streams>, usize) {
    world.shots.sort_by_key(|shot| shot.time);
    let of = |workers| {
        let said = lab::judge(&world.shots, Link::Mixed, set.clone(), workers);
        let is_dupl =
            |verdict: &&Verdict| matches!(verdict, Verdict::Alert(it) if it.detection == PFCP_DUPL);
        let alerts = said.iter().filter(is_dupl).count();
        let streams = said.into_iter().filter_map(|verdict| match verdict {
            Verdict::Streams(streams) => Some(*streams),
            _ => None,
        });
        (streams.collect::<Vec<_>>(), alerts)
    };
    let alone = of(1);
    assert_eq!(of(3), alone);
    alone
}

/// Two sessions of upf-1 that are copied, and one of upf-2 between two seconds, in a minute.
fn copied(third: (f64, f64)) -> World {
    let mut world = World::new(60);
    for n in 1..3 {
        world.establish(1.0, n, GNB);
        world.duplicate(2.0, n, FUNCTION);
    }
    world.establish_at(1.0, 3, GNB, UPF2);
    world.duplicate_at(third.0, 3, UPF2, FUNCTION);
    world.end_copies_at(third.1, 3, UPF2);
    world
}

#[test]
fn more_than_all_upfs_together_may_are_told_as_long_as_they_last() {
    let (streams, alerts) = told(copied((10.0, 45.0)), &authorising(2));
    // Of each UPF by itself no more are copied than may be.
    assert_eq!(alerts, 0);
    let [first, middle @ .., last] = &streams[..] else { panic!("{streams:#?}") };
    assert!(at(10.0) <= first.from && first.from < at(10.3), "{first:?}");
    assert!(streams.windows(2).all(|pair| pair[0].until == pair[1].from));
    assert!(middle.iter().all(|it| (it.fewest, it.authorised) == (3, 2)), "{streams:#?}");
    // No frame comes between the seconds 20 and 40.
    assert_eq!(middle.len(), 2, "{streams:#?}");
    assert!(at(45.0) < last.until && last.until < at(46.1) && last.fewest == 2, "{last:?}");
    assert!(streams.iter().all(|it| it.is_declared && !it.degraded && it.policy == 1));
    // Neither UPF is beyond what it may be: who is closest to it is named.
    assert!(streams[..3].iter().all(|it| it.upf == Some(UPF_1)), "{streams:#?}");
    assert_eq!(first.coverage, Some(1.0));
}

#[test]
fn as_many_as_may_be_and_what_nobody_says_anything_about_are_not() {
    assert_eq!(told(copied((10.0, 45.0)), &authorising(3)).0, []);
    let (streams, alerts) = told(copied((10.0, 45.0)), &rules());
    assert!(streams.is_empty() && alerts > 0);
    let mut off = authorising(0);
    let position = CATALOGUE.iter().position(|it| it.id == "LI-UNMATCHED").unwrap();
    off.settings.enabled[position] = false;
    assert_eq!(told(copied((10.0, 45.0)), &off).0, []);
}

#[test]
fn a_place_that_nobody_declared_is_told_as_such() {
    let mut world = copied((10.0, 45.0));
    world.establish_at(1.0, 4, GNB, UPF2);
    world.duplicate_at(20.0, 4, UPF2, THIEF);
    let (streams, _) = told(world, &authorising(3));
    let [first, ..] = &streams[..] else { panic!("told of") };
    assert!(streams.iter().all(|it| !it.is_declared && it.place == first.place));
    assert_eq!((first.most, first.authorised, first.upf), (1, 0, Some(UPF_2)));
}

#[test]
fn copies_that_nobody_ordered_are_streams_too() {
    let (mut world, sent) = honest(6_000);
    world.duplicate(2.0, 2, FUNCTION);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, UPF, FUNCTION, 0x99, packet);
    }
    world.end_copies_at(58.0, 2, UPF);
    let (streams, _) = told(world, &authorising(1));
    let first = &streams[0];
    // One is ordered and authorised, the other's packets were seen, ten seconds before.
    assert_eq!((first.fewest, first.authorised, first.upf), (2, 1, Some(UPF_1)));
    assert!(first.is_declared && first.from > at(15.0) && first.from < Nanos::MAX);
}

#[test]
fn copies_to_a_mediation_function_are_in_no_open_alert_though_no_order_was_seen() {
    let (mut world, sent) = honest(4_000);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, UPF, FUNCTION, 0x99, packet);
    }
    world.shots.sort_by_key(|shot| shot.time);
    let named = |set: RuleSet| {
        let said = lab::judge(&world.shots, Link::Mixed, set, 1);
        let of = said.into_iter().filter_map(|verdict| match verdict {
            Verdict::Alert(alert) => Some(*alert),
            _ => None,
        });
        let about = of.filter(|it| it.peer.is_some_and(|peer| peer.to_string() == FUNCTION));
        about.map(|it| CATALOGUE[usize::from(it.detection)].id).collect::<BTreeSet<_>>()
    };
    assert_eq!(named(authorising(1)), BTreeSet::from(["PFCP-DUPL"]));
    // To who is none they are everybody's.
    assert!(named(rules()).contains("GTP-PEER"));
}
