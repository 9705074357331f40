//! A ring of frames between a receiving thread and a worker.
//!
//! A frame in it is its mbuf and its time: all else stands in the mbuf's header, which the worker
//! touches anyhow when it frees it, and the fewer lines the receiving thread writes the better.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::burst::{RxFrame, read};
use crate::clock::FrameClock;
use crate::pool::Pool;
use crate::queue::{BURST, LONGEST_FRAME, assemble};
use crate::spsc::{Receiver, Sender, spsc};

/// A frame that is on its way, and the owner of its mbuf, which is freed on drop.
pub(crate) struct Parcel {
    mbuf: NonNull<sys::rte_mbuf>,
    /// Nanoseconds since the epoch.
    time: u64,
}

// SAFETY: an mbuf has one owner and may be freed by any thread.
unsafe impl Send for Parcel {}

impl Parcel {
    /// # Safety
    /// The caller owns the whole mbuf and gives it away, and its pool outlives this.
    #[inline]
    pub(crate) unsafe fn new(mbuf: NonNull<sys::rte_mbuf>, time: u64) -> Self {
        Self { mbuf, time }
    }

    /// The mbuf, which the caller now owns, and the time.
    #[inline]
    fn open(self) -> (NonNull<sys::rte_mbuf>, u64) {
        let parcel = ManuallyDrop::new(self);
        (parcel.mbuf, parcel.time)
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        // SAFETY: this owns the mbuf; `new`'s caller vouches for the pool.
        unsafe { sys::rte_pktmbuf_free_bulk(&mut self.mbuf.as_ptr(), 1) };
    }
}

/// A ring of at least `room` frames of these pools, and its two ends.
pub(crate) fn ring(room: usize, pools: Arc<[Arc<Pool>]>) -> (RingSender, RingReceiver) {
    let (sender, receiver) = spsc(room.max(BURST));
    let sender = RingSender { parcels: sender, _pools: Arc::clone(&pools) };
    let receiver = RingReceiver {
        parcels: receiver,
        received: Box::default(),
        scratch: vec![0; BURST * LONGEST_FRAME].into_boxed_slice(),
        _pools: pools,
    };
    (sender, receiver)
}

/// The end that frames are put into. Field order is teardown order: pools go last.
pub(crate) struct RingSender {
    pub(crate) parcels: Sender<Parcel>,
    _pools: Arc<[Arc<Pool>]>,
}

/// The end that a worker takes frames out of. It may move to another thread. Pools go last.
pub struct RingReceiver {
    parcels: Receiver<Parcel>,
    received: Box<sys::weir_burst>,
    /// Where frames of several segments are put together; mostly only reserved.
    scratch: Box<[u8]>,
    _pools: Arc<[Arc<Pool>]>,
}

// SAFETY: `received` is of meaning only between a poll and the drop of what it gave, which borrows
// the receiver.
unsafe impl Send for RingReceiver {}

impl RingReceiver {
    /// Takes what was put in, at most [`BURST`] frames, without waiting or allocating.
    #[inline]
    pub fn poll(&mut self) -> Taken<'_> {
        let received = &mut *self.received;
        let mut times = [0; BURST];
        let count = self.parcels.take(BURST, |place, parcel| {
            let (mbuf, time) = parcel.open();
            received.mbufs[place] = mbuf.as_ptr();
            times[place] = time;
        });
        if count > 0 {
            // SAFETY: the first `count` mbufs came out of the ring and are owned by nobody else.
            unsafe { sys::weir_describe(received, count as u16) };
            if received.segmented != 0 {
                assemble(received, &mut self.scratch);
            }
            for (frame, time) in received.frames[..count].iter_mut().zip(times) {
                frame.timestamp = time;
            }
        }
        Taken { received }
    }

    /// Frames that wait to be taken.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.parcels.waiting()
    }

    /// Frames that there is room for.
    pub fn room(&self) -> usize {
        self.parcels.room()
    }

    /// Whether nothing waits and nothing more will come.
    pub fn is_over(&self) -> bool {
        self.parcels.is_over()
    }
}

impl fmt::Debug for RingReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingReceiver")
            .field("room", &self.room())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// Up to [`BURST`] frames out of a ring. Dropping this gives them back to their pools in one call.
#[must_use = "dropping it frees its frames unseen"]
pub struct Taken<'a> {
    received: &'a mut sys::weir_burst,
}

impl Taken<'_> {
    /// How many frames.
    pub fn len(&self) -> usize {
        usize::from(self.received.count)
    }

    /// Whether nothing waited.
    pub fn is_empty(&self) -> bool {
        self.received.count == 0
    }

    /// The frames in the order in which they were put in, each with the tag of its queue
    /// ([`RxQueue::set_tag`](crate::RxQueue::set_tag)) and the time that it was given.
    #[inline]
    pub fn frames(&self) -> impl ExactSizeIterator<Item = (u16, RxFrame<'_>)> {
        self.received.frames[..self.len()].iter().map(|frame| {
            // SAFETY: C or `assemble` said where the frame is, and the mbufs are this one's.
            let whole = unsafe { read(frame, &FrameClock::Absent, 0) };
            (frame.tag, RxFrame { time: Some(frame.timestamp), ..whole })
        })
    }
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.received.count > 0 {
            // SAFETY: the mbufs came out of the ring, and the count of zero keeps them from being
            // freed again.
            unsafe {
                let count = u32::from(self.received.count);
                sys::rte_pktmbuf_free_bulk(self.received.mbufs.as_mut_ptr(), count);
            }
            self.received.count = 0;
        }
    }
}
