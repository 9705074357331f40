//! Where requests send traffic: the rules in them, looked at when they are asked for and
//! not only when they are agreed.

use weir_wire::Address;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{FSeid, kind};

use super::Signalling;
use super::accusation::ip;
use super::datagram::N4Datagram;
use super::foresight::ROWS_AHEAD;
use super::order::{self, FarOrder, Target, targets};
use super::session::{Far, RemoteEnd, SessionRef};
use crate::Nanos;
use crate::contract::session::{Forwarding, Signalled, TunnelEnd};
use crate::contract::verdict::{Fact, Severity};
use crate::detect::{PFCP_DUPL, PFCP_REDIR};
use crate::tunnels::FTeid;

/// Whose rules are looked at.
#[derive(Clone, Copy)]
pub(super) struct Orderer {
    pub(super) pair: u32,
    /// The session that it is about, if that is known.
    pub(super) session: Option<SessionRef>,
    /// Whether it is a declared peer, and none that may be somebody else.
    pub(super) is_trusted: bool,
}

impl Signalling {
    /// Looks through the rules of an establishment or modification once: for orders to send
    /// or copy traffic where nobody declared, and for tunnels, which may be used before the
    /// answer is seen, or though it never is. Gives the CP F-SEID in it.
    pub(super) fn look_at_rules(
        &mut self,
        datagram: &N4Datagram<'_>,
        message: &Pfcp<'_>,
        by: Orderer,
    ) -> Option<FSeid> {
        let mut f_seid = None;
        let (mut is_chosen, mut user) = (false, None);
        for element in message.elements().map_while(Result::ok) {
            let value = element.value;
            match element.kind {
                _ if element.enterprise.is_some() => {}
                kind::CREATE_FAR | kind::UPDATE_FAR => self.look_at_far(datagram, by, value),
                kind::CREATE_PDR
                | kind::UPDATE_PDR
                | kind::CREATE_TRAFFIC_ENDPOINT
                | kind::UPDATE_TRAFFIC_ENDPOINT
                    if by.is_trusted =>
                {
                    let (end, ue) = order::place_of(element.kind, value);
                    user = user.or(ue);
                    match end.map(|end| (end, end.teid)) {
                        Some((end, Some(teid))) => {
                            for address in end.addresses() {
                                self.note_asked(FTeid { address, teid: teid.0 }, datagram.time);
                            }
                        }
                        Some((_, None)) => is_chosen = true,
                        None => {}
                    }
                }
                kind::F_SEID if f_seid.is_none() => f_seid = FSeid::parse(value).ok(),
                _ => {}
            }
        }
        if let Some(user) = user.filter(|_| is_chosen) {
            user.addresses().for_each(|user| self.asked.add_user(user, datagram.time));
        }
        f_seid
    }

    fn note_asked(&mut self, end: FTeid, time: Nanos) {
        self.asked.add(end, time);
        // The answer will open rows there.
        self.tunnels.prefetch_tags(&end);
        if let Some(before) = self.asked.before(ROWS_AHEAD) {
            self.tunnels.prefetch_free(&before);
        }
    }

    fn look_at_far(&mut self, datagram: &N4Datagram<'_>, by: Orderer, value: &[u8]) {
        let order = FarOrder::read(value);
        let mut foreign = order.to.and_then(|end| self.look_at_end(datagram, by, end));
        // Nearly all lead to one end.
        let others = if order.has_more { value } else { &[] };
        for target in targets(others) {
            foreign = foreign.or(match target {
                Target::Sent(end) => self.look_at_end(datagram, by, end),
                Target::Redirected(to) => self.is_foreign(to).then_some((to, None)),
                Target::Copied(_) => None,
            });
        }
        if let Some(target) = foreign {
            self.accuse_redirection(datagram, by, &order, target);
        }
        if order.duplicates {
            self.look_at_copies(datagram, by, (&order, value));
        }
    }

    /// Notes an end that a rule sends to; gives an address of it that is foreign.
    fn look_at_end(
        &mut self,
        datagram: &N4Datagram<'_>,
        by: Orderer,
        end: RemoteEnd,
    ) -> Option<(Address, Option<u32>)> {
        if let Some(teid) = end.teid.filter(|_| by.is_trusted) {
            for address in end.addresses.iter() {
                self.note_asked(FTeid { address, teid }, datagram.time);
            }
        }
        let mut ends = end.addresses.iter().map(|to| (to, end.teid));
        ends.find(|(to, _)| self.is_foreign(*to))
    }

    /// Whether an address is neither declared nor within the operator's own ranges.
    fn is_foreign(&self, address: Address) -> bool {
        let rules = self.rules.as_deref();
        rules.is_some_and(|rules| !rules.is_declared_place(address) && !rules.is_own(address))
    }

    fn accuse_redirection(
        &mut self,
        datagram: &N4Datagram<'_>,
        by: Orderer,
        order: &FarOrder,
        target: (Address, Option<u32>),
    ) {
        let Some((from, to)) = self.ends_of(by.pair) else { return };
        let suspect = from.equipment.or(to.equipment);
        let mut accusation =
            self.n4_accusation(PFCP_REDIR, Severity::Critical, Fact::Redirected, datagram);
        accusation.equipment = suspect;
        accusation.peer = Some(target.0);
        accusation.n4 = self.evidence(datagram.source, order, by.session, Some(target));
        self.accusations.add(accusation);
    }

    fn look_at_copies(
        &mut self,
        datagram: &N4Datagram<'_>,
        by: Orderer,
        (order, value): (&FarOrder, &[u8]),
    ) {
        if order.copies_to.is_none() {
            // An order that names no target repeats the one before.
            let stored = by.session.and_then(|at| {
                let session = self.store.find(at)?;
                let far = self.store.fars.find(session.fars, |far| Some(far.id) == order.id)?;
                far.copies_to
            });
            self.look_at_copy(datagram, by, order, stored);
        }
        for target in targets(value) {
            if let Target::Copied(end) = target {
                self.look_at_copy(datagram, by, order, Some(end));
            }
        }
    }

    fn look_at_copy(
        &mut self,
        datagram: &N4Datagram<'_>,
        by: Orderer,
        order: &FarOrder,
        copies_to: Option<RemoteEnd>,
    ) {
        let Some((from, to)) = self.ends_of(by.pair) else { return };
        let (suspect, up, up_equipment) =
            (from.equipment.or(to.equipment), to.address, to.equipment);
        let Some(rules) = self.rules.as_deref() else { return };
        let target = copies_to.and_then(|end| end.addresses.iter().next());
        let sessions = self.claims.copies(by.session, up, target);
        let authorised = target.map_or(0, |target| rules.authorised_copies(up_equipment, target));
        if sessions <= authorised {
            return;
        }
        let fact = Fact::Duplication { sessions, authorised };
        let mut accusation = self.n4_accusation(PFCP_DUPL, Severity::Critical, fact, datagram);
        accusation.equipment = suspect;
        accusation.peer = Some(target.unwrap_or(up));
        let teid = copies_to.and_then(|end| end.teid);
        let shown = target.map(|target| (target, teid));
        accusation.n4 = self.evidence(datagram.source, order, by.session, shown);
        self.accusations.add(accusation);
    }

    /// The rule before an order and after it.
    fn evidence(
        &self,
        ordered_by: Address,
        order: &FarOrder,
        at: Option<SessionRef>,
        target: Option<(Address, Option<u32>)>,
    ) -> Signalled {
        let session = at.and_then(|at| self.store.find(at));
        let before = session.and_then(|session| {
            self.store.fars.find(session.fars, |far| Some(far.id) == order.id).map(forwarding)
        });
        let apply = order.apply.map(|apply| apply.0);
        let after = Forwarding {
            far: order.id.unwrap_or(0),
            apply: apply.or(before.map(|before| before.apply)).unwrap_or(0),
            to: target
                .map(|(address, teid)| TunnelEnd { teid: teid.unwrap_or(0), addr: ip(address) }),
        };
        Signalled {
            session: session.map(|session| self.context(session)),
            before,
            after: Some(after),
            ordered_by: Some(ip(ordered_by)),
            coverage: None,
            doubt: 0.0,
            teids: Vec::new(),
        }
    }
}

/// A FAR as evidence.
pub(super) fn forwarding(far: &Far) -> Forwarding {
    Forwarding {
        far: far.id,
        apply: far.apply,
        to: far.to.and_then(|end| {
            Some(TunnelEnd { teid: end.teid.unwrap_or(0), addr: ip(end.addresses.iter().next()?) })
        }),
    }
}
