//! A PFCP session and the rules in it, as far as they carry state or evidence.

use arrayvec::ArrayVec;
use weir_wire::Address;

use super::names::NameId;
use super::one_way::Ways;
use super::order::PDR_URRS;
use super::pool::NIL;
use crate::Nanos;
use crate::contract::session::{SessionState, Slice};
use crate::tunnels::{FTeid, QosFlows, Slot};

/// A session by its place in the store, and which use of the place.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SessionRef {
    pub(crate) place: u32,
    pub(crate) uses: u32,
}

/// The most UE addresses that a session has.
pub(crate) const ADDRESSES: usize = 4;

/// A subscriber's address, or prefix.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct UeAddress {
    pub(crate) address: Address,
    /// Bits that count.
    pub(crate) prefix: u8,
    /// Whether this session is the one that is known by it.
    pub(crate) claimed: bool,
    /// Its row in the table of users.
    pub(crate) row: Option<(Slot, u16)>,
}

/// Pseudonyms of who a session is for; 0 where nothing was said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) supi: u64,
    pub(crate) gpsi: u64,
    pub(crate) pei: u64,
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) uses: u32,
    pub(crate) state: SessionState,
    pub(crate) generation: u32,
    /// The CP F-SEID: address and SEID, by which it is known to the UP function.
    pub(crate) cp: Address,
    pub(crate) cp_seid: u64,
    /// The UP F-SEID.
    pub(crate) up: Address,
    pub(crate) up_seid: u64,
    /// Nodes that speak for it.
    pub(crate) cp_node: u32,
    pub(crate) up_node: u32,
    /// The CP node that it was set up by, among whose sessions it is counted.
    pub(crate) cp_home: u32,
    /// Whether its request was seen, and not its answer alone.
    pub(crate) is_whole: bool,
    pub(crate) established: Nanos,
    pub(crate) ended: Nanos,
    /// The last message about it.
    pub(crate) signalled: Nanos,
    /// Whether it ever had a downlink: its first is no move.
    pub(crate) was_reached: bool,
    /// When its downlink was last moved, asked for or agreed.
    pub(crate) moved: Nanos,
    /// When a half of a transaction about it was missed.
    pub(crate) uncertain: Nanos,
    /// When a request came that its owner may not have sent.
    pub(crate) doubted: Nanos,
    /// Until when its owner, who repeated a request in vain, may ask for the same once more.
    pub(crate) unheard_until: Nanos,
    pub(crate) ue: [UeAddress; ADDRESSES],
    pub(crate) instance: NameId,
    pub(crate) dnn: NameId,
    pub(crate) slice: Option<Slice>,
    pub(crate) who: Identity,
    pub(crate) pdn_type: u8,
    /// Hashes of the sets of sessions that it belongs to (FQ-CSID), CP's and UP's.
    pub(crate) sets: [u64; 2],
    pub(crate) pdrs: u32,
    pub(crate) fars: u32,
    pub(crate) urrs: u32,
    pub(crate) endpoints: u32,
    pub(crate) routes: u32,
    pub(crate) tunnels: u32,
    pub(crate) modifications: u32,
    pub(crate) reports: u32,
    /// Usage that no row counts any more, or that was resolved late.
    pub(crate) kept: [Counts; 2],
    /// Reported by the UP function so far (uplink, downlink bytes).
    pub(crate) reported: Option<(u64, u64)>,
    pub(crate) mismatch: bool,
    pub(crate) was_flagged_for: Flagged,
    pub(crate) ways: Ways,
}

/// Packets and bytes one way, and the QoS flows that they belong to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) flows: QosFlows,
}

/// What a session was already flagged for, so that it is said once, and what speaks against
/// saying more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flagged(pub(crate) u8);

impl Flagged {
    pub(crate) const GHOST: Flagged = Flagged(1);
    pub(crate) const DUPLICATES: Flagged = Flagged(1 << 1);
    pub(crate) const DOUBTED_END: Flagged = Flagged(1 << 2);
    pub(crate) const ONE_WAY: Flagged = Flagged(1 << 3);
    /// By what was seen by halves it has ended, or its numbers are another's.
    pub(crate) const MAY_HAVE_ENDED: Flagged = Flagged(1 << 4);

    pub(crate) const fn has(self, wanted: Flagged) -> bool {
        self.0 & wanted.0 != 0
    }

    pub(crate) const fn set(&mut self, more: Flagged) {
        self.0 |= more.0;
    }

    pub(crate) const fn clear(&mut self, less: Flagged) {
        self.0 &= !less.0;
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            uses: 0,
            state: SessionState::Pending,
            generation: 0,
            cp: Address::default(),
            cp_seid: 0,
            up: Address::default(),
            up_seid: 0,
            cp_node: NIL,
            up_node: NIL,
            cp_home: NIL,
            is_whole: false,
            established: Nanos(0),
            ended: Nanos::MAX,
            signalled: Nanos(0),
            was_reached: false,
            moved: Nanos(0),
            uncertain: Nanos(0),
            doubted: Nanos(0),
            unheard_until: Nanos(0),
            ue: [UeAddress::default(); ADDRESSES],
            instance: NameId::NONE,
            dnn: NameId::NONE,
            slice: None,
            who: Identity::default(),
            pdn_type: 0,
            sets: [0; 2],
            pdrs: NIL,
            fars: NIL,
            urrs: NIL,
            endpoints: NIL,
            routes: NIL,
            tunnels: NIL,
            modifications: 0,
            reports: 0,
            kept: [Counts::default(); 2],
            reported: None,
            mismatch: false,
            was_flagged_for: Flagged::default(),
            ways: Ways::default(),
        }
    }
}

impl Session {
    /// Whether its tunnels are in use as far as N4 says.
    pub(crate) fn is_live(&self) -> bool {
        self.ended == Nanos::MAX
            && matches!(
                self.state,
                SessionState::Active | SessionState::Partial | SessionState::Stale
            )
    }

    /// Its users.
    pub(crate) fn users(&self) -> ArrayVec<Address, ADDRESSES> {
        self.addresses().map(|ue| ue.address).collect()
    }

    /// Its UE addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &UeAddress> {
        self.ue.iter().filter(|ue| ue.prefix != 0)
    }
}

/// The addresses of one end, of either family one at most; an unspecified one is none. Half
/// as large as two addresses that may be missing, of which there are millions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct EndAddresses {
    v4: u32,
    v6: [u64; 2],
}

impl EndAddresses {
    pub(crate) fn new(v4: Option<Address>, v6: Option<Address>) -> Self {
        let v6 = v6.unwrap_or_default().0;
        Self { v4: v4.and_then(Address::as_v4).unwrap_or(0), v6: [(v6 >> 64) as u64, v6 as u64] }
    }

    /// The addresses, IPv4 first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Address> + use<> {
        let v4 = (self.v4 != 0).then(|| Address::v4(self.v4.to_be_bytes()));
        let v6 = Address(u128::from(self.v6[0]) << 64 | u128::from(self.v6[1]));
        v4.into_iter().chain((v6.0 != 0).then_some(v6))
    }
}

/// A local F-TEID as a PDR or traffic endpoint has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LocalEnd {
    pub(crate) teid: u32,
    pub(crate) addresses: EndAddresses,
    /// The UP function is to choose it, and has not said it yet.
    pub(crate) chosen_later: bool,
    /// Ends with the same number are the same.
    pub(crate) choose_id: Option<u8>,
}

/// A packet detection rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pdr {
    pub(crate) id: u16,
    pub(crate) precedence: Option<u32>,
    pub(crate) source: u8,
    pub(crate) end: Option<LocalEnd>,
    pub(crate) endpoint: Option<u8>,
    /// The usage reporting rules that count its packets, as far as they are kept.
    pub(crate) urrs: [Option<u32>; PDR_URRS],
}

/// A forwarding action rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Far {
    pub(crate) id: u32,
    pub(crate) apply: u16,
    pub(crate) destination: u8,
    pub(crate) to: Option<RemoteEnd>,
    /// Where copies go.
    pub(crate) copies_to: Option<RemoteEnd>,
}

/// Where a FAR sends: an Outer Header Creation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RemoteEnd {
    pub(crate) teid: Option<u32>,
    pub(crate) addresses: EndAddresses,
}

/// A usage reporting rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Urr {
    pub(crate) id: u32,
    /// From which usage on the next report counts.
    pub(crate) base: [u64; 2],
}

/// A traffic endpoint (PDIU).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Endpoint {
    pub(crate) id: u8,
    pub(crate) end: Option<LocalEnd>,
}

/// A route behind the UE.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Route {
    pub(crate) address: Address,
    pub(crate) prefix: u8,
}

/// A row of the tunnel table that a session holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    pub(crate) end: FTeid,
    pub(crate) slot: Slot,
    pub(crate) generation: u16,
    pub(crate) downlink: bool,
    pub(crate) local: bool,
}

impl Held {
    /// Whether users' packets are counted here: on the UP function's own end upwards,
    /// and where it sends downwards. A packet that passes both is then counted once.
    pub(crate) const fn is_primary(&self) -> bool {
        self.local != self.downlink
    }
}

/// Whether `address` is within a prefix; IPv4 lengths count from the address's own first bit.
pub(crate) fn is_within(address: Address, prefix: Address, bits: u8) -> bool {
    let bits = if prefix.as_v4().is_some() {
        if address.as_v4().is_none() {
            return false;
        }
        u32::from(bits) + 96
    } else {
        u32::from(bits)
    };
    let differing = (address.0 ^ prefix.0).leading_zeros();
    differing >= bits.min(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_in_their_family() {
        let v4 = |last| Address::v4([10, 60, 0, last]);
        assert!(is_within(v4(9), v4(9), 32) && !is_within(v4(8), v4(9), 32));
        assert!(is_within(v4(8), v4(9), 24) && !is_within(Address(8), v4(9), 0));
        let net = Address(0x2001_0db8_0060_0001 << 64);
        assert!(is_within(Address(net.0 | 7), net, 64) && !is_within(Address(0), net, 64));
    }
}
