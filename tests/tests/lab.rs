//! `weir lab run`, whole: families played through the real sensor and control, and what is told of it.

use serde_json::Value;
use weir_tests::{run, said, text};

fn lab(arguments: &[&str]) -> (Value, std::process::Output, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    let mut all = vec!["lab", "run", "--out", text(out.path()), "--quiet-days", "0"];
    all.extend(arguments);
    let output = run(&all);
    let json = std::fs::read(out.path().join("lab.json")).unwrap_or_default();
    (serde_json::from_slice(&json).unwrap_or_default(), output, out)
}

#[test]
fn attacks_are_scored_by_detection_and_intensity() {
    let (json, output, out) = lab(&[
        "--families",
        "unknown-box,teid-scan",
        "--seeds",
        "1",
        "--without-loss",
        "--without-ablation",
        "--without-peers",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let scored = &json["scored"];
    assert_eq!(scored["macro_f1"], 1.0);
    let recall = &scored["recall"];
    assert_eq!([&recall["loud"], &recall["moderate"], &recall["threshold"]], [1.0, 1.0, 1.0]);
    assert_eq!(recall["evasive"], 0.0, "they stay below what fires: {scored}");
    assert_eq!(scored["false_positives_per_day_per_1000"], 0.0);
    assert!(scored["equipment_days"].as_f64().unwrap() > 0.0);
    for (detection, latency) in [("INV-UNKNOWN", 2.0..31.0), ("GTP-TEIDSCAN", 0.5..10.1)] {
        let of = &scored["per_detection"][detection];
        assert_eq!((of["found"].as_u64(), of["thefts"].as_u64()), (Some(3), Some(3)));
        assert!(latency.contains(&of["latency_seconds_p50"].as_f64().unwrap()), "{of}");
        assert!(of["bytes_before_alert_p50"].as_f64().unwrap() > 100.0, "{of}");
        assert_eq!(of["names_equipment"]["value"], 1.0);
    }
    assert_eq!(json["cases"].as_array().unwrap().len(), 8);
    let table = std::fs::read_to_string(out.path().join("lab.md")).unwrap();
    assert!(table.contains("| teid-scan | 1 of 1 | 1 of 1 | 1 of 1 | 0 of 1 |"), "{table}");
    let page = std::fs::read_to_string(out.path().join("index.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("GTP-TEIDSCAN"));
}

#[test]
fn a_half_is_never_played_with_the_other() {
    let arguments = ["--families", "call-home", "--seeds", "2", "--intensity", "loud"];
    let rest = ["--without-loss", "--without-ablation", "--without-peers", "--json"];
    let seeds = |tuning: &[&str]| -> Vec<u64> {
        let (json, output, _) = lab(&[&arguments, &rest[..], tuning].concat());
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(json["scored"].is_null(), !tuning.is_empty());
        let cases = json["cases"].as_array().unwrap();
        cases.iter().map(|case| case["seed"].as_u64().unwrap()).collect()
    };
    assert_eq!(seeds(&[]), [2, 4]);
    assert_eq!(seeds(&["--tuning"]), [1, 3]);
}

#[test]
fn a_family_that_is_none_is_refused_with_what_there_is() {
    let (_, output, _) = lab(&["--families", "call-hone"]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("\"call-hone\" is no family") && said.contains("call-home"), "{said}");
}

/// One interception too many for little longer than li.toml is late, and N4 that is seen a little too badly.
#[test]
fn what_is_beyond_and_what_blinds_is_found_just_above_what_the_detections_are_set_to() {
    let (json, output, _) = lab(&[
        "--families",
        "foreign-mediation,excess-interception,n4-one-way",
        "--seeds",
        "1",
        "--intensity",
        "threshold,evasive",
        "--without-loss",
        "--without-ablation",
        "--without-peers",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let cases = json["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let theft = &case["thefts"][0];
        assert_eq!(theft["found"], case["intensity"] == "threshold", "{case}");
        assert_eq!(case["false_alarms"].as_array().unwrap().len(), 0, "{case}");
    }
}
