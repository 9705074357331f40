//! What proof found, as alerts.

use std::sync::Arc;

use super::Judge;
use crate::contract::verdict::{Alert, Direction, Fact, Initiator, Severity, Tunnel, Verdict};
use crate::detect::{CNS_BALANCE, CNS_DUP, PFCP_DUPL, cns_balance};
use crate::proof::{Carrier, Finding, Flow, Ground, Sample};
use crate::report::Report;
use crate::rules::{EquipmentId, Link, Rules};
use crate::signalling::Owner;

impl Judge {
    /// Judges the packets that were chosen for proof in a slice.
    pub(super) fn judge_samples(&mut self, reports: &[Report], say: &mut impl FnMut(Verdict)) {
        let Some(rules) = self.rules.clone() else { return };
        let loss = self.watch.loss_ratio();
        let ground = Ground { signalling: &self.signalling, rules: &rules, loss };
        self.proof.slice(reports, self.now, &ground);
        self.say_findings(&rules, say);
    }

    /// Judges what still waits when the input ends.
    pub(super) fn finish_proof(&mut self, say: &mut impl FnMut(Verdict)) {
        let Some(rules) = self.rules.clone() else { return };
        let loss = self.watch.loss_ratio();
        self.proof.finish(&Ground { signalling: &self.signalling, rules: &rules, loss });
        self.say_findings(&rules, say);
    }

    fn say_findings(&mut self, rules: &Arc<Rules>, say: &mut impl FnMut(Verdict)) {
        for finding in self.proof.findings() {
            match finding {
                Finding::Copied { sample, copies, owner, passed, is_secret } => {
                    let about = (&sample, owner, passed);
                    let mut alert =
                        self.copied(about, Fact::Copied { digests: copies.digests }, rules);
                    // Who is intercepted nobody else may know: it is told as an order is.
                    let detection = if is_secret { PFCP_DUPL } else { CNS_DUP };
                    (alert.detection, alert.day) = (detection, copies.last.day());
                    (alert.packets, alert.bytes) = (copies.packets, copies.bytes);
                    (alert.first, alert.last) = (copies.first, copies.last);
                    if self.is_enabled(CNS_DUP) {
                        let of = owner.map(|owner| owner.session);
                        self.signalling.see_copies(of, sample.to, alert.equipment, copies.last);
                    }
                    if self.is_enabled(CNS_DUP) && self.is_enabled(detection) {
                        let made = copies.first.max(self.since);
                        self.observe(alert, Some(made), say);
                    }
                }
                Finding::TooMuch { upf, is_up, flow, windows, loss } => {
                    if self.is_enabled(CNS_BALANCE) {
                        self.accuse_upf(upf, is_up, &flow, windows, loss, say);
                    }
                }
            }
        }
    }

    fn copied(
        &self,
        (sample, owner, passed): (&Sample, Option<Owner>, Option<EquipmentId>),
        fact: Fact,
        rules: &Rules,
    ) -> Alert {
        let suspect = rules.holder(sample.from).or(passed);
        let is_tunnel = sample.carrier == Carrier::GPdu;
        let direction =
            owner.map(|owner| if owner.is_source { Direction::Ul } else { Direction::Dl });
        Alert {
            equipment: suspect,
            peer_equipment: rules.holder(sample.to).filter(|id| Some(*id) != suspect),
            peer: Some(sample.to.into()),
            initiator: Initiator::Equipment,
            tap: sample.tap,
            link: sample.link,
            direction,
            outer: Some(sample.outer()),
            inner: (sample.carrier != Carrier::Bare).then(|| sample.inner()),
            tunnel: is_tunnel.then_some(Tunnel { teid: sample.teid, qfi: None }),
            n4: Some(Box::new(self.signalling.signalled_user(owner))),
            ..self.blank(CNS_DUP, Severity::Critical, fact, sample.time)
        }
    }

    fn accuse_upf(
        &mut self,
        upf: EquipmentId,
        is_up: bool,
        flow: &Flow,
        windows: u32,
        loss: f64,
        say: &mut impl FnMut(Verdict),
    ) {
        let Some((first, last, user)) = flow.span else { return };
        let direction = if is_up { Direction::Ul } else { Direction::Dl };
        let Flow { came, extra, extra_bytes: bytes, .. } = *flow;
        let fact = Fact::Imbalance { direction, extra, bytes, came, windows };
        let blank = self.blank(CNS_BALANCE, Severity::High, fact, last);
        let alert = Alert {
            equipment: Some(upf),
            initiator: Initiator::Equipment,
            link: if is_up { Link::N6 } else { Link::N3 },
            direction: Some(direction),
            inner: Some(user),
            // Each stands for as many as it was chosen from.
            packets: extra * cns_balance::RARITY,
            bytes: bytes * cns_balance::RARITY,
            first,
            last,
            degraded: blank.degraded || loss > 0.0,
            loss_ratio: blank.loss_ratio.max(loss as f32),
            n4: Some(Box::new(self.signalling.signalled_user(None))),
            ..blank
        };
        // The window has ended long ago, and was waited for since.
        self.observe(alert, None, say);
    }
}
