//! What was told of something that goes on: one alert a day, which grows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Fact, Severity};

use crate::{Finding, Spell};

/// The alert of a day.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Told {
    /// The UTC day.
    pub(crate) day: u32,
    /// What was seen.
    pub(crate) fact: Fact,
    first: Nanos,
    packets: u64,
    bytes: u64,
}

/// What is told, and of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) detection: u16,
    pub(crate) severity: Severity,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) instance: u64,
}

/// What belongs to an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// The last packet's time.
    pub(crate) last: Nanos,
}

impl Told {
    /// Nothing is counted yet.
    pub(crate) fn new(day: u32, fact: Fact, first: Nanos) -> Self {
        Self { day, fact, first, packets: 0, bytes: 0 }
    }

    /// Whether it is the alert that a spell of that day belongs to: a flow is told of when it ends,
    /// and the day may have begun meanwhile.
    pub(crate) fn covers(&self, day: u32) -> bool {
        self.day == day || self.day == day.saturating_add(1)
    }

    /// Counts a spell that belongs to it, and says how it stands.
    pub(crate) fn grow(&mut self, spell: &Spell<'_>, subject: Subject) -> Finding {
        let (packets, bytes, last) = (spell.packets(), spell.bytes(), spell.activity.last);
        self.grow_by(Size { packets, bytes, last }, subject)
    }

    /// Counts what else belongs to it, and says how it stands.
    pub(crate) fn grow_by(&mut self, more: Size, subject: Subject) -> Finding {
        self.packets += more.packets;
        self.bytes += more.bytes;
        let Subject { detection, severity, peer, instance } = subject;
        Finding {
            detection,
            day: self.day,
            severity,
            is_degraded: false,
            fact: self.fact,
            peer,
            instance,
            packets: self.packets,
            bytes: self.bytes,
            first: self.first,
            last: more.last,
        }
    }

    /// Counts from 0 again, for another life of the sensor; whether that changes it.
    pub(crate) fn restart(&mut self) -> bool {
        let before = std::mem::take(&mut self.packets) | std::mem::take(&mut self.bytes);
        before != 0
    }
}
