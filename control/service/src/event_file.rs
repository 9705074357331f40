//! The event file: lines are appended whole or not at all, up to a committed length.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use crate::options::Destination;
use crate::progress::Mark;

/// Where events go.
pub enum EventFile {
    /// Standard output, which can't be taken back after a crash.
    Stdout,
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// The file.
        file: File,
        /// Its place.
        mark: Mark,
        /// Whether nobody but its owner may read it.
        private: bool,
    },
}

impl EventFile {
    /// Opens the file and cuts off what was not committed. A file that is not the
    /// committed one is continued at its end; so is a shorter one.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(destination: &Destination, committed: Option<Mark>) -> io::Result<Self> {
        match destination {
            Destination::Stdout => Ok(Self::Stdout),
            Destination::File(path) => Self::file(path.clone(), committed, false),
        }
    }

    /// The same for a file of mode 0600. One that others could read so far is closed to them.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_private(path: PathBuf, committed: Option<Mark>) -> io::Result<Self> {
        Self::file(path, committed, true)
    }

    fn file(path: PathBuf, committed: Option<Mark>, private: bool) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        if private {
            options.mode(0o600);
        }
        let mut file = options.open(&path)?;
        let metadata = file.metadata()?;
        let (inode, found) = (metadata.ino(), metadata.len());
        let length = committed
            .filter(|mark| mark.inode == inode)
            .map_or(found, |mark| mark.length.min(found));
        if metadata.is_file() {
            if private && metadata.mode() & 0o7777 != 0o600 {
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
        }
        Ok(Self::File { path, file, mark: Mark { inode, length }, private })
    }

    /// The place to commit; none for standard output.
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Self::Stdout => None,
            Self::File { mark, .. } => Some(*mark),
        }
    }

    /// Where events go, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".into(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Appends lines; after an error none of them is in the file.
    ///
    /// # Errors
    /// What the system says, a full disk above all.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::File { file, mark, .. } => {
                let written = file.write_all(lines);
                if written.is_ok() {
                    mark.length += lines.len() as u64;
                } else {
                    // Shortening needs no room on the disk; should it fail all
                    // the same, the next start cuts the file at its mark.
                    let _ = file.set_len(mark.length);
                    file.seek(SeekFrom::Start(mark.length))?;
                }
                written
            }
        }
    }

    /// Opens the path anew if another file stands there now: someone moved the old one away.
    ///
    /// # Errors
    /// What the system says; the old file stays in use.
    pub fn reopen(&mut self) -> io::Result<()> {
        let Self::File { path, mark, private, .. } = self else { return Ok(()) };
        if fs::metadata(&*path).map(|metadata| metadata.ino()).ok() != Some(mark.inode) {
            *self = Self::file(path.clone(), None, *private)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_committed_is_cut_off_and_a_moved_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/eve.json");
        let destination = Destination::File(path.clone());
        let mut events = EventFile::open(&destination, None).unwrap();
        events.append(b"one\n").unwrap();
        let committed = events.mark();
        events.append(b"two\n").unwrap();
        drop(events);
        let mut events = EventFile::open(&destination, committed).unwrap();
        events.append(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nthree\n");

        fs::rename(&path, directory.path().join("old")).unwrap();
        events.append(b"four\n").unwrap();
        events.reopen().unwrap();
        events.append(b"five\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "five\n");
        let old = fs::read_to_string(directory.path().join("old")).unwrap();
        assert_eq!(old, "one\nthree\nfour\n");
        let other = Mark { inode: 0, length: 1 };
        assert_eq!(EventFile::open(&destination, Some(other)).unwrap().mark().unwrap().length, 5);
    }

    #[test]
    fn a_private_file_is_closed_to_others_whoever_made_it() {
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().mode() & 0o7777;
        let fresh = directory.path().join("fresh");
        let mut events = EventFile::open_private(fresh.clone(), None).unwrap();
        events.append(b"one\n").unwrap();
        assert_eq!(mode(&fresh), 0o600);
        fs::rename(&fresh, directory.path().join("old")).unwrap();
        events.reopen().unwrap();
        assert_eq!(mode(&fresh), 0o600);
        let open = directory.path().join("open");
        fs::write(&open, "before\n").unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        let mut events = EventFile::open_private(open.clone(), None).unwrap();
        events.append(b"after\n").unwrap();
        assert_eq!(
            (mode(&open), fs::read_to_string(&open).unwrap()),
            (0o600, "before\nafter\n".into())
        );
    }
}
