//! The policy as the sensor gets it: one self-contained, versioned, size-bounded message.
//!
//! On the wire: the seven bytes of [`MAGIC`], the byte [`FORMAT`], then the postcard encoding of
//! [`PolicyMessage`], at most [`MAX_BYTES`] together. Names stay in control: the message carries
//! numbers, and `inventory_sha256` says against which inventory they are to be read.

mod diff;
mod validate;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bounded;
use crate::catalogue::Detection;
use crate::closed::{Link, RoleSet};
use crate::interception::LawfulIntercept;
use crate::inventory::{EquipmentId, Inventory};
use crate::limits::{
    MAX_DETECTIONS, MAX_EQUIPMENT, MAX_ORDERS, MAX_PARAMETERS, MAX_PREFIXES, MAX_RULES,
    MAX_SERVICES, MAX_SETS,
};
use crate::policy::Policy;
use crate::service::ServiceMatch;

pub use diff::PolicyDiff;

/// What every policy message begins with.
pub const MAGIC: &[u8; 7] = b"WEIRPOL";
/// The layout of the message; a sensor takes its own only.
pub const FORMAT: u8 = 5;
/// The largest message, in bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Everything that the sensor judges by. Lists of prefixes are without host bits, sorted and
/// distinct.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PolicyMessage {
    /// Counts up with each policy that control sends.
    pub version: u64,
    /// SHA-256 of the postcard encoding of this message with `version` 0 and this field zeroed, up
    /// to `authorised`: policies of the same meaning over the same inventory have the same hash.
    /// It stands in every event, so that what is intercepted is not in it: whoever knows the
    /// other files could try addresses and numbers until the hash fits.
    pub sha256: [u8; 32],
    /// SHA-256 over the postcard encodings of the inventory's entries, as events show them, in the
    /// order of their numbers. The sensor only passes it on.
    pub inventory_sha256: [u8; 32],
    /// SHA-256 over what the policy says to control alone, suppressions first of all: a policy that
    /// hides other findings is another policy. The sensor only passes it on.
    pub control_sha256: [u8; 32],
    /// The equipment by number.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_EQUIPMENT>")]
    pub equipment: Vec<EquipmentRule>,
    /// The sets of equipment that [`End`]s name, each sorted and distinct. They are shared, since a
    /// thousand rules over a hundred thousand entries name few different sets.
    #[serde(deserialize_with = "bounded::lists::<_, _, MAX_SETS, MAX_EQUIPMENT>")]
    pub sets: Vec<Vec<EquipmentId>>,
    /// Addresses of subscribers in any network instance.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub ue_pools: Vec<IpNet>,
    /// Addresses that are subscribers' in one network instance only.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub instance_pools: Vec<InstancePool>,
    /// The data networks that there are, sorted and distinct; `None`: not judged.
    #[serde(deserialize_with = "bounded::optional_texts::<_, MAX_PREFIXES>")]
    pub dnns: Option<Vec<String>>,
    /// The slices that there are, sorted and distinct; `None`: not judged.
    #[serde(deserialize_with = "bounded::optional_list::<_, _, MAX_PREFIXES>")]
    pub slices: Option<Vec<Slice>>,
    /// SMFs that may use each other's sessions, each set sorted and distinct.
    #[serde(deserialize_with = "bounded::lists::<_, _, MAX_RULES, MAX_EQUIPMENT>")]
    pub smf_sets: Vec<Vec<EquipmentId>>,
    /// How long after an import peers that the SMF signals may be undeclared; at most 31 days.
    pub import_grace_seconds: u64,
    /// Whether evidence may hold what subscribers send, and not its headers alone.
    pub subscriber_payload: bool,
    /// Addresses that subscribers must never reach.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub infrastructure: Vec<IpNet>,
    /// Servers of local break-out.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub mec: Vec<IpNet>,
    /// User planes of roaming partners.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub roaming: Vec<IpNet>,
    /// Addresses behind which subscribers are hidden on a link.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub nat: Vec<(Link, IpNet)>,
    /// The link of an address where the tap does not say.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub link_defaults: Vec<(IpNet, Link)>,
    /// Ends between which clear GTP-U is a finding.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_RULES>")]
    pub esp_only: Vec<(IpNet, IpNet)>,
    /// What equipment may do, in file order.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_RULES>")]
    pub allow: Vec<AllowRule>,
    /// Harmless oddities of vendors, in file order.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_RULES>")]
    pub quirks: Vec<QuirkRule>,
    /// Every detection of the catalogue with every parameter.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_DETECTIONS>")]
    pub detections: Vec<DetectionSetting>,
    /// Interception that is authorised, sorted; `None`: nobody says what is.
    #[serde(deserialize_with = "bounded::optional_list::<_, _, MAX_ORDERS>")]
    pub authorised: Option<Vec<Order>>,
    /// SHA-256 of the postcard encoding of `authorised`. It is told nowhere.
    pub authorised_sha256: [u8; 32],
}

/// One of `ue_pools` that names its network instance.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct InstancePool {
    /// The addresses.
    pub prefix: IpNet,
    /// The network instance in which they are subscribers'.
    #[serde(deserialize_with = "bounded::text")]
    pub network_instance: String,
}

/// A slice, S-NSSAI (TS 23.003 §28.4).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Slice {
    /// The slice type, SST.
    pub sst: u8,
    /// The differentiator, SD. FFFFFF stands for none on the wire and is `None` here.
    pub sd: Option<[u8; 3]>,
}

/// Interception that is authorised: how many sessions may be copied whereto.
#[derive(Clone, Copy, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Order {
    /// The UPF that copies; `None`: any.
    pub upf: Option<EquipmentId>,
    /// The mediation function that gets the copies.
    pub to: IpAddr,
    /// How many sessions at a time.
    pub sessions: u32,
}

impl std::fmt::Debug for Order {
    /// What is intercepted must not get into a log by way of the message that carries it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

/// One piece of equipment: how its frames are known.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct EquipmentRule {
    /// What it is for.
    pub roles: RoleSet,
    /// Its addresses; no other equipment has the same prefix, but may have a longer one inside.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub prefixes: Vec<IpNet>,
    /// Its MAC addresses; empty: not judged.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PREFIXES>")]
    pub macs: Vec<[u8; 6]>,
    /// The cohort of the same vendor, model and build; below the number of entries.
    pub cohort: u32,
}

/// One `[[allow]]`: flows from initiator to responder on any of the services.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AllowRule {
    /// Who may open the flow.
    pub from: End,
    /// To whom.
    pub to: End,
    /// On what; not empty.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_SERVICES>")]
    pub services: Vec<ServiceMatch>,
    /// The last nanosecond since 1970 UTC at which the rule holds; `None`: always.
    pub not_after: Option<u64>,
    /// Whether a regular heartbeat on it is declared.
    pub periodic: bool,
}

/// One end of a rule. Where both are given both must hold; at least one is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct End {
    /// Index into [`PolicyMessage::sets`]: the address belongs to a member.
    pub set: Option<u32>,
    /// The address lies in this prefix, whoever owns it.
    pub cidr: Option<IpNet>,
}

/// One `[[quirk]]`: what a detection says nothing of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QuirkRule {
    /// The id of the detection.
    #[serde(deserialize_with = "bounded::text")]
    pub detection: String,
    /// Whose oddity it is: an index into [`PolicyMessage::sets`].
    pub set: u32,
    /// What it is, as the detection names it.
    #[serde(deserialize_with = "bounded::text")]
    pub value: String,
}

/// How one detection is set.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DetectionSetting {
    /// Its id.
    #[serde(deserialize_with = "bounded::text")]
    pub id: String,
    /// Whether it may fire.
    pub enabled: bool,
    /// Its parameters by their published names.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PARAMETERS>")]
    pub parameters: Vec<(String, f64)>,
}

/// Why bytes are no policy, or a policy cannot be sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`MAX_BYTES`].
    #[error(
        "the policy takes {bytes} bytes, more than {MAX_BYTES}; policy message; \
         select equipment by role or network instead of by many different attributes"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It does not begin with [`MAGIC`].
    #[error("not a policy; policy message; send what `PolicyMessage::encode` makes")]
    NotAPolicy,
    /// It has another layout.
    #[error("format {found}, not {FORMAT}; policy message; run the same version of both processes")]
    Format {
        /// The layout it states.
        found: u8,
    },
    /// Its encoding is broken or states more than the bounds allow.
    #[error("broken encoding: {0}; policy message; send it again")]
    Malformed(postcard::Error),
    /// Bytes follow its end.
    #[error("{bytes} bytes too many; policy message; send it again")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Its hash is not that of its content.
    #[error("the hash does not fit the content; policy message; send it again")]
    Hash,
    /// Its parts contradict each other or the bounds.
    #[error("{what}; policy message, entry {index}; send what `weir check` accepts")]
    Invalid {
        /// What is wrong.
        what: &'static str,
        /// With which entry of the list that `what` names.
        index: usize,
    },
}

impl PolicyMessage {
    /// Puts a checked inventory and the policy that was checked against it into the message
    /// `version`.
    pub fn compile(inventory: &Inventory, policy: &Policy, version: u64) -> Self {
        let equipment = inventory.numbered().map(|(number, entry)| EquipmentRule {
            roles: entry.roles,
            prefixes: sorted(entry.addresses.iter().copied()),
            macs: sorted(entry.macs.iter().copied()),
            cohort: inventory.cohort(number),
        });
        let pools = policy.ue_pools.iter();
        let everywhere = pools.filter(|pool| pool.network_instance.is_none());
        let nat = policy.nat.iter();
        let nat = nat.flat_map(|nat| nat.addresses.iter().map(|address| (nat.link, *address)));
        let roaming = policy.roaming_peers.iter().flat_map(|peer| peer.addresses.iter().copied());
        let quirks = policy.quirks.iter().map(|quirk| QuirkRule {
            detection: quirk.detection.clone(),
            set: quirk.set,
            value: quirk.value.clone(),
        });
        let message = Self {
            version,
            sha256: [0; 32],
            inventory_sha256: inventory_hash(inventory),
            control_sha256: control_hash(policy),
            equipment: equipment.collect(),
            sets: policy.sets.clone(),
            ue_pools: sorted(everywhere.map(|pool| pool.cidr)),
            instance_pools: sorted(policy.ue_pools.iter().filter_map(|pool| {
                let network_instance = pool.network_instance.clone()?;
                Some(InstancePool { prefix: pool.cidr, network_instance })
            })),
            dnns: policy.dnns.as_ref().map(|dnns| sorted(dnns.iter().cloned())),
            slices: policy.slices.as_ref().map(|slices| sorted(slices.iter().copied())),
            smf_sets: policy.smf_sets.clone(),
            import_grace_seconds: policy.import_grace_seconds,
            subscriber_payload: policy.subscriber_payload,
            infrastructure: sorted(policy.infrastructure.iter().copied()),
            mec: sorted(policy.mec.iter().copied()),
            roaming: sorted(roaming),
            nat: sorted(nat),
            link_defaults: sorted(policy.link_defaults.iter().copied()),
            esp_only: sorted(policy.esp_only.iter().map(|path| (path.from, path.to))),
            allow: policy.allow.iter().map(|allow| allow.rule.clone()).collect(),
            quirks: quirks.collect(),
            detections: policy.detections.clone(),
            authorised: None,
            authorised_sha256: orders_hash(None),
        };
        let sha256 = message.hash();
        Self { sha256, ..message }
    }

    /// The message with the interceptions that are authorised, in place of those that it had.
    pub fn authorising(self, interception: &LawfulIntercept) -> Self {
        let mut authorised = interception.orders().to_vec();
        authorised.sort_unstable();
        let authorised_sha256 = orders_hash(Some(&authorised));
        Self { authorised: Some(authorised), authorised_sha256, ..self }
    }

    /// What tells this message from others whatever it differs in, but for the version: the
    /// policy's hash, and that of what is authorised if anybody says so. It must not be told either.
    pub fn fingerprint(&self) -> [u8; 32] {
        if self.authorised.is_none() {
            return self.sha256;
        }
        let both = Sha256::new().chain_update(self.sha256).chain_update(self.authorised_sha256);
        both.finalize().into()
    }

    /// The message in bytes.
    ///
    /// # Errors
    /// [`MessageError::TooLarge`] if it would be refused for its length.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(FORMAT);
        bytes.extend(encoding(self));
        if bytes.len() > MAX_BYTES {
            return Err(MessageError::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads a message from bytes that nobody vouches for. What comes out has passed
    /// [`validate`](Self::validate) and carries its own hash.
    ///
    /// # Errors
    /// Whatever is wrong first.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_BYTES {
            return Err(MessageError::TooLarge { bytes: bytes.len() });
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(MessageError::NotAPolicy)?;
        let (format, body) = rest.split_first().ok_or(MessageError::NotAPolicy)?;
        if *format != FORMAT {
            return Err(MessageError::Format { found: *format });
        }
        let (message, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(MessageError::Malformed)?;
        if !rest.is_empty() {
            return Err(MessageError::Trailing { bytes: rest.len() });
        }
        let whole = message.hash() == message.sha256
            && orders_hash(message.authorised.as_deref()) == message.authorised_sha256;
        if !whole {
            return Err(MessageError::Hash);
        }
        message.validate()?;
        Ok(message)
    }

    /// Whether a detection may fire; one that the message does not name may.
    pub fn enabled(&self, detection: &str) -> bool {
        self.setting(detection).is_none_or(|setting| setting.enabled)
    }

    /// A parameter of a detection, from the message or else from the catalogue; `None` if the
    /// catalogue does not know it.
    pub fn parameter(&self, detection: &str, name: &str) -> Option<f64> {
        let default = Detection::find(detection)?.parameter(name)?.default;
        let set = self.setting(detection).and_then(|setting| {
            setting.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
        });
        Some(set.unwrap_or(default))
    }

    fn setting(&self, detection: &str) -> Option<&DetectionSetting> {
        self.detections.iter().find(|setting| setting.id == detection)
    }

    /// The hash that belongs into `sha256`.
    fn hash(&self) -> [u8; 32] {
        // Both fields stand first, so that the rest need not be copied to blank them: the version
        // takes as many bytes as it takes alone (0 takes one), the hash thirty-two.
        let encoded = encoding(self);
        let (_, rest) = encoded.split_at(encoding(&self.version).len() + self.sha256.len());
        let apart = encoding(&self.authorised).len() + self.authorised_sha256.len();
        let (rest, _) = rest.split_at(rest.len() - apart);
        Sha256::new().chain_update([0; 1 + 32]).chain_update(rest).finalize().into()
    }
}

/// The postcard encoding, which cannot fail for the types of this crate: they state their lengths,
/// and memory is the only sink.
fn encoding(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("lists of known length are encoded into memory")
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut sorted: Vec<T> = values.collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

fn orders_hash(orders: Option<&[Order]>) -> [u8; 32] {
    Sha256::digest(encoding(&orders)).into()
}

fn inventory_hash(inventory: &Inventory) -> [u8; 32] {
    let mut hash = Sha256::new();
    for entry in inventory.equipment() {
        hash.update(encoding(entry));
    }
    hash.finalize().into()
}

/// Notes and reasons mean nothing, as in the rest of the message. What silences a restricted detection
/// is not in it: everybody may know the hash, and would find out by trying whom it is about.
fn control_hash(policy: &Policy) -> [u8; 32] {
    let is_open = |id: &str| Detection::find(id).is_none_or(|known| !known.is_restricted());
    let suppressions = policy.suppressions().iter().filter(|one| is_open(&one.detection));
    let suppressions =
        suppressions.map(|one| (&one.detection, &one.equipment, one.peer, one.until));
    let windows = policy.change_windows.iter();
    let windows = windows.map(|window| (window.equipment, window.start, window.end));
    let partners = policy.roaming_peers.iter().map(|peer| (&peer.plmn, &peer.addresses));
    let said = encoding(&(
        sorted(suppressions),
        windows.collect::<Vec<_>>(),
        partners.collect::<Vec<_>>(),
        sorted(policy.dns_zones.iter().cloned()),
        sorted(policy.known_crypto.iter().cloned()),
    ));
    Sha256::digest(said).into()
}
