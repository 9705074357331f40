//! Which packets of services in clear text are looked at: those by which each side of a flow
//! begins. What follows is as much as equipment likes, and tells nothing more.

use crate::Nanos;
use crate::keyed_hash::keyed_hash;
use crate::track::FlowKey;

/// Sides of flows that are remembered at a time. What was forgotten is looked at once more, and
/// the judge knows that it has seen it.
const SLOTS: usize = 1 << 12;
/// How many of them one side may stand in.
const PROBED: usize = 8;
/// A side that was silent for so long begins anew, as its flow does.
const SILENT: Nanos = Nanos::from_secs(120);

/// A side of a flow, and how many octets of it were looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    side: (FlowKey, bool),
    octets: usize,
    last: Nanos,
}

/// What was looked at.
#[derive(Debug)]
pub(crate) struct Beginnings {
    slots: Vec<Slot>,
    hash_key: u64,
}

impl Beginnings {
    pub(crate) fn new(hash_key: u64) -> Self {
        Self { slots: vec![Slot::default(); SLOTS], hash_key }
    }

    /// Forgets all: what was not allowed may be now.
    pub(crate) fn forget(&mut self) {
        self.slots.fill(Slot::default());
    }

    /// Whether a payload of so many octets is of a side's first `enough`.
    pub(crate) fn admits(
        &mut self,
        side: (FlowKey, bool),
        at: Nanos,
        octets: usize,
        enough: usize,
    ) -> bool {
        let first = self.place(&side);
        let Some(probed) = self.slots.get_mut(first..first + PROBED) else { return true };
        let known = probed.iter().position(|slot| slot.side == side);
        let longest_silent = (0..PROBED).min_by_key(|place| probed[*place].last);
        let slot = &mut probed[known.or(longest_silent).unwrap_or_default()];
        if known.is_none() || at.since(slot.last) > SILENT {
            *slot = Slot { side, octets: 0, last: at };
        }
        slot.last = slot.last.max(at);
        let is_admitted = slot.octets < enough;
        slot.octets = slot.octets.saturating_add(octets);
        is_admitted
    }

    /// Where a side's slots begin.
    fn place(&self, (key, upward): &(FlowKey, bool)) -> usize {
        let fold = |address: u128| address as u64 ^ (address >> 64) as u64;
        let ports = u64::from(key.low_port) << 32 | u64::from(key.high_port) << 16;
        let kind = u64::from(key.protocol) << 1 | u64::from(*upward);
        let words = [fold(key.low.0), fold(key.high.0), ports, kind, 0];
        (keyed_hash(words, self.hash_key) % (SLOTS - PROBED + 1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(port: u16) -> (FlowKey, bool) {
        (FlowKey { low_port: port, ..FlowKey::default() }, true)
    }

    #[test]
    fn a_side_is_looked_at_until_that_is_enough_and_again_after_a_silence() {
        let mut beginnings = Beginnings::new(7);
        let mut admits = |side, seconds: u64| {
            beginnings.admits(side, Nanos::from_secs(1_000 + seconds), 200, 512)
        };
        let told: Vec<bool> = (0..5).map(|second| admits(side(1), second)).collect();
        assert_eq!(told, [true, true, true, false, false]);
        assert!(admits((side(1).0, false), 5) && admits(side(2), 5));
        assert!(!admits(side(1), 100));
        assert!(admits(side(1), 221));
    }

    #[test]
    fn a_flood_of_flows_only_makes_that_one_is_looked_at_again() {
        let mut beginnings = Beginnings::new(7);
        for port in 0..60_000 {
            assert!(beginnings.admits(side(port), Nanos::from_secs(1_000), 600, 512), "{port}");
        }
        assert_eq!(beginnings.slots.len(), SLOTS);
        assert!(beginnings.admits(side(0), Nanos::from_secs(1_000), 600, 512));
    }
}
