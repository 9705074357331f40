//! TUN-FOREIGN: equipment sends a tunnel that nobody declared (GRE, IP in IP,
//! ESP, VXLAN, WireGuard and their kind), or G-PDUs in clear where the policy
//! says that only ESP may pass.
//!
//! A declared flow, a tap's own wrapper and what strangers send to equipment
//! that does not answer stay silent.

use crate::contract::verdict::{Fact, Initiator, Severity};
use crate::detect::{Detection, TUN_FOREIGN};
use crate::judge::flow::{Flow, Way};
use crate::judge::offence::Offence;
use crate::rules::Rules;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "TUN-FOREIGN",
    signature_id: 5_290_012,
    signature: "Equipment sends a tunnel that its policy does not allow",
    category: "Misc Attack",
    rank: 2,
    technique: &["T1572", "T1090"],
    restricted: false,
};

/// What is wrong with a flow's tunnel, if anything is.
pub fn offence(flow: &Flow, rules: &Rules) -> Option<Offence> {
    let (way, fact) = clear_gtpu(flow, rules).or_else(|| foreign(flow))?;
    let initiator = match flow.opener() {
        Some(opener) if opener == way => Initiator::Equipment,
        Some(_) => Initiator::Peer,
        None => Initiator::Unknown,
    };
    Some(Offence {
        detection: TUN_FOREIGN,
        severity: Severity::High,
        suspect: Some(way),
        peer: way.reverse(),
        initiator,
        fact,
    })
}

fn foreign(flow: &Flow) -> Option<(Way, Fact)> {
    if flow.allowed {
        return None;
    }
    flow.equipment_ways().find_map(|way| Some((way, Fact::ForeignTunnel(flow.tunnel(way)? as u8))))
}

fn clear_gtpu(flow: &Flow, rules: &Rules) -> Option<(Way, Fact)> {
    if !rules.is_esp_only(flow.key.low, flow.key.high) {
        return None;
    }
    flow.equipment_ways().find(|way| flow.side(*way).gpdus > 0).map(|way| (way, Fact::ClearGtpu))
}
