//! EGR-NOTALLOWED: equipment opens, or accepts and answers with data, a flow
//! that the allow-list does not hold.
//!
//! Silent for what equipment can't help: RST, ICMP answers and errors, and the
//! empty SYN-ACK that a scanner gets. A one-way tap shows only the far side;
//! its acknowledgements then prove that the equipment sends data.

use crate::contract::verdict::{Fact, Initiator, Severity};
use crate::decode::protocol;
use crate::detect::{Detection, EGR_NOTALLOWED};
use crate::judge::flow::{Flow, Way};
use crate::judge::offence::Offence;
use crate::record::Evidence;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "EGR-NOTALLOWED",
    signature_id: 5_290_002,
    signature: "Equipment exchanges data with a peer that its policy does not allow",
    category: "Potential Corporate Privacy Violation",
    rank: 1,
    technique: &["T1071", "T1041", "T1571"],
    restricted: false,
};

/// Acknowledgements of the far side that prove data from an unseen equipment.
const ROUND_TRIPS: u32 = 2;

/// What is wrong with a flow that the policy does not allow, if anything is.
pub fn offence(flow: &Flow) -> Option<Offence> {
    let (way, fact) = match flow.key.protocol {
        protocol::ICMP | protocol::ICMPV6 => opened_by_equipment(flow)?,
        protocol::TCP | protocol::SCTP if !flow.key.fragments => connection(flow)?,
        _ => datagrams(flow)?,
    };
    let initiator = match (fact, flow.opener()) {
        (Fact::Opened, _) => Initiator::Equipment,
        (Fact::Answered, _) => Initiator::Peer,
        (_, Some(opener)) if opener == way => Initiator::Equipment,
        (_, Some(_)) => Initiator::Peer,
        (_, None) => Initiator::Unknown,
    };
    Some(Offence {
        detection: EGR_NOTALLOWED,
        severity: Severity::High,
        suspect: Some(way),
        peer: way.reverse(),
        initiator,
        fact,
    })
}

fn opened_by_equipment(flow: &Flow) -> Option<(Way, Fact)> {
    flow.equipment_ways()
        .find(|way| flow.side(*way).evidence.any(Evidence::OPENS))
        .map(|way| (way, Fact::Opened))
}

fn connection(flow: &Flow) -> Option<(Way, Fact)> {
    if let Some(opener) = flow.opener() {
        if flow.is_equipment(opener) && flow.side(opener).evidence.any(Evidence::OPENS) {
            return Some((opener, Fact::Opened));
        }
        let responder = opener.reverse();
        if flow.is_equipment(responder) && flow.side(responder).evidence.any(Evidence::DATA) {
            return Some((responder, Fact::Answered));
        }
        if flow.is_equipment(opener) {
            // Only the acceptance was seen: it proves who opened.
            return Some((opener, Fact::Opened));
        }
    } else if let Some(way) =
        flow.equipment_ways().find(|way| flow.side(*way).evidence.any(Evidence::DATA))
    {
        return Some((way, Fact::SentData));
    }
    acknowledged(flow)
}

fn acknowledged(flow: &Flow) -> Option<(Way, Fact)> {
    flow.equipment_ways().find_map(|way| {
        let growths = flow.side(way.reverse()).acknowledged?.growths;
        (flow.side(way).packets == 0 && growths >= ROUND_TRIPS)
            .then_some((way, Fact::Acknowledged { round_trips: growths }))
    })
}

fn datagrams(flow: &Flow) -> Option<(Way, Fact)> {
    let first = flow.opener()?;
    if flow.is_equipment(first) {
        return Some((first, Fact::Opened));
    }
    let responder = first.reverse();
    (flow.is_equipment(responder) && flow.side(responder).evidence.any(Evidence::DATA))
        .then_some((responder, Fact::Answered))
}
