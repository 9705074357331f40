//! GTP-PEER: G-PDUs between outer addresses that are no declared pair, and
//! GTP-U on the link to the data network, where no tunnel has any business.
//!
//! Only verified G-PDUs count: version, lengths and an inner IP packet. That
//! keeps a subscriber's ephemeral port 2152 silent.

use crate::contract::verdict::{Fact, Initiator, Severity};
use crate::detect::{Detection, GTP_PEER};
use crate::judge::flow::{Flow, Way};
use crate::judge::offence::Offence;
use crate::rules::{Link, Party};

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-PEER",
    signature_id: 5_290_013,
    signature: "G-PDUs between outer addresses that nobody declared as a pair",
    category: "Misc Attack",
    rank: 5,
    technique: &["T1572", "T1599"],
    restricted: false,
};

/// What is wrong with a flow's G-PDUs, if anything is.
pub fn offence(flow: &Flow) -> Option<Offence> {
    if flow.up.gpdus + flow.down.gpdus == 0 {
        return None;
    }
    let suspect = suspect(flow);
    let (fact, severity) = if flow.link == Link::N6 {
        let by_subscriber =
            [Way::Up, Way::Down].into_iter().any(|way| flow.party(way) == Party::Subscriber);
        // A GTP lab on a phone is the subscriber's own doing.
        let severity =
            if suspect.is_none() && by_subscriber { Severity::Medium } else { Severity::Critical };
        (Fact::OnN6, severity)
    } else if flow.allowed || is_roaming(flow) {
        return None;
    } else {
        (Fact::UndeclaredPair, Severity::High)
    };
    let initiator = match (suspect, flow.opener()) {
        (Some(way), Some(opener)) if way == opener => Initiator::Equipment,
        (_, Some(_)) => Initiator::Peer,
        _ => Initiator::Unknown,
    };
    let sender = suspect.or(flow.opener()).unwrap_or(Way::Up);
    // Without equipment the stranger is who sends.
    let peer = if suspect.is_some() { sender.reverse() } else { sender };
    Some(Offence { detection: GTP_PEER, severity, suspect, peer, initiator, fact })
}

/// The equipment that sends G-PDUs, else the one that gets them.
fn suspect(flow: &Flow) -> Option<Way> {
    let sends = |way: &Way| flow.side(*way).gpdus > 0;
    flow.equipment_ways().find(sends).or_else(|| flow.equipment_ways().next())
}

fn is_roaming(flow: &Flow) -> bool {
    let pair = (flow.party(Way::Up), flow.party(Way::Down));
    matches!(pair, (Party::Equipment(_), Party::Roaming) | (Party::Roaming, Party::Equipment(_)))
}
