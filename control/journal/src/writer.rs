//! Writing: lines are appended whole or not at all, up to what was committed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Mark;
use crate::line::{Head, Line, Note};
use crate::segments::{self, Lines, Segment, path_of};

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a segment, after which the next one begins.
    pub segment_bytes: u64,
    /// Bytes of all segments, beyond which the oldest are removed.
    pub total_bytes: u64,
    /// Segments that were not written for so long are removed.
    pub age: Duration,
}

/// A journal that is written. One process at a time may do so.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    limits: Limits,
    file: File,
    /// The first sequence of the segment that is written, and its bytes.
    segment: u64,
    length: u64,
    /// The last line that is in the file, and the last one in all.
    written: Head,
    head: Head,
    pending: Vec<u8>,
    /// Files that may go once their removal is committed.
    leaving: Vec<PathBuf>,
}

impl Journal {
    /// Opens or makes the journal in `directory`, which nobody else may read, and cuts off what was
    /// not committed. Where less is there than was committed, a line says so.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(directory: &Path, limits: Limits, committed: Option<Mark>) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let all = segments::list(directory)?;
        let whole = committed.filter(|mark| {
            all.iter().any(|one| one.first == mark.segment && one.length >= mark.length)
        });
        let found = match whole {
            Some(mark) => {
                for later in all.iter().filter(|one| one.first > mark.segment) {
                    fs::remove_file(&later.path)?;
                }
                Some(mark)
            }
            None => last_line(&all)?,
        };
        let head = found.map(|mark| mark.head).unwrap_or_default();
        let expected = committed.map(|mark| mark.head).unwrap_or_default();
        let lost = expected.sequence.saturating_sub(head.sequence);
        let mut journal = match found {
            Some(mark) => {
                let file = open_file(&path_of(directory, mark.segment))?;
                file.set_len(mark.length)?;
                Self::over(directory, limits, file, mark)?
            }
            // Whatever lies there holds no line, and new ones are not mixed with it.
            None => {
                let behind = all.last().map_or(0, |one| one.first).max(expected.sequence);
                Self::begin(directory, limits, Head { sequence: behind, ..expected })?
            }
        };
        if lost > 0 {
            journal.head.sequence = journal.head.sequence.max(expected.sequence);
            journal.append(&Note::Lost { after: head.sequence, lines: lost }.payload());
            journal.write()?;
        }
        Ok(journal)
    }

    fn over(directory: &Path, limits: Limits, mut file: File, mark: Mark) -> io::Result<Self> {
        file.seek(SeekFrom::Start(mark.length))?;
        Ok(Self {
            directory: directory.to_owned(),
            limits,
            file,
            segment: mark.segment,
            length: mark.length,
            written: mark.head,
            head: mark.head,
            pending: Vec::new(),
            leaving: Vec::new(),
        })
    }

    fn begin(directory: &Path, limits: Limits, after: Head) -> io::Result<Self> {
        let (file, mark) = new_segment(directory, after)?;
        Self::over(directory, limits, file, mark)
    }

    /// Takes a payload of one line in; it is in the file after [`Journal::write`]. What follows a
    /// line break is left out.
    pub fn append(&mut self, payload: &[u8]) {
        let payload = payload.split(|byte| *byte == b'\n').next().unwrap_or_default();
        self.head = self.head.after(self.head.sequence + 1, payload);
        Line { head: self.head, payload }.write(&mut self.pending);
    }

    /// Writes what was taken in; after an error none of it is in the file, and all of it waits.
    ///
    /// # Errors
    /// What the system says, a full disk above all.
    pub fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            // Shortening needs no room on the disk; should it fail all the same, the next start
            // cuts the file at its mark.
            let _ = self.file.set_len(self.length);
            self.file.seek(SeekFrom::Start(self.length))?;
            return Err(error);
        }
        self.length += self.pending.len() as u64;
        self.written = self.head;
        self.pending.clear();
        if self.length >= self.limits.segment_bytes
            // Where there is no room for another file, this one grows on.
            && let Ok((file, mark)) = new_segment(&self.directory, self.head)
        {
            self.file = file;
            (self.segment, self.length) = (mark.segment, mark.length);
            (self.written, self.head) = (mark.head, mark.head);
        }
        Ok(())
    }

    /// Has the system bring what is written to the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Takes back what was written behind a mark of the segment that is written, as far as that is
    /// possible: else it stays, as what was written before a crash and never committed does until
    /// the next start.
    pub fn rewind(&mut self, mark: Mark) {
        self.pending.clear();
        if mark.segment == self.segment && self.file.set_len(mark.length).is_ok() {
            (self.length, self.written) = (mark.length, mark.head);
        }
        let _ = self.file.seek(SeekFrom::Start(self.length));
        self.head = self.written;
    }

    /// Gives up what was not written.
    pub fn give_up(&mut self) {
        self.pending.clear();
        self.head = self.written;
    }

    /// Whether nothing waits to be written.
    pub fn is_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// The place to commit.
    pub fn mark(&self) -> Mark {
        Mark { head: self.written, segment: self.segment, length: self.length }
    }

    /// The directory, for messages.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Chooses the oldest segments to remove if there is too much, or if they are too old at `now`,
    /// and takes in a line that says so. They go with [`Journal::committed`].
    ///
    /// # Errors
    /// What the system says.
    pub fn retain(&mut self, now: SystemTime) -> io::Result<()> {
        let all = segments::list(&self.directory)?;
        let mut total: u64 = all.iter().map(|one| one.length).sum();
        let mut leaving: Vec<&Segment> = Vec::new();
        let mut next = None;
        for pair in all.windows(2) {
            let [old, newer] = pair else { break };
            let written = fs::metadata(&old.path)?.modified()?;
            let is_old = now.duration_since(written).is_ok_and(|age| age > self.limits.age);
            if total <= self.limits.total_bytes && !is_old {
                break;
            }
            total -= old.length;
            leaving.push(old);
            next = Some(newer);
        }
        let (Some(first), Some(newer)) = (leaving.first(), next) else { return Ok(()) };
        // A segment that does not say what was before it stays until somebody has looked at it.
        let Some(to) = beginning(newer)? else { return Ok(()) };
        self.leaving = leaving.iter().map(|one| one.path.clone()).collect();
        self.append(&Note::Removed { from: first.first, to }.payload());
        Ok(())
    }

    /// What was written is committed: segments whose removal is told of may go.
    ///
    /// # Errors
    /// What the system says; what could not be removed is chosen again.
    pub fn committed(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.leaving).iter().try_for_each(fs::remove_file)
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Makes the segment behind a head, and its first line.
fn new_segment(directory: &Path, after: Head) -> io::Result<(File, Mark)> {
    let payload = Note::Segment { after }.payload();
    let head = after.after(after.sequence + 1, &payload);
    let mut bytes = Vec::new();
    Line { head, payload: &payload }.write(&mut bytes);
    let path = path_of(directory, head.sequence);
    let mut file = open_file(&path)?;
    let begun = file.set_len(0).and_then(|()| file.write_all(&bytes));
    if let Err(error) = begun {
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok((file, Mark { head, segment: head.sequence, length: bytes.len() as u64 }))
}

/// What a segment says was before it.
fn beginning(segment: &Segment) -> io::Result<Option<Head>> {
    let mut lines = Lines::open(&segment.path)?;
    let line = lines.next()?.and_then(|(line, _)| Line::read(line));
    Ok(line.and_then(|line| match Note::of(line.payload) {
        Some(Note::Segment { after }) => Some(after),
        _ => None,
    }))
}

/// The last line that is whole, and where it ends.
fn last_line(all: &[Segment]) -> io::Result<Option<Mark>> {
    for segment in all.iter().rev() {
        let mut lines = Lines::open(&segment.path)?;
        let (mut at, mut last) = (0, None);
        while let Some((line, has_end)) = lines.next()? {
            at += line.len() as u64 + u64::from(has_end);
            if let Some(line) = Line::read(line).filter(|_| has_end) {
                last = Some(Mark { head: line.head, segment: segment.first, length: at });
            }
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}
