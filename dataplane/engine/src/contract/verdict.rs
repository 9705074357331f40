//! Verdicts: the records of the event ring.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::contract::session::{SessionRecord, Signalled};
use crate::contract::streams::Streams;
use crate::rules::{EquipmentId, Link};

use crate::contract::content::{Features, Questions};

pub use crate::contract::fact::{CryptoNews, EchoOddity, Fact, Hidden, Oddity, Spoof, TimeOddity};

/// How grave an alert is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To be known, no threat by itself.
    Info,
    /// Suricata's 4.
    Low,
    /// Suricata's 3.
    Medium,
    /// Suricata's 2.
    High,
    /// Suricata's 1.
    Critical,
}

impl Severity {
    /// Every severity, ascending.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The name in events and the metric label `severity`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// Suricata's `alert.severity`: 1 is gravest, and info shares 4 with low.
    pub const fn suricata(self) -> u8 {
        match self {
            Severity::Critical => 1,
            Severity::High => 2,
            Severity::Medium => 3,
            Severity::Low | Severity::Info => 4,
        }
    }
}

/// Who opened the conversation, as far as it was seen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Initiator {
    /// The equipment that the alert names.
    Equipment,
    /// The other side.
    Peer,
    /// The opening was not seen.
    #[default]
    Unknown,
}

/// The user plane's direction.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the radio side towards the data network.
    Ul,
    /// Towards the radio side.
    Dl,
}

/// One packet's addresses and ports, source first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Tuple {
    /// The sender.
    pub source: IpAddr,
    /// The receiver.
    pub destination: IpAddr,
    /// The sender's port, 0 if there is none.
    pub source_port: u16,
    /// The receiver's port, 0 if there is none.
    pub destination_port: u16,
    /// The IP protocol number.
    pub protocol: u8,
}

/// The tunnel of a G-PDU.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Tunnel {
    /// Its TEID.
    pub teid: u32,
    /// The QoS flow, if the packet said so.
    pub qfi: Option<u8>,
}

/// An alert's standing: said when it fires, at every tenfold of its packets,
/// when its day or the input ends. Counts are those of the whole instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Alert {
    /// The detection: an index into [`crate::detect::CATALOGUE`].
    pub detection: u16,
    /// Tells this row of the sensor's table from earlier and later ones of the same key.
    pub instance: u64,
    /// The UTC day that the alert is counted on.
    pub day: u32,
    /// Whether this is the instance's last word.
    pub last_word: bool,
    /// How grave.
    pub severity: Severity,
    /// A more specific detection explains it: an index into the catalogue.
    pub superseded_by: Option<u16>,
    /// Packets were lost meanwhile, or a link is not tapped whole.
    pub degraded: bool,
    /// Lost ÷ received at the time.
    pub loss_ratio: f32,
    /// The suspect.
    pub equipment: Option<EquipmentId>,
    /// The other side, if it is equipment too.
    pub peer_equipment: Option<EquipmentId>,
    /// The other side's address.
    pub peer: Option<IpAddr>,
    /// What the equipment's DNS answers call it.
    pub peer_name: Option<String>,
    /// Who opened the conversation.
    pub initiator: Initiator,
    /// What was seen.
    pub fact: Fact,
    /// The tap that saw it first.
    pub tap: u16,
    /// The link it was on.
    pub link: Link,
    /// The user plane's direction, where it has one.
    pub direction: Option<Direction>,
    /// The first such packet.
    pub outer: Option<Tuple>,
    /// Its inner packet.
    pub inner: Option<Tuple>,
    /// Its tunnel.
    pub tunnel: Option<Tunnel>,
    /// The flow that fired.
    pub flow_id: u64,
    /// Packets so far.
    pub packets: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// The first packet's time.
    pub first: Nanos,
    /// The last packet's time.
    pub last: Nanos,
    /// The end of the slice in which this was said.
    pub at: Nanos,
    /// The version of the policy that judged.
    pub policy: u64,
    /// What N4 has to say about it.
    pub n4: Option<Box<Signalled>>,
    /// Its frames that were not told of before.
    pub evidence: Option<Frames>,
}

/// Frames in the evidence ring (see [`crate::contract::exhibit`]).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Frames {
    /// The number of their first record.
    pub from: u64,
    /// How many records they are.
    pub records: u16,
}

/// Packets one way.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// All TCP flags seen.
    pub tcp_flags: u8,
}

/// Why a flow record was made.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowEnd {
    /// It goes on: an hour has passed.
    Hourly,
    /// Its connection was closed or reset.
    Closed,
    /// It was idle for its time-out.
    Idle,
    /// Its row was needed for another.
    Evicted,
    /// The input ended.
    Input,
}

/// An equipment flow, whole, as it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Flow {
    /// Stable for the flow's life.
    pub flow_id: u64,
    /// Initiator first, as far as it is known.
    pub tuple: Tuple,
    /// Whether the initiator is known.
    pub initiator_known: bool,
    /// The first side, if it is equipment.
    pub source: Option<EquipmentId>,
    /// The second side, if it is equipment.
    pub destination: Option<EquipmentId>,
    /// From the first side to the second.
    pub to_server: Volume,
    /// From the second side to the first.
    pub to_client: Volume,
    /// The first packet's time.
    pub first: Nanos,
    /// The last packet's time.
    pub last: Nanos,
    /// When this record was made.
    pub at: Nanos,
    /// Why.
    pub end: FlowEnd,
    /// Whether the policy allows it.
    pub allowed: bool,
    /// What DNS calls the side that is no equipment.
    pub name: Option<String>,
    /// The tap that saw it first.
    pub tap: u16,
    /// The link it was on.
    pub link: Link,
    /// The version of the policy that judged.
    pub policy: u64,
}

/// A spell of activity on an equipment flow: packets without a silence of three seconds among them,
/// or the five minutes' part of one that goes on. What says GTP-U or PFCP is left out. This is
/// what the detections with a long memory rest on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Activity {
    /// The flow's.
    pub flow_id: u64,
    /// Initiator first, as far as it is known.
    pub tuple: Tuple,
    /// Whether the initiator is known.
    pub initiator_known: bool,
    /// The first side, if it is equipment.
    pub source: Option<EquipmentId>,
    /// The second side, if it is equipment.
    pub destination: Option<EquipmentId>,
    /// Packets and bytes from the first side to the second.
    pub to_server: (u64, u64),
    /// From the second side to the first.
    pub to_client: (u64, u64),
    /// Packets and bytes of the whole flow so far, both ways.
    pub total: (u64, u64),
    /// When the flow began.
    pub opened: Nanos,
    /// The first packet's time.
    pub first: Nanos,
    /// The last packet's time.
    pub last: Nanos,
    /// Whether it goes on from the flow's spell before, without a silence.
    pub continues: bool,
    /// Whether the policy allows the flow.
    pub allowed: bool,
    /// Whether it does so by a rule that declares a regular heartbeat.
    pub periodic: bool,
    /// What DNS calls the side that is no equipment.
    pub name: Option<String>,
    /// The tap that saw the flow first.
    pub tap: u16,
    /// The link it is on.
    pub link: Link,
    /// The version of the policy that judged.
    pub policy: u64,
    /// The first frames of it, where the other side is no equipment.
    pub evidence: Option<Frames>,
}

/// A policy came into force.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PolicySwap {
    /// When, in packet time.
    pub at: Nanos,
    /// Its version.
    pub version: u64,
    /// Its hash.
    pub sha256: [u8; 32],
    /// Inventory entries, before and now.
    pub equipment: (u32, u32),
    /// Allow rules, before and now.
    pub rules: (u32, u32),
}

/// The input has ended and every timer has fired.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct InputEnd {
    /// The last packet's time.
    pub last: Nanos,
}

/// A record of the event ring.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "a session's record is written down at once, and none allocates"
)]
pub enum Verdict {
    /// An alert's standing.
    Alert(Box<Alert>),
    /// A flow's standing.
    Flow(Box<Flow>),
    /// A new policy.
    Policy(PolicySwap),
    /// The end of a replay.
    End(InputEnd),
    /// A session was agreed, or has ended.
    Session(SessionRecord),
    /// A spell of activity on a flow.
    Activity(Box<Activity>),
    /// Names that equipment asked the DNS for.
    Questions(Box<Questions>),
    /// What the first packets of an equipment's flow show.
    Features(Box<Features>),
    /// Streams of copies to a place, of which more were than are authorised.
    Streams(Box<Streams>),
}

/// The most bytes that an encoded verdict has: what fits a slot of the ring.
pub const MAX_BYTES: usize = 992;

/// The longest name that a verdict carries: it leaves room for all other fields.
pub const MAX_NAME: usize = 120;

impl Verdict {
    /// Writes the verdict to `slot` and gives the part written; none if it does
    /// not fit, which names of at most [`MAX_NAME`] bytes rule out.
    pub fn encode<'a>(&self, slot: &'a mut [u8; MAX_BYTES]) -> Option<&'a [u8]> {
        postcard::to_slice(self, slot).ok().map(|written| &*written)
    }

    /// Reads a verdict; none if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::content::{AskedName, Feature, MAX_ASKED, MAX_PROTOCOL};
    use crate::contract::session::{
        Forwarding, MAX_SESSION_ENDS, MAX_SESSION_NAME, MAX_TEIDS, SessionContext, SessionState,
        Slice, TunnelEnd, Usage,
    };

    fn largest() -> Alert {
        let far = IpAddr::from([0xff; 16]);
        let tuple = Tuple {
            source: far,
            destination: far,
            source_port: u16::MAX,
            destination_port: u16::MAX,
            protocol: u8::MAX,
        };
        Alert {
            detection: u16::MAX,
            instance: u64::MAX,
            day: u32::MAX,
            last_word: true,
            severity: Severity::Critical,
            superseded_by: Some(u16::MAX),
            degraded: true,
            loss_ratio: 1.0,
            equipment: Some(EquipmentId(u32::MAX)),
            peer_equipment: Some(EquipmentId(u32::MAX)),
            peer: Some(far),
            peer_name: Some("x".repeat(MAX_NAME)),
            initiator: Initiator::Unknown,
            fact: Fact::Loss { lost: u64::MAX, received: u64::MAX },
            tap: u16::MAX,
            link: Link::Mixed,
            direction: Some(Direction::Dl),
            outer: Some(tuple),
            inner: Some(tuple),
            tunnel: Some(Tunnel { teid: u32::MAX, qfi: Some(u8::MAX) }),
            flow_id: u64::MAX,
            packets: u64::MAX,
            bytes: u64::MAX,
            first: Nanos::MAX,
            last: Nanos::MAX,
            at: Nanos::MAX,
            policy: u64::MAX,
            n4: Some(Box::new(Signalled {
                session: Some(session()),
                before: Some(forwarding()),
                after: Some(forwarding()),
                ordered_by: Some(far),
                coverage: Some(1.0),
                doubt: 1.0,
                teids: vec![u32::MAX; MAX_TEIDS],
            })),
            evidence: Some(Frames { from: u64::MAX, records: u16::MAX }),
        }
    }

    fn name() -> Option<String> {
        Some("x".repeat(MAX_SESSION_NAME))
    }

    fn short_name() -> Option<crate::contract::session::ShortName> {
        name().and_then(|name| name.parse().ok())
    }

    fn slice() -> Option<Slice> {
        Some(Slice { sst: 255, sd: Some([255; 3]) })
    }

    fn end() -> TunnelEnd {
        TunnelEnd { teid: u32::MAX, addr: IpAddr::from([0xff; 16]) }
    }

    fn forwarding() -> Forwarding {
        Forwarding { far: u32::MAX, apply: u16::MAX, to: Some(end()) }
    }

    fn session() -> SessionContext {
        SessionContext {
            cp_seid: u64::MAX,
            up_seid: u64::MAX,
            ue: Some(IpAddr::from([0xff; 16])),
            dnn: name(),
            supi: Some(u64::MAX),
            slice: slice(),
        }
    }

    #[test]
    fn the_largest_session_fits_a_slot_and_survives_it() {
        let far = IpAddr::from([0xff; 16]);
        let verdict = Verdict::Session(SessionRecord {
            at: Nanos::MAX,
            cp_seid: u64::MAX,
            up_seid: u64::MAX,
            cp: Some(far),
            up: Some(far),
            generation: u32::MAX,
            state: SessionState::Deleted,
            established: Some(Nanos::MAX),
            ended: Some(Nanos::MAX),
            ue: [far; MAX_SESSION_ENDS].into(),
            network_instance: short_name(),
            dnn: short_name(),
            supi: Some(u64::MAX),
            slice: slice(),
            uplink: [end(); MAX_SESSION_ENDS].into(),
            downlink: [end(); MAX_SESSION_ENDS].into(),
            modifications: u32::MAX,
            reports: u32::MAX,
            usage: Usage {
                uplink_packets: u64::MAX,
                downlink_packets: u64::MAX,
                uplink_bytes: u64::MAX,
                downlink_bytes: u64::MAX,
            },
            qfi: [[63; MAX_SESSION_ENDS].into(), [63; MAX_SESSION_ENDS].into()],
            reported: Some((u64::MAX, u64::MAX)),
            usage_mismatch: true,
            policy: u64::MAX,
        });
        let mut slot = [0; MAX_BYTES];
        let written = verdict.encode(&mut slot).unwrap();
        assert_eq!(Verdict::decode(written), Some(verdict));
    }

    #[test]
    fn the_largest_alert_fits_a_slot_and_survives_it() {
        let verdict = Verdict::Alert(Box::new(largest()));
        let mut slot = [0; MAX_BYTES];
        let written = verdict.encode(&mut slot).unwrap();
        assert_eq!(Verdict::decode(written), Some(verdict));
    }

    #[test]
    fn the_most_questions_fit_a_slot_and_survive_it() {
        let far = IpAddr::from([0xff; 16]);
        let verdict = Verdict::Questions(Box::new(Questions {
            equipment: EquipmentId(u32::MAX),
            domain: "x".repeat(MAX_NAME),
            name: "x".repeat(MAX_NAME),
            names: vec![AskedName { digest: [0xff; 8], bits: u16::MAX }; MAX_ASKED],
            folded: u64::MAX,
            total: (u64::MAX, u64::MAX),
            first_label: 63,
            tuple: Tuple {
                source: far,
                destination: far,
                source_port: u16::MAX,
                destination_port: u16::MAX,
                protocol: u8::MAX,
            },
            first: Nanos::MAX,
            last: Nanos::MAX,
            tap: u16::MAX,
            link: Link::Mixed,
            policy: u64::MAX,
        }));
        let mut slot = [0; MAX_BYTES];
        let written = verdict.encode(&mut slot).unwrap();
        assert_eq!(Verdict::decode(written), Some(verdict));
    }

    #[test]
    fn the_largest_features_fit_a_slot_and_survive_it() {
        let far = IpAddr::from([0xff; 16]);
        let verdict = Verdict::Features(Box::new(Features {
            equipment: EquipmentId(u32::MAX),
            peer_equipment: Some(EquipmentId(u32::MAX)),
            tuple: Tuple {
                source: far,
                destination: far,
                source_port: u16::MAX,
                destination_port: u16::MAX,
                protocol: u8::MAX,
            },
            flow_id: u64::MAX,
            shows: Feature::Tls {
                name: Some("x".repeat(MAX_NAME)),
                protocol: Some("x".repeat(MAX_PROTOCOL)),
                ja4: Some("x".repeat(36)),
            },
            folded: u64::MAX,
            bytes: u64::MAX,
            at: Nanos::MAX,
            allowed: true,
            tap: u16::MAX,
            link: Link::Mixed,
            policy: u64::MAX,
        }));
        let mut slot = [0; MAX_BYTES];
        let written = verdict.encode(&mut slot).unwrap();
        assert_eq!(Verdict::decode(written), Some(verdict));
    }

    #[test]
    fn noise_is_no_verdict() {
        for len in 0..64 {
            let noise: Vec<u8> = (0..len).map(|i| (i * 37 + 251) as u8).collect();
            let _ = Verdict::decode(&noise);
        }
        assert_eq!(Verdict::decode(&[]), None);
        assert_eq!(Verdict::decode(&[9]), None);
    }
}
