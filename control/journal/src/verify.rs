//! Reading a journal to see whether anything was removed or altered.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::line::{Head, Line, Note};
use crate::segments::{self, Lines, Segment};

/// Faults that are listed; more are counted.
const LISTED: usize = 100;

/// What is wrong at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// The line can't be read: octets of it changed, by the disk or by somebody.
    Damaged,
    /// The line is whole in itself and does not follow from the one before: one of them was altered.
    Altered,
    /// Lines are not there.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Lines stand in another order, or twice.
    Misplaced,
    /// Another line than the one whose head was noted, or none: the end was cut off, or all from
    /// there on was written anew.
    Anchor(Head),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the line is damaged"),
            Self::Altered => {
                f.write_str("the line does not follow from the one before: one of both was altered")
            }
            Self::Missing { from, to } if from == to => write!(f, "line {from} is missing"),
            Self::Missing { from, to } => write!(f, "lines {from} to {to} are missing"),
            Self::Misplaced => f.write_str("the line stands at a wrong place, or twice"),
            Self::Anchor(head) => write!(
                f,
                "line {} is not the one that was noted: the journal was cut off or written anew",
                head.sequence
            ),
        }
    }
}

/// A fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What a journal holds, and what is wrong with it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Files.
    pub segments: usize,
    /// Lines that are whole.
    pub lines: u64,
    /// The first line's sequence; 0 if there is none.
    pub first: u64,
    /// The last line.
    pub head: Head,
    /// Lines that were removed for age or room, as the journal itself says.
    pub removed: u64,
    /// Missing lines of which the journal itself says that the disk lost them.
    pub lost: u64,
    /// Whether the last line is being written, or was when the power failed.
    pub unfinished: bool,
    /// What is wrong, at most 100 of them.
    pub faults: Vec<Fault>,
    /// Faults in all.
    pub fault_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.fault_count == 0
    }

    fn blame(&mut self, file: &Path, line: u64, kind: FaultKind) {
        self.fault_count += 1;
        if self.faults.len() < LISTED {
            self.faults.push(Fault { file: file.to_owned(), line, kind });
        }
    }
}

/// Goes through a journal. `anchors` are heads that were noted elsewhere; `progress` is told how
/// many bytes of how many are read.
///
/// # Errors
/// What the system says: files that can't be read.
pub fn verify(
    directory: &Path,
    anchors: &[Head],
    progress: &mut dyn FnMut(u64, u64),
) -> io::Result<Report> {
    let all = segments::list(directory)?;
    let total = all.iter().map(|one| one.length).sum();
    let mut walk = Walk {
        anchors,
        report: Report::default(),
        last: None,
        damaged: 0,
        beginning: Head::default(),
        removed: Head::default(),
    };
    let mut read = 0;
    for (place, segment) in all.iter().enumerate() {
        let mut each = |bytes| {
            read += bytes;
            progress(read, total);
        };
        walk.segment(segment, place + 1 == all.len(), &mut each)?;
    }
    Ok(walk.end(directory, all.first()))
}

struct Walk<'a> {
    anchors: &'a [Head],
    report: Report,
    last: Option<Head>,
    /// Damaged lines since the last whole one: they take the place of missing ones.
    damaged: u64,
    /// What the first segment says was before it.
    beginning: Head,
    /// The furthest line of which the journal says that it was removed.
    removed: Head,
}

impl Walk<'_> {
    fn segment(
        &mut self,
        segment: &Segment,
        is_last: bool,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        self.report.segments += 1;
        let mut lines = Lines::open(&segment.path)?;
        let (mut number, mut read) = (0, 0);
        while let Some((line, has_end)) = lines.next()? {
            number += 1;
            read += line.len() as u64 + 1;
            if number % 4096 == 0 {
                progress(std::mem::take(&mut read));
            }
            match Line::read(line) {
                Some(line) if has_end => self.line(segment, number, &line),
                _ if is_last && !has_end => self.report.unfinished = true,
                _ => {
                    self.damaged += 1;
                    self.report.blame(&segment.path, number, FaultKind::Damaged);
                }
            }
        }
        progress(read);
        Ok(())
    }

    fn line(&mut self, segment: &Segment, number: u64, line: &Line<'_>) {
        let note = Note::of(line.payload);
        let sequence = line.head.sequence;
        let before = match (&note, self.last) {
            // The first line of all says itself what was before it.
            (Some(Note::Segment { after }), None) => *after,
            (_, last) => last.unwrap_or_default(),
        };
        if sequence <= before.sequence {
            self.report.blame(&segment.path, number, FaultKind::Misplaced);
            return;
        }
        let (gap, damaged) = (sequence - before.sequence - 1, std::mem::take(&mut self.damaged));
        if gap > damaged {
            let kind = FaultKind::Missing { from: before.sequence + 1, to: sequence - 1 };
            self.report.blame(&segment.path, number, kind);
        } else if gap == 0 && before.after(sequence, line.payload) != line.head {
            self.report.blame(&segment.path, number, FaultKind::Altered);
        }
        match note {
            Some(Note::Removed { to, .. }) if to.sequence > self.removed.sequence => {
                self.removed = to;
            }
            Some(Note::Lost { lines, .. }) => self.report.lost += lines,
            _ => {}
        }
        for anchor in self.anchors.iter().filter(|anchor| anchor.sequence == sequence) {
            if anchor.hash != line.head.hash {
                self.report.blame(&segment.path, number, FaultKind::Anchor(*anchor));
            }
        }
        if self.report.first == 0 {
            self.report.first = sequence;
            self.beginning = before;
        }
        self.report.lines += 1;
        self.last = Some(line.head);
    }

    /// What only the whole shows.
    fn end(mut self, directory: &Path, oldest: Option<&Segment>) -> Report {
        self.report.head = self.last.unwrap_or_default();
        let file = oldest.map_or(directory, |segment| &segment.path).to_owned();
        // Only lines that the journal says it removed may be away.
        let (gone, told) = (self.beginning.sequence, self.removed);
        self.report.removed = gone.min(told.sequence);
        if gone > told.sequence {
            let kind = FaultKind::Missing { from: told.sequence + 1, to: gone };
            self.report.blame(&file, 1, kind);
        } else if gone > 0 && gone == told.sequence && self.beginning != told {
            self.report.blame(&file, 1, FaultKind::Altered);
        }
        for anchor in self.anchors {
            if anchor.sequence > self.report.head.sequence {
                self.report.blame(&file, 0, FaultKind::Anchor(*anchor));
            }
        }
        self.report
    }
}
