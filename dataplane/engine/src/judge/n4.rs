//! What N4 showed, as alerts and records.

use super::Judge;
use crate::contract::verdict::{Alert, Verdict};
use crate::detect::{GTP_ORPHAN, GTP_TEIDSCAN};
use crate::signalling::Accusation;

impl Judge {
    /// Says what the session machine found, and what it records of sessions.
    pub(super) fn accuse_by_n4(&mut self, say: &mut impl FnMut(Verdict)) {
        let (accusations, unreported) = self.signalling.accusations();
        self.words.unreported += unreported;
        for accusation in accusations {
            if self.is_enabled(accusation.detection) {
                self.accuse_order(accusation, say);
            }
        }
        for record in self.signalling.records() {
            say(Verdict::Session(Box::new(record)));
        }
    }

    fn accuse_order(&mut self, found: Accusation, say: &mut impl FnMut(Verdict)) {
        let tunnel = found.inner.and_then(|inner| inner.tunnel);
        let blank = self.blank(found.detection, found.severity, found.fact, found.last);
        let alert = Alert {
            equipment: found.equipment,
            peer_equipment: found
                .peer
                .and_then(|peer| self.rules.as_ref()?.holder(peer))
                .filter(|id| found.equipment.is_some_and(|suspect| suspect != *id)),
            peer: found.peer.map(Into::into),
            initiator: found.initiator,
            tap: found.tap,
            link: found.link,
            direction: found.direction,
            outer: found.outer,
            inner: found.inner.map(|inner| inner.tuple),
            tunnel,
            packets: found.packets,
            bytes: found.bytes,
            first: found.first,
            last: found.last,
            degraded: blank.degraded || found.degraded,
            n4: Some(Box::new(found.n4)),
            ..blank
        };
        if found.detection == GTP_TEIDSCAN
            && let (Some(suspect), Some(peer)) = (found.equipment, found.peer)
        {
            let now = self.now;
            self.alerts.explain(GTP_ORPHAN, suspect, peer, GTP_TEIDSCAN, now, &mut |alert| {
                say(Verdict::Alert(Box::new(alert)));
            });
        }
        self.observe(alert, say);
    }
}
