//! Who has which address: equipment by link, subscribers and Internet hosts by number.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::frame::MacAddr;
use crate::pfcp;
use crate::scenario::{Equipment, Role, Scenario, Slice, domain_name, slice};

/// A link of the network that a tap sees.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// gNB to UPF.
    N3,
    /// SMF to UPF.
    N4,
    /// UPF to the data network, before NAT.
    N6,
    /// Operation and maintenance.
    Oam,
}

impl Link {
    /// Every link, in the order of the enumeration.
    pub const ALL: [Self; 4] = [Self::N3, Self::N4, Self::N6, Self::Oam];

    /// The link's name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::N3 => "n3",
            Self::N4 => "n4",
            Self::N6 => "n6",
            Self::Oam => "oam",
        }
    }
}

/// A box as the traffic needs it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub id: String,
    pub role: Role,
    pub chooses_f_teid: bool,
    /// It tells the F-TEIDs that it chose only when a session is modified.
    pub tells_late: bool,
    pub reuses_numbers: bool,
    /// It serves nobody but those who are scripted.
    pub reserved: bool,
    pub heartbeats_unnumbered: bool,
    /// Its heartbeat requests carry the present as their Recovery Time Stamp.
    pub follows_clock: bool,
    /// Where it meets its security gateway.
    pub backhaul: Option<Ipv4Addr>,
    mac: MacAddr,
    addresses: [Option<Ipv4Addr>; 4],
    n3_v6: Option<Ipv6Addr>,
    n4_v6: Option<Ipv6Addr>,
    pfcp_port: u16,
}

impl Node {
    fn new(equipment: &Equipment) -> Self {
        Self {
            id: equipment.id.get_ref().clone(),
            role: equipment.role,
            chooses_f_teid: equipment.chooses_f_teid || equipment.tells_f_teid_late,
            tells_late: equipment.tells_f_teid_late,
            reuses_numbers: equipment.reuses_numbers,
            heartbeats_unnumbered: equipment.heartbeats_unnumbered,
            reserved: equipment.reserved,
            follows_clock: equipment.recovery_follows_clock,
            backhaul: equipment.backhaul.as_ref().map(|address| *address.get_ref()),
            mac: *equipment.mac.get_ref(),
            addresses: equipment.addresses(),
            n3_v6: equipment.n3_v6.as_ref().map(|address| *address.get_ref()),
            n4_v6: equipment.n4_v6.as_ref().map(|address| *address.get_ref()),
            pfcp_port: equipment.pfcp_port.unwrap_or(pfcp::PORT),
        }
    }

    /// The address on a link; asked only for nodes chosen by `Plan::with` for that link.
    pub(crate) fn on(&self, link: Link) -> Ipv4Addr {
        self.addresses[link as usize].expect("the scenario's check asked for this interface")
    }

    /// The IPv6 address on N3; asked only where the scenario's check found one.
    pub(crate) fn n3_v6(&self) -> Ipv6Addr {
        self.n3_v6.expect("the scenario's check asked for this address")
    }

    pub(crate) fn has(&self, link: Link) -> bool {
        self.addresses[link as usize].is_some()
    }

    pub(crate) fn mac(&self, link: Link) -> MacAddr {
        interface_mac(self.mac, link)
    }
}

impl Equipment {
    /// Addresses in the order of the links.
    pub(crate) fn addresses(&self) -> [Option<Ipv4Addr>; 4] {
        [&self.n3, &self.n4, &self.n6, &self.oam]
            .map(|address| address.as_ref().map(|a| *a.get_ref()))
    }
}

/// The address of a box's interface on a link, counted upwards from its first.
pub(crate) fn interface_mac(first: MacAddr, link: Link) -> MacAddr {
    MacAddr(first.0, first.1, first.2, first.3, first.4, first.5 + link as u8)
}

/// Where a session leads: a data network, which names its network instance, and a slice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Realm {
    #[serde(deserialize_with = "domain_name")]
    pub dnn: String,
    #[serde(deserialize_with = "slice")]
    pub slice: Slice,
}

/// All addresses of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub nodes: Vec<Node>,
    pub realm: Realm,
    /// A second data network, whose addresses are those of the first again.
    pub second: Option<Realm>,
    owners: BTreeMap<IpAddr, usize>,
    ue4: Ipv4Net,
    ue6: Ipv6Net,
    internet4: Ipv4Net,
    internet6: Ipv6Net,
}

impl Plan {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let nodes: Vec<Node> = scenario.equipment.iter().map(Node::new).collect();
        let owners = nodes
            .iter()
            .enumerate()
            .flat_map(|(index, node)| {
                let four = node.addresses.iter().chain([&node.backhaul]).flatten();
                let six = node.n4_v6.map(IpAddr::V6);
                four.map(|a| IpAddr::V4(*a)).chain(six).map(move |a| (a, index))
            })
            .collect();
        Self {
            nodes,
            realm: Realm { dnn: scenario.plan.dnn.clone(), slice: scenario.plan.slice },
            second: scenario.plan.second.clone(),
            owners,
            ue4: *scenario.plan.ue4.get_ref(),
            ue6: *scenario.plan.ue6.get_ref(),
            internet4: *scenario.plan.internet4.get_ref(),
            internet6: *scenario.plan.internet6.get_ref(),
        }
    }

    /// Indices of the nodes of a role that are on all of the links.
    pub(crate) fn with(&self, role: Role, links: &[Link]) -> Vec<usize> {
        let fits = |node: &Node| node.role == role && links.iter().all(|link| node.has(*link));
        (0..self.nodes.len()).filter(|index| fits(&self.nodes[*index])).collect()
    }

    /// The first node of a role on a link.
    pub(crate) fn first(&self, role: Role, link: Link) -> usize {
        self.with(role, &[link])[0]
    }

    /// The index of the node with an id that the scenario's check has found.
    pub(crate) fn named(&self, id: &str) -> usize {
        self.nodes.iter().position(|node| node.id == id).expect("the scenario's check found it")
    }

    /// Where an SMF and a UPF meet on N4: over IPv6 if both can.
    pub(crate) fn n4(&self, smf: usize, upf: usize) -> [SocketAddr; 2] {
        let six = self.nodes[smf].n4_v6.is_some() && self.nodes[upf].n4_v6.is_some();
        [smf, upf].map(|index| {
            let node = &self.nodes[index];
            let six = node.n4_v6.filter(|_| six).map(IpAddr::V6);
            SocketAddr::new(six.unwrap_or_else(|| node.on(Link::N4).into()), node.pfcp_port)
        })
    }

    /// Who answers for an address on a link: its owner, else the router that leads to it.
    pub(crate) fn mac(&self, link: Link, address: IpAddr) -> MacAddr {
        let owner = self.owners.get(&address).copied();
        let owner = owner.filter(|index| self.nodes[*index].has(link));
        let router = || self.with(Role::Router, &[link]).first().copied();
        match owner.or_else(router) {
            Some(index) => self.nodes[index].mac(link),
            None => MacAddr::broadcast(),
        }
    }

    /// The address of a subscriber, counted from the second of the pool. An IPv6 subscriber has a
    /// /64 of which it uses one address.
    pub(crate) fn subscriber(&self, number: u32, six: bool) -> IpAddr {
        if six {
            IpAddr::V6(nth64(self.ue6, number, 1))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(self.ue4.network().to_bits() + 1 + number))
        }
    }

    /// An Internet host by any number.
    pub(crate) fn host(&self, number: u32, six: bool) -> IpAddr {
        if six {
            IpAddr::V6(nth64(self.internet6, number, 0x53))
        } else {
            let room = 1u64 << (32 - self.internet4.prefix_len());
            let offset = (u64::from(number) % room) as u32;
            IpAddr::V4(Ipv4Addr::from_bits(self.internet4.network().to_bits() + offset))
        }
    }

    /// The resolver that subscribers use.
    pub(crate) fn resolver(&self, six: bool) -> IpAddr {
        self.host(53, six)
    }
}

fn nth64(net: Ipv6Net, number: u32, host: u64) -> Ipv6Addr {
    let room = 1u128 << (64 - net.prefix_len()).min(32);
    let prefix = (u128::from(number) % room) << 64;
    Ipv6Addr::from_bits(net.network().to_bits() | prefix | u128::from(host))
}
