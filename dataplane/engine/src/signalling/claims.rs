//! What only one may have: UE addresses, F-TEIDs, Node IDs; and how many sessions
//! are copied where.

use std::collections::{BTreeSet, HashMap, VecDeque};

use weir_wire::Address;

use super::Signalling;
use super::accusation::{Accusation, ip};
use super::names::NameId;
use super::request::blank;
use super::session::{Flagged, SessionRef};
use super::transactions::TransactionKey;
use crate::Nanos;
use crate::contract::session::{SessionState, Signalled};
use crate::contract::verdict::{Fact, Initiator, Severity, Tuple};
use crate::decode::protocol;
use crate::detect::PFCP_REDIR;
use crate::rules::EquipmentId;

/// Claims that wait for what the older session does.
const DISPUTES: usize = 4096;
/// How long they wait.
const PATIENCE: Nanos = Nanos::from_secs(10);
/// Targets of copies that are counted.
const TARGETS: usize = 4096;
/// Sessions that are counted per target.
const COPIES: usize = 1 << 16;

/// Two sessions claim one thing.
#[derive(Clone, Copy, Debug)]
struct Dispute {
    at: Nanos,
    older: SessionRef,
    newer: SessionRef,
    is_address: bool,
    same_subscriber: bool,
    key: TransactionKey,
}

/// Downlinks that were moved: does anything come up from where they went?
#[derive(Clone, Copy, Debug)]
struct Move {
    due: Nanos,
    at: Nanos,
    session: SessionRef,
    to: Address,
    key: TransactionKey,
}

/// What is claimed, and disputed.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    disputes: VecDeque<Dispute>,
    moves: VecDeque<Move>,
    node_names: HashMap<NameId, EquipmentId>,
    copies: HashMap<(Address, Option<Address>), BTreeSet<SessionRef>>,
    /// Where copies go or went: nobody else may be told.
    targets: BTreeSet<Address>,
}

impl Claims {
    /// The equipment that first used a Node ID.
    pub(crate) fn node_name(&mut self, name: NameId, by: EquipmentId) -> Option<EquipmentId> {
        Some(*self.node_names.entry(name).or_insert(by))
    }

    /// Another inventory numbers otherwise.
    pub(crate) fn forget_names(&mut self) {
        self.node_names.clear();
    }

    /// How many sessions of a UP function are copied to a target, with this one.
    pub(crate) fn copies(
        &self,
        at: Option<SessionRef>,
        up: Address,
        target: Option<Address>,
    ) -> u32 {
        let known = self.copies.get(&(up, target));
        let more = at.is_none_or(|at| !known.is_some_and(|known| known.contains(&at)));
        known.map_or(0, BTreeSet::len) as u32 + u32::from(more)
    }

    /// Notes that a session is copied to a target.
    pub(crate) fn copy(&mut self, at: SessionRef, up: Address, target: Option<Address>) {
        if self.copies.len() < TARGETS || self.copies.contains_key(&(up, target)) {
            let sessions = self.copies.entry((up, target)).or_default();
            if sessions.len() < COPIES {
                sessions.insert(at);
            }
        }
        if let Some(target) = target
            && self.targets.len() < TARGETS
        {
            self.targets.insert(target);
        }
    }

    /// Whether copies go to an address: then only PFCP-DUPL may speak of it.
    pub(crate) fn is_target(&self, address: Address) -> bool {
        self.targets.contains(&address)
    }

    /// How many sessions of a UP function are copied to a target, if this is one of them.
    pub(crate) fn copied(&self, at: SessionRef, up: Address, target: Address) -> u32 {
        let sessions = self.copies.get(&(up, Some(target)));
        sessions.filter(|sessions| sessions.contains(&at)).map_or(0, BTreeSet::len) as u32
    }

    /// A session is copied nowhere any more.
    pub(crate) fn end_copies(&mut self, at: SessionRef) {
        self.copies.retain(|_, sessions| {
            sessions.remove(&at);
            !sessions.is_empty()
        });
    }
}

impl Signalling {
    /// A second session claims what an older one has.
    pub(super) fn dispute(
        &mut self,
        key: &TransactionKey,
        (older, newer): (SessionRef, SessionRef),
        is_address: bool,
        at: Nanos,
    ) {
        let both = (self.store.find(older), self.store.find(newer));
        let (Some(old), Some(new)) = both else { return };
        let same_subscriber = old.who.supi != 0 && old.who.supi == new.who.supi;
        // Its end may have been missed.
        let gap = self.nodes.node(old.up_node).map_or(Nanos(0), |node| node.silent_until);
        if old.signalled < gap {
            return;
        }
        if old.state != SessionState::Active || same_subscriber && !is_address {
            return;
        }
        if self.claims.disputes.len() < DISPUTES {
            let key = *key;
            let dispute = Dispute { at, older, newer, is_address, same_subscriber, key };
            self.claims.disputes.push_back(dispute);
        }
    }

    /// Judges the disputes by what the older sessions did since.
    pub(super) fn settle_disputes(&mut self, now: Nanos) {
        let mut waiting = VecDeque::new();
        for dispute in std::mem::take(&mut self.claims.disputes) {
            let Some(older) = self.store.find(dispute.older) else { continue };
            if older.state == SessionState::Deleted && older.doubted == Nanos(0) {
                continue;
            }
            let alive = self.last_uplink(older) > dispute.at;
            if !alive && now.since(dispute.at) < PATIENCE {
                waiting.push_back(dispute);
                continue;
            }
            let may_have_ended = older.was_flagged_for.has(Flagged::MAY_HAVE_ENDED);
            if !alive && (dispute.same_subscriber || may_have_ended) {
                // Nobody saw how it ended, and it has.
                if let Some(older) = self.store.find_mut(dispute.older) {
                    older.was_flagged_for.set(Flagged::MAY_HAVE_ENDED);
                }
                continue;
            }
            if dispute.same_subscriber {
                continue;
            }
            let degraded = !self.is_covered(older.up_node, now);
            if !alive && (degraded || self.is_lossy(older.up_node)) {
                continue;
            }
            let fact = if dispute.is_address {
                Fact::AddressClaimed { older_alive: alive }
            } else {
                Fact::TunnelClaimed { older_alive: alive }
            };
            let severity = if alive { Severity::Critical } else { Severity::Medium };
            let newer = self.store.find(dispute.newer).map(|session| self.context(session));
            self.accuse_order(&dispute.key, dispute.at, now, severity, fact, |accusation| {
                accusation.degraded = degraded;
                accusation.n4.session = newer;
                accusation.n4.doubt = if alive { 0.02 } else { 0.3 };
            });
        }
        self.claims.disputes = waiting;
    }

    /// A downlink was moved; whether something comes up from there shows later.
    pub(super) fn watch_move(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        to: Address,
        time: Nanos,
    ) {
        let due = time.plus(self.settings.redir_uplink);
        if self.claims.moves.len() < DISPUTES {
            self.claims.moves.push_back(Move { due, at: time, session: at, to, key: *key });
        }
    }

    pub(super) fn settle_moves(&mut self, now: Nanos) {
        while let Some(moved) = self.claims.moves.front().copied()
            && moved.due <= now
        {
            self.claims.moves.pop_front();
            let Some(session) = self.store.find(moved.session) else { continue };
            let still = session.state == SessionState::Active && session.moved == moved.at;
            if !still || !self.is_complete || !self.is_covered(session.up_node, now) {
                continue;
            }
            let sent = self.sent_to(session, moved.to);
            let last = self.last_uplink(session);
            // Only whoever spoke until it was moved should go on speaking.
            let spoke = last.plus(PATIENCE) > moved.at;
            if sent < 10 || last > moved.at || !spoke || last == Nanos(0) {
                continue;
            }
            let context = self.context(session);
            let (at, to) = (moved.at, moved.to);
            self.accuse_order(&moved.key, at, now, Severity::Medium, Fact::DownlinkSilent, |it| {
                it.peer = Some(to);
                it.n4.session = Some(context);
                it.n4.doubt = 0.3;
            });
        }
    }

    /// A finding about an order that was given a while ago.
    pub(super) fn accuse_order(
        &mut self,
        key: &TransactionKey,
        first: Nanos,
        last: Nanos,
        severity: Severity,
        fact: Fact,
        fill: impl FnOnce(&mut Accusation),
    ) {
        let pair = self.pair_of(key.source, key.destination, last);
        let Some((from, to)) = self.ends_of(pair) else { return };
        let mut accusation = Accusation {
            equipment: from.equipment.or(to.equipment),
            peer: Some(to.address),
            initiator: Initiator::Equipment,
            outer: Some(Tuple {
                source: ip(key.source),
                destination: ip(key.destination),
                source_port: key.source_port,
                destination_port: key.destination_port,
                protocol: protocol::UDP,
            }),
            packets: 1,
            first,
            last: first,
            n4: Signalled { ordered_by: Some(ip(key.source)), ..Signalled::default() },
            ..blank(PFCP_REDIR, severity, fact)
        };
        fill(&mut accusation);
        self.accusations.add(accusation);
    }
}
