//! The families by what they do.

pub(crate) mod blindings;
pub(crate) mod covert;
pub(crate) mod egress;
pub(crate) mod evasions;
pub(crate) mod interception;
pub(crate) mod patient;
pub(crate) mod proof;
pub(crate) mod sessions;
