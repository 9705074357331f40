//! weir-sensor: the dataplane process. Packets in, verdicts out.

#![forbid(unsafe_code)]

mod bench_of_judge;
