//! What is told of the names that equipment asks the DNS for.

mod lab;

use lab::{GNB, Script, judge, rule_set};
use weir_engine::contract::content::Questions;
use weir_engine::contract::verdict::Verdict;
use weir_engine::rules::Link;

const RESOLVER: &str = "10.0.3.53:53";

/// A DNS message with this question; `flags` says whether it asks or answers.
fn message(flags: u8, labels: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, flags, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in labels {
        message.push(label.len() as u8);
        message.extend(*label);
    }
    message.extend([0, 0, 16, 0, 1]);
    // EDNS, as most ask today.
    message.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    message
}

fn question(labels: &[&[u8]]) -> Vec<u8> {
    message(1, labels)
}

/// What is told, after one, two and three workers have seen the same.
fn told(script: &Script) -> Vec<Questions> {
    let told = |workers| -> Vec<Questions> {
        let said = judge(&script.shots, Link::Oam, rule_set(), workers);
        let questions = |verdict| match verdict {
            Verdict::Questions(asked) => Some(*asked),
            _ => None,
        };
        said.into_iter().filter_map(questions).collect()
    };
    let one = told(1);
    assert!([2, 3].into_iter().all(|workers| told(workers) == one));
    one
}

#[test]
fn names_are_told_by_the_domain_that_somebody_registered() {
    let mut script = Script::default();
    for labels in [
        &[&b"a"[..], b"b", b"Evil", b"co", b"uk"][..],
        &[b"C", b"evil", b"CO", b"uk"],
        &[b"c", b"evil", b"co", b"uk"],
        &[b"x", b"good", b"co", b"uk"],
    ] {
        script.udp("10.0.0.1:5353", RESOLVER, &question(labels));
    }
    let told = told(&script);
    let summary: Vec<_> =
        told.iter().map(|it| (it.domain.as_str(), it.names.len(), it.total.0)).collect();
    assert_eq!(summary, [("evil.co.uk", 2, 3), ("good.co.uk", 1, 1)]);
    let evil = &told[0];
    assert_eq!((evil.equipment, evil.name.as_str(), evil.first_label), (GNB, "a.b.evil.co.uk", 1));
    assert_eq!((evil.tuple.destination_port, evil.tuple.source_port), (53, 5353));
    assert_eq!(evil.names[0].bits, 2, "two octets that differ");
}

#[test]
fn what_resolvers_and_strangers_ask_is_not_told_and_answers_tell_too() {
    let mut script = Script::default();
    script.udp("10.0.3.53:4000", "192.0.2.1:53", &question(&[b"a", b"example"]));
    script.udp("192.0.2.1:53", "10.0.3.53:4000", &message(0x81, &[b"a", b"example"]));
    script.udp("198.51.100.7:4000", RESOLVER, &question(&[b"b", b"example"]));
    assert_eq!(told(&script), []);
    script.udp(RESOLVER, "10.0.0.1:4000", &message(0x81, &[b"c", b"example", b"com"]));
    let told = told(&script);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].domain.as_str(), told[0].tuple.destination_port), ("example.com", 53));
}

#[test]
fn questions_in_a_stream_are_read_with_their_length_or_without() {
    let mut script = Script::default();
    let message = question(&[b"d", b"example", b"com"]);
    let mut whole = (message.len() as u16).to_be_bytes().to_vec();
    whole.extend(&message);
    script.tcp("10.0.0.1:4000", RESOLVER, 0x18, 1, &whole);
    script.tcp("10.0.0.1:4000", RESOLVER, 0x18, 1, &whole[..2]);
    script.tcp("10.0.0.1:4000", RESOLVER, 0x18, 1, &message);
    let told = told(&script);
    assert_eq!((told[0].total.0, told[0].names.len()), (2, 1));
}

#[test]
fn every_question_of_a_segment_is_read_whatever_its_number() {
    let mut script = Script::default();
    let mut several = Vec::new();
    for n in 0..5 {
        let message = question(&[format!("n{n}").as_bytes(), b"example", b"com"]);
        several.extend((message.len() as u16).to_be_bytes());
        several.extend(&message);
    }
    script.tcp("10.0.0.1:4000", RESOLVER, 0x18, 1, &several);
    // The length came before, and the number looks like one.
    let mut message = question(&[b"own", b"example", b"com"]);
    message[..2].copy_from_slice(&[0, 20]);
    script.tcp("10.0.0.1:4000", RESOLVER, 0x18, 1, &message);
    // What is behind the question comes in the next segment.
    let mut cut = question(&[b"cut", b"example", b"com"]);
    cut.splice(0..0, (cut.len() as u16).to_be_bytes());
    script.tcp("10.0.0.1:4000", RESOLVER, 0x18, 1, &cut[..cut.len() - 11]);
    let told = told(&script);
    assert_eq!((told[0].names.len(), told[0].total.0), (7, 7), "{told:?}");
}

#[test]
fn asking_for_the_root_takes_no_domains_room() {
    let mut script = Script::default();
    for _ in 0..600 {
        script.wait(11.0).udp("10.0.0.1:4000", RESOLVER, &question(&[]));
    }
    script.wait(11.0).udp("10.0.0.1:4000", RESOLVER, &question(&[b"a", b"example", b"com"]));
    let told = told(&script);
    assert_eq!((told.len(), told[600].domain.as_str()), (601, "example.com"));
}

#[test]
fn labels_are_measured_as_they_are_and_names_defused() {
    let mut script = Script::default();
    let longest = [b'x'; 63];
    script.udp("10.0.0.1:4000", RESOLVER, &question(&[&longest, b"evil", b"example"]));
    script.udp("10.0.0.1:4000", RESOLVER, &question(&[b"a.b\x1b[2J", b"evil", b"example"]));
    let told = told(&script);
    assert_eq!(told.len(), 1, "a dot within a label ends none: {told:?}");
    assert_eq!((told[0].first_label, told[0].domain.as_str()), (63, "evil.example"));
}

#[test]
fn a_fast_tunnel_costs_a_record_a_second_and_what_found_no_room_is_counted() {
    let mut script = Script::default();
    for n in 0..3_000_u32 {
        let label = format!("{n:08x}");
        script.udp("10.0.0.1:4000", RESOLVER, &question(&[label.as_bytes(), b"evil", b"example"]));
    }
    let told = told(&script);
    assert!((18..=31).contains(&told.len()), "{} in 30 s", told.len());
    let (names, folded) =
        told.iter().fold((0, 0), |sum, it| (sum.0 + it.names.len() as u64, sum.1 + it.folded));
    assert_eq!(names + folded, 3_000);
    assert_eq!(told.iter().map(|it| it.total.0).sum::<u64>(), 3_000);
}

#[test]
fn a_flood_of_domains_shares_a_row_and_drives_no_other_out() {
    let mut script = Script::default();
    let tunnel = |script: &mut Script, n: u32| {
        let label = format!("{n:08x}");
        script.udp("10.0.0.1:4000", RESOLVER, &question(&[label.as_bytes(), b"evil", b"example"]));
    };
    tunnel(&mut script, 0);
    for n in 0..700_u32 {
        let domain = format!("{n:08x}");
        script.udp("10.0.0.1:4000", RESOLVER, &question(&[b"a", domain.as_bytes(), b"com"]));
        script.now -= 0.009;
    }
    tunnel(&mut script, 1);
    script.udp("10.0.0.2:4000", RESOLVER, &question(&[b"a", b"other", b"example"]));
    let told = told(&script);
    let of = |domain: &str| told.iter().find(|it| it.domain == domain).unwrap();
    assert_eq!(of("evil.example").names.len(), 2);
    assert_eq!(of("other.example").names.len(), 1);
    let shared = of("");
    assert_eq!(shared.names.len() as u64 + shared.folded, 700 - 511);
}

#[test]
fn cut_and_noisy_messages_tell_nothing_and_hurt_nobody() {
    let whole = question(&[b"a", b"example", b"com"]);
    let needed = whole.len() - 11;
    let mut script = Script::default();
    for end in 0..needed {
        script.udp("10.0.0.1:4000", RESOLVER, &whole[..end]);
    }
    let mut noise = lab::Noise(0x5eed);
    for len in 0..600 {
        let mut bytes: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
        if let Some(counts) = bytes.get_mut(4..12) {
            counts.copy_from_slice(&[0, 2, 0, 9, 0, 1, 0, 1]);
        }
        script.udp("10.0.0.1:4000", RESOLVER, &bytes);
    }
    assert_eq!(told(&script), []);
    script.udp("10.0.0.1:4000", RESOLVER, &whole[..needed]);
    assert_eq!(told(&script).len(), 1);
}
