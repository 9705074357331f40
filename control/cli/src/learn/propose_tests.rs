use super::*;
use crate::learn::fixture::{flow, inventory};
use crate::learn::seen::Record;

const GNBS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];

fn proposed(records: &[Record]) -> Candidate {
    let inventory = inventory();
    let mut talks = Talks::since(&inventory, Nanos(0));
    records.iter().for_each(|record| talks.take(record, record.is_allowed));
    propose(&talks)
}

fn rules(rules: &[Proposal]) -> Vec<String> {
    rules.iter().map(|it| format!("{} → {} {}", it.from, it.to, it.service)).collect()
}

#[test]
fn what_all_of_a_role_do_is_one_rule() {
    let all = GNBS.map(|gnb| flow(gnb, "10.0.0.21", 17, 53, 0));
    let candidate = proposed(&all);
    assert_eq!(rules(&candidate.equipment), [r#"{ role = "gnb" } → { id = "dns \"1\"" } udp/53"#]);
    let evidence = &candidate.equipment[0].evidence;
    assert_eq!((evidence.flows, evidence.nodes.len(), evidence.bytes), (4, 4, (8_000, 12_000)));
    let build = r#"{ vendor = "A", model = "gnb \"A\" \\x", build = "1.0" }"#;
    let some = rules(&proposed(&all[..3]).equipment);
    assert_eq!(
        some,
        [
            format!(r#"{build} → {{ id = "dns \"1\"" }} udp/53"#),
            r#"{ id = "gnb-b1" } → { id = "dns \"1\"" } udp/53"#.into(),
        ]
    );
}

#[test]
fn a_rule_by_role_stands_for_no_pair_that_was_not_seen() {
    let from_manager = |to: &[&str]| {
        rules(
            &proposed(&to.iter().map(|to| flow("10.0.0.31", to, 6, 830, 0)).collect::<Vec<_>>())
                .equipment,
        )
    };
    assert_eq!(from_manager(&GNBS), [r#"{ id = "ems-1" } → { role = "gnb" } netconf"#]);
    assert_eq!(from_manager(&GNBS[1..3]).len(), 2);
    let mut partly: Vec<_> = GNBS.iter().map(|gnb| flow(gnb, "10.0.0.11", 6, 9_000, 0)).collect();
    partly.push(flow("10.0.0.1", "10.0.0.21", 6, 9_000, 0));
    assert_eq!(
        rules(&proposed(&partly).equipment),
        [
            r#"{ role = "gnb" } → { id = "upf-1" } tcp/9000"#,
            r#"{ id = "gnb-a1" } → { id = "dns \"1\"" } tcp/9000"#,
        ]
    );
}

#[test]
fn a_service_that_either_end_opens_is_one_rule() {
    let both = [
        flow("10.0.0.1", "10.0.0.11", 17, 2152, 0),
        flow("10.0.0.11", "10.0.0.1", 17, 2152, 500),
        flow("10.0.0.2", "10.0.0.11", 17, 2152, 0),
        flow("10.0.0.11", "10.0.0.3", 17, 2152, 0),
        flow("10.0.0.4", "10.0.0.11", 17, 2152, 0),
    ];
    let candidate = proposed(&both);
    assert_eq!(rules(&candidate.equipment), [r#"{ role = "gnb" } → { id = "upf-1" } gtpu"#]);
    let evidence = &candidate.equipment[0].evidence;
    assert_eq!((evidence.flows, evidence.pairs, evidence.nodes.len()), (5, 4, 4));
    let equals: Vec<_> = GNBS
        .iter()
        .enumerate()
        .flat_map(|(at, a)| GNBS[at + 1..].iter().map(move |b| flow(a, b, 17, 2152, 0)))
        .collect();
    let candidate = proposed(&equals);
    assert_eq!(rules(&candidate.equipment), [r#"{ role = "gnb" } → { role = "gnb" } gtpu"#]);
    assert_eq!(candidate.equipment[0].evidence.flows, 6);
}

#[test]
fn the_suspicious_is_never_generalised() {
    let shells: Vec<_> = GNBS.iter().map(|gnb| flow(gnb, "10.0.0.11", 6, 22, 0)).collect();
    let candidate = proposed(&shells);
    assert_eq!((candidate.equipment.len(), candidate.suspicious.len()), (0, 4));
    assert!(candidate.suspicious.iter().all(|rule| matches!(rule.from, Selector::Id(_))));
    // Nor does it complete the group that others are part of.
    let mut mixed: Vec<_> = GNBS.iter().map(|gnb| flow(gnb, "10.0.0.21", 6, 9_000, 0)).collect();
    mixed[0].is_opener_known = false;
    let candidate = proposed(&mixed);
    assert_eq!(candidate.suspicious.len(), 1);
    assert!(candidate.equipment.iter().all(|rule| !matches!(rule.from, Selector::Role(_))));
}

#[test]
fn strangers_are_named_by_no_address_more_than_was_seen() {
    let peers =
        [4, 5, 6, 7, 9].map(|last| flow("10.0.0.1", &format!("198.51.100.{last}"), 17, 123, 0));
    let candidate = proposed(&peers);
    assert_eq!(
        rules(&candidate.strangers),
        [
            r#"{ id = "gnb-a1" } → { cidr = "198.51.100.4/30" } ntp"#,
            r#"{ id = "gnb-a1" } → { cidr = "198.51.100.9/32" } ntp"#,
        ]
    );
    assert_eq!(candidate.strangers[0].evidence.flows, 4);
    let two =
        [flow("10.0.0.1", "2001:db8::1", 17, 123, 0), flow("10.0.0.2", "2001:db8::1", 17, 123, 0)];
    let two = proposed(&two);
    let many = two.strangers.iter().chain(&two.suspicious);
    assert!(many.into_iter().all(|rule| matches!(rule.from, Selector::Id(_))));
}

#[test]
fn a_heartbeat_is_declared_between_equipment_where_no_standard_has_it() {
    let beats = |to: &str, protocol: u8, port: u16| {
        let beats: Vec<_> =
            (0..12).map(|beat| flow("10.0.0.1", to, protocol, port, beat * 600)).collect();
        let candidate = proposed(&beats);
        let rule = candidate.all().next().unwrap();
        (rule.is_periodic, rule.evidence.beating)
    };
    assert_eq!(beats("10.0.0.21", 17, 53), (true, 1));
    assert_eq!(beats("10.0.0.11", 17, 2152), (false, 1), "GTP-U's Echoes");
    assert_eq!(beats("198.51.100.7", 6, 443), (false, 1), "a stranger's is never declared");
    let own = Selector::Id("gnb-a1".into());
    let stranger = Selector::Cidr("198.51.100.7/32".parse().unwrap());
    let beating = Evidence { beating: 1, ..Evidence::default() };
    let of = |from: &Selector, to: &Selector| {
        rule((from.clone(), to.clone()), (17, Some(53)), beating.clone(), Vec::new()).unwrap()
    };
    assert!(of(&own, &own).is_periodic);
    assert!(!of(&own, &stranger).is_periodic && !of(&stranger, &own).is_periodic);
}

#[test]
fn the_most_frequent_peers_are_listed_and_the_rest_counted() {
    let mut records: Vec<_> =
        (0..100).map(|last| flow("10.0.0.1", &format!("203.0.{last}.1"), 17, 123, 0)).collect();
    records
        .extend((0..3).map(|at| flow("10.0.0.1", "198.51.100.7", 17, 123, 1_000 + at * at * 777)));
    let candidate = proposed(&records);
    assert_eq!(candidate.strangers.len(), STRANGERS);
    let unlisted: Vec<_> = candidate.unlisted.values().collect();
    assert_eq!(unlisted, [&(101 - STRANGERS as u64, 101 - STRANGERS as u64)]);
    assert!(rules(&candidate.strangers).iter().any(|rule| rule.contains("198.51.100.7")));
    let ports: Vec<_> =
        (1..=40).map(|port| flow("10.0.0.1", "10.0.0.11", 17, 7_000 + port, 0)).collect();
    assert_eq!(proposed(&ports).equipment.len(), SERVICES);
}

#[test]
fn no_policy_is_proposed_that_is_too_long_to_be_one() {
    let rule = |number: u16| {
        let ends = (Selector::Id("a".into()), Selector::Id("b".into()));
        let evidence = Evidence { flows: u64::from(number), ..Evidence::default() };
        rule(ends, (6, Some(number)), evidence, Vec::new()).unwrap()
    };
    let mut candidate =
        Candidate { equipment: (1..=9_000).map(rule).collect(), ..Candidate::default() };
    candidate.arrange();
    assert_eq!(candidate.equipment.len(), 2_048);
    assert_eq!(candidate.unwritten.0, 9_000 - 2_048);
    assert!(candidate.equipment.iter().all(|rule| rule.evidence.flows > 9_000 - 2_048));
}
