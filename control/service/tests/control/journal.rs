//! The journal that control keeps beside the event file.

use std::fs;
use std::path::Path;

use serde_json::Value;
use weir_journal::{Head, Report, verify};

use super::fake::*;
use super::{disturbed, undisturbed};

fn examined(place: &Place, anchors: &[Head]) -> Report {
    verify(&place.path("journal/open"), anchors, &mut |_, _| {}).unwrap()
}

/// The text of a journal that has one segment.
fn text(directory: &Path) -> String {
    let mut files = fs::read_dir(directory).unwrap();
    let text = fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap();
    assert!(files.next().is_none());
    text
}

/// What was said, in the journal's lines.
fn said(place: &Place) -> Vec<Value> {
    let text = text(&place.path("journal/open"));
    let payloads = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
    payloads.map(|payload| serde_json::from_str(payload).unwrap()).collect()
}

#[test]
fn alerts_and_policies_are_in_the_journal_as_they_are_in_the_event_file() {
    let (place, _) = undisturbed();
    let report = examined(&place, &[]);
    assert!(report.is_whole(), "{:?}", report.faults);
    let kept = said(&place);
    assert!(kept[0].get("journal").is_some(), "its own first line");
    let is_kept = |line: &&str| {
        ["alert", "health", "policy"]
            .iter()
            .any(|kind| serde_json::from_str::<Value>(line).unwrap()["event_type"] == *kind)
    };
    let text = place.text();
    let expected: Vec<Value> =
        text.lines().filter(is_kept).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((expected.len(), &kept[1..]), (7, &expected[..]));
}

#[test]
fn a_kill_leaves_the_journal_as_if_there_had_been_none() {
    let of = |place: &Place| text(&place.path("journal/open"));
    assert_eq!(of(&disturbed(|_| ())), of(&undisturbed().0));
}

#[test]
fn restricted_alerts_are_in_a_journal_of_their_own() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let control = place.control(&[]);
    let (_connection, _) = sensor.accept();
    let mut copied = alert(1, 0, 1);
    copied.detection = weir_engine::detect::PFCP_DUPL;
    sensor.push(&say(copied)).unwrap();
    sensor.push(&say(alert(2, 0, 1))).unwrap();
    sensor.await_released(2);
    control.kill();
    let restricted = text(&place.path("journal/restricted"));
    assert!(restricted.contains("PFCP-DUPL") && !restricted.contains("EGR-NOTALLOWED"));
    let open = text(&place.path("journal/open"));
    assert!(!open.contains("PFCP-DUPL") && open.contains("EGR-NOTALLOWED"));
    for directory in ["journal/open", "journal/restricted"] {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(place.path(directory)).unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_line_that_is_taken_out_is_found_and_so_is_an_end_that_is_cut_off() {
    let (place, _) = undisturbed();
    let head = examined(&place, &[]).head;
    let file = fs::read_dir(place.path("journal/open")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |number: usize| {
        let kept = lines.iter().enumerate().filter(|(place, _)| *place != number);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    fs::write(&file, without(3)).unwrap();
    assert!(!examined(&place, &[]).is_whole());
    fs::write(&file, without(lines.len() - 1)).unwrap();
    assert!(examined(&place, &[]).is_whole() && !examined(&place, &[head]).is_whole());
}

#[test]
fn a_journal_without_room_loses_and_repeats_nothing_while_the_ring_has_room() {
    let place = Place::new("");
    let Some(tiny) = Tiny::mount(place.path("journal/open"), 64) else { return };
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&[]);
    let (_connection, _) = sensor.accept();
    let filler = tiny.0.join("filler");
    fs::write(&filler, vec![0; 80 * 1024]).unwrap_err();
    for number in 0..20 {
        let mut distinct = alert(number + 1, 0, 1);
        distinct.peer = Some(std::net::IpAddr::from([203, 0, number as u8, 1]));
        sensor.push(&say(distinct)).unwrap();
    }
    let complaint = control.says("error: events can't be written");
    assert!(complaint.contains("journal/open"), "{complaint}");
    assert!(sensor.segment.ring.acknowledged() < 20, "what is not stored is not let go");
    fs::remove_file(&filler).unwrap();
    sensor.await_released(20);
    control.says("; 0 were lost");
    control.kill();
    let alerts =
        |events: &[Value]| events.iter().filter(|event| event["event_type"] == "alert").count();
    let (kept, written) = (said(&place), place.events("alert"));
    assert_eq!((alerts(&kept), written.len()), (20, 20));
    assert!(examined(&place, &[]).is_whole());
}
