//! Users of whose sessions the tap missed a half: it saw asked for what it did not see answered,
//! or answered what it did not see asked for. Tunnels of theirs that N4 never named are no
//! evidence, as many as a session has.
//!
//! Of an establishment that was only seen answered the user is unknown. The first user of that
//! UP function whom no session has is taken for it.

use std::collections::{BTreeMap, VecDeque};

use arrayvec::ArrayVec;
use weir_wire::Address;

use super::asked::whole;
use super::recent::Recent;
use super::session::SessionRef;
use crate::Nanos;
use crate::tunnels::FTeid;

/// How long a user is in doubt who is not heard of: sessions last, and users are silent, for
/// hours.
const UNCERTAIN: Nanos = Nanos::from_secs(86_400);
/// How often the use of a doubt is noted at most.
const USED: Nanos = Nanos::from_secs(3_600);
/// How often a doubt is.
const NOTED: Nanos = Nanos::from_secs(60);
/// Tunnels that one user may have at a time, both ways and amid a handover.
const TUNNELS: usize = 6;
/// A tunnel that was not used for so long may have been given up for another.
const GIVEN_UP: Nanos = Nanos::from_secs(60);
/// Sessions that wait for their users.
const NAMELESS: usize = 1 << 14;
/// Of these, so many are compared with one user.
const LOOKED_AT: usize = 64;

/// The tunnels of a user, each with its last use.
type Tunnels = ArrayVec<(FTeid, Nanos), TUNNELS>;

/// What is known by halves.
#[derive(Debug)]
pub(crate) struct Doubts {
    users: Recent<Address, Tunnels>,
    /// Tunnels of sessions that nobody saw begin.
    ends: Recent<FTeid>,
    /// Sessions without users by their UP nodes.
    nameless: BTreeMap<u32, VecDeque<SessionRef>>,
    waiting: usize,
    evictions: u64,
}

impl Default for Doubts {
    fn default() -> Self {
        Self {
            users: Recent::new(UNCERTAIN),
            ends: Recent::new(UNCERTAIN),
            nameless: BTreeMap::new(),
            waiting: 0,
            evictions: 0,
        }
    }
}

impl Doubts {
    /// A user's session is known by a half.
    pub(crate) fn add(&mut self, user: Address, time: Nanos) {
        let user = whole(user);
        let noted = self.users.when(&user, time);
        if noted.is_none_or(|noted| time.since(noted) > NOTED) {
            self.users.add(user, time);
        }
    }

    /// A session of the user was seen whole.
    pub(crate) fn settle(&mut self, user: Address) {
        self.users.forget(&whole(user));
    }

    /// Whether a user's session is known by a half.
    pub(crate) fn has(&self, user: Address, now: Nanos) -> bool {
        self.users.when(&whole(user), now).is_some()
    }

    /// A tunnel is that of a session that nobody saw begin.
    pub(crate) fn add_end(&mut self, end: FTeid, time: Nanos) {
        self.ends.add(end, time);
    }

    /// Whether a tunnel is.
    pub(crate) fn has_end(&self, end: &FTeid, now: Nanos) -> bool {
        self.ends.when(end, now).is_some()
    }

    /// Whether that was so within a time.
    pub(crate) fn had_within(&self, user: Address, span: Nanos, now: Nanos) -> bool {
        self.users.when(&whole(user), now).is_some_and(|noted| now.since(noted) <= span)
    }

    /// Whether a tunnel may be one of a user's whose session is known by a half. Whoever has
    /// more than a session has is not excused.
    pub(crate) fn excuse(&mut self, user: Address, end: FTeid, now: Nanos) -> bool {
        let user = whole(user);
        let Some(noted) = self.users.when(&user, now) else { return false };
        if now.since(noted) > USED {
            self.users.add(user, now);
        }
        let Some(tunnels) = self.users.of(&user) else { return false };
        let is_its = |(of, _): &(FTeid, Nanos)| *of == end;
        let place = tunnels.iter().position(is_its).or_else(|| {
            tunnels.iter().position(|(_, used)| tunnels.is_full() && now.since(*used) > GIVEN_UP)
        });
        match place {
            Some(place) => tunnels[place] = (end, now),
            None => return tunnels.try_push((end, now)).is_ok(),
        }
        true
    }

    /// A session of a UP node has a user, and nobody saw whom. At the bound the one that waited
    /// longest gives way, which counts if it still `is_waiting`.
    pub(crate) fn add_nameless(
        &mut self,
        up_node: u32,
        at: SessionRef,
        is_waiting: impl Fn(SessionRef) -> bool,
    ) {
        if self.waiting >= NAMELESS {
            let full = if self.nameless.contains_key(&up_node) { Some(up_node) } else { None };
            let full = full.or_else(|| self.nameless.keys().next().copied());
            let oldest = full.and_then(|node| self.take_first(node));
            self.evictions += u64::from(oldest.is_some_and(is_waiting));
        }
        self.waiting += 1;
        self.nameless.entry(up_node).or_default().push_back(at);
    }

    fn take_first(&mut self, up_node: u32) -> Option<SessionRef> {
        let waiting = self.nameless.get_mut(&up_node)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.nameless.remove(&up_node);
        }
        self.waiting -= usize::from(first.is_some());
        first
    }

    /// Looks for the session of a user who came by, among those of a UP node that wait, the one
    /// that waited longest first. `is_its` says whether one may be, and nothing of one that waits
    /// no more. Who is found waits no more; who is another's waits behind the others.
    pub(crate) fn name(
        &mut self,
        up_node: u32,
        mut is_its: impl FnMut(SessionRef) -> Option<bool>,
    ) -> bool {
        let waiting = self.nameless.get(&up_node).map_or(0, VecDeque::len);
        for _ in 0..waiting.min(LOOKED_AT) {
            let Some(at) = self.take_first(up_node) else { break };
            match is_its(at) {
                Some(true) => return true,
                Some(false) => {
                    self.waiting += 1;
                    self.nameless.entry(up_node).or_default().push_back(at);
                }
                None => {}
            }
        }
        false
    }

    /// What gave way to others.
    pub(crate) fn evictions(&self) -> u64 {
        self.users.evictions() + self.ends.evictions() + self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(teid: u32) -> FTeid {
        FTeid { address: Address::v4([10, 0, 0, 1]), teid }
    }

    #[test]
    fn a_doubt_excuses_as_many_tunnels_as_a_session_has_as_long_as_it_is_used() {
        let mut doubts = Doubts::default();
        let user = Address::v4([10, 60, 0, 1]);
        let at = Nanos::from_secs;
        assert!(!doubts.excuse(user, end(1), at(5)));
        doubts.add(user, at(10));
        let excused = (1..=100).filter(|teid| doubts.excuse(user, end(*teid), at(11))).count();
        assert_eq!(excused, TUNNELS);
        assert!(doubts.excuse(user, end(2), at(70)) && !doubts.excuse(user, end(100), at(71)));
        // The others were given up meanwhile, one after the other for new ones.
        assert!(doubts.excuse(user, end(101), at(100)));
        // Use keeps it; silence for a day ends it, and so does a session that is seen whole.
        assert!(doubts.excuse(user, end(2), at(80_000)) && doubts.has(user, at(160_000)));
        assert!(!doubts.has(user, at(170_000)));
        doubts.add(user, at(170_000));
        doubts.settle(user);
        assert!(!doubts.excuse(user, end(2), at(170_001)));
    }

    #[test]
    fn sessions_wait_for_their_users_in_order_and_up_to_a_bound() {
        let mut doubts = Doubts::default();
        let of = |place: u32| SessionRef { place, uses: 1 };
        let still = |at: SessionRef| at != of(2);
        (0..NAMELESS as u32).for_each(|place| doubts.add_nameless(place % 2, of(place), still));
        // The first two of node 0 give way, of which one waits no more.
        doubts.add_nameless(0, of(90_000), still);
        doubts.add_nameless(0, of(90_002), still);
        assert_eq!((doubts.evictions(), doubts.waiting), (1, NAMELESS));
        // The first of node 1 is over, and the second is another's.
        let mut asked = Vec::new();
        let is_found = doubts.name(1, |at| {
            asked.push(at);
            (at != of(1)).then_some(at != of(3))
        });
        assert!(is_found && !doubts.name(7, |_| Some(true)));
        assert_eq!(asked, [of(1), of(3), of(5)]);
        // Who is another's comes behind: the next user meets others.
        let mut looked_at = Vec::new();
        for _ in 0..2 {
            assert!(!doubts.name(0, |at| {
                looked_at.push(at);
                Some(false)
            }));
        }
        assert_eq!(looked_at.len(), 2 * LOOKED_AT);
        assert_ne!(looked_at[0], looked_at[LOOKED_AT]);
    }
}
