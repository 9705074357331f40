//! The program `weir` as people call it: what it refuses, and how it watches over the two
//! processes, which shell scripts play here.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A directory with a copy of `weir`, since it looks for its processes beside itself, two scripts
/// in their place, and a capture.
struct Installation(TempDir);

impl Installation {
    fn new(sensor: &str, control: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let weir = directory.path().join("weir");
        if fs::hard_link(env!("CARGO_BIN_EXE_weir"), &weir).is_err() {
            fs::copy(env!("CARGO_BIN_EXE_weir"), &weir).unwrap();
        }
        for (name, script) in [("weir-sensor", sensor), ("weir-control", control)] {
            let path = directory.path().join(name);
            // `option NAME` is the value that follows the option on the script's command line.
            let option = "option() { want=$1; shift; while [ $# -gt 0 ]; do \
                          if [ \"$1\" = \"$want\" ]; then echo \"$2\"; return; fi; shift; done; }";
            let text =
                format!("#!/bin/sh\ncd '{}'\n{option}\n{script}\n", directory.path().display());
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(directory.path().join("a.pcap"), b"not read by scripts").unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("weir"));
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// A control that writes its summary and ends.
const CONTROL: &str =
    r#"echo '{"frames":10,"inspected":10,"alerts":{"GTP-PEER":2}}' > "$(option --summary "$@")""#;

fn weir(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output, message: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    assert!(stderr(output).contains(message), "{}", stderr(output));
    assert!(output.stdout.is_empty());
}

#[test]
fn what_cannot_be_replayed_is_refused_before_anything_starts() {
    let both = weir(&["replay", "--events", "-", "--summary", "-", "a.pcap"]);
    refused(&both, "give one of them a file");
    let place = Installation::new("", "");
    for files in [["--events", "--restricted-events"], ["--restricted-events", "--summary"]] {
        let one = place.run(&["replay", files[0], "same", files[1], "same", "a.pcap"]);
        refused(&one, &format!("go to one file; {} {}; give", files[0], files[1]));
    }
    let hidden = weir(&["replay", "--restricted-events", "-", "a.pcap"]);
    refused(&hidden, "can't go to standard output; --restricted-events -; give them a file");
    refused(&weir(&["replay"]), "nothing to replay");
    refused(&weir(&["replay", "/no/such.pcap"]), "/no/such.pcap; give the path of a readable");
    refused(&weir(&["replay", "/"]), "not a regular file; /;");
    refused(&weir(&["replay", "-", "--tap", "n3=-"]), "name - once");
    refused(&weir(&["replay", "--tap", "n33=a.pcap"]), "unknown link `n33`; did you mean `n3`?");
    refused(&weir(&["replay", "--tap", "a.pcap"]), "write LINK=FILE");
    for speed in ["fast", "0x", "-3x", "infx"] {
        let speed = format!("--speed={speed}");
        refused(&weir(&["replay", &speed, "a.pcap"]), "a multiple such as 60x");
    }
    refused(&weir(&["replay", "--workers", "0", "a.pcap"]), "1..=64");
}

#[test]
fn a_mistaken_policy_stops_a_replay_with_its_place() {
    let place = Installation::new("touch started", "touch started");
    fs::write(place.path("p.toml"), "\nue_pool = []\n").unwrap();
    let output = place.run(&["replay", "--policy", "p.toml", "a.pcap"]);
    refused(&output, "p.toml:2:1; did you mean `ue_pools`?");
    assert!(!place.path("started").exists());
}

#[test]
fn control_is_told_where_restricted_events_go_and_finds_that_file_empty() {
    let control = format!("option --restricted-events \"$@\" > told\n{CONTROL}");
    let place = Installation::new("", &control);
    fs::write(place.path("li.json"), "of an earlier replay").unwrap();
    let output = place.run(&["replay", "--restricted-events", "li.json", "a.pcap"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(place.path("told")).unwrap(), "li.json\n");
    assert_eq!(fs::read_to_string(place.path("li.json")).unwrap(), "");
    assert_eq!(place.run(&["replay", "a.pcap"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(place.path("told")).unwrap(), "", "not asked for");
}

#[test]
fn check_tells_every_mistake_and_exits_2() {
    let place = Installation::new("", "");
    fs::write(place.path("i.toml"), "[[equipment]]\nid = \"a\"\nrole = 1\n").unwrap();
    let output = place.run(&["check", "--inventory", "i.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("i.toml:3:1"), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("1 file checked: 0 equipment, 0 rules, "));
    let output = place.run(&["check", "--json", "--inventory", "i.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["diagnostics"].as_array().unwrap().iter().any(|found| found["line"] == 3));
    fs::write(place.path("w.toml"), "[site]\nname = \"lab\"\n").unwrap();
    let output = place.run(&["check", "--config", "w.toml"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    refused(&weir(&["check"]), "nothing to check");
    refused_with_line(&place.run(&["check", "--config", "none.toml"]));
}

fn refused_with_line(output: &Output) {
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(output).contains("none.toml"), "{}", stderr(output));
}

#[test]
fn decode_ends_quietly_when_nobody_reads_on() {
    let place = Installation::new("", "");
    let mut file = fs::File::create(place.path("long.pcap")).unwrap();
    let header = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    let record = [1u32, 2, 14, 14].map(u32::to_le_bytes).concat();
    file.write_all(&header).unwrap();
    for _ in 0..20_000 {
        file.write_all(&record).unwrap();
        file.write_all(&[0; 14]).unwrap();
    }
    drop(file);
    let mut child = place
        .command(&["decode", "long.pcap"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    refused(&place.run(&["decode", "none.pcap"]), "none.pcap; give the path");
    let output = place.run(&["decode", "a.pcap"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not a capture: it seems to be text"), "{}", stderr(&output));
}

#[test]
fn a_replay_hands_its_options_on_and_shows_the_summary() {
    let sensor =
        r#"echo "$@" > sensor.words; stat -c %a "$(dirname "$(option --socket "$@")")" > mode"#;
    let control = format!("echo \"$@\" > control.words; {CONTROL}");
    let place = Installation::new(sensor, &control);
    let output = place.run(&["replay", "--tap", "n3=a.pcap", "--workers", "2", "a.pcap"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("alerts   GTP-PEER 2"), "{}", stdout(&output));
    let words = fs::read_to_string(place.path("sensor.words")).unwrap();
    assert!(words.starts_with("--tap n3=a.pcap --speed max --source file --workers 2 --socket "));
    assert!(words.ends_with(" -- a.pcap\n"), "{words}");
    let words = fs::read_to_string(place.path("control.words")).unwrap();
    assert!(words.contains(" --listen none ") && words.contains(" --until-end --print-alerts"));
    assert_eq!(fs::read_to_string(place.path("mode")).unwrap(), "700\n");
    let socket = words.split(' ').nth(1).unwrap();
    assert!(!Path::new(socket).parent().unwrap().exists(), "{socket}");
}

#[test]
fn a_killed_control_is_started_again_and_the_sensor_goes_on() {
    let control = format!("if mkdir again 2>/dev/null; then kill -9 $$; fi; {CONTROL}; touch done");
    let sensor = "until [ -e done ]; do sleep 0.01; done; touch read";
    let place = Installation::new(sensor, &control);
    let output = place.run(&["replay", "a.pcap"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("ended by SIGKILL; it is started again (1 of 3)"));
    assert!(place.path("read").exists());
}

#[test]
fn a_control_that_always_dies_is_given_up() {
    let place = Installation::new("exec sleep 60", "kill -9 $$");
    let output = place.run(&["replay", "a.pcap"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).matches("started again").count(), 3);
    assert!(stderr(&output).contains("error: weir-control ended by SIGKILL;"));
}

#[test]
fn the_sensors_failure_is_the_replays() {
    let waiting = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let killed = Installation::new("kill -9 $$", waiting);
    let output = killed.run(&["replay", "a.pcap"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("error: weir-sensor ended by SIGKILL;"));
    // A damaged capture: what was read before the damage is summed up all the same.
    let damaged = Installation::new("echo 'error: damaged' >&2; exit 1", CONTROL);
    let output = damaged.run(&["replay", "a.pcap"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("frames   10 "), "{}", stdout(&output));
    let usage = Installation::new("exit 2", waiting);
    assert_eq!(usage.run(&["replay", "a.pcap"]).status.code(), Some(2));
}

#[test]
fn a_stop_reaches_both_the_sensor_first() {
    let sensor = "trap 'echo sensor >> order; exit 0' TERM; touch up; while :; do sleep 0.01; done";
    let control =
        "trap 'echo control >> order; exit 0' TERM; touch up2; while :; do sleep 0.01; done";
    let place = Installation::new(sensor, control);
    let child = place.command(&["replay", "a.pcap"]).stderr(Stdio::piped()).spawn().unwrap();
    while !(place.path("up").exists() && place.path("up2").exists()) {
        std::thread::yield_now();
    }
    let id = nix::unistd::Pid::from_raw(child.id() as i32);
    let asked = Instant::now();
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    // No deadline had to pass: the first is 10 s.
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(stderr(&output).contains("error: stopped before the end"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(place.path("order")).unwrap(), "sensor\ncontrol\n");
}

#[test]
fn sensor_and_control_are_become_with_all_their_words() {
    let place = Installation::new("echo $$ \"$@\"; exit 7", "");
    let child = place
        .command(&["sensor", "--help", "--socket", "a b", "--", "-x"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(stdout(&output), format!("{id} --help --socket a b -- -x\n"));
    fs::remove_file(place.path("weir-control")).unwrap();
    let output = place.command(&["control"]).env("PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("error: weir-control is not installed; neither in "));
}

#[test]
fn generate_says_what_it_wrote_and_refuses_with_the_place() {
    let place = Installation::new("", "");
    fs::write(place.path("s.toml"), "name = \"x\"\nsed = 1\n").unwrap();
    refused(&place.run(&["generate", "s.toml", "--out", "o"]), "s.toml:2:1;");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/scenarios/small.toml");
    let output = place.run(&["generate", scenario, "--out", "o"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for line in stdout(&output).lines().filter(|line| line.starts_with("o/")) {
        assert!(place.path(line).is_file(), "{line}");
    }
    assert!(stdout(&output).contains("o/labels.json\no/inventory.toml\no/policy.toml\n"));
    let check =
        place.run(&["check", "--inventory", "o/inventory.toml", "--policy", "o/policy.toml"]);
    assert!(check.status.success(), "{}", stderr(&check));
}
