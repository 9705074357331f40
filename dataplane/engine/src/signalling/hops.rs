//! Where N4 says that users' packets go: what proof asks of sessions.

use arrayvec::ArrayVec;
use weir_wire::Address;

use super::session::{Session, SessionRef, is_within};
use super::{DOUBTED_MEMORY, MEMORY, Signalling};
use crate::Nanos;
use crate::contract::session::{SessionState, Signalled};
use crate::rules::{EquipmentId, Roles};
use crate::tunnels::{FTeid, Row};

/// Sessions with one address that are looked at.
const OWNERS: usize = 8;

/// The session of a packet's user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) session: SessionRef,
    /// The UPF between it and the data network, where that is one.
    pub(crate) upf: Option<EquipmentId>,
    /// Whether the user sent the packet.
    pub(crate) is_source: bool,
    /// Whether N4 tells all of it: since its beginning, and seen whole.
    pub(crate) is_firm: bool,
    /// When its downlink was last moved.
    pub(crate) moved: Nanos,
}

/// Whether copies of a session's packets may go to an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Interception {
    /// It is no place of copies.
    None,
    /// A rule orders them, and that is authorised.
    Authorised,
    /// It is such a place, and these are not authorised.
    Unauthorised,
}

impl Signalling {
    /// Whether every path of the user plane is tapped, the data network's too.
    pub(crate) fn sees_balance(&self) -> bool {
        self.is_complete && self.is_n6_complete
    }

    /// The session of a user's packet by its ends, source first.
    pub(crate) fn owner(
        &self,
        (source, destination): (Address, Address),
        time: Nanos,
    ) -> Option<Owner> {
        self.owner_of(source, true, time).or_else(|| self.owner_of(destination, false, time))
    }

    /// The session that has an address at a packet's time; N4 may be later than it by the grace.
    pub(crate) fn owner_of(&self, user: Address, is_source: bool, time: Nanos) -> Option<Owner> {
        let owners = self.owners(user, time);
        let (session, _) = *owners.first()?;
        // A session that sends on to another UPF is not the one at the data network.
        let mut anchors = owners.iter().filter(|(_, session)| !self.sends_on(session));
        let mut upf = anchors.next().and_then(|(_, session)| self.upf_of(session));
        if anchors.any(|(_, session)| self.upf_of(session) != upf) {
            upf = None;
        }
        let is_firm = owners.iter().all(|(_, session)| self.is_firm(session, time))
            && !self.doubts.had_within(user, DOUBTED_MEMORY, time);
        let moved = owners.iter().map(|(_, session)| session.moved).max().unwrap_or_default();
        Some(Owner { session, upf, is_source, is_firm, moved })
    }

    /// The sessions that have an address, by their places.
    fn owners(&self, user: Address, time: Nanos) -> ArrayVec<(SessionRef, &Session), OWNERS> {
        let begun = time.plus(self.settings.orphan_grace);
        let fits = |row: &Row| row.since <= begun && time < row.until.plus(MEMORY);
        let rows = self.users.rows_of(&FTeid::of_user(user));
        let by_address = rows.iter().filter(|(_, row)| fits(row)).filter_map(|(_, row)| {
            let at = self.store.at(row.session)?;
            Some((at, self.store.find(at)?))
        });
        let mut owners: ArrayVec<_, OWNERS> = by_address.take(OWNERS).collect();
        if owners.is_empty() {
            let routes = self.homeless.routes_to(user);
            owners.extend(routes.filter_map(|at| Some((at, self.store.find(at)?))).take(OWNERS));
        }
        owners.sort_unstable_by_key(|(at, _)| *at);
        owners
    }

    /// Whether a session sends uplink packets into another tunnel.
    fn sends_on(&self, session: &Session) -> bool {
        self.store.held.iter(session.tunnels).any(|held| !held.downlink && !held.local)
    }

    fn upf_of(&self, session: &Session) -> Option<EquipmentId> {
        self.nodes.node(session.up_node)?.equipment
    }

    fn is_firm(&self, session: &Session, time: Nanos) -> bool {
        let is_agreed = matches!(session.state, SessionState::Active)
            || session.ended != Nanos::MAX && time < session.ended.plus(MEMORY);
        session.is_whole
            && is_agreed
            && [session.uncertain, session.doubted].iter().all(|at| time >= at.plus(DOUBTED_MEMORY))
            && self.is_covered(session.up_node, time)
    }

    /// Whether a tunnel is one of the session that has a packet's user; none if no session has
    /// the tunnel. A session whose users are not known may have any.
    pub(crate) fn leads(
        &self,
        end: &FTeid,
        (source, destination): (Address, Address),
        time: Nanos,
    ) -> Option<bool> {
        let begun = time.plus(self.settings.orphan_grace);
        let fits = |row: &Row| row.since <= begun && time < row.until.plus(MEMORY);
        let mut found = None;
        for (_, row) in self.tunnels.rows_of(end).iter().filter(|(_, row)| fits(row)) {
            let Some(session) = self.store.at(row.session).and_then(|at| self.store.find(at))
            else {
                continue;
            };
            let is_users = |user: Address| {
                row.is_ue(user)
                    || session.addresses().any(|ue| is_within(user, ue.address, ue.prefix))
                    || self
                        .store
                        .routes
                        .iter(session.routes)
                        .any(|route| is_within(user, route.address, route.prefix))
            };
            let is_known = session.addresses().next().is_some();
            if !is_known || is_users(source) || is_users(destination) {
                return Some(true);
            }
            found = Some(false);
        }
        found
    }

    /// Whether N4 tells of every tunnel that an address may have given: it is no UPF's, or
    /// that UPF's N4 is seen whole.
    pub(crate) fn tells_of(&self, address: Address, time: Nanos) -> bool {
        let Some(rules) = self.rules.as_deref() else { return false };
        let entry = rules.holder(address).and_then(|id| rules.equipment(id));
        let is_upf = entry.is_some_and(|entry| entry.roles.any(Roles::UPF));
        !is_upf || self.up_node_of(address).is_some_and(|node| self.is_covered(node, time))
    }

    /// Whether copies of a user's packets may go to an address.
    pub(crate) fn interception(
        &self,
        (source, destination): (Address, Address),
        to: Address,
        time: Nanos,
    ) -> Interception {
        let Some(rules) = self.rules.as_deref() else { return Interception::None };
        if !self.claims.is_target(to) && !rules.is_mediation(to) {
            return Interception::None;
        }
        let owners = [source, destination].map(|user| self.owners(user, time));
        let is_authorised = owners.iter().flatten().any(|(at, session)| {
            let sessions = self.claims.copied(*at, session.up, to);
            sessions > 0 && sessions <= rules.authorised_copies(self.upf_of(session), to)
        });
        if is_authorised { Interception::Authorised } else { Interception::Unauthorised }
    }

    /// What N4 says of the session of a packet's user, and how much of N4 is seen.
    pub(crate) fn signalled_user(&self, owner: Option<Owner>) -> Signalled {
        let session = owner.and_then(|owner| self.store.find(owner.session));
        let (whole, seen) = self.coverage();
        Signalled {
            session: session.map(|session| self.context(session)),
            coverage: (seen > 0).then(|| whole as f32 / seen as f32),
            ..Signalled::default()
        }
    }
}
