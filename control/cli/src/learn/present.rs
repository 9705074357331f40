//! What the present policy says of a flow that was judged by an earlier one.

use std::net::IpAddr;

use weir_policy::{AllowRule, End, EquipmentId, Inventory, Policy, ServiceMatch};

use super::seen::Record;

type Side = (Option<EquipmentId>, IpAddr, u16);

/// Whether the policy allows the flow as far as it was seen: in the direction in which it was opened
/// if a handshake proves that, else in either, as the sensor judges.
pub(crate) fn allows(policy: &Policy, inventory: &Inventory, record: &Record) -> bool {
    let own = inventory.find(&record.equipment);
    let peer = record.peer.1.as_deref().and_then(|id| inventory.find(id));
    let is_own_first = record.peer.0 != record.source.0;
    let (first, second) = if is_own_first { (own, peer) } else { (peer, own) };
    let source = (first, record.source.0, record.source.1);
    let destination = (second, record.destination.0, record.destination.1);
    let by = |from: &Side, to: &Side| {
        let rules = policy.allow.iter().map(|allow| &allow.rule);
        rules.into_iter().any(|rule| covers(policy, rule, from, to, record))
    };
    let is_proven = record.is_opener_known && matches!(record.protocol, 6 | 132);
    by(&source, &destination) || !is_proven && by(&destination, &source)
}

fn covers(policy: &Policy, rule: &AllowRule, from: &Side, to: &Side, record: &Record) -> bool {
    let is_in_force = rule.not_after.is_none_or(|last| record.last.0 <= last);
    let ends = |a: &Side, b: &Side| is_at(policy, rule.from, a) && is_at(policy, rule.to, b);
    let (straight, turned) = (ends(from, to), ends(to, from));
    is_in_force
        && rule.services.iter().any(|service: &ServiceMatch| {
            service.protocol == record.protocol
                && service
                    .ports
                    .is_none_or(|(first, last)| to.2 == 0 || (first..=last).contains(&to.2))
                && (straight || turned && service.either_way)
        })
}

fn is_at(policy: &Policy, end: End, (equipment, address, _): &Side) -> bool {
    let is_member =
        |set: u32| equipment.is_some_and(|id| policy.members(set).binary_search(&id).is_ok());
    end.set.is_none_or(is_member) && end.cidr.is_none_or(|net| net.contains(address))
}

#[cfg(test)]
#[path = "present_tests.rs"]
mod tests;
