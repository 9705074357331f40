//! Users on the link to the data network whose address no session has. Only what is
//! seen whole can say so: every path of N6, and N4 of every UPF since before the session
//! could have begun.

use std::collections::BTreeMap;

use weir_wire::Address;

use super::request::blank;
use super::session::{Route, Session, SessionRef, is_within};
use super::{MEMORY, Signalling};
use crate::Nanos;
use crate::contract::session::{SessionState, Signalled};
use crate::contract::verdict::{Fact, Severity, Spoof};
use crate::detect::GTP_UESPOOF;
use crate::rules::Link;
use crate::tunnels::unresolved::{Escape, Kind, Sum};
use crate::tunnels::{FTeid, Row, RowFlags, Slot};

/// Sources that wait for N4, and such as have waited.
const SOURCES: usize = 1 << 12;
/// How often sessions without users are counted at most.
const RECOUNT: Nanos = Nanos::from_secs(5);
/// How long a source that was judged is remembered.
const REMEMBERED: Nanos = Nanos::from_secs(600);

/// Sources without a session.
#[derive(Debug, Default)]
pub(crate) struct Homeless {
    waiting: BTreeMap<(Nanos, Address), Escape>,
    known: BTreeMap<Address, Known>,
    /// Routes behind users, with their sessions.
    routes: Vec<(Route, SessionRef)>,
    /// Sessions in part without a user, and when they were counted.
    nameless: (usize, Nanos),
}

/// Packets of one source that no alert counts yet.
#[derive(Debug)]
struct Known {
    sum: Sum,
}

impl Homeless {
    /// The sessions that have a route to an address.
    pub(super) fn routes_to(&self, user: Address) -> impl Iterator<Item = SessionRef> {
        let behind =
            move |(route, _): &&(Route, SessionRef)| is_within(user, route.address, route.prefix);
        self.routes.iter().filter(behind).map(|(_, at)| *at)
    }
}

impl Signalling {
    /// A user's row in the table of users.
    pub(super) fn open_user(
        &mut self,
        at: SessionRef,
        user: Address,
        since: Nanos,
    ) -> Option<(Slot, u16)> {
        let row = Row {
            end: FTeid::of_user(user),
            flags: RowFlags::default(),
            since,
            until: Nanos::MAX,
            session: at.place,
            ue4: 0,
            ue6: 0,
        };
        let slot = self.users.insert(row).ok();
        self.counters.tunnels_refused += u64::from(slot.is_none());
        Some((slot?, self.users.row(slot?)?.flags.generation()))
    }

    /// Notes the routes behind a user.
    pub(super) fn open_routes(&mut self, at: SessionRef) {
        let Some(routes) = self.store.find(at).map(|session| session.routes) else { return };
        let store = &self.store;
        self.homeless.routes.retain(|(_, of)| store.find(*of).is_some());
        for route in self.store.routes.iter(routes) {
            let known = self.homeless.routes.iter().any(|(of, by)| of == route && *by == at);
            if !known && self.homeless.routes.len() < SOURCES {
                self.homeless.routes.push((*route, at));
            }
        }
    }

    /// Takes the sources that workers found in no session.
    pub(super) fn resolve_users(&mut self, homeless: Vec<Escape>) {
        for escape in homeless {
            if self.is_at_home(&escape, Nanos(0)) {
                continue;
            }
            let due = escape.sum.last.plus(self.settings.orphan_grace);
            if self.homeless.waiting.len() < SOURCES {
                self.homeless
                    .waiting
                    .entry((due, escape.source))
                    .and_modify(|known| known.join(&escape))
                    .or_insert(escape);
            } else {
                self.counters.dropped_observations += 1;
            }
        }
    }

    /// Judges the sources that are due.
    pub(super) fn settle_users(&mut self, now: Nanos) {
        let later = self.homeless.waiting.split_off(&(now.plus(Nanos(1)), Address(0)));
        let due = std::mem::replace(&mut self.homeless.waiting, later);
        for escape in due.into_values() {
            // What comes out of a tunnel is told of there.
            if !self.is_at_home(&escape, self.settings.orphan_grace)
                && !self.sources.knows(escape.source)
                && self.can_tell_homeless(&escape, now)
            {
                self.note_homeless(&escape);
            }
        }
        self.homeless.known.retain(|_, known| now.since(known.sum.last) <= REMEMBERED);
    }

    /// Whether a session had the address, N4 being later than the packets by `grace`.
    fn is_at_home(&self, escape: &Escape, grace: Nanos) -> bool {
        let Sum { first, last, .. } = escape.sum;
        let begun = last.plus(grace);
        let fits = |row: &Row| row.since <= begun && first < row.until.plus(MEMORY);
        let behind = |(route, at): &(Route, SessionRef)| {
            self.store.find(*at).is_some() && is_within(escape.source, route.address, route.prefix)
        };
        self.users.find_row(&FTeid::of_user(escape.source), fits).is_some()
            || self.homeless.routes.iter().any(behind)
    }

    /// Whether all is seen that could give the source a session.
    fn can_tell_homeless(&self, escape: &Escape, now: Nanos) -> bool {
        let Some(rules) = self.rules.as_deref() else { return false };
        let start = self.settings.orphan_start_grace;
        let mut up = self.nodes.all().iter().filter(|node| node.is_up).peekable();
        let is_seen = up.peek().is_some()
            && up.all(|node| {
                let share = node.coverage.share(now);
                share.is_some_and(|share| share >= self.settings.blind_coverage)
                    && escape.sum.first >= node.learning_since.plus(start)
            });
        self.is_complete
            && is_seen
            && escape.sum.first >= self.started.unwrap_or_default().plus(start)
            && !rules.is_nat(escape.source, Link::N6, false)
            && !self.doubts.has(escape.source, now)
            && !self.asked.has_user(escape.source, now)
    }

    /// How many sessions have users whom nobody knows; counted anew now and then.
    fn nameless(&mut self, now: Nanos) -> usize {
        let (counted, at) = self.homeless.nameless;
        if at != Nanos(0) && now.since(at) < RECOUNT && at.since(now) == Nanos(0) {
            return counted;
        }
        let is_nameless = |session: &Session| {
            session.state == SessionState::Partial && session.addresses().next().is_none()
        };
        let counted = self.store.all(is_nameless).len();
        self.homeless.nameless = (counted, now);
        counted
    }

    fn note_homeless(&mut self, escape: &Escape) {
        if self.homeless.known.len() >= SOURCES && !self.homeless.known.contains_key(&escape.source)
        {
            self.counters.dropped_observations += 1;
            return;
        }
        match self.homeless.known.get_mut(&escape.source) {
            Some(known) => {
                known.sum.join(&escape.sum);
            }
            None => {
                self.homeless.known.insert(escape.source, Known { sum: escape.sum });
            }
        }
        // A session that is known in part, or not at all, may have a user whom nobody knows.
        let unseen: f64 = self
            .nodes
            .all()
            .iter()
            .filter(|node| node.is_up)
            .map(|node| node.coverage.unseen())
            .sum();
        let nameless = self.nameless(escape.sum.last) + unseen.round() as usize;
        let homeless = self.homeless.known.len();
        let least = self.settings.spoof_min_packets;
        let Some(known) = self.homeless.known.get_mut(&escape.source) else { return };
        if known.sum.packets < least || homeless <= nameless {
            return;
        }
        let sum = known.sum;
        (known.sum.packets, known.sum.wire_bytes) = (0, 0);
        let mut accusation = blank(GTP_UESPOOF, Severity::High, Fact::Spoofed(Spoof::NoSession));
        accusation.peer = Some(escape.source);
        accusation.tap = sum.tap.0;
        accusation.link = Link::N6;
        (accusation.packets, accusation.bytes) = (sum.packets, sum.wire_bytes);
        (accusation.first, accusation.last) = (sum.first, sum.last);
        let (whole, seen) = self.coverage();
        accusation.n4 = Signalled {
            coverage: (seen > 0).then(|| whole as f32 / seen as f32),
            doubt: (nameless as f32 / homeless as f32).max(0.05),
            ..Signalled::default()
        };
        self.accusations.add(accusation);
    }
}
