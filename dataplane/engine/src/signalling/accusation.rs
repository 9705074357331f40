//! What the session machine found wrong, summed until the judge takes it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use weir_wire::Address;

use crate::Nanos;
use crate::contract::session::Signalled;
use crate::contract::verdict::{Direction, Fact, Initiator, Severity, Tuple};
use crate::rules::{EquipmentId, Link};
use crate::track::Inner;

/// Different findings of a slice that are kept apart; more are counted as not reported.
const FINDINGS: usize = 4096;

/// A finding of a detection about packets that were seen.
#[derive(Clone, Debug)]
pub struct Accusation {
    /// The detection, by position in the catalogue.
    pub detection: u16,
    /// How grave.
    pub severity: Severity,
    /// What was seen.
    pub fact: Fact,
    /// The suspect.
    pub equipment: Option<EquipmentId>,
    /// The other side.
    pub peer: Option<Address>,
    /// Who began.
    pub initiator: Initiator,
    /// The tap that saw it first.
    pub tap: u16,
    /// Its link.
    pub link: Link,
    /// The user plane's direction, where it has one.
    pub direction: Option<Direction>,
    /// The first such packet.
    pub outer: Option<Tuple>,
    /// The user's packet in it.
    pub inner: Option<Inner>,
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// The first one's time.
    pub first: Nanos,
    /// The last one's time.
    pub last: Nanos,
    /// Whether what it needs was not seen whole.
    pub degraded: bool,
    /// What N4 says about it.
    pub n4: Signalled,
}

/// Who is accused of what, towards whom.
type Charge = (u16, Option<EquipmentId>, Option<Address>);

/// The findings of a slice.
#[derive(Debug, Default)]
pub(crate) struct Accusations {
    rows: Vec<Accusation>,
    /// Where the rows of a charge stand: one a fact.
    index: BTreeMap<Charge, Vec<usize>>,
    unreported: u64,
}

impl Accusations {
    /// Adds a finding to those of its kind.
    pub(crate) fn add(&mut self, accusation: Accusation) {
        let charge = (accusation.detection, accusation.equipment, accusation.peer);
        let kind = std::mem::discriminant(&accusation.fact);
        let places = self.index.entry(charge).or_default();
        let is_same = |place: &&usize| {
            self.rows.get(**place).is_some_and(|row| std::mem::discriminant(&row.fact) == kind)
        };
        let known = places.iter().find(is_same).copied();
        if let Some(row) = known.and_then(|place| self.rows.get_mut(place)) {
            row.packets += accusation.packets;
            row.bytes += accusation.bytes;
            row.first = row.first.min(accusation.first);
            row.last = row.last.max(accusation.last);
            row.severity = row.severity.max(accusation.severity);
            row.degraded |= accusation.degraded;
            row.fact = accusation.fact;
            row.n4.doubt = row.n4.doubt.min(accusation.n4.doubt);
        } else if self.rows.len() < FINDINGS {
            places.push(self.rows.len());
            self.rows.push(accusation);
        } else {
            self.unreported += accusation.packets.max(1);
        }
    }

    /// Takes what was found, in its order, and the number of packets that found no room.
    pub(crate) fn take(&mut self) -> (Vec<Accusation>, u64) {
        self.index.clear();
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.unreported))
    }
}

/// An address in a record.
pub(crate) fn ip(address: Address) -> IpAddr {
    address.into()
}
