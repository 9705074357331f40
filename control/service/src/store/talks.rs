//! Who talked to whom, hour by hour, and who was seen when. Hours are kept by the time of day at which
//! they changed last, so that a replay of an old capture is kept as long as what is live.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};
use weir_engine::Nanos;

use super::cases::{signed, unsigned};
use super::{Store, StoreError};
use crate::site::Site;
use crate::site::far::Far;
use crate::site::hours::{Key, Sum, Told};

/// Hours that are kept at most, whatever times packets claim: those that changed last.
const HOURS: i64 = 24 * 31;
/// Rows that one look removes at most, so that nothing waits for it long.
const AT_ONCE: i64 = 20_000;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS talks (number INTEGER PRIMARY KEY, hour INTEGER NOT NULL,
        equipment TEXT NOT NULL, far_kind INTEGER NOT NULL, far TEXT NOT NULL,
        protocol INTEGER NOT NULL, port INTEGER NOT NULL, initiator INTEGER NOT NULL,
        packets_out INTEGER NOT NULL, packets_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
        bytes_in INTEGER NOT NULL, flows INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, declared INTEGER NOT NULL, mirror INTEGER NOT NULL, address TEXT,
        name TEXT);
    CREATE UNIQUE INDEX IF NOT EXISTS talks_by_key ON talks
        (hour, equipment, far_kind, far, protocol, port, initiator);
    CREATE INDEX IF NOT EXISTS talks_by_equipment ON talks (equipment, hour, number);
    CREATE INDEX IF NOT EXISTS talks_by_far ON talks (far, hour, number);
    CREATE INDEX IF NOT EXISTS talks_by_hour ON talks (hour, number);
    CREATE TABLE IF NOT EXISTS talk_hours (hour INTEGER PRIMARY KEY, changed INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS told_flows (flow INTEGER PRIMARY KEY, packets_up INTEGER NOT NULL,
        packets_down INTEGER NOT NULL, bytes_up INTEGER NOT NULL, bytes_down INTEGER NOT NULL,
        last INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS seen (equipment TEXT PRIMARY KEY, last INTEGER NOT NULL,
        changed INTEGER NOT NULL) WITHOUT ROWID;";

impl Store {
    /// What was told of flows that go on.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn told(&self) -> Result<HashMap<u64, Told>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT flow, packets_up, packets_down, bytes_up, bytes_down, last FROM told_flows",
        )?;
        let rows = statement.query_map([], |row| {
            let count = |column| Ok::<_, rusqlite::Error>(unsigned(row.get(column)?));
            let counts = [count(1)?, count(2)?, count(3)?, count(4)?];
            Ok((row.get::<_, i64>(0)? as u64, Told { counts, last: Nanos(count(5)?) }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The rows of an hour.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn hour(&self, hour: u64) -> Result<Vec<Key>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT equipment, far_kind, far, protocol, port, initiator FROM talks WHERE hour = ?1",
        )?;
        let rows = statement.query_map([signed(hour)], |row| {
            Ok(Key {
                hour,
                equipment: row.get(0)?,
                far: Far::restore(row.get(1)?, row.get(2)?),
                protocol: row.get(3)?,
                port: row.get(4)?,
                initiator: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Stores what changed of the site.
pub(super) fn put(
    transaction: &Transaction<'_>,
    site: &Site,
    now: Nanos,
) -> Result<(), StoreError> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO talks (hour, equipment, far_kind, far, protocol, port, initiator, packets_out,
            packets_in, bytes_out, bytes_in, flows, first, last, declared, mirror, address, name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (hour, equipment, far_kind, far, protocol, port, initiator) DO UPDATE SET
            packets_out = min(packets_out, 4611686018427387904) + min(excluded.packets_out, 4611686018427387903),
            packets_in = min(packets_in, 4611686018427387904) + min(excluded.packets_in, 4611686018427387903),
            bytes_out = min(bytes_out, 4611686018427387904) + min(excluded.bytes_out, 4611686018427387903),
            bytes_in = min(bytes_in, 4611686018427387904) + min(excluded.bytes_in, 4611686018427387903),
            flows = flows + excluded.flows, first = min(first, excluded.first),
            last = max(last, excluded.last), declared = declared AND excluded.declared,
            mirror = mirror AND excluded.mirror, address = coalesce(excluded.address, address),
            name = coalesce(excluded.name, name)",
    )?;
    let mut touch = transaction.prepare_cached(
        "INSERT INTO talk_hours (hour, changed) VALUES (?1, ?2)
         ON CONFLICT (hour) DO UPDATE SET changed = excluded.changed",
    )?;
    let mut hour = None;
    for (key, sum) in site.hours.pending() {
        if hour.replace(key.hour) != Some(key.hour) {
            touch.execute(params![signed(key.hour), signed(now.0)])?;
        }
        let (far_kind, far) = key.far.parts();
        let Sum { packets, bytes, flows, first, last, declared, is_mirror, address, name } = sum;
        put.execute(params![
            signed(key.hour),
            key.equipment,
            far_kind,
            far,
            key.protocol,
            key.port,
            key.initiator,
            signed(packets[0]),
            signed(packets[1]),
            signed(bytes[0]),
            signed(bytes[1]),
            signed(*flows),
            signed(first.0),
            signed(last.0),
            declared,
            is_mirror,
            address.map(|address| address.to_string()),
            name,
        ])?;
    }
    put_told(transaction, site)?;
    let mut see = transaction.prepare_cached(
        "INSERT INTO seen (equipment, last, changed) VALUES (?1, ?2, ?3)
         ON CONFLICT (equipment) DO UPDATE SET last = max(last, excluded.last), changed = excluded.changed",
    )?;
    for (id, last) in site.seen() {
        see.execute(params![id, signed(last.0), signed(now.0)])?;
    }
    Ok(())
}

fn put_told(transaction: &Transaction<'_>, site: &Site) -> Result<(), StoreError> {
    if site.hours.is_anew() {
        transaction.execute("DELETE FROM told_flows", [])?;
    }
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO told_flows (flow, packets_up, packets_down, bytes_up, bytes_down, last)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut drop = transaction.prepare_cached("DELETE FROM told_flows WHERE flow = ?1")?;
    for (flow, told) in site.hours.retold() {
        match told {
            Some(Told { counts: [a, b, c, d], last }) => put.execute(params![
                flow as i64,
                signed(*a),
                signed(*b),
                signed(*c),
                signed(*d),
                signed(last.0)
            ])?,
            None => drop.execute([flow as i64])?,
        };
    }
    Ok(())
}

/// Removes hours that did not change since `oldest`, and those beyond as many as are kept, some rows
/// at a time.
pub(super) fn retain(connection: &Connection, oldest: Nanos) -> Result<(), StoreError> {
    let gone = "SELECT hour FROM talk_hours WHERE changed < ?1
        UNION SELECT hour FROM (SELECT hour FROM talk_hours ORDER BY changed DESC, hour DESC LIMIT -1 OFFSET ?2)";
    let removed = connection.execute(
        &format!(
            "DELETE FROM talks WHERE number IN
                (SELECT number FROM talks WHERE hour IN ({gone}) LIMIT ?3)"
        ),
        params![signed(oldest.0), HOURS, AT_ONCE],
    )?;
    if (removed as i64) < AT_ONCE {
        let forget = format!("DELETE FROM talk_hours WHERE hour IN ({gone})");
        connection.execute(&forget, params![signed(oldest.0), HOURS])?;
    }
    connection.execute("DELETE FROM seen WHERE changed < ?1", [signed(oldest.0)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(connection: &Connection) -> Vec<i64> {
        let mut left = connection.prepare("SELECT DISTINCT hour FROM talks ORDER BY hour").unwrap();
        let left = left.query_map([], |row| row.get(0)).unwrap();
        left.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn old_hours_go_and_no_packets_time_makes_more_than_are_kept() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let put = |hour: i64, changed: i64| {
            let talk = "INSERT INTO talks VALUES (NULL, ?1, 'a', 0, 'b', 6, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 0, NULL, NULL)";
            connection.execute(talk, [hour]).unwrap();
            connection.execute("INSERT INTO talk_hours VALUES (?1, ?2)", [hour, changed]).unwrap();
        };
        put(900_000, 10);
        put(5, 30);
        retain(&connection, Nanos(20)).unwrap();
        assert_eq!(hours(&connection), [5], "by the time at which it was told");
        (0..HOURS).for_each(|n| put(1_000 + n, 40 + n));
        retain(&connection, Nanos(20)).unwrap();
        let left = hours(&connection);
        assert_eq!((left.len() as i64, left[0]), (HOURS, 1_000));
        let known: i64 =
            connection.query_row("SELECT count(*) FROM talk_hours", [], |row| row.get(0)).unwrap();
        assert_eq!(known, HOURS);
    }
}
