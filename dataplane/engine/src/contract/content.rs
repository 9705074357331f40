//! What equipment's packets say, in records that are bounded whatever is said.

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::contract::verdict::Tuple;
use crate::rules::{EquipmentId, Link};

/// The most names of a record.
pub const MAX_ASKED: usize = 24;

/// Names under one registered domain that an equipment asked the DNS for within some seconds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Questions {
    /// Who asked.
    pub equipment: EquipmentId,
    /// The domain that somebody registered, by the list of public suffixes; empty for those that
    /// found no room of their own because the equipment asks under too many.
    pub domain: String,
    /// The longest name that was asked for, defused and cut.
    pub name: String,
    /// Each name once, as far as there is room.
    pub names: Vec<AskedName>,
    /// How often names were asked for that found no room.
    pub folded: u64,
    /// Packets and bytes of all questions, and of answers that were seen.
    pub total: (u64, u64),
    /// Octets of the longest first label.
    pub first_label: u8,
    /// Who was asked first.
    pub tuple: Tuple,
    /// The first question's time.
    pub first: Nanos,
    /// The last one's.
    pub last: Nanos,
    /// The tap that saw the first.
    pub tap: u16,
    /// Its link.
    pub link: Link,
    /// The version of the policy that told the equipment.
    pub policy: u64,
}

/// A name, without its words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AskedName {
    /// The beginning of its SHA-256, in lower case: equal for equal names, and for no others that
    /// somebody finds who would hide names behind each other.
    pub digest: [u8; 8],
    /// The information content of what stands before the registered domain: its octets times the
    /// entropy of their distribution.
    pub bits: u16,
}

/// What the first packets of an equipment's flow show. Of what the same equipment shows again within
/// ten minutes nothing is told, and of what it shows too much of only how often.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Features {
    /// The equipment that sent them.
    pub equipment: EquipmentId,
    /// The other side, if it is equipment.
    pub peer_equipment: Option<EquipmentId>,
    /// The packet's ends, the equipment first.
    pub tuple: Tuple,
    /// The flow's number.
    pub flow_id: u64,
    /// What they show.
    pub shows: Feature,
    /// Features of this equipment that were not told since the record before.
    pub folded: u64,
    /// The packet's bytes.
    pub bytes: u64,
    /// Its time.
    pub at: Nanos,
    /// Whether the policy allows the flow.
    pub allowed: bool,
    /// The tap that saw it.
    pub tap: u16,
    /// The link.
    pub link: Link,
    /// The version of the policy that told the equipment.
    pub policy: u64,
}

/// What the first packets of a flow show.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Feature {
    /// A TLS ClientHello, over TCP or QUIC.
    Tls {
        /// The server's name that it has (SNI), defused and cut.
        name: Option<String>,
        /// The application protocol that it offers first (ALPN), defused and cut.
        protocol: Option<String>,
        /// Its JA4, if it is there in full.
        ja4: Option<String>,
    },
    /// What an SSH key exchange offers: its HASSH.
    Ssh([u8; 16]),
    /// The host that an HTTP request names, defused and cut.
    Http(String),
    /// The first octets sent on a service that is clear text by its standard: hundredths of a bit of
    /// entropy each.
    Clear(u16),
}

/// The longest protocol of [`Feature::Tls`].
pub const MAX_PROTOCOL: usize = 16;
