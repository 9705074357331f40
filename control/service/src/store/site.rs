//! What is asked of the store about the site: whose alerts are open, who was seen when, and who talked
//! to whom.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde::Serialize;
use weir_engine::Nanos;

use super::StoreError;
use super::cases::{signed, unsigned};
use super::reader::{Page, Reader, Rows, severity};
use crate::eve::timestamp;
use crate::site::far::Far;
use crate::site::hours::{INITIATORS, service};

/// Peers of an equipment that are listed.
const PEERS: u32 = 200;

const HOUR: u64 = 3_600_000_000_000;

/// The open alerts of an equipment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// New and acknowledged ones.
    pub open: u64,
    /// The gravest of them.
    pub worst: Option<&'static str>,
}

/// Which conversations are asked for.
#[derive(Clone, Debug, Default)]
pub struct TalkFilter {
    /// Of this equipment, by its id.
    pub equipment: Option<String>,
    /// With this peer.
    pub far: Option<Far>,
    /// From this hour on.
    pub since: Option<Nanos>,
}

/// What an equipment and a peer did on a service within an hour.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct TalkLine {
    pub hour: String,
    pub equipment: String,
    pub peer: String,
    pub peer_equipment: Option<String>,
    pub name: Option<String>,
    pub service: String,
    pub initiator: weir_engine::contract::verdict::Initiator,
    pub packets_out: u64,
    pub packets_in: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub flows: u64,
    pub first: String,
    pub last: String,
    pub declared: bool,
    #[serde(skip)]
    place: (u64, u64),
}

/// Conversations of several hours together.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Talk {
    pub equipment: String,
    pub far: Far,
    pub protocol: u8,
    pub port: u16,
    /// Its number among [`INITIATORS`].
    pub initiator: u8,
    pub packets: u64,
    pub bytes: u64,
    pub first: Nanos,
    pub last: Nanos,
    pub declared: bool,
    pub address: Option<String>,
    pub name: Option<String>,
}

/// The open alerts of an equipment about one address, or none.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Accused {
    pub equipment: String,
    pub peer: Option<String>,
    pub alerts: u64,
    /// The gravest, as a number.
    pub worst: u8,
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
    pub fn standing(&self, id: &str, sees_restricted: bool) -> Result<Standing, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*), max(severity) FROM history INDEXED BY history_open
             WHERE status < 2 AND equipment = ?1 AND (restricted = 0 OR ?2)",
        )?;
        Ok(statement.query_row(params![id, sees_restricted], |row| {
            let worst: Option<u8> = row.get(1)?;
            Ok(Standing { open: unsigned(row.get(0)?), worst: worst.map(severity) })
        })?)
    }

    /// The open alerts by equipment and peer, at most so many of such pairs.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn accused(&self, sees_restricted: bool, most: u32) -> Result<Vec<Accused>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT equipment, peer, count(*), max(severity) FROM history INDEXED BY history_open
             WHERE status < 2 AND equipment IS NOT NULL AND (restricted = 0 OR ?1)
             GROUP BY equipment, peer ORDER BY max(severity) DESC, count(*) DESC LIMIT ?2",
        )?;
        let rows = statement.query_map(params![sees_restricted, most], |row| {
            Ok(Accused {
                equipment: row.get(0)?,
                peer: row.get(1)?,
                alerts: unsigned(row.get(2)?),
                worst: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The event of the latest open alert of an equipment about a peer.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn latest_about(
        &self,
        equipment: &str,
        peer: &str,
        sees_restricted: bool,
    ) -> Result<Option<String>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT event FROM history INDEXED BY history_open WHERE status < 2 AND equipment = ?1
                AND peer = ?2 AND (restricted = 0 OR ?3) ORDER BY last DESC LIMIT 1",
        )?;
        let asked = params![equipment, peer, sees_restricted];
        Ok(statement.query_row(asked, |row| row.get(0)).optional()?)
    }

    /// When each equipment sent something last.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn seen(&self) -> Result<HashMap<String, Nanos>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT equipment, last FROM seen")?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, Nanos(unsigned(row.get(1)?)))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The same of one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last_seen(&self, id: &str) -> Result<Option<Nanos>, StoreError> {
        let question = "SELECT last FROM seen WHERE equipment = ?1";
        let mut statement = self.connection.prepare_cached(question)?;
        let last = statement.query_row([id], |row| row.get::<_, i64>(0)).optional()?;
        Ok(last.map(|last| Nanos(unsigned(last))))
    }

    /// Conversations by the hour, the latest hour first. One of two pieces of equipment is told from the
    /// side of the one that is asked for, else from the first's.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn talks(&self, filter: &TalkFilter, page: &Page) -> Result<Rows<TalkLine>, StoreError> {
        let mut text = String::from(
            "SELECT number, hour, equipment, far_kind, far, protocol, port, initiator, packets_out,
                packets_in, bytes_out, bytes_in, flows, first, last, declared, address, name
             FROM talks WHERE ",
        );
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        // The index of the first condition ends in the order of the page.
        if let Some(equipment) = &filter.equipment {
            text += "equipment = ? AND ";
            values.push(Box::new(equipment.clone()));
        }
        if let Some(far) = &filter.far {
            let (kind, name) = far.parts();
            text += if values.is_empty() { "far = ? AND " } else { "+far = ? AND " };
            values.push(Box::new(name.to_owned()));
            text += "far_kind = ? AND ";
            values.push(Box::new(kind));
        }
        if filter.equipment.is_none() {
            text += "mirror = 0 AND ";
        }
        if let Some(since) = filter.since {
            text += "hour >= ? AND ";
            values.push(Box::new(signed(since.0 / HOUR)));
        }
        let (hour, number) = page.behind.unwrap_or((u64::MAX, u64::MAX));
        text += "(hour, number) < (?, ?) ORDER BY hour DESC, number DESC LIMIT ?";
        values.push(Box::new(signed(hour)));
        values.push(Box::new(signed(number)));
        values.push(Box::new(page.most));
        let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
        let mut statement = self.connection.prepare_cached(&text)?;
        let rows = statement.query_map(&*values, talk_line)?;
        let items: Vec<TalkLine> = rows.collect::<Result<_, _>>()?;
        Ok(Rows::of(items, page, |line| line.place))
    }

    /// The hour, since 1970, that was told of last.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn latest_hour(&self) -> Result<Option<u64>, StoreError> {
        // By the time of telling: one packet of a time to come would else hide all others.
        let question = "SELECT hour FROM talk_hours ORDER BY changed DESC, hour DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(question)?;
        let hour = statement.query_row([], |row| row.get::<_, i64>(0)).optional()?;
        Ok(hour.map(unsigned))
    }

    /// What an equipment did with each peer and service in all that is kept, most bytes first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn peers(&self, equipment: &str) -> Result<Vec<Talk>, StoreError> {
        let question = format!(
            "{SUMS} WHERE equipment = ?1 GROUP BY far_kind, far, protocol, port
             ORDER BY 7 DESC LIMIT ?2"
        );
        let mut statement = self.connection.prepare_cached(&question)?;
        let rows = statement.query_map(params![equipment, PEERS], talk)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All conversations of some hours up to one, each once.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn conversations(&self, latest: u64, hours: u64) -> Result<Vec<Talk>, StoreError> {
        let question = format!(
            "{SUMS} WHERE hour > ?1 AND hour <= ?2 AND mirror = 0
             GROUP BY equipment, far_kind, far, protocol, port, initiator"
        );
        let mut statement = self.connection.prepare_cached(&question)?;
        let range = [signed(latest).saturating_sub(signed(hours)), signed(latest)];
        let rows = statement.query_map(range, talk)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

// A sum of integers can be too large for one.
const SUMS: &str = "SELECT equipment, far_kind, far, protocol, port,
        total(packets_out) + total(packets_in), total(bytes_out) + total(bytes_in), min(first),
        max(last), min(declared), max(address), max(name), min(initiator) FROM talks";

fn talk(row: &Row<'_>) -> rusqlite::Result<Talk> {
    Ok(Talk {
        equipment: row.get(0)?,
        far: Far::restore(row.get(1)?, row.get(2)?),
        protocol: row.get(3)?,
        port: row.get(4)?,
        packets: row.get::<_, f64>(5)? as u64,
        bytes: row.get::<_, f64>(6)? as u64,
        first: Nanos(unsigned(row.get(7)?)),
        last: Nanos(unsigned(row.get(8)?)),
        declared: row.get(9)?,
        address: row.get(10)?,
        name: row.get(11)?,
        initiator: row.get(12)?,
    })
}

fn talk_line(row: &Row<'_>) -> rusqlite::Result<TalkLine> {
    let count = |column: &str| Ok::<_, rusqlite::Error>(unsigned(row.get(column)?));
    let hour = count("hour")?;
    let far = Far::restore(row.get("far_kind")?, row.get("far")?);
    let initiator: u8 = row.get("initiator")?;
    let address: Option<String> = row.get("address")?;
    Ok(TalkLine {
        hour: timestamp(Nanos(hour.saturating_mul(HOUR))),
        equipment: row.get("equipment")?,
        peer: address.unwrap_or_else(|| far.name().to_owned()),
        peer_equipment: far.equipment().map(str::to_owned),
        name: row.get("name")?,
        service: named_service(&far, row.get("protocol")?, row.get("port")?),
        initiator: INITIATORS.get(usize::from(initiator)).copied().unwrap_or_default(),
        packets_out: count("packets_out")?,
        packets_in: count("packets_in")?,
        bytes_out: count("bytes_out")?,
        bytes_in: count("bytes_in")?,
        flows: count("flows")?,
        first: timestamp(Nanos(count("first")?)),
        last: timestamp(Nanos(count("last")?)),
        declared: row.get("declared")?,
        place: (hour, count("number")?),
    })
}

fn named_service(far: &Far, protocol: u8, port: u16) -> String {
    if *far == Far::Other { "other".into() } else { service(protocol, port) }
}

impl Talk {
    /// What it was about, in the words of a policy.
    pub fn service(&self) -> String {
        named_service(&self.far, self.protocol, self.port)
    }
}
