//! The latest frames of equipment's flows with addresses that nobody declared, for detections whose
//! findings rest on hours or days: the sensor has let go of what such a finding is about.

use std::collections::{BTreeMap, HashMap, VecDeque};

use weir_engine::contract::exhibit::Kept;

/// Pairs of equipment and network that are remembered.
const PAIRS: usize = 4_096;
/// Frames of a pair.
const FRAMES: usize = 16;

type Pair = (String, String);

/// Frames by equipment and its peer's network. Those of the pair that was silent longest give way.
#[derive(Debug, Default)]
pub struct Recent {
    pairs: HashMap<Pair, (u64, VecDeque<Kept>)>,
    order: BTreeMap<u64, Pair>,
    turn: u64,
}

impl Recent {
    /// Takes frames in.
    pub fn put(&mut self, equipment: &str, network: &str, frames: &[Kept]) {
        if frames.is_empty() {
            return;
        }
        let pair = (equipment.to_owned(), network.to_owned());
        self.turn += 1;
        let (turn, kept) = self.pairs.entry(pair.clone()).or_default();
        self.order.remove(turn);
        *turn = self.turn;
        kept.extend(frames.iter().cloned());
        while kept.len() > FRAMES {
            kept.pop_front();
        }
        self.order.insert(self.turn, pair);
        while self.pairs.len() > PAIRS {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.pairs.remove(&oldest);
        }
    }

    /// Gives the frames of a pair away: an alert has them from now on.
    pub fn take(&mut self, equipment: &str, network: &str) -> Vec<Kept> {
        let Some((turn, frames)) = self.pairs.remove(&(equipment.to_owned(), network.to_owned()))
        else {
            return Vec::new();
        };
        self.order.remove(&turn);
        frames.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::Nanos;
    use weir_engine::contract::exhibit::Head;

    fn frame(time: u64) -> Kept {
        let head =
            Head { time: Nanos(time), tap: 0, link_type: 1, wire_len: 60, len: 0, cause: 0 };
        Kept { head, bytes: Vec::new() }
    }

    fn times(frames: &[Kept]) -> Vec<u64> {
        frames.iter().map(|frame| frame.head.time.0).collect()
    }

    #[test]
    fn the_latest_frames_of_a_pair_are_given_once() {
        let mut recent = Recent::default();
        for time in 0..20 {
            recent.put("gnb-1", "198.51.100.0/24", &[frame(time)]);
        }
        recent.put("gnb-2", "198.51.100.0/24", &[frame(99)]);
        assert_eq!(times(&recent.take("gnb-1", "198.51.100.0/24")), (4..20).collect::<Vec<_>>());
        assert_eq!(recent.take("gnb-1", "198.51.100.0/24"), []);
        assert_eq!(times(&recent.take("gnb-2", "198.51.100.0/24")), [99]);
        assert!(recent.pairs.is_empty() && recent.order.is_empty());
    }

    #[test]
    fn the_pair_that_was_silent_longest_gives_way() {
        let mut recent = Recent::default();
        for number in 0..PAIRS {
            recent.put("gnb-1", &number.to_string(), &[frame(1)]);
        }
        recent.put("gnb-1", "0", &[frame(2)]);
        recent.put("gnb-1", "new", &[frame(3)]);
        assert_eq!(recent.pairs.len(), PAIRS);
        assert_eq!(recent.order.len(), PAIRS);
        assert_eq!(times(&recent.take("gnb-1", "0")), [1, 2]);
        assert_eq!(recent.take("gnb-1", "1"), []);
        assert_eq!(times(&recent.take("gnb-1", "2")), [1]);
    }
}
