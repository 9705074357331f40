//! PFCP-GHOST's long part: sessions whose packets go one way only, for minutes. A subscriber's traffic is
//! answered; a stream that never is may be a copy that somebody carries off in a session of his own.

use super::Signalling;
use super::accusation::ip;
use super::request::blank;
use super::session::{Flagged, SessionRef};
use crate::Nanos;
use crate::contract::session::{SessionState, Signalled};
use crate::contract::verdict::{Fact, Initiator, Oddity, Severity};
use crate::detect::PFCP_GHOST;

/// How often each session is looked at, about.
const ROUND: Nanos = Nanos::from_secs(60);
/// Sessions that are looked at in one go, at most.
const AT_ONCE: u64 = 4096;
/// Fewer packets a second than this, on the average, are no stream: a sensor that reports and gets
/// no answer is one of many.
const PER_SECOND: u64 = 1;

/// What is known of a session's ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ways {
    /// Packets up and down when it was last looked at.
    counted: [u64; 2],
    /// When its stream began to go one way; 0 if it goes both ways, or not at all.
    since: Nanos,
    /// Which way: 0 up, 1 down.
    way: u8,
    /// Packets and bytes that had gone that way by then.
    began: (u64, u64),
}

/// The round in which sessions are looked at.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    hand: u32,
    last: Nanos,
    /// Sessions of this round, and of the last one, whose packets go one way and both.
    one_way: [u64; 2],
    both: [u64; 2],
}

impl Rounds {
    /// Whether most traffic goes both ways, as far as it is seen: else a direction is not tapped.
    fn sees_both(&self) -> bool {
        self.one_way.iter().sum::<u64>() <= self.both.iter().sum()
    }
}

impl Signalling {
    /// Looks at as many sessions as are due, each about once a minute.
    pub(super) fn settle_ways(&mut self, now: Nanos) {
        if self.rounds.last == Nanos(0) || !self.is_complete {
            self.rounds.last = now;
            return;
        }
        let places = self.store.places();
        let passed = now.since(self.rounds.last).0.min(ROUND.0);
        let due = (u128::from(places) * u128::from(passed) / u128::from(ROUND.0)) as u64;
        if due == 0 {
            return;
        }
        self.rounds.last = now;
        for _ in 0..due.min(AT_ONCE) {
            if self.rounds.hand >= places {
                let Rounds { hand, one_way, both, .. } = &mut self.rounds;
                (*hand, *one_way, *both) = (0, [0, one_way[0]], [0, both[0]]);
            }
            if let Some(at) = self.store.at(self.rounds.hand) {
                self.look_at_ways(at, now);
            }
            self.rounds.hand += 1;
        }
    }

    fn look_at_ways(&mut self, at: SessionRef, now: Nanos) {
        let Some(session) = self.store.find(at) else { return };
        if session.state != SessionState::Active || !session.is_whole {
            return;
        }
        let counts = self.usage_of(session);
        let counted = [counts[0].packets, counts[1].packets];
        let mut ways = session.ways;
        match [0, 1].map(|way| counted[way] > ways.counted[way]) {
            [true, true] => {
                self.rounds.both[0] += 1;
                ways.since = Nanos(0);
            }
            [false, false] => {}
            [_, down] => {
                self.rounds.one_way[0] += 1;
                let way = u8::from(down);
                if ways.since == Nanos(0) || ways.way != way {
                    let of_it = &counts[usize::from(way)];
                    (ways.since, ways.way) = (now, way);
                    ways.began = (of_it.packets, of_it.bytes);
                }
            }
        }
        ways.counted = counted;
        let of_it = &counts[usize::from(ways.way)];
        let packets = of_it.packets.saturating_sub(ways.began.0);
        let bytes = of_it.bytes.saturating_sub(ways.began.1);
        let lasted = now.since(ways.since);
        let is_stream = ways.since > Nanos(0)
            && lasted >= self.settings.ghost_one_way
            && packets >= PER_SECOND * lasted.0 / 1_000_000_000;
        let is_told = session.was_flagged_for.has(Flagged::ONE_WAY);
        let is_judged = self.rounds.sees_both() && self.is_covered(session.up_node, now);
        let (context, cp_node, up_node) = (self.context(session), session.cp_node, session.up_node);
        let (cp, upf) = (session.cp, session.up);
        let accused = is_stream && is_judged && !is_told;
        if let Some(session) = self.store.find_mut(at) {
            session.ways = ways;
            if accused {
                session.was_flagged_for.set(Flagged::ONE_WAY);
            }
        }
        if !accused {
            return;
        }
        let equipment = |node: u32| self.nodes.node(node).and_then(|node| node.equipment);
        let mut accusation = blank(PFCP_GHOST, Severity::Medium, Fact::Ghost(Oddity::OneWay));
        accusation.equipment = equipment(cp_node).or(equipment(up_node));
        accusation.peer = Some(upf);
        accusation.initiator = Initiator::Equipment;
        accusation.packets = packets;
        accusation.bytes = bytes;
        (accusation.first, accusation.last) = (ways.since, now);
        accusation.n4 = Signalled {
            session: Some(context),
            ordered_by: Some(ip(cp)),
            doubt: 0.3,
            ..Signalled::default()
        };
        self.accusations.add(accusation);
    }
}
