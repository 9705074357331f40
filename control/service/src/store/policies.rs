//! What is asked of the store about policies: which were adopted, and what was said under them.

use std::net::IpAddr;

use rusqlite::params;
use weir_engine::Nanos;

use super::StoreError;
use super::cases::{signed, unsigned};
use super::reader::Reader;
use crate::cases::AlertId;
use crate::cases::status::Status;
use crate::rulebook::hex;
use crate::trial::Stored;

/// Alerts that a trial judges: the latest.
const JUDGED: u32 = 20_000;

/// A policy that was adopted.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Its version.
    pub version: u64,
    /// Its hash.
    pub sha256: String,
    /// When it was read first; none where an earlier release did not note it.
    pub adopted: Option<Nanos>,
}

impl Reader {
    /// The policies that are kept, the newest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn policies(&self) -> Result<Vec<Adopted>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT version, sha256, adopted FROM policies ORDER BY version DESC",
        )?;
        let rows = statement.query_map([], |row| {
            let adopted: Option<i64> = row.get(2)?;
            Ok(Adopted {
                version: unsigned(row.get(0)?),
                sha256: hex(&row.get::<_, Vec<u8>>(1)?),
                adopted: adopted.map(|time| Nanos(unsigned(time))),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The latest alerts that were said or changed since, by the time of day, and not silenced.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn said_since(
        &self,
        oldest: Nanos,
        sees_restricted: bool,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, detection, equipment, peer, last, event FROM history
             WHERE changed >= ?1 AND +status <> ?2 AND (+restricted = 0 OR ?3)
             ORDER BY changed DESC LIMIT ?4",
        )?;
        let asked = params![signed(oldest.0), Status::Suppressed as u8, sees_restricted, JUDGED];
        let rows = statement.query_map(asked, |row| {
            let peer: Option<String> = row.get(3)?;
            Ok(Stored {
                id: AlertId(row.get::<_, i64>(0)? as u64).to_string(),
                detection: row.get(1)?,
                equipment: row.get(2)?,
                peer: peer.and_then(|peer| peer.parse::<IpAddr>().ok()),
                last: Nanos(unsigned(row.get(4)?)),
                event: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
