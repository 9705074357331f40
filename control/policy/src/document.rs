//! A configuration file as text: read within bounds, parsed with positions, and what was found in
//! it.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Checked, Diagnostic, Mistake, Severity};
use crate::limits::MAX_FILE_BYTES;

/// More findings than this are counted, not kept: a file of another kind would make millions of
/// them.
const MAX_FINDINGS: usize = 10_000;

/// Reads the file at `path`, at most [`MAX_FILE_BYTES`] of it.
pub(crate) fn read(path: &Path) -> Result<String, Vec<Diagnostic>> {
    text(path, File::open(path).map_err(|error| unreadable(path, &error))?)
}

/// Like [`read`], for a file that only its owner may read: one with a wider mode than 0600 is
/// refused.
pub(crate) fn read_private(path: &Path) -> Result<String, Vec<Diagnostic>> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    // The mode is that of the file which is open, whatever takes its place meanwhile.
    let mode = file.metadata().map_err(|error| unreadable(path, &error))?.permissions().mode();
    if mode & 0o7777 & !0o600 != 0 {
        let message =
            format!("the file has mode {:04o}: only its owner may read it", mode & 0o7777);
        return Err(whole(path, message, format!("chmod 600 {}", path.display())));
    }
    text(path, file)
}

fn text(path: &Path, file: File) -> Result<String, Vec<Diagnostic>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let remedy = "save the file as UTF-8; is it a configuration file at all?";
        whole(path, format!("byte {valid} is not UTF-8 text"), remedy.into())
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Vec<Diagnostic> {
    let remedy = "check its path and its permissions";
    whole(path, format!("cannot read the file: {error}"), remedy.into())
}

/// A finding about the file as a whole.
fn whole(path: &Path, message: String, remedy: String) -> Vec<Diagnostic> {
    let file = path.display().to_string();
    vec![Diagnostic { severity: Severity::Error, file, line: 0, column: 0, message, remedy }]
}

/// Collects the findings of one file while it is read, each at the byte where it was found.
pub(crate) struct Findings<'t> {
    name: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
    found: RefCell<Vec<Finding>>,
    omitted: Cell<usize>,
    fatal: Cell<bool>,
}

struct Finding {
    severity: Severity,
    offset: usize,
    mistake: Mistake,
}

impl<'t> Findings<'t> {
    /// Parses `text` and hands its root table and an empty collection to `check`; what `check`
    /// makes is returned unless an error was found. Text that is not TOML is not checked further:
    /// what is missing from a broken file says nothing.
    pub(crate) fn check<T>(
        name: &str,
        text: &str,
        check: impl FnOnce(&Findings<'_>, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Result<Checked<T>, Vec<Diagnostic>> {
        let findings = Findings::over(name, text);
        if text.len() as u64 > MAX_FILE_BYTES {
            findings.error(
                0..0,
                Mistake::new(
                    format!("the file is larger than {MAX_FILE_BYTES} bytes"),
                    "split the site, or name networks instead of single addresses",
                ),
            );
            return findings.conclude(None);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let message = format!("not valid TOML: {}", error.message());
            let remedy = "correct the syntax; strings need quotation marks";
            findings.error(error.span().unwrap_or(0..0), Mistake::new(message, remedy));
        }
        if !errors.is_empty() {
            return findings.conclude(None);
        }
        let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
        let value = check(&findings, &root);
        findings.conclude(value)
    }

    /// What `take` makes of the text in spite of its mistakes, of which nothing is told.
    pub(crate) fn salvage<T>(
        name: &str,
        text: &str,
        take: impl FnOnce(&Findings<'_>, &Spanned<DeValue<'_>>) -> T,
    ) -> T {
        let (table, _) = DeTable::parse_recoverable(text);
        let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
        take(&Findings::over(name, text), &root)
    }

    fn over(name: &'t str, text: &'t str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(
                text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1),
            )
            .collect();
        Self {
            name,
            text,
            line_starts,
            found: RefCell::default(),
            omitted: Cell::new(0),
            fatal: Cell::new(false),
        }
    }

    /// Records that the file cannot be used because of what stands at `span`.
    pub(crate) fn error(&self, span: Range<usize>, mistake: Mistake) {
        self.record(Severity::Error, span, mistake);
    }

    /// Whether something was found that keeps the file from being used.
    pub(crate) fn has_errors(&self) -> bool {
        self.fatal.get()
    }

    /// Records that what stands at `span` is probably not what was meant.
    pub(crate) fn warning(&self, span: Range<usize>, mistake: Mistake) {
        self.record(Severity::Warning, span, mistake);
    }

    fn record(&self, severity: Severity, span: Range<usize>, mistake: Mistake) {
        let mut found = self.found.borrow_mut();
        // The first error is always kept, else a file full of warnings would pass.
        let first_error = severity == Severity::Error && !self.fatal.replace(true);
        if found.len() < MAX_FINDINGS || first_error {
            found.push(Finding { severity, offset: span.start, mistake });
        } else {
            self.omitted.set(self.omitted.get() + 1);
        }
    }

    /// The line, from 1, that holds this byte: for findings that name a second place.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The line and the column in characters, both from 1, of this byte.
    pub(crate) fn place(&self, offset: usize) -> (u32, u32) {
        let line = self.line(offset);
        let before = self.text.get(self.line_starts[line - 1]..offset).unwrap_or_default();
        (line as u32, before.chars().count() as u32 + 1)
    }

    /// Sorts the findings into file order and gives them lines and columns. One pass over the text
    /// serves all of them, so that a file of a single long line does not cost its length for each.
    fn conclude<T>(self, value: Option<T>) -> Result<Checked<T>, Vec<Diagnostic>> {
        let mut found = self.found.take();
        found.sort_by_key(|finding| finding.offset);
        let mut diagnostics = Vec::with_capacity(found.len());
        let (mut counted_to, mut column) = (0, 1);
        for finding in found {
            let offset = finding.offset.min(self.text.len());
            let line = self.line(offset);
            let line_start = self.line_starts[line - 1];
            if line_start > counted_to {
                (counted_to, column) = (line_start, 1);
            }
            let between = &self.text.as_bytes()[counted_to..offset];
            column += between.iter().filter(|byte| (*byte & 0xc0) != 0x80).count() as u32;
            counted_to = offset;
            diagnostics.push(Diagnostic {
                severity: finding.severity,
                file: self.name.to_owned(),
                line: line as u32,
                column,
                message: finding.mistake.message,
                remedy: finding.mistake.remedy,
            });
        }
        if self.omitted.get() > 0 {
            diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                file: self.name.to_owned(),
                line: 0,
                column: 0,
                message: format!("{} further findings are not shown", self.omitted.get()),
                remedy: "mend those above and check again".into(),
            });
        }
        match value {
            Some(value) if !self.fatal.get() => Ok(Checked { value, warnings: diagnostics }),
            _ => Err(diagnostics),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(text: &str, offsets: &[usize]) -> Vec<(u32, u32)> {
        let findings = Findings::over("f.toml", text);
        for offset in offsets {
            findings.error(*offset..*offset, Mistake::new("m", "r"));
        }
        let found = findings.conclude::<()>(None).unwrap_err();
        found.iter().map(|diagnostic| (diagnostic.line, diagnostic.column)).collect()
    }

    #[test]
    fn lines_and_columns_count_characters_from_one_in_file_order() {
        let text = "aé = 1\nb = 2\n";
        assert_eq!(text.find('b'), Some(8));
        assert_eq!(positions(text, &[8, 0, 3, 12]), [(1, 1), (1, 3), (2, 1), (2, 5)]);
        assert_eq!(positions(text, &[9_999]), [(3, 1)], "past the end is the end");
    }

    #[test]
    fn every_syntax_error_is_reported_at_its_place() {
        let text = "a = \nb = 1\nc = ]\nb = 2\n";
        let found = Findings::check("f.toml", text, |_, _| Some(())).unwrap_err();
        let lines: Vec<_> = found.iter().map(|diagnostic| diagnostic.line).collect();
        assert_eq!(lines, [1, 3, 4], "{found:?}");
        assert!(found[2].message.contains("duplicate key"), "{}", found[2]);
    }

    #[test]
    fn an_endless_row_of_findings_is_cut_and_says_so_but_never_passes() {
        let findings = Findings::over("f.toml", "x");
        for _ in 0..MAX_FINDINGS + 5 {
            findings.warning(0..0, Mistake::new("m", "r"));
        }
        findings.error(0..0, Mistake::new("the error", "r"));
        let found = findings.conclude(Some(())).unwrap_err();
        assert_eq!(found.len(), MAX_FINDINGS + 2);
        assert!(found.iter().any(|diagnostic| diagnostic.message == "the error"));
        assert!(found.last().unwrap().message.starts_with("5 further"));
    }

    #[test]
    fn a_file_that_cannot_be_read_or_is_not_text_is_named() {
        let missing = read(Path::new("no/such/weir.toml")).unwrap_err();
        assert_eq!((missing[0].file.as_str(), missing[0].line), ("no/such/weir.toml", 0));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capture.pcap");
        std::fs::write(&path, [b'a', 0xd4, 0xc3]).unwrap();
        assert!(read(&path).unwrap_err()[0].message.contains("byte 1 is not UTF-8"));
        std::fs::write(&path, vec![b'#'; MAX_FILE_BYTES as usize + 100]).unwrap();
        let long = read(&path).unwrap();
        assert_eq!(long.len() as u64, MAX_FILE_BYTES + 1, "no more than the bound is read");
        let found = Findings::check("long.toml", &long, |_, _| Some(())).unwrap_err();
        assert!(found[0].message.contains("larger than"));
    }
}
