//! What one worker saw in one slice.

use crate::finding::Findings;
use crate::frame::TapId;
use crate::rules::EquipmentId;
use crate::track::FlowDelta;
use crate::{Frame, Nanos};

/// Something about listed equipment that its entry does not list.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sighting {
    /// The equipment.
    pub equipment: EquipmentId,
    /// What it showed.
    pub trait_seen: Trait,
    /// When first in this slice.
    pub time: Nanos,
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
    /// On which tap.
    pub tap: u16,
}

/// The kinds of sightings.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Trait {
    /// Sent from this MAC address.
    Mac([u8; 6]),
    /// Sent in this VLAN.
    Vlan(u16),
    /// Sent a frame of this EtherType.
    EtherType(u16),
}

/// A DNS answer to equipment, as it stands in [`Report::dns_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct DnsAnswer {
    /// The packet's time.
    pub time: Nanos,
    /// Who asked.
    pub client: EquipmentId,
    /// Where the message starts.
    pub start: u32,
    /// How long it is.
    pub len: u32,
}

/// Sightings per slice.
const SIGHTINGS: usize = 1024;
/// Bytes of DNS answers per slice.
const DNS_BYTES: usize = 256 << 10;
/// DNS answers per slice.
const DNS_ANSWERS: usize = 4096;
/// The largest DNS answer that is read; UDP answers are smaller as a rule.
const DNS_LARGEST: usize = 4096;

/// What one worker saw in one slice, or in a part of it if the slice was full.
#[derive(Debug, Default)]
pub struct Report {
    /// The slice's number.
    pub slice: u64,
    /// The largest packet time seen so far, whatever the slice.
    pub latest: Nanos,
    /// The identity of the policy that told equipment from others, 0 for none.
    pub policy: u64,
    /// Whether further reports for this slice follow.
    pub partial: bool,
    /// What each flow did.
    pub flows: Vec<FlowDelta>,
    /// What listed equipment showed.
    pub sightings: Vec<Sighting>,
    /// Where an equipment's last sighting stands, by its number.
    pub(crate) hints: Vec<u16>,
    /// DNS answers to equipment.
    pub dns: Vec<DnsAnswer>,
    /// Their bytes.
    pub dns_bytes: Vec<u8>,
    /// What single packets of GTP-U showed.
    pub findings: Findings,
    /// User packets per direction and tap: (tap, uplink, downlink).
    pub directions: Vec<(TapId, u64, u64)>,
    /// Sightings, findings and answers that found no room.
    pub dropped: u64,
    /// The largest backward step of the clock in the slice.
    pub clock_back: Nanos,
    /// The largest forward step of the clock in the slice.
    pub clock_ahead: Nanos,
    /// Backward steps beyond reordering.
    pub clock_steps: u64,
}

impl Report {
    /// An empty report with room for a slice.
    pub fn with_room() -> Self {
        Self {
            sightings: Vec::with_capacity(SIGHTINGS),
            hints: vec![0; SIGHTINGS],
            dns: Vec::with_capacity(DNS_ANSWERS),
            dns_bytes: Vec::with_capacity(DNS_BYTES),
            findings: Findings::with_room(),
            directions: Vec::with_capacity(64),
            ..Self::default()
        }
    }

    /// Empties the report and keeps its room.
    pub fn clear(&mut self) {
        self.flows.clear();
        self.sightings.clear();
        self.dns.clear();
        self.dns_bytes.clear();
        self.findings.clear();
        self.directions.clear();
        self.partial = false;
        self.dropped = 0;
        self.clock_back = Nanos(0);
        self.clock_ahead = Nanos(0);
        self.clock_steps = 0;
    }

    /// Notes a sighting, once per equipment and trait.
    pub fn sight(&mut self, frame: &Frame<'_>, equipment: EquipmentId, trait_seen: Trait) {
        let bytes = u64::from(frame.meta.wire_len);
        let is_it = |seen: &Sighting| seen.equipment == equipment && seen.trait_seen == trait_seen;
        // Most packets show what the equipment's packet before showed.
        let hint = equipment.0 as usize % SIGHTINGS;
        let known = match self.hints.get(hint).map(|place| usize::from(*place)) {
            Some(place) if self.sightings.get(place).is_some_and(is_it) => Some(place),
            _ => self.sightings.iter().position(is_it),
        };
        let place = known.unwrap_or(self.sightings.len());
        if let Some(slot) = self.hints.get_mut(hint) {
            *slot = place as u16;
        }
        if let Some(sighting) = self.sightings.get_mut(place) {
            sighting.time = sighting.time.min(frame.meta.time);
            sighting.packets += 1;
            sighting.bytes += bytes;
        } else if place < SIGHTINGS {
            self.sightings.push(Sighting {
                equipment,
                trait_seen,
                time: frame.meta.time,
                packets: 1,
                bytes,
                tap: frame.meta.tap.0,
            });
        } else {
            self.dropped += 1;
        }
    }

    /// Keeps a DNS answer.
    pub fn dns_answer(&mut self, time: Nanos, client: EquipmentId, message: &[u8]) {
        let room = self.dns.len() < DNS_ANSWERS
            && message.len() <= DNS_LARGEST
            && self.dns_bytes.len() + message.len() <= DNS_BYTES;
        if !room {
            self.dropped += 1;
            return;
        }
        let start = self.dns_bytes.len() as u32;
        self.dns_bytes.extend_from_slice(message);
        self.dns.push(DnsAnswer { time, client, start, len: message.len() as u32 });
    }

    /// The bytes of a DNS answer.
    pub fn dns_message(&self, answer: &DnsAnswer) -> &[u8] {
        let start = answer.start as usize;
        self.dns_bytes.get(start..start + answer.len as usize).unwrap_or_default()
    }

    /// Counts a user packet of a tap.
    pub fn direction(&mut self, tap: TapId, uplink: bool) {
        let row = match self.directions.iter_mut().find(|(of, ..)| *of == tap) {
            Some(row) => row,
            None => {
                self.directions.push((tap, 0, 0));
                match self.directions.last_mut() {
                    Some(row) => row,
                    None => return,
                }
            }
        };
        if uplink {
            row.1 += 1;
        } else {
            row.2 += 1;
        }
    }
}
