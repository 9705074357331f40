//! `weir replay`: what a lab engineer sees of a capture.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_tests::replay::{Replayed, replay, replay_from};
use weir_tests::*;

#[test]
fn the_reverse_shell_is_one_alert_with_the_equipments_whole_entry() {
    let Some(shared) = shared() else { return };
    let file = shared.join("5g-attacks/capture2_reverse_shell.pcap");
    let lab = tempfile::tempdir().unwrap();
    attack_lab(lab.path(), ["192.168.14.161", "192.168.130.177", "192.168.14.191"]);
    let (inventory, policy) = (lab.path().join("inventory.toml"), lab.path().join("policy.toml"));
    let basic = ["--inventory", text(&inventory), "--policy", text(&policy), text(&file)];
    let once = replay(&basic);
    assert_eq!(once.code, Some(0), "{}", once.said);
    assert_eq!(once.summary["alerts"], serde_json::json!({ "EGR-NOTALLOWED": 1 }));
    assert_eq!(once.summary["frames"], 1197);
    assert_eq!(once.summary["inspected"], 1197);
    assert_eq!(once.summary["unaccounted"], 0);
    assert_eq!(once.summary["events_lost"], 0);
    assert_eq!(once.summary["pfcp_messages"], 1154);
    let events = once.events();
    let alerts = of_type(&events, "alert");
    assert_eq!(alerts.len(), 2);
    for (alert, is_final) in alerts.iter().zip([false, true]) {
        assert_eq!(alert["weir"]["final"], is_final);
        assert_eq!(alert["weir"]["detection"], "EGR-NOTALLOWED");
        assert_eq!(alert["weir"]["equipment"]["id"], "upf-1");
        assert_eq!(alert["weir"]["equipment"]["vendor"], "Vendor A");
        assert_eq!(alert["weir"]["peer"]["ip"], "172.19.41.9");
        assert_eq!(alert["weir"]["same_build"], serde_json::json!({"installed":1,"showing":1}));
        assert_eq!(alert["alert"]["signature_id"], 5_290_002);
        assert_eq!((&alert["src_port"], &alert["dest_port"]), (&5555.into(), &34034.into()));
    }
    assert_eq!(alerts[1]["weir"]["packets"], 43);
    assert_eq!(alerts[1]["weir"]["bytes"], 2900);
    // Neither speed nor workers change a byte.
    for more in [&["--workers", "2"][..], &["--workers", "3"], &["--speed", "50x"], &[]] {
        let mut arguments = basic.to_vec();
        arguments.extend(more);
        assert!(replay(&arguments).events == once.events, "{more:?}");
    }
}

#[test]
fn a_second_replay_into_the_same_files_replaces_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (inventory, policy, capture) =
        (small("inventory.toml"), small("policy.toml"), small("capture.pcap"));
    let replayed = || {
        let output = run(&[
            "replay",
            "--events",
            text(&at("events")),
            "--summary",
            text(&at("summary")),
            "--inventory",
            text(&inventory),
            "--policy",
            text(&policy),
            text(&capture),
        ]);
        assert!(output.status.success(), "{}", said(&output));
        std::fs::read(at("events")).unwrap()
    };
    assert!(replayed() == replayed());
}

#[test]
fn benign_sessions_give_no_alert() {
    let Some(shared) = shared() else { return };
    let file = shared.join("5g-attacks/benign_sessions.pcap");
    let lab = tempfile::tempdir().unwrap();
    attack_lab(lab.path(), ["192.168.14.134", "192.168.130.179", "192.168.130.173"]);
    let (inventory, policy) = (lab.path().join("inventory.toml"), lab.path().join("policy.toml"));
    let done = replay(&["--inventory", text(&inventory), "--policy", text(&policy), text(&file)]);
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert_eq!(done.summary["alerts"], serde_json::json!({}));
    assert_eq!(of_type(&done.events(), "alert").len(), 0);
    assert_eq!(done.summary["frames"], 15_228);
}

fn captures_in(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            captures_in(&path, found);
        } else if path.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
            found.push(path);
        }
    }
}

#[test]
fn every_shared_capture_is_accounted_for_to_the_frame() {
    let Some(shared) = shared() else { return };
    let manifest = std::fs::read_to_string(shared.join("MANIFEST.tsv")).unwrap();
    let mut files = Vec::new();
    captures_in(&shared, &mut files);
    assert!(files.len() > 15);
    for file in files {
        let name = file.strip_prefix(&shared).unwrap().to_str().unwrap().to_owned();
        let row = manifest.lines().find(|row| row.starts_with(&name)).unwrap();
        let columns: Vec<&str> = row.split('\t').collect();
        let done = replay(&[text(&file)]);
        let frames: u64 = columns[4].parse().unwrap();
        assert_eq!(done.summary["frames"], frames, "{name}");
        assert_eq!(done.summary["unaccounted"], 0, "{name}");
        assert_eq!(done.code, Some(0), "{name}: {}", done.said);
        assert_eq!(done.summary["inspected"], frames, "{name}");
    }
}

/// What a program makes of a file, on its standard output.
fn made(program: &str, arguments: &[&str], input: &Path) -> Option<Vec<u8>> {
    let output = Command::new(program).args(arguments).arg(input).output();
    let Ok(output) = output else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    assert!(output.status.success());
    Some(output.stdout)
}

#[test]
fn compressed_captures_and_standard_input_change_no_byte_of_the_events() {
    let directory = tempfile::tempdir().unwrap();
    let (inventory, policy) = (small("inventory.toml"), small("policy.toml"));
    let rules = ["--inventory", text(&inventory), "--policy", text(&policy)];
    let with = |file| rules.iter().copied().chain([file]).collect::<Vec<&str>>();
    let capture = small("capture.pcap");
    let plain = replay(&with(text(&capture)));
    assert_eq!(plain.code, Some(0), "{}", plain.said);
    assert!(!plain.events.is_empty());
    let same = |other: &Replayed, what: &str| {
        assert_eq!(other.code, Some(0), "{what}: {}", other.said);
        assert!(other.events == plain.events, "{what}");
        let counted = |summary: &Value| {
            let mut summary = summary.as_object().unwrap().clone();
            for clocked in ["wall_seconds", "mpps", "gbps", "ns_per_packet"] {
                summary.remove(clocked);
            }
            summary
        };
        assert_eq!(counted(&other.summary), counted(&plain.summary), "{what}");
    };
    let packed = directory.path().join("capture");
    for (program, arguments) in [("gzip", ["-c"]), ("zstd", ["-qc"])] {
        let Some(bytes) = made(program, &arguments, &capture) else { continue };
        std::fs::write(&packed, bytes).unwrap();
        same(&replay(&with(text(&packed))), program);
        let input = File::open(&packed).unwrap();
        same(&replay_from(&with("-"), input.into()), program);
        let decoded = weir(&["decode", "-"]).stdin(File::open(&packed).unwrap()).output().unwrap();
        assert!(decoded.stdout == run(&["decode", text(&capture)]).stdout, "{program}");
        // Cut: what stands before is kept, and the place is told.
        let bytes = std::fs::read(&packed).unwrap();
        std::fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
        let cut = replay(&with(text(&packed)));
        assert_eq!(cut.code, Some(1), "{}", cut.said);
        assert!(cut.said.contains("of the decompressed capture"), "{}", cut.said);
        assert!(cut.summary["frames"].as_u64().unwrap() > 100);
        assert_eq!(cut.summary["unaccounted"], 0);
    }
    let input = File::open(&capture).unwrap();
    same(&replay_from(&with("-"), input.into()), "plain");
}

#[test]
fn the_captures_that_the_configuration_names_are_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("weir.toml");
    let source = small("capture.pcap").canonicalize().unwrap();
    std::fs::write(
        &config,
        format!("[[tap]]\nname = \"east\"\nlink = \"n3\"\nsource = \"file:{}\"\n", text(&source)),
    )
    .unwrap();
    let done = replay(&["--config", text(&config)]);
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert_eq!(done.summary["frames"], 3420);
    // The command line's captures come first, and that is said.
    let done = replay(&["--config", text(&config), text(&small("capture.pcap"))]);
    assert_eq!(done.summary["frames"], 3420);
    assert!(done.said.contains("not those that [[tap]] names"), "{}", done.said);
}

#[test]
fn a_line_appears_as_soon_as_its_frame_has_arrived() {
    let bytes = std::fs::read(small("capture.pcap")).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let second = 24 + 16 + word(24 + 8);
    let mut child = weir(&["decode", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (give, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || output.lines().try_for_each(|line| give.send(line.unwrap())));
    for (from, to) in [(0, second), (second, second + 16 + word(second + 8))] {
        input.write_all(&bytes[from..to]).unwrap();
        // The pipe stays open meanwhile.
        assert!(lines.recv_timeout(PATIENCE).unwrap().starts_with("{\"n\":"));
    }
    drop(input);
    assert!(lines.recv_timeout(PATIENCE).is_err());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_generated_scenario_gives_its_labels_and_nothing_else_of_weight() {
    let out = tempfile::tempdir().unwrap();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps/scenarios");
    for scenario in ["small", "benign"] {
        let directory = out.path().join(scenario);
        let toml = scenarios.join(format!("{scenario}.toml"));
        let made = run(&["generate", text(&toml), "--out", text(&directory)]);
        assert!(made.status.success(), "{}", said(&made));
        let at = |file: &str| directory.join(file);
        let (inventory, policy, capture) =
            (at("inventory.toml"), at("policy.toml"), at("capture.pcap"));
        let checked = run(&["check", "--inventory", text(&inventory), "--policy", text(&policy)]);
        assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
        let done =
            replay(&["--inventory", text(&inventory), "--policy", text(&policy), text(&capture)]);
        assert_eq!(done.code, Some(0), "{}", done.said);
        let labels: Value =
            serde_json::from_slice(&std::fs::read(at("labels.json")).unwrap()).unwrap();
        let mut expected: Vec<(String, String, String)> = labels["thefts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|theft| {
                let field = |name: &str| theft[name].as_str().unwrap_or_default().to_owned();
                (field("detection"), field("equipment"), field("peer"))
            })
            .collect();
        let events = done.events();
        let mut found: Vec<(String, String, String)> = of_type(&events, "alert")
            .into_iter()
            .filter(|alert| alert["weir"]["final"] == true)
            .map(|alert| {
                let weir = &alert["weir"];
                let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let equipment = field(&weir["equipment"]["id"]);
                (field(&weir["detection"]), equipment, field(&weir["peer"]["ip"]))
            })
            .collect();
        // The label of an unknown box names no equipment; the alert names whom it met.
        for (detection, equipment, _) in expected.iter_mut().chain(&mut found) {
            if detection == "INV-UNKNOWN" {
                equipment.clear();
            }
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{scenario}");
        assert_eq!(expected.is_empty(), scenario == "benign");
    }
}

/// Every form of packet that the generator knows, each once.
fn shapes() -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let toml = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps/scenarios/shapes.toml");
    let made = run(&["generate", text(&toml), "--out", text(out.path())]);
    assert!(made.status.success(), "{}", said(&made));
    out
}

/// The lines of `weir decode`.
fn decoded(capture: &Path) -> Vec<Value> {
    let lines = run(&["decode", text(capture)]).stdout;
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn fragments_are_counted_by_what_became_of_them_on_any_number_of_workers() {
    let out = shapes();
    let capture = out.path().join("capture.pcap");
    let summaries = ["1", "2", "3"].map(|workers| {
        let done = replay(&["--workers", workers, text(&capture)]);
        assert_eq!(done.code, Some(0), "{}", done.said);
        done.summary
    });
    let [one, ..] = &summaries;
    for other in &summaries {
        for key in ["fragments", "reassembly", "pfcp_messages", "errors"] {
            assert_eq!(other[key], one[key], "{key}");
        }
    }
    let frames = decoded(&capture);
    let is_fragment =
        |frame: &&Value| frame["outer"]["frag"].as_str().is_some_and(|it| it != "none");
    let counted = |list: &str, kind: &str| one[list][kind].as_u64().unwrap_or(0) as usize;
    let [first, found, unknown] =
        ["remembered", "found", "unknown"].map(|kind| counted("fragments", kind));
    // Four datagrams, each cut in ten ways, of which one lacks the first piece and two repeat it.
    assert_eq!(first, 4 * (10 - 1 + 2));
    assert_eq!(first + found + unknown, frames.iter().filter(is_fragment).count());
    assert!(found > 500 && unknown > 500, "in order and backwards: {found} {unknown}");
    assert_eq!(counted("fragments", "evicted"), 0);
    // PFCP is whole in all ways but two, in IPv6 but three, where an overlap in part discards it;
    // one of them reads otherwise to another receiver.
    assert_eq!(counted("reassembly", "completed"), 8 + 7);
    assert_eq!((counted("reassembly", "conflicting"), counted("reassembly", "overlap")), (2, 1));
    // The doubled pieces, and those that say in part what others said.
    assert_eq!(counted("reassembly", "repeated"), 2 * 2);
    // PFCP without its last piece, without its first, and a copy behind the whole, in both
    // versions; of both G-PDUs the three ways in which later pieces wait for a first one.
    assert_eq!(counted("reassembly", "timed_out"), 2 * 3 + 2 * 3);
}

/// Vendors' elements by type, as `weir decode` prints them and as the summary counts them.
fn vendors_by_type(capture: &Path, summary: &Value) -> [BTreeMap<u64, u64>; 2] {
    let mut sums = [BTreeMap::new(), BTreeMap::new()];
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for message in decoded(capture).iter().flat_map(|frame| list(frame, "pfcp")) {
        for kind in list(&message, "ie").iter().filter_map(Value::as_u64) {
            if kind >= 32_768 {
                *sums[0].entry(kind).or_default() += 1;
            }
        }
    }
    for row in list(summary, "vendor_elements") {
        *sums[1].entry(row["type"].as_u64().unwrap()).or_default() +=
            row["count"].as_u64().unwrap();
    }
    sums
}

#[test]
fn vendors_elements_are_those_of_weir_decode_on_any_number_of_workers() {
    let out = shapes();
    let capture = out.path().join("capture.pcap");
    let summaries =
        ["1", "2", "3"].map(|workers| replay(&["--workers", workers, text(&capture)]).summary);
    let [one, ..] = &summaries;
    for other in &summaries {
        assert_eq!(other["vendor_elements"], one["vendor_elements"]);
        assert_eq!(other["vendor_elements_other"], 0);
    }
    let [printed, counted] = vendors_by_type(&capture, one);
    assert_eq!(counted, printed);
    // One that lacks its enterprise number, a heartbeat's three, and a modification's two of
    // which one is in a group.
    let expected = [
        (None, 32_769, 1),
        (Some(10_415), 32_769, 9),
        (Some(10_415), 32_770, 66),
        (Some(10_415), 32_777, 42),
        (Some(10_415), 32_778, 3),
        (Some(10_415), 65_535, 3),
    ];
    let expected = expected.map(|(enterprise, kind, length)| {
        serde_json::json!({"enterprise": enterprise, "type": kind, "length": length, "count": 1})
    });
    assert_eq!(one["vendor_elements"], Value::from(expected.to_vec()));
}

#[test]
fn wrong_input_is_refused_or_read_as_far_as_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let whole = std::fs::read(small("capture.pcap")).unwrap();
    std::fs::write(at("cut.pcap"), &whole[..whole.len() - 7]).unwrap();
    std::fs::write(at("empty.pcap"), b"").unwrap();
    std::fs::write(at("noise.pcap"), b"this is no capture, whatever its name says").unwrap();

    let cut = replay(&[text(&at("cut.pcap"))]);
    assert_eq!(cut.code, Some(1));
    assert!(cut.said.contains("damaged at byte"), "{}", cut.said);
    assert_eq!(cut.summary["frames"], 3419);
    assert_eq!(cut.summary["unaccounted"], 0);

    for (file, words) in [("empty.pcap", "empty"), ("noise.pcap", "seems to be text")] {
        let done = replay(&[text(&at(file))]);
        assert_eq!(done.code, Some(1), "{}", done.said);
        assert!(done.said.contains(words) && done.said.contains(file), "{}", done.said);
    }
    let absent = replay(&["/nowhere/a.pcap"]);
    assert_eq!(absent.code, Some(2));
    assert!(absent.said.contains("error: ") && absent.said.contains("/nowhere/a.pcap"));

    // Nothing that is read is ever written over.
    let before = std::fs::read(at("cut.pcap")).unwrap();
    let cut = at("cut.pcap");
    for arguments in [
        ["--events", text(&cut), "--summary", "x", text(&cut)],
        ["--events", "x", "--summary", text(&cut), text(&cut)],
        ["--events", "x", "--summary", "x", text(&cut)],
    ] {
        let output = run(&[&["replay"][..], &arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
    assert!(std::fs::read(&cut).unwrap() == before);
    let by_dpdk = replay(&["--source", "dpdk", text(&cut)]);
    assert_eq!(by_dpdk.code, Some(1), "{}", by_dpdk.said);
    assert!(by_dpdk.said.contains("damaged at byte"), "{}", by_dpdk.said);

    std::fs::copy(small("inventory.toml"), at("inventory.toml")).unwrap();
    let policy =
        "[[allow]]\nfrom = { id = \"gnb-17\" }\nto = { role = \"upf\" }\nservices = [\"gtpu\"]\n";
    std::fs::write(at("policy.toml"), policy).unwrap();
    let refused = replay(&[
        "--inventory",
        text(&at("inventory.toml")),
        "--policy",
        text(&at("policy.toml")),
        text(&small("capture.pcap")),
    ]);
    assert_eq!(refused.code, Some(2), "{}", refused.said);
    assert!(refused.said.contains("policy.toml:2:") && refused.said.contains("gnb-17"));
}
