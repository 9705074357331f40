//! `weir replay` as a load: captures from memory, again and again, and into a port.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use weir_capture::{Reader, Source};
use weir_tests::replay::{replay, replay_from};
use weir_tests::scenario::{Alert, Played, alerts};
use weir_tests::*;

/// What tells one alert from another.
fn keys(said: &[Alert]) -> BTreeSet<(String, String, String)> {
    let key = |alert: &Alert| {
        let peer = alert.peer.map(|peer| peer.to_string()).unwrap_or_default();
        (alert.detection.clone(), alert.equipment.clone(), peer)
    };
    said.iter().map(key).collect()
}

#[test]
fn three_passes_have_three_times_the_sessions_and_the_same_thefts() {
    let played = Played::new("demo");
    let once = played.replay(&[]);
    let files = ["inventory.toml", "policy.toml", "capture.pcap"].map(|name| played.file(name));
    let [inventory, policy, capture] = files.each_ref().map(|path| text(path));
    let rules = ["--inventory", inventory, "--policy", policy];
    let with = |more: &[&'static str]| {
        let mut arguments = rules.to_vec();
        arguments.extend(more);
        arguments.push(capture);
        let done = replay(&arguments);
        assert_eq!(done.code, Some(0), "{}", done.said);
        assert_eq!(done.summary["unaccounted"], 0);
        done
    };
    let thrice = with(&["--loop", "3"]);
    let of = |summary: &Value, key: &str| summary[key].as_u64().unwrap();
    for key in ["frames", "inspected", "gtpu_messages", "pfcp_messages"] {
        assert_eq!(of(&thrice.summary, key), 3 * of(&once.summary, key), "{key}");
    }
    for key in ["established", "deleted"] {
        let (all, one) = (&thrice.summary["sessions"], &once.summary["sessions"]);
        assert_eq!(of(all, key), 3 * of(one, key), "{key}");
    }
    assert_eq!(thrice.summary["alerts"], once.summary["alerts"]);
    assert_eq!(thrice.summary["errors"], once.summary["errors"]);
    let (first, all) = (alerts(&once), alerts(&thrice));
    assert_eq!(keys(&first), keys(&all));
    for alert in &first {
        let again = all.iter().find(|other| {
            (&other.detection, &other.equipment, other.peer)
                == (&alert.detection, &alert.equipment, alert.peer)
        });
        assert_eq!(again.unwrap().packets, 3 * alert.packets, "{alert:?}");
    }
    // Neither workers nor memory change a byte.
    for more in [&["--workers", "2", "--loop", "3"][..], &["--loop", "3", "--preload"]] {
        assert!(with(more).events == thrice.events, "{more:?}");
    }
    assert!(with(&["--loop", "1"]).events == once.events);
}

#[test]
fn what_is_loaded_first_gives_the_same_events_whatever_it_is_packed_in() {
    let directory = tempfile::tempdir().unwrap();
    let (inventory, policy) = (small("inventory.toml"), small("policy.toml"));
    let capture = small("capture.pcap");
    let with = |more: &[&str], input: Stdio| {
        let rules = ["--inventory", text(&inventory), "--policy", text(&policy)];
        replay_from(&[&rules[..], more].concat(), input)
    };
    let plain = with(&[text(&capture)], Stdio::null());
    let twice = with(&["--loop", "2", text(&capture)], Stdio::null());
    assert_eq!((plain.code, twice.code), (Some(0), Some(0)), "{}{}", plain.said, twice.said);
    assert!(with(&["--preload", text(&capture)], Stdio::null()).events == plain.events);
    let piped = with(&["--loop", "2", "-"], File::open(&capture).unwrap().into());
    assert_eq!(piped.code, Some(0), "{}", piped.said);
    assert!(piped.events == twice.events);

    let packed = directory.path().join("capture.gz");
    let Ok(gzip) = Command::new("gzip").arg("-c").arg(&capture).output() else {
        return eprintln!("skipped: gzip is not installed");
    };
    std::fs::write(&packed, &gzip.stdout).unwrap();
    assert!(with(&["--preload", text(&packed)], Stdio::null()).events == plain.events);
    assert!(with(&["--loop", "2", text(&packed)], Stdio::null()).events == twice.events);
    // Cut: what stands before is played as often as all of it would be, and the place is told once.
    std::fs::write(&packed, &gzip.stdout[..gzip.stdout.len() / 2]).unwrap();
    let cut = with(&["--loop", "2", text(&packed)], Stdio::null());
    assert_eq!(cut.code, Some(1), "{}", cut.said);
    assert_eq!(cut.said.matches("of the decompressed capture").count(), 1, "{}", cut.said);
    let frames = cut.summary["frames"].as_u64().unwrap();
    assert!(frames > 200 && frames.is_multiple_of(2), "{frames}");
}

#[test]
fn a_replay_at_the_recorded_pace_keeps_it_from_pass_to_pass() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("ten.pcap");
    let frames: Vec<Vec<u8>> = vec![vec![0; 60]; 10];
    // A tenth of a second apart: two passes last 1.9 s, at ten times the speed 0.19 s.
    write_capture(&capture, &frames, 100_000);
    for extra in [&[][..], &["--to", "vdev:net_null0"]] {
        let arguments = ["replay", "--loop", "2", "--speed", "10x", "--summary", "-"];
        let arguments = [&arguments[..], extra, &[text(&capture)]].concat();
        let began = std::time::Instant::now();
        let output = run(&arguments);
        if is_without_driver(&said(&output)) {
            continue;
        }
        assert!(output.status.success(), "{}", said(&output));
        assert!(began.elapsed().as_millis() >= 190, "{:?}", began.elapsed());
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["frames"], 20);
    }
}

/// A classic capture of Ethernet, its frames so many microseconds apart.
fn write_capture(path: &Path, frames: &[Vec<u8>], apart: u32) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (number, frame) in (0_u32..).zip(frames) {
        let (time, len) = (number * apart, frame.len() as u32);
        for word in [1_700_000_000 + time / 1_000_000, time % 1_000_000, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    std::fs::write(path, file).unwrap();
}

/// Whether a driver is missing, which is then said.
fn is_without_driver(said: &str) -> bool {
    let missing = said.contains("no driver");
    if missing {
        eprintln!("skipped: {said}");
    }
    missing
}

fn frames_of(path: &Path) -> Vec<Vec<u8>> {
    let Ok(Source::Mapped(map)) = weir_capture::open(path) else { panic!("{}", path.display()) };
    Reader::open(&map).unwrap().map(|packet| packet.unwrap().bytes.to_vec()).collect()
}

#[test]
fn what_goes_into_a_port_is_the_capture_byte_for_byte_and_every_frame_is_accounted_for() {
    let directory = tempfile::tempdir().unwrap();
    let (capture, sent) = (directory.path().join("in.pcap"), directory.path().join("out.pcap"));
    let mut frames = frames_of(&small("capture.pcap"));
    let device = format!("vdev:net_pcap0,tx_pcap={}", text(&sent));
    let lengths = [14, 60, 1_514, 2_049, 9_000, 9_728];
    frames.extend(lengths.map(|len| (0..len).map(|at| (at * 7 + len) as u8).collect::<Vec<u8>>()));
    let good = frames.len();
    frames.extend([vec![1; 9_729], vec![2; 13], vec![3; 60_000]]);
    write_capture(&capture, &frames, 10);
    let output = run(&["replay", "--to", &device, "--preload", text(&capture)]);
    if is_without_driver(&said(&output)) {
        return;
    }
    assert!(output.status.success(), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["frames"], frames.len());
    assert_eq!((&summary["sent"], &summary["device"]["sent"]), (&good.into(), &good.into()));
    let not_sent = serde_json::json!({"link_type": 0, "too_long": 2, "too_short": 1, "refused": 0});
    assert_eq!((&summary["not_sent"], &summary["unaccounted"]), (&not_sent, &0.into()));
    let bytes: usize = frames[..good].iter().map(Vec::len).sum();
    assert_eq!(summary["sent_bytes"], bytes);
    assert!(frames_of(&sent) == frames[..good]);

    // Twice: the first pass is the capture again, the second as long and other.
    let output = run(&["replay", "--to", &device, "--loop", "2", text(&capture)]);
    assert!(output.status.success(), "{}", said(&output));
    let twice = frames_of(&sent);
    assert!(twice[..good] == frames[..good]);
    let second = &twice[good..];
    let lengths = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(second), lengths(&frames[..good]));
    let changed = second.iter().zip(&frames).filter(|(after, before)| after != before).count();
    assert!(changed > 500, "{changed}");
}

#[test]
fn an_interface_carries_to_its_other_end_what_was_sent() {
    let capture = small("capture.pcap");
    let frames = frames_of(&capture);
    // A network namespace that is gone with the shell.
    let script = "set -e\nmount -t sysfs sysfs /sys\n\
        echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || true\n\
        ip link add lab0 type veth peer name far0\n\
        ip link set lab0 mtu 9000 up\nip link set far0 mtu 9000 up\n\
        \"$1\" replay --to lab0 --summary \"$3\" \"$2\"\n\
        ip -s -j link show far0";
    let directory = tempfile::tempdir().unwrap();
    let summary = directory.path().join("summary.json");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", script, "sh", text(&program("weir"))])
        .args([text(&capture), text(&summary)])
        .output();
    let Ok(output) = output else { return eprintln!("skipped: unshare is not installed") };
    let complaints = String::from_utf8_lossy(&output.stderr);
    if complaints.contains("Operation not permitted") || complaints.contains("ip: not found") {
        return eprintln!("skipped: no veth pair without root and iproute2 ({complaints})");
    }
    if is_without_driver(&complaints) {
        return;
    }
    assert!(output.status.success(), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!((&summary["sent"], &summary["unaccounted"]), (&frames.len().into(), &0.into()));
    let links: Value = serde_json::from_slice(&output.stdout).unwrap();
    let received = &links[0]["stats64"]["rx"];
    assert_eq!(received["packets"], frames.len());
    assert_eq!(received["bytes"], frames.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("in.pcap");
    std::fs::copy(small("capture.pcap"), &capture).unwrap();
    let over = format!("vdev:net_pcap0,tx_pcap={}", text(&capture));
    for (arguments, part) in [
        (&["--to", "vdev:net_null0", "--events", "e.json"][..], "cannot be used with"),
        (&["--to", &over], "over a capture that is read"),
        (&["--to", "a/b"], "pci:ADDRESS"),
        (&["--to", "nosuch0"], "no interface nosuch0"),
        (&["--loop", "0"], "--loop"),
        (&["--source", "dpdk", "--loop", "2"], "net_pcap reads the file itself"),
    ] {
        let output = run(&[&["replay"], arguments, &[text(&capture)]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn the_sensor_has_no_means_to_send() {
    let Ok(told) = Command::new("nm").arg(program("weir-sender")).output() else {
        return eprintln!("skipped: nm, of binutils, is not installed");
    };
    let holds = |told: &Output, symbol: &str| {
        let symbols = String::from_utf8_lossy(&told.stdout);
        symbols.lines().any(|line| line.ends_with(&format!(" {symbol}")))
    };
    assert!(holds(&told, "weir_tx_burst"), "else the test proves nothing");
    let told = Command::new("nm").arg(program("weir-sensor")).output().unwrap();
    if !holds(&told, "weir_rx_burst") {
        return eprintln!("skipped: this sensor is built without DPDK");
    }
    for symbol in ["weir_tx_burst", "weir_tx_write", "weir_inject", "weir_inject_burst"] {
        assert!(!holds(&told, symbol), "{symbol}");
    }
}
