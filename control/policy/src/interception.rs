//! `li.toml`: the interceptions that are authorised. Who reads the other files must not learn of
//! them, so they have a file that only its owner may read, and nothing of what it says is
//! repeated in findings.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use toml::Spanned;

use crate::closed::Role;
use crate::diagnostic::{Checked, Diagnostic, Mistake};
use crate::document::{self, Findings};
use crate::inventory::{Equipment, EquipmentId, Inventory};
use crate::limits::MAX_ORDERS;
use crate::message::Order;
use crate::section::Section;
use crate::values::Prefix;

/// More sessions than any UPF has.
const MAX_SESSIONS: u64 = 10_000_000;
/// What the file may say, and so its findings too.
const WORDS: [&str; 7] =
    ["li.toml", "authorised", "[[authorised]]", "key = value", "upf", "to", "sessions"];

/// What `li.toml` says.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct LawfulIntercept {
    orders: Vec<Order>,
}

impl LawfulIntercept {
    /// What is authorised, in file order.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }
}

impl fmt::Debug for LawfulIntercept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LawfulIntercept")
    }
}

/// Reads and checks the `li.toml` at `path`, against the inventory if there is one.
///
/// # Errors
/// That others than its owner may read it; every mistake of the file, in file order, and its
/// warnings among them.
pub fn load_interception(
    path: &Path,
    inventory: Option<&Inventory>,
) -> Result<Checked<LawfulIntercept>, Vec<Diagnostic>> {
    interception_from_str(&path.display().to_string(), &document::read_private(path)?, inventory)
}

/// Checks the text of a `li.toml`; `name` stands in diagnostics.
///
/// # Errors
/// As [`load_interception`].
pub fn interception_from_str(
    name: &str,
    text: &str,
    inventory: Option<&Inventory>,
) -> Result<Checked<LawfulIntercept>, Vec<Diagnostic>> {
    let checked = Findings::check(name, text, |findings, root| {
        let root = Section::open(findings, "li.toml", root, &["authorised"])?;
        Some(LawfulIntercept { orders: orders(&root, inventory) })
    });
    let discreet = |found: Vec<Diagnostic>| found.into_iter().map(discreet).collect::<Vec<_>>();
    checked
        .map(|Checked { value, warnings }| Checked { value, warnings: discreet(warnings) })
        .map_err(discreet)
}

fn orders(root: &Section<'_>, inventory: Option<&Inventory>) -> Vec<Order> {
    const KEYS: &[&str] = &["upf", "to", "sessions"];
    let mut lines = HashMap::new();
    let mut orders = Vec::new();
    for section in root.tables("authorised", "[[authorised]]", KEYS, MAX_ORDERS) {
        let upf = section.parsed::<Id>("upf");
        let number = upf.as_ref().and_then(|upf| number(&section, upf, inventory?));
        let to = section.required("to", section.parsed::<Host>("to"));
        let sessions = section.integer("sessions", 1..=MAX_SESSIONS);
        let sessions = section.required("sessions", sessions);
        let (Some(to), Some(sessions)) = (to, sessions) else { continue };
        let (place, Host(to)) = (to.span(), to.into_inner());
        if inventory.and_then(|inventory| inventory.holder(to)).is_some_and(is_no_mediation) {
            let message = "`to` is an address of equipment without the role mediation";
            let remedy = "check it: nobody but the named role hears what this equipment does";
            section.findings.warning(place, Mistake::new(message, remedy));
        }
        let line = section.findings.line(section.span().start);
        let copied = upf.map(|upf| upf.into_inner().0);
        if let Some(before) = lines.insert((copied, to), line) {
            let message = format!("[[authorised]] is for the same as the one on line {before}");
            let remedy = "join them into one: their `sessions` are added";
            section.findings.warning(section.span(), Mistake::new(message, remedy));
        }
        // The range above ends far below 2^32.
        orders.push(Order { upf: number, to, sessions: sessions as u32 });
    }
    orders
}

fn is_no_mediation(entry: &Equipment) -> bool {
    !entry.roles.contains(Role::Mediation)
}

/// The number of the UPF with this id.
fn number(section: &Section<'_>, id: &Spanned<Id>, inventory: &Inventory) -> Option<EquipmentId> {
    let number = inventory.find(&id.get_ref().0);
    let is_upf = number
        .and_then(|number| inventory.entry(number))
        .is_some_and(|entry| entry.roles.contains(Role::Upf));
    if !is_upf {
        let message = "`upf` is the id of no equipment with the role upf";
        let remedy = "write an id of the inventory, or leave the key out for any UPF";
        section.findings.error(id.span(), Mistake::new(message, remedy));
        return None;
    }
    number
}

/// An id, of which a finding says nothing.
struct Id(String);

impl FromStr for Id {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        Ok(Self(text.to_owned()))
    }
}

/// The address of one mediation function.
struct Host(IpAddr);

impl FromStr for Host {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let prefix = text.parse::<Prefix>().ok().map(|Prefix(net)| net);
        let host = prefix.filter(|net| net.prefix_len() == net.max_prefix_len());
        host.map(|net| Self(net.addr())).ok_or_else(|| {
            Mistake::new("`to` is not the address of one host", "write one IPv4 or IPv6 address")
        })
    }
}

/// The finding without anything that it quotes, but for the words of the format.
fn discreet(found: Diagnostic) -> Diagnostic {
    Diagnostic { message: hide(&found.message), remedy: hide(&found.remedy), ..found }
}

fn hide(text: &str) -> String {
    // Known words change their quotation marks for a while; all between the first and the last
    // of those that remain is hidden, since what is quoted may itself hold such marks.
    let known = WORDS.iter().fold(text.to_owned(), |text, word| {
        text.replace(&format!("`{word}`"), &format!("\u{1}{word}\u{1}"))
            .replace(&format!("`{word} = …`"), &format!("\u{1}{word} = …\u{1}"))
    });
    let shown = match (known.find('`'), known.rfind('`')) {
        (Some(first), Some(last)) => {
            format!("{}(not shown){}", &known[..first], &known[last + 1..])
        }
        _ => known,
    };
    shown.replace('\u{1}', "`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::inventory_from_str;

    const INVENTORY: &str = r#"
[[equipment]]
id = "gnb-1"
vendor = "A"
model = "M"
build = "1"
roles = ["gnb"]
addresses = ["10.0.0.1"]
[[equipment]]
id = "upf-1"
vendor = "A"
model = "M"
build = "1"
roles = ["upf"]
addresses = ["10.0.1.1"]
[[equipment]]
id = "lims-1"
vendor = "A"
model = "M"
build = "1"
roles = ["mediation"]
addresses = ["10.0.1.0/24"]
"#;

    fn inventory() -> Inventory {
        inventory_from_str("inventory.toml", INVENTORY).unwrap().value
    }

    fn mistakes(text: &str) -> Vec<String> {
        let found = interception_from_str("li.toml", text, Some(&inventory())).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_authorised_is_read_with_the_upfs_number() {
        let text = "[[authorised]]\nupf = \"upf-1\"\nto = \"10.9.9.9\"\nsessions = 2\n\
                    [[authorised]]\nto = \"2001:db8::9\"\nsessions = 1\n";
        let read = interception_from_str("li.toml", text, Some(&inventory())).unwrap();
        assert_eq!(read.warnings, []);
        let order = |upf, to: &str, sessions| Order { upf, to: to.parse().unwrap(), sessions };
        assert_eq!(
            read.value.orders(),
            [order(Some(EquipmentId(1)), "10.9.9.9", 2), order(None, "2001:db8::9", 1)]
        );
        let unheard = interception_from_str("li.toml", text, None).unwrap();
        assert_eq!(unheard.value.orders().len(), 2, "without an inventory the rest is checked");
        assert!(interception_from_str("li.toml", "", None).unwrap().value.orders().is_empty());
    }

    #[test]
    fn every_mistake_has_its_place_and_repeats_nothing_of_the_file() {
        let text = "authorized = 1\n\
                    [[authorised]]\nupf = \"gnb-1\"\nto = \"10.9.9.0/24\"\nsessions = 0\n\
                    [[authorised]]\nupf = \"upf-77\"\nto = 9\n\"10.9.9.`9\" = 2\n\
                    [[authorised]]\nsesions = 3\nto = \"10.9.9.9\"\n";
        let found = mistakes(text);
        assert_eq!(
            found,
            [
                "error: unknown key (not shown) in li.toml; li.toml:1:1; did you mean `authorised`?",
                "error: `upf` is the id of no equipment with the role upf; li.toml:3:7; \
                 write an id of the inventory, or leave the key out for any UPF",
                "error: `to` is not the address of one host; li.toml:4:6; \
                 write one IPv4 or IPv6 address",
                "error: `sessions` is out of range: (not shown); li.toml:5:12; \
                 write a whole number from 1 to 10000000",
                "error: [[authorised]] has no `sessions`; li.toml:6:1; add `sessions = …`",
                "error: `upf` is the id of no equipment with the role upf; li.toml:7:7; \
                 write an id of the inventory, or leave the key out for any UPF",
                "error: `to` should be text, not a whole number; li.toml:8:6; \
                 put it in quotation marks",
                "error: unknown key (not shown) in [[authorised]]; li.toml:9:1; \
                 use one of: upf, to, sessions",
                "error: [[authorised]] has no `sessions`; li.toml:10:1; add `sessions = …`",
                "error: unknown key (not shown) in [[authorised]]; li.toml:11:1; \
                 did you mean `sessions`?",
            ]
        );
        for broken in
            ["authorised = [\"10.9.9.9\"]", "to = \"10.9.9.9\\q\"", "10.9.9.9 = 1\n10.9.9.9 = 1"]
        {
            let found = mistakes(broken);
            assert!(found.len() == 1 && !found[0].contains("10.9"), "{found:?}");
        }
        assert!(found.iter().all(|line| !line.contains("10.9.9") && !line.contains("upf-77")));
    }

    #[test]
    fn equipment_that_is_no_mediation_function_is_warned_of() {
        for (to, warned) in [("10.0.1.1", true), ("10.0.1.9", false), ("10.9.9.9", false)] {
            let text = format!("[[authorised]]\nto = \"{to}\"\nsessions = 2\n");
            let read = interception_from_str("li.toml", &text, Some(&inventory())).unwrap();
            let said: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
            let expected = "warning: `to` is an address of equipment without the role mediation; li.toml:2:6; \
                            check it: nobody but the named role hears what this equipment does";
            assert_eq!(said, if warned { vec![expected] } else { Vec::new() }, "{to}");
        }
    }

    #[test]
    fn the_same_twice_is_warned_of_and_debug_output_says_nothing() {
        let text = "[[authorised]]\nto = \"10.9.9.9\"\nsessions = 2\n".repeat(2);
        let read = interception_from_str("li.toml", &text, None).unwrap();
        assert_eq!(read.warnings.len(), 1);
        assert_eq!(
            read.warnings[0].to_string(),
            "warning: [[authorised]] is for the same as the one on line 1; li.toml:4:1; \
             join them into one: their `sessions` are added"
        );
        assert_eq!(
            format!("{:?} {:?}", read.value, read.value.orders()),
            "LawfulIntercept [Order, Order]"
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("li.toml");
        std::fs::write(&path, "[[authorised]]\nto = \"10.9.9.9\"\nsessions = 2\n").unwrap();
        let load = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            load_interception(&path, None)
        };
        for mode in [0o600, 0o400] {
            assert_eq!(load(mode).unwrap().value.orders().len(), 1, "{mode:o}");
        }
        for mode in [0o640, 0o604, 0o660, 0o700, 0o644] {
            let found = load(mode).unwrap_err();
            let said = found[0].to_string();
            assert!(said.contains(&format!("mode {mode:04o}")), "{said}");
            assert!(said.ends_with(&format!("; chmod 600 {}", path.display())), "{said}");
            assert!(said.contains("li.toml;") && !said.contains("10.9.9.9"), "{said}");
        }
        let absent = load_interception(&directory.path().join("none"), None).unwrap_err();
        assert!(absent[0].message.contains("cannot read the file"));
    }
}
