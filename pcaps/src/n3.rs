//! GTP-U path management: gNBs and UPFs ask each other for an echo (TS 29.281 §4.4.3).

use crate::chance::Chance;
use crate::gtpu;
use crate::plan::Link;
use crate::stage::{Actor, Micros, SECOND, Stage};

const N3_REQUESTS: u64 = 5;
const T3_RESPONSE: Micros = 3 * SECOND;

/// A path between two nodes, probed from `from`.
pub(crate) struct Path {
    pub from: usize,
    pub to: usize,
    pub every: Micros,
    pub sequence: u16,
    pub chance: Chance,
}

impl Actor for Path {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let from = stage.plan.nodes[self.from].on(Link::N3);
        let to = stage.plan.nodes[self.to].on(Link::N3);
        self.sequence = self.sequence.wrapping_add(1);
        let answer_at = now + self.chance.between(300, 3_000);
        if let Some((lost, group)) = stage.lost {
            if lost == self.from {
                return Some(now + self.every);
            }
            if lost == self.to {
                // T3-RESPONSE and N3-REQUESTS of TS 29.281 §11 with their usual values.
                stage.group = Some(group);
                for attempt in 0..N3_REQUESTS {
                    let at = now + attempt * T3_RESPONSE;
                    stage.gtpu(at, (from, to), &gtpu::echo_request(self.sequence), None);
                }
                return Some(now + self.every);
            }
        }
        stage.gtpu(now, (from, to), &gtpu::echo_request(self.sequence), None);
        stage.gtpu(answer_at, (to, from), &gtpu::echo_response(self.sequence), None);
        Some(now + self.every)
    }
}
