//! LI-UNMATCHED: counts of streams that match no authorisation, in the restricted file alone; a
//! restart in between changes nothing.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;
use weir_engine::Nanos;
use weir_engine::contract::streams::Streams;
use weir_engine::contract::verdict::Verdict;
use weir_engine::rules::EquipmentId;

use crate::fake::*;
use crate::swap_at;

/// The place is told for the n-th time, ten seconds after the time before.
fn streams(n: u64, fewest: u32, authorised: u32) -> Verdict {
    let at = |n| Nanos(START + 10 * n * SECOND);
    Verdict::Streams(Box::new(Streams {
        place: 1,
        upf: Some(EquipmentId(0)),
        is_declared: true,
        fewest,
        most: fewest,
        authorised,
        from: at(n.saturating_sub(1)),
        until: at(n),
        coverage: Some(0.96),
        loss_ratio: 0.0,
        degraded: false,
        policy: 1,
    }))
}

/// Told so often, of so many, to a live control that is killed after `killed`.
fn told(
    policy: &str,
    times: u64,
    number: impl Fn(u64) -> u32,
    killed: Option<u64>,
) -> (Place, String) {
    let place = Place::new(policy);
    let mut sensor = Sensor::start(&place.socket(), false, 256);
    let mut control = place.control(&["--print-alerts"]);
    let (mut connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    sensor.push(&swap_at(START, policy.version, policy.fingerprint())).unwrap();
    for n in 0..=times {
        sensor.push(&streams(n, number(n), 2)).unwrap();
        if killed == Some(n) {
            sensor.await_released(n + 2);
            control.kill();
            drop(connection);
            control = place.control(&["--print-alerts"]);
            connection = sensor.accept().0;
        }
    }
    sensor.await_released(times + 2);
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    let printed = control.output();
    (place, printed)
}

fn restricted(place: &Place) -> Vec<Value> {
    events(&fs::read_to_string(place.path("restricted.json")).unwrap(), "alert")
}

#[test]
fn an_excess_that_outlasts_the_lag_is_told_in_the_restricted_file_and_in_counts() {
    let (place, printed) = told("", 100, |n| if n < 5 { 2 } else { 4 }, None);
    let alerts = restricted(&place);
    let [first, last] = &alerts[..] else { panic!("{alerts:#?}") };
    let weir = &first["weir"];
    assert_eq!(weir["detection"], "LI-UNMATCHED");
    assert_eq!((&weir["severity"], &weir["link"]), (&"critical".into(), &"n4".into()));
    assert_eq!((&weir["equipment"]["id"], &weir["confidence"]), (&"gnb-1".into(), &0.96.into()));
    assert_eq!(first["alert"]["signature_id"], 5_290_026);
    let observed = weir["observed"].as_str().unwrap();
    assert!(
        observed.contains("4 streams") && observed.contains("; 2 are authorised"),
        "{observed}"
    );
    // It began after fifty seconds; the lag is fifteen minutes, and its thirty-second part in which
    // it began counts as one that was not too much.
    assert_eq!(weir["last"], "2023-11-14T22:29:20.000000000Z");
    assert_eq!(last["weir"]["final"], true);
    // Counts, and whose doing: nobody that is intercepted, and nowhere that it goes.
    for key in ["peer", "session", "rule", "ordered_by", "outer", "inner", "gtpu"] {
        assert!(weir.get(key).is_none_or(Value::is_null), "{key}: {weir}");
    }
    for open in [place.text(), printed] {
        assert!(
            !["LI-", "UNMATCHED", "stream", "copies"].iter().any(|it| open.contains(it)),
            "{open}"
        );
    }
}

#[test]
fn within_the_lag_and_at_the_number_nothing_is_told() {
    for number in [|_| 2, |n| if n % 90 == 89 { 2 } else { 7 }] {
        assert_eq!(restricted(&told("", 200, number, None).0), [Value::Null; 0]);
    }
    let off = "[detections.LI-UNMATCHED]\nenabled = false\n";
    assert_eq!(restricted(&told(off, 100, |_| 7, None).0), [Value::Null; 0]);
}

#[test]
fn the_lag_is_the_policys() {
    let set = |seconds: u32| format!("[detections.LI-UNMATCHED]\nfeed_lag_seconds = {seconds}\n");
    assert_eq!(restricted(&told(&set(600), 70, |_| 3, None).0).len(), 2);
    assert_eq!(restricted(&told(&set(1_200), 70, |_| 3, None).0).len(), 0);
}

#[test]
fn a_crash_amid_the_lag_changes_no_verdict() {
    let number = |n: u64| if n < 5 { 2 } else { 3 + (n % 3) as u32 };
    let undisturbed = told("", 100, number, None).0;
    let disturbed = told("", 100, number, Some(60)).0;
    let text = |place: &Place| fs::read_to_string(place.path("restricted.json")).unwrap();
    assert_eq!(text(&disturbed), text(&undisturbed));
    assert_eq!(restricted(&disturbed).len(), 2);
}
