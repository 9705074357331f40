//! What survives `kill -9`: the position in the ring, the alerts, the policies
//! and the committed length of the event file, in one SQLite database. Each batch
//! of records is one transaction.

mod cases;
mod desk;
mod import;
mod policies;
mod question;
mod reader;
mod session_reader;
mod sessions;
mod site;
mod standing;
mod sweep;
mod talks;

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use weir_analytics::Analytics;
use weir_analytics::memory::{Kind, Stored};
use weir_engine::Nanos;
use weir_engine::contract::SCHEMA;

pub use desk::{Deed, Entry};
pub use reader::{AlertLine, AlertPage, Filter, Page, Reader, Rows};
pub(crate) use session_reader::pseudonym;
pub use session_reader::{Sealed, SessionFilter, SessionLine};
pub(crate) use sessions::identity;
pub use site::{Accused, Standing, Talk, TalkFilter, TalkLine};
pub use sweep::Swept;

use crate::alerts::{Alerts, Row};
use crate::cases::{AlertId, Cases};
use crate::live::now;
use crate::progress::Progress;
use crate::rulebook::{Rulebook, Texts};
use crate::site::Site;

/// Policies that are kept: the newest.
const SNAPSHOTS: i64 = 64;

/// The sensor's names of policies that are kept: the newest. Each authorisation makes one.
const NAMES: i64 = 1024;

/// Pages that are held, in KiB: alerts have ids without order, so that each is written somewhere else.
const CACHE_KIB: i64 = 32 << 10;
/// Pages of the write-ahead log, of 4 KiB, after which they are written into the database. In a flood most
/// pages change in every transaction: the later, the fewer are written twice.
const CHECKPOINT_PAGES: i64 = 8 << 10;

/// How long the start waits for another process to let go of the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the store can't be used or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The system says so.
    #[error(transparent)]
    System(#[from] io::Error),
    /// A value can't be encoded.
    #[error(transparent)]
    Encoding(#[from] postcard::Error),
    /// Nor as text.
    #[error(transparent)]
    Text(#[from] serde_json::Error),
    /// Two would both follow the ring.
    #[error("another process uses it")]
    InUse,
}

/// The database holds restricted alerts: it has mode 0600, which its journal takes over.
fn close_to_others(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Keeps the state directory for this process, as long as the file is open.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let file = close_to_others(&directory.join("control.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The database. One process at a time writes it; its own other threads may read beside.
pub struct Store {
    connection: Connection,
    sessions_given_up: u64,
    /// The part of the sessions that is looked through next for what is too old.
    sessions_looked_at: i64,
    /// Whether changes of many alerts may be left to do.
    is_sweeping: bool,
    _lock: File,
}

impl Store {
    /// Opens or makes the database in `directory`.
    ///
    /// # Errors
    /// What SQLite says, and that another process holds it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let path = directory.join("control.db");
        close_to_others(&path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        // What undoes half a statement is needed no longer than the statement takes.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS progress (schema BLOB PRIMARY KEY, value BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS alerts (key TEXT PRIMARY KEY, row BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS memory (kind INTEGER NOT NULL, key BLOB NOT NULL,
                row BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS policies (sha256 BLOB PRIMARY KEY, version INTEGER NOT NULL,
                inventory TEXT NOT NULL, policy TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS names (fingerprint BLOB PRIMARY KEY, sha256 BLOB NOT NULL);",
        )?;
        for tables in [cases::TABLES, sweep::TABLES, talks::TABLES, sessions::TABLES] {
            connection.execute_batch(tables)?;
        }
        import::prepare(&connection)?;
        standing::prepare(&mut connection)?;
        let has_time = "SELECT count(*) FROM pragma_table_info('policies') WHERE name = 'adopted'";
        if connection.query_row(has_time, [], |row| row.get::<_, i64>(0))? == 0 {
            connection.execute("ALTER TABLE policies ADD COLUMN adopted INTEGER", [])?;
        }
        let store = Self {
            connection,
            sessions_given_up: 0,
            sessions_looked_at: 0,
            is_sweeping: true,
            _lock: lock,
        };
        store.forget_other_schemas()?;
        Ok(store)
    }

    /// Records of another release mean something else: its alerts, its position and what it
    /// remembered are dropped.
    fn forget_other_schemas(&self) -> Result<(), StoreError> {
        let other = "SELECT count(*) FROM progress WHERE schema <> ?1";
        let others: i64 = self.connection.query_row(other, [schema()], |row| row.get(0))?;
        if others > 0 {
            self.connection
                .execute_batch("DELETE FROM progress; DELETE FROM alerts; DELETE FROM memory;")?;
        }
        Ok(())
    }

    /// How far the last process came.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let value: Option<Vec<u8>> = self
            .connection
            .query_row("SELECT value FROM progress WHERE schema = ?1", [schema()], |row| row.get(0))
            .optional()?;
        Ok(value.map(|value| postcard::from_bytes(&value)).transpose()?)
    }

    /// The stored alerts.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn alerts(&self) -> Result<Alerts, StoreError> {
        let mut alerts = Alerts::default();
        let mut statement = self.connection.prepare("SELECT key, row FROM alerts ORDER BY key")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let value: Vec<u8> = row.get(1)?;
            alerts.restore(row.get(0)?, postcard::from_bytes::<Row>(&value)?);
        }
        Ok(alerts)
    }

    /// What the detections with a long memory remembered.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn analytics(&self) -> Result<Analytics, StoreError> {
        let mut analytics = Analytics::default();
        let mut statement =
            self.connection.prepare("SELECT key, row FROM memory WHERE kind = ?1 ORDER BY key")?;
        for kind in Kind::ALL {
            let mut rows = statement.query([kind as u8])?;
            while let Some(row) = rows.next()? {
                let (key, value): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
                analytics.restore(kind, &key, &value);
            }
        }
        Ok(analytics)
    }

    /// Open incidents, and suppressions that hold.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn cases(&self) -> Result<Cases, StoreError> {
        let incidents = cases::incidents(&self.connection)?;
        Ok(Cases::new(incidents, cases::suppressions(&self.connection, now())?))
    }

    /// Removes alerts that are older than is kept, some at a time.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn retain(&mut self, oldest: Nanos) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction()?;
        let gone = cases::retain(&transaction, oldest)?;
        transaction.commit()?;
        Ok(gone)
    }

    /// The same of who talked to whom, and of sessions that the sensor of this life does not follow.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn retain_site(&mut self, oldest: Nanos, boot: Option<[u8; 16]>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        talks::retain(&transaction, oldest)?;
        let next = sessions::retain(&transaction, oldest, boot, self.sessions_looked_at)?;
        transaction.commit()?;
        self.sessions_looked_at = next;
        Ok(())
    }

    /// Sessions that made room for newer ones, since the start of the process.
    pub fn sessions_given_up(&self) -> u64 {
        self.sessions_given_up
    }

    /// Carries out what somebody asked for, with its line in the audit, and has it on the disk when
    /// it answers. Nothing is stored where `deed` answers none.
    ///
    /// # Errors
    /// What SQLite says, a full disk above all; nothing is stored then.
    pub fn deed<T>(
        &mut self,
        progress: &Progress,
        entry: &Entry<'_>,
        deed: impl FnOnce(&Deed<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        // What somebody was told is done must outlive a power failure.
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let done = self.carry_out(progress, entry, deed);
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        done
    }

    fn carry_out<T>(
        &mut self,
        progress: &Progress,
        entry: &Entry<'_>,
        deed: impl FnOnce(&Deed<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(done) = deed(&Deed::new(&transaction, entry))? else { return Ok(None) };
        desk::note(&transaction, entry)?;
        put_progress(&transaction, progress)?;
        transaction.commit()?;
        self.is_sweeping = true;
        Ok(Some(done))
    }

    /// Carries out a portion of what deeds over many alerts left to do; none if there is nothing.
    ///
    /// # Errors
    /// What SQLite says; it is tried again then.
    pub fn sweep(&mut self, now: Nanos) -> Result<Option<Swept>, StoreError> {
        if !self.is_sweeping {
            return Ok(None);
        }
        let transaction = self.connection.transaction()?;
        let swept = sweep::go_on(&transaction, now)?;
        transaction.commit()?;
        self.is_sweeping = swept.is_some();
        Ok(swept)
    }

    /// The alerts that were changed at that time, each with whether it is restricted.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn changed_at(&self, time: Nanos) -> Result<Vec<(AlertId, bool)>, StoreError> {
        let question = "SELECT id, restricted FROM history WHERE changed = ?1";
        let mut statement = self.connection.prepare_cached(question)?;
        let rows = statement.query_map([cases::signed(time.0)], |row| {
            Ok((AlertId(row.get::<_, i64>(0)? as u64), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The text of an import whose file was not written yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn pending_import(&self) -> Result<Option<String>, StoreError> {
        import::pending(&self.connection)
    }

    /// The file is written.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn imported(&self) -> Result<(), StoreError> {
        import::forget(&self.connection)
    }

    /// Whether a named role alone may see an alert; none if there is none.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_restricted_alert(&self, id: AlertId) -> Result<Option<bool>, StoreError> {
        let question = "SELECT restricted FROM history WHERE id = ?1";
        Ok(self.connection.query_row(question, [id.0 as i64], |row| row.get(0)).optional()?)
    }

    /// The same of a suppression.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_restricted_suppression(&self, number: u64) -> Result<Option<bool>, StoreError> {
        let question = "SELECT restricted FROM suppressions WHERE number = ?1";
        let number = i64::try_from(number).unwrap_or(-1);
        Ok(self.connection.query_row(question, [number], |row| row.get(0)).optional()?)
    }

    /// The same of an incident.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_restricted_incident(&self, number: u64) -> Result<Option<bool>, StoreError> {
        let question = "SELECT restricted FROM incidents WHERE number = ?1 AND merged_into IS NULL";
        let number = i64::try_from(number).unwrap_or(-1);
        Ok(self.connection.query_row(question, [number], |row| row.get(0)).optional()?)
    }

    /// Stores what changed, all or nothing.
    ///
    /// # Errors
    /// What SQLite says, a full disk above all; nothing is stored then.
    pub fn commit(
        &mut self,
        progress: &Progress,
        (alerts, analytics, cases, site): (&Alerts, &Analytics, &Cases, &Site),
    ) -> Result<(), StoreError> {
        let given_up;
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO alerts (key, row) VALUES (?1, ?2)")?;
            let mut drop = transaction.prepare_cached("DELETE FROM alerts WHERE key = ?1")?;
            for (key, row) in alerts.changed() {
                match row {
                    Some(row) => put.execute(params![key, postcard::to_stdvec(row)?])?,
                    None => drop.execute([key])?,
                };
            }
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO memory (kind, key, row) VALUES (?1, ?2, ?3)",
            )?;
            let mut drop =
                transaction.prepare_cached("DELETE FROM memory WHERE kind = ?1 AND key = ?2")?;
            let mut failed = None;
            analytics.changed(|Stored { kind, key, row }| {
                let stored = match row {
                    Some(row) => put.execute(params![kind as u8, key, row]),
                    None => drop.execute(params![kind as u8, key]),
                };
                failed = failed.take().or(stored.err());
            });
            if let Some(error) = failed {
                return Err(error.into());
            }
            cases::put(&transaction, cases, now())?;
            talks::put(&transaction, site, now())?;
            given_up =
                sessions::put(&transaction, &site.seal, &site.sessions, progress.boot, now())?;
            put_progress(&transaction, progress)?;
        }
        transaction.commit()?;
        self.sessions_given_up += given_up;
        Ok(())
    }

    /// Gives a rulebook its version, the stored one if it was stored before, and stores it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn adopt(&self, rulebook: &mut Rulebook) -> Result<(), StoreError> {
        let known: Option<i64> = self
            .connection
            .query_row("SELECT version FROM policies WHERE sha256 = ?1", [rulebook.sha256], |row| {
                row.get(0)
            })
            .optional()?;
        let newest = "SELECT coalesce(max(version), 0) FROM policies";
        let version = match known {
            Some(version) => version,
            None => self.connection.query_row(newest, [], |row| row.get::<_, i64>(0))? + 1,
        };
        rulebook.version = version as u64;
        let Texts { inventory, policy, imported } = &rulebook.texts;
        self.connection.execute(
            "INSERT INTO policies (sha256, version, inventory, policy, imported, adopted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (sha256) DO UPDATE SET inventory = excluded.inventory,
                policy = excluded.policy, imported = excluded.imported",
            params![rulebook.sha256, version, inventory, policy, imported, cases::signed(now().0)],
        )?;
        self.connection
            .execute("DELETE FROM policies WHERE version <= ?1", [version - SNAPSHOTS])?;
        self.connection.execute(
            "INSERT OR REPLACE INTO names (fingerprint, sha256) VALUES (?1, ?2)",
            [rulebook.fingerprint, rulebook.sha256],
        )?;
        let old = "DELETE FROM names WHERE rowid <= (SELECT max(rowid) - ?1 FROM names)";
        self.connection.execute(old, [NAMES])?;
        Ok(())
    }

    /// The hash by which everybody may name the policy that the sensor names so; none if it was
    /// never adopted here.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn public_hash(&self, fingerprint: &[u8; 32]) -> Result<Option<[u8; 32]>, StoreError> {
        let question = "SELECT sha256 FROM names WHERE fingerprint = ?1";
        let found = self.connection.query_row(question, [fingerprint], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Whether everybody may name a policy by this hash.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_public(&self, sha256: &[u8; 32]) -> Result<bool, StoreError> {
        let question = "SELECT EXISTS (SELECT 1 FROM names WHERE sha256 = ?1)";
        Ok(self.connection.query_row(question, [sha256], |row| row.get(0))?)
    }

    /// The rulebook with this hash.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rulebook(&self, sha256: &[u8; 32]) -> Result<Option<Rulebook>, StoreError> {
        self.restore(
            "SELECT version, inventory, policy, imported FROM policies WHERE sha256 = ?1",
            sha256,
        )
    }

    /// The rulebook with this version.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rulebook_of_version(&self, version: u64) -> Result<Option<Rulebook>, StoreError> {
        let version = i64::try_from(version).unwrap_or(-1);
        self.restore(
            "SELECT version, inventory, policy, imported FROM policies WHERE version = ?1",
            version,
        )
    }

    fn restore(
        &self,
        question: &str,
        parameter: impl rusqlite::ToSql,
    ) -> Result<Option<Rulebook>, StoreError> {
        let stored = self
            .connection
            .query_row(question, [parameter], |row| {
                let version: i64 = row.get(0)?;
                let (inventory, policy, imported) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((version, Texts { inventory, policy, imported }))
            })
            .optional()?;
        Ok(stored.and_then(|(version, texts)| Rulebook::restore(version as u64, texts)))
    }
}

fn put_progress(transaction: &Transaction<'_>, progress: &Progress) -> Result<(), StoreError> {
    let put = "INSERT OR REPLACE INTO progress (schema, value) VALUES (?1, ?2)";
    let value = postcard::to_stdvec(progress)?;
    transaction.prepare_cached(put)?.execute(params![schema(), value])?;
    Ok(())
}

/// Counts up with every change of [`Row`], [`Progress`] and what is remembered.
const REVISION: u64 = 8;

/// Changes with the meaning of records and of what is stored here.
fn schema() -> [u8; 8] {
    SCHEMA.wrapping_add(REVISION).to_le_bytes()
}
