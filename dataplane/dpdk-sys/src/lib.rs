//! Raw bindings to DPDK 22.11: an explicit allowlist and a C shim.
