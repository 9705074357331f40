//! The files of a journal, in order.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".journal";

/// A file of the journal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Segment {
    /// The sequence of its first line.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
}

/// Where the segment that begins with a sequence lies.
pub(crate) fn path_of(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}{SUFFIX}"))
}

/// The segments of a directory, the oldest first. Other files are left alone.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(first) =
            number.filter(|name| name.len() == 20).and_then(|name| name.parse().ok())
        {
            segments.push(Segment { first, path: entry.path(), length: entry.metadata()?.len() });
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Lines are never longer: what claims to be is damage, and read in pieces.
pub(crate) const LONGEST: usize = 1 << 22;

/// Reads a segment line by line. The last line may have no end.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl Lines<BufReader<fs::File>> {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            reader: BufReader::with_capacity(1 << 18, fs::File::open(path)?),
            line: Vec::new(),
        })
    }
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end, and whether it has one.
    pub(crate) fn next(&mut self) -> io::Result<Option<(&[u8], bool)>> {
        self.line.clear();
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok((!self.line.is_empty()).then_some((self.line.as_slice(), false)));
            }
            let room = LONGEST - self.line.len();
            let chunk = &chunk[..chunk.len().min(room)];
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.line.extend_from_slice(&chunk[..end.unwrap_or(taken)]);
            self.reader.consume(taken);
            if end.is_some() || self.line.len() >= LONGEST {
                return Ok(Some((self.line.as_slice(), true)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stand_in_order_and_other_files_are_none() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["00000000000000000101.journal", "00000000000000000001.journal", "1.journal", "x"]
        {
            fs::write(directory.path().join(name), "ab").unwrap();
        }
        let found = list(directory.path()).unwrap();
        assert_eq!(
            found.iter().map(|one| (one.first, one.length)).collect::<Vec<_>>(),
            [(1, 2), (101, 2)]
        );
        assert_eq!(found[1].path, path_of(directory.path(), 101));
    }

    #[test]
    fn a_line_without_an_end_is_told_apart_and_none_is_endless() {
        let mut lines = Lines { reader: &b"one\n\ntwo"[..], line: Vec::new() };
        assert_eq!(lines.next().unwrap(), Some((&b"one"[..], true)));
        assert_eq!(lines.next().unwrap(), Some((&b""[..], true)));
        assert_eq!(lines.next().unwrap(), Some((&b"two"[..], false)));
        assert_eq!(lines.next().unwrap(), None);
        let long = vec![b'x'; LONGEST + 5];
        let mut lines = Lines { reader: &long[..], line: Vec::new() };
        assert_eq!(lines.next().unwrap().map(|(line, _)| line.len()), Some(LONGEST));
        assert_eq!(lines.next().unwrap().map(|(line, _)| line.len()), Some(5));
    }
}
