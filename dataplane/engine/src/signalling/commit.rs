//! What an accepted request makes of a session: its beginning, its change, its end. A
//! request waits until its answer commits it.

use weir_wire::Address;
use weir_wire::pfcp::Pfcp;
use weir_wire::pfcp_ie::{FSeid, kind};

use super::Signalling;
use super::keyed::hash_key;
use super::order::{self, FarOrder};
use super::request::element;
use super::session::{Flagged, Session, SessionRef};
use super::transactions::{TransactionKey, Waiting};
use crate::Nanos;
use crate::contract::session::SessionState;
use crate::contract::verdict::{Fact, Oddity, Severity};
use crate::detect::PFCP_GHOST;
use crate::tunnels::{FTeid, Row};

/// Sessions of an SMF from which on one without a User ID stands out.
const COHORT: u64 = 20;

impl Signalling {
    /// An establishment was accepted; without its request it is known in part.
    pub(super) fn establish(
        &mut self,
        key: &TransactionKey,
        waiting: &Waiting,
        request: Option<&Pfcp<'_>>,
        answer: &Pfcp<'_>,
        time: Nanos,
    ) {
        let f_seid = |message: &Pfcp<'_>| {
            element(message, kind::F_SEID).and_then(|value| FSeid::parse(value).ok())
        };
        let cp = request.and_then(f_seid);
        let up = f_seid(answer);
        let cp_address = cp.and_then(|f| f.addresses().next()).unwrap_or(key.source);
        let cp_seid = cp.map_or_else(|| answer.seid().map_or(0, |seid| seid.0), |f| f.seid.0);
        let up_address = up.and_then(|f| f.addresses().next()).unwrap_or(key.destination);
        let up_seid = up.map_or(0, |f| f.seid.0);
        self.store.foresee_slot(hash_key(&(up_address, up_seid)), true);
        let Some((from, to)) = self.nodes.pair(waiting.pair).map(|pair| (pair.from, pair.to))
        else {
            return;
        };
        if let Some(node) = self.nodes.node_mut(to) {
            node.is_up = true;
            if let Some(id) = node.equipment {
                self.up_nodes.entry(id).or_insert(to);
            }
        }
        // The same F-SEID again replaces the session that had it.
        let mut generation = 1;
        let before = [
            self.store.by_cp(cp_address, cp_seid),
            self.store.by_up(up_address, up_seid).filter(|_| up.is_some()),
        ];
        for at in before.into_iter().flatten() {
            let Some(old) = self.store.find(at) else { continue };
            // An answer alone, which anybody may send, takes nothing from a session.
            if request.is_none() && old.is_live() {
                let is_it_again = old.cp_seid == cp_seid && old.up_seid == up_seid;
                if let Some(old) = self.store.find_mut(at).filter(|_| !is_it_again) {
                    old.uncertain = time;
                    old.was_flagged_for.set(Flagged::MAY_HAVE_ENDED);
                }
                return;
            }
            // Its answer came first: it is the same session.
            if old.state == SessionState::Partial && request.is_some() && old.established == time {
                generation = generation.max(old.generation);
                self.withdraw(at);
                continue;
            }
            generation = generation.max(old.generation + 1);
            if old.is_live() {
                self.replace(at, waiting.time);
            }
        }
        self.counters.established += u64::from(request.is_some());
        if self.store.is_full() && !self.make_room(from, time) {
            return;
        }
        let state = if request.is_some() { SessionState::Active } else { SessionState::Partial };
        let session = Session {
            state,
            generation,
            cp: cp_address,
            cp_seid,
            up: up_address,
            up_seid,
            cp_node: from,
            cp_home: from,
            up_node: to,
            is_whole: request.is_some(),
            established: time,
            signalled: time,
            doubted: if waiting.doubted { waiting.time } else { Nanos(0) },
            ..Session::default()
        };
        let Some(at) = self.store.add(session) else { return };
        if let Some(node) = self.nodes.node_mut(from) {
            node.sessions += 1;
        }
        let addresses = |f: Option<FSeid>| f.into_iter().flat_map(|f| f.addresses());
        for address in addresses(cp).chain([key.source]) {
            self.store.index_cp(at, address, cp_seid);
        }
        if up.is_some() {
            for address in addresses(up).chain([key.destination]) {
                self.store.index_up(at, address, up_seid);
            }
        }
        self.apply(key, at, request, answer, waiting.time);
        let Some(session) = self.store.find(at) else { return };
        let users = session.users();
        if request.is_none() && users.is_empty() {
            self.await_user(to, at);
        }
        // Of one that is known in part, the request may still come.
        if request.is_some() {
            self.settle_users_of(at, &users);
            self.count_users(at, from);
            self.look_for_ghosts(key, at, from, waiting.time);
            self.record(at, time);
        }
    }

    /// All of a session is known, and so its users are in no doubt, unless they have another.
    fn settle_users_of(&mut self, at: SessionRef, users: &[Address]) {
        for user in users {
            let another = |row: &Row| row.until == Nanos::MAX && row.session != at.place;
            if self.users.find_row(&FTeid::of_user(*user), another).is_none() {
                self.doubts.settle(*user);
            }
        }
    }

    /// A modification was accepted.
    pub(super) fn modify(
        &mut self,
        waiting: &Waiting,
        request: &Pfcp<'_>,
        answer: &Pfcp<'_>,
        time: Nanos,
    ) {
        let Some(at) = waiting.session else {
            return self.doubt_tunnels(waiting, request, time);
        };
        let Some(session) = self.store.find_mut(at) else { return };
        session.modifications += 1;
        session.signalled = time;
        session.was_flagged_for.clear(Flagged::MAY_HAVE_ENDED);
        // Its UP function knows it: no restart has ended it.
        if session.state == SessionState::Stale && session.is_live() {
            self.store.set_state(at, SessionState::Active);
        }
        let key = self.key_of(waiting, 52);
        // A new CP F-SEID: another SMF of the set takes over.
        let taken = element(request, kind::F_SEID).and_then(|value| FSeid::parse(value).ok());
        if let (Some(f_seid), Some(pair)) = (taken, self.nodes.pair(waiting.pair)) {
            let cp_node = pair.from;
            if let Some(session) = self.store.find_mut(at) {
                session.cp_node = cp_node;
                session.cp = f_seid.addresses().next().unwrap_or(key.source);
                session.cp_seid = f_seid.seid.0;
            }
            for address in f_seid.addresses().chain([key.source]) {
                self.store.index_cp(at, address, f_seid.seid.0);
            }
        }
        // What was taken to hold without an answer holds; only what it chose is new.
        let request = Some(request).filter(|_| !waiting.presumed);
        self.apply(&key, at, request, answer, waiting.time);
        self.usage_reports(at, answer, time);
    }

    /// A session that is modified has begun, though nobody saw how: its tunnels are somebody's.
    fn doubt_tunnels(&mut self, waiting: &Waiting, request: &Pfcp<'_>, time: Nanos) {
        if waiting.doubted {
            return;
        }
        for element in request.elements().map_while(Result::ok) {
            match element.kind {
                _ if element.enterprise.is_some() => {}
                kind::CREATE_FAR | kind::UPDATE_FAR => {
                    let to = FarOrder::read(element.value).to;
                    if let Some((end, teid)) = to.and_then(|end| Some((end, end.teid?))) {
                        for address in end.addresses.iter() {
                            self.doubts.add_end(FTeid { address, teid }, time);
                        }
                    }
                }
                kind::CREATE_PDR
                | kind::UPDATE_PDR
                | kind::CREATE_TRAFFIC_ENDPOINT
                | kind::UPDATE_TRAFFIC_ENDPOINT => {
                    let (end, ue) = order::place_of(element.kind, element.value);
                    if let Some((end, teid)) = end.and_then(|end| Some((end, end.teid?))) {
                        for address in end.addresses() {
                            self.doubts.add_end(FTeid { address, teid: teid.0 }, time);
                        }
                    }
                    let users = ue.into_iter().flat_map(|ue| ue.addresses());
                    users.for_each(|user| self.doubts.add(user, time));
                }
                _ => {}
            }
        }
    }

    /// Nobody saw who the user of a session is.
    pub(super) fn await_user(&mut self, up_node: u32, at: SessionRef) {
        let store = &self.store;
        self.doubts.add_nameless(up_node, at, |at| {
            store.find(at).is_some_and(|it| it.is_live() && it.addresses().next().is_none())
        });
    }

    /// A modification is taken to hold though nobody saw its answer.
    pub(super) fn presume(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        request: &Pfcp<'_>,
        asked: Nanos,
    ) {
        // The request stands for an answer that adds nothing.
        let is_live = self.store.find(at).is_some_and(Session::is_live);
        if is_live {
            self.apply(key, at, Some(request), request, asked);
        }
    }

    /// A deletion was accepted.
    pub(super) fn delete(&mut self, waiting: &Waiting, answer: &Pfcp<'_>, time: Nanos) {
        let Some(at) = waiting.session else { return };
        self.usage_reports(at, answer, time);
        if let Some(session) = self.store.find_mut(at)
            && waiting.doubted
        {
            session.was_flagged_for.set(Flagged::DOUBTED_END);
        }
        self.end(at, time);
    }

    fn key_of(&self, waiting: &Waiting, message: u8) -> TransactionKey {
        let address = |node: Option<u32>| {
            node.and_then(|node| self.nodes.node(node)).map(|node| node.address).unwrap_or_default()
        };
        let pair = self.nodes.pair(waiting.pair);
        TransactionKey {
            source: address(pair.map(|pair| pair.from)),
            destination: address(pair.map(|pair| pair.to)),
            source_port: 0,
            destination_port: weir_wire::pfcp::PORT,
            sequence: 0,
            message,
        }
    }

    /// Notes whether an SMF's sessions say who they are for.
    fn count_users(&mut self, at: SessionRef, cp_node: u32) {
        let known = self.store.find(at).is_some_and(|session| session.who != Default::default());
        if let Some(node) = self.nodes.node_mut(cp_node) {
            node.with_user += u64::from(known);
            node.without_user += u64::from(!known);
        }
    }

    /// A session that is not like those of subscribers.
    fn look_for_ghosts(&mut self, key: &TransactionKey, at: SessionRef, cp: u32, time: Nanos) {
        let Some(rules) = self.rules.clone() else { return };
        let Some(session) = self.store.find(at) else { return };
        if session.state != SessionState::Active
            || session.was_flagged_for.has(Flagged::GHOST)
            || rules.installed() == 0
        {
            return;
        }
        let instance = self.names.spelling(session.instance);
        let dnn = self.names.spelling(session.dnn).or(instance);
        let is_other = session.dnn.is_other() || session.instance.is_other();
        let outside = session.addresses().any(|ue| !rules.is_in_pool(ue.address, instance));
        let (with, without) =
            self.nodes.node(cp).map_or((0, 0), |node| (node.with_user, node.without_user));
        let share = with as f64 / (with + without).max(1) as f64;
        let anonymous = session.who == Default::default()
            && with + without >= COHORT
            && share >= self.settings.ghost_user_id_share;
        let oddity = if outside {
            Oddity::OutsidePools
        } else if !is_other && dnn.is_some_and(|dnn| !rules.is_dnn(dnn)) {
            Oddity::UndeclaredDnn
        } else if session.slice.is_some_and(|slice| !rules.is_slice(slice)) {
            Oddity::UndeclaredSlice
        } else if anonymous {
            Oddity::NoUserId
        } else {
            return;
        };
        // What most sessions are like shows where N4 is seen.
        let degraded = oddity == Oddity::NoUserId && !self.is_covered(session.up_node, time);
        let severity = if degraded { Severity::Info } else { Severity::Medium };
        let context = self.context(session);
        if let Some(session) = self.store.find_mut(at) {
            session.was_flagged_for.set(Flagged::GHOST);
        }
        self.accuse_order(key, time, time, severity, Fact::Ghost(oddity), |it| {
            it.detection = PFCP_GHOST;
            it.degraded = degraded;
            it.n4.session = Some(context);
            it.n4.doubt = if oddity == Oddity::NoUserId { (1.0 - share) as f32 } else { 0.05 };
        });
    }

    /// Looks at a session again that a modification gave an address.
    pub(super) fn look_again(&mut self, key: &TransactionKey, at: SessionRef, time: Nanos) {
        if let Some(cp) = self.store.find(at).map(|session| session.cp_node) {
            self.look_for_ghosts(key, at, cp, time);
        }
    }

    /// Makes room for a session of a CP node: the harmless give way first, and a session is
    /// refused where all that might is worth more than it.
    fn make_room(&mut self, cp_node: u32, time: Nanos) -> bool {
        let worth = |session: &Session| {
            let used = self.usage_of(session).iter().any(|way| way.packets > 0);
            self.worth_of(session.cp_node) + u8::from(used)
        };
        let newcomer = self.worth_of(cp_node);
        let Some((victim, its_worth)) = self.store.candidate(worth) else { return false };
        self.store.count_eviction();
        if its_worth.is_some_and(|worth| worth > newcomer) {
            return false;
        }
        self.close_tunnels(victim, time);
        self.forget(victim, time);
        true
    }

    /// What sessions of a CP node are worth beside others': declared before undeclared, then
    /// those of nodes that have their share of the room.
    fn worth_of(&self, cp_node: u32) -> u8 {
        let node = self.nodes.node(cp_node);
        let declared = node.is_some_and(|node| node.equipment.is_some());
        let modest = node.is_some_and(|node| node.sessions <= self.store.room() / 2);
        u8::from(declared) * 4 + u8::from(modest) * 2
    }

    /// A session has been deleted.
    pub(super) fn end(&mut self, at: SessionRef, time: Nanos) {
        let Some(session) = self.store.find(at).filter(|session| session.is_live()) else {
            return;
        };
        // What was never counted as agreed is not counted as ended.
        self.counters.deleted += u64::from(session.is_whole);
        self.store.set_state(at, SessionState::Deleted);
        self.part(at, time);
    }

    /// Another session has what this one had, and nobody deleted it.
    pub(super) fn replace(&mut self, at: SessionRef, time: Nanos) {
        if self.store.find(at).is_some_and(Session::is_live) {
            self.store.set_state(at, SessionState::Stale);
            self.part(at, time);
        }
    }

    fn part(&mut self, at: SessionRef, time: Nanos) {
        let Some(session) = self.store.find_mut(at) else { return };
        session.ended = time;
        session.signalled = time;
        let doubted =
            session.doubted != Nanos(0) || session.was_flagged_for.has(Flagged::DOUBTED_END);
        // Whoever goes on using what another ended is known for longer.
        if !doubted {
            self.close_tunnels(at, time);
        }
        let memory = if doubted { super::DOUBTED_MEMORY } else { super::MEMORY };
        let due = time.plus(memory);
        if self.ended.back().is_none_or(|(other, _)| *other <= due) {
            self.ended.push_back((due, at));
        } else {
            let place = self.ended.partition_point(|(other, _)| *other <= due);
            self.ended.insert(place, (due, at));
        }
    }

    /// Takes back what was known of a session in part.
    fn withdraw(&mut self, at: SessionRef) {
        if let Some(session) = self.store.find(at).cloned() {
            self.remove(at, &session);
        }
    }

    /// Says how a session stands at the end of the input.
    pub(super) fn conclude(&mut self, at: SessionRef, now: Nanos) {
        let Some(session) = self.store.find(at).cloned() else { return };
        self.show(&session);
        self.record(at, now);
    }

    /// Forgets a session: says what became of it, and gives its rows back.
    pub(super) fn forget(&mut self, at: SessionRef, now: Nanos) {
        let Some(session) = self.store.find(at).cloned() else { return };
        self.show(&session);
        if session.state != SessionState::Active {
            self.record(at, now);
        }
        if session.was_flagged_for.has(Flagged::DUPLICATES) {
            self.claims.end_copies(at);
        }
        self.remove(at, &session);
    }

    fn remove(&mut self, at: SessionRef, session: &Session) {
        self.release_tunnels(session);
        self.streams.forget(at);
        self.store.remove(at);
        if let Some(node) = self.nodes.node_mut(session.cp_home) {
            node.sessions = node.sessions.saturating_sub(1);
        }
    }
}
