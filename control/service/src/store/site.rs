//! What is asked of the store about the site: whose alerts are open, and who was seen when.

use std::collections::HashMap;

use serde::Serialize;

use super::StoreError;
use super::cases::unsigned;
use super::reader::{Reader, severity};

/// The open alerts of an equipment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// New and acknowledged ones.
    pub open: u64,
    /// The gravest of them.
    pub worst: Option<&'static str>,
}

impl Reader {
    /// The open alerts of each equipment that has any, by its id.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn standings(
        &self,
        sees_restricted: bool,
    ) -> Result<HashMap<String, Standing>, StoreError> {
        // The condition is that of the index, which alone answers it.
        let mut statement = self.connection.prepare_cached(
            "SELECT equipment, count(*), max(severity) FROM history INDEXED BY history_open
             WHERE status < 2 AND equipment IS NOT NULL AND (restricted = 0 OR ?1)
             GROUP BY equipment",
        )?;
        let rows = statement.query_map([sees_restricted], |row| {
            let worst = Some(severity(row.get(2)?));
            Ok((row.get(0)?, Standing { open: unsigned(row.get(1)?), worst }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The same of one equipment.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn standing_of(&self, id: &str, sees_restricted: bool) -> Result<Standing, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*), max(severity) FROM history INDEXED BY history_open
             WHERE status < 2 AND equipment = ?1 AND (restricted = 0 OR ?2)",
        )?;
        Ok(statement.query_row(rusqlite::params![id, sees_restricted], |row| {
            let worst: Option<u8> = row.get(1)?;
            Ok(Standing { open: unsigned(row.get(0)?), worst: worst.map(severity) })
        })?)
    }
}
