//! The event file: lines are appended whole or not at all, up to a committed length.
//!
//! [`EventFile::prepare`] and [`EventFile::turn`] put a file that became too large aside. In between the
//! next file's place is committed, so that at every moment the file at the path is either the committed
//! one, or one of which all is committed: a crash neither loses nor repeats a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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

    /// Whether so many bytes are in the file that it is to be put aside. Only a plain file that
    /// still stands at its path is: not a pipe, a link, or what someone moved away.
    pub fn is_full(&self, max_bytes: u64) -> bool {
        let Self::File { path, mark, .. } = self else { return false };
        mark.length >= max_bytes
            && fs::symlink_metadata(path)
                .is_ok_and(|metadata| metadata.is_file() && metadata.ino() == mark.inode)
    }

    /// Makes the file that comes next, empty and beside this one. All of this one has to be committed
    /// before, and the next one's place before [`turn`](Self::turn).
    ///
    /// # Errors
    /// What the system says; nothing has changed then.
    pub fn prepare(&self) -> io::Result<Option<NextFile>> {
        let Self::File { path, file, .. } = self else { return Ok(None) };
        let beside = numbered(path, "next");
        let permissions = file.metadata()?.permissions();
        // What a crash left there is empty, since nothing is written before the turn.
        let _ = fs::remove_file(&beside);
        let mut options = OpenOptions::new();
        let next = options.create_new(true).write(true).mode(0o600).open(&beside)?;
        next.set_permissions(permissions)?;
        let mark = Mark { inode: next.metadata()?.ino(), length: 0 };
        Ok(Some(NextFile { path: beside, file: next, mark }))
    }

    /// Puts this file aside as `.1`, what was there before as `.2` and so on up to `keep`, and goes on
    /// in the next one.
    ///
    /// # Errors
    /// What the system says; the old file stays in use.
    pub fn turn(&mut self, next: NextFile, keep: u32) -> io::Result<()> {
        let Self::File { path, file, mark, .. } = self else { return Ok(()) };
        let place = |number: u32| numbered(path, &number.to_string());
        // A gap that a crash left takes up what stands before it: nothing is given up for it.
        let last = (1..keep).find(|number| !place(*number).exists()).unwrap_or(keep);
        for number in (1..last).rev() {
            fs::rename(place(number), place(number + 1))?;
        }
        fs::rename(&*path, place(1))?;
        if let Err(error) = fs::rename(&next.path, &*path) {
            // Without a name the next file would be lost; the old one takes its own back.
            fs::rename(place(1), &*path)?;
            return Err(error);
        }
        (*file, *mark) = (next.file, next.mark);
        Ok(())
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

/// The file that comes next.
#[derive(Debug)]
pub struct NextFile {
    path: PathBuf,
    file: File,
    mark: Mark,
}

impl NextFile {
    /// Its place, to be committed before the turn.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Takes it back.
    pub fn drop_it(self) {
        // The next attempt removes it otherwise.
        let _ = fs::remove_file(&self.path);
    }
}

fn numbered(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(events: &mut EventFile, keep: u32) {
        let next = events.prepare().unwrap().unwrap();
        events.turn(next, keep).unwrap();
    }

    #[test]
    fn full_files_are_put_aside_and_the_oldest_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
        let mut events = EventFile::open(&Destination::File(path.clone()), None).unwrap();
        for line in ["a\n", "b\n", "c\n", "d\n"] {
            assert!(!events.is_full(2));
            events.append(line.as_bytes()).unwrap();
            assert!(events.is_full(2) && !events.is_full(3));
            turned(&mut events, 2);
        }
        assert_eq!((read("eve.json"), read("eve.json.1")), (Some("".into()), Some("d\n".into())));
        assert_eq!((read("eve.json.2"), read("eve.json.3")), (Some("c\n".into()), None));
        // A gap is filled, and what stands behind it stays.
        fs::remove_file(directory.path().join("eve.json.1")).unwrap();
        events.append(b"e\n").unwrap();
        turned(&mut events, 2);
        assert_eq!(
            (read("eve.json.1"), read("eve.json.2")),
            (Some("e\n".into()), Some("c\n".into()))
        );
    }

    #[test]
    fn a_crash_at_any_step_of_a_turn_loses_and_repeats_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        let destination = Destination::File(path.clone());
        let again = |committed: Mark| EventFile::open(&destination, Some(committed)).unwrap();
        let mut events = EventFile::open(&destination, None).unwrap();
        events.append(b"one\n").unwrap();
        let old = events.mark().unwrap();
        // Prepared, and the next place not committed yet.
        let next = events.prepare().unwrap().unwrap().mark();
        assert_eq!(again(old).mark(), Some(old));
        // Committed, and nothing renamed yet: the old file is whole.
        assert_eq!(again(next).mark(), Some(old));
        // The old one is away, and the next one not in its place.
        fs::rename(&path, directory.path().join("eve.json.1")).unwrap();
        let mut after = again(next);
        assert_eq!(after.mark().unwrap().length, 0);
        after.append(b"two\n").unwrap();
        // What lies around from before is no hindrance.
        let committed = after.mark().unwrap();
        turned(&mut after, 3);
        after.append(b"lost\n").unwrap();
        assert_ne!(after.mark().unwrap().inode, committed.inode);
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((read("eve.json.2"), read("eve.json.1")), ("one\n".into(), "two\n".into()));
        // Turned, with its first line not committed.
        let turned = Mark { length: 0, ..after.mark().unwrap() };
        assert_eq!(again(turned).mark(), Some(turned));
        assert_eq!(read("eve.json"), "");
    }

    #[test]
    fn what_is_no_plain_file_at_its_place_is_never_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        let mut events = EventFile::open(&Destination::File(path.clone()), None).unwrap();
        events.append(b"one\n").unwrap();
        fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        assert!(!events.is_full(1), "moved away");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        let mut linked = EventFile::open(&Destination::File(path.clone()), None).unwrap();
        linked.append(b"two\n").unwrap();
        assert!(!linked.is_full(1), "a link");
        let mut null = EventFile::open(&Destination::File("/dev/null".into()), None).unwrap();
        null.append(b"three\n").unwrap();
        assert!(!null.is_full(1), "a device");
        assert!(!EventFile::Stdout.is_full(0));
    }

    #[test]
    fn the_next_file_is_as_closed_as_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().mode() & 0o7777;
        let (secret, open) = (directory.path().join("secret"), directory.path().join("open"));
        let mut events = EventFile::open_private(secret.clone(), None).unwrap();
        turned(&mut events, 1);
        assert_eq!((mode(&secret), mode(&numbered(&secret, "1"))), (0o600, 0o600));
        let mut events = EventFile::open(&Destination::File(open.clone()), None).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).unwrap();
        turned(&mut events, 1);
        assert_eq!(mode(&open), 0o640);
    }

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
