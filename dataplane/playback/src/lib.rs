//! Captures played back, for whoever inspects them and for whoever sends them: [`Merge`] reads
//! several of them in the order of time, [`Pace`] holds packets back until they are due, and
//! [`Passes`] makes what is played again new: later in time, with tunnels, sessions and users of its
//! own.
//!
//! What a pass changes of a frame is a function of the frame, the pass and the [`Survey`] of the
//! captures, so that any number of workers may share the work, and every run is like the last.
#![forbid(unsafe_code)]

mod checksum;
mod merge;
mod pace;
mod passes;
mod preload;
mod rehearsal;
mod rewrite;
mod speed;
mod stop;
mod survey;
mod trail;
mod tunnels;
mod users;

pub use merge::{Input, Merge};
pub use pace::Pace;
pub use passes::Passes;
pub use preload::{Content, LoadError, Loaded, load, room};
pub use rehearsal::{NoRoom, Unplayed, Wishes, bar, rehearse};
pub use rewrite::Scratch;
pub use speed::Speed;
pub use stop::Stop;
pub use survey::Survey;
