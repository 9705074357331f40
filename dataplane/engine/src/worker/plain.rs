//! G-PDUs that are not of the common shape, yet plain once they are decoded: behind more VLAN
//! tags, with options or extension headers, with a fragment of a user's packet or one of another
//! protocol. Between ends that are remembered they go on as the common ones do, in the same runs.
//!
//! What they show is the same as by the complete stages: a test and a fuzz target compare them.

use weir_wire::gtpu::G_PDU;

use super::common::tell;
use super::{Worker, users_packet};
use crate::Nanos;
use crate::attribute::CommonPacket;
use crate::finding::{INSIDE, is_suspicious};
use crate::frame::Frame;
use crate::gather::Shown;
use crate::pairs::PairKey;
use crate::record::{Flags, Record};
use crate::rules::Rules;
use crate::track::has_any_source_port;

/// What a plain G-PDU is not.
const OTHER: Flags = Flags::OUTER_V6.or(INSIDE);

impl Worker {
    /// Takes a frame through the stages by its record, which has that number among the others; no
    /// if it needs the complete ones.
    #[inline(never)]
    pub(super) fn pass_decoded(
        &mut self,
        number: usize,
        frame: &Frame<'_>,
        rules: &Rules,
    ) -> bool {
        let record = &mut self.records[number];
        // The record of a wrapped frame can't be recalled.
        if !is_plain(record) || self.setup.wrapper(frame.meta.tap).is_some() {
            return false;
        }
        let Some(key) = PairKey::of(record, frame) else { return false };
        let Some((place, pair)) = self.pairs.find_of_users(&key) else { return false };
        if rules.closes_infrastructure(|| record.inner_destination(frame.bytes)) {
            return false;
        }
        let Some(packet) = CommonPacket::of(record, frame, pair.sender) else { return false };
        let Some(shown) = Shown::of_record(record, frame) else { return false };
        (record.source, record.destination) = (pair.source, pair.destination);
        record.link = pair.link;
        let record = *record;
        let is_like = pair.shown == shown || !pair.is_sighted;
        if pair.run.begin < packet.time && is_like {
            pair.run.last = pair.run.last.max(packet.time);
            pair.run.packets += 1;
            pair.run.bytes += u64::from(record.wire_len);
        } else if pair.run.begin == Nanos::MAX {
            self.begin_run_of(place, frame, &record, shown, rules);
        } else {
            // Were the run to end, frames that take turns with others would end one each.
            let Self { setup, ledger, report, .. } = self;
            tell(pair, frame, &record, setup, ledger, report, rules);
        }
        if is_suspicious(&record) {
            let Self { report, .. } = self;
            report.dropped += report.findings.examine(frame, &record, key.ends(), rules);
        }
        self.attributor.ask(usize::from(self.others[number]), packet);
        if let Some((packet, transport)) = users_packet(frame, &record) {
            self.tally.sample(self.sampler.chooses(packet, transport));
        }
        true
    }
}

/// Whether a record is of a plain G-PDU in which nothing is where it must not be.
#[inline]
fn is_plain(record: &Record) -> bool {
    has_any_source_port(record)
        && record.message == G_PDU
        && record.error().is_none()
        && record.tunnel.is_none()
        && !record.flags.any(OTHER)
}
