//! What a peer said of a case, held against the labels. It is given the benefit of every doubt: whatever
//! it says of a theft's pair while that goes on has found it, and is not wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use weir_pcaps::{Labels, Theft};

use super::networks::is_within;
use super::reach::Reach;
use super::{Answer, Peer, Said};
use crate::judgement::{AFTERWARDS, neighbourhood, span};

/// One thing that a peer says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Statement {
    /// The host that it is about.
    pub host: IpAddr,
    /// Whom that talks to: one, or as many as the peer names together.
    pub peers: Vec<IpAddr>,
    /// The first packet of what it is about, in nanoseconds since 1970.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// The equipment by its addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Installed(BTreeMap<IpAddr, String>);

#[derive(Deserialize)]
struct Inventory {
    equipment: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    addresses: Vec<IpAddr>,
}

impl Installed {
    /// Reads an inventory.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)
    }

    pub(super) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let Inventory { equipment } = toml::from_str(text)?;
        let ids = equipment.into_iter().flat_map(|Entry { id, addresses }| {
            addresses.into_iter().map(move |address| (address, id.clone()))
        });
        Ok(Self(ids.collect()))
    }

    /// Whose address it is.
    pub(super) fn id(&self, address: IpAddr) -> Option<&str> {
        self.0.get(&address).map(String::as_str)
    }
}

/// Networks in which neighbours are equipment of the same site, not of the same owner.
const INSIDE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// Whether a pair is a theft's: the theft's equipment and its peer. An attacker outside may use
/// neighbouring addresses, and nobody else may have anything to do with his.
fn is_pair(theft: &Theft, installed: &Installed, host: IpAddr, peer: IpAddr) -> bool {
    let expected = &theft.expectation;
    let is_own =
        expected.equipment.is_none() || expected.equipment.as_deref() == installed.id(host);
    // What a node makes up itself leads to nobody in particular.
    let Some(far) = expected.peer else { return is_own };
    let is_there = peer == far;
    if is_within(far, &INSIDE) {
        return is_own && is_there;
    }
    is_there || (is_own && neighbourhood(peer) == neighbourhood(far))
}

impl Statement {
    fn is_about(&self, theft: &Theft, installed: &Installed) -> bool {
        let Some((first, last)) = span(theft) else { return false };
        let is_then = self.first <= last.saturating_add(AFTERWARDS) && first <= self.last;
        let is_pair = |peer: &IpAddr| {
            is_pair(theft, installed, self.host, *peer)
                || is_pair(theft, installed, *peer, self.host)
        };
        is_then && self.peers.iter().any(is_pair)
    }
}

/// What became of each theft, and how many pairs, or of Elastic hosts, were accused without a cause.
/// However often one is accused in a case, it counts once, and what is said of no equipment does not
/// count.
pub(super) fn hold(
    peer: Peer,
    labels: &Labels,
    installed: &Installed,
    statements: &[Statement],
) -> (Vec<Said>, u64) {
    let sent: Vec<&Theft> = labels.thefts.iter().filter(|theft| theft.packets > 0).collect();
    let answer = |theft: &Theft| match peer.reach(theft.expectation.detection) {
        Reach::Beyond(_) => Answer::CantExpress,
        Reach::Within(_) if statements.iter().any(|it| it.is_about(theft, installed)) => {
            Answer::Found
        }
        Reach::Within(_) => Answer::Missed,
    };
    let said = sent
        .iter()
        .map(|theft| Said { detection: theft.expectation.detection, answer: answer(theft) })
        .collect();
    let mut accused = BTreeSet::new();
    for statement in statements {
        let Statement { host, peers, .. } = statement;
        // Elastic speaks of a host, whether it has one destination to name or ten.
        let far = peers.first().copied().filter(|_| peer != Peer::Elastic);
        let (own, far) = match (installed.id(*host), far.and_then(|far| installed.id(far))) {
            (Some(own), _) => (own, far),
            (None, Some(own)) => (own, Some(*host)),
            (None, None) => continue,
        };
        // A box has several addresses, and the far end may be one too.
        let name = |far: IpAddr| installed.id(far).map_or_else(|| far.to_string(), str::to_owned);
        let pair = (own, far.map(name));
        if !accused.contains(&pair) && !sent.iter().any(|it| statement.is_about(it, installed)) {
            accused.insert(pair);
        }
    }
    (said, accused.len() as u64)
}

#[cfg(test)]
mod tests {
    use weir_pcaps::{Expectation, Scenario};

    use super::*;
    use crate::site::Site;

    const SECOND: u64 = 1_000_000_000;

    fn labels(thefts: &[(&'static str, Option<&str>, &str)]) -> Labels {
        let scenario =
            Scenario::parse(&Site::Plain.text("held", 1), Path::new("held.toml")).unwrap();
        let mut labels = scenario.generate().labels().clone();
        labels.thefts = thefts
            .iter()
            .map(|(detection, equipment, peer)| {
                let mut theft = Theft::unsent(Expectation {
                    id: "theft".into(),
                    kind: "test",
                    detection,
                    severity: None,
                    also: &[],
                    equipment: equipment.map(str::to_owned),
                    peer: Some(peer.parse().unwrap()),
                    note: String::new(),
                });
                theft.packets = 9;
                theft.first = Some("1970-01-01T00:10:00Z".into());
                theft.last = Some("1970-01-01T00:20:00Z".into());
                theft
            })
            .collect();
        labels
    }

    fn installed() -> Installed {
        Installed::parse(
            "[[equipment]]\nid = \"gnb-1\"\naddresses = [\"10.0.0.1\", \"10.0.10.1\"]\n\
             [[equipment]]\nid = \"gnb-2\"\naddresses = [\"10.0.10.2\"]\n",
        )
        .unwrap()
    }

    fn said(host: &str, peers: &[&str], from: u64, to: u64) -> Statement {
        Statement {
            host: host.parse().unwrap(),
            peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
            first: from * SECOND,
            last: to * SECOND,
        }
    }

    fn answers(peer: Peer, labels: &Labels, statements: &[Statement]) -> (Vec<Answer>, u64) {
        let (said, wrong) = hold(peer, labels, &installed(), statements);
        (said.into_iter().map(|it| it.answer).collect(), wrong)
    }

    #[test]
    fn a_theft_is_found_by_its_pair_and_its_time() {
        let labels = labels(&[("BCN-PERIODIC", Some("gnb-1"), "203.0.113.7")]);
        let of = |statement: Statement| answers(Peer::Rita, &labels, &[statement]);
        assert_eq!(of(said("10.0.10.1", &["203.0.113.7"], 700, 800)), (vec![Answer::Found], 0));
        // The peer's neighbour, the other way round, or by another box of the implant's.
        assert_eq!(of(said("10.0.10.1", &["203.0.113.8"], 700, 800)), (vec![Answer::Found], 0));
        assert_eq!(of(said("203.0.113.7", &["10.0.0.1"], 700, 800)), (vec![Answer::Found], 0));
        assert_eq!(of(said("10.0.10.2", &["203.0.113.7"], 700, 800)), (vec![Answer::Found], 0));
        assert_eq!(of(said("10.0.10.2", &["203.0.113.8"], 700, 800)), (vec![Answer::Missed], 1));
        assert_eq!(of(said("10.0.10.1", &["198.51.100.7"], 700, 800)), (vec![Answer::Missed], 1));
        assert_eq!(of(said("10.0.10.1", &["203.0.113.7"], 10, 500)), (vec![Answer::Missed], 1));
        assert_eq!(
            of(said("10.0.10.1", &["203.0.113.7"], 1_300, 1_400)),
            (vec![Answer::Missed], 1)
        );
    }

    #[test]
    fn what_cant_be_expressed_is_not_missed_and_excuses_its_pair() {
        let labels = labels(&[
            ("EGR-VOLUME", Some("gnb-1"), "203.0.113.7"),
            ("INV-UNKNOWN", Some("gnb-2"), "10.0.10.66"),
        ]);
        let statements = [
            said("10.0.10.1", &["203.0.113.7"], 700, 800),
            said("10.0.10.2", &["10.0.10.66"], 700, 800),
            // Inside, neighbours are colleagues.
            said("10.0.10.2", &["10.0.10.67"], 700, 800),
        ];
        let cant = vec![Answer::CantExpress; 2];
        assert_eq!(answers(Peer::Rita, &labels, &statements), (cant, 1));
    }

    #[test]
    fn false_alarms_are_counted_by_pair() {
        let labels = labels(&[]);
        let wrong = |peer, statements: &[Statement]| answers(peer, &labels, statements).1;
        let once = said("10.0.10.1", &["198.51.100.9"], 5, 6);
        let later = Statement { last: 99 * SECOND, ..once.clone() };
        // By another address of the same box, and of another box.
        let same = said("10.0.0.1", &["198.51.100.9"], 5, 6);
        let other = said("10.0.10.2", &["198.51.100.9"], 5, 6);
        assert_eq!(wrong(Peer::Rita, &[once.clone(), later, same]), 1);
        assert_eq!(wrong(Peer::Rita, &[once.clone(), other]), 2);
        let elsewhere = said("10.0.10.1", &["198.51.100.10", "198.51.100.9"], 5, 6);
        assert_eq!(wrong(Peer::Elastic, &[once.clone(), elsewhere.clone()]), 1);
        assert_eq!(wrong(Peer::Rita, &[once.clone(), elsewhere]), 2);
        // Of subscribers nothing is counted; who opened does not matter.
        assert_eq!(wrong(Peer::Rita, &[said("10.60.0.9", &["198.51.100.9"], 5, 6)]), 0);
        let turned = said("198.51.100.9", &["10.0.0.1"], 5, 6);
        assert_eq!(wrong(Peer::Ndpi, std::slice::from_ref(&turned)), 1);
        assert_eq!(wrong(Peer::Ndpi, &[once, turned]), 1);
    }
}
