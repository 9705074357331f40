//! Networks that the peers' filters name.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether an address is in one of these. They are written out in this crate.
pub(super) fn is_within(address: IpAddr, networks: &[&str]) -> bool {
    networks
        .iter()
        .any(|network| network.parse::<IpNet>().is_ok_and(|network| network.contains(&address)))
}

#[cfg(test)]
pub(super) fn all_parse(networks: &[&str]) -> bool {
    networks.iter().all(|network| network.parse::<IpNet>().is_ok())
}
