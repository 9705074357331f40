//! Who is connected with whom: what was seen of the last hours as a graph, small enough to be drawn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Initiator, Severity};

use super::Api;
use super::answer::Failure;
use super::cases::{Answer, asked};
use super::equipment::rulebook;
use crate::eve::timestamp;
use crate::rulebook::Rulebook;
use crate::site::far::Far;
use crate::site::hours::INITIATORS;
use crate::store::{Accused, Reader, Standing, StoreError, Talk};
use crate::trial::opening;

/// Nodes and edges that are shown.
const NODES: usize = 300;
const EDGES: usize = 1_000;
/// Pairs of equipment and peer with open alerts that are looked at, the gravest first.
const ACCUSED: u32 = 20_000;
/// Hours that are looked back, unless others are asked for, and at most.
const HOURS: u64 = 24;
const MOST_HOURS: u64 = 168;

/// How far back is to be looked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    hours: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Node {
    key: String,
    id: Option<String>,
    name: String,
    role: Option<&'static str>,
    vendor: Option<String>,
    location: Option<String>,
    class: &'static str,
    alerts: u64,
    worst: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Edge {
    from: String,
    to: String,
    /// What it was about; none where that is not known.
    service: Option<String>,
    packets: u64,
    bytes: u64,
    last: Option<String>,
    declared: bool,
    alerts: u64,
}

/// The picture.
#[derive(Debug, Serialize)]
pub(super) struct Topology {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Nodes with alerts, and edges, that found no room.
    more: usize,
    /// The hour that was told of last, which is where looking back begins.
    until: Option<String>,
}

/// A conversation in the making: by its ends, the initiator first where it is known, and service.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Ends {
    from: Far,
    to: Far,
    service: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    packets: u64,
    bytes: u64,
    last: Nanos,
    is_undeclared: bool,
    alerts: u64,
    worst: Option<u8>,
}

/// Adds conversations up, whoever's side they were told from.
fn edges(talks: Vec<Talk>) -> BTreeMap<Ends, Sum> {
    let mut edges: BTreeMap<Ends, Sum> = BTreeMap::new();
    for talk in talks {
        let service = Some(talk.service());
        let own = Far::Equipment(talk.equipment);
        let initiator = INITIATORS.get(usize::from(talk.initiator));
        let (from, to) =
            if initiator == Some(&Initiator::Peer) { (talk.far, own) } else { (own, talk.far) };
        let sum = edges.entry(Ends { from, to, service }).or_default();
        sum.packets = sum.packets.saturating_add(talk.packets);
        sum.bytes = sum.bytes.saturating_add(talk.bytes);
        sum.last = sum.last.max(talk.last);
        sum.is_undeclared |= !talk.declared;
    }
    edges
}

/// Puts the open alerts to the edges between those whom they are about; of those between whom nothing is
/// told of yet, since a flow is told of when it has ended, edges of their own are made.
fn accuse(
    edges: &mut BTreeMap<Ends, Sum>,
    accused: Vec<Accused>,
    rulebook: Option<&Rulebook>,
    mut latest: impl FnMut(&str, &str) -> Result<Option<String>, StoreError>,
) -> Result<(), StoreError> {
    let mut between: HashMap<(Far, Far), Vec<Ends>> = HashMap::new();
    for ends in edges.keys() {
        for (own, far) in [(&ends.from, &ends.to), (&ends.to, &ends.from)] {
            between.entry((own.clone(), far.clone())).or_default().push(ends.clone());
        }
    }
    for accused in accused {
        let Some(peer) = accused.peer.as_deref() else { continue };
        let Ok(address) = peer.parse::<IpAddr>() else { continue };
        let own = Far::Equipment(accused.equipment.clone());
        let far = Far::of(address, rulebook);
        let known = between.entry((own.clone(), far.clone())).or_default();
        if known.is_empty() {
            let found =
                if edges.len() < 2 * EDGES { latest(&accused.equipment, peer)? } else { None };
            let opening = found.as_deref().and_then(opening);
            let (from, to) = match opening.as_ref().map(|it| it.initiator) {
                Some(Initiator::Peer) => (far, own),
                _ => (own, far),
            };
            let service = opening.as_ref().map(|it| it.service());
            let sum = Sum {
                packets: opening.as_ref().map_or(0, |it| it.packets),
                bytes: opening.as_ref().map_or(0, |it| it.bytes),
                last: opening.as_ref().map_or(Nanos(0), |it| it.last),
                is_undeclared: true,
                ..Sum::default()
            };
            let ends = Ends { from, to, service };
            edges.insert(ends.clone(), sum);
            known.push(ends);
        }
        for ends in known.iter() {
            if let Some(sum) = edges.get_mut(ends) {
                sum.alerts += accused.alerts;
                sum.worst = sum.worst.max(Some(accused.worst));
            }
        }
    }
    Ok(())
}

/// What identifies a node.
fn key(far: &Far) -> String {
    let class = if far.equipment().is_some() { "e" } else { "n" };
    format!("{class}:{}", far.name())
}

fn grade(worst: Option<&'static str>) -> Option<u8> {
    Severity::ALL.iter().find(|known| Some(known.name()) == worst).map(|known| *known as u8)
}

impl Topology {
    fn of(
        edges: BTreeMap<Ends, Sum>,
        standings: &HashMap<String, Standing>,
        rulebook: Option<&Rulebook>,
        until: Option<String>,
    ) -> Self {
        let mut edges: Vec<(Ends, Sum)> = edges.into_iter().collect();
        // What alerts are about first, the gravest of it first of all, then the busiest.
        edges.sort_by_key(|(_, sum)| Reverse((sum.worst, sum.bytes)));
        let mut shown: HashSet<Far> = HashSet::new();
        let (mut kept, mut more) = (Vec::new(), 0);
        let mut networks: HashMap<Far, (u64, Option<u8>)> = HashMap::new();
        let mut take = |ends: Ends, sum: Sum, shown: &mut HashSet<Far>| {
            let fresh = [&ends.from, &ends.to].into_iter().filter(|far| !shown.contains(*far));
            if kept.len() >= EDGES || shown.len() + fresh.count() > NODES {
                return false;
            }
            shown.extend([ends.from.clone(), ends.to.clone()]);
            kept.push((ends, sum));
            true
        };
        let quiet = edges.iter().position(|(_, sum)| sum.alerts == 0).unwrap_or(edges.len());
        let quiet = edges.split_off(quiet);
        for (ends, sum) in edges {
            for far in [&ends.from, &ends.to].into_iter().filter(|far| far.equipment().is_none()) {
                let (alerts, worst) = networks.entry(far.clone()).or_default();
                *alerts += sum.alerts;
                *worst = sum.worst.max(*worst);
            }
            more += usize::from(!take(ends, sum, &mut shown));
        }
        // Alerts about no peer show at their equipment alone.
        let mut alone: Vec<(&String, &Standing)> = standings.iter().collect();
        alone.sort_by(|(a, of_a), (b, of_b)| {
            (grade(of_b.worst), of_b.open, *a).cmp(&(grade(of_a.worst), of_a.open, *b))
        });
        for (id, _) in alone {
            let far = Far::Equipment(id.clone());
            if !shown.contains(&far) {
                if shown.len() < NODES {
                    shown.insert(far);
                } else {
                    more += 1;
                }
            }
        }
        for (ends, sum) in quiet {
            more += usize::from(!take(ends, sum, &mut shown));
        }
        let mut nodes: Vec<Node> = shown
            .iter()
            .map(|far| node(far, standings, networks.get(far).copied(), rulebook))
            .collect();
        nodes.sort_by(|a, b| a.key.cmp(&b.key));
        let edges = kept.into_iter().map(|(Ends { from, to, service }, sum)| Edge {
            from: key(&from),
            to: key(&to),
            service,
            packets: sum.packets,
            bytes: sum.bytes,
            last: (sum.last > Nanos(0)).then(|| timestamp(sum.last)),
            declared: !sum.is_undeclared,
            alerts: sum.alerts,
        });
        Self { nodes, edges: edges.collect(), more, until }
    }
}

fn node(
    far: &Far,
    standings: &HashMap<String, Standing>,
    network: Option<(u64, Option<u8>)>,
    rulebook: Option<&Rulebook>,
) -> Node {
    let id = far.equipment();
    let entry = id.and_then(|id| {
        let inventory = &rulebook?.inventory;
        inventory.entry(inventory.find(id)?)
    });
    let standing = id.and_then(|id| standings.get(id)).copied();
    let of_network = network.map(|(open, worst)| Standing {
        open,
        worst: worst.and_then(|it| Severity::ALL.get(usize::from(it))).map(|it| it.name()),
    });
    let standing = standing.or(of_network).unwrap_or_default();
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Node {
        key: key(far),
        id: id.map(str::to_owned),
        name: far.name().to_owned(),
        role: entry.and_then(|entry| entry.roles.iter().next()).map(weir_policy::Role::name),
        vendor: entry.and_then(|entry| text(&entry.vendor)),
        location: entry.and_then(|entry| text(&entry.location)),
        class: if id.is_some() { "equipment" } else { "network" },
        alerts: standing.open,
        worst: standing.worst,
    }
}

fn picture(
    reader: &Reader,
    hours: u64,
    sees_restricted: bool,
    rulebook: Option<&Rulebook>,
) -> Result<Topology, Failure> {
    let latest = reader.latest_hour()?;
    let talks = latest.map(|latest| reader.conversations(latest, hours)).transpose()?;
    let mut edges = edges(talks.unwrap_or_default());
    let accused = reader.accused(sees_restricted, ACCUSED)?;
    accuse(&mut edges, accused, rulebook, |id, peer| {
        reader.latest_about(id, peer, sees_restricted)
    })?;
    let standings = reader.standings(sees_restricted)?;
    let until = latest.map(|hour| timestamp(Nanos(hour.saturating_mul(3_600_000_000_000))));
    Ok(Topology::of(edges, &standings, rulebook, until))
}

/// Who was connected with whom in the last hours.
pub(super) async fn topology(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Answer<Topology> {
    let sees = api.person(&headers).await?.role.sees_restricted();
    let hours = asked(query)?.hours.unwrap_or(HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Failure::invalid(format!("hours is a number from 1 to {MOST_HOURS}")));
    }
    let rulebook = rulebook(&api);
    Ok(Json(api.ask(move |reader| picture(reader, hours, sees, rulebook.as_deref())).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(equipment: &str, network: usize, bytes: u64, initiator: u8) -> Talk {
        Talk {
            equipment: equipment.into(),
            far: Far::Network(format!("n{network:05}")),
            protocol: 6,
            port: 443,
            initiator,
            packets: 1,
            bytes,
            first: Nanos(1),
            last: Nanos(2),
            declared: true,
            address: None,
            name: None,
        }
    }

    #[test]
    fn who_began_is_where_an_edge_begins_and_both_ways_add_up() {
        let edges = edges(vec![talk("a", 1, 5, 0), talk("a", 1, 6, 2), talk("a", 1, 7, 1)]);
        let told: Vec<_> = edges.iter().map(|(ends, sum)| (key(&ends.from), sum.bytes)).collect();
        assert_eq!(told, [("n:n00001".into(), 7), ("e:a".into(), 11)]);
    }

    #[test]
    fn what_alerts_are_about_is_shown_however_little_it_is() {
        let busy = (0..2_000).map(|n| talk("busy", n, 1_000_000, 0));
        let mut edges = edges(busy.collect());
        let accused = Accused {
            equipment: "thief".into(),
            peer: Some("198.51.100.7".into()),
            alerts: 2,
            worst: 4,
        };
        accuse(&mut edges, vec![accused], None, |_, _| Ok(None)).unwrap();
        let standing = |open| Standing { open, worst: Some("critical") };
        let standings =
            HashMap::from([("thief".into(), standing(2)), ("mute".into(), standing(1))]);
        let shown = Topology::of(edges, &standings, None, None);
        assert_eq!((shown.nodes.len(), shown.edges[0].alerts), (NODES, 2));
        assert_eq!(
            (shown.edges[0].from.as_str(), shown.edges[0].to.as_str()),
            ("e:thief", "n:198.51.100.0/24")
        );
        assert!(!shown.edges[0].declared && shown.edges[0].service.is_none());
        let node = |key: &str| shown.nodes.iter().find(|node| node.key == key).unwrap();
        assert_eq!((node("e:mute").alerts, node("n:198.51.100.0/24").worst), (1, Some("critical")));
        assert_eq!(shown.more, 2_001 - shown.edges.len());
    }
}
