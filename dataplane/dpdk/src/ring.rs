//! A ring of mbufs between two threads: one puts frames in, the other takes them out.
//!
//! A slot holds all that a frame is, so that neither side reads the mbuf's own header, and puts
//! are shown to the other side many at a time: a cache line that changes cores costs as much as
//! inspecting several frames.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weir_dpdk_sys as sys;

use crate::burst::RxFrame;
use crate::pool::Pool;
use crate::queue::{BURST, LONGEST_FRAME};

/// Frames that are put in before the other side is shown them, unless it is told earlier.
const SHOWN_AT_ONCE: usize = 32;

/// A frame in the ring, and the owner of its mbuf.
pub(crate) struct Slot {
    pub(crate) mbuf: *mut sys::rte_mbuf,
    /// Null if the frame lies in several segments, which the taker puts together.
    pub(crate) data: *const u8,
    pub(crate) time: u64,
    pub(crate) data_len: u32,
    pub(crate) packet_len: u32,
    pub(crate) tag: u16,
    pub(crate) stripped_vlan: Option<u16>,
}

/// A value on cache lines of its own, and of the line that is prefetched beside them.
#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

struct Ring {
    slots: Box<[UnsafeCell<MaybeUninit<Slot>>]>,
    /// Slots ever shown; the sender writes it.
    shown: Apart<AtomicUsize>,
    /// Slots ever given back; the receiver writes it.
    taken: Apart<AtomicUsize>,
    closed: AtomicBool,
    /// What the mbufs are freed to: no pool goes while a ring may hold one of its mbufs.
    pools: Arc<[Arc<Pool>]>,
}

// SAFETY: the slots from `taken` to `shown` are the receiver's alone, all others the sender's;
// each writes one of the two, with release, after it is done with the slots that it passes on.
// There is one sender and one receiver, neither can be cloned. An mbuf may be freed by any thread.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    fn slot(&self, number: usize) -> *mut MaybeUninit<Slot> {
        self.slots[number & (self.slots.len() - 1)].get()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let (from, to) = (*self.taken.0.get_mut(), *self.shown.0.get_mut());
        for number in from..to {
            // SAFETY: a slot that was shown and not taken holds an mbuf that nobody else owns;
            // its pool lives, since `pools` drops after this.
            unsafe {
                let mut mbuf = (*self.slot(number)).assume_init_ref().mbuf;
                sys::rte_pktmbuf_free_bulk(&mut mbuf, 1);
            }
        }
    }
}

/// A ring of at least `room` frames, and its two ends.
pub(crate) fn ring(room: usize, pools: Arc<[Arc<Pool>]>) -> (RingSender, RingReceiver) {
    let slots = room.max(BURST).next_power_of_two();
    let ring = Arc::new(Ring {
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        shown: Apart::default(),
        taken: Apart::default(),
        closed: AtomicBool::new(false),
        pools,
    });
    let sender = RingSender { ring: Arc::clone(&ring), put: 0, shown: 0, taken: 0 };
    let receiver = RingReceiver {
        ring,
        taken: 0,
        mbufs: [ptr::null_mut(); BURST],
        scratch: vec![0; BURST * LONGEST_FRAME].into_boxed_slice(),
    };
    (sender, receiver)
}

/// The end that frames are put into.
pub(crate) struct RingSender {
    ring: Arc<Ring>,
    put: usize,
    shown: usize,
    /// What was last seen of the receiver's progress.
    taken: usize,
}

impl RingSender {
    /// Puts a frame in; false, and it stays its owner's, if the ring is full.
    #[inline]
    pub(crate) fn put(&mut self, slot: Slot) -> bool {
        if self.put - self.taken == self.ring.slots.len() && !self.has_room() {
            return false;
        }
        // SAFETY: the slot is not shown, and what was in it was taken: it is the sender's.
        unsafe { (*self.ring.slot(self.put)).write(slot) };
        self.put += 1;
        if self.put - self.shown >= SHOWN_AT_ONCE {
            self.show();
        }
        true
    }

    #[cold]
    fn has_room(&mut self) -> bool {
        self.show();
        self.taken = self.ring.taken.0.load(Ordering::Acquire);
        self.put - self.taken < self.ring.slots.len()
    }

    /// Shows the receiver all that was put in.
    #[inline]
    pub(crate) fn show(&mut self) {
        if self.shown != self.put {
            self.shown = self.put;
            self.ring.shown.0.store(self.shown, Ordering::Release);
        }
    }
}

impl Drop for RingSender {
    fn drop(&mut self) {
        self.show();
        self.ring.closed.store(true, Ordering::Release);
    }
}

/// The end that a worker takes frames out of. It may move to another thread.
pub struct RingReceiver {
    ring: Arc<Ring>,
    taken: usize,
    mbufs: [*mut sys::rte_mbuf; BURST],
    /// Where frames of several segments are put together; mostly only reserved.
    scratch: Box<[u8]>,
}

// SAFETY: `mbufs` is of meaning only between a poll and the drop of what it gave, which borrows
// the receiver.
unsafe impl Send for RingReceiver {}

impl RingReceiver {
    /// Takes what was put in, at most [`BURST`] frames, without waiting or allocating.
    #[inline]
    pub fn poll(&mut self) -> Taken<'_> {
        let count = self.waiting().min(BURST);
        let mut segmented = 0_u64;
        for place in 0..count {
            // SAFETY: the slot was shown and not given back, so it is the receiver's and filled.
            let slot = unsafe { (*self.ring.slot(self.taken + place)).assume_init_ref() };
            self.mbufs[place] = slot.mbuf;
            segmented |= u64::from(slot.data.is_null()) << place;
        }
        if segmented != 0 {
            self.assemble(segmented);
        }
        Taken { receiver: self, count }
    }

    /// Frames that wait to be taken.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.ring.shown.0.load(Ordering::Acquire) - self.taken
    }

    /// Frames that there is room for.
    pub fn room(&self) -> usize {
        self.ring.slots.len()
    }

    /// Whether nothing waits and nothing more will come.
    pub fn is_over(&self) -> bool {
        // In this order: what was shown before the end is then seen.
        self.ring.closed.load(Ordering::Acquire) && self.waiting() == 0
    }

    #[cold]
    fn assemble(&mut self, mut left: u64) {
        let mut room = &mut *self.scratch;
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            left &= left - 1;
            let most = LONGEST_FRAME.min(room.len());
            // SAFETY: the mbuf is a whole chain of ours; C writes at most the room that it is
            // told of.
            let copied =
                unsafe { sys::weir_copy_whole(self.mbufs[place], room.as_mut_ptr(), most as u32) };
            let (frame, rest) = room.split_at_mut(copied as usize);
            room = rest;
            // SAFETY: as in `poll`; nobody else looks at the slot.
            let slot = unsafe { (*self.ring.slot(self.taken + place)).assume_init_mut() };
            slot.data = frame.as_ptr();
            slot.data_len = copied;
        }
    }
}

impl fmt::Debug for RingReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingReceiver")
            .field("room", &self.room())
            .field("waiting", &self.waiting())
            .field("pools", &self.ring.pools.len())
            .finish_non_exhaustive()
    }
}

/// Up to [`BURST`] frames out of a ring. Dropping this gives them back to their pools in one call.
#[must_use = "dropping it frees its frames unseen"]
pub struct Taken<'a> {
    receiver: &'a mut RingReceiver,
    count: usize,
}

impl Taken<'_> {
    /// How many frames.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing waited.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The frames in the order in which they were put in, each with its tag and the time that
    /// it was given.
    #[inline]
    pub fn frames(&self) -> impl ExactSizeIterator<Item = (u16, RxFrame<'_>)> {
        (0..self.count).map(|place| {
            // SAFETY: the slot is the receiver's until this is dropped.
            let slot = unsafe {
                (*self.receiver.ring.slot(self.receiver.taken + place)).assume_init_ref()
            };
            // SAFETY: the bytes lie in the mbuf, which this owns, or in the scratch, which it
            // borrows; the driver or `assemble` said how many there are.
            let bytes = unsafe { std::slice::from_raw_parts(slot.data, slot.data_len as usize) };
            let frame = RxFrame {
                bytes,
                wire_len: slot.packet_len.max(slot.data_len),
                time: Some(slot.time),
                stripped_vlan: slot.stripped_vlan,
            };
            (slot.tag, frame)
        })
    }
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.count == 0 {
            return;
        }
        let receiver = &mut *self.receiver;
        // SAFETY: the mbufs came out of filled slots and are owned by nobody else; giving the slots
        // back below keeps them from being taken again.
        unsafe {
            sys::rte_pktmbuf_free_bulk(receiver.mbufs.as_mut_ptr(), self.count as u32);
        }
        receiver.taken += self.count;
        receiver.ring.taken.0.store(receiver.taken, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame without an mbuf, which DPDK frees as nothing.
    fn slot(number: u64, bytes: &'static [u8]) -> Slot {
        Slot {
            mbuf: ptr::null_mut(),
            data: bytes.as_ptr(),
            time: number,
            data_len: bytes.len() as u32,
            packet_len: 70_000,
            tag: number as u16,
            stripped_vlan: (number % 2 == 1).then_some(7),
        }
    }

    #[test]
    fn what_is_put_in_is_shown_in_bulk_or_when_told() {
        let (mut sender, mut receiver) = ring(128, Arc::new([]));
        for number in 0..SHOWN_AT_ONCE as u64 - 1 {
            assert!(sender.put(slot(number, b"frame")));
        }
        assert_eq!((receiver.waiting(), receiver.poll().len()), (0, 0));
        sender.show();
        let taken = receiver.poll();
        assert_eq!(taken.len(), SHOWN_AT_ONCE - 1);
        let (tag, frame) = taken.frames().nth(3).unwrap();
        assert_eq!((tag, frame.bytes, frame.time), (3, &b"frame"[..], Some(3)));
        assert_eq!((frame.wire_len, frame.stripped_vlan), (70_000, Some(7)));
        drop(taken);
        for number in 0..SHOWN_AT_ONCE as u64 {
            assert!(sender.put(slot(number, b"")));
        }
        assert_eq!(receiver.waiting(), SHOWN_AT_ONCE);
    }

    #[test]
    fn a_full_ring_takes_nothing_until_something_was_taken() {
        let (mut sender, mut receiver) = ring(64, Arc::new([]));
        let put = (0..).take_while(|number| sender.put(slot(*number, b""))).count();
        assert_eq!((put, receiver.room(), receiver.waiting()), (64, 64, 64));
        let taken = receiver.poll();
        assert!(!sender.put(slot(0, b"")), "what is being looked at still has its slots");
        drop(taken);
        assert!(sender.put(slot(0, b"")));
    }

    #[test]
    fn the_end_is_seen_behind_the_last_frame() {
        let (mut sender, mut receiver) = ring(64, Arc::new([]));
        assert!(sender.put(slot(0, b"")));
        assert!(!receiver.is_over());
        drop(sender);
        assert!(!receiver.is_over(), "a frame waits");
        drop(receiver.poll());
        assert!(receiver.is_over());
    }

    #[test]
    fn two_threads_lose_and_repeat_nothing() {
        const FRAMES: u64 = 300_000;
        let (mut sender, mut receiver) = ring(256, Arc::new([]));
        let sending = std::thread::spawn(move || {
            for number in 0..FRAMES {
                while !sender.put(slot(number, b"")) {
                    std::thread::yield_now();
                }
                if number % 7 == 0 {
                    sender.show();
                }
            }
        });
        let mut next = 0;
        while !receiver.is_over() {
            let taken = receiver.poll();
            if taken.is_empty() {
                std::thread::yield_now();
            }
            for (_, frame) in taken.frames() {
                assert_eq!(frame.time, Some(next));
                next += 1;
            }
        }
        assert_eq!(next, FRAMES);
        sending.join().unwrap();
    }
}
