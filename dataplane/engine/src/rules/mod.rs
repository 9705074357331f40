//! The policy as the engine uses it: who is who, on which link, and what
//! equipment may do. Compiled off the packet path, then shared and immutable.

mod declared;
mod sessions;
mod settings;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use weir_wire::Address;

use crate::Nanos;
use crate::lpm::{Lpm, Prefix};

use sessions::SessionRules;

pub use declared::{Allow, End, Equipment, Quirk, RuleSet, Service};
pub use sessions::Authorised;
pub use settings::Settings;

/// An equipment's number: its index in the policy's list.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct EquipmentId(pub u32);

/// The kind of link that a tap sees, or that a frame was inferred to be on.
/// The codes are those of the policy message.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Link {
    N2,
    N3,
    N4,
    N6,
    N9,
    Xn,
    F1,
    S1u,
    Sbi,
    Oam,
    #[default]
    Mixed,
}

impl Link {
    /// Every link, in the order of its code.
    pub const ALL: [Link; 11] = [
        Link::N2,
        Link::N3,
        Link::N4,
        Link::N6,
        Link::N9,
        Link::Xn,
        Link::F1,
        Link::S1u,
        Link::Sbi,
        Link::Oam,
        Link::Mixed,
    ];

    /// The name in configuration, events and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Link::N2 => "n2",
            Link::N3 => "n3",
            Link::N4 => "n4",
            Link::N6 => "n6",
            Link::N9 => "n9",
            Link::Xn => "xn",
            Link::F1 => "f1",
            Link::S1u => "s1u",
            Link::Sbi => "sbi",
            Link::Oam => "oam",
            Link::Mixed => "mixed",
        }
    }

    /// From its code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Sets of roles as bits; the bits are those of the policy message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Roles(pub u32);

impl Roles {
    /// gNB, CU or DU: the radio side.
    pub const RADIO: Roles = Roles(0b111);
    /// UPF.
    pub const UPF: Roles = Roles(1 << 3);
    /// SMF.
    pub const SMF: Roles = Roles(1 << 4);
    /// Mediation function of lawful interception.
    pub const MEDIATION: Roles = Roles(1 << 12);
    /// Router, security gateway: they pass on what others sent.
    pub const ROUTING: Roles = Roles(0b11 << 6);
    /// DNS.
    pub const DNS: Roles = Roles(1 << 9);
    /// NTP.
    pub const NTP: Roles = Roles(1 << 10);
    /// Operation and maintenance: O&M stations, DNS, NTP, syslog, mediation.
    pub const OAM: Roles = Roles(0b1_1111 << 8);

    /// Whether any role of `wanted` is held.
    pub const fn any(self, wanted: Roles) -> bool {
        self.0 & wanted.0 != 0
    }
}

/// Who the holder of an address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Party {
    /// In none of the lists.
    Unknown,
    /// In the inventory.
    Equipment(EquipmentId),
    /// A subscriber, or behind a declared NAT.
    Subscriber,
    /// A declared local break-out server.
    Mec,
    /// A declared roaming partner.
    Roaming,
}

impl Party {
    const INDEX: u32 = 28;

    /// As one word, for a table row or a record; 0 is [`Party::Unknown`].
    pub const fn pack(self) -> u32 {
        match self {
            Party::Unknown => 0,
            Party::Equipment(EquipmentId(index)) => 1 << Self::INDEX | index,
            Party::Subscriber => 2 << Self::INDEX,
            Party::Mec => 3 << Self::INDEX,
            Party::Roaming => 4 << Self::INDEX,
        }
    }

    /// From that word.
    #[inline]
    pub const fn unpack(word: u32) -> Self {
        match word >> Self::INDEX {
            1 => Party::Equipment(EquipmentId(word & ((1 << Self::INDEX) - 1))),
            2 => Party::Subscriber,
            3 => Party::Mec,
            4 => Party::Roaming,
            _ => Party::Unknown,
        }
    }

    /// The equipment's number, if it is one.
    pub const fn equipment(self) -> Option<EquipmentId> {
        match self {
            Party::Equipment(id) => Some(id),
            _ => None,
        }
    }
}

/// The compiled policy.
#[derive(Debug)]
pub struct Rules {
    version: u64,
    sha256: [u8; 32],
    equipment: Vec<Equipment>,
    by_mac: HashMap<[u8; 6], EquipmentId>,
    parties: Lpm,
    links: Lpm,
    nat: Vec<(Link, Lpm)>,
    declared: Lpm,
    /// Where no user's packet may go; none if nothing was said.
    infrastructure: Option<Lpm>,
    sessions: SessionRules,
    esp_only: Vec<(Prefix, Prefix)>,
    allow: Vec<Allow>,
    quirks: Vec<Quirk>,
    settings: Settings,
}

/// Why a policy can't be compiled.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// More equipment than a packed party can number.
    #[error("{0} equipment entries; at most 2^28 are possible")]
    TooMuchEquipment(usize),
}

impl Rules {
    /// Compiles the policy.
    ///
    /// # Errors
    /// [`RulesError::TooMuchEquipment`]
    pub fn compile(set: RuleSet) -> Result<Self, RulesError> {
        if set.equipment.len() >= 1 << Party::INDEX {
            return Err(RulesError::TooMuchEquipment(set.equipment.len()));
        }
        let ids = || (0..).map(EquipmentId);
        let mut parties = Lpm::default();
        // The truth table, from its last row to its first.
        let class = |party: Party| move |prefix: &Prefix| (*prefix, party.pack());
        parties.paint(set.roaming.iter().map(class(Party::Roaming)));
        parties.paint(set.mec.iter().map(class(Party::Mec)));
        parties.paint(set.ue_pools.iter().map(class(Party::Subscriber)));
        let in_instances = set.instance_pools.iter().map(|(prefix, _)| prefix);
        parties.paint(in_instances.map(class(Party::Subscriber)));
        parties.paint(ids().zip(&set.equipment).flat_map(|(id, equipment)| {
            equipment.prefixes.iter().map(class(Party::Equipment(id)))
        }));
        let by_mac = ids()
            .zip(&set.equipment)
            .flat_map(|(id, equipment)| equipment.macs.iter().map(move |mac| (*mac, id)))
            .collect();
        let mut nat: Vec<(Link, Lpm)> = Vec::new();
        for link in Link::ALL {
            let mut on_link = set.nat.iter().filter(|(of, _)| *of == link).peekable();
            if on_link.peek().is_some() {
                nat.push((link, Lpm::of(on_link.map(|(_, prefix)| (*prefix, 1)))));
            }
        }
        let infrastructure = (!set.infrastructure.is_empty()).then(|| forbidden_to_users(&set));
        Ok(Self {
            version: set.version,
            sha256: set.sha256,
            by_mac,
            parties,
            links: Lpm::of(
                set.link_defaults.iter().map(|(prefix, link)| (*prefix, *link as u32 + 1)),
            ),
            nat,
            declared: Lpm::of(
                set.allow
                    .iter()
                    .flat_map(|allow| [allow.from.prefix, allow.to.prefix])
                    .flatten()
                    .map(|prefix| (prefix, 1)),
            ),
            infrastructure,
            sessions: SessionRules {
                own: Lpm::of(set.infrastructure.iter().map(|prefix| (*prefix, 1))),
                pools: (set.ue_pools.into_iter().map(|prefix| (prefix, None)))
                    .chain(set.instance_pools.into_iter().map(|(pool, name)| (pool, Some(name))))
                    .collect(),
                dnns: set.dnns,
                slices: set.slices,
                smf_sets: set.smf_sets,
                mediation: set.authorised.iter().flatten().map(|order| order.to).collect(),
                authorised: set.authorised,
                import_grace: set.import_grace,
            },
            esp_only: set.esp_only,
            equipment: set.equipment,
            allow: set.allow,
            quirks: set.quirks,
            settings: set.settings,
        })
    }

    /// The version that control gave this policy.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The hash of what it was made of.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// A number that tells this policy from others, even of the same version.
    pub fn identity(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.sha256;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ (self.version << 1 | 1)
    }

    /// The parameters of the detections.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of inventory entries.
    pub fn installed(&self) -> usize {
        self.equipment.len()
    }

    /// The number of allow rules.
    pub fn allow_rules(&self) -> usize {
        self.allow.len()
    }

    /// An entry of the inventory.
    #[inline]
    pub fn equipment(&self, id: EquipmentId) -> Option<&Equipment> {
        self.equipment.get(id.0 as usize)
    }

    /// The equipment that a MAC address is listed for.
    pub fn equipment_by_mac(&self, mac: [u8; 6]) -> Option<EquipmentId> {
        self.by_mac.get(&mac).copied()
    }

    /// Who holds an address, NAT apart; packed.
    #[inline]
    pub fn party(&self, address: Address) -> u32 {
        self.parties.find(address)
    }

    /// The link that an address is declared to be on.
    #[inline]
    pub fn link_default(&self, address: Address) -> Option<Link> {
        Link::from_code((self.links.find(address) as u8).checked_sub(1)?)
    }

    /// Whether any address stands for subscribers behind a NAT.
    #[inline]
    pub fn knows_nat(&self) -> bool {
        !self.nat.is_empty()
    }

    /// Whether an address stands for subscribers behind a NAT: on that link, or
    /// on an undeclared one for anything but GTP and PFCP.
    #[inline]
    pub fn is_nat(&self, address: Address, link: Link, is_gtp_or_pfcp: bool) -> bool {
        self.nat.iter().any(|(of, table)| {
            (*of == link || (link == Link::Mixed && !is_gtp_or_pfcp)) && table.find(address) != 0
        })
    }

    /// Whether a user's packet may not go where it goes; `destination` is asked
    /// only if the policy names infrastructure.
    #[inline]
    pub fn closes_infrastructure(&self, destination: impl FnOnce() -> Option<Address>) -> bool {
        self.infrastructure.as_ref().is_some_and(|table| {
            destination().is_some_and(|address| table.find(address) == FORBIDDEN)
        })
    }

    /// The same of an IPv4 address.
    #[inline]
    pub(crate) fn closes_infrastructure_v4(&self, destination: u32) -> bool {
        let table = self.infrastructure.as_ref();
        table.is_some_and(|table| table.find_v4(destination) == FORBIDDEN)
    }

    /// Whether only ESP may pass between two addresses.
    pub fn is_esp_only(&self, a: Address, b: Address) -> bool {
        self.esp_only.iter().any(|(from, to)| {
            (from.contains(a) && to.contains(b)) || (from.contains(b) && to.contains(a))
        })
    }

    /// Whether what a detection found on an equipment is its vendor's known oddity.
    pub fn is_quirk(&self, detection: u16, equipment: EquipmentId, value: &str) -> bool {
        self.quirks.iter().any(|quirk| {
            quirk.detection == detection
                && quirk.value == value
                && quirk.equipment.binary_search(&equipment).is_ok()
        })
    }

    /// Whether some allow rule names this address by a prefix.
    pub fn is_declared(&self, address: Address) -> bool {
        self.declared.find(address) != 0
    }

    /// Whether a flow opened by `from` towards `to` is allowed at `time`.
    pub fn allows(
        &self,
        from: (Party, Address),
        to: (Party, Address),
        protocol: u8,
        port: Option<u16>,
        time: Nanos,
    ) -> bool {
        self.allowing(from, to, protocol, port, time).next().is_some()
    }

    /// The rules that allow it. `port` is the responder's; none where it is unknown (later
    /// fragments), which any rule on that protocol then covers.
    pub fn allowing(
        &self,
        from: (Party, Address),
        to: (Party, Address),
        protocol: u8,
        port: Option<u16>,
        time: Nanos,
    ) -> impl Iterator<Item = &Allow> {
        self.allow.iter().filter(move |rule| {
            if rule.not_after.is_some_and(|end| time > end) {
                return false;
            }
            let serves = move |service: &Service| {
                service.protocol == protocol
                    && match (service.ports, port) {
                        (Some((first, last)), Some(port)) => (first..=last).contains(&port),
                        _ => true,
                    }
            };
            let forward = || rule.from.holds(from.0, from.1) && rule.to.holds(to.0, to.1);
            let backward = || rule.from.holds(to.0, to.1) && rule.to.holds(from.0, from.1);
            rule.services.iter().any(serves)
                && (forward()
                    || (rule.services.iter().any(|s| s.either_way && serves(s)) && backward()))
        })
    }
}

const FORBIDDEN: u32 = 1;
const OPEN: u32 = 2;

/// Infrastructure, less what subscribers may reach: the pools amid it by the
/// longer prefix, local break-out and DNS servers whatever the lengths.
fn forbidden_to_users(set: &RuleSet) -> Lpm {
    let mut table = Lpm::of(
        (set.ue_pools.iter().map(|prefix| (*prefix, OPEN)))
            .chain(set.infrastructure.iter().map(|prefix| (*prefix, FORBIDDEN))),
    );
    let resolvers = set.equipment.iter().filter(|equipment| equipment.roles.any(Roles::DNS));
    table.paint(
        (set.mec.iter())
            .chain(resolvers.flat_map(|equipment| &equipment.prefixes))
            .map(|prefix| (*prefix, OPEN)),
    );
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn prefix(text: &str) -> Prefix {
        let (head, len) = text.split_once('/').unwrap();
        Prefix::new(address(head), len.parse().unwrap()).unwrap()
    }

    fn rules() -> Rules {
        let equipment =
            |text: &str| Equipment { prefixes: vec![prefix(text)], ..Equipment::default() };
        let end = |id| End { equipment: Some(vec![EquipmentId(id)]), prefix: None };
        Rules::compile(RuleSet {
            equipment: vec![equipment("10.60.0.0/24"), equipment("10.0.1.1/32")],
            ue_pools: vec![prefix("10.60.0.0/16"), prefix("10.60.0.7/32")],
            mec: vec![prefix("10.0.9.0/24")],
            nat: vec![(Link::N6, prefix("203.0.113.0/28"))],
            allow: vec![
                Allow {
                    from: end(0),
                    to: end(1),
                    services: vec![Service {
                        protocol: 6,
                        ports: Some((22, 22)),
                        either_way: false,
                    }],
                    not_after: Some(Nanos(100)),
                    is_periodic: false,
                },
                Allow {
                    from: end(0),
                    to: end(1),
                    services: vec![Service {
                        protocol: 17,
                        ports: Some((2152, 2152)),
                        either_way: true,
                    }],
                    not_after: None,
                    is_periodic: false,
                },
            ],
            ..RuleSet::default()
        })
        .unwrap()
    }

    #[test]
    fn the_truth_table_has_its_precedence() {
        let rules = rules();
        let party = |text| Party::unpack(rules.party(address(text)));
        // The inventory comes before the pools, whatever the lengths.
        assert_eq!(party("10.60.0.7"), Party::Equipment(EquipmentId(0)));
        assert_eq!(party("10.60.1.7"), Party::Subscriber);
        assert_eq!(party("10.0.9.1"), Party::Mec);
        assert_eq!(party("192.0.2.1"), Party::Unknown);
        let nat = address("203.0.113.5");
        assert!(rules.is_nat(nat, Link::N6, true));
        assert!(rules.is_nat(nat, Link::Mixed, false));
        assert!(!rules.is_nat(nat, Link::Mixed, true));
        assert!(!rules.is_nat(nat, Link::N3, false));
    }

    #[test]
    fn infrastructure_is_closed_but_for_pools_break_out_and_resolvers() {
        let rules = Rules::compile(RuleSet {
            infrastructure: vec![prefix("10.0.0.0/8"), prefix("10.60.9.0/24")],
            ue_pools: vec![prefix("10.60.0.0/16")],
            mec: vec![prefix("10.0.9.0/24")],
            equipment: vec![Equipment {
                roles: Roles::DNS,
                prefixes: vec![prefix("10.0.3.53/32")],
                ..Equipment::default()
            }],
            ..RuleSet::default()
        })
        .unwrap();
        for (text, closed) in [
            ("10.0.1.1", true),
            ("10.60.1.1", false),
            ("10.60.9.1", true),
            ("10.0.9.1", false),
            ("10.0.3.53", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(rules.closes_infrastructure(|| Some(address(text))), closed, "{text}");
        }
        let silent = Rules::compile(RuleSet::default()).unwrap();
        assert!(!silent.closes_infrastructure(|| unreachable!()));
    }

    #[test]
    fn rules_hold_in_their_direction_port_and_time() {
        let rules = rules();
        let a = (Party::Equipment(EquipmentId(0)), address("10.60.0.1"));
        let b = (Party::Equipment(EquipmentId(1)), address("10.0.1.1"));
        assert!(rules.allows(a, b, 6, Some(22), Nanos(100)));
        assert!(!rules.allows(a, b, 6, Some(22), Nanos(101)));
        assert!(!rules.allows(b, a, 6, Some(22), Nanos(1)));
        assert!(!rules.allows(a, b, 6, Some(23), Nanos(1)));
        assert!(!rules.allows(a, b, 17, Some(22), Nanos(1)));
        // GTP-U is opened by either end, from any port.
        assert!(rules.allows(a, b, 17, Some(2152), Nanos(1)));
        assert!(rules.allows(b, a, 17, Some(2152), Nanos(1)));
        // The port of a later fragment is unknown.
        assert!(rules.allows(a, b, 6, None, Nanos(1)));
    }
}
