//! `attribute`: which tunnel, and so which session, each G-PDU belongs to.
//!
//! Three passes over a burst: the tags of every tunnel are asked for, then the rows
//! that they name, then both are there to be read. What is in no row is told to the
//! session machine, which knows what N4 has said meanwhile.

use std::hint::select_unpredictable;
use std::sync::Arc;

use weir_wire::Address;
use weir_wire::gtpu::{G_PDU, Gtpu};
use weir_wire::gtpu_element::Elements;

use crate::Nanos;
use crate::decode::{UserEnds, octets};
use crate::exhibits::{Cause, FIRST};
use crate::finding::INSIDE;
use crate::frame::{BURST, Frame};
use crate::record::{Flags, Kind, Record, addresses};
use crate::report::Report;
use crate::rules::{Link, Party};
use crate::track::Inner;
use crate::tunnels::unresolved::{Change, Complaint, Escape, OddSource, Stray, Sum};
use crate::tunnels::usage::Packet;
use crate::tunnels::{Access, FTeid, Found, Probe, QosFlows, Row, RowFlags, Sender, Slot};

const ERROR_INDICATION: u8 = 26;

/// A sender on a tunnel that others use too is told of again after this long: less than the
/// time within which two are one too many.
const SILENCE: Nanos = Nanos::SECOND;

/// A packet whose tunnel is being looked up.
#[derive(Clone, Copy, Debug, Default)]
struct LookUp {
    probe: Probe,
    /// Where its row most likely is.
    slot: Option<Slot>,
    /// Whether it is of the common shape; else it has the record of its number.
    is_common: bool,
    number: u8,
    packet: CommonPacket,
}

/// What is known of a packet of the common shape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommonPacket {
    pub(crate) time: Nanos,
    pub(crate) teid: u32,
    /// Its outer addresses, the source's above the destination's.
    pub(crate) ends: u64,
    pub(crate) sender: Sender,
    pub(crate) flow: QosFlows,
    /// The ends of the user's packet.
    pub(crate) users: UserEnds,
    /// Where it stands in the frame.
    pub(crate) inner: u16,
    /// Its bytes.
    pub(crate) bytes: u16,
}

impl CommonPacket {
    /// That of a G-PDU in IPv4, by its record; none where the user's address stands for one of
    /// IPv4, or there is no packet of IP in it.
    #[inline]
    pub(crate) fn of(record: &Record, frame: &Frame<'_>, sender: Sender) -> Option<Self> {
        let outer = frame.bytes.get(usize::from(record.outer_ip)..)?.first_chunk::<20>()?;
        let user = frame.bytes.get(usize::from(record.inner_ip)..)?;
        let users = if record.flags.has(Flags::INNER_V6) {
            let user = user.first_chunk::<40>()?;
            let (source, destination) = (octets(user, 8), octets(user, 24));
            if source == 0 || destination == 0 {
                return None;
            }
            UserEnds { source, destination, is_v6: true }
        } else {
            let ends = octets(user.first_chunk::<20>()?, 12);
            UserEnds { source: ends >> 32, destination: u64::from(ends as u32), is_v6: false }
        };
        Some(Self {
            time: record.time,
            teid: record.teid,
            ends: octets(outer, 12),
            sender,
            flow: qos_flow(record),
            users,
            inner: record.inner_ip,
            bytes: user_bytes(frame, record) as u16,
        })
    }

    #[inline]
    fn end(&self) -> FTeid {
        FTeid { address: v4(self.ends as u32), teid: self.teid }
    }

    #[inline]
    fn counted(&self) -> Packet {
        Packet {
            packets: 1,
            bytes: u64::from(self.bytes),
            time: self.time,
            sender: self.sender,
            flow: self.flow,
        }
    }
}

/// The packets of a burst that have records, with their frames and outer addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others<'a> {
    pub(crate) frames: &'a [Frame<'a>],
    pub(crate) records: &'a [Record],
    pub(crate) ends: &'a [Option<(Address, Address)>],
}

/// A user on the link to the data network, looked up by its address.
#[derive(Clone, Copy, Debug, Default)]
struct User {
    record: usize,
    from: Address,
    end: FTeid,
    probe: Probe,
}

/// The stage and its place in the tables.
#[derive(Debug)]
pub(crate) struct Attributor {
    tunnels: Access,
    pending: [LookUp; BURST],
    ready: usize,
    users: [User; BURST],
    /// Sources that are looked for on N6, sorted.
    watched: Arc<[Address]>,
}

impl Attributor {
    pub(crate) fn new(tunnels: Access) -> Self {
        Self {
            tunnels,
            pending: [LookUp::default(); BURST],
            ready: 0,
            users: [User::default(); BURST],
            watched: Arc::new([]),
        }
    }

    /// Takes other sources to look for on N6.
    pub(crate) fn watch(&mut self, sources: Arc<[Address]>) {
        self.watched = sources;
    }

    /// Begins the look-up of a packet of the common shape, the frame of that number. Packets
    /// come in the burst's order.
    #[inline]
    pub(crate) fn ask(&mut self, number: usize, packet: CommonPacket) {
        let probe = self.tunnels.table.probe(&packet.end());
        self.begin(LookUp { probe, slot: None, is_common: true, number: number as u8, packet });
    }

    /// The same for the packet of the record of that number, if it is in a tunnel.
    #[inline]
    pub(crate) fn ask_for(&mut self, number: usize, record: &Record, to: Address) {
        let is_g_pdu = record.kind == Kind::Gtpu && record.message == G_PDU;
        if is_g_pdu || record.flags.has(Flags::ATTRIBUTED) && record.teid != 0 {
            let probe = self.tunnels.table.probe(&FTeid { address: to, teid: record.teid });
            self.begin(LookUp { probe, number: number as u8, ..LookUp::default() });
        }
    }

    #[inline]
    fn begin(&mut self, look_up: LookUp) {
        self.tunnels.table.prefetch_tags(look_up.probe);
        // A burst has no more packets than there are places.
        self.pending[self.ready % BURST] = look_up;
        self.ready += 1;
    }

    /// Asks for the rows of all tunnels that were asked for.
    pub(crate) fn fetch(&mut self) {
        for look_up in self.pending.iter_mut().take(self.ready) {
            look_up.slot = self.tunnels.table.prefetch_first(look_up.probe);
            if let Some(slot) = look_up.slot {
                self.tunnels.usage.prefetch(slot);
            }
        }
    }

    /// Attributes what was asked for. Of a packet of the common shape `recall` makes a record
    /// when it is wanted.
    pub(crate) fn settle(
        &mut self,
        frames: &[Frame<'_>],
        others: &Others<'_>,
        recall: impl Fn(&Frame<'_>) -> Record,
        report: &mut Report,
    ) {
        let Self { tunnels, pending, ready, .. } = self;
        let mut rest = pending.get(..*ready).unwrap_or_default();
        *ready = 0;
        loop {
            // Those with records come in rows of their own, as a rule.
            while let Some((look_up, behind)) = rest.split_first()
                && !look_up.is_common
            {
                of_record(tunnels, look_up, others, report);
                rest = behind;
            }
            let (settled, end) = settle_known(tunnels, rest);
            report.unresolved.attributed += settled as u64;
            let (Some(end), Some((look_up, behind))) = (end, rest[settled..].split_first()) else {
                break;
            };
            rest = behind;
            let (number, packet) = (usize::from(look_up.number), &look_up.packet);
            match end {
                Unsettled::Odd(seen, odd) => {
                    let Some(frame) = frames.get(number) else { continue };
                    report.unresolved.attributed += 1;
                    let record = recall(frame);
                    let user = odd.and_then(|flags| user(frame, &record, flags));
                    note(frame, &record, packet.end(), &Seen { user, ..seen }, report);
                }
                Unsettled::Elsewhere if look_up.is_common => {
                    let Some(frame) = frames.get(number) else { continue };
                    let end = packet.end();
                    let found = tunnels.table.find(&end, look_up.probe, packet.time);
                    if let Found::Live(slot, row) = found {
                        let from = v4((packet.ends >> 32) as u32);
                        known(tunnels, frame, &recall(frame), (from, end), (slot, &row), report);
                    } else if !stray_again(packet, frame, report) {
                        stray(frame, &recall(frame), &end, report);
                    }
                }
                Unsettled::Elsewhere => of_record(tunnels, look_up, others, report),
            }
        }
    }

    /// Looks at what else tells of tunnels and users: Error Indications, and users' packets
    /// on the link to the data network.
    pub(crate) fn look_around(&mut self, others: &Others<'_>, report: &mut Report) {
        let Others { frames, records, ends } = *others;
        let mut users = 0;
        for (i, ((frame, record), ends)) in frames.iter().zip(records).zip(ends).enumerate() {
            let Some((from, to)) = *ends else { continue };
            if record.kind == Kind::Gtpu && record.message == ERROR_INDICATION {
                complain(frame, record, (from, to), report);
            } else if record.link == Link::N6 && record.kind == Kind::Ip {
                if record.source == Party::Subscriber.pack() {
                    let end = FTeid::of_user(from);
                    let probe = self.tunnels.users.probe(&end);
                    self.tunnels.users.prefetch_tags(probe);
                    self.users[users] = User { record: i, from, end, probe };
                    users += 1;
                }
                if !self.watched.is_empty() && self.watched.binary_search(&from).is_ok() {
                    let escape = Escape { source: from, sum: sum(record, 0) };
                    let packets = report.unresolved.escapes.add(escape);
                    exhibit(packets, frame, record, Cause::OddUser, report);
                }
            }
        }
        let (table, users) = (&self.tunnels.users, &self.users[..users]);
        for user in users {
            table.prefetch_row(user.probe);
        }
        for user in users {
            let (frame, record) = (&frames[user.record], &records[user.record]);
            if !matches!(table.find(&user.end, user.probe, record.time), Found::Live(..)) {
                let homeless = Escape { source: user.from, sum: sum(record, 0) };
                let packets = report.unresolved.homeless.add(homeless);
                exhibit(packets, frame, record, Cause::OddUser, report);
            }
        }
    }
}

/// Why a packet is not settled by being counted on its tunnel.
enum Unsettled {
    /// It was counted, and something must be told; also of its user, if these are the tunnel's
    /// flags.
    Odd(Seen, Option<RowFlags>),
    /// It is not of the common shape, or its tunnel not where it most likely is.
    Elsewhere,
}

/// A packet of a known tunnel about which something must be told.
struct Seen {
    slot: Slot,
    generation: u16,
    sender: Sender,
    /// Who sent the one before, and when, if the sender is news.
    before: Option<(Sender, Nanos)>,
    /// The user's address, if it is not the tunnel's user's.
    user: Option<Address>,
}

/// Counts packets of the common shape on their tunnels up to one for which that is not all;
/// gives how many there were before it.
#[inline(never)]
fn settle_known(tunnels: &mut Access, asked: &[LookUp]) -> (usize, Option<Unsettled>) {
    for (known, look_up) in asked.iter().enumerate() {
        let LookUp { slot: Some(slot), is_common: true, ref packet, .. } = *look_up else {
            return (known, Some(Unsettled::Elsewhere));
        };
        let Some(tunnel) = tunnels.table.glance(slot, packet.ends as u32, packet.teid, packet.time)
        else {
            return (known, Some(Unsettled::Elsewhere));
        };
        let (generation, sender) = (tunnel.flags.generation(), packet.sender);
        let before = tunnels.usage.count(slot, generation, &packet.counted()).unwrap_or_default();
        let is_news = is_news(tunnel.flags, sender, packet.time, before);
        // Whether it goes up or down, and of which family it is, no branch could foretell.
        let users = &packet.users;
        let is_downlink = tunnel.flags.has(RowFlags::DOWNLINK);
        let user = select_unpredictable(is_downlink, users.destination, users.source);
        let of_v4 = (RowFlags::UE_V4, u64::from(tunnel.ue4));
        let (is_known, ue) =
            select_unpredictable(users.is_v6, (RowFlags::UE_V6, tunnel.ue6), of_v4);
        let is_odd = tunnel.flags.any(RowFlags::CHECKED.or(RowFlags::NAMELESS))
            & !(tunnel.flags.has(is_known) & (user == ue));
        if is_news | is_odd {
            let before = is_news.then_some(before);
            let seen = Seen { slot, generation, sender, before, user: None };
            return (known, Some(Unsettled::Odd(seen, is_odd.then_some(tunnel.flags))));
        }
    }
    (asked.len(), None)
}

/// Attributes a packet that has a record.
#[inline(never)]
fn of_record(tunnels: &mut Access, look_up: &LookUp, others: &Others<'_>, report: &mut Report) {
    let number = usize::from(look_up.number);
    let Some(frame) = others.frames.get(number) else { return };
    let Some(record) = others.records.get(number) else { return };
    let Some(Some((from, to))) = others.ends.get(number) else { return };
    let end = FTeid { address: *to, teid: record.teid };
    match tunnels.table.find(&end, look_up.probe, record.time) {
        Found::Live(slot, row) => known(tunnels, frame, record, (*from, end), (slot, &row), report),
        Found::Other | Found::Unknown => stray(frame, record, &end, report),
    }
}

/// Counts a packet on its tunnel, and tells what must be told.
fn known(
    tunnels: &mut Access,
    frame: &Frame<'_>,
    record: &Record,
    (from, end): (Address, FTeid),
    (slot, row): (Slot, &Row),
    report: &mut Report,
) {
    report.unresolved.attributed += 1;
    let packet = Packet {
        packets: u64::from(record.kind == Kind::Gtpu),
        bytes: user_bytes(frame, record),
        time: record.time,
        sender: Sender::of(record.source, from),
        flow: qos_flow(record),
    };
    let (generation, sender) = (row.flags.generation(), packet.sender);
    let before = tunnels.usage.count(slot, generation, &packet).unwrap_or_default();
    let is_news = is_news(row.flags, sender, packet.time, before);
    let user = odd_user(frame, record, row);
    if is_news || user.is_some() {
        let before = is_news.then_some(before);
        note(frame, record, end, &Seen { slot, generation, sender, before, user }, report);
    }
}

/// Whether the sender of a packet is to be told of; `before` is who sent the one before, and
/// when.
#[inline]
fn is_news(flags: RowFlags, sender: Sender, time: Nanos, before: (Sender, Nanos)) -> bool {
    before.0 != sender
        || flags.any(RowFlags::CONTESTED.or(RowFlags::SHARED))
            && (flags.has(RowFlags::CONTESTED) || time.since(before.1) >= SILENCE)
}

/// The user's address in a packet, if it is not the tunnel's user's. What goes astray in a
/// worse way is told of as that.
#[inline]
fn odd_user(frame: &Frame<'_>, record: &Record, row: &Row) -> Option<Address> {
    if !row.flags.any(RowFlags::CHECKED.or(RowFlags::NAMELESS))
        || !record.flags.has(Flags::VERIFIED_GPDU)
        || record.flags.any(INSIDE)
    {
        return None;
    }
    user(frame, record, row.flags).filter(|user| !row.is_ue(*user))
}

/// The user's address in a packet of a tunnel of these flags.
#[inline]
fn user(frame: &Frame<'_>, record: &Record, flags: RowFlags) -> Option<Address> {
    let (source, destination) = record.inner_addresses(frame.bytes)?;
    Some(if flags.has(RowFlags::DOWNLINK) { destination } else { source })
}

/// The QoS flow of a G-PDU.
#[inline]
fn qos_flow(record: &Record) -> QosFlows {
    QosFlows::of(record.flags.has(Flags::QFI).then_some(record.qfi))
}

/// Tells of a packet's sender, or of the user's address in it.
#[cold]
fn note(frame: &Frame<'_>, record: &Record, end: FTeid, seen: &Seen, report: &mut Report) {
    let Seen { slot, generation, sender, before, user } = *seen;
    let from = record.outer_addresses(frame.bytes).unwrap_or_default().0;
    let sum = sum(record, user_bytes(frame, record));
    let inner = Inner::of(record, frame.bytes);
    if let Some((before, before_last)) = before {
        let change = Change { slot, generation, sender, from, before, before_last, sum, inner };
        let packets = report.unresolved.changes.add(change);
        exhibit(packets, frame, record, Cause::OtherSender, report);
    }
    if let Some(source) = user {
        let odd = OddSource { slot, generation, source, from, to: end.address, sum, inner };
        let packets = report.unresolved.odd_sources.add(odd);
        exhibit(packets, frame, record, Cause::OddUser, report);
    }
}

/// Keeps the first frames of a kind, by the packets that it has; counts those without room.
fn exhibit(
    packets: Option<u64>,
    frame: &Frame<'_>,
    record: &Record,
    cause: Cause,
    report: &mut Report,
) {
    match packets {
        None => report.unresolved.dropped += 1,
        Some(packets) if packets <= FIRST => {
            let ends = record.outer_addresses(frame.bytes).unwrap_or_default();
            report.exhibits.keep(frame, record, cause, ends);
        }
        Some(_) => {}
    }
}

/// Adds a packet of the common shape to those like it on a tunnel that is not known; no if it is
/// among the first, or came before them.
fn stray_again(packet: &CommonPacket, frame: &Frame<'_>, report: &mut Report) -> bool {
    let from = v4((packet.ends >> 32) as u32);
    let ends = addresses(frame.bytes, packet.inner, packet.users.is_v6);
    let Some((source, _)) = ends else { return false };
    let strays = &mut report.unresolved.strays;
    let is_full = strays.is_full();
    match strays.row_mut(&(packet.end(), from, source)) {
        Some(stray) if stray.sum.first < packet.time && stray.sum.packets >= FIRST => {
            stray.sum.last = stray.sum.last.max(packet.time);
            stray.sum.packets += 1;
            stray.sum.bytes += u64::from(packet.bytes);
            stray.sum.wire_bytes += u64::from(frame.meta.wire_len);
            stray.flows.join(packet.flow);
            true
        }
        None if is_full => {
            report.unresolved.dropped += 1;
            true
        }
        _ => false,
    }
}

/// An IPv4 address that was read as a number.
#[inline]
fn v4(address: u32) -> Address {
    Address::v4(address.to_be_bytes())
}

#[cold]
fn stray(frame: &Frame<'_>, record: &Record, end: &FTeid, report: &mut Report) {
    let source = (!record.flags.any(INSIDE))
        .then(|| record.inner_addresses(frame.bytes))
        .flatten()
        .map(|(source, _)| source);
    let bytes = user_bytes(frame, record);
    let mut sum = sum(record, bytes);
    sum.packets = u64::from(record.kind == Kind::Gtpu);
    let stray = Stray {
        end: *end,
        from: record.outer_addresses(frame.bytes).unwrap_or_default().0,
        source: source.unwrap_or_default(),
        sum,
        flows: qos_flow(record),
        inner: Inner::of(record, frame.bytes),
    };
    let packets = report.unresolved.strays.add(stray);
    exhibit(packets, frame, record, Cause::Stray, report);
}

/// An Error Indication names the tunnel that its sender does not know (TS 29.281 §7.3.1).
#[cold]
fn complain(
    frame: &Frame<'_>,
    record: &Record,
    (from, told): (Address, Address),
    report: &mut Report,
) {
    let bytes = frame.bytes.get(usize::from(record.gtp)..).unwrap_or_default();
    let Ok(gtpu) = Gtpu::parse(bytes) else { return };
    let mut extensions = gtpu.extensions();
    extensions.by_ref().for_each(drop);
    let mut teid = None;
    let mut peer = None;
    for element in Elements::new(extensions.rest()).map_while(Result::ok) {
        teid = teid.or(element.teid().map(|teid| teid.0));
        peer = peer.or(element.peer());
    }
    let Some(teid) = teid else { return };
    let end = FTeid { address: peer.unwrap_or(from), teid };
    let complaint = Complaint { end, told, sum: sum(record, 0) };
    let packets = report.unresolved.complaints.add(complaint);
    exhibit(packets, frame, record, Cause::Complaint, report);
}

#[inline]
fn sum(record: &Record, bytes: u64) -> Sum {
    Sum {
        first: record.time,
        last: record.time,
        packets: 1,
        bytes,
        wire_bytes: u64::from(record.wire_len),
        tap: record.tap,
        link: record.link,
    }
}

/// Bytes of the user's packet: what stands behind the GTP-U header and its extensions.
#[inline]
fn user_bytes(frame: &Frame<'_>, record: &Record) -> u64 {
    if record.inner_ip != Record::ABSENT {
        let header = record.inner_ip.wrapping_sub(record.gtp);
        return u64::from(record.payload_len.saturating_sub(header));
    }
    if record.kind != Kind::Gtpu {
        return u64::from(record.payload_len);
    }
    let bytes = frame.bytes.get(usize::from(record.gtp)..).unwrap_or_default();
    let Ok(gtpu) = Gtpu::parse(bytes) else { return 0 };
    let mut extensions = gtpu.extensions();
    extensions.by_ref().for_each(drop);
    extensions.rest().len() as u64
}
