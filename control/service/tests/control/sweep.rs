//! Deeds over more alerts than one transaction changes: answered at once, done by and by, and not
//! undone by a process that is killed meanwhile.

use std::net::IpAddr;

use serde_json::{Value, json};
use weir_engine::contract::verdict::Alert;

use super::cases::{Desk, token, tomorrow};
use super::fake::{alert, await_that, say};
use super::site::items;

/// More than twice of what one portion changes.
const MANY: u64 = 9_000;

/// An alert of gnb-1 and a peer's network of its own, from 1 on.
fn one(number: u64, packets: u64) -> Alert {
    let peer = Some(IpAddr::from([203, (number >> 8) as u8, number as u8, 1]));
    Alert { peer, ..alert(number, 0, packets) }
}

fn flood(desk: &mut Desk) {
    for number in 1..=MANY {
        desk.sensor.push(&say(one(number, 1))).unwrap();
        if number % 32 == 0 {
            let written = desk.sensor.segment.ring.written();
            desk.sensor.await_released(written);
        }
    }
    let written = desk.sensor.segment.ring.written();
    desk.sensor.await_released(written);
}

/// Waits until so many alerts are new, suppressed and closed.
fn await_standing(desk: &Desk, ada: &str, expected: [u64; 3]) {
    await_that("alerts stand where they should", || {
        let (_, state) = desk.get(ada, "state");
        let stand = ["new", "suppressed", "closed"].map(|status| state["alerts"][status].clone());
        (stand == expected.map(Value::from)).then_some(())
    });
}

#[test]
fn many_alerts_are_silenced_portion_by_portion_over_a_kill() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    flood(&mut desk);
    desk.finds(MANY + 1, 1, 7, 1);
    let body = json!({
        "detection": "EGR-NOTALLOWED", "equipment": "gnb-1", "until": tomorrow(),
        "reason": "a scan of a test",
    });
    let (code, made) = desk.post(&ada, "suppressions", body);
    assert_eq!((code, &made["alerts"], &made["pending"]), (201, &json!(4_096), &json!(true)));
    // One that is told of again before its turn comes is counted once all the same.
    desk.sensor.push(&say(one(MANY, 100))).unwrap();
    desk.restart();
    let silenced = await_that("all are silenced", || {
        let one = items(&desk, &ada, "suppressions")[0].clone();
        (one["pending"] == false).then(|| one["alerts"].clone())
    });
    assert_eq!(silenced, MANY);
    await_standing(&desk, &ada, [1, MANY, 0]);
    assert_eq!(desk.alerts(&ada, "?status=new")[0]["equipment"], "gnb-2");
}

#[test]
fn an_incident_of_many_alerts_is_closed_portion_by_portion() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    flood(&mut desk);
    let number = items(&desk, &ada, "incidents")[0]["number"].clone();
    let body = json!({ "status": "closed", "note": "a scan" });
    let (code, put) = desk.post(&ada, &format!("incidents/{number}/status"), body);
    assert_eq!((code, &put["alerts"], &put["pending"]), (200, &json!(4_096), &json!(true)));
    await_standing(&desk, &ada, [0, 0, MANY]);
    // What goes on is new again.
    desk.says(one(1, 100));
    await_standing(&desk, &ada, [1, 0, MANY - 1]);
}
