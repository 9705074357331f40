//! How two policies differ, in words: for the person who decides about a change. [`PolicyDiff`]
//! counts what the sensor's policy gained and lost; this tells entry by entry.
//!
//! [`PolicyDiff`]: crate::PolicyDiff

mod entries;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use toml::{Table, Value};

use crate::catalogue::DETECTIONS;
use crate::values::Prefix;
use entries::{Entry, SECTIONS, words};

/// What became of an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// Only the policy after has it.
    Added,
    /// Only the policy before has it.
    Removed,
    /// Both have it, and say different things of it.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The kind of entry: rule, pool, parameter, suppression, change window …
    pub kind: &'static str,
    /// What became of it.
    pub became: Became,
    /// The entry.
    pub what: String,
    /// What changed in it, as `key: before → after`; empty for what was added or removed.
    pub details: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let became = match self.became {
            Became::Added => "added",
            Became::Removed => "removed",
            Became::Changed => "changed",
        };
        write!(f, "{} {became}: {}", self.kind, self.what)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, ": {}", self.details.join("; ")) }
    }
}

/// The lists of plain values, and what one of them is called.
const LISTS: [(&str, &str); 4] = [
    ("ue_pools", "pool"),
    ("infrastructure", "infrastructure"),
    ("dnns", "data network"),
    ("slices", "slice"),
];
const PAYLOAD: &str = "subscriber_payload";
const IMPORT_GRACE: &str = "import_grace_seconds";
const IMPORT_GRACE_SECONDS: i64 = 3600;

/// The differences from one `policy.toml` to another in the order of the file's sections, and in each
/// by name, whatever the order in the files. Both texts must have been checked; of one that is no
/// TOML nothing is known.
pub fn policy_changes(before: &str, after: &str) -> Vec<Change> {
    let [before, after] = [before, after].map(|text| text.parse::<Table>().unwrap_or_default());
    let mut changes = Vec::new();
    for (key, kind) in LISTS {
        lists(kind, before.get(key), after.get(key), &mut changes);
    }
    links(&before, &after, &mut changes);
    let grace = |table: &Table| {
        table.get(IMPORT_GRACE).and_then(Value::as_integer).unwrap_or(IMPORT_GRACE_SECONDS)
    };
    number("parameter", IMPORT_GRACE, grace(&before), grace(&after), &mut changes);
    let payload = |table: &Table| table.get(PAYLOAD).and_then(Value::as_bool).unwrap_or(false);
    number("parameter", PAYLOAD, payload(&before), payload(&after), &mut changes);
    for section in &SECTIONS {
        let [old, new] = [&before, &after].map(|table| section.entries(table));
        entries(section.kind, old, new, &mut changes);
    }
    parameters(&before, &after, &mut changes);
    changes
}

/// A list whose absence means that it is not judged tells that, too.
fn lists(
    kind: &'static str,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    let is_judged = matches!(kind, "data network" | "slice");
    let known = |list: Option<&Value>| -> BTreeSet<String> {
        list.and_then(Value::as_array).into_iter().flatten().map(item).collect()
    };
    if is_judged && before.is_some() != after.is_some() {
        let (what, became) = match after {
            Some(_) => ("are judged from now on", Became::Added),
            None => ("are judged no longer", Became::Removed),
        };
        changes.push(Change { kind, became, what: what.into(), details: Vec::new() });
    }
    let (before, after) = (known(before), known(after));
    one_sided(kind, before.difference(&after), after.difference(&before), changes);
}

fn one_sided<'s>(
    kind: &'static str,
    removed: impl Iterator<Item = &'s String>,
    added: impl Iterator<Item = &'s String>,
    changes: &mut Vec<Change>,
) {
    let tell = |became| {
        move |what: &String| Change { kind, became, what: what.clone(), details: Vec::new() }
    };
    changes.extend(removed.map(tell(Became::Removed)));
    changes.extend(added.map(tell(Became::Added)));
}

/// An entry of a list; a prefix in the form that all of its spellings share.
fn item(value: &Value) -> String {
    match value {
        Value::String(text) => canonical(text),
        Value::Table(table) => {
            let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
            format!("{} in {}", canonical(text("cidr")), text("network_instance"))
        }
        other => words(other),
    }
}

fn canonical(text: &str) -> String {
    text.parse::<Prefix>().map_or_else(|_| text.to_owned(), |prefix| prefix.0.to_string())
}

fn links(before: &Table, after: &Table, changes: &mut Vec<Change>) {
    let known = |table: &Table| -> BTreeMap<String, String> {
        let links = table.get("link_defaults").and_then(Value::as_table);
        let named = |(net, link): (&String, &Value)| (canonical(net), words(link));
        links.into_iter().flatten().map(named).collect()
    };
    let (before, after) = (known(before), known(after));
    let nets: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for net in nets {
        let (old, new) = (before.get(net), after.get(net));
        let became = match (old, new) {
            (None, _) => Became::Added,
            (_, None) => Became::Removed,
            (old, new) if old == new => continue,
            _ => Became::Changed,
        };
        let (what, details) = match (became, old.or(new)) {
            (Became::Changed, _) => (net.clone(), vec![step(old, new)]),
            (_, Some(link)) => (format!("{net} is {link}"), Vec::new()),
            (_, None) => continue,
        };
        changes.push(Change { kind: "link default", became, what, details });
    }
}

fn step(old: Option<&String>, new: Option<&String>) -> String {
    let said = |text: Option<&String>| text.map_or("nothing", String::as_str).to_owned();
    format!("{} → {}", said(old), said(new))
}

fn number<T: PartialEq + fmt::Display>(
    kind: &'static str,
    what: &str,
    before: T,
    after: T,
    changes: &mut Vec<Change>,
) {
    if before != after {
        let details = vec![format!("{before} → {after}")];
        changes.push(Change { kind, became: Became::Changed, what: what.into(), details });
    }
}

/// What is not set has its default, so that setting the default changes nothing.
fn parameters(before: &Table, after: &Table, changes: &mut Vec<Change>) {
    for detection in DETECTIONS {
        let set = |table: &Table, key: &str| {
            table.get("detections")?.as_table()?.get(detection.id)?.as_table()?.get(key).cloned()
        };
        let enabled =
            |table: &Table| set(table, "enabled").and_then(|it| it.as_bool()).unwrap_or(true);
        let what = format!("{} enabled", detection.id);
        number("parameter", &what, enabled(before), enabled(after), changes);
        for parameter in detection.parameters {
            let value = |table: &Table| match set(table, parameter.name) {
                Some(Value::Integer(number)) => number as f64,
                Some(Value::Float(number)) => number,
                _ => parameter.default,
            };
            let what = format!("{} {}", detection.id, parameter.name);
            number("parameter", &what, value(before), value(after), changes);
        }
    }
}

/// Entries that say the same are the same; of the others, those with the same name are one that
/// changed, the most alike first.
fn entries(kind: &'static str, old: Vec<Entry>, new: Vec<Entry>, changes: &mut Vec<Change>) {
    let mut named: BTreeMap<String, [Vec<Entry>; 2]> = BTreeMap::new();
    for (side, entries) in [old, new].into_iter().enumerate() {
        for entry in entries {
            named.entry(entry.name.clone()).or_default()[side].push(entry);
        }
    }
    for (name, [mut old, mut new]) in named {
        old.retain(|entry| match new.iter().position(|other| other.says_the_same(entry)) {
            Some(at) => {
                new.remove(at);
                false
            }
            None => true,
        });
        old.sort_by_key(Entry::sentence);
        new.sort_by_key(Entry::sentence);
        for entry in old {
            let alike = |(_, other): &(usize, &Entry)| other.differences(&entry).len();
            let Some((at, _)) = new.iter().enumerate().min_by_key(alike) else {
                let what = entry.sentence();
                changes.push(Change { kind, became: Became::Removed, what, details: Vec::new() });
                continue;
            };
            let details = new.remove(at).differences(&entry);
            changes.push(Change { kind, became: Became::Changed, what: name.clone(), details });
        }
        changes.extend(new.iter().map(|entry| Change {
            kind,
            became: Became::Added,
            what: entry.sentence(),
            details: Vec::new(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(before: &str, after: &str) -> Vec<String> {
        policy_changes(before, after).iter().map(ToString::to_string).collect()
    }

    const RULE: &str = "[[allow]]\nfrom = { role = \"gnb\" }\nto = { cidr = \"10.0.0.1\" }\n\
                        services = [\"dns\", \"ntp\"]\n";

    #[test]
    fn what_says_the_same_is_no_difference() {
        let other = "import_grace_seconds = 3600\n[[allow]]\nto = { cidr = \"10.0.0.1/32\" }\n\
                     services = [\"ntp\", \"udp/53\", \"tcp/53\"]\nfrom = { role = \"gnb\" }\n\
                     periodic = false\n[detections.GTP-ORPHAN]\nenabled = true\n";
        assert_eq!(said(RULE, other), [""; 0]);
        let twice = format!("{RULE}{RULE}");
        assert_eq!(said(&twice, &twice), [""; 0]);
        assert_eq!(said(&twice, RULE).len(), 1);
    }

    #[test]
    fn rules_are_added_removed_and_changed() {
        let added = "rule added: { role = \"gnb\" } → { cidr = \"10.0.0.1/32\" } on dns, ntp";
        assert_eq!(said("", RULE), [added]);
        assert_eq!(said(RULE, ""), [added.replace("added", "removed")]);
        let changed = format!("{}periodic = true\n", RULE.replace("\"ntp\"", "\"ssh\""));
        assert_eq!(
            said(RULE, &changed),
            ["rule changed: { role = \"gnb\" } → { cidr = \"10.0.0.1/32\" }: \
              services: dns, ntp → dns, ssh; periodic: no → yes"]
        );
    }

    #[test]
    fn an_exact_twin_is_not_mistaken_for_a_change() {
        let other = RULE.replace("\"dns\", ", "");
        let (before, after) = (format!("{RULE}{other}"), format!("{other}{RULE}{RULE}"));
        assert_eq!(said(&before, &after).len(), 1);
        assert!(said(&before, &after)[0].starts_with("rule added"), "{:?}", said(&before, &after));
    }

    #[test]
    fn pools_links_parameters_windows_and_suppressions_are_told_of() {
        let before = "ue_pools = [\"10.60.0.0/16\"]\nlink_defaults = { \"10.0.0.0/24\" = \"n3\" }\n\
                      [detections.GTP-ORPHAN]\ngrace_seconds = 7\n";
        let after = "ue_pools = [{ cidr = \"10.60.0.0/16\", network_instance = \"iot\" }]\n\
                     dnns = [\"ims\"]\nlink_defaults = { \"10.0.0.0/24\" = \"n6\" }\n\
                     [[suppress]]\ndetection = \"EGR-VOLUME\"\nequipment = \"gnb-1\"\n\
                     until = 2026-12-31\nreason = \"case 7\"\n\
                     [[change_window]]\nequipment = { location = \"site 17\" }\n\
                     start = 2026-11-24T00:00:00Z\nend = 2026-11-24T04:00:00Z\n\
                     [detections.GTP-ORPHAN]\nenabled = false\n";
        assert_eq!(
            said(before, after),
            [
                "pool removed: 10.60.0.0/16",
                "pool added: 10.60.0.0/16 in iot",
                "data network added: are judged from now on",
                "data network added: ims",
                "link default changed: 10.0.0.0/24: n3 → n6",
                "change window added: { location = \"site 17\" } from 2026-11-24T00:00:00Z; \
                 end 2026-11-24T04:00:00Z",
                "suppression added: EGR-VOLUME of gnb-1; until 2026-12-31; reason \"case 7\"",
                "parameter changed: GTP-ORPHAN enabled: true → false",
                "parameter changed: GTP-ORPHAN grace_seconds: 7 → 2",
            ]
        );
    }

    #[test]
    fn every_section_of_a_policy_is_compared() {
        let example = include_str!("../../examples/policy.toml");
        assert_eq!(said(example, example), [""; 0]);
        let kinds: BTreeSet<_> = policy_changes("", example).iter().map(|it| it.kind).collect();
        assert!(SECTIONS.iter().all(|section| kinds.contains(section.kind)), "{kinds:?}");
        assert!(LISTS.iter().all(|(_, kind)| kinds.contains(kind)), "{kinds:?}");
    }
}
