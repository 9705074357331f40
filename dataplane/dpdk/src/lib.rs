//! Safe owners over DPDK: Eal, Pool, Port, RxQueue, Burst.
