//! What breaks the rules of its protocol: lengths that lie, parts that are cut, chains and nests
//! without end. Each may be noted, none may be trusted.

use super::{Scene, Shape, TEID};
use crate::frame;
use crate::gtpu::{self, G_PDU};
use crate::pfcp::{self, element, group, node_message, session_message};
use crate::plan::Link;

const E: u8 = 0x04;

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    gtpu_shapes(scene).into_iter().chain(pfcp_shapes(scene)).map(Shape::broken).collect()
}

fn gtpu_shapes(scene: &Scene) -> Vec<Shape> {
    let pdu = scene.user(32);
    let next = |kind| [0, 0, 0, kind];
    let chained = |parts: &[&[u8]]| scene.up(&gtpu::message(E, G_PDU, TEID, parts));
    let lying = |change: i32| {
        let mut message = scene.g_pdu(&pdu);
        let length = i32::from(u16::from_be_bytes([message[2], message[3]])) + change;
        message[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        scene.up(&message)
    };
    let endless: Vec<u8> = std::iter::repeat_n([1, 3, 0, 0x20], 200).flatten().collect();
    let whole = scene.g_pdu(&pdu);
    vec![
        Shape::new("broken/gtpu-length-beyond-datagram", "gtp", lying(200)),
        Shape::new("broken/gtpu-length-ends-in-pdu", "gtp", lying(-20)),
        Shape::new("broken/gtpu-length-zero", "gtp", {
            let mut message = whole.clone();
            message[2..4].fill(0);
            scene.up(&message)
        }),
        Shape::new("broken/gtpu-length-ends-in-optional", "gtp", {
            let mut message = whole.clone();
            message[2..4].copy_from_slice(&[0, 2]);
            scene.up(&message)
        }),
        Shape::new("broken/gtpu-cut-in-header", "gtp", scene.up(&whole[..6])),
        Shape::new("broken/gtpu-cut-in-optional", "gtp", scene.up(&whole[..10])),
        Shape::new("broken/gtpu-cut-in-extension", "gtp", scene.up(&whole[..14])),
        Shape::new("broken/gtpu-empty-datagram", "udp.dstport == 2152", scene.up(&[])),
        Shape::new(
            "broken/extension-length-zero",
            "gtp",
            chained(&[&next(0x85), &[0, 0x10, 9, 0], &pdu]),
        ),
        Shape::new(
            "broken/extension-beyond-message",
            "gtp",
            chained(&[&next(0x85), &[200, 0x10, 9, 0], &pdu]),
        ),
        Shape::new(
            "broken/extension-chain-of-200",
            "gtp",
            chained(&[&next(0x20), &endless[..796], &[1, 3, 0, 0], &pdu]),
        ),
        Shape::new("broken/extension-unknown", "gtp", chained(&[&next(0x5a), &[1, 1, 2, 0], &pdu])),
        Shape::new(
            "broken/container-flags-beyond-header",
            "gtp",
            chained(&[&next(0x85), &[1, 0x1f, 0xc9, 0], &pdu]),
        ),
        Shape::new(
            "broken/reserved-bit",
            "gtp",
            scene.up(&gtpu::message(0x08, G_PDU, TEID, &[&pdu])),
        ),
        Shape::new("broken/inner-ip-cut", "gtp", scene.up(&scene.g_pdu(&pdu[..30]))),
        Shape::new("broken/udp-length-short", "", {
            let mut packet = scene.packet(&whole);
            packet[24..26].copy_from_slice(&20u16.to_be_bytes());
            packet[26..28].fill(0);
            scene.framed(&packet)
        }),
    ]
}

fn pfcp_shapes(scene: &Scene) -> Vec<Shape> {
    let stamp = pfcp::recovery_time_stamp(0xed00_0000);
    let heartbeat = node_message(1, 50, std::slice::from_ref(&stamp));
    let with = |elements: &[Vec<u8>]| session_message(52, 9, 51, elements);
    let lying = |message: &[u8], length: u16| {
        let mut message = message.to_vec();
        message[2..4].copy_from_slice(&length.to_be_bytes());
        message
    };
    let first = |octet: u8| [&[octet][..], &heartbeat[1..]].concat();
    let mut longer = group(pfcp::UPDATE_FAR, &[pfcp::far_id(1), pfcp::apply_action(2)]);
    // The last member claims more than its group has.
    let action = longer.len() - 3..longer.len() - 1;
    longer[action].copy_from_slice(&[0, 200]);
    let mut deep = pfcp::pdr_id(1);
    for level in 0..100 {
        deep = group(if level % 2 == 0 { pfcp::PDI } else { pfcp::CREATE_PDR }, &[deep]);
    }
    let cases: [(&str, &str, Vec<u8>); 17] = [
        ("length-beyond-datagram", "pfcp", lying(&heartbeat, 400)),
        ("length-ends-in-element", "pfcp", lying(&heartbeat, 8)),
        ("length-zero", "pfcp", lying(&heartbeat, 0)),
        ("cut-in-header", "", heartbeat[..5].to_vec()),
        ("cut-in-seid", "pfcp", with(&[])[..10].to_vec()),
        ("cut-in-element", "pfcp", heartbeat[..heartbeat.len() - 2].to_vec()),
        ("cut-in-element-header", "pfcp", with(&[stamp.clone(), vec![0, 96, 0]])),
        ("element-beyond-message", "pfcp", with(&[vec![0, 96, 0, 200, 1, 2, 3, 4]])),
        ("element-empty", "pfcp", with(&[element(pfcp::CREATE_PDR, &[]), element(56, &[])])),
        ("member-beyond-group", "pfcp", with(&[longer])),
        ("vendor-element-without-enterprise", "pfcp", with(&[vec![0x80, 1, 0, 1, 7]])),
        ("nested-100-deep", "pfcp", with(&[deep])),
        ("trailing-bytes", "pfcp", [&heartbeat[..], b"left over"].concat()),
        ("version-2", "pfcp", first(0x40)),
        ("follow-on-without-message", "pfcp", first(0x24)),
        ("unknown-message", "pfcp", [&[0x20, 99][..], &heartbeat[2..]].concat()),
        ("incomplete-establishment", "pfcp", session_message(50, 0, 52, &[pfcp::f_teid_choose()])),
    ];
    let mut shapes: Vec<Shape> = cases
        .into_iter()
        .map(|(name, claim, message)| {
            Shape::new(format!("broken/pfcp-{name}"), claim, scene.ask(&message)).on(Link::N4)
        })
        .collect();
    let to_other = {
        let route = crate::encapsulation::route(scene.n4[0].1, scene.n4[1].1);
        scene.on_n4(&frame::udp(&route, 14_601, pfcp::PORT, &heartbeat[..16]))
    };
    shapes.push(Shape::new("broken/pfcp-other-source-port", "pfcp", to_other).on(Link::N4));
    shapes
}
