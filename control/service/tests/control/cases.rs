//! What people do to alerts, over the interface of the real process.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::process::Command;

use serde_json::{Value, json};
use weir_engine::Nanos;
use weir_engine::detect::PFCP_DUPL;

use super::fake::*;

/// A process with its sensor, and tokens for it.
pub(crate) struct Desk {
    pub(crate) place: Place,
    pub(crate) sensor: Sensor,
    pub(crate) control: Option<Control>,
    pub(crate) connection: weir_shm::channel::Connection,
    pub(crate) address: String,
}

pub(crate) fn token(place: &Place, name: &str, role: &str) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_weir-control"))
        .arg("--state-dir")
        .arg(place.directory.path())
        .args(["--new-token", name, "--role", role])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

impl Desk {
    /// Over a place with its weir.toml, if it has one.
    pub(crate) fn new() -> Self {
        Self::over(Place::new(""))
    }

    pub(crate) fn over(place: Place) -> Self {
        let sensor = Sensor::start(&place.socket(), false, 64);
        let (control, connection, address) = start(&place, &sensor);
        Self { place, sensor, control: Some(control), connection, address }
    }

    /// The process is killed and started again.
    pub(crate) fn restart(&mut self) {
        self.control.take().unwrap().kill();
        self.begin();
    }

    /// It is started again.
    pub(crate) fn begin(&mut self) {
        let (control, connection, address) = start(&self.place, &self.sensor);
        (self.control, self.connection, self.address) = (Some(control), connection, address);
    }

    /// An alert about a peer in a network of its own.
    pub(crate) fn finds(&mut self, instance: u64, equipment: u32, network: u8, packets: u64) {
        let mut found = alert(instance, equipment, packets);
        found.peer = Some(IpAddr::from([203, 0, network, 1]));
        self.says(found);
    }

    pub(crate) fn says(&mut self, found: weir_engine::contract::verdict::Alert) {
        self.sensor.push(&say(found)).unwrap();
        let written = self.sensor.segment.ring.written();
        self.sensor.await_released(written);
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> (u16, Value) {
        self.ask(token, "GET", path, None)
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        self.ask(token, "POST", path, Some(body))
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut head = format!("{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if !token.is_empty() {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if method == "POST" {
            head +=
                &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        request(&self.address, &format!("{head}Connection: close\r\n\r\n{body}"))
    }

    pub(crate) fn alerts(&self, token: &str, query: &str) -> Vec<Value> {
        let (code, page) = self.get(token, &format!("alerts{query}"));
        assert_eq!(code, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }
}

fn start(place: &Place, sensor: &Sensor) -> (Control, weir_shm::channel::Connection, String) {
    let config = place.path("weir.toml");
    let listen = ["--listen", "127.0.0.1:0"];
    let mut control = match config.exists() {
        true => place.control(&[&listen[..], &["--config", config.to_str().unwrap()]].concat()),
        false => place.control(&listen),
    };
    let line = control.says("listening on http://");
    let address = line.rsplit("http://").next().unwrap().to_owned();
    let (connection, _) = sensor.accept();
    (control, connection, address)
}

fn request(address: &str, text: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (code, serde_json::from_str(body).unwrap_or(Value::String(body.into())))
}

pub(crate) fn tomorrow() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string()
}

#[test]
fn an_alert_goes_from_new_to_closed_and_is_new_again_when_it_goes_on() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    desk.finds(1, 0, 1, 3);
    let [alert] = &desk.alerts(&ada, "")[..] else { panic!() };
    let id = alert["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&alert["status"], &alert["equipment"], &alert["packets"], &alert["incident"]),
        (&json!("new"), &json!("gnb-1"), &json!(3), &json!(1))
    );
    assert_eq!(desk.place.events("alert")[0]["weir"]["id"], id.as_str());
    let put = |desk: &Desk, status: &str| {
        let body = json!({ "status": status, "note": format!("it is {status}") });
        desk.post(&ada, &format!("alerts/{id}/status"), body)
    };
    assert_eq!(put(&desk, "acknowledged"), (200, json!({ "alerts": 1, "pending": false })));
    // An update leaves it where somebody put it.
    desk.finds(1, 0, 1, 40);
    let (_, page) = desk.get(&ada, &format!("alerts/{id}"));
    let stands =
        |page: &Value| ["status", "changed_by", "note", "packets"].map(|key| page[key].clone());
    assert_eq!(
        stands(&page),
        [json!("acknowledged"), json!("ada"), json!("it is acknowledged"), json!(40)]
    );
    assert_eq!(page["event"]["weir"]["update"], 1);
    put(&desk, "closed");
    assert_eq!(desk.alerts(&ada, "?status=closed").len(), 1);
    desk.restart();
    assert_eq!(
        desk.alerts(&ada, "?status=closed").len(),
        1,
        "a kill loses nothing that was answered"
    );
    desk.finds(1, 0, 1, 500);
    assert_eq!(desk.alerts(&ada, "?status=new").len(), 1);
}

#[test]
fn one_implant_with_many_symptoms_is_one_incident_that_is_closed_at_once() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    for (instance, equipment, network) in [(1, 0, 1), (2, 0, 2), (3, 1, 2), (4, 1, 3)] {
        desk.finds(instance, equipment, network, 1);
    }
    let (_, page) = desk.get(&ada, "incidents");
    let [incident] = &page["items"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!(
        (&incident["alerts"], &incident["equipment"], &incident["severity"]),
        (&json!(4), &json!(["gnb-1", "gnb-2"]), &json!("high"))
    );
    assert_eq!(
        desk.post(&ada, "incidents/1/status", json!({ "status": "closed" })),
        (200, json!({ "alerts": 4, "pending": false }))
    );
    let (_, incident) = desk.get(&ada, "incidents/1");
    assert_eq!((&incident["status"], &incident["closed"]), (&json!("closed"), &json!(4)));
    assert_eq!(desk.alerts(&ada, "?incident=1&status=closed").len(), 4);
    assert_eq!(desk.get(&ada, "incidents/2").0, 404);
}

#[test]
fn two_incidents_that_meet_are_one_from_then_on() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    desk.finds(1, 0, 1, 1);
    desk.finds(2, 1, 2, 1);
    desk.restart();
    // The second one's equipment talks to the first one's peer.
    desk.finds(3, 1, 1, 1);
    let (_, page) = desk.get(&ada, "incidents");
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let (_, merged) = desk.get(&ada, "incidents/2");
    assert_eq!((&merged["number"], &merged["alerts"]), (&json!(1), &json!(3)));
}

#[test]
fn incidents_that_meet_before_any_is_stored_leave_no_alert_under_a_number_of_theirs() {
    // All at once; and after the first three are stored.
    for stored in [0, 3] {
        let mut desk = Desk::new();
        let ada = token(&desk.place, "ada", "analyst");
        // The third one's equipment is unknown. The second takes it in, and is taken in by the first.
        let of = [(Some(0), 1), (Some(1), 2), (None, 3), (Some(1), 3), (Some(1), 1)];
        let found = (1..).zip(of).map(|(instance, (equipment, network))| {
            let mut found = alert(instance, equipment.unwrap_or(0), 1);
            found.peer = Some(IpAddr::from([203, 0, network, 1]));
            found.equipment = equipment.map(weir_engine::rules::EquipmentId);
            say(found)
        });
        let found: Vec<_> = found.collect();
        let (before, at_once) = found.split_at(stored);
        before.iter().for_each(|said| assert!(desk.sensor.push(said).is_ok()));
        let written = desk.sensor.segment.ring.written();
        desk.sensor.await_released(written);
        desk.control.take().unwrap().kill();
        at_once.iter().for_each(|said| assert!(desk.sensor.push(said).is_ok()));
        desk.begin();
        let written = desk.sensor.segment.ring.written();
        desk.sensor.await_released(written);

        assert_eq!(desk.alerts(&ada, "").len(), 5);
        assert_eq!(desk.alerts(&ada, "?incident=1").len(), 5, "{stored} were stored before");
        for number in 1..=3 {
            let (code, incident) = desk.get(&ada, &format!("incidents/{number}"));
            assert_eq!((code, &incident["number"]), (200, &json!(1)), "{number}");
            assert_eq!((&incident["alerts"], &incident["new"]), (&json!(5), &json!(5)));
        }
        let open = |desk: &Desk| desk.get(&ada, "incidents?status=open").1["items"].clone();
        assert_eq!(open(&desk).as_array().unwrap().len(), 1);
        let close = json!({ "status": "closed" });
        let closed = desk.post(&ada, "incidents/1/status", close);
        assert_eq!(closed, (200, json!({ "alerts": 5, "pending": false })));
        assert_eq!(open(&desk), json!([]));
    }
}

#[test]
fn a_suppression_silences_what_is_stored_and_what_comes_until_it_is_taken_back() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    desk.finds(1, 0, 1, 1);
    desk.finds(2, 0, 2, 1);
    desk.finds(3, 1, 1, 1);
    let body = json!({
        "detection": "EGR-NOTALLOWED", "equipment": "gnb-1", "peer": "203.0.1.0/24",
        "until": tomorrow(), "reason": "support case 4711",
    });
    let (code, done) = desk.post(&ada, "suppressions", body);
    assert_eq!((code, &done), (201, &json!({ "number": 1, "alerts": 1, "pending": false })));
    let said = desk.place.events("alert").len();
    desk.restart();
    // It goes on in silence, a day later too; the others do not.
    desk.finds(1, 0, 1, 100);
    let mut tomorrows = alert(9, 0, 5);
    tomorrows.peer = Some(IpAddr::from([203, 0, 1, 7]));
    (tomorrows.day, tomorrows.last) =
        (tomorrows.day + 1, Nanos(tomorrows.last.0 + 86_400 * SECOND));
    desk.says(tomorrows);
    assert_eq!(desk.place.events("alert").len(), said);
    let silenced = desk.alerts(&ada, "?status=suppressed");
    assert_eq!(silenced.len(), 2);
    assert!(silenced.iter().all(|alert| alert["suppressed_by"] == "1"), "{silenced:?}");
    desk.finds(3, 1, 1, 100);
    assert_eq!(desk.place.events("alert").len(), said + 1);
    let suppression = |desk: &Desk| desk.get(&ada, "suppressions").1["items"][0].clone();
    let listed = suppression(&desk);
    assert_eq!(
        (&listed["state"], &listed["alerts"], &listed["author"]),
        (&json!("active"), &json!(2), &json!("ada"))
    );

    let revoke = json!({ "reason": "the case is closed" });
    assert_eq!(desk.post(&ada, "suppressions/1/revoke", revoke.clone()).0, 200);
    assert_eq!(desk.post(&ada, "suppressions/1/revoke", revoke).0, 404, "it holds no longer");
    desk.finds(1, 0, 1, 1_000);
    assert_eq!(desk.place.events("alert").len(), said + 2);
    assert_eq!(
        (&suppression(&desk)["state"], desk.alerts(&ada, "?status=suppressed").len()),
        (&json!("revoked"), 1)
    );
}

#[test]
fn a_typing_mistake_silences_nothing() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    desk.finds(1, 0, 1, 1);
    let body = |detection: &str, equipment: &str| {
        json!({
            "detection": detection, "equipment": equipment, "until": tomorrow(), "reason": "known",
        })
    };
    for (body, says) in [
        (body("EGR-NOTALOWED", "gnb-1"), "did you mean `EGR-NOTALLOWED`?"),
        (body("EGR-NOTALLOWED", "gnb1"), "did you mean `gnb-1`?"),
        (
            json!({ "detection": "EGR-NOTALLOWED", "until": tomorrow(), "reason": "all of it" }),
            "altogether",
        ),
        (json!({ "detection": "EGR-NOTALLOWED", "equipmnt": "gnb-1" }), "equipmnt"),
    ] {
        let (code, answer) = desk.post(&ada, "suppressions", body);
        assert!(code == 400 && answer["error"].as_str().unwrap().contains(says), "{code} {answer}");
    }
    assert_eq!(desk.alerts(&ada, "?status=new").len(), 1);
}

#[test]
fn roles_may_what_they_may_and_no_token_only_looks() {
    let mut desk = Desk::new();
    desk.finds(1, 0, 1, 1);
    let mut copied = alert(2, 1, 1);
    copied.detection = PFCP_DUPL;
    desk.says(copied);
    // Whoever is on the machine may look while there are no tokens.
    assert_eq!(desk.alerts("", "").len(), 1);
    let id = desk.alerts("", "")[0]["id"].as_str().unwrap().to_owned();
    let close = json!({ "status": "closed" });
    let path = format!("alerts/{id}/status");
    assert_eq!(desk.post("", &path, close.clone()).0, 403);
    let rebound = "GET /api/v1/alerts HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(request(&desk.address, rebound).0, 401);

    let [viewer, analyst, restricted, admin] =
        ["viewer", "analyst", "restricted", "admin"].map(|role| token(&desk.place, role, role));
    assert_eq!(desk.get("", "alerts").0, 401, "from the first token on");
    assert_eq!(desk.get("weir_viewer_0", "alerts").0, 401);
    assert_eq!(desk.post(&viewer, &path, close.clone()).0, 403);
    assert_eq!(desk.post(&analyst, &path, close.clone()).0, 200);
    let all = desk.alerts(&restricted, "");
    let hidden = all.iter().find(|alert| alert["restricted"] == true).unwrap()["id"].clone();
    let hidden = hidden.as_str().unwrap();
    for token in [&viewer, &analyst, &admin] {
        assert_eq!(desk.alerts(token, "").len(), 1);
        assert_eq!(desk.get(token, &format!("alerts/{hidden}")).0, 404);
        assert_eq!(desk.get(token, "incidents").1["items"].as_array().unwrap().len(), 1);
    }
    // Nor may anybody else silence one, or learn that somebody did.
    let silence = json!({ "detection": "PFCP-DUPL", "equipment": "gnb-2", "until": tomorrow(), "reason": "known" });
    assert_eq!(desk.post(&analyst, "suppressions", silence.clone()).0, 404);
    let (code, made) = desk.post(&restricted, "suppressions", silence);
    assert_eq!((code, &made["number"]), (201, &json!(1_000_000_001)));
    let suppressions =
        |token: &str| desk.get(token, "suppressions").1["items"].as_array().unwrap().len();
    assert_eq!((suppressions(&admin), suppressions(&restricted)), (0, 1));
    let revoke = json!({ "reason": "not known" });
    assert_eq!(desk.post(&admin, "suppressions/1000000001/revoke", revoke.clone()).0, 404);
    assert_eq!(desk.post(&restricted, "suppressions/1000000001/revoke", revoke).0, 200);
    let path = format!("alerts/{hidden}/status");
    assert_eq!(desk.post(&admin, &path, close.clone()).0, 404);
    assert_eq!(desk.post(&restricted, &path, close).0, 200);
    let deeds = |token: &str| desk.get(token, "audit").1["items"].as_array().unwrap().len();
    assert_eq!((deeds(&admin), deeds(&restricted)), (1, 4));
    assert_eq!(desk.get(&analyst, "audit").0, 403);
    assert_eq!(
        desk.get(&analyst, "health").1["you"],
        json!({ "name": "analyst", "role": "analyst" })
    );
}

#[test]
fn every_deed_is_in_the_audit_and_in_the_journal() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "analyst");
    let root = token(&desk.place, "root", "admin");
    desk.finds(1, 0, 1, 1);
    let id = desk.alerts(&ada, "")[0]["id"].as_str().unwrap().to_owned();
    let note = "<script>alert(1)</script>\n\"'";
    let path = format!("alerts/{id}/status");
    desk.post(&ada, &path, json!({ "status": "acknowledged", "note": note }));
    // What is refused is no deed.
    assert_eq!(desk.post(&ada, &path, json!({ "status": "suppressed" })).0, 400);
    assert_eq!(
        desk.post(&ada, "alerts/0000000000000000/status", json!({ "status": "closed" })).0,
        404
    );
    let (_, page) = desk.get(&root, "audit");
    let [deed] = &page["items"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!(
        (&deed["actor"], &deed["action"], &deed["object"], &deed["detail"]["note"]),
        (&json!("ada"), &json!("alert_status"), &json!(id), &json!(note))
    );
    desk.restart();
    let directory = desk.place.path("journal/open");
    let report = weir_journal::verify(&directory, &[], &mut |_, _| {}).unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
    let file = std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file).unwrap();
    let deeds: Vec<&str> = text.lines().filter(|line| line.contains("\"audit\"")).collect();
    assert!(deeds.len() == 1 && deeds[0].contains("acknowledged"), "{deeds:?}");
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let mut desk = Desk::new();
    let ada = token(&desk.place, "ada", "viewer");
    for number in 0..25 {
        desk.finds(u64::from(number) + 1, 0, number, 1);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let (_, page) = desk.get(&ada, &format!("alerts?limit=10{after}"));
        seen.extend(page["items"].as_array().unwrap().iter().map(|alert| alert["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 25);
    seen.sort_by_key(Value::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 25);
    for wrong in [
        "alerts?limit=0",
        "alerts?limt=5",
        "alerts?after=x",
        "alerts?severity=hihg",
        "alerts?incident=-1",
    ] {
        assert_eq!(desk.get(&ada, wrong).0, 400, "{wrong}");
    }
}

#[test]
fn open_incidents_are_asked_for_alone_page_by_page() {
    let mut desk = Desk::new();
    let [ada, rita] = [("ada", "analyst"), ("rita", "restricted")]
        .map(|(name, role)| token(&desk.place, name, role));
    // Each is an incident of its own: nobody knows the equipment, and no two talk to one place.
    for number in 1..=9 {
        let mut found = alert(u64::from(number), 0, 1);
        (found.equipment, found.peer) = (None, Some(IpAddr::from([203, 0, number, 1])));
        desk.says(found);
    }
    let mut copied = alert(20, 1, 1);
    copied.detection = PFCP_DUPL;
    desk.says(copied);
    let numbers = |token: &str, query: &str| -> Vec<u64> {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let (code, page) = desk.get(token, &format!("incidents?limit=2{query}{after}"));
            assert_eq!(code, 200, "{page}");
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|incident| incident["number"].as_u64().unwrap()));
            let Some(next) = page["next"].as_str() else { break seen };
            assert_eq!(items.len(), 2, "a page is full while there are more");
            after = format!("&after={next}");
        }
    };
    let put = |number: u64, status: &str| {
        let path = format!("incidents/{number}/status");
        assert_eq!(desk.post(&ada, &path, json!({ "status": status })).0, 200);
    };
    assert_eq!(numbers(&ada, "&status=open"), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    for number in [9, 8, 7, 4, 1] {
        put(number, "closed");
    }
    put(5, "acknowledged");
    let silence = json!({
        "detection": "EGR-NOTALLOWED", "peer": "203.0.3.0/24", "until": tomorrow(), "reason": "known",
    });
    assert_eq!(desk.post(&ada, "suppressions", silence).1["alerts"], 1);
    assert_eq!(numbers(&ada, "&status=open"), [6, 5, 2]);
    for everything in ["", "&status=all"] {
        assert_eq!(numbers(&ada, everything), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    }
    // What is restricted is open, too, for whom may know of it.
    let mut hers = numbers(&rita, "&status=open");
    hers.sort_unstable();
    assert_eq!(hers, [2, 5, 6, 1_000_000_001]);
    put(9, "new");
    assert_eq!(numbers(&ada, "&status=open"), [9, 6, 5, 2]);
    for wrong in ["status=opn", "status=new", "status=", "status=open&status=all", "state=open"] {
        assert_eq!(desk.get(&ada, &format!("incidents?{wrong}")).0, 400, "{wrong}");
    }
}

#[test]
fn two_processes_do_not_share_a_state_directory() {
    let desk = Desk::new();
    let mut second = desk.place.control(&[]);
    second.says("another process uses it");
    assert_eq!(second.wait().code(), Some(2));
}
