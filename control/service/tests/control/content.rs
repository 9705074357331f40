//! What equipment's packets say: records of the sensor become alerts, and what is remembered of them
//! survives a crash.

use std::fs;

use serde_json::Value;
use weir_engine::Nanos;
use weir_engine::contract::content::{AskedName, Feature, Features, Questions};
use weir_engine::contract::verdict::{PolicySwap, Verdict};
use weir_engine::rules::Link;

use crate::fake::{Place, SECOND, START, Sensor, alert, events};

const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// A name under a domain, asked for by gnb-1.
fn asked(domain: &str, number: u64, at: u64) -> Verdict {
    let alert = alert(1, 0, 1);
    Verdict::Questions(Box::new(Questions {
        equipment: alert.equipment.unwrap(),
        domain: domain.into(),
        name: format!("{number}.{domain}"),
        names: vec![AskedName { digest: number.to_be_bytes(), bits: 20 }],
        folded: 0,
        total: (2, 150),
        first_label: 4,
        tuple: alert.outer.unwrap(),
        first: Nanos(START + at),
        last: Nanos(START + at),
        tap: 0,
        link: Link::N3,
        policy: 1,
    }))
}

/// A hello of gnb-1.
fn hello(name: &str, at: u64) -> Verdict {
    let alert = alert(1, 0, 1);
    let shows = Feature::Tls { name: Some(name.into()), protocol: None, ja4: None };
    Verdict::Features(Box::new(Features {
        equipment: alert.equipment.unwrap(),
        peer_equipment: None,
        tuple: alert.outer.unwrap(),
        flow_id: 7,
        shows,
        folded: 0,
        bytes: 600,
        at: Nanos(START + at),
        allowed: true,
        tap: 0,
        link: Link::N3,
        policy: 1,
    }))
}

/// What is said of these records; control is killed after every so many.
fn played(policy: &str, killed_after: Option<u64>, records: &[Verdict]) -> Place {
    let place = Place::new(policy);
    let mut sensor = Sensor::start(&place.socket(), true, 1024);
    let mut control = place.control(&["--until-end"]);
    let (mut connection, message) = sensor.accept();
    let sha256 = message.unwrap().sha256;
    let swap = PolicySwap { at: Nanos(0), version: 1, sha256, equipment: (0, 2), rules: (0, 0) };
    sensor.push(&Verdict::Policy(swap)).unwrap();
    for (number, verdict) in (2..).zip(records) {
        sensor.push(verdict).unwrap();
        if killed_after.is_some_and(|every| number % every == 0) {
            sensor.await_released(number);
            control.kill();
            control = place.control(&["--until-end"]);
            drop(connection);
            connection = sensor.accept().0;
        }
    }
    sensor.end(START + 60 * DAY);
    assert_eq!(control.wait().code(), Some(0));
    place
}

fn of(place: &Place, detection: &str) -> Vec<Value> {
    let alerts = events(&fs::read_to_string(place.path("eve.json")).unwrap(), "alert");
    alerts.into_iter().filter(|it| it["weir"]["detection"] == detection).collect()
}

/// A tunnel beneath one domain, and as many names beneath another.
fn tunnels(other: &str) -> Vec<Verdict> {
    let both = |n: u64| {
        [asked("evil.example", n, n * 600 * SECOND), asked(other, 500 + n, n * 600 * SECOND)]
    };
    (0..120).flat_map(both).collect()
}

#[test]
fn a_tunnel_of_names_is_told_the_same_however_often_control_is_killed() {
    let undisturbed = played("", None, &tunnels("3gppnetwork.org"));
    let said = of(&undisturbed, "COV-DNS");
    let first = &said[0]["weir"];
    assert_eq!((&first["equipment"]["id"], &first["severity"]), (&"gnb-1".into(), &"high".into()));
    let observed = first["observed"].as_str().unwrap();
    assert!(observed.contains("100 different names under evil.example"), "{observed}");
    assert!(said.iter().all(|it| !it["weir"]["observed"].as_str().unwrap().contains("3gpp")));
    let killed = played("", Some(50), &tunnels("3gppnetwork.org"));
    assert_eq!(killed.text(), undisturbed.text());
}

#[test]
fn zones_of_the_operator_are_silent_and_others_are_not() {
    let domains = |policy: &str| -> Vec<String> {
        let said = of(&played(policy, None, &tunnels("operator.example")), "COV-DNS");
        let last = said.iter().filter(|it| it["weir"]["final"] == true);
        let mut told: Vec<_> =
            last.map(|it| it["weir"]["observed"].as_str().unwrap().to_owned()).collect();
        told.sort();
        told
    };
    assert_eq!(domains("").len(), 2, "an alert each");
    let told = domains("dns_zones = [\"Operator.Example.\"]\n");
    assert!(told.len() == 1 && told[0].contains("evil.example"), "{told:?}");
}

#[test]
fn a_name_after_the_first_weeks_is_told_unless_it_is_listed_or_work_is_declared() {
    let records = [hello("vendor.example", 0), hello("evil.example", 20 * DAY)];
    let told = |policy: &str| of(&played(policy, Some(2), &records), "EGR-CRYPTO");
    let said = told("");
    let weir = &said[0]["weir"];
    assert_eq!((&weir["equipment"]["id"], &weir["severity"]), (&"gnb-1".into(), &"medium".into()));
    assert_eq!(weir["peer"]["name"], "evil.example");
    assert!(weir["next"].as_str().unwrap().contains("`sni evil.example`"), "{}", weir["next"]);
    assert_eq!(told("known_crypto = [\"sni evil.example\"]\n"), [Value::Null; 0]);
    let window = "[[change_window]]\nequipment = { id = \"gnb-1\" }\nstart = 2023-11-14T00:00:00Z\n\
        end = 2024-01-16T00:00:00Z\nreason = \"upgrade\"\n";
    assert_eq!(told(window), [Value::Null; 0]);
    assert_eq!(told("[detections.EGR-CRYPTO]\nlearning_days = 30\n"), [Value::Null; 0]);
}
