//! How many streams of copies there are, as control is told: the same on any number of workers.

use std::collections::BTreeSet;

use weir_engine::Nanos;
use weir_engine::contract::streams::Streams;
use weir_engine::contract::verdict::Verdict;
use weir_engine::detect::{CATALOGUE, CNS_DUP, GTP_ORPHAN, GTP_PEER, PFCP_DUPL};
use weir_engine::rules::{Authorised, EquipmentId, Link, RuleSet};

use crate::lab::{self, at, tcp};
use crate::world::*;
use crate::{UPF_1, honest, of};

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
    let mut set = authorising(1);
    set.settings.enabled[usize::from(GTP_PEER)] = false;
    assert_eq!(named(set), BTreeSet::from(["PFCP-DUPL"]));
    // To who is none they are everybody's.
    assert!(named(rules()).contains("GTP-PEER"));
}

#[test]
fn an_order_withholds_its_copies_and_nothing_else_that_is_said_of_their_place() {
    let (mut world, sent) = honest(400);
    world.duplicate(2.0, 1, THIEF);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, UPF, THIEF, 0x77, packet);
    }
    world.push(20.0, tcp("10.0.1.1:40000", &format!("{THIEF}:22"), 2, 0, b""));
    let mut set = rules();
    set.settings.enabled[usize::from(GTP_PEER)] = false;
    let alerts = world.judged_by(set);
    let open = alerts.iter().filter(|it| it.detection != PFCP_DUPL);
    let about = open.filter(|it| it.peer.is_some_and(|it| it.to_string() == THIEF));
    let told: Vec<_> = about
        .map(|it| (CATALOGUE[usize::from(it.detection)].id, it.outer.unwrap().destination_port))
        .collect();
    assert_eq!(told, [("EGR-NOTALLOWED", 22)]);
}

#[test]
fn tunnels_that_nobody_signalled_are_not_told_of_where_the_file_names_their_end() {
    let place = "10.0.9.9";
    let (mut world, sent) = honest(400);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, UPF, place, 0x77, packet);
    }
    let mut set = rules();
    set.settings.orphan_start_grace = Nanos(0);
    let to = place.parse::<std::net::IpAddr>().unwrap().into();
    let named = Some(vec![Authorised { upf: None, to, sessions: 1 }]);
    world.shots.sort_by_key(|shot| shot.time);
    let alerts = |set| lab::alerts(&world.shots, Link::Mixed, set);
    assert_eq!(of(&alerts(set.clone()), GTP_ORPHAN).len(), 1);
    assert_eq!(of(&alerts(RuleSet { authorised: named, ..set }), GTP_ORPHAN).len(), 0);
}

#[test]
fn what_a_mediation_function_hands_on_is_in_no_open_alert() {
    let (mut world, sent) = honest(4_000);
    for (time, _, packet) in &sent {
        world.n3(time + 0.000_1, FUNCTION, THIEF, 0x99, packet);
    }
    world.shots.sort_by_key(|shot| shot.time);
    let alerts = |set| lab::alerts(&world.shots, Link::Mixed, set);
    assert_eq!(of(&alerts(rules()), CNS_DUP).len(), 1);
    let told = alerts(authorising(1));
    assert_eq!((of(&told, CNS_DUP).len(), of(&told, PFCP_DUPL).len()), (0, 1));
}

/// Proof waits for packets that may still come, until the input ends.
#[test]
fn copies_that_the_end_of_the_input_proves_are_streams_too() {
    let (mut world, sent) = honest(4_000);
    for (time, _, packet) in sent.iter().filter(|(time, ..)| *time > 34.0) {
        world.n3(time + 0.000_1, UPF, FUNCTION, 0x99, packet);
    }
    world.shots.retain(|shot| shot.time < at(35.1));
    let mut set = authorising(0);
    set.settings.dup_min_digests = 1;
    let (streams, alerts) = told(world, &set);
    assert!(alerts > 0, "the copies were proven");
    let [last] = &streams[..] else { panic!("{streams:#?}") };
    assert_eq!((last.fewest, last.authorised, last.upf), (1, 0, Some(UPF_1)));
}
