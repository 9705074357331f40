//! Benches of the packet path: what a packet costs in the whole engine, beside
//! the least that any inspection could do, over the same frames in the same run.
//!
//! A shared machine's absolute times say little, hence every figure is a median
//! of interleaved rounds, and those to hold on to are ratios and instructions.

pub mod alert_figures;
pub mod alert_flood;
pub mod baseline;
pub mod counting_allocator;
pub mod decode;
pub mod device;
pub mod engine_run;
pub mod exposition;
pub mod extent;
pub mod file_source;
pub mod hostile;
pub mod hostile_figures;
pub mod inspector;
pub mod instructions;
pub mod interface_figures;
pub mod lookup;
pub mod machine;
pub mod memory;
pub mod n4;
pub mod outcome;
pub mod overload;
pub mod overload_figures;
pub mod paced;
pub mod packet_figures;
pub mod page;
pub mod peers;
pub mod plot;
pub mod reshard;
pub mod rounds;
pub mod scaling_figures;
pub mod search;
pub mod sessions;
pub mod signalling_figures;
pub mod site;
pub mod sizing;
pub mod skew;
pub mod source_figures;
pub mod spreading_figures;
pub mod stage_figures;
pub mod stages;
pub mod testpmd;
pub mod traffic;
pub mod tunnel_figures;
pub mod turn;
pub mod veth;
pub mod walk;
pub mod whole_sensor;
pub mod whole_sensor_figures;
