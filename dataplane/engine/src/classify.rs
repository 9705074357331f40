//! `classify`: which link, and who is at either end.

use weir_wire::Address;

use crate::record::{Flags, Kind, Record};
use crate::rules::{Link, Party, Roles, Rules};

/// Fills in the link and both parties of a record. `ends` are its outer
/// addresses, `given` is the tap's link.
#[inline]
pub fn classify(
    record: &mut Record,
    bytes: &[u8],
    ends: Option<(Address, Address)>,
    given: Link,
    rules: &Rules,
) {
    let Some((source, destination)) = ends else {
        record.link = given;
        return;
    };
    record.source = rules.party(source);
    record.destination = rules.party(destination);
    record.link =
        if given == Link::Mixed { infer(record, source, destination, rules) } else { given };
    // An undeclared link stays undeclared for NAT, whatever was inferred.
    if rules.knows_nat() {
        let is_gtp_or_pfcp = record.is_gtp_or_pfcp();
        record.source = behind_nat(record.source, source, given, is_gtp_or_pfcp, rules);
        record.destination =
            behind_nat(record.destination, destination, given, is_gtp_or_pfcp, rules);
    }
    if given == Link::Mixed && record.link == Link::Mixed && has_subscriber(record) {
        record.link = Link::N6;
    }
    look_inside(record, bytes, rules);
}

/// Notes whether a user's packet goes where none may.
#[inline]
pub(crate) fn look_inside(record: &mut Record, bytes: &[u8], rules: &Rules) {
    if record.kind == Kind::Gtpu && rules.closes_infrastructure(|| record.inner_destination(bytes))
    {
        record.flags.set(Flags::INTO_INFRASTRUCTURE);
    }
}

/// Who holds an address on a tap's link, NAT included; packed.
pub(crate) fn party(address: Address, given: Link, is_gtp_or_pfcp: bool, rules: &Rules) -> u32 {
    behind_nat(rules.party(address), address, given, is_gtp_or_pfcp, rules)
}

/// The subscribers behind an address that is a NAT's, else who holds it by itself.
#[inline]
fn behind_nat(
    party: u32,
    address: Address,
    given: Link,
    is_gtp_or_pfcp: bool,
    rules: &Rules,
) -> u32 {
    if rules.is_nat(address, given, is_gtp_or_pfcp) { Party::Subscriber.pack() } else { party }
}

fn has_subscriber(record: &Record) -> bool {
    let subscriber = Party::Subscriber.pack();
    record.source == subscriber || record.destination == subscriber
}

/// The link of a frame whose tap does not say: the longest `link_defaults`,
/// else protocol and roles; a subscriber outside any tunnel is on N6.
fn infer(record: &Record, source: Address, destination: Address, rules: &Rules) -> Link {
    if let Some(link) = rules.link_default(destination).or_else(|| rules.link_default(source)) {
        return link;
    }
    if has_subscriber(record) {
        return Link::N6;
    }
    let roles = |packed: u32| {
        Party::unpack(packed)
            .equipment()
            .and_then(|id| rules.equipment(id))
            .map_or(Roles::default(), |equipment| equipment.roles)
    };
    let (from, to) = (roles(record.source), roles(record.destination));
    match record.kind {
        Kind::Pfcp => Link::N4,
        Kind::Gtpu if from.any(Roles::UPF) && to.any(Roles::UPF) => Link::N9,
        Kind::Gtpu if from.any(Roles::RADIO) && to.any(Roles::RADIO) => Link::Xn,
        Kind::Gtpu => Link::N3,
        _ if from.any(Roles::OAM) || to.any(Roles::OAM) => Link::Oam,
        _ => Link::Mixed,
    }
}
