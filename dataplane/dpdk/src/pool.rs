//! Where received frames lie until they are freed.

use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::{PoolError, last_error};

/// mbufs that each registered thread may keep for itself, so that most allocations and frees touch
/// no shared ring.
const CACHE: u32 = 256;

const HEADROOM: u16 = sys::RTE_PKTMBUF_HEADROOM as u16;

/// A pool of mbufs. Ports take empty ones from it and bursts give them back.
pub struct Pool {
    raw: NonNull<sys::rte_mempool>,
    data_room: u16,
    mbufs: u32,
    eal: Arc<Eal>,
}

// SAFETY: a mempool is DPDK's own multi-producer multi-consumer structure; the calls made here
// (counting) only read, and the pool is freed by the one owner that goes last.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Bytes in an mbuf: 2 KiB and DPDK's headroom. A longer frame takes several, chained.
    pub const DEFAULT_DATA_ROOM: u16 = 2_048 + HEADROOM;

    const LEAST_DATA_ROOM: u16 = 64 + HEADROOM;

    /// Makes a pool of `mbufs` mbufs (best 2ⁿ − 1) of `data_room` bytes, the headroom of 128
    /// included, on a NUMA node if one is named: best that of the port. The name is unique in the
    /// process and at most 26 bytes long.
    ///
    /// # Errors
    /// [`PoolError::Refused`] when memory does not suffice or the name is taken or too long.
    pub fn new(
        eal: &Arc<Eal>,
        name: &str,
        mbufs: u32,
        data_room: u16,
        socket: Option<u16>,
    ) -> Result<Arc<Self>, PoolError> {
        if data_room < Self::LEAST_DATA_ROOM {
            let least = Self::LEAST_DATA_ROOM;
            return Err(PoolError::DataRoom { name: name.into(), data_room, least });
        }
        let refused = |why| PoolError::Refused {
            name: name.into(),
            mbufs,
            // An mbuf's own header is two cache lines, the mempool's before it one.
            mib: (u64::from(mbufs) * (u64::from(data_room) + 192)) >> 20,
            why,
        };
        let c_name = CString::new(name).map_err(|_| refused("the name has a NUL byte".into()))?;
        // DPDK wants half as much again as the cache to remain outside of it.
        let cache = if mbufs >= 8 * CACHE { CACHE } else { 0 };
        // −1 lets DPDK choose.
        let socket = socket.map_or(-1, i32::from);
        // SAFETY: the name outlives the call, which copies it; EAL runs, since `eal` is held.
        let raw = unsafe {
            sys::rte_pktmbuf_pool_create(c_name.as_ptr(), mbufs, cache, 0, data_room, socket)
        };
        let raw = NonNull::new(raw).ok_or_else(|| refused(last_error()))?;
        Ok(Arc::new(Self { raw, data_room, mbufs, eal: Arc::clone(eal) }))
    }

    /// mbufs that are free, those in threads' caches included. Not for the hot path: it looks at
    /// every cache, and the number may be old when it returns.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives as long as self.
        unsafe { sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    /// mbufs that drivers, rings or bursts hold; with [`available`](Self::available)'s reservations.
    pub fn in_use(&self) -> u32 {
        // SAFETY: the pool lives as long as self.
        unsafe { sys::rte_mempool_in_use_count(self.raw.as_ptr()) }
    }

    /// mbufs in all.
    pub fn mbufs(&self) -> u32 {
        self.mbufs
    }

    /// Bytes in an mbuf, the headroom included.
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    pub(crate) fn eal(&self) -> &Arc<Eal> {
        &self.eal
    }

    pub(crate) fn raw(&self) -> NonNull<sys::rte_mempool> {
        self.raw
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: every port that draws from the pool holds an Arc of it, so none is left; EAL
        // still runs, since `eal` drops after this.
        unsafe { sys::rte_mempool_free(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("mbufs", &self.mbufs)
            .field("data_room", &self.data_room)
            .finish_non_exhaustive()
    }
}
