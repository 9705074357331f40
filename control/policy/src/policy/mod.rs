//! `policy.toml`: what the equipment may do, and how the detections are set.

mod file;
pub(crate) mod quirk;
mod suppression;

use ipnet::IpNet;

use crate::closed::Link;
use crate::inventory::EquipmentId;
use crate::message::{AllowRule, DetectionSetting, End, Slice};

pub use file::{load_policy, load_policy_as_of, policy_from_str};
pub use quirk::Quirk;
pub use suppression::Suppression;

/// What `policy.toml` says, with its selectors resolved against the inventory that it was checked
/// with. Moments are nanoseconds since 1970 UTC, prefixes are without host bits.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The sets of equipment that [`End`]s name, each sorted and distinct.
    pub sets: Vec<Vec<EquipmentId>>,
    /// Addresses of subscribers.
    pub ue_pools: Vec<UePool>,
    /// Addresses that subscribers must never reach.
    pub infrastructure: Vec<IpNet>,
    /// The link of an address where the tap does not say.
    pub link_defaults: Vec<(IpNet, Link)>,
    /// The data networks that there are; `None`: not judged.
    pub dnns: Option<Vec<String>>,
    /// The slices that there are; `None`: not judged.
    pub slices: Option<Vec<Slice>>,
    /// Zones whose names may be as they like, in lower case.
    pub dns_zones: Vec<String>,
    /// Names, TLS libraries and SSH offers that any equipment may show: `sni `, `ja4 ` or `hassh `, and
    /// the value in lower case.
    pub known_crypto: Vec<String>,
    /// Paths on which clear GTP-U is a finding.
    pub esp_only: Vec<EspOnly>,
    /// How long after an import peers that the SMF signals may be undeclared.
    pub import_grace_seconds: u64,
    /// Whether evidence may hold what subscribers send, and not its headers alone.
    pub subscriber_payload: bool,
    /// SMFs that may use each other's sessions.
    pub smf_sets: Vec<Vec<EquipmentId>>,
    /// What equipment may do, in file order.
    pub allow: Vec<Allow>,
    /// Ranges behind which subscribers are hidden.
    pub nat: Vec<Nat>,
    /// Servers of local break-out.
    pub mec: Vec<IpNet>,
    /// User planes of roaming partners.
    pub roaming_peers: Vec<RoamingPeer>,
    /// When work on equipment is declared.
    pub change_windows: Vec<ChangeWindow>,
    /// Harmless oddities of vendors.
    pub quirks: Vec<Quirk>,
    /// Every detection of the catalogue with every parameter.
    pub detections: Vec<DetectionSetting>,
    suppressions: Vec<Suppression>,
}

impl Policy {
    /// The findings that nobody wants to hear of for now, in file order.
    pub fn suppressions(&self) -> &[Suppression] {
        &self.suppressions
    }

    /// The members of the set that an [`End`] of this policy names; empty for an unknown number.
    pub fn members(&self, set: u32) -> &[EquipmentId] {
        self.sets.get(set as usize).map_or(&[], Vec::as_slice)
    }
}

/// One of `ue_pools`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UePool {
    /// The addresses.
    pub cidr: IpNet,
    /// The network instance in which they are meant; `None`: in any.
    pub network_instance: Option<String>,
}

/// One of `esp_only`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EspOnly {
    /// One end of the path.
    pub from: IpNet,
    /// The other.
    pub to: IpNet,
}

/// One `[[allow]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allow {
    /// What it allows.
    pub rule: AllowRule,
    /// Why it is there.
    pub note: Option<String>,
}

/// One `[[nat]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nat {
    /// Where it holds.
    pub link: Link,
    /// The addresses that carry subscribers' traffic there.
    pub addresses: Vec<IpNet>,
}

/// One `[[roaming_peer]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoamingPeer {
    /// MCC and MNC of the partner.
    pub plmn: String,
    /// Its user planes.
    pub addresses: Vec<IpNet>,
}

/// One `[[change_window]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangeWindow {
    /// What is worked on.
    pub equipment: End,
    /// From then.
    pub start: u64,
    /// Until then, exclusive.
    pub end: u64,
    /// Why.
    pub reason: Option<String>,
}
