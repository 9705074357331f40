//! The sensor's process over captures: what it says, that every frame is
//! accounted for, and that neither workers nor source nor speed change a word.

mod control;

use control::*;
use weir_engine::contract::greeting::message;
use weir_engine::contract::verdict::{Fact, Initiator};

fn replay(arguments: &[&str], lab: &(String, String)) -> (Control, i32) {
    let sensor = Sensor::start(arguments);
    let mut control = Control::attach(&sensor.socket());
    control.send_policy(&lab.0, &lab.1);
    control.follow_to_the_end();
    let counters = control.counters();
    assert_eq!(counters.unaccounted(), 0);
    control.release();
    let output = sensor.wait();
    let code = output.status.code().unwrap();
    if code != 0 {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    (control, code)
}

#[test]
fn the_reverse_shell_is_the_one_alert() {
    let Some(file) = shared_capture("5g-attacks/capture2_reverse_shell.pcap") else { return };
    let lab = attack_lab("192.168.14.161", "192.168.130.177", "192.168.14.191");
    let mut first = None;
    for arguments in [
        &[file.as_str()][..],
        &[file.as_str(), "--workers", "2"],
        &[file.as_str(), "--workers", "3", "--speed", "100x"],
        &[file.as_str(), "--source", "dpdk"],
    ] {
        let (control, code) = replay(arguments, &lab);
        assert_eq!(code, 0);
        assert_eq!(control.alerts(), [("EGR-NOTALLOWED", Some(1), "172.19.41.9".to_owned(), 43)]);
        let alert = control.last_words().next().unwrap();
        assert!(matches!(alert.fact, Fact::Acknowledged { round_trips } if round_trips > 30));
        assert_eq!(alert.initiator, Initiator::Unknown);
        assert_eq!(alert.outer.unwrap().source_port, 5555);
        let counters = control.counters();
        assert_eq!(counters.lanes.inspected_packets, 1197);
        assert_eq!(counters.workers.pfcp_messages.iter().sum::<u64>(), 1154);
        // net_pcap has microseconds only: its verdicts differ in time.
        if !arguments.contains(&"dpdk") {
            let said = first.get_or_insert_with(|| control.verdicts.clone());
            assert_eq!(*said, control.verdicts, "{arguments:?}");
        }
    }
}

#[test]
fn the_benign_sessions_give_no_alert() {
    let Some(file) = shared_capture("5g-attacks/benign_sessions.pcap") else { return };
    let lab = attack_lab("192.168.14.134", "192.168.130.179", "192.168.130.173");
    let (control, code) = replay(&[&file], &lab);
    assert_eq!(code, 0);
    assert_eq!(control.alerts(), []);
    assert_eq!(control.counters().lanes.inspected_packets, 15_228);
}

#[test]
fn without_an_inventory_everything_is_counted_and_nothing_judged() {
    let Some(file) = shared_capture("oai-5greplay/oai.pcap") else { return };
    let sensor = Sensor::start(&[&file]);
    let mut control = Control::attach(&sensor.socket());
    assert_eq!(control.send(message::NO_POLICY, &[]), None);
    control.follow_to_the_end();
    assert_eq!(control.alerts(), [("OPS-BLIND", None, String::new(), 0)]);
    assert_eq!(control.last_words().next().unwrap().fact, Fact::NoPolicy);
    let counters = control.counters();
    assert_eq!((counters.lanes.inspected_packets, counters.unaccounted()), (753, 0));
    assert_eq!(counters.workers.gtpu_messages[6], 198);
    assert_eq!(counters.workers.pfcp_messages.iter().sum::<u64>(), 80);
    control.release();
    assert!(sensor.wait().status.success());
}

#[test]
fn a_damaged_capture_is_read_to_the_damage_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let whole = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../pcaps/captures/small/capture.pcap");
    let bytes = std::fs::read(whole).unwrap();
    let cut = directory.path().join("cut.pcap");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let cut = cut.to_str().unwrap();
    let sensor = Sensor::start(&[cut]);
    let mut control = Control::attach(&sensor.socket());
    control.send(message::NO_POLICY, &[]);
    control.follow_to_the_end();
    assert!(control.counters().lanes.inspected_packets > 1000);
    control.release();
    let output = sensor.wait();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("damaged at byte") && said.contains(cut), "{said}");
}

/// A sensor over standard input, which gives these bytes and ends.
fn fed(state: &std::path::Path, arguments: &[&str], bytes: Vec<u8>) -> std::process::Child {
    let mut child = command(state, arguments).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::spawn(move || std::io::Write::write_all(&mut input, &bytes));
    child
}

#[test]
fn a_stream_gives_the_verdicts_of_the_file_with_any_number_of_workers() {
    let small = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../pcaps/captures/small/capture.pcap");
    let lab = attack_lab("10.0.2.1", "10.0.1.1", "10.0.0.1");
    let (plain, code) = replay(&[small.to_str().unwrap()], &lab);
    assert_eq!(code, 0);
    assert!(!plain.alerts().is_empty());
    for workers in ["1", "3"] {
        let state = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(&small).unwrap();
        let mut child = fed(state.path(), &["-", "--workers", workers], bytes);
        let mut control = Control::attach(&state.path().join("sensor.sock"));
        control.send_policy(&lab.0, &lab.1);
        control.follow_to_the_end();
        assert_eq!(control.verdicts, plain.verdicts, "{workers} workers");
        let (seen, expected) = (control.counters(), plain.counters());
        assert_eq!(seen.unaccounted(), 0);
        assert_eq!(seen.lanes.inspected_packets, expected.lanes.inspected_packets);
        assert_eq!(seen.lanes.received_bytes, expected.lanes.received_bytes);
        control.release();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_stop_ends_the_wait_for_an_input_that_says_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut child =
        command(state.path(), &["-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let silent = child.stdin.take().unwrap();
    let mut control = Control::attach(&state.path().join("sensor.sock"));
    control.send(message::NO_POLICY, &[]);
    // A stop before the replay has begun ends it without a word.
    control.await_the_judge();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    control.follow_to_the_end();
    control.release();
    assert!(child.wait().unwrap().success());
    drop(silent);
}

#[test]
fn what_can_not_be_is_refused_before_anything_starts() {
    let state = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        let output = command(state.path(), arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    };
    refused(&[], &["error: nothing to watch", "--config"]);
    refused(&["/nowhere/a.pcap"], &["error: can't read the capture", "/nowhere/a.pcap"]);
    refused(&["--tap", "n5=a.pcap"], &["n5"]);
    refused(&["-", "--tap", "n3=-"], &["standard input", "name - once"]);
    let other = state.path().join("other");
    let dpdk = |bytes: &[u8]| {
        std::fs::write(&other, bytes).unwrap();
        ["--source", "dpdk", other.to_str().unwrap()]
    };
    let remedy = "use --source file";
    refused(&dpdk(&[0x1f, 0x8b, 8, 0]), &["error: DPDK reads plain files only", remedy]);
    let mut sll = std::fs::read(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../pcaps/captures/small/capture.pcap"),
    )
    .unwrap();
    sll[20] = 113;
    refused(&dpdk(&sll), &["error: link type Sll is no Ethernet", remedy]);
    refused(&dpdk(b"some text"), &["error: not a capture: it seems to be text"]);
    refused(&["--speed", "fast", "a.pcap"], &["max, recorded"]);
    let config = state.path().join("weir.toml");
    let tap = "[site]\nname = \"lab\"\n[[tap]]\nname = \"t\"\nlink = \"n3\"\ndirection = \"both\"\n\
        complete = true\nsource = \"SOURCE\"\n[sensor]\nworkers = [0]\n\
        [control]\nlisten = \"127.0.0.1:9810\"\nstate_dir = \"state\"\n";
    let config_of = |source: &str| {
        std::fs::write(&config, tap.replace("SOURCE", source)).unwrap();
        config.to_str().unwrap().to_owned()
    };
    let no_port = config_of("pci:0000:ff:1f.0");
    refused(&["--config", &no_port], &["error: ", "0000:ff:1f.0"]);
    let no_interface = config_of("vdev:net_af_packet0,iface=nowhere0");
    refused(&["--config", &no_interface], &["error: ", "nowhere0"]);
}

#[test]
fn a_socket_in_use_is_refused() {
    let Some(file) = shared_capture("oai-5greplay/oai.pcap") else { return };
    let sensor = Sensor::start(&[&file]);
    let control = Control::attach(&sensor.socket());
    let output = command(sensor.directory.path(), &[&file]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("in use"));
    drop(control);
    let mut sensor = sensor;
    sensor.child.kill().unwrap();
    sensor.child.wait().unwrap();
}

#[test]
fn after_kill_9_the_next_sensor_has_the_last_good_policy_before_any_control_speaks() {
    let state = tempfile::tempdir().unwrap();
    let small = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../pcaps/captures/small/capture.pcap");
    let file = small.to_str().unwrap();
    let socket = state.path().join("sensor.sock");
    let lab = attack_lab("10.0.2.1", "10.0.1.1", "10.0.0.1");
    let mut first = command(state.path(), &[file]).spawn().unwrap();
    let mut control = Control::attach(&socket);
    assert_eq!(control.greeting.policy, None);
    control.send_policy(&lab.0, &lab.1);
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = command(state.path(), &[file]).spawn().unwrap();
    let next = Control::attach(&socket);
    assert_ne!(next.attachment.boot_id(), control.attachment.boot_id());
    assert!(next.greeting.policy.is_some());
    second.kill().unwrap();
    second.wait().unwrap();
}
