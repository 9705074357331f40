//! `attribute`: which tunnel, and so which session, each G-PDU belongs to.
//!
//! Three passes over a burst: the tags of every tunnel are asked for, then the rows
//! that they name, then both are there to be read. What is in no row is told to the
//! session machine, which knows what N4 has said meanwhile.

use std::sync::Arc;

use weir_wire::Address;
use weir_wire::gtpu::{G_PDU, Gtpu};
use weir_wire::gtpu_element::Elements;

use crate::Nanos;
use crate::finding::INSIDE;
use crate::frame::{BURST, Frame};
use crate::record::{Flags, Kind, Record};
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
pub(crate) struct LookUp {
    pub(crate) end: FTeid,
    pub(crate) packet: Packet,
    /// Where the inner packet stands.
    pub(crate) inner: u16,
    pub(crate) whose: Whose,
}

/// Where more is known of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    /// It is of the common shape; this frame says it all.
    Common(u8),
    /// It has this record.
    Record(u8),
}

impl Default for Whose {
    fn default() -> Self {
        Whose::Record(0)
    }
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
    probes: [Probe; BURST],
    slots: [Option<Slot>; BURST],
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
            probes: [Probe::default(); BURST],
            slots: [None; BURST],
            ready: 0,
            users: [User::default(); BURST],
            watched: Arc::new([]),
        }
    }

    /// Takes other sources to look for on N6.
    pub(crate) fn watch(&mut self, sources: Arc<[Address]>) {
        self.watched = sources;
    }

    /// Begins the look-up of a packet's tunnel. Packets come in the burst's order.
    #[inline]
    pub(crate) fn ask(&mut self, look_up: LookUp) {
        let probe = self.tunnels.table.probe(&look_up.end);
        self.tunnels.table.prefetch_tags(probe);
        if let Some(place) = self.pending.get_mut(self.ready) {
            *place = look_up;
            self.probes[self.ready] = probe;
            self.ready += 1;
        }
    }

    /// The same for the packet of a record, if it is in a tunnel.
    #[inline]
    pub(crate) fn ask_for(&mut self, number: usize, record: &Record, to: Address) {
        let is_g_pdu = record.kind == Kind::Gtpu && record.message == G_PDU;
        if is_g_pdu || record.flags.has(Flags::ATTRIBUTED) && record.teid != 0 {
            let end = FTeid { address: to, teid: record.teid };
            let whose = Whose::Record(number as u8);
            self.ask(LookUp { end, whose, ..LookUp::default() });
        }
    }

    /// Asks for the rows of all tunnels that were asked for.
    pub(crate) fn fetch(&mut self) {
        let Self { tunnels, probes, slots, ready, .. } = self;
        for (slot, probe) in slots.iter_mut().zip(probes.iter()).take(*ready) {
            *slot = tunnels.table.prefetch_first(*probe);
            if let Some(slot) = *slot {
                tunnels.usage.prefetch(slot);
            }
        }
    }

    /// Attributes what was asked for: packets of the common shape by their frames of the
    /// burst, of which `recall` makes records when one is wanted, and the others by theirs.
    pub(crate) fn settle(
        &mut self,
        frames: &[Frame<'_>],
        (others, records): (&[Frame<'_>], &[Record]),
        recall: impl Fn(&Frame<'_>) -> Record,
        report: &mut Report,
    ) {
        let Self { tunnels, pending, probes, slots, ready, .. } = self;
        let asked = pending.iter().zip(probes.iter()).zip(slots.iter()).take(*ready);
        for ((look_up, probe), slot) in asked {
            let LookUp { end, packet, inner, whose } = look_up;
            match whose {
                Whose::Common(number) => {
                    let Some(frame) = frames.get(usize::from(*number)) else { continue };
                    let Some((slot, row)) = find(tunnels, end, *probe, *slot, packet.time) else {
                        stray(frame, &recall(frame), *end, report);
                        continue;
                    };
                    report.unresolved.attributed += 1;
                    let change = count(tunnels, (slot, &row), packet);
                    let odd = odd_user_of_common(frame, *inner, &row);
                    if change.is_some() || odd.is_some() {
                        note(frame, &recall(frame), (slot, &row), *end, (change, odd), report);
                    }
                }
                Whose::Record(number) => {
                    let number = usize::from(*number);
                    let Some(frame) = others.get(number) else { continue };
                    let Some(record) = records.get(number) else { continue };
                    let Some((slot, row)) = find(tunnels, end, *probe, *slot, record.time) else {
                        stray(frame, record, *end, report);
                        continue;
                    };
                    report.unresolved.attributed += 1;
                    let change = count(tunnels, (slot, &row), &packet_of(frame, record));
                    let odd = odd_user(frame, record, &row);
                    if change.is_some() || odd.is_some() {
                        note(frame, record, (slot, &row), *end, (change, odd), report);
                    }
                }
            }
        }
        *ready = 0;
    }

    /// Looks at what else tells of tunnels and users: Error Indications, and users' packets
    /// on the link to the data network.
    pub(crate) fn look_around(
        &mut self,
        frames: &[Frame<'_>],
        records: &[Record],
        ends: &[Option<(Address, Address)>],
        report: &mut Report,
    ) {
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
                    report.unresolved.dropped += u64::from(!report.unresolved.escapes.add(escape));
                }
            }
        }
        let (table, users) = (&self.tunnels.users, &self.users[..users]);
        for user in users {
            table.prefetch_row(user.probe);
        }
        for user in users {
            let record = &records[user.record];
            if !matches!(table.find(&user.end, user.probe, record.time), Found::Live(..)) {
                let homeless = Escape { source: user.from, sum: sum(record, 0) };
                report.unresolved.dropped += u64::from(!report.unresolved.homeless.add(homeless));
            }
        }
    }
}

/// The tunnel of a look-up: nearly always the one whose row was asked for.
#[inline]
fn find(
    tunnels: &Access,
    end: &FTeid,
    probe: Probe,
    slot: Option<Slot>,
    time: Nanos,
) -> Option<(Slot, Row)> {
    if let Some(slot) = slot
        && let Some(row) = tunnels.table.read(slot, end, time)
    {
        return Some((slot, row));
    }
    match tunnels.table.find(end, probe, time) {
        Found::Live(slot, row) => Some((slot, row)),
        Found::Other | Found::Unknown => None,
    }
}

/// A packet of a known tunnel whose sender is to be told of.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sender: Sender,
    /// Who sent the one before, and when.
    before: Sender,
    before_last: Nanos,
}

/// Counts a packet of a known tunnel; says if its sender is to be told of.
#[inline]
fn count(tunnels: &mut Access, (slot, row): (Slot, &Row), packet: &Packet) -> Option<Seen> {
    let sender = packet.sender;
    let last_before = tunnels.usage.count(slot, row.flags.generation(), packet);
    let (before, before_last) = last_before.unwrap_or_default();
    let is_news = before != sender
        || row.flags.has(RowFlags::CONTESTED)
        || row.flags.has(RowFlags::SHARED) && packet.time.since(before_last) >= SILENCE;
    is_news.then_some(Seen { sender, before, before_last })
}

/// What a record's packet adds to its tunnel.
#[inline]
fn packet_of(frame: &Frame<'_>, record: &Record) -> Packet {
    let from = record.outer_addresses(frame.bytes).unwrap_or_default().0;
    Packet {
        packets: u64::from(record.kind == Kind::Gtpu),
        bytes: user_bytes(frame, record),
        time: record.time,
        sender: Sender::of(record.source, from),
        flow: qos_flow(record),
    }
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
    let (source, destination) = record.inner_addresses(frame.bytes)?;
    let user = if row.flags.has(RowFlags::DOWNLINK) { destination } else { source };
    (!row.is_ue(user)).then_some(user)
}

/// The same of a packet of the common shape, whose inner header stands at `inner`.
#[inline]
fn odd_user_of_common(frame: &Frame<'_>, inner: u16, row: &Row) -> Option<Address> {
    if !row.flags.any(RowFlags::CHECKED.or(RowFlags::NAMELESS)) {
        return None;
    }
    let header = frame.bytes.get(usize::from(inner)..)?.first_chunk::<20>()?;
    let ends = u64::from_be_bytes(*header[12..].first_chunk()?);
    // Up and down take turns as they like: no branch could foretell which.
    let shift = u32::from(!row.flags.has(RowFlags::DOWNLINK)) * 32;
    let user = (ends >> shift) as u32;
    let is_users = row.flags.has(RowFlags::UE_V4) && user == row.ue4;
    (!is_users).then(|| Address::v4(user.to_be_bytes()))
}

/// The QoS flow of a G-PDU.
#[inline]
fn qos_flow(record: &Record) -> QosFlows {
    QosFlows::of(record.flags.has(Flags::QFI).then_some(record.qfi))
}

/// Tells of a packet's sender, or of the user's address in it.
#[cold]
fn note(
    frame: &Frame<'_>,
    record: &Record,
    (slot, row): (Slot, &Row),
    end: FTeid,
    (change, odd): (Option<Seen>, Option<Address>),
    report: &mut Report,
) {
    let generation = row.flags.generation();
    let from = record.outer_addresses(frame.bytes).unwrap_or_default().0;
    let sum = sum(record, user_bytes(frame, record));
    let inner = Inner::of(record, frame.bytes);
    if let Some(Seen { sender, before, before_last }) = change {
        let change = Change { slot, generation, sender, from, before, before_last, sum, inner };
        report.unresolved.dropped += u64::from(!report.unresolved.changes.add(change));
    }
    if let Some(source) = odd {
        let odd = OddSource { slot, generation, source, from, to: end.address, sum, inner };
        report.unresolved.dropped += u64::from(!report.unresolved.odd_sources.add(odd));
    }
}

#[cold]
fn stray(frame: &Frame<'_>, record: &Record, end: FTeid, report: &mut Report) {
    let source = (!record.flags.any(INSIDE))
        .then(|| record.inner_addresses(frame.bytes))
        .flatten()
        .map(|(source, _)| source);
    let bytes = user_bytes(frame, record);
    let mut sum = sum(record, bytes);
    sum.packets = u64::from(record.kind == Kind::Gtpu);
    let stray = Stray {
        end,
        from: record.outer_addresses(frame.bytes).unwrap_or_default().0,
        source: source.unwrap_or_default(),
        sum,
        flows: qos_flow(record),
        inner: Inner::of(record, frame.bytes),
    };
    report.unresolved.dropped += u64::from(!report.unresolved.strays.add(stray));
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
    report.unresolved.dropped += u64::from(!report.unresolved.complaints.add(complaint));
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
