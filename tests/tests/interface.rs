//! The interface over a real sensor and control: a theft that is known is silenced, and programs that try
//! everything find nothing that was not announced.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::*;

/// A control with a token, and sensors that replay one capture after the other into it.
struct Desk {
    directory: tempfile::TempDir,
    address: String,
    token: String,
    _control: Running,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let path = small_site(directory.path(), &address, "");
        let made =
            run(&["control", "--config", text(&path), "--new-token", "ada", "--role", "analyst"]);
        assert!(made.status.success(), "{}", said(&made));
        let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let mut control = weir(&["control", "--config", text(&path)]);
        let control = Running::start(control.stdout(Stdio::null()).stderr(Stdio::null()));
        Self { directory, address, token, _control: control }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A sensor replays the capture to its end, and all of it is stored.
    fn replay(&self) {
        let config = self.file("weir.toml");
        let mut sensor = weir(&["sensor", "--config", text(&config), "--speed", "max"]);
        let stats = self.events("stats").len();
        let mut sensor = Running::start(sensor.stdout(Stdio::null()).stderr(Stdio::null()));
        assert_eq!(sensor.end(), Some(0));
        await_that("the replay's counters are written", || {
            (self.events("stats").len() > stats).then_some(())
        });
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let path = self.file("state/eve.json");
        if !path.exists() {
            return Vec::new();
        }
        of_type(&events(&path), kind).into_iter().cloned().collect()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len(),
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    fn items(&self, path: &str) -> Vec<Value> {
        self.ask("GET", path, &Value::Null)["items"].as_array().unwrap().clone()
    }
}

#[test]
fn a_known_theft_is_silenced_and_its_next_replay_stays_silent_and_is_counted() {
    let desk = Desk::new();
    desk.replay();
    let found = desk.items("alerts?status=new&detection=EGR-NOTALLOWED");
    assert!(!found.is_empty());
    let theft = &found[0];
    let incident = theft["incident"].as_u64().unwrap();
    let incident = desk.ask("GET", &format!("incidents/{incident}"), &Value::Null);
    assert_eq!(incident["status"], "new");
    let until = "2027-06-01T00:00:00Z";
    let body = json!({
        "detection": theft["detection"], "equipment": theft["equipment"], "peer": theft["peer"],
        "until": until, "reason": "support case 4711",
    });
    let made = desk.ask("POST", "suppressions", &body);
    assert!(made["alerts"].as_u64().unwrap() >= 1);
    let is_of_it = |event: &&Value| {
        let weir = &event["weir"];
        weir["detection"] == theft["detection"]
            && weir["equipment"]["id"] == theft["equipment"]
            && weir["peer"]["ip"] == theft["peer"]
    };
    let told = |desk: &Desk| desk.events("alert").iter().filter(is_of_it).count();
    let before = (told(&desk), desk.events("alert").len());
    desk.replay();
    assert_eq!(told(&desk), before.0, "it is silent");
    assert!(desk.events("alert").len() > before.1, "everything else goes on");
    let suppression = &desk.items("suppressions")[0];
    assert!(suppression["alerts"].as_u64().unwrap() >= 1 && suppression["state"] == "active");
    let silenced = desk.items("alerts?status=suppressed");
    assert!(silenced.iter().any(|alert| alert["id"] == theft["id"]), "{silenced:?}");
    // What was said and what was silenced is all in the journal's chain.
    let state = desk.file("state");
    let verified = run(&["events", "verify", text(&state)]);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[test]
fn schemathesis_finds_nothing_that_was_not_announced() {
    let Some(program) = kept_apart("schemathesis", "schemathesis") else { return };
    let desk = Desk::new();
    desk.replay();
    let tried = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/api/v1/openapi.json", desk.address))
        .args(["--header", &format!("Authorization: Bearer {}", desk.token)])
        // That a suppression names what is installed, and a time to come, no schema says.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        // It has no end.
        .args(["--exclude-path", "/api/v1/stream"])
        .args(["--max-examples", "30", "--seed", "1", "--no-color"])
        .current_dir(desk.directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{told}");
    assert!(told.contains("Tested: 15"), "{told}");
}
