//! The sensor's side: makes the shared memory and hands out its writers, each once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::{io, process};

use nix::fcntl::SealFlag;

use crate::block::BlockWriter;
use crate::cursor::{self, CURSOR_BYTES, CURSOR_WORDS};
use crate::header::{self, BootId, Layout, Shape, ShapeError};
use crate::memfd::{self, Mapping};
use crate::ring::{RingMemory, RingWriter};
use crate::words::{Ordering, ReadWords, WriteWords};

/// Why there is no segment.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The shape is impossible.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The system refused memory.
    #[error("can't make {bytes} bytes of shared memory; {source}; free memory or ask for less")]
    Memory {
        /// Size of the memfd.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused random bytes for the boot id.
    #[error("no random bytes for the boot id; {0}; check that getrandom(2) is permitted")]
    Random(getrandom::Error),
}

/// The shared memory, as whoever created it takes it apart: every writer is here once and
/// belongs to the thread that it is moved to. The memory lives as long as any of them.
pub struct Segment {
    /// One writer per block, in order.
    pub blocks: Vec<BlockWriter>,
    /// The writer of the event ring.
    pub ring: RingWriter,
    /// The writer of the evidence ring.
    pub evidence: RingWriter,
    /// Signs of life, in both directions.
    pub status: Status,
    /// What control is given.
    pub handover: Handover,
}

impl Segment {
    /// Makes both memfds, filled with zeros. `started` is the time now, in nanoseconds of the
    /// clock that the heartbeats will use; it is also the first heartbeat.
    pub fn create(shape: &Shape, started: u64) -> Result<Self, SegmentError> {
        let layout = Layout::of(shape)?;
        let mut boot = [0; 16];
        getrandom::fill(&mut boot).map_err(SegmentError::Random)?;
        let boot = BootId::from_bytes(boot);

        let (data, words) = writable(layout.bytes)
            .map_err(|source| SegmentError::Memory { bytes: layout.bytes, source })?;
        let (cursor_fd, page) = readable(CURSOR_BYTES)
            .map_err(|source| SegmentError::Memory { bytes: CURSOR_BYTES, source })?;
        let page = page.part(0..CURSOR_WORDS);

        for (word, value) in [
            (header::WORD_MAGIC, header::MAGIC),
            (header::WORD_VERSION, header::VERSION),
            (header::WORD_TOTAL_BYTES, layout.bytes as u64),
            (header::WORD_LAYOUT_HASH, layout.hash()),
            (header::WORD_SCHEMA, shape.schema),
            (header::WORD_BOOT, boot.to_words()[0]),
            (header::WORD_BOOT + 1, boot.to_words()[1]),
            (header::WORD_PID, u64::from(process::id())),
            (header::WORD_STARTED, started),
            (header::WORD_BLOCKS, shape.blocks as u64),
            (header::WORD_WORDS_PER_BLOCK, shape.words_per_block as u64),
            (header::WORD_RING_SLOTS, shape.ring_slots as u64),
            (header::WORD_EVIDENCE_SLOTS, shape.evidence_slots as u64),
            (header::WORD_HEARTBEAT, started),
        ] {
            words.store(word, value, Ordering::Relaxed);
        }

        let blocks = (0..shape.blocks)
            .map(|index| BlockWriter::new(words.part(layout.block(index)), shape.words_per_block))
            .collect();
        let ring = RingWriter::new(RingMemory {
            head: words.part(header::WORD_EVENT_HEAD..header::WORD_EVENT_HEAD + 1),
            lost: words.part(header::WORDS_EVENT_LOST),
            slots: words.part(layout.event_slots()),
            cursor: page.part(cursor::WORDS_POSITION),
        });
        let evidence = RingWriter::new(RingMemory {
            head: words.part(header::WORD_EVIDENCE_HEAD..header::WORD_EVIDENCE_HEAD + 1),
            lost: words.part(header::WORDS_EVIDENCE_LOST),
            slots: words.part(layout.evidence_slots()),
            cursor: page.part(cursor::WORDS_EVIDENCE),
        });
        let status = Status { words: Arc::new(words), page };
        Ok(Self {
            blocks,
            ring,
            evidence,
            status,
            handover: Handover { boot, data, cursor: cursor_fd },
        })
    }
}

/// What control needs to attach: send both descriptors, data first.
pub struct Handover {
    boot: BootId,
    data: OwnedFd,
    cursor: OwnedFd,
}

impl Handover {
    /// The identity of this life of the sensor.
    pub fn boot_id(&self) -> BootId {
        self.boot
    }

    /// The data memfd: nobody who receives it can write, resize or punch holes into it.
    pub fn data(&self) -> BorrowedFd<'_> {
        self.data.as_fd()
    }

    /// The cursor memfd: whoever receives it can write it.
    pub fn cursor(&self) -> BorrowedFd<'_> {
        self.cursor.as_fd()
    }
}

/// Signs of life. Its clones write the same words.
#[derive(Clone)]
pub struct Status {
    words: Arc<WriteWords>,
    page: ReadWords,
}

impl Status {
    /// Says that the sensor is alive at `now`.
    pub fn heartbeat(&self, now: u64) {
        self.words.store(header::WORD_HEARTBEAT, now, Ordering::Relaxed);
    }

    /// Sets the state word, whose meaning is the schema's.
    pub fn state(&self, state: u64) {
        self.words.store(header::WORD_STATE, state, Ordering::Relaxed);
    }

    /// When control says that it was alive last; 0 before the first time. It may be a lie.
    pub fn control_heartbeat(&self) -> u64 {
        cursor::heartbeat(&self.page)
    }
}

/// A memfd that is written through the mapping made here and, from then on, by no other way.
fn writable(bytes: usize) -> io::Result<(OwnedFd, WriteWords)> {
    let fd = memfd::create(c"weir-data", bytes)?;
    let mapping = Mapping::writable_over(&fd, bytes)?;
    memfd::seal(&fd, SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SEAL)?;
    Ok((fd, WriteWords::new(Arc::new(mapping))))
}

/// A memfd that this side only reads.
fn readable(bytes: usize) -> io::Result<(OwnedFd, ReadWords)> {
    let fd = memfd::create(c"weir-cursor", bytes)?;
    memfd::seal(&fd, SealFlag::F_SEAL_SEAL)?;
    let mapping = Mapping::read_only_over(&fd, bytes)?;
    Ok((fd, ReadWords::new(Arc::new(mapping))))
}
