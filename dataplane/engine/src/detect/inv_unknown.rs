//! INV-UNKNOWN: an address on an infrastructure link that nobody declared, or
//! listed equipment that shows a MAC address, VLAN or EtherType which its entry
//! does not list.
//!
//! Addresses that name no single node never get here (`track` leaves them
//! out); a peer that another alert names is explained by that one.

use crate::Nanos;
use crate::detect::Detection;
use crate::judge::bounded::Bounded;
use crate::judge::flow::{Flow, Way};
use crate::report::Trait;
use crate::rules::{EquipmentId, Link, Party, Rules};
use crate::track::Side;
use weir_wire::Address;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "INV-UNKNOWN",
    signature_id: 5_290_001,
    signature: "Something that nobody declared is on an infrastructure link",
    category: "Potentially Bad Traffic",
    rank: 0,
    technique: &["T1200"],
    restricted: false,
};

/// How long equipment may still show VLANs for the first time.
const VLAN_LEARNING: Nanos = Nanos::from_secs(3600);

/// Unknown addresses that are watched at a time.
const ADDRESSES: usize = 1 << 16;
/// Equipment whose VLANs are watched.
const VLANS: usize = 1 << 17;

/// An unknown address.
#[derive(Clone, Debug)]
struct Stranger {
    /// Packets per slice, within the window.
    recent: Vec<(Nanos, u64)>,
    /// What no alert counts yet.
    uncounted: Seen,
    /// Whether it has sent enough to be reported.
    ripe: bool,
    /// Whether its report waits for a more specific detection.
    held: bool,
}

/// What an unknown address sent.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first packet.
    pub first: Nanos,
    /// The last packet.
    pub last: Nanos,
    /// The first equipment that it exchanged packets with.
    pub counterpart: Option<EquipmentId>,
}

/// Everything undeclared that is being watched.
#[derive(Debug)]
pub struct Strangers {
    addresses: Bounded<Address, Stranger>,
    vlans: Bounded<EquipmentId, (Nanos, Vec<u16>)>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { addresses: Bounded::new(ADDRESSES), vlans: Bounded::new(VLANS) }
    }
}

/// What one side of a flow added to an unknown address.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The address.
    pub address: Address,
    /// What it sent in this slice.
    pub side: &'a Side,
}

impl Strangers {
    /// The ends of a flow that nobody declared, as ways in which they send.
    pub fn ways<'a>(flow: &'a Flow, rules: &'a Rules) -> impl Iterator<Item = Way> + 'a {
        [Way::Up, Way::Down].into_iter().filter(move |way| {
            flow.link != Link::N6
                && flow.party(*way) == Party::Unknown
                && !rules.is_declared(flow.sender(*way))
        })
    }

    /// Adds packets that an unknown address sent, and tells whether they are now
    /// to be reported: it has sent enough, and its report is not being held.
    pub fn add(&mut self, sent: Sent<'_>, counterpart: Option<EquipmentId>, rules: &Rules) -> bool {
        let settings = rules.settings();
        let side = sent.side;
        let stranger = self.addresses.entry(sent.address, || Stranger {
            recent: Vec::new(),
            uncounted: Seen {
                packets: 0,
                bytes: 0,
                first: side.first,
                last: side.last,
                counterpart: None,
            },
            ripe: false,
            held: false,
        });
        let seen = &mut stranger.uncounted;
        if seen.packets == 0 {
            seen.first = side.first;
        }
        seen.packets += side.packets;
        seen.bytes += side.bytes;
        seen.first = seen.first.min(side.first);
        seen.last = seen.last.max(side.last);
        seen.counterpart = seen.counterpart.or(counterpart);
        if !stranger.ripe {
            stranger.recent.push((side.last, side.packets));
            let last = seen.last;
            stranger.recent.retain(|(time, _)| last.since(*time) <= settings.unknown_window);
            let within: u64 = stranger.recent.iter().map(|(_, packets)| packets).sum();
            stranger.ripe = within >= settings.unknown_min_packets;
        }
        stranger.ripe && !stranger.held
    }

    /// Notes whether the report of an address is being held.
    pub fn set_held(&mut self, address: Address, held: bool) {
        if let Some(stranger) = self.addresses.find_mut(&address) {
            stranger.held = held;
        }
    }

    /// Takes what no alert counts yet; none if there is nothing.
    pub fn take(&mut self, address: Address) -> Option<Seen> {
        let stranger = self.addresses.find_mut(&address)?;
        stranger.recent = Vec::new();
        let seen = stranger.uncounted;
        stranger.uncounted.packets = 0;
        stranger.uncounted.bytes = 0;
        (seen.packets > 0).then_some(seen)
    }

    /// Whether a sighting is news about that equipment. VLANs that it shows in
    /// its first hour are how it is connected.
    pub fn is_news(&mut self, equipment: EquipmentId, seen: Trait, time: Nanos) -> bool {
        let Trait::Vlan(id) = seen else { return true };
        let (since, known) = self.vlans.entry(equipment, || (time, Vec::new()));
        if known.contains(&id) {
            return false;
        }
        let learning = time.since(*since) <= VLAN_LEARNING;
        if learning {
            known.push(id);
        }
        !learning
    }

    /// Forgets everything watched.
    pub fn forget(&mut self) {
        self.addresses.clear();
        self.vlans.clear();
    }

    /// Rows given up for others so far.
    pub fn evictions(&self) -> u64 {
        self.addresses.evictions() + self.vlans.evictions()
    }
}
