//! Whether what hides in everyday protocols, and what only looks so, has whom it needs.

use super::{Fault, fault, seconds};
use crate::covert::Counterpart;
use crate::scenario::{Role, Scenario};

/// What is hidden in a packet, at most: a name has less room.
const MOST: u64 = 1_300;
const MOST_IN_NAME: u64 = 200;

impl Scenario {
    pub(super) fn check_covert(&self) -> Result<(), Fault> {
        for theft in &self.theft.covert {
            seconds(&theft.id, theft.start_seconds)?;
            seconds(&theft.id, theft.every_milliseconds)?;
            self.managed(&theft.equipment)?;
            let counterpart = theft.how.counterpart();
            let most = if counterpart == Counterpart::Resolver { MOST_IN_NAME } else { MOST };
            if !(1..=most).contains(&theft.bytes) {
                let remedy = format!("give 1 to {most} bytes");
                return Err(fault(&theft.id, "the octets do not fit one packet", remedy));
            }
            if theft.domain.len() > 40 {
                let remedy = "give a domain of at most 40 octets";
                return Err(fault(&theft.id, "no room is left beneath the domain", remedy));
            }
            match (counterpart, &theft.peer) {
                (Counterpart::Resolver, _) => {
                    self.need(&theft.id, Role::Dns, "oam", |e| e.oam.is_some())?;
                }
                (Counterpart::Clock, _) => {
                    self.need(&theft.id, Role::Ntp, "oam", |e| e.oam.is_some())?;
                }
                (Counterpart::Log, _) => {
                    self.need(&theft.id, Role::Syslog, "oam", |e| e.oam.is_some())?;
                }
                (Counterpart::Peer, Some(peer)) => {
                    self.need(peer, Role::Router, "oam", |e| e.oam.is_some())?;
                }
                (Counterpart::Peer, None) => {
                    let remedy = "give the address that takes part: peer = \"192.0.2.1\"";
                    return Err(fault(&theft.id, "this theft has a far end", remedy));
                }
            }
        }
        let Some(place) = &self.confounders.content else { return Ok(()) };
        seconds(place, place.get_ref().every_seconds)?;
        self.undeclared(&place.get_ref().upstream)?;
        for role in [Role::Gnb, Role::Router, Role::Dns, Role::Ntp, Role::Oam] {
            self.need(place, role, "oam", |e| e.oam.is_some())?;
        }
        Ok(())
    }
}
