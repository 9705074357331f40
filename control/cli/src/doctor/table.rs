//! Findings as people read them.

use std::fmt;

use super::finding::{Finding, Status};

/// A table of findings; what is not as it should be has its reason and remedy below it.
pub(crate) struct Table<'a> {
    pub(crate) findings: &'a [Finding],
    pub(crate) colours: bool,
}

impl Table<'_> {
    fn paint(&self, status: Status) -> (&'static str, &'static str) {
        let colour = match status {
            Status::Ok => "\x1b[32m",
            Status::Unknown => "\x1b[36m",
            Status::Warning => "\x1b[33m",
            Status::Error => "\x1b[31m",
        };
        if self.colours { (colour, "\x1b[0m") } else { ("", "") }
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
        for finding in self.findings {
            let (on, off) = self.paint(finding.status);
            let status = finding.status.name();
            writeln!(f, "{on}{status:7}{off}  {:wide$}  {}", finding.check, finding.found)?;
            if finding.status == Status::Ok {
                continue;
            }
            writeln!(f, "{:7}  {:wide$}  why:  {}", "", "", finding.why)?;
            if let Some(mend) = &finding.mend {
                writeln!(f, "{:7}  {:wide$}  mend: {mend}", "", "")?;
            }
        }
        let count = |status| self.findings.iter().filter(|found| found.status == status).count();
        let (errors, warnings) = (count(Status::Error), count(Status::Warning));
        write!(f, "\n{errors} errors, {warnings} warnings, {} unknown", count(Status::Unknown))
    }
}
