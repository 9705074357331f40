//! A worker thread that DPDK knows.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::last_error;

/// What `rte_lcore_id()` answers in a thread that DPDK does not know: `LCORE_ID_ANY`.
const NO_LCORE: u32 = u32::MAX;

/// Keeps the current thread registered with DPDK, which gives it its own cache of every pool.
///
/// Without it a thread works too, but each mbuf that it takes or frees goes through the pool's
/// shared ring. It stays in the thread that made it and unregisters on drop.
#[derive(Debug)]
pub struct ThreadRegistration {
    /// DPDK knows the thread, not this value: it must not move to another.
    stays_here: PhantomData<*const ()>,
    _eal: Arc<Eal>,
}

impl ThreadRegistration {
    pub(crate) fn new(eal: &Arc<Eal>) -> io::Result<Self> {
        // SAFETY: reads a thread-local integer.
        if unsafe { sys::weir_lcore_id() } != NO_LCORE {
            return Err(io::Error::other(
                "this thread is registered with DPDK; the thread that started EAL always is",
            ));
        }
        // SAFETY: EAL runs, since `eal` is held, and the thread has no lcore yet.
        if unsafe { sys::rte_thread_register() } != 0 {
            return Err(io::Error::other(format!(
                "DPDK has no room for another thread ({}); it takes {}; use fewer workers",
                last_error(),
                sys::RTE_MAX_LCORE
            )));
        }
        Ok(Self { stays_here: PhantomData, _eal: Arc::clone(eal) })
    }

    /// The number that DPDK gave the thread; it is no core's.
    pub fn lcore(&self) -> u32 {
        // SAFETY: reads a thread-local integer.
        unsafe { sys::weir_lcore_id() }
    }
}

impl Drop for ThreadRegistration {
    fn drop(&mut self) {
        // SAFETY: this is the thread that registered, since the type is not Send.
        unsafe { sys::rte_thread_unregister() }
    }
}
