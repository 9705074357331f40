//! Whose a session is, where its SEIDs were given again.

use std::net::IpAddr;

use serde_json::{Value, json};
use weir_engine::Nanos;
use weir_engine::contract::session::SessionRecord;
use weir_engine::contract::verdict::Verdict;

use crate::cases::{Desk, token};
use crate::fake::*;
use crate::site::{agreed, items, tell};

#[test]
fn of_sessions_with_the_same_seids_nobody_is_named_but_who_is_asked_for() {
    let mut desk = Desk::new();
    let [ada, root] =
        [("ada", "analyst"), ("root", "admin")].map(|(name, role)| token(&desk.place, name, role));
    let again = SessionRecord {
        established: Some(Nanos(START + 3600 * SECOND)),
        ue: [IpAddr::from([10, 60, 9, 9])].into_iter().collect(),
        ..agreed(2)
    };
    tell(&mut desk, [Verdict::Session(agreed(2)), Verdict::Session(again)]);
    let listed = items(&desk, &ada, "sessions");
    assert_eq!(listed.len(), 2);
    let mut body = json!({
        "cp_seid": "0x2", "up_seid": "0x102", "cp": "10.0.2.1", "generation": 1, "reason": "case 47",
    });
    let (code, answer) = desk.post(&ada, "sessions/reveal", body.clone());
    assert_eq!(code, 409, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("established"), "{answer}");
    assert!(items(&desk, &root, "audit").is_empty(), "nobody was named");
    let mut reveal = |established: &Value| {
        body["established"] = established.clone();
        desk.post(&ada, "sessions/reveal", body.clone())
    };
    assert_eq!(reveal(&listed[0]["established"]), (200, json!({ "ue": ["10.60.9.9"] })));
    let first = json!({ "ue": ["10.60.1.2", "2001:db8:60:7::1"] });
    assert_eq!(reveal(&listed[1]["established"]), (200, first));
    assert_eq!(reveal(&Value::Null).0, 404, "there is none whose agreement was not seen");
    assert_eq!(reveal(&json!("2023-11-14T22:13:19Z")).0, 404);
    assert_eq!(reveal(&json!("yesterday")).0, 400);
    let deeds = items(&desk, &root, "audit");
    let [second, first] = &deeds[..] else { panic!("{deeds:?}") };
    for (deed, session) in [(first, &listed[0]), (second, &listed[1])] {
        let established = session["established"].as_str().unwrap();
        assert!(deed["object"].as_str().unwrap().ends_with(established), "{deed}");
    }
}
