//! PFCP between nodes: every message that is not about one session (TS 29.244 §7.4).

use super::{Scene, Shape};
use crate::pfcp::{self, element, group, node_message};
use crate::plan::Link;

const STARTED: u32 = 0xed00_0000;
const ENTERPRISE: u16 = 10_415;

/// A vendor's element (§8.1.1): its length counts the enterprise number.
pub(super) fn vendor(kind: u16, value: &[u8]) -> Vec<u8> {
    element(0x8000 | kind, &[&ENTERPRISE.to_be_bytes()[..], value].concat())
}

/// The messages in one datagram: each but the last says that another follows (§7.2.2.1).
pub(super) fn bundle(messages: &[Vec<u8>]) -> Vec<u8> {
    const FOLLOW_ON: u8 = 0x04;
    let mut bytes = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        let first = bytes.len();
        bytes.extend_from_slice(message);
        if n + 1 < messages.len() {
            bytes[first] |= FOLLOW_ON;
        }
    }
    bytes
}

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let [(_, cp), (_, up)] = scene.n4;
    let (cp_id, up_id) = (pfcp::node_id(cp), pfcp::node_id(up));
    let started = || pfcp::recovery_time_stamp(STARTED);
    let ok = pfcp::accepted;
    let name = [&[2u8][..], b"\x03smf\x04core\x06mnc001\x06mcc001\x0b3gppnetwork\x03org"].concat();
    let by_name = element(60, &name);
    // Set of connections 7 of the node at that address (§8.2.45).
    let set = element(65, &[&[0x01][..], &cp.octets(), &[0, 7]].concat());
    let flow = b"permit out ip from 203.0.113.0/24 to assigned";
    let filter = [&[0x01, 0, 0, flow.len() as u8][..], flow].concat();
    let pfd = group(58, &[element(24, b"video"), group(59, &[element(61, &filter)])]);
    let failure = group(102, &[element(103, &[&[0x02][..], &scene.gnb.four.octets()].concat())]);
    let moved = group(290, &[set.clone(), element(178, &[&[0x02][..], &cp.octets()].concat())]);
    let from_cp =
        |kind, sequence, elements: &[Vec<u8>]| scene.ask(&node_message(kind, sequence, elements));
    let from_up =
        |kind, sequence, elements: &[Vec<u8>]| scene.tell(&node_message(kind, sequence, elements));
    let heartbeat = |sequence| node_message(1, sequence, &[started()]);
    let source = element(192, &[&[0x02][..], &cp.octets()].concat());
    let cases = [
        ("heartbeat-request", "pfcp.msg_type == 1", from_cp(1, 1, &[started(), source])),
        ("heartbeat-response", "pfcp.msg_type == 2", from_up(2, 1, &[started()])),
        ("pfd-request", "pfcp.msg_type == 3 && pfcp.ie_type == 61", from_cp(3, 2, &[pfd])),
        ("pfd-response", "pfcp.msg_type == 4", from_up(4, 2, &[ok()])),
        (
            "association-setup-request",
            "pfcp.msg_type == 5",
            from_cp(5, 3, &[by_name, started(), pfcp::cp_features()]),
        ),
        (
            "association-setup-response",
            "pfcp.msg_type == 6",
            from_up(6, 3, &[up_id.clone(), ok(), started(), pfcp::up_features()]),
        ),
        (
            "association-update-request",
            "pfcp.msg_type == 7",
            from_up(
                7,
                4,
                &[up_id.clone(), pfcp::up_features(), element(111, &[1]), element(112, &[0x21])],
            ),
        ),
        (
            "association-update-response",
            "pfcp.msg_type == 8",
            from_cp(8, 4, &[cp_id.clone(), ok()]),
        ),
        (
            "association-release-request",
            "pfcp.msg_type == 9",
            from_cp(9, 5, std::slice::from_ref(&cp_id)),
        ),
        (
            "association-release-response",
            "pfcp.msg_type == 10",
            from_up(10, 5, &[up_id.clone(), ok()]),
        ),
        ("version-not-supported", "pfcp.msg_type == 11", from_up(11, 6, &[])),
        (
            "node-report-request",
            "pfcp.msg_type == 12 && pfcp.ie_type == 103",
            from_up(12, 7, &[up_id.clone(), element(101, &[0x01]), failure]),
        ),
        ("node-report-response", "pfcp.msg_type == 13", from_cp(13, 7, &[cp_id.clone(), ok()])),
        ("set-deletion-request", "pfcp.msg_type == 14", from_cp(14, 8, &[cp_id.clone(), set])),
        ("set-deletion-response", "pfcp.msg_type == 15", from_up(15, 8, &[up_id.clone(), ok()])),
        ("set-modification-request", "pfcp.msg_type == 16", from_cp(16, 9, &[cp_id, moved])),
        ("set-modification-response", "pfcp.msg_type == 17", from_up(17, 9, &[up_id, ok()])),
        (
            "heartbeat-vendor-elements",
            "pfcp.msg_type == 1 && pfcp.enterprise_id == 10415",
            from_cp(
                1,
                10,
                &[started(), vendor(1, b"build 9"), vendor(0x7fff, &[0]), vendor(2, &[0; 64])],
            ),
        ),
        ("bundle-2", "pfcp.msg_type == 1", scene.ask(&bundle(&[heartbeat(11), heartbeat(12)]))),
        (
            "bundle-3",
            "pfcp.msg_type == 1",
            scene.ask(&bundle(&[heartbeat(13), heartbeat(14), heartbeat(15)])),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, claim, frame)| Shape::new(format!("pfcp/{name}"), claim, frame).on(Link::N4))
        .collect()
}
