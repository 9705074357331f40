//! The pace of a replay.

use std::time::{Duration, Instant};

use weir_engine::Nanos;

use crate::{Speed, Stop};

/// The longest sleep before a stop is looked for.
const NAP: Duration = Duration::from_millis(20);

/// Holds packets back until they are due.
#[derive(Debug)]
pub struct Pace {
    speed: Speed,
    /// The first packet's time, and when it was passed on.
    origin: Option<(Nanos, Instant)>,
}

impl Pace {
    /// A pace that begins with the first packet it is asked about.
    pub fn new(speed: Speed) -> Self {
        Self { speed, origin: None }
    }

    /// How long a packet of this time must still wait; none if it is due.
    pub fn wait(&mut self, time: Nanos) -> Option<Duration> {
        let Speed::Times(factor) = self.speed else { return None };
        let (first, began) = *self.origin.get_or_insert_with(|| (time, Instant::now()));
        let after = Duration::try_from_secs_f64(time.since(first).0 as f64 / factor / 1e9)
            .unwrap_or(Duration::MAX);
        began.checked_add(after)?.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
    }

    /// Sleeps until a packet of this time is due, or a stop is asked for.
    pub fn sleep(&mut self, time: Nanos, stop: &Stop) {
        while let Some(wait) = self.wait(time) {
            if stop.is_asked() {
                return;
            }
            std::thread::sleep(wait.min(NAP));
        }
    }
}
