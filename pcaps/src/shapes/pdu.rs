//! What a G-PDU carries: IP of both families, Ethernet, nothing, anything, and the signalling that
//! has no business there.

use std::net::Ipv4Addr;

use super::{Scene, Shape, TEID};
use crate::encapsulation::{self, SERVICE_VLAN, VLAN, route};
use crate::frame::{self, MacAddr, Segment};
use crate::gtpu::{self, Header};
use crate::pfcp;

/// NG SETUP REQUEST of gNB 1 in PLMN 208/93, tracking area 1, slice 1-010203 (TS 38.413 §9.2.6.1).
pub(crate) const NG_SETUP_REQUEST: [u8; 45] = [
    0x00, 0x15, 0x00, 0x29, 0x00, 0x00, 0x03, 0x00, 0x1b, 0x00, 0x09, 0x00, 0x02, 0xf8, 0x39, 0x50,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x66, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x02, 0xf8,
    0x39, 0x00, 0x00, 0x10, 0x08, 0x01, 0x02, 0x03, 0x00, 0x15, 0x40, 0x01, 0x40,
];
/// The payload protocol and the port of NGAP.
pub(crate) const NGAP: (u32, u16) = (60, 38_412);
/// An Echo Request of GTPv2-C with its Recovery element (TS 29.274 §7.1.1).
pub(crate) const GTPV2_ECHO: [u8; 13] = [0x40, 1, 0, 9, 0, 0, 5, 0, 3, 0, 1, 0, 4];

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let mut shapes = ip(scene);
    shapes.extend(ethernet(scene));
    shapes.extend(nested(scene));
    shapes
}

fn carrying(scene: &Scene, name: &str, claim: &'static str, pdu: &[u8]) -> Shape {
    Shape::new(name, claim, scene.up(&scene.g_pdu(pdu)))
}

fn ip(scene: &Scene) -> Vec<Shape> {
    let there = route(scene.ue, scene.host);
    let there6 = route(scene.ue6, scene.host6);
    let segment = Segment {
        sport: 40_001,
        dport: 443,
        sequence: 1_000,
        acknowledgement: 2_000,
        flags: 0x10,
        payload: &[],
    };
    let no_operation = encapsulation::with_options(&scene.user(32), &[1, 1, 1, 0]);
    let extended = encapsulation::with_extensions(
        &scene.user6(),
        &[(0, &[1, 4, 0, 0, 0, 0]), (60, &[1, 4, 0, 0, 0, 0]), (43, &[253, 0, 0, 0, 0, 0])],
    );
    let pieces = encapsulation::pieces(&scene.user(1_600), 800, 0x5151);
    let pieces6 = encapsulation::pieces(&scene.user6(), 24, 0x5252);
    let carry = |name, claim, pdu: &[u8]| carrying(scene, name, claim, pdu);
    let both = |pieces: &[Vec<u8>]| pieces.iter().map(|p| scene.up(&scene.g_pdu(p))).collect();
    let plain = Header { kind: gtpu::G_PDU, teid: TEID, ..Header::default() };
    vec![
        carry("pdu/ipv4-udp", "gtp && udp.dstport == 443", &scene.user(32)),
        carry("pdu/ipv4-tcp", "gtp && tcp.dstport == 443", &frame::tcp(&there, &segment)),
        carry("pdu/ipv4-icmp", "gtp && icmp", &frame::ping(&there, false, 1, 1)),
        carry("pdu/ipv4-options", "gtp && ip.hdr_len == 24", &no_operation),
        Shape::of("pdu/ipv4-fragments", "gtp && ip.flags.mf == 1", both(&pieces)),
        carry("pdu/ipv6-udp", "gtp && ipv6 && udp.dstport == 443", &scene.user6()),
        carry("pdu/ipv6-tcp", "gtp && ipv6 && tcp", &frame::tcp(&there6, &segment)),
        carry("pdu/ipv6-icmpv6", "gtp && icmpv6", &frame::ping(&there6, false, 1, 1)),
        carry(
            "pdu/ipv6-extension-headers",
            "gtp && ipv6.hopopts && ipv6.dstopts && ipv6.routing",
            &extended,
        ),
        Shape::of("pdu/ipv6-fragments", "gtp && ipv6.fraghdr", both(&pieces6)),
        carry("pdu/unstructured", "gtp.message == 255", &[0x01, 0x02, 0x03, 0x04, 0xfe, 0xff]),
        carry("pdu/empty", "gtp.message == 255", &[]),
        Shape::new("pdu/empty-plain-header", "gtp.message == 255", scene.up(&plain.around(&[]))),
    ]
}

/// Frames of a PDU session of type Ethernet. Wireshark 4.0 takes none of them for one.
fn ethernet(scene: &Scene) -> Vec<Shape> {
    let (from, to) = (MacAddr::new(2, 0, 0x5e, 0, 0, 1), MacAddr::new(2, 0, 0x5e, 0, 0, 2));
    let user = scene.user(64);
    let plain = frame::ethernet_ip(from, to, &user);
    let asked = Ipv4Addr::new(192, 0, 2, 9);
    let arp = frame::arp(false, (from, Ipv4Addr::new(192, 0, 2, 8)), (to, asked));
    let cases = [
        ("plain", plain.clone()),
        ("ipv6", frame::ethernet_ip(from, to, &scene.user6())),
        ("vlan", encapsulation::tagged(&plain, &[(VLAN, 100)])),
        ("qinq", encapsulation::tagged(&plain, &[(SERVICE_VLAN, 200), (VLAN, 100)])),
        ("mpls", encapsulation::mpls(from, to, &[16_001, 16_002], &user)),
        ("arp", arp),
    ];
    cases
        .map(|(name, frame)| {
            carrying(scene, &format!("pdu/ethernet-{name}"), "gtp.message == 255", &frame)
        })
        .into()
}

/// Tunnels and signalling inside a tunnel.
fn nested(scene: &Scene) -> Vec<Shape> {
    let outside = route(scene.ue, Ipv4Addr::new(192, 0, 2, 66));
    let inside = |port, message: &[u8]| frame::udp(&outside, port, port, message);
    let gtpu = inside(gtpu::PORT, &scene.g_pdu(&scene.user(32)));
    let twice = inside(gtpu::PORT, &scene.g_pdu(&gtpu));
    let heartbeat =
        pfcp::node_message(pfcp::HEARTBEAT_REQUEST, 1, &[pfcp::recovery_time_stamp(0xed00_0000)]);
    let echo = gtpu::echo_request(1);
    let (ppid, port) = NGAP;
    let ngap = encapsulation::sctp(&outside, (40_000, port), (ppid, 0), &NG_SETUP_REQUEST);
    let six = frame::udp(&route(scene.ue6, scene.host6), gtpu::PORT, gtpu::PORT, &echo);
    let carry = |name, claim, pdu: &[u8]| carrying(scene, name, claim, pdu);
    vec![
        carry("nested/gtpu", "gtp && ip.dst == 192.0.2.66 && udp.dstport == 443", &gtpu),
        carry("nested/gtpu-twice", "gtp && ip.dst == 192.0.2.66 && udp.dstport == 443", &twice),
        carry("nested/gtpu-echo", "gtp.message == 1", &inside(gtpu::PORT, &echo)),
        carry("nested/gtpu-echo-ipv6", "gtp.message == 1 && ipv6", &six),
        carry("nested/pfcp", "gtp && pfcp.msg_type == 1", &inside(pfcp::PORT, &heartbeat)),
        carry("nested/gtpv2-c", "gtp && gtpv2.message_type == 1", &inside(2123, &GTPV2_ECHO)),
        carry("nested/ngap", "gtp && ngap", &ngap),
    ]
}
