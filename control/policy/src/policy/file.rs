//! Reading `policy.toml` against an inventory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::ops::Range;
use std::path::Path;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::{
    Allow, ChangeWindow, EspOnly, Nat, Policy, Quirk, RoamingPeer, Suppression, UePool, quirk,
};
use crate::catalogue::{DETECTIONS, Detection};
use crate::closed::{Link, Role};
use crate::diagnostic::{Checked, Diagnostic, Mistake};
use crate::document::{self, Findings};
use crate::inventory::{EquipmentId, Inventory};
use crate::limits::{MAX_IMPORT_GRACE_SECONDS, MAX_MEMBERS, MAX_PREFIXES, MAX_RULES, MAX_SERVICES};
use crate::message::{AllowRule, DetectionSetting, End, Slice};
use crate::nearest::{quoted, remedy};
use crate::section::Section;
use crate::selector::Selectors;
use crate::service::{Service, ServiceMatch};
use crate::values::{Day, Plmn, Prefix, Text};

const IMPORT_GRACE_SECONDS: u64 = 3600;

/// Reads and checks the `policy.toml` at `path` against the inventory.
///
/// # Errors
/// Every mistake of the file, in file order, and its warnings among them.
pub fn load_policy(path: &Path, inventory: &Inventory) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    policy_from_str(&path.display().to_string(), &document::read(path)?, inventory)
}

/// Like [`load_policy`], and warns of what is over at `moment`, in nanoseconds since 1970 UTC.
///
/// # Errors
/// As [`load_policy`].
pub fn load_policy_as_of(
    path: &Path,
    inventory: &Inventory,
    moment: u64,
) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    check(&path.display().to_string(), &document::read(path)?, inventory, Some(moment))
}

/// Checks the text of a `policy.toml` against the inventory; `name` stands in diagnostics.
///
/// # Errors
/// As [`load_policy`].
pub fn policy_from_str(
    name: &str,
    text: &str,
    inventory: &Inventory,
) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    check(name, text, inventory, None)
}

fn check(
    name: &str,
    text: &str,
    inventory: &Inventory,
    moment: Option<u64>,
) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    const KEYS: &[&str] = &[
        "ue_pools",
        "infrastructure",
        "link_defaults",
        "dnns",
        "slices",
        "dns_zones",
        "known_crypto",
        "esp_only",
        "import_grace_seconds",
        "subscriber_payload",
        "smf_set",
        "allow",
        "nat",
        "mec",
        "roaming_peer",
        "change_window",
        "quirk",
        "detections",
        "suppress",
        "lawful_intercept",
        "authorised",
    ];
    Findings::check(name, text, |findings, root| {
        let root = Section::open(findings, "policy.toml", root, KEYS)?;
        for key in ["lawful_intercept", "authorised"] {
            refuse_interception(&root, key);
        }
        let mut selectors = Selectors::over(inventory);
        let texts =
            |key| root.list::<Text>(key).into_iter().map(|text| text.into_inner().0).collect();
        let slices = || root.list::<Slice>("slices").into_iter().map(Spanned::into_inner).collect();
        let grace = root.integer("import_grace_seconds", 0..=MAX_IMPORT_GRACE_SECONDS);
        let policy = Policy {
            ue_pools: ue_pools(&root),
            infrastructure: prefixes(&root, "infrastructure"),
            link_defaults: link_defaults(&root),
            dnns: root.place("dnns").map(|_| texts("dnns")),
            slices: root.place("slices").map(|_| slices()),
            dns_zones: dns_zones(&root),
            known_crypto: known_crypto(&root),
            esp_only: esp_only(&root),
            import_grace_seconds: grace.unwrap_or(IMPORT_GRACE_SECONDS),
            subscriber_payload: root.boolean("subscriber_payload").unwrap_or(false),
            smf_sets: smf_sets(&root, &selectors, inventory),
            allow: allow(&root, &mut selectors, moment),
            nat: nat(&root),
            mec: mec(&root),
            roaming_peers: roaming_peers(&root),
            change_windows: change_windows(&root, &mut selectors),
            quirks: quirks(&root, &mut selectors),
            detections: detections(&root),
            suppressions: suppressions(&root, &selectors, moment),
            sets: Vec::new(),
        };
        Some(Policy { sets: selectors.into_sets(), ..policy })
    })
}

/// Whoever reads policy.toml must not learn what is intercepted.
fn refuse_interception(root: &Section<'_>, key: &str) {
    if root.place(key).is_some() {
        let message = "lawful interception does not belong into policy.toml, which many may read";
        let remedy = "move it to li.toml, a file of mode 0600 that `lawful_intercept` under [paths] \
                      of weir.toml names, as [[authorised]]";
        root.error(key, Mistake::new(message, remedy));
    }
}

/// The prefixes of a list, each once.
fn prefixes(section: &Section<'_>, key: &str) -> Vec<IpNet> {
    let mut lines = HashMap::new();
    let mut prefixes = Vec::new();
    for prefix in section.list::<Prefix>(key) {
        let net = prefix.get_ref().0;
        let line = section.findings.line(prefix.span().start);
        match lines.insert(net, line) {
            None => prefixes.push(net),
            Some(line) => {
                let message = format!("{net} is already in `{key}` on line {line}");
                section.findings.error(prefix.span(), Mistake::new(message, "remove one of them"));
            }
        }
    }
    prefixes
}

/// The prefixes that a section is there for.
fn required_prefixes(section: &Section<'_>, key: &str) -> Vec<IpNet> {
    section.required(key, section.place(key));
    prefixes(section, key)
}

/// The sensor's lists are bounded as wholes, not section by section.
fn bound(root: &Section<'_>, key: &str, count: usize) {
    if count > MAX_PREFIXES {
        let message = format!("`{key}` has {count} prefixes in all, more than {MAX_PREFIXES}");
        root.error(key, Mistake::new(message, "name larger networks"));
    }
}

fn ue_pools(root: &Section<'_>) -> Vec<UePool> {
    let findings = root.findings;
    let mut lines: HashMap<UePool, usize> = HashMap::new();
    let mut pools = Vec::new();
    for value in root.values("ue_pools", "prefixes or { cidr, network_instance }") {
        let pool = if let DeValue::Table(_) = value.get_ref() {
            let keys = ["cidr", "network_instance"];
            let Some(section) = Section::open(findings, "ue_pools", value, &keys) else { continue };
            let instance = section.parsed::<Text>("network_instance");
            let network_instance = instance.map(|instance| instance.into_inner().0);
            let cidr = section.required("cidr", section.parsed::<Prefix>("cidr"));
            cidr.map(|cidr| UePool { cidr: cidr.into_inner().0, network_instance })
        } else {
            let prefix = root.parse_value::<Prefix>("ue_pools", value);
            prefix.map(|prefix| UePool { cidr: prefix.into_inner().0, network_instance: None })
        };
        let Some(pool) = pool else { continue };
        if let Some(line) = lines.insert(pool.clone(), findings.line(value.span().start)) {
            let message = format!("{} is already in `ue_pools` on line {line}", pool.cidr);
            findings.error(value.span(), Mistake::new(message, "remove one of them"));
        } else {
            pools.push(pool);
        }
    }
    pools
}

fn link_defaults(root: &Section<'_>) -> Vec<(IpNet, Link)> {
    let findings = root.findings;
    let mut defaults: HashMap<IpNet, Link> = HashMap::new();
    for (span, key, value) in root.entries("link_defaults", "link_defaults") {
        let prefix = key.parse::<Prefix>().map_err(|mistake| findings.error(span.clone(), mistake));
        let link = root.parse_value::<Link>(key, value);
        let (Ok(Prefix(net)), Some(link)) = (prefix, link) else { continue };
        if defaults.insert(net, link.into_inner()).is_some() {
            let message = format!("{net} is in `link_defaults` twice");
            findings.error(span, Mistake::new(message, "remove one of them"));
        }
    }
    bound(root, "link_defaults", defaults.len());
    let mut defaults: Vec<_> = defaults.into_iter().collect();
    defaults.sort_unstable();
    defaults
}

/// Zones in lower case, without the dot of the root.
fn dns_zones(root: &Section<'_>) -> Vec<String> {
    let zone = |text: Spanned<Text>| {
        let zone = text.get_ref().0.trim_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
        };
        if zone.split('.').all(is_label) {
            return Some(zone);
        }
        let message = format!("{} is no name of a zone", quoted(&text.get_ref().0));
        let remedy = "write it as in the DNS, such as `operator.example`";
        root.findings.error(text.span(), Mistake::new(message, remedy));
        None
    };
    root.list::<Text>("dns_zones").into_iter().filter_map(zone).collect()
}

/// What any equipment may show of its encrypted conversations, in lower case.
fn known_crypto(root: &Section<'_>) -> Vec<String> {
    let known = |text: Spanned<Text>| {
        let said = text.get_ref().0.to_ascii_lowercase();
        let is_hex = |text: &str| text.bytes().all(|c| c.is_ascii_hexdigit());
        let is_right = match said.split_once(' ') {
            Some(("sni", name)) => !name.is_empty() && !name.contains(' '),
            Some(("ja4", value)) => {
                let parts: Vec<&str> = value.split('_').collect();
                let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
                lengths == [10, 12, 12] && parts[1..].iter().all(|part| is_hex(part))
            }
            Some(("hassh", value)) => value.len() == 32 && is_hex(value),
            _ => false,
        };
        if is_right {
            return Some(said);
        }
        let message =
            format!("{} is neither a name, nor a JA4, nor a HASSH", quoted(&text.get_ref().0));
        let remedy = "write `sni update.vendor.example`, `ja4 t13d1516h2_8daaf6152771_e5627efa2ab1` or \
                      `hassh` and 32 hexadecimal digits";
        root.findings.error(text.span(), Mistake::new(message, remedy));
        None
    };
    root.list::<Text>("known_crypto").into_iter().filter_map(known).collect()
}

fn esp_only(root: &Section<'_>) -> Vec<EspOnly> {
    let sections = root.tables("esp_only", "esp_only", &["from", "to"], MAX_RULES);
    let path = |section: Section<'_>| {
        let end = |key| section.required(key, section.parsed::<Prefix>(key));
        let (from, to) = (end("from"), end("to"));
        Some(EspOnly { from: from?.into_inner().0, to: to?.into_inner().0 })
    };
    sections.into_iter().filter_map(path).collect()
}

fn smf_sets(
    root: &Section<'_>,
    selectors: &Selectors<'_>,
    inventory: &Inventory,
) -> Vec<Vec<EquipmentId>> {
    let sections = root.tables("smf_set", "[[smf_set]]", &["members"], MAX_RULES);
    let set = |section: Section<'_>| {
        let members = section.required_list::<Text>("members");
        let members = members.iter().filter_map(|member| {
            let number = selectors.named(&section, member)?;
            if !inventory.entry(number)?.roles.contains(Role::Smf) {
                let message = format!("{} has not the role smf", quoted(&member.get_ref().0));
                let remedy = "name SMFs only: members may use each other's sessions";
                section.findings.warning(member.span(), Mistake::new(message, remedy));
            }
            Some(number)
        });
        members.collect::<HashSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let mut sets: Vec<_> = sections.into_iter().map(set).collect();
    sets.iter_mut().for_each(|set| set.sort_unstable());
    let members: usize = sets.iter().map(Vec::len).sum();
    if members > MAX_MEMBERS {
        let message = format!("`smf_set` names {members} members in all, more than {MAX_MEMBERS}");
        root.error("smf_set", Mistake::new(message, "name the SMFs of a set once"));
    }
    sets
}

/// What the sections of one kind mean, and on which line each stands.
struct Meanings<K>(HashMap<K, usize>);

impl<K: Eq + Hash> Meanings<K> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    /// Warns of a section that means what an earlier one does.
    fn note(&mut self, section: &Section<'_>, name: &str, meaning: K, remedy: &str) {
        let line = section.findings.line(section.span().start);
        match self.0.entry(meaning) {
            Entry::Vacant(free) => {
                free.insert(line);
            }
            // What a mistake left out may tell them apart.
            Entry::Occupied(_) if section.findings.has_errors() => {}
            Entry::Occupied(before) => {
                let message = format!("{name} repeats the one on line {}", before.get());
                section.findings.warning(section.span(), Mistake::new(message, remedy));
            }
        }
    }
}

/// Warns of a section that is over at `moment`; `last` is its last nanosecond.
fn warn_if_over(
    section: &Section<'_>,
    key: &str,
    name: &str,
    last: Option<u64>,
    moment: Option<u64>,
) {
    if last.zip(moment).is_some_and(|(last, moment)| last < moment) {
        let span = section.place(key).unwrap_or(section.span());
        let remedy = format!("remove it, or set a later `{key}` if it is still wanted");
        section.findings.warning(span, Mistake::new(format!("{name} is over"), remedy));
    }
}

fn allow(root: &Section<'_>, selectors: &mut Selectors<'_>, moment: Option<u64>) -> Vec<Allow> {
    const KEYS: &[&str] = &["from", "to", "services", "note", "expires", "periodic"];
    let mut rules = Vec::new();
    let mut meanings = Meanings::new();
    for section in root.tables("allow", "[[allow]]", KEYS, MAX_RULES) {
        let from = selectors.end(&section, "from", "from");
        let to = selectors.end(&section, "to", "to");
        let services = section.required_list::<Service>("services").into_iter();
        let services: Vec<ServiceMatch> =
            services.flat_map(|service| service.into_inner().0).collect();
        if services.len() > MAX_SERVICES {
            let message =
                format!("the rule has {} services, more than {MAX_SERVICES}", services.len());
            section.error("services", Mistake::new(message, "use ranges, or split the rule"));
        }
        let note = section.parsed::<Text>("note").map(|note| note.into_inner().0);
        // The date of expiry is the first moment at which the rule holds no longer.
        let expires = section.instant("expires", Day::Start);
        let not_after = expires.map(|expires| expires.saturating_sub(1));
        warn_if_over(&section, "expires", "[[allow]]", not_after, moment);
        let periodic = section.boolean("periodic").unwrap_or(false);
        let (Some(from), Some(to)) = (from, to) else { continue };
        let mut served = services.clone();
        served.sort_unstable();
        let remedy = "keep one of them, with the later `expires` if they have any";
        // Rules for nobody are warned of as such.
        let is_for_some = |end: End| end.set.is_none_or(|set| !selectors.members(set).is_empty());
        if is_for_some(from) && is_for_some(to) {
            meanings.note(&section, "[[allow]]", (from, to, served), remedy);
        }
        rules.push(Allow { rule: AllowRule { from, to, services, not_after, periodic }, note });
    }
    rules
}

fn nat(root: &Section<'_>) -> Vec<Nat> {
    let sections = root.tables("nat", "[[nat]]", &["link", "addresses"], MAX_RULES);
    let range = |section: Section<'_>| {
        let addresses = required_prefixes(&section, "addresses");
        let link = section.required("link", section.parsed::<Link>("link"))?;
        Some(Nat { link: link.into_inner(), addresses })
    };
    let nat: Vec<_> = sections.into_iter().filter_map(range).collect();
    bound(root, "nat", nat.iter().map(|nat| nat.addresses.len()).sum());
    nat
}

fn mec(root: &Section<'_>) -> Vec<IpNet> {
    let sections = root.tables("mec", "[[mec]]", &["addresses"], MAX_RULES);
    let addresses = sections.iter().flat_map(|section| required_prefixes(section, "addresses"));
    let addresses: Vec<_> = addresses.collect();
    bound(root, "mec", addresses.len());
    addresses
}

fn roaming_peers(root: &Section<'_>) -> Vec<RoamingPeer> {
    let sections =
        root.tables("roaming_peer", "[[roaming_peer]]", &["plmn", "addresses"], MAX_RULES);
    let peer = |section: Section<'_>| {
        let addresses = required_prefixes(&section, "addresses");
        let plmn = section.required("plmn", section.parsed::<Plmn>("plmn"))?;
        Some(RoamingPeer { plmn: plmn.into_inner().0, addresses })
    };
    let peers: Vec<_> = sections.into_iter().filter_map(peer).collect();
    bound(root, "roaming_peer", peers.iter().map(|peer| peer.addresses.len()).sum());
    peers
}

fn change_windows(root: &Section<'_>, selectors: &mut Selectors<'_>) -> Vec<ChangeWindow> {
    const KEYS: &[&str] = &["equipment", "start", "end", "reason"];
    let mut windows = Vec::new();
    for section in root.tables("change_window", "[[change_window]]", KEYS, MAX_RULES) {
        let equipment = selectors.end(&section, "equipment", "equipment");
        let start = section.required("start", section.instant("start", Day::Start));
        // A bare date as the end includes that day.
        let last = section.instant("end", Day::End);
        let end = section.required("end", last);
        let reason = section.parsed::<Text>("reason").map(|reason| reason.into_inner().0);
        let (Some(start), Some(end)) = (start, end) else { continue };
        if start >= end {
            let message = "the change window ends before it starts";
            section.error("end", Mistake::new(message, "exchange `start` and `end`"));
        }
        windows.extend(equipment.map(|equipment| ChangeWindow { equipment, start, end, reason }));
    }
    windows
}

fn quirks(root: &Section<'_>, selectors: &mut Selectors<'_>) -> Vec<Quirk> {
    const KEYS: &[&str] = &["detection", "equipment", "value"];
    let mut quirks: Vec<Quirk> = Vec::new();
    let mut meanings = Meanings::new();
    for section in root.tables("quirk", "[[quirk]]", KEYS, MAX_RULES) {
        let detection = section.required("detection", detection(&section));
        let set = selectors.equipment(&section, "equipment", "equipment");
        let value = section.required("value", section.parsed::<Text>("value"));
        let (Some(detection), Some(value)) = (detection, value) else { continue };
        if !quirk::are_known_to(detection.id) {
            let message = format!("{} has no quirks: the entry has no effect", detection.id);
            let remedy = "use [[suppress]] for a finding that is known";
            section.findings.warning(section.span(), Mistake::new(message, remedy));
            continue;
        }
        let canonical = quirk::canonical(detection.id, &value.get_ref().0);
        let value = canonical.map_err(|mistake| section.findings.error(value.span(), mistake));
        let (Some(set), Ok(value)) = (set, value) else { continue };
        if !selectors.members(set).is_empty() {
            meanings.note(&section, "[[quirk]]", (set, value.clone()), "remove one of them");
        }
        quirks.push(Quirk { detection: detection.id.into(), set, value });
    }
    let members: usize = quirks.iter().map(|quirk| selectors.members(quirk.set).len()).sum();
    if members > MAX_MEMBERS {
        let message = format!("`quirk` names {members} pieces of equipment in all");
        let remedy = format!("name at most {MAX_MEMBERS}: join or drop entries");
        root.error("quirk", Mistake::new(message, remedy));
    }
    quirks
}

/// The detection that a section names.
fn detection(section: &Section<'_>) -> Option<&'static Detection> {
    let name = section.parsed::<Text>("detection")?;
    let found = Detection::find(&name.get_ref().0);
    if found.is_none() {
        unknown_detection(section.findings, name.span(), &name.get_ref().0);
    }
    found
}

fn unknown_detection(findings: &Findings<'_>, span: Range<usize>, name: &str) {
    let message = format!("unknown detection {}", quoted(name));
    let remedy = remedy(name, DETECTIONS.iter().map(|detection| detection.id));
    findings.error(span, Mistake::new(message, remedy));
}

/// Every detection of the catalogue, as the file sets it or with its defaults.
fn detections(root: &Section<'_>) -> Vec<DetectionSetting> {
    let findings = root.findings;
    let mut settings: Vec<_> = DETECTIONS
        .iter()
        .map(|detection| DetectionSetting {
            id: detection.id.into(),
            enabled: true,
            parameters: detection.parameters.iter().map(|p| (p.name.into(), p.default)).collect(),
        })
        .collect();
    for (span, id, value) in root.entries("detections", "[detections]") {
        let Some(index) = DETECTIONS.iter().position(|detection| detection.id == id) else {
            unknown_detection(findings, span, id);
            continue;
        };
        let (detection, setting) = (&DETECTIONS[index], &mut settings[index]);
        let mut keys = vec!["enabled"];
        keys.extend(detection.parameters.iter().map(|parameter| parameter.name));
        let Some(section) = Section::open(findings, detection.id, value, &keys) else { continue };
        setting.enabled = section.boolean("enabled").unwrap_or(true);
        for (parameter, (_, set)) in detection.parameters.iter().zip(&mut setting.parameters) {
            let Some(number) = section.number(parameter.name) else { continue };
            if parameter.accepts(*number.get_ref()) {
                *set = number.into_inner();
            } else {
                let kind = if parameter.whole { "a whole number" } else { "a number" };
                let remedy = format!("write {kind} from {} to {}", parameter.least, parameter.most);
                let message =
                    format!("`{}` of {id} cannot be {}", parameter.name, number.get_ref());
                findings.error(number.span(), Mistake::new(message, remedy));
            }
        }
    }
    settings
}

fn suppressions(
    root: &Section<'_>,
    selectors: &Selectors<'_>,
    moment: Option<u64>,
) -> Vec<Suppression> {
    const KEYS: &[&str] = &["detection", "equipment", "peer", "until", "reason"];
    let mut suppressions = Vec::new();
    let mut meanings = Meanings::new();
    for section in root.tables("suppress", "[[suppress]]", KEYS, MAX_RULES) {
        let detection = section.required("detection", detection(&section));
        let equipment = section.parsed::<Text>("equipment");
        if let Some(id) = &equipment {
            selectors.named(&section, id);
        }
        let peer = section.parsed::<Prefix>("peer").map(|prefix| prefix.into_inner().0);
        // "Until" a bare date includes that day.
        let until = section.instant("until", Day::End);
        warn_if_over(&section, "until", "[[suppress]]", until, moment);
        let reason = section.parsed::<Text>("reason").map(|reason| reason.into_inner().0);
        if section.place("equipment").is_none() && section.place("peer").is_none() {
            let message = "[[suppress]] names neither `equipment` nor `peer`";
            let remedy = "name one; to silence a detection wholly set `enabled = false`";
            section.findings.error(section.span(), Mistake::new(message, remedy));
        }
        if section.place("until").is_none() {
            let message = "[[suppress]] has no end";
            let remedy = "add `until = 2026-12-31`, lest it be forgotten";
            section.findings.warning(section.span(), Mistake::new(message, remedy));
        }
        let Some(detection) = detection else { continue };
        if detection.is_restricted() {
            let message = "[[suppress]] shows who reads policy.toml what is intercepted";
            let remedy = "remove it, and authorise what is lawful in li.toml";
            section.findings.warning(section.span(), Mistake::new(message, remedy));
        }
        let equipment = equipment.map(|id: Spanned<Text>| id.into_inner().0);
        let remedy = "keep one of them, with the later `until`";
        let meaning = (detection.id, equipment.clone(), peer);
        meanings.note(&section, "[[suppress]]", meaning, remedy);
        let detection = detection.id.into();
        suppressions.push(Suppression { detection, equipment, peer, until, reason });
    }
    suppressions
}
