//! Control's side: checks what it was handed before it believes any of it, then reads.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::fcntl::SealFlag;

use crate::block::{BlockReader, Torn};
use crate::cursor::{self, CURSOR_BYTES, CURSOR_WORDS, CursorWriter};
use crate::header::{
    self, BootId, HEADER_BYTES, LARGEST_BYTES, Layout, Position, Shape, ShapeError,
};
use crate::memfd::{self, Mapping};
use crate::ring::{Lost, Record, RecordError, RingReader};
use crate::words::{Ordering, ReadWords, WriteWords};

/// Why the memory that was handed over is not used.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Not a memfd, or it can't be mapped.
    #[error("the {part} memory can't be used; {source}; restart the sensor")]
    Memory {
        /// `data` or `cursor`.
        part: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Someone could shrink it under this process, or write what must be constant.
    #[error(
        "the {part} memory lacks the seals {missing:?}; its maker is no Weir sensor: refuse it"
    )]
    Unsealed {
        /// `data` or `cursor`.
        part: &'static str,
        /// The seals that it should have as well.
        missing: SealFlag,
    },
    /// The file is too small, too large or not as large as its header says.
    #[error("the {part} memory has {bytes} bytes instead of {expected}; restart the sensor")]
    Size {
        /// `data` or `cursor`.
        part: &'static str,
        /// Size of the file.
        bytes: u64,
        /// Size that it should have.
        expected: u64,
    },
    /// The header does not begin as every Weir segment does.
    #[error("the data memory does not begin with Weir's magic word; its maker is no Weir sensor")]
    Magic,
    /// The sensor is of another release.
    #[error("the sensor's layout is version {found}, this program's {expected}; install one release of both", expected = header::VERSION)]
    Version {
        /// Version that the header names.
        found: u64,
    },
    /// The sensor gives the words another meaning.
    #[error(
        "the sensor's schema is {found:#018x}, this program's {expected:#018x}; install one release of both"
    )]
    Schema {
        /// Schema that the header names.
        found: u64,
        /// Schema asked for.
        expected: u64,
    },
    /// The header names an impossible shape.
    #[error("the sensor's header is damaged: {0}; restart the sensor")]
    Shape(#[from] ShapeError),
    /// The sensor lays the same shape out otherwise.
    #[error(
        "the sensor's layout hash is {found:#018x}, this program's {expected:#018x}; install one release of both"
    )]
    Layout {
        /// Hash that the header names.
        found: u64,
        /// Hash of the shape that the header names.
        expected: u64,
    },
}

/// The shared memory as control sees it.
///
/// What identifies the segment is read once, when it is opened; a sensor that changes it later
/// changes nothing here.
pub struct Attachment {
    words: ReadWords,
    shape: Shape,
    boot: BootId,
    pid: u32,
    started: u64,
    blocks: Vec<BlockReader>,
    ring: RingReader,
    cursor: CursorWriter,
    evidence: RingReader,
    evidence_cursor: CursorWriter,
    page: WriteWords,
}

impl Attachment {
    /// Checks and maps what the sensor handed over. The descriptors may be closed afterwards.
    pub fn open(data: impl AsFd, cursor: impl AsFd, schema: u64) -> Result<Self, AttachError> {
        let fixed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        check_seals(&data, "data", fixed | SealFlag::F_SEAL_FUTURE_WRITE)?;
        check_seals(&cursor, "cursor", fixed)?;

        let bytes = size(&data, "data")?;
        if bytes < HEADER_BYTES as u64 || bytes > LARGEST_BYTES as u64 {
            let expected = (bytes as usize).clamp(HEADER_BYTES, LARGEST_BYTES) as u64;
            return Err(AttachError::Size { part: "data", bytes, expected });
        }
        let cursor_bytes = size(&cursor, "cursor")?;
        if cursor_bytes != CURSOR_BYTES as u64 {
            let expected = CURSOR_BYTES as u64;
            return Err(AttachError::Size { part: "cursor", bytes: cursor_bytes, expected });
        }

        let mapping = Mapping::read_only_over(&data, bytes as usize)
            .map_err(|source| AttachError::Memory { part: "data", source })?;
        let words = ReadWords::new(Arc::new(mapping));
        let (shape, layout) = check_header(&words, bytes, schema)?;

        let page = Mapping::writable_over(&cursor, CURSOR_BYTES)
            .map_err(|source| AttachError::Memory { part: "cursor", source })?;
        let page = WriteWords::new(Arc::new(page)).part(0..CURSOR_WORDS);

        let word = |index| words.load(index, Ordering::Relaxed);
        Ok(Self {
            shape,
            boot: BootId::from_words([word(header::WORD_BOOT), word(header::WORD_BOOT + 1)]),
            pid: word(header::WORD_PID) as u32,
            started: word(header::WORD_STARTED),
            blocks: (0..shape.blocks)
                .map(|index| BlockReader::new(words.part(layout.block(index)), index))
                .collect(),
            ring: RingReader::new(
                words.part(header::WORD_EVENT_HEAD..header::WORD_EVENT_HEAD + 1),
                words.part(header::WORDS_EVENT_LOST),
                words.part(layout.event_slots()),
            ),
            cursor: CursorWriter::new(page.part(cursor::WORDS_POSITION)),
            evidence: RingReader::new(
                words.part(header::WORD_EVIDENCE_HEAD..header::WORD_EVIDENCE_HEAD + 1),
                words.part(header::WORDS_EVIDENCE_LOST),
                words.part(layout.evidence_slots()),
            ),
            evidence_cursor: CursorWriter::new(page.part(cursor::WORDS_EVIDENCE)),
            page,
            words,
        })
    }

    /// The life of the sensor that this memory belongs to.
    pub fn boot_id(&self) -> BootId {
        self.boot
    }

    /// What the segment has room for.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The sensor's process id, in the sensor's own namespace. Only for people to read.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When the segment was created, in nanoseconds of the sensor's clock.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// When the sensor was last alive, in nanoseconds of its clock.
    pub fn heartbeat(&self) -> u64 {
        self.words.load(header::WORD_HEARTBEAT, Ordering::Relaxed)
    }

    /// The state word, whose meaning is the schema's.
    pub fn state(&self) -> u64 {
        self.words.load(header::WORD_STATE, Ordering::Relaxed)
    }

    /// Copies block `block`, or as much of it as `into` takes, as one `publish` left it.
    ///
    /// # Panics
    /// When there is no such block, or `into` is longer than a block.
    pub fn snapshot(&self, block: usize, into: &mut [u64]) -> Result<(), Torn> {
        assert!(into.len() <= self.shape.words_per_block, "snapshot longer than a block");
        self.blocks[block].snapshot(into)
    }

    /// Records that the sensor has written, which is the sequence of the next.
    pub fn written(&self) -> u64 {
        self.ring.head()
    }

    /// Records that the sensor has lost, even if no record followed that would say so.
    pub fn lost(&self) -> Lost {
        self.ring.lost()
    }

    /// The position of record `sequence` in this segment.
    pub fn position(&self, sequence: u64) -> Position {
        Position { boot: self.boot, sequence }
    }

    /// What was released last, by whichever control process: where to begin when no
    /// position was stored.
    pub fn released(&self) -> Position {
        self.position(self.cursor.released())
    }

    /// The record at `position`, or `None` when it is the next to be written. After
    /// [`RecordError::Overwritten`] go on at its `oldest`; the difference was missed.
    pub fn record(&self, position: Position) -> Result<Option<Record>, RecordError> {
        self.same_boot(position)?;
        self.ring.record(position.sequence)
    }

    /// The records from `position` on, until the head or an error; asked again after the
    /// head it goes on with what was written since.
    pub fn records(&self, position: Position) -> Records<'_> {
        Records { attachment: self, position }
    }

    /// Lets the sensor reuse the slots of all records before `position`: call it when what was
    /// read is stored. Never lets go of what was not written yet, which would lose it.
    pub fn release(&mut self, position: Position) -> Result<(), RecordError> {
        self.same_boot(position)?;
        let (sequence, head) = (position.sequence, self.ring.head());
        if sequence > head {
            return Err(RecordError::Ahead { sequence, head });
        }
        self.cursor.release(sequence);
        Ok(())
    }

    /// Record `sequence` of the evidence ring, or `None` when it is the next to be written.
    pub fn evidence(&self, sequence: u64) -> Result<Option<Record>, RecordError> {
        self.evidence.record(sequence)
    }

    /// Records of the evidence ring that the sensor has lost.
    pub fn evidence_lost(&self) -> Lost {
        self.evidence.lost()
    }

    /// Up to where evidence was released last, by whichever control process; 0 if that is beyond what was
    /// written, which no honest one says.
    pub fn evidence_released(&self) -> u64 {
        let released = self.evidence_cursor.released();
        if released > self.evidence.head() { 0 } else { released }
    }

    /// Lets the sensor reuse the slots of all evidence before `sequence`, as far as it was written. What
    /// stood in the cursor before does not matter: one that lied is put right.
    pub fn release_evidence(&mut self, sequence: u64) {
        self.evidence_cursor.release(sequence.min(self.evidence.head()));
    }

    /// Tells the sensor that control is alive at `now`.
    pub fn beat(&self, now: u64) {
        cursor::beat(&self.page, now);
    }

    fn same_boot(&self, position: Position) -> Result<(), RecordError> {
        if position.boot == self.boot { Ok(()) } else { Err(RecordError::OtherBoot) }
    }
}

/// Records in order; see [`Attachment::records`].
pub struct Records<'a> {
    attachment: &'a Attachment,
    position: Position,
}

impl Records<'_> {
    /// The position after the last record given out: store it with what was made of them.
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.attachment.record(self.position).transpose()?;
        if record.is_ok() {
            self.position.sequence += 1;
        }
        Some(record)
    }
}

fn check_seals(fd: impl AsFd, part: &'static str, needed: SealFlag) -> Result<(), AttachError> {
    let seals = memfd::seals(fd).map_err(|source| AttachError::Memory { part, source })?;
    let missing = needed.difference(seals);
    if missing.is_empty() { Ok(()) } else { Err(AttachError::Unsealed { part, missing }) }
}

fn size(fd: impl AsFd, part: &'static str) -> Result<u64, AttachError> {
    memfd::size(fd).map_err(|source| AttachError::Memory { part, source })
}

fn check_header(
    words: &ReadWords,
    bytes: u64,
    schema: u64,
) -> Result<(Shape, Layout), AttachError> {
    let word = |index| words.load(index, Ordering::Relaxed);
    if word(header::WORD_MAGIC) != header::MAGIC {
        return Err(AttachError::Magic);
    }
    let found = word(header::WORD_VERSION);
    if found != header::VERSION {
        return Err(AttachError::Version { found });
    }
    let found = word(header::WORD_SCHEMA);
    if found != schema {
        return Err(AttachError::Schema { found, expected: schema });
    }
    let count = |index| usize::try_from(word(index)).unwrap_or(usize::MAX);
    let shape = Shape {
        blocks: count(header::WORD_BLOCKS),
        words_per_block: count(header::WORD_WORDS_PER_BLOCK),
        ring_slots: count(header::WORD_RING_SLOTS),
        evidence_slots: count(header::WORD_EVIDENCE_SLOTS),
        schema,
    };
    let layout = Layout::of(&shape)?;
    for expected in [layout.bytes as u64, word(header::WORD_TOTAL_BYTES)] {
        if bytes != expected {
            return Err(AttachError::Size { part: "data", bytes, expected });
        }
    }
    let (found, expected) = (word(header::WORD_LAYOUT_HASH), layout.hash());
    if found != expected {
        return Err(AttachError::Layout { found, expected });
    }
    Ok((shape, layout))
}
