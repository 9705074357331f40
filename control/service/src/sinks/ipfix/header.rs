//! The header of a G-PDU (TS 29.281 §5.1), as a frame that was kept for evidence has it: alerts say
//! nothing of it but the tunnel.

use weir_engine::contract::exhibit::Kept;
use weir_engine::contract::verdict::{Tunnel, Tuple};
use weir_engine::decode::{Ports, Trail, decode};
use weir_engine::frame::{Frame, LinkType, RxMeta};
use weir_wire::Layer;
use weir_wire::gtpu::{Gtpu, Message, Teid};
use weir_wire::gtpu_extension::PDU_SESSION_CONTAINER;
use weir_wire::pdu_session::PduSession;

/// What it says besides the tunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Its first octet.
    pub(super) flags: u8,
    /// The sequence number, if it has one.
    pub(super) sequence: Option<u16>,
    /// Of a PDU Session Container (TS 38.415 §5.5.2): its type, and the QoS flow.
    container: Option<(u8, u8)>,
}

impl Header {
    /// Of the first frame in which a G-PDU of that tunnel is, sent to the ports of `outer`.
    pub(super) fn of(frames: &[Kept], tunnel: Tunnel, outer: &Tuple) -> Option<Self> {
        let ports = Ports::new(&[outer.source_port, outer.destination_port], &[]);
        frames.iter().find_map(|kept| {
            let link_type = LinkType::from_code(kept.head.link_type);
            let meta = RxMeta { wire_len: kept.head.wire_len, link_type, ..RxMeta::default() };
            let mut seeker = Seeker { tunnel, found: None };
            decode(&Frame { bytes: &kept.bytes, meta }, None, &ports, &mut seeker);
            seeker.found
        })
    }

    fn parse(bytes: &[u8], tunnel: Tunnel) -> Option<Self> {
        let gtpu = Gtpu::parse(bytes).ok()?;
        if gtpu.message() != Message::GPdu || gtpu.teid() != Teid(tunnel.teid) {
            return None;
        }
        let containers = gtpu.extensions().map_while(Result::ok).filter_map(|extension| {
            let is_container = extension.kind == PDU_SESSION_CONTAINER;
            is_container.then(|| PduSession::parse(extension.content).ok()).flatten()
        });
        // Of several the last one holds, as in the alert.
        let container = containers.last().map(|it| (it.pdu_type(), it.qfi()));
        let header = Self { flags: *bytes.first()?, sequence: gtpu.sequence(), container };
        (container.map(|(_, qfi)| qfi) == tunnel.qfi).then_some(header)
    }

    /// The type of its PDU Session Container, if it has one.
    pub(super) fn pdu_type(&self) -> Option<u8> {
        self.container.map(|(kind, _)| kind)
    }
}

struct Seeker {
    tunnel: Tunnel,
    found: Option<Header>,
}

impl Trail for Seeker {
    fn layer(&mut self, layer: Layer, at: &[u8]) {
        if layer == Layer::Gtpu && self.found.is_none() {
            self.found = Header::parse(at, self.tunnel);
        }
    }

    fn vlan(&mut self, _: u16) {}

    fn mpls(&mut self, _: u32) {}
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use weir_engine::Nanos;
    use weir_engine::contract::exhibit::Head;

    use super::*;

    const OUTER: Tuple = Tuple {
        source: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
        destination: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
        source_port: 40_000,
        destination_port: 2_152,
        protocol: 17,
    };

    fn kept(message: &[u8]) -> Kept {
        let udp = 8 + message.len() as u16;
        let mut bytes = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00].to_vec();
        bytes.extend([0x45, 0]);
        bytes.extend((20 + udp).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let ports = [OUTER.source_port, OUTER.destination_port];
        bytes.extend([ports[0], ports[1], udp, 0].map(u16::to_be_bytes).concat());
        bytes.extend(message);
        let len = bytes.len() as u16;
        let head =
            Head { time: Nanos(0), tap: 0, link_type: 1, wire_len: len.into(), len, cause: 0 };
        Kept { head, bytes }
    }

    /// Sequence number 258, and an uplink container of QoS flow 9 before a packet.
    const FULL: &[u8] =
        &[0x36, 255, 0, 12, 0, 0, 0, 7, 1, 2, 0, 0x85, 1, 0x10, 9, 0, 0x45, 0, 0, 0x54];
    const BARE: &[u8] = &[0x30, 255, 0, 4, 0, 0, 0, 7, 0x45, 0, 0, 0x54];

    #[test]
    fn the_first_frame_of_the_tunnel_says_flags_sequence_and_type() {
        let echo = [0x32, 1, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0];
        let mut other = FULL.to_vec();
        other[7] = 8;
        let frames = [&echo[..], &other, BARE, FULL].map(kept);
        let tunnel = Tunnel { teid: 7, qfi: Some(9) };
        let header = Header::of(&frames, tunnel, &OUTER).unwrap();
        assert_eq!((header.flags, header.sequence, header.pdu_type()), (0x36, Some(258), Some(1)));
        let header = Header::of(&frames, Tunnel { teid: 7, qfi: None }, &OUTER).unwrap();
        assert_eq!((header.flags, header.sequence, header.pdu_type()), (0x30, None, None));
        assert_eq!(Header::of(&frames, Tunnel { teid: 9, qfi: None }, &OUTER), None);
        assert_eq!(Header::of(&[], tunnel, &OUTER), None);
        let elsewhere = Tuple { destination_port: 2_153, ..OUTER };
        assert_eq!(Header::of(&frames, tunnel, &Tuple { source_port: 1, ..elsewhere }), None);
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_no_harm() {
        let whole = kept(FULL);
        let tunnel = Tunnel { teid: 7, qfi: Some(9) };
        for len in 0..whole.bytes.len() {
            let cut = Kept { bytes: whole.bytes[..len].to_vec(), ..whole.clone() };
            let found = Header::of(&[cut], tunnel, &OUTER);
            assert!(found.is_none() || len >= 14 + 20 + 8 + 16, "{len}");
        }
    }
}
