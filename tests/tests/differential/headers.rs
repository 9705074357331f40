//! The readings of etherparse: the headers up to the first transport header of every frame.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;

use etherparse::{
    EtherType, IpNumber, Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket, TcpHeaderSlice,
    UdpHeaderSlice,
};
use weir_capture::{LinkType, Packet, Stream};

use crate::field::{Field, OUTER, Reading};
use crate::oracle::Theirs;
use crate::ours::Ours;

/// Link-layer header of a cooked capture: its last two octets are an EtherType.
const COOKED: usize = 16;

/// What etherparse can be asked about in this frame: the VLANs and the outermost packet. Where
/// something else than that packet carries the tunnel, `outer` is about the other.
pub(crate) fn fields(ours: &Ours) -> Vec<Field> {
    let layers = ours.layers();
    let ip = |layer: &&str| matches!(*layer, "ipv4" | "ipv6");
    let tunnel = layers.iter().position(|layer| matches!(*layer, "gtpu" | "pfcp"));
    let outside = &layers[..tunnel.unwrap_or(layers.len())];
    let outermost = match tunnel {
        Some(_) => outside.iter().filter(|layer| ip(layer)).count() == 1,
        None => !outside.iter().any(|layer| matches!(*layer, "vxlan" | "erspan")),
    };
    let before = layers.iter().position(ip).unwrap_or(layers.len());
    let vlans = |layers: &[&str]| layers.iter().filter(|layer| **layer == "vlan").count();
    let mut fields = Vec::new();
    if vlans(&layers[before..]) == 0 {
        fields.push(Field::Vlan);
    }
    let unknown = layers[..before].iter().any(|layer| matches!(*layer, "mpls" | "pppoe"));
    if outermost && !unknown {
        fields.extend(OUTER);
    }
    fields
}

/// The first `most` frames of a capture; `None` where etherparse knows no such link.
///
/// # Panics
/// If the capture can't be opened.
pub(crate) fn read(capture: &Path, most: usize) -> Vec<Option<Theirs>> {
    let file = File::open(capture).expect("the capture can be opened");
    let mut packets = Stream::open(file).expect("the capture has a header");
    let mut readings = Vec::new();
    while readings.len() < most
        && let Some(Ok(packet)) = packets.next()
    {
        readings.push(slice(&packet).map(|sliced| reading(&sliced)));
    }
    readings
}

fn slice<'a>(packet: &Packet<'a>) -> Option<LaxSlicedPacket<'a>> {
    match packet.link_type {
        LinkType::Ethernet => LaxSlicedPacket::from_ethernet(packet.bytes).ok(),
        LinkType::Raw => LaxSlicedPacket::from_ip(packet.bytes).ok(),
        LinkType::Sll => {
            let (cooked, rest) = packet.bytes.split_at_checked(COOKED)?;
            let kind = EtherType(u16::from_be_bytes([cooked[14], cooked[15]]));
            Some(LaxSlicedPacket::from_ether_type(kind, rest))
        }
        _ => None,
    }
}

fn reading(packet: &LaxSlicedPacket<'_>) -> Theirs {
    let mut reading = Reading::default();
    reading.put_list(Field::Vlan, packet.vlan_ids().iter().map(|id| id.value()));
    let mut layers = format!("{} tags", packet.link_exts.len());
    if let Some(net) = &packet.net {
        network(net, &mut reading);
        layers += match net {
            LaxNetSlice::Ipv4(_) => ":ipv4",
            LaxNetSlice::Ipv6(_) => ":ipv6",
            LaxNetSlice::Arp(_) => ":arp",
        };
    }
    if let Some((why, layer)) = &packet.stop_err {
        layers += &format!(", stopped at {layer}: {why}");
    }
    Theirs { reading, layers, ..Theirs::default() }
}

fn network(net: &LaxNetSlice<'_>, reading: &mut Reading) {
    let (ends, more, offset, payload): ([IpAddr; 2], _, _, _) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                [header.source_addr().into(), header.destination_addr().into()],
                header.more_fragments(),
                header.fragments_offset().value(),
                ip.payload(),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let fragment = ip.extensions().clone().into_iter().find_map(|extension| {
                let Ipv6ExtensionSlice::Fragment(fragment) = extension else { return None };
                Some((fragment.more_fragments(), fragment.fragment_offset().value()))
            });
            let (more, offset) = fragment.unwrap_or_default();
            let ends = [header.source_addr().into(), header.destination_addr().into()];
            (ends, more, offset, ip.payload())
        }
        LaxNetSlice::Arp(_) => return,
    };
    reading.put(Field::OuterSource, ends[0]);
    reading.put(Field::OuterDestination, ends[1]);
    reading.put(Field::OuterProtocol, payload.ip_number.0);
    let fragment = match (more, offset) {
        (false, 0) => "none",
        (true, 0) => "first",
        _ => "later",
    };
    reading.put(Field::Fragment, fragment);
    if offset == 0 {
        let ports = ports(payload.ip_number, payload.payload);
        reading.put_some(Field::OuterSourcePort, ports.map(|(port, _)| port));
        reading.put_some(Field::OuterDestinationPort, ports.map(|(_, port)| port));
    }
}

/// The ports of UDP and TCP; etherparse itself does not look for them in first fragments.
fn ports(protocol: IpNumber, payload: &[u8]) -> Option<(u16, u16)> {
    match protocol {
        IpNumber::UDP => {
            let udp = UdpHeaderSlice::from_slice(payload).ok()?;
            Some((udp.source_port(), udp.destination_port()))
        }
        IpNumber::TCP => {
            let tcp = TcpHeaderSlice::from_slice(payload).ok()?;
            Some((tcp.source_port(), tcp.destination_port()))
        }
        _ => None,
    }
}
