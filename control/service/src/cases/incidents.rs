//! Incidents: alerts that one cause explains. An implant shows as a beacon, an upload and a tunnel
//! of names, to several peers and for weeks; who ships it in every unit shows it at many nodes that talk
//! to one place. So an alert belongs with the others of its equipment, and with those of its peer
//! whatever the equipment, as long as no week passes without any.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::Severity;

use super::RESTRICTED_FROM;

/// After so long without an alert the next one is another incident's.
const GAP: Nanos = Nanos::from_secs(7 * 86_400);
/// Incidents that are held; beyond them those that were silent longest are not joined any more.
const HELD: usize = 1 << 14;
/// Equipment and peers by which one incident is joined: a scan of everything must not become the
/// incident that everything else belongs to.
const KEYS: usize = 256;

/// What an alert is about, as far as it tells what it belongs with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    /// The suspect.
    pub equipment: Option<String>,
    /// The network of its peer, unless that is equipment too.
    pub peer: Option<String>,
    /// The detection's id.
    pub detection: String,
    /// Whether a named role alone may know of it: it is never in one incident with what all may see.
    pub restricted: bool,
}

/// By what an incident is joined.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Key {
    /// Equipment, open or restricted.
    Equipment(String, bool),
    /// The network of a peer.
    Peer(String, bool),
}

/// An incident.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Incident {
    /// Its first alert's first packet.
    pub first: Nanos,
    /// Its last alert's last packet.
    pub last: Nanos,
    /// The gravest of its alerts.
    pub severity: Severity,
    /// Whether a named role alone may see it.
    pub restricted: bool,
    /// By what it is joined.
    pub keys: BTreeSet<Key>,
    /// What found it: the detections' ids.
    pub detections: BTreeSet<String>,
    /// The incident that it turned out to be part of.
    pub merged_into: Option<u64>,
}

/// Those that may still be joined.
#[derive(Debug, Default)]
pub struct Incidents {
    held: BTreeMap<u64, Incident>,
    by_key: HashMap<Key, u64>,
    /// The last number of open and of restricted ones.
    last: [u64; 2],
    changed: BTreeSet<u64>,
}

impl Incidents {
    /// Takes over a stored one, in the order of their numbers.
    pub fn restore(&mut self, number: u64, incident: Incident) {
        self.count_on(number);
        if incident.merged_into.is_none() {
            for key in &incident.keys {
                self.by_key.insert(key.clone(), number);
            }
            self.held.insert(number, incident);
        }
    }

    /// Numbers go on behind this one.
    pub fn count_on(&mut self, number: u64) {
        let restricted = number > RESTRICTED_FROM;
        let count = if restricted { number - RESTRICTED_FROM } else { number };
        let last = &mut self.last[usize::from(restricted)];
        *last = count.max(*last);
    }

    /// The incident that an alert belongs to, with it: the one of its equipment, else of its peer,
    /// else a new one. If there are two they turn out to be one. What is only noted joins, and
    /// begins none.
    pub fn join(
        &mut self,
        keys: &Keys,
        (first, last): (Nanos, Nanos),
        severity: Severity,
    ) -> Option<u64> {
        let equipment = keys.equipment.clone().map(|id| Key::Equipment(id, keys.restricted));
        let peer = keys.peer.clone().map(|network| Key::Peer(network, keys.restricted));
        if severity == Severity::Info {
            let known = equipment.and_then(|key| self.of(&key, first, last))?;
            self.extend(known, (first, last), severity, [], [&keys.detection]);
            return Some(known);
        }
        let known = [&equipment, &peer].map(|key| self.of(key.as_ref()?, first, last));
        let number = match known {
            [Some(one), Some(other)] if one != other => self.merge(one.min(other), one.max(other)),
            [Some(number), _] | [None, Some(number)] => number,
            [None, None] => self.begin(first, severity, keys.restricted),
        };
        let known_by = [equipment, peer].into_iter().flatten();
        self.extend(number, (first, last), severity, known_by, [&keys.detection]);
        Some(number)
    }

    /// Number and state of the incident that is joined by a key, unless it was silent for too long.
    fn of(&self, key: &Key, first: Nanos, last: Nanos) -> Option<u64> {
        let number = *self.by_key.get(key)?;
        let known = self.held.get(&number)?;
        let is_near = first.since(known.last) <= GAP && known.first.since(last) <= GAP;
        is_near.then_some(number)
    }

    fn begin(&mut self, first: Nanos, severity: Severity, restricted: bool) -> u64 {
        if self.held.len() >= HELD {
            self.let_go();
        }
        let last = &mut self.last[usize::from(restricted)];
        *last += 1;
        let number = if restricted { RESTRICTED_FROM + *last } else { *last };
        let incident = Incident {
            first,
            last: first,
            severity,
            restricted,
            keys: BTreeSet::new(),
            detections: BTreeSet::new(),
            merged_into: None,
        };
        self.held.insert(number, incident);
        number
    }

    fn extend<'d>(
        &mut self,
        number: u64,
        (first, last): (Nanos, Nanos),
        severity: Severity,
        keys: impl IntoIterator<Item = Key>,
        detections: impl IntoIterator<Item = &'d String>,
    ) {
        let Some(incident) = self.held.get_mut(&number) else { return };
        incident.first = incident.first.min(first);
        incident.last = incident.last.max(last);
        incident.severity = incident.severity.max(severity);
        for detection in detections {
            if !incident.detections.contains(detection) {
                incident.detections.insert(detection.clone());
            }
        }
        for key in keys {
            if incident.keys.len() < KEYS || incident.keys.contains(&key) {
                self.by_key.insert(key.clone(), number);
                incident.keys.insert(key);
            }
        }
        self.changed.insert(number);
    }

    /// Two incidents are one: the older takes the younger in.
    fn merge(&mut self, older: u64, younger: u64) -> u64 {
        let Some(part) = self.held.get_mut(&younger) else { return older };
        part.merged_into = Some(older);
        let part = part.clone();
        self.changed.insert(younger);
        for key in &part.keys {
            self.by_key.remove(key);
        }
        let times = (part.first, part.last);
        self.extend(older, times, part.severity, part.keys, &part.detections);
        older
    }

    /// Lets the incidents go that were silent longest, an eighth of all.
    fn let_go(&mut self) {
        let mut order: Vec<(Nanos, u64)> =
            self.held.iter().map(|(number, known)| (known.last, *number)).collect();
        order.sort_unstable();
        // What changed is stored first.
        let silent = order.into_iter().map(|(_, number)| number).take(HELD / 8);
        let gone: BTreeSet<u64> = silent.filter(|number| !self.changed.contains(number)).collect();
        self.held.retain(|number, _| !gone.contains(number));
        self.by_key.retain(|_, number| !gone.contains(number));
    }

    /// What changed since it was stored.
    pub fn changed(&self) -> impl Iterator<Item = (u64, &Incident)> {
        self.changed.iter().filter_map(|number| Some((*number, self.held.get(number)?)))
    }

    /// Those that turned out to be part of another since it was stored, each with the one that it is part of
    /// in the end: what took it in may have been taken in itself.
    pub fn taken_in(&self) -> BTreeMap<u64, u64> {
        let mut wholes = BTreeMap::new();
        // The older one, which has the smaller number, comes first.
        for (number, incident) in self.changed() {
            if let Some(older) = incident.merged_into {
                wholes.insert(number, wholes.get(&older).copied().unwrap_or(older));
            }
        }
        wholes
    }

    /// Whether anything changed.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What changed is stored.
    pub fn stored(&mut self) {
        for number in std::mem::take(&mut self.changed) {
            if self.held.get(&number).is_some_and(|known| known.merged_into.is_some()) {
                self.held.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn keys(equipment: &str, peer: &str) -> Keys {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let detection = "EGR-NOTALLOWED".into();
        Keys { equipment: text(equipment), peer: text(peer), detection, restricted: false }
    }

    fn join(incidents: &mut Incidents, equipment: &str, peer: &str, day: u64) -> Option<u64> {
        let at = Nanos::from_secs(day * DAY);
        incidents.join(&keys(equipment, peer), (at, at), Severity::High)
    }

    #[test]
    fn one_implant_with_many_symptoms_is_one_incident() {
        let mut incidents = Incidents::default();
        assert_eq!(join(&mut incidents, "gnb-1", "198.51.100.0/24", 1), Some(1));
        assert_eq!(join(&mut incidents, "gnb-1", "203.0.113.0/24", 3), Some(1));
        assert_eq!(join(&mut incidents, "gnb-1", "", 9), Some(1));
        assert_eq!(join(&mut incidents, "gnb-2", "192.0.2.0/24", 9), Some(2));
        // After a week of silence it is another one.
        assert_eq!(join(&mut incidents, "gnb-1", "203.0.113.0/24", 17), Some(3));
    }

    #[test]
    fn one_peer_of_many_units_is_one_incident_and_two_that_meet_become_one() {
        let mut incidents = Incidents::default();
        join(&mut incidents, "gnb-1", "198.51.100.0/24", 1);
        assert_eq!(join(&mut incidents, "gnb-2", "198.51.100.0/24", 1), Some(1));
        assert_eq!(join(&mut incidents, "gnb-3", "203.0.113.0/24", 1), Some(2));
        incidents.stored();
        assert_eq!(join(&mut incidents, "gnb-3", "198.51.100.0/24", 2), Some(1));
        let changed: Vec<(u64, Option<u64>)> =
            incidents.changed().map(|(number, known)| (number, known.merged_into)).collect();
        assert_eq!(changed, [(1, None), (2, Some(1))]);
        incidents.stored();
        assert_eq!(join(&mut incidents, "gnb-9", "203.0.113.0/24", 2), Some(1));
    }

    #[test]
    fn what_was_taken_in_by_a_part_belongs_to_the_whole() {
        let mut incidents = Incidents::default();
        for number in 1..=4 {
            join(&mut incidents, &format!("gnb-{number}"), &format!("203.0.{number}.0/24"), 1);
        }
        for (equipment, peer) in [("gnb-4", "203.0.3.0/24"), ("gnb-3", "203.0.2.0/24")] {
            join(&mut incidents, equipment, peer, 1);
        }
        assert_eq!(incidents.taken_in(), BTreeMap::from([(3, 2), (4, 2)]));
        assert_eq!(join(&mut incidents, "gnb-2", "203.0.1.0/24", 1), Some(1));
        assert_eq!(incidents.taken_in(), BTreeMap::from([(2, 1), (3, 1), (4, 1)]));
        incidents.stored();
        assert_eq!(incidents.taken_in(), BTreeMap::new());
    }

    #[test]
    fn what_is_only_noted_begins_none_and_restricted_alerts_stay_apart() {
        let mut incidents = Incidents::default();
        let at = (Nanos(1), Nanos(1));
        let open = keys("upf-1", "198.51.100.0/24");
        assert_eq!(incidents.join(&open, at, Severity::Info), None);
        assert_eq!(incidents.join(&open, at, Severity::Medium), Some(1));
        assert_eq!(incidents.join(&open, at, Severity::Info), Some(1));
        let restricted = Keys { restricted: true, ..open };
        assert_eq!(incidents.join(&restricted, at, Severity::High), Some(RESTRICTED_FROM + 1));
        // Whoever sees open ones alone sees no gap.
        let other = (keys("gnb-1", ""), keys("gnb-2", ""));
        assert_eq!(incidents.join(&other.0, at, Severity::High), Some(2));
        assert_eq!(incidents.join(&other.1, at, Severity::High), Some(3));
    }

    #[test]
    fn numbers_and_state_are_those_before_a_restart() {
        let mut incidents = Incidents::default();
        join(&mut incidents, "gnb-1", "198.51.100.0/24", 1);
        join(&mut incidents, "gnb-2", "", 1);
        let stored: Vec<(u64, Incident)> =
            incidents.changed().map(|(number, known)| (number, known.clone())).collect();
        let mut after = Incidents::default();
        stored.into_iter().for_each(|(number, known)| after.restore(number, known));
        for (equipment, number) in [("gnb-2", 2), ("gnb-1", 1), ("gnb-5", 3)] {
            assert_eq!(join(&mut after, equipment, "", 2), Some(number));
        }
    }

    #[test]
    fn neither_keys_nor_incidents_are_without_bound() {
        let mut incidents = Incidents::default();
        for peer in 0..1_000 {
            assert_eq!(join(&mut incidents, "gnb-1", &format!("net-{peer}"), 1), Some(1));
        }
        assert_eq!(incidents.held[&1].keys.len(), KEYS);
        assert_eq!(join(&mut incidents, "gnb-2", "net-999", 1), Some(2), "its key is not held");
        for number in 0..HELD as u64 + 10 {
            join(&mut incidents, &format!("box-{number}"), "", 100 + number % 7);
            incidents.stored();
        }
        assert!(incidents.held.len() <= HELD && incidents.by_key.len() <= HELD + KEYS);
    }
}
