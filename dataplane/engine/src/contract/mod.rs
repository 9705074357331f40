//! What the sensor's process tells the control process: counters as words,
//! verdicts as records, and a greeting that names what the words count.
//!
//! Both processes read these definitions, so that they can't drift apart; the
//! shared memory itself transports words and bytes and knows none of them.

pub mod content;
pub mod exhibit;
pub mod fact;
pub mod greeting;
pub mod session;
pub mod spreading;
pub mod streams;
pub mod verdict;
pub mod words;

/// Changes with every change of meaning in this module; part of the layout hash.
pub const SCHEMA: u64 = words::schema(11);
