//! Usage of sessions: what was seen on their tunnels, and whether the UP function
//! reports the same (TS 29.244 §5.2.2, IE 66).

use weir_wire::Address;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{UrrId, VolumeMeasurement, kind};

use super::Signalling;
use super::apply::is_access;
use super::datagram::N4Datagram;
use super::request::{groups, member};
use super::session::{Counts, Held, Session, SessionRef};
use crate::Nanos;
use crate::tunnels::usage::Counted;
use crate::tunnels::{Row, RowFlags};

/// Reports differ from what was seen by packets on their way and by what the tap
/// missed: a tenth, and 64 KiB.
const TOLERATED_SHARE: u64 = 10;
const TOLERATED_BYTES: u64 = 64 << 10;

impl Signalling {
    /// A Session Report Request (TS 29.244 §7.5.8).
    pub(super) fn report(
        &mut self,
        datagram: &N4Datagram<'_>,
        message: &Pfcp<'_>,
        session: Option<SessionRef>,
    ) {
        let Some(at) = session else { return };
        if let Some(session) = self.store.find_mut(at) {
            session.reports += 1;
        }
        self.usage_reports(at, message, datagram.time);
    }

    /// Compares the usage reports in a message with what was seen.
    pub(super) fn usage_reports(&mut self, at: SessionRef, message: &Pfcp<'_>, time: Nanos) {
        for wanted in
            [kind::USAGE_REPORT, kind::USAGE_REPORT_MODIFICATION, kind::USAGE_REPORT_DELETION]
        {
            for report in groups(message, wanted) {
                let urr = member(report, kind::URR_ID).and_then(|value| UrrId::parse(value).ok());
                let volume = member(report, kind::VOLUME_MEASUREMENT)
                    .and_then(|value| VolumeMeasurement::parse(value).ok());
                if let (Some(urr), Some(volume)) = (urr, volume) {
                    self.compare(at, urr.0, &volume, time);
                }
            }
        }
    }

    fn compare(&mut self, at: SessionRef, id: u32, volume: &VolumeMeasurement, time: Nanos) {
        let Some(session) = self.store.find(at) else { return };
        let [uplink, downlink] = self.usage_of(session);
        let seen = [uplink.bytes, downlink.bytes];
        // A rule that counts a part of the packets can't be compared with all of them.
        let counts_all = |access: bool| {
            let mut pdrs = self
                .store
                .pdrs
                .iter(session.pdrs)
                .filter(|pdr| is_access(pdr.source) == access)
                .peekable();
            pdrs.peek().is_some() && pdrs.all(|pdr| pdr.urrs.contains(&Some(id)))
        };
        let whole = [counts_all(true), counts_all(false)];
        let is_judged = self.is_complete && self.is_covered(session.up_node, time);
        let (urrs, reported) = (session.urrs, session.reported);
        let Some(urr) = self.store.urrs.find_mut(urrs, |urr| urr.id == id) else { return };
        let more = [seen[0].saturating_sub(urr.base[0]), seen[1].saturating_sub(urr.base[1])];
        urr.base = seen;
        let said = [volume.uplink, volume.downlink];
        let differs = |said: u64, seen: u64| {
            said.abs_diff(seen) > TOLERATED_BYTES.max(said.max(seen) / TOLERATED_SHARE)
        };
        let mut mismatch = false;
        let mut compared = false;
        for way in 0..2 {
            if let Some(said) = said[way].filter(|_| whole[way]) {
                compared = true;
                mismatch |= differs(said, more[way]);
            }
        }
        if let Some(total) = volume.total
            && said == [None, None]
            && whole == [true, true]
        {
            compared = true;
            mismatch |= differs(total, more[0] + more[1]);
        }
        let before = reported.unwrap_or_default();
        let now = (before.0 + said[0].unwrap_or(0), before.1 + said[1].unwrap_or(0));
        if let Some(session) = self.store.find_mut(at) {
            session.reported = Some(now);
            session.mismatch |= mismatch && is_judged;
        }
        if compared && is_judged {
            self.counters.usage_reports += 1;
            self.counters.usage_mismatches += u64::from(mismatch);
        }
    }

    /// What was seen of a session's packets: uplink, downlink.
    pub(super) fn usage_of(&self, session: &Session) -> [Counts; 2] {
        let mut sums = session.kept;
        for (way, sum) in sums.iter_mut().enumerate() {
            let of_way = |held: &&Held| usize::from(held.downlink) == way;
            let rows = || self.store.held.iter(session.tunnels).filter(of_way);
            // Where it has no end of its own to count at, the next one's counts.
            let primary = rows().any(Held::is_primary);
            for held in rows().filter(|held| held.is_primary() == primary) {
                sum.add(&self.counted(held));
                sum.add(&self.counted_for_next(held));
            }
        }
        sums
    }

    /// What was counted where a session sends to, on the row of the session that gave that
    /// end: of two UP functions in a row, one's target is the other's own.
    fn counted_for_next(&self, held: &Held) -> Counted {
        let mut sum = Counted::default();
        if held.local {
            return sum;
        }
        let of_next = |row: &Row| row.flags.has(RowFlags::LOCAL) && row.until == Nanos::MAX;
        if let Some((slot, row)) = self.tunnels.find_row(&held.end, of_next) {
            for usage in &self.usage {
                sum.join(&usage.of(slot, row.flags.generation()));
            }
        }
        sum
    }

    /// The last uplink packet's time.
    pub(super) fn last_uplink(&self, session: &Session) -> Nanos {
        let uplink = self.store.held.iter(session.tunnels).filter(|held| !held.downlink);
        uplink.map(|held| self.counted(held).last).fold(Nanos(0), Nanos::max)
    }

    /// Packets sent down to an address.
    pub(super) fn sent_to(&self, session: &Session, to: Address) -> u64 {
        let downlink = self.store.held.iter(session.tunnels);
        downlink
            .filter(|held| held.downlink && !held.local && held.end.address == to)
            .map(|held| self.counted(held).packets)
            .sum()
    }
}
