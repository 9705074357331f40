//! All sessions: by place, by their SEIDs, and by the UE addresses that they claim.

use weir_wire::Address;

use super::keyed::{Index, hash_key};
use super::names::NameId;
use super::pool::Pool;
use super::session::{Endpoint, Far, Held, Pdr, Route, Session, SessionRef, UeAddress, Urr};
use crate::Nanos;
use crate::contract::session::SessionState;

/// How many places are compared when a session must give way.
const CANDIDATES: usize = 64;

/// Rules a session may have on the average; a session alone may have far more.
const RULES_PER_SESSION: usize = 4;

/// F-SEIDs by which a session is known on each side: of either family one, and that of
/// the address that its node spoke from.
const SEIDS: usize = 3;
/// Addresses that a session claims, on the average.
const CLAIMS: usize = 2;

/// Where a UE address is unique: in one network instance of one UP function.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ClaimKey {
    pub(crate) up_node: u32,
    pub(crate) instance: NameId,
    pub(crate) address: Address,
}

impl ClaimKey {
    fn of(session: &Session, ue: &UeAddress) -> Self {
        Self { up_node: session.up_node, instance: session.instance, address: ue.address }
    }
}

/// The sessions and what is in them.
#[derive(Debug)]
pub(crate) struct Store {
    places: Vec<Option<Session>>,
    uses: Vec<u32>,
    free: Vec<u32>,
    /// Sessions by the hashes of their F-SEIDs, and of the addresses that they claim.
    by_cp: Index,
    by_up: Index,
    claims: Index,
    /// Hashes that found no room since the indices were last swept.
    refused: usize,
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
        Self {
            places: Vec::with_capacity(bound),
            uses: Vec::with_capacity(bound),
            free: Vec::new(),
            by_cp: Index::new(bound * SEIDS),
            by_up: Index::new(bound * SEIDS),
            claims: Index::new(bound * CLAIMS),
            refused: 0,
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

    /// How many places were ever used.
    pub(crate) fn places(&self) -> u32 {
        self.places.len() as u32
    }

    /// The session with this CP F-SEID.
    pub(crate) fn by_cp(&self, address: Address, seid: u64) -> Option<SessionRef> {
        self.alive(&self.by_cp, hash_key(&(address, seid)))
    }

    /// The session with this UP F-SEID.
    pub(crate) fn by_up(&self, address: Address, seid: u64) -> Option<SessionRef> {
        self.alive(&self.by_up, hash_key(&(address, seid)))
    }

    fn alive(&self, index: &Index, hash: u64) -> Option<SessionRef> {
        let at = SessionRef::unpack(index.find(hash)?);
        self.find(at).map(|_| at)
    }

    fn seids(&self, by_up: bool) -> &Index {
        if by_up { &self.by_up } else { &self.by_cp }
    }

    /// Asks for the slot where a session is looked for by its UP or CP F-SEID.
    pub(crate) fn foresee_slot(&self, hash: u64, by_up: bool) {
        self.seids(by_up).prefetch(hash);
    }

    /// Asks for the slot where the claim of an address is looked for.
    pub(crate) fn foresee_claim(&self, session: &Session, ue: &UeAddress) {
        self.claims.prefetch(hash_key(&ClaimKey::of(session, ue)));
    }

    /// Asks for a session whose slot is there.
    pub(crate) fn foresee_session(&self, hash: u64, by_up: bool) -> Option<SessionRef> {
        let at = SessionRef::unpack(self.seids(by_up).find(hash)?);
        self.foresee_place(at);
        Some(at)
    }

    /// Asks for a session.
    pub(crate) fn foresee_place(&self, at: SessionRef) {
        if let Some(place) = self.places.get(at.place as usize) {
            weir_mem::prefetch_whole(place);
        }
    }

    /// Asks for the rules of a session that is there.
    pub(crate) fn foresee_rules(&self, at: SessionRef) {
        let Some(session) = self.find(at) else { return };
        self.pdrs.prefetch(session.pdrs);
        self.fars.prefetch(session.fars);
        self.urrs.prefetch(session.urrs);
        self.held.prefetch(session.tunnels);
    }

    /// Asks for the slots of a session that is there, and for the rows that it has: what
    /// forgetting it touches.
    pub(crate) fn foresee_indices(&self, at: SessionRef) {
        let Some(session) = self.find(at) else { return };
        self.by_cp.prefetch(hash_key(&(session.cp, session.cp_seid)));
        self.by_up.prefetch(hash_key(&(session.up, session.up_seid)));
        for ue in session.addresses() {
            self.foresee_claim(session, ue);
        }
        self.foresee_rules(at);
    }

    /// Makes room among hashes of sessions that are gone: a session that had several
    /// F-SEIDs on one side leaves the others behind.
    #[cold]
    fn sweep(&mut self) {
        // All of it may be in use: then it is tried again after a while only.
        let is_due = self.refused == 0;
        self.refused = (self.refused + 1) % (self.bound / 16).max(1);
        if !is_due {
            return;
        }
        let Self { places, by_cp, by_up, claims, .. } = self;
        for index in [by_cp, by_up, claims] {
            if index.is_full() {
                index.retain(|number| {
                    let at = SessionRef::unpack(number);
                    let session = places.get(at.place as usize).and_then(Option::as_ref);
                    session.is_some_and(|session| session.uses == at.uses)
                });
            }
        }
    }

    /// Whether another session needs a place of one that is there.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() >= self.bound
    }

    /// The session that gives way to another: of the next 64, one that has ended or was
    /// never agreed on before one that lives, then the one that is worth least, then the one
    /// longest without a message. The worth is given of one that is agreed.
    pub(crate) fn candidate(
        &self,
        worth: impl Fn(&Session) -> u8,
    ) -> Option<(SessionRef, Option<u8>)> {
        let len = self.places.len();
        let rank = |session: &Session| match session.state {
            _ if session.ended != Nanos::MAX => (0, 0),
            SessionState::Deleted => (0, 0),
            SessionState::Pending | SessionState::Partial => (1, 0),
            SessionState::Stale => (2, 0),
            SessionState::Active => (3, worth(session)),
        };
        (self.hand..self.hand + CANDIDATES)
            .map(|place| place % len.max(1))
            .filter_map(|place| Some((place, self.places.get(place)?.as_ref()?)))
            .map(|(place, session)| (rank(session), session.signalled, place, session.uses))
            .min()
            .map(|((lives, worth), _, place, uses)| {
                (SessionRef { place: place as u32, uses }, (lives == 3).then_some(worth))
            })
    }

    /// Counts a session that gives way, or finds no room; the next search goes on behind.
    pub(crate) fn count_eviction(&mut self) {
        self.hand = (self.hand + CANDIDATES) % self.places.len().max(1);
        self.evictions += 1;
    }

    /// Sessions that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.bound
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
        let hash = hash_key(&(address, seid));
        if !self.by_cp.insert(hash, at.pack()) {
            self.sweep();
            self.by_cp.insert(hash, at.pack());
        }
    }

    /// Makes a session known by a UP F-SEID.
    pub(crate) fn index_up(&mut self, at: SessionRef, address: Address, seid: u64) {
        let hash = hash_key(&(address, seid));
        if !self.by_up.insert(hash, at.pack()) {
            self.sweep();
            self.by_up.insert(hash, at.pack());
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
        // In parts, so that the session need not be copied.
        let Self { places, by_cp, by_up, claims, .. } = self;
        let place = places.get_mut(at.place as usize)?;
        let session = place.as_mut().filter(|session| session.uses == at.uses)?;
        by_cp.remove(hash_key(&(session.cp, session.cp_seid)), at.pack());
        by_up.remove(hash_key(&(session.up, session.up_seid)), at.pack());
        for ue in session.addresses() {
            claims.remove(hash_key(&ClaimKey::of(session, ue)), at.pack());
        }
        self.pdrs.clear(&mut session.pdrs);
        self.fars.clear(&mut session.fars);
        self.urrs.clear(&mut session.urrs);
        self.endpoints.clear(&mut session.endpoints);
        self.routes.clear(&mut session.routes);
        self.held.clear(&mut session.tunnels);
        self.counts[session.state as usize] -= 1;
        let ended = session.ended;
        *place = None;
        self.free.push(at.place);
        Some(ended)
    }

    /// Who claims an address.
    pub(crate) fn claimant(&self, key: &ClaimKey) -> Option<SessionRef> {
        self.alive(&self.claims, hash_key(key))
    }

    /// Claims an address for a session.
    pub(crate) fn claim(&mut self, key: ClaimKey, at: SessionRef) {
        let hash = hash_key(&key);
        if !self.claims.insert(hash, at.pack()) {
            self.sweep();
            self.claims.insert(hash, at.pack());
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
            + self.pdrs.refused()
            + self.fars.refused()
            + self.urrs.refused()
            + self.endpoints.refused()
            + self.routes.refused()
    }
}

impl SessionRef {
    const fn pack(self) -> u64 {
        (self.uses as u64) << 32 | self.place as u64
    }

    const fn unpack(number: u64) -> Self {
        Self { place: number as u32, uses: (number >> 32) as u32 }
    }
}
