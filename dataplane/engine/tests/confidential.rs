//! Where copies of subscribers' traffic go is told of in confidence only, though no order was seen.

mod lab;

use std::collections::BTreeSet;

use lab::{Script, g_pdu, ip, judge, prefix, rule_set};
use weir_engine::contract::verdict::Verdict;
use weir_engine::detect::{CATALOGUE, EGR_NOTALLOWED, GTP_PEER};
use weir_engine::rules::{Authorised, Equipment, Link, Roles, RuleSet};

const FUNCTION: &str = "10.9.9.9";
const UPF: &str = "10.0.1.1";

/// As a file says that names the mediation function.
fn authorising(set: RuleSet) -> RuleSet {
    let to = FUNCTION.parse::<std::net::IpAddr>().unwrap().into();
    RuleSet { authorised: Some(vec![Authorised { upf: None, to, sessions: 9 }]), ..set }
}

/// The open records in which the mediation function stands, by their kinds, on 1, 2 and 3 workers.
fn open(script: &Script, link: Link, set: &RuleSet) -> BTreeSet<String> {
    let kind = |verdict: &Verdict| match verdict {
        Verdict::Alert(alert) => {
            let known = &CATALOGUE[usize::from(alert.detection)];
            (!known.restricted).then(|| known.id.to_owned())
        }
        other => format!("{other:?}").split('(').next().map(str::to_owned),
    };
    let of = |workers| -> BTreeSet<String> {
        let said = judge(&script.shots, link, set.clone(), workers);
        let naming = said.iter().filter(|verdict| format!("{verdict:?}").contains(FUNCTION));
        naming.filter_map(kind).collect()
    };
    let alone = of(1);
    assert!([2, 3].into_iter().all(|workers| of(workers) == alone));
    alone
}

fn at_port(address: &str, port: u16) -> String {
    format!("{address}:{port}")
}

/// UPF and function exchange G-PDUs.
fn copies() -> Script {
    let mut script = Script::default();
    let (upf, function) = (at_port(UPF, 2152), at_port(FUNCTION, 2152));
    for n in 0..20 {
        script.udp(&upf, &function, &g_pdu(n)).udp(&function, &upf, &g_pdu(n)).wait(1.0);
    }
    script
}

/// What a UPF asks of the function and sends it besides.
fn dealings() -> Script {
    let mut script = Script::default();
    let client = at_port(UPF, 40_000);
    let request = b"GET / HTTP/1.1\r\nHost: mediation.example\r\n\r\n";
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\x03com\0\0\x10\0\x01";
    let mut ntp = [0; 48];
    ntp[0] = 0x23;
    let echo = [&[8, 0, 0, 0, 0, 1, 0, 1][..], &[0x5a; 400]].concat();
    for _ in 0..20 {
        script.tcp(&client, &at_port(FUNCTION, 80), 2, 0, b"");
        script.tcp(&client, &at_port(FUNCTION, 80), 0x18, 1, request);
        script.udp(&client, &at_port(FUNCTION, 53), question);
        script.udp(&client, &at_port(FUNCTION, 123), &ntp);
        script.push(ip(UPF, FUNCTION, 1, &echo));
        script.wait(1.0);
    }
    script
}

fn tunnel() -> Script {
    let mut script = Script::default();
    let packet = lab::ip_packet("10.60.0.7", "192.0.2.53", 17, &[0; 20]);
    for _ in 0..20 {
        script.push(ip(UPF, FUNCTION, 47, &[&[0, 0, 8, 0][..], &packet].concat())).wait(1.0);
    }
    script
}

/// Each kind of record, without an entry in the file, and with one.
fn withheld(script: &Script, link: Link, set: RuleSet, kinds: &[&str]) {
    let said = open(script, link, &set);
    let expected: BTreeSet<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    assert!(said.is_superset(&expected), "{said:?} without an entry");
    assert_eq!(open(script, link, &authorising(set)), BTreeSet::new());
}

#[test]
fn no_record_names_a_function_of_the_file_though_no_order_was_seen() {
    withheld(&copies(), Link::N3, rule_set(), &["GTP-PEER", "Flow"]);
    let kinds = ["EGR-NOTALLOWED", "Features", "Activity", "Questions", "COV-ICMP", "COV-TIME"];
    withheld(&dealings(), Link::Oam, rule_set(), &kinds);
    withheld(&tunnel(), Link::N3, rule_set(), &["TUN-FOREIGN", "Flow"]);
    withheld(&copies(), Link::N6, rule_set(), &["GTP-PEER"]);
}

/// What is more general takes the flow then.
#[test]
fn nor_does_one_where_gtp_peer_is_disabled() {
    let mut set = rule_set();
    set.settings.enabled[usize::from(GTP_PEER)] = false;
    withheld(&copies(), Link::N3, set.clone(), &["EGR-NOTALLOWED", "Flow"]);
    set.settings.enabled[usize::from(EGR_NOTALLOWED)] = false;
    withheld(&copies(), Link::N3, set, &["INV-UNKNOWN"]);
    let mut set = rule_set();
    set.settings.enabled[usize::from(GTP_PEER)] = false;
    set.esp_only.push((prefix(UPF), prefix(FUNCTION)));
    withheld(&copies(), Link::N3, set.clone(), &["TUN-FOREIGN"]);
    // Single packets are told of where no flow's offence explains them.
    let mut script = Script::default();
    for n in 0..20 {
        let mut message = g_pdu(n);
        message[0] |= 8;
        script.udp(&at_port(UPF, 2152), &at_port(FUNCTION, 2152), &message).wait(1.0);
    }
    let mut set = rule_set();
    set.settings.enabled[usize::from(GTP_PEER)] = false;
    withheld(&script, Link::N3, set, &["GTP-HDRCOV"]);
}

#[test]
fn equipment_for_mediation_that_the_file_does_not_name_is_told_of_as_any() {
    let mut set = rule_set();
    set.equipment.push(Equipment {
        roles: Roles::MEDIATION,
        prefixes: vec![prefix(FUNCTION)],
        macs: Vec::new(),
    });
    set.authorised = Some(Vec::new());
    let kinds = |script: Script, link| open(&script, link, &set);
    assert!(kinds(copies(), Link::N3).contains("GTP-PEER"));
    let said = kinds(dealings(), Link::Oam);
    assert!(["EGR-NOTALLOWED", "Flow", "Activity"].iter().all(|it| said.contains(*it)), "{said:?}");
}
