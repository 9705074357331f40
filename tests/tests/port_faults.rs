//! What happens to a live port: more than its queue holds, its link gone for a while, the port itself
//! gone. Sensor and control as processes, an AF_XDP or AF_PACKET device on a veth pair in a network
//! namespace of the test's own.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use weir_pcaps::imix;
use weir_tests::*;

/// Frames that come while the sensor stands still: far more than a driver's ring holds.
const FLOOD: usize = 20_000;
const AFTER: usize = 500;
/// How long the load without a port is measured, and the most of a core that it may be.
const WINDOW: Duration = Duration::from_millis(1_500);
const IDLE: f64 = 0.5;

/// A veth pair in a namespace of its own, which goes with it.
struct Namespace(String);

impl Namespace {
    fn with_veth() -> Option<Self> {
        let name = format!("weir-faults-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        match made {
            Err(why) => return skip(&format!("iproute2 is not installed ({why})")),
            Ok(made) if !made.status.success() => {
                return skip(&format!("no network namespace ({})", said(&made).trim()));
            }
            Ok(_) => {}
        }
        let space = Self(name);
        for setting in ["all", "default"] {
            let file = format!("/proc/sys/net/ipv6/conf/{setting}/disable_ipv6");
            space.run("sh", &["-c", &format!("echo 1 >{file}")]);
        }
        space.run("ip", &["link", "add", "tap0", "type", "veth", "peer", "name", "wire0"]);
        space.run("ip", &["link", "set", "tap0", "up"]);
        space.run("ip", &["link", "set", "wire0", "up"]);
        Some(space)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).args(arguments);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program, arguments).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
    }

    fn send(&self, capture: &Path) {
        self.run(text(&program("weir-sender")), &["--to", "wire0", text(capture)]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn skip<T>(why: &str) -> Option<T> {
    eprintln!("skipped: {why}");
    None
}

fn write_capture(path: &Path, count: usize) {
    let mut bytes = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for frame in imix::frames(1_000, count, 1) {
        let len = frame.len() as u32;
        bytes.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).unwrap();
}

/// The sum of a metric's series that have this label, all for none.
fn sum(body: &str, name: &str, label: &str) -> usize {
    let series = body.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    series
        .filter(|line| line.contains(label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as usize
}

fn received(body: &str) -> usize {
    sum(body, "weir_received_packets_total", "")
}

fn lost(body: &str, reason: &str) -> usize {
    sum(body, "weir_not_inspected_packets_total", &format!("reason=\"{reason}\""))
}

/// Time that the process spent on cores.
fn spent(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind = stat.rsplit(") ").next().unwrap();
    let field = |number: usize| behind.split(' ').nth(number).unwrap().parse::<u64>().unwrap();
    // Fields 14 and 15, in clock ticks, of which Linux tells 100 a second.
    Duration::from_millis((field(11) + field(12)) * 10)
}

#[test]
fn what_a_port_loses_is_told_and_a_port_that_goes_takes_nobody_with_it() {
    for device in ["net_af_xdp0,iface=tap0,force_copy=1", "net_af_packet0,iface=tap0"] {
        lose(device);
    }
}

fn lose(device: &str) {
    let Some(space) = Namespace::with_veth() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let address = free_address();
    let config = format!(
        "[site]\nname = \"lab\"\n[[tap]]\nname = \"n3\"\nlink = \"n3\"\n\
         source = \"vdev:{device}\"\n[sensor]\nworkers = [0]\n\
         tunnels = 65536\n[control]\nlisten = \"{address}\"\nstate_dir = \"state\"\n"
    );
    std::fs::write(file("weir.toml"), config).unwrap();
    write_capture(&file("flood.pcap"), FLOOD);
    write_capture(&file("after.pcap"), AFTER);
    let arguments = ["--config", text(&file("weir.toml"))].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = |mut command: Command, name: &str| {
        let errors = File::create(file(name)).unwrap();
        Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors))
    };
    let mut control = Command::new(program("weir-control"));
    control.args(&arguments);
    let _control = start(control, "control");
    let mut sensor = start(space.command(text(&program("weir-sensor")), &arguments), "sensor");
    let told = || std::fs::read_to_string(file("sensor")).unwrap_or_default();
    let metrics = || get(&address, "/metrics").map(|(_, body)| body);
    let is_there = await_that("the sensor is there", || {
        if sensor.0.try_wait().unwrap().is_some() {
            return Some(false);
        }
        (metric(&metrics()?, "weir_sensor_up") == Some(1.0)).then_some(true)
    });
    if !is_there {
        let why = told();
        let is_absent = ["librte-net-", "has no DPDK", "refused"].iter().any(|it| why.contains(it));
        assert!(is_absent, "{why}");
        return eprintln!("skipped: {why}");
    }

    // A queue that nobody empties overflows, and the port says so to the packet.
    sensor.signal(Signal::SIGSTOP);
    space.send(&file("flood.pcap"));
    sensor.signal(Signal::SIGCONT);
    let body = await_that("every frame of the flood is accounted for", || {
        metrics().filter(|body| received(body) == FLOOD)
    });
    let missed = lost(&body, "missed");
    eprintln!(
        "{device}: of {FLOOD} frames {missed} missed, {} no_buffer, {} rx_error",
        lost(&body, "no_buffer"),
        lost(&body, "rx_error")
    );
    assert!(missed > FLOOD / 2, "{body}");
    let inspected = sum(&body, "weir_inspected_packets_total", "");
    assert_eq!(inspected + sum(&body, "weir_not_inspected_packets_total", ""), FLOOD);

    space.run("ip", &["link", "set", "wire0", "down"]);
    await_that("the link is said to be down", || told().contains("has no link").then_some(()));
    space.run("ip", &["link", "set", "wire0", "up"]);
    await_that("it is said to be up", || told().contains("has its link again").then_some(()));
    space.send(&file("after.pcap"));
    await_that("frames come again", || metrics().filter(|body| received(body) == FLOOD + AFTER));

    space.run("ip", &["link", "del", "wire0"]);
    await_that("the port is said to be gone", || told().contains("is gone").then_some(()));
    let (began, before) = (Instant::now(), spent(sensor.0.id()));
    std::thread::sleep(WINDOW);
    let load = (spent(sensor.0.id()) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(load < IDLE, "a sensor without a port takes {load:.2} of a core");
    let body = metrics().unwrap();
    assert_eq!(metric(&body, "weir_sensor_up"), Some(1.0));
    assert_eq!((received(&body), lost(&body, "missed")), (FLOOD + AFTER, missed));

    sensor.signal(Signal::SIGTERM);
    assert_eq!(sensor.end(), Some(0), "{}", told());
    let told = told();
    assert!(!told.contains("panicked"), "{told}");
    for line in ["has no link", "has its link again", "is gone"] {
        assert_eq!(told.matches(line).count(), 1, "{told}");
    }
}
