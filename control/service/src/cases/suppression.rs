//! What people silence: one known thing, for a reason and until a day.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use weir_engine::Nanos;
use weir_engine::detect::CATALOGUE;
use weir_policy::{Suppression, nearest, remedy};

/// Suppressions that hold at a time.
const HELD: usize = 4_096;
/// The longest that one may hold: what is silenced for years is forgotten, and belongs in the policy.
const LONGEST: Nanos = Nanos::from_secs(400 * 86_400);
/// Characters of a reason.
const REASON: std::ops::RangeInclusive<usize> = 3..=1_000;

/// What somebody wants to be silenced.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The detection's id.
    pub detection: String,
    /// The equipment's id; none: any.
    pub equipment: Option<String>,
    /// The peer's addresses; none: any.
    pub peer: Option<IpNet>,
    /// Until when.
    pub until: Nanos,
    /// Why.
    pub reason: String,
}

impl Draft {
    /// What is silenced, if it can be: a typing mistake must silence nothing.
    ///
    /// # Errors
    /// What is amiss, and the remedy.
    pub fn check<'k>(
        &self,
        now: Nanos,
        equipment: impl IntoIterator<Item = &'k str> + Clone,
    ) -> Result<Suppression, String> {
        let ids = CATALOGUE.iter().map(|known| known.id);
        if !ids.clone().any(|id| id == self.detection) {
            return Err(format!(
                "there is no detection of that name; {}",
                remedy(&self.detection, ids)
            ));
        }
        if let Some(id) = &self.equipment
            && !equipment.clone().into_iter().any(|known| known == id)
        {
            let near = nearest(id, equipment)
                .map_or("write it as the inventory does".into(), |near| {
                    format!("did you mean `{near}`?")
                });
            return Err(format!("no equipment of the inventory has that id; {near}"));
        }
        if self.equipment.is_none() && self.peer.is_none() {
            return Err(
                "it would silence the detection altogether; name equipment or a peer, or disable the \
                 detection in policy.toml"
                    .into(),
            );
        }
        if self.until <= now {
            return Err("it would be over already; name a later time".into());
        }
        if self.until.since(now) > LONGEST {
            return Err("it would hold for more than 400 days; what is meant to stay belongs in \
                        [[suppress]] of policy.toml"
                .into());
        }
        if !REASON.contains(&self.reason.trim().chars().count()) {
            return Err("a reason of 3 to 1000 characters is needed; whoever reads it next year \
                        was not there"
                .into());
        }
        Ok(Suppression {
            detection: self.detection.clone(),
            equipment: self.equipment.clone(),
            peer: self.peer.map(|net| net.trunc()),
            until: Some(self.until.0),
            reason: Some(self.reason.trim().to_owned()),
        })
    }
}

/// Those that hold. Who made them, when, and what they silenced is known to the store alone.
#[derive(Debug, Default)]
pub struct Suppressions {
    held: BTreeMap<u64, Suppression>,
}

impl Suppressions {
    /// Takes over a stored one.
    pub fn restore(&mut self, number: u64, scope: Suppression) {
        self.held.insert(number, scope);
    }

    /// Whether there is room for another one.
    pub fn has_room(&self) -> bool {
        self.held.len() < HELD
    }

    /// The one that silences such an alert at `now`, the time of day.
    pub fn matching(
        &self,
        detection: &str,
        equipment: Option<&str>,
        peer: Option<IpAddr>,
        now: Nanos,
    ) -> Option<u64> {
        let matches = |scope: &&Suppression| scope.matches(detection, equipment, peer, now.0);
        self.held.iter().find(|(_, scope)| matches(scope)).map(|(number, _)| *number)
    }

    /// Takes one back; whether it was there.
    pub fn revoke(&mut self, number: u64) -> bool {
        self.held.remove(&number).is_some()
    }

    /// Lets those go that are over.
    pub fn expire(&mut self, now: Nanos) {
        self.held.retain(|_, scope| scope.until.is_none_or(|until| now.0 <= until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = Nanos::from_secs(1_700_000_000);

    fn draft() -> Draft {
        Draft {
            detection: "EGR-NOTALLOWED".into(),
            equipment: Some("gnb-1".into()),
            peer: None,
            until: NOW.plus(Nanos::from_secs(3_600)),
            reason: "support case 4711".into(),
        }
    }

    #[test]
    fn a_typing_mistake_silences_nothing_and_is_told_with_what_was_meant() {
        let check = |draft: Draft| draft.check(NOW, ["gnb-1", "gnb-2", "upf-1"]);
        assert_eq!(check(draft()).unwrap().until, Some(NOW.0 + 3_600_000_000_000));
        for (wrong, says) in [
            (
                Draft { detection: "EGR-NOTALOWED".into(), ..draft() },
                "did you mean `EGR-NOTALLOWED`?",
            ),
            (Draft { equipment: Some("gnb1".into()), ..draft() }, "did you mean `gnb-1`?"),
            (Draft { equipment: None, ..draft() }, "altogether"),
            (Draft { until: NOW, ..draft() }, "over already"),
            (Draft { until: Nanos(u64::MAX), ..draft() }, "400 days"),
            (Draft { reason: "  x ".into(), ..draft() }, "a reason of 3"),
            (Draft { reason: "x".repeat(1_001), ..draft() }, "a reason of 3"),
        ] {
            let refused = check(wrong).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
        let anyone =
            Draft { equipment: None, peer: Some("198.51.100.9/24".parse().unwrap()), ..draft() };
        assert_eq!(check(anyone).unwrap().peer.unwrap().to_string(), "198.51.100.0/24");
    }

    #[test]
    fn it_silences_what_it_names_until_it_is_over_or_taken_back() {
        let mut held = Suppressions::default();
        let scope = draft().check(NOW, ["gnb-1"]).unwrap();
        held.restore(7, scope);
        let matching = |held: &Suppressions, equipment, at| {
            held.matching("EGR-NOTALLOWED", Some(equipment), None, at)
        };
        let later = NOW.plus(Nanos::from_secs(3_601));
        assert_eq!(matching(&held, "gnb-1", NOW), Some(7));
        assert_eq!(matching(&held, "gnb-2", NOW), None);
        assert_eq!(matching(&held, "gnb-1", later), None);
        assert!(held.revoke(7) && matching(&held, "gnb-1", NOW).is_none());
        held.restore(8, draft().check(NOW, ["gnb-1"]).unwrap());
        held.expire(later);
        assert!(!held.revoke(8), "it is over");
    }
}
