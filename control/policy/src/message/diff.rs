//! How two policies differ, in counts, for the event that a swap makes.

use std::collections::HashMap;
use std::hash::Hash;

use ipnet::IpNet;

use super::{AllowRule, End, EquipmentRule, PolicyMessage};
use crate::closed::RoleSet;
use crate::service::ServiceMatch;

/// The difference from one policy to the next. Equipment counts by what the message says of it
/// (roles, prefixes, MACs), so that a changed address is one removed and one added. A rule counts
/// by what it means: the same text over more equipment is another rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PolicyDiff {
    /// Hash of the policy before; `None` if there was none.
    pub before: Option<[u8; 32]>,
    /// Hash of the policy after.
    pub after: [u8; 32],
    /// Equipment that only the policy after has.
    pub equipment_added: usize,
    /// Equipment that only the policy before has.
    pub equipment_removed: usize,
    /// Rules that only the policy after has.
    pub rules_added: usize,
    /// Rules that only the policy before has.
    pub rules_removed: usize,
}

impl PolicyDiff {
    /// Compares valid messages; without one before, everything is added.
    pub fn between(before: Option<&PolicyMessage>, after: &PolicyMessage) -> Self {
        let mut meanings = Meanings::default();
        let mut equipment = Difference::default();
        let mut rules = Difference::default();
        for (message, sign) in before.map(|before| (before, -1)).into_iter().chain([(after, 1)]) {
            let Meanings { equipment: known, sets: known_sets } = &mut meanings;
            let numbers: Vec<usize> = message
                .equipment
                .iter()
                .map(|EquipmentRule { roles, prefixes, macs, .. }| {
                    intern(known, (*roles, prefixes.as_slice(), macs.as_slice()))
                })
                .collect();
            let sets: Vec<usize> = message
                .sets
                .iter()
                .map(|set| {
                    let mut members: Vec<_> = set
                        .iter()
                        .filter_map(|member| numbers.get(member.index()))
                        .copied()
                        .collect();
                    members.sort_unstable();
                    intern(known_sets, members)
                })
                .collect();
            numbers.into_iter().for_each(|number| equipment.count(number, sign));
            for rule in &message.allow {
                rules.count(meaning(rule, &sets), sign);
            }
        }
        let (equipment_added, equipment_removed) = equipment.totals();
        let (rules_added, rules_removed) = rules.totals();
        Self {
            before: before.map(|before| before.sha256),
            after: after.sha256,
            equipment_added,
            equipment_removed,
            rules_added,
            rules_removed,
        }
    }
}

/// Numbers that are the same in both messages for equipment and sets of the same content: the
/// messages' own numbers shift when an entry is inserted.
#[derive(Default)]
struct Meanings<'m> {
    equipment: HashMap<EquipmentMeaning<'m>, usize>,
    sets: HashMap<Vec<usize>, usize>,
}

fn intern<K: Eq + Hash>(known: &mut HashMap<K, usize>, key: K) -> usize {
    let next = known.len();
    *known.entry(key).or_insert(next)
}

type EquipmentMeaning<'m> = (RoleSet, &'m [IpNet], &'m [[u8; 6]]);
type EndMeaning = (Option<usize>, Option<IpNet>);

/// What a rule says, in numbers that hold across both messages.
fn meaning<'m>(
    rule: &'m AllowRule,
    sets: &[usize],
) -> (EndMeaning, EndMeaning, &'m [ServiceMatch], Option<u64>, bool) {
    let end = |end: End| {
        let set = end.set.and_then(|set| sets.get(set as usize).copied());
        (set, end.cidr)
    };
    (end(rule.from), end(rule.to), &rule.services, rule.not_after, rule.periodic)
}

/// How often more a thing occurs after than before.
struct Difference<K>(HashMap<K, isize>);

impl<K> Default for Difference<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Difference<K> {
    fn count(&mut self, key: K, sign: isize) {
        *self.0.entry(key).or_insert(0) += sign;
    }

    /// How many were added, and how many removed.
    fn totals(&self) -> (usize, usize) {
        self.0.values().fold((0, 0), |(added, removed), count| {
            let size = count.unsigned_abs();
            if *count > 0 { (added + size, removed) } else { (added, removed + size) }
        })
    }
}
