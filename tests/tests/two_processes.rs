//! Sensor and control as two processes: either may be killed, and the other
//! goes on, loses nothing that it had, and says what happened.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use weir_tests::*;

/// A site on the small capture: configuration and state in a directory.
struct Site {
    directory: tempfile::TempDir,
    address: String,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        small_site(directory.path(), &address, "");
        Self { directory, address }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("weir.toml")
    }

    fn start(&self, what: &str, more: &[&str]) -> Running {
        let config = self.config();
        let mut command = weir(&[what, "--config", text(&config)]);
        command.args(more).stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(&mut command)
    }

    fn metrics(&self) -> Option<String> {
        get(&self.address, "/metrics").map(|(_, body)| body)
    }

    fn events(&self) -> Vec<Value> {
        events(&self.directory.path().join("state/eve.json"))
    }
}

fn is_up(body: &str) -> Option<bool> {
    metric(body, "weir_sensor_up").map(|up| up == 1.0)
}

/// What a replay's events must be, however often control was killed: all but
/// what is said about the killing itself.
fn lasting(path: &Path) -> Vec<Value> {
    events(path).into_iter().filter(|event| event["event_type"] != "health").collect()
}

#[test]
fn a_killed_control_is_followed_by_one_that_continues_at_the_exact_record() {
    let directory = tempfile::tempdir().unwrap();
    let (calm, stormy) = (directory.path().join("calm"), directory.path().join("stormy"));
    let replay = |events: &Path| {
        let (inventory, policy) = (small("inventory.toml"), small("policy.toml"));
        let capture = small("capture.pcap");
        let mut command = weir(&[
            "replay",
            "--speed",
            "4x",
            "--inventory",
            text(&inventory),
            "--policy",
            text(&policy),
            "--events",
            text(events),
            text(&capture),
        ]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(&mut command)
    };
    let mut undisturbed = replay(&calm);
    let mut disturbed = replay(&stormy);
    let mut killed = 0;
    let mut last = 0;
    while disturbed.0.try_wait().unwrap().is_none() {
        if let Some(&control) = disturbed.children("weir-control").first()
            && killed < 3
            && control != last
            && events(&stormy).len() > killed
        {
            kill(Pid::from_raw(control), Signal::SIGKILL).unwrap();
            killed += 1;
            last = control;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((undisturbed.end(), disturbed.end()), (Some(0), Some(0)));
    assert!(killed >= 2, "killed {killed} times");
    assert!(lasting(&calm).len() > 20);
    let (calm, stormy) = (lasting(&calm), lasting(&stormy));
    let differs = calm.iter().zip(&stormy).find(|(one, other)| one != other);
    assert_eq!((differs, stormy.len()), (None, calm.len()));
}

#[test]
fn a_killed_sensor_is_said_within_two_seconds_and_the_next_has_the_last_good_policy() {
    let site = Site::new();
    let mut control = site.start("control", &[]);
    let mut sensor = site.start("sensor", &[]);
    let before = await_that("metrics of an attached sensor", || {
        site.metrics().filter(|body| is_up(body) == Some(true))
    });
    let (status, _) = get(&site.address, "/readyz").unwrap();
    assert_eq!(status, 200);
    let started = metric(&before, "weir_sensor_start_timestamp_seconds").unwrap();

    let killed = Instant::now();
    sensor.signal(Signal::SIGKILL);
    sensor.end();
    await_that("the loss is shown", || site.metrics().filter(|body| is_up(body) == Some(false)));
    await_that("the loss is said", || {
        site.events()
            .iter()
            .any(|event| event["event_type"] == "health" && event["weir"]["subject"] == "sensor")
            .then_some(())
    });
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    assert_eq!(get(&site.address, "/readyz").unwrap().0, 503);
    assert_eq!(get(&site.address, "/healthz").unwrap().0, 200);

    // Without control the next sensor still judges: by the last good policy.
    control.signal(Signal::SIGTERM);
    assert_eq!(control.end(), Some(0));
    let _next = site.start("sensor", &[]);
    let _control = site.start("control", &[]);
    await_that("the next sensor, with the policy that control sent before", || {
        site.metrics().filter(|body| {
            let of = |series| metric(body, series);
            of("weir_sensor_start_timestamp_seconds").is_some_and(|begun| begun > started)
                && of("weir_policy_info{version=\"1\"}") == Some(1.0)
        })
    });
}

/// The sum of a metric's series.
fn sum(body: &str, name: &str) -> f64 {
    body.lines()
        .filter(|line| line.starts_with(name) && !line.starts_with('#'))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn metrics_are_clean_and_show_the_alerts() {
    let site = Site::new();
    let mut control = site.start("control", &[]);
    let _sensor = site.start("sensor", &["--speed", "max"]);
    // Verdicts and counters take different ways.
    let body = await_that("the alerts and all frames are counted", || {
        site.metrics().filter(|body| {
            metric(body, "weir_alerts_total{detection=\"GTP-PEER\",severity=\"high\"}") == Some(1.0)
                && metric(body, "weir_alerts_total{detection=\"EGR-NOTALLOWED\",severity=\"high\"}")
                    == Some(3.0)
                && sum(body, "weir_received_packets_total") == 3420.0
        })
    });
    assert_eq!(
        sum(&body, "weir_received_packets_total"),
        sum(&body, "weir_inspected_packets_total") + sum(&body, "weir_not_inspected_packets_total")
    );
    for required in [
        "weir_received_bytes_total",
        "weir_decode_errors_total",
        "weir_gtpu_packets_total",
        "weir_pfcp_messages_total",
        "weir_pfcp_vendor_elements_total",
        "weir_fragments_total",
        "weir_reassembly_total",
        "weir_equipment_flows",
        "weir_table_evictions_total",
        "weir_worker_busy_ratio",
        "weir_burst_packets_bucket",
        "weir_detection_latency_seconds_bucket",
        "weir_events_lost_total",
        "weir_sensor_heartbeat_timestamp_seconds",
        "weir_build_info",
    ] {
        assert!(body.lines().any(|line| line.starts_with(required)), "{required} is absent");
    }
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        eprintln!("skipped: promtool is not installed");
        return;
    };
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    control.signal(Signal::SIGTERM);
    assert_eq!(control.end(), Some(0));
}

#[test]
fn a_port_in_use_and_a_foreign_address_are_refused() {
    let site = Site::new();
    let _control = site.start("control", &[]);
    await_that("control answers", || get(&site.address, "/healthz"));
    let config = site.config();
    let state = tempfile::tempdir().unwrap();
    let second = run(&["control", "--config", text(&config), "--state-dir", text(state.path())]);
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    assert!(said(&second).contains(&site.address));
    let open = run(&["control", "--config", text(&config), "--listen", "0.0.0.0:9810"]);
    assert_eq!(open.status.code(), Some(2), "{}", said(&open));
}
