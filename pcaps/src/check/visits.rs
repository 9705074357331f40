//! Whether what takes its time fits into the scenario, and what the tap makes of it.

use toml::Spanned;

use super::{Fault, fault, seconds};
use crate::scenario::{Role, Scenario};
use crate::visits::Visits;

/// The least that a tap keeps of a frame: the headers of a G-PDU with its user's packet.
const LEAST_SNAP: u32 = 96;

impl Scenario {
    pub(super) fn check_visits(&self) -> Result<(), Fault> {
        if let Some(place) = &self.tap {
            let tap = place.get_ref();
            if !(0.0..1.0).contains(&tap.loss_share) {
                return Err(fault(place, "a share is out of range", "give less than 1.0"));
            }
            if tap.snap_bytes.is_some_and(|snap| !(LEAST_SNAP..=65_535).contains(&snap)) {
                let remedy = format!("give {LEAST_SNAP} to 65535");
                return Err(fault(place, "snap_bytes are out of range", remedy));
            }
        }
        let thefts = self.theft.patient.iter().map(|theft| (&theft.id, &theft.visits));
        let routines =
            self.confounders.routine.iter().map(|routine| (&routine.id, &routine.visits));
        thefts.chain(routines).try_for_each(|(id, visits)| self.check_one(id, visits))?;
        let allowed = self.theft.patient.iter().filter(|theft| theft.allowed);
        let allowed = allowed.map(|theft| (&theft.id, &theft.visits));
        let routines =
            self.confounders.routine.iter().map(|routine| (&routine.id, &routine.visits));
        match allowed.chain(routines).find(|(_, visits)| visits.service().is_none()) {
            Some((id, _)) => Err(fault(id, "no policy names this port", "give 22, 443 or 830")),
            None => Ok(()),
        }
    }

    fn check_one(&self, id: &Spanned<String>, visits: &Visits) -> Result<(), Fault> {
        seconds(id, visits.start_seconds)?;
        seconds(id, visits.every_seconds)?;
        if visits.equipment.is_empty() || visits.peers.is_empty() {
            return Err(fault(id, "nobody visits nobody", "give equipment and peers"));
        }
        if !(0.0..=1.0).contains(&visits.missed) || !(0.0..=1.0).contains(&visits.spread) {
            return Err(fault(id, "a share is out of range", "give 0.0 to 1.0"));
        }
        if visits.visits > 1_000_000 || visits.sent_bytes.max(visits.received_bytes) > 1 << 32 {
            return Err(fault(id, "too much", "give at most 1000000 visits of 4 GiB"));
        }
        for equipment in &visits.equipment {
            for peer in &visits.peers {
                self.reached_from_outside(equipment, peer)?;
            }
        }
        match visits.server_name {
            Some(_) => self.need(id, Role::Dns, "oam", |e| e.oam.is_some()),
            None => Ok(()),
        }
    }
}
