//! Entries of the inventory written as the text that they could have been read from.

use serde::Serialize;

use crate::inventory::{Component, Equipment};

#[derive(Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    equipment: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    vendor: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    build: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    serial: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    location: &'a str,
    roles: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    macs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    serial: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    supplier: &'a str,
}

impl<'a> Entry<'a> {
    fn of(entry: &'a Equipment) -> Self {
        Self {
            id: &entry.id,
            vendor: &entry.vendor,
            model: &entry.model,
            build: &entry.build,
            serial: &entry.serial,
            location: &entry.location,
            roles: entry.roles.iter().map(|role| role.name()).collect(),
            addresses: entry.addresses.iter().map(ToString::to_string).collect(),
            macs: entry.macs.iter().copied().map(mac_text).collect(),
            components: entry.components.iter().map(Part::of).collect(),
        }
    }
}

impl<'a> Part<'a> {
    fn of(part: &'a Component) -> Self {
        let Component { name, version, serial, supplier } = part;
        Self { name, version, serial, supplier }
    }
}

/// A MAC address as files and people write it.
pub fn mac_text(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

/// Entries as the text of an `inventory.toml`, which reads back as the same entries.
///
/// # Errors
/// None that texts, numbers and lists of them can cause.
pub fn inventory_text<'a>(
    entries: impl IntoIterator<Item = &'a Equipment>,
) -> Result<String, toml::ser::Error> {
    toml::to_string(&File { equipment: entries.into_iter().map(Entry::of).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::inventory_from_str;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let text = r#"
[[equipment]]
id = "gnb \"1\" \u202e\n[[x]]"
vendor = "A"
roles = ["gnb", "router"]
addresses = ["10.0.0.0/24", "2001:db8::7"]
macs = ["00:11:22:33:44:55"]
components = [{ name = "baseband", version = "7" }, { name = "fan", supplier = "X", serial = "9" }]
[[equipment]]
id = "upf-1"
model = "M"
build = "B"
serial = "S"
location = "site 1"
roles = ["upf"]
addresses = ["10.0.1.1"]
"#
        .replace("\\u202e\\n", "");
        let read = inventory_from_str("a", &text).unwrap().value;
        let written = inventory_text(read.equipment()).unwrap();
        let again = inventory_from_str("b", &written).unwrap().value;
        assert_eq!(read.equipment(), again.equipment(), "{written}");
        assert_eq!(inventory_text([]).unwrap(), "");
    }
}
