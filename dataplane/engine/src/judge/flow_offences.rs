//! What is wrong with flows: an offence of the most specific detection that has one, held back where a
//! more specific one may still come.

use super::flow::{Flow, Way};
use super::offence::Offence;
use super::{HOLD, Held, Judge};
use crate::Nanos;
use crate::contract::verdict::{Alert, Direction, Verdict};
use crate::detect::{
    EGR_NOTALLOWED, GTP_PEER, INV_UNKNOWN, TUN_FOREIGN, egr_notallowed, gtp_peer, rank, tun_foreign,
};
use crate::report::Report;
use crate::rules::{EquipmentId, Roles, Rules};
use crate::track::FlowDelta;

impl Judge {
    /// Judges what all workers saw of flows, in the order of their first packets.
    pub(super) fn judge_flows(
        &mut self,
        reports: &[Report],
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        let mut deltas: Vec<FlowDelta> =
            reports.iter().flat_map(|report| report.flows.iter().copied()).collect();
        // What several workers saw of a flow is judged as one.
        deltas.sort_by_key(|delta| (delta.key, delta.first(), delta.tap.0));
        deltas.dedup_by(|later, delta| {
            let same = later.key == delta.key;
            if same {
                delta.join(later);
            }
            same
        });
        deltas.sort_by_key(|delta| (delta.first(), delta.key));
        for delta in &deltas {
            let added = self.flows.add(delta);
            if let Some(due) = added.evicted {
                self.say_flow(&due, say);
                self.openings.end(due.flow.key);
            }
            if let Some(spell) = added.spell
                && let Some(flow) = self.flows.row(added.row).cloned()
            {
                self.say_activity(&flow, &spell, say);
            }
            self.judge_flow(added.row, delta, rules, say);
        }
    }

    fn judge_flow(
        &mut self,
        row: usize,
        delta: &FlowDelta,
        rules: &Rules,
        say: &mut impl FnMut(Verdict),
    ) {
        let is_confidential = self.has_confidential_end(&delta.key);
        let Some(flow) = self.flows.row(row) else { return };
        flow.was_confidential |= is_confidential;
        flow.ask(rules);
        let enabled = rules.settings().enabled;
        let last = flow.last();
        let found = [
            (GTP_PEER, gtp_peer::offence(flow)),
            (TUN_FOREIGN, tun_foreign::offence(flow, rules)),
            (EGR_NOTALLOWED, if flow.allowed { None } else { egr_notallowed::offence(flow) }),
        ]
        .into_iter()
        .find_map(|(position, offence)| offence.filter(|_| enabled[usize::from(position)]));
        let found = found.and_then(|offence| self.graded(delta.key, offence, last));
        let Some(flow) = self.flows.row(row) else { return };
        let before = flow.offence;
        // What a flow was flagged for stays, unless something more specific explains it.
        flow.offence = match (before, found) {
            (Some(before), Some(found)) if rank(found.detection) < rank(before.detection) => {
                Some(before)
            }
            (before, found) => found.or(before),
        };
        let (offence, snapshot) = (flow.offence, flow.clone());
        match offence {
            Some(offence) if self.is_withheld(&snapshot, snapshot.sender(offence.peer)) => {
                // Nor is it told of by what is counted later, when it need not be withheld any more.
                if let Some(flow) = self.flows.row(row) {
                    flow.uncounted = (0, 0);
                }
            }
            Some(offence) if offence.detection == EGR_NOTALLOWED && may_be_gtp(&snapshot) => {
                if before.is_none() {
                    self.hold(snapshot.last().plus(HOLD), Held::Flow(row, delta.key));
                } else if self.said_already(&snapshot, offence) && !self.is_n4s(delta.key, offence)
                {
                    self.accuse(row, offence, delta.first(), say);
                }
            }
            Some(offence) if self.is_n4s(delta.key, offence) => {}
            Some(offence) => self.accuse(row, offence, delta.first(), say),
            None => {}
        }
        if enabled[usize::from(INV_UNKNOWN)] {
            self.judge_strangers(&snapshot, delta, rules, say);
        }
    }

    /// Whether the hold of a held flow is over: its alert exists.
    fn said_already(&self, flow: &Flow, offence: Offence) -> bool {
        self.alerts.names(flow.sender(offence.peer)).is_some()
    }

    /// Adds what is not counted yet of a flow to its alert, which is made by a frame of the time
    /// `made`, or by a hold that ended then.
    pub(super) fn accuse(
        &mut self,
        row: usize,
        offence: Offence,
        made: Nanos,
        say: &mut impl FnMut(Verdict),
    ) {
        let now = self.now;
        let Some(flow) = self.flows.row(row) else { return };
        let (packets, bytes) = std::mem::take(&mut flow.uncounted);
        if packets == 0 {
            return;
        }
        let flow = flow.clone();
        let peer = flow.sender(offence.peer);
        let equipment = offence.suspect.and_then(|way| flow.equipment(way));
        let opener = flow.opener().unwrap_or_else(|| flow.first_sender());
        let inner = flow.inner.filter(|_| [GTP_PEER, TUN_FOREIGN].contains(&offence.detection));
        let alert = Alert {
            equipment,
            peer_equipment: flow.equipment(offence.peer).filter(|_| equipment.is_some()),
            peer: Some(peer.into()),
            peer_name: self.name(&flow, offence.peer),
            initiator: offence.initiator,
            tap: flow.tap.0,
            link: flow.link,
            direction: self.direction(&flow, opener),
            outer: Some(flow.key.tuple(opener == Way::Up)),
            inner: inner.map(|inner| inner.tuple),
            tunnel: inner.and_then(|inner| inner.tunnel),
            flow_id: flow.id(),
            packets,
            bytes,
            // What was withheld before has no beginning either.
            first: if flow.was_confidential { made.min(flow.last()) } else { flow.first() },
            last: flow.last(),
            ..self.blank(offence.detection, offence.severity, offence.fact, now)
        };
        for general in [TUN_FOREIGN, EGR_NOTALLOWED, INV_UNKNOWN] {
            if rank(general) < rank(offence.detection) {
                let explained = (peer, flow.id());
                self.alerts.supersede(general, explained, offence.detection, now, &mut |alert| {
                    say(Verdict::Alert(Box::new(alert)));
                });
            }
        }
        self.observe(alert, Some(made), say);
    }

    pub(super) fn direction(&self, flow: &Flow, way: Way) -> Option<Direction> {
        let rules = self.rules.as_ref()?;
        let rank = |id: EquipmentId| {
            let roles = rules.equipment(id)?.roles;
            Some(if roles.any(Roles::RADIO) {
                1
            } else if roles.any(Roles::UPF) {
                2
            } else {
                return None;
            })
        };
        let from = flow.equipment(way).and_then(rank)?;
        let to = flow.equipment(way.reverse()).and_then(rank)?;
        match from.cmp(&to) {
            std::cmp::Ordering::Less => Some(Direction::Ul),
            std::cmp::Ordering::Greater => Some(Direction::Dl),
            std::cmp::Ordering::Equal => None,
        }
    }
}

/// Whether a flow is on a port where a GTP or PFCP detection may explain it.
fn may_be_gtp(flow: &Flow) -> bool {
    use weir_wire::{gtpu, pfcp};
    let ports = [flow.port(Way::Up), flow.port(Way::Down)];
    flow.key.protocol == crate::decode::protocol::UDP
        && [gtpu::PORT, gtpu::CONTROL_PORT, gtpu::PRIME_PORT, pfcp::PORT]
            .iter()
            .any(|port| ports.contains(port))
}
