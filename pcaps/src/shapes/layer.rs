//! What stands before the outer UDP header: tags, labels, PPPoE, both IP families with what their
//! headers may carry.

use super::{Scene, Shape};
use crate::encapsulation::{self, SERVICE_VLAN, VLAN};

const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
/// Room for three addresses, none recorded yet.
const RECORD_ROUTE: [u8; 15] = [7, 15, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// An option of four zeros, which fills the header to eight octets.
const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let packet = scene.packet(&scene.g_pdu(&scene.user(32)));
    let packet6 = scene.packet6(&scene.g_pdu(&scene.user(32)));
    let plain = scene.framed(&packet);
    let (from, to) = (scene.gnb.mac, scene.upf.mac);
    let tags = |tags: &[(u16, u16)]| encapsulation::tagged(&plain, tags);
    let labels = |labels: &[u32]| encapsulation::mpls(from, to, labels, &packet);
    let options = |options: &[u8]| scene.framed(&encapsulation::with_options(&packet, options));
    let headers =
        |headers: &[(u8, &[u8])]| scene.framed(&encapsulation::with_extensions(&packet6, headers));
    let segments = [253, 0, 0, 0, 0, 0];
    vec![
        Shape::new("layer/vlan", "vlan.id == 100 && gtp", tags(&[(VLAN, 100)])),
        Shape::new(
            "layer/vlan-priority",
            "vlan.id == 0 && vlan.priority == 5 && gtp",
            tags(&[(VLAN, 0xa000)]),
        ),
        Shape::new(
            "layer/qinq-88a8",
            "ieee8021ad && vlan.id == 100 && gtp",
            tags(&[(SERVICE_VLAN, 200), (VLAN, 100)]),
        ),
        Shape::new(
            "layer/qinq-8100",
            "vlan.id == 200 && vlan.id == 100 && gtp",
            tags(&[(VLAN, 200), (VLAN, 100)]),
        ),
        Shape::new(
            "layer/tags-4",
            "ieee8021ad.svid == 1 && vlan.id == 4 && gtp",
            tags(&[(SERVICE_VLAN, 1), (SERVICE_VLAN, 2), (VLAN, 3), (VLAN, 4)]),
        ),
        Shape::new(
            "layer/tags-5",
            "ieee8021ad.id == 1 && vlan.id == 5 && gtp",
            tags(&[(SERVICE_VLAN, 1), (VLAN, 2), (VLAN, 3), (VLAN, 4), (VLAN, 5)]),
        ),
        Shape::new("layer/mpls-1", "mpls.label == 16001 && gtp", labels(&[16_001])),
        Shape::new("layer/mpls-2", "mpls.label == 16002 && gtp", labels(&[16_001, 16_002])),
        Shape::new("layer/mpls-3", "mpls.label == 16003 && gtp", labels(&[16_001, 16_002, 16_003])),
        Shape::new(
            "layer/mpls-ipv6",
            "mpls && ipv6 && gtp",
            encapsulation::mpls(from, to, &[16_001], &packet6),
        ),
        Shape::new(
            "layer/vlan-mpls",
            "vlan.id == 100 && mpls && gtp",
            encapsulation::tagged(&labels(&[16_001, 16_002]), &[(VLAN, 100)]),
        ),
        Shape::new("layer/pppoe", "pppoes && gtp", encapsulation::pppoe(from, to, 0x0102, &packet)),
        Shape::new(
            "layer/vlan-pppoe",
            "vlan && pppoes && gtp",
            encapsulation::tagged(&encapsulation::pppoe(from, to, 3, &packet), &[(VLAN, 7)]),
        ),
        Shape::new("layer/ipv6", "ipv6 && gtp", scene.framed(&packet6)),
        Shape::new("layer/ipv4-option", "ip.hdr_len == 24 && gtp", options(&ROUTER_ALERT)),
        Shape::new("layer/ipv4-options", "ip.hdr_len == 36 && gtp", options(&RECORD_ROUTE)),
        Shape::new("layer/ipv4-options-40", "ip.hdr_len == 60 && gtp", options(&[1; 40])),
        Shape::new(
            "layer/ipv6-hop-by-hop",
            "ipv6.hopopts && gtp",
            headers(&[(HOP_BY_HOP, &PADDING)]),
        ),
        Shape::new(
            "layer/ipv6-headers",
            "ipv6.hopopts && ipv6.routing && ipv6.dstopts && gtp",
            headers(&[(HOP_BY_HOP, &PADDING), (DESTINATION, &PADDING), (ROUTING, &segments)]),
        ),
        Shape::new("layer/vlan-ipv6", "vlan && ipv6 && gtp", {
            encapsulation::tagged(&scene.framed(&packet6), &[(VLAN, 100)])
        }),
    ]
}
