//! `[[suppress]]`: findings that nobody wants to hear of for now.

use std::net::IpAddr;

use ipnet::IpNet;

/// One `[[suppress]]`. It names equipment, a peer, or both; both must hold then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suppression {
    /// The detection that it silences.
    pub detection: String,
    /// The id of the equipment; `None`: any.
    pub equipment: Option<String>,
    /// The peer's addresses; `None`: any peer.
    pub peer: Option<IpNet>,
    /// The last nanosecond since 1970 UTC at which it holds; `None`: always.
    pub until: Option<u64>,
    /// Why.
    pub reason: Option<String>,
}

impl Suppression {
    /// Whether it silences a finding of `detection` about `equipment` (an id) and `peer` at `time`
    /// (nanoseconds since 1970 UTC). What a suppression names, a finding must have.
    pub fn matches(
        &self,
        detection: &str,
        equipment: Option<&str>,
        peer: Option<IpAddr>,
        time: u64,
    ) -> bool {
        self.detection == detection
            && self.until.is_none_or(|until| time <= until)
            && self.equipment.as_deref().is_none_or(|id| equipment == Some(id))
            && self.peer.is_none_or(|net| peer.is_some_and(|address| net.contains(&address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_it_names_must_hold() {
        let suppression = Suppression {
            detection: "EGR-NOTALLOWED".into(),
            equipment: Some("gnb-1".into()),
            peer: Some("198.51.100.0/30".parse().unwrap()),
            until: Some(1_000),
            reason: None,
        };
        let peer = Some("198.51.100.3".parse().unwrap());
        assert!(suppression.matches("EGR-NOTALLOWED", Some("gnb-1"), peer, 1_000));
        assert!(!suppression.matches("EGR-NOTALLOWED", Some("gnb-1"), peer, 1_001));
        assert!(!suppression.matches("EGR-VOLUME", Some("gnb-1"), peer, 0));
        assert!(!suppression.matches("EGR-NOTALLOWED", Some("gnb-2"), peer, 0));
        assert!(!suppression.matches("EGR-NOTALLOWED", None, peer, 0));
        let other = Some("198.51.100.4".parse().unwrap());
        assert!(!suppression.matches("EGR-NOTALLOWED", Some("gnb-1"), other, 0));
        assert!(!suppression.matches("EGR-NOTALLOWED", Some("gnb-1"), None, 0));
        let any = Suppression { equipment: None, peer: None, until: None, ..suppression };
        assert!(any.matches("EGR-NOTALLOWED", None, None, u64::MAX));
    }
}
