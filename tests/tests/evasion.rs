//! The thefts that other tools can be made to look past, and what only looks like them: found and
//! silent, through the whole of `weir replay`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir_tests::replay::Replayed;
use weir_tests::scenario::Played;
use weir_tests::*;

/// Detection, equipment and peer: what an alert is about.
type Found = (String, String, String);

fn texts<const N: usize>(values: [&Value; N]) -> [String; N] {
    values.map(|value| value.as_str().unwrap_or_default().to_owned())
}

/// The last word of every alert, by what it is about.
fn alerts(done: &Replayed) -> BTreeMap<Found, Value> {
    let events = done.events();
    let last = of_type(&events, "alert").into_iter().filter(|event| event["weir"]["final"] == true);
    last.map(|event| {
        let weir = &event["weir"];
        let [detection, equipment, peer] =
            texts([&weir["detection"], &weir["equipment"]["id"], &weir["peer"]["ip"]]);
        ((detection, equipment, peer), weir.clone())
    })
    .collect()
}

const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

fn weight(severity: &Value) -> usize {
    SEVERITIES.iter().position(|known| severity == known).expect("a severity")
}

#[test]
fn every_theft_is_found_as_what_it_is_and_no_lookalike_is() {
    let played = Played::new("evasion");
    let done = played.replay(&["--workers", "1"]);
    let found = alerts(&done);
    let bounds = played.groups("theft");
    let mut expected = BTreeSet::new();
    for theft in played.labels["thefts"].as_array().unwrap() {
        let [id, detection, equipment, peer] =
            texts([&theft["id"], &theft["detection"], &theft["equipment"], &theft["peer"]]);
        let about = (detection, equipment, peer);
        let alert = found.get(&about).unwrap_or_else(|| panic!("{id}: {about:?} not found"));
        let at_most = &bounds[id.as_str()]["at_most"];
        let severity = weight(&alert["severity"]);
        if at_most.is_null() {
            assert!(severity >= weight(&Value::from("high")), "{id}: {}", alert["severity"]);
        } else {
            assert!(severity <= weight(at_most), "{id}: {}", alert["severity"]);
        }
        let packets = alert["packets"].as_u64().unwrap();
        assert!((1..=theft["packets"].as_u64().unwrap()).contains(&packets), "{id}: {packets}");
        assert!(expected.insert(about), "{id} can't be told from another one");
    }
    let unexpected: Vec<_> = found.keys().filter(|about| !expected.contains(about)).collect();
    assert!(unexpected.is_empty(), "look-alikes: {unexpected:?}");
    assert_eq!((expected.len(), played.groups("silent").len()), (21, 8));
    for workers in ["2", "3"] {
        assert!(
            played.replay(&["--workers", workers]).events == done.events,
            "{workers} workers say otherwise"
        );
    }
}

#[test]
fn shapes_are_read_without_loss_and_broken_ones_are_counted_as_such() {
    let played = Played::new("shapes");
    let one = played.replay(&["--workers", "1"]);
    assert!(played.replay(&["--workers", "3"]).events == one.events);
    let errors = one.summary["errors"].as_object().unwrap();
    for kind in ["gtpu/truncated", "gtpu/length", "gtpu/depth", "pfcp/truncated", "pfcp/length"] {
        assert!(errors.contains_key(kind), "{kind} is not among {errors:?}");
    }
    // What can't be read to its end is among the broken shapes, or has a tag too many.
    let decoded = run(&["decode", text(&played.file("capture.pcap"))]);
    let lines = String::from_utf8_lossy(&decoded.stdout);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wrong: Vec<&Value> = lines.iter().filter(|line| !line["error"].is_null()).collect();
    let broken = played.groups("broken");
    let is_broken = |line: &Value| {
        let holds = |group: &&Value| group["frames"].as_array().unwrap().contains(&line["n"]);
        broken.values().any(holds) || line["error"]["layer"] == "vlan"
    };
    assert!(wrong.iter().all(|line| is_broken(line)), "{wrong:?}");
    // The replay counts the same, but for datagrams given up, which are no header's error.
    let given_up = wrong.iter().filter(|line| line["error"]["kind"] == "overlap").count();
    let counted: u64 = errors.values().filter_map(Value::as_u64).sum();
    assert_eq!((given_up, counted), (2, wrong.len() as u64 - 2), "{errors:?}");
}
