//! Each detection fires on what its row of the catalogue names, and stays
//! silent for what the row excepts. Every case is judged by 1, 2 and 3 workers,
//! who must say the same.

mod lab;

use lab::*;
use weir_engine::Frame;
use weir_engine::contract::verdict::{Fact, Initiator, Severity, Verdict};
use weir_engine::report::Trait;
use weir_engine::rules::{EquipmentId, Link, Roles};
use weir_engine::worker::Setup;

const SYN: u8 = 2;
const ACK: u8 = 16;
const PSH_ACK: u8 = 24;
const RST_ACK: u8 = 20;
const UPF_TO_C2: (&str, &str) = ("10.0.1.1:34034", "172.19.41.9:5555");

fn on_mixed(script: &Script) -> Vec<weir_engine::contract::verdict::Alert> {
    alerts(&script.shots, Link::Mixed, rule_set())
}

#[test]
fn equipment_that_opens_a_flow_outside_its_policy_is_named_at_the_first_packet() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    script.tcp(upf, c2, SYN, 0, b"");
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired), [("EGR-NOTALLOWED", Some(UPF), "172.19.41.9".to_owned(), 1)]);
    assert_eq!((fired[0].fact, fired[0].initiator), (Fact::Opened, Initiator::Equipment));
    script.tcp(c2, upf, SYN | ACK, 1, b"").tcp(upf, c2, PSH_ACK, 1, b"id\n");
    assert_eq!(on_mixed(&script)[0].packets, 3);
}

#[test]
fn a_backdoor_is_named_when_the_equipment_answers_with_data() {
    let (intruder, upf) = ("172.19.41.9:50000", "10.0.1.1:4444");
    let mut script = Script::default();
    script.tcp(intruder, upf, SYN, 0, b"").tcp(upf, intruder, SYN | ACK, 1, b"");
    script.tcp(intruder, upf, PSH_ACK, 1, b"ls\n");
    // So far it could be a scanner's banner probe: only its address is unknown.
    let names: Vec<_> = on_mixed(&script).iter().map(|a| a.fact).collect();
    assert!(!names.contains(&Fact::Answered));
    script.tcp(upf, intruder, PSH_ACK, 4, b"bin etc\n");
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired), [("EGR-NOTALLOWED", Some(UPF), "172.19.41.9".to_owned(), 4)]);
    assert_eq!((fired[0].fact, fired[0].initiator), (Fact::Answered, Initiator::Peer));
}

#[test]
fn the_far_side_alone_proves_the_flow_after_two_round_trips() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    script.tcp(c2, upf, PSH_ACK, 100, b"id\n").tcp(c2, upf, ACK, 104, b"");
    assert!(on_mixed(&script).iter().all(|a| a.severity < Severity::High));
    script.tcp(c2, upf, ACK, 130, b"");
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired), [("EGR-NOTALLOWED", Some(UPF), "172.19.41.9".to_owned(), 3)]);
    assert_eq!(fired[0].fact, Fact::Acknowledged { round_trips: 2 });
    assert_eq!(fired[0].initiator, Initiator::Unknown);
}

#[test]
fn repeated_acknowledgements_are_no_round_trips() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    for _ in 0..50 {
        script.tcp(c2, upf, ACK, 100, b"");
    }
    assert!(on_mixed(&script).iter().all(|a| a.severity < Severity::High));
}

#[test]
fn scanners_get_no_alert_about_the_equipment_that_refuses_them() {
    let scanner = "10.0.0.2";
    let mut script = Script::default();
    for port in 1..60 {
        let (from, to) = (format!("{scanner}:40000"), format!("10.0.1.1:{port}"));
        script.tcp(&from, &to, SYN, 0, b"");
        match port % 3 {
            0 => script.tcp(&to, &from, RST_ACK, 1, b""),
            1 => script.tcp(&to, &from, SYN | ACK, 1, b"").tcp(&from, &to, 4, 0, b""),
            _ => script.icmp("10.0.1.1", scanner, 3),
        };
    }
    // The scanner itself is equipment here and answers for its own flows.
    let fired = on_mixed(&script);
    assert!(fired.iter().all(|a| a.equipment == Some(EquipmentId(1))), "{:?}", summary(&fired));
    let mut outside = Script::default();
    outside.icmp("172.19.41.9", "10.0.1.1", 8).icmp("10.0.1.1", "172.19.41.9", 0);
    outside.udp("172.19.41.9:9", "10.0.1.1:161", b"x").icmp("10.0.1.1", "172.19.41.9", 3);
    assert_eq!(on_mixed(&outside), []);
}

#[test]
fn replies_to_allowed_requests_and_flows_caught_in_their_middle_are_silent() {
    let mut script = Script::default();
    script.udp("10.0.3.53:53", "10.0.0.1:40000", b"answer whose question was missed");
    script.udp("10.0.0.1:40001", "10.0.3.53:53", b"?").udp("10.0.3.53:53", "10.0.0.1:40001", b"!");
    script.tcp("10.0.0.1:50000", "192.0.2.10:443", PSH_ACK, 9, b"data");
    script.tcp("192.0.2.10:443", "10.0.0.1:50000", PSH_ACK, 9, b"data");
    script.udp("10.0.1.1:8805", "10.0.2.1:14601", b"report to the request's port");
    script.udp("10.0.1.1:9000", "10.0.0.1:2152", &g_pdu(1));
    script.icmp("10.0.1.1", "10.0.2.1", 8).icmp("10.0.2.1", "10.0.1.1", 0);
    assert_eq!(on_mixed(&script), []);
}

#[test]
fn the_same_peer_on_another_port_is_not_allowed() {
    let mut script = Script::default();
    script.tcp("10.0.0.1:50000", "192.0.2.10:22", SYN, 0, b"");
    script.udp("10.0.0.1:50000", "10.0.3.53:5353", b"x");
    let fired = on_mixed(&script);
    assert_eq!(
        summary(&fired),
        [
            ("EGR-NOTALLOWED", Some(GNB), "10.0.3.53".to_owned(), 1),
            ("EGR-NOTALLOWED", Some(GNB), "192.0.2.10".to_owned(), 1),
        ]
    );
    assert_eq!(fired[0].peer_equipment, Some(EquipmentId(4)));
}

#[test]
fn an_unknown_address_is_named_after_three_packets_in_a_minute() {
    let box_to_box = ("10.9.9.9:1000", "10.9.8.8:2000");
    let mut script = Script::default();
    script.udp(box_to_box.0, box_to_box.1, b"1").wait(50.0);
    script.udp(box_to_box.0, box_to_box.1, b"2").wait(50.0);
    script.udp(box_to_box.0, box_to_box.1, b"3");
    assert_eq!(on_mixed(&script), [], "three in 100 s are too few");
    script.udp(box_to_box.0, box_to_box.1, b"4");
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired), [("INV-UNKNOWN", None, "10.9.9.9".to_owned(), 4)]);
    assert_eq!(fired[0].severity, Severity::Medium);
}

#[test]
fn an_unknown_peer_that_another_alert_names_is_silent() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    for _ in 0..10 {
        script.tcp(c2, upf, SYN, 0, b"");
    }
    assert_eq!(summary(&on_mixed(&script))[0].0, "INV-UNKNOWN");
    script.tcp(upf, c2, SYN | ACK, 1, b"").tcp(upf, c2, PSH_ACK, 1, b"data");
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired)[0].0, "EGR-NOTALLOWED");
    assert_eq!(fired.len(), 1);
}

#[test]
fn what_is_superseded_later_becomes_info() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    for _ in 0..5 {
        script.tcp(c2, upf, SYN, 0, b"");
    }
    script.wait(10.0).tcp(upf, c2, PSH_ACK, 1, b"data");
    let fired = on_mixed(&script);
    let stranger = fired.iter().find(|a| a.fact == Fact::UnknownAddress).unwrap();
    assert_eq!(stranger.superseded_by, Some(weir_engine::detect::EGR_NOTALLOWED));
    assert_eq!(fired.len(), 2);
}

#[test]
fn what_belongs_to_no_single_node_makes_nobody_unknown() {
    let mut script = Script::default();
    for _ in 0..5 {
        script.push(ip("10.9.9.9", "224.0.0.18", 112, b"vrrp"));
        script.udp("10.9.9.9:5353", "224.0.0.251:5353", b"mdns");
        script.udp("169.254.3.3:1", "10.0.0.1:2", b"link-local");
        script.udp("0.0.0.0:68", "255.255.255.255:67", b"dhcp");
        let mut arp = vec![0xff; 6];
        arp.extend([2, 0, 0, 0, 0, 66, 8, 6]);
        script.push(arp);
        script.udp("10.60.0.1:4000", "8.8.8.8:53", b"a subscriber on N6");
        script.udp("203.0.113.5:4000", "8.8.8.8:53", b"a subscriber behind NAT");
        script.tcp("192.0.2.10:443", "10.0.0.1:1", ACK, 0, b"");
    }
    assert_eq!(on_mixed(&script), []);
}

#[test]
fn a_listed_equipment_with_another_mac_or_ethertype_is_named() {
    let mut script = Script::default();
    let mut own = udp("10.0.0.2:1000", "10.0.3.53:53", b"?");
    own[11] = 2;
    script.push(own.clone());
    assert_eq!(on_mixed(&script), []);
    let mut moved = own.clone();
    moved[11] = 0x77;
    script.push(moved);
    let fired = on_mixed(&script);
    assert_eq!(fired[0].fact, Fact::NewMac([2, 0, 0, 0, 0, 0x77]));
    assert_eq!(fired[0].equipment, Some(EquipmentId(1)));
    // A router passes on what others sent.
    let mut rules = rule_set();
    rules.equipment[4].roles = Roles::ROUTING;
    rules.equipment[4].macs = vec![[2, 0, 0, 0, 0, 0x77]];
    assert_eq!(alerts(&script.shots, Link::Mixed, rules), []);
    let mut odd = own;
    odd[12..14].copy_from_slice(&[0x99, 0x98]);
    let mut script = Script::default();
    script.push(odd);
    assert_eq!(on_mixed(&script)[0].fact, Fact::NewEtherType(0x9998));
    let _ = Trait::EtherType(0x9998);
}

#[test]
fn g_pdus_of_an_undeclared_pair_are_named_with_their_tunnel() {
    let mut script = Script::default();
    script.udp("10.0.1.1:2152", "172.31.5.5:2152", &g_pdu(0xbeef));
    script.udp("172.31.5.5:2152", "10.0.1.1:2152", &g_pdu(0xcafe));
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired), [("GTP-PEER", Some(UPF), "172.31.5.5".to_owned(), 2)]);
    assert_eq!(fired[0].severity, Severity::High);
    let tunnel = fired[0].tunnel.unwrap();
    assert_eq!((tunnel.teid, tunnel.qfi), (0xbeef, Some(9)));
    assert_eq!(fired[0].inner.unwrap().source.to_string(), "10.60.0.7");
}

#[test]
fn g_pdus_between_equipment_are_one_flow_from_whichever_port() {
    let mut script = Script::default();
    let echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0];
    // Another message first, from a port of which G-PDUs come, too.
    script.udp("10.0.0.1:40000", "10.0.1.1:2152", &echo);
    for n in 0..200 {
        let port = [40_000, 40_001, 2152][n as usize % 3];
        script.udp(&format!("10.0.0.1:{port}"), "10.0.1.1:2152", &g_pdu(n));
        script.udp(&format!("10.0.1.1:{port}"), "10.0.0.1:2152", &g_pdu(1_000 + n));
        // Nobody knows this one: each of its ports is evidence.
        script.udp(&format!("172.31.5.5:{port}"), "10.0.1.1:2152", &g_pdu(n));
    }
    for workers in [1, 2, 3] {
        for feeding in [Feeding::Single, Feeding::Bursts, Feeding::CompleteStages] {
            let spread = |frame: &Frame<'_>| Setup::default().spread(frame) as usize % workers;
            let fed = (workers, feeding);
            let said = judge_fed(&script.shots, Link::Mixed, rule_set(), fed, spread);
            let mut flows: Vec<_> = said
                .iter()
                .filter_map(|verdict| match verdict {
                    Verdict::Flow(flow) => Some((
                        flow.tuple.source.to_string(),
                        flow.tuple.source_port,
                        flow.to_server.packets + flow.to_client.packets,
                    )),
                    _ => None,
                })
                .collect();
            flows.sort();
            let between = |port, packets| ("10.0.0.1".to_owned(), port, packets);
            let strange = |port, packets| ("172.31.5.5".to_owned(), port, packets);
            let expected = [
                between(2152, 400),
                between(40_000, 1),
                strange(2152, 66),
                strange(40_000, 67),
                strange(40_001, 67),
            ];
            assert_eq!(flows, expected, "{fed:?}");
        }
    }
}

#[test]
fn an_echo_before_the_g_pdus_is_explained_by_them() {
    let mut script = Script::default();
    let echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0];
    let answer = [0x32, 2, 0, 6, 0, 0, 0, 0, 0, 1, 0, 0, 14, 0];
    script.udp("172.31.5.5:2152", "10.0.1.1:2152", &echo);
    script.udp("10.0.1.1:2152", "172.31.5.5:2152", &answer);
    script.wait(1.0).udp("172.31.5.5:40000", "10.0.1.1:2152", &g_pdu(1));
    let fired = on_mixed(&script);
    let named: Vec<_> = summary(&fired).into_iter().map(|(id, ..)| id).collect();
    assert!(named.contains(&"GTP-PEER") && !named.contains(&"INV-UNKNOWN"), "{named:?}");
}

#[test]
fn gtp_between_declared_pairs_partners_and_what_only_looks_like_it_is_silent() {
    let mut script = Script::default();
    script.udp("10.0.0.1:2152", "10.0.1.1:2152", &g_pdu(1));
    script.udp("10.0.1.1:2152", "10.0.0.2:2152", &g_pdu(2));
    script.udp("10.0.1.1:2152", "198.51.100.7:2152", &g_pdu(3));
    // A subscriber's ephemeral port 2152 on N6, not GTP.
    script.udp("10.60.0.9:2152", "8.8.8.8:53", b"\x34\xff question");
    script.udp("10.60.0.9:2152", "8.8.8.8:53", &[0x30, 255, 0, 4, 0, 0, 0, 1, 1, 2, 3, 4]);
    let fired = on_mixed(&script);
    assert!(fired.iter().all(|a| a.detection != weir_engine::detect::GTP_PEER));
}

#[test]
fn gtp_on_n6_is_critical_unless_it_is_a_subscribers_own() {
    let mut script = Script::default();
    script.udp("10.0.1.1:2152", "172.31.5.5:2152", &g_pdu(1));
    let fired = alerts(&script.shots, Link::N6, rule_set());
    assert_eq!((fired[0].severity, fired[0].fact), (Severity::Critical, Fact::OnN6));
    assert_eq!(fired[0].equipment, Some(UPF));
    let mut phone = Script::default();
    phone.udp("10.60.0.9:2152", "172.31.5.5:2152", &g_pdu(1));
    let fired = on_mixed(&phone);
    assert_eq!(summary(&fired), [("GTP-PEER", None, "10.60.0.9".to_owned(), 1)]);
    assert_eq!(fired[0].severity, Severity::Medium);
}

#[test]
fn the_name_that_equipment_asked_for_is_told() {
    let mut answer =
        b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x04evil\x07example\0\0\x01\0\x01".to_vec();
    answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xac\x13\x29\x09");
    let mut script = Script::default();
    script.udp("10.0.1.1:40000", "10.0.3.53:53", b"?");
    script.udp("10.0.3.53:53", "10.0.1.1:40000", &answer).wait(1.0);
    script.tcp(UPF_TO_C2.0, UPF_TO_C2.1, SYN, 0, b"");
    let fired = on_mixed(&script);
    assert_eq!(fired[0].peer_name.as_deref(), Some("evil.example"));
    let named: Vec<_> = flows(&script.shots).into_iter().filter_map(|f| f.name).collect();
    assert_eq!(named, ["evil.example"]);
}

/// A TLS record with the ClientHello of `curl https://NAME`, up to its server name.
fn client_hello(name: &str) -> Vec<u8> {
    let be = |len: usize| (len as u16).to_be_bytes();
    let mut extensions = vec![0, 0];
    extensions.extend([be(name.len() + 5), be(name.len() + 3)].concat());
    extensions.push(0);
    extensions.extend(be(name.len()));
    extensions.extend(name.as_bytes());
    let mut hello = vec![3, 3];
    hello.extend([0x5e; 32]);
    hello.extend(b"\0\0\x02\x13\x01\x01\0");
    hello.extend(be(extensions.len()));
    hello.extend(extensions);
    let mut record = vec![0x16, 3, 1];
    record.extend(be(hello.len() + 4));
    record.extend([1, 0]);
    record.extend(be(hello.len()));
    record.extend(hello);
    record
}

#[test]
fn the_name_that_equipment_says_in_its_tls_hello_is_told() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    script.tcp(upf, c2, SYN, 0, b"").tcp(c2, upf, SYN | ACK, 1, b"").tcp(upf, c2, ACK, 1, b"");
    script.tcp(upf, c2, PSH_ACK, 1, &client_hello("Telemetry.Vendor.Example"));
    let fired = on_mixed(&script);
    assert_eq!(summary(&fired), [("EGR-NOTALLOWED", Some(UPF), "172.19.41.9".to_owned(), 4)]);
    assert_eq!(fired[0].peer_name.as_deref(), Some("telemetry.vendor.example"));
    let named: Vec<_> = flows(&script.shots).into_iter().filter_map(|flow| flow.name).collect();
    assert_eq!(named, ["telemetry.vendor.example"]);
}

#[test]
fn a_peer_that_says_hello_to_equipment_names_nobody() {
    let (intruder, upf) = ("172.19.41.9:50000", "10.0.1.1:4444");
    let mut script = Script::default();
    script.tcp(intruder, upf, SYN, 0, b"").tcp(upf, intruder, SYN | ACK, 1, b"");
    script.tcp(intruder, upf, PSH_ACK, 1, &client_hello("bank.example"));
    script.tcp(upf, intruder, PSH_ACK, 4, b"\x16\x03\x03\0\x02\x02\0");
    let fired = on_mixed(&script);
    assert_eq!((fired[0].fact, fired[0].peer_name.as_deref()), (Fact::Answered, None));
    assert!(flows(&script.shots).iter().all(|flow| flow.name.is_none()));
}

#[test]
fn what_pads_the_frame_or_is_a_later_fragment_says_no_name() {
    let (upf, c2) = UPF_TO_C2;
    let hello = client_hello("bank.example");
    let mut script = Script::default();
    let mut padded = tcp(upf, c2, PSH_ACK, 1, &hello[..hello.len() - 1]);
    padded.push(*hello.last().unwrap());
    script.push(padded);
    let mut later = tcp(upf, c2, PSH_ACK, 1, &hello);
    later[14 + 7] = 185;
    later.resize(65_535, 0);
    later.extend(&tcp(upf, c2, PSH_ACK, 1, &hello)[34..]);
    script.push(later);
    assert!(on_mixed(&script).iter().all(|alert| alert.peer_name.is_none()));
}

#[test]
fn one_alert_a_day_with_an_update_at_every_tenfold() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    for _ in 0..250 {
        script.tcp(upf, c2, PSH_ACK, 1, b"beat").wait(1.99);
    }
    script.wait(86_400.0 - script.now + 3600.0);
    script.tcp(upf, c2, PSH_ACK, 1, b"next day");
    let said: Vec<(u64, bool, u32)> = judge(&script.shots, Link::Mixed, rule_set(), 1)
        .into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Alert(a) => Some((a.packets, a.last_word, a.day)),
            _ => None,
        })
        .collect();
    let today = said[0].2;
    assert_eq!(said[0], (1, false, today));
    assert!(said.contains(&(10, false, today)) && said.contains(&(100, false, today)));
    assert!(said.contains(&(250, true, today)));
    assert_eq!(&said[said.len() - 2..], [(1, false, today + 1), (1, true, today + 1)]);
}

#[test]
fn an_unknown_address_is_named_again_on_another_day() {
    let mut script = Script::default();
    let say = |script: &mut Script| {
        for _ in 0..5 {
            script.udp("10.9.9.9:1000", "10.9.8.8:2000", b"x");
        }
    };
    say(&mut script);
    script.wait(3.0 * 86_400.0);
    say(&mut script);
    let counts: Vec<u64> = on_mixed(&script).iter().map(|alert| alert.packets).collect();
    assert_eq!(counts, [5, 5]);
}

#[test]
fn a_tunnel_elsewhere_does_not_explain_a_reverse_shell() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    script.tcp(upf, c2, SYN, 0, b"");
    script.udp("172.19.41.9:2152", "10.0.0.1:2152", &g_pdu(7)).wait(5.0);
    script.tcp(upf, "172.19.41.10:5555", SYN, 0, b"");
    let shell = on_mixed(&script)
        .into_iter()
        .find(|alert| alert.detection == weir_engine::detect::EGR_NOTALLOWED)
        .unwrap();
    assert_eq!((shell.superseded_by, shell.packets, shell.equipment), (None, 2, Some(UPF)));
}

#[test]
fn the_first_of_several_g_pdus_of_one_instant_is_the_same_for_all_workers() {
    let mut script = Script::default();
    for teid in (1..10).rev() {
        script.udp("10.0.1.1:2152", "172.31.5.5:2152", &g_pdu(teid));
        script.now = 0.0;
    }
    assert_eq!(on_mixed(&script)[0].tunnel.unwrap().teid, 1);
}

#[test]
fn a_time_stamp_of_1970_makes_one_hourly_record() {
    let (upf, c2) = UPF_TO_C2;
    let mut script = Script::default();
    script.tcp(upf, c2, SYN, 0, b"").tcp(upf, c2, ACK, 1, b"").wait(1.0).tcp(upf, c2, ACK, 2, b"");
    script.shots[1].time = weir_engine::Nanos(0);
    let flows = flows(&script.shots);
    assert!(flows.len() <= 3, "{}", flows.len());
}

#[test]
fn a_scan_of_many_networks_costs_no_more_per_flow_than_a_small_one() {
    // Each /24 is an alert of its own; a search through all of them for every
    // flow would take minutes.
    let mut script = Script::default();
    for n in 0..60_000_u32 {
        let target = std::net::Ipv4Addr::from(0x0b00_0001 + (n << 8));
        let frame = tcp("10.0.1.1:40000", &format!("{target}:80"), SYN, 0, b"");
        script.shots.push(Shot { time: at(f64::from(n) / 1e4), bytes: frame });
    }
    let alerts = judge(&script.shots, Link::Mixed, rule_set(), 1)
        .into_iter()
        .filter(|verdict| matches!(verdict, Verdict::Alert(alert) if alert.last_word))
        .count();
    assert_eq!(alerts, 60_000);
}
