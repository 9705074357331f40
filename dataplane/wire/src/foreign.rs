//! Tunnels that are neither GTP-U nor PFCP, recognised by their form: by the IP
//! protocol, or by a UDP port *and* a header that fits it. WireGuard has no
//! port of its own; its handshakes have a form that nothing else has.
//!
//! A datagram costs one match on its length and one on each port, unless one of
//! them speaks for a tunnel.

use crate::{esp, ethernet, gre, mpls, vxlan};

/// A tunnel protocol that carries packets in packets.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Foreign {
    /// Generic routing encapsulation.
    Gre,
    /// IPv4 in IP (RFC 2003).
    IpInIp,
    /// IPv6 in IP (RFC 4213).
    SixInFour,
    /// Encrypted IP, bare or behind a NAT.
    Esp,
    /// Authenticated IP.
    Ah,
    /// Ethernet in IP (RFC 3378).
    EtherIp,
    /// Layer two tunnelling, versions 2 and 3.
    L2tp,
    /// MPLS in IP (RFC 4023).
    MplsInIp,
    /// Virtual extensible LAN.
    Vxlan,
    /// Generic network virtualisation (RFC 8926).
    Geneve,
    /// WireGuard.
    WireGuard,
    /// A switch's mirror session. No header of IP or UDP tells it from GRE:
    /// [`erspan`](crate::erspan) has the protocol types that do.
    Erspan,
    /// IPv6 through NATs (RFC 4380).
    Teredo,
}

/// UDP port of VXLAN in Linux before the registered one.
const OLD_VXLAN: u16 = 8472;
const GENEVE: u16 = 6081;
const L2TP: u16 = 1701;
const TEREDO: u16 = 3544;
const DNS: u16 = 53;

impl Foreign {
    /// Every tunnel, in the order of its code.
    pub const ALL: [Foreign; 13] = [
        Foreign::Gre,
        Foreign::IpInIp,
        Foreign::SixInFour,
        Foreign::Esp,
        Foreign::Ah,
        Foreign::EtherIp,
        Foreign::L2tp,
        Foreign::MplsInIp,
        Foreign::Vxlan,
        Foreign::Geneve,
        Foreign::WireGuard,
        Foreign::Erspan,
        Foreign::Teredo,
    ];

    /// The name, as people know it.
    pub const fn name(self) -> &'static str {
        match self {
            Foreign::Gre => "GRE",
            Foreign::IpInIp => "IP-in-IP",
            Foreign::SixInFour => "6in4",
            Foreign::Esp => "ESP",
            Foreign::Ah => "AH",
            Foreign::EtherIp => "EtherIP",
            Foreign::L2tp => "L2TP",
            Foreign::MplsInIp => "MPLS-in-IP",
            Foreign::Vxlan => "VXLAN",
            Foreign::Geneve => "Geneve",
            Foreign::WireGuard => "WireGuard",
            Foreign::Erspan => "ERSPAN",
            Foreign::Teredo => "Teredo",
        }
    }

    /// The tunnel that an IP protocol number stands for.
    #[inline]
    pub const fn of_protocol(ip_protocol: u8) -> Option<Foreign> {
        match ip_protocol {
            4 => Some(Foreign::IpInIp),
            41 => Some(Foreign::SixInFour),
            47 => Some(Foreign::Gre),
            50 => Some(Foreign::Esp),
            51 => Some(Foreign::Ah),
            97 => Some(Foreign::EtherIp),
            115 => Some(Foreign::L2tp),
            137 => Some(Foreign::MplsInIp),
            _ => None,
        }
    }

    /// The tunnel that a UDP payload is, going by its ports and form.
    #[inline]
    pub fn of_datagram(source_port: u16, destination_port: u16, payload: &[u8]) -> Option<Foreign> {
        if is_wireguard(payload) && source_port != DNS && destination_port != DNS {
            return Some(Foreign::WireGuard);
        }
        // Overlays answer to their registered port, never from it.
        Self::of_port(destination_port, payload).or_else(|| match source_port {
            L2TP | TEREDO | esp::NAT_PORT => Self::of_port(source_port, payload),
            _ => None,
        })
    }

    fn of_port(port: u16, payload: &[u8]) -> Option<Foreign> {
        let (foreign, fits) = match port {
            vxlan::PORT | OLD_VXLAN => (Foreign::Vxlan, is_vxlan(payload)),
            GENEVE => (Foreign::Geneve, is_geneve(payload)),
            L2TP => (Foreign::L2tp, is_l2tp(payload)),
            TEREDO => (Foreign::Teredo, is_teredo(payload)),
            esp::NAT_PORT => (Foreign::Esp, is_esp(payload)),
            _ => return None,
        };
        fits.then_some(foreign)
    }
}

/// A handshake: initiation, response or cookie reply, each of one size. Their
/// fields of random or keyed bytes are never all zero. Transport data alone
/// (type 4, any size) could be anything. The sizes also fit a DNS query with
/// identifier 256, 512 or 768 and no flags, hence the caller's look at port 53.
fn is_wireguard(payload: &[u8]) -> bool {
    let (kind, filled) = match payload.len() {
        // The first message's mac1 stands behind the encrypted time stamp.
        148 => (1, 116..132),
        92 => (2, 60..76),
        // The cookie reply's nonce.
        64 => (3, 8..32),
        _ => return false,
    };
    payload[..4] == [kind, 0, 0, 0] && payload[filled].iter().any(|octet| *octet != 0)
}

/// The I flag, and either nothing in the reserved parts or, where an extension
/// uses them, an inner frame of a common kind.
fn is_vxlan(payload: &[u8]) -> bool {
    let Some((header, frame)) = payload.split_first_chunk::<8>() else { return false };
    let Some((frame, _)) = frame.split_first_chunk::<14>() else { return false };
    let ether_type = u16::from_be_bytes([frame[12], frame[13]]);
    header[0] & 0x08 != 0
        && (vxlan::Vxlan::parse(payload).is_ok()
            || ethernet::is_vlan(ether_type)
            || matches!(ether_type, ethernet::IPV4 | ethernet::IPV6 | ethernet::ARP))
}

/// Version 0, reserved parts zero, options that fit, a protocol type in use.
fn is_geneve(payload: &[u8]) -> bool {
    let Some((header, rest)) = payload.split_first_chunk::<8>() else { return false };
    let options = usize::from(header[0] & 0x3f) * 4;
    let protocol = u16::from_be_bytes([header[2], header[3]]);
    header[0] >> 6 == 0
        && header[1] & 0x3f == 0
        && header[7] == 0
        && options <= rest.len()
        && matches!(protocol, gre::ETHERNET | ethernet::IPV4 | ethernet::IPV6 | mpls::UNICAST | NSH)
}

/// EtherType of the network service header (RFC 8300).
const NSH: u16 = 0x894f;

/// Version 2 (RFC 2661 §3.1) or 3 over UDP (RFC 3931 §4.1.2), reserved bits zero.
fn is_l2tp(payload: &[u8]) -> bool {
    let [high, low, rest @ ..] = payload else { return false };
    let flags = u16::from_be_bytes([*high, *low]);
    let version = flags & 0x000f;
    let is_control = flags & 0x8000 != 0;
    let length = || rest.first_chunk().map_or(0, |octets| usize::from(u16::from_be_bytes(*octets)));
    match (version, is_control) {
        // A control message has length and sequence numbers and nothing else optional.
        (2 | 3, true) => flags & !0x000f == 0xc800 && length() >= 12 && length() == payload.len(),
        (2, false) => {
            if flags & 0x34f0 != 0 {
                return false;
            }
            let has_length = flags & 0x4000 != 0;
            let ids = rest.get(if has_length { 2 } else { 0 }..).unwrap_or_default();
            let named = matches!(ids, [a, b, c, d, _, ..] if a | b != 0 && c | d != 0);
            named && (!has_length || (length() >= 8 && length() <= payload.len()))
        }
        // Data of version 3: a session identifier behind sixteen reserved bits.
        (3, false) => flags == 3 && matches!(rest, [0, 0, a, b, c, d, _, ..] if a | b | c | d != 0),
        _ => false,
    }
}

/// An IPv6 packet of exactly the payload's length, behind the indications that
/// a server adds (RFC 4380 §5.1.1).
fn is_teredo(payload: &[u8]) -> bool {
    let mut packet = payload;
    if let [0, 1, identifier, value, rest @ ..] = packet {
        let authentication = usize::from(*identifier) + usize::from(*value) + 9;
        packet = rest.get(authentication..).unwrap_or_default();
    }
    if let [0, 0, _, _, _, _, _, _, rest @ ..] = packet {
        packet = rest;
    }
    match packet.first_chunk::<40>() {
        Some(header) => {
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            header[0] >> 4 == 6 && packet.len() == length + 40
        }
        None => false,
    }
}

/// ESP behind a NAT: not IKE (four zero octets first), not a keepalive (one
/// octet), no reserved SPI, a counted packet, and whole words (RFC 4303 §2.4).
fn is_esp(payload: &[u8]) -> bool {
    /// SPI, sequence number, one block with its trailer, the shortest check value.
    const SHORTEST: usize = 8 + 4 + 8;
    esp::Esp::parse(payload).is_ok_and(|esp| {
        esp.spi() > 255
            && esp.sequence() != 0
            && payload.len() >= SHORTEST
            && payload.len().is_multiple_of(4)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::vec::Vec;

    fn filled(head: &[u8], len: usize) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.resize(len, 0xa5);
        bytes
    }

    fn ipv6(payload: usize) -> Vec<u8> {
        let mut packet = std::vec![0x60, 0, 0, 0, 0, payload as u8, 59, 21];
        packet.resize(40 + payload, 0x20);
        packet
    }

    /// One datagram of each kind, with its ports.
    fn specimens() -> Vec<(Foreign, u16, u16, Vec<u8>)> {
        let vxlan = filled(&[8, 0, 0, 0, 0, 0, 1, 0], 40);
        let geneve = filled(&[0, 0, 0x65, 0x58, 0, 0, 1, 0], 40);
        let control = filled(&[0xc8, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0], 20);
        let data = filled(&[0x40, 2, 0, 30, 0, 1, 0, 1], 30);
        let third = filled(&[0, 3, 0, 0, 0, 0, 0, 9], 30);
        let mut authenticated = std::vec![0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        authenticated.extend([0, 0, 0xf0, 0x12, 0x0a, 1, 2, 3]);
        authenticated.extend(ipv6(8));
        std::vec![
            (Foreign::Vxlan, 50_000, 4789, vxlan.clone()),
            (Foreign::Vxlan, 50_000, 8472, vxlan),
            (Foreign::Geneve, 50_000, 6081, geneve),
            (Foreign::L2tp, 1701, 1701, control),
            (Foreign::L2tp, 1701, 40_000, data),
            (Foreign::L2tp, 40_000, 1701, third),
            (Foreign::Teredo, 50_000, 3544, ipv6(0)),
            (Foreign::Teredo, 3544, 50_000, authenticated),
            (Foreign::Esp, 4500, 4500, filled(&[1, 2, 3, 4, 0, 0, 0, 1], 84)),
            (Foreign::WireGuard, 40_000, 51_820, filled(&[1, 0, 0, 0], 148)),
            (Foreign::WireGuard, 51_820, 443, filled(&[2, 0, 0, 0], 92)),
            (Foreign::WireGuard, 2152, 2152, filled(&[3, 0, 0, 0], 64)),
        ]
    }

    #[test]
    fn every_specimen_is_recognised() {
        for (foreign, source, destination, payload) in specimens() {
            let found = Foreign::of_datagram(source, destination, &payload);
            assert_eq!(found, Some(foreign), "{source} {destination}");
        }
    }

    #[test]
    fn on_other_ports_only_wireguard_is() {
        for (foreign, _, _, payload) in specimens() {
            let found = Foreign::of_datagram(40_000, 40_001, &payload);
            assert_eq!(found, Some(foreign).filter(|it| *it == Foreign::WireGuard));
        }
    }

    #[test]
    fn a_cut_specimen_is_recognised_only_where_its_form_bears_it() {
        for (foreign, source, destination, payload) in specimens() {
            for end in 0..payload.len() {
                let found = Foreign::of_datagram(source, destination, &payload[..end]);
                let exact = matches!(foreign, Foreign::Teredo | Foreign::WireGuard);
                assert!(found.is_none_or(|it| it == foreign && !exact), "{foreign:?} {end}");
                assert!(end > 6 || found.is_none());
            }
        }
    }

    #[test]
    fn each_part_of_a_form_is_demanded() {
        // The specimen's index above, an octet of it, and a value that its form forbids.
        for (index, octet, value) in [
            (0, 0, 0x00), // VXLAN without its I flag,
            (0, 7, 0x01), // with a reserved octet and no known frame;
            (2, 0, 0x40), // Geneve of another version,
            (2, 0, 0x3f), // with more options than octets,
            (2, 1, 0x01), // with reserved bits,
            (2, 2, 0x12), // of an unknown protocol,
            (2, 7, 0x01), // with its last octet set;
            (3, 0, 0xc0), // L2TP control without sequence numbers,
            (3, 1, 0x04), // of version 4,
            (3, 3, 0x15), // longer than it is;
            (4, 0, 0x44), // data with a reserved bit,
            (4, 7, 0x00), // of no session,
            (5, 7, 0x00), // of no session in version 3;
            (6, 0, 0x45), // Teredo with IPv4,
            (6, 5, 0x01), // shorter than it says;
            (9, 1, 0x01), // WireGuard with a reserved octet, in each message,
            (10, 2, 0x01),
            (11, 3, 0x01),
            (9, 0, 0x02), // or of another message's type.
        ] {
            let (foreign, source, destination, mut payload) = specimens().swap_remove(index);
            payload[octet] = value;
            let found = Foreign::of_datagram(source, destination, &payload);
            assert_eq!(found, None, "{foreign:?} {octet}");
        }
        let uncounted = filled(&[1, 2, 3, 4, 0, 0, 0, 0], 84);
        let ragged = filled(&[1, 2, 3, 4, 0, 0, 0, 1], 83);
        for payload in [uncounted, ragged] {
            assert_eq!(Foreign::of_datagram(4500, 4500, &payload), None);
        }
        let mut trailing = ipv6(0);
        trailing.push(0);
        assert_eq!(Foreign::of_datagram(50_000, TEREDO, &trailing), None);
    }

    #[test]
    fn what_shares_a_port_is_not_taken_for_its_tunnel() {
        let ike = filled(&[0, 0, 0, 0], 32);
        let keepalive = std::vec![0xff];
        let reserved_spi = filled(&[0, 0, 0, 200, 0, 0, 0, 1], 84);
        for payload in [&ike, &keepalive, &reserved_spi] {
            assert_eq!(Foreign::of_datagram(4500, 4500, payload), None);
        }
        // A DNS answer that happens to go to an ephemeral port of a tunnel's number.
        let answer = filled(&[0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 120);
        for port in [4789, 8472, 6081, 1701, 3544] {
            assert_eq!(Foreign::of_datagram(53, port, &answer), None, "{port}");
        }
        // A resolver's iterative query whose identifier is 768, 64 octets long.
        let query = filled(&[3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1], 64);
        assert_eq!(Foreign::of_datagram(40_000, 53, &query), None);
        // A structure of zeros with a leading 1 is nobody's handshake.
        let mut zeros = [0; 148];
        zeros[0] = 1;
        assert_eq!(Foreign::of_datagram(40_000, 40_000, &zeros), None);
    }

    #[test]
    fn reserved_bits_do_not_hide_a_vxlan_frame() {
        // RFC 7348 has receivers ignore them: a VTEP forwards this frame all the same.
        let mut payload = filled(&[0x88, 0, 0, 9, 0, 0, 1, 0], 8 + 12);
        payload.extend([0x08, 0x00, 0x45]);
        assert_eq!(Foreign::of_datagram(50_000, 4789, &payload), Some(Foreign::Vxlan));
        payload[20] = 0x77;
        assert_eq!(Foreign::of_datagram(50_000, 4789, &payload), None);
    }

    #[test]
    fn random_payloads_are_hardly_ever_a_tunnel() {
        let mut seeded = Seeded::new(17);
        for (port, bound) in
            [(4789, 10), (6081, 10), (1701, 100), (3544, 10), (40_000, 0), (51_820, 0)]
        {
            let mut found = 0;
            for _ in 0..20_000 {
                let len = [64, 92, 148, 200][seeded.next() as usize % 4];
                let payload: Vec<u8> = (0..len).map(|_| seeded.next() as u8).collect();
                found += usize::from(Foreign::of_datagram(40_000, port, &payload).is_some());
            }
            assert!(found <= bound, "{port}: {found}");
        }
    }

    #[test]
    fn protocols_and_names_are_told_apart() {
        let protocols = [4, 41, 47, 50, 51, 97, 115, 137];
        let found: Vec<_> = (0..=255).filter_map(Foreign::of_protocol).collect();
        assert_eq!(found.len(), protocols.len());
        assert!(protocols.into_iter().all(|number| Foreign::of_protocol(number).is_some()));
        for (code, foreign) in Foreign::ALL.into_iter().enumerate() {
            assert_eq!(foreign as usize, code);
            assert!(Foreign::ALL[..code].iter().all(|other| other.name() != foreign.name()));
        }
    }
}
