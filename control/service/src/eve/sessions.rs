//! What events say of PFCP sessions, in the names of `weir sessions`.

use std::net::IpAddr;

use serde::Serialize;
use weir_engine::contract::session::{
    Forwarding, SessionContext, SessionRecord, SessionState, TunnelEnd,
};
use weir_wire::pfcp_ie::ApplyAction;

use super::{PolicyName, identity, timestamp};

/// The pseudonym of a SUPI.
fn pseudonym(hash: u64) -> String {
    format!("h:{hash:016x}")
}

/// A SEID; 0 is none.
fn seid(number: u64) -> Option<String> {
    (number != 0).then(|| identity(number))
}

/// The session that an alert is about.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cp_seid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_seid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ue: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
}

impl<'a> From<&'a SessionContext> for Context<'a> {
    fn from(session: &'a SessionContext) -> Self {
        Self {
            cp_seid: seid(session.cp_seid),
            up_seid: seid(session.up_seid),
            ue: session.ue,
            dnn: session.dnn.as_deref(),
            supi: session.supi.map(pseudonym),
            slice: session.slice.map(|slice| slice.to_string()),
        }
    }
}

/// A forwarding rule before and after an order.
#[derive(Debug, Serialize)]
pub struct RuleChange {
    /// None before: the rule is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Rule>,
}

impl RuleChange {
    /// The change, if there is one to show. Copies are shown only to the restricted role.
    pub fn of(
        before: Option<Forwarding>,
        after: Option<Forwarding>,
        shows_copies: bool,
    ) -> Option<Self> {
        let rule = |rule: Forwarding| Rule::of(rule, shows_copies);
        (before.is_some() || after.is_some())
            .then(|| Self { before: before.map(rule), after: after.map(rule) })
    }
}

#[derive(Debug, Serialize)]
struct Rule {
    far: u32,
    apply: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<TunnelEnd>,
}

impl Rule {
    fn of(Forwarding { far, apply, to }: Forwarding, shows_copies: bool) -> Self {
        let masked = if shows_copies { apply } else { apply & !ApplyAction::DUPL };
        Self { far, apply: ApplyAction(masked).names().map(str::to_uppercase).collect(), to }
    }
}

/// Who gave an order.
#[derive(Debug, Serialize)]
pub struct Orderer<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// Its id, if it is equipment.
    pub equipment: Option<&'a str>,
}

/// What stands under `weir` in an event about a session.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct SessionBody<'a> {
    pub site: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cp_seid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_seid: Option<String>,
    pub cp: Option<IpAddr>,
    pub up: Option<IpAddr>,
    pub generation: u32,
    pub state: SessionState,
    pub established: Option<String>,
    pub ended: Option<String>,
    pub ue: &'a [IpAddr],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    pub uplink: &'a [TunnelEnd],
    pub downlink: &'a [TunnelEnd],
    pub modifications: u32,
    pub reports: u32,
    pub packets: Ways,
    pub bytes: Ways,
    /// QoS flows that were seen.
    pub qfi: Flows<'a>,
    /// Bytes as the UPF reported them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_bytes: Option<Ways>,
    pub usage_mismatch: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
}

/// QoS flows by direction.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Flows<'a> {
    pub ul: &'a [u8],
    pub dl: &'a [u8],
}

/// Counts by direction.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Ways {
    pub ul: u64,
    pub dl: u64,
}

impl<'a> SessionBody<'a> {
    /// From the sensor's record.
    pub fn of(record: &'a SessionRecord, site: &'a str, policy: Option<PolicyName>) -> Self {
        let usage = record.usage;
        Self {
            site,
            cp_seid: seid(record.cp_seid),
            up_seid: seid(record.up_seid),
            cp: record.cp,
            up: record.up,
            generation: record.generation,
            state: record.state,
            established: record.established.map(timestamp),
            ended: record.ended.map(timestamp),
            ue: &record.ue,
            network_instance: record.network_instance.as_deref(),
            dnn: record.dnn.as_deref(),
            supi: record.supi.map(pseudonym),
            slice: record.slice.map(|slice| slice.to_string()),
            uplink: &record.uplink,
            downlink: &record.downlink,
            modifications: record.modifications,
            reports: record.reports,
            packets: Ways { ul: usage.uplink_packets, dl: usage.downlink_packets },
            bytes: Ways { ul: usage.uplink_bytes, dl: usage.downlink_bytes },
            qfi: Flows { ul: &record.qfi[0], dl: &record.qfi[1] },
            reported_bytes: record.reported.map(|(ul, dl)| Ways { ul, dl }),
            usage_mismatch: record.usage_mismatch,
            policy,
        }
    }
}
