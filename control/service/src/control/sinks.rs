//! What control hears of its sinks, and how it takes leave of them.

use super::Control;
use crate::live::now;

impl Control {
    /// Tells of sinks whose collector went or came back.
    pub(super) fn hear_sinks(&mut self) {
        for notice in self.sinks.notices() {
            eprintln!("{}", notice.observed);
            self.recorder.health(now(), "sink", notice.state, notice.observed, None, notice.lost);
        }
    }

    /// Gives them a bounded time to send what waits, and says what they did not.
    pub(super) fn stop_sinks(&mut self) {
        for (name, events) in self.sinks.stop() {
            eprintln!(
                "error: {events} events did not reach the sink {name}; {}; the event file has them",
                self.events.name()
            );
        }
    }
}
