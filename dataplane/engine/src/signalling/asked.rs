//! Tunnels and users about which N4 has told a half: what was asked for and not seen
//! answered, and what was answered and not seen asked for. Traffic there is no evidence.

use weir_wire::Address;

use super::recent::Recent;
use crate::Nanos;
use crate::tunnels::FTeid;

/// How long an order may be used before its answer is seen.
const PATIENCE: Nanos = Nanos::from_secs(20);
/// How long a user is uncertain.
const UNCERTAIN: Nanos = Nanos::from_secs(600);

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
        self.ends.before(many)
    }

    /// Whether a tunnel was asked for a while ago.
    pub(crate) fn is_asked(&self, end: &FTeid, now: Nanos) -> bool {
        self.ends.when(end, now).is_some()
    }

    /// A user's session is known by a half.
    pub(crate) fn doubt_user(&mut self, user: Address, time: Nanos) {
        self.users.add(user, time);
    }

    /// Whether a user's session is known by a half. IPv6 users are known by their /64.
    pub(crate) fn is_doubtful(&self, user: Address, now: Nanos) -> bool {
        let user = if user.as_v4().is_some() { user } else { Address(user.0 >> 64 << 64) };
        self.users.when(&user, now).is_some()
    }
}
