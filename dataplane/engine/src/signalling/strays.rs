//! G-PDUs that workers found in no row. They wait until N4 has passed their time by
//! the grace; what then belongs to no session is an orphan, if N4 of its UPF is seen.

use std::collections::BTreeMap;

use weir_wire::Address;

use super::MEMORY;
use super::Signalling;
use super::accusation::{Accusation, ip};
use super::request::blank;
use super::session::Flagged;
use crate::Nanos;
use crate::contract::session::{SessionState, Signalled};
use crate::contract::verdict::{Direction, Fact, Initiator, Severity, Tuple};
use crate::contract::words::Attribution;
use crate::decode::protocol;
use crate::detect::gtp_orphan::{Orphans, Pair};
use crate::detect::gtp_teidscan::{Scans, Tried};
use crate::detect::{GTP_ORPHAN, GTP_TEIDSCAN};
use crate::rules::{Link, Party, Roles, Settings};
use crate::track::Inner;
use crate::tunnels::unresolved::{Complaint, Kind, OddSource, Stray, Sum};
use crate::tunnels::{FTeid, Row, RowFlags};

/// Sessions that a tap may have missed of one UPF, so that their tunnels are only noted: of more
/// there is more to be said.
const MISSED: f64 = 16.0;

/// Tunnels that wait at a time.
const PARKED: usize = 1 << 16;

/// What waits for N4.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    /// By when it is due, then by tunnel and sender.
    parked: BTreeMap<(Nanos, FTeid, Address, Address), Stray>,
    complaints: BTreeMap<(Nanos, FTeid, Address), Complaint>,
    orphans: Orphans,
    scans: Scans,
    evictions: u64,
}

impl Strays {
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions + self.orphans.evictions() + self.scans.evictions()
    }

    /// Another inventory numbers otherwise.
    pub(crate) fn forget_equipment(&mut self) {
        self.orphans.forget();
        self.scans.forget();
    }
}

impl Signalling {
    /// Takes what a slice's G-PDUs left open.
    pub(super) fn resolve(
        &mut self,
        strays: Vec<Stray>,
        complaints: Vec<Complaint>,
        attributed: u64,
    ) {
        self.counters.attribution[Attribution::Session as usize] += attributed;
        for stray in strays {
            // N4 may have caught up meanwhile.
            if self.attribute(&stray, Nanos(0)) {
                continue;
            }
            let due = stray.sum.last.plus(self.settings.orphan_grace);
            if self.strays.parked.len() >= PARKED {
                self.strays.evictions += 1;
                continue;
            }
            self.strays
                .parked
                .entry((due, stray.end, stray.from, stray.source))
                .and_modify(|known| known.join(&stray))
                .or_insert(stray);
        }
        for complaint in complaints {
            let due = complaint.sum.last.plus(self.settings.orphan_grace);
            if self.strays.complaints.len() < PARKED {
                self.strays
                    .complaints
                    .entry((due, complaint.end, complaint.told))
                    .and_modify(|known| known.join(&complaint))
                    .or_insert(complaint);
            } else {
                self.strays.evictions += 1;
            }
        }
    }

    /// Judges what is due, once signalling has passed `now`.
    pub(super) fn settle_strays(&mut self, now: Nanos) {
        let later = self.strays.parked.split_off(&(
            now.plus(Nanos(1)),
            FTeid::default(),
            Address(0),
            Address(0),
        ));
        let due = std::mem::replace(&mut self.strays.parked, later);
        for stray in due.into_values() {
            if self.attribute(&stray, self.settings.orphan_grace) {
                continue;
            }
            let user = self.user_of(&stray);
            let is_somebodys = self.doubts.has_end(&stray.end, now);
            if self.asked.is_asked(&stray.end, user, now) && !is_somebodys {
                // Its answer may still come, or be missed; then the order is taken to hold.
                let due = now.plus(self.settings.orphan_grace).plus(Nanos::SECOND);
                self.strays
                    .parked
                    .entry((due, stray.end, stray.from, stray.source))
                    .and_modify(|known| known.join(&stray))
                    .or_insert(stray);
                continue;
            }
            self.counters.attribution[Attribution::Unknown as usize] += stray.sum.packets;
            self.orphan(&stray, user, now);
        }
        let later =
            self.strays.complaints.split_off(&(now.plus(Nanos(1)), FTeid::default(), Address(0)));
        let due = std::mem::replace(&mut self.strays.complaints, later);
        for complaint in due.into_values() {
            self.complained(&complaint);
        }
        for (ends, pair) in self.strays.orphans.due(now) {
            self.accuse_orphans(ends, pair, now);
        }
    }

    /// Attributes G-PDUs to the session whose tunnel it was, if one was; N4 may come
    /// later than they by `grace`.
    fn attribute(&mut self, stray: &Stray, grace: Nanos) -> bool {
        let Sum { first, last, packets, bytes, .. } = stray.sum;
        let begun = last.plus(grace);
        // An ended tunnel has a tail: End Markers, and packets on their way.
        let fits = |row: &Row| row.since <= begun && first < row.until.plus(MEMORY);
        let rows = self.tunnels.rows_of(&stray.end);
        let best = rows.iter().filter(|(_, row)| fits(row)).max_by_key(|(_, row)| {
            let holds = row.holds_at(first) || row.holds_at(last);
            (holds, row.flags.has(RowFlags::LOCAL), row.since)
        });
        let Some((slot, row)) = best.copied() else { return false };
        let kind = if row.until == Nanos::MAX { Attribution::Late } else { Attribution::Ended };
        self.counters.attribution[kind as usize] += packets;
        let downlink = row.flags.has(RowFlags::DOWNLINK);
        if let Some(at) = self.store.at(row.session)
            && let Some(session) = self.store.find_mut(at)
        {
            let kept = &mut session.kept[usize::from(downlink)];
            kept.packets += packets;
            kept.bytes += bytes;
            kept.flows.join(stray.flows);
        }
        // What a worker checks of a packet whose tunnel it knows is checked here.
        if row.flags.any(RowFlags::CHECKED.or(RowFlags::NAMELESS))
            && !row.flags.has(RowFlags::DOWNLINK)
            && stray.source != Address::default()
            && !row.is_ue(stray.source)
            && let Some(at) = self.store.at(row.session)
        {
            let odd = OddSource {
                slot,
                generation: row.flags.generation(),
                source: stray.source,
                from: stray.from,
                to: stray.end.address,
                sum: stray.sum,
                inner: stray.inner,
            };
            self.spoofed(at, &odd);
        }
        true
    }

    /// The user of a stray: of an uplink to a UP function it sends.
    fn user_of(&self, stray: &Stray) -> Option<Address> {
        let inner = stray.inner?.tuple;
        let is_up = self.up_node_of(stray.end.address).is_some();
        Some(Address::from(if is_up { inner.source } else { inner.destination }))
    }

    /// Whether the tunnel may be one of a session of which the tap missed a half.
    fn is_half_known(&mut self, stray: &Stray, user: Address, now: Nanos) -> bool {
        if self.doubts.excuse(user, stray.end, now) {
            return true;
        }
        let (to, from) = (stray.end.address, stray.from);
        let (node, far) = match (self.up_node_of(to), self.up_node_of(from)) {
            (Some(node), _) => (node, from),
            (None, Some(node)) => (node, to),
            (None, None) => return false,
        };
        // Nobody is named by what is sent to all: a gNB has a user's share of such tunnels.
        if user.is_local_scope() {
            if self.nodes.node(node).is_some_and(|node| node.coverage.has_halves()) {
                self.doubts.add(far, now);
            }
            return self.doubts.excuse(far, stray.end, now);
        }
        let is_its = match self.session_of_user(user, node) {
            _ if self.doubts.has_end(&stray.end, now) => true,
            None => self.is_of_pool(user) && self.is_awaited(node, far, stray.sum.last),
            Some(state) => state == SessionState::Partial,
        };
        if is_its && !self.doubts.has(user, now) {
            self.doubts.add(user, now);
        }
        is_its && self.doubts.excuse(user, stray.end, now)
    }

    fn is_of_pool(&self, user: Address) -> bool {
        self.rules.as_deref().is_none_or(|rules| rules.is_in_any_pool(user))
    }

    /// The state of the session that a user has, as far as it lives for all that was seen; one
    /// that a UP node has before others.
    fn session_of_user(&self, user: Address, node: u32) -> Option<SessionState> {
        let rows = self.users.rows_of(&FTeid::of_user(user));
        let live = rows.iter().filter(|(_, row)| row.until == Nanos::MAX);
        let sessions = live.filter_map(|(_, row)| self.store.find(self.store.at(row.session)?));
        let firm = sessions.filter(|session| {
            session.state != SessionState::Stale
                && !session.was_flagged_for.has(Flagged::MAY_HAVE_ENDED)
        });
        let first = firm.min_by_key(|session| (session.up_node != node, session.cp_seid));
        first.map(|session| session.state)
    }

    /// Whether a session of a UP node waits for a user who sends and receives by this far end:
    /// then it has one.
    fn is_awaited(&mut self, node: u32, far: Address, last: Nanos) -> bool {
        let begun = last.plus(self.settings.orphan_grace);
        let store = &self.store;
        self.doubts.name(node, |at| {
            let session = store.find(at)?;
            let is_partial = session.state == SessionState::Partial;
            let waits = session.is_live() && (is_partial || session.uncertain != Nanos(0));
            let mut held = store.held.iter(session.tunnels);
            // Where the uplink is known, that tells the user.
            let will_tell = is_partial && held.any(|held| held.local);
            if !waits || will_tell || session.addresses().next().is_some() {
                return None;
            }
            let mut ends = store.held.iter(session.tunnels).map(|held| held.end.address).peekable();
            let leads_there = ends.peek().is_none() || ends.any(|end| end == far);
            Some(leads_there && session.established <= begun)
        })
    }

    /// The UP node whose N4 tells of this end, if one of the two is one.
    pub(super) fn up_node_of(&self, address: Address) -> Option<u32> {
        if let Some(node) = self.places.get(&address).and_then(|place| place.up_node) {
            return Some(node);
        }
        let rules = self.rules.as_deref()?;
        let id = rules.holder(address)?;
        let is_upf = rules.equipment(id).is_some_and(|entry| entry.roles.any(Roles::UPF));
        if !is_upf {
            return None;
        }
        self.up_nodes.get(&id).copied().or_else(|| self.nodes.at(address))
    }

    /// Whether a UP node's N4 is seen well enough to judge by.
    pub(super) fn is_covered(&self, node: u32, now: Nanos) -> bool {
        self.coverage_of(node, now).is_some_and(|share| share >= self.settings.blind_coverage)
    }

    /// Whether the tap misses some of a UP node's N4.
    pub(super) fn is_lossy(&self, node: u32) -> bool {
        self.nodes.node(node).is_some_and(|node| node.coverage.is_lossy())
    }

    fn coverage_of(&self, node: u32, now: Nanos) -> Option<f64> {
        self.nodes.node(node)?.coverage.share(now)
    }

    /// The node that judges a stray, and the share of its N4 that is seen; none if its
    /// pair is none that sessions speak of, or it is still to be learned.
    fn judge_of(
        &self,
        end: Address,
        from: Address,
        first: Nanos,
        last: Nanos,
        start_grace: Nanos,
    ) -> Option<f64> {
        let rules = self.rules.as_deref().filter(|rules| rules.installed() > 0)?;
        let node = self.up_node_of(end).or_else(|| self.up_node_of(from))?;
        let share = self.coverage_of(node, last).or_else(|| self.coverage_of(node, self.now))?;
        if share < self.settings.blind_coverage {
            return None;
        }
        let learning = self.nodes.node(node)?.learning_since.max(self.started.unwrap_or_default());
        if first < learning.plus(start_grace) {
            return None;
        }
        // What nobody declared as a pair is GTP-PEER's; equipment that is listed as ends of
        // the user plane is judged here whatever its rules.
        let party = |address| (Party::unpack(rules.party(address)), address);
        let port = Some(weir_wire::gtpu::PORT);
        let allows = |a, b| rules.allows(party(a), party(b), protocol::UDP, port, last);
        let serves_users = |address| {
            let entry = rules.holder(address).and_then(|id| rules.equipment(id));
            entry.is_some_and(|entry| entry.roles.any(Roles(Roles::RADIO.0 | Roles::UPF.0)))
        };
        let is_pair =
            allows(from, end) || allows(end, from) || serves_users(from) && serves_users(end);
        is_pair.then_some(share)
    }

    fn orphan(&mut self, stray: &Stray, user: Option<Address>, now: Nanos) {
        let Sum { first, last, .. } = stray.sum;
        let (from, to) = (stray.from, stray.end.address);
        let Settings { scan_start_grace, orphan_start_grace, .. } = self.settings;
        let of_scan = self.judge_of(to, from, first, last, scan_start_grace);
        let of_orphan = self.judge_of(to, from, first, last, orphan_start_grace);
        let is_judged = of_scan.or(of_orphan).is_some();
        if !is_judged || user.is_some_and(|user| self.is_half_known(stray, user, now)) {
            return;
        }
        if let Some(share) = of_scan {
            let tried = Tried {
                from,
                to,
                teid: stray.end.teid,
                sum: stray.sum,
                inner: stray.inner,
                is_complaint: false,
            };
            if let Some(scan) = self.strays.scans.tried(&tried, &self.settings) {
                let fact = Fact::TeidScan { tunnels: scan.tunnels };
                self.accuse_scan(&tried, &scan.sum, &scan.teids, fact, share, scan.inner);
            }
        }
        if let Some(share) = of_orphan {
            self.strays.orphans.add(stray, share, now, &self.settings);
        }
    }

    fn accuse_orphans(&mut self, (from, to): (Address, Address), pair: Pair, now: Nanos) {
        // A scan tells of them already.
        if self.strays.scans.is_scanning(from, now, &self.settings) {
            return;
        }
        // As many as the tap is likely to have missed are no evidence: of each session two tunnels.
        let (up, node) = match (self.up_node_of(to), self.up_node_of(from)) {
            (Some(node), _) => (to, Some(node)),
            (None, node) => (from, node),
        };
        let node = node.and_then(|node| self.nodes.node(node));
        let unseen = node.map_or(0, |node| node.coverage.unseen().round().min(MISSED) as usize);
        let is_expected = self.strays.orphans.tunnels_at(up, now) <= 2 * unseen
            && pair.tunnels as usize <= unseen;
        let mut accusation = self.user_plane(
            GTP_ORPHAN,
            if is_expected { Severity::Info } else { Severity::High },
            Fact::Orphans { tunnels: pair.tunnels },
            (from, to),
            &pair.sum,
            pair.inner,
        );
        accusation.degraded = is_expected;
        let (known, unknown) = (self.tunnels.len(), self.strays.orphans.tunnels());
        accusation.n4 = Signalled {
            coverage: Some(pair.coverage as f32),
            teids: pair.teids,
            // Where most tunnels are unknown, it may be Weir that does not know them.
            doubt: 0.5 * (unknown as f32) / ((known + unknown).max(1) as f32),
            ..Signalled::default()
        };
        self.accusations.add(accusation);
    }

    fn complained(&mut self, complaint: &Complaint) {
        let Sum { first, last, .. } = complaint.sum;
        let fits = |row: &Row| row.since <= last && first < row.until.plus(MEMORY);
        if self.tunnels.find_row(&complaint.end, fits).is_some() {
            return;
        }
        let (told, end) = (complaint.told, complaint.end);
        let start_grace = self.settings.scan_start_grace;
        let Some(share) = self.judge_of(end.address, told, first, last, start_grace) else {
            return;
        };
        let tried = Tried {
            from: told,
            to: end.address,
            teid: end.teid,
            sum: complaint.sum,
            inner: None,
            is_complaint: true,
        };
        if let Some(scan) = self.strays.scans.tried(&tried, &self.settings) {
            let fact = Fact::ErrorIndications { indications: scan.sum.packets as u32 };
            self.accuse_scan(&tried, &scan.sum, &scan.teids, fact, share, scan.inner);
        }
    }

    fn accuse_scan(
        &mut self,
        tried: &Tried,
        sum: &Sum,
        teids: &[u32],
        fact: Fact,
        share: f64,
        inner: Option<Inner>,
    ) {
        let ends = (tried.from, tried.to);
        let mut accusation = self.user_plane(GTP_TEIDSCAN, Severity::High, fact, ends, sum, inner);
        accusation.n4 = Signalled {
            coverage: Some(share as f32),
            teids: teids.to_vec(),
            ..Signalled::default()
        };
        self.accusations.add(accusation);
    }

    /// A finding about G-PDUs from one address to another.
    pub(super) fn user_plane(
        &self,
        detection: u16,
        severity: Severity,
        fact: Fact,
        (from, to): (Address, Address),
        sum: &Sum,
        inner: Option<Inner>,
    ) -> Accusation {
        let rules = self.rules.as_deref();
        let holder = |address| rules.and_then(|rules| rules.holder(address));
        let sender = holder(from);
        let (equipment, peer) = match sender {
            Some(id) => (Some(id), to),
            None => (holder(to), from),
        };
        let link = if sum.link == Link::Mixed { Link::N3 } else { sum.link };
        Accusation {
            equipment,
            peer: Some(peer),
            initiator: if sender.is_some() { Initiator::Equipment } else { Initiator::Peer },
            tap: sum.tap.0,
            link,
            direction: self.direction(from, to),
            outer: Some(Tuple {
                source: ip(from),
                destination: ip(to),
                source_port: weir_wire::gtpu::PORT,
                destination_port: weir_wire::gtpu::PORT,
                protocol: protocol::UDP,
            }),
            inner,
            packets: sum.packets,
            bytes: sum.wire_bytes,
            first: sum.first,
            last: sum.last,
            ..blank(detection, severity, fact)
        }
    }

    fn direction(&self, from: Address, to: Address) -> Option<Direction> {
        let rules = self.rules.as_deref()?;
        let is_radio = |address| {
            let entry = rules.holder(address).and_then(|id| rules.equipment(id));
            entry.is_some_and(|entry| entry.roles.any(Roles::RADIO))
        };
        match (is_radio(from), is_radio(to)) {
            (true, false) => Some(Direction::Ul),
            (false, true) => Some(Direction::Dl),
            _ => None,
        }
    }
}
