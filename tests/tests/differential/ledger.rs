//! What was compared, how often the two agreed, and every disagreement.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use crate::field::{ALL, Field};
use crate::limits::{Case, LIMITS};
use crate::oracle::{Oracle, Theirs};
use crate::ours::Ours;

/// The sum over all captures.
#[derive(Default)]
pub(crate) struct Ledger {
    captures: u64,
    frames: u64,
    tables: BTreeMap<Oracle, Table>,
    /// How often each limit explained a disagreement, by its place among them.
    explained: BTreeMap<usize, u64>,
    disagreements: Vec<String>,
}

/// One oracle's part.
#[derive(Default)]
struct Table {
    frames: u64,
    compared: BTreeMap<Field, u64>,
    /// Fields of which a wrong value would have failed the test: in some frame the two agree, and
    /// no limit would have excused it if they did not.
    guarded: BTreeSet<Field>,
}

impl Ledger {
    /// A capture was read that has this many frames.
    pub(crate) fn capture(&mut self, frames: usize) {
        self.captures += 1;
        self.frames += frames as u64;
    }

    /// Something is wrong that no frame shows.
    pub(crate) fn fault(&mut self, what: String) {
        self.disagreements.push(what);
    }

    /// Compares a frame; `place` says which it is.
    pub(crate) fn frame(
        &mut self,
        oracle: Oracle,
        fields: &[Field],
        ours: &Ours,
        theirs: &Theirs,
        place: impl Fn() -> String,
    ) {
        let case = Case { ours, theirs };
        let table = self.tables.entry(oracle).or_default();
        table.frames += 1;
        for field in fields.iter().copied() {
            let (mine, other) = (ours.reading.of(field), theirs.reading.of(field));
            if mine.is_none() && other.is_none() {
                continue;
            }
            *table.compared.entry(field).or_default() += 1;
            let agree = mine == other;
            if agree && table.guarded.contains(&field) {
                continue;
            }
            let limit = LIMITS.iter().position(|limit| limit.explains(oracle, field, &case));
            match (agree, limit) {
                (true, None) => drop(table.guarded.insert(field)),
                (true, Some(_)) => {}
                (false, Some(limit)) => *self.explained.entry(limit).or_default() += 1,
                (false, None) => self.disagreements.push(format!(
                    "{}: {}: weir {}, {oracle} {} (weir {}, {oracle} {})",
                    place(),
                    field.name(),
                    mine.unwrap_or("nothing"),
                    other.unwrap_or("nothing"),
                    ours.layers().join(":"),
                    theirs.layers,
                )),
            }
        }
    }

    /// Whether the two agreed on all that no limit excuses.
    pub(crate) fn agrees(&self) -> bool {
        self.disagreements.is_empty()
    }

    fn sum(&self) -> u64 {
        self.tables.values().flat_map(|table| table.compared.values()).sum()
    }
}

impl Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for disagreement in &self.disagreements {
            writeln!(f, "{disagreement}")?;
        }
        for (oracle, table) in &self.tables {
            let sum: u64 = table.compared.values().sum();
            writeln!(f, "{oracle}: {} frames, {sum} fields", table.frames)?;
            for field in ALL {
                if let Some(count) = table.compared.get(field) {
                    writeln!(f, "  {:<24}{count:>10}", field.name())?;
                }
            }
        }
        writeln!(f, "disagreements that are the oracle's")?;
        for (at, limit) in LIMITS.iter().enumerate() {
            let count = self.explained.get(&at).copied().unwrap_or_default();
            writeln!(f, "{count:>10}  {}: {}", limit.oracle, limit.reason)?;
        }
        writeln!(
            f,
            "{} captures, {} frames and {} fields compared; {} disagreements excused, {} not",
            self.captures,
            self.frames,
            self.sum(),
            self.explained.values().sum::<u64>(),
            self.disagreements.len(),
        )
    }
}
