//! All sessions: by place, by their SEIDs, and by the UE addresses that they claim.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use weir_wire::Address;

use super::keyed::KeyedHasher;
use super::names::NameId;
use super::pool::Pool;
use super::session::{Endpoint, Far, Held, Pdr, Route, Session, SessionRef, UeAddress, Urr};
use crate::Nanos;
use crate::contract::session::SessionState;

/// How many places are compared when a session must give way.
const CANDIDATES: usize = 64;

/// Rules a session may have on the average; a session alone may have far more.
const RULES_PER_SESSION: usize = 4;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<KeyedHasher>>;

/// Where a UE address is unique: in one network instance of one UP function.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ClaimKey {
    pub(crate) up_node: u32,
    pub(crate) instance: NameId,
    pub(crate) address: Address,
}

/// The sessions and what is in them.
#[derive(Debug)]
pub(crate) struct Store {
    places: Vec<Option<Session>>,
    uses: Vec<u32>,
    free: Vec<u32>,
    by_cp: Map<(Address, u64), u32>,
    by_up: Map<(Address, u64), u32>,
    claims: Map<ClaimKey, SessionRef>,
    bound: usize,
    hand: usize,
    counts: [u64; SessionState::ALL.len()],
    evictions: u64,
    pub(crate) pdrs: Pool<Pdr>,
    pub(crate) fars: Pool<Far>,
    pub(crate) urrs: Pool<Urr>,
    pub(crate) endpoints: Pool<Endpoint>,
    pub(crate) routes: Pool<Route>,
    pub(crate) held: Pool<Held>,
}

impl Store {
    /// Room for so many sessions.
    pub(crate) fn new(bound: usize) -> Self {
        let map = || HashMap::with_capacity_and_hasher(bound, BuildHasherDefault::default());
        Self {
            places: Vec::with_capacity(bound),
            uses: Vec::with_capacity(bound),
            free: Vec::new(),
            by_cp: map(),
            by_up: map(),
            claims: HashMap::with_capacity_and_hasher(bound, BuildHasherDefault::default()),
            bound,
            hand: 0,
            counts: [0; SessionState::ALL.len()],
            evictions: 0,
            pdrs: Pool::new(bound * RULES_PER_SESSION),
            fars: Pool::new(bound * RULES_PER_SESSION),
            urrs: Pool::new(bound * RULES_PER_SESSION),
            endpoints: Pool::new(bound * RULES_PER_SESSION),
            routes: Pool::new(bound.max(1024)),
            held: Pool::new(bound * RULES_PER_SESSION * 2),
        }
    }

    /// A session, unless its place has been used again since.
    pub(crate) fn find(&self, at: SessionRef) -> Option<&Session> {
        self.places.get(at.place as usize)?.as_ref().filter(|session| session.uses == at.uses)
    }

    /// The same, to be changed. Its state is changed by [`Store::set_state`].
    pub(crate) fn find_mut(&mut self, at: SessionRef) -> Option<&mut Session> {
        let session = self.places.get_mut(at.place as usize)?.as_mut();
        session.filter(|session| session.uses == at.uses)
    }

    /// The session at a place, whichever use it is.
    pub(crate) fn at(&self, place: u32) -> Option<SessionRef> {
        let session = self.places.get(place as usize)?.as_ref()?;
        Some(SessionRef { place, uses: session.uses })
    }

    /// The session with this CP F-SEID.
    pub(crate) fn by_cp(&self, address: Address, seid: u64) -> Option<SessionRef> {
        self.at(*self.by_cp.get(&(address, seid))?)
    }

    /// The session with this UP F-SEID.
    pub(crate) fn by_up(&self, address: Address, seid: u64) -> Option<SessionRef> {
        self.at(*self.by_up.get(&(address, seid))?)
    }

    /// Whether another session needs a place of one that is there.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= self.bound
    }

    /// The session that gives way to another: of the next 64, one that has ended or was
    /// never agreed on before one that lives, then the one longest without a message.
    /// `worth` ranks those that live.
    pub(crate) fn candidate(&mut self, worth: impl Fn(&Session) -> u8) -> Option<SessionRef> {
        let len = self.places.len();
        let victim = (self.hand..self.hand + CANDIDATES)
            .map(|place| place % len.max(1))
            .filter_map(|place| Some((place, self.places.get(place)?.as_ref()?)))
            .min_by_key(|(place, session)| {
                let lives = match session.state {
                    _ if session.ended != Nanos::MAX => 0,
                    SessionState::Deleted => 0,
                    SessionState::Pending | SessionState::Partial => 1,
                    SessionState::Stale => 2,
                    SessionState::Active => 3,
                };
                (lives, worth(session), session.signalled, *place)
            })
            .map(|(place, session)| SessionRef { place: place as u32, uses: session.uses })?;
        self.hand = (self.hand + CANDIDATES) % len;
        self.evictions += 1;
        Some(victim)
    }

    /// Adds a session; none if there is no place.
    pub(crate) fn add(&mut self, session: Session) -> Option<SessionRef> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places.len() < self.bound => {
                self.places.push(None);
                self.uses.push(0);
                (self.places.len() - 1) as u32
            }
            None => return None,
        };
        let uses = self.uses[place as usize].wrapping_add(1);
        self.uses[place as usize] = uses;
        self.counts[session.state as usize] += 1;
        self.places[place as usize] = Some(Session { uses, ..session });
        Some(SessionRef { place, uses })
    }

    /// Makes a session known by a CP F-SEID.
    pub(crate) fn index_cp(&mut self, at: SessionRef, address: Address, seid: u64) {
        self.by_cp.insert((address, seid), at.place);
    }

    /// Makes a session known by a UP F-SEID.
    pub(crate) fn index_up(&mut self, at: SessionRef, address: Address, seid: u64) {
        self.by_up.insert((address, seid), at.place);
    }

    /// Takes a session's SEIDs out of the indices, unless they are another's by now.
    pub(crate) fn forget_seids(&mut self, at: SessionRef, ends: [(Address, u64); 2]) {
        let [cp, up] = ends;
        if self.by_cp.get(&cp) == Some(&at.place) {
            self.by_cp.remove(&cp);
        }
        if self.by_up.get(&up) == Some(&at.place) {
            self.by_up.remove(&up);
        }
    }

    /// Changes a session's state.
    pub(crate) fn set_state(&mut self, at: SessionRef, state: SessionState) {
        let Some(session) = self.find_mut(at) else { return };
        let before = std::mem::replace(&mut session.state, state);
        self.counts[before as usize] -= 1;
        self.counts[state as usize] += 1;
    }

    /// Takes a session out, with all of its rules; what held tunnels is emptied first.
    pub(crate) fn remove(&mut self, at: SessionRef) -> Option<Nanos> {
        let session = self.find(at)?.clone();
        self.forget_seids(at, [(session.cp, session.cp_seid), (session.up, session.up_seid)]);
        for ue in session.addresses() {
            self.unclaim(at, &session, ue);
        }
        drain(&mut self.pdrs, session.pdrs);
        drain(&mut self.fars, session.fars);
        drain(&mut self.urrs, session.urrs);
        drain(&mut self.endpoints, session.endpoints);
        drain(&mut self.routes, session.routes);
        drain(&mut self.held, session.tunnels);
        self.counts[session.state as usize] -= 1;
        self.places[at.place as usize] = None;
        self.free.push(at.place);
        Some(session.ended)
    }

    /// Who claims an address.
    pub(crate) fn claimant(&self, key: &ClaimKey) -> Option<SessionRef> {
        self.claims.get(key).copied().filter(|at| self.find(*at).is_some())
    }

    /// Claims an address for a session.
    pub(crate) fn claim(&mut self, key: ClaimKey, at: SessionRef) {
        if self.claims.len() < self.bound * 2 || self.claims.contains_key(&key) {
            self.claims.insert(key, at);
        }
    }

    /// Gives a session's claim on an address up.
    pub(crate) fn unclaim(&mut self, at: SessionRef, session: &Session, ue: &UeAddress) {
        let key =
            ClaimKey { up_node: session.up_node, instance: session.instance, address: ue.address };
        if self.claims.get(&key) == Some(&at) {
            self.claims.remove(&key);
        }
    }

    /// Every session that is `wanted`, in the order of the places.
    pub(crate) fn all(&self, wanted: impl Fn(&Session) -> bool) -> Vec<SessionRef> {
        let sessions = self.places.iter().enumerate();
        sessions
            .filter_map(|(place, session)| Some((place, session.as_ref()?)))
            .filter(|(_, session)| wanted(session))
            .map(|(place, session)| SessionRef { place: place as u32, uses: session.uses })
            .collect()
    }

    /// Sessions by state.
    pub(crate) fn counts(&self) -> [u64; SessionState::ALL.len()] {
        self.counts
    }

    /// Sessions given up for others.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

fn drain<T: Default>(pool: &mut Pool<T>, mut head: u32) {
    while pool.pop(&mut head).is_some() {}
}
