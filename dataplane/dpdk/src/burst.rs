//! The frames of one poll.

use std::iter::FusedIterator;
use std::sync::Arc;

use weir_dpdk_sys as sys;

use crate::clock::FrameClock;
use crate::pool::Pool;

/// Up to [`BURST`](crate::BURST) frames, lent by the queue until this is dropped, which gives them
/// back to the pool in one call.
#[must_use = "dropping a burst frees its frames unseen"]
pub struct Burst<'a> {
    received: &'a mut sys::weir_burst,
    clock: &'a FrameClock,
    timestamp_flag: u64,
    pool: &'a Arc<Pool>,
}

/// One received frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RxFrame<'a> {
    /// The frame from its Ethernet header on, without FCS, contiguous and whole; cut only if it is
    /// longer than [`LONGEST_FRAME`](crate::LONGEST_FRAME).
    pub bytes: &'a [u8],
    /// Bytes that the driver says the frame has: more than `bytes` only where that was cut.
    pub wire_len: u32,
    /// Nanoseconds since the epoch, where the driver gives a time.
    pub time: Option<u64>,
    /// The tag control information of a VLAN tag that is in `bytes` no more.
    pub stripped_vlan: Option<u16>,
}

impl<'a> Burst<'a> {
    /// # Safety
    /// The first `received.count` mbufs are whole, of `pool` or one that lives as long, and owned by
    /// nobody else; their frames point into them or into memory that outlives `'a`, and are as
    /// long as they say.
    pub(crate) unsafe fn new(
        received: &'a mut sys::weir_burst,
        clock: &'a FrameClock,
        timestamp_flag: u64,
        pool: &'a Arc<Pool>,
    ) -> Self {
        Self { received, clock, timestamp_flag, pool }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        self.pool
    }

    /// A frame by its place; none where its mbuf was taken over.
    #[inline]
    pub(crate) fn frame(&self, place: usize) -> Option<RxFrame<'_>> {
        let mbuf = self.received.mbufs[..self.len()].get(place)?;
        if mbuf.is_null() {
            return None;
        }
        // SAFETY: as in `Frames::next`, and the mbuf is still the burst's.
        Some(unsafe { read(&self.received.frames[place], self.clock, self.timestamp_flag) })
    }

    /// For whoever takes mbufs over, and puts null in their places.
    pub(crate) fn received_mut(&mut self) -> &mut sys::weir_burst {
        self.received
    }

    /// How many frames.
    pub fn len(&self) -> usize {
        usize::from(self.received.count)
    }

    /// True on an idle poll.
    pub fn is_empty(&self) -> bool {
        self.received.count == 0
    }

    /// The frames in order of arrival.
    pub fn frames(&self) -> Frames<'_> {
        Frames {
            frames: self.received.frames[..self.len()].iter(),
            clock: self.clock,
            timestamp_flag: self.timestamp_flag,
        }
    }
}

impl<'b> IntoIterator for &'b Burst<'_> {
    type Item = RxFrame<'b>;
    type IntoIter = Frames<'b>;

    fn into_iter(self) -> Frames<'b> {
        self.frames()
    }
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        if self.received.count == 0 {
            return;
        }
        // SAFETY: `new`'s caller gave these mbufs away; this is the one place that frees them, and
        // the count of zero that C leaves keeps it so.
        unsafe { sys::weir_give_back(self.received) };
    }
}

/// # Safety
/// The frame's pointer and length are right, and nothing writes to its bytes during `'b`.
#[inline]
pub(crate) unsafe fn read<'b>(
    frame: &'b sys::weir_frame,
    clock: &FrameClock,
    timestamp_flag: u64,
) -> RxFrame<'b> {
    // SAFETY: as this function's.
    let bytes = unsafe { std::slice::from_raw_parts(frame.data, frame.data_len as usize) };
    let stamped = frame.flags & timestamp_flag != 0;
    let stripped = frame.flags & sys::WEIR_RX_VLAN_STRIPPED != 0;
    RxFrame {
        bytes,
        wire_len: frame.packet_len.max(frame.data_len),
        time: if stamped { clock.nanoseconds(frame.timestamp) } else { None },
        stripped_vlan: stripped.then_some(frame.vlan),
    }
}

/// The frames of a [`Burst`], in order of arrival.
#[derive(Clone)]
pub struct Frames<'b> {
    frames: std::slice::Iter<'b, sys::weir_frame>,
    clock: &'b FrameClock,
    timestamp_flag: u64,
}

impl<'b> Iterator for Frames<'b> {
    type Item = RxFrame<'b>;

    #[inline]
    fn next(&mut self) -> Option<RxFrame<'b>> {
        let frame = self.frames.next()?;
        // SAFETY: `Burst::new`'s caller vouches for the frame; the burst, which the lifetime
        // borrows, frees the mbufs only when it is dropped.
        Some(unsafe { read(frame, self.clock, self.timestamp_flag) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.frames.size_hint()
    }
}

impl ExactSizeIterator for Frames<'_> {}
impl FusedIterator for Frames<'_> {}
