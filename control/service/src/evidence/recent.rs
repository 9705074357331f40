//! The latest frames of some thing, until somebody wants them: of equipment and a network, for
//! detections whose findings rest on hours or days, when the sensor has let go of what they are
//! about; and of alerts, until they are told of.

use std::collections::{BTreeMap, HashMap, VecDeque};

use weir_engine::contract::exhibit::Kept;

/// Things that are remembered.
const THINGS: usize = 4_096;

/// Bytes of all frames together: four of the longest ones of every thing, and 64 of some things. There are
/// two such memories, which together have what the judge's has.
const BYTES: usize = 32 << 20;
/// What a frame costs besides its bytes.
const FRAME_BYTES: usize = 64;

/// Frames by what they are of. Those of the thing that was silent longest give way.
#[derive(Debug)]
pub struct Recent {
    /// How many frames are kept of each.
    most: usize,
    things: HashMap<String, (u64, VecDeque<Kept>)>,
    order: BTreeMap<u64, String>,
    turn: u64,
    frames: u64,
    bytes: usize,
}

impl Recent {
    /// Keeps so many frames of each thing.
    pub fn of(most: usize) -> Self {
        Self { most, things: HashMap::new(), order: BTreeMap::new(), turn: 0, frames: 0, bytes: 0 }
    }

    /// Takes frames in; gives how many of other things gave way.
    pub fn put(&mut self, thing: String, frames: &[Kept]) -> u64 {
        if frames.is_empty() {
            return 0;
        }
        self.turn += 1;
        let (turn, kept) = self.things.entry(thing.clone()).or_default();
        self.order.remove(turn);
        *turn = self.turn;
        for frame in frames {
            self.bytes += cost(frame);
            self.frames += 1;
            kept.push_back(frame.clone());
            if kept.len() > self.most
                && let Some(oldest) = kept.pop_front()
            {
                self.bytes -= cost(&oldest);
                self.frames -= 1;
            }
        }
        self.order.insert(self.turn, thing);
        let mut given_up = 0;
        while self.things.len() > THINGS || self.bytes > BYTES {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            let Some((_, frames)) = self.things.remove(&oldest) else { break };
            self.let_go(&frames);
            given_up += frames.len() as u64;
        }
        given_up
    }

    /// Gives the frames of a thing away: an alert has them from now on.
    pub fn take(&mut self, thing: &str) -> Vec<Kept> {
        let Some((turn, frames)) = self.things.remove(thing) else { return Vec::new() };
        self.order.remove(&turn);
        self.let_go(&frames);
        frames.into()
    }

    fn let_go(&mut self, frames: &VecDeque<Kept>) {
        self.bytes -= frames.iter().map(cost).sum::<usize>();
        self.frames -= frames.len() as u64;
    }

    /// How many frames are kept.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

fn cost(frame: &Kept) -> usize {
    frame.bytes.len() + FRAME_BYTES
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
        assert_eq!(recent.put("new".into(), &[frame(3)]), 1);
        assert_eq!((recent.things.len(), recent.order.len()), (THINGS, THINGS));
        assert_eq!(times(&recent.take("0")), [1, 2]);
        assert_eq!(recent.take("1"), []);
        assert_eq!(times(&recent.take("2")), [1]);
        assert_eq!(recent.frames(), THINGS as u64 - 2);
    }

    #[test]
    fn frames_take_no_more_memory_than_there_is_and_what_gives_way_is_counted() {
        let mut recent = Recent::of(64);
        let long = Kept { bytes: vec![7; 1_900], ..frame(1) };
        let frames = vec![long; 64];
        let mut given_up = 0;
        for number in 0..500 {
            given_up += recent.put(number.to_string(), &frames);
            assert!(recent.bytes <= BYTES);
        }
        let kept = BYTES / (64 * (1_900 + FRAME_BYTES));
        assert_eq!((recent.things.len(), recent.order.len()), (kept, kept));
        assert_eq!(given_up, 64 * (500 - kept as u64));
        assert_eq!(recent.frames(), 64 * kept as u64);
        let first = (500 - kept).to_string();
        assert_eq!(recent.take(&first).len(), 64);
        (0..500).for_each(|number| drop(recent.take(&number.to_string())));
        assert_eq!((recent.frames(), recent.bytes), (0, 0));
    }
}
