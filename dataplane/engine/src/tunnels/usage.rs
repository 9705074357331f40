//! What one worker counts on each tunnel: four words by slot, of which the worker
//! is the only writer and the session machine reads what it needs when it needs
//! it. So no packet and no slice carries usage from thread to thread.

use std::sync::Arc;

use weir_mem::prefetch;
use weir_wire::Address;

use super::cells::{Ordering, Rows, rows};
use super::qos::QosFlows;
use super::table::Slot;
use crate::Nanos;
use crate::rules::{EquipmentId, Party};

const WORDS: usize = 4;
/// The packets' share of the first word; above it stands the slot's generation.
const PACKETS: u32 = 48;

/// Who sends on a tunnel: the equipment whatever its address, else the address,
/// shortened to what tells senders apart.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sender(u32);

impl Sender {
    /// The sender of a packet from a party at an address.
    #[inline]
    pub fn of(party: u32, address: Address) -> Self {
        match Party::unpack(party) {
            Party::Equipment(_) => Self(party),
            _ => {
                let folded = (address.0 >> 64) as u64 ^ address.0 as u64;
                Self(0xf << 28 | (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 36) as u32)
            }
        }
    }

    /// As a word of a key.
    pub(super) fn word(self) -> u64 {
        u64::from(self.0)
    }

    /// The equipment, if it is one.
    pub fn equipment(self) -> Option<EquipmentId> {
        Party::unpack(self.0).equipment()
    }
}

/// What was counted on a tunnel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counted {
    /// G-PDUs.
    pub packets: u64,
    /// Bytes of the users' packets in them.
    pub bytes: u64,
    /// The last one's time.
    pub last: Nanos,
    /// Who sent it.
    pub sender: Sender,
    /// The QoS flows that they belong to.
    pub flows: QosFlows,
}

impl Counted {
    /// Adds what another worker counted.
    pub fn join(&mut self, more: &Counted) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        if more.last > self.last {
            (self.last, self.sender) = (more.last, more.sender);
        }
        self.flows.join(more.flows);
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct UsageWriter(Arc<Rows<WORDS>>);

/// The session machine's end.
#[derive(Clone, Debug)]
pub struct UsageReader(Arc<Rows<WORDS>>);

/// Rows for a table of `slots`.
///
/// # Errors
/// If there is no memory for them.
pub fn usage(slots: usize) -> std::io::Result<(UsageWriter, UsageReader)> {
    let shared = Arc::new(rows(slots)?);
    Ok((UsageWriter(shared.clone()), UsageReader(shared)))
}

/// One packet on a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// 1, or 0 for a later fragment, which brings bytes only.
    pub packets: u64,
    /// Bytes of the user's packet.
    pub bytes: u64,
    /// Its time.
    pub time: Nanos,
    /// Who sent it.
    pub sender: Sender,
    /// Its QoS flow.
    pub flow: QosFlows,
}

impl UsageWriter {
    /// Asks for a slot's row.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        if let Some(row) = self.0.get(slot.0 as usize) {
            prefetch(row);
        }
    }

    /// Counts a packet on a slot of that generation; gives who sent the last one before it,
    /// and when. None if the slot is none.
    #[inline]
    pub fn count(
        &mut self,
        slot: Slot,
        generation: u16,
        packet: &Packet,
    ) -> Option<(Sender, Nanos)> {
        let [head, bytes, last, tail] = self.0.get(slot.0 as usize)?;
        let before = head.load(Ordering::Relaxed);
        let known = (before >> PACKETS) as u16 == generation;
        let (packets, so_far, latest, sender, flows) = if known {
            let tail = tail.load(Ordering::Relaxed);
            let (sender, flows) = ((tail >> 32) as u32, QosFlows(tail as u32));
            let packets = before & ((1 << PACKETS) - 1);
            (packets, bytes.load(Ordering::Relaxed), last.load(Ordering::Relaxed), sender, flows)
        } else {
            (0, 0, 0, 0, QosFlows::default())
        };
        let packets = (packets + packet.packets) & ((1 << PACKETS) - 1);
        head.store(u64::from(generation) << PACKETS | packets, Ordering::Relaxed);
        bytes.store(so_far.wrapping_add(packet.bytes), Ordering::Relaxed);
        last.store(latest.max(packet.time.0), Ordering::Relaxed);
        let now = u64::from(packet.sender.0) << 32 | u64::from(flows.with(packet.flow).0);
        tail.store(now, Ordering::Relaxed);
        Some((Sender(sender), Nanos(latest)))
    }
}

impl UsageReader {
    /// Asks for a slot's row.
    pub fn prefetch(&self, slot: Slot) {
        if let Some(row) = self.0.get(slot.0 as usize) {
            prefetch(row);
        }
    }

    /// What was counted on a slot of that generation.
    pub fn of(&self, slot: Slot, generation: u16) -> Counted {
        let Some([head, bytes, last, tail]) = self.0.get(slot.0 as usize) else {
            return Counted::default();
        };
        let first = head.load(Ordering::Relaxed);
        if (first >> PACKETS) as u16 != generation {
            return Counted::default();
        }
        let tail = tail.load(Ordering::Relaxed);
        Counted {
            packets: first & ((1 << PACKETS) - 1),
            bytes: bytes.load(Ordering::Relaxed),
            last: Nanos(last.load(Ordering::Relaxed)),
            sender: Sender((tail >> 32) as u32),
            flows: QosFlows(tail as u32),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn packet(sender: u32, bytes: u64, second: u64) -> Packet {
        let time = Nanos::from_secs(second);
        Packet { packets: 1, bytes, time, sender: Sender(sender), flow: QosFlows::of(Some(9)) }
    }

    #[test]
    fn another_use_of_the_slot_counts_anew_and_the_sender_before_is_told() {
        let (mut writer, reader) = usage(8).unwrap();
        let first = writer.count(Slot(3), 1, &packet(7, 100, 1));
        assert_eq!(first, Some((Sender(0), Nanos(0))), "the first sender is news");
        let same = writer.count(Slot(3), 1, &packet(7, 50, 2));
        assert_eq!(same, Some((Sender(7), Nanos::from_secs(1))));
        let change = writer.count(Slot(3), 1, &packet(8, 1, 3));
        assert_eq!(change, Some((Sender(7), Nanos::from_secs(2))));
        let counted = reader.of(Slot(3), 1);
        assert_eq!((counted.packets, counted.bytes, counted.sender), (3, 151, Sender(8)));
        assert_eq!(counted.last, Nanos::from_secs(3));
        assert_eq!(reader.of(Slot(3), 2), Counted::default());
        let anew = writer.count(Slot(3), 2, &packet(7, 5, 4));
        assert_eq!(anew, Some((Sender(0), Nanos(0))));
        assert_eq!(reader.of(Slot(3), 2).bytes, 5);
        assert_eq!(writer.count(Slot(99), 1, &packet(1, 1, 1)), None, "beyond the table");
    }

    #[test]
    fn equipment_is_one_sender_with_many_addresses() {
        let party = Party::Equipment(EquipmentId(5)).pack();
        let (a, b) = (Address::v4([10, 0, 0, 1]), Address::v4([10, 0, 0, 2]));
        assert_eq!(Sender::of(party, a), Sender::of(party, b));
        assert_ne!(Sender::of(0, a), Sender::of(0, b));
        assert_eq!(Sender::of(party, a).equipment(), Some(EquipmentId(5)));
        assert_eq!(Sender::of(0, a).equipment(), None);
    }
}
