//! What people ask the store: read beside the one process that writes it, each question a
//! consistent view.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::value::RawValue;
use weir_engine::Nanos;
use weir_engine::contract::verdict::Severity;

use super::cases::{signed, unsigned};
use super::question::{self, Question};
use super::{StoreError, standing, sweep};
use crate::cases::AlertId;
use crate::cases::incidents::{Incident, Key};
use crate::cases::status::Status;
use crate::eve::timestamp;

/// How long a question waits for the writer at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Where it stands.
    pub status: Option<Status>,
    /// At least so grave.
    pub severity: Option<Severity>,
    /// The detection's id.
    pub detection: Option<String>,
    /// The equipment's id.
    pub equipment: Option<String>,
    /// The incident.
    pub incident: Option<u64>,
    /// Whose last packet is from then on.
    pub since: Option<Nanos>,
}

/// Where a page begins, behind the last row of the one before, and how long it is.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The last row's time and number.
    pub behind: Option<(u64, u64)>,
    /// Rows.
    pub most: u32,
}

/// An alert as lists show it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct AlertLine {
    pub id: String,
    pub detection: String,
    pub severity: &'static str,
    pub status: &'static str,
    pub restricted: bool,
    pub degraded: bool,
    pub equipment: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub build: Option<String>,
    pub peer: Option<String>,
    pub first: String,
    pub last: String,
    pub packets: u64,
    pub bytes: u64,
    pub updates: u32,
    /// Frames that are kept of it.
    pub evidence: Option<u32>,
    #[serde(rename = "final")]
    pub is_final: bool,
    pub incident: Option<u64>,
    /// `policy`, or the number of a person's suppression.
    pub suppressed_by: Option<String>,
    pub changed: String,
    pub changed_by: Option<String>,
    pub note: Option<String>,
    #[serde(skip)]
    place: (u64, u64),
}

/// An alert with its event as it was said last.
#[derive(Debug, Serialize)]
pub struct AlertPage {
    /// Where it stands.
    #[serde(flatten)]
    pub line: AlertLine,
    /// The event.
    pub event: Box<RawValue>,
}

/// An incident, and where its alerts stand.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct IncidentLine {
    pub number: u64,
    pub severity: &'static str,
    /// The first of new, acknowledged, suppressed and closed that any of its alerts is.
    pub status: &'static str,
    pub restricted: bool,
    pub first: String,
    pub last: String,
    pub alerts: u64,
    pub new: u64,
    pub acknowledged: u64,
    pub suppressed: u64,
    pub closed: u64,
    pub detections: Vec<String>,
    /// At most 256 of these two together.
    pub equipment: Vec<String>,
    /// Networks, /24 or /48.
    pub peers: Vec<String>,
    #[serde(skip)]
    place: (u64, u64),
}

/// A suppression.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct SuppressionLine {
    pub number: u64,
    pub state: &'static str,
    pub detection: String,
    pub equipment: Option<String>,
    pub peer: Option<String>,
    pub reason: String,
    pub author: String,
    pub created: String,
    pub until: String,
    pub revoked: Option<String>,
    pub revoked_by: Option<String>,
    /// Alerts that it silenced.
    pub alerts: u64,
    /// Whether stored alerts are still to be silenced.
    pub pending: bool,
}

/// A deed.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Deed {
    pub number: u64,
    pub time: String,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub detail: Box<RawValue>,
    #[serde(skip)]
    place: (u64, u64),
}

/// A page of rows, and where the next one begins; none at the end.
#[derive(Debug, Serialize)]
pub struct Rows<T> {
    /// The rows, the latest first.
    pub items: Vec<T>,
    /// To be given as `after`.
    pub next: Option<String>,
}

impl<T> Rows<T> {
    pub(super) fn of(items: Vec<T>, page: &Page, place: impl Fn(&T) -> (u64, u64)) -> Self {
        let is_full = items.len() >= page.most as usize;
        let next = items.last().filter(|_| is_full).map(&place);
        Self { items, next: next.map(|(time, number)| format!("{time}-{number}")) }
    }
}

/// A connection that only reads.
pub struct Reader {
    pub(super) connection: Connection,
}

impl Reader {
    /// Opens the database in `directory`, that a writer has made.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(directory.join("control.db"), flags)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(Self { connection })
    }

    /// Alerts, the latest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn alerts(
        &self,
        filter: &Filter,
        page: &Page,
        sees_restricted: bool,
    ) -> Result<Rows<AlertLine>, StoreError> {
        let question = Question::alerts(filter, page, sees_restricted);
        let mut statement = self.connection.prepare_cached(&question.text)?;
        let rows = statement.query_map(question.values().as_slice(), alert_line)?;
        let items: Vec<AlertLine> = rows.collect::<Result<_, _>>()?;
        Ok(Rows::of(items, page, |line| line.place))
    }

    /// An alert; none if there is none, or it is one that this one may not see.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn alert(
        &self,
        id: AlertId,
        sees_restricted: bool,
    ) -> Result<Option<AlertPage>, StoreError> {
        let question = format!(
            "SELECT {COLUMNS}, event FROM history WHERE id = ?1 AND (restricted = 0 OR ?2)"
        );
        let found = self
            .connection
            .prepare_cached(&question)?
            .query_row(params![id.0 as i64, sees_restricted], |row| {
                Ok((alert_line(row)?, row.get::<_, String>("event")?))
            })
            .optional()?;
        let Some((line, event)) = found else { return Ok(None) };
        Ok(Some(AlertPage { line, event: RawValue::from_string(event)? }))
    }

    /// An alert as lists show it, whoever may see it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn alert_line(&self, id: AlertId) -> Result<Option<AlertLine>, StoreError> {
        let question = format!("SELECT {COLUMNS} FROM history WHERE id = ?1");
        let mut statement = self.connection.prepare_cached(&question)?;
        Ok(statement.query_row([id.0 as i64], alert_line).optional()?)
    }

    /// How many unrestricted alerts stand where, by [`Status::ALL`].
    ///
    /// # Errors
    /// What SQLite says.
    pub fn counts(&self) -> Result<[u64; Status::ALL.len()], StoreError> {
        standing::read(&self.connection)
    }

    /// Incidents, the latest first: all of them, or those of which an alert is new or acknowledged.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn incidents(
        &self,
        only_open: bool,
        page: &Page,
        sees_restricted: bool,
    ) -> Result<Rows<IncidentLine>, StoreError> {
        let (time, number) = page.behind.unwrap_or((i64::MAX as u64, i64::MAX as u64));
        let mut statement = self.connection.prepare_cached(&question::incidents(only_open))?;
        let asked = params![sees_restricted, signed(time), signed(number), page.most];
        let mut rows = statement.query(asked)?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            items.push(self.incident_line(row)?);
        }
        Ok(Rows::of(items, page, |line| line.place))
    }

    /// An incident, under its number or that of a part of it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn incident(
        &self,
        number: u64,
        sees_restricted: bool,
    ) -> Result<Option<IncidentLine>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT number, value FROM incidents
             WHERE number = coalesce((SELECT merged_into FROM incidents WHERE number = ?1), ?1)
                AND (restricted = 0 OR ?2)",
        )?;
        let asked = params![signed(number), sees_restricted];
        let mut rows = statement.query(asked)?;
        rows.next()?.map(|row| self.incident_line(row)).transpose()
    }

    /// An incident as it is stored, with where its alerts stand.
    fn incident_line(&self, row: &Row<'_>) -> Result<IncidentLine, StoreError> {
        let number: i64 = row.get(0)?;
        let incident: Incident = serde_json::from_str(&row.get::<_, String>(1)?)?;
        let counts = standing::of_incident(&self.connection, number)?;
        let stands = Status::ALL.into_iter().zip(counts).find(|(_, count)| *count > 0);
        let [new, acknowledged, suppressed, closed] = counts;
        let (mut equipment, mut peers) = (Vec::new(), Vec::new());
        for key in incident.keys {
            match key {
                Key::Equipment(id, _) => equipment.push(id),
                Key::Peer(network, _) => peers.push(network),
            }
        }
        Ok(IncidentLine {
            number: unsigned(number),
            severity: incident.severity.name(),
            status: stands.map_or(Status::Closed, |(status, _)| status).name(),
            restricted: incident.restricted,
            first: timestamp(incident.first),
            last: timestamp(incident.last),
            alerts: counts.iter().sum(),
            new,
            acknowledged,
            suppressed,
            closed,
            detections: incident.detections.into_iter().collect(),
            equipment,
            peers,
            place: (incident.last.0, unsigned(number)),
        })
    }

    /// Suppressions, the latest first; those that are over or taken back too.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn suppressions(
        &self,
        now: Nanos,
        most: u32,
        sees_restricted: bool,
    ) -> Result<Vec<SuppressionLine>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT number, detection, equipment, peer, reason, author, created, until, revoked,
                revoked_by, alerts
             FROM suppressions WHERE restricted = 0 OR ?2 ORDER BY created DESC, number DESC LIMIT ?1",
        )?;
        let pending = sweep::pending(&self.connection)?;
        let rows = statement.query_map(params![most, sees_restricted], |row| {
            let number = unsigned(row.get(0)?);
            let revoked: Option<i64> = row.get(8)?;
            let until = unsigned(row.get(7)?);
            let state = match revoked {
                Some(_) => "revoked",
                None if until < now.0 => "expired",
                None => "active",
            };
            Ok(SuppressionLine {
                number,
                state,
                detection: row.get(1)?,
                equipment: row.get(2)?,
                peer: row.get(3)?,
                reason: row.get(4)?,
                author: row.get(5)?,
                created: timestamp(Nanos(unsigned(row.get(6)?))),
                until: timestamp(Nanos(until)),
                revoked: revoked.map(|time| timestamp(Nanos(unsigned(time)))),
                revoked_by: row.get(9)?,
                alerts: unsigned(row.get(10)?),
                pending: pending.contains(&number),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Who did what, the latest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn audit(&self, page: &Page, sees_restricted: bool) -> Result<Rows<Deed>, StoreError> {
        let (time, number) = page.behind.unwrap_or((u64::MAX, u64::MAX));
        let mut statement = self.connection.prepare_cached(question::AUDIT)?;
        let asked = params![signed(time), signed(number), sees_restricted, page.most];
        let mut rows = statement.query(asked)?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            let (number, time) = (unsigned(row.get(0)?), unsigned(row.get(1)?));
            items.push(Deed {
                number,
                time: timestamp(Nanos(time)),
                place: (time, number),
                actor: row.get(2)?,
                action: row.get(3)?,
                object: row.get(4)?,
                detail: RawValue::from_string(row.get(5)?)?,
            });
        }
        Ok(Rows::of(items, page, |deed| deed.place))
    }
}

pub(super) const COLUMNS: &str = "id, detection, severity, status, restricted, degraded, equipment, vendor, \
    model, build, peer, first, last, packets, bytes, updates, final, incident, suppression, \
    changed, changed_by, note, json_extract(event, '$.weir.evidence.frames') AS evidence";

pub(super) fn severity(number: u8) -> &'static str {
    Severity::ALL.get(usize::from(number)).copied().unwrap_or(Severity::Info).name()
}

fn alert_line(row: &Row<'_>) -> rusqlite::Result<AlertLine> {
    let time = |column: &str| -> rusqlite::Result<u64> { Ok(unsigned(row.get(column)?)) };
    let moment = |column: &str| Ok::<_, rusqlite::Error>(timestamp(Nanos(time(column)?)));
    let id = row.get::<_, i64>("id")? as u64;
    let suppression: Option<i64> = row.get("suppression")?;
    Ok(AlertLine {
        id: AlertId(id).to_string(),
        detection: row.get("detection")?,
        severity: severity(row.get("severity")?),
        status: Status::of(row.get("status")?).unwrap_or(Status::New).name(),
        restricted: row.get("restricted")?,
        degraded: row.get("degraded")?,
        equipment: row.get("equipment")?,
        vendor: row.get("vendor")?,
        model: row.get("model")?,
        build: row.get("build")?,
        peer: row.get("peer")?,
        first: moment("first")?,
        last: moment("last")?,
        packets: time("packets")?,
        bytes: time("bytes")?,
        updates: row.get("updates")?,
        evidence: row.get("evidence")?,
        is_final: row.get("final")?,
        incident: row.get::<_, Option<i64>>("incident")?.map(unsigned),
        suppressed_by: suppression.map(|number| match number {
            0 => "policy".into(),
            number => number.to_string(),
        }),
        changed: moment("changed")?,
        changed_by: row.get("changed_by")?,
        note: row.get("note")?,
        place: (time("last")?, id),
    })
}
