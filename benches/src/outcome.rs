//! What came out: a table for people, on a terminal and as Markdown, and JSON for machines.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::plot;
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
    /// Whether it is somebody else's program.
    pub is_peer: bool,
}

/// Subjects that belong together.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What they have in common.
    pub title: String,
    /// One line each.
    pub rows: Vec<Row>,
    /// Sentences below.
    pub lines: Vec<String>,
}

/// All results.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    sections: Vec<Section>,
    figures: Map<String, Value>,
}

impl Outcome {
    /// Begins a section, to which rows and sentences go from now on.
    pub fn section(&mut self, title: &str) {
        self.sections.push(Section { title: title.into(), ..Section::default() });
    }

    fn open(&mut self) -> &mut Section {
        if self.sections.is_empty() {
            self.sections.push(Section::default());
        }
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// Adds a line to the table.
    pub fn row(&mut self, row: Row) {
        self.open().rows.push(row);
    }

    /// Adds a sentence below the section's rows.
    pub fn line(&mut self, line: String) {
        self.open().lines.push(line);
    }

    /// Says, at once and below the section's rows, what is not measured, and what to do about it.
    pub fn absent(&mut self, what: &str, remedy: &str) {
        eprintln!("weir-bench: no {what}: {remedy}");
        self.line(format!("absent: {what}: {remedy}"));
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

    /// The sections in their order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Writes the figures to `path`, the table as Markdown and the plot beside it, and makes the
    /// folder if it is missing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let json = format!("{:#}\n", Value::Object(self.figures.clone()));
        write(path, &json)?;
        write(&path.with_extension("md"), &self.markdown())?;
        write(&path.with_extension("svg"), &plot::svg(&self.sections))
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            if !section.title.is_empty() {
                text += &format!("## {}\n\n", section.title);
            }
            if !section.rows.is_empty() {
                text += &format!("| | {} |\n|---|---:|---:|---:|---:|---|\n", HEADER.join(" | "));
            }
            for row in &section.rows {
                text += &format!("| {} | {} |\n", row.what, row.cells().join(" | "));
            }
            for (n, line) in section.lines.iter().enumerate() {
                let blank = if n == 0 && !section.rows.is_empty() { "\n" } else { "" };
                text += &format!("{blank}- {line}\n");
            }
            text.push('\n');
        }
        text
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .with_context(|| format!("can't write {}", path.display()))
}

const HEADER: [&str; 5] = ["ns/packet", "min–max", "instructions", "allocations", "ratio"];

impl Row {
    /// What stands under the header.
    fn cells(&self) -> [String; 5] {
        let number = |value: Option<f64>, digits| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        [
            number(Some(self.ns.median()), 2),
            format!("{:.2}–{:.2}", self.ns.min(), self.ns.max()),
            number(self.instructions, 1),
            number(self.allocations, 4),
            self.ratio.map_or(String::new(), |(times, of)| format!("{times:.2} × {of}")),
        ]
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        let width = rows.map(|row| row.what.chars().count()).max().unwrap_or(0);
        let line = |what: &str, [ns, spread, instructions, allocations, ratio]: [&str; 5]| {
            format!(
                "{what:width$}  {ns:>9}  {spread:>19}  {instructions:>12}  {allocations:>11}  {ratio}"
            )
        };
        writeln!(f, "{}", line("", HEADER).trim_end())?;
        for section in &self.sections {
            if !section.title.is_empty() {
                writeln!(f, "\n{}", section.title)?;
            }
            for row in &section.rows {
                let cells = row.cells();
                let cells = cells.each_ref().map(String::as_str);
                writeln!(f, "{}", line(&row.what, cells).trim_end())?;
            }
            section.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        }
        Ok(())
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
    fn sections_keep_their_rows_and_sentences_in_markdown() {
        let mut outcome = Outcome::default();
        let mut ns = Samples::default();
        ns.push(40.0);
        outcome.section("Packet path");
        outcome.row(Row {
            what: "engine".into(),
            ns,
            ratio: Some((3.5, "parse")),
            ..Row::default()
        });
        outcome.section("Captures");
        outcome.absent("tcpdump", "install package tcpdump");
        let expected = "\
## Packet path

| | ns/packet | min–max | instructions | allocations | ratio |
|---|---:|---:|---:|---:|---|
| engine | 40.00 | 40.00–40.00 |  |  | 3.50 × parse |

## Captures

- absent: tcpdump: install package tcpdump

";
        assert_eq!(outcome.markdown(), expected);
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
