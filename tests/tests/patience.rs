//! What takes hours to show, through the whole of `weir replay`: a patient implant amid timers that
//! are declared.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use weir_tests::scenario::Played;
use weir_tests::{Running, events, of_type, text, weir};

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

#[test]
fn control_killed_twice_amid_seven_days_changes_no_verdict() {
    // An implant that calls every four hours: its rhythm shows on the fourth day.
    let played = Played::changed(
        "patience",
        &[("duration_seconds", "604800"), ("every_seconds", "14400"), ("reports", "41")],
    );
    let calm = played.replay(&[]);
    let found = calm.summary["alerts"].as_object().unwrap();
    assert_eq!(found["BCN-PERIODIC"], 4, "{found:?}");

    let stormy = played.file("stormy.json");
    let files = ["inventory.toml", "policy.toml", "capture.pcap"].map(|name| played.file(name));
    let [inventory, policy, capture] = files.each_ref().map(|path| text(path));
    // Seven days in half a minute: the ring holds what comes while control is away.
    let speed = ["replay", "--speed", "20160x", "--events", text(&stormy)];
    let mut command = weir(&speed);
    command.args(["--inventory", inventory, "--policy", policy, capture]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut replay = Running::start(&mut command);
    let began = Instant::now();
    let mut killed: Vec<i32> = Vec::new();
    while replay.0.try_wait().unwrap().is_none() {
        if let Some(control) = replay.children("weir-control").first()
            && !killed.contains(control)
            && began.elapsed() > Duration::from_secs(9 * (killed.len() as u64 + 1))
            && killed.len() < 2
        {
            kill(Pid::from_raw(*control), Signal::SIGKILL).unwrap();
            killed.push(*control);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((replay.end(), killed.len()), (Some(0), 2));
    // All but what is said about the killing itself.
    let lasting = |events: Vec<Value>| -> Vec<Value> {
        events.into_iter().filter(|event| event["event_type"] != "health").collect()
    };
    let (calm, stormy) = (lasting(calm.events()), lasting(events(&stormy)));
    let differs = calm.iter().zip(&stormy).find(|(one, other)| one != other);
    assert_eq!((differs, stormy.len()), (None, calm.len()));
}
