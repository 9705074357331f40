//! What equipment's packets carry that they need not, and what only looks like it: found and silent,
//! through the whole of `weir replay`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use weir_tests::replay::replay;
use weir_tests::{of_type, text};

const START: u32 = 1_767_600_000;
const RESOLVER: [u8; 4] = [10, 0, 3, 53];

/// Frames with their times in milliseconds.
#[derive(Default)]
struct Capture(Vec<(u32, Vec<u8>)>);

impl Capture {
    fn ip(&mut self, at: u32, from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) {
        let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0];
        frame.extend((20 + payload.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend(from);
        frame.extend(to);
        frame.extend(payload);
        self.0.push((at, frame));
    }

    fn udp(&mut self, at: u32, from: [u8; 4], (to, port): ([u8; 4], u16), payload: &[u8]) {
        let mut datagram = 5_000_u16.to_be_bytes().to_vec();
        datagram.extend(port.to_be_bytes());
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        self.ip(at, from, to, 17, &datagram);
    }

    fn question(&mut self, at: u32, from: [u8; 4], to: [u8; 4], name: &str) {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, 16, 0, 1]);
        self.udp(at, from, (to, 53), &message);
    }

    fn ping(&mut self, at: u32, from: [u8; 4], to: [u8; 4], number: u16, content: &[u8]) {
        for kind in [8, 0] {
            let mut message = vec![kind, 0, 0, 0, 0, 1];
            message.extend(number.to_be_bytes());
            message.extend(content);
            let (from, to) = if kind == 8 { (from, to) } else { (to, from) };
            self.ip(at + u32::from(kind == 0), from, to, 1, &message);
        }
    }

    fn write(mut self, path: &Path) {
        self.0.sort_by_key(|(at, _)| *at);
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
        for (at, frame) in &self.0 {
            let len = frame.len() as u32;
            for word in [START + at / 1_000, at % 1_000 * 1_000, len, len] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(frame);
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Chance of a fixed seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len + 16).map(|_| next()).skip(16).collect()
}

fn gnb(number: u8) -> [u8; 4] {
    [10, 0, 0, number]
}

/// One theft a node: gNBs 1 to 8.
fn thefts(capture: &mut Capture) {
    let upf = [10, 0, 1, 1];
    for n in 0..120_u32 {
        capture.question(n * 9_000, gnb(1), RESOLVER, &format!("{n:07x}.loud.example"));
    }
    // Few names, and no label too long: four kibibytes by their content.
    for n in 0..60_u64 {
        let label = |part| -> String {
            noise(n * 8 + part, 24).iter().map(|octet| format!("{octet:02x}")).collect()
        };
        let name = format!("{}.{}.{}.moderate.example", label(0), label(1), label(2));
        capture.question(n as u32 * 9_100, gnb(2), RESOLVER, &name);
    }
    capture.question(70_000, gnb(3), RESOLVER, &format!("{}.evasive.example", "x".repeat(49)));
    for n in 0..20 {
        capture.ping(20_000 + u32::from(n) * 900, gnb(4), upf, n, &noise(n.into(), 56));
    }
    let ntp = |first: u8, len: usize| [&[first][..], &vec![0; len - 1]].concat();
    capture.udp(30_000, gnb(5), ([203, 0, 113, 9], 123), &ntp(0x23, 48));
    let mut announce = vec![0x1b, 2, 0, 72];
    announce.resize(64, 0);
    announce.extend([0, 3, 0, 4, 1, 2, 3, 4]);
    capture.udp(31_000, gnb(6), (upf, 320), &announce);
    for n in 0..6 {
        capture.udp(32_000 + n * 700, gnb(7), (RESOLVER, 514), &noise(n.into(), 100));
    }
}

/// The same looks, by gNBs 11 and 12, and a resolver's own questions.
fn lookalikes(capture: &mut Capture) {
    let upf = [10, 0, 1, 1];
    for n in 0..150_u32 {
        let names = [
            format!("d{n:013x}.cloudfront.net"),
            format!("e{n}.dscb.akamaiedge.net"),
            format!("tac-lb{n:02x}.epc.mnc001.mcc001.3gppnetwork.org"),
            format!("host-{n}.corp.operator.example"),
            "time.vendor.example".to_owned(),
        ];
        for (at, name) in (0..).zip(&names) {
            capture.question(n * 6_000 + at * 50, gnb(11), RESOLVER, name);
        }
        capture.question(n * 6_000 + 400, RESOLVER, [198, 51, 100, 1], &format!("{n}.any.example"));
    }
    for n in 0..60_u16 {
        let mut content: Vec<u8> = (0..56 + 20 * n).map(|at| at as u8).collect();
        content[..8].copy_from_slice(&u64::from(START + u32::from(n)).to_le_bytes());
        content[8..16].copy_from_slice(&(u64::from(n) * 7_919).to_le_bytes());
        capture.ping(1_000 * u32::from(n) + 7, gnb(12), upf, n, &content);
        capture.ping(1_000 * u32::from(n) + 507, gnb(12), upf, 500 + n, &[0xab; 1_400]);
    }
    let question = [&[0x23][..], &[0; 47]].concat();
    for n in 0..8 {
        capture.udp(3_000 + n * 2_000, gnb(12), ([10, 0, 3, 123], 123), &question);
    }
    for n in 0..20 {
        let line = format!("<34>1 2026-01-05T00:00:{n:02}Z gnb-12 oam - - - cell {n} is up");
        capture.udp(4_000 + n * 1_000, gnb(12), (RESOLVER, 514), line.as_bytes());
    }
}

#[test]
fn every_theft_is_found_as_what_it_is_and_no_lookalike_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut capture = Capture::default();
    thefts(&mut capture);
    lookalikes(&mut capture);
    capture.write(&path("content.pcap"));
    let entry = |id: &str, role: &str, address: [u8; 4]| {
        let address = std::net::Ipv4Addr::from(address);
        format!(
            "[[equipment]]\nid = \"{id}\"\nvendor = \"Vendor A\"\nmodel = \"{role}\"\n\
             build = \"1\"\nroles = [\"{role}\"]\naddresses = [\"{address}\"]\n"
        )
    };
    let mut inventory = entry("upf-1", "upf", [10, 0, 1, 1]);
    inventory += &entry("dns-1", "dns", RESOLVER);
    inventory += &entry("ntp-1", "ntp", [10, 0, 3, 123]);
    for number in [1, 2, 3, 4, 5, 6, 7, 11, 12] {
        inventory += &entry(&format!("gnb-{number}"), "gnb", gnb(number));
    }
    fs::write(path("inventory.toml"), inventory).unwrap();
    let allow = |from: &str, to: &str, services: &str| {
        format!("[[allow]]\nfrom = {{ {from} }}\nto = {{ {to} }}\nservices = [{services}]\n")
    };
    let policy = "dns_zones = [\"operator.example\"]\n".to_owned()
        + &allow("role = \"gnb\"", "role = \"dns\"", "\"dns\", \"syslog\"")
        + &allow("role = \"gnb\"", "role = \"upf\"", "\"icmp\", \"ptp\"")
        + &allow("role = \"gnb\"", "role = \"ntp\"", "\"ntp\"")
        + &allow("role = \"dns\"", "cidr = \"198.51.100.1/32\"", "\"dns\"");
    fs::write(path("policy.toml"), policy).unwrap();
    let (inventory, policy, capture) =
        (path("inventory.toml"), path("policy.toml"), path("content.pcap"));
    let replayed = |workers: &str| {
        let [inventory, policy, capture] = [&inventory, &policy, &capture].map(|it| text(it));
        replay(&[
            "--source",
            "file",
            "--workers",
            workers,
            "--inventory",
            inventory,
            "--policy",
            policy,
            capture,
        ])
    };
    let done = replayed("1");
    assert_eq!(done.code, Some(0), "{}", done.said);
    let events = done.events();
    let alerts = of_type(&events, "alert");
    let found: BTreeSet<(String, String)> = alerts
        .iter()
        .filter(|event| event["weir"]["superseded_by"].is_null())
        .map(|event| {
            let word = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
            let weir = &event["weir"];
            (word(&weir["equipment"]["id"]), word(&weir["detection"]))
        })
        .collect();
    let expected = [
        ("gnb-1", "COV-DNS"),
        ("gnb-2", "COV-DNS"),
        ("gnb-3", "COV-DNS"),
        ("gnb-4", "COV-ICMP"),
        ("gnb-5", "COV-TIME"),
        ("gnb-6", "COV-TIME"),
        ("gnb-7", "EGR-CRYPTO"),
    ];
    // What a flow was said to be before the content told more is said to be explained by it.
    let said: BTreeSet<_> = found
        .iter()
        .map(|(id, detection)| (id.as_str(), detection.as_str()))
        .filter(|(_, detection)| *detection != "EGR-NOTALLOWED")
        .collect();
    assert_eq!(said, BTreeSet::from(expected));
    for workers in ["2", "3"] {
        assert!(replayed(workers).events == done.events, "{workers} workers say otherwise");
    }
}
