//! Whether a chosen packet was seen where its session leads.

use weir_wire::Address;

use super::sample::{Carrier, Sample};
use crate::Nanos;
use crate::rules::{EquipmentId, Link, Party, Roles, Rules};
use crate::signalling::{Owner, Signalling};
use crate::tunnels::FTeid;

/// Around a handover, so long may gNBs forward to each other what the UPF sent to the old one.
const FORWARDING: Nanos = Nanos::from_secs(10);

/// What a place is to the session of a packet's user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    /// A part of its way.
    Hop(Hop),
    /// None.
    Off,
    /// Too little is seen to tell.
    Unknown,
}

/// A part of a packet's way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Hop {
    /// The UPF that it left.
    pub(crate) left: Option<EquipmentId>,
    /// The UPF that it comes to.
    pub(crate) came: Option<EquipmentId>,
    /// Whether its user sent it.
    pub(crate) is_up: bool,
    /// Whether a NAT stands for its user.
    pub(crate) is_masked: bool,
}

/// Says what a sample's place is to its session. `owner` is that session.
pub(crate) fn path(
    sample: &Sample,
    owner: Option<Owner>,
    signalling: &Signalling,
    rules: &Rules,
) -> Path {
    let is_up = owner.is_some_and(|owner| owner.is_source);
    let firm = owner.filter(|owner| owner.is_firm);
    // What is not known from its beginning is in no ledger.
    let upf = |address| {
        let id = rules.holder(address).filter(|_| firm.is_some())?;
        rules.equipment(id)?.roles.any(Roles::UPF).then_some(id)
    };
    let through =
        || Path::Hop(Hop { left: upf(sample.from), came: upf(sample.to), is_up, is_masked: false });
    match sample.carrier {
        Carrier::GPdu => {
            let end = FTeid { address: sample.to, teid: sample.teid };
            match signalling.leads(&end, sample.user, sample.time) {
                Some(true) => through(),
                _ if firm.is_none() => Path::Unknown,
                _ => beside(sample, owner, signalling, rules),
            }
        }
        Carrier::Bare if sample.link == Link::N6 => match owner {
            Some(owner) => {
                // Users of two UPFs may talk to each other: it leaves one and comes to the other.
                let other = || signalling.owner_of(sample.user.1, false, sample.time);
                let to = if is_up { other() } else { Some(owner) };
                let firm = |owner: Owner| owner.upf.filter(|_| owner.is_firm);
                let left = is_up.then_some(owner).and_then(firm);
                let came = to.and_then(firm).filter(|upf| Some(*upf) != left);
                Path::Hop(Hop { left, came, is_up, is_masked: false })
            }
            None if is_subscribers(sample.from, rules) || is_subscribers(sample.to, rules) => {
                Path::Hop(Hop { is_masked: true, ..Hop::default() })
            }
            None => Path::Off,
        },
        Carrier::Tunnel if is_allowed(sample, rules) => through(),
        Carrier::Bare | Carrier::Tunnel => Path::Off,
    }
}

/// A G-PDU in a tunnel that is not its session's, which is known whole.
fn beside(sample: &Sample, owner: Option<Owner>, signalling: &Signalling, rules: &Rules) -> Path {
    let ends = [sample.from, sample.to];
    let roles = ends.map(|end| {
        let entry = rules.holder(end).and_then(|id| rules.equipment(id));
        entry.map(|entry| entry.roles).unwrap_or_default()
    });
    const SPLIT: Roles = Roles(Roles::RADIO.0 & !1);
    let is_partners = ends.iter().any(|end| Party::unpack(rules.party(*end)) == Party::Roaming);
    if is_partners || roles.iter().any(|roles| roles.any(SPLIT)) {
        return Path::Unknown;
    }
    if roles.iter().all(|roles| roles.any(Roles::RADIO)) {
        let moved = owner.map_or(Nanos(0), |owner| owner.moved);
        let apart = sample.time.since(moved).max(moved.since(sample.time));
        return if apart <= FORWARDING { Path::Hop(Hop::default()) } else { Path::Off };
    }
    if ends.iter().all(|end| signalling.tells_of(*end, sample.time)) {
        Path::Off
    } else {
        Path::Unknown
    }
}

fn is_subscribers(address: Address, rules: &Rules) -> bool {
    Party::unpack(rules.party(address)) == Party::Subscriber
        || rules.is_nat(address, Link::N6, false)
}

/// Whether the policy allows the outermost packet, whichever side opened.
fn is_allowed(sample: &Sample, rules: &Rules) -> bool {
    let party = |address| (Party::unpack(rules.party(address)), address);
    let allows = |a, b, port: u16| {
        rules.allows(party(a), party(b), sample.protocol, Some(port), sample.time)
    };
    allows(sample.from, sample.to, sample.port)
        || allows(sample.to, sample.from, sample.source_port)
}
