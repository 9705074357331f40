//! Exhibits: frames that a worker keeps for the time in which an alert may ask for them.
//!
//! What an alert will be about is known only when the slice is judged. So a worker keeps the first
//! frames of every flow of equipment in a slice, and of everything odd about tunnels, copied and
//! bounded by what they are kept for: a flood of one kind takes no room from another. What is a
//! subscriber's in them is cut off at once, unless the policy wants it.

use std::ops::Range;

use weir_wire::Address;
use weir_wire::gtpu::{G_PDU, Gtpu};

use crate::contract::exhibit::Head;
use crate::decode::protocol;
use crate::record::{Flags, Kind, Oddities, Record};
use crate::rules::Party;
use crate::{Frame, Nanos, TapId};

/// Bytes of a frame that are kept: whole frames of Ethernet's usual size.
pub const LONGEST: usize = 1_900;

/// Frames of one kind that are kept in a slice: a handshake, and what is said first.
pub(crate) const FIRST: u64 = 8;

/// What a frame costs besides its bytes.
const LABEL_BYTES: usize = 64;

/// Headers of what is inside a tunnel inside a tunnel, GTP-U's or PFCP's own: no subscriber's words.
const NESTED_BYTES: usize = 36;

/// Why a frame is kept.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    /// It is between equipment and an address that nobody declared.
    Stranger,
    /// It is between equipment and a declared address.
    Listed,
    /// It is a G-PDU between ends that were not remembered.
    Pair,
    /// It is a G-PDU in a tunnel that is not known.
    Stray,
    /// It is a G-PDU of another sender than the tunnel's packet before.
    OtherSender,
    /// It is a G-PDU with another user's address than the tunnel has, or a user's packet without a tunnel.
    OddUser,
    /// It is an Error Indication.
    Complaint,
    /// Its GTP-U header is odd.
    OddHeader,
    /// There is a tunnel inside its tunnel.
    Nested,
    /// What is inside its tunnel goes where no user's packet should.
    Inside,
    /// Equipment shows an address, a VLAN or an EtherType that is not listed.
    Unlisted,
    /// It is PFCP between declared equipment.
    Signalling,
    /// It is PFCP with an end that nobody declared.
    StrangersSignalling,
}

impl Cause {
    /// Every cause, in the order of its number.
    pub const ALL: [Cause; 13] = [
        Cause::Stranger,
        Cause::Listed,
        Cause::Pair,
        Cause::Stray,
        Cause::OtherSender,
        Cause::OddUser,
        Cause::Complaint,
        Cause::OddHeader,
        Cause::Nested,
        Cause::Inside,
        Cause::Unlisted,
        Cause::Signalling,
        Cause::StrangersSignalling,
    ];

    /// What its frames of one slice may cost a worker, in bytes.
    const fn room(self) -> usize {
        match self {
            Cause::Stranger | Cause::Signalling => 128 << 10,
            Cause::Listed | Cause::StrangersSignalling => 64 << 10,
            _ => 32 << 10,
        }
    }
}

/// What is known of a kept frame besides its bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Label {
    /// Its time.
    pub time: Nanos,
    /// Its tap.
    pub tap: TapId,
    /// Its outer addresses, source first; none below IP.
    pub ends: (Address, Address),
    /// Who they are, packed (see [`Party`]); the first alone where there are no addresses.
    pub parties: (u32, u32),
    /// Why it is kept.
    pub cause: Cause,
    /// How its bytes begin: LINKTYPE_.
    pub link_type: u16,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Its TEID, or 0.
    pub teid: u32,
    /// Where its PFCP message stands, or [`Record::ABSENT`].
    pub pfcp: u16,
}

impl Label {
    /// As it is told with that many bytes of the frame.
    pub fn head(&self, len: usize) -> Head {
        Head {
            time: self.time,
            tap: self.tap.0,
            link_type: self.link_type,
            wire_len: self.wire_len,
            len: len as u16,
            cause: self.cause as u8,
        }
    }
}

/// A kept frame.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Exhibit<'a> {
    /// What is known of it.
    pub label: Label,
    /// Its bytes as far as they are kept.
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    label: Label,
    start: u32,
    len: u32,
}

/// What is kept of frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Keeping {
    /// Nothing: no rules judge, so no alert asks.
    #[default]
    Nothing,
    /// Headers alone of what is a subscriber's.
    Headers,
    /// All of it: the policy says so.
    Whole,
}

/// The frames that a worker kept of one slice. Its memory is set aside once.
#[derive(Debug, Default)]
pub struct Exhibits {
    keeping: Keeping,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    spent: [u32; Cause::ALL.len()],
    missed: u64,
}

const fn all_room() -> usize {
    let mut sum = 0;
    let mut i = 0;
    while i < Cause::ALL.len() {
        sum += Cause::ALL[i].room();
        i += 1;
    }
    sum
}

impl Exhibits {
    /// None yet, with room for a slice.
    pub fn with_room() -> Self {
        Self {
            entries: Vec::with_capacity(all_room() / LABEL_BYTES),
            bytes: Vec::with_capacity(all_room()),
            ..Self::default()
        }
    }

    /// Forgets all and keeps its room.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.spent = [0; Cause::ALL.len()];
        self.missed = 0;
    }

    /// Keeps so much from now on.
    pub(crate) fn keep_so(&mut self, keeping: Keeping) {
        self.keeping = keeping;
    }

    /// How much is kept.
    pub(crate) fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// Frames that found no room.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The frames in the order in which they were kept.
    pub fn iter(&self) -> impl Iterator<Item = Exhibit<'_>> {
        self.entries.iter().map(|entry| {
            let start = entry.start as usize;
            let bytes = self.bytes.get(start..start + entry.len as usize).unwrap_or_default();
            Exhibit { label: entry.label, bytes }
        })
    }

    /// Keeps a frame, without what is a subscriber's in it unless the policy says otherwise.
    #[cold]
    #[inline(never)]
    pub(crate) fn keep(
        &mut self,
        frame: &Frame<'_>,
        record: &Record,
        cause: Cause,
        ends: (Address, Address),
    ) {
        let users = match self.keeping {
            Keeping::Nothing => return,
            Keeping::Headers => subscribers_part(record, frame.bytes),
            Keeping::Whole => None,
        };
        let whole = frame.bytes.len().min(LONGEST);
        let len = match &users {
            // What stands behind a user's packet is what the finding is about.
            Some(_) if record.oddities.has(Oddities::TRAILING) => whole,
            Some(users) => whole.min(users.start),
            None => whole,
        };
        let (spent, cost) = (self.spent[cause as usize] as usize, len + LABEL_BYTES);
        let Some(bytes) = frame.bytes.get(..len).filter(|_| spent + cost <= cause.room()) else {
            self.missed += 1;
            return;
        };
        self.spent[cause as usize] += cost as u32;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if let Some(users) = users
            && let Some(kept) = self.bytes.get_mut(start..)
        {
            let end = users.end.min(kept.len());
            kept.get_mut(users.start..end).unwrap_or_default().fill(0);
        }
        let label = Label {
            time: record.time,
            tap: record.tap,
            ends,
            parties: (record.source, record.destination),
            cause,
            link_type: frame.meta.link_type.code(),
            wire_len: record.wire_len,
            teid: record.teid,
            pfcp: if record.kind == Kind::Pfcp { record.gtp } else { Record::ABSENT },
        };
        self.entries.push(Entry { label, start: start as u32, len: len as u32 });
    }
}

/// What a flow's frame is kept for; none if it is kept as PFCP, or is a user's packet between
/// equipment that goes where users' packets go.
#[inline]
pub(crate) fn cause_of(record: &Record) -> Option<Cause> {
    let is_equipment = |packed| Party::unpack(packed).equipment().is_some();
    let listed = is_equipment(record.source) && is_equipment(record.destination);
    match record.kind {
        Kind::Pfcp => None,
        Kind::Gtpu if record.message == G_PDU => (!listed).then_some(Cause::Pair),
        _ if listed => Some(Cause::Listed),
        _ => Some(Cause::Stranger),
    }
}

/// The bytes of a frame that are a subscriber's: what is behind the headers of a user's packet.
fn subscribers_part(record: &Record, bytes: &[u8]) -> Option<Range<usize>> {
    let is_in_tunnel = record.kind == Kind::Gtpu && record.message == G_PDU
        || record.flags.any(Flags::WRAPPED.or(Flags::ATTRIBUTED));
    let is_users = || {
        let of = |packed| Party::unpack(packed) == Party::Subscriber;
        record.kind == Kind::Ip && (of(record.source) || of(record.destination))
    };
    if record.flags.has(Flags::LATER_FRAGMENT) && (is_in_tunnel || is_users()) {
        return Some(behind_ip(bytes, record.outer_ip)..bytes.len());
    }
    if is_in_tunnel {
        let end = behind_gtpu(bytes, record.gtp).unwrap_or(bytes.len());
        let start = if record.inner_ip != Record::ABSENT {
            behind(bytes, record.inner_ip, record.inner_l4, record.inner_protocol)
        } else {
            opaque(bytes, record.gtp)
        };
        let nested = record.flags.any(Flags::NESTED.or(Flags::CONTROL_INSIDE));
        let start = if nested { start + NESTED_BYTES } else { start };
        Some(start.min(end)..end)
    } else if is_users() {
        let start = behind(bytes, record.outer_ip, record.outer_l4, record.protocol);
        Some(start..bytes.len())
    } else {
        None
    }
}

/// Where the payload of an IP packet's transport begins.
fn behind(bytes: &[u8], ip: u16, transport: u16, protocol: u8) -> usize {
    if transport == Record::ABSENT {
        return behind_ip(bytes, ip);
    }
    let start = usize::from(transport);
    let header = match protocol {
        protocol::TCP => bytes.get(start + 12).map_or(20, |offset| usize::from(offset >> 4) * 4),
        protocol::UDP | protocol::ICMP | protocol::ICMPV6 => 8,
        protocol::SCTP => 12,
        _ => 0,
    };
    start + header
}

/// Where what an IP header carries begins.
fn behind_ip(bytes: &[u8], ip: u16) -> usize {
    let start = usize::from(ip);
    let length = match bytes.get(start) {
        Some(first) if first >> 4 == 6 => 40,
        Some(first) => usize::from(first & 0xf) * 4,
        None => 0,
    };
    start + length
}

/// Where a G-PDU's payload begins that is no IP packet.
fn opaque(bytes: &[u8], gtp: u16) -> usize {
    let start = usize::from(gtp);
    let message = bytes.get(start..).unwrap_or_default();
    let rest = Gtpu::parse(message).ok().map(|gtpu| {
        let mut extensions = gtpu.extensions();
        extensions.by_ref().for_each(drop);
        extensions.rest().len()
    });
    // Behind the message may stand what is none of it; its length says where it ends.
    let end = behind_gtpu(bytes, gtp).unwrap_or(bytes.len()).min(bytes.len());
    rest.map_or(start + Gtpu::LEN, |rest| end.saturating_sub(rest)).max(start)
}

/// Where a GTP-U message ends by its own length (TS 29.281 §5.1).
fn behind_gtpu(bytes: &[u8], gtp: u16) -> Option<usize> {
    let header = bytes.get(usize::from(gtp)..)?.first_chunk::<{ Gtpu::LEN }>()?;
    let length = u16::from_be_bytes([header[2], header[3]]);
    Some(usize::from(gtp) + Gtpu::LEN + usize::from(length))
}
