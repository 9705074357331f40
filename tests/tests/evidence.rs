//! The frames of alerts, as an engineer hands them to a regulator: they open in Wireshark with the alert's
//! text, they are what the event's hash says, and they show no subscriber.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use weir_tests::*;

/// A scenario's capture, inventory and policy.
struct Case {
    directory: tempfile::TempDir,
}

impl Case {
    fn of(scenario: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps/scenarios").join(scenario);
        let made = run(&["generate", text(&file), "--out", text(directory.path())]);
        assert!(made.status.success(), "{}", said(&made));
        Self { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replays it; gives each alert's last event and the directory of captures.
    fn replay(&self, name: &str, more: &[&str]) -> (Vec<Value>, PathBuf) {
        let [inventory, policy] = ["inventory.toml", "policy.toml"].map(|name| self.file(name));
        let [events_file, evidence] =
            [format!("{name}.json"), format!("{name}.evidence")].map(|name| self.file(&name));
        let capture = self.file("capture.pcap");
        let mut arguments = vec!["replay", "--inventory", text(&inventory), "--policy"];
        arguments.extend([text(&policy), "--evidence", text(&evidence)]);
        arguments.extend(["--events", text(&events_file)]);
        arguments.extend(more);
        arguments.push(text(&capture));
        let replayed = run(&arguments);
        assert!(replayed.status.success(), "{}", said(&replayed));
        let mut last = BTreeMap::new();
        for event in of_type(&events(&events_file), "alert") {
            last.insert(event["weir"]["id"].to_string(), event.clone());
        }
        (last.into_values().collect(), evidence)
    }
}

fn words<'a>(event: &'a Value, key: &str) -> &'a str {
    event["weir"][key].as_str().unwrap()
}

/// The alert's capture, whose hash is the event's.
fn capture(event: &Value, directory: &Path) -> Option<PathBuf> {
    let evidence = event["weir"].get("evidence")?;
    let path = directory.join(evidence["pcap"].as_str().unwrap());
    let sum = Command::new("sha256sum").arg(&path).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert_eq!(sum.split(' ').next(), evidence["sha256"].as_str(), "{event}");
    Some(path)
}

/// What tshark reads of each frame; none where it is not installed.
fn tshark(path: &Path, more: &[&str], fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.args(["-r", text(path), "-T", "fields", "-E", "separator=|"]).args(more);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.stderr(Stdio::null()).output().ok()?;
    assert!(output.status.success(), "{command:?}");
    let read = String::from_utf8(output.stdout).unwrap();
    Some(read.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

#[test]
fn every_alert_about_packets_has_frames_that_wireshark_opens_with_the_alerts_text() {
    if !is_there("tshark") {
        return;
    }
    for scenario in ["demo.toml", "sessions.toml", "shapes.toml"] {
        let case = Case::of(scenario);
        let (alerts, directory) = case.replay("one", &[]);
        assert!(!alerts.is_empty());
        for event in &alerts {
            let (id, detection) = (words(event, "id"), words(event, "detection"));
            let Some(path) = capture(event, &directory) else {
                assert_eq!(detection, "OPS-BLIND", "{event}");
                continue;
            };
            let frames = tshark(&path, &[], &["frame.comment", "frame.time_epoch"]).unwrap();
            assert_eq!(Some(frames.len() as u64), event["weir"]["evidence"]["frames"].as_u64());
            for frame in &frames {
                assert!(
                    frame[0].starts_with(&format!("Weir {detection} {id}, frame ")),
                    "{frame:?}"
                );
            }
            // What the alert begins with is among them.
            let at_first =
                frames.iter().any(|it| it[0].contains("at the time of the alert's first"));
            assert!(at_first, "{detection} {id}: {frames:?}");
            let about = Command::new("capinfos").arg("-k").arg(&path).output().unwrap();
            let about = String::from_utf8(about.stdout).unwrap();
            // The text is that of the alert's first event; later ones may count more.
            let signature = event["alert"]["signature"].as_str().unwrap();
            for part in [&format!("Weir alert {id} at lab"), signature, "Why: ", "Next: "] {
                assert!(about.contains(part), "{part} of {detection}: {about}");
            }
        }
    }
}

#[test]
fn evidence_is_the_same_whatever_the_number_of_workers() {
    let case = Case::of("sessions.toml");
    let (one, _) = case.replay("one", &["--workers", "1"]);
    let (three, _) = case.replay("three", &["--workers", "3"]);
    assert_eq!(one, three);
}

#[test]
fn the_frames_of_a_flow_are_the_flows_own() {
    if !is_there("tshark") {
        return;
    }
    let case = Case::of("demo.toml");
    let (alerts, directory) = case.replay("one", &[]);
    let stolen: Vec<_> =
        alerts.iter().filter(|event| words(event, "detection") == "EGR-NOTALLOWED").collect();
    assert_eq!(stolen.len(), 2);
    for event in stolen {
        let path = capture(event, &directory).unwrap();
        let peer = event["weir"]["peer"]["ip"].as_str().unwrap();
        let network = peer.rsplit_once('.').unwrap().0;
        let frames = tshark(&path, &[], &["ip.src", "ip.dst"]).unwrap();
        for ends in &frames {
            assert!(ends.iter().any(|end| end.starts_with(network)), "{ends:?} of {peer}");
        }
    }
}

#[test]
fn no_subscriber_shows_in_evidence_unless_the_policy_says_so() {
    if !is_there("tshark") {
        return;
    }
    let case = Case::of("sessions.toml");
    let users = "gtp.message == 0xff";
    let lengths = |event: &Value, directory: &Path| {
        let path = capture(event, directory).unwrap();
        tshark(&path, &["-Y", users], &["frame.len", "frame.cap_len"]).unwrap()
    };
    let (alerts, directory) = case.replay("cut", &[]);
    let mut seen = 0;
    for event in alerts.iter().filter(|event| event["weir"].get("evidence").is_some()) {
        for frame in lengths(event, &directory) {
            seen += 1;
            let [whole, kept] = [&frame[0], &frame[1]].map(|text| text.parse::<u32>().unwrap());
            // Ethernet, a tag, IP, UDP, GTP-U with its extension, IP, TCP with options.
            assert!(kept < whole && kept <= 14 + 4 + 20 + 8 + 16 + 20 + 60, "{frame:?} {event}");
        }
        let path = capture(event, &directory).unwrap();
        for identity in tshark(&path, &["-Y", "e212.imsi"], &["e212.imsi"]).unwrap() {
            assert!(identity.join(",").bytes().all(|digit| b"0,".contains(&digit)), "{identity:?}");
        }
    }
    assert!(seen > 50, "{seen}");
    let named = tshark(&case.file("capture.pcap"), &["-Y", "e212.imsi"], &["e212.imsi"]).unwrap();
    assert!(
        named.iter().any(|imsi| imsi[0].contains(|digit| digit != '0')),
        "the capture has some"
    );

    let policy = fs::read_to_string(case.file("policy.toml")).unwrap();
    fs::write(case.file("policy.toml"), format!("subscriber_payload = true\n{policy}")).unwrap();
    let (alerts, directory) = case.replay("whole", &[]);
    let orphan = alerts.iter().find(|event| words(event, "detection") == "GTP-ORPHAN").unwrap();
    let frames = lengths(orphan, &directory);
    assert!(!frames.is_empty() && frames.iter().all(|it| it[0] == it[1]), "{frames:?}");
}

#[test]
fn who_is_intercepted_shows_in_restricted_captures_alone() {
    if !is_there("tshark") {
        return;
    }
    let case = Case::of("sessions.toml");
    let restricted = case.file("restricted.json");
    let (open, directory) = case.replay("open", &["--restricted-events", text(&restricted)]);
    let copies = "pfcp.apply_action.dupl == 1 || pfcp.ie_type == 5";
    for event in &open {
        if let Some(path) = capture(event, &directory) {
            let orders = tshark(&path, &["-Y", copies], &["frame.number"]).unwrap();
            assert!(orders.is_empty(), "{event}");
        }
    }
    let secret = events(&restricted);
    let secret = of_type(&secret, "alert");
    let path = capture(secret.last().unwrap(), &directory).unwrap();
    assert!(path.starts_with(directory.join("restricted")), "{}", path.display());
    assert!(!tshark(&path, &["-Y", copies], &["frame.number"]).unwrap().is_empty());
}

#[test]
fn what_a_beacon_of_days_is_about_is_remembered_for_it() {
    let case = Case::of("patience.toml");
    let (alerts, directory) = case.replay("one", &[]);
    let mut found = 0;
    for event in &alerts {
        let of_memory = ["BCN-PERIODIC", "EGR-VOLUME", "EGR-LONGCONN", "EGR-COHORT"];
        if of_memory.contains(&words(event, "detection"))
            && event["weir"]["peer"]["equipment"].is_null()
            && let Some(path) = capture(event, &directory)
        {
            found += 1;
            assert!(fs::metadata(path).unwrap().len() > 0);
        }
    }
    assert!(found > 0, "{alerts:?}");
}

#[test]
fn a_capture_is_taken_over_the_interface_and_who_took_it_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let config = small_site(directory.path(), &address, "");
    let token = |name: &str, role: &str| {
        let arguments = ["control", "--config", text(&config), "--new-token", name, "--role", role];
        String::from_utf8(run(&arguments).stdout).unwrap().trim().to_owned()
    };
    let [viewer, analyst, admin] = [("vera", "viewer"), ("ada", "analyst"), ("adam", "admin")]
        .map(|(name, role)| token(name, role));
    let mut control = weir(&["control", "--config", text(&config)]);
    let _control = Running::start(control.stdout(Stdio::null()).stderr(Stdio::null()));
    let mut sensor = weir(&["sensor", "--config", text(&config), "--speed", "max"]);
    let mut sensor = Running::start(sensor.stdout(Stdio::null()).stderr(Stdio::null()));
    assert_eq!(sensor.end(), Some(0));
    let ask = |token: &str, path: &str| -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "GET /api/v1/{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        (head, answer.split_off(end + 4))
    };
    let json = |token: &str, path: &str| -> Value {
        serde_json::from_slice(&ask(token, path).1).unwrap_or_default()
    };
    let alert = await_that("an alert with frames is stored", || {
        let alerts = json(&viewer, "alerts?detection=EGR-NOTALLOWED");
        let alert = alerts["items"].as_array()?.first()?.clone();
        alert["evidence"].as_u64().is_some().then_some(alert)
    });
    let id = alert["id"].as_str().unwrap();
    // Subscribers' addresses are in its frames.
    assert!(ask(&viewer, &format!("alerts/{id}/evidence")).0.starts_with("HTTP/1.1 403"));
    let (head, capture) = ask(&analyst, &format!("alerts/{id}/evidence"));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains(&format!("filename=\"weir-{id}.pcapng\"")), "{head}");
    let event = &json(&viewer, &format!("alerts/{id}"))["event"];
    let mut sum = Command::new("sha256sum");
    let mut sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(&capture).unwrap();
    let sum = String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(sum.split(' ').next(), event["weir"]["evidence"]["sha256"].as_str());
    let deeds = json(&admin, "audit")["items"].clone();
    assert_eq!(
        (&deeds[0]["actor"], &deeds[0]["action"], &deeds[0]["object"]),
        (&"ada".into(), &"evidence.take".into(), &id.into())
    );
    assert!(ask("weir_nobody_0", &format!("alerts/{id}/evidence")).0.starts_with("HTTP/1.1 401"));
    assert!(ask(&analyst, "alerts/00000000000000ff/evidence").0.starts_with("HTTP/1.1 404"));
    fs::remove_dir_all(directory.path().join("state/evidence")).unwrap();
    let (head, body) = ask(&analyst, &format!("alerts/{id}/evidence"));
    let body = String::from_utf8(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 404") && body.contains("removed"), "{head} {body}");
}
