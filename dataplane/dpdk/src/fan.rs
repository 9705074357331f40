//! Dealing out: a burst's frames go to the rings of several workers.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::burst::{Burst, RxFrame};
use crate::pool::Pool;
use crate::ring::{Parcel, RingReceiver, RingSender, ring};

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

    /// Whether each ring has room for so many frames more.
    pub fn has_room_for(&mut self, frames: usize) -> bool {
        self.rings.iter_mut().all(|ring| ring.parcels.has_room_for(frames))
    }

    /// Shows the workers all that was dealt; else they see it 32 frames at a time.
    #[inline]
    pub fn show(&mut self) {
        self.rings.iter_mut().for_each(|ring| ring.parcels.show());
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

    /// Puts a frame into a ring, with the time that it is to have, nanoseconds since the epoch.
    /// False if the ring is full or the frame was given before; then nothing has changed.
    ///
    /// # Panics
    /// If there is no such ring.
    #[inline]
    pub fn give(&mut self, place: usize, ring: usize, time: u64) -> bool {
        let count = self.burst.len();
        let ring = &mut self.fan.rings[ring].parcels;
        let received = self.burst.received_mut();
        let Some(mbuf) = received.mbufs[..count].get_mut(place) else {
            return false;
        };
        let Some(owned) = NonNull::new(*mbuf).filter(|_| ring.has_room_for(1)) else {
            return false;
        };
        // The burst frees what is not null.
        *mbuf = ptr::null_mut();
        received.plain = 0;
        self.given += 1;
        // SAFETY: the burst owned the mbuf and does no more; the ring holds its pool, as was looked
        // when dealing began.
        ring.put(unsafe { Parcel::new(owned, time) });
        true
    }

    /// Whether somebody may still take frames out of a ring.
    ///
    /// # Panics
    /// If there is no such ring.
    pub fn is_served(&self, ring: usize) -> bool {
        self.fan.rings[ring].parcels.is_served()
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
