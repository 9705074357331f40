//! A hint to the cache that a line is wanted soon.

/// Asks the processor to bring the cache line that `row` starts in into all
/// cache levels. It never faults and changes no result.
#[inline(always)]
pub fn prefetch<T>(row: &T) {
    hint(std::ptr::from_ref(row).cast());
}

/// Asks for every line of a row that is larger than one.
#[inline(always)]
pub fn prefetch_whole<T>(row: &T) {
    let first = std::ptr::from_ref(row).cast::<i8>();
    for line in (0..size_of::<T>()).step_by(64) {
        hint(first.wrapping_add(line));
    }
    hint(first.wrapping_add(size_of::<T>().saturating_sub(1)));
}

/// Asks for the first two lines of a slice, of which a short one has only the first.
#[inline(always)]
pub fn prefetch_start(bytes: &[u8]) {
    hint(bytes.as_ptr().cast());
    hint(bytes.as_ptr().wrapping_add(64).cast());
}

/// Asks for the line that holds `bytes[offset]`; past the end it does nothing.
#[inline(always)]
pub fn prefetch_slice(bytes: &[u8], offset: usize) {
    if let Some(byte) = bytes.get(offset) {
        prefetch(byte);
    }
}

#[inline(always)]
fn hint(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: PREFETCHT0 is a hint that never faults, whatever the address;
    // SSE is part of the x86_64 baseline.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: PRFM is a hint that never faults, whatever the address.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
