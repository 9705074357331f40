//! `weir learn`, `weir policy diff` and `weir policy test`, whole: a theft that was there all along is
//! not learned, and a change of policy is known before it is made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use weir_tests::scenario::{Played, alerts};
use weir_tests::{run, said, text};

/// What a policy says besides its rules between equipment.
fn base(played: &Played) -> PathBuf {
    let policy = fs::read_to_string(played.file("policy.toml")).unwrap();
    let mut entries = policy.split("\n[[");
    let mut base = entries.next().unwrap_or_default().to_owned();
    for entry in entries.filter(|entry| !entry.starts_with("allow]]\nfrom = { role")) {
        base += &format!("\n[[{entry}");
    }
    let path = played.file("base.toml");
    fs::write(&path, base).unwrap();
    path
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The candidate that is learned under the base policy.
fn learned(played: &Played, more: &[&str]) -> String {
    let [inventory, capture] = ["inventory.toml", "capture.pcap"].map(|name| played.file(name));
    let base = base(played);
    let mut arguments = vec!["learn", "--inventory", text(&inventory), "--policy", text(&base)];
    arguments.extend([text(&capture)]);
    arguments.extend(more);
    let done = run(&arguments);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    out(&done)
}

/// Takes the # away in front of all entries.
fn uncommented(candidate: &str) -> String {
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(entry) if !entry.is_empty() && !entry.starts_with(' ') => format!("{entry}\n"),
        _ => format!("{line}\n"),
    };
    candidate.lines().map(bare).collect()
}

const SUSPICIOUS: &str = "# ===== SUSPICIOUS";

/// How many rules `weir check` finds in a policy; it must find no mistake and warn of nothing.
fn rules(played: &Played, name: &str, policy: &str) -> usize {
    let path = played.file(name);
    fs::write(&path, policy).unwrap();
    let inventory = played.file("inventory.toml");
    let done = run(&["check", "--inventory", text(&inventory), "--policy", text(&path), "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let found: Value = serde_json::from_str(&out(&done)).unwrap();
    assert_eq!(found["diagnostics"], json!([]), "{found}");
    found["rules"].as_u64().unwrap() as usize
}

/// The alerts of a replay under a policy, by detection, equipment and peer.
fn alerted(played: &Played, policy: &Path) -> Vec<(String, String, String)> {
    let [inventory, capture] = ["inventory.toml", "capture.pcap"].map(|name| played.file(name));
    let arguments = ["--inventory", text(&inventory), "--policy", text(policy), text(&capture)];
    let done = weir_tests::replay::replay(&arguments);
    assert_eq!(done.code, Some(0), "{}", done.said);
    let named = |alert: weir_tests::scenario::Alert| {
        let peer = alert.peer.map(|peer| peer.to_string()).unwrap_or_default();
        (alert.detection, alert.equipment, peer)
    };
    alerts(&done).into_iter().map(named).collect()
}

/// Learns, merges what is not suspicious, and holds the alerts against those of the true policy.
fn merged_is_as_good_as_the_policy(scenario: &str, thieves: &[&str]) {
    let played = Played::new(scenario);
    let candidate = learned(&played, &[]);
    let is_inert = |line: &str| line.is_empty() || line.starts_with('#');
    assert!(candidate.lines().all(is_inert), "{candidate}");
    assert_eq!(rules(&played, "candidate.toml", &candidate), 0);
    let all = rules(&played, "all.toml", &uncommented(&candidate));
    assert_eq!(all, candidate.matches("#[[allow]]\n").count());

    let (proposed, suspicious) = candidate.split_once(SUSPICIOUS).expect("there are thefts");
    for thief in thieves {
        let entry = format!("\"{thief}/32\"");
        assert!(suspicious.contains(&entry) && !proposed.contains(&entry), "{thief}: {candidate}");
    }
    for entry in suspicious.split("\n\n").skip(1) {
        assert!(entry.trim_start().starts_with("# SUSPICIOUS: "), "{entry}");
    }

    let base = fs::read_to_string(base(&played)).unwrap();
    let merged = played.file("merged.toml");
    fs::write(&merged, format!("{base}\n{}", uncommented(proposed))).unwrap();
    let wanted = alerted(&played, &played.file("policy.toml"));
    assert!(!wanted.is_empty());
    assert_eq!(alerted(&played, &merged), wanted);
}

#[test]
fn four_thefts_stay_flagged_when_the_rest_is_merged() {
    let thieves = ["198.51.100.7", "203.0.113.77", "192.0.2.66"];
    merged_is_as_good_as_the_policy("demo", &thieves);
}

#[test]
fn a_patient_implant_stays_flagged_when_the_rest_is_merged() {
    merged_is_as_good_as_the_policy("patience", &["198.51.100.7"]);
}

#[test]
fn proposals_have_their_reasons_and_counts() {
    let played = Played::new("patience");
    let candidate: Value = serde_json::from_str(&learned(&played, &["--json"])).unwrap();
    let of_peer = |proposal: &&Value| proposal["to"].as_str().unwrap().contains("198.51.100.7");
    let proposals = candidate["proposals"].as_array().unwrap();
    let implant = proposals.iter().find(of_peer).unwrap();
    let reasons: Vec<_> =
        implant["suspicious"].as_array().unwrap().iter().map(|it| it["reason"].clone()).collect();
    assert_eq!(reasons, ["never_seen_at_other_vendors", "periodic", "flagged"]);
    // One connection, of which control tells every hour.
    assert_eq!((&implant["flows"], &implant["nodes"]), (&json!(1), &json!(["gnb-1"])));
    assert_eq!(implant["names"], json!(["telemetry.vendor-a-cloud.example"]));
    assert_eq!(implant["from"], "{ id = \"gnb-1\" }");
    let named: BTreeMap<&str, &Value> = proposals
        .iter()
        .filter(|it| it["from"] == "{ role = \"gnb\" }")
        .map(|it| (it["service"].as_str().unwrap(), it))
        .collect();
    assert_eq!(named["udp/53"]["periodic"], true);
    let period = named["udp/53"]["period_seconds"][0].as_u64().unwrap();
    assert!((800..1_000).contains(&period), "{period}");
    // A policy that allows everything else leaves the implant alone.
    let policy = played.file("policy.toml");
    let [inventory, capture] = ["inventory.toml", "capture.pcap"].map(|name| played.file(name));
    let done = run(&[
        "learn",
        "--json",
        "--inventory",
        text(&inventory),
        "--policy",
        text(&policy),
        text(&capture),
    ]);
    let candidate: Value = serde_json::from_str(&out(&done)).unwrap();
    assert_eq!(candidate["proposals"].as_array().unwrap().len(), 1, "{candidate}");
}

#[test]
fn what_a_control_has_kept_teaches_the_same() {
    let played = Played::new("patience");
    let [inventory, capture] = ["inventory.toml", "capture.pcap"].map(|name| played.file(name));
    let base = base(&played);
    let state = played.file("state");
    fs::create_dir(&state).unwrap();
    let events = state.join("eve.json");
    let files = ["--inventory", text(&inventory), "--policy", text(&base)];
    let replay = [&["replay", "--events", text(&events), text(&capture)][..], &files].concat();
    assert_eq!(run(&replay).status.code(), Some(0));
    let from = |more: &[&str]| {
        let done = run(&[&["learn", "--json"][..], &files, more].concat());
        (
            done.status.code(),
            said(&done),
            serde_json::from_slice(&done.stdout).unwrap_or(Value::Null),
        )
    };
    let (_, _, replayed): (_, _, Value) = from(&[text(&capture)]);
    let (code, words, kept) = from(&["--since", "2026-01-01", "--state-dir", text(&state)]);
    assert_eq!((code, &kept["proposals"]), (Some(0), &replayed["proposals"]), "{words}");
    let (_, _, named) = from(&["--since", "2026-01-01", "--events", text(&events)]);
    assert_eq!(named["proposals"], replayed["proposals"]);
    let (_, _, later) = from(&["--since", "2026-01-05T06:00:00Z", "--events", text(&events)]);
    assert!(later["flows"].as_u64() < kept["flows"].as_u64() && later["flows"] != 0, "{later}");

    // The present policy judges what an earlier one did not allow.
    let policy = played.file("policy.toml");
    let done = run(&[
        "learn",
        "--json",
        "--inventory",
        text(&inventory),
        "--policy",
        text(&policy),
        "--since",
        "2026-01-01",
        "--events",
        text(&events),
    ]);
    let judged: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(judged["proposals"].as_array().unwrap().len(), 1, "{judged}");

    let (code, words, _) = from(&["--since", "7d", "--events", text(&events)]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("its newest flow ended 2026-01-05"), "{words}");
    let size = fs::metadata(&events).unwrap().len();
    let since = ["--since", "2026-01-01", "--state-dir", text(&state), "--out", text(&events)];
    let (code, words, _) = from(&since);
    assert_eq!(code, Some(2), "{words}");
    assert_eq!(fs::metadata(&events).unwrap().len(), size, "the events are still there");
    let empty = played.file("nothing");
    let (code, words, _) = from(&["--since", "7d", "--state-dir", text(&empty)]);
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("no events are kept here") && words.contains("--events"), "{words}");
}

#[test]
fn damaged_and_empty_captures_are_said_to_be_so() {
    let played = Played::new("demo");
    let [inventory, capture] = ["inventory.toml", "capture.pcap"].map(|name| played.file(name));
    let bytes = fs::read(&capture).unwrap();
    let [cut, empty, candidate] =
        ["cut.pcap", "empty.pcap", "out.toml"].map(|name| played.file(name));
    fs::write(&cut, &bytes[..bytes.len() / 2 + 7]).unwrap();
    fs::write(&empty, &bytes[..24]).unwrap();
    let learn = |capture: &Path| {
        let done = run(&[
            "learn",
            "--inventory",
            text(&inventory),
            text(capture),
            "--out",
            text(&candidate),
        ]);
        (done.status.code(), said(&done), fs::read_to_string(&candidate).unwrap())
    };
    let (code, words, page) = learn(&cut);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("cut.pcap") && page.contains("#[[allow]]"), "{words}{page}");
    let (code, words, page) = learn(&empty);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("no flow of equipment"), "{words}");
    assert!(page.contains("There is nothing to propose."), "{page}");
}

#[test]
fn learning_asks_for_an_inventory_and_writes_over_no_input() {
    let played = Played::new("patience");
    let [inventory, policy, capture] =
        ["inventory.toml", "policy.toml", "capture.pcap"].map(|name| played.file(name));
    let done = run(&["learn", text(&capture)]);
    assert_eq!(done.status.code(), Some(2));
    assert!(said(&done).contains("--inventory"), "{}", said(&done));
    let before = fs::read(&policy).unwrap();
    let files = ["--inventory", text(&inventory), "--policy", text(&policy), text(&capture)];
    let done = run(&[&["learn", "--out", text(&policy)][..], &files].concat());
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(fs::read(&policy).unwrap() == before);
    assert_eq!(run(&["learn", "--inventory", text(&inventory)]).status.code(), Some(2));
}

const RULE: &str = "\n[[allow]]\nfrom = { id = \"gnb-1\" }\nto = { cidr = \"198.51.100.7/32\" }\n\
                    services = [\"https\"]\n";

#[test]
fn a_rule_is_tried_before_it_is_made() {
    let played = Played::new("demo");
    let [inventory, policy, capture] =
        ["inventory.toml", "policy.toml", "capture.pcap"].map(|name| played.file(name));
    let more = played.file("more.toml");
    fs::write(&more, fs::read_to_string(&policy).unwrap() + RULE).unwrap();
    let test = |new: &Path, old: &Path| -> Value {
        let done = run(&[
            "policy",
            "test",
            "--json",
            "--inventory",
            text(&inventory),
            "--policy",
            text(new),
            "--against",
            text(old),
            text(&capture),
        ]);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        serde_json::from_str(&out(&done)).unwrap()
    };
    let tried = test(&more, &policy);
    let [silenced] = tried["would_silence"].as_array().unwrap().as_slice() else {
        panic!("{tried}")
    };
    assert_eq!(silenced["detection"], "EGR-NOTALLOWED");
    assert_eq!(silenced["equipment"]["id"], "gnb-1");
    assert_eq!(silenced["peer"]["ip"], "198.51.100.7");
    assert_eq!(silenced["packets"], 57);
    assert_eq!((&tried["would_flag"], &tried["would_change"]), (&json!([]), &json!([])));
    assert_eq!(
        tried["totals"]["EGR-NOTALLOWED"],
        json!({ "would_flag": 0, "would_silence": 1, "would_change": 0, "unchanged": 1 })
    );
    // The other way round the same alert is new.
    let back = test(&policy, &more);
    assert_eq!(back["would_flag"], tried["would_silence"]);
    assert_eq!(back["would_silence"], json!([]));
    assert_eq!(test(&policy, &policy)["would_flag"], json!([]));

    let done = run(&[
        "policy",
        "test",
        "--inventory",
        text(&inventory),
        "--policy",
        text(&more),
        "--against",
        text(&policy),
        text(&capture),
    ]);
    let shown = out(&done);
    let line = "would silence: EGR-NOTALLOWED gnb-1 and telemetry.vendor-a-cloud.example (198.51.100.7): 57 packets, high";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_difference_is_told_in_words_and_is_no_failure() {
    let played = Played::new("patience");
    let [inventory, policy] = ["inventory.toml", "policy.toml"].map(|name| played.file(name));
    let more = played.file("more.toml");
    fs::write(&more, fs::read_to_string(&policy).unwrap() + RULE).unwrap();
    let diff = |old: &Path, new: &Path, more: &[&str]| {
        let arguments = [&["policy", "diff", text(old), text(new)][..], more].concat();
        let done = run(&arguments);
        (done.status.code(), out(&done), said(&done))
    };
    let (code, words, _) = diff(&policy, &more, &[]);
    let added = "rule added: { id = \"gnb-1\" } → { cidr = \"198.51.100.7/32\" } on https\n\
                 1 added, 0 removed, 0 changed\n";
    assert_eq!((code, words.as_str()), (Some(0), added));
    let (code, words, _) = diff(&more, &more, &["--inventory", text(&inventory)]);
    assert_eq!((code, words.as_str()), (Some(0), "no difference\n"));
    let (_, words, _) = diff(&more, &policy, &["--json"]);
    let told: Value = serde_json::from_str(&words).unwrap();
    assert_eq!(told["changes"][0]["became"], "removed");
    let wrong = played.file("wrong.toml");
    fs::write(&wrong, RULE.replace("https", "htps")).unwrap();
    let (code, words, said) = diff(&policy, &wrong, &[]);
    assert_eq!((code, words.as_str()), (Some(2), ""), "{said}");
    assert!(said.contains("did you mean `https`?"), "{said}");
    let (code, _, said) = diff(&policy, &played.file("missing.toml"), &[]);
    assert_eq!(code, Some(2), "{said}");
}
