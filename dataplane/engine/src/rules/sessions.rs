//! What the policy says of sessions: who may have which address, which data
//! networks and slices there are, and who may order what.

use std::collections::HashSet;

use weir_wire::Address;

use super::{EquipmentId, Party, Rules};
use crate::Nanos;
use crate::contract::session::Slice;
use crate::lpm::{Lpm, Prefix};

/// Interception that a court has ordered: how many sessions of a UPF may be copied to an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authorised {
    /// The UPF; none: any.
    pub upf: Option<EquipmentId>,
    /// The mediation function.
    pub to: Address,
    /// How many sessions at a time.
    pub sessions: u32,
}

/// The compiled part of the policy that is about sessions.
#[derive(Debug, Default)]
pub(super) struct SessionRules {
    /// The operator's own addresses, exceptions and all.
    pub(super) own: Lpm,
    pub(super) pools: Vec<(Prefix, Option<String>)>,
    pub(super) dnns: Option<Vec<String>>,
    pub(super) slices: Option<Vec<Slice>>,
    pub(super) smf_sets: Vec<Vec<EquipmentId>>,
    pub(super) authorised: Option<Vec<Authorised>>,
    /// Where those copies may go: asked of every flow.
    pub(super) mediation: HashSet<Address>,
    pub(super) import_grace: Nanos,
}

fn sum<'a>(orders: impl Iterator<Item = &'a Authorised>) -> u32 {
    orders.fold(0, |sum, order| sum.saturating_add(order.sessions))
}

impl Rules {
    /// Whether a subscriber may have an address in a network instance; without pools any may.
    pub fn is_in_pool(&self, address: Address, instance: Option<&str>) -> bool {
        self.sessions.pools.is_empty()
            || self.sessions.pools.iter().any(|(prefix, of)| {
                prefix.contains(address)
                    && of.as_deref().is_none_or(|of| {
                        instance.is_some_and(|instance| instance.eq_ignore_ascii_case(of))
                    })
            })
    }

    /// Whether an address is in a pool of any network instance; without pools any is.
    pub fn is_in_any_pool(&self, address: Address) -> bool {
        let pools = &self.sessions.pools;
        pools.is_empty() || pools.iter().any(|(prefix, _)| prefix.contains(address))
    }

    /// Whether a data network is declared; without a list any is.
    pub fn is_dnn(&self, name: &str) -> bool {
        let is = |dnn: &String| dnn.eq_ignore_ascii_case(name);
        self.sessions.dnns.as_ref().is_none_or(|dnns| dnns.iter().any(is))
    }

    /// Whether a slice is declared; without a list any is.
    pub fn is_slice(&self, slice: Slice) -> bool {
        self.sessions.slices.as_ref().is_none_or(|slices| slices.contains(&slice))
    }

    /// Whether two SMFs may use each other's sessions.
    pub fn share_sessions(&self, a: EquipmentId, b: EquipmentId) -> bool {
        a == b || self.sessions.smf_sets.iter().any(|set| set.contains(&a) && set.contains(&b))
    }

    /// Whether an address is within the operator's own ranges.
    pub fn is_own(&self, address: Address) -> bool {
        self.sessions.own.find(address) != 0
    }

    /// How many sessions of a UPF may be copied to an address.
    pub fn authorised_copies(&self, upf: Option<EquipmentId>, to: Address) -> u32 {
        let of = |order: &&Authorised| order.upf.is_none() || order.upf == upf;
        sum(self.orders().iter().filter(|order| order.to == to).filter(of))
    }

    /// How many sessions of all UPFs together may be copied to an address.
    pub fn authorised_anywhere(&self, to: Address) -> u32 {
        sum(self.orders().iter().filter(|order| order.to == to))
    }

    /// Whether copies of any session may go to an address.
    pub fn is_mediation(&self, to: Address) -> bool {
        self.sessions.mediation.contains(&to)
    }

    /// Whether anybody says what is authorised, though it be nothing.
    pub fn declares_interception(&self) -> bool {
        self.sessions.authorised.is_some()
    }

    fn orders(&self) -> &[Authorised] {
        self.sessions.authorised.as_deref().unwrap_or_default()
    }

    /// How long after a policy came peers that the SMF signals may be undeclared.
    pub fn import_grace(&self) -> Nanos {
        self.sessions.import_grace
    }

    /// The equipment that holds an address.
    pub fn holder(&self, address: Address) -> Option<EquipmentId> {
        Party::unpack(self.party(address)).equipment()
    }

    /// Whether the policy knows where an address is: equipment, break-out, a roaming
    /// partner, or a declared range.
    pub fn is_declared_place(&self, address: Address) -> bool {
        matches!(
            Party::unpack(self.party(address)),
            Party::Equipment(_) | Party::Mec | Party::Roaming
        )
    }
}
