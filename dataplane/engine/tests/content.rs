//! Echoes and time synchronisation that carry what they need not, and those that need not be told; what
//! is remembered of clear text.

mod lab;

use lab::{GNB, SMF, Script, UPF, alerts, rule_set, summary};
use weir_engine::contract::verdict::{Alert, EchoOddity, Fact, TimeOddity};
use weir_engine::detect::{COV_ICMP, COV_TIME, EGR_NOTALLOWED, OPS_BLIND};
use weir_engine::rules::{Link, Quirk, Roles, RuleSet};

const SMF_IP: &str = "10.0.2.1";
const UPF_IP: &str = "10.0.1.1";
const GNB_IP: &str = "10.0.0.1";
const STRANGER: &str = "192.0.2.99";

fn echo(kind: u8, number: u16, content: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0x12, 0x34];
    message.extend(number.to_be_bytes());
    message.extend(content);
    message
}

/// A ping and its reply.
fn ping(script: &mut Script, ends: (&str, &str), number: u16, content: &[u8], reply: &[u8]) {
    script.push(lab::ip(ends.0, ends.1, 1, &echo(8, number, content)));
    script.push(lab::ip(ends.1, ends.0, 1, &echo(0, number, reply)));
}

/// What a Linux host sends: the time, then octets that count up.
fn linux(number: u16, size: usize) -> Vec<u8> {
    let mut content: Vec<u8> = (0..size).map(|at| at as u8).collect();
    content[..8].copy_from_slice(&(1_767_600_000_u64 + u64::from(number)).to_le_bytes());
    content[8..16].copy_from_slice(&(u64::from(number) * 9_731 % 1_000_000).to_le_bytes());
    content
}

/// Part of a file, another one each time.
fn loot(number: u16) -> Vec<u8> {
    let mut noise = lab::Noise(0x5eed + u64::from(number));
    (0..56).map(|_| noise.next() as u8).collect()
}

fn of(script: &Script, set: RuleSet, detection: u16) -> Vec<Alert> {
    let said = alerts(&script.shots, Link::Oam, set);
    said.into_iter().filter(|alert| alert.detection == detection).collect()
}

fn echoes(script: &Script) -> Vec<Alert> {
    of(script, rule_set(), COV_ICMP)
}

#[test]
fn pings_of_any_size_and_fillings_of_any_vendor_are_silent_between_declared_nodes() {
    let mut script = Script::default();
    let ends = (SMF_IP, UPF_IP);
    for number in 0..40 {
        let content = linux(number, 16 + 37 * usize::from(number));
        ping(&mut script, ends, number, &content, &content);
    }
    let filling = loot(0);
    for number in 100..140 {
        ping(&mut script, ends, number, &filling, &filling);
        ping(&mut script, ends, number + 100, &[0xab; 1_400], &[0xab; 1_400]);
    }
    assert_eq!(echoes(&script), []);
}

#[test]
fn the_eighth_content_that_is_no_pings_is_told_whoever_saw_it() {
    let script = |count| {
        let mut script = Script::default();
        for number in 0..count {
            ping(&mut script, (SMF_IP, UPF_IP), number, &loot(number), &loot(number));
            ping(
                &mut script,
                (UPF_IP, SMF_IP),
                900 + number,
                &linux(number, 56),
                &linux(number, 56),
            );
        }
        script
    };
    assert_eq!(echoes(&script(7)), []);
    // What the other side only repeats is not its own doing.
    let said = echoes(&script(20));
    assert_eq!(summary(&said), [("COV-ICMP", Some(SMF), UPF_IP.into(), 20)]);
    assert_eq!(said[0].fact, Fact::Echoes(EchoOddity::Changing));
}

#[test]
fn replies_that_are_unlike_their_requests_are_told_and_cut_ones_are_not() {
    let mut script = Script::default();
    for number in 0..6 {
        let content = linux(number, 1_000);
        ping(&mut script, (SMF_IP, UPF_IP), number, &content, &content[..56]);
    }
    assert_eq!(echoes(&script), []);
    for number in 6..9 {
        let other = linux(number + 100, 56);
        ping(&mut script, (SMF_IP, UPF_IP), number, &linux(number, 56), &other);
    }
    let said = echoes(&script);
    assert_eq!(summary(&said), [("COV-ICMP", Some(UPF), SMF_IP.into(), 3)]);
    assert_eq!(said[0].fact, Fact::Echoes(EchoOddity::Unlike));
}

#[test]
fn fragments_of_other_lengths_and_numbers_that_repeat_are_no_other_content() {
    let mut script = Script::default();
    for number in 0..6 {
        // The way back lets longer fragments pass.
        let content = linux(number, 1_400);
        for (ends, kind, len) in [((SMF_IP, UPF_IP), 8, 1_300), ((UPF_IP, SMF_IP), 0, 1_400)] {
            let mut frame = lab::ip(ends.0, ends.1, 1, &echo(kind, number, &content[..len]));
            frame[14 + 6] = 0x20;
            script.push(frame);
        }
    }
    for number in 0..12 {
        // All of one number, the next before the answer to the one before.
        let (one, other) = (linux(100 + 2 * number, 56), linux(101 + 2 * number, 56));
        script.push(lab::ip(UPF_IP, SMF_IP, 1, &echo(8, 7, &one)));
        script.push(lab::ip(UPF_IP, SMF_IP, 1, &echo(8, 7, &other)));
        script.push(lab::ip(SMF_IP, UPF_IP, 1, &echo(0, 7, &one)));
        script.push(lab::ip(SMF_IP, UPF_IP, 1, &echo(0, 7, &other)));
    }
    assert_eq!(echoes(&script), []);
}

#[test]
fn a_large_echo_to_who_is_declared_nowhere_is_told_and_explains_the_flow() {
    let mut script = Script::default();
    ping(&mut script, (GNB_IP, STRANGER), 1, &[0; 255], &[0; 255]);
    assert_eq!(echoes(&script), []);
    ping(&mut script, (GNB_IP, STRANGER), 2, &[0; 256], &[0; 256]);
    let said = alerts(&script.shots, Link::Oam, rule_set());
    let icmp: Vec<_> = said.iter().filter(|it| it.detection == COV_ICMP).collect();
    assert_eq!((icmp[0].equipment, icmp[0].packets), (Some(GNB), 2));
    let general: Vec<_> = said.iter().filter(|it| it.detection == EGR_NOTALLOWED).collect();
    assert_eq!(general[0].superseded_by, Some(COV_ICMP));
}

#[test]
fn a_flood_of_other_pings_hides_no_tunnel() {
    let mut script = Script::default();
    for number in 0..10 {
        ping(&mut script, (SMF_IP, UPF_IP), number, &loot(number), &loot(number));
        for other in 0..2_000_u32 {
            let to = format!("192.0.{}.{}", other / 250, 1 + other % 250 + u32::from(number) % 2);
            script.push(lab::ip(GNB_IP, &to, 1, &echo(8, number, &linux(number, 56))));
            script.now -= 0.009_9;
        }
    }
    let said = of(&script, rule_set(), COV_ICMP);
    assert_eq!(summary(&said), [("COV-ICMP", Some(SMF), UPF_IP.into(), 10)]);
}

/// gnb-1 may ask the server 10.0.3.53, which has the role ntp.
fn with_server() -> RuleSet {
    let mut set = rule_set();
    set.equipment[4].roles = Roles::NTP;
    set.allow[2].services[0].ports = Some((123, 123));
    set
}

const SERVER: &str = "10.0.3.53:123";
const CLIENT: &str = "10.0.0.1:123";

fn ntp(first: u8, octets: usize) -> Vec<u8> {
    let mut packet = vec![0; octets];
    packet[0] = first;
    packet
}

fn time(script: &Script, set: RuleSet) -> Vec<Alert> {
    of(script, set, COV_TIME)
}

#[test]
fn clients_of_listed_servers_are_silent_at_their_start_and_ever_after() {
    let mut script = Script::default();
    for _ in 0..8 {
        script.udp(CLIENT, SERVER, &ntp(0x23, 48)).udp(SERVER, CLIENT, &ntp(0x24, 48)).wait(2.0);
    }
    for _ in 0..60 {
        script.udp(CLIENT, SERVER, &ntp(0x23, 48)).udp(SERVER, CLIENT, &ntp(0x24, 48)).wait(16.0);
    }
    assert_eq!(time(&script, with_server()), []);
}

#[test]
fn servers_that_nobody_listed_other_modes_lengths_and_rates_are_told() {
    let told = |from: &str, to: &str, packet: &[u8], every: f64, count| {
        let mut script = Script::default();
        for _ in 0..count {
            script.udp(from, to, packet).wait(every);
        }
        let said = time(&script, with_server());
        said.first().map(|it| (it.fact, it.equipment, it.peer.unwrap().to_string()))
    };
    let of = |oddity, peer: &str| Some((Fact::Time(oddity), Some(GNB), peer.to_owned()));
    let (server, stranger) = ("10.0.3.53", "192.0.2.99:123");
    assert_eq!(told(CLIENT, stranger, &ntp(0x23, 48), 64.0, 1), of(TimeOddity::Unlisted, STRANGER));
    assert_eq!(told(stranger, CLIENT, &ntp(0x24, 48), 64.0, 1), of(TimeOddity::Unlisted, STRANGER));
    assert_eq!(told(CLIENT, SERVER, &ntp(0x16, 12), 64.0, 1), of(TimeOddity::Mode(6), server));
    assert_eq!(told(CLIENT, SERVER, &ntp(0x23, 200), 64.0, 1), of(TimeOddity::Length(200), server));
    let (fact, ..) = told(CLIENT, SERVER, &ntp(0x23, 48), 4.0, 100).unwrap();
    assert!(matches!(fact, Fact::Time(TimeOddity::Rate(asked)) if asked < 60), "{fact:?}");
}

#[test]
fn declared_authentication_is_silent_and_no_more_than_it() {
    let mut set = with_server();
    let quirk =
        |value: &str| Quirk { detection: COV_TIME, equipment: vec![GNB], value: value.into() };
    set.quirks = vec![quirk("ntp authentication")];
    let told = |set: &RuleSet, octets| {
        let mut script = Script::default();
        script.udp(CLIENT, SERVER, &ntp(0x23, octets));
        time(&script, set.clone()).len()
    };
    assert_eq!([68, 72, 100].map(|octets| told(&set, octets)), [0, 0, 1]);
    assert_eq!(told(&with_server(), 68), 1);
    set.quirks.push(quirk("ntp extensions"));
    assert_eq!(told(&set, 100), 0);
}

/// An Announce, or a request for unicast, with this element.
fn ptp(kind: u8, body: usize, element: u16) -> Vec<u8> {
    let mut message = vec![0; body];
    message[0] = 0x10 | kind;
    message[3] = body as u8 + 8;
    message.extend(element.to_be_bytes());
    message.extend([0, 4, 1, 2, 3, 4]);
    message
}

#[test]
fn ptp_elements_that_no_profile_asks_for_are_told_over_udp_and_ethernet() {
    let mut script = Script::default();
    script.udp("10.0.0.1:320", "10.0.1.1:320", &ptp(0xc, 44, 4));
    script.udp("10.0.0.1:320", "10.0.1.1:320", &ptp(0xb, 64, 8));
    assert_eq!(time(&script, rule_set()), []);
    script.udp("10.0.0.1:320", "10.0.1.1:320", &ptp(0xb, 64, 3));
    // gnb-2 lists its MAC address; 02:…:02 sends to PTP's own group, behind a VLAN tag.
    let mut frame = vec![1, 0x1b, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7, 0x88, 0xf7];
    frame.extend(ptp(0, 44, 0x2004));
    script.push(frame);
    let said = time(&script, rule_set());
    let facts: Vec<_> = said.iter().map(|it| (it.fact, it.equipment.unwrap().0)).collect();
    let told = |kind, number| (Fact::Time(TimeOddity::Element(kind)), number);
    assert_eq!(facts, [told(3, 0), told(0x2004, 1)]);
    let mut set = rule_set();
    let value = "ptp tlv 0x2004".into();
    set.quirks = vec![Quirk { detection: COV_TIME, equipment: vec![lab_gnb_2()], value }];
    assert_eq!(time(&script, set).len(), 1);
}

fn lab_gnb_2() -> weir_engine::rules::EquipmentId {
    weir_engine::rules::EquipmentId(1)
}

#[test]
fn questions_from_ever_other_ports_fill_no_table_for_ever() {
    let mut script = Script::default();
    for n in 0..20_000 {
        script
            .udp(&format!("{GNB_IP}:{}", 32_768 + n), "10.0.3.53:53", b"one and no other")
            .wait(0.05);
    }
    assert_eq!(of(&script, rule_set(), OPS_BLIND), []);
}

#[test]
fn cut_and_noisy_echoes_and_time_hurt_nobody() {
    let mut script = Script::default();
    let mut noise = lab::Noise(0x7e57);
    for len in 0..300 {
        let bytes: Vec<u8> = (0..len).map(|_| noise.next() as u8).collect();
        script.udp(CLIENT, SERVER, &bytes).udp("10.0.0.1:319", "10.0.1.1:319", &bytes);
        script.push(lab::ip(SMF_IP, UPF_IP, 1, &[&[8, 0][..], &bytes].concat()));
        script.push(lab::ip(SMF_IP, UPF_IP, 58, &bytes));
        let mut frame = vec![1, 0x1b, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0x88, 0xf7];
        frame.extend(&bytes);
        script.push(frame);
    }
    let whole = ptp(0xb, 64, 3);
    for end in 0..whole.len() {
        script.udp("10.0.0.1:320", "10.0.1.1:320", &whole[..end]);
    }
    let said = alerts(&script.shots, Link::Oam, with_server());
    assert!(said.iter().all(|alert| alert.packets > 0));
}
