//! Exhibits: frames that a worker keeps for the time in which an alert may ask for them.
//!
//! What an alert will be about is known only when the slice is judged. So a worker keeps the first
//! frames of every flow of equipment in a slice, and of everything odd about tunnels, copied and
//! bounded by what they are kept for: a flood of one kind takes no room from another. What is a
//! subscriber's in them is cut off at once, unless the policy wants it.

use weir_wire::Address;
use weir_wire::gtpu::G_PDU;

use crate::contract::exhibit::Head;
use crate::cut::Cut;
use crate::decode::Ports;
use crate::record::{Kind, Record};
use crate::track::is_between_equipment;
use crate::{Frame, Nanos, TapId};

/// Bytes of a frame that are kept: whole frames of Ethernet's usual size.
pub const LONGEST: usize = 1_900;

/// Frames of one kind that are kept in a slice: a handshake, and what is said first.
pub(crate) const FIRST: u64 = 8;

/// What a frame costs besides its bytes.
const LABEL_BYTES: usize = 64;

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
    ports: Ports,
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

    /// Keeps so much from now on, of frames whose signalling comes on these ports.
    pub(crate) fn keep_so(&mut self, keeping: Keeping, ports: Ports) {
        (self.keeping, self.ports) = (keeping, ports);
    }

    /// Keeps what another one does.
    pub(crate) fn keep_as(&mut self, other: &Exhibits) {
        self.keep_so(other.keeping, other.ports);
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
        let room = cause.room().saturating_sub(self.spent[cause as usize] as usize);
        let whole = match self.keeping {
            Keeping::Nothing => return,
            Keeping::Headers => false,
            Keeping::Whole => true,
        };
        // A flood is not looked at any more once the room is spent.
        if room <= LABEL_BYTES {
            self.missed += 1;
            return;
        }
        let Cut { len, hidden } = Cut::of(frame.bytes, record, &self.ports, whole);
        let len = len.min(LONGEST);
        let cost = (len + LABEL_BYTES).min(room);
        self.spent[cause as usize] += cost as u32;
        let Some(bytes) = frame.bytes.get(..len).filter(|_| len + LABEL_BYTES <= room) else {
            self.missed += 1;
            return;
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if let Some(kept) = self.bytes.get_mut(start..) {
            kept.get_mut(hidden.start.min(len)..hidden.end.min(len)).unwrap_or_default().fill(0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;
    use crate::frame::RxMeta;
    use crate::record::Flags;
    use crate::rules::Party;

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
        exhibits.keep_so(keeping, Ports::default());
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
            // Nor is it known how long its header is: this is none of PFCP.
            assert_eq!(first, frame[..14 + 28 + 4], "{keeping:?}");
        }
        let jumbo = ethernet(&udp(443, &[0x5a; 8_000]));
        assert_eq!(kept(&jumbo, Keeping::Headers, |_| ()).len(), LONGEST);
    }

    const SECRET: [u8; 200] = [0x5a; 200];

    fn has_secret(bytes: &[u8]) -> bool {
        bytes.contains(&SECRET[0])
    }

    /// Ways in which a user's packet, or signalling that names one, comes along outside of G-PDUs' payload.
    fn carriers() -> Vec<(&'static str, Vec<u8>)> {
        let user = tcp(&SECRET);
        let gre = |kind: u16, payload: &[u8]| {
            ip(47, &[&[0, 0], kind.to_be_bytes().as_slice(), payload].concat())
        };
        let vxlan = |packet: &[u8]| {
            udp(4789, &[&[8, 0, 0, 0, 0, 0, 9, 0], ethernet(packet).as_slice()].concat())
        };
        let l2tp = [&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], user.as_slice()].concat();
        let create_session = [&[0x48, 32, 0, 200, 0, 0, 0, 9], SECRET.as_slice()].concat();
        let imsi = [&[0, 141, 0, 200, 1, 8], SECRET.as_slice()].concat();
        let establishment = |length: u16| {
            let header = [&[0x21, 50], length.to_be_bytes().as_slice(), &[0; 12]].concat();
            [header, imsi.clone()].concat()
        };
        let data = [[0x1e; 12].as_slice(), &[0, 3, 0, 216], &[0; 12], &SECRET].concat();
        let unreachable = [&[3, 3, 0, 0, 0, 0, 0, 0], user.as_slice()].concat();
        let nsh = [[0; 24].as_slice(), &user].concat();
        let mut below_ip = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x89, 0x4f].to_vec();
        below_ip.extend(nsh);
        vec![
            ("GRE", ethernet(&gre(0x0800, &user))),
            ("Ethernet in GRE", ethernet(&gre(0x6558, &ethernet(&user)))),
            (
                "what GRE does not say",
                ethernet(&gre(0x88ff, &[[0; 16].as_slice(), &SECRET].concat())),
            ),
            ("IP in IP", ethernet(&ip(4, &user))),
            ("VXLAN", ethernet(&vxlan(&user))),
            ("ESP", ethernet(&ip(50, &[[0; 8].as_slice(), &SECRET].concat()))),
            ("AH", ethernet(&ip(51, &[&[4, 4, 0, 0], [0; 20].as_slice(), &user].concat()))),
            ("L2TP", ethernet(&udp(1701, &l2tp))),
            ("an ICMP error", ethernet(&ip(1, &unreachable))),
            ("NSH", below_ip),
            ("GTP-C", ethernet(&udp(2123, &create_session))),
            ("GTP-C in a G-PDU", g_pdu(&udp(2123, &create_session), &[])),
            ("PFCP in a G-PDU", g_pdu(&udp(8805, &establishment(212)), &[])),
            ("PFCP in VXLAN", ethernet(&vxlan(&udp(8805, &establishment(212))))),
            ("PFCP of a length that can't be", ethernet(&udp(8805, &establishment(3)))),
            ("SCTP", ethernet(&ip(132, &data))),
            ("a G-PDU in a G-PDU", g_pdu(&g_pdu(&user, &[])[14..], &[])),
        ]
    }

    #[test]
    fn no_users_word_is_kept_whatever_it_is_carried_in() {
        for (carrier, frame) in carriers() {
            let cut = kept(&frame, Keeping::Headers, |_| ());
            assert!(!has_secret(&cut) && cut.len() >= 14 + 20, "{carrier}: {cut:02x?}");
            assert_eq!(cut, frame[..cut.len()], "{carrier}");
            let signals = ["GTP-C", "PFCP", "SCTP"].iter().any(|name| carrier.starts_with(name));
            let whole = kept(&frame, Keeping::Whole, |_| ());
            assert_eq!(has_secret(&whole), !signals, "{carrier}: who a subscriber is never shows");
            for end in 0..frame.len() {
                let cut = kept(&frame[..end], Keeping::Headers, |_| ());
                assert!(!has_secret(&cut), "{carrier}, cut after {end}");
            }
        }
    }

    #[test]
    fn a_length_that_is_too_small_makes_no_users_word_a_finding() {
        let user = udp(443, &SECRET);
        // The octets of the sequence number are forgotten, or everything is.
        for missing in [4, user.len()] {
            let mut frame = g_pdu(&user, b"covert");
            let length = (user.len() - missing) as u16;
            frame[14 + 28 + 2..][..2].copy_from_slice(&length.to_be_bytes());
            let kept = kept(&frame, Keeping::Headers, |_| ());
            assert!(!has_secret(&kept), "{missing}");
            assert_eq!(kept.ends_with(b"covert"), missing == 4);
        }
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
        exhibits.keep_so(Keeping::Headers, Ports::default());
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
