//! The judge's end of the evidence ring: frames stand in it before the verdict that they belong to, so
//! that whoever reads the verdict finds them.

use weir_engine::contract::exhibit::{records, records_of};
use weir_engine::contract::verdict::{Frames, MAX_BYTES};
use weir_engine::exhibits::Exhibit;
use weir_shm::RingWriter;

/// Writes frames for verdicts.
pub(crate) struct EvidenceWriter {
    ring: RingWriter,
    /// Whether frames stand in the ring that the verdict just now names.
    is_named: bool,
    /// Whether some are there that no verdict which can be read names: only a later one lets them go.
    is_adrift: bool,
}

impl EvidenceWriter {
    pub(crate) fn new(ring: RingWriter) -> Self {
        Self { ring, is_named: false, is_adrift: false }
    }

    /// Writes the frames that are chosen, each whole or not at all, and tells where they are. While
    /// there is no room `waits` waits a moment, or says that nobody waits. Where there was none, the place
    /// is told without frames: a control that began anew may not know yet how far the ring was read.
    pub(crate) fn write(
        &mut self,
        waits: &impl Fn() -> bool,
        choose: impl FnOnce(&mut dyn FnMut(&Exhibit<'_>)),
    ) -> Option<Frames> {
        let from = self.ring.written();
        let mut was_full = false;
        choose(&mut |exhibit| {
            let needed = records_of(exhibit.bytes.len());
            while self.ring.room() < needed && waits() {}
            if self.ring.room() < needed {
                self.ring.lose_full();
                was_full = true;
                return;
            }
            let mut first = [0; MAX_BYTES];
            let head = exhibit.label.head(exhibit.bytes.len());
            for (kind, payload) in records(&head, exhibit.bytes, &mut first) {
                // There is room for all of them.
                let _ = self.ring.push(0, kind, payload);
            }
        });
        let records = u16::try_from(self.ring.written() - from).unwrap_or(u16::MAX);
        self.is_named = records > 0 || was_full || self.is_adrift;
        self.is_named.then_some(Frames { from, records })
    }

    /// The verdict was written, or found no room.
    pub(crate) fn told(&mut self, is_readable: bool) {
        if std::mem::take(&mut self.is_named) {
            self.is_adrift = !is_readable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::exhibits::{Cause, Label};
    use weir_engine::{Nanos, TapId};
    use weir_shm::{Attachment, Segment, Shape};

    const SHAPE: Shape =
        Shape { blocks: 1, words_per_block: 1, ring_slots: 2, evidence_slots: 4, schema: 1 };

    fn exhibit(bytes: &[u8]) -> Exhibit<'_> {
        let label = Label {
            time: Nanos(1),
            tap: TapId(0),
            ends: Default::default(),
            parties: (0, 0),
            cause: Cause::Stranger,
            link_type: 1,
            wire_len: bytes.len() as u32,
            teid: 0,
            pfcp: 0,
        };
        Exhibit { label, bytes }
    }

    #[test]
    fn a_frame_without_room_is_left_out_whole_and_what_no_verdict_names_is_let_go_by_the_next() {
        let Segment { evidence, handover, .. } = Segment::create(&SHAPE, 0).unwrap();
        let mut attachment = Attachment::open(handover.data(), handover.cursor(), 1).unwrap();
        let mut writer = EvidenceWriter::new(evidence);
        let nobody = || false;
        let long = [7; 1_500];
        let write = |writer: &mut EvidenceWriter, frames: usize| {
            writer.write(&nobody, |show| (0..frames).for_each(|_| show(&exhibit(&long))))
        };
        assert_eq!(write(&mut writer, 0), None);
        // Two records each: the third has no room.
        assert_eq!(write(&mut writer, 3), Some(Frames { from: 0, records: 4 }));
        assert_eq!(attachment.evidence_lost().total(), 1);
        writer.told(false);
        let adrift = write(&mut writer, 1).unwrap();
        assert_eq!(adrift, Frames { from: 4, records: 0 });
        writer.told(true);
        attachment.release_evidence(adrift.from);
        assert_eq!(write(&mut writer, 1), Some(Frames { from: 4, records: 2 }));
        writer.told(true);
        assert_eq!(write(&mut writer, 0), None);
    }

    #[test]
    fn a_control_that_never_learned_how_far_it_came_learns_it_by_what_finds_no_room() {
        let Segment { evidence, handover, .. } = Segment::create(&SHAPE, 0).unwrap();
        let mut attachment = Attachment::open(handover.data(), handover.cursor(), 1).unwrap();
        let mut writer = EvidenceWriter::new(evidence);
        let short = exhibit(&[7; 60]);
        let nobody = || false;
        let full = writer.write(&nobody, |show| (0..4).for_each(|_| show(&short)));
        assert_eq!(full, Some(Frames { from: 0, records: 4 }));
        writer.told(true);
        // The verdict was stored, and control killed before it let go of the frames.
        let none = writer.write(&nobody, |show| show(&short)).expect("the place is told");
        assert_eq!(none, Frames { from: 4, records: 0 });
        writer.told(true);
        attachment.release_evidence(none.from);
        let some = writer.write(&nobody, |show| show(&short));
        assert_eq!(some, Some(Frames { from: 4, records: 1 }));
    }
}
