//! Files as byte slices.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::Path;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

/// A regular file, mapped for reading.
///
/// Whoever truncates the file while it is mapped ends this process with
/// SIGBUS, as with every mapped reader; a capture that is still being written
/// only grows, which is harmless: the map keeps the length it had.
#[derive(Debug)]
pub struct FileMap {
    /// None for an empty file, which can't be mapped.
    pages: Option<(NonNull<u8>, NonZeroUsize)>,
}

// SAFETY: the mapping is private and read-only, so that any thread may read it.
unsafe impl Send for FileMap {}
// SAFETY: as above.
unsafe impl Sync for FileMap {}

impl FileMap {
    /// Maps the file as long as it is now.
    ///
    /// # Errors
    /// What opening or mapping says; `InvalidInput` for what is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let len = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let Some(len) = NonZeroUsize::new(len) else {
            return Ok(Self { pages: None });
        };
        // SAFETY: a fresh private read-only mapping at an address of the
        // kernel's choice aliases no memory of this program.
        let start =
            unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, &file, 0) }?;
        // SAFETY: the range is the mapping just made. Read-ahead is a wish.
        let _ = unsafe { madvise(start, len.get(), MmapAdvise::MADV_SEQUENTIAL) };
        Ok(Self { pages: Some((start.cast(), len)) })
    }
}

impl Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.pages {
            // SAFETY: `open` mapped `len` readable bytes that live as long as `self`.
            Some((start, len)) => unsafe { std::slice::from_raw_parts(start.as_ptr(), len.get()) },
            None => &[],
        }
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        if let Some((start, len)) = self.pages {
            // SAFETY: the range is exactly the mapping that `open` made.
            let _ = unsafe { munmap(start.cast(), len.get()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_its_bytes() {
        let path = std::env::temp_dir().join(format!("weir-mem-{}", std::process::id()));
        std::fs::write(&path, b"weir").unwrap();
        assert_eq!(&*FileMap::open(&path).unwrap(), b"weir");
        std::fs::write(&path, b"").unwrap();
        assert!(FileMap::open(&path).unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(FileMap::open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(FileMap::open(Path::new("/")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
