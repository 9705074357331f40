//! What is wrong with a file, where, and what to do about it.

use std::fmt;

/// Whether a finding stops the file from being used.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not say what was meant.
    Warning,
}

/// One finding in one file. Displays as `error: what; where; what to do`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// Whether the file can be used in spite of it.
    pub severity: Severity,
    /// The file, as it was named by whoever asked for it.
    pub file: String,
    /// Line, from 1; 0 when the finding is about the file as a whole (it cannot be read, say).
    pub line: u32,
    /// Column in characters, from 1; 0 when `line` is.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}; {}", self.message, self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, "; {}", self.remedy)
    }
}

/// A finding before it has a place: what is wrong with a piece of text on its own.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Mistake {
    /// States what is wrong and what to do.
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// A value that passed every check, with what is still worth saying about its file.
#[derive(Clone, Debug)]
pub struct Checked<T> {
    /// What the file says.
    pub value: T,
    /// Findings that do not stop the file from being used, in file order.
    pub warnings: Vec<Diagnostic>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_what_where_and_remedy_in_that_order() {
        let mut diagnostic = Diagnostic {
            severity: Severity::Error,
            file: "a.toml".into(),
            line: 3,
            column: 7,
            message: "no such link".into(),
            remedy: "write `n3`".into(),
        };
        assert_eq!(diagnostic.to_string(), "error: no such link; a.toml:3:7; write `n3`");
        diagnostic.severity = Severity::Warning;
        diagnostic.line = 0;
        assert_eq!(diagnostic.to_string(), "warning: no such link; a.toml; write `n3`");
    }
}
