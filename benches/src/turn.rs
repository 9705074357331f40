//! A subject's turn in a round.

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_engine::Frame;

use crate::traffic::again;

/// Passes over the frames in one turn.
pub const PASSES: usize = 8;

/// Nanoseconds per packet over [`PASSES`] passes; the frames' times go on between them.
pub fn turn(frames: &mut [Frame<'_>], mut pass: impl FnMut(&[Frame<'_>])) -> f64 {
    let mut took = Duration::ZERO;
    for _ in 0..PASSES {
        let began = Instant::now();
        pass(black_box(frames));
        took += began.elapsed();
        again(frames);
    }
    took.as_nanos() as f64 / (PASSES * frames.len()) as f64
}
