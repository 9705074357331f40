//! What each peer could say at all. What it can't is told apart from what it misses: nobody fails where
//! he does not claim to see.

use super::Peer;

/// Whether a peer has words for what a detection finds, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// It has: what it does not say is missed.
    Within(&'static str),
    /// It has none.
    Beyond(&'static str),
}

use Peer::{Elastic, Ndpi, Rita};
use Reach::{Beyond, Within};

const NO_SESSIONS: Reach = Beyond("it knows no PFCP session, tunnel or subscriber's address");
const NO_BALANCE: Reach =
    Beyond("it looks at one place and follows no packet from there to another");
const OUTSIDE_ONLY: Reach = Beyond("its filter drops what stays inside");
const NO_INVENTORY: Reach = Beyond("it knows no inventory and no policy");

/// By detection: RITA, Elastic, nDPI.
const TABLE: &[(&str, [Reach; 3])] = &[
    (
        "BCN-PERIODIC",
        [
            Within("the beacon score"),
            Within("the tests for even bytes, even counts and a period"),
            Beyond("it judges each flow by itself: 4.2 has no risk for a rhythm"),
        ],
    ),
    (
        "EGR-NOTALLOWED",
        [
            Within(
                "it knows no policy, but scores who turns outside again and again, or for hours",
            ),
            Within("it knows no policy, but tests who turns outside again and again"),
            Within(
                "it knows no policy, but calls a flow risky by its protocol, certificate or names",
            ),
        ],
    ),
    (
        "EGR-LONGCONN",
        [
            Within("the score of long connections"),
            Beyond("it counts connections, and not how long they last"),
            Beyond("it has no risk for how long a flow lasts"),
        ],
    ),
    (
        "EGR-COHORT",
        [
            Beyond("it knows no builds: what many turn to is lowered"),
            Beyond("it looks at one host at a time"),
            Beyond("it judges each flow by itself"),
        ],
    ),
    (
        "EGR-VOLUME",
        [
            Beyond("it scores how even sizes are, and not how great"),
            Beyond("it tests how even bytes are, and not how many"),
            Beyond("it has no risk for volume"),
        ],
    ),
    (
        "OAM-WINDOW",
        [
            Beyond("its filter drops what comes from outside, and it knows no windows"),
            Beyond("its filter drops what comes from outside, and it knows no windows"),
            Within("it knows no windows, but has risks for remote sessions"),
        ],
    ),
    ("INV-UNKNOWN", [OUTSIDE_ONLY, OUTSIDE_ONLY, NO_INVENTORY]),
    ("GTP-PEER", [NO_INVENTORY; 3]),
    (
        "TUN-FOREIGN",
        [
            Beyond("its log tells of what a tunnel holds, and the score of no tunnel"),
            Beyond("an endpoint tells of connections, and of no tunnel"),
            Beyond("it names the protocols of tunnels, and has no risk for them"),
        ],
    ),
    ("GTP-NEST", [NO_SESSIONS; 3]),
    ("GTP-CPINUP", [NO_SESSIONS; 3]),
    ("GTP-HDRCOV", [Beyond("it reads GTP-U headers only to find what follows them"); 3]),
    ("GTP-ORPHAN", [NO_SESSIONS; 3]),
    ("GTP-TEIDSCAN", [NO_SESSIONS; 3]),
    ("GTP-TEIDCLONE", [NO_SESSIONS; 3]),
    ("GTP-UESPOOF", [NO_SESSIONS; 3]),
    ("PFCP-PEER", [NO_SESSIONS; 3]),
    ("PFCP-REDIR", [NO_SESSIONS; 3]),
    ("PFCP-DUPL", [NO_SESSIONS; 3]),
    ("LI-UNMATCHED", [NO_SESSIONS; 3]),
    ("PFCP-FLOOD", [NO_SESSIONS; 3]),
    ("PFCP-GHOST", [NO_SESSIONS; 3]),
    (
        "COV-DNS",
        [
            Within(
                "its C2 over DNS counts subdomains; that module reads DNS logs and is not written out here",
            ),
            Beyond("it counts connections, and reads no names"),
            Within("it has risks for suspicious DNS traffic and names"),
        ],
    ),
    (
        "COV-ICMP",
        [
            Beyond("it scores connections, and reads no echoes"),
            Beyond("it counts connections, and reads no echoes"),
            Within("it has risks for suspicious entropy and malformed packets"),
        ],
    ),
    ("COV-TIME", [NO_INVENTORY; 3]),
    (
        "EGR-CRYPTO",
        [
            Beyond("a rare signature only raises a score"),
            Beyond("it counts connections, and reads no hellos"),
            Within("it has risks for TLS and for suspicious entropy"),
        ],
    ),
    ("CNS-BALANCE", [NO_BALANCE; 3]),
    ("CNS-DUP", [NO_BALANCE; 3]),
    ("OPS-BLIND", [Beyond("it does not tell what it failed to see"); 3]),
];

impl Peer {
    /// Whether it has words for what a detection finds.
    #[must_use]
    pub fn reach(self, detection: &str) -> Reach {
        let [rita, elastic, ndpi] = TABLE
            .iter()
            .find(|(id, _)| *id == detection)
            .map_or([Beyond("nothing is known of this detection"); 3], |(_, reach)| *reach);
        match self {
            Rita => rita,
            Elastic => elastic,
            Ndpi => ndpi,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weir_engine::detect::CATALOGUE;

    use super::*;

    #[test]
    fn every_detection_has_its_row_once() {
        let rows: BTreeSet<&str> = TABLE.iter().map(|(id, _)| *id).collect();
        let detections: BTreeSet<&str> = CATALOGUE.iter().map(|it| it.id).collect();
        assert_eq!(rows, detections);
        assert_eq!(rows.len(), TABLE.len());
    }

    #[test]
    fn every_peer_has_its_own_column() {
        assert!(matches!(Rita.reach("EGR-LONGCONN"), Within(_)));
        assert!(matches!(Elastic.reach("EGR-LONGCONN"), Beyond(_)));
        assert!(matches!(Ndpi.reach("BCN-PERIODIC"), Beyond(_)));
        assert!(matches!(Elastic.reach("BCN-PERIODIC"), Within(_)));
        for peer in super::super::ALL {
            assert!(matches!(peer.reach("PFCP-REDIR"), Beyond(_)));
        }
    }
}
