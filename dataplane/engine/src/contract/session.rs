//! What verdicts say of PFCP sessions: the context of an alert, and the records
//! of sessions themselves.

use std::net::IpAddr;

use arrayvec::{ArrayString, ArrayVec};
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// The longest name (DNN, network instance) that a record carries, in bytes.
pub const MAX_SESSION_NAME: usize = 64;

/// The most TEIDs that an alert lists.
pub const MAX_TEIDS: usize = 16;

/// The most UE addresses, and tunnels a way, that a record carries.
pub const MAX_SESSION_ENDS: usize = 4;

/// Of what a session has several of: the first of them. Records of sessions come by the
/// hundred thousand a second, so they own no memory of their own.
pub type Few<T> = ArrayVec<T, MAX_SESSION_ENDS>;

/// A name that is no longer than [`MAX_SESSION_NAME`].
pub type ShortName = ArrayString<MAX_SESSION_NAME>;

/// A tunnel's end: where a TEID is valid.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TunnelEnd {
    /// The TEID.
    pub teid: u32,
    /// The address that gave it.
    pub addr: IpAddr,
}

/// An S-NSSAI: slice type, and differentiator if there is one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Slice {
    /// SST.
    pub sst: u8,
    /// SD.
    pub sd: Option<[u8; 3]>,
}

impl std::fmt::Display for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.sst)?;
        match self.sd {
            Some([a, b, c]) => write!(f, "-{a:02x}{b:02x}{c:02x}"),
            None => Ok(()),
        }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Asked for, not answered.
    Pending,
    /// Agreed.
    Active,
    /// Known by an answer alone.
    Partial,
    /// Its node restarted, or its association ended: it may be gone.
    Stale,
    /// Ended by its deletion.
    Deleted,
}

impl SessionState {
    /// Every state, in the order of its counter.
    pub const ALL: [SessionState; 5] = [
        SessionState::Pending,
        SessionState::Active,
        SessionState::Partial,
        SessionState::Stale,
        SessionState::Deleted,
    ];

    /// The name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            SessionState::Pending => "pending",
            SessionState::Active => "active",
            SessionState::Partial => "partial",
            SessionState::Stale => "stale",
            SessionState::Deleted => "deleted",
        }
    }
}

/// The session that an alert is about. Subscribers are named by pseudonyms only.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionContext {
    /// The CP function's SEID.
    pub cp_seid: u64,
    /// The UP function's SEID.
    pub up_seid: u64,
    /// The subscriber's address.
    pub ue: Option<IpAddr>,
    /// The data network's name.
    pub dnn: Option<String>,
    /// The pseudonym of the SUPI.
    pub supi: Option<u64>,
    /// The slice.
    pub slice: Option<Slice>,
}

/// A forwarding rule as far as evidence needs it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Forwarding {
    /// The FAR.
    pub far: u32,
    /// Apply Action (TS 29.244 §8.2.26), the first octet low.
    pub apply: u16,
    /// Where the rule sends G-PDUs.
    pub to: Option<TunnelEnd>,
}

/// What N4 has to say about an alert.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Signalled {
    /// The session.
    pub session: Option<SessionContext>,
    /// The rule before the order.
    pub before: Option<Forwarding>,
    /// The rule after it.
    pub after: Option<Forwarding>,
    /// The control-plane address that ordered it.
    pub ordered_by: Option<IpAddr>,
    /// The share of N4's transactions that were seen whole.
    pub coverage: Option<f32>,
    /// The detection's own doubt, from 0 to 1.
    pub doubt: f32,
    /// Tunnels that it is about, at most [`MAX_TEIDS`].
    pub teids: Vec<u32>,
}

impl Signalled {
    /// Takes what a later finding of the same alert says.
    pub fn join(&mut self, later: Signalled) {
        self.session = self.session.take().or(later.session);
        self.before = self.before.or(later.before);
        self.after = self.after.or(later.after);
        self.ordered_by = self.ordered_by.or(later.ordered_by);
        self.coverage = match (self.coverage, later.coverage) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.doubt = self.doubt.min(later.doubt);
        self.teids.extend(later.teids);
        self.teids.sort_unstable();
        self.teids.dedup();
        self.teids.truncate(MAX_TEIDS);
    }
}

/// Packets and bytes of the users, by direction.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Usage {
    /// G-PDUs towards the data network.
    pub uplink_packets: u64,
    /// G-PDUs towards the radio side.
    pub downlink_packets: u64,
    /// Bytes of the users' packets towards the data network.
    pub uplink_bytes: u64,
    /// Bytes of the users' packets towards the radio side.
    pub downlink_bytes: u64,
}

/// What is said of a session when it is agreed and when it has ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SessionRecord {
    /// When this was said, in packet time.
    pub at: Nanos,
    /// The CP function's SEID.
    pub cp_seid: u64,
    /// The UP function's SEID.
    pub up_seid: u64,
    /// The CP function's address.
    pub cp: Option<IpAddr>,
    /// The UP function's address.
    pub up: Option<IpAddr>,
    /// How often the pair of SEIDs was used before, and this time.
    pub generation: u32,
    /// Where it stands.
    pub state: SessionState,
    /// When it was agreed.
    pub established: Option<Nanos>,
    /// When it ended.
    pub ended: Option<Nanos>,
    /// The subscriber's addresses.
    pub ue: Few<IpAddr>,
    /// The network instance.
    pub network_instance: Option<ShortName>,
    /// The data network's name.
    pub dnn: Option<ShortName>,
    /// The pseudonym of the SUPI.
    pub supi: Option<u64>,
    /// The slice.
    pub slice: Option<Slice>,
    /// Tunnels towards the UP function.
    pub uplink: Few<TunnelEnd>,
    /// Tunnels towards the radio side.
    pub downlink: Few<TunnelEnd>,
    /// Accepted modifications.
    pub modifications: u32,
    /// Reports of the UP function.
    pub reports: u32,
    /// What was seen of the users' packets.
    pub usage: Usage,
    /// QoS flows of what was seen (QFI), uplink and downlink: the lowest few.
    pub qfi: [Few<u8>; 2],
    /// What the UP function reported of them (uplink bytes, downlink bytes).
    pub reported: Option<(u64, u64)>,
    /// Whether what was seen and what was reported differ beyond the tolerance.
    pub usage_mismatch: bool,
    /// The version of the policy in force.
    pub policy: u64,
}
