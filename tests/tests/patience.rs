//! What takes hours to show, through the whole of `weir replay`: a patient implant amid timers that
//! are declared.

use std::io::Write;

use serde_json::{Value, json};
use weir_tests::of_type;
use weir_tests::scenario::Played;

#[test]
fn a_patient_implant_is_found_by_its_rhythm_and_no_declared_timer_is() {
    let played = Played::new("patience");
    let done = played.replay(&[]);
    assert_eq!(
        done.summary["alerts"],
        json!({ "BCN-PERIODIC": 1, "EGR-LONGCONN": 1, "EGR-NOTALLOWED": 1 })
    );
    let events = done.events();
    let alerts = of_type(&events, "alert");
    for alert in &alerts {
        assert_eq!(alert["weir"]["equipment"]["id"], "gnb-1");
        assert_eq!(alert["weir"]["peer"]["ip"], "198.51.100.7");
    }
    let last = |detection: &str| -> &Value {
        let of = |it: &&&Value| it["weir"]["detection"] == detection && it["weir"]["final"] == true;
        &alerts.iter().find(of).unwrap()["weir"]
    };
    let beacon = last("BCN-PERIODIC");
    let observed = beacon["observed"].as_str().unwrap();
    assert!(observed.contains("about every 14 min"), "{observed}");
    assert!(beacon["confidence"].as_f64().unwrap() > 0.9, "{beacon}");
    assert_eq!(beacon["same_build"], json!({ "installed": 1, "showing": 1 }));
    let lasting = last("EGR-LONGCONN");
    let observed = lasting["observed"].as_str().unwrap();
    assert!(observed.contains("has lasted 8 h"), "{observed}");
    assert_eq!(lasting["packets"], played.labels["thefts"][0]["packets"]);
    assert!(played.replay(&["--workers", "2"]).events == done.events);
}

#[test]
fn a_rhythm_is_silent_once_it_is_declared_and_not_by_being_allowed() {
    let played = Played::new("patience");
    let mut policy =
        std::fs::OpenOptions::new().append(true).open(played.file("policy.toml")).unwrap();
    let rule = "\n[[allow]]\nfrom = { id = \"gnb-1\" }\nto = { cidr = \"198.51.100.7/32\" }\n\
                services = [\"https\"]\n";
    policy.write_all(rule.as_bytes()).unwrap();
    assert_eq!(played.replay(&[]).summary["alerts"], json!({ "BCN-PERIODIC": 1 }));
    policy.write_all(b"periodic = true\n").unwrap();
    assert_eq!(played.replay(&[]).summary["alerts"], json!({}));
}
