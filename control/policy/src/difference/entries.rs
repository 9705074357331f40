//! The entries of a policy, section by section: what names one, and what else it says.

use toml::{Table, Value};

use super::canonical;
use crate::service::{Service, ServiceMatch};

/// One kind of `[[…]]`.
pub(super) struct Kind {
    key: &'static str,
    /// What one is called.
    pub(super) kind: &'static str,
    name: fn(&Table) -> String,
    /// What else it says.
    details: &'static [&'static str],
}

/// Every kind, in the order in which differences are told.
pub(super) const SECTIONS: [Kind; 9] = [
    Kind {
        key: "allow",
        kind: "rule",
        name: |it| format!("{} → {}", said(it, "from"), said(it, "to")),
        details: &["services", "periodic", "expires", "note"],
    },
    Kind {
        key: "esp_only",
        kind: "ESP path",
        name: |it| format!("{} → {}", said(it, "from"), said(it, "to")),
        details: &[],
    },
    Kind { key: "smf_set", kind: "SMF set", name: |it| said(it, "members"), details: &[] },
    Kind {
        key: "nat",
        kind: "NAT range",
        name: |it| format!("on {}", said(it, "link")),
        details: &["addresses"],
    },
    Kind { key: "mec", kind: "MEC server", name: |it| said(it, "addresses"), details: &[] },
    Kind {
        key: "roaming_peer",
        kind: "roaming peer",
        name: |it| said(it, "plmn"),
        details: &["addresses"],
    },
    Kind {
        key: "change_window",
        kind: "change window",
        name: |it| format!("{} from {}", said(it, "equipment"), said(it, "start")),
        details: &["end", "reason"],
    },
    Kind {
        key: "quirk",
        kind: "quirk",
        name: |it| {
            format!("{} of {}: {}", said(it, "detection"), said(it, "equipment"), said(it, "value"))
        },
        details: &[],
    },
    Kind { key: "suppress", kind: "suppression", name: suppression, details: &["until", "reason"] },
];

fn suppression(entry: &Table) -> String {
    let mut name = said(entry, "detection");
    for (key, word) in [("equipment", "of"), ("peer", "towards")] {
        if entry.contains_key(key) {
            name += &format!(" {word} {}", said(entry, key));
        }
    }
    name
}

impl Kind {
    /// Those of a policy, in the order of the file.
    pub(super) fn entries(&self, policy: &Table) -> Vec<Entry> {
        let tables = policy.get(self.key).and_then(Value::as_array).into_iter().flatten();
        let tables = tables.filter_map(Value::as_table);
        tables
            .map(|table| Entry {
                name: (self.name)(table),
                details: self.details.iter().map(|key| Detail::of(table, key)).collect(),
            })
            .collect()
    }
}

/// One entry.
pub(super) struct Entry {
    /// What tells it from others of its kind.
    pub(super) name: String,
    details: Vec<Detail>,
}

struct Detail {
    key: &'static str,
    /// As people read it; none if the entry does not say.
    said: Option<String>,
    /// The same for all spellings.
    meaning: String,
}

impl Detail {
    fn of(table: &Table, key: &'static str) -> Self {
        let value = table.get(key);
        let said = match value {
            // What is the default is as good as absent.
            None | Some(Value::Boolean(false)) => None,
            Some(Value::String(text)) => Some(format!("{text:?}")),
            Some(value) => Some(words(value)),
        };
        let meaning = match (key, value) {
            ("services", Some(value)) => services(value),
            _ => said.clone().unwrap_or_default(),
        };
        Self { key, said, meaning }
    }

    /// As a step from or to it.
    fn side(&self) -> String {
        let absent = if self.key == "periodic" { "no" } else { "none" };
        self.said.clone().unwrap_or_else(|| absent.into())
    }
}

impl Entry {
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }

    /// What it says differently than an earlier one.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let pairs = before.details.iter().zip(&self.details);
        pairs
            .filter(|(old, new)| old.meaning != new.meaning)
            .map(|(old, new)| format!("{}: {} → {}", new.key, old.side(), new.side()))
            .collect()
    }

    /// All that it says.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = self.name.clone();
        for Detail { key, said, .. } in &self.details {
            match (*key, said) {
                (_, None) => {}
                ("services", Some(said)) => sentence += &format!(" on {said}"),
                ("periodic", Some(_)) => sentence += "; periodic",
                ("addresses", Some(said)) => sentence += &format!(": {said}"),
                (key, Some(said)) => sentence += &format!("; {key} {said}"),
            }
        }
        sentence
    }
}

fn said(table: &Table, key: &str) -> String {
    table.get(key).map(words).unwrap_or_default()
}

/// A value as people read it: the same for equal selectors and lists, whatever their order.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => canonical(text),
        Value::Boolean(true) => "yes".into(),
        Value::Boolean(false) => "no".into(),
        Value::Array(items) => {
            let mut items: Vec<String> = items.iter().map(words).collect();
            items.sort();
            items.dedup();
            items.join(", ")
        }
        Value::Table(table) => {
            let text = |value: &Value| match value {
                Value::String(text) => format!("{:?}", canonical(text)),
                other => words(other),
            };
            let mut pairs: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", text(value))).collect();
            pairs.sort();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// What a list of services stands for.
fn services(value: &Value) -> String {
    let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    let parsed = names.filter_map(|name| name.parse::<Service>().ok());
    let mut matches: Vec<ServiceMatch> = parsed.flat_map(|service| service.0).collect();
    matches.sort_unstable();
    matches.dedup();
    format!("{matches:?}")
}
