//! A sensor made of the writer's side of the shared memory, and the real
//! `weir-control` that attaches to it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use weir_engine::Nanos;
use weir_engine::contract::SCHEMA;
use weir_engine::contract::greeting::{Greeting, LaneName, PolicyReply, TapName, message};
use weir_engine::contract::verdict::{
    Alert, Fact, Flow, FlowEnd, Initiator, InputEnd, MAX_BYTES, Severity, Tuple, Verdict, Volume,
};
use weir_engine::contract::words::{BLOCK, LaneWords, Words};
use weir_engine::rules::{EquipmentId, Link};
use weir_policy::PolicyMessage;
use weir_shm::channel::{Connection, Listener};
use weir_shm::{Loss, Segment, Shape};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// 2023-11-14T22:13:20Z.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) const INVENTORY: &str = r#"
[[equipment]]
id = "gnb-1"
vendor = "Vendor A"
model = "AAU"
build = "1.0"
serial = "S1"
location = "site 17"
roles = ["gnb"]
addresses = ["10.0.0.1"]
[[equipment]]
id = "gnb-2"
vendor = "Vendor A"
model = "AAU"
build = "1.0"
roles = ["gnb"]
addresses = ["10.0.0.2"]
"#;

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

pub(crate) fn await_that<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "still waiting until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The fake.
pub(crate) struct Sensor {
    pub(crate) listener: Listener,
    pub(crate) segment: Segment,
    pub(crate) greeting: Greeting,
    heart: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Sensor {
    pub(crate) fn start(socket: &Path, replay: bool, slots: usize) -> Self {
        Self::of(socket, replay, slots, 1)
    }

    /// A live one of several workers, of which the first has the only lane.
    pub(crate) fn with_workers(socket: &Path, workers: u16) -> Self {
        Self::of(socket, false, 64, workers)
    }

    fn of(socket: &Path, replay: bool, slots: usize, workers: u16) -> Self {
        let greeting = Greeting {
            version: "0.1.0".into(),
            site: "lab".into(),
            replay,
            taps: vec![TapName { name: "n3-east".into(), link: Link::N3 }],
            ports: vec!["net_fake0".into()],
            lanes: vec![LaneName { port: 0, queue: 0, worker: 0 }],
            workers,
            receivers: 0,
            policy: None,
        };
        let shape = Shape {
            blocks: greeting.blocks(),
            words_per_block: BLOCK,
            ring_slots: slots,
            evidence_slots: 64,
            schema: SCHEMA,
        };
        let segment = Segment::create(&shape, now()).unwrap();
        let mut sensor =
            Self { listener: Listener::bind(socket).unwrap(), segment, greeting, heart: None };
        sensor.beat();
        sensor
    }

    pub(crate) fn beat(&mut self) {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, status) = (Arc::clone(&stop), self.segment.status.clone());
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                status.heartbeat(now());
                thread::sleep(Duration::from_millis(50));
            }
        });
        self.heart = Some((stop, thread));
    }

    /// The heart stops; the socket stays.
    pub(crate) fn hang(&mut self) {
        if let Some((stop, thread)) = self.heart.take() {
            stop.store(true, Ordering::Relaxed);
            thread.join().unwrap();
        }
    }

    /// Lets control attach, and answers with the policy that it sent.
    pub(crate) fn accept(&self) -> (Connection, Option<PolicyMessage>) {
        let mut connection = self.listener.accept(PATIENCE).unwrap();
        connection.set_timeout(PATIENCE);
        let memory = [self.segment.handover.data(), self.segment.handover.cursor()];
        connection.send(message::GREETING, &self.greeting.encode(), &memory).unwrap();
        let policy = receive_policy(&mut connection);
        (connection, policy)
    }

    pub(crate) fn push(&mut self, verdict: &Verdict) -> Result<u64, Loss> {
        let mut slot = [0; MAX_BYTES];
        let bytes = verdict.encode(&mut slot).unwrap();
        self.segment.ring.push(0, 1, bytes)
    }

    pub(crate) fn end(&mut self, last: u64) {
        self.push(&Verdict::End(InputEnd { last: Nanos(last) })).unwrap();
    }

    /// Publishes counters: `received` frames, of which all were inspected.
    pub(crate) fn count(&mut self, received: u64) {
        let words = LaneWords {
            received_packets: received,
            received_bytes: received * 100,
            inspected_packets: received,
            ..LaneWords::default()
        };
        self.publish(0, &words);
    }

    /// Publishes one list of counters in a block.
    pub(crate) fn publish(&mut self, block: usize, words: &impl Words) {
        let mut values = [0; BLOCK];
        words.store(&mut values);
        self.segment.blocks[block].publish(&values);
    }

    pub(crate) fn await_released(&mut self, sequence: u64) {
        await_that("control has released", || {
            (self.segment.ring.acknowledged() >= sequence).then_some(())
        });
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        self.hang();
    }
}

pub(crate) fn receive_policy(connection: &mut Connection) -> Option<PolicyMessage> {
    let frame = connection.receive(weir_policy::MAX_BYTES).unwrap();
    match frame.kind {
        message::POLICY => {
            let policy = PolicyMessage::decode(&frame.payload).unwrap();
            let reply = PolicyReply::Accepted { version: policy.version };
            connection.send(message::POLICY_REPLY, &reply.encode(), &[]).unwrap();
            Some(policy)
        }
        message::NO_POLICY => None,
        other => panic!("a frame of kind {other}"),
    }
}

/// An alert of instance `instance` about equipment `number` with `packets` so far.
pub(crate) fn alert(instance: u64, number: u32, packets: u64) -> Alert {
    let peer: IpAddr = format!("198.51.100.{}", 7 + number).parse().unwrap();
    let source: IpAddr = format!("10.0.0.{}", 1 + number).parse().unwrap();
    let tuple = Tuple {
        source,
        destination: peer,
        source_port: 40_000,
        destination_port: 443,
        protocol: 6,
    };
    Alert {
        detection: weir_engine::detect::EGR_NOTALLOWED,
        instance,
        day: Nanos(START).day(),
        last_word: false,
        severity: Severity::High,
        superseded_by: None,
        degraded: false,
        loss_ratio: 0.0,
        equipment: Some(EquipmentId(number)),
        peer_equipment: None,
        peer: Some(peer),
        peer_name: Some("update.vendor.example".into()),
        initiator: Initiator::Equipment,
        fact: Fact::Opened,
        tap: 0,
        link: Link::N3,
        direction: None,
        outer: Some(tuple),
        inner: None,
        tunnel: None,
        flow_id: 0xabc,
        packets,
        bytes: packets * 100,
        first: Nanos(START),
        last: Nanos(START + packets * 1_000_000),
        at: Nanos(START + packets * 1_000_000),
        policy: 1,
        n4: None,
        evidence: None,
    }
}

pub(crate) fn say(alert: Alert) -> Verdict {
    Verdict::Alert(Box::new(alert))
}

/// A state directory with inventory and policy.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(policy: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(place.path("inventory.toml"), INVENTORY).unwrap();
        fs::write(place.path("policy.toml"), policy).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("sensor/sensor.sock")
    }

    pub(crate) fn control(&self, more: &[&str]) -> Control {
        match more.contains(&"--listen") {
            true => Control::start(self, more),
            false => Control::start(self, &[more, &["--listen", "none"]].concat()),
        }
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.path("eve.json")).unwrap_or_default()
    }

    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        events(&self.text(), kind)
    }
}

/// The whole lines of an event file that are events of one kind.
pub(crate) fn events(text: &str, kind: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event_type"] == kind)
        .collect()
}

/// The real process.
pub(crate) struct Control {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
}

impl Control {
    /// The process over a place; where it listens stands in the arguments, or in the configuration
    /// that they name.
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir-control"));
        command.arg("--state-dir").arg(place.directory.path());
        command.arg("--inventory").arg(place.path("inventory.toml"));
        command.arg("--policy").arg(place.path("policy.toml"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            // Whoever no longer listens has dropped the process as well.
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).count();
        });
        Self { child, lines }
    }

    /// The next line on standard error that contains `part`.
    pub(crate) fn says(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("control never said {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        await_that("control ends", || self.child.try_wait().unwrap())
    }

    /// What it printed.
    pub(crate) fn output(&mut self) -> String {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Both fail when it is already gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of an HTTP answer.
pub(crate) fn fetch(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

/// The value of a metric's series, named as in the text.
pub(crate) fn series(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in\n{metrics}"))[name.len() + 1..].parse().unwrap()
}

/// A flow of gnb-1 that was closed.
pub(crate) fn flow() -> Verdict {
    let alert = alert(1, 0, 300);
    let volume = |packets| Volume { packets, bytes: packets * 100, tcp_flags: 0x1b };
    Verdict::Flow(Box::new(Flow {
        flow_id: alert.flow_id,
        tuple: alert.outer.unwrap(),
        initiator_known: true,
        source: alert.equipment,
        destination: None,
        to_server: volume(300),
        to_client: volume(200),
        first: alert.first,
        last: alert.last,
        at: alert.at,
        end: FlowEnd::Closed,
        allowed: false,
        name: alert.peer_name,
        tap: 0,
        link: Link::N3,
        policy: 1,
    }))
}

/// A file system of a few KiB, unmounted when it is dropped.
pub(crate) struct Tiny(pub(crate) PathBuf);

impl Tiny {
    /// None where this user may not mount.
    pub(crate) fn mount(path: PathBuf, kibibytes: u32) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let flags = nix::mount::MsFlags::empty();
        let options = format!("size={kibibytes}k");
        let options = Some(options.as_str());
        if nix::mount::mount(Some("tmpfs"), &path, Some("tmpfs"), flags, options).is_err() {
            eprintln!("skipped: mounting a small file system needs root");
            return None;
        }
        Some(Self(path))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
