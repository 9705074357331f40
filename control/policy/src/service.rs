//! Services as the policy names them, taken apart into what a packet shows: protocol and ports.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Mistake;
use crate::nearest::{nearest, quoted};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// One protocol, and the responder's ports where the protocol has ports.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ServiceMatch {
    /// IP protocol number.
    pub protocol: u8,
    /// First and last destination port; `None` for protocols without ports.
    pub ports: Option<(u16, u16)>,
    /// Whether the rule's `to` end may open such a flow as well as its `from` end.
    pub either_way: bool,
}

const fn from_initiator(protocol: u8, first: u16, last: u16) -> ServiceMatch {
    ServiceMatch { protocol, ports: Some((first, last)), either_way: false }
}

const fn from_either(protocol: u8, first: u16, last: u16) -> ServiceMatch {
    ServiceMatch { protocol, ports: Some((first, last)), either_way: true }
}

const fn portless(protocol: u8) -> ServiceMatch {
    ServiceMatch { protocol, ports: None, either_way: true }
}

/// G-PDUs, PFCP requests, PTP messages and BGP sessions begin at either end, from any source port;
/// so do IKE, ICMP and tunnels. SNMP's traps come from the agent, whose manager the rule names first.
const NAMED: &[(&str, &[ServiceMatch])] = &[
    ("gtpu", &[from_either(UDP, 2152, 2152)]),
    ("pfcp", &[from_either(UDP, 8805, 8805)]),
    ("dns", &[from_initiator(UDP, 53, 53), from_initiator(TCP, 53, 53)]),
    ("ntp", &[from_initiator(UDP, 123, 123)]),
    ("ptp", &[from_either(UDP, 319, 320)]),
    (
        "syslog",
        &[
            from_initiator(UDP, 514, 514),
            from_initiator(TCP, 514, 514),
            from_initiator(TCP, 6514, 6514),
        ],
    ),
    ("ssh", &[from_initiator(TCP, 22, 22)]),
    ("netconf", &[from_initiator(TCP, 830, 830)]),
    ("snmp", &[from_initiator(UDP, 161, 161), from_either(UDP, 162, 162)]),
    ("bgp", &[from_either(TCP, 179, 179)]),
    ("sctp-n2", &[from_initiator(SCTP, 38412, 38412)]),
    ("https", &[from_initiator(TCP, 443, 443)]),
    (
        "ipsec",
        &[from_either(UDP, 500, 500), from_either(UDP, 4500, 4500), portless(50), portless(51)],
    ),
    ("icmp", &[portless(1), portless(58)]),
    ("gre", &[portless(47)]),
    ("vxlan", &[from_either(UDP, 4789, 4789)]),
    ("l2tp", &[from_either(UDP, 1701, 1701), portless(115)]),
];

impl ServiceMatch {
    /// How `services` writes a protocol and the responder's port, and nothing besides: by a name that
    /// stands for these alone, else as in `udp/53`. ICMP is one service in both families. None where
    /// the protocol has ports and this one is not known.
    pub fn narrowest(protocol: u8, port: Option<u16>) -> Option<String> {
        let port = port.filter(|port| *port > 0);
        if !Self::has_ports(protocol) {
            let named = Self::named_alone(protocol, None).or((protocol == 58).then_some("icmp"));
            let named = if protocol == 1 { Some("icmp") } else { named };
            return Some(named.map_or_else(|| format!("ip/{protocol}"), str::to_owned));
        }
        let port = port?;
        if let Some(name) = Self::named_alone(protocol, Some(port)) {
            return Some(name.to_owned());
        }
        let transport = match protocol {
            TCP => "tcp",
            UDP => "udp",
            _ => "sctp",
        };
        Some(format!("{transport}/{port}"))
    }

    /// What people call a protocol and port, if `services` has a name that stands for it among others.
    pub fn known_as(protocol: u8, port: Option<u16>) -> Option<&'static str> {
        let covers = |it: &Self| {
            it.protocol == protocol
                && it.ports.is_none_or(|(first, last)| {
                    port.is_some_and(|port| (first..=last).contains(&port))
                })
        };
        NAMED.iter().find(|(_, matches)| matches.iter().any(covers)).map(|(name, _)| *name)
    }

    /// Whether a rule for [`ServiceMatch::narrowest`] lets either end open the flow.
    pub fn is_either_way(protocol: u8, port: Option<u16>) -> bool {
        let Some(port) = port.filter(|_| Self::has_ports(protocol)) else {
            return !Self::has_ports(protocol);
        };
        let alone = |(_, matches): &&(&str, &[Self])| match matches {
            [only] => only.protocol == protocol && only.ports == Some((port, port)),
            _ => false,
        };
        NAMED.iter().find(alone).is_some_and(|(_, matches)| matches[0].either_way)
    }

    /// The name that stands for this and for nothing else.
    fn named_alone(protocol: u8, port: Option<u16>) -> Option<&'static str> {
        let ports = port.map(|port| (port, port));
        let alone = |matches: &[Self]| match matches {
            [only] => only.protocol == protocol && only.ports == ports,
            _ => false,
        };
        NAMED.iter().find(|(_, matches)| alone(matches)).map(|(name, _)| *name)
    }

    /// Whether this protocol has ports to match.
    pub(crate) fn has_ports(protocol: u8) -> bool {
        matches!(protocol, TCP | UDP | SCTP)
    }
}

/// What one entry of `services` stands for.
pub(crate) struct Service(pub(crate) Vec<ServiceMatch>);

impl FromStr for Service {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if let Some((_, matches)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(Self(matches.to_vec()));
        }
        let Some((protocol, ports)) = text.split_once('/') else {
            let remedy = match nearest(text, NAMED.iter().map(|(name, _)| *name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
                    format!("use one of: {}, or udp/123, or ip/47", names.join(", "))
                }
            };
            return Err(Mistake::new(format!("unknown service {}", quoted(text)), remedy));
        };
        let protocol = match protocol {
            "ip" => return without_ports(ports),
            "tcp" => TCP,
            "udp" => UDP,
            "sctp" => SCTP,
            _ => {
                let message = format!("{} is no protocol with ports", quoted(protocol));
                return Err(Mistake::new(message, "write tcp/…, udp/…, sctp/… or ip/…"));
            }
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => {
                Ok(Self(vec![from_initiator(protocol, first, last)]))
            }
            _ => Err(Mistake::new(
                format!("{} is neither a port nor a range of ports", quoted(ports)),
                "write a port from 1 to 65535, or a range as in udp/5000-5010",
            )),
        }
    }
}

/// `ip/47`: a protocol by its number, wholly, whoever begins.
fn without_ports(number: &str) -> Result<Service, Mistake> {
    let digits = number.bytes().all(|digit| digit.is_ascii_digit());
    match number.parse().ok().filter(|_| digits) {
        Some(protocol) if ServiceMatch::has_ports(protocol) => Err(Mistake::new(
            format!("IP protocol {protocol} has ports"),
            "write tcp/…, udp/… or sctp/… with a port or a range",
        )),
        Some(protocol) => Ok(Service(vec![portless(protocol)])),
        None => Err(Mistake::new(
            format!("{} is no IP protocol", quoted(number)),
            "write a number from 0 to 255, as in ip/47 for GRE",
        )),
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Result<Vec<ServiceMatch>, Mistake> {
        text.parse::<Service>().map(|service| service.0)
    }

    #[test]
    fn names_stand_for_protocols_and_ports() {
        assert_eq!(service("gtpu").unwrap(), [from_either(17, 2152, 2152)]);
        assert_eq!(
            service("dns").unwrap(),
            [from_initiator(17, 53, 53), from_initiator(6, 53, 53)]
        );
        assert_eq!(service("netconf").unwrap(), [from_initiator(6, 830, 830)]);
        assert_eq!(service("sctp-n2").unwrap()[0].protocol, 132);
        assert_eq!(service("icmp").unwrap(), [portless(1), portless(58)]);
        let ipsec = service("ipsec").unwrap();
        assert_eq!(ipsec.iter().map(|m| m.protocol).collect::<Vec<_>>(), [17, 17, 50, 51]);
        assert!(ipsec.iter().all(|m| m.either_way));
    }

    #[test]
    fn ports_and_ranges_are_read_within_their_bounds() {
        assert_eq!(service("udp/123").unwrap(), [from_initiator(17, 123, 123)]);
        assert_eq!(service("tcp/1-65535").unwrap(), [from_initiator(6, 1, 65535)]);
        for wrong in ["udp/0", "udp/65536", "udp/", "tcp/9-3", "sctp/1-", "udp/+5", "udp/1-2-3"] {
            assert!(service(wrong).unwrap_err().message.contains("neither a port"), "{wrong}");
        }
        assert_eq!(service("icmp/8").unwrap_err().remedy, "write tcp/…, udp/…, sctp/… or ip/…");
    }

    #[test]
    fn tunnels_have_names_and_every_protocol_without_ports_a_number() {
        assert_eq!(service("gre"), service("ip/47"));
        assert_eq!(service("vxlan").unwrap(), [from_either(17, 4789, 4789)]);
        assert_eq!(service("l2tp").unwrap(), [from_either(17, 1701, 1701), portless(115)]);
        assert_eq!(service("ip/4").unwrap(), [portless(4)]);
        for wrong in ["ip/256", "ip/", "ip/+4", "ip/4-7", "ip/gre"] {
            assert!(service(wrong).unwrap_err().message.contains("no IP protocol"), "{wrong}");
        }
        for wrong in ["ip/6", "ip/17", "ip/132"] {
            assert!(service(wrong).unwrap_err().remedy.contains("with a port"), "{wrong}");
        }
    }

    #[test]
    fn the_narrowest_name_stands_for_what_was_seen_alone() {
        let narrowest = |protocol, port| ServiceMatch::narrowest(protocol, port).unwrap();
        assert_eq!(narrowest(17, Some(2152)), "gtpu");
        assert_eq!(narrowest(6, Some(443)), "https");
        assert_eq!(narrowest(17, Some(53)), "udp/53", "`dns` would open TCP too");
        assert_eq!(narrowest(6, Some(514)), "tcp/514");
        assert_eq!(narrowest(132, Some(9)), "sctp/9");
        assert_eq!((narrowest(1, None), narrowest(58, None)), ("icmp".into(), "icmp".into()));
        assert_eq!((narrowest(47, None), narrowest(4, None)), ("gre".into(), "ip/4".into()));
        assert_eq!(ServiceMatch::narrowest(6, None), None);
        assert_eq!(ServiceMatch::narrowest(17, Some(0)), None);
        for (protocol, port) in [(17, Some(2152)), (6, Some(830)), (17, Some(53)), (47, None)] {
            let only = service(&narrowest(protocol, port)).unwrap();
            assert!(only.iter().all(|it| it.protocol == protocol), "{only:?}");
            assert_eq!(only[0].either_way, ServiceMatch::is_either_way(protocol, port));
        }
        assert_eq!(ServiceMatch::known_as(17, Some(53)), Some("dns"));
        assert_eq!(ServiceMatch::known_as(17, Some(4444)), None);
    }

    #[test]
    fn an_unknown_service_names_the_nearest() {
        assert_eq!(service("gtp-u").unwrap_err().remedy, "did you mean `gtpu`?");
        assert!(service("telepathy").unwrap_err().remedy.contains("udp/123"));
    }
}
