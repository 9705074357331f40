//! Why the process does not start, or not go on: what; where; what to do.

use std::fmt;

use weir_policy::Diagnostic;

/// A reason, as it stands on standard error: one line, or one for each mistake of a file.
#[derive(Debug)]
pub struct Refusal {
    lines: Vec<String>,
}

impl Refusal {
    /// One reason.
    pub fn new(what: &str, place: &str, remedy: &str) -> Self {
        Self { lines: vec![format!("error: {what}; {place}; {remedy}")] }
    }

    /// The mistakes of a file.
    pub fn files(diagnostics: Vec<Diagnostic>) -> Self {
        Self { lines: diagnostics.iter().map(ToString::to_string).collect() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for Refusal {}
