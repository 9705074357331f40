//! What control may say, for tests.

use super::told::{Alert, Incident, Page, State};

pub(super) fn state(json: &str) -> State {
    serde_json::from_str(json).expect("a sample is a state")
}

/// An incident, as JSON.
pub(super) fn incident(number: u64, severity: &str) -> String {
    format!(
        r#"{{"number":{number},"severity":"{severity}","status":"new","restricted":false,
            "first":"2026-11-26T20:00:00.000000000Z","last":"2026-11-26T23:40:01.000000000Z","alerts":{number},
            "detections":["EGR-NOTALLOWED"],"equipment":["gnb-{number}"],"peers":["198.51.100.0/24"]}}"#
    )
}

pub(super) fn incidents(items: &[String]) -> Page<Incident> {
    let json = format!(r#"{{"items":[{}],"next":null}}"#, items.join(","));
    serde_json::from_str(&json).expect("a sample is a page")
}

pub(super) fn alerts(count: u64) -> Page<Alert> {
    let items: Vec<String> = (0..count)
        .map(|id| {
            format!(
                r#"{{"id":"{id:016x}","detection":"EGR-NOTALLOWED","severity":"high","status":"acknowledged",
                "equipment":"gnb-1","peer":"198.51.100.7","first":"2026-11-26T20:00:00Z",
                "last":"2026-11-26T23:40:01Z","packets":12345,"bytes":6789012,"note":null}}"#
            )
        })
        .collect();
    let json = format!(r#"{{"items":[{}],"next":null}}"#, items.join(","));
    serde_json::from_str(&json).expect("a sample is a page")
}
