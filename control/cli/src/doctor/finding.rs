//! What a check found.

use serde::Serialize;

/// How bad it is; the worst is the greatest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// The machine does not tell.
    Unknown,
    /// It runs, slower or with losses.
    Warning,
    /// It can't run as configured.
    Error,
}

impl Status {
    /// As tables and JSON write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Unknown => "unknown",
            Status::Warning => "warning",
            Status::Error => "error",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    pub(crate) status: Status,
    /// What was found.
    pub(crate) found: String,
    /// Why it matters, in one clause.
    pub(crate) why: &'static str,
    /// The command that mends it, on Debian and Ubuntu; never run from here.
    pub(crate) mend: Option<String>,
}

/// A thing to look at, and why it matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

impl Check {
    pub(crate) fn ok(self, found: impl Into<String>) -> Finding {
        self.finding(Status::Ok, found.into(), None)
    }

    /// What can't be read; `mend` is how to look for it by hand, where there is a way.
    pub(crate) fn unknown(self, found: impl Into<String>, mend: Option<String>) -> Finding {
        self.finding(Status::Unknown, found.into(), mend)
    }

    pub(crate) fn warning(self, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        self.finding(Status::Warning, found.into(), Some(mend.into()))
    }

    pub(crate) fn error(self, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        self.finding(Status::Error, found.into(), Some(mend.into()))
    }

    fn finding(self, status: Status, found: String, mend: Option<String>) -> Finding {
        Finding { check: self.name, status, found, why: self.why, mend }
    }
}
