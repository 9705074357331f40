//! Cases: what becomes of an alert once it is said. Each alert is new, acknowledged, suppressed or
//! closed; alerts that one cause explains are one incident; people's suppressions silence what they
//! name until they expire.

pub mod command;
pub mod incidents;
pub mod status;
pub mod suppression;

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use weir_engine::contract::verdict::Severity;
use weir_engine::detect::CATALOGUE;

use crate::alerts::Saying;
use incidents::{Incidents, Keys};
use suppression::Suppressions;

/// Restricted incidents, suppressions and deeds count from here on: numbers that all may see have no gap
/// where one that they may not see would stand.
pub const RESTRICTED_FROM: u64 = 1_000_000_000;

/// An alert's public name: it is the same in every replay of one capture.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AlertId(pub u64);

impl AlertId {
    /// That of the alert with this key.
    pub fn of(dedup: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(dedup).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for AlertId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = is_id.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or("an alert's id is 16 hexadecimal digits")
    }
}

/// Who silenced an alert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Silence {
    /// A `[[suppress]]` of the policy.
    Policy,
    /// The suppression with this number.
    Person(u64),
}

/// What is stored of an alert each time that it is said, or would be if nobody had silenced it.
#[derive(Clone, Debug)]
pub struct Filing {
    /// Its name.
    pub id: AlertId,
    /// The alert as it stood, and the event's number.
    pub saying: Saying,
    /// The severity in force.
    pub severity: Severity,
    /// Whether a named role alone may see it.
    pub restricted: bool,
    /// Who silenced it, if somebody did.
    pub silence: Option<Silence>,
    /// The incident that it belongs to.
    pub incident: Option<u64>,
    /// The event, one line of JSON without its end.
    pub event: Vec<u8>,
}

/// The state that is held, and what is to be stored of it.
#[derive(Debug, Default)]
pub struct Cases {
    /// Open incidents.
    pub incidents: Incidents,
    /// What people silenced.
    pub suppressions: Suppressions,
    filings: Vec<Filing>,
}

impl Cases {
    /// Goes on where what was stored stands.
    pub fn new(incidents: Incidents, suppressions: Suppressions) -> Self {
        Self { incidents, suppressions, filings: Vec::new() }
    }

    /// The incident of an alert that is about to be said. What is only noted begins none.
    pub fn incident(&mut self, saying: &Saying, severity: Severity) -> Option<u64> {
        let alert = &saying.row.alert;
        let known = CATALOGUE.get(usize::from(alert.detection));
        let stranger = alert.peer.filter(|_| alert.peer_equipment.is_none());
        let keys = Keys {
            equipment: saying.row.subject.equipment.clone(),
            peer: stranger.map(neighbourhood),
            detection: known.map_or("?", |known| known.id).into(),
            restricted: known.is_some_and(|known| known.restricted),
        };
        self.incidents.join(&keys, (alert.first, alert.last), severity)
    }

    /// Takes an alert in that is to be stored.
    pub fn file(&mut self, filing: Filing) {
        self.filings.push(filing);
    }

    /// What is to be stored.
    pub fn filings(&self) -> &[Filing] {
        &self.filings
    }

    /// Whether anything is to be stored.
    pub fn has_changed(&self) -> bool {
        !self.filings.is_empty() || self.incidents.has_changed()
    }

    /// All of it is stored.
    pub fn stored(&mut self) {
        self.filings.clear();
        self.incidents.stored();
    }
}

/// The network of an address as alerts group peers: /24 or /48.
pub fn neighbourhood(address: IpAddr) -> String {
    let around = IpAddr::from(weir_wire::Address::from(address).neighbourhood());
    format!("{around}/{}", if around.is_ipv4() { 24 } else { 48 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alerts_id_is_text_and_back_and_depends_on_its_key_alone() {
        let id = AlertId::of("GTP-PEER|gnb-1|198.51.100.0/24|2023-11-14");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, AlertId::of("GTP-PEER|gnb-1|198.51.100.0/24|2023-11-15"));
        for wrong in ["", "1", "g000000000000000", "+123456789abcdef", "00000000000000000"] {
            assert!(wrong.parse::<AlertId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn neighbourhoods_are_those_of_alerts() {
        assert_eq!(neighbourhood([198, 51, 100, 7].into()), "198.51.100.0/24");
        assert_eq!(neighbourhood("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48");
    }
}
