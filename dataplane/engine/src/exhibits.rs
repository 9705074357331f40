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
use crate::track::is_between_equipment;
use crate::{Frame, Nanos, TapId};

/// Bytes of a frame that are kept: whole frames of Ethernet's usual size.
pub const LONGEST: usize = 1_900;

/// Frames of one kind that are kept in a slice: a handshake, and what is said first.
pub(crate) const FIRST: u64 = 8;

/// What a frame costs besides its bytes.
const LABEL_BYTES: usize = 64;

/// The longest header of a PFCP message (TS 29.244 §7.2.2).
pub(crate) const PFCP_HEADER: usize = 16;

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
    /// Equipment shows a MAC address or an EtherType that is not listed.
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
            Keeping::Whole => unreadable_part(record, frame.bytes),
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
    let listed = is_between_equipment(record.source, record.destination);
    match record.kind {
        Kind::Pfcp if !record.is_fragment() => None,
        Kind::Gtpu if record.message == G_PDU => (!listed).then_some(Cause::Pair),
        _ if listed => Some(Cause::Listed),
        _ => Some(Cause::Stranger),
    }
}

/// The bytes of a fragment in which nobody can tell whether they identify a subscriber, whatever the
/// policy: that is concealed in whole PFCP messages alone, and what a later fragment is of may be told later only.
fn unreadable_part(record: &Record, bytes: &[u8]) -> Option<Range<usize>> {
    let start = if record.flags.has(Flags::LATER_FRAGMENT) {
        behind_ip(bytes, record.outer_ip)
    } else if record.kind == Kind::Pfcp && record.is_fragment() {
        usize::from(record.gtp) + PFCP_HEADER
    } else {
        return None;
    };
    Some(start..bytes.len())
}

/// The bytes of a frame that are a subscriber's: what is behind the headers of a user's packet.
fn subscribers_part(record: &Record, bytes: &[u8]) -> Option<Range<usize>> {
    let is_in_tunnel = record.kind == Kind::Gtpu && record.message == G_PDU
        || record.flags.any(Flags::WRAPPED.or(Flags::ATTRIBUTED));
    let is_users = || {
        let of = |packed| Party::unpack(packed) == Party::Subscriber;
        record.kind == Kind::Ip && (of(record.source) || of(record.destination))
    };
    if let Some(unreadable) = unreadable_part(record, bytes) {
        return Some(unreadable);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Ports, decode};
    use crate::frame::RxMeta;

    const ENDS: (Address, Address) = (Address(1), Address(2));

    fn ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend((20 + payload.len() as u16).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        packet
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = [port.to_be_bytes(), port.to_be_bytes()].concat();
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        ip(17, &datagram)
    }

    fn tcp(payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![0; 12];
        segment.extend([0x60, 0x18, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]);
        segment.extend(payload);
        ip(6, &segment)
    }

    /// A G-PDU, with bytes behind the message's length.
    fn g_pdu(user: &[u8], behind: &[u8]) -> Vec<u8> {
        let mut message = vec![0x30, 255];
        message.extend((user.len() as u16).to_be_bytes());
        message.extend([0, 0, 0, 9]);
        message.extend(user);
        message.extend(behind);
        ethernet(&udp(2152, &message))
    }

    fn ethernet(packet: &[u8]) -> Vec<u8> {
        [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], packet].concat()
    }

    fn kept(bytes: &[u8], keeping: Keeping, more: impl Fn(&mut Record)) -> Vec<u8> {
        let meta = RxMeta { wire_len: bytes.len() as u32, ..RxMeta::default() };
        let frame = Frame { bytes, meta };
        let mut record = decode(&frame, None, &Ports::default(), &mut ());
        more(&mut record);
        let mut exhibits = Exhibits::with_room();
        exhibits.keep_so(keeping);
        exhibits.keep(&frame, &record, Cause::Stray, ENDS);
        exhibits.iter().next().map(|exhibit| exhibit.bytes.to_vec()).unwrap_or_default()
    }

    #[test]
    fn of_a_users_packet_the_headers_are_kept_whatever_is_in_the_tunnel() {
        let outer = 14 + 20 + 8 + 8;
        let secret = [0x5a; 300];
        for (user, headers) in [
            (udp(443, &secret), 28),
            (tcp(&secret), 20 + 24),
            (ip(1, &secret), 28),
            (ip(99, &secret), 20),
            // No packet of IP at all.
            (secret.to_vec(), 0),
        ] {
            let frame = g_pdu(&user, &[]);
            let cut = kept(&frame, Keeping::Headers, |_| ());
            assert_eq!(cut, frame[..outer + headers], "{headers}");
            assert_eq!(kept(&frame, Keeping::Whole, |_| ()), frame);
            assert_eq!(kept(&frame, Keeping::Nothing, |_| ()), [0; 0]);
        }
    }

    #[test]
    fn what_stands_behind_a_users_packet_is_kept_and_the_packet_is_not() {
        let frame = g_pdu(&udp(443, &[0x5a; 100]), b"covert");
        let kept = kept(&frame, Keeping::Headers, |_| ());
        let headers = 14 + 28 + 8 + 28;
        assert_eq!(kept[..headers], frame[..headers]);
        assert_eq!(kept[headers..headers + 100], [0; 100]);
        assert_eq!(kept[headers + 100..], *b"covert");
    }

    #[test]
    fn of_equipments_own_packets_all_is_kept_and_of_users_outside_tunnels_the_headers() {
        let frame = ethernet(&udp(443, &[0x5a; 300]));
        assert_eq!(kept(&frame, Keeping::Headers, |_| ()), frame);
        let users = Party::Subscriber.pack();
        let cut = kept(&frame, Keeping::Headers, |record| record.destination = users);
        assert_eq!(cut, frame[..14 + 28]);
        // Whatever the policy says: identities of subscribers may be in them.
        for keeping in [Keeping::Headers, Keeping::Whole] {
            let later = kept(&frame, keeping, |record| {
                record.source = users;
                record.flags.set(Flags::LATER_FRAGMENT);
            });
            assert_eq!(later, frame[..14 + 20], "{keeping:?}");
            let first = kept(&frame, keeping, |record| {
                record.flags.set(Flags::FIRST_FRAGMENT);
                (record.kind, record.gtp) = (Kind::Pfcp, 14 + 28);
            });
            assert_eq!(first, frame[..14 + 28 + 16], "{keeping:?}");
        }
        let jumbo = ethernet(&udp(443, &[0x5a; 8_000]));
        assert_eq!(kept(&jumbo, Keeping::Headers, |_| ()).len(), LONGEST);
    }

    #[test]
    fn every_frame_that_is_cut_anywhere_is_kept_without_a_users_word() {
        let frame = g_pdu(&tcp(&[0x5a; 64]), &[]);
        for end in 0..frame.len() {
            let kept = kept(&frame[..end], Keeping::Headers, |_| ());
            assert!(!kept.contains(&0x5a), "{end}");
        }
    }

    #[test]
    fn a_flood_of_one_kind_leaves_room_for_others_and_is_counted() {
        let bytes = ethernet(&udp(443, &[7; 600]));
        let frame = Frame { bytes: &bytes, meta: RxMeta::default() };
        let record = decode(&frame, None, &Ports::default(), &mut ());
        let mut exhibits = Exhibits::with_room();
        exhibits.keep_so(Keeping::Headers);
        let room = (exhibits.entries.capacity(), exhibits.bytes.capacity());
        for cause in Cause::ALL {
            let before = exhibits.iter().count();
            (0..10_000).for_each(|_| exhibits.keep(&frame, &record, cause, ENDS));
            assert!(exhibits.iter().count() > before + 10, "{cause:?}");
        }
        let kept = exhibits.iter().count() as u64;
        assert_eq!(kept + exhibits.missed(), 10_000 * Cause::ALL.len() as u64);
        assert_eq!((exhibits.entries.capacity(), exhibits.bytes.capacity()), room);
        exhibits.clear();
        assert_eq!((exhibits.iter().count(), exhibits.missed()), (0, 0));
    }
}
