//! The process's loop: meet the sensor, read its records, store what they
//! changed, let go of them.

mod desk;
mod follow;
mod import;
mod rotation;
mod sinks;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use weir_engine::Nanos;
use weir_engine::contract::greeting::PolicyReply;
use weir_journal::{Journal, Limits, Mark};
use weir_shm::BootId;

use crate::attach::{Message, NoSensor, Sensor};
use crate::cases::command::Order;
use crate::event_file::EventFile;
use crate::evidence::Cabinet;
use crate::live::{Evidence, Shared, lock, now};
use crate::options::Plan;
use crate::print::Printer;
use crate::progress::{Lost, Progress, Tally};
use crate::recorder::Recorder;
use crate::refusal::Refusal;
use crate::rulebook::{self, Files, Rulebook};
use crate::sinks::Sinks;
use crate::site::Site;
use crate::site::seal::{self, Seal};
use crate::store::Store;
use crate::summary::Summary;
use crate::watch::{Change, Watch};

/// Final words of one transaction.
const CLOSED: usize = 512;
/// Between two looks at an empty ring.
const IDLE: Duration = Duration::from_millis(5);
/// How long a sensor that starts at the same time may take.
const GRACE: Duration = Duration::from_secs(1);
/// Between two attempts to reach a sensor that is away.
const RECONNECT: Duration = Duration::from_millis(200);
/// Between two attempts to write to a full disk, and how long the end waits for one.
const RETRY: Duration = Duration::from_secs(1);
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// Between two stats events of a live tap.
const STATS: Duration = Duration::from_secs(10);

/// Between two looks whether the journal has become too long or too old.
const RETENTION: Duration = Duration::from_secs(60);
/// Bytes of one file of the journal.
const SEGMENT: u64 = 64 << 20;
/// Seconds.
const DAY: u64 = 86_400;

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
    restricted: EventFile,
    /// The journal, and that of restricted events.
    journals: [Journal; 2],
    recorder: Recorder,
    sinks: Sinks,
    shared: Shared,
    /// What people ask for.
    orders: mpsc::Receiver<Order>,
    /// Inventory and policy as they were read last.
    rulebook: Option<Arc<Rulebook>>,
    message: Option<Vec<u8>>,
    /// Whether a file says what is authorised to be intercepted.
    knows_interception: bool,
    sensor: Option<Sensor>,
    /// The sensor is gone, and its memory is read to the end.
    gone: bool,
    watch: Watch,
    started: Instant,
    attempt: Instant,
    complaint: String,
    committed: u64,
    /// Up to where the evidence ring is read.
    shown: u64,
    /// When what deeds over many alerts left to do could last not be stored, if it can't be.
    sweep_failed: Option<Instant>,
    blocked: Option<Blocked>,
    /// The version in force and its name in this life of the sensor, and what may be told of them.
    judging: Option<(u64, [u8; 32])>,
    in_force: Option<(u64, Option<[u8; 32]>)>,
    stats: Instant,
    looked: Instant,
    retained: Instant,
}

impl Control {
    /// Opens everything that the plan names; nothing waits for the sensor yet.
    ///
    /// # Errors
    /// What keeps the process from starting.
    pub fn start(
        plan: Plan,
        shared: Shared,
        orders: mpsc::Receiver<Order>,
    ) -> Result<Self, Refusal> {
        let files = Files {
            inventory: plan.inventory.clone(),
            policy: plan.policy.clone(),
            interception: plan.interception.clone(),
            imported: rulebook::imported(&plan.state_dir),
        };
        let mut rulebook = files.read(&mut |warning| eprintln!("{warning}"))?;
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
        if Self::recover_import(&store, &files.imported).map_err(|error| stored(&error))? {
            rulebook = files.read(&mut |warning| eprintln!("{warning}"))?;
        }
        let progress = store.progress().map_err(|error| stored(&error))?.unwrap_or_default();
        let alerts = store.alerts().map_err(|error| stored(&error))?;
        let analytics = store.analytics().map_err(|error| stored(&error))?;
        let cases = store.cases().map_err(|error| stored(&error))?;
        let told = store.told().map_err(|error| stored(&error))?;
        let seal = Seal::open(&plan.state_dir).map_err(|error| {
            let place = plan.state_dir.join(seal::FILE).display().to_string();
            let remedy = format!(
                "chmod 600 {place}, or restore it; without it no stored address is revealed"
            );
            Refusal::new(&error.to_string(), &place, &remedy)
        })?;
        let seal = Arc::new(seal);
        lock(&shared).seal = Some(Arc::clone(&seal));
        let site = Site::new(told, seal, !plan.until_end);
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
        let restricted = EventFile::open_private(plan.restricted.clone(), progress.restricted)
            .map_err(|error| {
                Refusal::new(
                    &format!("restricted events can't be written: {error}"),
                    &plan.restricted.display().to_string(),
                    "choose another file with --restricted-events",
                )
            })?;
        let journals = plan.state_dir.join("journal");
        let limits = Limits {
            segment_bytes: SEGMENT,
            total_bytes: plan.retention.journal_gib << 30,
            age: Duration::from_secs(plan.retention.journal_days * DAY),
        };
        let journal = |name, mark: Mark| {
            let place = journals.join(name);
            Journal::open(&place, limits, (mark != Mark::default()).then_some(mark)).map_err(
                |error| {
                    Refusal::new(
                        &format!("the journal can't be written: {error}"),
                        &place.display().to_string(),
                        "make it writable, or choose another directory with --state-dir",
                    )
                },
            )
        };
        let [open, closed] = progress.journals;
        let journals = [journal("open", open)?, journal("restricted", closed)?];
        let watch = Watch::after(progress.boot.map(BootId::from_bytes));
        let committed = progress.sequence;
        let printer = plan.print_alerts.then(Printer::stdout);
        let mut recorder = Recorder::new(
            (progress, alerts, analytics, cases),
            site,
            plan.site.clone(),
            plan.guarded,
            printer,
        );
        let sinks = Sinks::start(&plan.sinks)?;
        recorder.feed(&sinks);
        if let Some((directory, limits)) = &plan.evidence {
            let committed = recorder.alerts.captures();
            let cabinet = Cabinet::open(directory.clone(), *limits, committed).map_err(|error| {
                Refusal::new(
                    &format!("evidence can't be kept: {error}"),
                    &directory.display().to_string(),
                    "make it writable, choose another with --evidence, or set enabled = false under [control.evidence]",
                )
            })?;
            recorder.furnish(cabinet);
        }
        lock(&shared).sinks = sinks.meters().to_vec();
        recorder.note_in(Arc::clone(&lock(&shared).news));
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
            restricted,
            journals,
            recorder,
            sinks,
            shared,
            orders,
            rulebook: None,
            message: None,
            knows_interception: false,
            sensor: None,
            gone: false,
            watch,
            started: start,
            attempt: start,
            complaint: String::new(),
            committed,
            shown: 0,
            sweep_failed: None,
            blocked: None,
            judging: None,
            in_force: None,
            stats: start,
            looked: start,
            retained: start,
        };
        if let Some(rulebook) = rulebook {
            control.adopt(rulebook)?;
        }
        // The file's place is stored before its first line: a crash in between
        // would otherwise repeat that.
        control.mark();
        control.recorder.commit(&mut control.store).map_err(|error| {
            Refusal::new(&format!("the state can't be written: {error}"), &place, "make room")
        })?;
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
        let message = rulebook.message()?;
        self.hold(rulebook, message);
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
            self.hear_sinks();
            self.settle();
            self.obey();
            let swept = self.sweep();
            self.publish();
            if self.plan.until_end && self.recorder.progress.ended && self.is_settled() {
                break;
            }
            self.listen(if read > 0 || swept { Duration::ZERO } else { IDLE });
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
        // Whoever starts both at once need not hear that one was faster.
        if complaint != self.complaint && self.started.elapsed() > GRACE {
            eprintln!("{complaint}");
            self.complaint = complaint;
        }
    }

    fn greet(&mut self, sensor: Sensor) {
        self.complaint.clear();
        self.gone = false;
        self.recorder.greet(&sensor.greeting);
        let (released, shown, heartbeat) = {
            let mut attachment = lock(&sensor.attachment);
            // Should the process before have lied about it, frames would be written over unread.
            let shown = attachment.evidence_released();
            attachment.release_evidence(shown);
            (attachment.released().sequence, shown, attachment.heartbeat())
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
            self.recorder.restarted();
        }
        self.committed = self.recorder.progress.sequence;
        self.shown = shown;
        // Attaching belongs to an undisturbed replay, whose events tell of packets alone.
        if !sensor.greeting.replay || change == Change::Restarted {
            self.say(change);
        }
        if !sensor.greeting.replay && self.message.is_some() && !self.knows_interception {
            eprintln!(
                "LI-UNMATCHED is not covered: [paths] lawful_intercept names no file that says what is authorised"
            );
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
        self.recorder.cases.suppressions.expire(now());
        let counts = {
            let mut live = lock(&self.shared);
            live.refresh();
            live.counts.clone()
        };
        let packet_time = Nanos(counts.judge.packet_time);
        self.recorder.pass(packet_time);
        let sayings = self.recorder.alerts.close_due(packet_time, CLOSED);
        sayings.iter().for_each(|saying| self.recorder.say(saying, &self.store));
        if self.stats.elapsed() >= STATS {
            self.stats = Instant::now();
            self.recorder.stats(now(), &counts.totals());
        }
    }

    /// Shows what changed to metrics.
    fn publish(&mut self) {
        self.name_policy();
        let written = self.sensor.as_ref().map(|sensor| lock(&sensor.attachment).written());
        let mut live = lock(&self.shared);
        live.up = self.watch.is_up();
        if live.tally != self.recorder.progress.tally {
            live.tally = self.recorder.progress.tally.clone();
        }
        live.alerts = self.recorder.alerts.unrestricted();
        live.alert_evictions = self.recorder.alerts.evictions();
        live.memory_evictions = self.recorder.analytics.evictions();
        live.given_up = self.recorder.ledger.given_up(self.store.sessions_given_up());
        live.journal = self.recorder.progress.journals[0].head;
        live.policy = self.in_force;
        if let Some(cabinet) = self.recorder.cabinet() {
            live.evidence = Evidence { bytes: cabinet.bytes(), gone: cabinet.gone() };
        }
        live.unread = written.map_or(0, |written| written.saturating_sub(self.committed));
    }

    /// Finds out by what hash everybody may know the policy in force, if it is another one.
    fn name_policy(&mut self) {
        let Progress { policy, policies, .. } = &self.recorder.progress;
        let judging = policies.get(policy).map(|sha256| (*policy, *sha256));
        if judging != self.judging {
            self.judging = judging;
            // What was never adopted here may be named by the sensor's own word, which is secret.
            self.in_force = judging.map(|(version, sha256)| {
                let is_public = self.store.is_public(&sha256).unwrap_or(false);
                (version, is_public.then_some(sha256))
            });
        }
    }

    /// Reads the files again; if they are bad the old ones stay.
    fn reload(&mut self) {
        for file in [&mut self.events, &mut self.restricted] {
            if let Err(error) = file.reopen() {
                eprintln!(
                    "error: events can't be written: {error}; {}; the old file stays in use",
                    file.name()
                );
            }
        }
        self.note_places();
        if let Err(error) = Self::recover_import(&self.store, &self.files.imported) {
            let path = self.files.imported.display();
            eprintln!("error: the import can't be written: {error}; {path}; make room");
        }
        let tls = lock(&self.shared).tls.clone();
        if let Some(tls) = tls {
            match tls.refresh() {
                Ok(()) => eprintln!("certificates are read again"),
                Err(refusal) => eprintln!("{refusal}\nthe old certificates stay in use"),
            }
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
        self.stop_sinks();
        let counts = {
            let mut live = lock(&self.shared);
            live.refresh();
            live.counts.clone()
        };
        let tally = &self.recorder.progress.tally;
        // What only the journal lacks stands in the event file.
        let lost = tally.lost.iter().sum::<u64>() - tally.lost[Lost::Journal as usize];
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
