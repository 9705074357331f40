//! Spells of activity: what detections with a long memory are told of equipment's flows.

mod lab;

use lab::{Script, judge, rule_set};
use weir_engine::contract::verdict::{Activity, Verdict};
use weir_engine::rules::{Link, RuleSet};

/// What is told of, after one, two and three workers have seen the same.
fn activities(script: &Script, set: RuleSet) -> Vec<Activity> {
    let told = |workers| -> Vec<Activity> {
        let said = judge(&script.shots, Link::Oam, set.clone(), workers);
        let activity = |verdict| match verdict {
            Verdict::Activity(activity) => Some(*activity),
            _ => None,
        };
        said.into_iter().filter_map(activity).collect()
    };
    let one = told(1);
    assert!([2, 3].into_iter().all(|workers| told(workers) == one));
    one
}

#[test]
fn each_beat_of_a_connection_is_told_with_its_time_and_size() {
    let mut script = Script::default();
    let (implant, server) = ("10.0.0.1:40000", "198.51.100.7:443");
    script.tcp(implant, server, 0x02, 0, b"").tcp(server, implant, 0x12, 1, b"");
    for _ in 0..3 {
        script.wait(60.0).tcp(implant, server, 0x18, 1, &[7; 100]);
        script.tcp(server, implant, 0x10, 101, b"");
    }
    let told = activities(&script, rule_set());
    let starts: Vec<_> = told.iter().map(|it| it.first).collect();
    let beats = [0, 2, 4, 6].map(|shot: usize| script.shots[shot].time);
    assert_eq!(starts, beats);
    for beat in &told[1..] {
        assert_eq!((beat.to_server, beat.to_client), ((1, 154), (1, 54)));
        assert!(beat.last.since(beat.first).0.abs_diff(10_000_000) < 10);
        let flow = (beat.opened, beat.allowed, beat.periodic, beat.continues);
        assert_eq!(flow, (beats[0], false, false, false));
        assert_eq!(beat.source, Some(lab::GNB));
    }
}

#[test]
fn all_bytes_of_a_flow_are_told_once() {
    let mut script = Script::default();
    for second in 0..1_000 {
        script.now = f64::from(second) * if second < 700 { 1.0 } else { 2.5 };
        script.udp("10.0.0.1:5000", "10.0.0.2:5001", &[1; 50]);
    }
    let told = activities(&script, rule_set());
    assert!(told.len() > 5 && told.iter().all(|it| it.last.since(it.first).0 < 300_000_000_000));
    assert_eq!(told.iter().map(|it| it.to_server.0).sum::<u64>(), 1_000);
    let silences = told.iter().filter(|it| !it.continues).count();
    assert_eq!(silences, 2, "it began, and it was silent once");
}

#[test]
fn a_declared_heartbeat_is_told_as_one() {
    let mut set = rule_set();
    let mut script = Script::default();
    script.tcp("10.0.0.1:40000", "192.0.2.10:443", 0x02, 0, b"");
    let told = |set: &RuleSet| {
        let told = activities(&script, set.clone());
        told.iter().map(|it| (it.allowed, it.periodic)).collect::<Vec<_>>()
    };
    assert_eq!(told(&set), [(true, false)]);
    set.allow.last_mut().unwrap().is_periodic = true;
    assert_eq!(told(&set), [(true, true)]);
}

#[test]
fn user_planes_and_strangers_are_left_out() {
    let mut script = Script::default();
    let echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0];
    script.udp("10.0.0.1:2152", "10.0.1.1:2152", &echo);
    script.udp("198.51.100.7:99", "203.0.113.9:99", b"strangers");
    assert_eq!(activities(&script, rule_set()), []);
}
