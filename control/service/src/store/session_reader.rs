//! What is asked of the store about sessions.

use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde::Serialize;
use serde_json::value::RawValue;
use weir_engine::Nanos;
use weir_engine::contract::session::SessionState;

use super::cases::{signed, unsigned};
use super::reader::{Page, Reader, Rows};
use super::sessions::{PART, life};
use super::{StoreError, schema};
use crate::eve::timestamp;
use crate::progress::Progress;

/// Rows that one question looks through: a page may have fewer than was asked for, and go on.
const LOOKED_THROUGH: i64 = 50_000;

/// Which sessions are asked for.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct SessionFilter {
    pub dnn: Option<String>,
    pub slice: Option<String>,
    pub up: Option<String>,
    pub cp: Option<String>,
    pub state: Option<SessionState>,
    /// Keyed hashes of what they must all have: tunnels, subscribers, addresses.
    pub hashes: Vec<i64>,
}

/// A session in the names of `weir sessions`. Subscribers' addresses are pseudonyms, and rules, which
/// would show who is copied, are not kept.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct SessionLine {
    pub cp_seid: String,
    pub up_seid: String,
    pub cp: Option<String>,
    pub up: Option<String>,
    pub generation: u32,
    pub state: SessionState,
    pub established: Option<String>,
    pub ended: Option<String>,
    pub ue: Vec<String>,
    pub network_instance: Option<String>,
    pub dnn: Option<String>,
    pub supi: Option<String>,
    pub slice: Option<String>,
    pub uplink: Box<RawValue>,
    pub downlink: Box<RawValue>,
    pub modifications: u32,
    pub reports: u32,
    pub packets: Ways,
    pub bytes: Ways,
    pub qfi: Flows,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Ways>,
    pub usage_mismatch: bool,
    #[serde(skip)]
    id: i64,
}

/// The addresses of a session, as [`Seal`](crate::site::seal::Seal) seals them.
#[derive(Debug)]
pub struct Sealed {
    /// When it was agreed, as [`SessionLine`] has it.
    pub established: Option<String>,
    /// What is sealed.
    pub addresses: Vec<u8>,
}

/// Counts by direction.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Ways {
    pub ul: u64,
    pub dl: u64,
}

/// QoS flows by direction.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Flows {
    pub ul: Vec<u8>,
    pub dl: Vec<u8>,
}

/// A pseudonym as it is shown.
pub(crate) fn pseudonym(hash: i64) -> String {
    format!("h:{:016x}", hash as u64)
}

impl Reader {
    /// Sessions, the one that was agreed last first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn sessions(
        &self,
        filter: &SessionFilter,
        page: &Page,
    ) -> Result<Rows<SessionLine>, StoreError> {
        let life = self.life()?;
        let behind = page.behind.map_or(i64::MAX, |(_, id)| i64::try_from(id).unwrap_or(i64::MAX));
        let (ids, last) = self.candidates(filter, behind)?;
        let (conditions, values) = conditions(filter, life);
        let text = format!(
            "SELECT * FROM sessions WHERE id < ?1 AND id > ?2 AND {conditions}
             ORDER BY id DESC LIMIT {}",
            page.most
        );
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut items = Vec::new();
        let mut look = |behind: i64, through: i64| -> Result<usize, StoreError> {
            let mut given: Vec<&dyn ToSql> = vec![&behind, &through];
            given.extend(values.iter().map(AsRef::as_ref));
            let rows = statement.query_map(&*given, |row| line(row, life))?;
            for row in rows {
                items.push(row?);
            }
            Ok(items.len())
        };
        match ids {
            None => {
                look(behind, last.unwrap_or(0))?;
            }
            Some(ids) => {
                for id in ids {
                    if look(id + 1, id - 1)? >= page.most as usize {
                        break;
                    }
                }
            }
        }
        let is_full = items.len() >= page.most as usize;
        let next = if is_full { items.last().map(|line| line.id) } else { last };
        Ok(Rows { items, next: next.map(|id| format!("0-{id}")) })
    }

    /// The sessions that an index names, the newest first, and where looking ended; none where all are to
    /// be looked through.
    fn candidates(
        &self,
        filter: &SessionFilter,
        behind: i64,
    ) -> Result<(Option<Vec<i64>>, Option<i64>), StoreError> {
        let Some(hash) = filter.hashes.first() else {
            let bound = "SELECT id FROM sessions WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2";
            let mut statement = self.connection.prepare_cached(bound)?;
            let last =
                statement.query_row([behind, LOOKED_THROUGH], |row| row.get(0)).optional()?;
            return Ok((None, last));
        };
        let ends = "SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM sessions";
        let (first, newest): (i64, i64) =
            self.connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut statement = self.connection.prepare_cached(
            "SELECT session FROM session_keys WHERE part = ?1 AND hash = ?2 AND session < ?3
             ORDER BY session DESC",
        )?;
        let newest = newest.min(behind.saturating_sub(1));
        let mut found = Vec::new();
        for part in (first / PART..=newest / PART).rev() {
            let rows = statement.query_map([part, *hash, behind], |row| row.get(0))?;
            for id in rows {
                found.push(id?);
                if found.len() as i64 >= LOOKED_THROUGH {
                    return Ok((Some(found.clone()), found.last().copied()));
                }
            }
        }
        Ok((Some(found), None))
    }

    /// The sealed addresses of the sessions of an identity, of those alone that were agreed at a time, or at
    /// none, if that is given. SEIDs are given again, so that there may be several: two are told.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn sealed(
        &self,
        identity: i64,
        established: Option<Option<Nanos>>,
    ) -> Result<Vec<Sealed>, StoreError> {
        let filter = SessionFilter { hashes: vec![identity], ..SessionFilter::default() };
        let (ids, _) = self.candidates(&filter, i64::MAX)?;
        let mut statement = self.connection.prepare_cached(
            "SELECT established, sealed FROM sessions WHERE id = ?1 AND (?2 OR established IS ?3)",
        )?;
        let time = established.flatten().map(|time| signed(time.0));
        let mut found = Vec::new();
        for id in ids.into_iter().flatten() {
            let row = statement.query_row(params![id, established.is_none(), time], |row| {
                let established: Option<i64> = row.get(0)?;
                let established = established.map(|time| timestamp(Nanos(unsigned(time))));
                Ok(Sealed { established, addresses: row.get(1)? })
            });
            found.extend(row.optional()?);
            if found.len() > 1 {
                break;
            }
        }
        Ok(found)
    }

    /// The life of the sensor that is followed.
    fn life(&self) -> Result<i64, StoreError> {
        let question = "SELECT value FROM progress WHERE schema = ?1";
        let value: Option<Vec<u8>> =
            self.connection.query_row(question, [schema()], |row| row.get(0)).optional()?;
        let progress: Option<Progress> =
            value.map(|value| postcard::from_bytes(&value)).transpose()?;
        Ok(life(progress.and_then(|progress| progress.boot)))
    }
}

/// What a row must have besides its id, which has the first two parameters.
fn conditions(filter: &SessionFilter, life: i64) -> (String, Vec<Box<dyn ToSql>>) {
    let mut text = String::from("1");
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut demand = |condition: &str, value: Box<dyn ToSql>| {
        values.push(value);
        text += " AND ";
        text += &condition.replace('?', &format!("?{}", values.len() + 2));
    };
    let texts = [
        ("dnn = ?", &filter.dnn),
        ("slice = ?", &filter.slice),
        ("up = ?", &filter.up),
        ("cp = ?", &filter.cp),
    ];
    for (condition, wanted) in texts {
        if let Some(wanted) = wanted {
            demand(condition, Box::new(wanted.clone()));
        }
    }
    if let Some(state) = filter.state {
        match state {
            SessionState::Deleted => demand("state = ?", Box::new(state as u8)),
            SessionState::Stale => {
                demand("(state = 3 OR (state < 3 AND boot <> ?))", Box::new(life));
            }
            other => {
                demand("state = ?", Box::new(other as u8));
                demand("boot = ?", Box::new(life));
            }
        }
    }
    for hash in &filter.hashes {
        let has = format!(
            "EXISTS (SELECT 1 FROM session_keys WHERE part = id / {PART} AND hash = ? AND session = id)"
        );
        demand(&has, Box::new(*hash));
    }
    (text, values)
}

fn line(row: &Row<'_>, life: i64) -> rusqlite::Result<SessionLine> {
    let count = |column: &str| Ok::<_, rusqlite::Error>(unsigned(row.get(column)?));
    let time = |column: &str| -> rusqlite::Result<Option<String>> {
        let time: Option<i64> = row.get(column)?;
        Ok(time.map(|time| timestamp(Nanos(unsigned(time)))))
    };
    let seid = |column: &str| -> rusqlite::Result<String> {
        Ok(format!("{:#x}", row.get::<_, i64>(column)? as u64))
    };
    let json = |column: &str| -> rusqlite::Result<Box<RawValue>> {
        let text: String = row.get(column)?;
        RawValue::from_string(text).or_else(|_| RawValue::from_string("[]".into())).map_err(
            |error| {
                rusqlite::Error::FromSqlConversionFailure(
                    0,
                    rusqlite::types::Type::Text,
                    Box::new(error),
                )
            },
        )
    };
    let (state, boot): (u8, i64) = (row.get("state")?, row.get("boot")?);
    let state = match SessionState::ALL.get(usize::from(state)).copied() {
        // Nobody follows it any more.
        Some(state) if state != SessionState::Deleted && boot != life => SessionState::Stale,
        Some(state) => state,
        None => SessionState::Stale,
    };
    let pseudonyms: Vec<u8> = row.get("pseudonyms")?;
    let (pseudonyms, _) = pseudonyms.as_chunks::<8>();
    let qfi: String = row.get("qfi")?;
    let (ul, dl) = serde_json::from_str(&qfi).unwrap_or_default();
    let reported: (Option<i64>, Option<i64>) = (row.get("reported_ul")?, row.get("reported_dl")?);
    Ok(SessionLine {
        cp_seid: seid("cp_seid")?,
        up_seid: seid("up_seid")?,
        cp: row.get("cp")?,
        up: row.get("up")?,
        generation: row.get("generation")?,
        state,
        established: time("established")?,
        ended: time("ended")?,
        ue: pseudonyms.iter().map(|octets| pseudonym(i64::from_be_bytes(*octets))).collect(),
        network_instance: row.get("network_instance")?,
        dnn: row.get("dnn")?,
        supi: row.get::<_, Option<i64>>("supi")?.map(pseudonym),
        slice: row.get("slice")?,
        uplink: json("uplink")?,
        downlink: json("downlink")?,
        modifications: row.get("modifications")?,
        reports: row.get("reports")?,
        packets: Ways { ul: count("packets_ul")?, dl: count("packets_dl")? },
        bytes: Ways { ul: count("bytes_ul")?, dl: count("bytes_dl")? },
        qfi: Flows { ul, dl },
        reported: match reported {
            (Some(ul), Some(dl)) => Some(Ways { ul: unsigned(ul), dl: unsigned(dl) }),
            _ => None,
        },
        usage_mismatch: row.get("usage_mismatch")?,
        id: row.get("id")?,
    })
}
