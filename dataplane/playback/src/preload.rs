//! Captures in memory, so that no disk limits how fast they are played.

use std::io::{self, Read};
use std::ops::Deref;

use weir_capture::{Damage, Packing, Source};
use weir_mem::FileMap;

use crate::Stop;
use crate::merge::Awaited;

/// Bytes that are read at a time.
const PIECE: usize = 4 << 20;

/// A capture whose bytes are all there.
#[derive(Debug)]
pub enum Content {
    /// In a file, which is read as it is played.
    Mapped(FileMap),
    /// In memory, unpacked.
    Loaded(Loaded),
}

/// A capture that was read whole before it is played.
#[derive(Debug)]
pub struct Loaded {
    bytes: Vec<u8>,
    packing: Option<Packing>,
    broken: Option<Damage>,
}

/// Why a capture was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It takes more than it may.
    #[error("it takes more than the {0} MiB of memory that captures may take here")]
    TooLarge(u64),
    /// The system gives no more.
    #[error("the system gives no memory for it")]
    Refused,
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Content::Mapped(map) => map,
            Content::Loaded(loaded) => &loaded.bytes,
        }
    }
}

impl Content {
    /// Why the capture could not be read to its end while it was loaded, if it could not.
    pub fn broken(&self) -> Option<&Damage> {
        match self {
            Content::Mapped(_) => None,
            Content::Loaded(loaded) => loaded.broken.as_ref(),
        }
    }

    /// How the capture was compressed.
    pub fn packing(&self) -> Option<Packing> {
        match self {
            Content::Mapped(_) => None,
            Content::Loaded(loaded) => loaded.packing,
        }
    }
}

/// Bytes that captures may take in memory: three quarters of what is free now, for this machine and
/// for this control group. None where the system does not tell.
pub fn room() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let of_group = group_room().unwrap_or(u64::MAX);
    Some((kib << 10).min(of_group) / 4 * 3)
}

fn group_room() -> Option<u64> {
    let membership = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let number = |file: &str| {
        let path = format!("/sys/fs/cgroup{group}/{file}");
        std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

/// Reads a capture to its end, unpacks it if it is packed, and keeps it; at most `limit` bytes of
/// it. What can't be read or unpacked ends it ([`Content::broken`]). `progress` is told bytes of
/// the unpacked capture, now and then.
///
/// # Errors
/// If it takes more than `limit`, or than the system gives.
pub fn load(
    source: Source,
    limit: u64,
    stop: &Stop,
    mut progress: impl FnMut(u64),
) -> Result<Content, LoadError> {
    let mut room = Room { bytes: Vec::new(), limit };
    let (packing, broken) = match source {
        Source::Mapped(map) => {
            room.grow(map.len())?;
            for piece in map.chunks(PIECE).take_while(|_| !stop.is_asked()) {
                room.bytes.extend_from_slice(piece);
                progress(room.bytes.len() as u64);
            }
            (None, None)
        }
        Source::Stream(input) => {
            let (packing, input) = match weir_capture::unpack(Awaited::new(input, stop)) {
                Ok(opened) => opened,
                Err(error) => {
                    let broken = Some(damage(&error, None, 0));
                    return Ok(Content::Loaded(Loaded {
                        bytes: Vec::new(),
                        packing: None,
                        broken,
                    }));
                }
            };
            let read = room.fill(input, &mut progress)?;
            (packing, read.err().map(|error| damage(&error, packing, room.bytes.len())))
        }
    };
    Ok(Content::Loaded(Loaded { bytes: room.bytes, packing, broken }))
}

fn damage(error: &io::Error, packing: Option<Packing>, offset: usize) -> Damage {
    Damage { offset, what: weir_capture::describe(error, packing), packing }
}

/// Memory that grows up to its limit.
struct Room {
    bytes: Vec<u8>,
    limit: u64,
}

impl Room {
    /// Makes room for so many bytes in all.
    fn grow(&mut self, len: usize) -> Result<(), LoadError> {
        if len as u64 > self.limit {
            return Err(LoadError::TooLarge(self.limit >> 20));
        }
        let more = len.saturating_sub(self.bytes.len());
        self.bytes.try_reserve_exact(more).map_err(|_| LoadError::Refused)
    }

    /// Reads to the end; the inner result is the input's.
    fn fill(
        &mut self,
        mut input: impl Read,
        progress: &mut impl FnMut(u64),
    ) -> Result<io::Result<()>, LoadError> {
        loop {
            let len = self.bytes.len();
            if self.bytes.capacity() - len < PIECE {
                // By a quarter, so that what was read is seldom moved.
                let wanted = len + (len / 4).max(PIECE);
                self.grow(wanted.min(self.limit as usize).max(len + 1))?;
            }
            let piece = (self.bytes.capacity() - len).min(PIECE) as u64;
            match input.by_ref().take(piece).read_to_end(&mut self.bytes) {
                Ok(0) => return Ok(Ok(())),
                Ok(_) => progress(self.bytes.len() as u64),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::path::{Path, PathBuf};

    fn kept(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    fn loaded(path: &Path, limit: u64) -> Result<Content, LoadError> {
        load(weir_capture::open(path).unwrap(), limit, &Stop::default(), |_| ())
    }

    #[test]
    fn a_plain_file_is_its_bytes_and_one_that_is_too_large_is_refused() {
        let bytes = vec![7; 9 << 20];
        let (_directory, path) = kept("plain", &bytes);
        assert!(*loaded(&path, 1 << 30).unwrap() == *bytes);
        assert!(*loaded(&path, bytes.len() as u64).unwrap() == *bytes);
        let refused = loaded(&path, bytes.len() as u64 - 1).unwrap_err();
        assert!(matches!(refused, LoadError::TooLarge(8)), "{refused}");
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_where_it_breaks() {
        let bytes: Vec<u8> = (0..11 << 20).map(|i: u32| (i.wrapping_mul(i) >> 7) as u8).collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, &bytes).unwrap();
        let packed = packed.finish().unwrap();
        let (_directory, path) = kept("whole.gz", &packed);
        let whole = loaded(&path, bytes.len() as u64 + 1).unwrap();
        assert!(*whole == *bytes && whole.broken().is_none());
        assert_eq!(whole.packing(), Some(Packing::Gzip));
        assert!(matches!(loaded(&path, 10 << 20), Err(LoadError::TooLarge(10))));
        let (_directory, path) = kept("half.gz", &packed[..packed.len() / 2]);
        let half = loaded(&path, 1 << 30).unwrap();
        let damage = half.broken().unwrap();
        assert!(bytes.starts_with(&half) && half.len() > 1 << 20);
        assert_eq!((damage.offset, damage.packing), (half.len(), Some(Packing::Gzip)));
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        let (reader, writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || {
            let mut writer = writer;
            io::Write::write_all(&mut writer, &[9; 300_000]).unwrap();
        });
        let source = Source::Stream(File::from(std::os::fd::OwnedFd::from(reader)));
        let content = load(source, 1 << 20, &Stop::default(), |_| ()).unwrap();
        writing.join().unwrap();
        assert!(*content == [9; 300_000]);
    }

    #[test]
    fn the_room_is_less_than_the_machine_has() {
        let room = room().unwrap();
        assert!(room > 0 && room < 1 << 50);
    }
}
