//! What networks wrap around packets: tags, labels, tunnels, and the pieces of a packet that was
//! too long. Each function takes what is inside and gives what is around it.

use std::net::IpAddr;

use pnet_packet::ethernet::EtherTypes;
use pnet_packet::ipv4::{self, MutableIpv4Packet};

use crate::frame::{self, MacAddr, Route};

pub(crate) const VLAN: u16 = 0x8100;
pub(crate) const SERVICE_VLAN: u16 = 0x88a8;
const MPLS: u16 = 0x8847;
const PPPOE_SESSION: u16 = 0x8864;
const TRANSPARENT_ETHERNET: u16 = 0x6558;
const PPP_IPV4: [u8; 2] = [0x00, 0x21];

const MACS: usize = 12;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

pub(crate) const IP_IN_IP: u8 = 4;
pub(crate) const IPV6_IN_IP: u8 = 41;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const ESP: u8 = 50;
const AH: u8 = 51;
pub(crate) const SCTP: u8 = 132;

/// The frame with tags after its MAC addresses, outermost first: (EtherType, VLAN).
pub(crate) fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = frame[..MACS].to_vec();
    for (ethertype, vlan) in tags {
        bytes.extend(ethertype.to_be_bytes());
        bytes.extend(vlan.to_be_bytes());
    }
    bytes.extend_from_slice(&frame[MACS..]);
    bytes
}

/// An Ethernet frame of a packet under a stack of labels, the last of them marked as the bottom.
pub(crate) fn mpls(from: MacAddr, to: MacAddr, labels: &[u32], packet: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(labels.len() * 4 + packet.len());
    for (n, label) in labels.iter().enumerate() {
        let bottom = u32::from(n + 1 == labels.len()) << 8;
        bytes.extend((label << 12 | bottom | 64).to_be_bytes());
    }
    bytes.extend_from_slice(packet);
    frame::ethernet(from, to, MPLS, &bytes)
}

/// An Ethernet frame of an IPv4 packet in a PPPoE session (RFC 2516 §4).
pub(crate) fn pppoe(from: MacAddr, to: MacAddr, session: u16, packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x11, 0];
    bytes.extend(session.to_be_bytes());
    bytes.extend((packet.len() as u16 + 2).to_be_bytes());
    bytes.extend(PPP_IPV4);
    bytes.extend_from_slice(packet);
    frame::ethernet(from, to, PPPOE_SESSION, &bytes)
}

/// GRE (RFC 2784, RFC 2890), with a key and a sequence number where they are given.
pub(crate) fn gre(
    route: &Route,
    protocol: u16,
    key: Option<u32>,
    sequence: Option<u32>,
    inside: &[u8],
) -> Vec<u8> {
    let flag = |present: bool, bit: u8| if present { bit } else { 0 };
    let mut bytes = vec![flag(key.is_some(), 0x20) | flag(sequence.is_some(), 0x10), 0];
    bytes.extend(protocol.to_be_bytes());
    bytes.extend(key.into_iter().chain(sequence).flat_map(u32::to_be_bytes));
    bytes.extend_from_slice(inside);
    frame::ip(route, GRE, &bytes)
}

/// An IP packet in GRE.
pub(crate) fn gre_ip(route: &Route, key: Option<u32>, sequence: Option<u32>, ip: &[u8]) -> Vec<u8> {
    let ethertype = if ip[0] >> 4 == 6 { EtherTypes::Ipv6 } else { EtherTypes::Ipv4 };
    gre(route, ethertype.0, key, sequence, ip)
}

/// A mirrored frame in ERSPAN type II: version 1, VLAN 100, session 7, port index 3.
pub(crate) fn erspan2(route: &Route, sequence: u32, frame: &[u8]) -> Vec<u8> {
    let header = [0x10, 100, 0x18, 7, 0, 0, 0, 3];
    gre(route, 0x88be, None, Some(sequence), &[&header, frame].concat())
}

/// A mirrored frame in ERSPAN type III: version 2, VLAN 100, session 7, a time stamp of 100 µs
/// units, an Ethernet frame.
pub(crate) fn erspan3(route: &Route, sequence: u32, frame: &[u8]) -> Vec<u8> {
    let header = [0x20, 100, 0, 7, 0, 1, 0xe2, 0x40, 0, 0, 0, 0];
    gre(route, 0x22eb, None, Some(sequence), &[&header, frame].concat())
}

/// A frame in VXLAN (RFC 7348 §5).
pub(crate) fn vxlan(route: &Route, vni: u32, frame: &[u8]) -> Vec<u8> {
    let bytes = [&[0x08, 0, 0, 0][..], &(vni << 8).to_be_bytes(), frame].concat();
    frame::udp(route, 49_321, 4789, &bytes)
}

/// A frame in Geneve (RFC 8926 §3.4) with one option of four octets.
pub(crate) fn geneve(route: &Route, vni: u32, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0];
    bytes.extend(TRANSPARENT_ETHERNET.to_be_bytes());
    bytes.extend((vni << 8).to_be_bytes());
    bytes.extend([0x01, 0x02, 0x01, 0x01, 1, 2, 3, 4]);
    bytes.extend_from_slice(frame);
    frame::udp(route, 49_322, 6081, &bytes)
}

/// An IPv4 packet in PPP in a data message of L2TPv2 (RFC 2661 §3.1).
pub(crate) fn l2tp(route: &Route, tunnel: u16, session: u16, packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x40, 0x02];
    bytes.extend((packet.len() as u16 + 12).to_be_bytes());
    bytes.extend(tunnel.to_be_bytes());
    bytes.extend(session.to_be_bytes());
    bytes.extend([0xff, 0x03]);
    bytes.extend(PPP_IPV4);
    bytes.extend_from_slice(packet);
    frame::udp(route, 1701, 1701, &bytes)
}

/// ESP (RFC 4303 §2): the index, the sequence number, and what nobody can read.
pub(crate) fn esp(route: &Route, spi: u32, sequence: u32, sealed: &[u8]) -> Vec<u8> {
    let bytes = [&spi.to_be_bytes()[..], &sequence.to_be_bytes(), sealed].concat();
    frame::ip(route, ESP, &bytes)
}

/// The IP packet with an AH of a 96-bit check value between its header and its payload
/// (RFC 4302 §2). The payload stays readable.
pub(crate) fn ah(route: &Route, packet: &[u8], check: [u8; 12]) -> Vec<u8> {
    let (protocol, header) = match packet[0] >> 4 {
        6 => (packet[6], IPV6_HEADER),
        _ => (packet[9], IPV4_HEADER),
    };
    let mut bytes = vec![protocol, 4, 0, 0, 0, 0, 0x10, 1, 0, 0, 0, 9];
    bytes.extend(check);
    bytes.extend_from_slice(&packet[header..]);
    frame::ip(route, AH, &bytes)
}

/// The first message of a WireGuard handshake, and the second as its answer.
pub(crate) fn wireguard(route: &Route, answer: bool, port: u16, noise: &[u8]) -> Vec<u8> {
    let (kind, length, ports) =
        if answer { (2, 92, (51_820, port)) } else { (1, 148, (port, 51_820)) };
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(noise.iter().copied().cycle().take(length - 4));
    // Without a cookie the last sixteen octets are zero.
    bytes[length - 16..].fill(0);
    frame::udp(route, ports.0, ports.1, &bytes)
}

/// The IPv4 packet with options in its header, padded to a multiple of four octets.
pub(crate) fn with_options(packet: &[u8], options: &[u8]) -> Vec<u8> {
    let padded = options.len().next_multiple_of(4);
    let mut bytes = packet[..IPV4_HEADER].to_vec();
    bytes.extend_from_slice(options);
    bytes.resize(IPV4_HEADER + padded, 0);
    bytes.extend_from_slice(&packet[IPV4_HEADER..]);
    let length = bytes.len() as u16;
    let mut view = MutableIpv4Packet::new(&mut bytes).expect("the packet had a header before");
    view.set_header_length((5 + padded / 4) as u8);
    view.set_total_length(length);
    view.set_checksum(ipv4::checksum(&view.to_immutable()));
    bytes
}

/// The IPv6 packet with extension headers: (type, content after next header and length), padded
/// to multiples of eight octets.
pub(crate) fn with_extensions(packet: &[u8], extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let last = packet[6];
    let mut chain = Vec::new();
    for (n, (_, content)) in extensions.iter().enumerate() {
        let next = extensions.get(n + 1).map_or(last, |(kind, _)| *kind);
        let length = (2 + content.len()).next_multiple_of(8);
        chain.extend([next, (length / 8 - 1) as u8]);
        chain.extend_from_slice(content);
        chain.resize(chain.len() + length - 2 - content.len(), 0);
    }
    let mut bytes = [&packet[..IPV6_HEADER], &chain, &packet[IPV6_HEADER..]].concat();
    let length = (bytes.len() - IPV6_HEADER) as u16;
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes[6] = extensions.first().map_or(last, |(kind, _)| *kind);
    bytes
}

/// The octets `from..to` of an IP packet's payload as a fragment; `from` is a multiple of eight.
pub(crate) fn fragment(packet: &[u8], (from, to): (usize, usize), more: bool, id: u16) -> Vec<u8> {
    let offset = from as u16 | u16::from(more);
    if packet[0] >> 4 == 6 {
        let mut bytes = packet[..IPV6_HEADER].to_vec();
        bytes.extend([packet[6], 0]);
        bytes.extend(offset.to_be_bytes());
        bytes.extend(u32::from(id).to_be_bytes());
        bytes.extend_from_slice(&packet[IPV6_HEADER + from..IPV6_HEADER + to]);
        let length = (bytes.len() - IPV6_HEADER) as u16;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        bytes[6] = FRAGMENT;
        return bytes;
    }
    let mut bytes = packet[..IPV4_HEADER].to_vec();
    bytes.extend_from_slice(&packet[IPV4_HEADER + from..IPV4_HEADER + to]);
    let length = bytes.len() as u16;
    let mut view = MutableIpv4Packet::new(&mut bytes).expect("the packet had a header before");
    view.set_total_length(length);
    view.set_identification(id);
    view.set_flags(u8::from(more));
    view.set_fragment_offset((from / 8) as u16);
    view.set_checksum(ipv4::checksum(&view.to_immutable()));
    bytes
}

/// An IP packet in fragments whose payload is `step` octets each, a multiple of eight.
pub(crate) fn pieces(packet: &[u8], step: usize, id: u16) -> Vec<Vec<u8>> {
    let length = packet.len() - header(packet);
    (0..length)
        .step_by(step)
        .map(|from| {
            let to = (from + step).min(length);
            fragment(packet, (from, to), to < length, id)
        })
        .collect()
}

/// Octets of the header of an IP packet without options.
pub(crate) fn header(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 6 { IPV6_HEADER } else { IPV4_HEADER }
}

/// An SCTP packet with one DATA chunk, the `number`th, of a payload protocol (RFC 9260 §3).
pub(crate) fn sctp(
    route: &Route,
    (sport, dport): (u16, u16),
    (ppid, number): (u32, u16),
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28 + data.len());
    bytes.extend(sport.to_be_bytes());
    bytes.extend(dport.to_be_bytes());
    bytes.extend(0x1234_5678u32.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([0, 3]);
    bytes.extend((16 + data.len() as u16).to_be_bytes());
    bytes.extend((1 + u32::from(number)).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(ppid.to_be_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let sum = crc32c(&bytes).to_le_bytes();
    bytes[8..12].copy_from_slice(&sum);
    frame::ip(route, SCTP, &bytes)
}

/// The checksum of SCTP (RFC 9260 appendix A), bit by bit: there is little to sum here.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A route of the same ends the other way.
pub(crate) fn back(route: &Route) -> Route {
    Route::new(route.dst, route.src)
}

/// A route between two addresses that are given as any kind of address.
pub(crate) fn route(src: impl Into<IpAddr>, dst: impl Into<IpAddr>) -> Route {
    Route::new(src.into(), dst.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_sum_of_sctp_is_that_of_the_rfc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn pieces_cover_the_payload_once_in_both_families() {
        let four = route(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1));
        let six = route(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let payload: Vec<u8> = (0..2_040u32).map(|n| n as u8).collect();
        for (route, extra) in [(four, 0), (six, 8)] {
            let packet = frame::udp(&route, 1, 2, &payload);
            let own = header(&packet);
            let pieces = pieces(&packet, 8, 7);
            assert_eq!(pieces.len(), 256);
            let whole: Vec<u8> =
                pieces.iter().flat_map(|piece| piece[own + extra..].to_vec()).collect();
            assert_eq!(whole, packet[own..]);
        }
    }

    #[test]
    fn a_stack_of_labels_ends_at_its_bottom() {
        let frame = mpls(MacAddr::zero(), MacAddr::zero(), &[1, 2], &[0x45; 60]);
        assert_eq!(frame[12..22], [0x88, 0x47, 0, 0, 0x10, 64, 0, 0, 0x21, 64]);
    }
}
