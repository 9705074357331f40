//! How many alerts stand where: kept by the database itself with every change, since counting a
//! million rows each second would be dear. Restricted alerts are in none of the counts of all; an incident's
//! are its own, which is open or restricted as a whole.

use rusqlite::{Connection, params};

use super::StoreError;
use super::cases::unsigned;
use crate::cases::status::Status;

const TRIGGERS: &str = "
    CREATE TRIGGER standing_insert AFTER INSERT ON history WHEN new.restricted = 0 BEGIN
        UPDATE standing SET alerts = alerts + 1 WHERE status = new.status; END;
    CREATE TRIGGER standing_update AFTER UPDATE OF status ON history
        WHEN new.restricted = 0 AND new.status <> old.status BEGIN
        UPDATE standing SET alerts = alerts - 1 WHERE status = old.status;
        UPDATE standing SET alerts = alerts + 1 WHERE status = new.status; END;
    CREATE TRIGGER standing_delete AFTER DELETE ON history WHEN old.restricted = 0 BEGIN
        UPDATE standing SET alerts = alerts - 1 WHERE status = old.status; END;";

const OF_INCIDENTS: &str = "
    CREATE TABLE incident_standing (incident INTEGER NOT NULL, status INTEGER NOT NULL,
        alerts INTEGER NOT NULL, PRIMARY KEY (incident, status)) WITHOUT ROWID;
    INSERT INTO incident_standing SELECT incident, status, count(*) FROM history
        WHERE incident IS NOT NULL GROUP BY incident, status;
    CREATE TRIGGER incident_standing_insert AFTER INSERT ON history
        WHEN new.incident IS NOT NULL BEGIN
        INSERT INTO incident_standing VALUES (new.incident, new.status, 1)
            ON CONFLICT (incident, status) DO UPDATE SET alerts = alerts + 1; END;
    CREATE TRIGGER incident_standing_update AFTER UPDATE OF status, incident ON history
        WHEN new.incident IS NOT old.incident OR new.status <> old.status BEGIN
        UPDATE incident_standing SET alerts = alerts - 1
            WHERE incident = old.incident AND status = old.status;
        INSERT INTO incident_standing
            SELECT new.incident, new.status, 1 WHERE new.incident IS NOT NULL
            ON CONFLICT (incident, status) DO UPDATE SET alerts = alerts + 1; END;
    CREATE TRIGGER incident_standing_delete AFTER DELETE ON history
        WHEN old.incident IS NOT NULL BEGIN
        UPDATE incident_standing SET alerts = alerts - 1
            WHERE incident = old.incident AND status = old.status; END;
    CREATE TRIGGER incident_standing_over AFTER DELETE ON incidents BEGIN
        DELETE FROM incident_standing WHERE incident = old.number; END;";

/// Begins to count, once for each database: all that is in it already is counted then.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    if !has(connection, "incident_standing")? {
        let transaction = connection.transaction()?;
        transaction.execute_batch(OF_INCIDENTS)?;
        transaction.commit()?;
    }
    if has(connection, "standing")? {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE standing (status INTEGER PRIMARY KEY, alerts INTEGER NOT NULL);",
    )?;
    for status in Status::ALL {
        transaction.execute(
            "INSERT INTO standing SELECT ?1, count(*) FROM history
             WHERE status = ?1 AND restricted = 0",
            params![status as u8],
        )?;
    }
    transaction.execute_batch(TRIGGERS)?;
    transaction.commit()?;
    Ok(())
}

fn has(connection: &Connection, table: &str) -> Result<bool, StoreError> {
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
    Ok(connection.query_row(known, [table], |row| row.get(0))?)
}

/// How many unrestricted alerts stand where, by [`Status::ALL`].
pub(super) fn read(connection: &Connection) -> Result<[u64; Status::ALL.len()], StoreError> {
    let mut statement = connection.prepare_cached("SELECT status, alerts FROM standing")?;
    counts(statement.query([])?)
}

/// The same of the alerts of an incident.
pub(super) fn of_incident(
    connection: &Connection,
    number: i64,
) -> Result<[u64; Status::ALL.len()], StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT status, alerts FROM incident_standing WHERE incident = ?1")?;
    counts(statement.query([number])?)
}

fn counts(mut rows: rusqlite::Rows<'_>) -> Result<[u64; Status::ALL.len()], StoreError> {
    let mut counts = [0; Status::ALL.len()];
    while let Some(row) = rows.next()? {
        if let Some(count) = counts.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *count = unsigned(row.get(1)?);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cases::TABLES;

    const PUT: &str =
        "INSERT INTO history (id, dedup, detection, severity, status, restricted, degraded,
            first, last, packets, bytes, updates, final, changed, event)
         VALUES (?1, '', '', 3, ?2, ?3, 0, 0, 0, 1, 1, 0, 0, 0, '{}')";

    #[test]
    fn counts_follow_every_change_and_know_of_nothing_restricted() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let put = |connection: &Connection, id: i64, status: Status, restricted: bool| {
            connection.execute(PUT, params![id, status as u8, restricted]).unwrap();
        };
        // What an earlier release left behind is counted when counting begins.
        put(&connection, 1, Status::New, false);
        put(&connection, 2, Status::New, true);
        prepare(&mut connection).unwrap();
        assert_eq!(read(&connection).unwrap(), [1, 0, 0, 0]);
        put(&connection, 3, Status::Suppressed, false);
        put(&connection, 4, Status::Suppressed, true);
        assert_eq!(read(&connection).unwrap(), [1, 0, 1, 0]);
        connection.execute("UPDATE history SET status = 3", []).unwrap();
        assert_eq!(read(&connection).unwrap(), [0, 0, 0, 2]);
        prepare(&mut connection).unwrap();
        connection.execute("DELETE FROM history WHERE id IN (1, 2)", []).unwrap();
        assert_eq!(read(&connection).unwrap(), [0, 0, 0, 1]);
    }

    #[test]
    fn an_incidents_counts_follow_its_alerts_when_they_are_changed_moved_and_removed() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let put = |id: i64, incident: Option<i64>| {
            connection.execute(PUT, params![id, Status::New as u8, false]).unwrap();
            let of = "UPDATE history SET incident = ?2 WHERE id = ?1";
            connection.execute(of, params![id, incident]).unwrap();
        };
        // What an earlier release left behind is counted when counting begins.
        (1..=3).for_each(|id| put(id, Some(1)));
        put(4, None);
        prepare(&mut connection).unwrap();
        let stand = |number| of_incident(&connection, number).unwrap();
        assert_eq!((stand(1), stand(2)), ([3, 0, 0, 0], [0; 4]));
        let change = |text: &str| connection.execute(text, []).unwrap();
        change("UPDATE history SET status = 1 WHERE id = 1");
        change("UPDATE history SET incident = 2 WHERE id IN (2, 4)");
        assert_eq!((stand(1), stand(2)), ([1, 1, 0, 0], [2, 0, 0, 0]));
        change("UPDATE history SET incident = 1, status = 3 WHERE incident = 2");
        change("UPDATE history SET packets = 9, status = status, incident = incident");
        assert_eq!((stand(1), stand(2)), ([1, 1, 0, 2], [0; 4]));
        change("DELETE FROM history WHERE id = 1");
        assert_eq!(stand(1), [1, 0, 0, 2]);
        change(
            "INSERT INTO incidents (number, first, last, severity, restricted, value)
             VALUES (1, 0, 0, 3, 0, '')",
        );
        change("DELETE FROM incidents");
        let left = "SELECT count(*) FROM incident_standing WHERE incident = 1";
        assert_eq!(connection.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
}
