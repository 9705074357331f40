//! Arrays that ask the kernel for huge pages, so that a random row costs one
//! TLB miss at most.

use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

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
const PAGE: usize = 4096;

/// Whether arrays have all their memory from the start.
static AT_HAND: AtomicBool = AtomicBool::new(false);

/// From now on arrays of this process are made with all their memory at hand. The kernel clears a page
/// when it is first written to; rows that hashes choose are in all pages at once, so that the first
/// second of a tap would be spent on that. Who has time later leaves it to the kernel.
pub fn keep_at_hand() {
    AT_HAND.store(true, Ordering::Relaxed);
}

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
        if AT_HAND.load(Ordering::Relaxed) {
            for offset in (0..bytes.get()).step_by(PAGE) {
                // SAFETY: the octet is in the mapping just made, of which nobody else knows yet; it
                // is zero and stays so.
                unsafe { start.cast::<u8>().add(offset).write_volatile(0) };
            }
        }
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

    /// How many pages of an array's mapping are in memory.
    fn pages_in_memory(array: &HugeArray<u64>) -> usize {
        use std::os::unix::fs::FileExt;
        let mut entries = vec![0; array.bytes.get() / PAGE * 8];
        let first = array.start.as_ptr() as u64 / PAGE as u64;
        let pagemap = std::fs::File::open("/proc/self/pagemap").unwrap();
        pagemap.read_exact_at(&mut entries, first * 8).unwrap();
        // The highest bit says so.
        entries.chunks_exact(8).filter(|entry| entry[7] & 0x80 != 0).count()
    }

    #[test]
    fn arrays_are_at_hand_once_that_is_asked_for() {
        const LEN: usize = 8 << 20 >> 3;
        let later = HugeArray::<u64>::new(LEN).unwrap();
        assert_eq!(pages_in_memory(&later), 0);
        keep_at_hand();
        let array = HugeArray::<u64>::new(LEN).unwrap();
        AT_HAND.store(false, Ordering::Relaxed);
        assert_eq!(pages_in_memory(&array), (8 << 20) / PAGE);
        assert!(array.iter().all(|row| *row == 0));
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(HugeArray::<u64>::new(usize::MAX / 4).is_err());
        assert!(HugeArray::<u64>::new(1 << 50).is_err());
    }
}
