//! OAM-WINDOW: work on equipment that nobody declared. A session of management with whoever is not
//! in the inventory, or much that leaves by one, outside every change window.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Fact, Severity};
use weir_engine::detect::OAM_WINDOW;

use crate::memory::{Kind, Memory, Row};
use crate::told::{Subject, Told};
use crate::{Finding, Spell, number_of};

/// Sessions that are remembered at a time.
const SESSIONS: usize = 1 << 16;

/// Where equipment is worked on: SSH and SFTP, Telnet, NETCONF, remote desktops.
const SERVICES: [(u8, u16); 5] = [(6, 22), (6, 23), (6, 830), (6, 3389), (6, 5900)];

/// A session in which fewer bytes went either way was turned away: an exchange of keys is longer.
const LEAST: u64 = 1_000;

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct SessionKey {
    equipment: String,
    peer: IpAddr,
    protocol: u8,
    port: u16,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Session {
    /// The UTC day, and what went each way on it.
    day: u32,
    sent: u64,
    received: u64,
    last: Nanos,
    told: Option<Told>,
}

impl Row for Session {
    const KIND: Kind = Kind::Session;
    const BOUND: usize = SESSIONS;
    type Rank = (bool, bool, Nanos);

    fn rank(&self) -> Self::Rank {
        (self.told.is_some(), self.sent.min(self.received) >= LEAST, self.last)
    }

    fn told(&mut self) -> Option<&mut Told> {
        self.told.as_mut()
    }
}

/// The detection's memory.
#[derive(Debug, Default)]
pub struct Management {
    pub(crate) sessions: Memory<SessionKey, Session>,
}

impl Management {
    /// Takes a spell in, and says that its session should have been declared; `most` bytes a day
    /// may leave by a session with equipment of the inventory.
    pub fn observe(&mut self, spell: &Spell<'_>, most: u64, say: &mut impl FnMut(Finding)) {
        let activity = spell.activity;
        if !spell.is_on(&SERVICES) || spell.context.is_in_window {
            return;
        }
        let tuple = &activity.tuple;
        let is_turned = !SERVICES.contains(&(tuple.protocol, tuple.destination_port));
        let port = if is_turned { tuple.source_port } else { tuple.destination_port };
        let protocol = tuple.protocol;
        let equipment = spell.equipment.to_owned();
        let key = SessionKey { equipment, peer: spell.peer, protocol, port };
        let instance = number_of(&key);
        let day = spell.context.day;
        let session = self.sessions.entry(key, Session::default);
        // A flow is told of when it ends: it may belong to the day before.
        if session.day != day && session.day != day.saturating_add(1) {
            *session = Session { day, ..Session::default() };
        }
        session.sent = session.sent.saturating_add(spell.sent.1);
        session.received = session.received.saturating_add(spell.received.1);
        session.last = session.last.max(activity.last);
        let is_remote = !spell.is_peer_equipment && session.sent.min(session.received) >= LEAST;
        if session.sent <= most && !is_remote {
            return;
        }
        let fact = Fact::OutsideWindow { sent: session.sent, is_remote };
        let told = session.told.get_or_insert_with(|| Told::new(session.day, fact, activity.first));
        told.fact = fact;
        let (severity, peer) = (Severity::High, Some(spell.peer));
        say(told.grow(spell, Subject { detection: OAM_WINDOW, severity, peer, instance }));
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::contract::verdict::Activity;
    use weir_engine::rules::EquipmentId;

    use super::*;
    use crate::test_spells::{activity, hours};
    use crate::{Context, Side};

    const MOST: u64 = 10 << 20;

    fn found(change: impl Fn(&mut Activity), is_in_window: bool) -> Vec<Fact> {
        let mut management = Management::default();
        let mut found = Vec::new();
        for part in 0..4 {
            let mut activity = activity(hours(f64::from(part)));
            activity.tuple.destination_port = 22;
            activity.to_server.1 = 600;
            activity.to_client.1 = 900;
            change(&mut activity);
            let context = Context { is_in_window, ..Context::default() };
            let side = if activity.source.is_some() { Side::First } else { Side::Second };
            let spell = Spell::of("gnb-1", &activity, side, context);
            management.observe(&spell, MOST, &mut |it| found.push(it.fact));
        }
        found
    }

    #[test]
    fn a_session_with_a_stranger_is_told_once_it_is_one() {
        let facts = found(|_| {}, false);
        assert_eq!(facts.len(), 3, "the first part is no more than a greeting");
        assert_eq!(facts[0], Fact::OutsideWindow { sent: 1_200, is_remote: true });
        let facts = found(|it| (it.source, it.destination) = (None, it.source), false);
        assert_eq!(facts[0], Fact::OutsideWindow { sent: 1_800, is_remote: true });
        assert!(
            !found(|it| it.allowed = true, false).is_empty(),
            "allowed is not yet declared work"
        );
    }

    #[test]
    fn only_much_is_told_of_sessions_within_the_inventory() {
        let within = |it: &mut Activity| it.destination = Some(EquipmentId(1));
        assert_eq!(found(within, false), []);
        let much = |it: &mut Activity| {
            it.destination = Some(EquipmentId(1));
            it.to_server.1 = 4 << 20;
        };
        assert_eq!(
            found(much, false),
            [
                Fact::OutsideWindow { sent: 12 << 20, is_remote: false },
                Fact::OutsideWindow { sent: 16 << 20, is_remote: false },
            ]
        );
    }

    #[test]
    fn declared_work_and_other_services_are_silent() {
        assert_eq!(found(|_| {}, true), []);
        assert_eq!(found(|it| it.tuple.destination_port = 443, false), []);
        assert_eq!(found(|it| (it.to_server.1, it.to_client.1) = (40, 60), false), []);
    }
}
