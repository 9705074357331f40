//! The user's packet in a frame: in a G-PDU, in another tunnel that can be looked into, or bare.
//! It ends where its own length says, so that what a link pads or appends changes nothing.

use weir_wire::gtpu::{Gtpu, TPdu};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::{Address, Fragment};

use super::sample::Carrier;
use crate::decode::protocol;
use crate::frame::Frame;
use crate::record::{Flags, Kind, Record};
use crate::rules::{Link, Party};

/// IPv6's fixed header.
const IPV6: usize = 40;

/// A packet that may be a user's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsersPacket<'a> {
    /// From its IP header to its end, or the capture's.
    pub(crate) bytes: &'a [u8],
    /// Where what its header carries begins.
    pub(crate) transport: usize,
    /// What it came in.
    pub(crate) carrier: Carrier,
}

impl<'a> UsersPacket<'a> {
    /// The packet in a frame that may be a user's; none if it can't be reached.
    #[inline]
    pub(crate) fn of(frame: &Frame<'a>, record: &Record) -> Option<Self> {
        match record.kind {
            Kind::Gtpu if record.flags.has(Flags::VERIFIED_GPDU) => {
                let kind = (record.inner_protocol, record.inner_l4);
                Self::at(frame, record.inner_ip, kind, Carrier::GPdu)
            }
            Kind::Ip if record.tunnel.is_some() && !is_users_own(record) => {
                Self::in_tunnel(frame, record)
            }
            Kind::Ip => {
                Self::at(frame, record.outer_ip, (record.protocol, record.outer_l4), Carrier::Bare)
            }
            _ => None,
        }
    }

    #[inline]
    fn at(frame: &Frame<'a>, start: u16, (kind, l4): (u8, u16), carrier: Carrier) -> Option<Self> {
        let bytes = within(frame.bytes.get(usize::from(start)..)?)?;
        let is_plain = matches!(kind, protocol::TCP | protocol::UDP) && l4 != Record::ABSENT;
        let transport = match l4.checked_sub(start) {
            Some(behind) if is_plain => usize::from(behind),
            _ => behind_headers(bytes)?,
        };
        Some(Self { bytes, transport, carrier })
    }

    /// The packet in a tunnel that is not GTP-U, or in GTP-U inside that.
    #[cold]
    fn in_tunnel(frame: &Frame<'a>, record: &Record) -> Option<Self> {
        let carrier = Carrier::Tunnel;
        if !record.flags.has(Flags::WRAPPED) {
            let kind = (record.inner_protocol, record.inner_l4);
            return Self::at(frame, record.inner_ip, kind, carrier);
        }
        let gtpu = Gtpu::parse(frame.bytes.get(usize::from(record.gtp)..)?).ok()?;
        let mut extensions = gtpu.extensions();
        if extensions.by_ref().any(|step| step.is_err()) {
            return None;
        }
        let pdu = extensions.rest();
        if TPdu::guess(pdu) == TPdu::Opaque {
            return None;
        }
        let bytes = within(pdu)?;
        Some(Self { bytes, transport: behind_headers(bytes)?, carrier })
    }

    /// Its addresses, source first.
    pub(crate) fn ends(&self) -> Option<(Address, Address)> {
        crate::record::addresses(self.bytes, 0, self.bytes.first()? >> 4 == 6)
    }

    /// Its length by its own header.
    pub(crate) fn len(&self) -> u16 {
        let field = |at: usize| match self.bytes.get(at..) {
            Some([high, low, ..]) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        if self.bytes.first().is_some_and(|first| first >> 4 == 4) {
            field(2)
        } else {
            field(4).saturating_add(IPV6 as u16)
        }
    }

    /// Its protocol, and where it stands among fragments.
    pub(crate) fn kind(&self) -> Option<(u8, Fragment)> {
        if self.bytes.first()? >> 4 == 4 {
            let ip = Ipv4::parse(self.bytes).ok()?;
            Some((ip.protocol(), ip.fragment()))
        } else {
            let ip = Ipv6::parse(self.bytes).ok()?;
            Some((ip.protocol(), ip.fragment()))
        }
    }

    /// What its header carries.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.transport..).unwrap_or_default()
    }
}

/// Whether a tunnel is one of users, who may have what they like: then it is their packet, as it
/// is in a G-PDU, and not what is in it.
fn is_users_own(record: &Record) -> bool {
    let is_equipment = |party| Party::unpack(party).equipment().is_some();
    record.link == Link::N6 && !is_equipment(record.source) && !is_equipment(record.destination)
}

/// An IP packet without what stands behind its end.
#[inline]
fn within(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.first_chunk::<20>()?;
    let total = match header[0] >> 4 {
        4 => usize::from(u16::from_be_bytes([header[2], header[3]])),
        6 => IPV6 + usize::from(u16::from_be_bytes([header[4], header[5]])),
        _ => return None,
    };
    Some(bytes.get(..total).unwrap_or(bytes))
}

/// Where the payload of a packet begins, behind options and extension headers.
#[cold]
fn behind_headers(bytes: &[u8]) -> Option<usize> {
    let payload = if bytes.first()? >> 4 == 4 {
        Ipv4::parse(bytes).ok()?.payload()
    } else {
        Ipv6::parse(bytes).ok()?.payload()
    };
    bytes.len().checked_sub(payload.len())
}
