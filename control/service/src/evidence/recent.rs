//! The latest frames of some thing, until somebody wants them: of equipment and a network, for
//! detections whose findings rest on hours or days, when the sensor has let go of what they are
//! about; and of alerts, until they are told of.

use std::collections::{BTreeMap, HashMap, VecDeque};

use weir_engine::contract::exhibit::Kept;

/// Things that are remembered.
const THINGS: usize = 4_096;

/// Frames by what they are of. Those of the thing that was silent longest give way.
#[derive(Debug)]
pub struct Recent {
    /// How many frames are kept of each.
    most: usize,
    things: HashMap<String, (u64, VecDeque<Kept>)>,
    order: BTreeMap<u64, String>,
    turn: u64,
}

impl Recent {
    /// Keeps so many frames of each thing.
    pub fn of(most: usize) -> Self {
        Self { most, things: HashMap::new(), order: BTreeMap::new(), turn: 0 }
    }

    /// Takes frames in.
    pub fn put(&mut self, thing: String, frames: &[Kept]) {
        if frames.is_empty() {
            return;
        }
        self.turn += 1;
        let (turn, kept) = self.things.entry(thing.clone()).or_default();
        self.order.remove(turn);
        *turn = self.turn;
        kept.extend(frames.iter().cloned());
        while kept.len() > self.most {
            kept.pop_front();
        }
        self.order.insert(self.turn, thing);
        while self.things.len() > THINGS {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.things.remove(&oldest);
        }
    }

    /// Gives the frames of a thing away: an alert has them from now on.
    pub fn take(&mut self, thing: &str) -> Vec<Kept> {
        let Some((turn, frames)) = self.things.remove(thing) else { return Vec::new() };
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
        let head = Head { time: Nanos(time), tap: 0, link_type: 1, wire_len: 60, len: 0, cause: 0 };
        Kept { head, bytes: Vec::new() }
    }

    fn times(frames: &[Kept]) -> Vec<u64> {
        frames.iter().map(|frame| frame.head.time.0).collect()
    }

    #[test]
    fn the_latest_frames_of_a_thing_are_given_once() {
        let mut recent = Recent::of(16);
        for time in 0..20 {
            recent.put("a".into(), &[frame(time)]);
        }
        recent.put("b".into(), &[frame(99)]);
        assert_eq!(times(&recent.take("a")), (4..20).collect::<Vec<_>>());
        assert_eq!(recent.take("a"), []);
        assert_eq!(times(&recent.take("b")), [99]);
        assert!(recent.things.is_empty() && recent.order.is_empty());
    }

    #[test]
    fn the_thing_that_was_silent_longest_gives_way() {
        let mut recent = Recent::of(16);
        for number in 0..THINGS {
            recent.put(number.to_string(), &[frame(1)]);
        }
        recent.put("0".into(), &[frame(2)]);
        recent.put("new".into(), &[frame(3)]);
        assert_eq!((recent.things.len(), recent.order.len()), (THINGS, THINGS));
        assert_eq!(times(&recent.take("0")), [1, 2]);
        assert_eq!(recent.take("1"), []);
        assert_eq!(times(&recent.take("2")), [1]);
    }
}
