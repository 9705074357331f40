//! The dataplane process.

fn main() {}
