//! Benches of the packet path.
