//! The process's loop: meet the sensor, read its records, store what they
//! changed, let go of them.
//!
//! What a batch of records changed goes to the event file first and then, with
//! the file's new length and the position in the ring, into one transaction of the
//! store; only then is the sensor told that it may reuse the records' slots. While
//! the disk is full nothing further is read, and the records wait in the ring. Once
//! that is three quarters full (in a replay, whose sensor may wait too: after
//! [`PATIENCE`]), reading goes on, so that alerts and metrics stay right; the
//! events that find no room in the file meanwhile are counted as lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use weir_engine::Nanos;
use weir_engine::contract::greeting::PolicyReply;
use weir_engine::contract::verdict::Verdict;
use weir_shm::{BootId, Position, Record, RecordError};

use crate::attach::{Message, NoSensor, Sensor};
use crate::event_file::EventFile;
use crate::live::{Shared, lock, now};
use crate::options::Plan;
use crate::print::Printer;
use crate::progress::{Lost, Tally};
use crate::recorder::Recorder;
use crate::refusal::Refusal;
use crate::rulebook::{Files, Rulebook};
use crate::store::Store;
use crate::summary::Summary;
use crate::watch::{Change, Watch};

/// The kind of records that hold a verdict.
const VERDICT: u16 = 1;
/// Records of one transaction.
const BATCH: usize = 1024;
/// Final words of one transaction.
const CLOSED: usize = 512;
/// Between two looks at an empty ring.
const IDLE: Duration = Duration::from_millis(5);
/// Between two attempts to reach a sensor that is away.
const RECONNECT: Duration = Duration::from_millis(200);
/// Between two attempts to write to a full disk, and how long the end waits for one.
const RETRY: Duration = Duration::from_secs(1);
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// How long a replay, or the records of a sensor that is gone, wait for the disk: nothing
/// else would end the waiting, as their ring does not fill up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two stats events of a live tap.
const STATS: Duration = Duration::from_secs(10);

/// The signals that the process obeys.
#[derive(Clone, Default)]
struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

/// A disk that refused.
struct Blocked {
    since: Instant,
    again: Instant,
    lost: u64,
}

/// The process.
pub struct Control {
    plan: Plan,
    files: Files,
    signals: Signals,
    store: Store,
    events: EventFile,
    recorder: Recorder,
    shared: Shared,
    message: Option<Vec<u8>>,
    sensor: Option<Sensor>,
    /// The sensor is gone, and its memory is read to the end.
    gone: bool,
    watch: Watch,
    attempt: Instant,
    complaint: String,
    committed: u64,
    blocked: Option<Blocked>,
    stats: Instant,
    looked: Instant,
}

impl Control {
    /// Opens everything that the plan names; nothing waits for the sensor yet.
    ///
    /// # Errors
    /// What keeps the process from starting.
    pub fn start(plan: Plan, shared: Shared) -> Result<Self, Refusal> {
        let files = Files { inventory: plan.inventory.clone(), policy: plan.policy.clone() };
        let rulebook = files.read(&mut |warning| eprintln!("{warning}"))?;
        if rulebook.is_none() {
            eprintln!(
                "no inventory: traffic is decoded, tracked and counted, but nothing can be judged"
            );
        }
        let place = plan.state_dir.display().to_string();
        let stored = |error: &dyn std::fmt::Display| {
            let what = format!("the state can't be used: {error}");
            Refusal::new(
                &what,
                &place,
                "make it writable, stop the other weir-control, or choose another with --state-dir",
            )
        };
        std::fs::create_dir_all(&plan.state_dir).map_err(|error| stored(&error))?;
        let store = Store::open(&plan.state_dir).map_err(|error| stored(&error))?;
        let progress = store.progress().map_err(|error| stored(&error))?.unwrap_or_default();
        let alerts = store.alerts().map_err(|error| stored(&error))?;
        let events = EventFile::open(&plan.events, progress.events).map_err(|error| {
            let place = match &plan.events {
                crate::options::Destination::File(path) => path.display().to_string(),
                crate::options::Destination::Stdout => "standard output".into(),
            };
            Refusal::new(
                &format!("events can't be written: {error}"),
                &place,
                "choose another file with --events",
            )
        })?;
        let watch = Watch::after(progress.boot.map(BootId::from_bytes));
        let committed = progress.sequence;
        let printer = plan.print_alerts.then(Printer::stdout);
        let recorder = Recorder::new(progress, alerts, plan.site.clone(), printer);
        let signals = Signals::default();
        for (signal, flag) in
            [(SIGTERM, &signals.stop), (SIGINT, &signals.stop), (SIGHUP, &signals.reload)]
        {
            signal_hook::flag::register(signal, Arc::clone(flag)).map_err(|error| {
                Refusal::new(
                    &format!("signal {signal} can't be obeyed: {error}"),
                    "weir-control",
                    "report it",
                )
            })?;
        }
        let start = Instant::now();
        let mut control = Self {
            plan,
            files,
            signals,
            store,
            events,
            recorder,
            shared,
            message: None,
            sensor: None,
            gone: false,
            watch,
            attempt: start,
            complaint: String::new(),
            committed,
            blocked: None,
            stats: start,
            looked: start,
        };
        if let Some(rulebook) = rulebook {
            control.adopt(rulebook)?;
        }
        // The file's place is stored before its first line: a crash in between
        // would otherwise repeat that.
        control.recorder.progress.events = control.events.mark();
        control.store.commit(&control.recorder.progress, &control.recorder.alerts).map_err(
            |error| {
                Refusal::new(&format!("the state can't be written: {error}"), &place, "make room")
            },
        )?;
        Ok(control)
    }

    fn adopt(&mut self, mut rulebook: Rulebook) -> Result<(), Refusal> {
        self.store.adopt(&mut rulebook).map_err(|error| {
            let place: PathBuf = self.plan.state_dir.clone();
            Refusal::new(
                &format!("the policy can't be stored: {error}"),
                &place.display().to_string(),
                "make room and send SIGHUP",
            )
        })?;
        self.message = Some(rulebook.message()?);
        self.recorder.hold(Arc::new(rulebook));
        Ok(())
    }

    /// Runs until the replay has ended, if the plan says so, or a signal stops
    /// it. Says whether everything was done that was asked for.
    ///
    /// # Errors
    /// What makes it impossible to go on.
    pub fn run(mut self) -> Result<(), Refusal> {
        while !self.signals.stop.load(Ordering::Relaxed) {
            if self.signals.reload.swap(false, Ordering::Relaxed) {
                self.reload();
            }
            self.meet();
            let read = self.read();
            self.look();
            self.settle();
            self.publish();
            if self.plan.until_end && self.recorder.progress.ended && self.is_settled() {
                break;
            }
            self.listen(if read > 0 { Duration::ZERO } else { IDLE });
        }
        self.finish()
    }

    /// Attaches to the sensor if there is none.
    fn meet(&mut self) {
        if self.sensor.is_some() || Instant::now() < self.attempt {
            return;
        }
        self.attempt = Instant::now() + RECONNECT;
        match Sensor::attach(&self.plan.socket) {
            Ok(sensor) => self.greet(sensor),
            Err(error) => self.complain(&error),
        }
    }

    /// Says once what is in the way.
    fn complain(&mut self, error: &NoSensor) {
        let complaint = match error {
            NoSensor::Channel(weir_shm::channel::ChannelError::Path { .. }) => {
                format!("waiting for the sensor; {}; start weir-sensor", self.plan.socket.display())
            }
            other => format!("error: {other}"),
        };
        if complaint != self.complaint {
            eprintln!("{complaint}");
            self.complaint = complaint;
        }
    }

    fn greet(&mut self, sensor: Sensor) {
        self.complaint.clear();
        self.gone = false;
        self.recorder.greet(&sensor.greeting);
        let (released, heartbeat) = {
            let attachment = lock(&sensor.attachment);
            (attachment.released().sequence, attachment.heartbeat())
        };
        let change = self.watch.attached(sensor.boot, heartbeat, Instant::now());
        let progress = &mut self.recorder.progress;
        let boot = Some(sensor.boot.to_bytes());
        if progress.boot != boot {
            progress.boot = boot;
            progress.sequence = released;
            progress.lost_before = 0;
            progress.policies.clear();
            progress.policy = 0;
            progress.ended = false;
            progress.tally = Tally::default();
            self.recorder.alerts.restarted();
        }
        self.committed = self.recorder.progress.sequence;
        // Attaching belongs to an undisturbed replay, whose events tell of packets alone.
        if !sensor.greeting.replay || change == Change::Restarted {
            self.say(change);
        }
        lock(&self.shared).attached(&sensor);
        self.sensor = Some(sensor);
        self.send_policy();
    }

    fn send_policy(&mut self) {
        let Some(sensor) = &mut self.sensor else { return };
        // A socket that fails here fails at the next listening too, which says so.
        let _ = sensor.send_policy(self.message.as_deref());
    }

    fn say(&mut self, change: Change) {
        eprintln!("sensor {}: {}", change.state(), change.sentence());
        let since = match change {
            Change::Hung | Change::Dead => Some(Nanos(lock(&self.shared).heartbeat)),
            _ => None,
        };
        let sentence = change.sentence().to_owned();
        self.recorder.health(now(), "sensor", change.state(), sentence, since, None);
    }

    /// Waits for the sensor to say something, or for time to pass.
    fn listen(&mut self, patience: Duration) {
        let Some(sensor) = self.sensor.as_mut().filter(|_| !self.gone) else {
            thread::sleep(patience);
            return;
        };
        match sensor.listen(patience) {
            None => {}
            Some(Message::Reply(PolicyReply::Accepted { .. })) => {}
            Some(Message::Reply(PolicyReply::Refused { reason })) => {
                eprintln!(
                    "error: the sensor refused the policy: {reason}; policy.toml; the one before stays in force"
                );
                self.recorder.refused(now(), &reason);
            }
            Some(Message::Gone(_)) => {
                self.gone = true;
                let change = self.watch.ended();
                // A replaying sensor leaves when all is read: that is no death.
                if !self.recorder.progress.ended {
                    lock(&self.shared).refresh();
                    self.say(change);
                }
                lock(&self.shared).detached();
            }
        }
    }

    /// Looks after the sensor's heart, days that are over, and the stats.
    fn look(&mut self) {
        let Some(sensor) = &self.sensor else { return };
        let heartbeat = lock(&sensor.attachment).heartbeat();
        let is_live = !sensor.greeting.replay;
        if let Some(change) = self.watch.look(heartbeat, Instant::now()) {
            lock(&self.shared).refresh();
            self.say(change);
        }
        if !is_live || self.blocked.is_some() || self.looked.elapsed() < RETRY {
            return;
        }
        self.looked = Instant::now();
        let counts = {
            let mut live = lock(&self.shared);
            live.refresh();
            live.counts.clone()
        };
        let sayings = self.recorder.alerts.close_due(Nanos(counts.judge.packet_time), CLOSED);
        sayings.iter().for_each(|saying| self.recorder.say(saying, &self.store));
        if self.stats.elapsed() >= STATS {
            self.stats = Instant::now();
            self.recorder.stats(now(), &counts.totals());
        }
    }

    /// Reads a batch of records; answers how many steps it came further.
    fn read(&mut self) -> usize {
        let Some(sensor) = &self.sensor else { return 0 };
        let waits = self
            .blocked
            .as_ref()
            .is_some_and(|blocked| Instant::now() < blocked.again || !self.is_settled());
        if waits && !self.must_go_on() {
            return 0;
        }
        let position = Position { boot: sensor.boot, sequence: self.recorder.progress.sequence };
        let most = BATCH.min((sensor.slots / 4).max(1) as usize);
        let records: Vec<_> = lock(&sensor.attachment).records(position).take(most).collect();
        if records.is_empty() && self.gone {
            self.sensor = None;
            return 0;
        }
        let mut steps = 0;
        for record in records {
            steps += 1;
            let go_on = match record {
                Ok(record) => self.take(&record),
                Err(error) => {
                    self.skip(error);
                    false
                }
            };
            if !go_on {
                break;
            }
        }
        steps
    }

    /// Takes a record in; false if it must be asked for again, since final
    /// words came before it that are to be stored first.
    fn take(&mut self, record: &Record) -> bool {
        let progress = &mut self.recorder.progress;
        let lost = record.lost_before.saturating_sub(progress.lost_before);
        progress.lost_before = record.lost_before;
        if lost > 0 {
            let what =
                format!("The sensor lost {lost} events: the ring was full or an event too long.");
            self.recorder.health(now(), "events", "lost", what, None, Some(lost));
        }
        let verdict = (record.kind == VERDICT).then(|| Verdict::decode(record.payload())).flatten();
        match verdict {
            None => self.recorder.progress.tally.lose(Lost::Malformed, 1),
            Some(Verdict::End(end)) => {
                let sayings = self.recorder.alerts.close_open(CLOSED);
                if !sayings.is_empty() {
                    sayings.iter().for_each(|saying| self.recorder.say(saying, &self.store));
                    return false;
                }
                let totals = {
                    let mut live = lock(&self.shared);
                    live.refresh();
                    live.counts.totals()
                };
                self.recorder.take(Verdict::End(end), &self.store);
                self.recorder.stats(end.last, &totals);
                self.recorder.progress.ended = true;
            }
            Some(verdict) => {
                if let Some(time) = Recorder::time(&verdict)
                    && self.recorder.alerts.has_due(time)
                {
                    let sayings = self.recorder.alerts.close_due(time, CLOSED);
                    sayings.iter().for_each(|saying| self.recorder.say(saying, &self.store));
                    return false;
                }
                self.recorder.take(verdict, &self.store);
            }
        }
        self.recorder.progress.sequence += 1;
        true
    }

    fn skip(&mut self, error: RecordError) {
        let progress = &mut self.recorder.progress;
        let before = progress.sequence;
        let (next, lost) = match error {
            RecordError::Overwritten { oldest, .. } => (oldest, Lost::Overwritten),
            RecordError::Ahead { head, .. } => (head, Lost::Malformed),
            RecordError::Malformed { .. } | RecordError::OtherBoot => (before + 1, Lost::Malformed),
        };
        let count = next.saturating_sub(before);
        progress.sequence = next;
        progress.tally.lose(lost, count);
        self.recorder.health(now(), "events", "lost", format!("{error}."), None, Some(count));
    }

    /// Whether records can't wait for the disk any longer.
    fn must_go_on(&self) -> bool {
        let Some(sensor) = &self.sensor else { return false };
        if self.gone || sensor.greeting.replay {
            return self.blocked.as_ref().is_some_and(|b| b.since.elapsed() >= PATIENCE);
        }
        let waiting = lock(&sensor.attachment).written().saturating_sub(self.committed);
        waiting >= sensor.slots / 4 * 3
    }

    fn is_settled(&self) -> bool {
        self.recorder.lines.is_empty()
            && !self.recorder.alerts.has_changed()
            && self.committed == self.recorder.progress.sequence
    }

    /// Writes and stores what was read, and lets go of it.
    fn settle(&mut self) {
        if self.is_settled() {
            return;
        }
        let forced = self.must_go_on();
        if let Some(blocked) = &self.blocked
            && Instant::now() < blocked.again
            && !forced
        {
            return;
        }
        if let Err(error) = self.write_events() {
            self.block(&format!("events can't be written: {error}"), &self.events.name());
            if !forced {
                return;
            }
            self.give_up_events();
        }
        self.recorder.progress.events = self.events.mark();
        match self.store.commit(&self.recorder.progress, &self.recorder.alerts) {
            Ok(()) => {
                self.recorder.alerts.stored();
                self.unblock();
            }
            Err(error) => {
                let place = self.plan.state_dir.display().to_string();
                self.block(&format!("the state can't be written: {error}"), &place);
                if !forced {
                    return;
                }
            }
        }
        self.release();
    }

    fn write_events(&mut self) -> std::io::Result<()> {
        if !self.recorder.lines.is_empty() {
            self.events.append(&self.recorder.lines)?;
            self.recorder.lines.clear();
            self.recorder.events = 0;
        }
        Ok(())
    }

    fn give_up_events(&mut self) {
        let lost = std::mem::take(&mut self.recorder.events);
        self.recorder.lines.clear();
        self.recorder.progress.tally.lose(Lost::EventFile, lost);
        if let Some(blocked) = &mut self.blocked {
            blocked.lost += lost;
        }
    }

    fn release(&mut self) {
        let sequence = self.recorder.progress.sequence;
        self.committed = sequence;
        if let Some(sensor) = &self.sensor {
            let position = Position { boot: sensor.boot, sequence };
            if let Err(error) = lock(&sensor.attachment).release(position) {
                eprintln!("error: {error}; the sensor's event ring; restart the sensor");
            }
        }
    }

    /// Notes that the disk refuses, and says so the first time.
    fn block(&mut self, what: &str, place: &str) {
        let now = Instant::now();
        let again = now + RETRY;
        match &mut self.blocked {
            Some(blocked) => blocked.again = again,
            None => {
                eprintln!(
                    "error: {what}; {place}; make room: events wait in the ring as long as it has room"
                );
                self.blocked = Some(Blocked { since: now, again, lost: 0 });
            }
        }
    }

    fn unblock(&mut self) {
        // Events that were given up did not make room for themselves.
        if self
            .blocked
            .as_ref()
            .is_some_and(|blocked| Instant::now() < blocked.again && blocked.lost > 0)
        {
            return;
        }
        if let Some(blocked) = self.blocked.take() {
            let lost = blocked.lost;
            let seconds = blocked.since.elapsed().as_secs();
            let what = format!("Events can be written again after {seconds} s; {lost} were lost.");
            eprintln!("{what}");
            self.recorder.health(now(), "event_file", "recovered", what, None, Some(lost));
        }
    }

    /// Shows what changed to metrics.
    fn publish(&mut self) {
        let written = self.sensor.as_ref().map(|sensor| lock(&sensor.attachment).written());
        let mut live = lock(&self.shared);
        live.up = self.watch.is_up();
        if live.tally != self.recorder.progress.tally {
            live.tally = self.recorder.progress.tally.clone();
        }
        live.alerts = self.recorder.alerts.len();
        live.alert_evictions = self.recorder.alerts.evictions();
        live.unread = written.map_or(0, |written| written.saturating_sub(self.committed));
    }

    /// Reads the files again; if they are bad the old ones stay.
    fn reload(&mut self) {
        if let Err(error) = self.events.reopen() {
            eprintln!(
                "error: events can't be written: {error}; {}; the old file stays in use",
                self.events.name()
            );
        }
        let read = self.files.read(&mut |warning| eprintln!("{warning}"));
        let before = self.message.clone();
        let adopted = read.and_then(|rulebook| rulebook.map_or(Ok(()), |book| self.adopt(book)));
        match adopted {
            Ok(()) => {
                eprintln!("inventory and policy are read again");
                if self.message != before {
                    self.send_policy();
                }
            }
            Err(refusal) => {
                eprintln!("{refusal}\nthe old inventory and policy stay in force");
                self.recorder.refused(now(), &refusal.to_string());
            }
        }
    }

    /// The last words: what is open is closed, for the end of the process.
    fn finish(mut self) -> Result<(), Refusal> {
        let ended = self.recorder.progress.ended;
        let deadline = Instant::now() + LAST_CHANCE;
        loop {
            let sayings = if self.is_settled() {
                self.recorder.alerts.close_open(CLOSED)
            } else {
                Vec::new()
            };
            sayings.iter().for_each(|saying| self.recorder.say(saying, &self.store));
            if self.is_settled() {
                break;
            }
            self.settle();
            if Instant::now() >= deadline && !self.is_settled() {
                self.give_up_events();
                break;
            }
            if self.blocked.is_some() {
                thread::sleep(IDLE);
            }
        }
        let counts = {
            let mut live = lock(&self.shared);
            live.refresh();
            live.counts.clone()
        };
        let tally = &self.recorder.progress.tally;
        let lost = tally.lost.iter().sum();
        if let Some(destination) = &self.plan.summary {
            Summary::new(&counts, self.recorder.alerts_by_id(), lost).write(destination).map_err(
                |error| {
                    Refusal::new(
                        &format!("the summary can't be written: {error}"),
                        &format!("{destination:?}"),
                        "choose another file with --summary",
                    )
                },
            )?;
        }
        let unwritten = tally.lost[Lost::EventFile as usize];
        if unwritten > 0 {
            return Err(Refusal::new(
                &format!("{unwritten} events could not be written"),
                &self.events.name(),
                "make room and replay again",
            ));
        }
        if self.plan.until_end && !ended {
            return Err(Refusal::new(
                "stopped before the end of the replay",
                &self.plan.socket.display().to_string(),
                "let it run to its end; what was read is kept",
            ));
        }
        Ok(())
    }
}
