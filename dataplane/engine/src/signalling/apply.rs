//! The rules of a request, put into a session: what it creates, updates and removes,
//! and what the answer chose for it. Updates replace only what they carry.

use weir_wire::Address;
use weir_wire::pfcp::{Element, Pfcp};
use weir_wire::pfcp_ie::{
    ApplyAction, FTeid, FailedRuleId, FramedRoute, Interface, Name, PdnType, SNssai, UeIp, UserId,
    kind,
};

use super::Signalling;
use super::association::sets_of;
use super::names::NameId;
use super::order::{self, EndpointOrder, FarOrder, PdrOrder};
use super::request::groups;
use super::session::{
    EndAddresses, Endpoint, Far, Flagged, LocalEnd, Pdr, Route, Session, SessionRef, UeAddress, Urr,
};
use super::transactions::TransactionKey;
use crate::Nanos;
use crate::contract::session::Slice;

/// Rules of one answer that failed; each rule of the request is compared with them.
const FAILED_RULES: usize = 256;

impl Signalling {
    /// Applies a request's rules, and what the answer adds to them.
    pub(super) fn apply(
        &mut self,
        key: &TransactionKey,
        at: SessionRef,
        request: Option<&Pfcp<'_>>,
        answer: &Pfcp<'_>,
        asked: Nanos,
    ) {
        let Some(mut session) = self.store.find(at).cloned() else { return };
        let failed_rules: Vec<FailedRuleId> = groups(answer, kind::FAILED_RULE_ID)
            .filter_map(|value| FailedRuleId::parse(value).ok())
            .take(FAILED_RULES)
            .collect();
        let failed = |rule: FailedRuleId| failed_rules.contains(&rule);
        if let Some(request) = request {
            for element in request.elements().map_while(Result::ok) {
                if element.enterprise.is_none() {
                    self.note_removal(at, &element, asked);
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
        self.foresee_users(&session);
        self.sync_tunnels(key, at, &mut session, asked);
        let (copied, up) = (self.copies_of(&session), key.destination);
        if session.was_flagged_for.has(Flagged::DUPLICATES) || copied.is_some() {
            self.claims.end_copies(at);
            self.streams.end_order(at);
            session.was_flagged_for.clear(Flagged::DUPLICATES);
        }
        if let Some(target) = copied {
            session.was_flagged_for.set(Flagged::DUPLICATES);
            self.claims.copy(at, up, target);
            self.streams.order(at, up, target, self.now);
        }
        let ue = session.ue;
        if let Some(place) = self.store.find_mut(at) {
            let before = std::mem::replace(place, session);
            self.close_users(&before.ue, &ue, asked);
        }
        self.claim_addresses(key, at, &ue, asked);
        self.open_routes(at);
    }

    /// Where a session is copied to, if it is.
    fn copies_of(&self, session: &Session) -> Option<Option<Address>> {
        let far = self.store.fars.find(session.fars, |far| {
            far.apply & ApplyAction::DUPL != 0 || far.copies_to.is_some()
        })?;
        Some(far.copies_to.and_then(|end| end.addresses.iter().next()))
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
                let id = order::rule_id(value, kind::PDR_ID);
                self.store.pdrs.remove(&mut session.pdrs, |pdr| Some(u32::from(pdr.id)) == id);
            }
            kind::REMOVE_FAR => {
                let id = order::rule_id(value, kind::FAR_ID);
                self.store.fars.remove(&mut session.fars, |far| Some(far.id) == id);
            }
            kind::REMOVE_URR => {
                let id = order::rule_id(value, kind::URR_ID);
                self.store.urrs.remove(&mut session.urrs, |urr| Some(urr.id) == id);
            }
            kind::REMOVE_TRAFFIC_ENDPOINT => {
                let id = order::rule_id(value, kind::TRAFFIC_ENDPOINT_ID);
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
        let fresh = Pdr { id: id.0, ..Pdr::default() };
        let pdr = self.store.pdrs.find_or_push(&mut session.pdrs, |pdr| pdr.id == id.0, fresh);
        let Some(pdr) = pdr else { return };
        if is_new {
            *pdr = fresh;
        }
        pdr.precedence = order.precedence.or(pdr.precedence);
        pdr.source = order.source.map_or(pdr.source, |source| source.0);
        pdr.endpoint = order.endpoint.or(pdr.endpoint);
        if order.urrs[0].is_some() {
            pdr.urrs = order.urrs;
        }
        if let Some(end) = order.end {
            pdr.end = Some(local_end(&end, pdr.end));
        }
        let is_of_network = order.source.is_some_and(|source| !is_access(source.0));
        self.apply_place(session, order.ue, order.instance, order.route, is_of_network);
    }

    fn apply_endpoint(&mut self, session: &mut Session, order: &EndpointOrder<'_>) {
        let Some(id) = order.id else { return };
        let fresh = Endpoint { id, end: None };
        let (endpoints, list) = (&mut self.store.endpoints, &mut session.endpoints);
        let endpoint = endpoints.find_or_push(list, |end| end.id == id, fresh);
        if let (Some(endpoint), Some(end)) = (endpoint, order.end) {
            endpoint.end = Some(local_end(&end, endpoint.end));
        }
        self.apply_place(session, order.ue, order.instance, order.route, false);
    }

    /// Who the subscriber is in the network: addresses, instance, routes behind.
    fn apply_place(
        &mut self,
        session: &mut Session,
        ue: Option<UeIp>,
        instance: Option<Name<'_>>,
        route: Option<FramedRoute<'_>>,
        is_of_network: bool,
    ) {
        if let Some(ue) = ue {
            add_addresses(session, &ue);
        }
        // The data network's side names where the address is unique; another only as long
        // as that one says nothing.
        if let Some(name) = instance
            && (is_of_network || session.instance == NameId::NONE)
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

    fn apply_far(&mut self, session: &mut Session, order: &FarOrder) {
        let Some(id) = order.id else { return };
        let fresh = Far { id, destination: u8::MAX, ..Far::default() };
        let far = self.store.fars.find_or_push(&mut session.fars, |far| far.id == id, fresh);
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
        if let Some(id) = order::rule_id(value, kind::URR_ID) {
            let fresh = Urr { id, ..Urr::default() };
            self.store.urrs.find_or_push(&mut session.urrs, |urr| urr.id == id, fresh);
        }
    }

    /// The UP function chose an F-TEID or a UE address for a PDR.
    fn choose_pdr(&mut self, session: &mut Session, created: &PdrOrder<'_>) {
        let Some(id) = created.id else { return };
        let mut choose_id = None;
        if let Some(chosen) = created.end {
            // None is known of a session in part: the request was not seen.
            let fresh = Pdr { id: id.0, ..Pdr::default() };
            let pdr = self.store.pdrs.find_or_push(&mut session.pdrs, |pdr| pdr.id == id.0, fresh);
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
}

fn local_end(given: &FTeid, before: Option<LocalEnd>) -> LocalEnd {
    match given.teid {
        Some(teid) => LocalEnd {
            teid: teid.0,
            addresses: EndAddresses::new(given.v4, given.v6),
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
        (Address(address.0 & kept), bits)
    });
    let v4 = ue.v4.filter(|address| address.as_v4() != Some(0)).map(|address| (address, 32));
    for (address, prefix) in [v4, v6].into_iter().flatten() {
        let is_v4 = address.as_v4().is_some();
        let same = session.ue.iter().any(|ue| ue.prefix != 0 && ue.address == address);
        if same {
            continue;
        }
        // A new address of a family takes the place of the one before.
        let family = |ue: &UeAddress| ue.prefix == 0 || ue.address.as_v4().is_some() == is_v4;
        if let Some(place) = session.ue.iter_mut().find(|ue| family(ue)) {
            place.address = address;
            place.prefix = prefix;
            place.claimed = false;
            place.row = None;
        }
    }
}

/// Whether a rule's source is the radio side.
pub(super) fn is_access(interface: u8) -> bool {
    Interface(interface) == Interface::ACCESS
}
