//! What detections saw, in a form that control puts into words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::contract::verdict::Direction;
use crate::contract::words::Table;

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
    /// Streams of copies to one place that match no authorisation.
    Unmatched {
        /// How many there are.
        streams: u32,
        /// How many are authorised.
        authorised: u32,
        /// Whether the place is declared as a mediation function.
        is_declared: bool,
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
    /// A rhythm that nobody declared.
    Beacon {
        /// The usual time between two beats.
        period: Nanos,
        /// Beats that it was found in.
        beats: u32,
        /// Peers that they went to, of which at most 16 are told apart.
        peers: u32,
        /// How regular it is, from 0 to 1.
        score: f32,
    },
    /// A flow that does not end.
    Lasting {
        /// How long it has lasted.
        lasted: Nanos,
    },
    /// A place to which equipment of one build turns.
    Cohort {
        /// How many of the build.
        nodes: u32,
        /// Of how many.
        installed: u32,
        /// How many of those that are held against it.
        others: u32,
        /// Of how many; 0 if there are none.
        of_others: u32,
    },
    /// Far more was sent than usual.
    Volume {
        /// Bytes in the hour.
        bytes: u64,
        /// What is usual in such an hour.
        usual: u64,
        /// How many hours were like that.
        hours: u32,
        /// Whether they were the same one on several days.
        is_same_hour: bool,
    },
    /// A session of management outside every change window.
    OutsideWindow {
        /// Bytes that the equipment sent in it on its day.
        sent: u64,
        /// Whether the other side is not in the inventory.
        is_remote: bool,
    },
    /// Copies of users' packets where their sessions do not lead; of packets chosen for proof.
    Copied {
        /// Different ones within the window.
        digests: u32,
    },
    /// A UPF let out users' packets that had not come to it; of packets chosen for proof, one of
    /// 256.
    Imbalance {
        /// Which way they went.
        direction: Direction,
        /// How many of those that left in the window had not come.
        extra: u64,
        /// Their bytes.
        bytes: u64,
        /// How many came.
        came: u64,
        /// Windows in a row that were like that.
        windows: u32,
    },
    /// Names under one registered domain that carry more than names do.
    Names {
        /// How many different ones, as far as they are told apart.
        names: u32,
        /// Their information content, in octets.
        octets: u32,
        /// Octets of the longest first label.
        first_label: u8,
        /// Tells domains of one equipment apart, from 1; 0 for many at once.
        domain: u8,
    },
    /// Echoes that carry data.
    Echoes(EchoOddity),
    /// Time synchronisation that carries what it need not.
    Time(TimeOddity),
    /// Encrypted conversations that are not those that the equipment is known for.
    Crypto(CryptoNews),
}

/// What is new or wrong about an equipment's encrypted conversations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum CryptoNews {
    /// It says hello to a name that it has not used before.
    Name,
    /// Its hello is of a TLS library that it has not used before: the three parts of its JA4.
    Ja4([u8; 10], [u8; 12], [u8; 12]),
    /// It offers another set of SSH algorithms than before: its HASSH.
    Ssh([u8; 16]),
    /// What it sends on a service in clear text is none.
    Entropy {
        /// Hundredths of a bit an octet.
        hundredths: u16,
        /// Of how many octets.
        octets: u16,
    },
    /// It asks names over HTTPS.
    Doh,
}

impl CryptoNews {
    /// A JA4 by its text.
    pub fn ja4(text: &str) -> Self {
        let (mut a, mut b, mut c) = ([b'0'; 10], [b'0'; 12], [b'0'; 12]);
        let parts: [&mut [u8]; 3] = [&mut a, &mut b, &mut c];
        for (to, from) in parts.into_iter().zip(text.split('_')) {
            to.iter_mut().zip(from.bytes()).for_each(|(to, from)| *to = from);
        }
        Self::Ja4(a, b, c)
    }
}

/// How echoes are wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum EchoOddity {
    /// Their content changes and is no ping's.
    Changing,
    /// Replies do not repeat their requests.
    Unlike,
    /// They are large, to who is not declared.
    Large,
}

/// What is odd about time synchronisation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum TimeOddity {
    /// NTP with a server that nobody listed.
    Unlisted,
    /// NTP in a mode that is neither a client's nor a server's.
    Mode(u8),
    /// NTP of another length than 48 octets.
    Length(u16),
    /// NTP too often, for long: so many questions.
    Rate(u32),
    /// A PTP element of this type.
    Element(u16),
}

impl fmt::Display for TimeOddity {
    /// As a `[[quirk]]` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeOddity::Unlisted => f.write_str("ntp server"),
            TimeOddity::Mode(mode) => write!(f, "ntp mode {mode}"),
            TimeOddity::Length(_) => f.write_str("ntp extensions"),
            TimeOddity::Rate(_) => f.write_str("ntp rate"),
            TimeOddity::Element(kind) => write!(f, "ptp tlv {kind:#06x}"),
        }
    }
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
            | Fact::Ghost(_)
            | Fact::Beacon { .. }
            | Fact::Lasting { .. }
            | Fact::Cohort { .. }
            | Fact::Volume { .. }
            | Fact::OutsideWindow { .. }
            | Fact::Copied { .. }
            | Fact::Echoes(_) => 0,
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
            Fact::Unmatched { is_declared, .. } => 17 << 24 | u32::from(*is_declared),
            Fact::Imbalance { direction, .. } => 16 << 24 | *direction as u32,
            Fact::Crypto(news) => {
                15 << 24
                    | match news {
                        CryptoNews::Name => 1,
                        CryptoNews::Ja4(..) => 2,
                        CryptoNews::Ssh(_) => 3,
                        CryptoNews::Entropy { .. } => 4,
                        CryptoNews::Doh => 5,
                    }
            }
            Fact::Time(TimeOddity::Element(kind)) => 14 << 24 | u32::from(*kind),
            Fact::Time(_) => 0,
            Fact::Names { domain, .. } => 13 << 24 | u32::from(*domain),
        }
    }

    /// Takes over the larger numbers of what was seen of the same names before.
    pub fn enlarge(&mut self, before: Fact) {
        if let (
            Fact::Names { names, octets, first_label, .. },
            Fact::Names {
                names: names_before, octets: octets_before, first_label: longest, ..
            },
        ) = (self, before)
        {
            *names = names_before.max(*names);
            *octets = octets_before.max(*octets);
            *first_label = longest.max(*first_label);
        }
    }

    /// The fact that a table is full.
    pub const fn table_full(table: Table) -> Self {
        Fact::TableFull(table as u8)
    }
}
