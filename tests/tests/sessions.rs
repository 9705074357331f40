//! The attacks that only the state of sessions tells, and what upsets sessions on a good day: found
//! and silent, through the whole of `weir replay`.

use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use serde_json::Value;
use weir_tests::replay::Replayed;
use weir_tests::scenario::{Alert, Played, alerts, judge};
use weir_tests::*;

static PLAYED: LazyLock<Played> = LazyLock::new(|| Played::new("sessions"));

#[test]
fn every_attack_on_sessions_is_found_and_nothing_else_speaks() {
    let done = PLAYED.replay(&["--workers", "1"]);
    let said = alerts(&done);
    let verdict = judge(&PLAYED, &said);
    for (theft, named) in &verdict.thefts {
        let id = &theft.id;
        let named = named.as_ref().unwrap_or_else(|| panic!("{id}: {theft:?} is not found"));
        assert!(theft.is_as_grave(named), "{id}: {} is wrong", named.severity);
        assert!(named.packets >= 1, "{id} counts nothing");
    }
    let unexplained: Vec<String> = verdict.unexplained.iter().map(Alert::told).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    // What is silent has not slipped into an alert that has a cause.
    let astray: Vec<String> = verdict.astray(&said, 5).iter().map(Alert::told).collect();
    assert!(astray.is_empty(), "{astray:#?}");
    assert_eq!((verdict.thefts.len(), PLAYED.groups("silent").len()), (21, 23));
    for (name, group) in PLAYED.groups("silent") {
        assert!(!group["frames"].as_array().unwrap().is_empty(), "{name} never happened");
    }
    // One alert per detection, equipment, peer's neighbourhood and day.
    let mut about: Vec<_> = said
        .iter()
        .map(|alert| (&alert.detection, &alert.equipment, scenario::neighbourhood(alert.peer)))
        .collect();
    about.sort();
    let all = about.len();
    about.dedup();
    assert_eq!(about.len(), all, "an alert has two last words: {about:#?}");
    let counted = done.summary["alerts"].as_object().unwrap();
    assert_eq!(counted.values().filter_map(Value::as_u64).sum::<u64>(), all as u64);
}

/// With this traffic no session is known by a half when N6 shows a spoofed source, which would keep
/// the judge from speaking of it a second time.
#[test]
fn other_traffic_around_changes_no_verdict() {
    let played = Played::seeded("sessions", Some(6));
    let verdict = judge(&played, &alerts(&played.replay(&[])));
    let missed = verdict.thefts.iter().filter(|(_, named)| named.is_none());
    assert_eq!(missed.map(|(theft, _)| theft.id.as_str()).collect::<Vec<_>>(), [""; 0]);
    let unexplained: Vec<String> = verdict.unexplained.iter().map(Alert::told).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

#[test]
fn neither_workers_nor_speed_change_a_byte() {
    let one = PLAYED.replay(&["--workers", "1"]);
    assert!(!one.events.is_empty());
    for more in [["--workers", "2"], ["--workers", "3"], ["--speed", "200x"]] {
        let other = PLAYED.replay(&more);
        assert!(other.events == one.events, "{more:?} says otherwise");
        assert_eq!(other.summary["alerts"], one.summary["alerts"], "{more:?}");
    }
}

/// Every word of the summary but how long it took, by what, and with how many.
fn outcome(done: &Replayed) -> Value {
    let mut summary = done.summary.clone();
    let words = summary.as_object_mut().unwrap();
    for word in ["wall_seconds", "ns_per_packet", "mpps", "gbps", "workers"] {
        assert!(words.remove(word).is_some(), "{word}");
    }
    summary
}

#[test]
fn receive_threads_before_the_workers_change_no_byte() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("weir.toml");
    std::fs::write(&config, "[sensor]\nreceive_cores = [0]\n").unwrap();
    let configured = ["--config", text(&config), "--workers"];
    for name in ["sessions", "evasion", "shapes", "small", "benign", "demo"] {
        let played = Played::new(name);
        let one = played.replay(&[&configured[..], &["1"]].concat());
        for workers in ["1", "3"] {
            let other = played.replay(&[&configured[..], &[workers, "--source", "dpdk"]].concat());
            assert!(other.events == one.events, "{name}: {workers} workers say otherwise");
            assert_eq!(outcome(&other), outcome(&one), "{name}, {workers} workers");
        }
        if name == "shapes" {
            // Later fragments met the worker that knows their first, PFCP was put together.
            assert!(one.summary["fragments"]["found"].as_u64() > Some(1_000));
            assert!(one.summary["reassembly"]["completed"].as_u64() > Some(10));
        }
    }
}

#[test]
fn who_is_copied_is_told_in_the_restricted_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("restricted");
    let all = PLAYED.replay(&[]);
    let split = PLAYED.replay(&["--restricted-events", text(&place)]);
    let restricted = std::fs::read(&place).unwrap();
    let is_dupl = |line: &&[u8]| {
        let event: Value = serde_json::from_slice(line).unwrap();
        event["weir"]["detection"] == "PFCP-DUPL"
    };
    let lines = |bytes: &[u8], wanted: bool| -> Vec<u8> {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| is_dupl(line) == wanted).collect::<Vec<_>>().concat()
    };
    // The owner of a capture sees all; with a place of their own the same lines stand there.
    assert!(!lines(&all.events, true).is_empty());
    assert!(restricted == lines(&all.events, true));
    assert!(split.events == lines(&all.events, false));
    assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    // Not the letters, in neither events, summary nor what was printed.
    for (what, said) in [
        ("events", String::from_utf8_lossy(&split.events).into_owned()),
        ("summary", split.summary.to_string()),
        ("output", split.said.clone()),
    ] {
        assert!(!said.contains("DUPL"), "{what} tell of a copy");
    }
    let mut others = all.summary["alerts"].as_object().unwrap().clone();
    assert_eq!(others.remove("PFCP-DUPL"), Some(1.into()));
    assert_eq!(split.summary["alerts"], Value::Object(others));
}

#[test]
fn no_open_event_tells_the_place_of_copies() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("restricted");
    let split = PLAYED.replay(&["--restricted-events", text(&place)]);
    let copied = PLAYED.thefts().into_iter().find(|theft| theft.detection == "PFCP-DUPL").unwrap();
    let target = copied.peer.unwrap().to_string();
    assert!(std::fs::read_to_string(&place).unwrap().contains(&target));
    let events = String::from_utf8_lossy(&split.events);
    let telling: Vec<&str> = events.lines().filter(|line| line.contains(&target)).collect();
    assert!(telling.is_empty(), "{telling:#?}");
}
