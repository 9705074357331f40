//! What was imported: with each policy, and on its way to its file.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;

/// Makes room for it in a database of whatever age.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS import (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL);",
    )?;
    let known = "SELECT count(*) FROM pragma_table_info('policies') WHERE name = 'imported'";
    if connection.query_row(known, [], |row| row.get::<_, i64>(0))? == 0 {
        connection
            .execute_batch("ALTER TABLE policies ADD COLUMN imported TEXT NOT NULL DEFAULT ''")?;
    }
    Ok(())
}

/// A text that is to become the file.
pub(super) fn put(connection: &Connection, text: &str) -> Result<(), StoreError> {
    connection.execute("INSERT OR REPLACE INTO import (one, text) VALUES (1, ?1)", [text])?;
    Ok(())
}

pub(super) fn pending(connection: &Connection) -> Result<Option<String>, StoreError> {
    let question = "SELECT text FROM import";
    Ok(connection.query_row(question, [], |row| row.get(0)).optional()?)
}

/// It has.
pub(super) fn forget(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM import", [])?;
    Ok(())
}
