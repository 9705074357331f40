//! Whether the sensor lives: attached and beating, hung, dead, or another one.
//!
//! Beats are compared with each other and not with this process's clock, so
//! that a clock that is set makes no sensor look dead.

use std::time::{Duration, Instant};

use weir_shm::BootId;

/// A heart that has not beaten for this long is hung.
const HUNG_AFTER: Duration = Duration::from_millis(1500);

/// A change that people want to know of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Control is attached to a sensor for the first time.
    Attached,
    /// The sensor's place was taken by one that started anew.
    Restarted,
    /// The same sensor is back on the socket.
    Reattached,
    /// The heart stopped though the socket is open.
    Hung,
    /// A hung sensor's heart beats again.
    Recovered,
    /// The socket ended.
    Dead,
}

impl Change {
    /// The state that it leads to, as events name it.
    pub const fn state(self) -> &'static str {
        match self {
            Change::Attached | Change::Reattached => "attached",
            Change::Restarted => "restarted",
            Change::Hung => "hung",
            Change::Recovered => "recovered",
            Change::Dead => "dead",
        }
    }

    /// One sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Change::Attached => "Control is attached to the sensor.",
            Change::Restarted => "The sensor restarted; its counters and flows began anew.",
            Change::Reattached => "Control is attached to the same sensor again.",
            Change::Hung => {
                "The sensor gives no sign of life though its socket is open; nothing is inspected."
            }
            Change::Recovered => "The sensor gives signs of life again.",
            Change::Dead => "The sensor ended; nothing is inspected until it is started again.",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    value: u64,
    changed: Instant,
    hung: bool,
}

/// The state.
#[derive(Debug, Default)]
pub struct Watch {
    boot: Option<BootId>,
    pulse: Option<Pulse>,
}

impl Watch {
    /// A watch that knows which life of the sensor was followed last.
    pub fn after(boot: Option<BootId>) -> Self {
        Self { boot, pulse: None }
    }

    /// Control is attached to the sensor `boot`.
    pub fn attached(&mut self, boot: BootId, heartbeat: u64, now: Instant) -> Change {
        self.pulse = Some(Pulse { value: heartbeat, changed: now, hung: false });
        match self.boot.replace(boot) {
            None => Change::Attached,
            Some(before) if before == boot => Change::Reattached,
            Some(_) => Change::Restarted,
        }
    }

    /// The socket ended.
    pub fn ended(&mut self) -> Change {
        self.pulse = None;
        Change::Dead
    }

    /// Looks at the sensor's heartbeat.
    pub fn look(&mut self, heartbeat: u64, now: Instant) -> Option<Change> {
        let pulse = self.pulse.as_mut()?;
        if pulse.value != heartbeat {
            let was_hung = pulse.hung;
            *pulse = Pulse { value: heartbeat, changed: now, hung: false };
            return was_hung.then_some(Change::Recovered);
        }
        if !pulse.hung && now.duration_since(pulse.changed) >= HUNG_AFTER {
            pulse.hung = true;
            return Some(Change::Hung);
        }
        None
    }

    /// Whether the sensor is attached and not hung.
    pub fn is_up(&self) -> bool {
        self.pulse.is_some_and(|pulse| !pulse.hung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: BootId = BootId::from_bytes([1; 16]);
    const SECOND: BootId = BootId::from_bytes([2; 16]);

    #[test]
    fn each_change_is_said_once() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut watch = Watch::default();
        assert_eq!(watch.attached(FIRST, 10, at(0)), Change::Attached);
        assert_eq!(watch.look(10, at(1400)), None);
        assert!(watch.is_up());
        assert_eq!(watch.look(10, at(1500)), Some(Change::Hung));
        assert!(!watch.is_up());
        assert_eq!(watch.look(10, at(9000)), None);
        assert_eq!(watch.look(11, at(9001)), Some(Change::Recovered));
        assert_eq!(watch.ended(), Change::Dead);
        assert_eq!(watch.look(11, at(20_000)), None);
        assert_eq!(watch.attached(FIRST, 12, at(20_001)), Change::Reattached);
        watch.ended();
        assert_eq!(watch.attached(SECOND, 12, at(20_002)), Change::Restarted);
        let mut next = Watch::after(Some(FIRST));
        assert_eq!(next.attached(SECOND, 12, at(0)), Change::Restarted);
    }
}
