//! Changes of however many alerts at once, carried out a portion at a time, each one transaction: neither
//! the sensor's ring nor the next order waits for a million rows. What is left to do is stored, and
//! goes on after a crash. It ends: what is told of later than the deed, or changed by somebody, is none
//! of its business.

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_policy::Suppression;

use super::StoreError;
use super::cases::{self, signed, unsigned};
use crate::cases::AlertId;
use crate::cases::status::Status;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS sweeps (number INTEGER PRIMARY KEY AUTOINCREMENT,
        suppression INTEGER, incident INTEGER, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS spared (alert INTEGER PRIMARY KEY, sweep INTEGER NOT NULL);";

/// Alerts that one portion changes, and those that it looks at, at most.
const CHANGED: usize = 1 << 12;
const LOOKED_AT: usize = 1 << 14;

/// The questions for alerts behind a place, in the order of their last sight.
const OF_STATUS: &str = "SELECT last, id, status, restricted, detection, equipment, peer
    FROM history INDEXED BY history_by_status
    WHERE status = ?1 AND (last, id) > (?2, ?3) AND last <= ?4 ORDER BY last, id";
const OF_INCIDENT: &str = "SELECT last, id, status, restricted, detection, equipment, peer
    FROM history INDEXED BY history_by_incident
    WHERE incident = ?1 AND (last, id) > (?2, ?3) AND last <= ?4 ORDER BY last, id";

/// Statuses of alerts that can be silenced.
const OPEN: [Status; 2] = [Status::New, Status::Acknowledged];

/// A change on its way.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Sweep {
    what: What,
    actor: String,
    /// The open status whose turn it is; of an incident's alerts there is one turn.
    turn: usize,
    /// The last alert that was looked at: its last sight, and its id.
    behind: (i64, i64),
    /// The last sight of the latest alert when it began.
    newest: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
enum What {
    /// To silence what a suppression names.
    Silence { number: u64 },
    /// To put the alerts of an incident somewhere.
    Incident { number: u64, status: Status, note: Option<String>, sees_restricted: bool },
}

/// What a portion did.
#[derive(Debug, Default)]
pub struct Swept {
    /// The alerts that it changed, each with whether it is restricted.
    pub alerts: Vec<(AlertId, bool)>,
    /// Whether more is left to do.
    pub is_pending: bool,
}

/// An alert that is looked at.
struct Candidate {
    id: i64,
    status: u8,
    restricted: bool,
    detection: String,
    equipment: Option<String>,
    peer: Option<IpAddr>,
}

impl Sweep {
    /// For a suppression with that number.
    pub(super) fn silence(
        connection: &Connection,
        actor: &str,
        number: u64,
    ) -> Result<Self, StoreError> {
        Self::begin(connection, actor, What::Silence { number })
    }

    /// For the alerts of an incident that somebody may see; what is suppressed stays so.
    pub(super) fn incident(
        connection: &Connection,
        actor: &str,
        number: u64,
        (status, note): (Status, Option<&str>),
        sees_restricted: bool,
    ) -> Result<Self, StoreError> {
        let note = note.map(str::to_owned);
        Self::begin(connection, actor, What::Incident { number, status, note, sees_restricted })
    }

    fn begin(connection: &Connection, actor: &str, what: What) -> Result<Self, StoreError> {
        let newest = "SELECT last FROM history ORDER BY last DESC LIMIT 1";
        let newest = connection.query_row(newest, [], |row| row.get(0)).optional()?.unwrap_or(0);
        let (turn, behind) = (0, (i64::MIN, i64::MIN));
        Ok(Self { what, actor: actor.to_owned(), turn, behind, newest })
    }

    /// Carries the first portion out, within the deed, and keeps what is left.
    pub(super) fn start(
        mut self,
        transaction: &Transaction<'_>,
        now: Nanos,
    ) -> Result<Swept, StoreError> {
        let swept = self.portion(transaction, None, now)?;
        if swept.is_pending {
            let (suppression, incident) = match self.what {
                What::Silence { number } => (Some(signed(number)), None),
                What::Incident { number, .. } => (None, Some(signed(number))),
            };
            transaction.execute(
                "INSERT INTO sweeps (suppression, incident, value) VALUES (?1, ?2, ?3)",
                params![suppression, incident, serde_json::to_string(&self)?],
            )?;
        }
        Ok(swept)
    }

    /// Looks at what comes next and changes what is meant of it, but for what is spared from the sweep of
    /// that number.
    fn portion(
        &mut self,
        transaction: &Transaction<'_>,
        number: Option<i64>,
        now: Nanos,
    ) -> Result<Swept, StoreError> {
        let mut spared = transaction.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM spared WHERE alert = ?1 AND sweep >= ?2)",
        )?;
        let mut is_spared = |id: i64| -> Result<bool, StoreError> {
            let Some(number) = number else { return Ok(false) };
            Ok(spared.query_row([id, number], |row| row.get(0))?)
        };
        let (mut looked_at, mut swept) = (0, Swept::default());
        let (turns, scope) = match self.what {
            What::Silence { number } => {
                (OPEN.len(), cases::suppression(transaction, signed(number))?)
            }
            What::Incident { .. } => (1, None),
        };
        while self.turn < turns {
            let (question, of) = match &self.what {
                What::Silence { .. } => (OF_STATUS, OPEN[self.turn] as i64),
                What::Incident { number, .. } => (OF_INCIDENT, signed(*number)),
            };
            let mut statement = transaction.prepare_cached(question)?;
            let (last, id) = self.behind;
            let mut rows = statement.query(params![of, last, id, self.newest])?;
            while let Some(row) = rows.next()? {
                if looked_at == LOOKED_AT || swept.alerts.len() == CHANGED {
                    swept.is_pending = true;
                    break;
                }
                looked_at += 1;
                let candidate = Candidate::of(row)?;
                self.behind = (row.get(0)?, candidate.id);
                if self.what.means(&candidate, scope.as_ref()) && !is_spared(candidate.id)? {
                    swept.alerts.push((AlertId(candidate.id as u64), candidate.restricted));
                }
            }
            if swept.is_pending {
                break;
            }
            self.turn += 1;
            self.behind = (i64::MIN, i64::MIN);
        }
        self.put(transaction, &swept.alerts, now)?;
        Ok(swept)
    }

    fn put(
        &self,
        transaction: &Transaction<'_>,
        alerts: &[(AlertId, bool)],
        now: Nanos,
    ) -> Result<(), StoreError> {
        let (status, suppression, note) = match &self.what {
            What::Silence { number } => (Status::Suppressed, Some(signed(*number)), None),
            What::Incident { status, note, .. } => (*status, None, note.as_deref()),
        };
        let mut put = transaction.prepare_cached(
            "UPDATE history SET status = ?2, suppression = coalesce(?3, suppression), changed = ?4,
                changed_by = ?5, note = coalesce(?6, note) WHERE id = ?1",
        )?;
        for (id, _) in alerts {
            put.execute(params![
                id.0 as i64,
                status as u8,
                suppression,
                signed(now.0),
                self.actor,
                note
            ])?;
        }
        if let Some(number) = suppression {
            transaction
                .prepare_cached("UPDATE suppressions SET alerts = alerts + ?2 WHERE number = ?1")?
                .execute([number, alerts.len() as i64])?;
        }
        Ok(())
    }
}

impl What {
    /// Whether it is for that alert. `scope` is the suppression's; it is asked about as of a time at which
    /// any holds, since what was stored when it was made is silenced however long that takes.
    fn means(&self, alert: &Candidate, scope: Option<&Suppression>) -> bool {
        let Candidate { status, restricted, detection, equipment, peer, .. } = alert;
        match self {
            Self::Silence { .. } => {
                scope.is_some_and(|it| it.matches(detection, equipment.as_deref(), *peer, 0))
            }
            Self::Incident { sees_restricted, .. } => {
                *status != Status::Suppressed as u8 && (*sees_restricted || !restricted)
            }
        }
    }
}

impl Candidate {
    fn of(row: &rusqlite::Row<'_>) -> Result<Self, StoreError> {
        let peer: Option<String> = row.get(6)?;
        Ok(Self {
            id: row.get(1)?,
            status: row.get(2)?,
            restricted: row.get(3)?,
            detection: row.get(4)?,
            equipment: row.get(5)?,
            peer: peer.and_then(|peer| peer.parse().ok()),
        })
    }
}

/// Carries the next portion of what is left out; none if nothing is.
pub(super) fn go_on(
    transaction: &Transaction<'_>,
    now: Nanos,
) -> Result<Option<Swept>, StoreError> {
    let question = "SELECT number, value FROM sweeps ORDER BY number LIMIT 1";
    let found: Option<(i64, String)> = transaction
        .prepare_cached(question)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((number, value)) => advance(transaction, number, &value, now).map(Some),
        None => {
            transaction.prepare_cached("DELETE FROM spared")?.execute([])?;
            Ok(None)
        }
    }
}

/// Carries out a portion of one.
fn advance(
    transaction: &Transaction<'_>,
    number: i64,
    value: &str,
    now: Nanos,
) -> Result<Swept, StoreError> {
    let swept = match serde_json::from_str::<Sweep>(value) {
        Ok(mut sweep) => {
            let swept = sweep.portion(transaction, Some(number), now)?;
            let left = serde_json::to_string(&sweep)?;
            transaction
                .prepare_cached("UPDATE sweeps SET value = ?2 WHERE number = ?1")?
                .execute(params![number, left])?;
            swept
        }
        Err(error) => {
            eprintln!(
                "error: what is left of a change of many alerts can't be read: {error}; {value}; control.db; ask for it again"
            );
            Swept::default()
        }
    };
    if !swept.is_pending {
        transaction.prepare_cached("DELETE FROM sweeps WHERE number = ?1")?.execute([number])?;
    }
    Ok(swept)
}

/// Carries out all that is left to do for incidents that become one: afterwards nobody could tell
/// whose alerts were meant.
pub(super) fn finish(
    transaction: &Transaction<'_>,
    incidents: [u64; 2],
    now: Nanos,
) -> Result<(), StoreError> {
    let question =
        "SELECT number, value FROM sweeps WHERE incident IN (?1, ?2) ORDER BY number LIMIT 1";
    loop {
        let found: Option<(i64, String)> = transaction
            .prepare_cached(question)?
            .query_row(incidents.map(signed), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((number, value)) = found else { return Ok(()) };
        advance(transaction, number, &value, now)?;
    }
}

/// Keeps an alert out of all that is left to do: somebody changed it, or it is told of anew.
pub(super) fn spare(transaction: &Transaction<'_>, id: AlertId) -> Result<(), StoreError> {
    let spare = "INSERT OR REPLACE INTO spared (alert, sweep)
        SELECT ?1, max(number) FROM sweeps HAVING max(number) IS NOT NULL";
    transaction.prepare_cached(spare)?.execute([id.0 as i64])?;
    Ok(())
}

/// Ends what a suppression has left to do.
pub(super) fn stop(transaction: &Transaction<'_>, suppression: u64) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM sweeps WHERE suppression = ?1", [signed(suppression)])?;
    Ok(())
}

/// The suppressions that have something left to do.
pub(super) fn pending(connection: &Connection) -> Result<Vec<u64>, StoreError> {
    let question = "SELECT suppression FROM sweeps WHERE suppression IS NOT NULL";
    let mut statement = connection.prepare_cached(question)?;
    let rows = statement.query_map([], |row| Ok(unsigned(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cases::TABLES as CASES;
    use crate::store::standing;

    const ALERTS: i64 = 10_000;
    const PUT: &str =
        "INSERT INTO history (id, dedup, detection, severity, status, restricted, degraded,
            equipment, peer, first, last, packets, bytes, updates, final, incident, changed, event)
         VALUES (?1, '', ?2, 3, ?3, ?4, 0, ?5, ?6, 0, ?7, 1, 1, 0, 0, 1, 0, '{}')";

    fn put(
        connection: &Connection,
        id: i64,
        detection: &str,
        status: Status,
        equipment: &str,
        last: i64,
    ) {
        let peer = format!("203.0.{}.{}", id >> 8 & 0xff, id & 0xff);
        let restricted = id % 1_000 == 999;
        let row = params![id, detection, status as u8, restricted, equipment, peer, last];
        connection.execute(PUT, row).unwrap();
    }

    /// Of every five alerts one is of other equipment, and one is acknowledged; ids are in no order of time.
    fn filled() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(CASES).unwrap();
        connection.execute_batch(TABLES).unwrap();
        standing::prepare(&mut connection).unwrap();
        for number in 0..ALERTS {
            let status = if number % 5 == 1 { Status::Acknowledged } else { Status::New };
            let equipment = if number % 5 == 0 { "gnb-2" } else { "gnb-1" };
            put(&connection, number * 7_919 % ALERTS, "EGR-NOTALLOWED", status, equipment, number);
        }
        put(&connection, ALERTS, "GTP-PEER", Status::New, "gnb-1", 5);
        put(&connection, ALERTS + 1, "EGR-NOTALLOWED", Status::Closed, "gnb-1", 5);
        connection
    }

    fn count(connection: &Connection, condition: &str) -> i64 {
        let question = format!("SELECT count(*) FROM history WHERE {condition}");
        connection.query_row(&question, [], |row| row.get(0)).unwrap()
    }

    /// Carries out what was begun; how many alerts each portion changed.
    fn finish(connection: &mut Connection, begun: Swept) -> Vec<usize> {
        let mut portions = vec![begun.alerts.len()];
        let mut is_pending = begun.is_pending;
        while is_pending {
            let transaction = connection.transaction().unwrap();
            let swept = go_on(&transaction, Nanos(9)).unwrap().unwrap();
            transaction.commit().unwrap();
            portions.push(swept.alerts.len());
            is_pending = swept.is_pending;
        }
        assert!(go_on(&connection.transaction().unwrap(), Nanos(9)).unwrap().is_none());
        portions
    }

    /// Carries everything out that was begun, in so many portions.
    fn finish_all(connection: &mut Connection) -> usize {
        let mut portions = 0;
        loop {
            let transaction = connection.transaction().unwrap();
            let swept = go_on(&transaction, Nanos(9)).unwrap();
            transaction.commit().unwrap();
            if swept.is_none() {
                return portions;
            }
            portions += 1;
        }
    }

    fn scope(equipment: &str, peer: Option<&str>) -> Suppression {
        Suppression {
            detection: "EGR-NOTALLOWED".into(),
            equipment: Some(equipment.into()),
            peer: peer.map(|net| net.parse().unwrap()),
            until: Some(99),
            reason: None,
        }
    }

    fn begin_silence(connection: &mut Connection, scope: &Suppression) -> Swept {
        let transaction = connection.transaction().unwrap();
        let peer = scope.peer.map(|net| net.to_string());
        transaction
            .execute(
                "INSERT INTO suppressions (number, restricted, detection, equipment, peer, reason,
                    author, created, until, alerts) VALUES (1, 0, ?1, ?2, ?3, '', '', 0, 99, 0)",
                params![scope.detection, scope.equipment, peer],
            )
            .unwrap();
        let sweep = Sweep::silence(&transaction, "ada", 1).unwrap();
        let swept = sweep.start(&transaction, Nanos(8)).unwrap();
        transaction.commit().unwrap();
        swept
    }

    #[test]
    fn a_suppression_silences_all_that_is_open_and_named_and_nothing_else_portion_by_portion() {
        let mut connection = filled();
        let begun = begin_silence(&mut connection, &scope("gnb-1", None));
        assert_eq!(pending(&connection).unwrap(), [1]);
        // It is told of afterwards, and so judged when it was.
        put(&connection, ALERTS + 2, "EGR-NOTALLOWED", Status::New, "gnb-1", ALERTS);
        assert_eq!(finish(&mut connection, begun), [CHANGED, 8_000 - CHANGED]);
        assert!(pending(&connection).unwrap().is_empty());
        let silenced = "status = 2 AND suppression = 1 AND changed_by = 'ada'";
        assert_eq!(count(&connection, silenced), 8_000);
        let named = "equipment = 'gnb-1' AND detection = 'EGR-NOTALLOWED'";
        assert_eq!(count(&connection, &format!("{silenced} AND {named}")), 8_000);
        assert_eq!(count(&connection, "status = 0"), 2_000 + 2);
        assert_eq!(count(&connection, "status = 3"), 1);
        let counted = "SELECT alerts FROM suppressions WHERE number = 1";
        assert_eq!(connection.query_row(counted, [], |row| row.get(0)), Ok(8_000));
    }

    #[test]
    fn a_network_is_looked_for_among_all_that_is_open_and_found_at_once() {
        let mut connection = filled();
        let begun = begin_silence(&mut connection, &scope("gnb-1", Some("203.0.3.0/24")));
        assert!(!begun.is_pending);
        let named = "peer LIKE '203.0.3.%' AND equipment = 'gnb-1' AND id < 10000";
        assert_eq!(begun.alerts.len() as i64, count(&connection, named));
        assert_eq!(
            count(&connection, &format!("status = 2 AND {named}")),
            count(&connection, named)
        );
        assert_eq!(count(&connection, "status = 2"), count(&connection, named));
    }

    #[test]
    fn what_was_changed_by_somebody_afterwards_or_told_anew_is_left_alone_by_what_began_before() {
        let mut connection = filled();
        let begun = begin_silence(&mut connection, &scope("gnb-1", None));
        let transaction = connection.transaction().unwrap();
        let touched = [9_998, 9_997].map(|number: i64| number * 7_919 % ALERTS);
        touched.iter().for_each(|id| spare(&transaction, AlertId(*id as u64)).unwrap());
        // What begins later is for these, too.
        let put = (Status::Acknowledged, None);
        let sweep = Sweep::incident(&transaction, "bob", 1, put, true).unwrap();
        let later = sweep.start(&transaction, Nanos(8)).unwrap();
        assert!(later.is_pending);
        transaction.commit().unwrap();
        assert_eq!(finish_all(&mut connection), 2);
        let [a, b] = touched;
        assert_eq!(count(&connection, &format!("id IN ({a}, {b}) AND status = 1")), 2);
        // And one that was closed, and open again before its turn came.
        assert_eq!(count(&connection, "status = 2"), 8_000 - 2 + 1);
        assert_eq!(begun.alerts.len(), CHANGED);
        assert_eq!(
            connection.query_row("SELECT count(*) FROM spared", [], |row| row.get(0)),
            Ok(0)
        );
    }

    #[test]
    fn what_is_left_for_incidents_that_become_one_is_done_before() {
        let mut connection = filled();
        let transaction = connection.transaction().unwrap();
        let put = (Status::Closed, None);
        let sweep = Sweep::incident(&transaction, "ada", 1, put, true).unwrap();
        assert!(sweep.start(&transaction, Nanos(8)).unwrap().is_pending);
        super::finish(&transaction, [7, 3], Nanos(9)).unwrap();
        assert!(count(&transaction, "status < 2") > 0, "it is of neither");
        super::finish(&transaction, [7, 1], Nanos(9)).unwrap();
        assert_eq!(count(&transaction, "status = 3"), ALERTS + 2);
        assert!(go_on(&transaction, Nanos(9)).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_given_up() {
        let mut connection = filled();
        let transaction = connection.transaction().unwrap();
        transaction.execute("INSERT INTO sweeps (value) VALUES ('{}')", []).unwrap();
        assert!(!go_on(&transaction, Nanos(9)).unwrap().unwrap().is_pending);
        assert!(go_on(&transaction, Nanos(9)).unwrap().is_none());
    }

    #[test]
    fn a_suppression_that_is_taken_back_silences_nothing_more() {
        let mut connection = filled();
        let begun = begin_silence(&mut connection, &scope("gnb-1", None));
        assert!(begun.is_pending);
        let transaction = connection.transaction().unwrap();
        stop(&transaction, 1).unwrap();
        assert!(go_on(&transaction, Nanos(9)).unwrap().is_none());
    }

    #[test]
    fn an_incident_is_put_somewhere_whole_but_for_what_is_suppressed_or_hidden() {
        let mut connection = filled();
        connection.execute("UPDATE history SET status = 2 WHERE id < 100", []).unwrap();
        let transaction = connection.transaction().unwrap();
        let put = (Status::Closed, Some("a scan"));
        let sweep = Sweep::incident(&transaction, "ada", 1, put, false).unwrap();
        let begun = sweep.start(&transaction, Nanos(8)).unwrap();
        transaction.commit().unwrap();
        finish(&mut connection, begun);
        let rest = "id >= 100 AND restricted = 0";
        assert_eq!(
            count(&connection, &format!("{rest} AND status = 3 AND note = 'a scan'")),
            count(&connection, rest)
        );
        assert_eq!(count(&connection, "status = 2"), 100);
        assert_eq!(count(&connection, "restricted = 1 AND status < 2"), 10);
    }

    #[test]
    fn indexes_answer_what_comes_next() {
        let connection = filled();
        for (question, index) in [
            (OF_STATUS, "history_by_status (status=? AND last>? AND last<?)"),
            (OF_INCIDENT, "history_by_incident (incident=? AND last>? AND last<?)"),
        ] {
            let mut statement =
                connection.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
            let steps = statement.query_map([0, 0, 0, 9], |row| row.get::<_, String>(3));
            let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
            assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
        }
    }
}
