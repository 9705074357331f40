//! Requests that contradict what a session's owner goes on doing. Somebody else may send with
//! its address, and even count where it counts, but does not know what it will ask of that
//! session next.

use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie::{Cause, FailedRuleId, kind};

use super::Signalling;
use super::datagram::N4Datagram;
use super::order::rule_id;
use super::recent::Recent;
use super::request::groups;
use super::session::{Flagged, SessionRef};
use super::store::Store;
use super::transactions::{TransactionKey, Waiting};
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::contract::verdict::{Fact, Severity};
use crate::detect::PFCP_PEER;

const DELETION: u8 = 54;

/// The owner's own requests may still be on their way for so long.
const CROSSING: Nanos = Nanos(100_000_000);

/// What an owner goes on using it uses within this time.
const USED_WITHIN: Nanos = Nanos::from_secs(10);

/// Whoever waits for an answer repeats its request after so long at the earliest.
const PATIENCE: Nanos = Nanos(500_000_000);
/// And so many times in all, the usual N1 and the first, of which the tap may miss some.
const REPEATS: u64 = 4;
/// The longest T1 that is granted.
const LONGEST: Nanos = Nanos::from_secs(5);

/// The kinds of rules that are created, updated and removed by number, and are kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum RuleKind {
    Pdr,
    Far,
    Urr,
    Endpoint,
}

/// A rule of a session.
type RuleKey = (SessionRef, RuleKind, u32);

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

    /// Whether an answer names a rule of this kind and number as the one that failed.
    fn is_failed(self, id: u32, failed: FailedRuleId) -> bool {
        match (self, failed) {
            (Self::Pdr, FailedRuleId::Pdr(pdr)) => u32::from(pdr.0) == id,
            (Self::Far, FailedRuleId::Far(far)) => far.0 == id,
            (Self::Urr, FailedRuleId::Urr(urr)) => urr.0 == id,
            _ => false,
        }
    }
}

/// Rules that were removed lately.
#[derive(Debug)]
pub(super) struct Removed(Recent<RuleKey>);

impl Default for Removed {
    fn default() -> Self {
        Self(Recent::new(USED_WITHIN))
    }
}

impl Removed {
    /// Rules that were forgotten before their time.
    pub(super) fn evictions(&self) -> u64 {
        self.0.evictions()
    }
}

impl Signalling {
    /// A modification or deletion was refused, or not all of a modification was accepted. If
    /// what it asks for was ended or removed shortly before, that was not its owner's doing.
    pub(super) fn refused(
        &mut self,
        key: &TransactionKey,
        waiting: &Waiting,
        (request, answer): (&Pfcp<'_>, &Pfcp<'_>),
        cause: Option<Cause>,
        time: Nanos,
    ) {
        const CONTEXT_NOT_FOUND: Cause = Cause(65);
        let Some(at) = waiting.session else { return };
        let Some(session) = self.store.find(at) else { return };
        if session.doubted != Nanos(0) {
            return;
        }
        // Whoever repeated its request in vain may ask once more for what is done already.
        let unheard = waiting.time <= session.unheard_until;
        let was_ended = session.state == SessionState::Deleted
            && cause == Some(CONTEXT_NOT_FOUND)
            && waiting.time > session.ended.plus(CROSSING)
            && !(key.message == DELETION && unheard);
        let since = if was_ended {
            session.ended
        } else {
            match self.removed_before(at, (request, answer), cause, waiting.time) {
                Some(removed) if !unheard => removed,
                _ => return,
            }
        };
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

    /// Notes that a modification or deletion of a session comes again, `since` its first: whoever
    /// sends it has not heard the answer, and goes on to ask under another number when its patience
    /// is over. Whoever repeats in haste has no such reason. A tap that misses messages may have
    /// missed the next repetition too.
    pub(super) fn unheard(&mut self, at: SessionRef, since: Nanos, time: Nanos) {
        let waited = time.since(since);
        if waited < PATIENCE {
            return;
        }
        let up = self.store.find(at).map(|session| session.up_node);
        let (mut last, mut waited) = (time, waited.min(LONGEST));
        if up.is_some_and(|up| self.is_lossy(up)) {
            last = last.plus(waited);
            waited = Nanos(waited.0 * 2).min(LONGEST);
        }
        if let Some(session) = self.store.find_mut(at) {
            session.unheard_until = last.plus(Nanos(waited.0 * REPEATS));
        }
    }

    /// Notes a rule that is there and is about to be removed.
    pub(super) fn note_removal(&mut self, at: SessionRef, element: &Element<'_>, time: Nanos) {
        if let Some((rule, numbered)) = RuleKind::removed_by(element.kind)
            && let Some(id) = rule_id(element.value, numbered)
            && self.has_rule(at, rule, id)
        {
            self.removed.0.add((at, rule, id), time);
        }
    }

    /// When a rule was removed that a request updates, that nobody created since, and for whose
    /// sake the request failed.
    fn removed_before(
        &self,
        at: SessionRef,
        (request, answer): (&Pfcp<'_>, &Pfcp<'_>),
        cause: Option<Cause>,
        time: Nanos,
    ) -> Option<Nanos> {
        // Mandatory IE incorrect; rule creation or modification failed (§8.2.1).
        const OF_RULES: [Cause; 2] = [Cause(69), Cause(73)];
        let mut failed = groups(answer, kind::FAILED_RULE_ID)
            .filter_map(|value| FailedRuleId::parse(value).ok())
            .peekable();
        let is_named = failed.peek().is_some();
        let cause = cause?;
        let is_of_rules = OF_RULES.contains(&cause) || cause.is_partly_accepted() && is_named;
        if !is_of_rules {
            return None;
        }
        // An answer names one rule, the first that failed, or few.
        let failed: Vec<FailedRuleId> = failed.take(16).collect();
        let elements = request.elements().map_while(Result::ok);
        elements.filter(|element| element.enterprise.is_none()).find_map(|element| {
            let (rule, numbered) = RuleKind::updated_by(element.kind)?;
            let id = rule_id(element.value, numbered)?;
            let is_it = !is_named || failed.iter().any(|failed| rule.is_failed(id, *failed));
            let removed = self.removed.0.when(&(at, rule, id), time).filter(|_| is_it)?;
            (time > removed.plus(CROSSING) && !self.has_rule(at, rule, id)).then_some(removed)
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
