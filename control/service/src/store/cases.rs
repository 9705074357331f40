//! The part of the store that people ask for and change: alerts of all days, incidents,
//! suppressions, and who did what. It outlives releases: its columns are added to and never change
//! their meaning.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use weir_engine::Nanos;
use weir_engine::detect::CATALOGUE;
use weir_policy::Suppression;

use super::{StoreError, sweep};
use crate::cases::incidents::{Incident, Incidents};
use crate::cases::status::Status;
use crate::cases::suppression::Suppressions;
use crate::cases::{AlertId, Cases, Filing, Silence};

/// Incidents that are taken over at the start: the newest.
const TAKEN_OVER: i64 = 1 << 14;
/// Rows that one look removes at most, so that nothing waits for it long.
const AT_ONCE: i64 = 2_000;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY, dedup TEXT NOT NULL,
        detection TEXT NOT NULL, severity INTEGER NOT NULL, status INTEGER NOT NULL,
        restricted INTEGER NOT NULL, degraded INTEGER NOT NULL, equipment TEXT, vendor TEXT,
        model TEXT, build TEXT, peer TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL,
        packets INTEGER NOT NULL, bytes INTEGER NOT NULL, updates INTEGER NOT NULL,
        final INTEGER NOT NULL, incident INTEGER, suppression INTEGER, changed INTEGER NOT NULL,
        changed_by TEXT, note TEXT, event TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS history_by_last ON history (last, id);
    CREATE INDEX IF NOT EXISTS history_by_changed ON history (changed);
    CREATE INDEX IF NOT EXISTS history_by_status ON history (status, last, id);
    CREATE INDEX IF NOT EXISTS history_by_severity ON history (severity, last, id);
    CREATE INDEX IF NOT EXISTS history_by_detection ON history (detection, last, id);
    CREATE INDEX IF NOT EXISTS history_by_incident ON history (incident, last, id, status)
        WHERE incident IS NOT NULL;
    CREATE INDEX IF NOT EXISTS history_by_equipment ON history (equipment, last, id);
    CREATE INDEX IF NOT EXISTS history_open
        ON history (equipment, peer, restricted, severity)
        WHERE status < 2;
    CREATE TABLE IF NOT EXISTS incidents (number INTEGER PRIMARY KEY, first INTEGER NOT NULL,
        last INTEGER NOT NULL, severity INTEGER NOT NULL, restricted INTEGER NOT NULL,
        merged_into INTEGER, value TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS incidents_by_last ON incidents (last);
    CREATE INDEX IF NOT EXISTS incidents_by_whole ON incidents (merged_into)
        WHERE merged_into IS NOT NULL;
    CREATE TABLE IF NOT EXISTS suppressions (number INTEGER PRIMARY KEY,
        restricted INTEGER NOT NULL, detection TEXT NOT NULL, equipment TEXT, peer TEXT, reason TEXT NOT NULL,
        author TEXT NOT NULL, created INTEGER NOT NULL, until INTEGER NOT NULL, revoked_by TEXT,
        revoked INTEGER, alerts INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY,
        time INTEGER NOT NULL, restricted INTEGER NOT NULL, actor TEXT NOT NULL,
        action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS audit_by_time ON audit (time, number);";

/// The parts of an incident that was taken in are those of the one that took it in.
const MOVE_PARTS: &str = "UPDATE incidents SET merged_into = ?2 WHERE merged_into = ?1";

/// SQLite's integers have a sign. Times end long before it matters; counts end at its largest.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// An id in the store has all 64 bits.
fn key(id: AlertId) -> i64 {
    id.0 as i64
}

/// Stores what changed of the cases.
pub(super) fn put(
    transaction: &Transaction<'_>,
    cases: &Cases,
    now: Nanos,
) -> Result<(), StoreError> {
    let wholes = cases.incidents.taken_in();
    for (number, incident) in cases.incidents.changed() {
        put_incident(transaction, number, incident, wholes.get(&number).copied(), now)?;
    }
    for filing in cases.filings() {
        // It was filed before its incident was taken in.
        let incident = filing.incident.map(|number| wholes.get(&number).copied().unwrap_or(number));
        put_filing(transaction, filing, incident, now)?;
    }
    Ok(())
}

fn put_incident(
    transaction: &Transaction<'_>,
    number: u64,
    incident: &Incident,
    whole: Option<u64>,
    now: Nanos,
) -> Result<(), StoreError> {
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO incidents (number, first, last, severity, restricted, merged_into,
            value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let merged = whole.map(signed);
    put.execute(params![
        signed(number),
        signed(incident.first.0),
        signed(incident.last.0),
        incident.severity as u8,
        incident.restricted,
        merged,
        serde_json::to_string(incident)?,
    ])?;
    if let Some(whole) = whole {
        // What is on its way for either is for its own alerts alone.
        sweep::finish(transaction, [number, whole], now)?;
        let moved = "UPDATE history SET incident = ?2 WHERE incident = ?1";
        transaction.prepare_cached(moved)?.execute(params![signed(number), merged])?;
        transaction.prepare_cached(MOVE_PARTS)?.execute(params![signed(number), merged])?;
    }
    Ok(())
}

fn put_filing(
    transaction: &Transaction<'_>,
    filing: &Filing,
    incident: Option<u64>,
    now: Nanos,
) -> Result<(), StoreError> {
    let (row, alert) = (&filing.saying.row, &filing.saying.row.alert);
    let known: Option<(u8, u8, Option<i64>)> = transaction
        .prepare_cached("SELECT status, severity, suppression FROM history WHERE id = ?1")?
        .query_row([key(filing.id)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let severity = filing.severity as u8;
    let status = match (filing.silence, known) {
        (Some(_), _) => Status::Suppressed,
        (None, None) => Status::New,
        (None, Some((before, was, _))) => {
            Status::of(before).unwrap_or(Status::New).said(filing.saying.is_final, severity > was)
        }
    };
    let suppression = filing.silence.map(|silence| match silence {
        Silence::Policy => 0,
        Silence::Person(number) => signed(number),
    });
    let before = known.and_then(|(.., before)| before);
    if let Some(Silence::Person(_)) = filing.silence
        && before != suppression
    {
        let count = "UPDATE suppressions SET alerts = alerts + 1 WHERE number = ?1";
        transaction.prepare_cached(count)?.execute([suppression])?;
    }
    if !filing.saying.is_final {
        sweep::spare(transaction, filing.id)?;
    }
    let detection = CATALOGUE.get(usize::from(alert.detection)).map_or("?", |known| known.id);
    let build = row.subject.build.as_ref();
    let mut put = transaction.prepare_cached(
        "INSERT INTO history (id, dedup, detection, severity, status, restricted, degraded,
            equipment, vendor, model, build, peer, first, last, packets, bytes, updates, final,
            incident, suppression, changed, event)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
            ?19, ?20, ?21, ?22)
         ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, status = excluded.status,
            degraded = excluded.degraded, first = excluded.first, last = excluded.last,
            packets = excluded.packets, bytes = excluded.bytes, updates = excluded.updates,
            final = excluded.final, incident = coalesce(excluded.incident, incident),
            suppression = excluded.suppression, changed = excluded.changed, event = excluded.event",
    )?;
    put.execute(params![
        key(filing.id),
        filing.saying.dedup,
        detection,
        severity,
        status as u8,
        filing.restricted,
        alert.degraded,
        row.subject.equipment,
        build.map(|(vendor, ..)| vendor),
        build.map(|(_, model, _)| model),
        build.map(|(.., build)| build),
        alert.peer.map(|peer| peer.to_string()),
        signed(alert.first.0),
        signed(alert.last.0),
        signed(alert.packets),
        signed(alert.bytes),
        filing.saying.update,
        filing.saying.is_final,
        incident.map(signed),
        suppression,
        signed(now.0),
        String::from_utf8_lossy(&filing.event),
    ])?;
    Ok(())
}

/// The incidents that may go on.
pub(super) fn incidents(connection: &Connection) -> Result<Incidents, StoreError> {
    let mut statement = connection.prepare(
        "SELECT number, value FROM (SELECT number, value FROM incidents ORDER BY last DESC LIMIT ?1)
         ORDER BY number",
    )?;
    let mut incidents = Incidents::default();
    let last = "SELECT max(number) FROM incidents GROUP BY restricted";
    let mut last = connection.prepare(last)?;
    for number in last.query_map([], |row| row.get(0))? {
        incidents.count_on(unsigned(number?));
    }
    let mut rows = statement.query([TAKEN_OVER])?;
    while let Some(row) = rows.next()? {
        let value: String = row.get(1)?;
        incidents.restore(unsigned(row.get(0)?), serde_json::from_str(&value)?);
    }
    Ok(incidents)
}

/// The suppressions that hold at `now`.
pub(super) fn suppressions(
    connection: &Connection,
    now: Nanos,
) -> Result<Suppressions, StoreError> {
    let mut statement = connection.prepare(
        "SELECT number, detection, equipment, peer, reason, until
         FROM suppressions WHERE revoked IS NULL AND until >= ?1",
    )?;
    let mut held = Suppressions::default();
    let mut rows = statement.query([signed(now.0)])?;
    while let Some(row) = rows.next()? {
        if let Some(scope) = scope(row)? {
            held.restore(unsigned(row.get("number")?), scope);
        }
    }
    Ok(held)
}

/// What the suppression with a number silences, whether it holds or not.
pub(super) fn suppression(
    connection: &Connection,
    number: i64,
) -> Result<Option<Suppression>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT detection, equipment, peer, reason, until FROM suppressions WHERE number = ?1",
    )?;
    let mut rows = statement.query([number])?;
    rows.next()?.map_or(Ok(None), scope)
}

/// What can't be read silences nothing, rather than everything.
fn scope(row: &Row<'_>) -> Result<Option<Suppression>, StoreError> {
    let peer: Option<String> = row.get("peer")?;
    let Ok(peer) = peer.map(|peer| peer.parse()).transpose() else { return Ok(None) };
    Ok(Some(Suppression {
        detection: row.get("detection")?,
        equipment: row.get("equipment")?,
        peer,
        until: Some(unsigned(row.get("until")?)),
        reason: row.get("reason")?,
    }))
}

/// Removes alerts that were not touched since `oldest`, by the time of day, and incidents that none
/// is left of, some at a time; answers how many alerts went. What somebody works on stays.
pub(super) fn retain(transaction: &Transaction<'_>, oldest: Nanos) -> Result<usize, StoreError> {
    let gone = transaction.execute(
        "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE changed < ?1 AND status <> ?2
            LIMIT ?3)",
        params![signed(oldest.0), Status::Acknowledged as u8, AT_ONCE],
    )?;
    if gone > 0 {
        // No number is given twice, and the number of a part leads to the whole as long as there is one.
        transaction.execute(
            "DELETE FROM incidents
             WHERE number NOT IN (SELECT max(number) FROM incidents GROUP BY restricted)
                AND NOT EXISTS (SELECT 1 FROM history WHERE incident = coalesce(merged_into, number))",
            [],
        )?;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_touched_for_long_goes_and_what_somebody_works_on_stays() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let put =
            "INSERT INTO history (id, dedup, detection, severity, status, restricted, degraded,
                first, last, packets, bytes, updates, final, incident, changed, event)
             VALUES (?1, '', '', 3, ?2, 0, 0, 0, 0, 1, 1, 0, 0, ?1, ?3, '{}')";
        for (id, status, changed) in [
            (1, Status::New, 10),
            (2, Status::Acknowledged, 10),
            (3, Status::Closed, 10),
            (4, Status::New, 30),
        ] {
            connection.execute(put, params![id, status as u8, changed]).unwrap();
        }
        let transaction = connection.transaction().unwrap();
        assert_eq!(retain(&transaction, Nanos(20)).unwrap(), 2);
        let mut left = transaction.prepare("SELECT id FROM history ORDER BY id").unwrap();
        let left: Vec<i64> =
            left.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn the_number_of_a_part_leads_to_the_whole_as_long_as_there_is_one() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let incident =
            "INSERT INTO incidents (number, first, last, severity, restricted, merged_into, value)
             VALUES (?1, 0, 0, 3, 0, ?2, '')";
        for (number, whole) in [(1, None), (2, Some(1)), (3, None), (4, Some(3)), (5, None)] {
            connection.execute(incident, params![number, whole]).unwrap();
        }
        let alert =
            "INSERT INTO history (id, dedup, detection, severity, status, restricted, degraded,
                first, last, packets, bytes, updates, final, incident, changed, event)
             VALUES (?1, '', '', 3, 0, 0, 0, 0, 0, 1, 1, 0, 0, ?2, ?3, '{}')";
        for (id, number, changed) in [(1, 1, 30), (2, 3, 10), (3, 5, 10)] {
            connection.execute(alert, params![id, number, changed]).unwrap();
        }
        let transaction = connection.transaction().unwrap();
        assert_eq!(retain(&transaction, Nanos(20)).unwrap(), 2);
        let mut left = transaction.prepare("SELECT number FROM incidents ORDER BY number").unwrap();
        let left: Vec<i64> =
            left.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(left, [1, 2, 5], "the last number of all stays");
    }

    #[test]
    fn an_index_finds_the_parts_of_an_incident() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {MOVE_PARTS}");
        let step: String = connection.query_row(&plan, [1, 2], |row| row.get(3)).unwrap();
        assert!(step.contains("incidents_by_whole (merged_into=?)"), "{step}");
    }
}
