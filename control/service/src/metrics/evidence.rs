//! Evidence: what there is of it, and what is not there.

use weir_engine::contract::words::ExhibitLoss;

use super::Families;
use crate::evidence::Gone;
use crate::live::Live;

pub(super) fn evidence(live: &Live, families: &mut Families) {
    families.gauge(
        "weir_evidence_bytes",
        "Bytes of all captures of alerts.",
        [(vec![], live.evidence.bytes as f64)],
    );
    families.counter(
        "weir_evidence_removed_total",
        "Captures of alerts that were removed: others needed the room, or they were too old.",
        [Gone::Size, Gone::Age]
            .map(|gone| (vec![("reason", gone.name())], live.evidence.gone[gone as usize])),
    );
    let judge = &live.counts.judge;
    let sensor = ExhibitLoss::ALL.map(|loss| (loss.label(), judge.exhibits_lost[loss as usize]));
    let ring = ("ring", live.counts.evidence_lost.total());
    let own = [Gone::Rate, Gone::Failed, Gone::Waiting]
        .map(|gone| (gone.name(), live.evidence.gone[gone as usize]));
    families.counter(
        "weir_evidence_lost_total",
        "What evidence lacks: frames that found no room in a worker or the ring; alerts that got no frames since too many came at once, or whose captures could not be written; frames that waited for their alert's next event in vain.",
        sensor
            .into_iter()
            .chain([ring])
            .chain(own)
            .map(|(reason, count)| (vec![("reason", reason)], count)),
    );
}
