//! One generated capture through every source: the engine's own reader,
//! net_pcap, and AF_PACKET and AF_XDP on a veth pair in a network namespace of
//! the test's own. All say the same, with one worker and with two.

mod control;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use control::*;
use weir_engine::contract::spreading::{N4Way, Spreading};
use weir_engine::contract::words::{LaneWords, PortWords, WorkerWords};

const PATIENCE: Duration = Duration::from_secs(60);

/// A ring for the whole capture: that somebody else has the core for a while loses nothing.
const RING: &str = "framecnt=4096";

/// Held by whoever watches: workers that poll want a core, and all tests here have the same two.
static CORES: Mutex<()> = Mutex::new(());

fn small(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/captures/small");
    path.join(file).canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// What must not depend on the source.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    alerts: BTreeSet<(&'static str, Option<u32>, String)>,
    received: (u64, u64),
    inspected: u64,
    lost: u64,
    flows_seen: u64,
    errors: Vec<u64>,
    gtpu: Vec<u64>,
    pfcp: Vec<u64>,
}

fn outcome(control: &Control) -> Outcome {
    let Counters { lanes, workers, lost, judge } = control.counters();
    let WorkerWords { decode_errors, gtpu_messages, pfcp_messages, .. } = workers;
    Outcome {
        alerts: control.alerts().into_iter().map(|(id, of, peer, _)| (id, of, peer)).collect(),
        received: (lanes.received_packets, lanes.received_bytes),
        inspected: lanes.inspected_packets,
        lost,
        flows_seen: judge.flows_seen,
        errors: decode_errors.to_vec(),
        gtpu: gtpu_messages.to_vec(),
        pfcp: pfcp_messages.to_vec(),
    }
}

fn lab() -> (String, String) {
    let text = |file| std::fs::read_to_string(small(file)).unwrap();
    (text("inventory.toml"), text("policy.toml"))
}

fn replayed(arguments: &[&str]) -> Outcome {
    let capture = small("capture.pcap");
    let mut all = vec![capture.as_str()];
    all.extend(arguments);
    let sensor = Sensor::start(&all);
    let mut control = Control::attach(&sensor.socket());
    let lab = lab();
    control.send_policy(&lab.0, &lab.1);
    control.follow_to_the_end();
    assert_eq!(control.counters().unaccounted(), 0);
    control.release();
    assert!(sensor.wait().status.success());
    outcome(&control)
}

#[test]
fn the_thefts_of_the_labels_are_found_by_file_and_net_pcap_with_any_workers() {
    let reference = replayed(&[]);
    let labels = std::fs::read_to_string(small("labels.json")).unwrap();
    let expected = labels.matches("\"detection\"").count();
    assert_eq!(reference.alerts.len(), expected, "{:?}", reference.alerts);
    for (detection, _, peer) in &reference.alerts {
        assert!(labels.contains(detection) && labels.contains(peer), "{detection} {peer}");
    }
    for arguments in [
        &["--workers", "2"][..],
        &["--workers", "3"],
        &["--source", "dpdk"],
        &["--source", "dpdk", "--workers", "2"],
    ] {
        assert_eq!(replayed(arguments), reference, "{arguments:?}");
    }
}

#[test]
fn receive_threads_between_device_and_workers_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("weir.toml");
    std::fs::write(&config, "[sensor]\nreceive_cores = [0]\n").unwrap();
    let reference = replayed(&[]);
    for workers in ["1", "2", "3"] {
        let arguments =
            ["--source", "dpdk", "--config", config.to_str().unwrap(), "--workers", workers];
        assert_eq!(replayed(&arguments), reference, "{workers} workers");
    }
}

/// A veth pair in a namespace of its own, which goes with it.
struct Namespace(String);

impl Namespace {
    fn with_veth(name: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: not root, so no network namespace");
            return None;
        }
        for tool in ["ip", "ethtool", "tcpreplay"] {
            if Command::new(tool).arg("--version").output().is_err() {
                eprintln!("skipped: {tool} is not installed");
                return None;
            }
        }
        let name = format!("weir-{name}-{}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let space = Self(name);
        for setting in ["all", "default"] {
            let key = format!("net.ipv6.conf.{setting}.disable_ipv6=1");
            space.run("sysctl", &["-qw", &key]);
        }
        space.run("ip", &["link", "add", "tap0", "type", "veth", "peer", "name", "wire0"]);
        for end in ["tap0", "wire0"] {
            space.run("ip", &["link", "set", end, "up"]);
            space.run(
                "ethtool",
                &["-K", end, "gro", "off", "gso", "off", "tso", "off", "tx", "off", "rx", "off"],
            );
        }
        Some(space)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).args(arguments);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        check(&mut self.command(program, arguments));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    check(Command::new(program).args(arguments));
}

fn check(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn watched(space: &Namespace, device: &str, workers: &str) -> Outcome {
    let _alone = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    let state = tempfile::tempdir().unwrap();
    let config = state.path().join("weir.toml");
    let text = format!(
        "[site]\nname = \"lab\"\n[[tap]]\nname = \"tap\"\nlink = \"mixed\"\ndirection = \"both\"\n\
         complete = true\nsource = \"vdev:{device},iface=tap0\"\n[sensor]\nworkers = {workers}\n\
         [control]\nlisten = \"127.0.0.1:9810\"\nstate_dir = \"state\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let sensor = space
        .command(
            env!("CARGO_BIN_EXE_weir-sensor"),
            &["--config", config.to_str().unwrap(), "--state-dir", state.path().to_str().unwrap()],
        )
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut control = Control::attach(&state.path().join("sensor.sock"));
    let lab = lab();
    control.send_policy(&lab.0, &lab.1);
    // Three times the recorded speed: the scenario's half minute in ten seconds.
    space.run("tcpreplay", &["-q", "--intf1=wire0", "--multiplier=3", &small("capture.pcap")]);
    let expected = replayed(&[]).inspected;
    let began = Instant::now();
    let has_all = |Counters { lanes, lost, .. }| lanes.inspected_packets + lost >= expected;
    while !has_all(control.counters()) && began.elapsed() < PATIENCE {
        control.follow();
        control.release();
        std::thread::sleep(Duration::from_millis(10));
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(sensor.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    control.follow_to_the_end();
    assert_eq!(control.counters().unaccounted(), 0);
    let greeting = &control.greeting;
    if greeting.receivers > 0 {
        for worker in 0..greeting.workers {
            let lanes = greeting.lanes.iter().enumerate().filter(|(_, of)| of.worker == worker);
            let inspected = lanes.map(|(lane, _)| {
                control.words::<LaneWords>(greeting.lane_block(lane)).inspected_packets
            });
            assert!(inspected.sum::<u64>() > 0, "worker {worker} got nothing");
        }
        let port: PortWords = control.words(greeting.port_block(0));
        assert_eq!(Spreading::of_word(port.spreading), Spreading::Reshard);
        assert_eq!(N4Way::of_word(port.n4_way), N4Way::Ring);
    }
    control.release();
    let output = sensor.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = format!("port {}: ", device.split(',').next().unwrap());
    assert!(said.lines().any(|said| said.starts_with(&line)), "{said}");
    outcome(&control)
}

#[test]
fn af_packet_says_what_the_file_says() {
    let Some(space) = Namespace::with_veth("packet") else { return };
    let reference = replayed(&[]);
    assert_eq!(watched(&space, &format!("net_af_packet0,{RING}"), "[0]"), reference);
}

#[test]
fn af_packet_with_two_queues_and_workers_says_what_the_file_says() {
    let Some(space) = Namespace::with_veth("fanout") else { return };
    let reference = replayed(&[]);
    // One worker polls both: the kernel fills both.
    let device = format!("net_af_packet0,qpairs=2,{RING}");
    for workers in ["[0, 1]", "[0]"] {
        assert_eq!(watched(&space, &device, workers), reference, "{workers}");
    }
}

/// Live, and every worker has its part; one of them has a core that few machines have, and is not
/// pinned then.
#[test]
fn af_packet_behind_receive_threads_says_what_the_file_says() {
    let Some(space) = Namespace::with_veth("relay") else { return };
    let reference = replayed(&[]);
    let device = format!("net_af_packet0,qpairs=2,{RING}");
    for sensor in ["[0, 1000]\nreceive_cores = [1, 1001]", "[0, 1000]\nreceive_cores = [1]"] {
        assert_eq!(watched(&space, &device, sensor), reference, "{sensor}");
    }
}

#[test]
fn af_xdp_says_what_the_file_says() {
    let Some(space) = Namespace::with_veth("xdp") else { return };
    let reference = replayed(&[]);
    for workers in ["[0]", "[0, 1]"] {
        assert_eq!(watched(&space, "net_af_xdp0,force_copy=1", workers), reference, "{workers}");
    }
}
