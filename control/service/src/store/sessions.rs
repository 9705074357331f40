//! Sessions as they were told of, at agreement and at their end: one row each, in the order of their
//! agreement.
//!
//! Subscribers' addresses are sealed. Rows are found again by keyed hashes, which are kept in parts of
//! [`PART`] sessions: new ones are written side by side, and what makes room goes part by part, which a
//! single index over all would not allow at ten thousand records a second. Which part has the row of a
//! session that ends, its time of agreement tells.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use weir_engine::Nanos;
use weir_engine::contract::session::{SessionRecord, TunnelEnd};

use super::StoreError;
use super::cases::signed;
use crate::site::seal::{Kind, Seal};

/// Sessions that are kept at most: the newest.
pub(super) const SESSIONS: i64 = 1_000_000;
/// Parts that one look for what is too old goes through.
const PARTS_AT_ONCE: i64 = 4;
/// Sessions whose hashes lie together.
pub(super) const PART: i64 = 1 << 13;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY,
        boot INTEGER NOT NULL, changed INTEGER NOT NULL, cp_seid INTEGER NOT NULL,
        up_seid INTEGER NOT NULL, cp TEXT, up TEXT, generation INTEGER NOT NULL,
        state INTEGER NOT NULL, established INTEGER, ended INTEGER, pseudonyms BLOB NOT NULL,
        sealed BLOB NOT NULL, network_instance TEXT, dnn TEXT, supi INTEGER, slice TEXT,
        uplink TEXT NOT NULL, downlink TEXT NOT NULL, modifications INTEGER NOT NULL,
        reports INTEGER NOT NULL, packets_ul INTEGER NOT NULL, packets_dl INTEGER NOT NULL,
        bytes_ul INTEGER NOT NULL, bytes_dl INTEGER NOT NULL, qfi TEXT NOT NULL,
        reported_ul INTEGER, reported_dl INTEGER, usage_mismatch INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS session_keys (part INTEGER NOT NULL, hash INTEGER NOT NULL,
        session INTEGER NOT NULL, PRIMARY KEY (part, hash, session)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS session_parts (part INTEGER PRIMARY KEY, first INTEGER NOT NULL,
        last INTEGER NOT NULL);";

/// By what a session is known: SEIDs are its CP function's, and given again after its end.
pub(crate) fn identity(
    seal: &Seal,
    cp: Option<std::net::IpAddr>,
    (cp_seid, up_seid): (u64, u64),
    generation: u32,
) -> i64 {
    let mut octets = Vec::with_capacity(40);
    octets.extend(cp_seid.to_be_bytes());
    octets.extend(up_seid.to_be_bytes());
    octets.extend(generation.to_be_bytes());
    match cp.map(|cp| cp.to_canonical()) {
        Some(std::net::IpAddr::V4(v4)) => octets.extend(v4.octets()),
        Some(std::net::IpAddr::V6(v6)) => octets.extend(v6.octets()),
        None => {}
    }
    seal.hash(Kind::Session, &octets)
}

/// What a session is looked for by.
fn hashes<'a>(seal: &'a Seal, record: &'a SessionRecord) -> impl Iterator<Item = i64> + 'a {
    let addresses = record.ue.iter().map(|address| seal.pseudonym(*address));
    let tunnels = record.uplink.iter().chain(&record.downlink);
    let tunnels = tunnels.map(|end| seal.hash(Kind::Teid, &end.teid.to_be_bytes()));
    let supi = record.supi.map(|supi| seal.hash(Kind::Supi, &supi.to_be_bytes()));
    addresses.chain(tunnels).chain(supi)
}

/// A sensor's life as rows name it.
pub(super) fn life(boot: Option<[u8; 16]>) -> i64 {
    let boot = u128::from_le_bytes(boot.unwrap_or_default());
    boot as i64
}

/// When the sessions of each part were agreed.
#[derive(Debug, Default)]
struct Parts {
    spans: BTreeMap<i64, (i64, i64)>,
    changed: BTreeSet<i64>,
}

impl Parts {
    fn read(transaction: &Transaction<'_>) -> Result<Self, StoreError> {
        let mut statement =
            transaction.prepare_cached("SELECT part, first, last FROM session_parts")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        Ok(Self { spans: rows.collect::<Result<_, _>>()?, changed: BTreeSet::new() })
    }

    /// The parts that may have a session that was agreed then, the newest first; all where that is not
    /// known.
    fn of(&self, established: Option<i64>) -> impl Iterator<Item = i64> + '_ {
        let spans = self.spans.iter().rev();
        let may = move |(_, (first, last)): &(&i64, &(i64, i64))| {
            established.is_none_or(|time| (*first..=*last).contains(&time))
        };
        spans.filter(may).map(|(part, _)| *part)
    }

    /// A session of this part was agreed then; one of which that is not known may be anywhere.
    fn note(&mut self, part: i64, established: Option<i64>) {
        let (first, last) = established.map_or((0, i64::MAX), |time| (time, time));
        let before = self.spans.get(&part).copied();
        let span = before.map_or((first, last), |(a, b)| (a.min(first), b.max(last)));
        if before != Some(span) {
            self.spans.insert(part, span);
            self.changed.insert(part);
        }
    }

    fn write(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut put = transaction.prepare_cached(
            "INSERT OR REPLACE INTO session_parts (part, first, last) VALUES (?1, ?2, ?3)",
        )?;
        for part in &self.changed {
            let (first, last) = self.spans[part];
            put.execute([*part, first, last])?;
        }
        Ok(())
    }
}

/// What a row has that its session is found by: tunnels of both ways, pseudonyms of addresses and the
/// subscriber's.
type FoundBy = (String, String, Vec<u8>, Option<i64>);

/// A row that is there already.
struct Known {
    id: i64,
    found_by: FoundBy,
}

/// The row of a record's session. SEIDs are given again, which a sensor that began anew does not
/// count: what was agreed at another time, or is over, is another session.
fn known(
    record: &SessionRecord,
    established: Option<i64>,
    parts: impl Iterator<Item = i64>,
    hash: i64,
    (keys, find): (&mut CachedStatement<'_>, &mut CachedStatement<'_>),
) -> Result<Option<Known>, StoreError> {
    let seids = (record.cp_seid as i64, record.up_seid as i64);
    for part in parts {
        let mut ids = keys.query([part, hash])?;
        while let Some(row) = ids.next()? {
            let id: i64 = row.get(0)?;
            let asked = params![id, seids.0, seids.1, record.generation, established];
            let found = find.query_row(asked, |row| {
                let found_by = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Known { id, found_by })
            });
            if let Some(known) = found.optional()? {
                return Ok(Some(known));
            }
        }
    }
    Ok(None)
}

/// Stores what is said of sessions; answers how many made room.
pub(super) fn put(
    transaction: &Transaction<'_>,
    seal: &Seal,
    records: &[SessionRecord],
    boot: Option<[u8; 16]>,
    now: Nanos,
) -> Result<u64, StoreError> {
    if records.is_empty() {
        return Ok(0);
    }
    let mut parts = Parts::read(transaction)?;
    let mut keys = transaction.prepare_cached(
        "SELECT session FROM session_keys WHERE part = ?1 AND hash = ?2 ORDER BY session DESC",
    )?;
    let mut find = transaction.prepare_cached(
        "SELECT uplink, downlink, pseudonyms, supi FROM sessions WHERE id = ?1 AND cp_seid = ?2 AND up_seid = ?3
            AND generation = ?4 AND coalesce(established = ?5, ended IS NULL)",
    )?;
    let mut key = transaction.prepare_cached(
        "INSERT OR IGNORE INTO session_keys (part, hash, session) VALUES (?1, ?2, ?3)",
    )?;
    let mut put = transaction.prepare_cached(
        "INSERT INTO sessions (id, boot, changed, cp_seid, up_seid, cp, up,
            generation, state, established, ended, pseudonyms, sealed, network_instance, dnn, supi,
            slice, uplink, downlink, modifications, reports, packets_ul, packets_dl, bytes_ul,
            bytes_dl, qfi, reported_ul, reported_dl, usage_mismatch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
            ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)
         ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, changed = excluded.changed,
            up = excluded.up, state = excluded.state,
            established = coalesce(excluded.established, established), ended = excluded.ended,
            pseudonyms = excluded.pseudonyms, sealed = excluded.sealed,
            network_instance = excluded.network_instance, dnn = excluded.dnn, supi = excluded.supi,
            slice = excluded.slice, uplink = excluded.uplink, downlink = excluded.downlink,
            modifications = excluded.modifications, reports = excluded.reports,
            packets_ul = excluded.packets_ul, packets_dl = excluded.packets_dl,
            bytes_ul = excluded.bytes_ul, bytes_dl = excluded.bytes_dl, qfi = excluded.qfi,
            reported_ul = excluded.reported_ul, reported_dl = excluded.reported_dl,
            usage_mismatch = excluded.usage_mismatch",
    )?;
    let mut newest: i64 =
        transaction.query_row("SELECT coalesce(max(id), 0) FROM sessions", [], |row| row.get(0))?;
    for record in records {
        let seids = (record.cp_seid, record.up_seid);
        let identity = identity(seal, record.cp, seids, record.generation);
        let established = record.established.map(|time| signed(time.0));
        let looked = parts.of(established);
        let known = known(record, established, looked, identity, (&mut keys, &mut find))?;
        let pseudonyms = record.ue.iter().flat_map(|it| seal.pseudonym(*it).to_be_bytes());
        let found_by = (
            tunnels(&record.uplink)?,
            tunnels(&record.downlink)?,
            pseudonyms.collect::<Vec<u8>>(),
            record.supi.map(|supi| supi as i64),
        );
        let id = match &known {
            Some(known) => known.id,
            None => {
                newest += 1;
                newest
            }
        };
        if known.is_none_or(|known| known.found_by != found_by) {
            for hash in hashes(seal, record).chain([identity]) {
                key.execute([id / PART, hash, id])?;
            }
        }
        parts.note(id / PART, established);
        let usage = &record.usage;
        put.execute(params![
            id,
            life(boot),
            signed(now.0),
            record.cp_seid as i64,
            record.up_seid as i64,
            record.cp.map(|cp| cp.to_string()),
            record.up.map(|up| up.to_string()),
            record.generation,
            record.state as u8,
            established,
            record.ended.map(|time| signed(time.0)),
            found_by.2,
            seal.seal(identity, &record.ue),
            record.network_instance.as_deref(),
            record.dnn.or(record.network_instance).as_deref(),
            found_by.3,
            record.slice.map(|slice| slice.to_string()),
            found_by.0,
            found_by.1,
            record.modifications,
            record.reports,
            signed(usage.uplink_packets),
            signed(usage.downlink_packets),
            signed(usage.uplink_bytes),
            signed(usage.downlink_bytes),
            serde_json::to_string(&record.qfi)?,
            record.reported.map(|(ul, _)| signed(ul)),
            record.reported.map(|(_, dl)| signed(dl)),
            record.usage_mismatch,
        ])?;
    }
    parts.write(transaction)?;
    make_room(transaction, newest - SESSIONS)
}

fn tunnels(ends: &[TunnelEnd]) -> Result<String, StoreError> {
    Ok(serde_json::to_string(ends)?)
}

/// Removes all sessions up to this one; answers how many there were.
fn make_room(transaction: &Transaction<'_>, last: i64) -> Result<u64, StoreError> {
    if last <= 0 {
        return Ok(0);
    }
    let mut drop = transaction.prepare_cached("DELETE FROM sessions WHERE id <= ?1")?;
    let gone = drop.execute([last])?;
    // A part whose sessions are all gone.
    for table in ["session_keys", "session_parts"] {
        let text = format!("DELETE FROM {table} WHERE part < ?1");
        transaction.prepare_cached(&text)?.execute([(last + 1) / PART])?;
    }
    Ok(gone as u64)
}

/// Removes sessions that nothing was said of since `oldest` and that nobody follows any more, with all that
/// they are found by, of some parts from `part` on; answers the part to go on with. What the sensor of
/// this life still follows stays however old it is; if that life is not known, so does what any sensor
/// followed last.
pub(super) fn retain(
    transaction: &Transaction<'_>,
    oldest: Nanos,
    boot: Option<[u8; 16]>,
    part: i64,
) -> Result<i64, StoreError> {
    let ends = "SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM sessions";
    let (first, newest): (i64, i64) =
        transaction.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (first, newest) = (first / PART, newest / PART);
    let from = if (first..=newest).contains(&part) { part } else { first };
    let behind = from + PARTS_AT_ONCE;
    let mut sessions = transaction.prepare_cached(
        "DELETE FROM sessions WHERE id >= ?1 AND id < ?2 AND changed < ?3 AND (state >= 3 OR boot <> ?4)",
    )?;
    let mut keys = transaction.prepare_cached(
        "DELETE FROM session_keys
         WHERE part = ?1 AND NOT EXISTS (SELECT 1 FROM sessions WHERE id = session)",
    )?;
    let mut span = transaction.prepare_cached(
        "DELETE FROM session_parts WHERE part = ?1
            AND NOT EXISTS (SELECT 1 FROM sessions WHERE id >= ?2 AND id < ?3)",
    )?;
    let life = boot.map(|boot| life(Some(boot)));
    for part in from..behind.min(newest + 1) {
        let (start, end) = (part * PART, (part + 1) * PART);
        if sessions.execute(params![start, end, signed(oldest.0), life])? > 0 {
            keys.execute([part])?;
            span.execute([part, start, end])?;
        }
    }
    Ok(behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use weir_engine::contract::session::{SessionState, ShortName, Usage};

    fn record(number: u64) -> SessionRecord {
        SessionRecord {
            at: Nanos(number),
            cp_seid: number,
            up_seid: number,
            cp: Some([10, 0, 2, 1].into()),
            up: Some([10, 0, 1, 1].into()),
            generation: 1,
            state: SessionState::Active,
            established: Some(Nanos(number)),
            ended: None,
            ue: [[10, 60, (number >> 8) as u8, number as u8].into()].into_iter().collect(),
            network_instance: ShortName::from("internet").ok(),
            dnn: ShortName::from("internet").ok(),
            supi: Some(number),
            slice: None,
            uplink: [TunnelEnd { teid: number as u32, addr: [10, 0, 1, 1].into() }]
                .into_iter()
                .collect(),
            downlink: Default::default(),
            modifications: 0,
            reports: 0,
            usage: Usage::default(),
            qfi: Default::default(),
            reported: None,
            usage_mismatch: false,
            policy: 1,
        }
    }

    fn opened() -> (tempfile::TempDir, Seal, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let seal = Seal::open(directory.path()).unwrap();
        let connection = Connection::open(directory.path().join("control.db")).unwrap();
        connection.execute_batch(TABLES).unwrap();
        (directory, seal, connection)
    }

    fn count(connection: &Connection, question: &str) -> i64 {
        connection.query_row(question, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_makes_room_goes_with_what_it_was_found_by() {
        let (_directory, seal, mut connection) = opened();
        let transaction = connection.transaction().unwrap();
        let most = PART as u64 + 100;
        let records: Vec<_> = (1..=most).map(record).collect();
        assert_eq!(put(&transaction, &seal, &records, None, Nanos(5)).unwrap(), 0);
        assert_eq!(make_room(&transaction, 50).unwrap(), 50);
        assert_eq!(count(&transaction, "SELECT min(id) FROM sessions"), 51);
        assert_eq!(make_room(&transaction, PART).unwrap(), PART as u64 - 50);
        assert_eq!(count(&transaction, "SELECT count(*) FROM sessions"), 100);
        // Four hashes of each; the last session of the part before was one too many.
        let left = count(&transaction, "SELECT count(*) FROM session_keys");
        assert_eq!(left, 4 * 101);
        // Numbers go on where they stood.
        put(&transaction, &seal, &[record(most + 1)], None, Nanos(5)).unwrap();
        assert_eq!(count(&transaction, "SELECT max(id) FROM sessions"), most as i64 + 1);
    }

    #[test]
    fn what_is_over_goes_at_its_age_and_what_is_followed_stays_however_old() {
        let (_directory, seal, mut connection) = opened();
        let transaction = connection.transaction().unwrap();
        let (earlier, now) = (Some([1; 16]), Some([2; 16]));
        let ended = |number| SessionRecord { state: SessionState::Deleted, ..record(number) };
        let says = |record, boot, at| put(&transaction, &seal, &[record], boot, Nanos(at)).unwrap();
        says(record(1), now, 10);
        says(ended(2), now, 10);
        says(ended(3), now, 30);
        says(record(4), earlier, 10);
        says(record(5), now, 10);
        let ids = |transaction: &Transaction<'_>| {
            let mut ids = transaction.prepare("SELECT id FROM sessions ORDER BY id").unwrap();
            let ids = ids.query_map([], |row| row.get::<_, i64>(0)).unwrap();
            ids.collect::<Result<Vec<_>, _>>().unwrap()
        };
        retain(&transaction, Nanos(20), None, 0).unwrap();
        assert_eq!(ids(&transaction), [1, 3, 4, 5], "whose life it is is not known yet");
        retain(&transaction, Nanos(20), now, 0).unwrap();
        assert_eq!(ids(&transaction), [1, 3, 5]);
        assert_eq!(count(&transaction, "SELECT count(*) FROM session_keys"), 4 * 3);
        says(ended(1), now, 30);
        retain(&transaction, Nanos(40), now, 0).unwrap();
        assert_eq!(ids(&transaction), [5]);
        retain(&transaction, Nanos(40), Some([3; 16]), 0).unwrap();
        for table in ["sessions", "session_keys", "session_parts"] {
            assert_eq!(count(&transaction, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
        }
    }

    #[test]
    fn looks_go_on_where_the_last_one_ended_and_begin_anew() {
        let (_directory, seal, mut connection) = opened();
        let transaction = connection.transaction().unwrap();
        put(&transaction, &seal, &[record(1)], None, Nanos(10)).unwrap();
        let far = PARTS_AT_ONCE * PART + 7;
        let ended = SessionRecord { state: SessionState::Deleted, ..record(2) };
        put(&transaction, &seal, &[ended], None, Nanos(10)).unwrap();
        transaction.execute("UPDATE sessions SET id = ?1 WHERE id = 2", [far]).unwrap();
        let next = retain(&transaction, Nanos(20), None, 0).unwrap();
        assert_eq!(count(&transaction, "SELECT count(*) FROM sessions"), 2);
        let next = retain(&transaction, Nanos(20), None, next).unwrap();
        assert_eq!(count(&transaction, "SELECT max(id) FROM sessions"), 1);
        let ended = SessionRecord { state: SessionState::Deleted, ..record(1) };
        put(&transaction, &seal, &[ended], None, Nanos(10)).unwrap();
        retain(&transaction, Nanos(20), None, next).unwrap();
        assert_eq!(count(&transaction, "SELECT count(*) FROM sessions"), 0);
    }

    #[test]
    fn an_address_and_a_subscriber_that_came_later_lead_to_their_session() {
        let (_directory, seal, mut connection) = opened();
        let transaction = connection.transaction().unwrap();
        let asked = SessionRecord { ue: Default::default(), supi: None, ..record(1) };
        let given = SessionRecord { supi: None, ..record(1) };
        for told in [asked, given, record(1)] {
            put(&transaction, &seal, &[told], None, Nanos(5)).unwrap();
        }
        let supi = seal.hash(Kind::Supi, &1u64.to_be_bytes());
        for hash in [seal.pseudonym([10, 60, 0, 1].into()), supi] {
            let question = format!("SELECT count(*) FROM session_keys WHERE hash = {hash}");
            assert_eq!(count(&transaction, &question), 1);
        }
        assert_eq!(count(&transaction, "SELECT count(*) FROM sessions"), 1);
    }

    #[test]
    fn a_tunnel_that_was_moved_leads_to_its_session_before_and_after() {
        let (_directory, seal, mut connection) = opened();
        let transaction = connection.transaction().unwrap();
        let moved = SessionRecord {
            uplink: [TunnelEnd { teid: 77, addr: [10, 0, 1, 1].into() }].into_iter().collect(),
            ..record(1)
        };
        put(&transaction, &seal, &[record(1), moved], None, Nanos(5)).unwrap();
        for teid in [1u32, 77] {
            let hash = seal.hash(Kind::Teid, &teid.to_be_bytes());
            let question = format!("SELECT session FROM session_keys WHERE hash = {hash}");
            assert_eq!(count(&transaction, &question), 1);
        }
        assert_eq!(count(&transaction, "SELECT count(*) FROM sessions"), 1);
    }
}
