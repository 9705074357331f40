//! Prefetch, huge-page-backed arrays and read-only file maps.
