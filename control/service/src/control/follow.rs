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
use std::time::{Duration, Instant};

use weir_engine::contract::verdict::Verdict;
use weir_shm::{Position, Record, RecordError};

use super::{Blocked, CLOSED, Control, RETRY};
use crate::live::{lock, now};
use crate::progress::Lost;
use crate::recorder::Recorder;

/// The kind of records that hold a verdict.
const VERDICT: u16 = 1;
/// Records of one transaction.
const BATCH: usize = 1024;
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
        self.mark();
        match self.recorder.commit(&mut self.store) {
            Ok(()) => {
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
        self.rotate();
    }

    /// Notes how far the event files are written.
    pub(super) fn mark(&mut self) {
        self.recorder.progress.events = self.events.mark();
        self.recorder.progress.restricted = self.restricted.mark();
    }

    /// Writes what waits; on failure the file that refused, and why.
    fn write_events(&mut self) -> Result<(), (String, io::Error)> {
        let recorder = &mut self.recorder;
        let files = [
            (&mut self.events, &mut recorder.open),
            (&mut self.restricted, &mut recorder.restricted),
        ];
        for (file, outbox) in files {
            if !outbox.lines.is_empty() {
                file.append(&outbox.lines).map_err(|error| (file.name(), error))?;
                outbox.give_up();
            }
        }
        Ok(())
    }

    pub(super) fn give_up_events(&mut self) {
        let lost = self.recorder.open.give_up() + self.recorder.restricted.give_up();
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
}
