//! Frames, from the payload outwards: transport in IP in Ethernet, each with its valid checksum.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) use pnet_base::MacAddr;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet_packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet_packet::icmp::{self, IcmpCode, IcmpType, MutableIcmpPacket};
use pnet_packet::icmpv6::{self, Icmpv6Code, Icmpv6Type, MutableIcmpv6Packet};
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet_packet::ipv6::MutableIpv6Packet;
use pnet_packet::tcp::{self, MutableTcpPacket};
use pnet_packet::udp::{self, MutableUdpPacket};

const ETHERNET_HEADER: usize = 14;
/// What a network card pads a frame to, without its check sequence.
const ETHERNET_MINIMUM: usize = 60;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;

/// The two ends of an IP packet and what its header says beside them. Both ends are of one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    pub dscp: u8,
    /// IPv4 identification; without meaning in IPv6.
    pub id: u16,
}

impl Route {
    pub(crate) fn new(src: IpAddr, dst: IpAddr) -> Self {
        Self { src, dst, ttl: 64, dscp: 0, id: 0 }
    }
}

/// An Ethernet II frame, padded to the least length on the wire.
pub(crate) fn ethernet(src: MacAddr, dst: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (ETHERNET_HEADER + payload.len()).max(ETHERNET_MINIMUM)];
    let mut frame = sized(MutableEthernetPacket::new(&mut bytes));
    frame.set_source(src);
    frame.set_destination(dst);
    frame.set_ethertype(EtherType(ethertype));
    bytes[ETHERNET_HEADER..ETHERNET_HEADER + payload.len()].copy_from_slice(payload);
    bytes
}

/// An Ethernet II frame around an IP packet, whose version names the EtherType.
pub(crate) fn ethernet_ip(src: MacAddr, dst: MacAddr, packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 6 { EtherTypes::Ipv6 } else { EtherTypes::Ipv4 };
    ethernet(src, dst, ethertype.0, packet)
}

/// An IP packet around a finished payload.
pub(crate) fn ip(route: &Route, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let protocol = IpNextHeaderProtocol(protocol);
    match (route.src, route.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut bytes = vec![0; IPV4_HEADER + payload.len()];
            bytes[IPV4_HEADER..].copy_from_slice(payload);
            let length = bytes.len() as u16;
            let mut packet = sized(MutableIpv4Packet::new(&mut bytes));
            packet.set_version(4);
            packet.set_header_length(5);
            packet.set_dscp(route.dscp);
            packet.set_total_length(length);
            packet.set_identification(route.id);
            packet.set_flags(if route.id == 0 { Ipv4Flags::DontFragment } else { 0 });
            packet.set_ttl(route.ttl);
            packet.set_next_level_protocol(protocol);
            packet.set_source(src);
            packet.set_destination(dst);
            packet.set_checksum(ipv4::checksum(&packet.to_immutable()));
            bytes
        }
        (src, dst) => {
            let mut bytes = vec![0; IPV6_HEADER + payload.len()];
            bytes[IPV6_HEADER..].copy_from_slice(payload);
            let mut packet = sized(MutableIpv6Packet::new(&mut bytes));
            packet.set_version(6);
            packet.set_traffic_class(route.dscp << 2);
            packet.set_payload_length(payload.len() as u16);
            packet.set_next_header(protocol);
            packet.set_hop_limit(route.ttl);
            packet.set_source(six(src));
            packet.set_destination(six(dst));
            bytes
        }
    }
}

/// A UDP datagram in IP.
pub(crate) fn udp(route: &Route, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; UDP_HEADER + payload.len()];
    bytes[UDP_HEADER..].copy_from_slice(payload);
    let length = bytes.len() as u16;
    let mut datagram = sized(MutableUdpPacket::new(&mut bytes));
    datagram.set_source(sport);
    datagram.set_destination(dport);
    datagram.set_length(length);
    let sum = match (route.src, route.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            udp::ipv4_checksum(&datagram.to_immutable(), &src, &dst)
        }
        (src, dst) => udp::ipv6_checksum(&datagram.to_immutable(), &six(src), &six(dst)),
    };
    // A sum of zero would say that there is no checksum (RFC 768).
    datagram.set_checksum(if sum == 0 { 0xffff } else { sum });
    ip(route, IpNextHeaderProtocols::Udp.0, &bytes)
}

/// What a TCP segment says beside its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub sport: u16,
    pub dport: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    pub payload: &'a [u8],
}

/// A TCP segment in IP; a SYN carries the maximum segment size.
pub(crate) fn tcp(route: &Route, segment: &Segment<'_>) -> Vec<u8> {
    const MSS_1360: [u8; 4] = [2, 4, 0x05, 0x50];
    let options: &[u8] = if segment.flags & tcp::TcpFlags::SYN != 0 { &MSS_1360 } else { &[] };
    let header = TCP_HEADER + options.len();
    let mut bytes = vec![0; header + segment.payload.len()];
    bytes[TCP_HEADER..header].copy_from_slice(options);
    bytes[header..].copy_from_slice(segment.payload);
    let mut packet = sized(MutableTcpPacket::new(&mut bytes));
    packet.set_source(segment.sport);
    packet.set_destination(segment.dport);
    packet.set_sequence(segment.sequence);
    packet.set_acknowledgement(segment.acknowledgement);
    packet.set_data_offset((header / 4) as u8);
    packet.set_flags(segment.flags);
    packet.set_window(if segment.flags & tcp::TcpFlags::RST != 0 { 0 } else { 64_240 });
    let sum = match (route.src, route.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            tcp::ipv4_checksum(&packet.to_immutable(), &src, &dst)
        }
        (src, dst) => tcp::ipv6_checksum(&packet.to_immutable(), &six(src), &six(dst)),
    };
    packet.set_checksum(sum);
    ip(route, IpNextHeaderProtocols::Tcp.0, &bytes)
}

/// An ICMP or ICMPv6 message in IP, after the family of the route; `rest` are the four octets
/// after the checksum.
pub(crate) fn icmp(route: &Route, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; ICMP_HEADER + payload.len()];
    bytes[4..ICMP_HEADER].copy_from_slice(&rest);
    bytes[ICMP_HEADER..].copy_from_slice(payload);
    match (route.src, route.dst) {
        (IpAddr::V4(_), IpAddr::V4(_)) => {
            let mut message = sized(MutableIcmpPacket::new(&mut bytes));
            message.set_icmp_type(IcmpType(kind));
            message.set_icmp_code(IcmpCode(code));
            message.set_checksum(icmp::checksum(&message.to_immutable()));
            ip(route, IpNextHeaderProtocols::Icmp.0, &bytes)
        }
        (src, dst) => {
            let mut message = sized(MutableIcmpv6Packet::new(&mut bytes));
            message.set_icmpv6_type(Icmpv6Type(kind));
            message.set_icmpv6_code(Icmpv6Code(code));
            let sum = icmpv6::checksum(&message.to_immutable(), &six(src), &six(dst));
            message.set_checksum(sum);
            ip(route, IpNextHeaderProtocols::Icmpv6.0, &bytes)
        }
    }
}

/// An echo request or reply with the incrementing payload of `ping`.
pub(crate) fn ping(route: &Route, reply: bool, id: u16, sequence: u16) -> Vec<u8> {
    let payload: Vec<u8> = (0x10..0x10 + 48).collect();
    echo(route, reply, (id, sequence), &payload)
}

/// An echo request or reply by its numbers and what it holds.
pub(crate) fn echo(
    route: &Route,
    reply: bool,
    (id, sequence): (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let kind = match (route.src.is_ipv6(), reply) {
        (false, false) => 8,
        (false, true) => 0,
        (true, false) => 128,
        (true, true) => 129,
    };
    let ([a, b], [c, d]) = (id.to_be_bytes(), sequence.to_be_bytes());
    icmp(route, kind, 0, [a, b, c, d], payload)
}

/// "Destination unreachable", quoting the header and first eight octets of an IPv4 packet.
pub(crate) fn unreachable(route: &Route, code: u8, quoted: &[u8]) -> Vec<u8> {
    icmp(route, 3, code, [0; 4], &quoted[..quoted.len().min(IPV4_HEADER + 8)])
}

/// An ARP request (to everyone) or reply (to `dst_mac`).
pub(crate) fn arp(
    reply: bool,
    (src_mac, src): (MacAddr, Ipv4Addr),
    (dst_mac, dst): (MacAddr, Ipv4Addr),
) -> Vec<u8> {
    let mut bytes = [0; 28];
    let mut packet = sized(MutableArpPacket::new(&mut bytes));
    packet.set_hardware_type(ArpHardwareTypes::Ethernet);
    packet.set_protocol_type(EtherTypes::Ipv4);
    packet.set_hw_addr_len(6);
    packet.set_proto_addr_len(4);
    packet.set_operation(if reply { ArpOperations::Reply } else { ArpOperations::Request });
    packet.set_sender_hw_addr(src_mac);
    packet.set_sender_proto_addr(src);
    packet.set_target_hw_addr(if reply { dst_mac } else { MacAddr::zero() });
    packet.set_target_proto_addr(dst);
    let to = if reply { dst_mac } else { MacAddr::broadcast() };
    ethernet(src_mac, to, EtherTypes::Arp.0, &bytes)
}

/// The packet one hop later: TTL or hop limit less by one, IPv4 header checksum renewed.
pub(crate) fn forwarded(packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    if bytes[0] >> 4 == 6 {
        bytes[7] = bytes[7].saturating_sub(1);
    } else {
        let mut packet = sized(MutableIpv4Packet::new(&mut bytes));
        packet.set_ttl(packet.get_ttl().saturating_sub(1));
        packet.set_checksum(ipv4::checksum(&packet.to_immutable()));
    }
    bytes
}

/// The packet in fragments of at most `mtu` bytes, each offset a multiple of eight; the packet
/// alone if it fits or is not IPv4. A fragmented packet needs an identification: `id`.
pub(crate) fn fragments(packet: Vec<u8>, mtu: usize, id: u16) -> Vec<Vec<u8>> {
    if packet.len() <= mtu || packet[0] >> 4 != 4 {
        return vec![packet];
    }
    let step = (mtu - IPV4_HEADER) / 8 * 8;
    let payload = &packet[IPV4_HEADER..];
    let last = payload.len().div_ceil(step) - 1;
    let piece = |(n, chunk): (usize, &[u8])| {
        let mut bytes = [&packet[..IPV4_HEADER], chunk].concat();
        let length = bytes.len() as u16;
        let mut fragment = sized(MutableIpv4Packet::new(&mut bytes));
        fragment.set_total_length(length);
        fragment.set_identification(id);
        fragment.set_flags(if n == last { 0 } else { Ipv4Flags::MoreFragments });
        fragment.set_fragment_offset((n * step / 8) as u16);
        fragment.set_checksum(ipv4::checksum(&fragment.to_immutable()));
        bytes
    };
    payload.chunks(step).enumerate().map(piece).collect()
}

/// Router Alert (RFC 2113), an option of four octets.
pub(crate) const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

/// An IPv4 packet with options in its header, of a multiple of four octets.
pub(crate) fn with_options(packet: &[u8], options: &[u8]) -> Vec<u8> {
    let mut bytes = [&packet[..IPV4_HEADER], options, &packet[IPV4_HEADER..]].concat();
    let length = bytes.len() as u16;
    let mut packet = sized(MutableIpv4Packet::new(&mut bytes));
    packet.set_header_length(((IPV4_HEADER + options.len()) / 4) as u8);
    packet.set_total_length(length);
    packet.set_checksum(ipv4::checksum(&packet.to_immutable()));
    bytes
}

/// The source and destination of an IPv4 or IPv6 packet built here.
pub(crate) fn ends(packet: &[u8]) -> (IpAddr, IpAddr) {
    if packet[0] >> 4 == 6 {
        let six = sized(pnet_packet::ipv6::Ipv6Packet::new(packet));
        (six.get_source().into(), six.get_destination().into())
    } else {
        let four = sized(Ipv4Packet::new(packet));
        (four.get_source().into(), four.get_destination().into())
    }
}

/// pnet's views answer `None` for a buffer below the header's size; every buffer here is built
/// from that size upwards.
fn sized<T>(view: Option<T>) -> T {
    view.expect("the buffer was made at least as long as its header")
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(six) => six,
        IpAddr::V4(four) => four.to_ipv6_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        Route::new(Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 1, 1).into())
    }

    #[test]
    fn a_hop_changes_ttl_and_checksum_only() {
        let packet = udp(&route(), 1, 2, b"payload");
        let hop = forwarded(&packet);
        assert_eq!(hop[8], packet[8] - 1);
        let sum = pnet_packet::util::checksum(&hop[..20], 5);
        assert_eq!(hop[10..12], sum.to_be_bytes());
        assert_eq!((&hop[..8], &hop[12..]), (&packet[..8], &packet[12..]));
    }

    #[test]
    fn fragments_carry_the_packet_whole() {
        let payload: Vec<u8> = (0..3_000u32).map(|n| n as u8).collect();
        let packet = udp(&route(), 1, 2, &payload);
        let pieces = fragments(packet.clone(), 1_500, 77);
        assert_eq!(pieces.len(), 3);
        let mut whole = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            assert!(piece.len() <= 1_500);
            let view = Ipv4Packet::new(piece).unwrap();
            assert_eq!(usize::from(view.get_fragment_offset()) * 8, whole.len());
            assert_eq!(view.get_flags() & Ipv4Flags::MoreFragments != 0, n < 2);
            assert_eq!(view.get_identification(), 77);
            whole.extend_from_slice(&piece[20..]);
        }
        assert_eq!(whole, packet[20..]);
    }

    #[test]
    fn a_short_frame_is_padded_as_on_the_wire() {
        let frame = arp(
            false,
            (MacAddr::new(2, 0, 0, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 1)),
            (MacAddr::zero(), Ipv4Addr::new(10, 0, 0, 2)),
        );
        assert_eq!(frame.len(), 60);
        assert_eq!(frame[..6], [0xff; 6]);
    }
}
