//! A receive queue: the one way to frames.

use std::ffi::c_int;
use std::fmt;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::burst::Burst;
use crate::clock::FrameClock;
use crate::port::PortInner;

/// The most frames that one poll gives.
pub const BURST: usize = sys::WEIR_BURST as usize;

/// The longest frame that a burst gives whole, bytes: all that IP can fill, and more than any
/// jumbo frame. What is behind is cut off and shows in [`RxFrame::wire_len`](crate::RxFrame).
pub const LONGEST_FRAME: usize = 65_535;

/// The number of a queue of its port, from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueueId(pub u16);

/// One receive queue, handed out once. It may move to another thread, and be polled by one at a
/// time: `poll` takes it mutably.
pub struct RxQueue {
    received: Box<sys::weir_burst>,
    /// Where frames of several segments are put together. Most are never touched, so the memory is
    /// mostly only reserved.
    scratch: Box<[u8]>,
    stamps: Stamps,
    id: QueueId,
    tag: u16,
    port: Arc<PortInner>,
}

// SAFETY: the raw pointers in `received` are to mbufs that belong to this queue between a poll and
// the drop of its burst, which borrows the queue, so they never move threads; the driver asks only
// that one thread at a time polls a queue.
unsafe impl Send for RxQueue {}

/// Where an mbuf holds its time stamp and what that means.
#[derive(Debug)]
pub(crate) struct Stamps {
    /// The dynamic field's offset in an mbuf, negative when no driver registered it.
    offset: c_int,
    /// The bit in an mbuf's flags that says that the field is set.
    flag: u64,
    clock: FrameClock,
}

impl Stamps {
    /// Looks up what drivers register when their ports start.
    pub(crate) fn of(port: u16, driver: &str) -> Self {
        let none = std::ptr::null_mut();
        // SAFETY: the names are C strings, and null asks for no details.
        let offset =
            unsafe { sys::rte_mbuf_dynfield_lookup(c"rte_dynfield_timestamp".as_ptr(), none) };
        // SAFETY: as above.
        let bit = unsafe {
            sys::rte_mbuf_dynflag_lookup(c"rte_dynflag_rx_timestamp".as_ptr(), none.cast())
        };
        match u32::try_from(bit).ok().and_then(|bit| 1_u64.checked_shl(bit)) {
            Some(flag) if offset >= 0 => Self { offset, flag, clock: FrameClock::of(port, driver) },
            _ => Self { offset: -1, flag: 0, clock: FrameClock::Absent },
        }
    }
}

impl RxQueue {
    pub(crate) fn new(port: Arc<PortInner>, id: QueueId, stamps: Stamps) -> Self {
        let scratch = vec![0; BURST * LONGEST_FRAME].into_boxed_slice();
        let tag = port.id().0;
        Self { received: Box::default(), scratch, stamps, id, tag, port }
    }

    /// Takes what has arrived, at most [`BURST`] frames, without waiting or allocating.
    ///
    /// A frame in one mbuf is lent where it lies. One in several is copied to memory of this
    /// queue, so that it too is contiguous.
    #[inline]
    pub fn poll(&mut self) -> Burst<'_> {
        let received = &mut *self.received;
        // SAFETY: the port is started, since `port` stops it only when the last queue is gone; the
        // queue is set up; `&mut self` makes this its only poll; the array is as long as C thinks.
        unsafe {
            let (port, offset) = (self.port.id().0, self.stamps.offset);
            sys::weir_rx_burst(port, self.id.0, offset, self.tag, received);
        }
        if received.segmented != 0 {
            assemble(received, &mut self.scratch);
        }
        // SAFETY: the driver gave away the mbufs it counted, each with data_len bytes at its data
        // pointer; assemble pointed the others into the scratch, which self keeps for the burst.
        unsafe { Burst::new(received, &self.stamps.clock, self.stamps.flag, self.port.pool()) }
    }

    /// Compares the device's clock with the system's anew, if its frames carry device time. Worth
    /// calling about once a second, between two bursts; it is a system call or a register read.
    pub fn recalibrate(&mut self) {
        self.stamps.clock.recalibrate();
    }

    /// What its frames are known by behind a ring: see [`Taken::frames`](crate::Taken::frames).
    /// Its port's number until it is given another.
    pub fn set_tag(&mut self, tag: u16) {
        self.tag = tag;
    }

    /// Its number.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its port's name.
    pub fn port(&self) -> &str {
        self.port.name()
    }
}

/// Copies each frame of several segments, one behind the other, to where it is contiguous.
#[cold]
pub(crate) fn assemble(received: &mut sys::weir_burst, mut room: &mut [u8]) {
    let mut left = received.segmented;
    while left != 0 {
        let index = left.trailing_zeros() as usize;
        left &= left - 1;
        // 64 frames of the greatest length fit, so the second bound never cuts.
        let most = LONGEST_FRAME.min(room.len());
        // SAFETY: `index` is below the count, so the mbuf is a whole chain of ours; C writes at
        // most the room that it is told of.
        let copied =
            unsafe { sys::weir_copy_whole(received.mbufs[index], room.as_mut_ptr(), most as u32) };
        let (frame, rest) = room.split_at_mut(copied as usize);
        received.frames[index].data = frame.as_ptr();
        received.frames[index].data_len = copied;
        room = rest;
    }
}

impl fmt::Debug for RxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxQueue")
            .field("port", &self.port.name())
            .field("id", &self.id)
            .field("stamps", &self.stamps)
            .finish_non_exhaustive()
    }
}
