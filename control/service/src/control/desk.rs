//! What people ask for, carried out between two batches of records: the deed, its line in the
//! audit and the journal's place are one transaction, and the answer waits for the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use weir_engine::Nanos;
use weir_engine::detect::CATALOGUE;

use super::{Control, RETRY};
use crate::cases::command::{Command, Done, NOTE, Order, Refused};
use crate::eve::{AuditBody, Body, Event};
use crate::live::{lock, now};
use crate::store::{Deed, Entry, StoreError};

/// Orders that are carried out between two batches.
const AT_ONCE: usize = 64;
/// After how long the next of them waits for its turn.
const TURN: Duration = Duration::from_millis(250);

impl Control {
    /// Carries out what is asked for.
    pub(super) fn obey(&mut self) {
        let began = Instant::now();
        for _ in 0..AT_ONCE {
            if began.elapsed() > TURN {
                return;
            }
            let Ok(order) = self.orders.try_recv() else { return };
            let result = self.carry_out(&order);
            // What it changed among the alerts of open days.
            self.settle();
            // Whoever asked may be gone; it is done all the same.
            let _ = order.reply.try_send(result);
        }
    }

    fn carry_out(&mut self, order: &Order) -> Result<Done, Refused> {
        let Order { actor, command, .. } = order;
        if !self.is_settled() {
            return Err(unavailable(&"records wait for the disk"));
        }
        if let Command::Import(import) = command {
            return self.import(actor, import);
        }
        let now = now();
        let scope = self.check(command, now)?;
        let is_restricted = match command {
            Command::Alert(id, _) | Command::TakeEvidence(id) => {
                self.store.is_restricted_alert(*id)
            }
            // Whom somebody asks for who may know who is intercepted, nobody else is to know.
            Command::RevealAlert { id, .. } => self
                .store
                .is_restricted_alert(*id)
                .map(|found| found.map(|restricted| restricted || actor.sees_restricted)),
            Command::Reveal { .. } | Command::LookUp { .. } => Ok(Some(actor.sees_restricted)),
            Command::Incident(number, _) => self.store.is_restricted_incident(*number),
            Command::Suppress(draft) => Ok(Some(is_restricted_id(&draft.detection))),
            Command::Revoke { number, .. } => self.store.is_restricted_suppression(*number),
            Command::Import(_) => Ok(Some(false)),
        };
        let restricted = match is_restricted.map_err(|error| unavailable(&error))? {
            Some(restricted) if !restricted || actor.sees_restricted => restricted,
            _ => return Err(Refused::Absent),
        };
        let (object, detail) = (command.object(), command.detail());
        let detail = detail.to_string();
        let entry = Entry {
            time: now,
            restricted,
            actor: &actor.name,
            action: command.action(),
            object: &object,
            detail: &detail,
        };
        let sees = actor.sees_restricted;
        let done = self.enter(&entry, |deed| match command {
            Command::Alert(id, change) => {
                let note = change.note.as_deref();
                let found = deed.put_status(*id, change.status, note, sees)?;
                Ok(found.then_some(Done::Changed { alerts: 1, pending: false }))
            }
            Command::Incident(number, change) => {
                let note = change.note.as_deref();
                let put = deed.put_incident_status(*number, change.status, note, sees)?;
                let alerts = put.alerts.len() as u64;
                Ok(Some(Done::Changed { alerts, pending: put.is_pending }))
            }
            Command::Suppress(_) => match &scope {
                Some(scope) => {
                    let (number, put) = deed.suppress(scope)?;
                    let (alerts, pending) = (put.alerts.len() as u64, put.is_pending);
                    Ok(Some(Done::Suppressed { number, alerts, pending }))
                }
                None => Ok(None),
            },
            Command::Revoke { number, .. } => Ok(deed.revoke(*number)?.then_some(Done::Revoked)),
            Command::Reveal { .. }
            | Command::RevealAlert { .. }
            | Command::LookUp { .. }
            | Command::TakeEvidence(_) => Ok(Some(Done::Noted)),
            Command::Import(_) => Ok(None),
        })?;
        self.tell_watchers(now);
        match (&done, command, scope) {
            (&Done::Suppressed { number, .. }, _, Some(scope)) => {
                self.recorder.silence_said(&scope, now);
                self.recorder.cases.suppressions.restore(number, scope);
            }
            (Done::Revoked, Command::Revoke { number, .. }, _) => {
                self.recorder.cases.suppressions.revoke(*number);
            }
            _ => {}
        }
        Ok(done)
    }

    /// Carries out a portion of what deeds over many alerts left to do; whether there was something.
    /// What can't be stored now is tried again after a while.
    pub(super) fn sweep(&mut self) -> bool {
        let waits = self.sweep_failed.is_some_and(|since| since.elapsed() < RETRY);
        if waits || self.blocked.is_some() || !self.is_settled() {
            return false;
        }
        let swept = match self.store.sweep(now()) {
            Ok(swept) => swept,
            Err(error) => {
                if self.sweep_failed.replace(Instant::now()).is_none() {
                    eprintln!(
                        "error: what people asked for can't be finished: {error}; control.db; make room: it is tried again"
                    );
                }
                return false;
            }
        };
        if self.sweep_failed.take().is_some() {
            eprintln!("Alerts can be changed again.");
        }
        let Some(swept) = swept else { return false };
        let news = Arc::clone(&lock(&self.shared).news);
        if news.is_watched() {
            news.stored(swept.alerts);
        }
        true
    }

    /// Whoever watches hears of alerts that a deed at `now` changed.
    fn tell_watchers(&self, now: Nanos) {
        let news = Arc::clone(&lock(&self.shared).news);
        if news.is_watched() {
            // A watcher that hears nothing of it now does when it asks.
            news.stored(self.store.changed_at(now).unwrap_or_default());
        }
    }

    /// Whether a command can be meant so; of a suppression what it silences.
    fn check(
        &self,
        command: &Command,
        now: Nanos,
    ) -> Result<Option<weir_policy::Suppression>, Refused> {
        let too_long = |text: &str| text.chars().count() > NOTE;
        match command {
            Command::Alert(_, change) | Command::Incident(_, change) => {
                if !change.status.is_by_hand() {
                    let what = "only a suppression silences: it has a reason and an end";
                    return Err(Refused::Invalid(what.into()));
                }
                if change.note.as_deref().is_some_and(too_long) {
                    return Err(Refused::Invalid(format!("a note has at most {NOTE} characters")));
                }
                Ok(None)
            }
            Command::TakeEvidence(_) => Ok(None),
            Command::Suppress(draft) => {
                if !self.recorder.cases.suppressions.has_room() {
                    let what = "too many suppressions hold; revoke some that are not needed";
                    return Err(Refused::Invalid(what.into()));
                }
                let entries = self.rulebook.iter().flat_map(|book| book.inventory.equipment());
                let ids = entries.map(|entry| entry.id.as_str());
                draft.check(now, ids).map(Some).map_err(Refused::Invalid)
            }
            Command::Revoke { reason, .. }
            | Command::Reveal { reason, .. }
            | Command::RevealAlert { reason, .. }
            | Command::LookUp { reason, .. } => {
                if reason.trim().chars().count() < 3 || too_long(reason) {
                    let what = format!("a reason of 3 to {NOTE} characters is needed");
                    return Err(Refused::Invalid(what));
                }
                Ok(None)
            }
            Command::Import(_) => Ok(None),
        }
    }

    /// Does something in one transaction with its line in the audit and its place in the journal.
    pub(super) fn enter<T>(
        &mut self,
        entry: &Entry<'_>,
        deed: impl FnOnce(&Deed<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<T, Refused> {
        let detail = RawValue::from_string(entry.detail.to_owned())
            .map_err(|error| Refused::Invalid(error.to_string()))?;
        let site = self.recorder.site().to_owned();
        let body = AuditBody {
            site: &site,
            actor: entry.actor,
            action: entry.action,
            object: entry.object,
            detail: &detail,
        };
        let event = Event::bare(entry.time, "audit", Body::Audit(body));
        let mut line = Vec::with_capacity(512);
        event.write(&mut line);
        let which = usize::from(entry.restricted);
        let journal = &mut self.journals[which];
        let before = journal.mark();
        journal.append(&line);
        let written = journal.write().and_then(|()| journal.sync());
        if let Err(error) = written {
            journal.rewind(before);
            return Err(unavailable(&error));
        }
        self.recorder.progress.journals[which] = journal.mark();
        match self.store.deed(&self.recorder.progress, entry, deed) {
            Ok(Some(done)) => {
                self.recorder.tell_deed(&event, entry.restricted);
                Ok(done)
            }
            other => {
                // Nothing was done, and the journal does not say that it was.
                self.journals[which].rewind(before);
                self.mark();
                Err(other.map_or_else(|error| unavailable(&error), |_| Refused::Absent))
            }
        }
    }
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> Refused {
    Refused::Unavailable(format!("the state can't be written: {error}; make room and ask again"))
}

/// Whether a detection, by its id, shows who is intercepted.
fn is_restricted_id(detection: &str) -> bool {
    CATALOGUE.iter().any(|known| known.id == detection && known.restricted)
}
