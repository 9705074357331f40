//! Tunnels and users about which N4 has told a half: what was asked for and not seen
//! answered, and what was answered and not seen asked for. Traffic there is no evidence.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash};

use weir_wire::Address;

use super::keyed::KeyedHasher;
use crate::Nanos;
use crate::tunnels::FTeid;

/// How many of each are remembered.
const BOUND: usize = 1 << 16;
/// How long an order may be used before its answer is seen.
const PATIENCE: Nanos = Nanos::from_secs(20);
/// How long a user is uncertain.
const UNCERTAIN: Nanos = Nanos::from_secs(600);

/// Keys with the time at which each was last noted; the oldest are forgotten.
#[derive(Debug)]
struct Recent<K> {
    times: HashMap<K, Nanos, BuildHasherDefault<KeyedHasher>>,
    order: VecDeque<(Nanos, K)>,
    span: Nanos,
}

impl<K: Copy + Eq + Hash> Recent<K> {
    fn new(span: Nanos) -> Self {
        Self { times: HashMap::default(), order: VecDeque::new(), span }
    }

    fn add(&mut self, key: K, time: Nanos) {
        while let Some((noted, oldest)) = self.order.front().copied()
            && (time.since(noted) > self.span || self.order.len() >= BOUND)
        {
            self.order.pop_front();
            if self.times.get(&oldest) == Some(&noted) {
                self.times.remove(&oldest);
            }
        }
        self.times.insert(key, time);
        self.order.push_back((time, key));
    }

    fn has(&self, key: &K, now: Nanos) -> bool {
        self.times.get(key).is_some_and(|noted| now.since(*noted) <= self.span)
    }
}

/// What is known by halves.
#[derive(Debug)]
pub(crate) struct Asked {
    ends: Recent<FTeid>,
    users: Recent<Address>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { ends: Recent::new(PATIENCE), users: Recent::new(UNCERTAIN) }
    }
}

impl Asked {
    /// A tunnel was asked for.
    pub(crate) fn add(&mut self, end: FTeid, time: Nanos) {
        self.ends.add(end, time);
    }

    /// The tunnel that was asked for so many before the last one.
    pub(crate) fn before(&self, many: usize) -> Option<FTeid> {
        let order = &self.ends.order;
        order.len().checked_sub(many + 1).map(|at| order[at].1)
    }

    /// Whether a tunnel was asked for a while ago.
    pub(crate) fn is_asked(&self, end: &FTeid, now: Nanos) -> bool {
        self.ends.has(end, now)
    }

    /// A user's session is known by a half.
    pub(crate) fn doubt_user(&mut self, user: Address, time: Nanos) {
        self.users.add(user, time);
    }

    /// Whether a user's session is known by a half. IPv6 users are known by their /64.
    pub(crate) fn is_doubtful(&self, user: Address, now: Nanos) -> bool {
        let user = if user.as_v4().is_some() { user } else { Address(user.0 >> 64 << 64) };
        self.users.has(&user, now)
    }
}
