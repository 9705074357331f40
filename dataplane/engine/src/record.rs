//! What `decode` and `classify` learn about a frame: one cache line, by which
//! the later stages find what they need in the frame again.

use weir_wire::foreign::Foreign;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::{Address, ErrorKind, Layer, WireError};

use crate::rules::Link;
use crate::{Nanos, TapId};

/// What a frame turned out to carry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// No IP: ARP, LLDP, a frame too short for any header.
    #[default]
    NotIp,
    /// IP that is neither GTP-U nor PFCP.
    Ip,
    /// GTPv1-U with a verified header; the message type is in [`Record::message`].
    Gtpu,
    /// PFCP with a verified header; the first message's type is in [`Record::message`].
    Pfcp,
}

/// Facts that are single bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags(pub u16);

impl Flags {
    /// The outer header is IPv6.
    pub const OUTER_V6: Flags = Flags(1);
    /// The inner header is IPv6.
    pub const INNER_V6: Flags = Flags(1 << 1);
    /// The outer packet is the first fragment of a series.
    pub const FIRST_FRAGMENT: Flags = Flags(1 << 2);
    /// The outer packet is a later fragment: no ports.
    pub const LATER_FRAGMENT: Flags = Flags(1 << 3);
    /// A G-PDU whose inner packet is IP by version and length.
    pub const VERIFIED_GPDU: Flags = Flags(1 << 4);
    /// A PDU Session Container gave a QFI.
    pub const QFI: Flags = Flags(1 << 5);
    /// A header promises more bytes than there are.
    pub const SHORT: Flags = Flags(1 << 6);
    /// A later fragment of GTP-U or PFCP: ports and TEID are those of its first one.
    pub const ATTRIBUTED: Flags = Flags(1 << 7);
    /// GTP-U or PFCP inside a tunnel that is not GTP-U; [`Record::gtp`] and
    /// [`Record::message`] are about it.
    pub const WRAPPED: Flags = Flags(1 << 8);
    /// GTP-U inside a G-PDU, by a header that holds together.
    pub const NESTED: Flags = Flags(1 << 9);
    /// PFCP, GTP-C or the application protocols of the RAN inside a G-PDU.
    pub const CONTROL_INSIDE: Flags = Flags(1 << 10);
    /// The inner destination is infrastructure.
    pub const INTO_INFRASTRUCTURE: Flags = Flags(1 << 11);
    /// GTP-U to a port at which it arrives, and not only from one.
    pub const TO_GTPU: Flags = Flags(1 << 12);

    /// Clears the bits of `less`.
    #[inline]
    pub const fn clear(&mut self, less: Flags) {
        self.0 &= !less.0;
    }

    /// Whether any bit of `wanted` is set.
    #[inline]
    pub const fn any(self, wanted: Flags) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn or(self, more: Flags) -> Flags {
        Flags(self.0 | more.0)
    }

    /// Whether every bit of `wanted` is set.
    #[inline]
    pub const fn has(self, wanted: Flags) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Sets the bits of `more`.
    #[inline]
    pub const fn set(&mut self, more: Flags) {
        self.0 |= more.0;
    }
}

/// What one packet proves about who asked whom.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Evidence(pub u8);

impl Evidence {
    /// Opens a conversation: SYN without ACK, SCTP INIT, an ICMP request.
    pub const OPENS: Evidence = Evidence(1);
    /// Accepts one: SYN with ACK, SCTP INIT ACK.
    pub const ACCEPTS: Evidence = Evidence(1 << 1);
    /// Refuses or breaks one: RST, ABORT.
    pub const REFUSES: Evidence = Evidence(1 << 2);
    /// Closes one: FIN.
    pub const CLOSES: Evidence = Evidence(1 << 3);
    /// Carries data of the application.
    pub const DATA: Evidence = Evidence(1 << 4);
    /// Acknowledges data (TCP).
    pub const ACKNOWLEDGES: Evidence = Evidence(1 << 5);
    /// An ICMP answer or error report: never a conversation of its own.
    pub const REPORTS: Evidence = Evidence(1 << 6);
    /// The link's own housekeeping (neighbour and router discovery).
    pub const HOUSEKEEPING: Evidence = Evidence(1 << 7);

    /// Both sets of bits.
    #[inline]
    pub const fn or(self, more: Evidence) -> Evidence {
        Evidence(self.0 | more.0)
    }

    /// Whether any bit of `wanted` is set.
    #[inline]
    pub const fn any(self, wanted: Evidence) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Sets the bits of `more`.
    #[inline]
    pub const fn set(&mut self, more: Evidence) {
        self.0 |= more.0;
    }
}

/// What is odd about a GTP-U header: bits that a sender may hide data in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Oddities(pub u8);

impl Oddities {
    /// The spare bit of the first octet is set.
    pub const SPARE: Oddities = Oddities(1);
    /// Bytes stand behind the header's length.
    pub const TRAILING: Oddities = Oddities(1 << 1);
    /// A path management message has a Private Extension.
    pub const PRIVATE: Oddities = Oddities(1 << 2);
    /// A path management message is longer than its elements need.
    pub const PADDED: Oddities = Oddities(1 << 3);
    /// There is an extension header besides the PDU Session Container: [`Record::extension`].
    pub const EXTENSION: Oddities = Oddities(1 << 4);
    /// An Echo Request or Response: nothing odd by itself, but they are counted.
    pub const ECHO: Oddities = Oddities(1 << 5);

    /// Whether every bit of `wanted` is set.
    #[inline]
    pub const fn has(self, wanted: Oddities) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether no bit is set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Sets the bits of `more`.
    #[inline]
    pub const fn set(&mut self, more: Oddities) {
        self.0 |= more.0;
    }
}

/// A frame's record. Offsets count from the frame's first byte;
/// [`Record::ABSENT`] says that there is no such header.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Record {
    /// Packet time.
    pub time: Nanos,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// The TEID, if the frame is GTP-U.
    pub teid: u32,
    /// Who the outer source is, packed (see [`crate::rules::Party`]).
    pub source: u32,
    /// Who the outer destination is, packed.
    pub destination: u32,
    /// The IP header that carries GTP-U or PFCP, else the outermost one.
    pub outer_ip: u16,
    /// The transport header behind it.
    pub outer_l4: u16,
    /// The GTP-U or PFCP header.
    pub gtp: u16,
    /// The inner IP header of a G-PDU.
    pub inner_ip: u16,
    /// The transport header behind the inner one.
    pub inner_l4: u16,
    /// The outer source port, 0 if unknown.
    pub source_port: u16,
    /// The outer destination port, 0 if unknown.
    pub destination_port: u16,
    /// The EtherType behind all VLAN tags.
    pub ether_type: u16,
    /// The outermost VLAN identifier, or [`Record::UNTAGGED`].
    pub vlan: u16,
    /// Bytes behind the outer transport header.
    pub payload_len: u16,
    /// Where the header stands that `error` is about.
    pub error_offset: u16,
    /// Single facts.
    pub flags: Flags,
    /// The tap.
    pub tap: TapId,
    /// What the frame carries.
    pub kind: Kind,
    /// The GTP-U or PFCP message type.
    pub message: u8,
    /// The outer payload's protocol number.
    pub protocol: u8,
    /// The inner payload's protocol number.
    pub inner_protocol: u8,
    /// The QoS flow identifier, if [`Flags::QFI`].
    pub qfi: u8,
    /// What the packet proves about who asked whom.
    pub evidence: Evidence,
    /// TCP flags as they stand.
    pub tcp_flags: u8,
    /// What is odd about the GTP-U header.
    pub oddities: Oddities,
    /// The type of the extension header that [`Oddities::EXTENSION`] is about.
    pub extension: u8,
    /// The tunnel other than GTP-U that the outer packet is.
    pub tunnel: Option<Foreign>,
    /// The link, given or inferred.
    pub link: Link,
    pub(crate) error: u8,
}

const _: () = assert!(size_of::<Record>() == 64);

impl Default for Record {
    #[inline]
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Record {
    /// The VLAN of frames without a tag.
    pub const UNTAGGED: u16 = 0xffff;
    /// The offset of a header that is not there.
    pub const ABSENT: u16 = 0xffff;

    /// The record of a frame in which nothing was found.
    const EMPTY: Self = Self {
        time: Nanos(0),
        wire_len: 0,
        teid: 0,
        source: 0,
        destination: 0,
        outer_ip: Self::ABSENT,
        outer_l4: Self::ABSENT,
        gtp: Self::ABSENT,
        inner_ip: Self::ABSENT,
        inner_l4: Self::ABSENT,
        source_port: 0,
        destination_port: 0,
        ether_type: 0,
        vlan: Self::UNTAGGED,
        payload_len: 0,
        error_offset: 0,
        flags: Flags(0),
        tap: TapId(0),
        kind: Kind::NotIp,
        message: 0,
        protocol: 0,
        inner_protocol: 0,
        qfi: 0,
        evidence: Evidence(0),
        tcp_flags: 0,
        oddities: Oddities(0),
        extension: 0,
        tunnel: None,
        link: Link::Mixed,
        error: 0,
    };

    /// The error that ended the decoding, if one did.
    pub const fn error(&self) -> Option<WireError> {
        match self.error.checked_sub(1) {
            None => None,
            Some(code) => Some(WireError {
                layer: Layer::ALL[code as usize / ErrorKind::ALL.len()],
                kind: ErrorKind::ALL[code as usize % ErrorKind::ALL.len()],
            }),
        }
    }

    /// Notes the error that ends the decoding, and the offset of its header.
    pub(crate) const fn fail(&mut self, error: WireError, offset: u16) {
        self.error = error_index(error) as u8 + 1;
        self.error_offset = offset;
    }

    /// Whether the frame is GTP-U or PFCP by its header, or by that of its first fragment.
    #[inline]
    pub const fn is_gtp_or_pfcp(&self) -> bool {
        matches!(self.kind, Kind::Gtpu | Kind::Pfcp) || self.flags.has(Flags::ATTRIBUTED)
    }

    /// Whether the outer packet is a fragment of a series.
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.flags.any(Flags::FIRST_FRAGMENT.or(Flags::LATER_FRAGMENT))
    }

    /// The outer addresses, source first, read from the frame again; none
    /// without an IP header.
    #[inline]
    pub fn outer_addresses(&self, bytes: &[u8]) -> Option<(Address, Address)> {
        addresses(bytes, self.outer_ip, self.flags.has(Flags::OUTER_V6))
    }

    /// The addresses of the packet inside a G-PDU or another tunnel, source first.
    #[inline]
    pub fn inner_addresses(&self, bytes: &[u8]) -> Option<(Address, Address)> {
        addresses(bytes, self.inner_ip, self.flags.has(Flags::INNER_V6))
    }

    /// Where the packet inside a G-PDU or another tunnel goes.
    #[inline]
    pub fn inner_destination(&self, bytes: &[u8]) -> Option<Address> {
        if self.inner_ip == Record::ABSENT {
            return None;
        }
        let header = bytes.get(usize::from(self.inner_ip)..)?;
        if self.flags.has(Flags::INNER_V6) {
            header.get(24..)?.first_chunk().copied().map(Address::v6)
        } else {
            header.get(16..)?.first_chunk().copied().map(Address::v4)
        }
    }
}

/// The index of an error in a table of (layer, kind) counters.
pub const fn error_index(error: WireError) -> usize {
    error.layer as usize * ErrorKind::ALL.len() + error.kind as usize
}

/// The size of such a table.
pub const ERRORS: usize = Layer::ALL.len() * ErrorKind::ALL.len();
const _: () = assert!(ERRORS < 255);

/// The addresses in the IP header that stands there.
#[inline]
pub(crate) fn addresses(bytes: &[u8], offset: u16, v6: bool) -> Option<(Address, Address)> {
    if offset == Record::ABSENT {
        return None;
    }
    let header = bytes.get(usize::from(offset)..)?;
    if v6 {
        let fixed = header.first_chunk::<40>()?;
        let mut source = [0; 16];
        source.copy_from_slice(&fixed[8..24]);
        let mut destination = [0; 16];
        destination.copy_from_slice(&fixed[24..40]);
        Some((Address::v6(source), Address::v6(destination)))
    } else {
        let fixed = header.first_chunk::<20>()?;
        Some((
            Address::v4([fixed[12], fixed[13], fixed[14], fixed[15]]),
            Address::v4([fixed[16], fixed[17], fixed[18], fixed[19]]),
        ))
    }
}

/// An IP header of either family.
pub(crate) enum Ip<'a> {
    V4(Ipv4<'a>),
    V6(Ipv6<'a>),
}
