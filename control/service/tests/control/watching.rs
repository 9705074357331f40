//! The state, and what is pushed to whoever watches.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Instant;

use serde_json::{Value, json};
use weir_engine::contract::verdict::{PolicySwap, Verdict};
use weir_engine::contract::words::{JudgeWords, WorkerWords};
use weir_engine::detect::PFCP_DUPL;

use super::cases::{Desk, token};
use super::fake::*;

/// A page that is open.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    fn open(desk: &Desk, token: &str) -> Self {
        let (head, watcher) = Self::ask(desk, token);
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
        watcher
    }

    fn ask(desk: &Desk, token: &str) -> (String, Self) {
        let mut stream = TcpStream::connect(&desk.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // HTTP/1.0 has no chunks.
        write!(
            stream,
            "GET /api/v1/stream HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            desk.address
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        (head, Self(reader))
    }

    /// The next event; none once the stream has ended.
    fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut data, mut line) = (String::new(), String::new(), String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(':') {
                Some(("event", value)) => name = value.trim().into(),
                Some(("data", value)) => data = value.trim().into(),
                Some(("", comment)) => return Some(("comment".into(), comment.trim().into())),
                _ if !name.is_empty() => {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
                _ => {}
            }
        }
    }

    /// The next event of that name.
    fn hears(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (heard, data) = self.next().unwrap_or_else(|| panic!("it ended before {name}"));
            if heard == name {
                return data;
            }
            // States go on coming, whatever else does not.
            assert!(Instant::now() < deadline, "it never hears {name}");
        }
    }

    /// The stream comes to its end.
    fn ends(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.next().is_some() {
            assert!(Instant::now() < deadline, "it never ends");
        }
    }
}

#[test]
fn the_state_tells_what_is_seen_and_where_alerts_stand() {
    let mut desk = Desk::new();
    let eve = token(&desk.place, "eve", "viewer");
    let (code, state) = desk.get(&eve, "state");
    assert_eq!((code, &state["up"], &state["site"]), (200, &json!(true), &json!("lab")), "{state}");
    assert_eq!((&state["policy"], &state["n4_coverage"]), (&Value::Null, &Value::Null));
    let mut judge = JudgeWords { tunnels: 7, flows: 3, n4_whole: 1, ..JudgeWords::default() };
    (judge.n4_coverage_ppm, judge.latency[10]) = (250_000, 4);
    desk.sensor.publish(desk.sensor.greeting.judge_block(), &judge);
    let words = WorkerWords { busy_ns: 0, total_ns: 1, ..WorkerWords::default() };
    desk.sensor.publish(desk.sensor.greeting.worker_block(0), &words);
    desk.finds(1, 0, 1, 3);
    desk.finds(2, 1, 2, 3);
    let mut received = 0;
    let state = await_that("frames have a rate", || {
        received += 1_000;
        desk.sensor.count(received);
        let (_, state) = desk.get(&eve, "state");
        (state["packets_per_second"].as_f64().unwrap() > 0.0).then_some(state)
    });
    let bits = state["bits_per_second"].as_f64().unwrap();
    let a_frame = bits / state["packets_per_second"].as_f64().unwrap();
    assert!((a_frame - 800.0).abs() < 1e-6, "{a_frame}");
    assert_eq!((&state["tunnels"], &state["flows"]), (&json!(7), &json!(3)));
    assert_eq!(
        (&state["n4_coverage"], &state["latency_ms"]["p99"]),
        (&json!(0.25), &json!(1.048_576))
    );
    assert_eq!(state["received"], state["inspected"]);
    assert_eq!(state["workers"].as_array().unwrap().len(), 1);
    let standing = json!({"new": 2, "acknowledged": 0, "suppressed": 0, "closed": 0});
    assert_eq!(state["alerts"], standing);
    let ada = token(&desk.place, "ada", "analyst");
    desk.post(&ada, "incidents/1/status", json!({ "status": "closed" }));
    let state = desk.get(&eve, "state").1;
    assert_eq!((&state["alerts"]["new"], &state["alerts"]["closed"]), (&json!(1), &json!(1)));
    assert_eq!(desk.get("", "state").0, 401);
    drop(desk);
}

#[test]
fn the_policy_of_another_control_is_told_without_its_name() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://").rsplit('/').next().unwrap().to_owned();
    let (_connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    let mut told = |version, sha256| {
        let swap = PolicySwap {
            at: weir_engine::Nanos(START),
            version,
            sha256,
            equipment: (0, 2),
            rules: (0, 0),
        };
        sensor.push(&Verdict::Policy(swap)).unwrap();
        await_that("it is in force", || {
            let mut stream = TcpStream::connect(&address).unwrap();
            write!(stream, "GET /api/v1/state HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
            let answer = std::io::read_to_string(stream).unwrap();
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            let state: Value = serde_json::from_str(body).unwrap();
            (state["policy"]["version"] == version).then(|| state["policy"]["sha256"].clone())
        })
    };
    assert_eq!(told(1, policy.sha256).as_str().unwrap().len(), 64);
    assert_eq!(told(2, [7; 32]), Value::Null);
}

#[test]
fn who_watches_hears_of_every_alert_and_of_what_people_do_to_it() {
    let mut desk = Desk::new();
    let (ada, eve) = (token(&desk.place, "ada", "analyst"), token(&desk.place, "eve", "viewer"));
    let mut watcher = Watcher::open(&desk, &eve);
    let (name, state) = watcher.next().unwrap();
    assert_eq!((name.as_str(), &state["alerts"]["new"]), ("state", &json!(0)));
    desk.finds(1, 0, 1, 3);
    let alert = watcher.hears("alert");
    assert_eq!((&alert["status"], &alert["equipment"]), (&json!("new"), &json!("gnb-1")));
    assert_eq!(alert, desk.alerts(&eve, "")[0], "it is the item of the list");
    let path = format!("alerts/{}/status", alert["id"].as_str().unwrap());
    desk.post(&ada, &path, json!({ "status": "acknowledged" }));
    let changed = watcher.hears("alert");
    assert_eq!(
        (&changed["status"], &changed["changed_by"]),
        (&json!("acknowledged"), &json!("ada"))
    );
    let counted = |state: Value| state["alerts"]["acknowledged"].as_u64().unwrap();
    await_that("it is counted", || (counted(watcher.hears("state")) == 1).then_some(()));
    // A page that stays open finds its way back.
    desk.restart();
    watcher.ends();
    let mut watcher = Watcher::open(&desk, &eve);
    assert_eq!(counted(watcher.hears("state")), 1);
    desk.finds(2, 1, 2, 1);
    assert_eq!(watcher.hears("alert")["equipment"], "gnb-2");
}

#[test]
fn what_is_restricted_is_told_to_that_role_alone_and_leaves_no_gap() {
    let mut desk = Desk::new();
    let (root, eve) =
        (token(&desk.place, "root", "restricted"), token(&desk.place, "eve", "admin"));
    let (mut sees, mut blind) = (Watcher::open(&desk, &root), Watcher::open(&desk, &eve));
    let mut copied = alert(9, 0, 1);
    copied.detection = PFCP_DUPL;
    desk.says(copied);
    assert_eq!(sees.hears("alert")["detection"], "PFCP-DUPL");
    desk.finds(1, 1, 1, 1);
    assert_eq!(sees.hears("alert")["detection"], "EGR-NOTALLOWED");
    let mut heard = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while heard.last().is_none_or(|(name, _)| name != "alert") {
        heard.push(blind.next().unwrap());
        assert!(Instant::now() < deadline, "{heard:?}");
    }
    assert_eq!(heard.pop().unwrap().1["detection"], "EGR-NOTALLOWED");
    assert!(heard.iter().all(|(name, _)| name == "state"), "{heard:?}");
    assert_eq!(blind.hears("state")["alerts"]["new"], 1, "nor is it counted");
}

#[test]
fn who_is_too_slow_is_told_how_much_they_missed_and_goes_on() {
    const ALERTS: u32 = 2_100;
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    for number in 0..ALERTS {
        let mut found = alert(u64::from(number) + 1, 0, 1);
        found.peer = Some(IpAddr::from([203, (number >> 8) as u8, number as u8, 1]));
        await_that("there is room", || desk.sensor.push(&say(found.clone())).ok());
    }
    let written = desk.sensor.segment.ring.written();
    desk.sensor.await_released(written);
    let mut slow = Watcher::open(&desk, &ada);
    let mut quick = Watcher::open(&desk, &ada);
    let mut missed = 0;
    for round in 0..12 {
        let status = ["acknowledged", "closed"][round % 2];
        let put = desk.post(&ada, "incidents/1/status", json!({ "status": status }));
        assert_eq!(put.1, json!({ "alerts": ALERTS, "pending": false }));
        // More than are told at once.
        missed += quick.hears("missed")["alerts"].as_u64().unwrap();
    }
    assert!((12 * 52..12 * 1_000).contains(&missed), "{missed}");
    let more = slow.hears("missed")["alerts"].as_u64().unwrap();
    assert!(more > 0);
    desk.finds(5_000, 1, 250, 1);
    let deadline = Instant::now() + PATIENCE;
    while slow.hears("alert")["equipment"] != "gnb-2" {
        assert!(Instant::now() < deadline, "it never goes on");
    }
}

#[test]
fn a_stream_ends_with_its_token_and_their_number_is_bounded() {
    let desk = Desk::new();
    let (ada, eve) = (token(&desk.place, "ada", "analyst"), token(&desk.place, "eve", "viewer"));
    let mut all: Vec<Watcher> = (0..16).map(|_| Watcher::open(&desk, &ada)).collect();
    assert!(Watcher::ask(&desk, &ada).0.starts_with("HTTP/1.0 503"));
    let mut other = Watcher::open(&desk, &eve);
    let tokens = desk.place.path("tokens.toml");
    let text = fs::read_to_string(&tokens).unwrap();
    let (_, of_eve) = text.rsplit_once("[[token]]").unwrap();
    fs::write(&tokens, format!("[[token]]{of_eve}")).unwrap();
    all[0].ends();
    assert_eq!(other.hears("comment"), "alive");
    // Places are given back.
    all.clear();
    let ada = {
        fs::write(&tokens, text).unwrap();
        ada
    };
    await_that("there is a place again", || {
        Watcher::ask(&desk, &ada).0.starts_with("HTTP/1.0 200").then_some(())
    });
}
