//! Lawful interception and what blinds: what is written, what is copied, what is not captured.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use weir_pcaps::{Labels, Link, Message, Packet, Scenario, bundled};

fn play(text: &str) -> (Vec<Packet>, Labels) {
    let scenario = Scenario::parse(text, Path::new("scenario.toml")).unwrap();
    let mut generation = scenario.generate();
    let packets = generation.by_ref().collect();
    (packets, generation.labels().clone())
}

/// The bundled scenario without its theft, and with this.
fn with(more: &str) -> String {
    let until = bundled::INTERCEPTION.find("[[theft").unwrap();
    format!("{}{more}", &bundled::INTERCEPTION[..until])
}

#[test]
fn what_is_authorised_is_written_for_its_owner_alone_and_named_by_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = Scenario::parse(&with(""), Path::new("scenario.toml")).unwrap();
    let report = scenario.write_to(directory.path(), |_| {}).unwrap();
    let config = std::fs::read_to_string(report.config_file.unwrap()).unwrap();
    assert!(config.contains("lawful_intercept = \"li.toml\""), "{config}");
    let file = directory.path().join("li.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "[[authorised]]\nto = \"10.0.1.200\"\nsessions = 4\n");
    let policy = std::fs::read_to_string(&report.policy_file).unwrap();
    assert!(policy.contains("[detections.LI-UNMATCHED]\nfeed_lag_seconds = 120"), "{policy}");
    // It names nobody whose interception is authorised.
    assert!(!policy.contains("10.0.1.200"), "{policy}");
    let plain = Scenario::parse(bundled::PROOF, Path::new("scenario.toml")).unwrap();
    assert!(plain.write_to(directory.path().join("plain"), |_| {}).unwrap().config_file.is_none());
}

#[test]
fn a_theft_is_its_orders_and_its_copies_and_warrants_are_none() {
    let (packets, labels) = play(bundled::INTERCEPTION);
    let [theft] = &labels.thefts[..] else { panic!("one theft") };
    assert_eq!(theft.expectation.detection, "LI-UNMATCHED");
    assert_eq!(theft.expectation.equipment.as_deref(), Some("upf-1"));
    let stolen: Vec<_> = packets.iter().filter(|packet| packet.theft == Some(0)).collect();
    // Three orders, each with its answer; then copies, about one a second and session.
    let orders = stolen.iter().filter(|it| it.link == Link::N4).count();
    assert_eq!(orders, 6);
    let copies = stolen.iter().filter(|it| it.message == Some(Message::Gtpu(255))).count();
    assert!(copies + orders == stolen.len() && (870..=900).contains(&copies), "{copies}");
    let silent = |name: &str| labels.groups.iter().find(|group| group.name == name).unwrap();
    for name in ["warrants", "warrant-elsewhere", "told-late"] {
        assert!(silent(name).frames.len() > 100, "{name}");
    }
}

#[test]
fn a_tap_that_loses_one_way_of_n4_captures_nothing_of_it_and_all_else() {
    let blinding = "[[theft.blinding]]\nid = \"one-way\"\nhow = \"n4-one-way\"\n\
                    start_seconds = 200\nseconds = 100\namount = 1.0\n";
    let ((before, _), (after, labels)) = (play(&with("")), play(&with(blinding)));
    let theft = &labels.thefts[0];
    assert_eq!(before.len(), after.len() + theft.packets as usize);
    assert!(theft.packets > 40 && theft.bytes > 40 * theft.packets);
    // Every other frame is the same, and captured.
    let mut left = after.iter().peekable();
    let lost: Vec<_> = before.iter().filter(|packet| left.next_if_eq(packet).is_none()).collect();
    assert_eq!(lost.len() as u64, theft.packets);
    assert!(lost.iter().all(|packet| packet.link == Link::N4));
}

#[test]
fn a_clock_that_is_set_back_goes_on_from_there() {
    let blinding = "[[theft.blinding]]\nid = \"clock\"\nhow = \"clock-back\"\n\
                    start_seconds = 200\nseconds = 100\namount = 2.5\n";
    let ((before, _), (after, labels)) = (play(&with("")), play(&with(blinding)));
    let steps = after.windows(2).filter(|pair| pair[1].time_ns < pair[0].time_ns).count();
    assert_eq!((steps, after.len()), (1, before.len()));
    for (one, other) in before.iter().zip(&after) {
        let by = one.time_ns - other.time_ns;
        assert!(one.frame == other.frame && [0, 2_500_000_000].contains(&by));
    }
    let marked = after.iter().filter(|packet| packet.theft == Some(0)).count();
    assert_eq!(marked as u64, labels.thefts[0].packets);
    assert_eq!(labels.thefts[0].expectation.equipment, None);
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_place() {
    let streams = |equipment: &str, sessions: u32| {
        format!(
            "[[theft.interception]]\nid = \"x\"\nequipment = \"{equipment}\"\n\
             peer = \"203.0.113.9\"\nstart_seconds = 5\nseconds = 9\nsessions = {sessions}\n\
             every_milliseconds = 500\n"
        )
    };
    let blinding = |amount: &str| {
        format!(
            "[[theft.blinding]]\nid = \"x\"\nhow = \"n4-one-way\"\nstart_seconds = 5\n\
             seconds = 9\namount = {amount}\n"
        )
    };
    for (more, what) in [
        (streams("smf-1", 1), "\"smf-1\" is no upf"),
        (streams("upf-1", 0), "sessions is out of range"),
        (blinding("1.5"), "amount is out of range"),
        (blinding("-1.0"), "amount is out of range"),
        (blinding("nan"), "amount is out of range"),
    ] {
        let refused = Scenario::parse(&with(&more), Path::new("s.toml")).unwrap_err().to_string();
        assert!(refused.starts_with(what) && refused.contains("s.toml:"), "{refused}");
    }
}
