//! Whether what is said of N4 and of attacks on sessions fits together.

use toml::Spanned;

use super::{Fault, fault, seconds};
use crate::plan::Link;
use crate::scenario::{Equipment, Role, Scenario};

impl Scenario {
    pub(super) fn check_n4(&self) -> Result<(), Fault> {
        if let Some(place) = &self.n4 {
            let habits = place.get_ref();
            let shares = [
                habits.endpoint_share,
                habits.late_address_share,
                habits.idle_share,
                habits.reordered_share,
                habits.lost_share,
                habits.repeated_share,
            ];
            if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
                return Err(fault(place, "a share is out of range", "give 0.0 to 1.0"));
            }
            for period in [habits.report_seconds, habits.start_grace_seconds].iter().flatten() {
                seconds(place, *period)?;
            }
        }
        for member in self.smf_set.iter().flat_map(|set| &set.members) {
            self.has(member, Role::Smf, &[Link::N4])?;
        }
        self.check_attacks()?;
        self.check_upheavals()
    }

    fn check_attacks(&self) -> Result<(), Fault> {
        for attack in &self.theft.session {
            seconds(&attack.id, attack.start_seconds)?;
            seconds(&attack.id, attack.every_milliseconds)?;
            seconds(&attack.id, attack.packets)?;
            let role = attack.how.role();
            let link = if role == Role::Gnb { Link::N3 } else { Link::N4 };
            self.has(&attack.equipment, role, &[link])?;
            self.has(&attack.upf, Role::Upf, &[Link::N3, Link::N4, Link::N6])?;
            self.need(&attack.id, Role::Gnb, "n3", |e| e.n3.is_some())?;
            self.need(&attack.id, Role::Smf, "n4", |e| e.n4.is_some())?;
            match &attack.peer {
                Some(peer) => self.undeclared(peer)?,
                None if attack.how.needs_peer() => {
                    let remedy = "give the address of nobody that takes part: peer = \"192.0.2.1\"";
                    return Err(fault(&attack.id, "this attack has a far end", remedy));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn check_upheavals(&self) -> Result<(), Fault> {
        let Some(place) = &self.confounders.sessions else { return Ok(()) };
        let said = place.get_ref();
        for time in [
            said.every_seconds,
            said.storm_at_seconds,
            said.restart_at_seconds,
            said.smf_restart_at_seconds,
            said.release_at_seconds,
            said.failover_at_seconds,
            said.set_deletion_at_seconds,
            said.mid_stream_until_seconds,
        ] {
            seconds(place, time)?;
        }
        for upf in [&said.restarts, &said.inserted] {
            self.has(upf, Role::Upf, &[Link::N3, Link::N4, Link::N6])?;
        }
        for id in said.f1.iter().chain(&said.s1) {
            if self.known(id)?.n3.is_none() {
                return Err(fault(id, "it has no N3 address", "give it one"));
            }
        }
        if self.smf_set.first().is_none_or(|set| set.members.len() < 2) {
            let remedy = "add [[smf_set]] with two members";
            return Err(fault(place, "no two SMFs share their sessions", remedy));
        }
        self.need(place, Role::Gnb, "n3", |e| e.n3.is_some())?;
        self.need(place, Role::Router, "n6", |e| e.n6.is_some())
    }

    pub(super) fn has(
        &self,
        id: &Spanned<String>,
        role: Role,
        links: &[Link],
    ) -> Result<(), Fault> {
        let equipment: &Equipment = self.known(id)?;
        let addresses = equipment.addresses();
        let missing = links.iter().find(|link| addresses[**link as usize].is_none());
        if equipment.role != role {
            let what = format!("{:?} is no {role:?}", id.get_ref()).to_lowercase();
            return Err(fault(id, what, "name equipment of that role"));
        }
        match missing {
            Some(link) => {
                let what = format!("it has no address on {}", link.name());
                Err(fault(id, what, "give it one"))
            }
            None => Ok(()),
        }
    }
}
