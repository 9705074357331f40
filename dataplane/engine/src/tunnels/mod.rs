//! Tunnels: what is known of every F-TEID, and what workers count on each.
//!
//! The session machine is the only writer of the [`table`]; workers read it
//! without locks, once per G-PDU. Each worker counts in rows of its own
//! ([`usage`]) by the tunnel's slot; what it finds in no row it parks
//! ([`unresolved`]) until N4 has passed its time.

mod cells;
pub mod qos;
#[cfg(test)]
mod races;
pub mod row;
pub mod table;
pub mod unresolved;
pub mod usage;

pub use qos::QosFlows;
pub use row::{Glance, Row, RowFlags};
pub use table::{Found, Probe, Slot, TableFull, TunnelReader, TunnelWriter};
pub use usage::{Sender, UsageReader, UsageWriter};

use weir_wire::Address;

use crate::keyed_hash::fold;

/// What a worker has of the tunnels: the table to read, and rows of its own to count in.
#[derive(Debug)]
pub struct Access {
    /// The table.
    pub table: TunnelReader,
    /// The rows.
    pub usage: UsageWriter,
    /// Users' addresses of the sessions there are, as ends without a TEID.
    pub users: TunnelReader,
}

/// An F-TEID: a TEID and the address that gave it (TS 29.244 §8.2.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FTeid {
    /// The address.
    pub address: Address,
    /// The TEID.
    pub teid: u32,
}

impl FTeid {
    /// A user's address as a key of the table of users; IPv6 users have a /64.
    pub fn of_user(user: Address) -> Self {
        let prefix = Address(user.0 >> 64 << 64);
        Self { address: if user.as_v4().is_some() { user } else { prefix }, teid: 0 }
    }

    /// A hash under a secret; the tag and the place of a row come from it.
    #[inline]
    pub fn hash(&self, secret: u64) -> u64 {
        let multiplier = secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1;
        let (high, low) = ((self.address.0 >> 64) as u64, self.address.0 as u64);
        let hash = fold(secret ^ low ^ u64::from(self.teid) << 32, multiplier);
        fold(hash ^ high ^ u64::from(self.teid), 0xd6e8_feb8_6659_fd93)
    }
}
