//! The ring: opaque records from one writer to one reader at a time.
//!
//! Slot `sequence mod slots` holds record `sequence`. The writer publishes a record by moving
//! the head; the reader returns slots by moving its cursor. While a slot is being rewritten
//! its sequence word says so, and a reader that the writer has overtaken (since its own
//! cursor lied, or it asks for a position that it had released) finds that out after its copy.

use crate::cursor::Acknowledged;
use crate::words::{Ordering, ReadWords, WriteWords, fence};

/// Largest payload of a record in bytes.
pub const PAYLOAD_BYTES: usize = 992;
/// Size of a slot in bytes.
pub(crate) const SLOT_BYTES: usize = 1024;
/// Size of a slot in words.
pub(crate) const SLOT_WORDS: usize = SLOT_BYTES / 8;

const SEQUENCE: usize = 0;
const LOST_BEFORE: usize = 1;
/// worker (bits 0–15), kind (16–31), length in bytes (32–47).
const DESCRIPTION: usize = 2;
const PAYLOAD: usize = 4;
const PAYLOAD_WORDS: usize = PAYLOAD_BYTES / 8;

/// The sequence word of a slot that is being rewritten; no record ever has this number.
const REWRITING: u64 = u64::MAX;

const _: () = assert!(PAYLOAD + PAYLOAD_WORDS == SLOT_WORDS);
const _: () = assert!(PAYLOAD_BYTES <= u16::MAX as usize);

/// Why a record was not written. The discriminant is the index of its counter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Loss {
    /// The reader has not released enough slots.
    #[error("the ring is full; the reader is away or too slow")]
    Full = 0,
    /// The payload is longer than [`PAYLOAD_BYTES`].
    #[error("the payload is longer than a slot; shorten it to {PAYLOAD_BYTES} bytes")]
    Oversized = 1,
}

impl Loss {
    /// Every reason, in the order of its counter.
    pub const ALL: [Self; 2] = [Self::Full, Self::Oversized];

    /// The reason as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Oversized => "oversized",
        }
    }
}

/// Words that a ring's lost counters take.
pub(crate) const LOST_WORDS: usize = Loss::ALL.len();

/// Records lost since the segment was created, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lost([u64; LOST_WORDS]);

impl Lost {
    /// Records lost for `reason`.
    pub fn by(&self, reason: Loss) -> u64 {
        self.0[reason as usize]
    }

    /// Records lost for any reason. Wraps rather than panic on counters gone wrong.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }
}

/// The words of a ring as its writer sees them, all zero at first.
pub(crate) struct RingMemory {
    pub(crate) head: WriteWords,
    pub(crate) lost: WriteWords,
    pub(crate) slots: WriteWords,
    pub(crate) cursor: ReadWords,
}

/// The one writer of a ring.
pub struct RingWriter {
    memory: RingMemory,
    capacity: u64,
    head: u64,
    lost: Lost,
    acknowledged: Acknowledged,
}

impl RingWriter {
    pub(crate) fn new(memory: RingMemory) -> Self {
        let capacity = capacity(memory.slots.len());
        let acknowledged = Acknowledged::new(memory.cursor.clone());
        Self { memory, capacity, head: 0, lost: Lost::default(), acknowledged }
    }

    /// Writes a record and answers its sequence; or counts it as lost and says why. Never
    /// waits and never calls the system.
    pub fn push(&mut self, worker: u16, kind: u16, payload: &[u8]) -> Result<u64, Loss> {
        if payload.len() > PAYLOAD_BYTES {
            return Err(self.lose(Loss::Oversized));
        }
        if !self.has_room() {
            return Err(self.lose(Loss::Full));
        }
        let sequence = self.head;
        let slot = self.slot(sequence);
        let slots = &self.memory.slots;
        // A reader that copies any of the new words also sees that its record is gone: the
        // fence stands between, and pairs with the reader's.
        slots.store(slot + SEQUENCE, REWRITING, Ordering::Relaxed);
        fence(Ordering::Release);
        let description = u64::from(worker) | u64::from(kind) << 16 | (payload.len() as u64) << 32;
        slots.store(slot + LOST_BEFORE, self.lost.total(), Ordering::Relaxed);
        slots.store(slot + DESCRIPTION, description, Ordering::Relaxed);
        let (whole, rest) = payload.as_chunks::<8>();
        let words = whole.iter().map(|bytes| u64::from_le_bytes(*bytes));
        slots.store_run(slot + PAYLOAD, whole.len(), words);
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            let last = u64::from_le_bytes(last);
            slots.store(slot + PAYLOAD + whole.len(), last, Ordering::Relaxed);
        }
        slots.store(slot + SEQUENCE, sequence, Ordering::Relaxed);
        self.head += 1;
        self.memory.head.store(0, self.head, Ordering::Release);
        Ok(sequence)
    }

    /// Counts what takes several records and finds no room for all of them as one that is lost.
    pub fn lose_full(&mut self) {
        self.lose(Loss::Full);
    }

    /// Whether the next record would be written. Reads the reader's cursor only when the slots
    /// known to be free are used up.
    pub fn has_room(&mut self) -> bool {
        self.head - self.acknowledged.sequence() < self.capacity
            || self.head - self.acknowledged() < self.capacity
    }

    /// How many records would be written at least, one after the other.
    pub fn room(&mut self) -> u64 {
        self.capacity - (self.head - self.acknowledged())
    }

    /// Sequence of the first record that the reader has not released, as far as it can be
    /// believed: it never falls and is never above [`Self::written`].
    pub fn acknowledged(&mut self) -> u64 {
        self.acknowledged.refresh(self.head)
    }

    /// Records written so far, which is the sequence of the next.
    pub fn written(&self) -> u64 {
        self.head
    }

    /// Records lost so far.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    fn lose(&mut self, reason: Loss) -> Loss {
        let index = reason as usize;
        self.lost.0[index] += 1;
        self.memory.lost.store(index, self.lost.0[index], Ordering::Relaxed);
        reason
    }

    fn slot(&self, sequence: u64) -> usize {
        slot(sequence, self.capacity)
    }
}

/// One record, copied out of its ring.
#[derive(Clone)]
pub struct Record {
    /// Number of the record; the first of a segment is 0.
    pub sequence: u64,
    /// Records lost, for any reason, from the start of the segment until this one.
    pub lost_before: u64,
    /// The worker that reported it.
    pub worker: u16,
    /// What the payload is, in terms of the schema.
    pub kind: u16,
    length: u16,
    bytes: [u8; PAYLOAD_BYTES],
}

impl Record {
    /// The bytes of the record, at most [`PAYLOAD_BYTES`].
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Why there is no record at a position, and never will be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// The position belongs to a sensor that is gone.
    #[error("position of another boot of the sensor; start at this one's first record")]
    OtherBoot,
    /// The record was written over.
    #[error("record {sequence} was written over; go on at {oldest}")]
    Overwritten {
        /// The record asked for.
        sequence: u64,
        /// The first record that may still be there.
        oldest: u64,
    },
    /// No record of this number, nor the one before it, was written yet.
    #[error("record {sequence} is beyond the head {head}; the position or the sensor is wrong")]
    Ahead {
        /// The record asked for.
        sequence: u64,
        /// Records written so far.
        head: u64,
    },
    /// The record's length is impossible: the sensor does not keep to the protocol.
    #[error("record {sequence} claims {length} bytes; the sensor is broken, replace it")]
    Malformed {
        /// The record asked for.
        sequence: u64,
        /// The length that it claims.
        length: u16,
    },
}

/// Reads a ring. It owns no position: whoever reads says which record.
#[derive(Clone)]
pub(crate) struct RingReader {
    head: ReadWords,
    lost: ReadWords,
    slots: ReadWords,
    capacity: u64,
}

impl RingReader {
    pub(crate) fn new(head: ReadWords, lost: ReadWords, slots: ReadWords) -> Self {
        let capacity = capacity(slots.len());
        Self { head, lost, slots, capacity }
    }

    /// Records written so far.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(0, Ordering::Acquire)
    }

    pub(crate) fn lost(&self) -> Lost {
        let mut lost = Lost::default();
        self.lost.load_run(0, &mut lost.0);
        lost
    }

    /// Copies the record out; `None` when it is the next to be written.
    pub(crate) fn record(&self, sequence: u64) -> Result<Option<Record>, RecordError> {
        // The acquire pairs with the writer's release: every word of the record is visible,
        // or a newer one in its place.
        let head = self.head();
        if sequence == head {
            return Ok(None);
        }
        if sequence > head {
            return Err(RecordError::Ahead { sequence, head });
        }
        let slot = slot(sequence, self.capacity);
        let lost_before = self.slots.load(slot + LOST_BEFORE, Ordering::Relaxed);
        let description = self.slots.load(slot + DESCRIPTION, Ordering::Relaxed);
        let length = (description >> 32) as u16;
        let used = usize::from(length).div_ceil(8).min(PAYLOAD_WORDS);
        let mut words = [0; PAYLOAD_WORDS];
        self.slots.load_run(slot + PAYLOAD, &mut words[..used]);
        fence(Ordering::Acquire);
        if self.slots.load(slot + SEQUENCE, Ordering::Relaxed) != sequence {
            let oldest = self.head().saturating_sub(self.capacity).max(sequence.saturating_add(1));
            return Err(RecordError::Overwritten { sequence, oldest });
        }
        if usize::from(length) > PAYLOAD_BYTES {
            return Err(RecordError::Malformed { sequence, length });
        }
        let (worker, kind) = (description as u16, (description >> 16) as u16);
        let mut bytes = [0; PAYLOAD_BYTES];
        for (to, from) in bytes.chunks_exact_mut(8).zip(&words[..used]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        Ok(Some(Record { sequence, lost_before, worker, kind, length, bytes }))
    }
}

fn capacity(words: usize) -> u64 {
    let slots = words / SLOT_WORDS;
    assert!(slots.is_power_of_two() && words.is_multiple_of(SLOT_WORDS), "slots of a ring");
    slots as u64
}

fn slot(sequence: u64, capacity: u64) -> usize {
    (sequence & (capacity - 1)) as usize * SLOT_WORDS
}

#[cfg(test)]
fn test_ring(slots: usize) -> (RingWriter, RingReader, crate::cursor::CursorWriter) {
    let (head, lost) = (WriteWords::private(1), WriteWords::private(LOST_WORDS));
    let slots = WriteWords::private(slots * SLOT_WORDS);
    let page = WriteWords::private(1);
    let reader = RingReader::new(head.reader(), lost.reader(), slots.reader());
    let cursor = page.reader();
    let writer = RingWriter::new(RingMemory { head, lost, slots, cursor });
    (writer, reader, crate::cursor::CursorWriter::new(page))
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    /// Record `sequence` of these tests, in every field of it.
    fn expect(record: &Record, sequence: u64) {
        assert_eq!(record.sequence, sequence);
        assert_eq!(u64::from(record.worker), sequence);
        assert_eq!(record.payload(), [sequence.to_le_bytes(), (!sequence).to_le_bytes()].concat());
    }

    fn payload(sequence: u64) -> Vec<u8> {
        [sequence.to_le_bytes(), (!sequence).to_le_bytes()].concat()
    }

    fn explore(model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn loom_a_reader_gets_every_record_once_whole_and_in_order() {
        explore(|| {
            const RECORDS: u64 = 3;
            let (mut writer, reader, cursor) = test_ring(2);
            let writing = loom::thread::spawn(move || {
                for sequence in 0..RECORDS {
                    while !writer.has_room() {
                        loom::thread::yield_now();
                    }
                    assert_eq!(writer.push(sequence as u16, 0, &payload(sequence)), Ok(sequence));
                }
                assert_eq!(writer.lost().total(), 0);
            });
            let mut position = 0;
            while position < RECORDS {
                match reader.record(position).expect("an honest reader is never overtaken") {
                    Some(record) => {
                        expect(&record, position);
                        position += 1;
                        cursor.release(position);
                    }
                    None => loom::thread::yield_now(),
                }
            }
            writing.join().unwrap();
        });
    }

    #[test]
    fn loom_a_full_ring_drops_the_new_record_and_every_drop_is_seen() {
        explore(|| {
            let (mut writer, reader, cursor) = test_ring(1);
            let writing = loom::thread::spawn(move || {
                let mut written = 0;
                for _ in 0..3 {
                    written += u64::from(writer.push(written as u16, 0, &payload(written)).is_ok());
                }
                assert_eq!(written, writer.written());
                assert_eq!(written + writer.lost().total(), 3);
                written
            });
            let mut position = 0;
            let mut lost = 0;
            for _ in 0..2 {
                if let Some(record) = reader.record(position).unwrap() {
                    expect(&record, position);
                    assert!(record.lost_before >= lost, "losses are cumulative");
                    lost = record.lost_before;
                    position += 1;
                    cursor.release(position);
                }
            }
            let written = writing.join().unwrap();
            assert!(position <= written);
            assert_eq!(written + reader.lost().by(Loss::Full), 3);
        });
    }

    #[test]
    fn loom_a_reader_whose_cursor_lied_is_told_and_never_given_a_mixture() {
        explore(|| {
            let (mut writer, reader, cursor) = test_ring(1);
            cursor.release(u64::MAX);
            let writing = loom::thread::spawn(move || {
                for sequence in 0..2 {
                    assert_eq!(writer.push(sequence as u16, 0, &payload(sequence)), Ok(sequence));
                }
            });
            for sequence in 0..2 {
                match reader.record(sequence) {
                    Ok(Some(record)) => expect(&record, sequence),
                    Ok(None) => assert!(reader.head() >= sequence),
                    Err(RecordError::Overwritten { oldest, .. }) => assert_eq!(oldest, 1),
                    Err(RecordError::Ahead { head, .. }) => assert!(head < sequence),
                    Err(other) => panic!("{other}"),
                }
            }
            writing.join().unwrap();
            expect(&reader.record(1).unwrap().unwrap(), 1);
            assert_eq!(
                reader.record(0).err(),
                Some(RecordError::Overwritten { sequence: 0, oldest: 1 })
            );
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn next(reader: &RingReader, sequence: u64) -> Record {
        reader.record(sequence).unwrap().unwrap()
    }

    #[test]
    fn a_record_comes_out_as_it_went_in_at_every_length() {
        let (mut writer, reader, cursor) = test_ring(4);
        let bytes: Vec<u8> = (0..PAYLOAD_BYTES).map(|i| (i * 7 + 1) as u8).collect();
        for length in 0..=PAYLOAD_BYTES {
            let sequence = writer.push(length as u16, !length as u16, &bytes[..length]).unwrap();
            assert_eq!(sequence, length as u64);
            let record = next(&reader, sequence);
            assert_eq!(record.payload(), &bytes[..length]);
            assert_eq!((record.worker, record.kind), (length as u16, !length as u16));
            cursor.release(sequence + 1);
        }
        assert!(reader.record(writer.written()).unwrap().is_none());
    }

    #[test]
    fn a_full_ring_keeps_what_it_has_and_counts_what_it_drops() {
        let (mut writer, reader, cursor) = test_ring(2);
        for expected in [Ok(0), Ok(1), Err(Loss::Full), Err(Loss::Full)] {
            assert_eq!(writer.push(0, 0, b"record"), expected);
        }
        assert_eq!(writer.push(0, 0, &[0; PAYLOAD_BYTES + 1]), Err(Loss::Oversized));
        assert!(!writer.has_room());
        assert_eq!((reader.lost().by(Loss::Full), reader.lost().by(Loss::Oversized)), (2, 1));
        assert_eq!(next(&reader, 1).lost_before, 0);
        cursor.release(1);
        assert!(writer.has_room());
        assert_eq!(writer.push(0, 0, b"after"), Ok(2));
        assert_eq!(next(&reader, 2).lost_before, 3);
        assert_eq!(writer.lost(), reader.lost());
    }

    #[test]
    fn positions_that_are_gone_or_not_yet_there_are_told_apart() {
        let (mut writer, reader, cursor) = test_ring(2);
        for sequence in 0..5 {
            cursor.release(sequence);
            writer.push(0, 0, b"").unwrap();
        }
        let gone = RecordError::Overwritten { sequence: 1, oldest: 3 };
        assert_eq!(reader.record(1).err(), Some(gone));
        assert_eq!(next(&reader, 3).sequence, 3);
        assert_eq!(next(&reader, 4).sequence, 4);
        assert!(reader.record(5).unwrap().is_none());
        let ahead = RecordError::Ahead { sequence: 6, head: 5 };
        assert_eq!(reader.record(6).err(), Some(ahead));
    }

    #[test]
    fn a_length_beyond_the_slot_is_refused() {
        let (mut writer, reader, _cursor) = test_ring(2);
        writer.push(0, 0, b"record").unwrap();
        let length = PAYLOAD_BYTES as u16 + 1;
        writer.memory.slots.store(DESCRIPTION, u64::from(length) << 32, Ordering::Relaxed);
        let malformed = RecordError::Malformed { sequence: 0, length };
        assert_eq!(reader.record(0).err(), Some(malformed));
    }

    #[test]
    fn every_loss_has_a_counter_of_its_own() {
        for (index, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, index);
        }
    }
}
