//! Tunnels around a G-PDU, from the gNB to the UPF.

use super::{Scene, Shape};
use crate::encapsulation::{self, IP_IN_IP, IPV6_IN_IP, back};
use crate::frame;

const KEY: u32 = 0x0000_cafe;
const VNI: u32 = 4_660;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let message = scene.g_pdu(&scene.user(32));
    let (packet, packet6) = (scene.packet(&message), scene.packet6(&message));
    let inside = scene.framed(&packet);
    let (there, there6) = (scene.route(), scene.route6());
    let sealed = scene.payload(120);
    let check = [7; 12];
    let noise = scene.payload(148);
    let answer = encapsulation::wireguard(&back(&there), true, 40_000, &noise);
    let gre = |key, sequence| encapsulation::gre_ip(&there, key, sequence, &packet);
    let cases = [
        ("gre", "gre && gtp", gre(None, None)),
        ("gre-key", "gre.key == 0xcafe && gtp", gre(Some(KEY), None)),
        ("gre-sequence", "gre.sequence_number == 5 && gtp", gre(None, Some(5))),
        ("gre-key-sequence", "gre.key && gre.sequence_number == 5 && gtp", gre(Some(KEY), Some(5))),
        ("gre-ipv6", "gre && ipv6 && gtp", encapsulation::gre_ip(&there, None, None, &packet6)),
        (
            "gre-ethernet",
            "gre && gtp",
            encapsulation::gre(&there, TRANSPARENT_ETHERNET, Some(KEY), None, &inside),
        ),
        ("erspan-2", "erspan.spanid == 7 && gtp", encapsulation::erspan2(&there, 1, &inside)),
        ("erspan-3", "erspan.spanid == 7 && gtp", encapsulation::erspan3(&there, 1, &inside)),
        ("vxlan", "vxlan.vni == 4660 && gtp", encapsulation::vxlan(&there, VNI, &inside)),
        ("vxlan-ipv6", "ipv6 && vxlan && gtp", encapsulation::vxlan(&there6, VNI, &inside)),
        ("geneve", "geneve.vni == 0x1234 && gtp", encapsulation::geneve(&there, VNI, &inside)),
        ("ip-in-ip", "ip.proto == 4 && gtp", frame::ip(&there, IP_IN_IP, &packet)),
        ("6in4", "ip.proto == 41 && gtp", frame::ip(&there, IPV6_IN_IP, &packet6)),
        ("4in6", "ipv6.nxt == 4 && gtp", frame::ip(&there6, IP_IN_IP, &packet)),
        ("6in6", "ipv6.nxt == 41 && gtp", frame::ip(&there6, IPV6_IN_IP, &packet6)),
        ("esp", "esp", encapsulation::esp(&there, 0x1000, 9, &sealed)),
        ("esp-ipv6", "esp", encapsulation::esp(&there6, 0x1000, 9, &sealed)),
        ("ah", "ah && gtp", encapsulation::ah(&there, &packet, check)),
        ("ah-ipv6", "ah && ipv6 && gtp", encapsulation::ah(&there6, &packet6, check)),
        ("l2tp", "l2tp && gtp", encapsulation::l2tp(&there, 3, 4, &packet)),
    ];
    let mut shapes: Vec<Shape> = cases
        .into_iter()
        .map(|(name, claim, outer)| {
            Shape::new(format!("tunnel/{name}"), claim, scene.framed(&outer))
        })
        .collect();
    let handshake = vec![
        scene.framed(&encapsulation::wireguard(&there, false, 40_000, &noise)),
        frame::ethernet_ip(scene.upf.mac, scene.gnb.mac, &answer),
    ];
    shapes.push(Shape::of("tunnel/wireguard", "wg", handshake));
    shapes
}
