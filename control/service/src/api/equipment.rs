//! What is installed, and where it stands: the inventory with the open alerts of each entry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::rules::EquipmentId;
use weir_policy::{Component, Equipment, mac_text};

use super::Api;
use super::answer::Failure;
use super::asked::rows;
use super::cases::{Answer, asked, named};
use crate::eve::timestamp;
use crate::live::lock;
use crate::rulebook::Rulebook;
use crate::site::far::Far;
use crate::store::{Standing, Talk};

/// Groups that are listed: those that show something first.
const GROUPS: usize = 2_000;

/// Which entries are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    vendor: Option<String>,
    model: Option<String>,
    build: Option<String>,
    /// What stands there or inside: `site 17` is `site 17, rack 2`, too.
    location: Option<String>,
    /// Part of any text of the entry.
    q: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

impl Wanted {
    fn fits(&self, entry: &Equipment) -> bool {
        let is =
            |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|it| it == text);
        is(&self.vendor, &entry.vendor)
            && is(&self.model, &entry.model)
            && is(&self.build, &entry.build)
            && self.location.as_deref().is_none_or(|place| is_inside(&entry.location, place))
            && self.q.as_deref().is_none_or(|part| mentions(entry, &part.to_lowercase()))
    }
}

/// Whether a location is a place or inside it.
fn is_inside(location: &str, place: &str) -> bool {
    location
        .strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(','))
}

/// Whether any text of an entry has this part, in lower case.
fn mentions(entry: &Equipment, part: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(part);
    [&entry.id, &entry.vendor, &entry.model, &entry.build, &entry.serial, &entry.location]
        .into_iter()
        .any(|text| has(text))
        || entry.roles.iter().any(|role| has(role.name()))
        || entry.addresses.iter().any(|net| has(&prefix(*net)))
        || entry.macs.iter().any(|octets| has(&mac_text(*octets)))
        || entry.components.iter().any(|it| {
            [&it.name, &it.version, &it.serial, &it.supplier].into_iter().any(|text| has(text))
        })
}

/// An address as files write it: without the length of a prefix that is one address.
fn prefix(net: ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// An entry, and where it stands.
#[derive(Serialize)]
pub(super) struct Item<'a> {
    id: &'a str,
    vendor: &'a str,
    model: &'a str,
    build: &'a str,
    serial: &'a str,
    location: &'a str,
    roles: Vec<&'static str>,
    addresses: Vec<String>,
    macs: Vec<String>,
    components: &'a [Component],
    /// Whether it came by the interface and not by the operator's file.
    imported: bool,
    /// When it sent something last; told of within an hour of it.
    last_seen: Option<String>,
    alerts: Standing,
}

impl<'a> Item<'a> {
    fn of(
        rulebook: Option<&Rulebook>,
        entry: &'a Equipment,
        last_seen: Option<Nanos>,
        alerts: Standing,
    ) -> Self {
        let is_imported = |book: &Rulebook| {
            let number = book.inventory.find(&entry.id);
            number.is_some_and(|number| book.is_imported(EquipmentId(number.0)))
        };
        Self {
            id: &entry.id,
            vendor: &entry.vendor,
            model: &entry.model,
            build: &entry.build,
            serial: &entry.serial,
            location: &entry.location,
            roles: entry.roles.iter().map(weir_policy::Role::name).collect(),
            addresses: entry.addresses.iter().map(|net| prefix(*net)).collect(),
            macs: entry.macs.iter().copied().map(mac_text).collect(),
            components: &entry.components,
            imported: rulebook.is_some_and(is_imported),
            last_seen: last_seen.map(timestamp),
            alerts,
        }
    }
}

/// What an entry did with a peer on a service.
#[derive(Serialize)]
struct Peer {
    name: String,
    /// Its id, if it is equipment.
    id: Option<String>,
    /// Its address, if it is equipment; else its network.
    ip: Option<String>,
    service: String,
    packets: u64,
    bytes: u64,
    first: String,
    last: String,
    declared: bool,
}

impl Peer {
    fn of(talk: Talk) -> Self {
        let service = talk.service();
        let Talk { far, packets, bytes, first, last, declared, address, name, .. } = talk;
        let network = if let Far::Network(net) = &far { Some(net.clone()) } else { None };
        Self {
            id: far.equipment().map(str::to_owned),
            ip: address.or(network),
            name: name.unwrap_or_else(|| far.name().to_owned()),
            service,
            packets,
            bytes,
            first: timestamp(first),
            last: timestamp(last),
            declared,
        }
    }
}

#[derive(Serialize)]
struct WithPeers<'a> {
    #[serde(flatten)]
    item: Item<'a>,
    peers: Vec<Peer>,
}

/// Entries of the same vendor, model, build and location.
#[derive(Serialize)]
struct Group<'a> {
    vendor: &'a str,
    model: &'a str,
    build: &'a str,
    location: &'a str,
    installed: u64,
    /// Those with open alerts.
    showing: u64,
}

#[derive(Serialize)]
struct Listed<'a> {
    items: Vec<Item<'a>>,
    next: Option<&'a str>,
    groups: Vec<Group<'a>>,
    groups_left_out: usize,
}

/// The groups of the whole inventory by their names, and how many found no room: those that show
/// nothing go first.
fn groups<'a>(
    entries: &'a [Equipment],
    standings: &HashMap<String, Standing>,
) -> (Vec<Group<'a>>, usize) {
    let mut counts: BTreeMap<[&str; 4], [u64; 2]> = BTreeMap::new();
    for entry in entries {
        let key = [&entry.vendor, &entry.model, &entry.build, &entry.location].map(String::as_str);
        let [installed, showing] = counts.entry(key).or_default();
        *installed += 1;
        *showing += u64::from(standings.contains_key(&entry.id));
    }
    let mut groups: Vec<Group<'_>> = counts
        .into_iter()
        .map(|([vendor, model, build, location], [installed, showing])| Group {
            vendor,
            model,
            build,
            location,
            installed,
            showing,
        })
        .collect();
    let left_out = groups.len().saturating_sub(GROUPS);
    if left_out > 0 {
        groups.sort_by_key(|group| group.showing == 0);
        groups.truncate(GROUPS);
    }
    (groups, left_out)
}

/// The inventory that was read last.
pub(super) fn rulebook(api: &Api) -> Option<Arc<Rulebook>> {
    lock(&api.live).rulebook.clone()
}

/// What is installed, by id.
pub(super) async fn list(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Answer<serde_json::Value> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let wanted = asked(query)?;
    let most = rows(wanted.limit)? as usize;
    let rulebook = rulebook(&api);
    let listed = api.ask(move |reader| {
        let (standings, seen) = (reader.standings(sees)?, reader.seen()?);
        let entries = rulebook.as_deref().map_or(&[][..], |book| book.inventory.equipment());
        let after = wanted.after.as_deref();
        let is_behind = |entry: &&Equipment| after.is_none_or(|after| entry.id.as_str() > after);
        let fitting = entries.iter().filter(is_behind).filter(|entry| wanted.fits(entry));
        let mut fitting: Vec<&Equipment> = fitting.collect();
        fitting.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let is_more = fitting.len() > most;
        fitting.truncate(most);
        let (groups, groups_left_out) = groups(entries, &standings);
        let listed = Listed {
            next: fitting.last().filter(|_| is_more).map(|entry| entry.id.as_str()),
            items: fitting
                .iter()
                .map(|entry| {
                    let standing = standings.get(&entry.id).copied().unwrap_or_default();
                    Item::of(rulebook.as_deref(), entry, seen.get(&entry.id).copied(), standing)
                })
                .collect(),
            groups,
            groups_left_out,
        };
        serde_json::to_value(listed).map_err(|error| Failure::unavailable(error.to_string()))
    });
    Ok(Json(listed.await?))
}

/// One entry.
pub(super) async fn one(
    State(api): State<Api>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Answer<serde_json::Value> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let id = named(path)?;
    let rulebook = rulebook(&api).ok_or_else(Failure::absent)?;
    let found = api.ask(move |reader| {
        let inventory = &rulebook.inventory;
        let entry = inventory.find(&id).and_then(|number| inventory.entry(number));
        let entry = entry.ok_or_else(Failure::absent)?;
        let item =
            Item::of(Some(&rulebook), entry, reader.last_seen(&id)?, reader.standing(&id, sees)?);
        let peers = reader.peers(&id)?;
        let item = WithPeers { item, peers: peers.into_iter().map(Peer::of).collect() };
        serde_json::to_value(item).map_err(|error| Failure::unavailable(error.to_string()))
    });
    Ok(Json(found.await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, location: &str) -> Equipment {
        let text = format!(
            "[[equipment]]\nid = \"{id}\"\nvendor = \"Vendor A\"\nmodel = \"M\"\nbuild = \"1\"\n\
             location = \"{location}\"\nroles = [\"gnb\"]\naddresses = [\"10.0.0.1\", \"2001:db8::/64\"]\n\
             macs = [\"00:11:22:33:44:AB\"]\ncomponents = [{{ name = \"baseband\", supplier = \"Sub\" }}]\n"
        );
        let read = weir_policy::inventory_from_str("inventory.toml", &text).unwrap();
        read.value.equipment()[0].clone()
    }

    #[test]
    fn an_entry_is_found_by_what_it_is_and_by_any_part_of_its_texts() {
        let gnb = entry("gnb-1", "site 17, rack 2");
        let fits = |wanted: Wanted| wanted.fits(&gnb);
        let place = |place: &str| Wanted { location: Some(place.into()), ..Wanted::default() };
        assert!(fits(place("site 17")) && fits(place("site 17, rack 2")));
        assert!(!fits(place("site 1")) && !fits(place("rack 2")));
        let part = |part: &str| Wanted { q: Some(part.into()), ..Wanted::default() };
        for found in ["GNB", "vendor a", "10.0.0.1", "2001:db8::/64", "44:ab", "SUB", "rack"] {
            assert!(fits(part(found)), "{found}");
        }
        assert!(!fits(part("upf")) && !fits(part("/32")));
        let vendor = |vendor: &str| Wanted { vendor: Some(vendor.into()), ..Wanted::default() };
        assert!(fits(vendor("Vendor A")) && !fits(vendor("Vendor")));
    }

    #[test]
    fn groups_that_show_something_are_listed_first_when_there_are_too_many() {
        let entries: Vec<Equipment> =
            (0..GROUPS + 2).map(|n| entry(&format!("gnb-{n}"), &format!("site {n:05}"))).collect();
        let last = entries.last().unwrap();
        let standings = HashMap::from([(last.id.clone(), Standing { open: 1, worst: None })]);
        let (groups, left_out) = groups(&entries, &standings);
        assert_eq!((groups.len(), left_out), (GROUPS, 2));
        assert_eq!((groups[0].location, groups[0].showing), (last.location.as_str(), 1));
        assert_eq!((groups[1].location, groups[1].installed), ("site 00000", 1));
    }
}
