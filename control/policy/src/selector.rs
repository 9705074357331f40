//! Selectors of equipment, resolved to sets while the policy is read.
//!
//! The keys of a selector combine with "and". `location` selects whatever stands there or inside:
//! `site 17` selects what is at `site 17, rack 2`. The resolved sets are shared between all
//! selectors that name the same equipment.

use std::cell::Cell;
use std::collections::HashMap;

use ipnet::IpNet;
use toml::Spanned;

use crate::closed::Role;
use crate::diagnostic::Mistake;
use crate::inventory::{EquipmentId, Inventory};
use crate::limits::{MAX_MEMBERS, MAX_SETS};
use crate::message::End;
use crate::nearest::{nearest, quoted};
use crate::section::Section;
use crate::values::{Prefix, Text};

/// Looking for the nearest of a hundred thousand names is worth it for the first unknown names
/// only.
const SUGGESTIONS: u32 = 32;

const KEYS: &[&str] = &["role", "vendor", "id", "model", "build", "location", "cidr"];

/// The attributes that select by equality, besides `id`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Attribute {
    Role,
    Vendor,
    Model,
    Build,
    Location,
}

impl Attribute {
    const ALL: [Self; 5] = [Self::Role, Self::Vendor, Self::Model, Self::Build, Self::Location];

    const fn key(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Vendor => "vendor",
            Self::Model => "model",
            Self::Build => "build",
            Self::Location => "location",
        }
    }
}

/// Resolves selectors against one inventory and keeps the sets that come out.
pub(crate) struct Selectors<'i> {
    inventory: &'i Inventory,
    /// Who has an attribute, in rising order.
    holders: HashMap<(Attribute, &'i str), Vec<EquipmentId>>,
    sets: Vec<Vec<EquipmentId>>,
    numbers: HashMap<Vec<EquipmentId>, u32>,
    resolved: HashMap<Vec<(&'static str, String)>, u32>,
    members: usize,
    suggestions: Cell<u32>,
}

impl<'i> Selectors<'i> {
    pub(crate) fn over(inventory: &'i Inventory) -> Self {
        let mut holders: HashMap<_, Vec<EquipmentId>> = HashMap::new();
        for (number, entry) in inventory.numbered() {
            let mut holds = |attribute, value: &'i str| {
                if !value.is_empty() {
                    holders.entry((attribute, value)).or_default().push(number);
                }
            };
            holds(Attribute::Vendor, &entry.vendor);
            holds(Attribute::Model, &entry.model);
            holds(Attribute::Build, &entry.build);
            let commas = entry.location.match_indices(',').map(|(at, _)| &entry.location[..at]);
            commas.for_each(|outer| holds(Attribute::Location, outer.trim_end()));
            holds(Attribute::Location, &entry.location);
            entry.roles.iter().for_each(|role| holds(Attribute::Role, role.name()));
        }
        Self {
            inventory,
            holders,
            sets: Vec::new(),
            numbers: HashMap::new(),
            resolved: HashMap::new(),
            members: 0,
            suggestions: Cell::new(SUGGESTIONS),
        }
    }

    /// The sets that were resolved, by number.
    pub(crate) fn into_sets(self) -> Vec<Vec<EquipmentId>> {
        self.sets
    }

    /// Resolves the selector under `key` of `parent`. Nothing comes out where it was wrong, which
    /// is reported; what is right but selects nothing is warned of.
    pub(crate) fn end(
        &mut self,
        parent: &Section<'_>,
        key: &str,
        name: &'static str,
    ) -> Option<End> {
        parent.required(key, parent.place(key))?;
        let section = parent.table(key, name, KEYS)?;
        if section.is_empty() {
            let message = format!("`{key}` selects everything");
            let remedy = format!("give at least one of {}", KEYS.join(", "));
            parent.findings.error(section.span(), Mistake::new(message, remedy));
            return None;
        }
        let cidr: Option<IpNet> =
            section.parsed::<Prefix>("cidr").map(|prefix| prefix.into_inner().0);
        let mut wanted: Vec<(Attribute, Spanned<String>)> = Vec::new();
        for attribute in Attribute::ALL {
            let value = match attribute {
                Attribute::Role => section
                    .parsed::<Role>("role")
                    .map(|role| Spanned::new(role.span(), role.get_ref().to_string())),
                _ => section
                    .parsed::<Text>(attribute.key())
                    .map(|text| Spanned::new(text.span(), text.into_inner().0)),
            };
            wanted.extend(value.map(|value| (attribute, value)));
        }
        let id = section.parsed::<Text>("id");
        let id = match id {
            Some(id) => Some((self.named(&section, &id)?, id.into_inner().0)),
            None => None,
        };
        if wanted.is_empty() && id.is_none() {
            return cidr.map(|cidr| End { set: None, cidr: Some(cidr) });
        }
        let set = self.set(&section, wanted, id)?;
        Some(End { set: Some(set), cidr })
    }

    /// The number of the set of equipment that the selector under `key` names: a `cidr` selects
    /// what has an address in it.
    pub(crate) fn equipment(
        &mut self,
        parent: &Section<'_>,
        key: &str,
        name: &'static str,
    ) -> Option<u32> {
        let End { set, cidr } = self.end(parent, key, name)?;
        let Some(cidr) = cidr else { return set };
        let inventory = self.inventory;
        let chosen = set.map(|set| self.members(set));
        let inside: Vec<_> = inventory
            .numbered()
            .filter(|(number, _)| chosen.is_none_or(|set| set.binary_search(number).is_ok()))
            .filter(|(_, entry)| entry.addresses.iter().any(|net| cidr.contains(net)))
            .map(|(number, _)| number)
            .collect();
        if inside.is_empty() {
            let message = match set {
                Some(_) => "no equipment has all of these attributes".into(),
                None => format!("no equipment has an address in {cidr}"),
            };
            let span = parent.place(key).unwrap_or(parent.span());
            let remedy = "it selects nothing until some has";
            parent.findings.warning(span, Mistake::new(message, remedy));
        }
        self.number_of(parent, inside)
    }

    /// The members of a set that was resolved.
    pub(crate) fn members(&self, set: u32) -> &[EquipmentId] {
        self.sets.get(set as usize).map_or(&[], Vec::as_slice)
    }

    /// The equipment with this id; an unknown one is reported with the nearest.
    pub(crate) fn named(&self, section: &Section<'_>, id: &Spanned<Text>) -> Option<EquipmentId> {
        let text = &id.get_ref().0;
        let number = self.inventory.find(text);
        if number.is_none() {
            let known = self.inventory.equipment().iter().map(|entry| entry.id.as_str());
            let remedy = self.suggest(text, known, "add it to the inventory first");
            let message = format!("no equipment has the id {}", quoted(text));
            section.findings.error(id.span(), Mistake::new(message, remedy));
        }
        number
    }

    fn suggest<'k>(
        &self,
        wanted: &str,
        known: impl Iterator<Item = &'k str>,
        otherwise: &str,
    ) -> String {
        let left = self.suggestions.get();
        self.suggestions.set(left.saturating_sub(1));
        match (left > 0).then(|| nearest(wanted, known)).flatten() {
            Some(near) => format!("did you mean `{near}`?"),
            None => otherwise.to_owned(),
        }
    }

    /// The number of the set of equipment that has the id and all the attributes.
    fn set(
        &mut self,
        section: &Section<'_>,
        wanted: Vec<(Attribute, Spanned<String>)>,
        id: Option<(EquipmentId, String)>,
    ) -> Option<u32> {
        let mut key: Vec<_> =
            wanted.iter().map(|(a, value)| (a.key(), value.get_ref().clone())).collect();
        key.extend(id.iter().map(|(_, id)| ("id", id.clone())));
        if let Some(number) = self.resolved.get(&key) {
            return Some(*number);
        }
        let single = id.map(|(number, _)| [number]);
        let mut lists: Vec<&[EquipmentId]> = single.iter().map(|one| one.as_slice()).collect();
        let mut unknown = false;
        for (attribute, value) in &wanted {
            let holders = self.holders.get(&(*attribute, value.get_ref().as_str()));
            lists.push(holders.map_or(&[], Vec::as_slice));
            if holders.is_none() {
                unknown = true;
                let text = value.get_ref();
                let message = format!("no equipment has the {} {}", attribute.key(), quoted(text));
                let known = self.holders.keys().filter(|(a, _)| a == attribute).map(|(_, v)| *v);
                let remedy = self.suggest(text, known, "it selects nothing until some has");
                section.findings.warning(value.span(), Mistake::new(message, remedy));
            }
        }
        lists.sort_by_key(|list| list.len());
        let (fewest, others) = lists.split_first()?;
        let in_all =
            |member: &EquipmentId| others.iter().all(|list| list.binary_search(member).is_ok());
        let set: Vec<_> = fewest.iter().copied().filter(in_all).collect();
        let selects = !set.is_empty();
        if !selects && !unknown {
            let message = "no equipment has all of these attributes";
            let remedy = "check them against the inventory: it selects nothing until some has";
            section.findings.warning(section.span(), Mistake::new(message, remedy));
        }
        let number = self.number_of(section, set)?;
        // A selector of nothing is resolved again wherever it stands, since each place is warned
        // of.
        if selects {
            self.resolved.insert(key, number);
        }
        Some(number)
    }

    fn number_of(&mut self, section: &Section<'_>, set: Vec<EquipmentId>) -> Option<u32> {
        if let Some(number) = self.numbers.get(&set) {
            return Some(*number);
        }
        if self.sets.len() == MAX_SETS || self.members + set.len() > MAX_MEMBERS {
            let message = "the selectors name too many different sets of equipment";
            let remedy =
                "select by role, vendor or network, and use the same selector in many rules";
            section.findings.error(section.span(), Mistake::new(message, remedy));
            return None;
        }
        let number = self.sets.len() as u32;
        self.members += set.len();
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        Some(number)
    }
}
