//! What was asked for on N4 and waits for its answer. It may be used before the answer is seen.

use weir_wire::Address;

use super::recent::Recent;
use crate::Nanos;
use crate::tunnels::FTeid;

/// How long an order may be used before its answer is seen.
const PATIENCE: Nanos = Nanos::from_secs(20);

/// Tunnels and users that were asked for lately.
#[derive(Debug)]
pub(crate) struct Asked {
    ends: Recent<FTeid>,
    users: Recent<Address>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { ends: Recent::new(PATIENCE), users: Recent::new(PATIENCE) }
    }
}

impl Asked {
    /// A tunnel was asked for.
    pub(crate) fn add(&mut self, end: FTeid, time: Nanos) {
        self.ends.add(end, time);
    }

    /// The tunnel that was asked for so many before the last one.
    pub(crate) fn before(&self, many: usize) -> Option<FTeid> {
        self.ends.before(many)
    }

    /// A tunnel was asked for that the UP function chooses: only its user is known.
    pub(crate) fn add_user(&mut self, user: Address, time: Nanos) {
        self.users.add(whole(user), time);
    }

    /// Whether a tunnel was asked for a while ago, or one of this user that is not chosen yet.
    pub(crate) fn is_asked(&self, end: &FTeid, user: Option<Address>, now: Nanos) -> bool {
        self.ends.when(end, now).is_some() || user.is_some_and(|user| self.has_user(user, now))
    }

    /// Whether a session of a user was asked for a while ago.
    pub(crate) fn has_user(&self, user: Address, now: Nanos) -> bool {
        self.users.when(&whole(user), now).is_some()
    }
}

/// What a user is known by: of IPv6 the /64.
pub(crate) fn whole(user: Address) -> Address {
    if user.as_v4().is_some() { user } else { Address(user.0 >> 64 << 64) }
}
