//! `inventory.toml` of a scenario: the equipment as it is installed.

use std::net::IpAddr;

use serde::Serialize;

use crate::plan::{Link, interface_mac};
use crate::scenario::{Component, Role, Scenario};

#[derive(Serialize)]
struct Inventory<'a> {
    equipment: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    vendor: &'a str,
    model: &'a str,
    build: &'a str,
    serial: &'a str,
    location: &'a str,
    roles: [Role; 1],
    addresses: Vec<IpAddr>,
    macs: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    components: &'a [Component],
}

/// The text of `inventory.toml`.
pub(crate) fn text(scenario: &Scenario) -> Result<String, toml::ser::Error> {
    let equipment = scenario.equipment.iter().map(|equipment| {
        let own = equipment.addresses();
        let backhaul = equipment.backhaul.is_some();
        let links = Link::ALL
            .into_iter()
            .filter(|link| own[*link as usize].is_some() || (backhaul && *link == Link::N3));
        Entry {
            id: equipment.id.get_ref(),
            vendor: &equipment.vendor,
            model: &equipment.model,
            build: &equipment.build,
            serial: &equipment.serial,
            location: &equipment.location,
            roles: [equipment.role],
            addresses: own
                .into_iter()
                .flatten()
                .chain(equipment.backhaul.as_ref().map(|address| *address.get_ref()))
                .map(IpAddr::V4)
                .chain(
                    [&equipment.n3_v6, &equipment.n4_v6]
                        .into_iter()
                        .flatten()
                        .map(|address| IpAddr::V6(*address.get_ref())),
                )
                .collect(),
            macs: links
                .map(|link| interface_mac(*equipment.mac.get_ref(), link).to_string())
                .collect(),
            components: &equipment.components,
        }
    });
    toml::to_string(&Inventory { equipment: equipment.collect() })
}
