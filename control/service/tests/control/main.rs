//! The real `weir-control` against a fake sensor: what it writes, keeps and serves.

mod cases;
mod content;
mod evidence;
mod fake;
mod hostile;
mod https;
mod import;
mod journal;
mod memory;
mod restricted;
mod reveal;
mod sinks;
mod site;
mod streams;
mod sweep;
mod watching;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake::*;
use nix::sys::signal::Signal;
use weir_engine::Nanos;
use weir_engine::contract::SCHEMA;
use weir_engine::contract::verdict::{PolicySwap, Verdict};
use weir_engine::contract::words::{
    JudgeWords, Table, WorkerWords, fragment_names, reassembly_names,
};
use weir_engine::detect::GTP_PEER;
use weir_shm::Attachment;

/// The sensor's word that a policy is in force, from the start.
fn swap(version: u64, sha256: [u8; 32]) -> Verdict {
    swap_at(0, version, sha256)
}

/// The same from a time on.
fn swap_at(at: u64, version: u64, sha256: [u8; 32]) -> Verdict {
    Verdict::Policy(PolicySwap { at: Nanos(at), version, sha256, equipment: (0, 2), rules: (0, 0) })
}

/// A replay in small: an alert that grows, one of the same build, and the end.
fn replay(sensor: &mut Sensor, sha256: [u8; 32]) -> Vec<Verdict> {
    sensor.count(1000);
    let last = |alert| weir_engine::contract::verdict::Alert { last_word: true, ..alert };
    vec![
        swap(1, sha256),
        say(alert(1, 0, 3)),
        say(alert(1, 0, 12)),
        say(alert(2, 1, 1)),
        say(alert(1, 0, 30)),
        say(alert(1, 0, 299)),
        flow(),
        say(last(alert(1, 0, 312))),
        say(last(alert(2, 1, 4))),
    ]
}

/// The event file of a replay that nothing disturbed.
fn undisturbed() -> (Place, String) {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let summary = place.path("summary.json");
    let mut control =
        place.control(&["--until-end", "--print-alerts", "--summary", summary.to_str().unwrap()]);
    let (_connection, policy) = sensor.accept();
    for verdict in replay(&mut sensor, policy.unwrap().sha256) {
        sensor.push(&verdict).unwrap();
    }
    sensor.end(START + SECOND);
    assert_eq!(control.wait().code(), Some(0));
    let written = sensor.segment.ring.written();
    sensor.await_released(written);
    let printed = control.output();
    (place, printed)
}

#[test]
fn an_alert_is_said_updated_at_the_tenfold_and_closed_once() {
    let (place, printed) = undisturbed();
    let alerts = place.events("alert");
    let seen: Vec<_> = alerts
        .iter()
        .map(|event| {
            let weir = &event["weir"];
            let id = weir["equipment"]["id"].as_str().unwrap();
            let packets = weir["packets"].as_u64().unwrap();
            (id, weir["update"].as_u64().unwrap(), weir["final"].as_bool().unwrap(), packets)
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("gnb-1", 0, false, 3),
            ("gnb-2", 0, false, 1),
            ("gnb-1", 1, false, 30),
            ("gnb-1", 2, false, 312),
            ("gnb-1", 3, true, 312),
            ("gnb-2", 1, true, 4),
        ]
    );
    let first = &alerts[0];
    assert_eq!(first["timestamp"], "2023-11-14T22:13:20.003000000Z");
    assert_eq!(first["flow_id"], "0xabc");
    assert_eq!((&first["proto"], &first["dest_port"]), (&"TCP".into(), &443.into()));
    assert_eq!(first["alert"]["severity"], 2);
    assert_eq!(first["weir"]["equipment"]["vendor"], "Vendor A");
    assert_eq!(first["weir"]["same_build"]["installed"], 2);
    assert_eq!(first["weir"]["same_build"]["showing"], 1);
    assert_eq!(alerts[1]["weir"]["same_build"]["showing"], 2);
    assert_eq!(first["weir"]["peer"]["name"], "update.vendor.example");
    assert_eq!(first["weir"]["policy"]["version"], 1);
    assert_eq!(first["weir"]["dedup"], "EGR-NOTALLOWED|gnb-1|198.51.100.0/24|2023-11-14");
    assert_eq!((place.events("policy").len(), place.events("health").len()), (1, 0));
    let flows = place.events("flow");
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0]["flow"]["pkts_toserver"], 300);
    assert_eq!(
        (&flows[0]["flow"]["state"], &flows[0]["flow"]["reason"]),
        (&"closed".into(), &"closed".into())
    );
    assert_eq!(flows[0]["weir"]["equipment"]["id"], "gnb-1");
    assert_eq!(flows[0]["weir"]["initiator"], "equipment");
    assert_eq!(place.events("stats")[0]["weir"]["frames"], 1000);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(lines[0].contains("high") && lines[0].contains("gnb-1 (Vendor A AAU 1.0) → 198.51"));

    let summary = fs::read_to_string(place.path("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["frames"], &summary["inspected"]), (&1000.into(), &1000.into()));
    assert_eq!(summary["alerts"], serde_json::json!({"EGR-NOTALLOWED": 2}));
    assert_eq!((&summary["unaccounted"], &summary["events_lost"]), (&0.into(), &0.into()));
}

/// What a replay leaves behind in which control is killed again and again, and `crashed` each time.
fn disturbed(crashed: impl Fn(&Place)) -> Place {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--until-end"]);
    let (mut connection, policy) = sensor.accept();
    for (number, verdict) in (1..).zip(replay(&mut sensor, policy.unwrap().sha256)) {
        sensor.push(&verdict).unwrap();
        if number % 2 == 0 {
            // Once after the commit, once wherever it happens to be.
            if number % 4 == 0 {
                sensor.await_released(number);
            }
            control.kill();
            crashed(&place);
            control = place.control(&["--until-end"]);
            drop(connection);
            connection = sensor.accept().0;
        }
    }
    sensor.end(START + SECOND);
    assert_eq!(control.wait().code(), Some(0));
    place
}

#[test]
fn control_killed_between_batches_neither_loses_nor_repeats() {
    let disturbed = disturbed(|place| {
        // What a crash between file and store leaves behind.
        let file = fs::OpenOptions::new().append(true).open(place.path("eve.json"));
        file.unwrap().write_all(b"{\"not\":\"committed\"").unwrap();
    });
    assert_eq!(disturbed.text(), undisturbed().0.text());
}

#[test]
fn two_replays_give_identical_bytes() {
    assert_eq!(undisturbed().0.text(), undisturbed().0.text());
}

#[test]
fn a_restarted_sensor_continues_the_days_alerts_and_moves_the_reset_marker() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://");
    let address = address.rsplit('/').next().unwrap().to_owned();
    let (connection, policy) = sensor.accept();
    assert_eq!(policy.unwrap().version, 1);
    sensor.push(&say(alert(1, 0, 3))).unwrap();
    sensor.await_released(1);
    assert_eq!(fetch(&address, "/readyz").0, 200);
    let before = fetch(&address, "/metrics").1;
    let alerts = "weir_alerts_total{detection=\"EGR-NOTALLOWED\",severity=\"high\"}";
    assert_eq!((series(&before, alerts), series(&before, "weir_sensor_up")), (1.0, 1.0));

    drop((sensor, connection));
    let died = Instant::now();
    await_that("metrics say that it is gone", || {
        (series(&fetch(&address, "/metrics").1, "weir_sensor_up") == 0.0).then_some(())
    });
    assert_eq!(fetch(&address, "/readyz"), (503, "no sensor is attached\n".into()));
    let dead = await_that("an event says so", || {
        place.events("health").into_iter().find(|event| event["weir"]["state"] == "dead")
    });
    assert!(died.elapsed() < Duration::from_secs(2) && dead["weir"]["since"].is_string());

    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let (_connection, policy) = sensor.accept();
    assert_eq!(policy.unwrap().version, 1, "the same policy keeps its version");
    sensor.push(&say(alert(1, 0, 40))).unwrap();
    sensor.await_released(1);
    let after = fetch(&address, "/metrics").1;
    let marker = "weir_sensor_start_timestamp_seconds";
    assert!(series(&after, marker) > series(&before, marker));
    assert_eq!(series(&after, alerts), 0.0, "counters begin anew with the sensor");
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    let said: Vec<_> = place
        .events("alert")
        .iter()
        .map(|event| (event["weir"]["packets"].as_u64().unwrap(), event["weir"]["final"] == true))
        .collect();
    assert_eq!(said, [(3, false), (43, false), (43, true)]);
    assert!(place.events("health").iter().any(|event| event["weir"]["state"] == "restarted"));
}

#[test]
fn a_hung_sensor_is_said_within_two_seconds_and_its_recovery_too() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://");
    let address = address.rsplit('/').next().unwrap().to_owned();
    let (_connection, _) = sensor.accept();
    sensor.hang();
    let hung = Instant::now();
    control.says("sensor hung");
    assert!(hung.elapsed() < Duration::from_secs(2), "{:?}", hung.elapsed());
    await_that("metrics say so", || {
        (series(&fetch(&address, "/metrics").1, "weir_sensor_up") == 0.0).then_some(())
    });
    sensor.beat();
    control.says("sensor recovered");
    let states: Vec<String> = await_that("events say so", || {
        let events = place.events("health");
        let states = events.iter().map(|event| event["weir"]["state"].as_str().unwrap().to_owned());
        Some(states.collect::<Vec<_>>()).filter(|states| states.len() == 3)
    });
    assert_eq!(states, ["attached", "hung", "recovered"]);
    assert!(sensor.segment.status.control_heartbeat() > now() - 2 * SECOND);
}

#[test]
fn lost_records_are_counted_and_said() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 4);
    for instance in 1..=9 {
        // The ring has four slots and nobody reads: five are lost.
        let _ = sensor.push(&say(alert(instance, 0, 1)));
    }
    let mut control = place.control(&["--until-end", "--summary", "-"]);
    let (_connection, _) = sensor.accept();
    sensor.await_released(4);
    sensor.end(START + SECOND);
    assert_eq!(control.wait().code(), Some(0));
    let lost = &place.events("health")[0];
    assert_eq!((&lost["weir"]["subject"], &lost["weir"]["lost"]), (&"events".into(), &5.into()));
    let summary: serde_json::Value = serde_json::from_str(&control.output()).unwrap();
    assert_eq!(summary["events_lost"], 5);
}

#[test]
fn a_record_that_means_nothing_is_counted_and_passed_over() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--until-end", "--summary", "-"]);
    let (_connection, _) = sensor.accept();
    sensor.segment.ring.push(0, 1, &[0xff; 480]).unwrap();
    sensor.segment.ring.push(0, 77, b"a kind of a later release").unwrap();
    let mut unknown = alert(1, 9, 1);
    unknown.detection = u16::MAX;
    sensor.push(&say(unknown)).unwrap();
    sensor.push(&say(alert(1, 9, 1))).unwrap();
    sensor.end(START + SECOND);
    assert_eq!(control.wait().code(), Some(0));
    let summary: serde_json::Value = serde_json::from_str(&control.output()).unwrap();
    assert_eq!(summary["events_lost"], 3);
    let said = place.events("alert");
    assert_eq!(said.len(), 2, "said and closed");
    assert_eq!(said[0]["weir"]["equipment"], serde_json::json!({"id": "#9"}));
}

#[test]
fn records_that_someone_else_let_go_are_counted_as_lost() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 4);
    let control = place.control(&[]);
    let (connection, _) = sensor.accept();
    sensor.push(&say(alert(1, 0, 1))).unwrap();
    sensor.await_released(1);
    control.kill();
    drop(connection);
    let memory = &sensor.segment.handover;
    let mut other = Attachment::open(memory.data(), memory.cursor(), SCHEMA).unwrap();
    for instance in 2..=9 {
        sensor.push(&say(alert(instance, 0, 1))).unwrap();
        other.release(other.position(other.written())).unwrap();
    }
    sensor.end(START + SECOND);
    // Records 1 to 5 were written over; 6, 7, 8 and the end are there.
    let mut control = place.control(&["--until-end", "--summary", "-"]);
    let (_connection, _) = sensor.accept();
    assert_eq!(control.wait().code(), Some(0));
    let summary: serde_json::Value = serde_json::from_str(&control.output()).unwrap();
    assert_eq!(summary["events_lost"], 5);
    let last = place.events("alert").pop().unwrap();
    assert_eq!((&last["weir"]["packets"], &last["weir"]["final"]), (&4.into(), &true.into()));
}

#[test]
fn suppressed_alerts_are_counted_and_not_said() {
    let place = Place::new(
        "[[suppress]]\ndetection = \"EGR-NOTALLOWED\"\nequipment = \"gnb-1\"\nreason = \"known\"\n",
    );
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://");
    let address = address.rsplit('/').next().unwrap().to_owned();
    let (mut connection, _) = sensor.accept();
    for (instance, number, packets) in [(1, 0, 1), (1, 0, 50), (2, 1, 1)] {
        sensor.push(&say(alert(instance, number, packets))).unwrap();
    }
    sensor.await_released(3);
    let metrics = await_that("both are counted", || {
        let metrics = fetch(&address, "/metrics").1;
        let name = "weir_alerts_suppressed_total{detection=\"EGR-NOTALLOWED\"}";
        (series(&metrics, name) == 1.0).then_some(metrics)
    });
    let alerts = "weir_alerts_total{detection=\"EGR-NOTALLOWED\",severity=\"high\"}";
    assert_eq!(series(&metrics, alerts), 1.0);
    let said = place.events("alert");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["weir"]["equipment"]["id"], "gnb-2");
    assert_eq!(said[0]["weir"]["same_build"]["showing"], 2, "its state is kept");

    // A bad file changes nothing. A good one holds from where the sensor says that it does.
    fs::write(place.path("policy.toml"), "[[suppress]]\n").unwrap();
    control.signal(Signal::SIGHUP);
    control.says("the old inventory and policy stay in force");
    let refused = await_that("an event says so", || place.events("policy").pop());
    assert_eq!(refused["weir"]["state"], "refused");
    fs::write(place.path("policy.toml"), "").unwrap();
    control.signal(Signal::SIGHUP);
    control.says("inventory and policy are read again");
    let second = receive_policy(&mut connection).unwrap();
    assert_eq!(second.version, 2, "a policy without the suppression is another policy");
    sensor.push(&say(alert(1, 0, 51))).unwrap();
    sensor.await_released(4);
    assert_eq!(place.events("alert").len(), 1, "the first policy is in force");
    sensor.push(&swap(second.version, second.sha256)).unwrap();
    sensor.push(&say(alert(1, 0, 52))).unwrap();
    let said = await_that("the alert is said after all", || {
        place.events("alert").into_iter().find(|event| event["weir"]["equipment"]["id"] == "gnb-1")
    });
    assert_eq!((&said["weir"]["update"], &said["weir"]["packets"]), (&0.into(), &52.into()));
}

#[test]
fn an_explained_alert_becomes_info_and_old_days_are_closed() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--until-end"]);
    let (_connection, _) = sensor.accept();
    sensor.push(&say(alert(1, 0, 1))).unwrap();
    let mut explained = alert(1, 0, 2);
    explained.superseded_by = Some(GTP_PEER);
    sensor.push(&say(explained)).unwrap();
    let midnight = (u64::from(Nanos(START).day()) + 1) * 86_400 * SECOND;
    for (instance, seconds) in [(2, 5), (3, 11)] {
        let mut tomorrow = alert(instance, 1, 1);
        tomorrow.day += 1;
        (tomorrow.last, tomorrow.at) =
            (Nanos(midnight + seconds * SECOND), Nanos(midnight + seconds * SECOND));
        sensor.push(&say(tomorrow)).unwrap();
    }
    sensor.end(midnight + 12 * SECOND);
    assert_eq!(control.wait().code(), Some(0));
    let said: Vec<_> = place
        .events("alert")
        .iter()
        .map(|event| {
            let weir = &event["weir"];
            let id = weir["equipment"]["id"].as_str().unwrap().to_owned();
            (id, weir["severity"].as_str().unwrap().to_owned(), weir["final"] == true)
        })
        .collect();
    let line = |id: &str, severity: &str, last| (id.to_owned(), severity.to_owned(), last);
    assert_eq!(
        said,
        [
            line("gnb-1", "high", false),
            line("gnb-1", "info", false),
            line("gnb-2", "high", false),
            line("gnb-1", "info", true),
            line("gnb-2", "high", true),
        ]
    );
}

#[test]
fn fragments_are_exported_by_what_became_of_them_and_begin_anew_with_the_sensor() {
    let place = Place::new("");
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://");
    let address = address.rsplit('/').next().unwrap().to_owned();
    let found = |kind: &str| {
        let metrics = fetch(&address, "/metrics").1;
        series(&metrics, kind)
    };
    let kind_of = |names: Vec<&str>, name| names.iter().position(|known| *known == name).unwrap();
    let (found_index, timed_out) =
        (kind_of(fragment_names(), "found"), kind_of(reassembly_names(), "timed_out"));
    let mut sensor = Sensor::with_workers(&place.socket(), 2);
    let (connection, _) = sensor.accept();
    for worker in 0..2 {
        let mut words = WorkerWords::default();
        words.fragments[found_index] = 40 + worker as u64;
        words.reassembly[timed_out] = 1;
        sensor.publish(sensor.greeting.worker_block(worker), &words);
    }
    let mut judge = JudgeWords::default();
    judge.evictions[Table::Trails as usize] = 9;
    sensor.publish(sensor.greeting.judge_block(), &judge);
    await_that("both workers are summed", || {
        (found("weir_fragments_total{kind=\"found\"}") == 81.0).then_some(())
    });
    assert_eq!(found("weir_fragments_total{kind=\"unknown\"}"), 0.0);
    assert_eq!(found("weir_reassembly_total{kind=\"timed_out\"}"), 2.0);
    assert_eq!(found("weir_table_evictions_total{table=\"fragment_trails\"}"), 9.0);
    assert_eq!(found("weir_table_evictions_total{table=\"pfcp_datagrams\"}"), 0.0);

    // The last values stay while the sensor is away; the next one counts from zero.
    drop((connection, sensor));
    await_that("the sensor is away", || (found("weir_sensor_up") == 0.0).then_some(()));
    assert_eq!(found("weir_fragments_total{kind=\"found\"}"), 81.0);
    let sensor = Sensor::with_workers(&place.socket(), 2);
    let (_connection, _) = sensor.accept();
    await_that("the next one is there", || (found("weir_sensor_up") == 1.0).then_some(()));
    assert_eq!(found("weir_fragments_total{kind=\"found\"}"), 0.0);
}

#[test]
fn promtool_finds_nothing_to_say() {
    if Command::new("promtool").arg("--version").output().is_err() {
        eprintln!("skipped: promtool is not installed");
        return;
    }
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--listen", "127.0.0.1:0"]);
    let address = control.says("listening on http://");
    let address = address.rsplit('/').next().unwrap().to_owned();
    let (_connection, _) = sensor.accept();
    sensor.count(5);
    sensor.push(&say(alert(1, 0, 1))).unwrap();
    sensor.await_released(1);
    let metrics = fetch(&address, "/metrics").1;
    let lane = "weir_inspected_packets_total{port=\"net_fake0\",queue=\"0\",worker=\"0\"}";
    assert_eq!(series(&metrics, lane), 5.0);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&verdict.stderr) + String::from_utf8_lossy(&verdict.stdout);
    assert!(verdict.status.success() && text.is_empty(), "{text}");
    assert_eq!(fetch(&address, "/healthz").0, 200);
    let (status, list) = fetch(&address, "/nothing");
    assert!(status == 404 && list.contains("/metrics"));
}

#[test]
fn what_can_not_start_says_why() {
    let place = Place::new("");
    let mut refused = place.control(&["--listen", "0.0.0.0:9810"]);
    refused.says("error: HTTP off loopback needs TLS");
    assert_eq!(refused.wait().code(), Some(2));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut refused = place.control(&["--listen", &taken.local_addr().unwrap().to_string()]);
    refused.says("error: can't serve HTTP");
    assert_eq!(refused.wait().code(), Some(2));

    let mut first = place.control(&[]);
    first.says("waiting for the sensor");
    let mut second = place.control(&[]);
    second.says("stop the other weir-control");
    assert_eq!(second.wait().code(), Some(2));
    // A socket that appears later is found.
    let sensor = Sensor::start(&place.socket(), false, 64);
    assert!(sensor.accept().1.is_some());
    first.says("sensor attached");

    let broken = Place::new("unknown = 1\n");
    let mut refused = broken.control(&[]);
    refused.says("policy.toml:1:1");
    assert_eq!(refused.wait().code(), Some(2));
}

#[test]
fn a_full_disk_loses_nothing_while_the_ring_has_room() {
    let place = Place::new("");
    let Some(tiny) = Tiny::mount(place.path("tiny"), 64) else { return };
    let events_file = tiny.0.join("eve.json");
    let filler = tiny.0.join("filler");
    fs::write(&filler, vec![0; 60 * 1024]).unwrap();
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--events", events_file.to_str().unwrap()]);
    let (_connection, _) = sensor.accept();
    for number in 0..20 {
        let mut distinct = alert(number + 1, 0, 1);
        distinct.peer = Some(std::net::IpAddr::from([203, 0, number as u8, 1]));
        sensor.push(&say(distinct)).unwrap();
    }
    let complaint = control.says("error: events can't be written");
    assert!(complaint.contains("eve.json"), "{complaint}");
    assert!(sensor.segment.ring.acknowledged() < 20, "what is not stored is not let go");
    fs::remove_file(&filler).unwrap();
    sensor.await_released(20);
    control.says("; 0 were lost");
    let said = fs::read_to_string(&events_file).unwrap();
    assert_eq!(events(&said, "alert").len(), 20);
}

#[test]
fn a_disk_that_stays_full_fails_the_replay_and_counts_what_is_missing() {
    let place = Place::new("");
    let Some(tiny) = Tiny::mount(place.path("tiny"), 64) else { return };
    let events_file = tiny.0.join("eve.json");
    fs::write(tiny.0.join("filler"), vec![0; 80 * 1024]).unwrap_err();
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let file = events_file.to_str().unwrap();
    let mut control = place.control(&["--events", file, "--until-end", "--summary", "-"]);
    let (_connection, _) = sensor.accept();
    sensor.push(&say(alert(1, 0, 1))).unwrap();
    sensor.end(START + SECOND);
    control.says("error: events can't be written");
    control.says("error: 3 events could not be written");
    assert_eq!(control.wait().code(), Some(1));
    let summary: serde_json::Value = serde_json::from_str(&control.output()).unwrap();
    assert_eq!(summary["alerts"]["EGR-NOTALLOWED"], 1, "alerts stay right");
    assert_eq!(summary["events_lost"], 3);
    assert_eq!(fs::read_to_string(&events_file).unwrap(), "");
}
