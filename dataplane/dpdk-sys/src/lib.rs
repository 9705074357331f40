//! Raw bindings to DPDK 22.11: an explicit allowlist and a C shim.
//!
//! There is no logic here. `build.rs` lists every function that is bound; `shim/weir.h` declares
//! the few that are inline in DPDK's headers. `weir-dpdk` gives each resource a safe owner.
//!
//! Only the core libraries are linked. Drivers are plugins that EAL loads at run time from
//! `RTE_EAL_PMD_PATH`, so which ports can be opened depends on the `librte-net-*` packages that
//! are installed.

// The names and shapes below are DPDK's, and its documentation describes them.
#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnameable_types,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
