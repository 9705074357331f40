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
struct LookUp {
    record: usize,
    end: FTeid,
    from: Address,
    probe: Probe,
}

/// The stage and its place in the tables.
#[derive(Debug)]
pub(crate) struct Attributor {
    tunnels: Access,
    pending: [LookUp; BURST],
    /// Users on the link to the data network, looked up the same way.
    users: [LookUp; BURST],
    /// Sources that are looked for on N6, sorted.
    watched: Arc<[Address]>,
}

impl Attributor {
    pub(crate) fn new(tunnels: Access) -> Self {
        Self {
            tunnels,
            pending: [LookUp::default(); BURST],
            users: [LookUp::default(); BURST],
            watched: Arc::new([]),
        }
    }

    /// Takes other sources to look for on N6.
    pub(crate) fn watch(&mut self, sources: Arc<[Address]>) {
        self.watched = sources;
    }

    /// Attributes a burst. `ends` are the records' outer addresses.
    pub(crate) fn burst(
        &mut self,
        frames: &[Frame<'_>],
        records: &[Record],
        ends: &[Option<(Address, Address)>],
        report: &mut Report,
    ) {
        let (mut ready, mut users) = (0, 0);
        for (i, ((frame, record), ends)) in frames.iter().zip(records).zip(ends).enumerate() {
            let Some((from, to)) = *ends else { continue };
            let is_g_pdu = record.kind == Kind::Gtpu && record.message == G_PDU;
            if is_g_pdu || record.flags.has(Flags::ATTRIBUTED) && record.teid != 0 {
                let end = FTeid { address: to, teid: record.teid };
                let probe = self.tunnels.table.probe(&end);
                self.tunnels.table.prefetch_tags(probe);
                self.pending[ready] = LookUp { record: i, end, from, probe };
                ready += 1;
            } else if record.kind == Kind::Gtpu && record.message == ERROR_INDICATION {
                complain(frame, record, (from, to), report);
            } else if record.link == Link::N6 && record.kind == Kind::Ip {
                if record.source == Party::Subscriber.pack() {
                    let end = FTeid::of_user(from);
                    let probe = self.tunnels.users.probe(&end);
                    self.tunnels.users.prefetch_tags(probe);
                    self.users[users] = LookUp { record: i, end, from, probe };
                    users += 1;
                }
                if !self.watched.is_empty() && self.watched.binary_search(&from).is_ok() {
                    let escape = Escape { source: from, sum: sum(record, 0) };
                    report.unresolved.dropped += u64::from(!report.unresolved.escapes.add(escape));
                }
            }
        }
        for look_up in &self.users[..users] {
            self.tunnels.users.prefetch_row(look_up.probe);
        }
        for look_up in &self.users[..users] {
            let record = &records[look_up.record];
            let users = &self.tunnels.users;
            if !matches!(users.find(&look_up.end, look_up.probe, record.time), Found::Live(..)) {
                let homeless = Escape { source: look_up.from, sum: sum(record, 0) };
                report.unresolved.dropped += u64::from(!report.unresolved.homeless.add(homeless));
            }
        }
        let pending = &self.pending[..ready];
        for look_up in pending {
            if let Some(slot) = self.tunnels.table.prefetch_row(look_up.probe) {
                self.tunnels.usage.prefetch(slot);
            }
        }
        for look_up in pending {
            let (frame, record) = (&frames[look_up.record], &records[look_up.record]);
            let found = self.tunnels.table.find(&look_up.end, look_up.probe, record.time);
            match found {
                Found::Live(slot, row) => {
                    report.unresolved.attributed += 1;
                    count(&mut self.tunnels, frame, record, look_up, (slot, &row), report);
                }
                Found::Other | Found::Unknown => stray(frame, record, look_up, report),
            }
        }
    }
}

/// The QoS flow of a G-PDU.
#[inline]
fn qos_flow(record: &Record) -> QosFlows {
    QosFlows::of(record.flags.has(Flags::QFI).then_some(record.qfi))
}

/// Counts a packet of a known tunnel, and notes what is odd about it.
#[inline]
fn count(
    tunnels: &mut Access,
    frame: &Frame<'_>,
    record: &Record,
    look_up: &LookUp,
    (slot, row): (Slot, &Row),
    report: &mut Report,
) {
    let sender = Sender::of(record.source, look_up.from);
    let bytes = user_bytes(frame, record);
    let packet = Packet {
        packets: u64::from(record.kind == Kind::Gtpu),
        bytes,
        time: record.time,
        sender,
        flow: qos_flow(record),
    };
    let generation = row.flags.generation();
    let last_before = tunnels.usage.count(slot, generation, &packet);
    let (before, before_last) = last_before.unwrap_or_default();
    if before != sender
        || row.flags.has(RowFlags::CONTESTED)
        || row.flags.has(RowFlags::SHARED) && record.time.since(before_last) >= SILENCE
    {
        let seen =
            Seen { slot, generation, sender, from: look_up.from, bytes, before, before_last };
        note_sender(frame, record, &seen, report);
    }
    // What goes astray in a worse way is told of as that.
    if row.flags.any(RowFlags::CHECKED.or(RowFlags::NAMELESS))
        && record.flags.has(Flags::VERIFIED_GPDU)
        && !record.flags.any(INSIDE)
        && let Some((source, destination)) = record.inner_addresses(frame.bytes)
        && let source = if row.flags.has(RowFlags::DOWNLINK) { destination } else { source }
        && !row.is_ue(source)
    {
        let odd = OddSource {
            slot,
            generation,
            source,
            from: look_up.from,
            to: look_up.end.address,
            sum: sum(record, bytes),
            inner: Inner::of(record, frame.bytes),
        };
        report.unresolved.dropped += u64::from(!report.unresolved.odd_sources.add(odd));
    }
}

/// A packet on a tunnel.
struct Seen {
    slot: Slot,
    generation: u16,
    sender: Sender,
    from: Address,
    bytes: u64,
    /// Who sent the one before, and when.
    before: Sender,
    before_last: Nanos,
}

#[cold]
fn note_sender(frame: &Frame<'_>, record: &Record, seen: &Seen, report: &mut Report) {
    let change = Change {
        slot: seen.slot,
        generation: seen.generation,
        sender: seen.sender,
        from: seen.from,
        before: seen.before,
        before_last: seen.before_last,
        sum: sum(record, seen.bytes),
        inner: Inner::of(record, frame.bytes),
    };
    report.unresolved.dropped += u64::from(!report.unresolved.changes.add(change));
}

#[cold]
fn stray(frame: &Frame<'_>, record: &Record, look_up: &LookUp, report: &mut Report) {
    let source = (!record.flags.any(INSIDE))
        .then(|| record.inner_addresses(frame.bytes))
        .flatten()
        .map(|(source, _)| source);
    let bytes = user_bytes(frame, record);
    let mut sum = sum(record, bytes);
    sum.packets = u64::from(record.kind == Kind::Gtpu);
    let stray = Stray {
        end: look_up.end,
        from: look_up.from,
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
