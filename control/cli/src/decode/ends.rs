//! The keys `outer` and `inner`: who an IP packet is from and to.

use std::net::IpAddr;

use weir_engine::decode::protocol;
use weir_wire::Fragment;
use weir_wire::ah::Ah;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;

use super::json::Json;

/// An IP packet's ends. Ports are absent where unknown.
pub(super) struct Ends {
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    sport: Option<u16>,
    dport: Option<u16>,
    frag: Option<&'static str>,
}

impl Ends {
    /// Reads the packet's headers again; none if they are not IP's, which the walk that led here
    /// has ruled out.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let (source, destination, protocol, fragment, payload) = match packet.first()? >> 4 {
            4 => {
                let ip = Ipv4::parse(packet).ok()?;
                (ip.source(), ip.destination(), ip.protocol(), ip.fragment(), ip.payload())
            }
            _ => {
                let ip = Ipv6::parse(packet).ok()?;
                (ip.source(), ip.destination(), ip.protocol(), ip.fragment(), ip.payload())
            }
        };
        let mut ends = Self {
            src: source.into(),
            dst: destination.into(),
            proto: protocol,
            sport: None,
            dport: None,
            frag: Some(match fragment {
                Fragment::None => "none",
                Fragment::First => "first",
                Fragment::Later => "later",
            }),
        };
        if fragment != Fragment::Later {
            ends.transport(protocol, payload);
        }
        Some(ends)
    }

    fn transport(&mut self, mut protocol: u8, mut payload: &[u8]) {
        while protocol == protocol::AH
            && let Ok(ah) = Ah::parse(payload)
        {
            (protocol, payload) = (ah.next_header(), ah.payload());
        }
        // All three begin with their ports, whatever else is cut or wrong behind them.
        if matches!(protocol, protocol::UDP | protocol::TCP | protocol::SCTP)
            && let Some([s0, s1, d0, d1]) = payload.first_chunk()
        {
            self.sport = Some(u16::from_be_bytes([*s0, *s1]));
            self.dport = Some(u16::from_be_bytes([*d0, *d1]));
        }
    }

    /// The same, as of a datagram put together.
    pub(super) fn reassembled(self) -> Self {
        Self { frag: Some("reassembled"), ..self }
    }

    /// The same without `frag`, which only the outer packet shows.
    pub(super) fn without_fragment(self) -> Self {
        Self { frag: None, ..self }
    }
    /// The fields.
    pub(super) fn write(&self, json: &mut Json<'_>) {
        json.key("src").address(self.src);
        json.key("dst").address(self.dst);
        json.key("proto").number(self.proto);
        json.number_if_any("sport", self.sport);
        json.number_if_any("dport", self.dport);
        if let Some(frag) = self.frag {
            json.key("frag").name(frag);
        }
    }
}
