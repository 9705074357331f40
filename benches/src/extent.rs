//! How much is measured.

use std::time::Duration;

use serde_json::Value;

use crate::outcome::Outcome;

/// How much is measured, and where.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Rounds, in which all subjects of a part take their turn.
    pub rounds: usize,
    /// Rounds of what takes whole seconds: other programs, devices.
    pub slow_rounds: usize,
    /// Tunnels of the mixes.
    pub tunnels: u32,
    /// Frames of a mix: more than the second-level cache holds.
    pub frames: usize,
    /// Frames of the captures that whole programs read: so many that a program's start is a small
    /// part.
    pub read: usize,
    /// Whether it is only to be seen that everything can be measured.
    pub is_quick: bool,
    /// How long the engine is measured on a device in one round.
    pub span: Duration,
    /// The core that is measured on: not the first, which takes most interrupts.
    pub core: usize,
    /// A core for what else must run; the same where there is only one.
    pub other: usize,
}

impl Extent {
    /// All of it, in so many rounds, over so many tunnels; quickly, to see that everything can be
    /// measured.
    pub fn new(rounds: usize, tunnels: u32, is_quick: bool, (core, other): (usize, usize)) -> Self {
        Self {
            rounds,
            slow_rounds: rounds.min(5),
            tunnels,
            frames: 1 << 16,
            read: if is_quick { 20_000 } else { 200_000 },
            is_quick,
            span: Duration::from_millis(if is_quick { 300 } else { 1_000 }),
            core,
            other,
        }
    }

    /// The numbers beside the results.
    pub fn note(&self, outcome: &mut Outcome) {
        outcome.circumstance("tunnels", self.tunnels.into());
        outcome.circumstance("frames", self.frames.into());
        outcome.circumstance("rounds", self.rounds.into());
        outcome.circumstance("rounds_of_programs", Value::from(self.slow_rounds));
    }

    /// Whether two threads can be measured side by side.
    pub fn has_two_cores(&self) -> bool {
        self.core != self.other
    }
}
