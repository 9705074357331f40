//! What the process's threads share: the sensor as it is seen now, for metrics
//! and readiness, and the two signs of life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_analytics::memory::Kind;
use weir_engine::Nanos;
use weir_engine::contract::greeting::Greeting;
use weir_journal::Head;
use weir_shm::Attachment;

use crate::attach::Sensor;
use crate::counts::{Counts, Traffic};
use crate::door::{self, tls::Tls};
use crate::evidence::Gone;
use crate::news::News;
use crate::progress::Tally;
use crate::rulebook::Rulebook;
use crate::sinks::Meter;
use crate::site::GivenUp;
use crate::site::seal::Seal;

/// How often control says that it is alive: half of what the sensor may expect.
const BEAT: Duration = Duration::from_millis(50);
/// Over which time the load of workers is measured.
const SAMPLE: Duration = Duration::from_secs(1);
/// A sensor whose heart has not beaten for this long is not ready.
const STALE: Duration = Duration::from_secs(2);

/// The shared state. Whoever locks it does so briefly.
pub type Shared = Arc<Mutex<Live>>;

/// Locks; a thread that panicked while it held the lock left plain numbers behind.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of day.
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What there is of evidence, and what is not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    /// Bytes of all captures.
    pub bytes: u64,
    /// Captures that are not there, by [`Gone`].
    pub gone: [u64; Gone::ALL.len()],
}

/// The sensor as it is seen now; its last known values once it is away.
#[derive(Default)]
pub struct Live {
    memory: Option<(Arc<Mutex<Attachment>>, Arc<Greeting>)>,
    /// What the sensor last said of itself.
    pub greeting: Option<Arc<Greeting>>,
    /// The sensor's counters.
    pub counts: Counts,
    /// When it started, in nanoseconds since 1970; 0 before the first sensor.
    pub started: u64,
    /// Its last sign of life.
    pub heartbeat: u64,
    beaten: Option<Instant>,
    /// Whether it is attached and not hung.
    pub up: bool,
    /// The load of each worker.
    pub busy: Vec<Load>,
    /// The load of each receive thread.
    pub receiving: Vec<Load>,
    /// What control counts.
    pub tally: Tally,
    /// Alerts whose day is not over.
    pub alerts: usize,
    /// Alerts closed early for lack of room.
    pub alert_evictions: u64,
    /// Rows that the detections with a long memory gave up for lack of room, by [`Kind::ALL`].
    pub memory_evictions: [u64; Kind::ALL.len()],
    /// The end of the journal.
    pub journal: Head,
    /// What there is of evidence.
    pub evidence: Evidence,
    /// Records written by the sensor that are not stored yet.
    pub unread: u64,
    /// Inventory and policy as they were read last.
    pub rulebook: Option<Arc<Rulebook>>,
    /// The key under which subscribers' addresses are stored.
    pub seal: Option<Arc<Seal>>,
    /// Rows of the stored site that found no room.
    pub given_up: GivenUp,
    /// What is counted of each sink.
    pub sinks: Vec<Arc<Meter>>,
    /// The policy in force, by its number and the hash that everybody may know, if it has one.
    pub policy: Option<(u64, Option<[u8; 32]>)>,
    /// What came in the last second.
    pub rates: Rates,
    /// What the door refused.
    pub door: Arc<door::Meter>,
    /// The certificates that it shows, if it speaks TLS.
    pub tls: Option<Arc<Tls>>,
    /// Alerts that whoever watches is to be told of.
    pub news: Arc<News>,
}

impl Live {
    /// A sensor is attached.
    pub fn attached(&mut self, sensor: &Sensor) {
        self.memory = Some((Arc::clone(&sensor.attachment), Arc::clone(&sensor.greeting)));
        self.greeting = Some(Arc::clone(&sensor.greeting));
        self.counts = Counts::zeroed(&sensor.greeting);
        self.started = sensor.started;
        self.busy = vec![Load::default(); usize::from(sensor.greeting.workers)];
        self.receiving = vec![Load::default(); usize::from(sensor.greeting.receivers)];
        self.rates = Rates::default();
        self.beaten = Some(Instant::now());
        self.up = true;
        self.refresh();
    }

    /// The sensor is away: its last values stay.
    pub fn detached(&mut self) {
        self.refresh();
        self.memory = None;
        self.beaten = None;
        self.up = false;
        self.busy.iter_mut().chain(&mut self.receiving).for_each(|load| load.ratio = 0.0);
        self.rates = Rates::default();
    }

    /// Reads the sensor's counters again, if it is attached.
    pub fn refresh(&mut self) {
        if let Some((attachment, greeting)) = &self.memory {
            let attachment = lock(attachment);
            self.counts.refresh(&attachment, greeting);
            let heartbeat = attachment.heartbeat();
            if heartbeat != self.heartbeat {
                self.heartbeat = heartbeat;
                self.beaten = Some(Instant::now());
            }
        }
    }

    /// Why the process is not ready, if it is not.
    pub fn unready(&self) -> Option<&'static str> {
        match self.beaten {
            None => Some("no sensor is attached"),
            Some(beaten) if beaten.elapsed() >= STALE => {
                Some("the sensor gave no sign of life for 2 s")
            }
            Some(_) => None,
        }
    }

    fn beat(&self) {
        if let Some((attachment, _)) = &self.memory {
            lock(attachment).beat(now().0);
        }
    }

    /// Measures all threads' load since the last time.
    fn sample(&mut self) {
        self.refresh();
        for (load, worker) in self.busy.iter_mut().zip(&self.counts.workers) {
            load.sample(worker.busy_ns, worker.total_ns);
        }
        for (load, receiver) in self.receiving.iter_mut().zip(&self.counts.receivers) {
            load.sample(receiver.busy_ns, receiver.total_ns);
        }
        if self.memory.is_some() {
            self.rates.sample(self.counts.traffic(), Instant::now());
        }
    }
}

/// What came in the last second, measured by this process and not by whoever looks: two who look
/// see the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Frames a second.
    pub packets: f64,
    /// Bits on the wire a second, of the frames that a worker got.
    pub bits: f64,
    /// Frames a second that were not inspected.
    pub not_inspected: f64,
    before: Option<(Traffic, Instant)>,
}

impl Rates {
    fn sample(&mut self, traffic: Traffic, now: Instant) {
        if let Some((before, then)) = self.before {
            let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
            self.packets = rate(traffic.frames, before.frames);
            self.bits = rate(traffic.bytes, before.bytes) * 8.0;
            self.not_inspected = rate(traffic.not_inspected, before.not_inspected);
        }
        self.before = Some((traffic, now));
    }
}

/// The load of a thread that polls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// The share of the last second that it spent on frames.
    pub ratio: f64,
    /// Its counters before that second: time spent on frames, and all time.
    before: (u64, u64),
}

impl Load {
    fn sample(&mut self, busy_ns: u64, total_ns: u64) {
        let spent = busy_ns.saturating_sub(self.before.0);
        let passed = total_ns.saturating_sub(self.before.1);
        self.ratio = if passed == 0 { 0.0 } else { (spent as f64 / passed as f64).min(1.0) };
        self.before = (busy_ns, total_ns);
    }
}

/// Beats for the sensor and measures load, for as long as the process lives: a
/// thread of its own, since a slow disk may hold up the one that reads records.
pub fn keep_beating(shared: &Shared) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut sampled = Instant::now();
        loop {
            {
                let mut live = lock(&shared);
                live.beat();
                if sampled.elapsed() >= SAMPLE {
                    sampled = Instant::now();
                    live.sample();
                }
            }
            thread::sleep(BEAT);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_time_that_passed_and_none_after_the_first_look() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let traffic = |frames| Traffic { frames, bytes: frames * 100, not_inspected: frames / 10 };
        rates.sample(traffic(1_000), start);
        assert_eq!(rates.packets, 0.0, "what came before is in no second");
        rates.sample(traffic(3_000), start + Duration::from_secs(2));
        assert_eq!((rates.packets, rates.bits, rates.not_inspected), (1e3, 8e5, 100.0));
        // Counters that began anew are no flood.
        rates.sample(traffic(10), start + Duration::from_secs(3));
        assert_eq!(rates.packets, 0.0);
    }
}
