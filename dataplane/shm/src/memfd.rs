//! Anonymous files that are made, sealed and mapped.
//!
//! All unsafe code of the shared memory is here. A mapping is made only of a file that is
//! sealed against shrinking, so that no other process can turn a later access into SIGBUS.

use std::ffi::CStr;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

/// Makes a memfd of exactly `bytes` zeros whose size never changes again. Its pages exist
/// already: a machine that is out of memory refuses here and not in the middle of a burst.
pub(crate) fn create(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let length = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    fallocate(&fd, FallocateFlags::empty(), 0, length)?;
    seal(&fd, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW)?;
    Ok(fd)
}

/// Adds `seals`, which nobody can take away.
pub(crate) fn seal(fd: impl AsFd, seals: SealFlag) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// The seals of `fd`; an error when it is no memfd.
pub(crate) fn seals(fd: impl AsFd) -> io::Result<SealFlag> {
    Ok(SealFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GET_SEALS)?))
}

/// Size of the file in bytes.
pub(crate) fn size(fd: impl AsFd) -> io::Result<u64> {
    Ok(u64::try_from(fstat(fd)?.st_size).unwrap_or(0))
}

/// A shared mapping of a whole memfd, as words.
pub(crate) struct Mapping {
    address: NonNull<AtomicU64>,
    words: usize,
    writable: bool,
}

// SAFETY: `Mapping` owns its address range until it is dropped, nothing in it belongs to a
// thread, and it gives out only atomics.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`; all access through a shared reference is to atomics.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `bytes` of `fd` for reading and writing.
    pub(crate) fn writable_over(fd: impl AsFd, bytes: usize) -> io::Result<Self> {
        Self::over(fd.as_fd(), bytes, true)
    }

    /// Maps `bytes` of `fd` for reading.
    pub(crate) fn read_only_over(fd: impl AsFd, bytes: usize) -> io::Result<Self> {
        Self::over(fd.as_fd(), bytes, false)
    }

    fn over(fd: impl AsFd, bytes: usize, writable: bool) -> io::Result<Self> {
        let fixed = seals(&fd)?.contains(SealFlag::F_SEAL_SHRINK);
        let length = NonZeroUsize::new(bytes).filter(|_| bytes.is_multiple_of(8));
        let (Some(length), true, true) = (length, fixed, size(&fd)? >= bytes as u64) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let protection = if writable {
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
        } else {
            ProtFlags::PROT_READ
        };
        // SAFETY: a new mapping at an address of the kernel's choice replaces no other. The file
        // has at least `length` bytes and, being sealed against shrinking, keeps them.
        let address = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &fd, 0)? };
        Ok(Self { address: address.cast(), words: bytes / 8, writable })
    }

    /// Whether the words may be stored to.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// The mapped words. Storing to them is allowed only if [`Self::writable`]; that is kept by
    /// `WriteWords`, the only place from which this crate stores.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `over` mapped `words` words at this page-aligned address and only `drop`
        // unmaps them. Other processes may change them at any time, which is what atomics are
        // for: every bit pattern is a valid value. Atomic loads of one machine word work on
        // read-only pages.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `over` mapped exactly this range, and no reference into it outlives `self`.
        // The result says nothing that could be acted on here.
        let _ = unsafe { munmap(self.address.cast(), self.words * 8) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_could_shrink_is_not_mapped() {
        let fd = memfd_create(c"weir-test", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        nix::unistd::ftruncate(&fd, 4096).unwrap();
        assert!(Mapping::read_only_over(&fd, 4096).is_err());
        seal(&fd, SealFlag::F_SEAL_SHRINK).unwrap();
        assert!(Mapping::read_only_over(&fd, 4096).is_ok());
    }

    #[test]
    fn a_mapping_larger_than_its_file_is_refused() {
        let fd = create(c"weir-test", 4096).unwrap();
        assert!(Mapping::read_only_over(&fd, 8192).is_err());
        assert!(Mapping::read_only_over(&fd, 0).is_err());
    }

    #[test]
    #[should_panic(expected = "read-only mapping")]
    fn words_of_a_read_only_mapping_are_never_writable() {
        let fd = create(c"weir-test", 4096).unwrap();
        let mapping = Mapping::read_only_over(&fd, 4096).unwrap();
        crate::words::WriteWords::new(std::sync::Arc::new(mapping));
    }
}
