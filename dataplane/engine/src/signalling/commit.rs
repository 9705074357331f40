//! What an accepted request makes of a session. A request's rules wait until its
//! answer commits them; what the answer chose (F-TEIDs, UE addresses) comes with it.

use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie::{
    ApplyAction, FSeid, FTeid, FailedRuleId, FramedRoute, Interface, Name, PdnType, SNssai, UeIp,
    UserId, kind,
};

use super::Signalling;
use super::association::sets_of;
use super::order::{self, EndpointOrder, FarOrder, PdrOrder};
use super::request::{element, groups};
use super::session::{Endpoint, Far, Flagged, LocalEnd, Pdr, Route, Session, SessionRef, Urr};
use super::transactions::{TransactionKey, Waiting};
use crate::Nanos;
use crate::contract::session::{SessionState, Slice};
use crate::contract::verdict::{Fact, Oddity, Severity};
use crate::detect::{PFCP_GHOST, PFCP_PEER};
use weir_wire::pfcp_ie::Cause;

/// After a deletion the owner's own requests may still be on their way for so long.
const CROSSING: Nanos = Nanos(100_000_000);

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
            // Its answer came first: it is the same session.
            if old.state == SessionState::Partial && request.is_some() && old.established == time {
                generation = generation.max(old.generation);
                self.withdraw(at);
                continue;
            }
            generation = generation.max(old.generation + 1);
            if old.is_live() {
                self.end(at, waiting.time);
            }
        }
        if self.store.is_full() && !self.make_room(time) {
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
            up_node: to,
            established: time,
            signalled: time,
            doubted: if waiting.doubted { waiting.time } else { Nanos(0) },
            ..Session::default()
        };
        let Some(at) = self.store.add(session) else { return };
        let addresses = |f: Option<FSeid>| f.into_iter().flat_map(|f| f.addresses());
        for address in addresses(cp).chain([key.source]) {
            self.store.index_cp(at, address, cp_seid);
        }
        if up.is_some() {
            for address in addresses(up).chain([key.destination]) {
                self.store.index_up(at, address, up_seid);
            }
        }
        if request.is_some() {
            self.counters.established += 1;
        }
        self.apply(key, at, request, answer, waiting.time);
        // Of one that is known in part, the request may still come.
        if request.is_some() {
            self.count_users(at, from);
            self.look_for_ghosts(key, at, from, waiting.time);
            self.record(at, time);
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
        let Some(at) = waiting.session else { return };
        let Some(session) = self.store.find_mut(at) else { return };
        session.modifications += 1;
        session.signalled = time;
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

    /// A modification or deletion was refused: its owner goes on using what somebody
    /// else has ended.
    pub(super) fn refused(
        &mut self,
        key: &TransactionKey,
        waiting: &Waiting,
        cause: Option<Cause>,
        time: Nanos,
    ) {
        const CONTEXT_NOT_FOUND: u8 = 65;
        let Some(at) = waiting.session else { return };
        let Some(session) = self.store.find(at) else { return };
        let was_ended = session.state == SessionState::Deleted
            && cause == Some(Cause(CONTEXT_NOT_FOUND))
            && waiting.time > session.ended.plus(CROSSING)
            && session.doubted == Nanos(0);
        if !was_ended {
            return;
        }
        let context = self.context(session);
        let ended = session.ended;
        if let Some(session) = self.store.find_mut(at) {
            session.doubted = time;
            session.was_flagged_for.set(Flagged::DOUBTED_END);
        }
        self.accuse_order(key, ended, time, Severity::Critical, Fact::Contradiction, |it| {
            it.detection = PFCP_PEER;
            it.n4.session = Some(context);
            it.n4.doubt = 0.2;
        });
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

    /// Applies a request's rules, and what the answer adds to them.
    fn apply(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        request: Option<&Pfcp<'_>>,
        answer: &Pfcp<'_>,
        asked: Nanos,
    ) {
        let Some(mut session) = self.store.find(at).cloned() else { return };
        let failed = |rule: FailedRuleId| {
            groups(answer, kind::FAILED_RULE_ID)
                .filter_map(|value| FailedRuleId::parse(value).ok())
                .any(|failed| failed == rule)
        };
        if let Some(request) = request {
            for element in request.elements().map_while(Result::ok) {
                if element.enterprise.is_none() {
                    self.apply_element(&mut session, &element, &failed);
                }
            }
            let mut sets = sets_of(request);
            for place in &mut session.sets {
                if let Some(set) = sets.next() {
                    *place = set;
                }
            }
        }
        for created in groups(answer, kind::CREATED_PDR) {
            self.choose_pdr(&mut session, &PdrOrder::read(created));
        }
        for created in groups(answer, kind::CREATED_TRAFFIC_ENDPOINT) {
            self.choose_endpoint(&mut session, &EndpointOrder::read(created));
        }
        self.sync_tunnels(key, at, &mut session, asked);
        let (copied, up) = (self.copies_of(&session), key.destination);
        if session.was_flagged_for.has(Flagged::DUPLICATES) || copied.is_some() {
            self.claims.end_copies(at);
            session.was_flagged_for.clear(Flagged::DUPLICATES);
        }
        if let Some(target) = copied {
            session.was_flagged_for.set(Flagged::DUPLICATES);
            self.claims.copy(at, up, target);
        }
        let ue = session.ue;
        if let Some(place) = self.store.find_mut(at) {
            *place = session;
        }
        self.claim_addresses(key, at, &ue, asked);
    }

    /// Where a session is copied to, if it is.
    fn copies_of(&self, session: &Session) -> Option<Option<weir_wire::Address>> {
        let far = self.store.fars.find(session.fars, |far| {
            far.apply & ApplyAction::DUPL != 0 || far.copies_to.is_some()
        })?;
        Some(far.copies_to.and_then(|end| end.addresses().next()))
    }

    fn apply_element(
        &mut self,
        session: &mut Session,
        element: &Element<'_>,
        failed: &impl Fn(FailedRuleId) -> bool,
    ) {
        let value = element.value;
        match element.kind {
            kind::CREATE_PDR | kind::UPDATE_PDR => {
                let order = PdrOrder::read(value);
                if order.id.is_some_and(|id| !failed(FailedRuleId::Pdr(id))) {
                    self.apply_pdr(session, &order, element.kind == kind::CREATE_PDR);
                }
            }
            kind::CREATE_FAR | kind::UPDATE_FAR => self.apply_far(session, &FarOrder::read(value)),
            kind::CREATE_URR | kind::UPDATE_URR => self.apply_urr(session, value),
            kind::CREATE_TRAFFIC_ENDPOINT | kind::UPDATE_TRAFFIC_ENDPOINT => {
                self.apply_endpoint(session, &EndpointOrder::read(value));
            }
            kind::REMOVE_PDR => {
                let id = order::removed(value, kind::PDR_ID);
                self.store.pdrs.remove(&mut session.pdrs, |pdr| Some(u32::from(pdr.id)) == id);
            }
            kind::REMOVE_FAR => {
                let id = order::removed(value, kind::FAR_ID);
                self.store.fars.remove(&mut session.fars, |far| Some(far.id) == id);
            }
            kind::REMOVE_URR => {
                let id = order::removed(value, kind::URR_ID);
                self.store.urrs.remove(&mut session.urrs, |urr| Some(urr.id) == id);
            }
            kind::REMOVE_TRAFFIC_ENDPOINT => {
                let id = order::removed(value, kind::TRAFFIC_ENDPOINT_ID);
                self.store
                    .endpoints
                    .remove(&mut session.endpoints, |end| Some(u32::from(end.id)) == id);
            }
            kind::USER_ID => {
                if let Ok(user) = UserId::parse(value) {
                    session.who = self.pseudonyms.of(&user);
                }
            }
            kind::APN_DNN => {
                if let Ok(name) = Name::parse(value) {
                    session.dnn = self.names.number(&name);
                }
            }
            kind::S_NSSAI => {
                session.slice =
                    SNssai::parse(value).ok().map(|slice| Slice { sst: slice.sst, sd: slice.sd });
            }
            kind::PDN_TYPE => {
                session.pdn_type = PdnType::parse(value).map_or(0, |kind| kind.0);
            }
            _ => {}
        }
    }

    fn apply_pdr(&mut self, session: &mut Session, order: &PdrOrder<'_>, is_new: bool) {
        let Some(id) = order.id else { return };
        let known = self.store.pdrs.find_mut(session.pdrs, |pdr| pdr.id == id.0);
        let pdr = match known {
            Some(pdr) => {
                if is_new {
                    *pdr = Pdr { id: id.0, ..Pdr::default() };
                }
                Some(pdr)
            }
            None => {
                let fresh = Pdr { id: id.0, ..Pdr::default() };
                self.store.pdrs.push(&mut session.pdrs, fresh).ok()
            }
        };
        let Some(pdr) = pdr else { return };
        pdr.precedence = order.precedence.or(pdr.precedence);
        pdr.source = order.source.map_or(pdr.source, |source| source.0);
        pdr.far = order.far.or(pdr.far);
        pdr.endpoint = order.endpoint.or(pdr.endpoint);
        pdr.qfi = order.qfi.or(pdr.qfi);
        if order.urrs[0].is_some() {
            pdr.urrs = order.urrs;
        }
        if let Some(end) = order.end {
            pdr.end = Some(local_end(&end, pdr.end));
        }
        self.apply_place(session, order.ue, order.instance, order.route);
    }

    fn apply_endpoint(&mut self, session: &mut Session, order: &EndpointOrder<'_>) {
        let Some(id) = order.id else { return };
        let known = self.store.endpoints.find_mut(session.endpoints, |end| end.id == id);
        let endpoint = match known {
            Some(endpoint) => Some(endpoint),
            None => {
                let fresh = Endpoint { id, end: None };
                self.store.endpoints.push(&mut session.endpoints, fresh).ok()
            }
        };
        if let (Some(endpoint), Some(end)) = (endpoint, order.end) {
            endpoint.end = Some(local_end(&end, endpoint.end));
        }
        self.apply_place(session, order.ue, order.instance, order.route);
    }

    /// Who the subscriber is in the network: addresses, instance, routes behind.
    fn apply_place(
        &mut self,
        session: &mut Session,
        ue: Option<UeIp>,
        instance: Option<Name<'_>>,
        route: Option<FramedRoute<'_>>,
    ) {
        if let Some(ue) = ue {
            add_addresses(session, &ue);
            // The instance of the user's side is where the address is unique.
            if let Some(name) = instance {
                session.instance = self.names.number(&name);
            }
        } else if let Some(name) = instance
            && session.instance == super::names::NameId::NONE
        {
            session.instance = self.names.number(&name);
        }
        if let Some((address, prefix)) = route.as_ref().and_then(order::route) {
            let fresh = Route { address, prefix };
            if self.store.routes.find(session.routes, |known| *known == fresh).is_none() {
                let _ = self.store.routes.push(&mut session.routes, fresh);
            }
        }
    }

    fn apply_far(&mut self, session: &mut Session, order: &FarOrder<'_>) {
        let Some(id) = order.id else { return };
        let known = self.store.fars.find_mut(session.fars, |far| far.id == id);
        let far = match known {
            Some(far) => Some(far),
            None => {
                let fresh = Far { id, destination: u8::MAX, ..Far::default() };
                self.store.fars.push(&mut session.fars, fresh).ok()
            }
        };
        let Some(far) = far else { return };
        far.apply = order.apply.map_or(far.apply, |apply| apply.0);
        far.destination = order.destination.map_or(far.destination, |to| to.0);
        far.to = order.to.or(far.to);
        far.copies_to = order.copies_to.or(far.copies_to);
        if order.apply.is_some_and(|apply| !apply.has(ApplyAction::DUPL)) && !order.duplicates {
            far.copies_to = None;
        }
    }

    fn apply_urr(&mut self, session: &mut Session, value: &[u8]) {
        let Some((id, volume)) = order::urr(value) else { return };
        let known = self.store.urrs.find_mut(session.urrs, |urr| urr.id == id);
        let urr = match known {
            Some(urr) => Some(urr),
            None => {
                let fresh = Urr { id, since: session.signalled, ..Urr::default() };
                self.store.urrs.push(&mut session.urrs, fresh).ok()
            }
        };
        if let (Some(urr), Some(volume)) = (urr, volume) {
            urr.measures_volume = volume;
        }
    }

    /// The UP function chose an F-TEID or a UE address for a PDR.
    fn choose_pdr(&mut self, session: &mut Session, created: &PdrOrder<'_>) {
        let Some(id) = created.id else { return };
        let mut choose_id = None;
        if let Some(chosen) = created.end {
            let pdr = match self.store.pdrs.find_mut(session.pdrs, |pdr| pdr.id == id.0) {
                Some(pdr) => Some(pdr),
                // Known in part: the request was not seen.
                None => {
                    let fresh = Pdr { id: id.0, ..Pdr::default() };
                    self.store.pdrs.push(&mut session.pdrs, fresh).ok()
                }
            };
            if let Some(pdr) = pdr {
                choose_id = pdr.end.and_then(|end| end.choose_id);
                pdr.end = Some(LocalEnd { choose_id, ..local_end(&chosen, None) });
            }
            self.share_choice(session, choose_id, &chosen);
        }
        if let Some(ue) = created.ue {
            add_addresses(session, &ue);
        }
    }

    fn choose_endpoint(&mut self, session: &mut Session, created: &EndpointOrder<'_>) {
        if let Some(chosen) = created.end {
            let choose_id = self
                .store
                .endpoints
                .find(session.endpoints, |end| Some(end.id) == created.id)
                .and_then(|end| end.end?.choose_id);
            self.apply_endpoint(session, created);
            self.share_choice(session, choose_id, &chosen);
        }
        if let Some(ue) = created.ue {
            add_addresses(session, &ue);
        }
    }

    /// Ends that were to be the same by their CHOOSE ID are the same.
    fn share_choice(&mut self, session: &Session, choose_id: Option<u8>, chosen: &FTeid) {
        let Some(choose_id) = choose_id else { return };
        let waits = |end: &LocalEnd| end.chosen_later && end.choose_id == Some(choose_id);
        let settled = LocalEnd { choose_id: Some(choose_id), ..local_end(chosen, None) };
        self.store.pdrs.each(session.pdrs, |pdr| {
            if pdr.end.as_ref().is_some_and(waits) {
                pdr.end = Some(settled);
            }
        });
        self.store.endpoints.each(session.endpoints, |endpoint| {
            if endpoint.end.as_ref().is_some_and(waits) {
                endpoint.end = Some(settled);
            }
        });
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
        let outside = session.addresses().any(|ue| !rules.is_in_pool(ue.address, instance));
        let (with, without) =
            self.nodes.node(cp).map_or((0, 0), |node| (node.with_user, node.without_user));
        let share = with as f64 / (with + without).max(1) as f64;
        let anonymous = session.who == Default::default()
            && with + without >= COHORT
            && share >= self.settings.ghost_user_id_share;
        let oddity = if outside {
            Oddity::OutsidePools
        } else if dnn.is_some_and(|dnn| !rules.is_dnn(dnn)) {
            Oddity::UndeclaredDnn
        } else if session.slice.is_some_and(|slice| !rules.is_slice(slice)) {
            Oddity::UndeclaredSlice
        } else if anonymous {
            Oddity::NoUserId
        } else {
            return;
        };
        let context = self.context(session);
        if let Some(session) = self.store.find_mut(at) {
            session.was_flagged_for.set(Flagged::GHOST);
        }
        self.accuse_order(key, time, time, Severity::Medium, Fact::Ghost(oddity), |it| {
            it.detection = PFCP_GHOST;
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

    /// Makes room for a session: the harmless give way first.
    fn make_room(&mut self, time: Nanos) -> bool {
        let nodes = &self.nodes;
        let victim = self.store.candidate(|session| {
            let declared = nodes.node(session.cp_node).is_some_and(|node| node.equipment.is_some());
            u8::from(declared) * 2 + u8::from(session.modifications > 0)
        });
        let Some(victim) = victim else { return false };
        self.close_tunnels(victim, time);
        self.forget(victim, time);
        true
    }

    /// A session has ended.
    pub(super) fn end(&mut self, at: SessionRef, time: Nanos) {
        let Some(session) = self.store.find_mut(at) else { return };
        if !session.is_live() {
            return;
        }
        session.ended = time;
        session.signalled = time;
        let doubted =
            session.doubted != Nanos(0) || session.was_flagged_for.has(Flagged::DOUBTED_END);
        self.store.set_state(at, SessionState::Deleted);
        self.counters.deleted += 1;
        // Whoever goes on using what another ended is known for longer.
        if !doubted {
            self.close_tunnels(at, time);
        }
        let memory = if doubted { super::DOUBTED_MEMORY } else { super::MEMORY };
        let due = time.plus(memory);
        let place = self.ended.partition_point(|(other, _)| *other <= due);
        self.ended.insert(place, (due, at));
    }

    /// Takes back what was known of a session in part.
    fn withdraw(&mut self, at: SessionRef) {
        if let Some(session) = self.store.find(at).cloned() {
            self.release_tunnels(&session);
            self.store.remove(at);
        }
    }

    /// Says how a session stands at the end of the input.
    pub(super) fn conclude(&mut self, at: SessionRef, now: Nanos) {
        let Some(session) = self.store.find(at).cloned() else { return };
        self.show(&session);
        if session.state != SessionState::Active {
            self.record(at, now);
        }
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
        self.release_tunnels(&session);
        self.store.remove(at);
    }
}

fn local_end(given: &FTeid, before: Option<LocalEnd>) -> LocalEnd {
    match given.teid {
        Some(teid) => LocalEnd {
            teid: teid.0,
            v4: given.v4,
            v6: given.v6,
            chosen_later: false,
            choose_id: None,
        },
        // Asked to choose again: until the answer says otherwise the end stays.
        None => LocalEnd {
            chosen_later: before.is_none_or(|before| before.teid == 0),
            choose_id: given.choose_id,
            ..before.unwrap_or_default()
        },
    }
}

/// Adds a session's addresses; an unspecified one is not one yet.
fn add_addresses(session: &mut Session, ue: &UeIp) {
    let v6 = ue.v6.filter(|address| address.0 != 0).map(|address| {
        let bits = ue.prefix_len.filter(|bits| (1..=128).contains(bits)).unwrap_or(64);
        let kept = u128::MAX << (128 - u32::from(bits)).min(127);
        (weir_wire::Address(address.0 & kept), bits)
    });
    let v4 = ue.v4.filter(|address| address.as_v4() != Some(0)).map(|address| (address, 32));
    for (address, prefix) in [v4, v6].into_iter().flatten() {
        let is_v4 = address.as_v4().is_some();
        let same = session.ue.iter().any(|ue| ue.prefix != 0 && ue.address == address);
        if same {
            continue;
        }
        // A new address of a family takes the place of the one before.
        let family = |ue: &super::session::UeAddress| {
            ue.prefix == 0 || ue.address.as_v4().is_some() == is_v4
        };
        if let Some(place) = session.ue.iter_mut().find(|ue| family(ue)) {
            place.address = address;
            place.prefix = prefix;
            place.claimed = false;
        }
    }
}

/// Whether a rule's source is the radio side.
pub(super) fn is_access(interface: u8) -> bool {
    Interface(interface) == Interface::ACCESS
}
