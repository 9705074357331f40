//! The common path of a worker: a G-PDU as nearly all are, between ends that are remembered.
//! What the complete stages would find out about it is known but for its tunnel, so it is
//! counted beside those like it, and only its tunnel is looked up.
//!
//! Whatever the worker reports is the same as by the complete stages: a test and a fuzz target
//! compare them.

use super::{Setup, Worker};
use crate::attribute::CommonPacket;
use crate::classify::classify;
use crate::decode::{Common, decode};
use crate::exhibits::Cause;
use crate::frame::Frame;
use crate::gather::{Shown, sight};
use crate::pairs::{OF_FRAGMENTS, Pair, PairKey, Run};
use crate::proof::UsersPacket;
use crate::record::{Record, addresses};
use crate::report::Report;
use crate::rules::{Party, Rules};
use crate::track::{Ledger, is_between_equipment};
use crate::tunnels::QosFlows;

impl Worker {
    /// Takes a G-PDU of the common shape, the burst's frame of that number; no if it needs the
    /// complete stages: its ends are not remembered, or it goes where none should.
    #[inline(always)]
    pub(super) fn pass(
        &mut self,
        number: usize,
        frame: &Frame<'_>,
        common: &Common,
        rules: &Rules,
    ) -> bool {
        let key = PairKey::of_common(common, frame.meta.tap);
        let Some((place, pair)) = self.pairs.find_of_users(&key) else { return false };
        if goes_to_infrastructure(common, frame, rules) {
            return false;
        }
        let packet = CommonPacket {
            time: frame.meta.time,
            teid: common.teid,
            ends: common.addresses,
            sender: pair.sender,
            flow: QosFlows::of(common.qfi),
            users: common.user.ends,
            inner: common.inner,
            bytes: common.user_bytes,
        };
        let is_like = pair.shown == Shown::of(common) || !pair.is_sighted;
        if pair.run.begin < packet.time && is_like {
            pair.run.last = pair.run.last.max(packet.time);
            pair.run.packets += 1;
            pair.run.bytes += u64::from(frame.meta.wire_len);
        } else {
            self.begin_run(place, frame, common, rules);
        }
        self.attributor.ask(number, packet);
        let transport = common.inner_transport(frame);
        let (shape, kind) = (common.user.shape, common.user.protocol);
        if self.sampler.chooses_by(shape, kind, transport) {
            self.choose(frame, rules);
        }
        true
    }

    /// Notes a packet that is chosen for proof.
    #[cold]
    #[inline(never)]
    fn choose(&mut self, frame: &Frame<'_>, rules: &Rules) {
        self.tally.sampled();
        let record = recall(frame, &self.setup, Some(rules));
        if let Some(packet) = UsersPacket::of(frame, &record) {
            self.report.samples.add(frame, &record, &packet, &self.digester);
        }
    }

    /// Tells of a packet alone, and lets later ones that are like it follow in a run.
    #[inline(never)]
    fn begin_run(&mut self, place: u16, frame: &Frame<'_>, common: &Common, rules: &Rules) {
        let record = recall(frame, &self.setup, Some(rules));
        self.begin_run_of(place, frame, &record, Shown::of(common), rules);
    }

    /// The same of a packet that has a record, and its pair in one of both tables.
    #[inline(never)]
    pub(super) fn begin_run_of(
        &mut self,
        place: u16,
        frame: &Frame<'_>,
        record: &Record,
        shown: Shown,
        rules: &Rules,
    ) {
        let Self { setup, pairs, fragment_pairs, ledger, report, .. } = self;
        let is_of_fragments = place & OF_FRAGMENTS != 0;
        let pairs = if is_of_fragments { fragment_pairs } else { pairs };
        let place = place & !OF_FRAGMENTS;
        let Some(pair) = pairs.at(place) else { return };
        end_run(pair, ledger, report, rules);
        tell(pair, frame, record, setup, ledger, report, rules);
        if pair.is_tracked && !is_between_equipment(pair.source, pair.destination) {
            report.exhibits.keep(frame, record, Cause::Pair, pair.key.ends());
        }
        pair.shown = shown;
        pair.run = Run { begin: record.time, ..Run::NONE };
        pairs.note_run(place);
    }

    /// Tells of all packets in runs: a slice ends, or what is known of pairs.
    pub(super) fn end_runs(&mut self) {
        let Self { pairs, fragment_pairs, ledger, report, rules, .. } = self;
        if let Some(rules) = rules {
            for pairs in [pairs, fragment_pairs] {
                pairs.end_runs(|pair| end_run(pair, ledger, report, rules));
            }
        }
    }
}

/// Whether a user's packet may not go where it goes.
#[inline]
fn goes_to_infrastructure(common: &Common, frame: &Frame<'_>, rules: &Rules) -> bool {
    let ends = &common.user.ends;
    if ends.is_v6 {
        rules.closes_infrastructure(|| Some(addresses(frame.bytes, common.inner, true)?.1))
    } else {
        rules.closes_infrastructure_v4(ends.destination as u32)
    }
}

/// Tells of one packet of a pair.
pub(super) fn tell(
    pair: &mut Pair,
    frame: &Frame<'_>,
    record: &Record,
    setup: &Setup,
    ledger: &mut Ledger,
    report: &mut Report,
    rules: &Rules,
) {
    if pair.is_sighted {
        sight(report, frame, record, pair.to_local_scope, rules);
    }
    if pair.is_tracked {
        ledger.add(record, setup.link(record.tap), frame.bytes, &mut pair.flow);
    }
    if let Some(uplink) = pair.uplink {
        report.direction(record.tap, uplink, 1);
    }
}

/// Tells of the packets of a pair's run after its first, and ends it.
pub(super) fn end_run(pair: &mut Pair, ledger: &mut Ledger, report: &mut Report, rules: &Rules) {
    let Run { packets, bytes, last, .. } = std::mem::replace(&mut pair.run, Run::NONE);
    if packets == 0 {
        return;
    }
    if pair.is_sighted
        && !pair.to_local_scope
        && let Some(id) = Party::unpack(pair.source).equipment()
        && let Some(equipment) = rules.equipment(id)
    {
        report.sight_more(id, pair.shown.oddity(equipment), packets, bytes);
    }
    if pair.is_tracked {
        ledger.add_more(&pair.flow, packets, bytes, last);
    }
    if let Some(uplink) = pair.uplink {
        report.direction(pair.key.tap(), uplink, packets);
    }
}

/// The classified record of a G-PDU of the common shape, which is seldom wanted.
#[cold]
pub(super) fn recall(frame: &Frame<'_>, setup: &Setup, rules: Option<&Rules>) -> Record {
    let mut record = decode(frame, None, &setup.ports, &mut ());
    let ends = record.outer_addresses(frame.bytes);
    if let Some(rules) = rules {
        let given = setup.link(frame.meta.tap);
        classify(&mut record, frame.bytes, ends, given, rules);
    }
    record
}
