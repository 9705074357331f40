//! Dealing out: a burst's frames go to the rings of several workers.

use std::fmt;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::burst::{Burst, RxFrame};
use crate::pool::Pool;
use crate::ring::{RingReceiver, RingSender, Slot, ring};

/// One receiving thread's ends of the rings to all workers.
pub struct Fan {
    rings: Vec<RingSender>,
    pools: Arc<[Arc<Pool>]>,
}

impl Fan {
    /// Rings of at least so many frames each, of ports that receive into these pools; rooms are
    /// taken up to powers of two.
    pub fn new(pools: &[Arc<Pool>], rooms: &[usize]) -> (Self, Vec<RingReceiver>) {
        let pools: Arc<[Arc<Pool>]> = pools.into();
        let (rings, receivers) = rooms.iter().map(|room| ring(*room, Arc::clone(&pools))).unzip();
        (Self { rings, pools }, receivers)
    }

    /// Begins to deal a burst out.
    ///
    /// # Panics
    /// If the burst's port receives into a pool that the rings were not told of.
    #[inline]
    pub fn deal<'a>(&'a mut self, burst: Burst<'a>) -> Deal<'a> {
        let knows = self.pools.iter().any(|pool| Arc::ptr_eq(pool, burst.pool()));
        assert!(knows, "a ring must hold the pools of all its frames");
        Deal { given: 0, burst, fan: self }
    }

    /// Shows the workers all that was dealt; else they see it 32 frames at a time.
    #[inline]
    pub fn show(&mut self) {
        self.rings.iter_mut().for_each(RingSender::show);
    }
}

impl fmt::Debug for Fan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fan").field("rings", &self.rings.len()).finish_non_exhaustive()
    }
}

/// A burst that is being dealt out. What was given to no ring when this is dropped is freed.
#[must_use = "dropping it frees its frames unseen"]
pub struct Deal<'a> {
    burst: Burst<'a>,
    fan: &'a mut Fan,
    given: usize,
}

impl Deal<'_> {
    /// How many frames came, given ones included.
    pub fn len(&self) -> usize {
        self.burst.len()
    }

    /// Whether none came.
    pub fn is_empty(&self) -> bool {
        self.burst.is_empty()
    }

    /// A frame by its place in the burst; none that was given.
    #[inline]
    pub fn frame(&self, place: usize) -> Option<RxFrame<'_>> {
        self.burst.frame(place)
    }

    /// Puts a frame into a ring, with a tag and the time that it is to have, nanoseconds since
    /// the epoch. False if the ring is full or the frame was given before; then nothing has changed.
    ///
    /// # Panics
    /// If there is no such ring.
    #[inline]
    pub fn give(&mut self, place: usize, ring: usize, tag: u16, time: u64) -> bool {
        let count = self.burst.len();
        let received = self.burst.received_mut();
        let Some(mbuf) = received.mbufs[..count].get_mut(place).filter(|mbuf| !mbuf.is_null())
        else {
            return false;
        };
        let frame = &received.frames[place];
        let is_whole = received.segmented >> place & 1 == 0;
        let stripped = frame.flags & sys::WEIR_RX_VLAN_STRIPPED != 0;
        let is_given = self.fan.rings[ring].put(Slot {
            mbuf: *mbuf,
            data: if is_whole { frame.data } else { std::ptr::null() },
            time,
            data_len: frame.data_len,
            packet_len: frame.packet_len,
            tag,
            stripped_vlan: stripped.then_some(frame.vlan),
        });
        if is_given {
            // The ring owns it now.
            *mbuf = std::ptr::null_mut();
            self.given += 1;
        }
        is_given
    }

    /// As [`Fan::show`].
    pub fn show(&mut self) {
        self.fan.show();
    }
}

impl Drop for Deal<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.given == self.burst.len() {
            self.burst.received_mut().count = 0;
        }
        // Else the burst frees what is left; DPDK skips what is null.
    }
}
