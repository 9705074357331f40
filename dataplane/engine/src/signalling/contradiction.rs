//! Requests that contradict what a session's owner goes on doing: somebody else may send
//! with its address, and even count where it counts, but does not know what it will ask next.

use std::collections::VecDeque;

use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie::{Cause, kind};

use super::Signalling;
use super::datagram::N4Datagram;
use super::order::rule_id;
use super::session::{Flagged, SessionRef};
use super::store::Store;
use super::transactions::{TransactionKey, Waiting};
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::contract::verdict::{Fact, Severity};
use crate::detect::PFCP_PEER;

/// The owner's own requests may still be on their way for so long.
const CROSSING: Nanos = Nanos(100_000_000);

/// What an owner goes on using it uses within this time.
const USED_WITHIN: Nanos = Nanos::from_secs(10);

/// Removed rules that are remembered, of all sessions.
const REMOVED: usize = 4096;

/// The kinds of rules that are created, updated and removed by number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RuleKind {
    Pdr,
    Far,
    Urr,
    Endpoint,
}

impl RuleKind {
    /// The kind of rule that an element updates, and the type of its number.
    fn updated_by(element: u16) -> Option<(Self, u16)> {
        match element {
            kind::UPDATE_PDR => Some((Self::Pdr, kind::PDR_ID)),
            kind::UPDATE_FAR => Some((Self::Far, kind::FAR_ID)),
            kind::UPDATE_URR => Some((Self::Urr, kind::URR_ID)),
            kind::UPDATE_TRAFFIC_ENDPOINT => Some((Self::Endpoint, kind::TRAFFIC_ENDPOINT_ID)),
            _ => None,
        }
    }

    /// The kind of rule that an element removes, and the type of its number.
    fn removed_by(element: u16) -> Option<(Self, u16)> {
        match element {
            kind::REMOVE_PDR => Some((Self::Pdr, kind::PDR_ID)),
            kind::REMOVE_FAR => Some((Self::Far, kind::FAR_ID)),
            kind::REMOVE_URR => Some((Self::Urr, kind::URR_ID)),
            kind::REMOVE_TRAFFIC_ENDPOINT => Some((Self::Endpoint, kind::TRAFFIC_ENDPOINT_ID)),
            _ => None,
        }
    }
}

/// Rules that were removed lately.
#[derive(Debug, Default)]
pub(super) struct Removed(VecDeque<(Nanos, SessionRef, RuleKind, u32)>);

impl Removed {
    /// A rule was removed.
    fn add(&mut self, at: SessionRef, rule: (RuleKind, u32), time: Nanos) {
        while let Some((removed, ..)) = self.0.front()
            && (time.since(*removed) > USED_WITHIN || self.0.len() >= REMOVED)
        {
            self.0.pop_front();
        }
        self.0.push_back((time, at, rule.0, rule.1));
    }

    /// When a rule was removed that somebody asks for at `time`.
    fn when(&self, at: SessionRef, rule: (RuleKind, u32), time: Nanos) -> Option<Nanos> {
        let is_it = |known: &&(Nanos, SessionRef, RuleKind, u32)| {
            (known.1, known.2, known.3) == (at, rule.0, rule.1)
                && time > known.0.plus(CROSSING)
                && time.since(known.0) <= USED_WITHIN
        };
        self.0.iter().rev().find(is_it).map(|known| known.0)
    }
}

impl Signalling {
    /// A modification or deletion was refused. If what it asks for was ended or removed
    /// shortly before, that was not its owner's doing.
    pub(super) fn refused(
        &mut self,
        key: &TransactionKey,
        waiting: &Waiting,
        request: &Pfcp<'_>,
        cause: Option<Cause>,
        time: Nanos,
    ) {
        const CONTEXT_NOT_FOUND: u8 = 65;
        const DELETION: u8 = 54;
        let Some(at) = waiting.session else { return };
        let Some(session) = self.store.find(at) else { return };
        let was_ended = session.state == SessionState::Deleted
            && cause == Some(Cause(CONTEXT_NOT_FOUND))
            && waiting.time > session.ended.plus(CROSSING)
            && !(key.message == DELETION && session.was_flagged_for.has(Flagged::ENDED_UNHEARD));
        let since = if was_ended {
            session.ended
        } else {
            match self.removed_before(at, request, waiting.time) {
                Some(removed) => removed,
                None => return,
            }
        };
        if session.doubted != Nanos(0) {
            return;
        }
        let context = self.context(session);
        if let Some(session) = self.store.find_mut(at) {
            session.doubted = time;
            session.was_flagged_for.set(Flagged::DOUBTED_END);
        }
        self.accuse_order(key, since, time, Severity::Critical, Fact::Contradiction, |it| {
            it.detection = PFCP_PEER;
            it.n4.session = Some(context);
            it.n4.doubt = 0.2;
        });
    }

    /// Notes that a deletion comes again whose answer was lost: its sender may go on to ask for it
    /// under another number.
    pub(super) fn deletion_unheard(&mut self, datagram: &N4Datagram<'_>, message: &Pfcp<'_>) {
        if let (Some(at), _) = self.session_of(datagram, message)
            && let Some(session) = self.store.find_mut(at)
        {
            session.was_flagged_for.set(Flagged::ENDED_UNHEARD);
        }
    }

    /// Notes a rule that is removed.
    pub(super) fn note_removal(&mut self, at: SessionRef, element: &Element<'_>, time: Nanos) {
        if let Some((rule, numbered)) = RuleKind::removed_by(element.kind)
            && let Some(id) = rule_id(element.value, numbered)
        {
            self.removed.add(at, (rule, id), time);
        }
    }

    /// When a rule was removed that a request updates, and that nobody created since.
    fn removed_before(&self, at: SessionRef, request: &Pfcp<'_>, time: Nanos) -> Option<Nanos> {
        let elements = request.elements().map_while(Result::ok);
        elements.filter(|element| element.enterprise.is_none()).find_map(|element| {
            let (rule, numbered) = RuleKind::updated_by(element.kind)?;
            let id = rule_id(element.value, numbered)?;
            let removed = self.removed.when(at, (rule, id), time)?;
            (!self.has_rule(at, rule, id)).then_some(removed)
        })
    }

    fn has_rule(&self, at: SessionRef, rule: RuleKind, id: u32) -> bool {
        let Some(session) = self.store.find(at) else { return false };
        let Store { pdrs, fars, urrs, endpoints, .. } = &self.store;
        match rule {
            RuleKind::Pdr => pdrs.iter(session.pdrs).any(|pdr| u32::from(pdr.id) == id),
            RuleKind::Far => fars.iter(session.fars).any(|far| far.id == id),
            RuleKind::Urr => urrs.iter(session.urrs).any(|urr| urr.id == id),
            RuleKind::Endpoint => {
                endpoints.iter(session.endpoints).any(|endpoint| u32::from(endpoint.id) == id)
            }
        }
    }

    /// One sequence number came twice for one session, the first time at `before`, with other
    /// bytes: its owner counts each request once.
    pub(super) fn accuse_same_number(
        &mut self,
        datagram: &N4Datagram<'_>,
        pair: u32,
        at: SessionRef,
        before: Nanos,
    ) {
        let Some(session) = self.store.find(at) else { return };
        // A node that restarts counts anew, and SEIDs are given again: that was another session.
        if session.established > before {
            return;
        }
        let Some((from, to)) = self.ends_of(pair) else { return };
        let mut accusation =
            self.n4_accusation(PFCP_PEER, Severity::Critical, Fact::Contradiction, datagram);
        accusation.equipment = from.equipment;
        accusation.peer = Some(to.address);
        accusation.n4.session = Some(self.context(session));
        accusation.n4.doubt = 0.1;
        self.accusations.add(accusation);
        if let Some(session) = self.store.find_mut(at) {
            session.doubted = datagram.time;
        }
    }
}
