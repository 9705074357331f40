//! Detections with a long memory: what shows only over hours and weeks. They are functions of
//! equipment's spells of activity, in packet time, and of what they remember; what they remember is
//! bounded, kept row by row, and can be stored and taken up again.
//!
//! - [`bcn_periodic`]: a rhythm that nobody declared.
//! - [`egr_longconn`]: a connection that the policy does not allow and that never ends.

pub mod bcn_periodic;
pub mod egr_longconn;
pub mod memory;
pub mod rhythm;

use std::net::IpAddr;

use weir_engine::Nanos;
use weir_engine::contract::verdict::{Activity, Fact, Severity};

use bcn_periodic::Beacons;
use memory::{Kind, Stored};

/// A spell of activity, from the side of the equipment whose doing it is.
#[derive(Clone, Copy, Debug)]
pub struct Spell<'a> {
    /// The equipment's id, which outlives the numbers of a policy.
    pub equipment: &'a str,
    /// The record.
    pub activity: &'a Activity,
    /// The UTC day on which alerts count it.
    pub day: u32,
    /// The other side.
    pub peer: IpAddr,
    /// Whether that is equipment too.
    pub is_peer_equipment: bool,
    /// Whether the equipment is, or may be, who opened the flow.
    pub may_have_opened: bool,
    /// Packets and bytes that the equipment sent.
    pub sent: (u64, u64),
    /// Packets and bytes that it received.
    pub received: (u64, u64),
}

impl<'a> Spell<'a> {
    /// The spell as the doing of the first side, if that is equipment, else of the second.
    pub fn of(equipment: &'a str, activity: &'a Activity, day: u32) -> Self {
        let Activity { tuple, to_server, to_client, .. } = activity;
        match activity.source {
            Some(_) => Self {
                equipment,
                activity,
                day,
                peer: tuple.destination,
                is_peer_equipment: activity.destination.is_some(),
                may_have_opened: true,
                sent: *to_server,
                received: *to_client,
            },
            None => Self {
                equipment,
                activity,
                day,
                peer: tuple.source,
                is_peer_equipment: false,
                may_have_opened: !activity.initiator_known,
                sent: *to_client,
                received: *to_server,
            },
        }
    }

    /// Packets both ways.
    pub fn packets(&self) -> u64 {
        self.sent.0 + self.received.0
    }

    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.sent.1 + self.received.1
    }
}

/// How the detections are set; those that are absent do not judge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// BCN-PERIODIC's.
    pub beacons: Option<bcn_periodic::Settings>,
    /// EGR-LONGCONN's `max_hours`, as a time.
    pub longest: Option<Nanos>,
}

/// What a detection found, about the equipment of the spell that showed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The detection: an index into the engine's catalogue.
    pub detection: u16,
    /// How grave it is.
    pub severity: Severity,
    /// What was seen.
    pub fact: Fact,
    /// The other side; none if there are several.
    pub peer: Option<IpAddr>,
    /// Tells what grows together from other findings of the same kind.
    pub instance: u64,
    /// Packets of it so far, on the spell's day.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The first packet that belongs to it.
    pub first: Nanos,
    /// The last one.
    pub last: Nanos,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub struct Analytics {
    beacons: Beacons,
}

impl Analytics {
    /// Takes a spell in, and says what it shows.
    pub fn observe(
        &mut self,
        spell: &Spell<'_>,
        settings: &Settings,
        say: &mut impl FnMut(Finding),
    ) {
        if let Some(settings) = &settings.beacons {
            self.beacons.observe(spell, settings, say);
        }
        if let Some(longest) = settings.longest {
            egr_longconn::observe(spell, longest, say);
        }
    }

    /// Another life of the sensor begins: what was counted for alerts counts from 0 again.
    pub fn restarted(&mut self) {
        self.beacons.restarted();
    }

    /// Takes over a stored row; no if it is none of this version.
    pub fn restore(&mut self, kind: Kind, key: &[u8], row: &[u8]) -> bool {
        match kind {
            Kind::Channel => self.beacons.restore(key, row),
        }
    }

    /// The rows that changed since [`Analytics::stored`].
    pub fn changed(&self) -> impl Iterator<Item = Stored> {
        self.beacons.changed()
    }

    /// Whether any did.
    pub fn has_changed(&self) -> bool {
        self.beacons.has_changed()
    }

    /// What changed has been stored.
    pub fn stored(&mut self) {
        self.beacons.stored();
    }

    /// Rows given up for lack of room so far.
    pub fn evictions(&self) -> u64 {
        self.beacons.evictions()
    }
}

#[cfg(test)]
mod test_spells {
    use weir_engine::Nanos;
    use weir_engine::contract::verdict::{Activity, Tuple};
    use weir_engine::rules::{EquipmentId, Link};

    pub(crate) fn hours(hours: f64) -> Nanos {
        Nanos((hours * 3.6e12) as u64)
    }

    /// A packet of gnb-1 to a stranger's HTTPS port, which the policy does not allow.
    pub(crate) fn activity(at: Nanos) -> Activity {
        Activity {
            flow_id: 7,
            tuple: Tuple {
                source: [10, 0, 0, 1].into(),
                destination: [198, 51, 100, 7].into(),
                source_port: 40_000,
                destination_port: 443,
                protocol: 6,
            },
            initiator_known: true,
            source: Some(EquipmentId(0)),
            destination: None,
            to_server: (3, 400),
            to_client: (3, 300),
            total: (6, 700),
            opened: at,
            first: at,
            last: at,
            continues: false,
            allowed: false,
            periodic: false,
            name: None,
            tap: 0,
            link: Link::Oam,
            policy: 1,
        }
    }
}
