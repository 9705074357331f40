//! Spells of activity on a flow: packets without a long silence among them. They are what the
//! detections with a long memory are told of: a beat of a beacon is one, and so is an upload.

use crate::Nanos;
use crate::track::FlowDelta;

/// A silence this long ends a spell: longer than a request and its answer take, shorter than
/// any rhythm that is looked for.
const QUIET: Nanos = Nanos::from_secs(3);

/// A spell that goes on is told of in parts of this length, so that none spans two hours of
/// which one is quiet.
const LONGEST: Nanos = Nanos::from_secs(300);

/// Packets and bytes, each way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spell {
    /// The first packet's time.
    pub first: Nanos,
    /// The last one's.
    pub last: Nanos,
    /// What the low end sent: packets and bytes.
    pub up: (u64, u64),
    /// What the high end sent.
    pub down: (u64, u64),
    /// Whether it goes on from the spell before, without a silence.
    pub continues: bool,
}

impl Spell {
    /// What a flow did in a slice.
    pub fn of(delta: &FlowDelta) -> Self {
        Self {
            first: delta.first(),
            last: delta.up.last.max(delta.down.last),
            up: (delta.up.packets, delta.up.bytes),
            down: (delta.down.packets, delta.down.bytes),
            continues: false,
        }
    }

    /// Adds what came of it in a further slice; gives the spell that is over by that.
    pub fn add(&mut self, more: Self) -> Option<Self> {
        if self.is_empty() {
            *self = more;
            return None;
        }
        let is_long = more.last >= self.first.plus(LONGEST);
        let is_silent = more.first >= self.last.plus(QUIET);
        if is_long || is_silent {
            return Some(std::mem::replace(self, Self { continues: !is_silent, ..more }));
        }
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        for (sum, part) in [(&mut self.up, more.up), (&mut self.down, more.down)] {
            *sum = (sum.0 + part.0, sum.1 + part.1);
        }
        None
    }

    /// Whether it has no packet.
    pub fn is_empty(&self) -> bool {
        self.up.0 + self.down.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(millis: u64) -> Spell {
        let at = Nanos(millis * 1_000_000);
        Spell { first: at, last: at, up: (1, 100), ..Spell::default() }
    }

    fn told(times: &[u64]) -> Vec<(u64, u64, u64, bool)> {
        let mut spell = Spell::default();
        let mut told: Vec<_> = times.iter().filter_map(|at| spell.add(packet(*at))).collect();
        told.push(spell);
        let millis = |at: Nanos| at.0 / 1_000_000;
        told.iter().map(|it| (millis(it.first), millis(it.last), it.up.1, it.continues)).collect()
    }

    #[test]
    fn a_silence_ends_a_spell_and_a_short_one_does_not() {
        assert_eq!(
            told(&[0, 400, 2_900, 6_000]),
            [(0, 2_900, 300, false), (6_000, 6_000, 100, false)]
        );
        assert_eq!(told(&[0, 3_000]), [(0, 0, 100, false), (3_000, 3_000, 100, false)]);
    }

    #[test]
    fn a_spell_that_goes_on_is_told_in_parts_and_nothing_is_lost() {
        let times: Vec<u64> = (0..700).map(|second| second * 1_000).collect();
        let told = told(&times);
        assert_eq!(told.iter().map(|it| it.2).sum::<u64>(), 70_000);
        let parts: Vec<_> = told.iter().map(|it| (it.0, it.3)).collect();
        assert_eq!(parts, [(0, false), (300_000, true), (600_000, true)]);
    }

    #[test]
    fn what_comes_late_belongs_to_the_spell_that_lasts() {
        assert_eq!(told(&[5_000, 4_000, 5_500]), [(4_000, 5_500, 300, false)]);
    }
}
