//! `inventory.toml`: what is installed, where, and from whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::closed::{Role, RoleSet};
use crate::diagnostic::{Checked, Diagnostic, Mistake};
use crate::document::{self, Findings};
use crate::limits::MAX_EQUIPMENT;
use crate::nearest::quoted;
use crate::section::Section;
use crate::values::{Mac, Prefix, Text};

/// The number of an inventory entry: its place in the file, from 0. Numbers hold for one version of
/// the policy only; what is stored beyond it keeps the entry's `id`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct EquipmentId(pub u32);

impl EquipmentId {
    /// The number as an index into tables of equipment.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One `[[equipment]]`. Serialises to the `equipment` object of events, which leaves out roles and
/// addresses; texts that the file does not give are empty.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Equipment {
    /// Its name in policy and events; unique.
    pub id: String,
    /// Who made it.
    pub vendor: String,
    /// The vendor's name for it.
    pub model: String,
    /// Software build.
    pub build: String,
    /// Serial number.
    pub serial: String,
    /// Where it stands, from the large to the small: `site 17, rack 2`.
    pub location: String,
    /// What it is for; not empty.
    #[serde(skip)]
    pub roles: RoleSet,
    /// Its prefixes, without host bits, in file order.
    #[serde(skip)]
    pub addresses: Vec<IpNet>,
    /// Its MAC addresses; empty: not judged.
    #[serde(skip)]
    pub macs: Vec<[u8; 6]>,
    /// Its parts.
    pub components: Vec<Component>,
}

/// A part of a piece of equipment, perhaps of another supplier.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Component {
    /// What it is.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its serial number.
    pub serial: String,
    /// Who supplied it.
    pub supplier: String,
}

/// All equipment, by number and by id, and in cohorts of the same vendor, model and build.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    equipment: Vec<Equipment>,
    by_id: HashMap<String, EquipmentId>,
    cohort_of: Vec<u32>,
    installed: Vec<u32>,
}

impl Inventory {
    /// The entries in the order of their numbers.
    pub fn equipment(&self) -> &[Equipment] {
        &self.equipment
    }

    /// The entry with this number.
    pub fn entry(&self, number: EquipmentId) -> Option<&Equipment> {
        self.equipment.get(number.index())
    }

    /// The number of the entry with this id.
    pub fn find(&self, id: &str) -> Option<EquipmentId> {
        self.by_id.get(id).copied()
    }

    /// The entry with the longest prefix that holds an address. All entries are gone through.
    pub fn holder(&self, address: IpAddr) -> Option<&Equipment> {
        let entries = self.equipment.iter();
        let prefixes =
            entries.flat_map(|entry| entry.addresses.iter().map(move |net| (net, entry)));
        let holding = prefixes.filter(|(net, _)| net.contains(&address));
        holding.max_by_key(|(net, _)| net.prefix_len()).map(|(_, entry)| entry)
    }

    /// The entries with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (EquipmentId, &Equipment)> {
        (0..).map(EquipmentId).zip(&self.equipment)
    }

    /// The number of the entry's cohort: the entries of the same vendor, model and build. An entry
    /// whose build is not given is alone in its cohort, since nothing says that two unknown builds
    /// are the same.
    ///
    /// # Panics
    /// If `number` is not of this inventory.
    pub fn cohort(&self, number: EquipmentId) -> u32 {
        self.cohort_of[number.index()]
    }

    /// How many entries of the same vendor, model and build are installed, this one included.
    ///
    /// # Panics
    /// If `number` is not of this inventory.
    pub fn same_build(&self, number: EquipmentId) -> u32 {
        self.installed[self.cohort(number) as usize]
    }

    /// Builds the look-ups over entries whose ids are distinct.
    fn over(equipment: Vec<Equipment>) -> Self {
        let mut inventory = Self::default();
        let mut cohorts: HashMap<(&str, &str, &str), u32> = HashMap::new();
        for (number, entry) in (0..).map(EquipmentId).zip(&equipment) {
            inventory.by_id.insert(entry.id.clone(), number);
            let next = inventory.installed.len() as u32;
            let key = (entry.vendor.as_str(), entry.model.as_str(), entry.build.as_str());
            let cohort =
                if entry.build.is_empty() { next } else { *cohorts.entry(key).or_insert(next) };
            if cohort == next {
                inventory.installed.push(0);
            }
            inventory.installed[cohort as usize] += 1;
            inventory.cohort_of.push(cohort);
        }
        inventory.equipment = equipment;
        inventory
    }
}

/// Reads and checks the `inventory.toml` at `path`.
///
/// # Errors
/// Every mistake of the file, in file order, and its warnings among them.
pub fn load_inventory(path: &Path) -> Result<Checked<Inventory>, Vec<Diagnostic>> {
    inventory_from_str(&path.display().to_string(), &document::read(path)?)
}

/// Checks the text of an `inventory.toml`; `name` stands in diagnostics.
///
/// # Errors
/// As [`load_inventory`].
pub fn inventory_from_str(name: &str, text: &str) -> Result<Checked<Inventory>, Vec<Diagnostic>> {
    inventory_of(&[(name, text)])
}

/// Checks several texts as one inventory, each given with the name by which diagnostics know it: the
/// entries of a later one stand behind those of the earlier ones, and may not hold what these hold.
///
/// # Errors
/// Every mistake of the first text that has any.
pub fn inventory_of(texts: &[(&str, &str)]) -> Result<Checked<Inventory>, Vec<Diagnostic>> {
    let (mut taken, mut equipment, mut warnings) = (Taken::default(), Vec::new(), Vec::new());
    for (name, text) in texts {
        taken.name = (*name).into();
        let checked = entries(name, text, &mut taken, MAX_EQUIPMENT - equipment.len())?;
        equipment.extend(checked.value);
        warnings.extend(checked.warnings);
    }
    Ok(Checked { value: Inventory::over(equipment), warnings })
}

/// The entries of one text, at most `most`.
fn entries(
    name: &str,
    text: &str,
    taken: &mut Taken,
    most: usize,
) -> Result<Checked<Vec<Equipment>>, Vec<Diagnostic>> {
    const KEYS: &[&str] = &[
        "id",
        "vendor",
        "model",
        "build",
        "serial",
        "location",
        "roles",
        "addresses",
        "macs",
        "components",
    ];
    Findings::check(name, text, |findings, root| {
        let root = Section::open(findings, "inventory.toml", root, &["equipment"])?;
        let sections = root.tables("equipment", "[[equipment]]", KEYS, most);
        Some(sections.iter().filter_map(|section| entry(section, taken)).collect())
    })
}

/// What earlier entries hold already, and where.
#[derive(Default)]
struct Taken {
    /// The text that is read now.
    name: Rc<str>,
    ids: HashMap<String, Place>,
    addresses: HashMap<IpNet, Place>,
}

/// A line of a text.
#[derive(Clone)]
struct Place {
    name: Rc<str>,
    line: usize,
}

impl Taken {
    fn here(&self, line: usize) -> Place {
        Place { name: Rc::clone(&self.name), line }
    }

    /// A place as whoever reads the text that is read now has to know it.
    fn tell(&self, place: &Place) -> String {
        match place.name == self.name {
            true => format!("line {}", place.line),
            false => format!("line {} of {}", place.line, place.name),
        }
    }
}

fn entry(section: &Section<'_>, taken: &mut Taken) -> Option<Equipment> {
    let findings = section.findings;
    let id = section.required("id", section.parsed::<Text>("id"));
    if let Some(id) = &id {
        let text = &id.get_ref().0;
        let here = taken.here(findings.line(id.span().start));
        if let Some(before) = taken.ids.insert(text.clone(), here) {
            let place = taken.tell(&before);
            let message = format!("the equipment {} is already on {place}", quoted(text));
            findings.error(id.span(), Mistake::new(message, "give each entry an id of its own"));
        }
    }
    let roles = section.required_list::<Role>("roles");
    let mut addresses = Vec::new();
    for prefix in section.list::<Prefix>("addresses") {
        let net = prefix.get_ref().0;
        let here = taken.here(findings.line(prefix.span().start));
        if let Some(before) = taken.addresses.insert(net, here) {
            let message = format!("{net} is already on {}", taken.tell(&before));
            let remedy = "leave it with the entry that owns it; a longer prefix inside may differ";
            findings.error(prefix.span(), Mistake::new(message, remedy));
        }
        addresses.push(net);
    }
    let macs = section.list::<Mac>("macs").into_iter().map(|mac| mac.into_inner().0).collect();
    if section.place("addresses").is_none() && section.place("macs").is_none() {
        let message = "[[equipment]] has neither `addresses` nor `macs`";
        let remedy = "add `addresses = […]`: without them none of its frames is known";
        findings.error(section.span(), Mistake::new(message, remedy));
    }
    let missing: Vec<_> = ["vendor", "model", "build"]
        .into_iter()
        .filter(|key| section.place(key).is_none())
        .collect();
    if !missing.is_empty() {
        let message = format!("[[equipment]] has no {}", missing.join(", no "));
        let remedy = "add it: alerts count what is installed of the same vendor, model and build";
        findings.warning(section.span(), Mistake::new(message, remedy));
    }
    let text = |key| section.parsed::<Text>(key).map_or_else(String::new, |t| t.into_inner().0);
    Some(Equipment {
        vendor: text("vendor"),
        model: text("model"),
        build: text("build"),
        serial: text("serial"),
        location: text("location"),
        roles: roles.into_iter().map(Spanned::into_inner).collect(),
        addresses,
        macs,
        components: components(section),
        id: id?.into_inner().0,
    })
}

fn components(section: &Section<'_>) -> Vec<Component> {
    const KEYS: &[&str] = &["name", "version", "serial", "supplier"];
    const MOST: usize = 256;
    let sections = section.tables("components", "components", KEYS, MOST);
    let text =
        |section: &Section<'_>, key| section.parsed::<Text>(key).map(|text| text.into_inner().0);
    let component = |section: Section<'_>| {
        Some(Component {
            version: text(&section, "version").unwrap_or_default(),
            serial: text(&section, "serial").unwrap_or_default(),
            supplier: text(&section, "supplier").unwrap_or_default(),
            name: section.required("name", text(&section, "name"))?,
        })
    };
    sections.into_iter().filter_map(component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Checked<Inventory>, Vec<String>> {
        inventory_from_str("inventory.toml", text)
            .map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    fn gnb(id: &str, build: &str, address: &str) -> String {
        format!(
            "[[equipment]]\nid = \"{id}\"\nvendor = \"A\"\nmodel = \"M\"\n{build}\n\
             roles = [\"gnb\"]\naddresses = [\"{address}\"]\n"
        )
    }

    #[test]
    fn every_mistake_of_every_entry_is_reported() {
        let text = r#"
[[equipment]]
id = "gnb-1"
vender = "A"
roles = ["gnb", "uwf"]
addresses = ["10.0.0.1/24", "10.0.0.9", 5]
macs = ["00:11:22:33:44"]
components = [{ version = "1" }, { name = 7 }]
[[equipment]]
id = "gnb-1"
vendor = "A"
model = "M"
build = "B"
roles = []
addresses = ["10.0.0.9"]
[[equipment]]
vendor = "A"
model = "M"
build = ""
roles = "gnb"
"#;
        assert_eq!(
            check(text).unwrap_err(),
            [
                "warning: [[equipment]] has no vendor, no model, no build; inventory.toml:2:1; \
                 add it: alerts count what is installed of the same vendor, model and build",
                "error: unknown key `vender` in [[equipment]]; inventory.toml:4:1; \
                 did you mean `vendor`?",
                "error: unknown role `uwf`; inventory.toml:5:17; did you mean `upf`?",
                "error: `10.0.0.1/24` has host bits set; inventory.toml:6:14; \
                 write 10.0.0.0/24, or 10.0.0.1 for the one address",
                "error: `addresses` should be text, not a whole number; inventory.toml:6:41; \
                 put it in quotation marks",
                "error: `00:11:22:33:44` is not a MAC address; inventory.toml:7:9; \
                 write six bytes: 00:11:22:33:44:55",
                "error: components has no `name`; inventory.toml:8:15; add `name = …`",
                "error: `name` should be text, not a whole number; inventory.toml:8:43; \
                 put it in quotation marks",
                "error: the equipment `gnb-1` is already on line 3; inventory.toml:10:6; \
                 give each entry an id of its own",
                "error: `roles` of [[equipment]] is empty; inventory.toml:14:9; name at least one",
                "error: 10.0.0.9/32 is already on line 6; inventory.toml:15:14; \
                 leave it with the entry that owns it; a longer prefix inside may differ",
                "error: [[equipment]] has no `id`; inventory.toml:16:1; add `id = …`",
                "error: [[equipment]] has neither `addresses` nor `macs`; inventory.toml:16:1; \
                 add `addresses = […]`: without them none of its frames is known",
                "error: the text is empty; inventory.toml:19:9; write something or leave the key out",
                "error: `roles` should be a list of text, not text; inventory.toml:20:9; \
                 put it in brackets: […]",
            ]
        );
    }

    #[test]
    fn what_a_text_before_holds_is_refused_with_its_place() {
        let file = gnb("a", "build = \"1\"", "10.0.0.1");
        let both = |second: &str| {
            inventory_of(&[("inventory.toml", file.as_str()), ("import", second)])
                .map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let inventory = both(&gnb("b", "build = \"1\"", "10.0.0.2")).unwrap().value;
        assert_eq!(inventory.same_build(inventory.find("b").unwrap()), 2);
        assert_eq!(inventory.find("b"), Some(EquipmentId(1)), "it stands behind");
        let clash = gnb("a", "build = \"1\"", "10.0.0.1") + &gnb("c", "", "10.0.0.1");
        let found = both(&clash).unwrap_err();
        assert_eq!(
            found[..2],
            [
                "error: the equipment `a` is already on line 2 of inventory.toml; import:2:6; \
                 give each entry an id of its own",
                "error: 10.0.0.1/32 is already on line 7 of inventory.toml; import:7:14; \
                 leave it with the entry that owns it; a longer prefix inside may differ",
            ]
        );
        assert!(found[3].contains("already on line 7; import:14:14"), "{found:?}");
    }

    #[test]
    fn a_single_bracket_says_that_two_are_needed() {
        let found = check("[equipment]\nid = \"a\"\n").unwrap_err();
        assert_eq!(
            found,
            ["error: `equipment` should be a list of tables, not a table; inventory.toml:1:1; \
              write [[equipment]] with two brackets, once for each"]
        );
    }

    #[test]
    fn a_longer_prefix_inside_another_entry_is_its_own() {
        let text =
            gnb("a", "build = \"1\"", "10.0.0.0/24") + &gnb("b", "build = \"1\"", "10.0.0.7");
        let inventory = check(&text).unwrap().value;
        assert_eq!(inventory.equipment()[1].addresses, ["10.0.0.7/32".parse().unwrap()]);
        assert_eq!(inventory.find("b"), Some(EquipmentId(1)));
        assert_eq!(inventory.find("c"), None);
    }

    #[test]
    fn cohorts_are_vendor_model_and_build() {
        let text = gnb("a", "build = \"1\"", "10.0.0.1")
            + &gnb("b", "build = \"2\"", "10.0.0.2")
            + &gnb("c", "build = \"1\"", "10.0.0.3")
            + &gnb("d", "", "10.0.0.4")
            + &gnb("e", "", "10.0.0.5");
        let checked = check(&text).unwrap();
        let counts: Vec<_> =
            checked.value.numbered().map(|(n, _)| checked.value.same_build(n)).collect();
        assert_eq!(counts, [2, 1, 2, 1, 1], "unknown builds are not the same build");
        assert_eq!(checked.value.cohort(EquipmentId(0)), checked.value.cohort(EquipmentId(2)));
        assert_eq!(checked.warnings.len(), 2);
        assert_eq!(checked.warnings[0].line, 22);
    }

    #[test]
    fn an_entry_serialises_to_the_equipment_object_of_events() {
        let text = gnb(
            "a",
            "build = \"1\"\nserial = \"S\"\nlocation = \"site 1\"\ncomponents = \
                             [{ name = \"baseband\", version = \"7\", serial = \"B\", supplier = \"X\" }]",
            "10.0.0.1",
        );
        let inventory = check(&text).unwrap().value;
        let json = serde_json::to_string(&inventory.equipment()[0]).unwrap();
        assert_eq!(
            json,
            r#"{"id":"a","vendor":"A","model":"M","build":"1","serial":"S","location":"site 1","components":[{"name":"baseband","version":"7","serial":"B","supplier":"X"}]}"#
        );
    }
}
