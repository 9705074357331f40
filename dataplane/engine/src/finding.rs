//! Findings: single packets of GTP-U that are wrong whatever their flow is
//! allowed to carry. A worker sums them per slice like flows.

use weir_wire::Address;

use crate::decode::protocol;
use crate::detect::gtp_hdrcov;
use crate::frame::TapId;
use crate::keyed_hash::keyed_hash;
use crate::record::{Flags, Kind, Oddities, Record};
use crate::rules::{Link, Party, Roles, Rules};
use crate::track::{FlowKey, Inner};
use crate::{Frame, Nanos};

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Sign {
    /// GTP-U inside a G-PDU.
    Nested,
    /// Control plane inside a G-PDU.
    ControlInside,
    /// A user's packet to infrastructure.
    IntoInfrastructure,
    /// The spare bit of the header is set.
    SpareBit,
    /// Bytes behind the header's length.
    Trailing,
    /// A Private Extension.
    PrivateExtension,
    /// A message longer than its elements need.
    Padded,
    /// An extension header that is not standard on its link.
    Extension(u8),
    /// An Echo Request: wrong only if there are too many.
    EchoRequest,
    /// An Echo Response.
    EchoResponse,
}

/// What makes several findings one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FindingKey {
    /// What is wrong.
    pub sign: Sign,
    /// The outer flow.
    pub flow: FlowKey,
    /// Whether the packets went from its low end to its high end.
    pub upward: bool,
    /// Whether an end of the inner packet is a subscriber's.
    pub own: bool,
    /// The /24 or /48 of the inner destination, or the zero address.
    pub target: Address,
}

/// Packets of one kind in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// What they share.
    pub key: FindingKey,
    /// The first one's time.
    pub first: Nanos,
    /// The last one's time.
    pub last: Nanos,
    /// How many.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// The tap of the first one.
    pub tap: TapId,
    /// Its link.
    pub link: Link,
    /// The first one's inner packet.
    pub inner: Option<Inner>,
}

impl Finding {
    /// Adds what another worker, or a later part of the slice, saw.
    pub fn join(&mut self, more: &Finding) {
        let order = |it: &Finding| (it.first, it.tap.0, it.link);
        if order(more) < order(self) {
            (self.first, self.tap, self.link, self.inner) =
                (more.first, more.tap, more.link, more.inner);
        }
        self.last = self.last.max(more.last);
        self.packets += more.packets;
        self.bytes += more.bytes;
    }
}

/// Findings per slice and worker.
const FINDINGS: usize = 4096;
const SLOTS: usize = FINDINGS * 2;
const FREE: u16 = u16::MAX;

/// The findings of one slice, and an index over them.
#[derive(Debug, Default)]
pub struct Findings {
    rows: Vec<Finding>,
    index: Vec<u16>,
    /// The row of the finding before.
    latest: usize,
    secret: u64,
}

impl Findings {
    /// Empty, with room for a slice.
    pub fn with_room() -> Self {
        Self { rows: Vec::with_capacity(FINDINGS), index: vec![FREE; SLOTS], latest: 0, secret: 0 }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        if !self.rows.is_empty() {
            self.rows.clear();
            self.index.fill(FREE);
        }
    }

    /// Forgets all, and hashes under this secret from now on: senders choose what is in a key.
    pub(crate) fn under(&mut self, secret: u64) {
        self.clear();
        self.secret = secret;
    }

    /// The findings in order of arrival.
    pub fn rows(&self) -> &[Finding] {
        &self.rows
    }

    /// Adds one, and gives how many there are of its kind; none if there is no room for another
    /// kind.
    fn add(&mut self, found: Finding) -> Option<u64> {
        // Most are of the same kind as the one before.
        if let Some(row) = self.rows.get_mut(self.latest)
            && row.key == found.key
        {
            row.join(&found);
            return Some(row.packets);
        }
        let kind = match found.key.sign {
            Sign::Extension(kind) => u64::from(kind) << 8,
            _ => 0,
        };
        let Address(target) = found.key.target;
        let words = [target as u64, (target >> 64) as u64, kind, 0, 0];
        let hash = found.key.flow.hash(self.secret) ^ keyed_hash(words, self.secret);
        let mut slot = hash as usize % SLOTS;
        // At most half of the slots are taken: the search ends.
        while let Some(place) = self.index.get(slot).filter(|place| **place != FREE) {
            match self.rows.get_mut(usize::from(*place)) {
                Some(row) if row.key == found.key => {
                    row.join(&found);
                    self.latest = usize::from(*place);
                    return Some(row.packets);
                }
                _ => slot = (slot + 1) % SLOTS,
            }
        }
        if self.rows.len() >= FINDINGS {
            return None;
        }
        if let Some(free) = self.index.get_mut(slot) {
            *free = self.rows.len() as u16;
            self.rows.push(found);
        }
        Some(1)
    }

    /// Notes what is wrong with a packet; gives the number of findings that found no room, and the
    /// least number of packets of a kind among those that did.
    #[cold]
    pub(crate) fn examine(
        &mut self,
        frame: &Frame<'_>,
        record: &Record,
        ends: (Address, Address),
        rules: &Rules,
    ) -> (u64, u64) {
        let (flow, upward) = FlowKey::of(record, ends.0, ends.1);
        let (mut dropped, mut fewest) = (0, u64::MAX);
        let mut found = |sign, own, target, inner| {
            let known = self.add(Finding {
                key: FindingKey { sign, flow, upward, own, target },
                first: record.time,
                last: record.time,
                packets: 1,
                bytes: u64::from(record.wire_len),
                tap: record.tap,
                link: record.link,
                inner,
            });
            match known {
                Some(packets) => fewest = fewest.min(packets),
                None => dropped += 1,
            }
        };
        let mut outside = |sign| found(sign, false, Address::default(), None);
        for (oddity, sign) in [
            (Oddities::SPARE, Sign::SpareBit),
            (Oddities::TRAILING, Sign::Trailing),
            (Oddities::PRIVATE, Sign::PrivateExtension),
            (Oddities::PADDED, Sign::Padded),
        ] {
            if record.oddities.has(oddity) {
                outside(sign);
            }
        }
        // RAN nodes forward to each other over the addresses that they have on N3.
        let is_standard = |link| gtp_hdrcov::is_standard(record.extension, link, record.message);
        if record.oddities.has(Oddities::EXTENSION)
            && !is_standard(record.link)
            && !(is_within_ran(record, rules) && is_standard(Link::Xn))
        {
            outside(Sign::Extension(record.extension));
        }
        if record.oddities.has(Oddities::ECHO) {
            outside(if record.message == 1 { Sign::EchoRequest } else { Sign::EchoResponse });
        }
        // Of what is wrong inside, the most specific.
        let inside = if record.flags.has(Flags::NESTED) {
            Sign::Nested
        } else if record.flags.has(Flags::CONTROL_INSIDE) {
            Sign::ControlInside
        } else if record.flags.has(Flags::INTO_INFRASTRUCTURE) {
            Sign::IntoInfrastructure
        } else {
            return (dropped, fewest);
        };
        let inner = Inner::of(record, frame.bytes);
        let is_own = |address: Address| Party::unpack(rules.party(address)) == Party::Subscriber;
        let (own, target) = inner.map_or((false, Address::default()), |inner| {
            let (source, destination) = (inner.tuple.source.into(), inner.tuple.destination.into());
            (is_own(source) || is_own(destination), Address::neighbourhood(destination))
        });
        found(inside, own, target, inner);
        (dropped, fewest)
    }
}

/// Whether both ends are the radio side's, whatever link their addresses are declared for.
fn is_within_ran(record: &Record, rules: &Rules) -> bool {
    [record.source, record.destination].into_iter().all(|packed| {
        let equipment = Party::unpack(packed).equipment().and_then(|id| rules.equipment(id));
        equipment.is_some_and(|equipment| equipment.roles.any(Roles::RADIO))
    })
}

/// What no user's packet should hold, or where none should go.
pub(crate) const INSIDE: Flags =
    Flags::NESTED.or(Flags::CONTROL_INSIDE).or(Flags::INTO_INFRASTRUCTURE);

/// Whether a packet may hold a finding.
#[inline]
pub(crate) fn is_suspicious(record: &Record) -> bool {
    record.kind == Kind::Gtpu
        && (record.flags.any(INSIDE) || !record.oddities.is_empty())
        && record.protocol == protocol::UDP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(flow: u32, sign: Sign, at: u64) -> Finding {
        let address = |n: u32| Address::v4(n.to_be_bytes());
        let flow = FlowKey { low: address(flow), high: address(u32::MAX), ..FlowKey::default() };
        Finding {
            key: FindingKey { sign, flow, upward: true, own: false, target: Address::default() },
            first: Nanos(at),
            last: Nanos(at),
            packets: 1,
            bytes: 100,
            tap: TapId(at as u16),
            link: Link::N3,
            inner: None,
        }
    }

    #[test]
    fn findings_of_a_kind_are_one_whose_first_packet_stands_for_it() {
        let mut findings = Findings::with_room();
        assert!(findings.add(finding(1, Sign::Trailing, 7)).is_some());
        assert!(findings.add(finding(1, Sign::Trailing, 5)).is_some());
        assert!(findings.add(finding(1, Sign::Extension(0x5a), 5)).is_some());
        assert!(findings.add(finding(1, Sign::Extension(0x5b), 5)).is_some());
        let [trailing, ..] = findings.rows() else { panic!() };
        assert_eq!((trailing.packets, trailing.bytes), (2, 200));
        assert_eq!((trailing.first, trailing.last, trailing.tap), (Nanos(5), Nanos(7), TapId(5)));
        assert_eq!(findings.rows().len(), 3);
    }

    #[test]
    fn no_room_is_said_and_a_cleared_table_has_room_again() {
        let mut findings = Findings::with_room();
        for flow in 0..FINDINGS as u32 {
            assert!(findings.add(finding(flow, Sign::Nested, 1)).is_some());
        }
        assert!(findings.add(finding(FINDINGS as u32, Sign::Nested, 1)).is_none());
        assert!(findings.add(finding(3, Sign::Nested, 1)).is_some(), "a known kind needs no room");
        findings.clear();
        assert!(findings.rows().is_empty());
        assert!(findings.add(finding(FINDINGS as u32, Sign::Nested, 1)).is_some());
    }
}
