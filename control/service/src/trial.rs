//! What a policy would have made of what is stored: which alerts it would have silenced, and which
//! conversations that were allowed it would have flagged.
//!
//! Of a peer that is no equipment only its network is stored. Where a rule names a part of that, the
//! conversation may be allowed or not: it is counted as not sure, and not held against the policy.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::Initiator;
use weir_engine::detect::{CATALOGUE, EGR_NOTALLOWED, GTP_PEER, INV_UNKNOWN, TUN_FOREIGN};
use weir_policy::{End, EquipmentId, Inventory, Policy, ServiceMatch};

use crate::eve::timestamp;
use crate::site::far::Far;
use crate::site::hours::{INITIATORS, service};
use crate::store::Talk;

/// Findings of each kind that are listed.
const LISTED: usize = 200;

const CONNECTIONS: [u8; 2] = [6, 132];

/// What an event tells of the conversation that an alert is about.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Opening {
    pub initiator: Initiator,
    pub protocol: u8,
    /// The responder's; none where there is none, or it is not known.
    pub port: Option<u16>,
    pub packets: u64,
    pub bytes: u64,
    pub last: Nanos,
}

#[derive(Deserialize)]
struct Event {
    src_ip: Option<IpAddr>,
    src_port: Option<u16>,
    dest_port: Option<u16>,
    proto: Option<String>,
    weir: Told,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    initiator: Initiator,
    peer: Option<PeerTold>,
    packets: u64,
    bytes: u64,
    last: jiff::Timestamp,
}

#[derive(Deserialize)]
struct PeerTold {
    ip: IpAddr,
}

/// Reads an alert's event; none if it tells of no packet.
pub fn opening(event: &str) -> Option<Opening> {
    let event: Event = serde_json::from_str(event).ok()?;
    let protocol = match event.proto.as_deref()? {
        "ICMP" => 1,
        "TCP" => 6,
        "UDP" => 17,
        "IPv6-ICMP" => 58,
        "SCTP" => 132,
        number => number.parse().ok()?,
    };
    let peer = event.weir.peer?.ip;
    // The packet that is told of may have gone either way.
    let (own, theirs) = if event.src_ip == Some(peer) {
        (event.dest_port, event.src_port)
    } else {
        (event.src_port, event.dest_port)
    };
    let is_service = |port: &u16| ServiceMatch::known_as(protocol, Some(*port)).is_some();
    let port = match event.weir.initiator {
        Initiator::Equipment => theirs,
        Initiator::Peer => own,
        Initiator::Unknown => {
            let ports = [theirs, own].into_iter().flatten();
            ports.clone().find(is_service).or_else(|| ports.min())
        }
    };
    Some(Opening {
        initiator: event.weir.initiator,
        protocol,
        port,
        packets: event.weir.packets,
        bytes: event.weir.bytes,
        last: Nanos(u64::try_from(event.weir.last.as_nanosecond()).unwrap_or(0)),
    })
}

impl Opening {
    /// What it was about, in the words of a policy.
    pub fn service(&self) -> String {
        service(self.protocol, self.port.unwrap_or(0))
    }
}

/// Whether a rule allows something; of a network, perhaps a part of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Allowed {
    No,
    Partly,
    Yes,
}

/// An end of a conversation as rules see it.
enum Side<'a> {
    Entry(EquipmentId, &'a [IpNet]),
    Net(IpNet),
}

impl Side<'_> {
    /// Whether it lies in a prefix.
    fn lies_in(&self, cidr: IpNet) -> Allowed {
        let nets = match self {
            Self::Entry(_, nets) => *nets,
            Self::Net(net) => std::slice::from_ref(net),
        };
        let within = |net: &IpNet| {
            if cidr.contains(net) {
                Allowed::Yes
            } else if net.contains(&cidr) {
                Allowed::Partly
            } else {
                Allowed::No
            }
        };
        nets.iter().map(within).max().unwrap_or(Allowed::No)
    }
}

/// A policy that is tried, with the inventory that it was checked against.
pub struct Trial<'a> {
    inventory: &'a Inventory,
    policy: &'a Policy,
}

/// A stored alert as a trial needs it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Stored {
    pub id: String,
    pub detection: String,
    pub equipment: Option<String>,
    pub peer: Option<IpAddr>,
    pub last: Nanos,
    pub event: String,
}

/// An alert that would not have been said.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Silenced {
    pub id: String,
    pub detection: String,
    pub title: &'static str,
    pub equipment: Option<String>,
    pub peer: Option<String>,
    /// `switched off`, `suppressed` or `allowed`.
    pub because: &'static str,
}

/// A conversation that would have been flagged.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Flagged {
    pub equipment: String,
    pub peer: String,
    pub peer_equipment: Option<String>,
    pub service: String,
    pub initiator: Initiator,
    pub bytes: u64,
    pub last: String,
}

/// What came of a trial.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The latest alerts that would not have been said.
    pub would_be_silent: Vec<Silenced>,
    /// Conversations that would have been flagged, most bytes first.
    pub would_be_flagged: Vec<Flagged>,
    /// How many of both there are.
    pub silent: usize,
    /// The same of conversations.
    pub flagged: usize,
    /// Alerts and conversations that were judged.
    pub judged: usize,
    /// Conversations of which only a part may be allowed.
    pub not_sure: usize,
}

impl<'a> Trial<'a> {
    /// Of a policy that was checked against this inventory.
    pub fn of(inventory: &'a Inventory, policy: &'a Policy) -> Self {
        Self { inventory, policy }
    }

    /// Judges the latest alerts, and conversations.
    pub fn judge(&self, alerts: Vec<Stored>, talks: Vec<Talk>) -> Outcome {
        let mut outcome = Outcome::default();
        for alert in alerts {
            outcome.judged += 1;
            let Some(because) = self.silences(&alert) else { continue };
            outcome.silent += 1;
            if outcome.would_be_silent.len() < LISTED {
                let known = CATALOGUE.iter().find(|known| known.id == alert.detection);
                outcome.would_be_silent.push(Silenced {
                    title: known.map_or("", |known| known.signature),
                    id: alert.id,
                    detection: alert.detection,
                    equipment: alert.equipment,
                    peer: alert.peer.map(|peer| peer.to_string()),
                    because,
                });
            }
        }
        let mut flagged = Vec::new();
        for talk in talks {
            let Some(allowed) = self.allows_talk(&talk) else { continue };
            outcome.judged += 1;
            outcome.not_sure += usize::from(allowed == Allowed::Partly);
            // What is not allowed now is flagged already.
            if allowed == Allowed::No && talk.declared {
                flagged.push(talk);
            }
        }
        flagged.sort_by(|a, b| (b.bytes, &a.equipment).cmp(&(a.bytes, &b.equipment)));
        outcome.flagged = flagged.len();
        outcome.would_be_flagged = flagged.into_iter().take(LISTED).map(Flagged::of).collect();
        outcome
    }

    /// Why an alert would not have been said, if so.
    fn silences(&self, alert: &Stored) -> Option<&'static str> {
        let set = self.policy.detections.iter().find(|set| set.id == alert.detection);
        if set.is_some_and(|set| !set.enabled) {
            return Some("switched off");
        }
        let (equipment, peer) = (alert.equipment.as_deref(), alert.peer);
        let mut suppressions = self.policy.suppressions().iter();
        if suppressions.any(|it| it.matches(&alert.detection, equipment, peer, alert.last.0)) {
            return Some("suppressed");
        }
        let is = |detection: u16| CATALOGUE[usize::from(detection)].id == alert.detection;
        let net = IpNet::from(peer?);
        if is(INV_UNKNOWN) {
            let ends = self.policy.allow.iter().flat_map(|it| [it.rule.from, it.rule.to]);
            let mut declared = ends.filter_map(|end| end.cidr);
            return declared.any(|cidr| cidr.contains(&net)).then_some("allowed");
        }
        if ![EGR_NOTALLOWED, GTP_PEER, TUN_FOREIGN].into_iter().any(is) {
            return None;
        }
        let opening = opening(&alert.event)?;
        let own = self.entry(equipment?)?;
        let theirs = self.holder(peer?).unwrap_or(Side::Net(net));
        let port = opening.port.filter(|port| *port > 0);
        let at = (opening.protocol, port, opening.last);
        let allowed = self.allows(&own, &theirs, opening.initiator, at);
        (allowed == Allowed::Yes).then_some("allowed")
    }

    fn entry(&self, id: &str) -> Option<Side<'_>> {
        let number = self.inventory.find(id)?;
        self.inventory.entry(number).map(|entry| Side::Entry(number, &entry.addresses))
    }

    fn holder(&self, address: IpAddr) -> Option<Side<'_>> {
        self.entry(&self.inventory.holder(address)?.id)
    }

    /// Whether a conversation is allowed; none where that can't be judged.
    fn allows_talk(&self, talk: &Talk) -> Option<Allowed> {
        let own = self.entry(&talk.equipment)?;
        let theirs = match &talk.far {
            Far::Equipment(id) => self.entry(id)?,
            Far::Network(net) => Side::Net(net.parse().ok()?),
            Far::Subscribers | Far::Other => return None,
        };
        let initiator = INITIATORS.get(usize::from(talk.initiator)).copied().unwrap_or_default();
        let port = Some(talk.port).filter(|port| *port > 0);
        Some(self.allows(&own, &theirs, initiator, (talk.protocol, port, talk.last)))
    }

    /// Whether a conversation is allowed, as the sensor judges it: by who opened it where a handshake
    /// proves that, else in either direction.
    fn allows(
        &self,
        own: &Side<'_>,
        theirs: &Side<'_>,
        initiator: Initiator,
        at: (u8, Option<u16>, Nanos),
    ) -> Allowed {
        let forward = || self.allows_way(own, theirs, at);
        let backward = || self.allows_way(theirs, own, at);
        match initiator {
            Initiator::Equipment if CONNECTIONS.contains(&at.0) => forward(),
            Initiator::Peer if CONNECTIONS.contains(&at.0) => backward(),
            _ => forward().max(backward()),
        }
    }

    fn allows_way(
        &self,
        from: &Side<'_>,
        to: &Side<'_>,
        (protocol, port, time): (u8, Option<u16>, Nanos),
    ) -> Allowed {
        let judged = self.policy.allow.iter().map(|allow| {
            let rule = &allow.rule;
            if rule.not_after.is_some_and(|end| time.0 > end) {
                return Allowed::No;
            }
            let serves = |service: &&ServiceMatch| {
                service.protocol == protocol
                    && match (service.ports, port) {
                        (Some((first, last)), Some(port)) => (first..=last).contains(&port),
                        _ => true,
                    }
            };
            let mut serving = rule.services.iter().filter(serves).peekable();
            if serving.peek().is_none() {
                return Allowed::No;
            }
            let holds =
                |a: &Side<'_>, b: &Side<'_>| self.holds(rule.from, a).min(self.holds(rule.to, b));
            let forward = holds(from, to);
            if serving.any(|service| service.either_way) {
                forward.max(holds(to, from))
            } else {
                forward
            }
        });
        judged.max().unwrap_or(Allowed::No)
    }

    fn holds(&self, end: End, side: &Side<'_>) -> Allowed {
        let of_set = match (end.set, side) {
            (None, _) => Allowed::Yes,
            (Some(set), Side::Entry(number, _))
                if self.policy.members(set).binary_search(number).is_ok() =>
            {
                Allowed::Yes
            }
            (Some(_), _) => Allowed::No,
        };
        of_set.min(end.cidr.map_or(Allowed::Yes, |cidr| side.lies_in(cidr)))
    }
}

impl Flagged {
    fn of(talk: Talk) -> Self {
        Self {
            service: talk.service(),
            peer: talk.address.clone().unwrap_or_else(|| talk.far.name().to_owned()),
            peer_equipment: talk.far.equipment().map(str::to_owned),
            initiator: INITIATORS.get(usize::from(talk.initiator)).copied().unwrap_or_default(),
            equipment: talk.equipment,
            bytes: talk.bytes,
            last: timestamp(talk.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: &str = "[[equipment]]\nid = \"gnb-1\"\nroles = [\"gnb\"]\naddresses = [\"10.0.0.1\"]\n\
        [[equipment]]\nid = \"upf-1\"\nroles = [\"upf\"]\naddresses = [\"10.0.1.1\"]\n";

    fn rule(from: &str, to: &str, service: &str) -> String {
        format!("[[allow]]\nfrom = {from}\nto = {to}\nservices = [\"{service}\"]\n")
    }

    fn outcome(policy: &str, alerts: Vec<Stored>, talks: Vec<Talk>) -> Outcome {
        let inventory = weir_policy::inventory_from_str("i", INVENTORY).unwrap().value;
        let policy = weir_policy::policy_from_str("p", policy, &inventory).unwrap().value;
        Trial::of(&inventory, &policy).judge(alerts, talks)
    }

    fn talk(far: Far, protocol: u8, port: u16, initiator: u8) -> Talk {
        Talk {
            equipment: "gnb-1".into(),
            far,
            protocol,
            port,
            initiator,
            packets: 1,
            bytes: 2,
            first: Nanos(1),
            last: Nanos(2),
            declared: true,
            address: None,
            name: None,
        }
    }

    fn flagged(policy: &str, talk: Talk) -> (usize, usize) {
        let outcome = outcome(policy, Vec::new(), vec![talk]);
        assert_eq!(outcome.judged, 1);
        (outcome.flagged, outcome.not_sure)
    }

    #[test]
    fn a_conversation_is_judged_by_who_began_it_and_on_what() {
        let net = || Far::Network("198.51.100.0/24".into());
        let to =
            |cidr: &str| rule("{ role = \"gnb\" }", &format!("{{ cidr = \"{cidr}\" }}"), "https");
        assert_eq!(flagged("", talk(net(), 6, 443, 0)), (1, 0));
        assert_eq!(flagged(&to("198.51.0.0/16"), talk(net(), 6, 443, 0)), (0, 0));
        assert_eq!(flagged(&to("198.51.100.7"), talk(net(), 6, 443, 0)), (0, 1), "perhaps");
        assert_eq!(flagged(&to("203.0.113.7"), talk(net(), 6, 443, 0)), (1, 0));
        assert_eq!(flagged(&to("198.51.0.0/16"), talk(net(), 6, 22, 0)), (1, 0), "another service");
        assert_eq!(flagged(&to("198.51.0.0/16"), talk(net(), 6, 443, 1)), (1, 0), "the peer began");
        assert_eq!(flagged(&to("198.51.0.0/16"), talk(net(), 6, 443, 2)), (0, 0), "nobody knows");
        let over = to("198.51.0.0/16") + "expires = 2027-01-01\n";
        assert_eq!(flagged(&over, talk(net(), 6, 443, 0)), (0, 0), "it held then");
        let later = Talk { last: Nanos(30_000 * 86_400_000_000_000), ..talk(net(), 6, 443, 0) };
        assert_eq!(flagged(&over, later), (1, 0));
        let gtpu = rule("{ role = \"gnb\" }", "{ role = \"upf\" }", "gtpu");
        let upf = || Far::Equipment("upf-1".into());
        assert_eq!(flagged(&gtpu, talk(upf(), 17, 2152, 1)), (0, 0), "either way");
        assert_eq!(flagged(&gtpu, talk(upf(), 17, 2152, 2)), (0, 0));
        assert_eq!(flagged(&gtpu, talk(net(), 17, 2152, 0)), (1, 0));
        let unwanted = Talk { declared: false, ..talk(net(), 6, 443, 0) };
        assert_eq!(flagged("", unwanted), (0, 0), "it is flagged already");
        let hidden = outcome("", Vec::new(), vec![talk(Far::Subscribers, 6, 443, 0)]);
        assert_eq!((hidden.judged, hidden.flagged), (0, 0));
    }

    #[test]
    fn an_alert_is_silent_when_it_is_allowed_suppressed_or_switched_off() {
        let stored = || {
            Stored {
            id: "1".into(),
            detection: "EGR-NOTALLOWED".into(),
            equipment: Some("gnb-1".into()),
            peer: Some([198, 51, 100, 7].into()),
            last: Nanos(2),
            event: "{\"src_ip\":\"198.51.100.7\",\"src_port\":443,\"dest_ip\":\"10.0.0.1\",\"dest_port\":40000,\
                \"proto\":\"TCP\",\"weir\":{\"initiator\":\"equipment\",\"peer\":{\"ip\":\"198.51.100.7\"},\
                \"packets\":1,\"bytes\":2,\"last\":\"2026-01-01T00:00:00Z\"}}"
                .into(),
        }
        };
        let because = |policy: &str| {
            let outcome = outcome(policy, vec![stored()], Vec::new());
            assert_eq!(outcome.judged, 1);
            outcome.would_be_silent.first().map(|silent| silent.because)
        };
        assert_eq!(because(""), None);
        let to = |cidr: &str, service: &str| {
            rule("{ id = \"gnb-1\" }", &format!("{{ cidr = \"{cidr}\" }}"), service)
        };
        assert_eq!(because(&to("198.51.100.7", "https")), Some("allowed"));
        assert_eq!(because(&to("198.51.100.8", "https")), None);
        assert_eq!(because(&to("198.51.100.7", "ssh")), None);
        assert_eq!(because("[detections.EGR-NOTALLOWED]\nenabled = false\n"), Some("switched off"));
        let suppress = "[[suppress]]\ndetection = \"EGR-NOTALLOWED\"\nequipment = \"gnb-1\"\nreason = \"known\"\n";
        assert_eq!(because(suppress), Some("suppressed"));
        let unknown = Stored { detection: "INV-UNKNOWN".into(), event: String::new(), ..stored() };
        let policy = to("198.51.100.0/24", "ssh");
        assert_eq!(outcome(&policy, vec![unknown], Vec::new()).silent, 1, "it is declared");
    }
}
