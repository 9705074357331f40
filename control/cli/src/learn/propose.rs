//! From talks to proposed rules: named together where all of a role or build do the same with
//! equipment, each by itself where it is suspicious, and never wider than what was seen.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use weir_analytics::bcn_periodic::BY_STANDARD;
use weir_engine::Nanos;
use weir_policy::{EquipmentId, Role, ServiceMatch};

use super::groups::{Chosen, Groups, Selector};
use super::suspicion::{Reason, reasons, rhythm};
use super::talks::{Far, Key, Talk, Talks};

/// Peers that are no equipment, and services between two equipment: the most frequent are listed.
const STRANGERS: usize = 32;
const SERVICES: usize = 16;
/// Rules that are proposed, and how many of them suspicious; a policy has at most 16,384.
const RULES: usize = 8_192;
const SUSPICIOUS: usize = 4_096;
/// Names that are told.
const NAMES: usize = 4;

/// What a rule rests on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) flows: u64,
    /// First and last packet.
    pub(crate) time: Option<(Nanos, Nanos)>,
    /// Bytes of the equipment that the rule is for, and of the other side.
    pub(crate) bytes: (u64, u64),
    /// The equipment.
    pub(crate) nodes: BTreeSet<EquipmentId>,
    pub(crate) names: BTreeSet<String>,
    /// Pairs of ends, and those among them that beat, with their shortest and longest period.
    pub(crate) pairs: u64,
    pub(crate) beating: u64,
    pub(crate) periods: Option<(Nanos, Nanos)>,
    pub(crate) is_guessed: bool,
}

impl Evidence {
    /// That of one talk, seen from the side of an equipment that may be the far one.
    fn of(key: &Key, talk: &Talk, is_turned: bool) -> Self {
        let period = rhythm(talk).map(|rhythm| rhythm.period);
        let (sent, received) = (talk.sent.1, talk.received.1);
        let far = match key.far {
            Far::Equipment(far) if is_turned => far,
            _ => key.equipment,
        };
        Self {
            flows: talk.flows,
            time: Some((talk.first, talk.last)),
            bytes: if is_turned { (received, sent) } else { (sent, received) },
            nodes: BTreeSet::from([far]),
            names: talk.names.clone(),
            pairs: 1,
            beating: u64::from(period.is_some()),
            periods: period.map(|period| (period, period)),
            is_guessed: talk.is_guessed,
        }
    }

    fn join(&mut self, other: &Self) {
        let wider = |a: Option<(Nanos, Nanos)>, b: Option<(Nanos, Nanos)>| match (a, b) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.flows = self.flows.saturating_add(other.flows);
        self.time = wider(self.time, other.time);
        self.bytes.0 = self.bytes.0.saturating_add(other.bytes.0);
        self.bytes.1 = self.bytes.1.saturating_add(other.bytes.1);
        self.nodes.extend(&other.nodes);
        let names = other.names.iter().take(NAMES.saturating_sub(self.names.len()));
        self.names.extend(names.cloned());
        self.pairs += other.pairs;
        self.beating += other.beating;
        self.periods = wider(self.periods, other.periods);
        self.is_guessed |= other.is_guessed;
    }
}

/// One proposed rule.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) from: Selector,
    pub(crate) to: Selector,
    pub(crate) protocol: u8,
    pub(crate) port: Option<u16>,
    /// As `services` writes it.
    pub(crate) service: String,
    /// Whether it declares a heartbeat.
    pub(crate) is_periodic: bool,
    pub(crate) evidence: Evidence,
    /// Why it deserves suspicion; empty if it does not.
    pub(crate) reasons: Vec<Reason>,
}

/// The candidate policy.
#[derive(Debug, Default)]
pub(crate) struct Candidate {
    /// Between equipment.
    pub(crate) equipment: Vec<Proposal>,
    /// With peers that are none.
    pub(crate) strangers: Vec<Proposal>,
    /// What deserves suspicion, the most first.
    pub(crate) suspicious: Vec<Proposal>,
    /// Peers of each equipment that are not listed, and their flows.
    pub(crate) unlisted: BTreeMap<EquipmentId, (u64, u64)>,
    /// Rules that are not written since there are too many, and their flows.
    pub(crate) unwritten: (u64, u64),
}

/// Proposes rules for all talks.
pub(crate) fn propose(talks: &Talks<'_>) -> Candidate {
    let mut candidate = Candidate::default();
    let groups = Groups::of(talks.inventory);
    let mut pairs: BTreeMap<Service, Pairs> = BTreeMap::new();
    let mut strangers: BTreeMap<Standing, Vec<(IpNet, Evidence)>> = BTreeMap::new();
    for (key, talk) in listed(talks, &mut candidate.unlisted) {
        let service = (key.protocol, key.port);
        let reasons = reasons(key, talk, talks);
        let evidence = Evidence::of(key, talk, false);
        match key.far {
            _ if !reasons.is_empty() => {
                let (from, to) = ends(key, &groups);
                let rule = rule((from, to), service, evidence, reasons);
                candidate.suspicious.extend(rule);
            }
            Far::Equipment(far) => {
                pairs.entry(service).or_default().push((key.equipment, far, key, talk));
            }
            Far::Stranger(address) => {
                let standing = (key.equipment, key.serves, service);
                strangers.entry(standing).or_default().push((address.into(), evidence));
            }
        }
    }
    for (service, pairs) in pairs {
        let pairs = turned(service, &pairs, talks);
        candidate.equipment.extend(generalised(service, &pairs, &groups));
    }
    for ((equipment, serves, service), seen) in strangers {
        let nets: Vec<IpNet> = seen.iter().map(|(net, _)| *net).collect();
        // What joins whole to a larger prefix is that prefix, no address more.
        for net in IpNet::aggregate(&nets) {
            let mut evidence = Evidence::default();
            let inside = seen.iter().filter(|(host, _)| net.contains(host));
            inside.for_each(|(_, more)| evidence.join(more));
            let (own, other) = (groups.single(equipment).selector, Selector::Cidr(net));
            let ends = if serves { (other, own) } else { (own, other) };
            candidate.strangers.extend(rule(ends, service, evidence, Vec::new()));
        }
    }
    candidate.arrange();
    candidate
}

type Service = (u8, Option<u16>);
type Standing = (EquipmentId, bool, Service);
type Listed<'t> = Vec<(&'t Key, &'t Talk)>;
type Pairs<'t> = Vec<(EquipmentId, EquipmentId, &'t Key, &'t Talk)>;

impl Candidate {
    /// All rules, in the order of the file.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Proposal> {
        self.equipment.iter().chain(&self.strangers).chain(&self.suspicious)
    }

    /// Puts the rules in order and gives up what is too much, the least frequent first.
    fn arrange(&mut self) {
        let mut bound = |rules: &mut Vec<Proposal>, most: usize| {
            if rules.len() > most {
                rules.sort_by(|a, b| {
                    b.evidence.flows.cmp(&a.evidence.flows).then(name(a).cmp(&name(b)))
                });
                for rule in rules.drain(most..) {
                    self.unwritten.0 += 1;
                    self.unwritten.1 += rule.evidence.flows;
                }
            }
        };
        bound(&mut self.suspicious, SUSPICIOUS);
        bound(&mut self.equipment, (RULES - SUSPICIOUS) / 2);
        bound(&mut self.strangers, (RULES - SUSPICIOUS) / 2);
        for rules in [&mut self.equipment, &mut self.strangers] {
            rules.sort_by(|a, b| name(a).cmp(&name(b)));
        }
        self.suspicious.sort_by(|a, b| {
            b.reasons.len().cmp(&a.reasons.len()).then_with(|| name(a).cmp(&name(b)))
        });
    }
}

fn name(rule: &Proposal) -> (&Selector, &Selector, u8, Option<u16>) {
    (&rule.from, &rule.to, rule.protocol, rule.port)
}

/// The talks that become rules: of an equipment's talks with strangers, and of each two equipment's
/// services, the most frequent. The others are counted.
fn listed<'t>(
    talks: &'t Talks<'_>,
    unlisted: &mut BTreeMap<EquipmentId, (u64, u64)>,
) -> Listed<'t> {
    let mut lists: BTreeMap<(EquipmentId, Option<Far>), Listed<'_>> = BTreeMap::new();
    for (key, talk) in &talks.talks {
        let with = Some(key.far).filter(|far| matches!(far, Far::Equipment(_)));
        lists.entry((key.equipment, with)).or_default().push((key, talk));
    }
    let mut listed = Vec::new();
    for ((equipment, with), mut list) in lists {
        list.sort_by_key(|(key, talk)| (u64::MAX - talk.flows, *key));
        let most = if with.is_some() { SERVICES } else { STRANGERS };
        for (_, talk) in list.iter().skip(most) {
            let (peers, flows) = unlisted.entry(equipment).or_default();
            (*peers, *flows) = (*peers + 1, *flows + talk.flows);
        }
        list.truncate(most);
        listed.append(&mut list);
    }
    listed.sort_by_key(|(key, _)| **key);
    listed
}

fn ends(key: &Key, groups: &Groups<'_>) -> (Selector, Selector) {
    let own = groups.single(key.equipment).selector;
    let far = match key.far {
        Far::Equipment(id) => groups.single(id).selector,
        Far::Stranger(address) => Selector::Cidr(address.into()),
    };
    if key.serves { (far, own) } else { (own, far) }
}

fn rule(
    (from, to): (Selector, Selector),
    (protocol, port): Service,
    evidence: Evidence,
    reasons: Vec<Reason>,
) -> Option<Proposal> {
    let service = ServiceMatch::narrowest(protocol, port)?;
    let by_standard = port.is_some_and(|port| BY_STANDARD.contains(&(protocol, port)));
    // A heartbeat is declared between equipment only, and where it is none by its own standard.
    let is_known = !matches!(from, Selector::Cidr(_)) && !matches!(to, Selector::Cidr(_));
    let is_periodic = evidence.beating > 0 && is_known && reasons.is_empty() && !by_standard;
    Some(Proposal { from, to, protocol, port, service, is_periodic, evidence, reasons })
}

/// Pairs of equipment with their evidence. Where either end may open, one rule is for both
/// directions: it names first who opens more often, by role, so that pairs alike are named alike.
fn turned(
    (protocol, port): Service,
    pairs: &Pairs<'_>,
    talks: &Talks<'_>,
) -> BTreeMap<(EquipmentId, EquipmentId), Evidence> {
    let mut turned: BTreeMap<(EquipmentId, EquipmentId), Evidence> = BTreeMap::new();
    let either_way = ServiceMatch::is_either_way(protocol, port);
    let role = |id: EquipmentId| -> Option<Role> {
        talks.inventory.entry(id).and_then(|entry| entry.roles.iter().next())
    };
    let mut opened: BTreeMap<(Option<Role>, Option<Role>), u64> = BTreeMap::new();
    for (from, to, _, talk) in pairs {
        *opened.entry((role(*from), role(*to))).or_default() += talk.flows;
    }
    let often = |from, to| opened.get(&(role(from), role(to))).copied().unwrap_or_default();
    for (from, to, key, talk) in pairs {
        let rank = |a, b| (u64::MAX - often(a, b), role(a), a);
        let turns = either_way && rank(*to, *from) < rank(*from, *to);
        let (from, to) = if turns { (*to, *from) } else { (*from, *to) };
        let evidence = turned.entry((from, to)).or_default();
        evidence.join(&Evidence::of(key, talk, turns));
        // Both directions are one pair.
        (evidence.pairs, evidence.beating) = (1, evidence.beating.min(1));
        if either_way && role(from) == role(to) {
            // Among equals each does it with each.
            turned.entry((to, from)).or_default();
        }
    }
    turned
}

/// Rules for pairs of equipment on one service. Those that turn to the same are named together, then
/// those that the same turn to: a rule by role or build holds for no pair that was not seen.
fn generalised(
    service: Service,
    pairs: &BTreeMap<(EquipmentId, EquipmentId), Evidence>,
    groups: &Groups<'_>,
) -> Vec<Proposal> {
    let mut by_to: BTreeMap<EquipmentId, BTreeSet<EquipmentId>> = BTreeMap::new();
    for (from, to) in pairs.keys() {
        by_to.entry(*to).or_default().insert(*from);
    }
    let mut by_from: BTreeMap<(Selector, Option<EquipmentId>), [BTreeSet<EquipmentId>; 2]> =
        BTreeMap::new();
    for (to, from) in by_to {
        for Chosen { selector, members } in groups.cover(&from, Some(to)) {
            let single = (members.len() == 1).then(|| members[0]);
            let [from, targets] = by_from.entry((selector, single)).or_default();
            from.extend(members);
            targets.insert(to);
        }
    }
    let mut rules = Vec::new();
    for ((selector, single), [from, targets]) in by_from {
        for to in groups.cover(&targets, single) {
            let mut evidence = Evidence::default();
            let seen = to.members.iter().flat_map(|to| from.iter().map(|from| (*from, *to)));
            seen.filter_map(|pair| pairs.get(&pair)).for_each(|more| evidence.join(more));
            // The mirror of a pair of equals has no flows of its own.
            if evidence.flows > 0 {
                let ends = (selector.clone(), to.selector);
                rules.extend(rule(ends, service, evidence, Vec::new()));
            }
        }
    }
    rules
}

#[cfg(test)]
#[path = "propose_tests.rs"]
mod tests;
