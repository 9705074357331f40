//! G-PDUs and PFCP messages in pieces: as networks cut them, and as someone cuts them who wants to
//! pass an inspector.

use super::{Scene, Shape, session};
use crate::encapsulation::{fragment, header, pieces};
use crate::plan::Link;

/// What an Ethernet's 1,500 octets leave after an IPv6 header and its fragment header.
const STEP: usize = 1_448;
const THIRD: usize = 688;

pub(super) fn shapes(scene: &Scene) -> Vec<Shape> {
    let message = scene.g_pdu(&scene.user(2_000));
    let whole = [
        ("g-pdu", "gtp.message == 255", Link::N3, scene.packet(&message)),
        ("g-pdu-ipv6", "gtp.message == 255", Link::N3, scene.packet6(&message)),
        ("pfcp", "pfcp.msg_type == 50", Link::N4, scene.asking(&session::long(scene))),
        ("pfcp-ipv6", "pfcp.msg_type == 50", Link::N4, scene.asking6(&session::long(scene))),
    ];
    let mut shapes = Vec::new();
    for (n, (name, claim, link, packet)) in whole.into_iter().enumerate() {
        let framed = |packet: &Vec<u8>| match link {
            Link::N4 => scene.on_n4(packet),
            _ => scene.framed(packet),
        };
        for (m, (how, complete, pieces)) in cuts(&packet, 0x4000 | (n as u16) << 8).enumerate() {
            let frames = pieces.iter().map(framed).collect();
            let claim = if complete { claim } else { "" };
            let shape = Shape::of(format!("fragment/{name}-{how}"), claim, frames).on(link);
            // The last two of a packet contradict themselves or never end.
            shapes.push(if m >= SOUND { shape.broken() } else { shape });
        }
    }
    shapes
}

/// How many of the cuts are as a network may make and deliver them.
const SOUND: usize = 6;

type Cut = (&'static str, bool, Vec<Vec<u8>>);

/// Every way of cutting, whether all octets are there without contradiction, and the pieces.
fn cuts(packet: &[u8], id: u16) -> impl Iterator<Item = Cut> {
    let length = packet.len() - header(packet);
    let in_order = pieces(packet, STEP, id);
    let reversed: Vec<Vec<u8>> = pieces(packet, THIRD, id | 1).into_iter().rev().collect();
    let doubled: Vec<Vec<u8>> =
        pieces(packet, STEP, id | 2).into_iter().flat_map(|piece| [piece.clone(), piece]).collect();
    let octets = pieces(packet, 8, id | 3);
    let backwards: Vec<Vec<u8>> = pieces(packet, 8, id | 4).into_iter().rev().collect();
    let at = |id, range, more| fragment(packet, range, more, id);
    let mut tiny = vec![at(id | 5, (0, 8), true)];
    tiny.push(at(id | 5, (8, length), false));
    let overlapping = vec![
        at(id | 6, (0, STEP), true),
        at(id | 6, (THIRD, STEP), true),
        at(id | 6, (THIRD, length), false),
    ];
    let mut other = at(id | 7, (0, STEP), true);
    // The second text of the same octets: the inspector must not read what the receiver does not.
    other.iter_mut().skip(header(packet) + 600).for_each(|octet| *octet ^= 0x55);
    let conflicting = vec![at(id | 7, (0, STEP), true), other, at(id | 7, (STEP, length), false)];
    let mut unended = pieces(packet, THIRD, id | 8);
    unended.pop();
    let unbegun = pieces(packet, THIRD, id | 9).split_off(1);
    [
        ("in-order", true, in_order),
        ("reversed", true, reversed),
        ("duplicated", true, doubled),
        ("8-octets", true, octets),
        ("8-octets-reversed", true, backwards),
        ("tiny-first", true, tiny),
        ("overlapping", false, overlapping),
        ("conflicting", false, conflicting),
        ("missing-last", false, unended),
        ("missing-first", false, unbegun),
    ]
    .into_iter()
}
