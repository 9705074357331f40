//! The atomics behind the tables: the machine's, or under `--cfg loom` the
//! model checker's, which tries every order of their effects.

#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// An array of rows of `N` words, all zero at first.
#[cfg(not(loom))]
pub(super) type Rows<const N: usize> = weir_mem::HugeArray<[AtomicU64; N]>;

#[cfg(loom)]
pub(super) type Rows<const N: usize> = Vec<[AtomicU64; N]>;

#[cfg(not(loom))]
pub(super) fn rows<const N: usize>(len: usize) -> std::io::Result<Rows<N>> {
    Rows::new(len)
}

#[cfg(loom)]
pub(super) fn rows<const N: usize>(len: usize) -> std::io::Result<Rows<N>> {
    Ok((0..len).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect())
}
