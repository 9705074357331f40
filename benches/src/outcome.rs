//! What came out: a table for people, JSON for machines.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::rounds::Samples;

/// A line of the table; what was not measured stays empty.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The subject.
    pub what: String,
    /// Nanoseconds per packet in each round.
    pub ns: Samples,
    /// Instructions per packet.
    pub instructions: Option<f64>,
    /// Allocations per packet.
    pub allocations: Option<f64>,
    /// Multiples of what it is compared with, and what that is.
    pub ratio: Option<(f64, &'static str)>,
}

/// All results.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    rows: Vec<Row>,
    lines: Vec<String>,
    figures: Map<String, Value>,
}

impl Outcome {
    /// Adds a line to the table.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a sentence below the table.
    pub fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Adds a figure, rounded to four digits behind the point; one that is no
    /// number stays absent, since a reader must not take it for a result.
    pub fn figure(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.figures.insert(name.into(), json!((value * 1e4).round() / 1e4));
        }
    }

    /// Adds what the figures depend on.
    pub fn circumstance(&mut self, name: &str, value: Value) {
        self.figures.insert(name.into(), value);
    }

    /// The figures by name.
    pub fn figures(&self) -> &Map<String, Value> {
        &self.figures
    }

    /// Writes the figures, and makes the folder if it is missing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let text = format!("{:#}\n", Value::Object(self.figures.clone()));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(path, text))
            .with_context(|| format!("can't write {}", path.display()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["ns/packet", "min–max", "instructions", "allocations", "ratio"];
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        let [ns, spread, instructions, allocations, ratio] = header;
        writeln!(
            f,
            "{:width$}  {ns:>9}  {spread:>17}  {instructions:>12}  {allocations:>11}  {ratio}",
            "",
        )?;
        for row in &self.rows {
            let number = |value: Option<f64>, digits| {
                value.map_or(String::new(), |value| format!("{value:.digits$}"))
            };
            writeln!(
                f,
                "{:width$}  {:>9.2}  {:>17}  {:>12}  {:>11}  {}",
                row.what,
                row.ns.median(),
                format!("{:.2}–{:.2}", row.ns.min(), row.ns.max()),
                number(row.instructions, 1),
                number(row.allocations, 4),
                row.ratio.map_or(String::new(), |(times, of)| format!("{times:.2} × {of}")),
            )?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_and_what_is_not_a_number_is_absent() {
        let mut outcome = Outcome::default();
        outcome.figure("engine_ns_per_packet", 41.234_56);
        outcome.figure("dpdk_to_testpmd_ratio_1k", Samples::default().median());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench/bench.json");
        outcome.write(&path).unwrap();
        let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(written, json!({ "engine_ns_per_packet": 41.2346 }));
    }

    #[test]
    fn the_table_is_aligned() {
        let mut outcome = Outcome::default();
        let mut ns = Samples::default();
        ns.push(40.0);
        outcome.row(Row { what: "engine".into(), ns: ns.clone(), ..Row::default() });
        outcome.row(Row { what: "parse-only walk".into(), ns, ..Row::default() });
        let table = outcome.to_string();
        let places: Vec<_> = table.lines().skip(1).map(|line| line.find("40.00")).collect();
        assert!(places[0].is_some());
        assert_eq!(places[0], places[1]);
    }
}
