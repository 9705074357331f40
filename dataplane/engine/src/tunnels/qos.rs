//! Which QoS flows a tunnel carried: the lowest four of them, in four bytes, whatever the
//! order in which packets and workers come.

/// Marks a place that is taken: a QFI has six bits (TS 38.415 §5.5.3.3).
const TAKEN: u8 = 0x80;
const LOW: u32 = 0x0101_0101;
const HIGH: u32 = LOW << 7;

/// QoS flow identifiers, each once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QosFlows(pub(super) u32);

impl QosFlows {
    /// The most that are kept.
    pub const MOST: usize = 4;

    /// A packet's: none without a PDU Session Container.
    #[inline]
    pub const fn of(qfi: Option<u8>) -> Self {
        match qfi {
            Some(qfi) => Self((TAKEN | qfi & 0x3f) as u32),
            None => Self(0),
        }
    }

    /// These, and that of one more packet.
    #[inline]
    pub fn with(self, packet: Self) -> Self {
        let differing = self.0 ^ (packet.0 * LOW);
        let is_known = differing.wrapping_sub(LOW) & !differing & HIGH != 0;
        if is_known { self } else { self.and_new(packet) }
    }

    #[cold]
    fn and_new(self, packet: Self) -> Self {
        let mut flows = self.0.to_le_bytes();
        let [flow, ..] = packet.0.to_le_bytes();
        if flow == 0 {
            return self;
        }
        flows.sort_unstable();
        let [lowest, .., highest] = &mut flows;
        if *lowest == 0 {
            *lowest = flow;
        } else if flow < *highest {
            *highest = flow;
        }
        Self(u32::from_le_bytes(flows))
    }

    /// Takes those of another worker, or of another row.
    pub fn join(&mut self, more: Self) {
        for flow in more.0.to_le_bytes() {
            *self = self.with(Self(u32::from(flow)));
        }
    }

    /// The identifiers.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let taken = self.0.to_le_bytes().into_iter().filter(|flow| flow & TAKEN != 0);
        taken.map(|flow| flow & !TAKEN)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn all(flows: QosFlows) -> Vec<u8> {
        let mut all: Vec<u8> = flows.iter().collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn each_flow_is_kept_once_and_the_lowest_four() {
        let mut flows = QosFlows::default();
        for qfi in [None, Some(9), Some(9), Some(0), None, Some(63), Some(0), Some(9)] {
            flows = flows.with(QosFlows::of(qfi));
        }
        assert_eq!(all(flows), [0, 9, 63]);
        for qfi in [5, 6, 63, 7] {
            flows = flows.with(QosFlows::of(Some(qfi)));
        }
        assert_eq!(all(flows), [0, 5, 6, 7], "of more than four the lowest");
        assert_eq!(flows.with(QosFlows::of(None)), flows);
    }

    #[test]
    fn what_two_workers_saw_is_one_set() {
        let mut one = QosFlows::of(Some(9)).with(QosFlows::of(Some(1)));
        one.join(QosFlows::of(Some(1)).with(QosFlows::of(Some(2))));
        one.join(QosFlows::default());
        assert_eq!(all(one), [1, 2, 9]);
    }
}
