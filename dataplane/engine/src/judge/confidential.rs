//! What is told in confidence only: where copies of subscribers' traffic go. A place that li.toml names
//! is confidential before any order for it was seen, as after a start amid interceptions.

use weir_wire::Address;

use super::Judge;
use super::flow::Flow;
use crate::track::FlowKey;

impl Judge {
    /// Whether copies go to an address, or may: no open record of a flow may name it.
    pub(super) fn is_confidential(&self, address: Address) -> bool {
        self.signalling.is_ordered(address) || self.is_named_for_copies(address)
    }

    /// Whether an end of a flow is such an address.
    pub(super) fn has_confidential_end(&self, flow: &FlowKey) -> bool {
        [flow.low, flow.high].into_iter().any(|end| self.is_confidential(end))
    }

    /// Whether no open alert may be about a flow whose other side is `peer`. Whatever it is if li.toml
    /// names an end. Elsewhere only G-PDUs that nobody declared are an order's copies: whoever makes
    /// UPFs accept orders must not silence all that is said of an address by naming it in one.
    pub(super) fn is_withheld(&self, flow: &Flow, peer: Address) -> bool {
        let is_copy = || {
            !flow.allowed && flow.up.gpdus + flow.down.gpdus > 0 && self.signalling.is_ordered(peer)
        };
        self.has_named_end([flow.key.low, flow.key.high]) || is_copy()
    }

    /// Whether li.toml names one of these addresses.
    pub(super) fn has_named_end(&self, ends: [Address; 2]) -> bool {
        ends.into_iter().any(|end| self.is_named_for_copies(end))
    }

    fn is_named_for_copies(&self, address: Address) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.is_mediation(address))
    }
}
