//! Detections with a long memory: what they remember survives a crash.

use std::fs;

use serde_json::Value;
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Activity, PolicySwap, Verdict};
use weir_engine::rules::Link;

use crate::fake::{Place, SECOND, START, Sensor, alert, events};

const BEATS: u64 = 40;
const QUARTER: u64 = 900 * SECOND;

/// A beat of gnb-1's implant, a quarter of an hour after the one before.
fn beat(number: u64) -> Verdict {
    let alert = alert(1, 0, 1);
    let at = Nanos(START + number * QUARTER);
    Verdict::Activity(Box::new(Activity {
        flow_id: alert.flow_id + number,
        tuple: alert.outer.unwrap(),
        initiator_known: true,
        source: alert.equipment,
        destination: None,
        to_server: (5, 900 + number % 3),
        to_client: (4, 400),
        total: (9, 1_300),
        opened: at,
        first: at,
        last: Nanos(at.0 + SECOND),
        continues: false,
        allowed: false,
        periodic: false,
        name: alert.peer_name,
        tap: 0,
        link: Link::N3,
        policy: 1,
        evidence: None,
    }))
}

/// What is said of the beats; control is killed after every so many records.
fn played(policy: &str, killed_after: Option<u64>) -> Place {
    played_with(policy, killed_after, beat, BEATS)
}

/// What is said of so many activities.
fn played_with(
    policy: &str,
    killed_after: Option<u64>,
    activity: impl Fn(u64) -> Verdict,
    count: u64,
) -> Place {
    let place = Place::new(policy);
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--until-end"]);
    let (mut connection, message) = sensor.accept();
    let sha256 = message.unwrap().sha256;
    let swap = PolicySwap { at: Nanos(0), version: 1, sha256, equipment: (0, 2), rules: (0, 0) };
    let verdicts = std::iter::once(Verdict::Policy(swap)).chain((0..count).map(activity));
    for (number, verdict) in (1..).zip(verdicts) {
        sensor.push(&verdict).unwrap();
        if killed_after.is_some_and(|every| number % every == 0) {
            sensor.await_released(number);
            control.kill();
            control = place.control(&["--until-end"]);
            drop(connection);
            connection = sensor.accept().0;
        }
    }
    sensor.end(START + count * QUARTER);
    assert_eq!(control.wait().code(), Some(0));
    place
}

fn beacons(place: &Place) -> Vec<Value> {
    let alerts = events(&fs::read_to_string(place.path("eve.json")).unwrap(), "alert");
    alerts.into_iter().filter(|it| it["weir"]["detection"] == "BCN-PERIODIC").collect()
}

#[test]
fn a_beacon_is_told_the_same_however_often_control_is_killed() {
    let undisturbed = played("", None);
    let said = beacons(&undisturbed);
    let (first, last) = (&said[0]["weir"], &said[said.len() - 1]["weir"]);
    assert_eq!(
        (&first["equipment"]["id"], &first["severity"]),
        (&"gnb-1".into(), &"medium".into())
    );
    let observed = first["observed"].as_str().unwrap();
    assert!(observed.contains("about every 15 min; 25 times so far"), "{observed}");
    assert_eq!((&last["final"], &last["packets"]), (&true.into(), &(16 * 9).into()));
    assert_eq!(last["initiator"], "equipment");
    assert_eq!(played("", Some(7)).text(), undisturbed.text());
}

#[test]
fn what_the_policy_sets_holds() {
    let set = |text: &str| format!("[detections.BCN-PERIODIC]\n{text}\n");
    assert_eq!(beacons(&played(&set("enabled = false"), None)), [Value::Null; 0]);
    assert_eq!(beacons(&played(&set("min_samples = 41"), None)), [Value::Null; 0]);
    assert!(!beacons(&played(&set("min_samples = 30"), None)).is_empty());
}

#[test]
fn work_outside_change_windows_is_told_and_declared_work_is_not() {
    let session = |number: u64| {
        let Verdict::Activity(mut activity) = beat(number) else { unreachable!() };
        activity.tuple.destination_port = 22;
        (activity.to_server.1, activity.to_client.1) = (4_000, 60_000);
        Verdict::Activity(activity)
    };
    let alerts = |policy: &str| -> Vec<Value> {
        let place = played_with(policy, None, session, 3);
        let alerts = events(&place.text(), "alert");
        alerts.into_iter().filter(|it| it["weir"]["detection"] == "OAM-WINDOW").collect()
    };
    let said = alerts("");
    let weir = &said[0]["weir"];
    assert_eq!((&weir["equipment"]["id"], &weir["severity"]), (&"gnb-1".into(), &"high".into()));
    assert!(weir["why"].as_str().unwrap().contains("no change window of gnb-1 is open"));
    let window = |id: &str, end: &str| {
        format!(
            "[[change_window]]\nequipment = {{ id = \"{id}\" }}\nstart = 2023-11-14T00:00:00Z\n\
             end = {end}\nreason = \"upgrade\"\n"
        )
    };
    assert_eq!(alerts(&window("gnb-1", "2023-11-16T00:00:00Z")), [Value::Null; 0]);
    assert_eq!(alerts(&window("gnb-2", "2023-11-16T00:00:00Z")).len(), said.len());
    assert_eq!(alerts(&window("gnb-1", "2023-11-14T06:00:00Z")).len(), said.len());
}
