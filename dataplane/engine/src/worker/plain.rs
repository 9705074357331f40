//! G-PDUs that are not of the common shape, yet plain once they are decoded: behind more VLAN
//! tags, with options or extension headers, with a fragment of a user's packet or one of another
//! protocol, or the first fragment of their own packet. Between ends that are remembered they go
//! on as the common ones do, in runs like theirs.
//!
//! What they show is the same as by the complete stages: a test and a fuzz target compare them.

use weir_wire::gtpu::G_PDU;

use super::Worker;
use super::common::tell;
use crate::Nanos;
use crate::attribute::CommonPacket;
use crate::finding::{INSIDE, is_suspicious};
use crate::frame::Frame;
use crate::gather::Shown;
use crate::pairs::{OF_FRAGMENTS, PairKey};
use crate::proof::UsersPacket;
use crate::record::{Flags, Kind, Record};
use crate::rules::Rules;
use crate::track::has_any_source_port;

/// What a plain G-PDU is not.
const OTHER: Flags =
    Flags::OUTER_V6.or(Flags::LATER_FRAGMENT).or(Flags::ATTRIBUTED).or(Flags::WRAPPED).or(INSIDE);

impl Worker {
    /// Takes a frame through the stages by its record, which has that number among the others; no
    /// if it needs the complete ones.
    #[inline(never)]
    pub(super) fn pass_decoded(&mut self, number: usize, frame: &Frame<'_>, rules: &Rules) -> bool {
        let Self { setup, records, pairs, fragment_pairs, ledger, report, .. } = self;
        let record = &mut records[number];
        // The record of a wrapped frame can't be recalled.
        if !is_plain(record) || setup.wrapper(frame.meta.tap).is_some() {
            return false;
        }
        let (key, found, table) = if record.flags.has(Flags::FIRST_FRAGMENT) {
            let Some(key) = PairKey::of_fragment(record, frame) else { return false };
            (key, fragment_pairs.find(&key), OF_FRAGMENTS)
        } else {
            let Some(key) = PairKey::of(record, frame) else { return false };
            (key, pairs.find_of_users(&key), 0)
        };
        let Some((place, pair)) = found else { return false };
        if rules.closes_infrastructure(|| record.inner_destination(frame.bytes)) {
            return false;
        }
        let Some(packet) = CommonPacket::of(record, frame, pair.sender) else { return false };
        let Some(shown) = Shown::of_record(record, frame) else { return false };
        (record.source, record.destination) = (pair.source, pair.destination);
        record.link = pair.link;
        let is_like = pair.shown == shown || !pair.is_sighted;
        if pair.run.begin < packet.time && is_like {
            pair.run.last = pair.run.last.max(packet.time);
            pair.run.packets += 1;
            pair.run.bytes += u64::from(record.wire_len);
        } else if pair.run.begin == Nanos::MAX {
            let record = *record;
            self.begin_run_of(place | table, frame, &record, shown, rules);
        } else {
            // Were the run to end, frames that take turns with others would end one each.
            tell(pair, frame, record, setup, ledger, report, rules);
        }
        let Self { records, others, attributor, tally, sampler, digester, report, .. } = self;
        let record = &records[number];
        if is_suspicious(record) {
            report.examine(frame, record, key.ends(), rules);
        }
        attributor.ask(usize::from(others[number]), packet);
        tally.error(record);
        if let Some(packet) = UsersPacket::of(frame, record)
            && sampler.chooses(packet.bytes, packet.transport)
        {
            tally.sampled();
            report.samples.add(frame, record, &packet, digester);
        }
        true
    }
}

/// Whether a record is of a G-PDU to a port of GTP-U's in which nothing is where it must not be.
#[inline]
fn is_plain(record: &Record) -> bool {
    let is_first = record.flags.has(Flags::VERIFIED_GPDU.or(Flags::FIRST_FRAGMENT));
    record.kind == Kind::Gtpu
        && record.message == G_PDU
        && (has_any_source_port(record) || is_first)
        && record.tunnel.is_none()
        && !record.flags.any(OTHER)
}
