//! CNS-DUP: packets of a subscriber are seen a second time where their session does not lead.

use std::collections::{BTreeMap, VecDeque};

use weir_wire::Address;

use crate::Nanos;
use crate::detect::Detection;
use crate::proof::Sample;
use crate::rules::Settings;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "CNS-DUP",
    signature_id: 5_290_028,
    signature: "Subscribers' packets are copied to where their sessions do not lead",
    category: "Potential Corporate Privacy Violation",
    rank: 1,
    technique: &["T1040", "T1020.001", "T1048"],
    restricted: false,
};

/// Outermost ends that are watched at a time.
const ENDS: usize = 4096;
/// Different packets of one that are told apart at most.
const MOST: usize = 1024;
/// And at least, whatever few are enough.
const LEAST: usize = 64;

/// Where copies go: source, destination, protocol, destination port.
pub(crate) type Ends = (Address, Address, u8, u16);

/// Copies between two ends.
#[derive(Clone, Debug)]
struct Row {
    digests: VecDeque<(u64, Nanos)>,
    uncounted: Copies,
}

/// Copies that no alert counts yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copies {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    /// Different packets within the window.
    pub(crate) digests: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    rows: BTreeMap<Ends, Row>,
    evictions: u64,
}

impl Watched {
    /// Adds a copy; gives what is to be said, if these are enough.
    pub(crate) fn add(&mut self, sample: &Sample, settings: &Settings) -> Option<Copies> {
        let ends = (sample.from, sample.to, sample.protocol, sample.port);
        if self.rows.len() >= ENDS && !self.rows.contains_key(&ends) {
            self.give_up_one();
        }
        let row = self
            .rows
            .entry(ends)
            .or_insert_with(|| Row { digests: VecDeque::new(), uncounted: Copies::default() });
        let window = settings.dup_window;
        row.digests.retain(|(_, at)| sample.time.since(*at) <= window);
        let whole = sample.digests.whole;
        match row.digests.iter_mut().find(|(of, _)| *of == whole) {
            Some((_, at)) => *at = sample.time.max(*at),
            None => {
                let most = (settings.dup_min_digests as usize).clamp(LEAST, MOST);
                if row.digests.len() >= most {
                    row.digests.pop_front();
                }
                row.digests.push_back((whole, sample.time));
            }
        }
        let counted = &mut row.uncounted;
        if counted.packets == 0 {
            (counted.first, counted.last) = (sample.time, sample.time);
        }
        counted.packets += 1;
        counted.bytes += u64::from(sample.wire_len);
        counted.first = counted.first.min(sample.time);
        counted.last = counted.last.max(sample.time);
        counted.digests = row.digests.len() as u32;
        let is_enough = row.digests.len() as u64 >= settings.dup_min_digests.min(MOST as u64);
        is_enough.then(|| std::mem::take(&mut row.uncounted))
    }

    /// Of the ends with the fewest copies, those longest without one.
    fn give_up_one(&mut self) {
        let last = |row: &Row| row.digests.iter().map(|(_, at)| *at).max().unwrap_or_default();
        let least = self.rows.iter().min_by_key(|(_, row)| (row.digests.len(), last(row)));
        if let Some(ends) = least.map(|(ends, _)| *ends) {
            self.rows.remove(&ends);
            self.evictions += 1;
        }
    }

    pub(crate) fn forget(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Digests;
    use crate::proof::test_samples::sample;

    fn copy(seconds: u64, digest: u64, to: u128) -> Sample {
        sample(Nanos::from_secs(seconds), Digests { whole: digest, content: 0 }, to)
    }

    #[test]
    fn three_different_packets_within_an_hour_are_enough() {
        let (mut watched, settings) = (Watched::default(), Settings::default());
        let mut add = |at, digest| watched.add(&copy(at, digest, 2), &settings);
        assert!(add(10, 1).is_none() && add(11, 1).is_none() && add(12, 2).is_none());
        let said = add(13, 3).unwrap();
        assert_eq!((said.packets, said.digests, said.bytes), (4, 3, 600));
        assert_eq!((said.first, said.last), (Nanos::from_secs(10), Nanos::from_secs(13)));
        assert_eq!(add(14, 4).unwrap().packets, 1);
    }

    #[test]
    fn what_is_an_hour_apart_or_elsewhere_is_not_added_up() {
        let (mut watched, settings) = (Watched::default(), Settings::default());
        for n in 0..20 {
            assert!(watched.add(&copy(n * 1_900, n, 2), &settings).is_none());
            assert!(watched.add(&copy(n * 1_900, n, 100 + u128::from(n)), &settings).is_none());
        }
    }

    #[test]
    fn a_flood_of_ends_pushes_out_those_with_fewest_copies() {
        let (mut watched, settings) = (Watched::default(), Settings::default());
        for digest in 1..3 {
            watched.add(&copy(1, digest, 2), &settings);
        }
        for to in 0..3 * ENDS as u128 {
            watched.add(&copy(2, 9, 1_000 + to), &settings);
        }
        assert_eq!(watched.rows.len(), ENDS);
        assert_eq!(watched.evictions(), 2 * ENDS as u64 + 1);
        assert!(watched.add(&copy(3, 3, 2), &settings).is_some());
    }
}
