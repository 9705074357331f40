//! What is told of the first packets of equipment's flows.

mod lab;

use lab::{GNB, Script, judge, rule_set};
use weir_engine::contract::content::{Feature, Features};
use weir_engine::contract::verdict::Verdict;
use weir_engine::rules::{Link, RuleSet};

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "192.0.2.10:443";

/// What is told, after one, two and three workers have seen the same.
fn told_under(script: &Script, set: &RuleSet) -> Vec<Features> {
    let told = |workers| -> Vec<Features> {
        let said = judge(&script.shots, Link::Oam, set.clone(), workers);
        let features = |verdict| match verdict {
            Verdict::Features(features) => Some(*features),
            _ => None,
        };
        said.into_iter().filter_map(features).collect()
    };
    let one = told(1);
    assert!([2, 3].into_iter().all(|workers| told(workers) == one));
    one
}

fn told(script: &Script) -> Vec<Features> {
    told_under(script, &rule_set())
}

/// A ClientHello that offers HTTP/2 to a name.
fn hello(name: &str) -> Vec<u8> {
    let be = |len: usize| (len as u16).to_be_bytes();
    let mut extensions = vec![0, 0];
    extensions.extend(be(name.len() + 5));
    extensions.extend(be(name.len() + 3));
    extensions.push(0);
    extensions.extend(be(name.len()));
    extensions.extend(name.as_bytes());
    extensions.extend(b"\0\x10\0\x05\0\x03\x02h2");
    let mut body = vec![3, 3];
    body.extend([0x5e; 32]);
    body.extend(b"\0\0\x02\x13\x01\x01\0");
    body.extend(be(extensions.len()));
    body.extend(extensions);
    let mut record = vec![0x16, 3, 1];
    record.extend(be(body.len() + 4));
    record.extend([1, 0]);
    record.extend(be(body.len()));
    record.extend(body);
    record
}

#[test]
fn a_hello_is_told_once_in_ten_minutes_with_name_protocol_and_fingerprint() {
    let mut script = Script::default();
    for at in [0.0, 5.0, 300.0, 700.0] {
        script.now = at;
        script.tcp(CLIENT, SERVER, 0x18, 1, &hello("Update.Example"));
    }
    let told = told(&script);
    assert_eq!(told.len(), 2);
    let Feature::Tls { name, protocol, ja4 } = &told[0].shows else { panic!("{told:?}") };
    assert_eq!((name.as_deref(), protocol.as_deref()), (Some("update.example"), Some("h2")));
    assert!(ja4.as_ref().unwrap().starts_with("t12d0102h2_"), "{ja4:?}");
    assert_eq!((told[0].equipment, told[0].allowed), (GNB, true));
    assert_eq!(told[0].tuple.destination_port, 443);
}

#[test]
fn what_peers_and_strangers_say_is_not_told() {
    let mut script = Script::default();
    script.tcp(SERVER, CLIENT, 0x18, 1, &hello("a.example"));
    script.tcp("198.51.100.7:1", "203.0.113.9:443", 0x18, 1, &hello("a.example"));
    assert_eq!(told(&script), []);
}

#[test]
fn a_flood_of_names_is_told_in_part_and_counted() {
    let mut script = Script::default();
    for n in 0..1_000 {
        script.tcp(CLIENT, SERVER, 0x18, 1, &hello(&format!("{n}.example")));
        script.now -= 0.009;
    }
    script.wait(20.0).tcp(CLIENT, SERVER, 0x18, 1, &hello("last.example"));
    script.tcp("10.0.0.2:40000", SERVER, 0x18, 1, &hello("other.example"));
    let told = told(&script);
    assert_eq!(told.len(), 64 + 2);
    assert_eq!(told[64].folded, 1_000 - 64);
    assert_eq!((told[65].equipment.0, told[65].folded), (1, 0));
}

#[test]
fn hosts_of_requests_are_told_defused_and_whatever_else_they_hold_is_not() {
    let mut script = Script::default();
    let request = b"GET /secret HTTP/1.1\r\nUser-Agent: x\r\nHOST: Evil.Example:8080\r\n\r\nbody";
    script.tcp(CLIENT, "192.0.2.10:8080", 0x18, 1, request);
    script.tcp(CLIENT, "192.0.2.10:8080", 0x18, 1, b"POST / HTTP/1.1\r\nHost: <b>\x1b\r\n");
    script.tcp(CLIENT, "192.0.2.10:8080", 0x18, 1, b"GET nonsense");
    let shows: Vec<_> = told(&script).into_iter().map(|it| it.shows).collect();
    assert_eq!(shows[0], Feature::Http("evil.example".into()));
    assert!(shows.len() <= 2 && !format!("{shows:?}").contains('<'), "{shows:?}");
}

/// gnb-1 may send syslog to 10.0.3.53.
fn with_syslog() -> RuleSet {
    let mut set = rule_set();
    set.allow[2].services[0].ports = Some((514, 514));
    set
}

#[test]
fn sealed_messages_on_a_clear_service_are_told_and_clear_ones_are_not() {
    let told = |content: &mut dyn FnMut(usize) -> u8, set: &RuleSet| {
        let mut script = Script::default();
        for _ in 0..8 {
            let message: Vec<u8> = (0..100).map(&mut *content).collect();
            script.udp("10.0.0.1:514", "10.0.3.53:514", &message);
        }
        told_under(&script, set)
    };
    let mut noise = lab::Noise(0x5eed);
    let sealed = told(&mut |_| noise.next() as u8, &with_syslog());
    assert_eq!(sealed.len(), 1, "once a flow");
    let Feature::Clear(hundredths) = sealed[0].shows else { panic!("{sealed:?}") };
    assert!((740..=800).contains(&hundredths), "{hundredths}");
    let text = b"<34>Oct 11 22:14:15 gnb-1 su: 'su root' failed for lonvick on /dev/pts/8 - - 0x3f";
    assert_eq!(told(&mut |at| text[at % text.len()], &with_syslog()), []);
    // Base64 is six bits at most.
    let mut noise = lab::Noise(0x5eed);
    assert_eq!(told(&mut |_| b'0' + (noise.next() % 64) as u8, &with_syslog()), []);
    // What is not allowed is told of as such.
    let mut noise = lab::Noise(0x5eed);
    assert_eq!(told(&mut |_| noise.next() as u8, &rule_set()), []);
}

/// gnb-1 may also push files over HTTP to 192.0.2.10.
fn with_http() -> RuleSet {
    let mut set = rule_set();
    set.allow[3].services[0].ports = Some((80, 80));
    set
}

/// What is compressed is as even as what is sealed.
#[test]
fn a_connection_is_judged_by_its_beginning_and_not_amid_a_file() {
    let sealed = |opens: bool, waits: f64| {
        let mut script = Script::default();
        let mut noise = lab::Noise(0x5eed);
        if opens {
            script.tcp("10.0.0.1:4000", "192.0.2.10:80", 0x02, 0, b"");
            script.tcp("192.0.2.10:80", "10.0.0.1:4000", 0x12, 1, b"");
        }
        script.wait(waits);
        for _ in 0..8 {
            let part: Vec<u8> = (0..500).map(|_| noise.next() as u8).collect();
            script.tcp("10.0.0.1:4000", "192.0.2.10:80", 0x18, 1, &part);
        }
        told_under(&script, &with_http()).len()
    };
    assert_eq!((sealed(true, 0.1), sealed(false, 0.1), sealed(true, 300.0)), (1, 0, 0));
}

/// However many others speak in the same slice, and whoever sees them.
#[test]
fn sealed_clear_text_hides_behind_no_crowd() {
    let mut script = Script::default();
    let mut noise = lab::Noise(0x5eed);
    let text = b"<34>Oct 11 22:14:15 gnb-1 su: 'su root' failed for lonvick on /dev/pts/8 ";
    for part in 0..6 {
        for port in 0..200 {
            let line: Vec<u8> = text.iter().copied().cycle().skip(part).take(100).collect();
            script.udp(&format!("10.0.0.1:{}", 2_000 + port), "10.0.3.53:514", &line);
            script.now -= 0.009_99;
        }
        let message: Vec<u8> = (0..100).map(|_| noise.next() as u8).collect();
        script.udp("10.0.0.1:1999", "10.0.3.53:514", &message).wait(0.2);
    }
    let told = told_under(&script, &with_syslog());
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].tuple.source_port, 1_999);
}

#[test]
fn cut_and_noisy_openings_hurt_nobody() {
    let mut script = Script::default();
    let mut noise = lab::Noise(0xbad);
    let whole = hello("evil.example");
    let beginnings: [&[u8]; 5] = [
        b"SSH-2.0-x\r\n",
        b"\0\0\x04\0\x08\x14",
        b"GET / HTTP/1.1\r\n",
        &whole,
        b"\xc0\0\0\0\x01\x08",
    ];
    for len in (0..1_400).step_by(7) {
        for beginning in beginnings {
            let mut bytes = beginning.get(..len).unwrap_or(beginning).to_vec();
            bytes.extend((0..len).map(|_| noise.next() as u8));
            script.tcp(CLIENT, SERVER, 0x18, 1, &bytes).udp(CLIENT, SERVER, &bytes);
        }
    }
    for features in told(&script) {
        assert!(matches!(features.shows, Feature::Tls { .. } | Feature::Http(_)), "{features:?}");
    }
}
