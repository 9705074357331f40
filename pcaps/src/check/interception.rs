//! Whether what is said of lawful interception, and of what blinds, fits together.

use super::{Fault, fault, seconds};
use crate::blinding::How;
use crate::plan::Link;
use crate::scenario::{Role, Scenario};

/// The most sessions that are copied together.
const MOST: u64 = 10_000;

impl Scenario {
    pub(super) fn check_interception(&self) -> Result<(), Fault> {
        if let Some(place) = &self.interception {
            seconds(place, place.get_ref().feed_lag_seconds)?;
            for authorised in &place.get_ref().authorised {
                if authorised.sessions == 0 {
                    let remedy = "give 1 or more, or leave the entry out";
                    return Err(fault(&authorised.to, "an authorisation of no session", remedy));
                }
                if let Some(upf) = &authorised.upf {
                    self.has(upf, Role::Upf, &[Link::N4])?;
                }
            }
        }
        let warrants = self.interception.iter().flat_map(|place| &place.get_ref().warrant);
        for streams in warrants.chain(&self.theft.interception) {
            for time in [streams.start_seconds, streams.seconds, streams.every_milliseconds] {
                seconds(&streams.id, time)?;
            }
            if !(1..=MOST).contains(&streams.sessions) {
                let remedy = format!("give 1 to {MOST}");
                return Err(fault(&streams.id, "sessions is out of range", remedy));
            }
            self.has(&streams.equipment, Role::Upf, &[Link::N3, Link::N4, Link::N6])?;
            self.need(&streams.id, Role::Gnb, "n3", |e| e.n3.is_some())?;
            self.need(&streams.id, Role::Smf, "n4", |e| e.n4.is_some())?;
        }
        for blinding in &self.theft.blinding {
            for time in [blinding.start_seconds, blinding.seconds] {
                seconds(&blinding.id, time)?;
            }
            let most = match blinding.how {
                How::N4OneWay => 1.0,
                // What is dated back must not come to lie before the scenario.
                How::ClockBack => blinding.start_seconds as f64,
            };
            if !(0.0..=most).contains(&blinding.amount) {
                let remedy = format!("give 0.0 to {most:.1}");
                return Err(fault(&blinding.id, "amount is out of range", remedy));
            }
        }
        Ok(())
    }
}
