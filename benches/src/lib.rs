//! Benches of the packet path: what a packet costs in the whole engine, beside
//! the least that any inspection could do, over the same frames in the same run.
//!
//! A shared machine's absolute times say little, hence every figure is a median
//! of interleaved rounds, and those to hold on to are ratios and instructions.

pub mod counting_allocator;
pub mod decode;
pub mod device;
pub mod engine_run;
pub mod file_source;
pub mod inspector;
pub mod instructions;
pub mod lookup;
pub mod machine;
pub mod memory;
pub mod n4;
pub mod outcome;
pub mod overload;
pub mod paced;
pub mod reshard;
pub mod rounds;
pub mod search;
pub mod sessions;
pub mod signalling_figures;
pub mod skew;
pub mod testpmd;
pub mod traffic;
pub mod tunnel_figures;
pub mod walk;
