//! What is told of equipment's flows: spells of activity when they are over, flows by the hour and
//! at their ends.

use super::Judge;
use super::flow::{Flow, Way};
use super::flows::Due;
use super::spell::Spell;
use crate::contract::verdict::{Activity, Flow as FlowVerdict, FlowEnd, Verdict};

impl Judge {
    /// Whether a flow of equipment may be told of: where copies go is told of in confidence only.
    fn is_told(&self, flow: &Flow) -> bool {
        flow.equipment_ways().next().is_some()
            && !flow.was_confidential
            && !self.has_confidential_end(&flow.key)
    }

    /// Tells of a spell of activity that is over. That of user planes and N4 follows their users.
    pub(super) fn say_activity(&self, flow: &Flow, spell: &Spell, say: &mut impl FnMut(Verdict)) {
        if spell.is_empty() || flow.is_gtp_or_pfcp() || !self.is_told(flow) {
            return;
        }
        let way = flow.opener().unwrap_or_else(|| flow.first_sender());
        let sent = |way: Way| if way == Way::Up { spell.up } else { spell.down };
        say(Verdict::Activity(Box::new(Activity {
            flow_id: flow.id(),
            tuple: flow.key.tuple(way == Way::Up),
            initiator_known: flow.opener().is_some(),
            source: flow.equipment(way),
            destination: flow.equipment(way.reverse()),
            to_server: sent(way),
            to_client: sent(way.reverse()),
            total: flow.total(),
            opened: flow.first(),
            first: spell.first,
            last: spell.last,
            continues: spell.continues,
            allowed: flow.allowed,
            periodic: flow.periodic,
            name: flow.equipment_ways().find_map(|way| self.name(flow, way.reverse())),
            tap: flow.tap.0,
            link: flow.link,
            policy: flow.policy(),
            evidence: None,
        })));
    }

    pub(super) fn say_flow(&self, due: &Due, say: &mut impl FnMut(Verdict)) {
        let flow = &due.flow;
        if due.end != FlowEnd::Hourly {
            self.say_activity(flow, &flow.spell, say);
        }
        if !self.is_told(flow) {
            return;
        }
        let way = flow.opener().unwrap_or_else(|| flow.first_sender());
        let named = flow.equipment_ways().find_map(|way| self.name(flow, way.reverse()));
        say(Verdict::Flow(Box::new(FlowVerdict {
            flow_id: flow.id(),
            tuple: flow.key.tuple(way == Way::Up),
            initiator_known: flow.opener().is_some(),
            source: flow.equipment(way),
            destination: flow.equipment(way.reverse()),
            to_server: flow.volume(way),
            to_client: flow.volume(way.reverse()),
            first: flow.first(),
            last: flow.last(),
            at: if due.end == FlowEnd::Input { flow.last() } else { due.at },
            end: due.end,
            allowed: flow.allowed,
            name: named,
            tap: flow.tap.0,
            link: flow.link,
            policy: flow.policy(),
        })));
    }
}
