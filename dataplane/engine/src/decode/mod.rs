//! `decode`: headers into a record.
//!
//! One walk serves the packet path, where nobody follows it, and `weir decode`,
//! where a [`Trail`] writes down every layer. The outermost IP packet and the
//! G-PDU in it fill the record ([`outer`], [`user_plane`]); what is wrapped or
//! nested deeper is walked as evidence and sets flags only ([`evidence`]).

mod common;
mod evidence;
mod link;
mod outer;
mod ports;
mod user_plane;

use weir_wire::foreign::Foreign;
use weir_wire::pfcp::Pfcp;
use weir_wire::{ErrorKind, Layer, WireError};

use crate::frame::Frame;
use crate::record::Record;

pub(crate) use common::{Common, UserEnds, octets};
pub use ports::Ports;

/// IP protocol numbers that are decoded further.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// GRE.
    pub const GRE: u8 = 47;
    /// ESP.
    pub const ESP: u8 = 50;
    /// AH.
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// The most VLAN tags that are walked.
pub const MAX_VLANS: usize = 4;

/// The most Ethernet headers that are walked: pseudowires under MPLS may carry
/// frames in frames without end.
const MAX_FRAMES: u8 = 4;

/// What a tap's broker wraps every frame in; it is taken off. The codes are
/// those of the policy message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Wrapper {
    Gre,
    Erspan,
    Vxlan,
}

impl Wrapper {
    /// Every wrapper, in the order of its code.
    pub const ALL: [Wrapper; 3] = [Wrapper::Gre, Wrapper::Erspan, Wrapper::Vxlan];

    /// The name in weir.toml.
    pub const fn name(self) -> &'static str {
        match self {
            Wrapper::Gre => "gre",
            Wrapper::Erspan => "erspan",
            Wrapper::Vxlan => "vxlan",
        }
    }

    fn covers(self, tunnel: Foreign) -> bool {
        match self {
            Wrapper::Gre => tunnel == Foreign::Gre,
            Wrapper::Erspan => tunnel == Foreign::Erspan,
            Wrapper::Vxlan => tunnel == Foreign::Vxlan,
        }
    }
}

/// Follows the walk from layer to layer.
pub trait Trail {
    /// Whether every layer must be told of, also of frames that are read in one go.
    const FOLLOWS: bool = true;
    /// A layer was entered: its header stands at the start of `at`.
    fn layer(&mut self, layer: Layer, at: &[u8]);
    /// A VLAN tag was passed.
    fn vlan(&mut self, id: u16);
    /// An MPLS label was passed.
    fn mpls(&mut self, label: u32);
}

/// Nobody follows.
impl Trail for () {
    const FOLLOWS: bool = false;
    #[inline(always)]
    fn layer(&mut self, _: Layer, _: &[u8]) {}
    #[inline(always)]
    fn vlan(&mut self, _: u16) {}
    #[inline(always)]
    fn mpls(&mut self, _: u32) {}
}

/// Decodes one frame of a tap whose broker wraps frames in `wrapper`, if in anything.
#[inline]
pub fn decode<T: Trail>(
    frame: &Frame<'_>,
    wrapper: Option<Wrapper>,
    ports: &Ports,
    trail: &mut T,
) -> Record {
    if !T::FOLLOWS
        && let Some(common) = Common::read(frame, ports)
        && let (source, destination) = common.ports()
        && ports.is_gtpu(source, destination)
    {
        return common.record(frame, ports);
    }
    let mut record = Record::default();
    walk(frame, wrapper, ports, &mut record, trail);
    record
}

/// The complete walk, which makes the record anew where it is kept: nothing of what stood there
/// stays.
pub(crate) fn walk<T: Trail>(
    frame: &Frame<'_>,
    wrapper: Option<Wrapper>,
    ports: &Ports,
    record: &mut Record,
    trail: &mut T,
) {
    *record = Record {
        time: frame.meta.time,
        wire_len: frame.meta.wire_len,
        tap: frame.meta.tap,
        ..Record::default()
    };
    let mut walk = Walk { frame: frame.bytes, wrapper, ports, record, frames: 0, trail };
    walk.link(frame.meta.link_type, frame.meta.stripped_vlan);
}

/// Follows the layers of an IP packet, whatever it was found in.
pub(crate) fn follow<T: Trail>(packet: &[u8], ports: &Ports, trail: &mut T) {
    let mut record = Record::default();
    let mut walk =
        Walk { frame: packet, wrapper: None, ports, record: &mut record, frames: 0, trail };
    let network = walk.by_version(packet);
    walk.outermost(network);
}

struct Walk<'a, 'p, T> {
    frame: &'a [u8],
    /// What is still to be taken off.
    wrapper: Option<Wrapper>,
    ports: &'p Ports,
    record: &'p mut Record,
    /// Ethernet headers so far.
    frames: u8,
    trail: &'p mut T,
}

impl<T: Trail> Walk<'_, '_, T> {
    /// Where a part of the frame stands in it.
    #[inline]
    fn offset(&self, part: &[u8]) -> u16 {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.frame.as_ptr() as usize);
        u16::try_from(offset).unwrap_or(u16::MAX)
    }

    #[cold]
    fn fail(&mut self, error: WireError, header: &[u8]) {
        let offset = self.offset(header);
        self.record.fail(error, offset);
    }

    #[cold]
    fn too_deep(&mut self, layer: Layer, header: &[u8]) {
        self.fail(WireError { layer, kind: ErrorKind::Depth }, header);
    }
}

/// The layer of a packet whose content is not read.
fn opaque_layer(protocol: u8) -> Layer {
    match protocol {
        protocol::ESP => Layer::Esp,
        protocol::AH => Layer::Ah,
        protocol::GRE => Layer::Gre,
        _ => Layer::Other,
    }
}

/// The PFCP messages bundled in one datagram (FO), each with the error that
/// ended the bundle as its last item; bounded by the datagram itself.
pub fn pfcp_bundle(bytes: &[u8]) -> impl Iterator<Item = Result<Pfcp<'_>, WireError>> {
    let mut next = Some(bytes);
    std::iter::from_fn(move || {
        let message = Pfcp::parse(next.take()?);
        if let Ok(pfcp) = &message {
            next = pfcp.next_message();
        }
        Some(message)
    })
}
