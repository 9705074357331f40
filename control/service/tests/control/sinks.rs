//! What collectors hear, and event files that are put aside.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use weir_engine::contract::verdict::{Alert, Flow, Verdict};
use weir_engine::detect::PFCP_DUPL;

use crate::cases::{Desk, token};
use crate::fake::*;
use crate::restricted::{copied, redirected, session};
use crate::swap_at;

fn collector() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn heard(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut message = vec![0; 65_535];
    let mut heard = Vec::new();
    while let Ok(length) = socket.recv(&mut message) {
        heard.push(message[..length].to_vec());
    }
    heard
}

fn texts(socket: &UdpSocket) -> Vec<String> {
    heard(socket).into_iter().map(|message| String::from_utf8(message).unwrap()).collect()
}

/// Everything that matters, from a sensor that reads files as taps: nobody but the sinks asks for
/// restricted events to go apart.
fn played(place: &Place, config: &str) {
    let path = place.path("weir.toml");
    fs::write(&path, config).unwrap();
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--config", path.to_str().unwrap()]);
    let (_connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    let verdicts = [
        swap_at(START, policy.version, policy.fingerprint()),
        say(redirected()),
        say(copied()),
        say(Alert { superseded_by: Some(PFCP_DUPL), ..alert(3, 0, 4) }),
        Verdict::Session(session()),
        flow(),
    ];
    for verdict in &verdicts {
        sensor.push(verdict).unwrap();
    }
    sensor.await_released(verdicts.len() as u64);
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
}

#[test]
fn collectors_hear_what_the_event_file_has_and_nothing_of_who_is_intercepted() {
    let place = Place::new("");
    let (eve, eve_port) = collector();
    let (cef, cef_port) = collector();
    let (flows, flows_port) = collector();
    played(
        &place,
        &format!(
            "[[control.syslog]]\naddress = \"127.0.0.1:{eve_port}\"\ntransport = \"udp\"\n\
             events = [\"alert\", \"flow\", \"session\", \"policy\"]\n\
             [[control.syslog]]\naddress = \"127.0.0.1:{cef_port}\"\ntransport = \"udp\"\n\
             format = \"cef\"\nevents = [\"alert\"]\n\
             [[control.ipfix]]\naddress = \"127.0.0.1:{flows_port}\"\ntransport = \"udp\"\n"
        ),
    );
    let written = place.text();
    let eve = texts(&eve);
    let sent: Vec<&str> = eve.iter().map(|message| message.split_once("] {").unwrap().1).collect();
    let lines: Vec<&str> = written.lines().map(|line| &line[1..]).collect();
    assert_eq!(sent, lines, "the same, once, in the same order");
    let cef = texts(&cef);
    assert_eq!(cef.len(), place.events("alert").len());
    let restricted = fs::read_to_string(place.path("restricted.json")).unwrap();
    assert_eq!(events(&restricted, "alert").len(), 2);
    for text in eve.iter().chain(&cef).chain([&written]) {
        assert!(!text.contains("DUPL") && !text.contains("203.0.113.9"), "{text}");
    }

    let redirected = eve.iter().find(|text| text.contains("PFCP-REDIR")).unwrap();
    let (head, _) = redirected.split_once(" {\"timestamp\"").unwrap();
    assert!(head.starts_with("<130>1 2023-11-14T22:13:20.003000Z "), "local0, critical: {head}");
    let data = head.split_once(" alert [weir@32473 detection=\"PFCP-REDIR\" ").unwrap().1;
    for parameter in ["severity=\"critical\" ", " site=\"lab\" ", " tap=\"n3-east\" ", " dedup=\""]
    {
        assert!(format!(" {data}").contains(parameter), "{data}");
    }
    let redirected = cef.iter().find(|text| text.contains("PFCP-REDIR")).unwrap();
    let (_, line) = redirected.split_once(" alert - ").unwrap();
    let fields: Vec<&str> = line.splitn(8, '|').collect();
    assert_eq!(fields[..3], ["CEF:0", "Weir", "weir-control"]);
    assert_eq!((fields[4], fields[6]), ("5290023", "10"));
    for pair in ["src=10.0.0.1 ", "dpt=443 ", "act=allowed ", "cn3Label=teid cn3=8 ", "cs1=gnb-1 "]
    {
        assert!(fields[7].contains(pair), "{pair} in {}", fields[7]);
    }

    let told = heard(&flows);
    assert!(told.iter().all(|message| message[..2] == [0, 10]), "IPFIX");
    let all = told.concat();
    let holds = |bytes: &[u8]| all.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(&0xabc_u64.to_be_bytes()), "the flow");
    // Addresses and ports, a G-PDU of TEID 8, QoS flow 9, signature 5290023.
    let mut tunnel = vec![10, 0, 0, 1, 198, 51, 100, 7, 6];
    tunnel.extend([40_000_u16.to_be_bytes(), 443_u16.to_be_bytes()].concat());
    tunnel.extend([255, 0, 0, 0, 8, 9]);
    tunnel.extend(5_290_023_u32.to_be_bytes());
    assert!(holds(&tunnel), "the tunnel");
}

/// Every line of an event file and of those put aside, the oldest first.
fn all_lines(place: &Place, name: &str) -> (Vec<Value>, usize) {
    let aside: BTreeMap<u32, _> = fs::read_dir(place.directory.path())
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let number = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
            Some((number.parse().ok()?, path))
        })
        .collect();
    let count = aside.len();
    let files = aside.into_values().rev().chain([place.path(name)]);
    let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), count)
}

#[test]
fn files_are_put_aside_and_kills_neither_lose_nor_repeat_a_line() {
    const FLOWS: u64 = 9_000;
    const SLOTS: usize = 64;
    let place = Place::new("");
    let config = place.path("weir.toml");
    fs::write(&config, "[control.events]\nmax_bytes = 1_000_000\nkeep = 100\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut sensor = Sensor::start(&place.socket(), false, SLOTS);
    let mut control = place.control(&arguments);
    let (mut connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    sensor.push(&swap_at(START, policy.version, policy.fingerprint())).unwrap();
    let Verdict::Flow(flow) = flow() else { unreachable!() };
    for number in 0..FLOWS {
        // Kills fall everywhere between two turns, and at some.
        if number % 700 == 699 {
            control.kill();
            control = place.control(&arguments);
            (connection, _) = sensor.accept();
        }
        await_that("there is room", || {
            let ring = &mut sensor.segment.ring;
            (ring.written() - ring.acknowledged() < SLOTS as u64 - 1).then_some(())
        });
        let flow = Flow { flow_id: number + 1, ..(*flow).clone() };
        sensor.push(&Verdict::Flow(Box::new(flow))).unwrap();
    }
    sensor.await_released(FLOWS + 1);
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    drop(connection);
    let (lines, aside) = all_lines(&place, "eve.json");
    let flows = lines.iter().filter(|line| line["event_type"] == "flow");
    let told: Vec<_> = flows.map(|flow| flow["flow_id"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (1..=FLOWS).map(|number| format!("{number:#x}")).collect();
    assert!(told == expected, "{} lines of {FLOWS}", told.len());
    assert!(aside >= 3, "{aside} files aside");
    assert!(fs::metadata(place.path("eve.json")).unwrap().len() < 1_100_000);
}

#[test]
fn the_place_of_the_next_file_is_committed_before_its_first_line() {
    let place = Place::new("");
    let config = place.path("weir.toml");
    fs::write(&config, "[control.events]\nmax_bytes = 1_000_000\nkeep = 2\n").unwrap();
    let file = place.path("eve.json");
    let before = format!("{{\"event_type\":\"{}\"}}\n", "x".repeat(1_000_000));
    fs::write(&file, &before).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&arguments);
    let (_connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    // That control is attached is all that it says before it reads a record.
    await_that("the file is put aside", || {
        let is_empty = fs::metadata(&file).is_ok_and(|metadata| metadata.len() == 0);
        (is_empty && place.path("eve.json.1").exists()).then_some(())
    });
    control.kill();
    // As if it had written what it could not commit any more: that would be said again.
    fs::write(&file, "{\"event_type\":\"uncommitted\"}\n").unwrap();
    control = place.control(&arguments);
    let (_connection, _) = sensor.accept();
    sensor.push(&swap_at(START, policy.version, policy.fingerprint())).unwrap();
    sensor.await_released(1);
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    let (lines, aside) = all_lines(&place, "eve.json");
    assert_eq!(aside, 1);
    assert!(lines.iter().all(|line| line["event_type"] != "uncommitted"));
    assert_eq!(lines.iter().filter(|line| line["event_type"] == "policy").count(), 1);
}

#[test]
fn restricted_files_stay_private_when_they_are_put_aside() {
    let place = Place::new("");
    let config = place.path("weir.toml");
    fs::write(&config, "[control.events]\nmax_bytes = 1_000_000\nkeep = 2\n").unwrap();
    // All but full already.
    let file = place.path("restricted.json");
    fs::write(&file, format!("{{\"event_type\":\"{}\"}}\n", "x".repeat(999_999))).unwrap();
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--config", config.to_str().unwrap()]);
    let (_connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    sensor.push(&swap_at(START, policy.version, policy.fingerprint())).unwrap();
    sensor.push(&say(copied())).unwrap();
    sensor.await_released(2);
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    let (lines, aside) = all_lines(&place, "restricted.json");
    let alerts = lines.iter().filter(|line| line["event_type"] == "alert").count();
    assert_eq!((alerts, aside), (2, 1), "said before the turn, closed after it");
    for name in ["restricted.json", "restricted.json.1"] {
        let mode = fs::metadata(place.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
}

#[test]
fn what_people_do_is_told_to_collectors_but_what_is_restricted_is_not() {
    let (socket, port) = collector();
    let place = Place::new("");
    let config =
        format!("[[control.syslog]]\naddress = \"127.0.0.1:{port}\"\ntransport = \"udp\"\n");
    fs::write(place.path("weir.toml"), config).unwrap();
    let mut desk = Desk::over(place);
    let root = token(&desk.place, "root", "restricted");
    let mut secret = alert(9, 0, 1);
    secret.detection = PFCP_DUPL;
    desk.says(secret);
    desk.finds(1, 1, 1, 1);
    for found in desk.alerts(&root, "") {
        let path = format!("alerts/{}/status", found["id"].as_str().unwrap());
        let note = format!("about {}", found["detection"].as_str().unwrap());
        let body = serde_json::json!({ "status": "acknowledged", "note": note });
        assert_eq!(desk.post(&root, &path, body).0, 200);
    }
    let deeds = await_that("the deed is told", || {
        let told: Vec<String> = texts(&socket);
        let deeds: Vec<String> =
            told.into_iter().filter(|line| line.contains(" audit [")).collect();
        (!deeds.is_empty()).then_some(deeds)
    });
    assert_eq!(deeds.len(), 1, "{deeds:?}");
    assert!(deeds[0].starts_with("<133>1 ") && deeds[0].contains("about EGR-NOTALLOWED"));
    assert!(deeds[0].contains("actor=\"root\" action=\"alert_status\""), "{deeds:?}");
    let open = desk.place.events("audit");
    assert_eq!((open.len(), &open[0]["weir"]["site"]), (1, &"lab".into()));
    let restricted = fs::read_to_string(desk.place.path("restricted.json")).unwrap();
    let restricted = events(&restricted, "audit");
    assert_eq!(restricted[0]["weir"]["detail"]["note"], "about PFCP-DUPL");
}
