//! What the inventory does not know: addresses on infrastructure links, and MAC addresses,
//! VLANs and EtherTypes of equipment that lists its own.

use weir_wire::Address;

use super::flow::{Flow, Way};
use super::{HOLD, Held, Judge};
use crate::contract::verdict::{Alert, Fact, Initiator, Severity, Verdict};
use crate::detect::INV_UNKNOWN;
use crate::detect::inv_unknown::{Sent, Strangers};
use crate::report::{Report, Sighting, Trait};
use crate::rules::{Link, Roles, Rules};
use crate::track::FlowDelta;
use crate::{Nanos, TapId};

impl Judge {
    pub(super) fn judge_sightings<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a Report>,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        // Behind a router every address comes from the router's MAC address.
        let is_routed = |seen: &Sighting| match seen.trait_seen {
            Trait::Mac(mac) => {
                let by = rules.equipment_by_mac(mac).and_then(|id| rules.equipment(id));
                by.is_some_and(|equipment| equipment.roles.any(Roles::ROUTING))
            }
            Trait::Vlan(_) | Trait::EtherType(_) => false,
        };
        let mut sightings: Vec<Sighting> =
            reports.flat_map(|report| report.sightings.iter().copied()).collect();
        sightings.retain(|seen| !is_routed(seen));
        sightings.sort_by_key(|seen| (seen.equipment, seen.trait_seen, seen.time, seen.tap));
        // What several workers saw is one sighting.
        sightings.dedup_by(|later, seen| {
            let same = (later.equipment, later.trait_seen) == (seen.equipment, seen.trait_seen);
            if same {
                seen.packets += later.packets;
                seen.bytes += later.bytes;
            }
            same
        });
        for seen in sightings {
            if !self.is_enabled(INV_UNKNOWN)
                || !self.strangers.is_news(seen.equipment, seen.trait_seen, seen.time)
            {
                continue;
            }
            let fact = match seen.trait_seen {
                Trait::Mac(mac) => Fact::NewMac(mac),
                Trait::Vlan(id) => Fact::NewVlan(id),
                Trait::EtherType(kind) => Fact::NewEtherType(kind),
            };
            let alert = Alert {
                equipment: Some(seen.equipment),
                initiator: Initiator::Equipment,
                packets: seen.packets,
                bytes: seen.bytes,
                first: seen.time,
                last: seen.time,
                tap: seen.tap,
                ..self.blank(INV_UNKNOWN, Severity::Medium, fact, seen.time)
            };
            self.observe(alert, Some(seen.time), say);
        }
    }

    pub(super) fn judge_strangers(
        &mut self,
        flow: &Flow,
        delta: &FlowDelta,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        for way in Strangers::ways(flow, rules) {
            let side = match way {
                Way::Up => &delta.up,
                Way::Down => &delta.down,
            };
            if side.packets == 0 {
                continue;
            }
            let address = flow.sender(way);
            // Where copies go is told of in confidence only.
            if self.is_confidential(address) {
                continue;
            }
            let counterpart = flow.equipment(way.reverse());
            if !self.strangers.add(Sent { address, side }, counterpart, rules) {
                continue;
            }
            match self.alerts.names(address) {
                None => {
                    self.strangers.set_held(address, true);
                    self.hold(side.last.plus(HOLD), Held::Stranger(address, flow.tap, flow.link));
                }
                Some(INV_UNKNOWN) => {
                    self.accuse_stranger(address, (flow.tap, flow.link), side.first, say);
                }
                // A more specific alert tells of it.
                Some(_) => drop(self.strangers.take(address)),
            }
        }
    }

    /// Adds what is not counted yet of an unknown address to its alert, made as in `accuse`.
    pub(super) fn accuse_stranger(
        &mut self,
        address: Address,
        (tap, link): (TapId, Link),
        made: Nanos,
        say: &mut impl FnMut(Verdict),
    ) {
        let Some(seen) = self.strangers.take(address) else { return };
        let alert = Alert {
            equipment: seen.counterpart,
            peer: Some(address.into()),
            initiator: Initiator::Peer,
            tap: tap.0,
            link,
            packets: seen.packets,
            bytes: seen.bytes,
            first: seen.first,
            last: seen.last,
            ..self.blank(INV_UNKNOWN, Severity::Medium, Fact::UnknownAddress, seen.last)
        };
        self.observe(alert, Some(made), say);
    }
}
