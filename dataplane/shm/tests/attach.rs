//! What control refuses to attach to, and what it reads once attached.
#![cfg(not(loom))]

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use weir_shm::{AttachError, Attachment, Loss, RecordError, Segment, Shape, ShapeError};

const SHAPE: Shape =
    Shape { blocks: 2, words_per_block: 20, ring_slots: 4, evidence_slots: 64, schema: 0xfeed };

fn sealed_for_data() -> SealFlag {
    sealed_for_cursor() | SealFlag::F_SEAL_FUTURE_WRITE
}

fn sealed_for_cursor() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

/// A memfd with this content and these seals, as another program might hand it over.
fn forged(content: &[u8], seals: SealFlag) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"forged", flags).unwrap());
    file.write_all(content).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

/// The bytes of a genuine data memfd.
fn genuine() -> Vec<u8> {
    let segment = Segment::create(&SHAPE, 1).unwrap();
    let mut file = File::from(segment.handover.data().try_clone_to_owned().unwrap());
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut content).unwrap();
    content
}

fn attach(data: &[u8]) -> Result<Attachment, AttachError> {
    let data = forged(data, sealed_for_data());
    Attachment::open(data, forged(&[0; 4096], sealed_for_cursor()), SHAPE.schema)
}

/// The genuine content with the header's word at byte `offset` replaced.
fn with_word(offset: usize, value: u64) -> Vec<u8> {
    let mut content = genuine();
    content[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    content
}

#[test]
fn memory_that_lacks_a_seal_is_refused() {
    let content = genuine();
    let cursor = || forged(&[0; 4096], sealed_for_cursor());
    for missing in [SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_FUTURE_WRITE] {
        let data = forged(&content, sealed_for_data() - missing);
        let error = Attachment::open(data, cursor(), SHAPE.schema).err().unwrap();
        assert!(
            matches!(error, AttachError::Unsealed { part: "data", missing: m } if m == missing),
            "{error}"
        );
    }
    for missing in [SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_SEAL] {
        let data = forged(&content, sealed_for_data());
        let cursor = forged(&[0; 4096], sealed_for_cursor() - missing);
        let error = Attachment::open(data, cursor, SHAPE.schema).err().unwrap();
        assert!(
            matches!(error, AttachError::Unsealed { part: "cursor", missing: m } if m == missing),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_memfd_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let cursor = forged(&[0; 4096], sealed_for_cursor());
    let error = Attachment::open(&file, cursor, SHAPE.schema).err().unwrap();
    assert!(matches!(error, AttachError::Memory { part: "data", .. }), "{error}");
}

#[test]
fn memory_of_the_wrong_size_is_refused() {
    let content = genuine();
    let longer = [&content[..], &[0; 4096]].concat();
    for wrong in [&content[..0], &content[..4095], &content[..content.len() - 4096], &longer] {
        let error = attach(wrong).err().unwrap();
        assert!(
            matches!(error, AttachError::Size { part: "data", bytes, .. } if bytes == wrong.len() as u64),
            "{error}"
        );
    }
    for wrong in [0, 8, 8192] {
        let data = forged(&content, sealed_for_data());
        let cursor = forged(&vec![0; wrong], sealed_for_cursor());
        let error = Attachment::open(data, cursor, SHAPE.schema).err().unwrap();
        assert!(matches!(error, AttachError::Size { part: "cursor", .. }), "{error}");
    }
}

#[test]
fn every_word_of_the_header_is_checked() {
    attach(&genuine()).expect("the genuine header is accepted");
    let refused = |offset, value| attach(&with_word(offset, value)).err().unwrap();
    assert!(matches!(refused(0, 7), AttachError::Magic));
    assert!(matches!(refused(8, 9), AttachError::Version { found: 9 }));
    assert!(matches!(refused(16, 4096), AttachError::Size { expected: 4096, .. }));
    assert!(matches!(refused(24, 5), AttachError::Layout { found: 5, .. }));
    assert!(matches!(refused(32, 5), AttachError::Schema { found: 5, expected: 0xfeed }));
    assert!(matches!(refused(72, 0), AttachError::Shape(ShapeError::Blocks(0))));
    assert!(matches!(refused(72, 1 << 12), AttachError::Size { .. }));
    assert!(matches!(refused(80, u64::MAX), AttachError::Shape(ShapeError::WordsPerBlock(_))));
    assert!(matches!(refused(80, 21), AttachError::Layout { .. }), "same size, other shape");
    assert!(matches!(refused(88, 3), AttachError::Shape(ShapeError::RingSlots(3))));
    assert!(matches!(refused(88, 1 << 16), AttachError::Size { .. }));
}

#[test]
fn an_attachment_sees_what_the_segment_writes() {
    let Segment { mut blocks, mut ring, status, handover, .. } =
        Segment::create(&SHAPE, 77).unwrap();
    let attachment = Attachment::open(handover.data(), handover.cursor(), SHAPE.schema).unwrap();
    assert_eq!(attachment.boot_id(), handover.boot_id());
    assert_eq!(attachment.shape(), SHAPE);
    assert_eq!(attachment.pid(), std::process::id());
    assert_eq!((attachment.started(), attachment.heartbeat(), attachment.state()), (77, 77, 0));
    status.clone().heartbeat(78);
    status.state(3);
    assert_eq!((attachment.started(), attachment.heartbeat(), attachment.state()), (77, 78, 3));
    assert_eq!(status.control_heartbeat(), 0);
    attachment.beat(79);
    assert_eq!(status.control_heartbeat(), 79);

    for (index, block) in blocks.iter_mut().enumerate() {
        block.publish(&[index as u64 + 1; 20]);
    }
    let mut words = [0; 20];
    for index in 0..2 {
        attachment.snapshot(index, &mut words).unwrap();
        assert_eq!(words, [index as u64 + 1; 20]);
    }
    ring.push(5, 6, b"record").unwrap();
    let record = attachment.record(attachment.position(0)).unwrap().unwrap();
    assert_eq!((record.worker, record.kind, record.payload()), (5, 6, &b"record"[..]));
}

#[test]
fn positions_hold_the_ring_and_are_only_good_for_their_boot() {
    let Segment { mut ring, handover, .. } = Segment::create(&SHAPE, 0).unwrap();
    let mut attachment =
        Attachment::open(handover.data(), handover.cursor(), SHAPE.schema).unwrap();
    for sequence in 0..4 {
        assert_eq!(ring.push(0, 0, &[sequence as u8]), Ok(sequence));
    }
    assert_eq!(ring.push(0, 0, b"lost"), Err(Loss::Full));
    assert_eq!(attachment.lost().total(), 1, "seen although nothing follows");

    let mut records = attachment.records(attachment.released());
    let read: Vec<u64> = records.by_ref().map(|record| record.unwrap().sequence).collect();
    assert_eq!(read, [0, 1, 2, 3]);
    let position = records.position();
    assert_eq!(position, attachment.position(4));
    attachment.release(position).unwrap();
    assert_eq!(ring.acknowledged(), 4);
    for sequence in 4..8 {
        assert_eq!(ring.push(0, 0, b""), Ok(sequence));
    }
    assert_eq!(attachment.record(position).unwrap().unwrap().lost_before, 1);
    let overwritten = RecordError::Overwritten { sequence: 1, oldest: 4 };
    assert_eq!(attachment.record(attachment.position(1)).err(), Some(overwritten));

    let ahead = RecordError::Ahead { sequence: 9, head: 8 };
    assert_eq!(attachment.release(attachment.position(9)), Err(ahead));
    let other = Segment::create(&SHAPE, 0).unwrap().handover.boot_id();
    assert_ne!(other, attachment.boot_id());
    let stale = weir_shm::Position { boot: other, sequence: 0 };
    assert_eq!(attachment.record(stale).err(), Some(RecordError::OtherBoot));
    assert_eq!(attachment.release(stale), Err(RecordError::OtherBoot));
    assert_eq!(attachment.released(), position, "a refused release changes nothing");
}

#[test]
fn the_evidence_ring_has_records_a_cursor_and_losses_of_its_own() {
    let Segment { mut ring, mut evidence, handover, .. } = Segment::create(&SHAPE, 77).unwrap();
    let mut attachment =
        Attachment::open(handover.data(), handover.cursor(), SHAPE.schema).unwrap();
    let slots = SHAPE.evidence_slots as u64;
    for number in 0..slots {
        evidence.push(3, 1, &number.to_le_bytes()).unwrap();
    }
    assert_eq!(evidence.push(3, 1, b"no room"), Err(Loss::Full));
    assert_eq!((evidence.room(), attachment.evidence_lost().total()), (0, 1));
    // The events' ring has room all the same.
    ring.push(0, 2, b"event").unwrap();
    assert_eq!((attachment.written(), attachment.lost().total()), (1, 0));
    let record = attachment.evidence(5).unwrap().unwrap();
    assert_eq!((record.kind, record.payload()), (1, &5_u64.to_le_bytes()[..]));
    assert!(attachment.evidence(slots).unwrap().is_none());
    attachment.release_evidence(7);
    assert_eq!(evidence.room(), 7);
    // Neither back nor ahead of what was written.
    attachment.release_evidence(3);
    assert_eq!(evidence.room(), 7);
    attachment.release_evidence(u64::MAX);
    assert_eq!((evidence.room(), ring.acknowledged()), (slots, 0));
}

#[test]
fn a_lie_about_evidence_ends_when_another_control_attaches() {
    let Segment { mut evidence, handover, .. } = Segment::create(&SHAPE, 77).unwrap();
    let mut page = File::from(handover.cursor().try_clone_to_owned().unwrap());
    // The evidence ring's word: see `CursorPage`.
    page.seek(SeekFrom::Start(256)).unwrap();
    page.write_all(&u64::MAX.to_le_bytes()).unwrap();
    let mut attachment =
        Attachment::open(handover.data(), handover.cursor(), SHAPE.schema).unwrap();
    let slots = SHAPE.evidence_slots as u64;
    evidence.push(3, 1, b"first").unwrap();
    assert_eq!(evidence.room(), slots, "it is believed as far as was written");
    assert_eq!(attachment.evidence_released(), 0);
    attachment.release_evidence(0);
    for _ in 0..slots {
        evidence.push(3, 1, b"more").unwrap();
    }
    assert_eq!(evidence.push(3, 1, b"no room"), Err(Loss::Full), "nothing is written over unread");
    attachment.release_evidence(9);
    assert_eq!((attachment.evidence_released(), evidence.room()), (9, 8));
}
