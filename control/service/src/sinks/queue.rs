//! A sink's queue: bounded by events and by bytes. Whoever puts something in waits for nobody; what
//! finds no room displaces what is less worth: the oldest flow, session or stats event first, else
//! the oldest of all. Who comes late to a collector that was away has the present and not the past:
//! the past stands in the event file.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Events that wait for one sink.
pub(super) const EVENTS: usize = 16_384;
/// Their bytes.
pub(super) const BYTES: usize = 16 << 20;

/// What is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Item {
    /// Alerts, health and policy; all else is chatter, which is given up first.
    pub(super) is_grave: bool,
    /// What the sink's thread has to know of the bytes: of IPFIX the template, of syslog whether
    /// the message was cut.
    pub(super) tag: u16,
    /// The message, or the record.
    pub(super) bytes: Vec<u8>,
}

/// Items that wait, by worth, each with its place in the order of all.
#[derive(Debug, Default)]
struct Waiting {
    grave: VecDeque<(u64, Item)>,
    chatter: VecDeque<(u64, Item)>,
    bytes: usize,
    next: u64,
    /// By when all must be sent.
    deadline: Option<Instant>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.grave.len() + self.chatter.len()
    }

    fn pop(&mut self) -> Option<Item> {
        let first = |row: &VecDeque<(u64, Item)>| row.front().map_or(u64::MAX, |(place, _)| *place);
        let row = match first(&self.grave) < first(&self.chatter) {
            true => &mut self.grave,
            false => &mut self.chatter,
        };
        let (_, item) = row.pop_front()?;
        self.bytes -= item.bytes.len();
        Some(item)
    }

    fn displace(&mut self) -> bool {
        let displaced = self.chatter.pop_front().or_else(|| self.grave.pop_front());
        if let Some((_, item)) = &displaced {
            self.bytes -= item.bytes.len();
        }
        displaced.is_some()
    }
}

/// The queue between control and one sink's thread.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Items waiting, for metrics.
    depth: AtomicU64,
    most: (usize, usize),
}

impl Queue {
    pub(super) fn new() -> Self {
        Self::of(EVENTS, BYTES)
    }

    fn of(events: usize, bytes: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            depth: AtomicU64::new(0),
            most: (events, bytes),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in; how many were given up for it, itself included.
    pub(super) fn put(&self, item: Item) -> u64 {
        if item.bytes.len() > self.most.1 {
            return 1;
        }
        let mut lost = 0;
        {
            let mut waiting = self.lock();
            while waiting.len() >= self.most.0 || waiting.bytes + item.bytes.len() > self.most.1 {
                // Chatter does not displace what is grave.
                if (!item.is_grave && waiting.chatter.is_empty()) || !waiting.displace() {
                    return lost + 1;
                }
                lost += 1;
            }
            let place = waiting.next;
            waiting.next += 1;
            waiting.bytes += item.bytes.len();
            match item.is_grave {
                true => waiting.grave.push_back((place, item)),
                false => waiting.chatter.push_back((place, item)),
            }
            self.depth.store(waiting.len() as u64, Ordering::Relaxed);
        }
        self.wake.notify_all();
        lost
    }

    /// The oldest items, at most so many and about so many bytes; waits for the first one, and not
    /// once the queue is closed.
    pub(super) fn take(&self, most: usize, bytes: usize, patience: Duration) -> Vec<Item> {
        let idle = |waiting: &mut Waiting| waiting.len() == 0 && waiting.deadline.is_none();
        let waited = self.wake.wait_timeout_while(self.lock(), patience, idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        let mut size = 0;
        while taken.len() < most && size < bytes {
            let Some(item) = waiting.pop() else { break };
            size += item.bytes.len();
            taken.push(item);
        }
        self.depth.store(waiting.len() as u64, Ordering::Relaxed);
        taken
    }

    /// Sleeps, unless the queue is closed meanwhile.
    pub(super) fn sleep(&self, patience: Duration) {
        let open = |waiting: &mut Waiting| waiting.deadline.is_none();
        drop(self.wake.wait_timeout_while(self.lock(), patience, open));
    }

    /// Nothing comes any more, and what waits has to be sent by then.
    pub(super) fn close(&self, deadline: Instant) {
        self.lock().deadline = Some(deadline);
        self.wake.notify_all();
    }

    /// By when all must be sent, once the queue is closed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    /// How many items wait.
    pub(super) fn depth(&self) -> u64 {
        self.depth.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(is_grave: bool, tag: u16, len: usize) -> Item {
        Item { is_grave, tag, bytes: vec![0; len] }
    }

    fn tags(queue: &Queue) -> Vec<u16> {
        queue.take(100, usize::MAX, Duration::ZERO).iter().map(|item| item.tag).collect()
    }

    #[test]
    fn what_comes_first_is_sent_first_whatever_its_worth() {
        let queue = Queue::of(8, 1000);
        for (tag, is_grave) in [(1, true), (2, false), (3, true), (4, false)] {
            assert_eq!(queue.put(item(is_grave, tag, 1)), 0);
        }
        assert_eq!(queue.depth(), 4);
        assert_eq!(tags(&queue), [1, 2, 3, 4]);
        assert_eq!(queue.depth(), 0);
    }

    #[test]
    fn the_oldest_chatter_gives_way_and_then_the_oldest() {
        let queue = Queue::of(4, 1000);
        for (tag, is_grave) in [(1, true), (2, false), (3, true), (4, false)] {
            queue.put(item(is_grave, tag, 1));
        }
        assert_eq!(queue.put(item(true, 5, 1)), 1, "for 2");
        assert_eq!(queue.put(item(false, 6, 1)), 1, "for 4");
        assert_eq!(queue.put(item(true, 7, 1)), 1, "for 6");
        assert_eq!(queue.put(item(false, 8, 1)), 1, "itself: all others are grave");
        assert_eq!(queue.put(item(true, 9, 1)), 1, "for 1");
        assert_eq!(tags(&queue), [3, 5, 7, 9]);
    }

    #[test]
    fn bytes_are_bounded_as_well_as_events() {
        let queue = Queue::of(100, 1000);
        for tag in 0..10 {
            assert_eq!(queue.put(item(true, tag, 100)), 0);
        }
        assert_eq!(queue.put(item(true, 10, 250)), 3);
        assert_eq!(queue.put(item(true, 11, 1001)), 1, "nobody gives way in vain");
        assert_eq!(tags(&queue), [3, 4, 5, 6, 7, 8, 9, 10]);
        queue.put(item(true, 12, 600));
        queue.put(item(true, 13, 400));
        assert_eq!(queue.take(10, 1, Duration::ZERO).len(), 1, "a batch ends with its bytes");
    }

    #[test]
    fn a_closed_queue_keeps_nobody_waiting() {
        let queue = std::sync::Arc::new(Queue::of(4, 1000));
        let began = Instant::now();
        let closer = {
            let queue = queue.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                queue.close(Instant::now());
            })
        };
        assert_eq!(queue.take(1, 1, Duration::from_secs(60)), []);
        queue.sleep(Duration::from_secs(60));
        assert!(began.elapsed() < Duration::from_secs(30));
        closer.join().unwrap();
        assert!(queue.deadline().is_some());
    }
}
