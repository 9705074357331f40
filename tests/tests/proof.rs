//! UPFs that send subscribers' packets a second time, or make some of their own: found by following
//! packets from tap to tap, through the whole of `weir replay`.

use std::sync::LazyLock;

use serde_json::Value;
use weir_tests::scenario::{Alert, Played, alerts, judge};

static PLAYED: LazyLock<Played> = LazyLock::new(|| Played::new("proof"));

#[test]
fn every_leak_is_found_and_what_only_looks_so_is_silent() {
    assert_eq!(PLAYED.unsent(), [""; 0]);
    let done = PLAYED.replay(&["--workers", "1"]);
    let said = alerts(&done);
    let verdict = judge(&PLAYED, &said);
    for (theft, named) in &verdict.thefts {
        let id = &theft.id;
        let named = named.as_ref().unwrap_or_else(|| panic!("{id}: {theft:?} is not found"));
        assert!(theft.is_as_grave(named), "{id}: {} is wrong", named.severity);
        assert_eq!(named.event["weir"]["status"], "ok", "{id}");
    }
    let unexplained: Vec<String> = verdict.unexplained.iter().map(Alert::told).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert_eq!((verdict.thefts.len(), PLAYED.groups("silent").len()), (5, 5));
    for (name, group) in PLAYED.groups("silent") {
        assert!(group["frames"].as_array().unwrap().len() > 1_000, "{name} hardly happened");
    }
    // What is made is told of by its direction.
    let balance = said.iter().filter(|alert| alert.detection == "CNS-BALANCE");
    let mut ways: Vec<&Value> = balance.map(|alert| &alert.event["weir"]["direction"]).collect();
    ways.sort_by_key(|way| way.to_string());
    assert_eq!(ways, ["dl", "ul"]);
    // Whose packets were copied is told, and that there were many.
    for alert in said.iter().filter(|alert| alert.detection == "CNS-DUP") {
        assert!(alert.event["weir"]["session"]["ue"].is_string(), "{}", alert.told());
        assert!(alert.packets >= 10, "{}", alert.told());
    }
}

#[test]
fn neither_workers_nor_speed_change_a_byte() {
    let one = PLAYED.replay(&["--workers", "1"]);
    for more in [["--workers", "2"], ["--workers", "3"]] {
        let other = PLAYED.replay(&more);
        assert!(other.events == one.events, "{more:?} says otherwise");
    }
}

#[test]
fn a_policy_that_wants_neither_hears_of_neither() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.toml");
    let mut lines = std::fs::read_to_string(PLAYED.file("policy.toml")).unwrap();
    lines += "\n[detections.CNS-DUP]\nenabled = false\n[detections.CNS-BALANCE]\nenabled = false\n";
    std::fs::write(&policy, lines).unwrap();
    let inventory = PLAYED.file("inventory.toml");
    let capture = PLAYED.file("capture.pcap");
    let done = weir_tests::replay::replay(&[
        "--inventory",
        weir_tests::text(&inventory),
        "--policy",
        weir_tests::text(&policy),
        weir_tests::text(&capture),
    ]);
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert!(alerts(&done).iter().all(|alert| !alert.detection.starts_with("CNS-")));
}
