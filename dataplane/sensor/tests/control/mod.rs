//! Control's side of the socket, as small as a test needs it: it hands a policy
//! over and reads every verdict and every counter.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use weir_engine::contract::SCHEMA;
use weir_engine::contract::greeting::{Greeting, PolicyReply, message};
use weir_engine::contract::verdict::{Alert, Verdict};
use weir_engine::contract::words::{BLOCK, JudgeWords, LaneWords, PortWords, Words, WorkerWords};
use weir_engine::detect::CATALOGUE;
use weir_policy::{PolicyMessage, inventory_from_str, policy_from_str};
use weir_shm::Attachment;
use weir_shm::channel::{ChannelError, Connection};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running sensor with its own directory.
pub struct Sensor {
    pub child: Child,
    pub directory: tempfile::TempDir,
}

impl Sensor {
    pub fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = command(directory.path(), arguments).spawn().unwrap();
        Self { child, directory }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("sensor.sock")
    }

    pub fn wait(mut self) -> Output {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "the sensor does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.wait_with_output().unwrap()
    }
}

pub fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-sensor"));
    command.args(arguments).arg("--state-dir").arg(state);
    command.stderr(Stdio::piped());
    command
}

/// An attached control.
pub struct Control {
    pub greeting: Greeting,
    pub attachment: Attachment,
    connection: Connection,
    pub verdicts: Vec<Verdict>,
    pub read: u64,
}

impl Control {
    pub fn attach(socket: &Path) -> Self {
        let began = Instant::now();
        let mut connection = loop {
            match Connection::connect(socket) {
                Ok(connection) => break connection,
                Err(_) if began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        };
        let frame = connection.receive(1 << 20).unwrap();
        assert_eq!(frame.kind, message::GREETING);
        let greeting = Greeting::decode(&frame.payload).unwrap();
        let attachment = Attachment::open(&frame.fds[0], &frame.fds[1], SCHEMA).unwrap();
        connection.set_timeout(Duration::from_millis(20));
        Self { greeting, attachment, connection, verdicts: Vec::new(), read: 0 }
    }

    pub fn send_policy(&mut self, inventory: &str, policy: &str) -> PolicyReply {
        let inventory = inventory_from_str("inventory.toml", inventory).unwrap().value;
        let policy = policy_from_str("policy.toml", policy, &inventory).unwrap().value;
        let message = PolicyMessage::compile(&inventory, &policy, 1).encode().unwrap();
        self.send(message::POLICY, &message).unwrap()
    }

    pub fn send(&mut self, kind: u8, payload: &[u8]) -> Option<PolicyReply> {
        self.connection.send(kind, payload, &[]).unwrap();
        if kind == message::NO_POLICY {
            return None;
        }
        let began = Instant::now();
        loop {
            match self.connection.receive(1 << 16) {
                Ok(frame) => return PolicyReply::decode(&frame.payload),
                Err(ChannelError::Idle) if began.elapsed() < PATIENCE => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads and releases what is in the ring; tells whether the end came.
    pub fn follow(&mut self) -> bool {
        let mut records = self.attachment.records(self.attachment.position(self.read));
        let mut ended = false;
        for record in &mut records {
            let verdict = Verdict::decode(record.unwrap().payload()).unwrap();
            ended |= matches!(verdict, Verdict::End(_));
            self.verdicts.push(verdict);
        }
        let position = records.position();
        self.read = position.sequence;
        ended
    }

    pub fn release(&mut self) {
        let position = self.attachment.position(self.read);
        self.attachment.release(position).unwrap();
    }

    /// Waits until the judge sits: its heart beats, where the one at the start was the segment's.
    pub fn await_the_judge(&self) {
        let (first, began) = (self.attachment.heartbeat(), Instant::now());
        while self.attachment.heartbeat() == first {
            assert!(began.elapsed() < PATIENCE, "no judge");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn follow_to_the_end(&mut self) {
        let began = Instant::now();
        while !self.follow() {
            self.release();
            assert!(began.elapsed() < PATIENCE, "no end of the input");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn block(&self, block: usize) -> Vec<u64> {
        let mut words = vec![0; BLOCK];
        while self.attachment.snapshot(block, &mut words).is_err() {}
        words
    }

    /// The words of a block.
    pub fn words<W: Words>(&self, block: usize) -> W {
        W::load(&self.block(block))
    }

    /// All lanes, workers and ports summed, and the judge.
    pub fn counters(&self) -> Counters {
        let g = &self.greeting;
        let mut sum = Counters {
            lanes: LaneWords::default(),
            workers: WorkerWords::default(),
            lost: 0,
            judge: JudgeWords::load(&self.block(g.judge_block())),
        };
        for lane in 0..g.lanes.len() {
            let words = LaneWords::load(&self.block(g.lane_block(lane)));
            sum.lanes.received_packets += words.received_packets;
            sum.lanes.received_bytes += words.received_bytes;
            sum.lanes.inspected_packets += words.inspected_packets;
            for (total, more) in sum.lanes.not_inspected.iter_mut().zip(words.not_inspected) {
                *total += more;
            }
        }
        for worker in 0..usize::from(g.workers) {
            let words = WorkerWords::load(&self.block(g.worker_block(worker)));
            add(&mut sum.workers.decode_errors, &words.decode_errors);
            add(&mut sum.workers.gtpu_messages, &words.gtpu_messages);
            add(&mut sum.workers.pfcp_messages, &words.pfcp_messages);
        }
        for port in 0..g.ports.len() {
            let words = PortWords::load(&self.block(g.port_block(port)));
            sum.lost += words.not_inspected.iter().sum::<u64>();
        }
        sum
    }

    /// (detection, equipment number, peer, packets) of every alert's last word.
    pub fn alerts(&self) -> Vec<(&'static str, Option<u32>, String, u64)> {
        self.last_words()
            .map(|alert| {
                (
                    CATALOGUE[usize::from(alert.detection)].id,
                    alert.equipment.map(|id| id.0),
                    alert.peer.map(|peer| peer.to_string()).unwrap_or_default(),
                    alert.packets,
                )
            })
            .collect()
    }

    pub fn last_words(&self) -> impl Iterator<Item = &Alert> {
        self.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Alert(alert) if alert.last_word => Some(&**alert),
            _ => None,
        })
    }
}

fn add(totals: &mut [u64], more: &[u64]) {
    for (total, more) in totals.iter_mut().zip(more) {
        *total += more;
    }
}

/// What all blocks of the sensor say.
#[derive(Debug, Eq, PartialEq)]
pub struct Counters {
    pub lanes: LaneWords,
    pub workers: WorkerWords,
    pub lost: u64,
    pub judge: JudgeWords,
}

impl Counters {
    pub fn unaccounted(&self) -> u64 {
        let lanes = &self.lanes;
        lanes.received_packets - lanes.inspected_packets - lanes.not_inspected.iter().sum::<u64>()
    }
}

/// The SMF, UPF and gNB of a capture of `5g-attacks`, with N4 and N3 allowed.
pub fn attack_lab(smf: &str, upf: &str, gnb: &str) -> (String, String) {
    let entry = |id: &str, role: &str, address: &str| {
        format!(
            "[[equipment]]\nid = \"{id}\"\nvendor = \"V\"\nmodel = \"M\"\nbuild = \"1\"\n\
             roles = [\"{role}\"]\naddresses = [\"{address}\"]\n"
        )
    };
    let inventory =
        entry("smf-1", "smf", smf) + &entry("upf-1", "upf", upf) + &entry("gnb-1", "gnb", gnb);
    let policy = "ue_pools = [\"10.45.0.0/16\"]\ninfrastructure = [\"192.168.0.0/16\"]\n\
        [[allow]]\nfrom = { role = \"smf\" }\nto = { role = \"upf\" }\nservices = [\"pfcp\"]\n\
        [[allow]]\nfrom = { role = \"gnb\" }\nto = { role = \"upf\" }\nservices = [\"gtpu\"]\n";
    (inventory, policy.to_owned())
}

/// Captures that nobody here wrote; a user's machine does not have them.
pub fn shared_capture(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/pcaps").join(name);
    if !path.exists() {
        eprintln!("skipped: no captures");
        return None;
    }
    Some(path.canonicalize().unwrap().to_str().unwrap().to_owned())
}
