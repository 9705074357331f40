//! Whom a rule may name together: equipment of one role, or of one build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ipnet::IpNet;
use weir_policy::{EquipmentId, Inventory, Role};

use crate::text::quoted;

/// One end of a proposed rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Selector {
    Role(Role),
    Build { vendor: String, model: String, build: String },
    Id(String),
    Cidr(IpNet),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "{{ role = \"{role}\" }}"),
            Self::Build { vendor, model, build } => {
                let [vendor, model, build] = [vendor, model, build].map(|text| quoted(text));
                write!(f, "{{ vendor = {vendor}, model = {model}, build = {build} }}")
            }
            Self::Id(id) => write!(f, "{{ id = {} }}", quoted(id)),
            Self::Cidr(net) => write!(f, "{{ cidr = \"{net}\" }}"),
        }
    }
}

/// The groups of an inventory that have several members.
#[derive(Debug)]
pub(crate) struct Groups<'i> {
    inventory: &'i Inventory,
    groups: Vec<(Selector, Vec<EquipmentId>)>,
    of: BTreeMap<EquipmentId, Vec<usize>>,
}

/// Some equipment, and what selects it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Chosen {
    pub(crate) selector: Selector,
    pub(crate) members: Vec<EquipmentId>,
}

impl<'i> Groups<'i> {
    /// Roles come first: a rule by role lasts longer than a build does.
    pub(crate) fn of(inventory: &'i Inventory) -> Self {
        let mut members: BTreeMap<Selector, Vec<EquipmentId>> = BTreeMap::new();
        for (id, entry) in inventory.numbered() {
            for role in entry.roles.iter() {
                members.entry(Selector::Role(role)).or_default().push(id);
            }
            let texts = [&entry.vendor, &entry.model, &entry.build];
            if texts.iter().all(|text| !text.is_empty()) {
                let [vendor, model, build] = texts.map(Clone::clone);
                let build = Selector::Build { vendor, model, build };
                members.entry(build).or_default().push(id);
            }
        }
        let groups: Vec<_> = members.into_iter().filter(|(_, members)| members.len() > 1).collect();
        let mut of: BTreeMap<EquipmentId, Vec<usize>> = BTreeMap::new();
        for (number, (_, members)) in groups.iter().enumerate() {
            members.iter().for_each(|id| of.entry(*id).or_default().push(number));
        }
        Self { inventory, groups, of }
    }

    /// The fewest names for some equipment that select nothing else: a group is named only if all of
    /// its members are there, but for one that need not be, since nobody talks to itself.
    pub(crate) fn cover(
        &self,
        wanted: &BTreeSet<EquipmentId>,
        but: Option<EquipmentId>,
    ) -> Vec<Chosen> {
        let mut left = wanted.clone();
        let mut chosen = Vec::new();
        let candidates: BTreeSet<usize> =
            wanted.iter().filter_map(|id| self.of.get(id)).flatten().copied().collect();
        for (selector, members) in candidates.iter().map(|number| &self.groups[*number]) {
            if members.len() > wanted.len() + 1 || !members.iter().any(|id| left.contains(id)) {
                continue;
            }
            let members: Vec<_> = members.iter().copied().filter(|id| Some(*id) != but).collect();
            if members.len() > 1 && members.iter().all(|id| wanted.contains(id)) {
                members.iter().for_each(|id| {
                    left.remove(id);
                });
                chosen.push(Chosen { selector: selector.clone(), members });
            }
        }
        chosen.extend(left.into_iter().map(|id| self.single(id)));
        chosen
    }

    /// One equipment by its id.
    pub(crate) fn single(&self, id: EquipmentId) -> Chosen {
        let name = self.inventory.entry(id).map(|entry| entry.id.clone()).unwrap_or_default();
        Chosen { selector: Selector::Id(name), members: vec![id] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        let entry = |number: u32, build: &str| {
            format!(
                "[[equipment]]\nid = \"gnb-{number}\"\nvendor = \"A\"\nmodel = \"M\"\n\
                 build = \"{build}\"\nroles = [\"gnb\"]\naddresses = [\"10.0.0.{number}\"]\n"
            )
        };
        let text: String =
            [entry(1, "1.0"), entry(2, "1.0"), entry(3, "2.0"), entry(4, "2.0")].concat();
        weir_policy::inventory_from_str("inventory.toml", &text).unwrap().value
    }

    fn covered(wanted: &[u32], but: Option<u32>) -> Vec<String> {
        let inventory = inventory();
        let wanted = wanted.iter().map(|id| EquipmentId(*id)).collect();
        let chosen = Groups::of(&inventory).cover(&wanted, but.map(EquipmentId));
        chosen.iter().map(|it| it.selector.to_string()).collect()
    }

    #[test]
    fn a_group_is_named_when_all_of_it_is_there() {
        assert_eq!(covered(&[0, 1, 2, 3], None), ["{ role = \"gnb\" }"]);
        let build = "{ vendor = \"A\", model = \"M\", build = \"1.0\" }";
        assert_eq!(covered(&[0, 1, 2], None), [build, "{ id = \"gnb-3\" }"]);
        assert_eq!(covered(&[0, 2], None), ["{ id = \"gnb-1\" }", "{ id = \"gnb-3\" }"]);
        assert_eq!(covered(&[], None), [""; 0]);
    }

    #[test]
    fn nobody_must_talk_to_itself_to_be_in_a_group() {
        assert_eq!(covered(&[0, 1, 2], Some(3)), ["{ role = \"gnb\" }"]);
        assert_eq!(covered(&[0], Some(1)), ["{ id = \"gnb-1\" }"], "one is no group");
    }
}
