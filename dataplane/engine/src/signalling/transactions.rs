//! Transactions: a request and its answer (TS 29.244 §6.4).
//!
//! A request's bytes wait here for the answer that commits or discards them. An
//! answered one is remembered as long as it may come again. An answer that comes
//! before its request waits a second for it, since taps reorder.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use weir_mem::prefetch;
use weir_wire::Address;
use weir_wire::pfcp::Pfcp;

use super::datagram::N4Datagram;
use super::foresight::{TIMERS_AHEAD, TIMERS_NEAR};
use super::keyed::{Index, hash_key};
use super::session::SessionRef;
use crate::Nanos;

/// Transactions that are remembered at a time.
const TRANSACTIONS: usize = 1 << 18;
/// Marks of them in order of time: whoever asks one key with ever other bytes leaves those
/// of rows that are gone.
const MARKS: usize = 2 * TRANSACTIONS;
/// Of these, requests that wait for an answer.
const WAITING: usize = 1 << 16;
/// What undeclared senders may have of either.
const STRANGERS: usize = 1 << 12;
/// Bytes of requests that wait.
const BYTES: usize = 64 << 20;
/// How long a request may come again: T1 × N1 of usual settings.
pub(crate) const WINDOW: Nanos = Nanos::from_secs(15);
/// After this long a request without an answer lowers the coverage.
pub(crate) const OVERDUE: Nanos = Nanos::from_secs(3);
/// How long an answer waits for its request.
const EARLY: Nanos = Nanos::SECOND;
/// Answers that wait for their requests, and their bytes.
const ANSWERS: usize = 4096;
const EARLY_BYTES: usize = 8 << 20;

/// What names a transaction: the request's ends, sequence number and type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TransactionKey {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) sequence: u32,
    pub(crate) message: u8,
}

/// Whether a message of that type answers the one before it (TS 29.244 §7.3).
pub(super) const fn is_answer(code: u8) -> bool {
    matches!(code, 2 | 4 | 6 | 8 | 10 | 13 | 15 | 17 | 51 | 53 | 55 | 57)
}

impl TransactionKey {
    /// The transaction that a request begins.
    pub(crate) fn of_request(datagram: &N4Datagram<'_>, request: &Pfcp<'_>) -> Self {
        Self {
            source: datagram.source,
            destination: datagram.destination,
            source_port: datagram.source_port,
            destination_port: datagram.destination_port,
            sequence: request.sequence(),
            message: request.message().0,
        }
    }

    /// The transaction that an answer ends: it swaps the ends, and its type is one more.
    pub(crate) fn answered_by(datagram: &N4Datagram<'_>, answer: &Pfcp<'_>) -> Self {
        Self {
            source: datagram.destination,
            destination: datagram.source,
            source_port: datagram.destination_port,
            destination_port: datagram.source_port,
            sequence: answer.sequence(),
            message: answer.message().0.wrapping_sub(1),
        }
    }
}

impl Hash for TransactionKey {
    /// What is no address fits into one word: the sequence number has 24 bits.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.source.0);
        state.write_u128(self.destination.0);
        let ports = u64::from(self.source_port) << 16 | u64::from(self.destination_port);
        state.write_u64(ports << 32 | u64::from(self.sequence) << 8 | u64::from(self.message));
    }
}

/// A request as it waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The message, header and all.
    pub(crate) bytes: Vec<u8>,
    /// When it was first seen.
    pub(crate) time: Nanos,
    /// The session it is about, where that is known.
    pub(crate) session: Option<SessionRef>,
    /// The SEID that its answer carries, where that is known.
    pub(crate) answer_seid: Option<u64>,
    /// The SEID that the request gives in place of that one: the answer may carry it already.
    pub(crate) new_seid: Option<u64>,
    /// The pair of nodes that it goes between.
    pub(crate) pair: u32,
    /// Whether it may not be its owner's.
    pub(crate) doubted: bool,
    /// Whether its answer is late.
    pub(crate) overdue: bool,
    /// Whether it was applied without an answer.
    pub(crate) presumed: bool,
}

#[derive(Debug)]
struct Transaction {
    key: Option<TransactionKey>,
    hash: u64,
    uses: u32,
    time: Nanos,
    /// The session's SEID in its header, or 0.
    seid: u64,
    declared: bool,
    /// Whether it may not be its owner's.
    doubted: bool,
    waiting: Option<Waiting>,
}

/// A request as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) key: TransactionKey,
    /// The hash of its bytes.
    pub(crate) hash: u64,
    /// The session's SEID in its header, or 0.
    pub(crate) seid: u64,
    pub(crate) message: &'a [u8],
    pub(crate) time: Nanos,
    /// Whether it goes between declared peers.
    pub(crate) declared: bool,
}

/// What a request is to what came before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// A new one.
    New,
    /// The same again, and when it came first.
    Again(Nanos),
    /// Another one under a number that came at that time, shortly before, with the same SEID.
    Otherwise(Nanos),
    /// There is no room to remember it.
    Dropped,
}

/// Requests that time made something of.
#[derive(Debug, Default)]
pub(crate) struct Timed {
    /// Requests that are not answered in time.
    pub(crate) overdue: Vec<TransactionKey>,
    /// Requests that are given up.
    pub(crate) given_up: Vec<(TransactionKey, Waiting)>,
    /// Answers without a request.
    pub(crate) unasked: Vec<(TransactionKey, Early)>,
}

/// An answer that waits for its request.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) time: Nanos,
    pub(crate) bytes: Vec<u8>,
}

/// All transactions.
#[derive(Debug)]
pub(crate) struct Transactions {
    rows: Vec<Transaction>,
    free: Vec<u32>,
    /// Rows by the hashes of their keys; whoever asks compares the key.
    index: Index,
    /// The row that was asked for last, which is mostly asked for again.
    latest: u32,
    /// In order of time: (since, place, uses).
    overdue: VecDeque<(Nanos, u32, u32)>,
    order: VecDeque<(Nanos, u32, u32)>,
    early: VecDeque<(TransactionKey, Early)>,
    early_bytes: usize,
    spare: Vec<Vec<u8>>,
    waiting: usize,
    strangers: usize,
    bytes: usize,
    evictions: u64,
}

impl Default for Transactions {
    fn default() -> Self {
        Self {
            rows: Vec::with_capacity(TRANSACTIONS),
            free: Vec::with_capacity(TRANSACTIONS),
            index: Index::new(TRANSACTIONS),
            latest: 0,
            overdue: VecDeque::with_capacity(TRANSACTIONS),
            order: VecDeque::with_capacity(TRANSACTIONS),
            early: VecDeque::new(),
            early_bytes: 0,
            spare: Vec::new(),
            waiting: 0,
            strangers: 0,
            bytes: 0,
            evictions: 0,
        }
    }
}

impl Transactions {
    /// The row of a key.
    fn find(&self, key: &TransactionKey) -> Option<u32> {
        let is_its = |place: &u32| {
            self.rows.get(*place as usize).is_some_and(|row| row.key.as_ref() == Some(key))
        };
        if is_its(&self.latest) {
            return Some(self.latest);
        }
        self.index.find(hash_key(key)).map(|place| place as u32).filter(is_its)
    }

    /// Takes a request in. A new one under an old key ends the old one, which is
    /// given back if it still waited.
    pub(crate) fn ask(&mut self, question: &Question<'_>) -> (Asked, Option<Waiting>) {
        let Question { key, hash, seid, message, time, declared } = *question;
        let mut asked = Asked::New;
        let mut ended = None;
        if let Some(place) = self.find(&key) {
            let row = &self.rows[place as usize];
            if time.since(row.time) <= WINDOW {
                if row.hash == hash {
                    return (Asked::Again(row.time), None);
                }
                // Whoever was in doubt before is no measure.
                if seid != 0 && row.seid == seid && !row.doubted {
                    asked = Asked::Otherwise(row.time);
                }
            }
            ended = self.forget(place);
        }
        if !declared && self.strangers >= STRANGERS {
            self.evictions += 1;
            return (Asked::Dropped, ended);
        }
        while self.rows.len() - self.free.len() >= TRANSACTIONS
            || self.waiting >= WAITING
            || self.bytes + message.len() > BYTES
            || self.order.len() >= MARKS
        {
            // The oldest makes room; each step shortens the queue.
            let Some((_, place, uses)) = self.order.pop_front() else { break };
            self.foresee_forgotten();
            if self.rows[place as usize].uses == uses && self.rows[place as usize].key.is_some() {
                self.evictions += u64::from(self.rows[place as usize].waiting.is_some());
                let spare = self.forget(place);
                self.reuse(spare);
            }
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(message);
        self.bytes += bytes.len();
        self.waiting += 1;
        self.strangers += usize::from(!declared);
        let waiting = Waiting { bytes, time, ..Waiting::default() };
        let fresh = Transaction {
            key: Some(key),
            hash,
            uses: 0,
            time,
            seid,
            declared,
            doubted: false,
            waiting: Some(waiting),
        };
        let place = match self.free.pop() {
            Some(place) => {
                let uses = self.rows[place as usize].uses.wrapping_add(1);
                self.rows[place as usize] = Transaction { uses, ..fresh };
                place
            }
            None => {
                self.rows.push(fresh);
                (self.rows.len() - 1) as u32
            }
        };
        let uses = self.rows[place as usize].uses;
        self.index.insert(hash_key(&key), place.into());
        self.latest = place;
        if self.overdue.len() >= MARKS {
            self.overdue.pop_front();
        }
        self.overdue.push_back((time, place, uses));
        self.order.push_back((time, place, uses));
        (asked, ended)
    }

    /// The request of a key that waits, to be told more about.
    pub(crate) fn waiting(&mut self, key: &TransactionKey) -> Option<&mut Waiting> {
        let place = self.find(key)?;
        self.latest = place;
        self.rows[place as usize].waiting.as_mut()
    }

    /// Notes that a request may not be its owner's.
    pub(crate) fn doubt(&mut self, key: &TransactionKey) {
        if let Some(place) = self.find(key) {
            self.rows[place as usize].doubted = true;
        }
    }

    /// Whether the request that came again may not be its owner's.
    pub(crate) fn is_doubted(&self, key: &TransactionKey) -> bool {
        self.find(key).is_some_and(|place| self.rows[place as usize].doubted)
    }

    /// When a transaction of this key began, answered or not, if it is remembered.
    pub(crate) fn since(&self, key: &TransactionKey) -> Option<Nanos> {
        self.find(key).map(|place| self.rows[place as usize].time)
    }

    /// Takes the request out that an answer is for.
    pub(crate) fn answer(&mut self, key: &TransactionKey) -> Option<Waiting> {
        let place = self.find(key)?;
        let row = &mut self.rows[place as usize];
        let waiting = row.waiting.take()?;
        self.waiting -= 1;
        self.bytes -= waiting.bytes.len();
        Some(waiting)
    }

    /// Gives a request's memory back.
    pub(crate) fn reuse(&mut self, waiting: Option<Waiting>) {
        if let Some(waiting) = waiting
            && self.spare.len() < 1024
        {
            self.spare.push(waiting.bytes);
        }
    }

    /// Keeps an answer whose request may still come.
    pub(crate) fn keep_early(&mut self, key: TransactionKey, message: &[u8], time: Nanos) {
        while self.early.len() >= ANSWERS || self.early_bytes + message.len() > EARLY_BYTES {
            if self.first_early().is_none() {
                break;
            }
            self.evictions += 1;
        }
        self.early_bytes += message.len();
        self.early.push_back((key, Early { time, bytes: message.to_vec() }));
    }

    /// The answer that came before this request.
    pub(crate) fn take_early(&mut self, key: &TransactionKey) -> Option<Early> {
        let place = self.early.iter().position(|(of, _)| of == key)?;
        let (_, early) = self.early.remove(place)?;
        self.early_bytes -= early.bytes.len();
        Some(early)
    }

    fn first_early(&mut self) -> Option<(TransactionKey, Early)> {
        let first = self.early.pop_front()?;
        self.early_bytes -= first.1.bytes.len();
        Some(first)
    }

    /// Lets time run on to `now`: what is overdue by then. It is looked at before
    /// [`Self::give_up`] forgets it.
    pub(crate) fn advance(&mut self, now: Nanos, timed: &mut Timed) {
        while let Some((time, place, uses)) = self.overdue.front().copied()
            && now.since(time) > OVERDUE
        {
            self.overdue.pop_front();
            self.foresee_first(&self.overdue);
            let row = &mut self.rows[place as usize];
            if row.uses == uses
                && let Some(key) = row.key
                && let Some(waiting) = &mut row.waiting
            {
                waiting.overdue = true;
                timed.overdue.push(key);
            }
        }
    }

    /// Gives up what came to nothing by `now`.
    pub(crate) fn give_up(&mut self, now: Nanos, timed: &mut Timed) {
        while let Some((time, place, uses)) = self.order.front().copied()
            && now.since(time) > WINDOW
        {
            self.order.pop_front();
            self.foresee_forgotten();
            if self.rows[place as usize].uses != uses {
                continue;
            }
            let Some(key) = self.rows[place as usize].key else { continue };
            if let Some(waiting) = self.forget(place) {
                timed.given_up.push((key, waiting));
            }
        }
        while let Some((_, early)) = self.early.front()
            && now.since(early.time) > EARLY
        {
            timed.unasked.extend(self.first_early());
        }
    }

    /// Asks for the slot where a transaction is looked for.
    pub(crate) fn foresee_slot(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Asks for a transaction, whose slot is there, and its request.
    pub(crate) fn foresee_row(&self, hash: u64) {
        let place = self.index.find(hash).unwrap_or(u64::MAX);
        self.foresee_place(place as usize);
    }

    fn foresee_place(&self, place: usize) {
        if let Some(row) = self.rows.get(place) {
            prefetch(row);
            prefetch(&row.waiting);
        }
    }

    /// Asks for the next transactions whose time comes: they are as long ago as anything here.
    fn foresee_first(&self, queue: &VecDeque<(Nanos, u32, u32)>) {
        if let Some((_, place, _)) = queue.get(TIMERS_AHEAD) {
            self.foresee_place(*place as usize);
        }
    }

    /// The same, and for the slots of those that are forgotten.
    fn foresee_forgotten(&self) {
        self.foresee_first(&self.order);
        let near = self.order.get(TIMERS_NEAR);
        let near = near.and_then(|(_, place, _)| self.rows.get(*place as usize));
        if let Some(key) = near.and_then(|row| row.key.as_ref()) {
            self.index.prefetch(hash_key(key));
        }
    }

    fn forget(&mut self, place: u32) -> Option<Waiting> {
        let row = &mut self.rows[place as usize];
        let key = row.key.take()?;
        let waiting = row.waiting.take();
        if let Some(waiting) = &waiting {
            self.waiting -= 1;
            self.bytes -= waiting.bytes.len();
        }
        self.strangers -= usize::from(!row.declared);
        self.index.remove(hash_key(&key), place.into());
        self.free.push(place);
        waiting
    }

    /// Requests of a type that wait.
    pub(crate) fn all_waiting(
        &self,
        message: u8,
    ) -> impl Iterator<Item = (&TransactionKey, &Waiting)> {
        self.rows.iter().filter_map(move |row| {
            let key = row.key.as_ref().filter(|key| key.message == message)?;
            Some((key, row.waiting.as_ref()?))
        })
    }

    /// Requests and answers given up for want of room.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}
