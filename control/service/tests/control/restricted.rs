//! What only a named role may see: where it goes, and what everything else keeps silent about.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weir_engine::Nanos;
use weir_engine::contract::session::{
    Forwarding, SessionContext, SessionRecord, SessionState, ShortName, Signalled, Slice,
    TunnelEnd, Usage,
};
use weir_engine::contract::verdict::{
    Alert, Direction, Fact, Initiator, PolicySwap, Severity, Tunnel, Verdict,
};
use weir_engine::detect::{PFCP_DUPL, PFCP_REDIR};

use crate::fake::*;
use crate::swap_at;

const DUPL_AND_FORW: u16 = 1 << 4 | 1 << 1;

fn end(teid: u32, address: [u8; 4]) -> TunnelEnd {
    TunnelEnd { teid, addr: address.into() }
}

/// What N4 has to say: an order of gnb-2, which stands for an SMF here.
fn signalled() -> Box<Signalled> {
    let rule = |to| Some(Forwarding { far: 1, apply: DUPL_AND_FORW, to: Some(to) });
    Box::new(Signalled {
        session: Some(SessionContext {
            cp_seid: 1,
            up_seid: 0x2a,
            ue: Some(IpAddr::from([10, 60, 0, 1])),
            dnn: Some("internet".into()),
            supi: Some(0x0123_4567_89ab_cdef),
            slice: Some(Slice { sst: 1, sd: Some([1, 2, 3]) }),
        }),
        before: rule(end(7, [10, 0, 0, 1])),
        after: rule(end(8, [198, 51, 100, 7])),
        ordered_by: Some(IpAddr::from([10, 0, 0, 2])),
        coverage: Some(0.75),
        doubt: 0.125,
        teids: vec![8, 9],
    })
}

pub(crate) fn redirected() -> Alert {
    Alert {
        detection: PFCP_REDIR,
        severity: Severity::Critical,
        degraded: true,
        peer_name: None,
        initiator: Initiator::Peer,
        fact: Fact::Redirected,
        direction: Some(Direction::Dl),
        tunnel: Some(Tunnel { teid: 8, qfi: Some(9) }),
        n4: Some(signalled()),
        evidence: None,
        ..alert(1, 0, 3)
    }
}

pub(crate) fn copied() -> Alert {
    Alert {
        detection: PFCP_DUPL,
        severity: Severity::Critical,
        peer: Some(IpAddr::from([203, 0, 113, 9])),
        peer_name: None,
        fact: Fact::Duplication { sessions: 3, authorised: 2 },
        n4: Some(signalled()),
        ..alert(2, 0, 3)
    }
}

pub(crate) fn session() -> SessionRecord {
    SessionRecord {
        at: Nanos(START + 2 * SECOND),
        cp_seid: 1,
        up_seid: 0x2a,
        cp: Some(IpAddr::from([10, 0, 2, 1])),
        up: Some(IpAddr::from([10, 0, 1, 1])),
        generation: 1,
        state: SessionState::Deleted,
        established: Some(Nanos(START)),
        ended: Some(Nanos(START + SECOND)),
        ue: [IpAddr::from([10, 60, 0, 1])].into_iter().collect(),
        network_instance: ShortName::from("internet").ok(),
        dnn: ShortName::from("internet").ok(),
        supi: Some(0xff),
        slice: Some(Slice { sst: 1, sd: None }),
        uplink: [end(1, [10, 0, 1, 1])].into_iter().collect(),
        downlink: [end(7, [10, 0, 0, 1])].into_iter().collect(),
        modifications: 2,
        reports: 1,
        usage: Usage { uplink_packets: 1, downlink_packets: 2, uplink_bytes: 3, downlink_bytes: 4 },
        qfi: [[9].into_iter().collect(), [1, 9].into_iter().collect()],
        reported: Some((3, 40)),
        usage_mismatch: true,
        policy: 1,
    }
}

/// Everything of a replay or of a live tap, to the end of it.
fn played(place: &Place, replay: bool, options: &[&str]) -> (Value, String) {
    let mut sensor = Sensor::start(&place.socket(), replay, 64);
    let summary = place.path("summary.json");
    let file = ["--print-alerts", "--summary", summary.to_str().unwrap()];
    let mut control = place.control(&[&file[..], options].concat());
    let (_connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    // What a copy explains: without a restricted file this alert says so.
    let explained = Alert { superseded_by: Some(PFCP_DUPL), ..alert(3, 0, 4) };
    let verdicts = [
        swap_at(START, policy.version, policy.fingerprint()),
        say(redirected()),
        say(copied()),
        say(alert(3, 0, 3)),
        say(explained),
        Verdict::Session(session()),
    ];
    for verdict in &verdicts {
        sensor.push(verdict).unwrap();
    }
    if replay {
        sensor.end(START + 3 * SECOND);
    } else {
        sensor.await_released(verdicts.len() as u64);
        control.signal(Signal::SIGTERM);
    }
    assert_eq!(control.wait().code(), Some(0));
    let summary = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    (summary, control.output())
}

fn detections(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["weir"]["detection"].as_str().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The alerts of a restricted file, which no other file and no output knows of.
fn apart(place: &Place, file: &str, (summary, printed): &(Value, String)) -> Vec<Value> {
    let restricted = fs::read_to_string(place.path(file)).unwrap();
    assert_eq!(mode(&place.path(file)), 0o600);
    let text = place.text();
    for open in [&text, printed, &summary.to_string()] {
        assert!(!open.contains("DUPL"), "{open}");
        assert!(!open.contains("203.0.113.9") && !open.contains("copy"), "{open}");
    }
    let open = place.events("alert");
    let egress: Vec<_> =
        open.iter().filter(|event| event["weir"]["detection"] == "EGR-NOTALLOWED").collect();
    assert!(egress.iter().all(|event| event["weir"]["severity"] == "high"), "not explained");
    assert_eq!(egress.len(), 2, "said and closed; that something explains it is no news");
    assert_eq!(summary["alerts"], json!({"EGR-NOTALLOWED": 1, "PFCP-REDIR": 1}));
    assert_eq!(place.events("session").len(), 1);
    events(&restricted, "alert")
}

#[test]
fn a_live_process_keeps_restricted_events_in_a_private_file_of_its_own() {
    let place = Place::new("");
    let outcome = played(&place, false, &[]);
    let restricted = apart(&place, "restricted.json", &outcome);
    assert_eq!(detections(&restricted), ["PFCP-DUPL", "PFCP-DUPL"]);
    assert_eq!(restricted[1]["weir"]["final"], true);
    assert_eq!(mode(&place.path("control.db")), 0o600);
    // Whoever may see the file sees all of it.
    let weir = &restricted[0]["weir"];
    assert_eq!(weir["session"]["ue"], "10.60.0.1");
    assert_eq!(weir["rule"]["after"]["apply"], json!(["FORW", "DUPL"]));
}

#[test]
fn a_replay_that_names_a_place_for_them_keeps_them_apart_too() {
    let place = Place::new("");
    let file = place.path("li.json");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let options = ["--until-end", "--restricted-events", file.to_str().unwrap()];
    let outcome = played(&place, true, &options);
    assert_eq!(detections(&apart(&place, "li.json", &outcome)), ["PFCP-DUPL", "PFCP-DUPL"]);
}

#[test]
fn who_replays_a_capture_sees_all_unless_they_say_otherwise() {
    let place = Place::new("");
    let (summary, printed) = played(&place, true, &["--until-end"]);
    let alerts = place.events("alert");
    assert_eq!(
        detections(&alerts),
        [
            "PFCP-REDIR",
            "PFCP-DUPL",
            "EGR-NOTALLOWED",
            "EGR-NOTALLOWED",
            "EGR-NOTALLOWED",
            "PFCP-DUPL",
            "PFCP-REDIR"
        ]
    );
    assert_eq!(alerts[3]["weir"]["superseded_by"], "PFCP-DUPL");
    assert_eq!(summary["alerts"]["PFCP-DUPL"], 1);
    assert!(printed.contains("PFCP-DUPL"), "{printed}");
    assert_eq!(fs::read_to_string(place.path("restricted.json")).unwrap(), "");
    // Copies are listed in the event that is about them, and masked in all others.
    assert_eq!(alerts[1]["weir"]["rule"]["after"]["apply"], json!(["FORW", "DUPL"]));
    assert_eq!(alerts[0]["weir"]["rule"]["after"]["apply"], json!(["FORW"]));
}

#[test]
fn an_alert_tells_what_n4_has_to_say() {
    let place = Place::new("");
    played(&place, true, &["--until-end"]);
    let alerts = place.events("alert");
    let mut event = alerts[0].clone();
    let weir = event["weir"].as_object_mut().unwrap();
    for key in
        ["equipment", "same_build", "policy", "outer", "why", "ruled_out", "next", "expected"]
    {
        assert!(weir.remove(key).is_some(), "{key}");
    }
    assert_eq!(
        event,
        json!({
            "timestamp": "2023-11-14T22:13:20.003000000Z",
            "flow_id": "0xabc",
            "in_iface": "n3-east",
            "event_type": "alert",
            "src_ip": "10.0.0.1",
            "src_port": 40_000,
            "dest_ip": "198.51.100.7",
            "dest_port": 443,
            "proto": "TCP",
            "alert": {
                "action": "allowed",
                "gid": 1,
                "signature_id": 5_290_023,
                "rev": 1,
                "signature": "The control plane re-points a subscriber's traffic",
                "category": "Misc Attack",
                "severity": 1
            },
            "weir": {
                "id": "1cf248597488fd88",
                "incident": 1,
                "detection": "PFCP-REDIR",
                "severity": "critical",
                "confidence": 0.75,
                "status": "degraded",
                "update": 0,
                "final": false,
                "site": "lab",
                "tap": "n3-east",
                "link": "n3",
                "direction": "dl",
                "initiator": "peer",
                "peer": {"ip": "198.51.100.7", "equipment": null},
                "gtpu": {"teid": 8, "qfi": 9, "teids": [8, 9]},
                "session": {
                    "cp_seid": "0x1",
                    "up_seid": "0x2a",
                    "ue": "10.60.0.1",
                    "dnn": "internet",
                    "supi": "h:0123456789abcdef",
                    "slice": "1-010203"
                },
                "rule": {
                    "before": {"far": 1, "apply": ["FORW"], "to": {"teid": 7, "addr": "10.0.0.1"}},
                    "after": {
                        "far": 1,
                        "apply": ["FORW"],
                        "to": {"teid": 8, "addr": "198.51.100.7"}
                    }
                },
                "ordered_by": {"ip": "10.0.0.2", "equipment": "gnb-2"},
                "observed": "gnb-2 (10.0.0.2) ordered that FAR 1 of the session of 10.60.0.1 \
                             (UP SEID 0x2a) sends packets to 198.51.100.7 (TEID 8), no longer to \
                             10.0.0.1 (TEID 7).",
                "packets": 3,
                "bytes": 300,
                "first": "2023-11-14T22:13:20.000000000Z",
                "last": "2023-11-14T22:13:20.003000000Z",
                "sensor_loss_ratio": 0.0,
                "n4_coverage": 0.75,
                "technique": ["T1565.002", "T1557"],
                "dedup": "PFCP-REDIR|gnb-1|198.51.100.0/24|2023-11-14"
            }
        })
    );
}

#[test]
fn a_session_is_told_in_the_names_of_weir_sessions() {
    let place = Place::new("");
    played(&place, true, &["--until-end"]);
    let mut event = place.events("session").remove(0);
    assert_eq!(event["weir"]["policy"]["version"], 1);
    event["weir"].as_object_mut().unwrap().remove("policy");
    assert_eq!(
        event,
        json!({
            "timestamp": "2023-11-14T22:13:22.000000000Z",
            "event_type": "session",
            "weir": {
                "site": "lab",
                "cp_seid": "0x1",
                "up_seid": "0x2a",
                "cp": "10.0.2.1",
                "up": "10.0.1.1",
                "generation": 1,
                "state": "deleted",
                "established": "2023-11-14T22:13:20.000000000Z",
                "ended": "2023-11-14T22:13:21.000000000Z",
                "ue": ["10.60.0.1"],
                "network_instance": "internet",
                "dnn": "internet",
                "supi": "h:00000000000000ff",
                "slice": "1",
                "uplink": [{"teid": 1, "addr": "10.0.1.1"}],
                "downlink": [{"teid": 7, "addr": "10.0.0.1"}],
                "modifications": 2,
                "reports": 1,
                "packets": {"ul": 1, "dl": 2},
                "bytes": {"ul": 3, "dl": 4},
                "qfi": {"ul": [9], "dl": [1, 9]},
                "reported_bytes": {"ul": 3, "dl": 40},
                "usage_mismatch": true
            }
        })
    );
}

#[test]
fn a_crash_neither_loses_nor_repeats_restricted_events() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let control = place.control(&[]);
    let (connection, _) = sensor.accept();
    sensor.push(&say(copied())).unwrap();
    sensor.await_released(1);
    control.kill();
    drop(connection);
    let half = fs::OpenOptions::new().append(true).open(place.path("restricted.json"));
    std::io::Write::write_all(&mut half.unwrap(), b"{\"not\":\"committed\"").unwrap();
    let mut control = place.control(&[]);
    let (_connection, _) = sensor.accept();
    let grown = Alert { packets: 30, ..copied() };
    sensor.push(&say(grown)).unwrap();
    sensor.await_released(2);
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    let restricted = fs::read_to_string(place.path("restricted.json")).unwrap();
    let updates: Vec<_> = events(&restricted, "alert")
        .iter()
        .map(|event| (event["weir"]["update"].clone(), event["weir"]["packets"].clone()))
        .collect();
    assert_eq!(updates, [(0.into(), 3.into()), (1.into(), 30.into()), (2.into(), 30.into())]);
}

#[test]
fn a_policy_that_control_never_had_is_told_without_its_name() {
    let place = Place::new("");
    let mut sensor = Sensor::start(&place.socket(), true, 64);
    let mut control = place.control(&["--until-end"]);
    let (_connection, policy) = sensor.accept();
    let unknown = PolicySwap {
        at: Nanos(START),
        // Another control's policy may have the same version.
        version: policy.unwrap().version,
        sha256: [0xab; 32],
        equipment: (0, 2),
        rules: (0, 0),
    };
    sensor.push(&Verdict::Policy(unknown)).unwrap();
    sensor.push(&say(alert(1, 0, 1))).unwrap();
    sensor.end(START + SECOND);
    assert_eq!(control.wait().code(), Some(0));
    assert_eq!(place.events("policy")[0]["weir"]["policy"], json!({"version": 1}));
    assert_eq!(place.events("alert")[0]["weir"]["equipment"], json!({"id": "#0"}));
    assert!(!place.text().contains("abab"));
}

#[test]
fn what_is_authorised_reaches_the_sensor_and_no_event() {
    let place = Place::new("");
    let secret = "[[authorised]]\nto = \"10.9.9.9\"\nsessions = 2\n";
    fs::write(place.path("li.toml"), secret).unwrap();
    fs::set_permissions(place.path("li.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    let config = place.path("weir.toml");
    fs::write(&config, "[paths]\nlawful_intercept = \"li.toml\"\n").unwrap();
    let mut sensor = Sensor::start(&place.socket(), false, 64);
    let mut control = place.control(&["--config", config.to_str().unwrap()]);
    let (mut connection, policy) = sensor.accept();
    let policy = policy.unwrap();
    let authorised = policy.authorised.as_deref().unwrap();
    assert_eq!((authorised.len(), authorised[0].sessions), (1, 2));
    let swap = |policy: &weir_policy::PolicyMessage| {
        Verdict::Policy(PolicySwap {
            at: Nanos(START),
            version: policy.version,
            sha256: policy.fingerprint(),
            equipment: (0, 2),
            rules: (0, 0),
        })
    };
    sensor.push(&swap(&policy)).unwrap();
    sensor.await_released(1);
    // Another authorisation is sent, and is no policy that anybody hears of.
    fs::write(place.path("li.toml"), secret.replace("= 2", "= 3")).unwrap();
    control.signal(Signal::SIGHUP);
    let second = receive_policy(&mut connection).unwrap();
    assert_eq!(
        (second.authorised.as_ref().unwrap()[0].sessions, second.version),
        (3, policy.version)
    );
    sensor.push(&swap(&second)).unwrap();
    sensor.push(&say(alert(1, 0, 1))).unwrap();
    sensor.await_released(3);
    // One that others may read is not taken.
    fs::set_permissions(place.path("li.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    control.signal(Signal::SIGHUP);
    let refused = control.says("the file has mode 0640");
    assert!(!refused.contains("10.9.9.9"), "{refused}");
    control.says("the old inventory and policy stay in force");
    control.signal(Signal::SIGTERM);
    assert_eq!(control.wait().code(), Some(0));
    let policies = place.events("policy");
    let states: Vec<_> = policies.iter().map(|event| &event["weir"]["state"]).collect();
    assert_eq!(states, ["in_force", "refused"]);
    let hash: String = policy.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(policies[0]["weir"]["policy"]["sha256"], hash);
    assert_eq!(place.events("alert")[0]["weir"]["policy"]["sha256"], hash);
    assert!(!place.text().contains("10.9.9.9"));
    assert_eq!(place.events("alert")[0]["weir"]["equipment"]["id"], "gnb-1");
}
