//! How two policies differ, in counts, for the event that a swap makes.

use std::collections::HashMap;
use std::hash::Hash;

use ipnet::IpNet;

use super::{AllowRule, End, EquipmentRule, PolicyMessage, Slice};
use crate::closed::RoleSet;
use crate::service::ServiceMatch;

/// The difference from one policy to the next. Equipment counts by what the message says of it
/// (roles, prefixes, MACs), so that a changed address is one removed and one added. A rule counts
/// by what it means: the same text over more equipment is another rule. What is said of sessions
/// counts by its entries: pools, data networks, slices, SMF sets. What is intercepted counts
/// nowhere.
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
    /// What only the policy after says of sessions.
    pub sessions_added: usize,
    /// What only the policy before said of sessions.
    pub sessions_removed: usize,
}

impl PolicyDiff {
    /// Compares valid messages; without one before, everything is added.
    pub fn between(before: Option<&PolicyMessage>, after: &PolicyMessage) -> Self {
        let mut meanings = Meanings::default();
        let mut equipment = Difference::default();
        let mut rules = Difference::default();
        let mut sessions = Difference::default();
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
            for set in &message.smf_sets {
                let mut members: Vec<_> =
                    set.iter().filter_map(|id| numbers.get(id.index())).copied().collect();
                members.sort_unstable();
                sessions.count(OfSessions::SmfSet(members), sign);
            }
            of_sessions(message).for_each(|entry| sessions.count(entry, sign));
            numbers.into_iter().for_each(|number| equipment.count(number, sign));
            for rule in &message.allow {
                rules.count(meaning(rule, &sets), sign);
            }
        }
        let (equipment_added, equipment_removed) = equipment.totals();
        let (rules_added, rules_removed) = rules.totals();
        let (sessions_added, sessions_removed) = sessions.totals();
        Self {
            before: before.map(|before| before.sha256),
            after: after.sha256,
            equipment_added,
            equipment_removed,
            rules_added,
            rules_removed,
            sessions_added,
            sessions_removed,
        }
    }
}

/// One thing that is said of sessions.
#[derive(Eq, Hash, PartialEq)]
enum OfSessions<'m> {
    Pool(&'m IpNet, Option<&'m str>),
    Dnn(&'m str),
    Slice(Slice),
    SmfSet(Vec<usize>),
    ImportGrace(u64),
    Payload(bool),
}

/// What a message says of sessions, but for SMF sets, whose numbers shift.
fn of_sessions(message: &PolicyMessage) -> impl Iterator<Item = OfSessions<'_>> {
    let everywhere = message.ue_pools.iter().map(|prefix| OfSessions::Pool(prefix, None));
    let instances = message.instance_pools.iter();
    let instances =
        instances.map(|pool| OfSessions::Pool(&pool.prefix, Some(&pool.network_instance)));
    let dnns = message.dnns.iter().flatten().map(|dnn| OfSessions::Dnn(dnn));
    let slices = message.slices.iter().flatten().map(|slice| OfSessions::Slice(*slice));
    let grace = OfSessions::ImportGrace(message.import_grace_seconds);
    let payload = OfSessions::Payload(message.subscriber_payload);
    everywhere.chain(instances).chain(dnns).chain(slices).chain([grace, payload])
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
