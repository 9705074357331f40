//! What a vendor's box would send to be looked past, each with the tool that it
//! fools, and what Weir says about it. Every case is judged by 1, 2 and 3
//! workers, who must say the same.

mod lab;

use lab::*;
use weir_engine::contract::verdict::{Alert, Fact, Hidden, Severity};
use weir_engine::lpm::Prefix;
use weir_engine::rules::{EquipmentId, Link, Quirk, RuleSet};
use weir_wire::foreign::Foreign;

const GNB_N3: &str = "10.0.0.1:2152";
const UPF_N3: &str = "10.0.1.1:2152";

fn closed() -> RuleSet {
    RuleSet {
        infrastructure: vec![prefix("10.0.0.0/16")],
        mec: vec![prefix("10.0.9.0/24")],
        ..rule_set()
    }
}

fn on_n3(frames: Vec<Vec<u8>>, set: RuleSet) -> Vec<Alert> {
    let mut script = Script::default();
    for frame in frames {
        script.push(frame);
    }
    alerts(&script.shots, Link::N3, set)
}

fn uplink(message: &[u8]) -> Vec<u8> {
    udp(GNB_N3, UPF_N3, message)
}

/// A G-PDU of these header octets, without optional octets, around `inner`.
fn message(first: u8, kind: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, kind];
    bytes.extend((inner.len() as u16).to_be_bytes());
    bytes.extend(7_u32.to_be_bytes());
    bytes.extend(inner);
    bytes
}

fn around(inner: &[u8]) -> Vec<u8> {
    message(0x30, 255, inner)
}

fn user(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    ip_packet(from, to, 17, &udp_datagram(from, to, payload))
}

/// Towards the UPF's N4, out of reach for any subscriber.
fn to_infrastructure() -> Vec<u8> {
    user("10.60.0.7:40000", "10.0.1.1:8443", b"knock")
}

fn one(alerts: &[Alert]) -> &Alert {
    let [alert] = alerts else { panic!("{:?}", summary(alerts)) };
    alert
}

#[test]
fn next_type_zero_under_the_extension_flag_hides_no_destination() {
    // Zeek, nDPI and gopacket take the user's packet for an extension header.
    let inner = to_infrastructure();
    let mut bytes = vec![0x34, 255];
    bytes.extend((inner.len() as u16 + 4).to_be_bytes());
    bytes.extend([0, 0, 0, 7, 0, 0, 0, 0]);
    bytes.extend(inner);
    let fired = on_n3(vec![uplink(&bytes)], closed());
    assert_eq!(summary(&fired), [("GTP-CPINUP", None, "10.0.1.1".to_owned(), 1)]);
    assert_eq!((fired[0].fact, fired[0].severity), (Fact::IntoInfrastructure, Severity::Medium));
}

#[test]
fn trailing_bytes_hide_no_destination_and_are_told_of() {
    // Snort 3 and Arkime demand that the lengths are equal, and look no further.
    let mut bytes = around(&to_infrastructure());
    bytes.extend(b"exfiltrated");
    let fired = on_n3(vec![uplink(&bytes)], closed());
    assert_eq!(
        summary(&fired),
        [
            ("GTP-CPINUP", None, "10.0.1.1".to_owned(), 1),
            ("GTP-HDRCOV", Some(GNB), "10.0.1.1".to_owned(), 1)
        ]
    );
    assert_eq!(fired[1].fact, Fact::Header(Hidden::Trailing));
}

#[test]
fn a_header_that_promises_more_than_there_is_hides_no_destination() {
    // The same tools.
    let mut bytes = around(&to_infrastructure());
    bytes[3] = bytes[3].wrapping_add(9);
    let fired = on_n3(vec![uplink(&bytes)], closed());
    assert_eq!(summary(&fired), [("GTP-CPINUP", None, "10.0.1.1".to_owned(), 1)]);
}

#[test]
fn octets_without_their_flag_name_no_extension_header() {
    // Readers that take the next type without its flag walk into the user's packet.
    let inner = to_infrastructure();
    let mut bytes = vec![0x32, 255];
    bytes.extend((inner.len() as u16 + 4).to_be_bytes());
    bytes.extend([0, 0, 0, 7, 0x12, 0x34, 0xee, 0x85]);
    bytes.extend(inner);
    let fired = on_n3(vec![uplink(&bytes)], closed());
    assert_eq!(summary(&fired), [("GTP-CPINUP", None, "10.0.1.1".to_owned(), 1)]);
}

#[test]
fn a_tunnel_in_the_tunnel_is_found_by_whoever_sent_it() {
    // Suricata has no GTP at all; the rest stop at the user's packet.
    let deep = around(&user("10.60.0.9:1", "192.0.2.1:2", b"x"));
    let by_node = around(&user("10.0.0.1:2152", "192.0.2.66:2152", &deep));
    let fired = on_n3(vec![uplink(&by_node)], closed());
    let alert = one(&fired);
    assert_eq!(summary(&fired), [("GTP-NEST", Some(GNB), "192.0.2.66".to_owned(), 1)]);
    assert_eq!((alert.severity, alert.tunnel.unwrap().teid), (Severity::High, 7));
    // A lab on a phone is the subscriber's own doing.
    let by_phone = around(&user("10.60.0.7:2152", "192.0.2.66:2152", &deep));
    let fired = on_n3(vec![uplink(&by_phone)], closed());
    assert_eq!(summary(&fired), [("GTP-NEST", None, "192.0.2.66".to_owned(), 1)]);
    assert_eq!(one(&fired).severity, Severity::Medium);
    // Bytes behind the nested message do not hide it.
    let mut padded = deep.clone();
    padded.extend([0; 3]);
    let padded = around(&user("10.0.0.1:2152", "192.0.2.66:2152", &padded));
    assert_eq!(one(&on_n3(vec![uplink(&padded)], closed())).fact, Fact::Nested);
}

#[test]
fn an_ephemeral_port_of_gtp_or_pfcp_is_nobodys_business() {
    let silent = [2152, 8805, 2123].map(|port| {
        uplink(&around(&user(&format!("10.60.0.7:{port}"), "192.0.2.1:443", b"\x30\xff no GTP")))
    });
    assert_eq!(summary(&on_n3(silent.to_vec(), closed())), []);
}

#[test]
fn control_plane_in_the_user_plane_is_found_wherever_it_goes() {
    let heartbeat = [0x20, 1, 0, 12, 0, 0, 5, 0, 0, 96, 0, 4, 1, 2, 3, 4];
    let echo_v2 = [0x40, 1, 0, 9, 0, 0, 1, 0, 3, 0, 1, 0, 5];
    for (port, payload) in [(8805, &heartbeat[..]), (2123, &echo_v2[..])] {
        let to = format!("192.0.2.9:{port}");
        let inner = user(&format!("10.0.0.1:{port}"), &to, payload);
        let fired = on_n3(vec![uplink(&around(&inner))], closed());
        assert_eq!(summary(&fired), [("GTP-CPINUP", Some(GNB), "192.0.2.9".to_owned(), 1)]);
        assert_eq!(one(&fired).fact, Fact::ControlInside, "{port}");
    }
    // Bytes behind the message do not hide it.
    let trailed = [&heartbeat[..], &[0; 5]].concat();
    let inner = user("10.0.0.1:8805", "192.0.2.9:8805", &trailed);
    assert_eq!(one(&on_n3(vec![uplink(&around(&inner))], closed())).fact, Fact::ControlInside);
}

#[test]
fn a_mac_address_that_begins_like_an_ip_header_hides_nothing() {
    // tshark and scapy read such an Ethernet PDU as a broken IP packet.
    let nested = around(&user("10.60.0.7:1", "192.0.2.1:2", b"x"));
    let inner = user("10.0.0.1:2152", "192.0.2.66:2152", &nested);
    for first in [0x02, 0x4c, 0x45, 0x6c] {
        let mut frame = vec![first, 0x10, 0xff, 0xfe, 0xff, 0xfd, 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend(&inner);
        let fired = on_n3(vec![uplink(&around(&frame))], closed());
        assert_eq!(one(&fired).fact, Fact::Nested, "{first:#x}");
        let pseudowire = [&[0x88, 0x47, 0, 0, 0x11, 0x40][..], &frame].concat();
        let mut labelled = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        labelled.extend(pseudowire);
        let within = Script::default().push(labelled).shots.clone();
        let [alert, ..] = &alerts(&within, Link::N3, closed())[..] else {
            panic!("nothing behind {first:#x}")
        };
        assert_eq!(alert.peer.unwrap().to_string(), "192.0.2.66");
    }
}

#[test]
fn break_out_and_resolvers_amid_infrastructure_are_open_to_subscribers() {
    let silent = ["10.0.9.80:443", "10.0.3.53:53"]
        .map(|to| uplink(&around(&user("10.60.0.7:40000", to, b"hello"))));
    assert_eq!(summary(&on_n3(silent.to_vec(), closed())), []);
}

#[test]
fn fragments_of_a_g_pdu_belong_to_its_tunnel_in_any_order_of_workers() {
    // ntopng and nDPI count later fragments as a protocol of their own.
    let whole =
        udp_datagram(GNB_N3, UPF_N3, &around(&user("10.60.0.7:1", "192.0.2.1:2", &[7; 64])));
    let piece = |from: usize, to: usize, more: bool| {
        let mut frame = ip("10.0.0.1", "10.0.1.1", 17, &whole[from..to]);
        let field = (from / 8) as u16 | if more { 0x2000 } else { 0 };
        frame[18..20].copy_from_slice(&[0x12, 0x34]);
        frame[20..22].copy_from_slice(&field.to_be_bytes());
        frame
    };
    let mut script = Script::default();
    script.push(piece(0, 64, true)).push(piece(64, 96, true)).push(piece(96, whole.len(), false));
    let flows = flows(&script.shots);
    let [flow] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!((flow.tuple.source_port, flow.tuple.destination_port), (2152, 2152));
    assert_eq!((flow.to_server.packets, flow.allowed), (3, true));
    assert_eq!(summary(&alerts(&script.shots, Link::N3, closed())), []);
}

#[test]
fn header_fields_that_nobody_reads_are_read() {
    let inner = user("10.60.0.7:1", "192.0.2.1:2", b"x");
    let mut odd_extension = vec![0x34, 255];
    odd_extension.extend((inner.len() as u16 + 8).to_be_bytes());
    odd_extension.extend([0, 0, 0, 7, 0, 0, 0, 0x5a, 1, 0xc0, 0xde, 0]);
    odd_extension.extend(&inner);
    let private =
        [0x32, 2, 0, 15, 0, 0, 0, 0, 0, 1, 0, 0, 14, 0, 255, 0, 6, 0x28, 0xaf, 1, 2, 3, 4];
    let padded = [0x32, 1, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
    for (bytes, hidden) in [
        (message(0x38, 255, &inner), Hidden::SpareBit),
        (odd_extension.clone(), Hidden::Extension(0x5a)),
        (private.to_vec(), Hidden::PrivateExtension),
        (padded.to_vec(), Hidden::Padding),
    ] {
        let fired = on_n3(vec![uplink(&bytes)], closed());
        assert_eq!(summary(&fired), [("GTP-HDRCOV", Some(GNB), "10.0.1.1".to_owned(), 1)]);
        assert_eq!(
            (one(&fired).fact, one(&fired).severity),
            (Fact::Header(hidden), Severity::Medium)
        );
    }
    // A vendor's known oddity, and that vendor's only.
    let quirk = |equipment| RuleSet {
        quirks: vec![Quirk {
            detection: weir_engine::detect::GTP_HDRCOV,
            equipment: vec![equipment],
            value: "ext 0x5a".into(),
        }],
        ..closed()
    };
    assert_eq!(summary(&on_n3(vec![uplink(&odd_extension)], quirk(GNB))), []);
    assert_eq!(on_n3(vec![uplink(&odd_extension)], quirk(EquipmentId(1))).len(), 1);
}

#[test]
fn gnbs_forward_to_each_other_over_their_n3_addresses() {
    // An NR RAN Container, which N3 itself has no use for.
    let mut message = vec![0x34, 255, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0x84, 1, 0x10, 0, 0];
    message.extend(user("192.0.2.1:2", "10.60.0.7:1", b"x"));
    message[3] = (message.len() - 8) as u8;
    let hidden = |from: &str, to: &str| {
        let fired = on_n3(vec![udp(from, to, &message)], closed());
        fired.iter().any(|alert| alert.fact == Fact::Header(Hidden::Extension(0x84)))
    };
    assert!(!hidden("10.0.0.1:2152", "10.0.0.2:2152"));
    assert!(hidden(GNB_N3, UPF_N3));
}

#[test]
fn echoes_that_are_answered_too_often_are_told_of_and_a_failing_path_is_not() {
    let (request, response) =
        ([0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0], [0x32, 2, 0, 6, 0, 0, 0, 0, 0, 1, 0, 0, 14, 0]);
    let mut failing = Script::default();
    let mut chatting = Script::default();
    for _ in 0..6 {
        failing.udp(GNB_N3, UPF_N3, &request).wait(5.0);
        chatting.udp(GNB_N3, UPF_N3, &request).udp(UPF_N3, GNB_N3, &response).wait(5.0);
    }
    assert_eq!(summary(&alerts(&failing.shots, Link::N3, closed())), []);
    let fired = alerts(&chatting.shots, Link::N3, closed());
    assert!(fired.iter().all(|alert| alert.fact == Fact::Header(Hidden::EchoRate)));
    assert!(fired.iter().all(|alert| alert.equipment == Some(GNB)), "who asks, not who answers");
    assert_eq!(fired.iter().map(|alert| alert.packets).sum::<u64>(), 4, "{:?}", summary(&fired));
}

#[test]
fn a_foreign_tunnel_is_named_with_what_is_in_it_and_a_declared_one_is_not() {
    let inner = user("10.60.0.7:1", "192.0.2.1:2", b"x");
    let mut gre = vec![0, 0, 8, 0];
    gre.extend(&inner);
    let mut vxlan = vec![8, 0, 0, 0, 0, 0, 42, 0];
    vxlan.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    vxlan.extend(&inner);
    for (frame, tunnel) in [
        (ip("10.0.0.1", "203.0.113.99", 47, &gre), Foreign::Gre),
        (ip("10.0.0.1", "203.0.113.99", 4, &inner), Foreign::IpInIp),
        (udp("10.0.0.1:5000", "203.0.113.99:4789", &vxlan), Foreign::Vxlan),
    ] {
        let fired = on_n3(vec![frame], closed());
        let alert = one(&fired);
        assert_eq!(summary(&fired), [("TUN-FOREIGN", Some(GNB), "203.0.113.99".to_owned(), 1)]);
        assert_eq!(alert.fact, Fact::ForeignTunnel(tunnel as u8));
        assert_eq!(alert.inner.unwrap().destination.to_string(), "192.0.2.1");
    }
    // What strangers send to equipment that does not answer is not its doing.
    let unasked = ip("203.0.113.99", "10.0.0.1", 47, &gre);
    assert!(!summary(&on_n3(vec![unasked], closed())).iter().any(|row| row.0 == "TUN-FOREIGN"));
}

#[test]
fn gtp_wrapped_in_gre_goes_by_the_wrapping_and_shows_its_tunnel() {
    // Zeek and Suricata follow GRE, and lose who sent it.
    let g_pdu = around(&user("10.60.0.7:1", "192.0.2.1:2", b"x"));
    let mut gre = vec![0, 0, 8, 0];
    gre.extend(user("10.0.0.1:2152", "192.0.2.99:2152", &g_pdu));
    let fired = on_n3(vec![ip("10.0.0.1", "203.0.113.99", 47, &gre)], closed());
    assert_eq!(summary(&fired), [("TUN-FOREIGN", Some(GNB), "203.0.113.99".to_owned(), 1)]);
    assert_eq!(one(&fired).tunnel.unwrap().teid, 7);
}

#[test]
fn clear_g_pdus_where_only_esp_may_pass_are_told_of() {
    let bare = uplink(&around(&user("10.60.0.7:1", "192.0.2.1:2", b"x")));
    let esp_only = |from: &str| RuleSet {
        esp_only: vec![(prefix(from), prefix("10.0.1.0/24")) as (Prefix, Prefix)],
        ..closed()
    };
    let fired = on_n3(vec![bare.clone()], esp_only("10.0.0.0/24"));
    assert_eq!(summary(&fired), [("TUN-FOREIGN", Some(GNB), "10.0.1.1".to_owned(), 1)]);
    assert_eq!(one(&fired).fact, Fact::ClearGtpu);
    assert_eq!(summary(&on_n3(vec![bare], esp_only("10.0.5.0/24"))), []);
}
