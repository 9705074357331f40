//! A ring between two threads: one puts values in, the other takes them out.
//!
//! Values are shown to the other side many at a time: a cache line that changes cores costs as much
//! as inspecting several frames.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Values that are put in before the other side is shown them, unless it is told earlier.
const SHOWN_AT_ONCE: usize = 32;

/// A value on cache lines of its own, and of the line that is prefetched beside them.
#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

struct Ring<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Values ever shown; the sender writes it.
    shown: Apart<AtomicUsize>,
    /// Values ever taken; the receiver writes it.
    taken: Apart<AtomicUsize>,
    closed: AtomicBool,
}

// SAFETY: the slots from `taken` to `shown` are the receiver's alone, all others the sender's;
// each writes one of the two, with release, after it is done with the slots that it passes on.
// There is one sender and one receiver, neither can be cloned.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    #[inline]
    fn slot(&self, number: usize) -> *mut MaybeUninit<T> {
        self.slots[number & (self.slots.len() - 1)].get()
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        for number in *self.taken.0.get_mut()..*self.shown.0.get_mut() {
            // SAFETY: a slot that was shown and not taken holds a value, and nobody else is left.
            unsafe { (*self.slot(number)).assume_init_drop() };
        }
    }
}

/// A ring of at least `room` values, and its two ends.
pub(crate) fn spsc<T: Send>(room: usize) -> (Sender<T>, Receiver<T>) {
    let slots = room.next_power_of_two();
    let ring = Arc::new(Ring {
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        shown: Apart::default(),
        taken: Apart::default(),
        closed: AtomicBool::new(false),
    });
    let sender = Sender { ring: Arc::clone(&ring), put: 0, shown: 0, taken: 0 };
    (sender, Receiver { ring, taken: 0 })
}

/// The end that values are put into.
pub(crate) struct Sender<T> {
    ring: Arc<Ring<T>>,
    put: usize,
    shown: usize,
    /// What was last seen of the receiver's progress.
    taken: usize,
}

impl<T> Sender<T> {
    /// Puts a value in. The caller has asked for room.
    #[inline]
    pub(crate) fn put(&mut self, value: T) {
        assert!(self.put - self.taken < self.ring.slots.len(), "a full ring takes nothing");
        // SAFETY: the slot is not shown, and what was in it was taken: it is the sender's.
        unsafe { (*self.ring.slot(self.put)).write(value) };
        self.put += 1;
        if self.put - self.shown >= SHOWN_AT_ONCE {
            self.show();
        }
    }

    /// Whether there is room for so many values. Where there seems to be none, what was put in is
    /// shown, and looked how far the receiver has come.
    #[inline]
    pub(crate) fn has_room_for(&mut self, values: usize) -> bool {
        let room = self.ring.slots.len();
        if self.put - self.taken + values > room {
            self.show();
            self.taken = self.ring.taken.0.load(Ordering::Acquire);
        }
        self.put - self.taken + values <= room
    }

    /// Shows the receiver all that was put in.
    #[inline]
    pub(crate) fn show(&mut self) {
        if self.shown != self.put {
            self.shown = self.put;
            self.ring.shown.0.store(self.shown, Ordering::Release);
        }
    }

    /// Whether the other end is still there.
    pub(crate) fn is_served(&self) -> bool {
        Arc::strong_count(&self.ring) > 1
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.show();
        self.ring.closed.store(true, Ordering::Release);
    }
}

/// The end that values are taken out of.
pub(crate) struct Receiver<T> {
    ring: Arc<Ring<T>>,
    taken: usize,
}

impl<T> Receiver<T> {
    /// Takes at most `most` values, in the order in which they were put in; tells how many.
    #[inline]
    pub(crate) fn take(&mut self, most: usize, mut each: impl FnMut(usize, T)) -> usize {
        let count = self.waiting().min(most);
        for place in 0..count {
            // SAFETY: the slot was shown and not given back, so it is the receiver's and filled; it
            // is read once, since `taken` moves past it at once.
            let value = unsafe { (*self.ring.slot(self.taken)).assume_init_read() };
            self.taken += 1;
            each(place, value);
        }
        if count > 0 {
            self.ring.taken.0.store(self.taken, Ordering::Release);
        }
        count
    }

    /// Values that wait to be taken.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.ring.shown.0.load(Ordering::Acquire) - self.taken
    }

    /// Values that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.ring.slots.len()
    }

    /// Whether nothing waits and nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        // In this order: what was shown before the end is then seen.
        self.ring.closed.load(Ordering::Acquire) && self.waiting() == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // A value may have been taken whose taking was not told yet.
        self.ring.taken.0.store(self.taken, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T>(receiver: &mut Receiver<T>) -> Vec<T> {
        let mut taken = Vec::new();
        receiver.take(usize::MAX, |_, value| taken.push(value));
        taken
    }

    #[test]
    fn what_is_put_in_is_shown_in_bulk_or_when_told() {
        let (mut sender, mut receiver) = spsc(128);
        (0..SHOWN_AT_ONCE - 1).for_each(|value| sender.put(value));
        assert_eq!((receiver.waiting(), all(&mut receiver).len()), (0, 0));
        sender.show();
        assert_eq!(all(&mut receiver), (0..SHOWN_AT_ONCE - 1).collect::<Vec<_>>());
        (0..SHOWN_AT_ONCE).for_each(|value| sender.put(value));
        assert_eq!(receiver.waiting(), SHOWN_AT_ONCE);
        assert_eq!(receiver.take(5, |place, value| assert_eq!(place, value)), 5);
        assert_eq!(receiver.waiting(), SHOWN_AT_ONCE - 5);
    }

    #[test]
    fn a_full_ring_has_room_when_something_was_taken() {
        let (mut sender, mut receiver) = spsc(50);
        let mut put = 0;
        while sender.has_room_for(1) {
            sender.put(put);
            put += 1;
        }
        assert_eq!((put, receiver.room(), receiver.waiting()), (64, 64, 64));
        receiver.take(3, |_, _| {});
        assert!(sender.has_room_for(3) && !sender.has_room_for(4));
        assert!(sender.is_served());
        drop(receiver);
        assert!(!sender.is_served());
    }

    #[test]
    fn the_end_is_seen_behind_the_last_value() {
        let (mut sender, mut receiver) = spsc(64);
        sender.put(1);
        assert!(!receiver.is_over());
        drop(sender);
        assert!(!receiver.is_over(), "a value waits");
        assert_eq!(all(&mut receiver), [1]);
        assert!(receiver.is_over());
    }

    #[test]
    fn every_value_has_one_end() {
        let value = Arc::new(());
        let (mut sender, mut receiver) = spsc(64);
        (0..10).for_each(|_| sender.put(Arc::clone(&value)));
        sender.show();
        receiver.take(4, |_, value| drop(value));
        assert_eq!(Arc::strong_count(&value), 7);
        sender.put(Arc::clone(&value));
        drop((receiver, sender));
        assert_eq!(Arc::strong_count(&value), 1, "what was not taken went with the ring");
    }

    #[test]
    fn two_threads_lose_and_repeat_nothing() {
        const VALUES: u64 = 300_000;
        let (mut sender, mut receiver) = spsc(256);
        let sending = std::thread::spawn(move || {
            for value in 0..VALUES {
                while !sender.has_room_for(1) {
                    std::thread::yield_now();
                }
                sender.put(value);
                if value % 7 == 0 {
                    sender.show();
                }
            }
        });
        let mut next = 0;
        while !receiver.is_over() {
            let taken = receiver.take(64, |_, value| {
                assert_eq!(value, next);
                next += 1;
            });
            if taken == 0 {
                std::thread::yield_now();
            }
        }
        assert_eq!(next, VALUES);
        sending.join().unwrap();
    }
}
