//! The interface over a real sensor and control: a theft that is known is silenced, and programs that try
//! everything find nothing that was not announced.

use std::process::Command;

use serde_json::{Value, json};
use weir_tests::desk::Desk;
use weir_tests::*;

#[test]
fn a_known_theft_is_silenced_and_its_next_replay_stays_silent_and_is_counted() {
    let desk = Desk::of("analyst");
    desk.replay();
    let found = desk.items("alerts?status=new&detection=EGR-NOTALLOWED");
    assert!(!found.is_empty());
    let theft = &found[0];
    let incident = theft["incident"].as_u64().unwrap();
    let incident = desk.ask("GET", &format!("incidents/{incident}"), &Value::Null);
    assert_eq!(incident["status"], "new");
    let until = "2027-06-01T00:00:00Z";
    let body = json!({
        "detection": theft["detection"], "equipment": theft["equipment"], "peer": theft["peer"],
        "until": until, "reason": "support case 4711",
    });
    let made = desk.ask("POST", "suppressions", &body);
    assert!(made["alerts"].as_u64().unwrap() >= 1);
    let is_of_it = |event: &&Value| {
        let weir = &event["weir"];
        weir["detection"] == theft["detection"]
            && weir["equipment"]["id"] == theft["equipment"]
            && weir["peer"]["ip"] == theft["peer"]
    };
    let told = |desk: &Desk| desk.events("alert").iter().filter(is_of_it).count();
    let before = (told(&desk), desk.events("alert").len());
    desk.replay();
    assert_eq!(told(&desk), before.0, "it is silent");
    assert!(desk.events("alert").len() > before.1, "everything else goes on");
    let suppression = &desk.items("suppressions")[0];
    assert!(suppression["alerts"].as_u64().unwrap() >= 1 && suppression["state"] == "active");
    let silenced = desk.items("alerts?status=suppressed");
    assert!(silenced.iter().any(|alert| alert["id"] == theft["id"]), "{silenced:?}");
    // What was said and what was silenced is all in the journal's chain.
    let state = desk.file("state");
    let verified = run(&["events", "verify", text(&state)]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[test]
fn schemathesis_finds_nothing_that_was_not_announced() {
    let Some(program) = kept_apart("schemathesis", "schemathesis") else { return };
    let desk = Desk::of("analyst");
    desk.replay();
    let tried = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/api/v1/openapi.json", desk.address))
        .args(["--header", &format!("Authorization: Bearer {}", desk.token)])
        // That a suppression names what is installed, and a time to come, no schema says.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        // It has no end.
        .args(["--exclude-path", "/api/v1/stream"])
        .args(["--max-examples", "30", "--seed", "1", "--no-color"])
        .current_dir(desk.directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{told}");
    assert!(told.contains("Tested: 26"), "{told}");
}
