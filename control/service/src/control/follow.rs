//! From the ring to the disk.
//!
//! What a batch of records changed goes to the event file first and then, with
//! the file's new length and the position in the ring, into one transaction of the
//! store; only then is the sensor told that it may reuse the records' slots. While
//! the disk is full nothing further is read, and the records wait in the ring. Once
//! that is three quarters full (in a replay, whose sensor may wait too: after
//! [`PATIENCE`]), reading goes on, so that alerts and metrics stay right; the
//! events that find no room in the file meanwhile are counted as lost.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use weir_engine::Nanos;
use weir_engine::contract::exhibit::{Joiner, Kept};
use weir_engine::contract::verdict::{Frames, Verdict};
use weir_shm::{Position, Record, RecordError};

use super::{Blocked, CLOSED, Control, DAY, RETENTION, RETRY};
use crate::live::{lock, now};
use crate::progress::Lost;
use crate::recorder::Recorder;

/// The kind of records that hold a verdict.
const VERDICT: u16 = 1;
/// Records of one transaction. In a flood most of them change pages of their own: the more there are, the fewer
/// pages are written twice; an order waits for one of these at most.
const BATCH: usize = 4096;
/// Frames that the records of one transaction hold in the evidence ring, at most, give or take an alert's.
const FRAMES: u64 = 2_048;
/// How long a replay, or the records of a sensor that is gone, wait for the disk: nothing
/// else would end the waiting, as their ring does not fill up.
const PATIENCE: Duration = Duration::from_secs(5);

impl Control {
    /// Reads a batch of records; answers how many steps it came further.
    pub(super) fn read(&mut self) -> usize {
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
        let (mut steps, held) = (0, self.shown);
        for record in records {
            if self.shown - held >= FRAMES {
                break;
            }
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
                let frames = self.frames(&verdict);
                self.recorder.bring(frames);
                self.recorder.take(verdict, &self.store);
            }
        }
        self.recorder.progress.sequence += 1;
        true
    }

    /// The frames that stand in the evidence ring before a verdict. What can't be read is missing;
    /// the sensor counts what it lost.
    fn frames(&mut self, verdict: &Verdict) -> Vec<Kept> {
        let place = match verdict {
            Verdict::Alert(alert) => alert.evidence,
            Verdict::Activity(activity) => activity.evidence,
            _ => None,
        };
        let (Some(Frames { from, records }), Some(sensor)) = (place, &self.sensor) else {
            return Vec::new();
        };
        let end = from.saturating_add(records.into());
        self.shown = self.shown.max(end);
        if self.recorder.cabinet().is_none() {
            return Vec::new();
        }
        let attachment = lock(&sensor.attachment);
        let mut joiner = Joiner::default();
        let read = (from..end).map_while(|at| attachment.evidence(at).ok().flatten());
        read.filter_map(|record| joiner.take(record.kind, record.payload())).collect()
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

    pub(super) fn is_settled(&self) -> bool {
        self.recorder.is_written()
            && !self.recorder.has_changed()
            && self.committed == self.recorder.progress.sequence
    }

    /// Writes and stores what was read, and lets go of it.
    pub(super) fn settle(&mut self) {
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
        if let Err((file, error)) = self.write_events() {
            self.block(&format!("events can't be written: {error}"), &file);
            if !forced {
                return;
            }
            self.give_up_events();
        }
        self.retain();
        self.mark();
        match self.recorder.commit(&mut self.store) {
            Ok(()) => {
                self.unblock();
                // What can't be removed now is chosen again.
                self.journals.iter_mut().for_each(|journal| {
                    let _ = journal.committed();
                });
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
        self.rotate();
    }

    /// Notes how far the event files and the journals are written.
    pub(super) fn mark(&mut self) {
        self.recorder.progress.events = self.events.mark();
        self.recorder.progress.restricted = self.restricted.mark();
        self.recorder.progress.journals = [0, 1].map(|which| self.journals[which].mark());
    }

    /// Writes what waits, to the event file first and then to the journal; on failure the place that
    /// refused, and why.
    fn write_events(&mut self) -> Result<(), (String, io::Error)> {
        let recorder = &mut self.recorder;
        let files = [
            (&mut self.events, &mut recorder.open),
            (&mut self.restricted, &mut recorder.restricted),
        ];
        for ((file, outbox), journal) in files.into_iter().zip(&mut self.journals) {
            if !outbox.unfiled().is_empty() {
                file.append(outbox.unfiled()).map_err(|error| (file.name(), error))?;
                outbox.file().for_each(|line| journal.append(line));
            }
            journal.write().map_err(|error| (journal.directory().display().to_string(), error))?;
            outbox.clear();
        }
        Ok(())
    }

    /// Lets go of what can't be written, and counts it where it will be missed.
    pub(super) fn give_up_events(&mut self) {
        let recorder = &mut self.recorder;
        let mut lost = 0;
        for (outbox, journal) in
            [&mut recorder.open, &mut recorder.restricted].into_iter().zip(&mut self.journals)
        {
            let (unfiled, kept) = outbox.counts();
            recorder.progress.tally.lose(Lost::EventFile, unfiled);
            lost += unfiled;
            // The journal may have room where the event file has none.
            outbox.file().for_each(|line| journal.append(line));
            if journal.write().is_err() {
                journal.give_up();
                recorder.progress.tally.lose(Lost::Journal, kept);
            }
            outbox.clear();
        }
        if let Some(blocked) = &mut self.blocked {
            blocked.lost += lost;
        }
    }

    /// Removes what is too old or too much of the journals and of the alerts, now and then.
    fn retain(&mut self) {
        if self.retained.elapsed() < RETENTION {
            return;
        }
        self.retained = Instant::now();
        for journal in &mut self.journals {
            // Whoever can't read a directory learns of it when it is to be written.
            let _ = journal.retain(SystemTime::now()).and_then(|()| journal.write());
        }
        if let Some(cabinet) = self.recorder.cabinet() {
            cabinet.retain(SystemTime::now());
        }
        let oldest = |days| Nanos(now().0.saturating_sub(Nanos::from_secs(days * DAY).0));
        let kept = self.plan.retention;
        if let Err(error) = self.store.retain(oldest(kept.history_days)) {
            eprintln!("error: old alerts can't be removed: {error}; control.db; make room");
        }
        let boot = self.recorder.progress.boot;
        if let Err(error) = self.store.retain_site(oldest(kept.site_days), boot) {
            eprintln!(
                "error: old flows and sessions can't be removed: {error}; control.db; make room"
            );
        }
    }

    fn release(&mut self) {
        let sequence = self.recorder.progress.sequence;
        self.committed = sequence;
        if let Some(sensor) = &self.sensor {
            let position = Position { boot: sensor.boot, sequence };
            let mut attachment = lock(&sensor.attachment);
            attachment.release_evidence(self.shown);
            if let Err(error) = attachment.release(position) {
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
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::mpsc;

    use clap::Parser;
    use rusqlite::{Connection, params};
    use weir_journal::{Journal, Limits};

    use super::*;
    use crate::live::Shared;
    use crate::options::Options;

    /// Each has days of its own, so that none can be taken for another.
    const CONFIG: &str = "[control.retention]\nhistory_days = 10\nsite_days = 20\njournal_days = 30\n\
        [control.evidence]\ndays = 40\n";
    const HOUR: u64 = 3_600;

    /// An hour more than so many days ago, and an hour less.
    fn ages(days: u64) -> [SystemTime; 2] {
        [DAY * days + HOUR, DAY * days - HOUR]
            .map(|seconds| SystemTime::now() - Duration::from_secs(seconds))
    }

    fn dated(path: &Path, time: SystemTime) {
        File::options().append(true).create(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.metadata().unwrap().is_file());
        let mut names: Vec<String> =
            files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_older_than_the_configured_days_goes_and_what_is_younger_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let [config, journal, evidence] = ["weir.toml", "journal/open", "evidence"].map(path);
        fs::write(&config, CONFIG).unwrap();
        let small = Limits { segment_bytes: 1, total_bytes: u64::MAX, age: Duration::MAX };
        let mut written = Journal::open(&journal, small, None).unwrap();
        for _ in 0..4 {
            written.append(b"{}");
            written.write().unwrap();
        }
        drop(written);
        let segments = names(&journal);
        let [old, young] = ages(30);
        for (name, time) in segments.iter().zip([old, old, young]) {
            dated(&journal.join(name), time);
        }
        fs::create_dir(&evidence).unwrap();
        for (name, time) in ["old.pcapng", "young.pcapng"].into_iter().zip(ages(40)) {
            dated(&evidence.join(name), time);
        }

        let state = directory.path().to_str().unwrap();
        let arguments = ["weir-control", "--listen", "none", "--state-dir", state, "--config"];
        let options = arguments.into_iter().chain([config.to_str().unwrap()]);
        let plan = Options::try_parse_from(options).unwrap().plan().unwrap();
        let (_desk, orders) = mpsc::sync_channel(1);
        let mut control = Control::start(plan, Shared::default(), orders).unwrap();
        let store = Connection::open(path("control.db")).unwrap();
        let nanos = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i64
        };
        // 1 is old and 2 is young, in every table.
        for (number, (history, site)) in (1_i64..).zip(ages(10).into_iter().zip(ages(20))) {
            let rows = [
                ("INSERT INTO history (id, dedup, detection, severity, status, restricted, degraded,
                    first, last, packets, bytes, updates, final, changed, event)
                  VALUES (?1, '', '', 3, 0, 0, 0, 0, 0, 1, 1, 0, 0, ?2, '{}')", history),
                ("INSERT INTO talks VALUES (?1, ?1, 'a', 0, 'b', 6, 1, 0, 1, 1, 1, 1, 1, ?2, ?2, 1, 0,
                    NULL, NULL)", site),
                ("INSERT INTO talk_hours VALUES (?1, ?2)", site),
                ("INSERT INTO seen VALUES (?1, ?2, ?2)", site),
                ("INSERT INTO sessions VALUES (?1, 0, ?2, 0, 0, NULL, NULL, 1, 4, 0, NULL, '', '', NULL,
                    NULL, NULL, NULL, '', '', 0, 0, 0, 0, 0, 0, '', NULL, NULL, 0)", site),
            ];
            for (row, changed) in rows {
                store.execute(row, params![number, nanos(changed)]).unwrap();
            }
        }
        control.retained = Instant::now() - RETENTION;
        control.recorder.health(
            now(),
            "sensor",
            "attached",
            "A reason to write.".into(),
            None,
            None,
        );
        control.settle();
        assert!(control.is_settled());
        let left = |column: &str, table: &str| -> Vec<i64> {
            let text = format!("SELECT CAST({column} AS INTEGER) FROM {table} ORDER BY 1");
            let mut statement = store.prepare(&text).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        for (column, table) in [
            ("id", "history"),
            ("number", "talks"),
            ("hour", "talk_hours"),
            ("equipment", "seen"),
            ("id", "sessions"),
        ] {
            assert_eq!(left(column, table), [2], "{table}");
        }
        assert_eq!(names(&journal), segments[2..]);
        assert_eq!(names(&evidence), ["young.pcapng"]);
    }
}
