//! How many captures there may be: by their bytes, by their age, and by how fast they come.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io};

/// Captures that may begin at once, and how long one more takes to come.
const AT_ONCE: u32 = 1_000;
const ONE_MORE: Duration = Duration::from_millis(10);

/// Bounds of the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of all captures together.
    pub bytes: u64,
    /// For how long they are kept after they were written last.
    pub age: Duration,
    /// Whether captures may begin only so fast: not in a replay, which is to be the same every time.
    pub is_paced: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 30, age: Duration::from_secs(90 * 86_400), is_paced: true }
    }
}

/// Why a capture is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gone {
    /// It was removed: others needed the room.
    Size = 0,
    /// It was removed: it was too old.
    Age = 1,
    /// It was never written: too many came at once.
    Rate = 2,
    /// It could not be written.
    Failed = 3,
    /// Frames of it that waited for the alert's next event, and were given up or went with the process.
    Waiting = 4,
}

impl Gone {
    /// Every reason, in the order of its counter.
    pub const ALL: [Gone; 5] = [Gone::Size, Gone::Age, Gone::Rate, Gone::Failed, Gone::Waiting];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Gone::Size => "size",
            Gone::Age => "age",
            Gone::Rate => "rate",
            Gone::Failed => "failed",
            Gone::Waiting => "waiting",
        }
    }
}

/// What lies in the directory, the oldest first.
#[derive(Debug)]
pub struct Room {
    limits: Limits,
    order: BTreeMap<(SystemTime, u64), PathBuf>,
    files: HashMap<PathBuf, ((SystemTime, u64), u64)>,
    bytes: u64,
    turn: u64,
    gone: [u64; Gone::ALL.len()],
    tokens: u32,
    refilled: Instant,
}

impl Room {
    /// Looks at what is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(directories: &[&Path], limits: Limits) -> io::Result<Self> {
        let mut room = Self {
            limits,
            order: BTreeMap::new(),
            files: HashMap::new(),
            bytes: 0,
            turn: 0,
            gone: [0; Gone::ALL.len()],
            tokens: AT_ONCE,
            refilled: Instant::now(),
        };
        for directory in directories {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let path = entry.path();
                if path.extension().is_some_and(|it| it == "pcapng") {
                    let about = entry.metadata()?;
                    room.put(path, about.modified()?, about.len());
                }
            }
        }
        Ok(room)
    }

    fn put(&mut self, path: PathBuf, time: SystemTime, bytes: u64) {
        self.turn += 1;
        let key = (time, self.turn);
        if let Some((before, had)) = self.files.insert(path.clone(), (key, bytes)) {
            self.order.remove(&before);
            self.bytes -= had;
        }
        self.bytes += bytes;
        self.order.insert(key, path);
    }

    /// Whether one more capture may begin; if not, it is counted.
    pub fn admits(&mut self) -> bool {
        if !self.limits.is_paced {
            return true;
        }
        let more = (self.refilled.elapsed().as_nanos() / ONE_MORE.as_nanos()) as u32;
        if more > 0 {
            self.refilled = Instant::now();
            self.tokens = self.tokens.saturating_add(more).min(AT_ONCE);
        }
        if self.tokens == 0 {
            self.gone[Gone::Rate as usize] += 1;
            return false;
        }
        self.tokens -= 1;
        true
    }

    /// A capture has so many bytes now. Others give way if there are too many in all.
    pub fn grew(&mut self, path: &Path, bytes: u64) {
        self.put(path.to_owned(), SystemTime::now(), bytes);
        while self.bytes > self.limits.bytes && self.files.len() > 1 {
            self.remove_oldest(Gone::Size);
        }
    }

    fn remove_oldest(&mut self, why: Gone) {
        let Some((_, path)) = self.order.pop_first() else { return };
        if let Some((_, bytes)) = self.files.remove(&path) {
            self.bytes -= bytes;
        }
        // Whoever removed it before did what is to be done.
        let _ = fs::remove_file(&path);
        self.gone[why as usize] += 1;
    }

    /// Removes what is too old.
    pub fn retain(&mut self, now: SystemTime) {
        let is_old =
            |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > self.limits.age);
        let old = self.order.keys().take_while(|(time, _)| is_old(*time)).count();
        (0..old).for_each(|_| self.remove_oldest(Gone::Age));
    }

    /// Counts what is not there.
    pub fn lose(&mut self, why: Gone, count: u64) {
        self.gone[why as usize] += count;
    }

    /// What is not there, by reason.
    pub fn gone(&self) -> [u64; Gone::ALL.len()] {
        self.gone
    }

    /// Bytes of all captures.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(bytes: u64) -> Limits {
        Limits { bytes, age: Duration::from_secs(100), is_paced: true }
    }

    fn write(directory: &Path, name: &str, bytes: usize) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        path
    }

    #[test]
    fn the_oldest_captures_give_way_and_those_of_before_count() {
        let directory = tempfile::tempdir().unwrap();
        let old = write(directory.path(), "old.pcapng", 400);
        write(directory.path(), "notes.txt", 4_000);
        let mut room = Room::of(&[directory.path()], limits(1_000)).unwrap();
        assert_eq!(room.bytes(), 400);
        let [a, b] = ["a.pcapng", "b.pcapng"].map(|name| write(directory.path(), name, 500));
        room.grew(&a, 500);
        room.grew(&b, 500);
        assert!(!old.exists() && a.exists() && b.exists());
        // One that grew lately is not the oldest any more.
        room.grew(&a, 600);
        assert!(a.exists() && !b.exists());
        assert_eq!((room.bytes(), room.gone()), (600, [2, 0, 0, 0, 0]));
    }

    #[test]
    fn what_is_too_old_is_removed_and_a_flood_is_turned_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path(), "a.pcapng", 10);
        let mut room = Room::of(&[directory.path()], limits(1_000)).unwrap();
        room.retain(SystemTime::now() + Duration::from_secs(50));
        assert!(path.exists());
        room.retain(SystemTime::now() + Duration::from_secs(200));
        assert!(!path.exists());
        let admitted = (0..100_000).filter(|_| room.admits()).count() as u64;
        assert!(admitted >= u64::from(AT_ONCE), "{admitted}");
        assert_eq!((room.gone()[1], admitted + room.gone()[2]), (1, 100_000));
        let mut replay =
            Room::of(&[directory.path()], Limits { is_paced: false, ..limits(1) }).unwrap();
        assert!((0..100_000).all(|_| replay.admits()));
    }
}
