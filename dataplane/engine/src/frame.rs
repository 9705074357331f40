//! What a source hands to the engine.

use crate::Nanos;

/// The index of a tap in the sensor's configuration.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TapId(pub u16);

/// How a frame's bytes begin (the registry of LINKTYPE_ values).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LinkType {
    /// 0: a 4-byte address family in the capturing host's byte order, then the packet.
    Null,
    /// 1: Ethernet.
    #[default]
    Ethernet,
    /// 101: an IP packet of either version.
    Raw,
    /// 108: a 4-byte address family in network byte order, then the packet.
    Loop,
    /// 113: Linux cooked capture.
    Sll,
    /// 228: an IPv4 packet.
    Ipv4,
    /// 229: an IPv6 packet.
    Ipv6,
    /// 276: Linux cooked capture, version 2.
    Sll2,
    /// Any other number: frames of it are not inspected.
    Other(u16),
}

impl LinkType {
    /// From the number in a capture's header. 12 and 14 are what some systems write for raw IP.
    pub const fn from_code(code: u16) -> Self {
        match code {
            0 => LinkType::Null,
            1 => LinkType::Ethernet,
            12 | 14 | 101 => LinkType::Raw,
            108 => LinkType::Loop,
            113 => LinkType::Sll,
            228 => LinkType::Ipv4,
            229 => LinkType::Ipv6,
            276 => LinkType::Sll2,
            other => LinkType::Other(other),
        }
    }

    /// The number in a capture's header.
    pub const fn code(self) -> u16 {
        match self {
            LinkType::Null => 0,
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
            LinkType::Loop => 108,
            LinkType::Sll => 113,
            LinkType::Ipv4 => 228,
            LinkType::Ipv6 => 229,
            LinkType::Sll2 => 276,
            LinkType::Other(code) => code,
        }
    }
}

/// What the source knows about a frame besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RxMeta {
    /// When the frame was seen.
    pub time: Nanos,
    /// Bytes on the wire; the capture may hold fewer.
    pub wire_len: u32,
    /// The tap that it came from.
    pub tap: TapId,
    /// How the frame's bytes begin.
    pub link_type: LinkType,
    /// A VLAN tag that the driver took off the frame.
    pub stripped_vlan: Option<u16>,
}

/// A frame: contiguous bytes and their metadata.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame<'a> {
    /// The bytes from the link layer's header on.
    pub bytes: &'a [u8],
    /// What the source knows about them.
    pub meta: RxMeta,
}

/// The most frames in one burst.
pub const BURST: usize = 64;
