//! The frames of alerts on a disk that is full, and of a process that is killed: what an event names is
//! whole, and what could not be written is counted.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use weir_engine::Nanos;
use weir_engine::contract::exhibit::{Head, records};
use weir_engine::contract::verdict::{Frames, MAX_BYTES};

use super::fake::*;

/// Bytes of a frame: it fits one record.
const FRAME: u16 = 900;

/// An alert about a network, with frames; gives how many records the ring has then.
fn shows(sensor: &mut Sensor, network: u8, packets: u64, frames: u16) -> u64 {
    let mut found = alert(1 + u64::from(network), 0, packets);
    found.peer = Some(IpAddr::from([203, 0, network, 1]));
    let from = sensor.segment.evidence.written();
    for number in 0..u64::from(frames) {
        let time = Nanos(found.last.0 + number);
        let head =
            Head { time, tap: 0, link_type: 1, wire_len: FRAME.into(), len: FRAME, cause: 0 };
        let mut first = [0; MAX_BYTES];
        for (kind, payload) in records(&head, &[network; FRAME as usize], &mut first) {
            sensor.segment.evidence.push(0, kind, payload).unwrap();
        }
    }
    found.evidence = Some(Frames { from, records: frames });
    sensor.push(&say(found)).unwrap();
    sensor.segment.ring.written()
}

/// What the last event about a network says of its capture.
fn told(place: &Place, network: u8) -> Value {
    let peer = format!("203.0.{network}.1");
    let events = place.events("alert");
    let of_network = |event: &&Value| event["weir"]["peer"]["ip"] == *peer;
    events.iter().rev().find(of_network).expect("it was told")["weir"]["evidence"].clone()
}

/// How many frames a capture has, if its file is the one that was told.
fn frames(directory: &Path, told: &Value) -> usize {
    let file = fs::read(directory.join(told["pcap"].as_str().unwrap())).unwrap();
    let hash: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told["sha256"], *hash);
    let count = weir_capture::Reader::open(&file).unwrap().map(Result::unwrap).count();
    assert_eq!(told["frames"], count);
    count
}

/// The captures of a directory.
fn captures(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|it| it == "pcapng")).collect()
}

#[test]
fn a_full_disk_costs_frames_and_no_alert_and_leaves_no_half_capture() {
    let place = Place::new("");
    let Some(tiny) = Tiny::mount(place.path("evidence"), 64) else { return };
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let line = control.says("listening on http://");
    let address = line.rsplit("http://").next().unwrap();
    let (_connection, _) = sensor.accept();
    let lost =
        || series(&fetch(address, "/metrics").1, "weir_evidence_lost_total{reason=\"failed\"}");
    let written = shows(&mut sensor, 1, 1, 2);
    sensor.await_released(written);
    let before = told(&place, 1);
    assert_eq!((frames(&tiny.0, &before), lost()), (2, 0.0));

    // There is room for the beginning of a capture, and not for all of it.
    let filler = tiny.0.join("filler");
    fs::write(&filler, vec![0; 56 * 1024]).unwrap();
    shows(&mut sensor, 2, 1, 16);
    let written = shows(&mut sensor, 1, 10, 16);
    sensor.await_released(written);
    control.says("error: evidence can't be written");
    assert_eq!(place.events("alert").len(), 3, "alerts come all the same");
    assert_eq!(told(&place, 2), Value::Null);
    assert_eq!(told(&place, 1), before, "as it was before");
    assert_eq!(frames(&tiny.0, &before), 2);
    assert_eq!(captures(&tiny.0).len(), 1, "no half of one stays");
    await_that("both are counted", || (lost() == 2.0).then_some(()));

    fs::remove_file(&filler).unwrap();
    shows(&mut sensor, 2, 10, 16);
    shows(&mut sensor, 1, 100, 16);
    let written = shows(&mut sensor, 3, 1, 4);
    sensor.await_released(written);
    let kept = [1, 2, 3].map(|network| frames(&tiny.0, &told(&place, network)));
    assert_eq!(kept, [18, 16, 4]);
    let files = captures(&tiny.0);
    let bytes: u64 = files.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(files.len(), 3);
    await_that("the bytes of all captures are told", || {
        let metrics = fetch(address, "/metrics").1;
        (series(&metrics, "weir_evidence_bytes") == bytes as f64).then_some(())
    });
    assert_eq!(lost(), 2.0);
}

#[test]
fn what_was_written_and_never_committed_when_the_process_was_killed_is_in_no_capture() {
    // The disk of the state fills up, that of evidence does not: frames are written, and what names them is
    // not.
    let place = Place { directory: tempfile::tempdir().unwrap() };
    let Some(disk) = Tiny::mount(place.directory.path().to_owned(), 16 << 10) else { return };
    fs::write(place.path("inventory.toml"), INVENTORY).unwrap();
    fs::write(place.path("policy.toml"), "").unwrap();
    let evidence = tempfile::tempdir().unwrap();
    let arguments = ["--evidence", evidence.path().to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&arguments);
    let (mut connection, _) = sensor.accept();
    let mut written = shows(&mut sensor, 1, 1, 2);
    sensor.await_released(written);
    // First one capture grows, then another begins.
    for (network, packets, known, has) in [(1, 10, 2, 6), (2, 1, 0, 4)] {
        let before = (known > 0).then(|| told(&place, network));
        let path = before.as_ref().map(|it| evidence.path().join(it["pcap"].as_str().unwrap()));
        let length = |path: &PathBuf| fs::metadata(path).unwrap().len();
        let committed = path.as_ref().map(length);
        let filler = disk.0.join("filler");
        fs::write(&filler, vec![0; 16 << 20]).unwrap_err();
        written = shows(&mut sensor, network, packets, 4);
        control.says("make room: events wait in the ring");
        match (&path, committed) {
            (Some(path), Some(committed)) => assert!(length(path) > committed, "frames are there"),
            _ => assert_eq!(captures(evidence.path()).len(), 2, "frames are there"),
        }
        assert!(sensor.segment.ring.acknowledged() < written, "and are not committed");
        control.kill();
        drop(connection);
        fs::remove_file(&filler).unwrap();

        control = place.control(&arguments);
        control.says("listening on http://");
        if let Some(before) = &before {
            assert_eq!(frames(evidence.path(), before), known, "before anything is read again");
        }
        connection = sensor.accept().0;
        sensor.await_released(written);
        assert_eq!(frames(evidence.path(), &told(&place, network)), has, "and none twice");
    }
    control.kill();
    drop(connection);
}

#[test]
fn frames_that_waited_for_the_next_event_when_the_process_was_killed_are_counted() {
    let place = Place::new("");
    let arguments = ["--listen", "127.0.0.1:0"];
    let address = |control: &mut Control| {
        let line = control.says("listening on http://");
        line.rsplit("http://").next().unwrap().to_owned()
    };
    let counted = |address: &str| {
        let metrics = fetch(address, "/metrics").1;
        let lost = series(&metrics, "weir_evidence_lost_total{reason=\"waiting\"}");
        // What there is of captures is told at the same time.
        (series(&metrics, "weir_evidence_bytes") > 0.0).then_some(lost)
    };
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&arguments);
    let at = address(&mut control);
    let (connection, _) = sensor.accept();
    shows(&mut sensor, 1, 1, 2);
    // No event is due yet.
    let written = shows(&mut sensor, 1, 2, 3);
    sensor.await_released(written);
    assert_eq!(await_that("captures are counted", || counted(&at)), 0.0);
    control.kill();
    drop(connection);

    let mut control = place.control(&arguments);
    let at = address(&mut control);
    let (connection, _) = sensor.accept();
    assert_eq!(await_that("captures are counted", || counted(&at)), 3.0);
    let written = shows(&mut sensor, 1, 3, 3);
    sensor.await_released(written);
    // The end of the process is an event, and brings them into the capture.
    control.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(control.child.wait().unwrap().success());
    drop(connection);
    assert_eq!(frames(&place.path("evidence"), &told(&place, 1)), 5);
    let mut control = place.control(&arguments);
    let at = address(&mut control);
    assert_eq!(await_that("captures are counted", || counted(&at)), 0.0);
    control.kill();
}
