//! Prefetch, huge-page-backed arrays and read-only file maps.
//!
//! The engine forbids `unsafe`; what it needs of it stands here, small enough
//! to audit at one sitting.

mod array;
mod file;
mod prefetch;

pub use array::{HugeArray, Zeroed, keep_at_hand};
pub use file::FileMap;
pub use prefetch::{prefetch, prefetch_slice, prefetch_start, prefetch_whole};
