//! An allocator that counts, so that "the packet path does not allocate" is measured.

#![allow(unsafe_code, reason = "a global allocator can't be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread.
#[derive(Debug)]
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the calling thread has allocated or grown memory so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn count() {
    // A thread that is ending has no counter any more, and runs no bench.
    let _ = ALLOCATIONS.try_with(|counter| counter.set(counter.get() + 1));
}

// SAFETY: every call goes to `System`, which keeps the contract of an allocator; the counter is a
// thread's own plain word, which takes no memory from here.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps what `alloc_zeroed` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps what `realloc` asks for, and the block came from `System`.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps what `dealloc` asks for, and the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_get_memory_counts() {
        let before = allocations();
        let mut grown = std::hint::black_box(Vec::<u64>::with_capacity(4));
        assert_eq!(allocations() - before, 1);
        grown.reserve_exact(1_000);
        assert_eq!(allocations() - before, 2);
        std::hint::black_box(vec![0u8; 100]);
        assert_eq!(allocations() - before, 3);
        drop(grown);
        assert_eq!(allocations() - before, 3);
    }
}
