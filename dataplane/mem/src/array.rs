//! Arrays that ask the kernel for huge pages, so that a random row costs one
//! TLB miss at most.

use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// Types for which all bits zero are a value.
///
/// # Safety
/// Every bit pattern of zeroes must be a valid value, and dropping the type
/// must do nothing.
pub unsafe trait Zeroed {}

// SAFETY: integers and atomics of integers are valid when zero and have no drop.
unsafe impl Zeroed for u32 {}
// SAFETY: as above.
unsafe impl Zeroed for u64 {}
// SAFETY: as above.
unsafe impl Zeroed for std::sync::atomic::AtomicU64 {}
// SAFETY: an array of zeroed values is zeroed.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}

/// A fixed-length array of zeroes in pages of its own, huge where the kernel
/// has them (`MADV_HUGEPAGE`), ordinary ones otherwise.
#[derive(Debug)]
pub struct HugeArray<T> {
    start: NonNull<T>,
    len: usize,
    bytes: NonZeroUsize,
}

// SAFETY: the array owns its pages alone, so it moves between threads as a
// `Box<[T]>` does.
unsafe impl<T: Send> Send for HugeArray<T> {}
// SAFETY: shared access gives `&[T]` only, as from a `Box<[T]>`.
unsafe impl<T: Sync> Sync for HugeArray<T> {}

const HUGE_PAGE: usize = 2 << 20;

impl<T: Zeroed> HugeArray<T> {
    /// Maps `len` zeroed rows.
    ///
    /// # Errors
    /// What `mmap` says: most likely that there is not so much memory.
    pub fn new(len: usize) -> io::Result<Self> {
        let wanted = len
            .checked_mul(size_of::<T>())
            .and_then(|bytes| bytes.checked_next_multiple_of(HUGE_PAGE))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let bytes = NonZeroUsize::new(wanted.max(HUGE_PAGE)).ok_or(io::ErrorKind::OutOfMemory)?;
        assert!(align_of::<T>() <= 4096, "rows are aligned to a page at most");
        // SAFETY: a fresh anonymous mapping at an address of the kernel's
        // choice aliases nothing.
        let start = unsafe {
            mmap_anonymous(
                None,
                bytes,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE,
            )
        }?;
        // Refused where the kernel has no transparent huge pages; ordinary
        // pages then serve.
        // SAFETY: the range is the mapping just made.
        let _ = unsafe { madvise(start, bytes.get(), MmapAdvise::MADV_HUGEPAGE) };
        Ok(Self { start: start.cast(), len, bytes })
    }
}

impl<T> Deref for HugeArray<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` mapped at least `len` rows, page-aligned, and zeroes
        // are values of `T: Zeroed`; the mapping lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for HugeArray<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the access the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for HugeArray<T> {
    fn drop(&mut self) {
        // SAFETY: the range is exactly the mapping that `new` made, and no
        // reference into it outlives `self`.
        let _ = unsafe { munmap(self.start.cast(), self.bytes.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_start_as_zero_and_keep_what_is_written() {
        let mut array = HugeArray::<[u64; 8]>::new(100_000).unwrap();
        assert_eq!(array.len(), 100_000);
        assert!(array.iter().all(|row| *row == [0; 8]));
        array[99_999][7] = 7;
        array[0][0] = 1;
        assert_eq!((array[99_999][7], array[0][0], array[1][0]), (7, 1, 0));
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(HugeArray::<u64>::new(usize::MAX / 4).is_err());
        assert!(HugeArray::<u64>::new(1 << 50).is_err());
    }
}
