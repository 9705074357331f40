//! The control process: reads what the sensor says, owns the state of alerts,
//! writes events, serves metrics.
#![forbid(unsafe_code)]

pub mod alerts;
pub mod api;
pub mod attach;
pub mod cases;
pub mod control;
pub mod counts;
pub mod door;
pub mod eve;
pub mod event_file;
pub mod evidence;
pub mod http;
pub mod live;
pub mod metrics;
pub mod narrate;
pub mod news;
pub mod options;
pub mod print;
pub mod progress;
pub mod recorder;
pub mod refusal;
pub mod rulebook;
pub mod sinks;
pub mod site;
pub mod store;
pub mod summary;
pub mod trial;
pub mod ui;
pub mod watch;
