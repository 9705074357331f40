//! What becomes of a flood of alerts: the real `weir-control` behind a sensor's shared memory that
//! holds nothing but alerts, each of equipment and a peer's network of its own. How fast they are stored,
//! what that takes, and how long people wait for an answer afterwards.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use weir_engine::Nanos;
use weir_engine::contract::SCHEMA;
use weir_engine::contract::greeting::{Greeting, LaneName, TapName, message};
use weir_engine::contract::verdict::{
    Alert, Fact, Initiator, MAX_BYTES, PolicySwap, Severity, Tuple, Verdict,
};
use weir_engine::contract::words::BLOCK;
use weir_engine::detect::{CATALOGUE, EGR_NOTALLOWED};
use weir_engine::rules::{EquipmentId, Link};
use weir_policy::PolicyMessage;
use weir_shm::channel::Listener;
use weir_shm::{Segment, Shape};

use crate::page::{self, View};

/// Equipment that the alerts are about.
const EQUIPMENT: u32 = 200;
/// The network that all their peers are of.
const PEERS: &str = "64.0.0.0/4";
/// Records in the ring, as a sensor has.
const SLOTS: usize = 1 << 16;
/// The kind of records that hold a verdict.
const VERDICT: u16 = 1;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often each question is asked.
const ASKED: usize = 20;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// From the first alert until the last one is stored.
    pub seconds: f64,
    /// The most memory that control had, in bytes.
    pub memory: u64,
    /// Bytes of database and journal.
    pub disk: u64,
    /// Each question, and how long its answers took.
    pub answers: Vec<(&'static str, Vec<f64>)>,
    /// The same of the page's views; none where there is no browser.
    pub views: Option<Vec<View>>,
    /// A suppression that covers all of them: until it is answered, and until the last alert is silenced.
    pub silence: [f64; 2],
}

/// Has so many alerts stored.
///
/// # Errors
/// When the program can't be started or does not go on.
pub fn measure(control: &Path, alerts: u32) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let mut inventory = String::new();
    for number in 0..EQUIPMENT {
        inventory += &format!(
            "[[equipment]]\nid = \"gnb-{number}\"\nvendor = \"V\"\nmodel = \"M\"\nbuild = \"1\"\n\
             roles = [\"gnb\"]\naddresses = [\"10.0.{number}.1\"]\n"
        );
    }
    let file = |name: &str| folder.path().join(name);
    fs::write(file("inventory.toml"), inventory)?;
    fs::write(file("policy.toml"), "")?;
    let socket = file("sensor.sock");
    let listener = Listener::bind(&socket)?;
    let greeting = greeting();
    let shape = Shape {
        blocks: greeting.blocks(),
        words_per_block: BLOCK,
        ring_slots: SLOTS,
        evidence_slots: 64,
        schema: SCHEMA,
    };
    let mut segment = Segment::create(&shape, now())?;
    let mut process = Control(
        Command::new(control)
            .args(["--state-dir".as_ref(), folder.path().join("state").as_os_str()])
            .args(["--inventory".as_ref(), file("inventory.toml").as_os_str()])
            .args(["--policy".as_ref(), file("policy.toml").as_os_str()])
            .args(["--socket".as_ref(), socket.as_os_str()])
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", control.display()))?,
    );
    let stderr = process.0.stderr.take().context("its words")?;
    let mut words = BufReader::new(stderr).lines();
    let address = loop {
        let line = words.next().context("weir-control ended early")??;
        if let Some(address) = line.split("http://").nth(1) {
            break address.to_owned();
        }
    };
    // Whatever else it says must not fill its pipe.
    thread::spawn(move || words.map_while(Result::ok).count());
    let mut connection = listener.accept(PATIENCE)?;
    connection.set_timeout(PATIENCE);
    let memory = [segment.handover.data(), segment.handover.cursor()];
    connection.send(message::GREETING, &greeting.encode(), &memory)?;
    let frame = connection.receive(1 << 24)?;
    let policy = PolicyMessage::decode(&frame.payload).context("control sends no policy")?;

    let began = Instant::now();
    let swap = PolicySwap {
        at: Nanos(now()),
        version: 1,
        sha256: policy.fingerprint(),
        equipment: (0, EQUIPMENT),
        rules: (0, 0),
    };
    let mut feed = Feed { segment: &mut segment };
    feed.push(&Verdict::Policy(swap))?;
    for number in 0..alerts {
        feed.push(&Verdict::Alert(Box::new(alert(number))))?;
    }
    feed.await_stored()?;
    let seconds = began.elapsed().as_secs_f64();
    let answers = questions(&address)?;
    let views = page::measure(&address)?;
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = most.and_then(|most| most.split_whitespace().next()).context("VmHWM")?;
    let disk = size_of(&folder.path().join("state"))?;
    let token = token(control, &folder.path().join("state"))?;
    let silence = silence(&address, &token, alerts)?;
    Ok(Measured { seconds, memory: kib.parse::<u64>()? * 1024, disk, answers, views, silence })
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64
}

fn greeting() -> Greeting {
    Greeting {
        version: env!("CARGO_PKG_VERSION").into(),
        site: "flood".into(),
        replay: false,
        taps: vec![TapName { name: "n3".into(), link: Link::N3 }],
        ports: vec!["none".into()],
        lanes: vec![LaneName { port: 0, queue: 0, worker: 0 }],
        workers: 1,
        receivers: 0,
        policy: None,
    }
}

/// An alert about a peer's network that no other one is about.
fn alert(number: u32) -> Alert {
    let [_, a, b, c] = number.to_be_bytes();
    let peer = IpAddr::from(Ipv4Addr::new(64 + a, b, c, 7));
    let equipment = number % EQUIPMENT;
    let at = Nanos(now());
    let source = IpAddr::from(Ipv4Addr::new(10, 0, equipment as u8, 1));
    let tuple = Tuple {
        source,
        destination: peer,
        source_port: 40_000,
        destination_port: 443,
        protocol: 6,
    };
    Alert {
        detection: EGR_NOTALLOWED,
        instance: u64::from(number) + 1,
        day: at.day(),
        last_word: false,
        severity: Severity::High,
        superseded_by: None,
        degraded: false,
        loss_ratio: 0.0,
        equipment: Some(EquipmentId(equipment)),
        peer_equipment: None,
        peer: Some(peer),
        peer_name: None,
        initiator: Initiator::Equipment,
        fact: Fact::Opened,
        tap: 0,
        link: Link::N3,
        direction: None,
        outer: Some(tuple),
        inner: None,
        tunnel: None,
        flow_id: u64::from(number) + 1,
        packets: 1,
        bytes: 100,
        first: at,
        last: at,
        at,
        policy: 1,
        n4: None,
        evidence: None,
    }
}

/// The sensor's side of the ring, which waits where a sensor would lose.
struct Feed<'a> {
    segment: &'a mut Segment,
}

impl Feed<'_> {
    fn push(&mut self, verdict: &Verdict) -> anyhow::Result<()> {
        let mut slot = [0; MAX_BYTES];
        let bytes = verdict.encode(&mut slot).context("an alert is too long")?;
        let deadline = Instant::now() + PATIENCE;
        while !self.segment.ring.has_room() {
            self.segment.status.heartbeat(now());
            if Instant::now() > deadline {
                bail!("weir-control takes nothing more");
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.segment.ring.push(0, VERDICT, bytes).map_err(|why| anyhow::anyhow!("{why:?}"))?;
        Ok(())
    }

    fn await_stored(&mut self) -> anyhow::Result<()> {
        let mut before = (0, Instant::now());
        while self.segment.ring.acknowledged() < self.segment.ring.written() {
            self.segment.status.heartbeat(now());
            let stored = self.segment.ring.acknowledged();
            if stored > before.0 {
                before = (stored, Instant::now());
            } else if before.1.elapsed() > PATIENCE {
                bail!("weir-control stores nothing more");
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

struct Control(Child);

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What people and programs ask for, and how long each answer takes.
fn questions(address: &str) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let page = get(address, "/api/v1/alerts?limit=1")?;
    let page: serde_json::Value = serde_json::from_str(&page)?;
    let id = page["items"][0]["id"].as_str().context("there are no alerts")?;
    let one = format!("/api/v1/alerts/{id}");
    let asked = [
        ("the latest hundred alerts", "/api/v1/alerts?limit=100"),
        ("of one status and one equipment", "/api/v1/alerts?status=new&equipment=gnb-7&limit=100"),
        ("of a severity that none has", "/api/v1/alerts?severity=critical&limit=100"),
        ("one alert with its event", one.as_str()),
        ("incidents", "/api/v1/incidents?limit=100"),
        ("metrics", "/metrics"),
        ("open incidents", "/api/v1/incidents?status=open&limit=500"),
        ("equipment with its open alerts", "/api/v1/equipment?limit=100"),
        ("the state", "/api/v1/state"),
    ];
    let mut answers = Vec::new();
    for (what, path) in asked {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let began = Instant::now();
            get(address, path)?;
            took.push(began.elapsed().as_secs_f64());
        }
        took.sort_by(f64::total_cmp);
        answers.push((what, took));
    }
    Ok(answers)
}

fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, &request, "200")
}

/// The body of the answer to a request, which must have that code.
fn exchange(address: &str, request: &str, code: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    if head.split(' ').nth(1) != Some(code) {
        let asked = request.lines().next().unwrap_or_default();
        bail!("{asked} answers {body}");
    }
    Ok(body.to_owned())
}

/// A token of somebody who may silence alerts.
fn token(control: &Path, state: &Path) -> anyhow::Result<String> {
    let made = Command::new(control)
        .arg("--state-dir")
        .arg(state)
        .args(["--new-token", "bench", "--role", "analyst"])
        .output()?;
    if !made.status.success() {
        bail!("no token: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

/// How long a suppression of all the alerts takes: until whoever asked for it is told, and until the
/// last alert is silenced.
fn silence(address: &str, token: &str, alerts: u32) -> anyhow::Result<[f64; 2]> {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let scope = serde_json::json!({
        "detection": CATALOGUE[usize::from(EGR_NOTALLOWED)].id,
        "peer": PEERS,
        "until": until.to_string(),
        "reason": "a flood of the bench",
    });
    let body = scope.to_string();
    let common = format!(
        "Host: {address}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: "
    );
    let began = Instant::now();
    let made =
        format!("POST /api/v1/suppressions HTTP/1.1\r\n{common}{}\r\n\r\n{body}", body.len());
    exchange(address, &made, "201")?;
    let answered = began.elapsed().as_secs_f64();
    let listed = format!("GET /api/v1/suppressions HTTP/1.1\r\n{common}0\r\n\r\n");
    loop {
        let page: serde_json::Value = serde_json::from_str(&exchange(address, &listed, "200")?)?;
        let made = &page["items"][0];
        if made["pending"] == false {
            if made["alerts"].as_u64() != Some(u64::from(alerts)) {
                bail!("of {alerts} alerts it silenced {}", made["alerts"]);
            }
            return Ok([answered, began.elapsed().as_secs_f64()]);
        }
        if began.elapsed() > 10 * PATIENCE {
            bail!("it does not end: {made}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Bytes of a folder's files.
fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        total += if kind.is_dir() { size_of(&entry.path())? } else { kind.len() };
    }
    Ok(total)
}
