use super::*;
use crate::learn::fixture::{flow, inventory};

const NEVER: Nanos = Nanos(0);

fn taken<'i>(inventory: &'i Inventory, records: &[Record]) -> Talks<'i> {
    let mut talks = Talks::since(inventory, NEVER);
    records.iter().for_each(|record| talks.take(record, record.is_allowed));
    talks
}

fn only<'t>(talks: &'t Talks<'_>) -> (&'t Key, &'t Talk) {
    assert_eq!(talks.talks.len(), 1, "{:?}", talks.talks.keys());
    talks.talks.iter().next().unwrap()
}

/// One flow of three hours: two records on the way, and one at its end.
fn lasting() -> [Record; 3] {
    let record = flow("10.0.0.1", "198.51.100.7", 6, 443, 0);
    [1, 2, 3].map(|hour| Record {
        last: record.first.plus(Nanos::from_secs(hour * 3_600 - 10)),
        to_server: (hour * 10, hour * 1_000),
        to_client: (hour * 5, hour * 100),
        goes_on: hour < 3,
        ..record.clone()
    })
}

#[test]
fn the_records_of_a_flow_are_one_flow() {
    let inventory = inventory();
    let talks = taken(&inventory, &lasting());
    let (_, talk) = only(&talks);
    assert_eq!((talk.flows, talk.sent, talk.received), (1, (30, 3_000), (15, 300)));
    assert_eq!((talks.counts.flows, talk.beats().len()), (1, 1));
    assert!(talks.open.is_empty());
}

#[test]
fn what_was_before_the_window_is_not_counted() {
    let inventory = inventory();
    let records = lasting();
    let mut talks = Talks::since(&inventory, records[1].last);
    records.iter().for_each(|record| talks.take(record, false));
    let (_, talk) = only(&talks);
    assert_eq!((talk.flows, talk.sent, talk.received), (1, (20, 2_000), (10, 200)));
    assert_eq!(talk.first, records[1].last, "the window begins later than the flow");
    let mut late = Talks::since(&inventory, records[2].last.plus(Nanos(1)));
    records.iter().for_each(|record| late.take(record, false));
    assert_eq!((late.counts, late.span), (Counts::default(), None));
}

#[test]
fn who_opened_it_is_who_a_rule_names_first() {
    let inventory = inventory();
    let key = |record: Record| *only(&taken(&inventory, &[record])).0;
    let resolver = inventory.find("dns \"1\"").unwrap();
    let asked = key(flow("10.0.0.1", "10.0.0.21", 17, 53, 0));
    assert_eq!((asked.far, asked.port, asked.serves), (Far::Equipment(resolver), Some(53), false));
    let mut answer = flow("10.0.0.21", "10.0.0.1", 17, 40_000, 0);
    answer.source.1 = 53;
    assert_eq!(key(answer), asked, "the capture began with the answer");
    let served = key(flow("192.0.2.9", "10.0.0.1", 6, 8_080, 0));
    assert_eq!((served.far, served.serves), (Far::Stranger("192.0.2.9".parse().unwrap()), true));
    let amid = Record { is_opener_known: false, ..flow("10.0.0.1", "192.0.2.9", 6, 443, 0) };
    let mut turned =
        Record { is_opener_known: false, ..flow("10.0.0.1", "192.0.2.9", 6, 50_000, 0) };
    turned.source.1 = 22;
    assert!(!key(amid).serves);
    assert_eq!((key(turned.clone()).serves, key(turned).port), (true, Some(22)));
}

#[test]
fn bytes_are_of_the_equipment_whoever_opened() {
    let inventory = inventory();
    let sent = |record: Record| {
        let talks = taken(&inventory, &[record]);
        let (_, talk) = only(&talks);
        (talk.sent.1, talk.received.1)
    };
    assert_eq!(sent(flow("10.0.0.1", "192.0.2.9", 6, 443, 0)), (2_000, 3_000));
    assert_eq!(sent(flow("192.0.2.9", "10.0.0.1", 6, 443, 0)), (3_000, 2_000));
    let mut answer = flow("10.0.0.21", "10.0.0.1", 17, 40_000, 0);
    answer.source.1 = 53;
    assert_eq!(sent(answer), (3_000, 2_000), "of who asks, not of who was seen first");
}

#[test]
fn what_needs_no_rule_is_counted_and_not_proposed() {
    let inventory = inventory();
    let refused = Record {
        to_client: (1, 60),
        answer_flags: 0x14,
        ..flow("192.0.2.9", "10.0.0.1", 6, 22, 0)
    };
    let unanswered = Record { to_client: (0, 0), ..flow("192.0.2.9", "10.0.0.1", 17, 161, 1) };
    let error = Record { is_opener_known: false, ..flow("10.0.0.1", "192.0.2.9", 1, 0, 2) };
    let portless = Record {
        destination: ("192.0.2.9".parse().unwrap(), 0),
        ..flow("10.0.0.1", "192.0.2.9", 17, 1, 3)
    };
    let unlisted = Record { equipment: "gone".into(), ..flow("10.0.0.1", "192.0.2.9", 6, 443, 4) };
    let allowed = Record { is_allowed: true, ..flow("10.0.0.1", "192.0.2.9", 6, 443, 5) };
    let talks = taken(&inventory, &[refused, unanswered, error, portless, unlisted, allowed]);
    let counts = Counts {
        flows: 6,
        allowed: 1,
        unanswered: 2,
        unopened: 1,
        portless: 1,
        unlisted: 1,
        forgotten: (0, 0),
    };
    assert_eq!((talks.counts, talks.talks.len()), (counts, 0));
    let quiet = Record { answer_flags: 0x10, ..flow("192.0.2.9", "10.0.0.1", 6, 22, 0) };
    assert_eq!(taken(&inventory, &[quiet]).talks.len(), 1, "data without PSH is data");
}

#[test]
fn a_flood_of_peers_drives_out_its_own_only() {
    let inventory = inventory();
    let mut talks = Talks::since(&inventory, NEVER);
    talks.take(&flow("10.0.0.3", "192.0.2.9", 6, 443, 0), false);
    for number in 0..100_000_u32 {
        let peer = IpAddr::from((0xc633_0000 + number).to_be_bytes());
        talks.take(&flow("10.0.0.1", &peer.to_string(), 6, 443, 1), false);
        if number % 100 == 0 {
            talks.take(&flow("10.0.0.1", "203.0.113.1", 6, 443, u64::from(number)), false);
        }
    }
    assert!(talks.talks.len() <= TALKS);
    let flows: u64 = talks.talks.values().map(|talk| talk.flows).sum();
    assert_eq!(flows + talks.counts.forgotten.1, talks.counts.flows);
    assert!(talks.counts.forgotten.0 > 0);
    let of = |id: &str| {
        let id = inventory.find(id).unwrap();
        talks.talks.iter().filter(move |(key, _)| key.equipment == id)
    };
    assert_eq!(of("gnb-b1").count(), 1);
    assert!(of("gnb-a1").any(|(_, talk)| talk.flows == 1_000), "the frequent stays");
    assert!(talks.visit_count <= VISITS);
}

#[test]
fn a_finding_about_a_stranger_is_one_about_its_network() {
    let inventory = inventory();
    let mut talks = Talks::since(&inventory, NEVER);
    // Who reads a proposal must not learn of interception.
    for detection in ["BCN-PERIODIC", "PFCP-DUPL", "no such"] {
        talks.flag(&Flagged {
            detection: detection.into(),
            equipment: "gnb-a1".into(),
            peer: "198.51.100.7".parse().unwrap(),
            peer_equipment: None,
            last: Nanos(1),
        });
    }
    let found = |address: &str| {
        let far = Far::Stranger(address.parse().unwrap());
        talks.findings(inventory.find("gnb-a1").unwrap(), far).collect::<Vec<_>>()
    };
    assert_eq!((found("198.51.100.200"), found("198.51.101.7")), (vec!["BCN-PERIODIC"], vec![]));
}
