//! Seeded scenarios of a 5G user plane, with ground truth.
//!
//! A [`Scenario`] is read from TOML and played: subscribers on N3 and N6, sessions on N4, the
//! equipment's routine on O&M, what looks like misbehaviour and is none, and the misbehaviour
//! itself. [`Scenario::generate`] gives the packets one by one, [`Scenario::write_to`] a capture
//! with its labels and the inventory and policy that match it. The same scenario gives the same
//! bytes on every machine: chance is seeded and time begins where the scenario says.

mod blinding;
mod capture;
mod chance;
mod check;
mod confounder;
mod conservation;
mod content;
mod covert;
mod dns;
mod encapsulation;
mod evasion;
mod flow;
mod frame;
mod generation;
mod gtpu;
mod guest;
pub mod imix;
mod interception;
mod inventory;
mod labels;
mod lookalike;
mod n3;
mod n4;
mod n4_attack;
mod n4_confounder;
pub mod n4_load;
mod ntp;
mod oam;
mod pfcp;
mod plan;
mod policy;
mod ptp;
pub mod real_mix;
mod scenario;
mod shapes;
mod stage;
mod subscriber;
mod tcp;
mod theft;
mod tls;
mod visits;

pub use generation::{Generation, Progress, Report, WriteError};
pub use labels::{Group, GroupKind, Labels, Messages, Theft};
pub use plan::Link;
pub use scenario::{Scenario, ScenarioError};
pub use stage::{Message, Packet};
pub use theft::Expectation;

/// The texts of bundled scenarios, which others may build on: attacks stand at their ends.
pub mod bundled {
    /// Minutes with everything that looks like misbehaviour, and no theft.
    pub const BENIGN: &str = include_str!("../scenarios/benign.toml");
    /// Four thefts in a small network.
    pub const DEMO: &str = include_str!("../scenarios/demo.toml");
    /// What hides in the user plane, and what only looks so.
    pub const EVASION: &str = include_str!("../scenarios/evasion.toml");
    /// A small core with lawful interception, and what is told late of it.
    pub const INTERCEPTION: &str = include_str!("../scenarios/interception.toml");
    /// What only packets show that are followed from tap to tap, and what only looks so.
    pub const PROOF: &str = include_str!("../scenarios/proof.toml");
    /// What happens to sessions, and what is done to them.
    pub const SESSIONS: &str = include_str!("../scenarios/sessions.toml");
}
