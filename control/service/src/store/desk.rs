//! What people do to alerts, each deed one transaction with its line in the audit.

use rusqlite::{OptionalExtension, Transaction, params};
use weir_engine::Nanos;
use weir_policy::Suppression;

use super::StoreError;
use super::cases::signed;
use super::sweep::{self, Sweep, Swept};
use crate::cases::status::Status;
use crate::cases::{AlertId, RESTRICTED_FROM};

/// What is told of a deed, to whoever asks later.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When, by the time of day.
    pub time: Nanos,
    /// Whether a named role alone may know of it.
    pub restricted: bool,
    /// Who.
    pub actor: &'a str,
    /// What.
    pub action: &'static str,
    /// To what.
    pub object: &'a str,
    /// How, as JSON.
    pub detail: &'a str,
}

/// Writes a deed down.
pub(super) fn note(transaction: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), StoreError> {
    let Entry { time, restricted, actor, action, object, detail } = entry;
    let number = next(transaction, "audit", *restricted)?;
    transaction.execute(
        "INSERT INTO audit (number, time, restricted, actor, action, object, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![number, signed(time.0), restricted, actor, action, object, detail],
    )?;
    Ok(())
}

/// The next number of a table.
fn next(transaction: &Transaction<'_>, table: &str, restricted: bool) -> Result<i64, StoreError> {
    let open = signed(RESTRICTED_FROM);
    let (from, to) = if restricted { (open, i64::MAX) } else { (0, open) };
    let last = transaction.prepare_cached(&last(table))?.query_row([from, to], |row| row.get(0));
    Ok(last.optional()?.unwrap_or(from) + 1)
}

/// The question for the last number of a table within bounds, which its key answers however many rows
/// there are.
fn last(table: &str) -> String {
    format!(
        "SELECT number FROM {table} WHERE number > ?1 AND number <= ?2
         ORDER BY number DESC LIMIT 1"
    )
}

/// A deed within its transaction.
pub struct Deed<'a> {
    transaction: &'a Transaction<'a>,
    entry: &'a Entry<'a>,
}

impl<'a> Deed<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, entry: &'a Entry<'a>) -> Self {
        Self { transaction, entry }
    }

    /// Puts an alert where somebody wants it; false if there is none, or it is one that they may not
    /// see.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put_status(
        &self,
        id: AlertId,
        status: Status,
        note: Option<&str>,
        sees_restricted: bool,
    ) -> Result<bool, StoreError> {
        let changed = self.transaction.execute(
            "UPDATE history SET status = ?2, suppression = NULL, changed = ?3, changed_by = ?4,
                note = coalesce(?5, note)
             WHERE id = ?1 AND (restricted = 0 OR ?6)",
            params![
                id.0 as i64,
                status as u8,
                signed(self.entry.time.0),
                self.entry.actor,
                note,
                sees_restricted
            ],
        )?;
        sweep::spare(self.transaction, id)?;
        Ok(changed > 0)
    }

    /// The same of all alerts of an incident that they may see. What is suppressed stays so.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put_incident_status(
        &self,
        number: u64,
        status: Status,
        note: Option<&str>,
        sees_restricted: bool,
    ) -> Result<Swept, StoreError> {
        let (entry, put) = (self.entry, (status, note));
        Sweep::incident(self.transaction, entry.actor, number, put, sees_restricted)?
            .start(self.transaction, entry.time)
    }

    /// Stores a suppression, and silences what it names among the alerts that are stored; answers
    /// its number and which these are.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn suppress(&self, scope: &Suppression) -> Result<(u64, Swept), StoreError> {
        let entry = self.entry;
        let number = next(self.transaction, "suppressions", entry.restricted)?;
        self.transaction.execute(
            "INSERT INTO suppressions (number, restricted, detection, equipment, peer, reason,
                author, created, until, alerts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)",
            params![
                number,
                entry.restricted,
                scope.detection,
                scope.equipment,
                scope.peer.map(|net| net.to_string()),
                scope.reason,
                entry.actor,
                signed(entry.time.0),
                signed(scope.until.unwrap_or(0)),
            ],
        )?;
        let number = number as u64;
        let sweep = Sweep::silence(self.transaction, entry.actor, number)?;
        Ok((number, sweep.start(self.transaction, entry.time)?))
    }

    /// Keeps the text of an import until its file is written.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn import(&self, text: &str) -> Result<(), StoreError> {
        super::import::put(self.transaction, text)
    }

    /// Takes a suppression back; false if there is none that holds. What it silenced so far stays so
    /// until it is told of again.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn revoke(&self, number: u64) -> Result<bool, StoreError> {
        let holds = "SELECT until >= ?2 FROM suppressions WHERE number = ?1 AND revoked IS NULL";
        let time = signed(self.entry.time.0);
        let holds: Option<bool> = self
            .transaction
            .query_row(holds, [signed(number), time], |row| row.get(0))
            .optional()?;
        if holds != Some(true) {
            return Ok(false);
        }
        self.transaction.execute(
            "UPDATE suppressions SET revoked = ?2, revoked_by = ?3 WHERE number = ?1",
            params![signed(number), time, self.entry.actor],
        )?;
        sweep::stop(self.transaction, number)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn deeds_are_counted_apart_and_their_number_is_found_by_their_key() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::cases::TABLES).unwrap();
        let transaction = connection.transaction().unwrap();
        for restricted in [false, true, false, true, true] {
            let entry = Entry {
                time: Nanos(1),
                restricted,
                actor: "ada",
                action: "revoke",
                object: "1",
                detail: "{}",
            };
            note(&transaction, &entry).unwrap();
        }
        let mut statement =
            transaction.prepare("SELECT number, restricted FROM audit ORDER BY number").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let numbers: Vec<(i64, bool)> = rows.collect::<Result<_, _>>().unwrap();
        let from = signed(RESTRICTED_FROM);
        let restricted = [(from + 1, true), (from + 2, true), (from + 3, true)];
        assert_eq!(numbers, [&[(1, false), (2, false)][..], &restricted[..]].concat());
        for table in ["audit", "suppressions"] {
            let plan = format!("EXPLAIN QUERY PLAN {}", last(table));
            let step: String = transaction.query_row(&plan, [0, 9], |row| row.get(3)).unwrap();
            assert!(step.contains("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{step}");
        }
    }
}
