//! What else passes a tap of N3 and N4: GTP-C of three generations, charging, ICMP errors about
//! GTP-U and PFCP, ARP, LLDP.

use super::pdu::GTPV2_ECHO;
use super::{Scene, Shape};
use crate::encapsulation::{back, route};
use crate::frame::{self, MacAddr};
use crate::gtpu;
use crate::pfcp;
use crate::plan::Link;

const GTP_C: u16 = 2123;
const GTP_PRIME: u16 = 3386;
/// Create PDP Context Request of GTPv1-C (TS 29.060 §7.3.1).
const CREATE_PDP_CONTEXT: [u8; 71] = [
    0x32, 16, 0, 63, 0, 0, 0, 0, 0, 8, 0, 0, // header with TEID 0 and a sequence number
    2, 0x00, 0x01, 0x01, 0x00, 0x10, 0x00, 0x00, 0xf0, // IMSI
    14, 0, 15, 0xfc, // Recovery, Selection Mode
    16, 0, 0, 0x12, 0x34, 17, 0, 0, 0x56, 0x78, // TEID Data I, TEID Control Plane
    20, 5, // NSAPI
    128, 0, 2, 0xf1, 0x21, // End User Address: IPv4, to be chosen
    131, 0, 5, 4, b'i', b'n', b'e', b't', // Access Point Name
    133, 0, 4, 10, 0, 2, 1, 133, 0, 4, 10, 0, 0, 1, // SGSN addresses for signalling and user
    135, 0, 4, 2, 0x0b, 0x92, 0x1f, // Quality of Service Profile
];
/// Delete PDP Context Request, with Teardown Ind and NSAPI.
const DELETE_PDP_CONTEXT: [u8; 16] =
    [0x32, 20, 0, 8, 0, 0, 0x56, 0x78, 0, 9, 0, 0, 19, 0xff, 20, 5];
/// Create Session Request of GTPv2-C with IMSI, RAT type NR and APN (TS 29.274 §7.2.1).
const CREATE_SESSION: [u8; 38] = [
    0x48, 32, 0, 34, 0, 0, 0, 0, 0, 0, 7, 0, // header with TEID 0
    1, 0, 8, 0, 0x00, 0x01, 0x01, 0x00, 0x10, 0x00, 0x00, 0xf0, // IMSI
    82, 0, 1, 0, 10, // RAT type
    71, 0, 5, 0, 4, b'i', b'n', b'e', b't', // APN
];
/// Node Alive Request of GTP' version 2 with the short header (TS 32.295 §6.2.1).
const NODE_ALIVE: [u8; 13] = [0x4f, 4, 0, 7, 0, 1, 251, 0, 4, 10, 0, 0, 1];
/// Echo Request of GTP' version 2.
const PRIME_ECHO: [u8; 6] = [0x4f, 1, 0, 0, 0, 2];

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let there = scene.route();
    let datagram = |port, message: &[u8]| scene.framed(&frame::udp(&there, port, port, message));
    let from_ue = scene.packet(&scene.g_pdu(&scene.user(32)));
    let from_ue6 = scene.packet6(&scene.g_pdu(&scene.user(32)));
    let heartbeat = scene.asking(&pfcp::node_message(
        pfcp::HEARTBEAT_REQUEST,
        1,
        &[pfcp::recovery_time_stamp(0xed00_0000)],
    ));
    let answered = |packet: Vec<u8>| frame::ethernet_ip(scene.upf.mac, scene.gnb.mac, &packet);
    let [(smf, cp), (upf, up)] = scene.n4;
    let n4_error = frame::icmp(&route(up, cp), 3, 3, [0; 4], &heartbeat);
    let mtu = [0, 0, 0x05, 0xdc];
    vec![
        Shape::new(
            "beside/gtpv1-c-echo",
            "gtp.message == 1 && udp.port == 2123",
            datagram(GTP_C, &gtpu::echo_request(9)),
        ),
        Shape::new(
            "beside/gtpv1-c-create-pdp-context",
            "gtp.message == 16 && gtp.apn == \"inet\"",
            datagram(GTP_C, &CREATE_PDP_CONTEXT),
        ),
        Shape::new(
            "beside/gtpv1-c-delete-pdp-context",
            "gtp.message == 20",
            datagram(GTP_C, &DELETE_PDP_CONTEXT),
        ),
        Shape::new("beside/gtpv2-c-echo", "gtpv2.message_type == 1", datagram(GTP_C, &GTPV2_ECHO)),
        Shape::new(
            "beside/gtpv2-c-create-session",
            "gtpv2.message_type == 32",
            datagram(GTP_C, &CREATE_SESSION),
        ),
        Shape::new("beside/gtp-prime-echo", "gtpprime", datagram(GTP_PRIME, &PRIME_ECHO)),
        Shape::new("beside/gtp-prime-node-alive", "gtpprime", datagram(GTP_PRIME, &NODE_ALIVE)),
        Shape::new(
            "beside/icmp-port-unreachable-gtpu",
            "icmp.type == 3 && icmp.code == 3",
            answered(frame::icmp(&back(&there), 3, 3, [0; 4], &from_ue)),
        ),
        Shape::new(
            "beside/icmp-fragmentation-needed-gtpu",
            "icmp.type == 3 && icmp.code == 4",
            answered(frame::icmp(&back(&there), 3, 4, mtu, &from_ue[..60])),
        ),
        Shape::new(
            "beside/icmpv6-too-big-gtpu",
            "icmpv6.type == 2",
            answered(frame::icmp(&back(&scene.route6()), 2, 0, mtu, &from_ue6)),
        ),
        Shape::new(
            "beside/icmp-port-unreachable-pfcp",
            "icmp.type == 3",
            frame::ethernet_ip(upf, smf, &n4_error),
        )
        .on(Link::N4),
        Shape::new(
            "beside/arp",
            "arp",
            frame::arp(false, (scene.gnb.mac, scene.gnb.four), (scene.upf.mac, scene.upf.four)),
        ),
        Shape::new("beside/lldp", "lldp", lldp(scene.gnb.mac)),
    ]
}

/// Chassis, port, time to live (IEEE 802.1AB §8).
fn lldp(mac: MacAddr) -> Vec<u8> {
    let octets = [mac.0, mac.1, mac.2, mac.3, mac.4, mac.5];
    let unit = [&[2, 7, 4][..], &octets, &[4, 3, 5, b'n', b'3', 6, 2, 0, 120, 0, 0]].concat();
    frame::ethernet(mac, MacAddr::new(0x01, 0x80, 0xc2, 0, 0, 0x0e), 0x88cc, &unit)
}
