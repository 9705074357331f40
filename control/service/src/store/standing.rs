//! How many alerts stand where: kept by the database itself with every change, since counting a
//! million rows each second would be dear. Restricted alerts are in none of the counts.

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

/// Begins to count, once for each database: all that is in it already is counted then.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let known = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'standing'";
    if connection.query_row(known, [], |row| row.get::<_, i64>(0))? > 0 {
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

/// How many unrestricted alerts stand where, by [`Status::ALL`].
pub(super) fn read(connection: &Connection) -> Result<[u64; Status::ALL.len()], StoreError> {
    let mut counts = [0; Status::ALL.len()];
    let mut statement = connection.prepare_cached("SELECT status, alerts FROM standing")?;
    let mut rows = statement.query([])?;
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
}
