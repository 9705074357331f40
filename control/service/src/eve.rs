//! Events as Suricata's EVE JSON writes them, all of ours under the one key
//! `weir`. The order of keys is that of the fields, so that equal events are
//! equal bytes; absent values are absent keys.

mod sessions;

use std::net::IpAddr;

use serde::Serialize;
use serde_json::value::RawValue;
use weir_engine::Nanos;
use weir_engine::contract::verdict::{Alert, Direction, FlowEnd, Initiator, Severity, Tuple};
use weir_journal::Head;
use weir_policy::Equipment;

use crate::counts::Totals;

pub use sessions::{Context, Orderer, RuleChange, SessionBody};

/// A moment as RFC 3339 in UTC with nine decimals.
pub fn timestamp(time: Nanos) -> String {
    // 64 bits of nanoseconds end in the year 2554, long before the calendar does.
    let moment = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
    format!("{moment:.9}")
}

/// A UTC day as RFC 3339 writes it.
pub fn date(day: u32) -> String {
    let mut text = timestamp(Nanos::from_secs(u64::from(day) * 86_400));
    text.truncate(10);
    text
}

/// A 64-bit identity as a hex string.
pub fn identity(number: u64) -> String {
    format!("{number:#x}")
}

/// A protocol as Suricata names it; its number where Suricata has no name.
pub fn protocol(number: u8) -> String {
    match number {
        1 => "ICMP".into(),
        6 => "TCP".into(),
        17 => "UDP".into(),
        58 => "IPv6-ICMP".into(),
        132 => "SCTP".into(),
        other => other.to_string(),
    }
}

/// One event: a line of the file.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// RFC 3339.
    pub timestamp: String,
    /// The flow, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_id: Option<String>,
    /// The tap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_iface: Option<&'a str>,
    /// alert, flow, session, health, policy or stats.
    pub event_type: &'static str,
    /// The addresses, where there are any.
    #[serde(flatten)]
    pub ends: Ends,
    /// Suricata's part of an alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Signature>,
    /// Suricata's part of a flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowCounts>,
    /// Everything of ours.
    pub weir: Body<'a>,
}

impl<'a> Event<'a> {
    /// An event that concerns no packet.
    pub fn bare(time: Nanos, event_type: &'static str, weir: Body<'a>) -> Self {
        Self {
            timestamp: timestamp(time),
            flow_id: None,
            in_iface: None,
            event_type,
            ends: Ends::default(),
            alert: None,
            flow: None,
            weir,
        }
    }

    /// Appends the event as a line. Texts from outside are escaped here, once.
    pub fn write(&self, lines: &mut Vec<u8>) {
        // Writing these types to memory has nothing to fail on.
        if serde_json::to_writer(&mut *lines, self).is_ok() {
            lines.push(b'\n');
        }
    }
}

/// Suricata's names of the two ends.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Ends {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
}

impl Ends {
    /// Those of a packet.
    pub fn of(tuple: &Tuple) -> Self {
        Self {
            src_ip: Some(tuple.source),
            src_port: port(tuple.source_port),
            dest_ip: Some(tuple.destination),
            dest_port: port(tuple.destination_port),
            proto: Some(protocol(tuple.protocol)),
        }
    }

    /// A sender of which no single packet is told.
    pub fn sender(address: IpAddr) -> Self {
        Self { src_ip: Some(address), ..Self::default() }
    }
}

fn port(number: u16) -> Option<u16> {
    (number != 0).then_some(number)
}

/// Suricata's part of an alert.
#[derive(Debug, Serialize)]
pub struct Signature {
    /// Weir lets every packet pass.
    pub action: &'static str,
    /// The group of signatures.
    pub gid: u32,
    /// The published number.
    pub signature_id: u32,
    /// The signature's revision.
    pub rev: u32,
    /// What fired.
    pub signature: &'static str,
    /// Suricata's category.
    pub category: &'static str,
    /// 1 is gravest.
    pub severity: u8,
}

/// Suricata's part of a flow.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct FlowCounts {
    pub pkts_toserver: u64,
    pub pkts_toclient: u64,
    pub bytes_toserver: u64,
    pub bytes_toclient: u64,
    pub start: String,
    pub end: String,
    /// Whole seconds.
    pub age: u64,
    pub state: &'static str,
    pub reason: FlowEnd,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_flags_ts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_flags_tc: Option<String>,
}

/// What stands under `weir`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Body<'a> {
    /// Of an alert.
    Alert(Box<AlertBody<'a>>),
    /// Of a flow.
    Flow(Box<FlowBody<'a>>),
    /// Of a session.
    Session(Box<SessionBody<'a>>),
    /// Of a change of health.
    Health(HealthBody<'a>),
    /// Of a policy that came into force or was refused.
    Policy(PolicyBody<'a>),
    /// Of the counters.
    Stats(StatsBody<'a>),
    /// What somebody did.
    Audit(AuditBody<'a>),
}

/// What stands under `weir` in an alert.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct AlertBody<'a> {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<u64>,
    pub detection: &'static str,
    pub severity: Severity,
    pub confidence: f64,
    pub status: &'static str,
    pub update: u32,
    #[serde(rename = "final")]
    pub is_final: bool,
    pub site: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap: Option<&'a str>,
    pub link: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equipment: Option<Suspect<'a>>,
    pub initiator: Initiator,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_build: Option<SameBuild>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<Packet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Packet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtpu: Option<Gtpu<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Context<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered_by: Option<Orderer<'a>>,
    pub observed: String,
    pub expected: String,
    pub packets: u64,
    pub bytes: u64,
    pub first: String,
    pub last: String,
    pub sensor_loss_ratio: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n4_coverage: Option<f32>,
    pub why: String,
    pub ruled_out: Vec<String>,
    pub next: String,
    pub technique: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence<'a>>,
    pub dedup: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
}

/// The frames that show it.
#[derive(Debug, Serialize)]
pub struct Evidence<'a> {
    /// A file in the directory of evidence.
    pub pcap: &'a str,
    /// Its SHA-256 as it stood when this was said.
    pub sha256: String,
    /// Frames in it.
    pub frames: u32,
}

/// The equipment under suspicion: its inventory entry, or its number where the
/// inventory that it belongs to is not held any more.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Suspect<'a> {
    /// Its entry.
    Entry(&'a Equipment),
    /// `#` and its number.
    Number {
        /// In place of the entry's id.
        id: String,
    },
}

/// The other side.
#[derive(Debug, Serialize)]
pub struct Peer<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// Its id, if it is equipment too.
    pub equipment: Option<&'a str>,
    /// What DNS calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
}

/// Equipment of the same vendor, model and build.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct SameBuild {
    /// How many are installed.
    pub installed: u32,
    /// How many show the same detection on the same day.
    pub showing: u32,
}

/// A packet's addresses, in the names of `weir decode`.
#[derive(Debug, Serialize)]
pub struct Packet {
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sport: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dport: Option<u16>,
}

impl From<&Tuple> for Packet {
    fn from(tuple: &Tuple) -> Self {
        Self {
            src: tuple.source,
            dst: tuple.destination,
            proto: tuple.protocol,
            sport: port(tuple.source_port),
            dport: port(tuple.destination_port),
        }
    }
}

/// Tunnels.
#[derive(Debug, Serialize)]
pub struct Gtpu<'a> {
    /// The TEID of the first packet.
    pub teid: u32,
    /// Its QoS flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qfi: Option<u8>,
    /// All TEIDs that the alert is about, as far as they are listed.
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    pub teids: &'a [u32],
}

impl<'a> Gtpu<'a> {
    /// Those of an alert, if it has any.
    pub fn of(alert: &'a Alert) -> Option<Self> {
        let teids = alert.n4.as_ref().map_or(&[][..], |n4| n4.teids.as_slice());
        let teid = alert.tunnel.map(|tunnel| tunnel.teid).or(teids.first().copied())?;
        Some(Self { teid, qfi: alert.tunnel.and_then(|tunnel| tunnel.qfi), teids })
    }
}

/// The policy that judged.
#[derive(Debug, Serialize)]
pub struct PolicyName {
    /// Its version.
    pub version: u64,
    /// Its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What stands under `weir` in a flow.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct FlowBody<'a> {
    pub site: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap: Option<&'a str>,
    pub link: &'static str,
    pub allowed: bool,
    pub initiator: Initiator,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equipment: Option<Suspect<'a>>,
    pub peer: Peer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
}

/// What stands under `weir` in a change of health.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct HealthBody<'a> {
    pub site: &'a str,
    /// sensor, events, event_file, capture …
    pub subject: &'static str,
    pub state: &'static str,
    pub observed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// What stands under `weir` in a deed.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct AuditBody<'a> {
    pub site: &'a str,
    pub actor: &'a str,
    pub action: &'static str,
    pub object: &'a str,
    /// How, as the deed has it.
    pub detail: &'a RawValue,
}

/// What stands under `weir` in a change of policy.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct PolicyBody<'a> {
    pub site: &'a str,
    /// in_force or refused.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equipment: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// A number before and now.
#[derive(Debug, Serialize)]
pub struct Change {
    /// Before.
    pub before: u32,
    /// Now.
    pub now: u32,
}

/// What stands under `weir` in the counters.
#[derive(Debug, Serialize)]
pub struct StatsBody<'a> {
    /// The site.
    pub site: &'a str,
    /// The end of the journal, for whoever keeps these events elsewhere: it must still be there later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Head>,
    /// Since the sensor's start.
    #[serde(flatten)]
    pub totals: &'a Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_days_and_protocols_have_their_names() {
        let time = Nanos(1_700_000_000_123_456_789);
        assert_eq!(timestamp(time), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(timestamp(Nanos(0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(timestamp(Nanos::MAX), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(date(time.day()), "2023-11-14");
        assert_eq!((protocol(58), protocol(47)), ("IPv6-ICMP".into(), "47".into()));
        assert_eq!(identity(0xab), "0xab");
    }

    #[test]
    fn hostile_text_stays_within_its_line() {
        let body = HealthBody {
            site: "a\"\n{\u{7}",
            subject: "sensor",
            state: "dead",
            observed: String::new(),
            since: None,
            lost: None,
        };
        let mut lines = Vec::new();
        Event::bare(Nanos(0), "health", Body::Health(body)).write(&mut lines);
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["weir"]["site"], "a\"\n{\u{7}");
        assert!(read.get("src_ip").is_none() && read["weir"].get("since").is_none());
    }
}
