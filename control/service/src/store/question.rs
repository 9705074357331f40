//! The question for a page of alerts, so written that an index answers it however many there are.
//!
//! SQLite does not know how many rows fit a condition. So the condition that leaves fewest comes first and
//! its index, which ends in the order of the page, is used; `+` keeps the others' indexes from being
//! chosen. "At least so grave" is one question for each severity, and the latest rows of all.

use rusqlite::ToSql;
use weir_engine::contract::verdict::Severity;

use super::cases::signed;
use super::reader::{COLUMNS, Filter, Page};

/// A question with the values of its parameters.
#[derive(Default)]
pub(super) struct Question {
    pub(super) text: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Question {
    pub(super) fn alerts(filter: &Filter, page: &Page, sees_restricted: bool) -> Self {
        let least = filter.severity.unwrap_or(Severity::Info);
        let severities: Vec<Option<Severity>> = match filter.severity {
            Some(_) => Severity::ALL.into_iter().filter(|it| *it >= least).map(Some).collect(),
            None => vec![None],
        };
        let mut question = Self::default();
        for severity in severities {
            if !question.text.is_empty() {
                question.text += " UNION ALL ";
            }
            question.part(filter, severity, page, sees_restricted);
        }
        question.text += " ORDER BY last DESC, id DESC LIMIT ?";
        question.values.push(Box::new(page.most));
        question
    }

    /// The page of one severity, or of all.
    fn part(
        &mut self,
        filter: &Filter,
        severity: Option<Severity>,
        page: &Page,
        sees_restricted: bool,
    ) {
        let mut conditions: Vec<(&str, Box<dyn ToSql>)> = Vec::new();
        if let Some(incident) = filter.incident {
            conditions.push(("incident = ?", Box::new(signed(incident))));
        }
        if let Some(equipment) = &filter.equipment {
            conditions.push(("equipment = ?", Box::new(equipment.clone())));
        }
        if let Some(detection) = &filter.detection {
            conditions.push(("detection = ?", Box::new(detection.clone())));
        }
        if let Some(severity) = severity {
            conditions.push(("severity = ?", Box::new(severity as u8)));
        }
        if let Some(status) = filter.status {
            conditions.push(("status = ?", Box::new(status as u8)));
        }
        self.text += &format!("SELECT * FROM (SELECT {COLUMNS} FROM history WHERE ");
        for (place, (condition, value)) in conditions.into_iter().enumerate() {
            let lead = if place == 0 { "" } else { "+" };
            self.text += &format!("{lead}{condition} AND ");
            self.values.push(value);
        }
        if let Some(since) = filter.since {
            self.text += "last >= ? AND ";
            self.values.push(Box::new(signed(since.0)));
        }
        // Ids order as the signed numbers that they are in the store.
        let (time, number) = page.behind.unwrap_or((u64::MAX, i64::MAX as u64));
        self.text += "(last, id) < (?, ?) AND (+restricted = 0 OR ?) \
                      ORDER BY last DESC, id DESC LIMIT ?)";
        self.values.push(Box::new(signed(time)));
        self.values.push(Box::new(number as i64));
        self.values.push(Box::new(sees_restricted));
        self.values.push(Box::new(page.most));
    }

    pub(super) fn values(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(AsRef::as_ref).collect()
    }
}

/// The page of incidents: who asks sees restricted ones or not, time and number of the last one before, and how many.
/// Open are those of which an alert is new or acknowledged.
pub(super) fn incidents(only_open: bool) -> String {
    let open = "AND EXISTS (SELECT 1 FROM incident_standing
        WHERE incident = number AND status < 2 AND alerts > 0)";
    format!(
        "SELECT number, value FROM incidents
         WHERE merged_into IS NULL AND (restricted = 0 OR ?1) AND (last, number) < (?2, ?3)
         {} ORDER BY last DESC, number DESC LIMIT ?4",
        if only_open { open } else { "" },
    )
}

/// The page of deeds: time and number of the last one before, whether who asks sees restricted ones, and how many.
pub(super) const AUDIT: &str = "SELECT number, time, actor, action, object, detail FROM audit
     WHERE (time, number) < (?1, ?2) AND (restricted = 0 OR ?3)
     ORDER BY time DESC, number DESC LIMIT ?4";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::status::Status;
    use rusqlite::Connection;
    use weir_engine::Nanos;

    #[test]
    fn indexes_answer_which_incidents_are_open_without_sorting_or_reading_their_alerts() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::cases::TABLES).unwrap();
        super::super::standing::prepare(&mut connection).unwrap();
        let mut statement =
            connection.prepare(&format!("EXPLAIN QUERY PLAN {}", incidents(true))).unwrap();
        let steps = statement.query_map([0, 7, 9, 100], |row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
        let has = |part: &str| steps.iter().any(|step| step.contains(part));
        assert!(has("incidents USING INDEX incidents_by_last (last"), "{steps:?}");
        let counted = "SEARCH incident_standing EXISTS USING PRIMARY KEY (incident=? AND status<?)";
        assert!(has(counted), "{steps:?}");
        assert!(!has("history"), "{steps:?}");
        assert!(!has("TEMP B-TREE"), "{steps:?}");
    }

    #[test]
    fn an_index_answers_who_did_what_without_sorting() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::cases::TABLES).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {AUDIT}")).unwrap();
        let steps = statement.query_map([7, 9, 0, 100], |row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
        let [step] = &steps[..] else { panic!("{steps:?}") };
        assert!(step.contains("USING INDEX audit_by_time (time<?)"), "{step}");
    }

    #[test]
    fn an_index_answers_every_question_without_sorting_what_it_finds() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::cases::TABLES).unwrap();
        let page = Page { behind: Some((7, 9)), most: 100 };
        let all = Filter {
            status: Some(Status::New),
            severity: None,
            detection: Some("GTP-PEER".into()),
            equipment: Some("gnb-1".into()),
            incident: Some(1),
            since: Some(Nanos(5)),
        };
        let none = Filter::default;
        for (filter, index) in [
            (none(), "history_by_last"),
            (Filter { since: all.since, ..none() }, "history_by_last"),
            (Filter { status: all.status, ..none() }, "history_by_status"),
            (Filter { severity: Some(Severity::High), ..none() }, "history_by_severity"),
            (
                Filter { severity: Some(Severity::Critical), status: all.status, ..none() },
                "history_by_severity",
            ),
            (
                Filter { detection: all.detection.clone(), status: all.status, ..none() },
                "history_by_detection",
            ),
            (
                Filter { equipment: all.equipment.clone(), status: all.status, ..none() },
                "history_by_equipment",
            ),
            (all, "history_by_incident"),
        ] {
            let question = Question::alerts(&filter, &page, false);
            let plan = format!("EXPLAIN QUERY PLAN {}", question.text);
            let mut statement = connection.prepare(&plan).unwrap();
            let steps = statement.query_map(&*question.values(), |row| row.get::<_, String>(3));
            let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
            let searches: Vec<&String> =
                steps.iter().filter(|step| step.contains("history")).collect();
            let is_by = |step: &&&String| step.contains(&format!("USING INDEX {index} "));
            assert_eq!(
                searches.iter().filter(is_by).count(),
                searches.len(),
                "{filter:?} {steps:?}"
            );
        }
    }
}
