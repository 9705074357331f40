//! What a policy declares, checked and not yet compiled: who is installed, what it may do,
//! where subscribers are.

use weir_wire::Address;

use super::{Authorised, EquipmentId, Link, Party, Roles, Settings};
use crate::Nanos;
use crate::contract::session::Slice;
use crate::lpm::Prefix;

/// What is installed: one entry of the inventory.
#[derive(Clone, Debug, Default)]
pub struct Equipment {
    /// Its roles.
    pub roles: Roles,
    /// Its addresses.
    pub prefixes: Vec<Prefix>,
    /// Its MAC addresses, if they are known.
    pub macs: Vec<[u8; 6]>,
}

/// One side of an allow rule: both conditions hold where both are given.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// One of these equipment, by ascending number.
    pub equipment: Option<Vec<EquipmentId>>,
    /// An address in this prefix.
    pub prefix: Option<Prefix>,
}

impl End {
    pub(super) fn holds(&self, party: Party, address: Address) -> bool {
        self.equipment
            .as_ref()
            .is_none_or(|set| party.equipment().is_some_and(|id| set.binary_search(&id).is_ok()))
            && self.prefix.is_none_or(|prefix| prefix.contains(address))
    }
}

/// A protocol and, where it has ports, the responder's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service {
    /// The IP protocol number.
    pub protocol: u8,
    /// First and last port; none for protocols without.
    pub ports: Option<(u16, u16)>,
    /// Whether either end may open a flow to the other's port.
    pub either_way: bool,
}

/// What one end may open towards the other. Replies are included.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    /// The initiator.
    pub from: End,
    /// The responder.
    pub to: End,
    /// On these services.
    pub services: Vec<Service>,
    /// Until this packet time.
    pub not_after: Option<Nanos>,
    /// Whether a regular heartbeat on it is declared.
    pub is_periodic: bool,
}

/// A vendor's harmless oddity, of which a detection says nothing.
#[derive(Clone, Debug)]
pub struct Quirk {
    /// The detection, by position in [`crate::detect::CATALOGUE`].
    pub detection: u16,
    /// The equipment that has it, by ascending number.
    pub equipment: Vec<EquipmentId>,
    /// What it is, as the detection names it.
    pub value: String,
}

/// Everything that the policy says, checked, not yet compiled.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// The version that control gave it.
    pub version: u64,
    /// The hash of what it was made of.
    pub sha256: [u8; 32],
    /// The inventory.
    pub equipment: Vec<Equipment>,
    /// Subscribers' addresses, in any network instance.
    pub ue_pools: Vec<Prefix>,
    /// Subscribers' addresses that are theirs in one network instance only.
    pub instance_pools: Vec<(Prefix, String)>,
    /// The data networks that there are; none: not judged.
    pub dnns: Option<Vec<String>>,
    /// The slices that there are; none: not judged.
    pub slices: Option<Vec<Slice>>,
    /// SMFs that may use each other's sessions.
    pub smf_sets: Vec<Vec<EquipmentId>>,
    /// Interception that is authorised; none: nobody says what is.
    pub authorised: Option<Vec<Authorised>>,
    /// How long after a policy came peers that the SMF signals may be undeclared.
    pub import_grace: Nanos,
    /// Local break-out servers.
    pub mec: Vec<Prefix>,
    /// Addresses that subscribers must never reach.
    pub infrastructure: Vec<Prefix>,
    /// Roaming partners.
    pub roaming: Vec<Prefix>,
    /// Addresses behind which subscribers are masqueraded, per link.
    pub nat: Vec<(Link, Prefix)>,
    /// Links by address.
    pub link_defaults: Vec<(Prefix, Link)>,
    /// Ends between which only ESP may pass.
    pub esp_only: Vec<(Prefix, Prefix)>,
    /// The allow-list.
    pub allow: Vec<Allow>,
    /// Vendors' oddities.
    pub quirks: Vec<Quirk>,
    /// Detections' parameters.
    pub settings: Settings,
}
