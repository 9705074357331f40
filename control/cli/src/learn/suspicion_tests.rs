use super::*;
use crate::learn::fixture::{flow, inventory};
use crate::learn::seen::{Flagged, Record};

/// Why the first of some flows is suspicious, beside the others.
fn names(records: &[Record]) -> Vec<&'static str> {
    let inventory = inventory();
    let mut talks = Talks::since(&inventory, Nanos(0));
    records.iter().for_each(|record| talks.take(record, false));
    of_first(&talks, &records[0])
}

fn of_first(talks: &Talks<'_>, record: &Record) -> Vec<&'static str> {
    let id = talks.inventory.find(&record.equipment).unwrap();
    let of_first = |(key, _): &(&Key, &Talk)| key.equipment == id;
    let (key, talk) = talks.talks.iter().find(of_first).unwrap();
    reasons(key, talk, talks).iter().map(Reason::name).collect()
}

const OUTSIDE: &str = "198.51.100.7";

fn web(from: &str, seconds: u64) -> Record {
    flow(from, OUTSIDE, 6, 443, seconds)
}

#[test]
fn what_one_vendor_does_is_told_from_what_all_do() {
    let others =
        [flow("10.0.0.3", "10.0.0.21", 17, 53, 0), flow("10.0.0.4", "10.0.0.21", 17, 53, 0)];
    let one = |more: &[Record]| names(&[&[web("10.0.0.1", 0)], more, &others].concat());
    assert_eq!(one(&[]), ["never_seen_at_other_vendors"]);
    let build = ["shared_by_build", "never_seen_at_other_vendors"];
    assert_eq!(one(&[web("10.0.0.2", 0)]), build);
    assert_eq!(one(&[web("10.0.0.3", 0)]), [""; 0]);
    let near = flow("10.0.0.3", "198.51.100.99", 17, 123, 0);
    assert_eq!(one(&[near]), [""; 0], "the same network is the same place");
}

#[test]
fn an_allowed_visit_of_another_vendor_counts_and_who_is_silent_does_not() {
    assert_eq!(names(&[web("10.0.0.1", 0)]), [""; 0], "nobody else was seen");
    let inventory = inventory();
    let mut talks = Talks::since(&inventory, Nanos(0));
    talks.take(&web("10.0.0.1", 0), false);
    talks.take(&web("10.0.0.4", 0), true);
    assert_eq!(of_first(&talks, &web("10.0.0.1", 0)), [""; 0]);
}

#[test]
fn a_place_is_known_by_its_name_too() {
    let named = |from: &str, to: &str| Record {
        name: Some("Telemetry.example".into()),
        ..flow(from, to, 6, 443, 0)
    };
    let moved = [named("10.0.0.1", OUTSIDE), named("10.0.0.3", "203.0.113.9")];
    assert_eq!(names(&moved), [""; 0]);
}

#[test]
fn beats_to_a_stranger_are_suspicious_and_chance_is_not() {
    let beats: Vec<_> = (0..12).map(|beat| web("10.0.0.1", beat * 300 + beat % 3 * 20)).collect();
    assert_eq!(names(&beats), ["periodic"]);
    let chance = [0, 11, 700, 730, 2_000, 2_100, 5_000, 5_001, 9_000, 9_700, 9_750, 14_000];
    assert_eq!(names(&chance.map(|at| web("10.0.0.1", at))), [""; 0]);
    assert_eq!(names(&beats[..5]), [""; 0], "too few to tell");
    let own: Vec<_> =
        (0..12).map(|beat| flow("10.0.0.1", "10.0.0.21", 17, 53, beat * 300)).collect();
    assert_eq!(names(&own), [""; 0], "a timer towards equipment is usual");
}

#[test]
fn growth_nights_and_uploads_are_noticed() {
    let growing: Vec<_> = [0, 1_000, 5_000, 6_700, 11_000, 13_300, 15_000, 19_000, 21_000, 24_700]
        .into_iter()
        .map(|at| Record {
            to_server: (10, 10 * at),
            to_client: (10, 40_000),
            ..web("10.0.0.1", at)
        })
        .collect();
    assert_eq!(names(&growing), ["growing"]);
    let day = 86_400;
    let nights = [3_600, day + 7_200, day + 79_300, 2 * day + 85_000];
    assert_eq!(names(&nights.map(|at| web("10.0.0.1", at))), ["only_at_night"]);
    let with_noon = [3_600, day + 7_200, day + 43_200, 2 * day + 85_000];
    assert_eq!(names(&with_noon.map(|at| web("10.0.0.1", at))), [""; 0]);
    let one_night = [3_600, 7_200, 9_000, 10_000];
    assert_eq!(names(&one_night.map(|at| web("10.0.0.1", at))), [""; 0], "all there is to see");
    let upload = Record { to_server: (900, 1 << 21), ..web("10.0.0.1", 0) };
    assert_eq!(names(std::slice::from_ref(&upload)), ["large_upload"]);
    assert_eq!(names(&[Record { to_client: (900, 1 << 20), ..upload }]), [""; 0]);
}

#[test]
fn strangers_that_are_answered_and_remote_access_are_noticed() {
    assert_eq!(names(&[flow(OUTSIDE, "10.0.0.1", 17, 9_999, 0)]), ["answered_from_outside"]);
    let shell = names(&[flow(OUTSIDE, "10.0.0.1", 6, 22, 0)]);
    assert_eq!(shell, ["answered_from_outside", "management_port"]);
    assert_eq!(names(&[flow("10.0.0.1", "10.0.0.2", 6, 22, 0)]), ["management_port"]);
    assert_eq!(names(&[flow("10.0.0.31", "10.0.0.2", 6, 22, 0)]), [""; 0], "that is its work");
    assert_eq!(names(&[flow("10.0.0.31", OUTSIDE, 6, 22, 0)]), ["management_port"]);
    let amid = Record { is_opener_known: false, ..flow("10.0.0.1", "10.0.0.21", 6, 5_000, 0) };
    assert_eq!(names(&[amid]), ["opening_missed"]);
}

#[test]
fn what_detections_say_counts_unless_a_rule_is_all_they_miss() {
    let inventory = inventory();
    let flagged = |to: &str, peer: Option<&str>, detection: &str| {
        let mut talks = Talks::since(&inventory, Nanos(0));
        let record = flow("10.0.0.1", to, 6, 443, 0);
        talks.take(&record, false);
        talks.flag(&Flagged {
            detection: detection.into(),
            equipment: "gnb-a1".into(),
            peer: to.parse().unwrap(),
            peer_equipment: peer.map(str::to_owned),
            last: record.last,
        });
        of_first(&talks, &record)
    };
    assert_eq!(flagged(OUTSIDE, None, "BCN-PERIODIC"), ["periodic"]);
    assert_eq!(flagged(OUTSIDE, None, "EGR-COHORT"), ["flagged"]);
    assert_eq!(flagged(OUTSIDE, None, "EGR-NOTALLOWED"), [""; 0]);
    assert_eq!(flagged("10.0.0.11", Some("upf-1"), "BCN-PERIODIC"), [""; 0]);
    assert_eq!(flagged("10.0.0.11", Some("upf-1"), "GTP-ORPHAN"), ["flagged"]);
}

#[test]
fn reasons_are_sentences_of_one_line_whatever_the_inventory_says() {
    let reason = Reason::SharedByBuild { installed: 2, build: "A\nB \u{1b}[2J".into() };
    let text = reason.to_string();
    assert!(text.starts_with("shared by a whole build: all 2 of A?B ?[2J"), "{text}");
}
