//! `weir sessions` against a reading that shares nothing with it: tshark decodes, a script follows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_capture::{Reader, Source, open};
use weir_tests::scenario::Played;
use weir_tests::*;

const SCRIPT: &str = include_str!("reader.py");

/// Later than any capture.
const NEVER: u64 = i64::MAX as u64;

/// Nanoseconds from 1970 to the scenarios' first moment, 2026-01-05.
const START: u64 = 1_767_571_200_000_000_000;

/// The sessions as the script reads them up to a moment; none if its programs are not installed.
fn theirs(capture: &Path, until: u64) -> Option<Vec<Value>> {
    for program in ["tshark", "python3"] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
    }
    let output = Command::new("python3")
        .args(["-c", SCRIPT, text(capture), &until.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Some(lines(&output.stdout))
}

fn ours(capture: &Path, until: u64) -> Vec<Value> {
    let at = rfc3339(until);
    let mut arguments = vec!["sessions", text(capture)];
    if until != NEVER {
        arguments.extend(["--at", &at]);
    }
    let output = run(&arguments);
    assert!(output.status.success(), "{}", said(&output));
    lines(&output.stdout)
}

fn lines(page: &[u8]) -> Vec<Value> {
    let lines = page.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a line is JSON")).collect()
}

/// A moment in UTC: days since 1970 counted as Gregorian ones.
fn rfc3339(ns: u64) -> String {
    let (days, second) = (ns / 86_400_000_000_000, ns / 1_000_000_000 % 86_400);
    let since_march = days + 719_468;
    let era = since_march / 146_097;
    let of_era = since_march % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (year + era * 400, month + 3),
        _ => (year + era * 400 + 1, month - 9),
    };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let rest = ns % 1_000_000_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:09}Z")
}

/// Tunnels' ends, in one form for both readings.
fn ends(listed: &Value) -> BTreeSet<(u64, String)> {
    let of = |end: &Value| {
        let [teid, addr] = match end.is_array() {
            true => [&end[0], &end[1]],
            false => [&end["teid"], &end["addr"]],
        };
        (teid.as_u64().expect("a TEID"), addr.as_str().expect("an address").to_owned())
    };
    listed.as_array().into_iter().flatten().map(of).collect()
}

/// What both say of a session. Where a half of a transaction was not seen, rules are anyone's guess.
fn essence(line: &Value, sure: bool) -> String {
    let (cp, up, state) = (&line["cp_seid"], &line["up_seid"], &line["state"]);
    if state == "pending" {
        return format!("{cp} pending");
    }
    let rules = sure.then(|| {
        // Of one that is known in part, Weir learns the user from its packets.
        let mut ue: Vec<&str> =
            line["ue"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
        ue.sort_unstable();
        let (uplink, downlink) = (ends(&line["uplink"]), ends(&line["downlink"]));
        format!("{ue:?} {uplink:?} {downlink:?} {}", line["modifications"])
    });
    format!("{cp} {up} {state} {}", rules.unwrap_or_default())
}

/// Both readings of a capture up to a moment are one. Gives the number of sessions by state.
fn agree(name: &str, capture: &Path, until: u64) -> Option<BTreeMap<String, usize>> {
    let (theirs, ours) = (theirs(capture, until)?, ours(capture, until));
    let seids = |line: &Value| [&line["cp_seid"], &line["up_seid"]].map(Value::to_string);
    let unsure: BTreeSet<[String; 2]> =
        theirs.iter().filter(|line| line["unsure"] == true).map(seids).collect();
    assert!(unsure.len() * 4 <= theirs.len(), "{name}: most is guessing: {}", unsure.len());
    let essences = |lines: &[Value]| {
        let essence = |line| essence(line, !unsure.contains(&seids(line)));
        let mut all: Vec<String> = lines.iter().map(essence).collect();
        all.sort();
        all
    };
    let (mine, other) = (essences(&ours), essences(&theirs));
    let only = |one: &[String], two: &[String]| -> Vec<String> {
        one.iter().filter(|line| !two.contains(line)).cloned().collect()
    };
    let (weir, script) = (only(&mine, &other), only(&other, &mine));
    assert!(
        mine == other,
        "{name}, until {}: {} and {} sessions\nonly weir: {weir:#?}\nonly the script: {script:#?}",
        rfc3339(until.min(NEVER - 1)),
        mine.len(),
        other.len()
    );
    for line in &ours {
        assert!(!line.to_string().contains("DUPL"), "{name}: {line}");
    }
    let mut states = BTreeMap::new();
    for line in &ours {
        *states.entry(line["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    Some(states)
}

/// The time of the frame in the middle.
fn middle(capture: &Path) -> u64 {
    let Source::Mapped(map) = open(capture).unwrap() else { panic!("the file is packed") };
    let times: Vec<u64> =
        Reader::open(&map).unwrap().map(|packet| packet.expect("it is whole").time.0).collect();
    times[times.len() / 2]
}

/// A capture of others at its end and in its middle: how many sessions stand how at its end.
fn shared_capture(name: &str, wanted: &[(&str, usize)]) {
    let Some(capture) = shared().map(|shared| shared.join(name)) else { return };
    let Some(states) = agree(name, &capture, NEVER) else { return };
    let wanted: BTreeMap<String, usize> =
        wanted.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
    assert_eq!(states, wanted, "{name}");
    agree(name, &capture, middle(&capture));
    // A replay counts the same.
    let done = replay::replay(&[text(&capture)]);
    let count = |state: &str| states.get(state).copied().unwrap_or_default();
    let all: usize = states.values().sum();
    // One that was known in part may have become stale meanwhile: it was never counted.
    let established = done.summary["sessions"]["established"].as_u64().unwrap() as usize;
    let most = all - count("partial");
    assert!((most - usize::from(count("stale") > 0)..=most).contains(&established), "{name}");
    assert_eq!(done.summary["sessions"]["deleted"], count("deleted"), "{name}");
}

#[test]
fn benign_sessions() {
    let states = [("active", 80), ("deleted", 2414)];
    shared_capture("5g-attacks/benign_sessions.pcap", &states);
}

#[test]
fn a_scan_beside_n4() {
    let states = [("active", 61), ("deleted", 56)];
    shared_capture("5g-attacks/capture2_nmap-port-service.pcap", &states);
}

#[test]
fn a_shell_beside_n4() {
    let states = [("active", 70), ("deleted", 84)];
    shared_capture("5g-attacks/capture2_reverse_shell.pcap", &states);
}

#[test]
fn forged_deletions_of_no_session() {
    let states = [("active", 56), ("deleted", 39)];
    shared_capture("5g-attacks/capture2_pfcp_Deletion.pcap", &states);
}

#[test]
fn forged_modifications_of_no_session() {
    let states = [("active", 57), ("deleted", 38)];
    shared_capture("5g-attacks/capture2_pfcp_Modification.pcap", &states);
}

#[test]
fn an_old_answer_repeated_to_a_flood_agrees_to_one_session() {
    let states = [("active", 67), ("deleted", 47)];
    shared_capture("5g-attacks/capture_2_pfcp-DoS.pcap", &states);
}

#[test]
fn seids_that_a_upf_gives_again() {
    let states = [("active", 29), ("deleted", 1), ("stale", 52)];
    shared_capture("5g-attacks/capture_pdn.pcap", &states);
}

#[test]
fn a_upf_that_restarts_twenty_times() {
    let states = [("stale", 94)];
    shared_capture("5g-attacks/capture_cve.pcap", &states);
}

#[test]
fn one_session_with_its_packets() {
    shared_capture("oai-5greplay/oai.pcap", &[("active", 1)]);
}

#[test]
fn a_scenario_with_every_upheaval_at_several_moments() {
    let played = Played::new("sessions");
    let capture = played.file("capture.pcap");
    // Amid attaching, before anything else, after fail-over, restart and release, and at the end.
    for seconds in [57.3, 115.002, 139.0, 205.5, 300.25, 330.0, 400.1] {
        let until = START + (seconds * 1e9) as u64;
        let Some(states) = agree("sessions", &capture, until) else { return };
        assert!(states["active"] > 100, "{seconds} s: {states:?}");
    }
    agree("sessions", &capture, NEVER);
}

#[test]
fn who_is_copied_stands_in_no_listing() {
    let played = Played::new("sessions");
    let copied = played.thefts().into_iter().find(|theft| theft.detection == "PFCP-DUPL").unwrap();
    let target = copied.peer.unwrap().to_string();
    // In the middle of it and at the end.
    for until in [START + 225_000_000_000, NEVER] {
        for line in ours(&played.file("capture.pcap"), until) {
            let line = line.to_string();
            assert!(!line.contains("DUPL") && !line.contains(&target), "{line}");
        }
    }
}
