//! The engine: bytes and time in, verdicts out.
//!
//! A [`Worker`] takes bursts of frames through `decode`, `classify`, `track`
//! and `account`, each stage over the whole burst, and gathers what it saw into
//! a [`Report`] per time slice. One [`Judge`] merges the reports of all workers
//! slice by slice, so that its verdicts depend neither on their number nor on
//! which of them saw what. Neither does any input or output of its own.

#![forbid(unsafe_code)]

pub mod account;
mod attribute;
mod beginnings;
pub mod classify;
pub mod contract;
mod cut;
pub mod decode;
pub mod detect;
pub mod exhibits;
pub mod finding;
pub mod fragment;
pub mod fragment_trails;
pub mod frame;
mod gather;
pub mod judge;
mod keyed_hash;
pub mod lpm;
mod pairs;
pub mod proof;
pub mod reassembly;
pub mod record;
pub mod report;
pub mod rules;
mod sample;
pub mod series;
pub mod shed;
pub mod signalling;
pub mod spread;
pub mod time;
pub mod track;
pub mod tunnels;
pub mod vendor_elements;
pub mod worker;

pub use frame::{Frame, RxMeta, TapId};
pub use judge::Judge;
pub use record::Record;
pub use report::Report;
pub use rules::Rules;
pub use signalling::{Signalling, SignallingSetup};
pub use time::Nanos;
pub use worker::Worker;
