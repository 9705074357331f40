//! Verdicts: the records of the event ring.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::contract::session::{SessionRecord, Signalled};
use crate::contract::words::Table;
use crate::rules::{EquipmentId, Link};

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
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
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

/// Where in a GTP-U header data may be hidden.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Hidden {
    /// In the spare bit of the first octet.
    SpareBit,
    /// Behind the header's length.
    Trailing,
    /// In a Private Extension.
    PrivateExtension,
    /// Behind the elements of an Echo.
    Padding,
    /// In an extension header of this type, which is not standard on its link.
    Extension(u8),
    /// In the rhythm of Echoes.
    EchoRate,
}

impl fmt::Display for Hidden {
    /// As a `[[quirk]]` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hidden::SpareBit => f.write_str("spare bit"),
            Hidden::Trailing => f.write_str("trailing bytes"),
            Hidden::PrivateExtension => f.write_str("private extension"),
            Hidden::Padding => f.write_str("echo padding"),
            Hidden::Extension(kind) => write!(f, "ext {kind:#04x}"),
            Hidden::EchoRate => f.write_str("echo rate"),
        }
    }
}

/// What was seen, in a form that control puts into words.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub enum Fact {
    /// The equipment opened the flow.
    Opened,
    /// The peer opened it and the equipment answered with data.
    Answered,
    /// The equipment sent data on a flow whose opening was not seen.
    SentData,
    /// Only the peer's side was seen; its acknowledgements grew, so the
    /// equipment sent data.
    Acknowledged {
        /// How often they grew.
        round_trips: u32,
    },
    /// G-PDUs between addresses that are no declared pair.
    UndeclaredPair,
    /// GTP-U on the link to the data network.
    OnN6,
    /// GTP-U inside a G-PDU.
    Nested,
    /// PFCP, GTP-C or a protocol of the RAN inside a G-PDU.
    ControlInside,
    /// A user's packet to infrastructure.
    IntoInfrastructure,
    /// A GTP-U header holds what its standard does not ask for.
    Header(Hidden),
    /// A tunnel that is not GTP-U: an index into [`weir_wire::foreign::Foreign::ALL`].
    ForeignTunnel(u8),
    /// G-PDUs in clear where only ESP may pass.
    ClearGtpu,
    /// An address that nobody declared.
    UnknownAddress,
    /// A declared address sent from a MAC address that its entry does not list.
    NewMac([u8; 6]),
    /// Listed equipment sent in a VLAN that it had not used.
    NewVlan(u16),
    /// Listed equipment sent frames of an uncommon EtherType.
    NewEtherType(u16),
    /// Frames were lost before inspection.
    Loss {
        /// How many.
        lost: u64,
        /// Of how many.
        received: u64,
    },
    /// There is no policy; nothing is judged.
    NoPolicy,
    /// A direction of a two-way tap went silent.
    Silent(Direction),
    /// The clock was set back.
    ClockBack {
        /// By how many nanoseconds.
        by: u64,
    },
    /// The clock of a live tap jumped ahead.
    ClockAhead {
        /// By how many nanoseconds.
        by: u64,
    },
    /// A table is full and gives up rows; the index is that of
    /// [`crate::contract::words::Table`].
    TableFull(u8),
    /// Control is away.
    ControlAway,
    /// Too few of N4's transactions were seen whole.
    N4Coverage {
        /// Whole ones.
        whole: u64,
        /// All that were seen.
        seen: u64,
    },
    /// N4 datagrams found no room on their way to the session machine.
    N4Dropped {
        /// How many.
        dropped: u64,
    },
    /// G-PDUs on tunnels that no session has.
    Orphans {
        /// How many different tunnels.
        tunnels: u32,
    },
    /// G-PDUs on many tunnels that no session has.
    TeidScan {
        /// How many different tunnels.
        tunnels: u32,
    },
    /// Error Indications about tunnels that no session has.
    ErrorIndications {
        /// How many.
        indications: u32,
    },
    /// One tunnel used by several equipment.
    TunnelShared,
    /// A user's packet with another source than its session's.
    Spoofed(Spoof),
    /// PFCP from an address that is no declared peer.
    UndeclaredPeer,
    /// A PFCP Node ID speaks from an address outside its declared set.
    NodeMoved,
    /// A SEID used by one who does not own it.
    ForeignSeid,
    /// A request that contradicts what the session's owner goes on doing.
    Contradiction,
    /// Requests in a second space of sequence numbers.
    SecondSequence,
    /// A rule orders copies of a subscriber's traffic.
    Duplication {
        /// Sessions that do so.
        sessions: u32,
        /// How many are authorised.
        authorised: u32,
    },
    /// A rule sends a subscriber's traffic to an address that nobody declared.
    Redirected,
    /// A UE address claimed by a second session.
    AddressClaimed {
        /// Whether the older session showed life afterwards.
        older_alive: bool,
    },
    /// A tunnel claimed by a second session.
    TunnelClaimed {
        /// Whether the older session showed life afterwards.
        older_alive: bool,
    },
    /// A downlink was moved and used, and nothing came up from where it went.
    DownlinkSilent,
    /// A peer that the SMF signalled and nobody declared.
    SignalledPeer,
    /// Far more requests of one kind than before.
    Flood {
        /// The request's message type.
        message: u8,
        /// Requests a second at the worst.
        per_second: u32,
    },
    /// Establishments that mostly fail.
    FailingEstablishments {
        /// Unanswered or rejected.
        failed: u32,
        /// Of how many.
        requests: u32,
    },
    /// A session that does not look like the others.
    Ghost(Oddity),
}

/// How a user's source address is wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Spoof {
    /// It is not the session's; the UPF should drop it.
    Odd,
    /// It was that of a session that has ended.
    Stale,
    /// It is not the session's and leaves towards the data network.
    Leaves,
    /// Far more of it than the other sessions of the gNB send.
    Much,
    /// A subscriber's packet on N6 without a session that has its address.
    NoSession,
}

/// What is odd about a session.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Oddity {
    /// Its UE address is in no pool.
    OutsidePools,
    /// Its data network is not declared.
    UndeclaredDnn,
    /// Its slice is not declared.
    UndeclaredSlice,
    /// It has no User ID where nearly all others have one.
    NoUserId,
    /// Traffic goes one way only.
    OneWay,
}

impl Fact {
    /// A number that tells facts of one detection apart where it has no peer.
    pub fn discriminator(&self) -> u32 {
        match self {
            Fact::Opened
            | Fact::Answered
            | Fact::SentData
            | Fact::Acknowledged { .. }
            | Fact::UndeclaredPair
            | Fact::OnN6
            | Fact::Nested
            | Fact::ControlInside
            | Fact::IntoInfrastructure
            | Fact::Header(_)
            | Fact::ForeignTunnel(_)
            | Fact::ClearGtpu
            | Fact::UnknownAddress
            | Fact::Orphans { .. }
            | Fact::TeidScan { .. }
            | Fact::ErrorIndications { .. }
            | Fact::TunnelShared
            | Fact::Spoofed(_)
            | Fact::UndeclaredPeer
            | Fact::NodeMoved
            | Fact::ForeignSeid
            | Fact::Contradiction
            | Fact::SecondSequence
            | Fact::Duplication { .. }
            | Fact::Redirected
            | Fact::AddressClaimed { .. }
            | Fact::TunnelClaimed { .. }
            | Fact::DownlinkSilent
            | Fact::SignalledPeer
            | Fact::Flood { .. }
            | Fact::FailingEstablishments { .. }
            | Fact::Ghost(_) => 0,
            Fact::NewMac([a, b, c, d, e, f]) => {
                1 << 24 | u32::from_be_bytes([0, d ^ a, e ^ b, f ^ c])
            }
            Fact::NewVlan(id) => 2 << 24 | u32::from(*id),
            Fact::NewEtherType(kind) => 3 << 24 | u32::from(*kind),
            Fact::Loss { .. } => 4 << 24,
            Fact::NoPolicy => 5 << 24,
            Fact::Silent(direction) => 6 << 24 | *direction as u32,
            Fact::ClockBack { .. } => 7 << 24,
            Fact::ClockAhead { .. } => 8 << 24,
            Fact::TableFull(table) => 9 << 24 | u32::from(*table),
            Fact::ControlAway => 10 << 24,
            Fact::N4Coverage { .. } => 11 << 24,
            Fact::N4Dropped { .. } => 12 << 24,
        }
    }

    /// The fact that a table is full.
    pub const fn table_full(table: Table) -> Self {
        Fact::TableFull(table as u8)
    }
}

/// The tunnel of a G-PDU.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
    Session(Box<SessionRecord>),
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
        }
    }

    fn name() -> Option<String> {
        Some("x".repeat(MAX_SESSION_NAME))
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
        let verdict = Verdict::Session(Box::new(SessionRecord {
            at: Nanos::MAX,
            cp_seid: u64::MAX,
            up_seid: u64::MAX,
            cp: Some(far),
            up: Some(far),
            generation: u32::MAX,
            state: SessionState::Deleted,
            established: Some(Nanos::MAX),
            ended: Some(Nanos::MAX),
            ue: vec![far; MAX_SESSION_ENDS],
            network_instance: name(),
            dnn: name(),
            supi: Some(u64::MAX),
            slice: slice(),
            uplink: vec![end(); MAX_SESSION_ENDS],
            downlink: vec![end(); MAX_SESSION_ENDS],
            modifications: u32::MAX,
            reports: u32::MAX,
            usage: Usage {
                uplink_packets: u64::MAX,
                downlink_packets: u64::MAX,
                uplink_bytes: u64::MAX,
                downlink_bytes: u64::MAX,
            },
            reported: Some((u64::MAX, u64::MAX)),
            usage_mismatch: true,
            policy: u64::MAX,
        }));
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
    fn noise_is_no_verdict() {
        for len in 0..64 {
            let noise: Vec<u8> = (0..len).map(|i| (i * 37 + 251) as u8).collect();
            let _ = Verdict::decode(&noise);
        }
        assert_eq!(Verdict::decode(&[]), None);
        assert_eq!(Verdict::decode(&[9]), None);
    }
}
