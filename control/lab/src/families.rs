//! The families by what they do.

pub(crate) mod egress;
pub(crate) mod evasions;
pub(crate) mod patient;
pub(crate) mod sessions;
