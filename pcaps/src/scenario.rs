//! The description of a scenario: what stands in SCENARIO.toml, as types that refuse unknown keys.
//! `check.rs` judges whether the parts fit together.

mod thefts;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer, Serialize, de};
use toml::Spanned;

use crate::capture::{Format, LinkType};
use crate::conservation::Followed;
use crate::content::Content;
use crate::frame::MacAddr;
use crate::interception::Interception;
use crate::lookalike::Lookalikes;
use crate::n4::Habits;
use crate::n4_confounder::Upheavals;
use crate::plan::Realm;
use crate::shapes::Shapes;
use crate::visits::Routine;

pub(crate) use thefts::{CallHome, Flow, Target, Thefts};

/// Five weeks: more is a mistake in the unit.
pub(crate) const LONGEST_SECONDS: u64 = 35 * 86_400;

/// Why a scenario could not be taken. The text says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("can't read the scenario: {source}; {}; give the path of a readable file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not a scenario.
    #[error("{what}; {}:{line}:{column}; {remedy}", path.display())]
    Invalid {
        /// The file, or `scenario` for a text without one.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
}

/// A checked scenario: it generates without further errors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) seed: u64,
    #[serde(deserialize_with = "timestamp")]
    pub(crate) start: jiff::Timestamp,
    pub(crate) duration_seconds: Spanned<u64>,
    #[serde(default)]
    pub(crate) capture: Layout,
    #[serde(default)]
    pub(crate) format: Format,
    #[serde(default)]
    pub(crate) link_type: LinkType,
    pub(crate) plan: AddressPlan,
    pub(crate) equipment: Vec<Equipment>,
    /// SMFs that share their sessions.
    #[serde(default)]
    pub(crate) smf_set: Vec<SmfSet>,
    pub(crate) subscribers: Option<Spanned<Subscribers>>,
    pub(crate) n4: Option<Spanned<Habits>>,
    /// Lawful interception; absent: nobody says what is authorised.
    pub(crate) interception: Option<Spanned<Interception>>,
    #[serde(default)]
    pub(crate) background: Background,
    #[serde(default)]
    pub(crate) confounders: Confounders,
    #[serde(default)]
    pub(crate) theft: Thefts,
    pub(crate) tap: Option<Spanned<Tap>>,
    pub(crate) imix: Option<Spanned<Imix>>,
    pub(crate) shapes: Option<Spanned<Shapes>>,
}

/// What the tap makes of what passes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tap {
    /// Share of frames that it loses.
    pub loss_share: f64,
    /// Octets after which it cuts frames off; absent: it keeps them whole.
    pub snap_bytes: Option<u32>,
}

/// How the links are laid into files.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// All links in one file, told apart by address.
    #[default]
    Mixed,
    /// One file a link.
    PerLink,
}

/// The ranges that addresses come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressPlan {
    pub n3: Spanned<Ipv4Net>,
    pub n4: Spanned<Ipv4Net>,
    pub n6: Spanned<Ipv4Net>,
    pub oam: Spanned<Ipv4Net>,
    /// What the policy calls infrastructure: no subscriber may reach it.
    pub infrastructure: Vec<Spanned<IpNet>>,
    pub ue4: Spanned<Ipv4Net>,
    pub ue6: Spanned<Ipv6Net>,
    /// Where the servers are that subscribers talk to.
    pub internet4: Spanned<Ipv4Net>,
    pub internet6: Spanned<Ipv6Net>,
    #[serde(deserialize_with = "domain_name")]
    pub dnn: String,
    /// SST and SD, as `1-010203`.
    #[serde(deserialize_with = "slice")]
    pub slice: Slice,
    /// Another data network and slice, with the addresses of ue4 once more.
    pub second: Option<Realm>,
}

/// An S-NSSAI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub sst: u8,
    pub sd: [u8; 3],
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.sd;
        write!(f, "{}-{a:02x}{b:02x}{c:02x}", self.sst)
    }
}

/// What a box does in the network: the closed list of inventory.toml.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Gnb,
    Cu,
    Du,
    Upf,
    Smf,
    Amf,
    Router,
    Secgw,
    Oam,
    Dns,
    Ntp,
    Syslog,
    Mediation,
    Other,
}

/// One box, its maker and its interfaces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Equipment {
    pub id: Spanned<String>,
    pub role: Role,
    pub vendor: String,
    pub model: String,
    pub build: String,
    pub serial: String,
    pub location: String,
    #[serde(default)]
    pub components: Vec<Component>,
    /// Address of the first interface; the others (N3, N4, N6, O&M in this order) count upwards.
    #[serde(deserialize_with = "mac")]
    pub mac: Spanned<MacAddr>,
    pub n3: Option<Spanned<Ipv4Addr>>,
    /// A second address on N3, for shapes of IPv6.
    pub n3_v6: Option<Spanned<Ipv6Addr>>,
    /// In the range of N3, instead of `n3`: where it meets its security gateway, in ESP alone.
    pub backhaul: Option<Spanned<Ipv4Addr>>,
    pub n4: Option<Spanned<Ipv4Addr>>,
    pub n6: Option<Spanned<Ipv4Addr>>,
    pub oam: Option<Spanned<Ipv4Addr>>,
    /// A second address on N4: two that have one speak IPv6 with each other.
    pub n4_v6: Option<Spanned<Ipv6Addr>>,
    /// A UPF that chooses the F-TEIDs itself, when the SMF sets CHOOSE.
    #[serde(default)]
    pub chooses_f_teid: bool,
    /// A UPF that does so and tells which only when the session is modified.
    #[serde(default)]
    pub tells_f_teid_late: bool,
    /// A UPF that gives the numbers of an ended session to the next one.
    #[serde(default)]
    pub reuses_numbers: bool,
    /// It serves nobody but those who are scripted.
    #[serde(default)]
    pub reserved: bool,
    /// Its heartbeat requests all have the sequence number 0, as some UPFs' do.
    #[serde(default)]
    pub heartbeats_unnumbered: bool,
    /// The port that an SMF asks from and is told at; absent: PFCP's own.
    pub pfcp_port: Option<u16>,
    /// Its heartbeat requests carry the present as Recovery Time Stamp, as some SMFs' do.
    #[serde(default)]
    pub recovery_follows_clock: bool,
}

/// A part inside a box, as inventory.toml names it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    pub name: String,
    pub version: String,
    pub serial: String,
    pub supplier: String,
}

/// The people behind the gNBs. Shares are of 1; times are means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscribers {
    pub count: u32,
    /// All have attached for the first time by then.
    pub attach_seconds: u64,
    /// How long a PDU session lasts.
    pub hold_seconds: u64,
    /// How long a subscriber rests between flows.
    pub pause_seconds: u64,
    pub mix: Mix,
    #[serde(default)]
    pub ipv6_share: f64,
    /// Sessions whose G-PDUs are numbered (S flag).
    #[serde(default)]
    pub sequence_share: f64,
    /// Downlink packets with the Reflective QoS Indication.
    #[serde(default)]
    pub reflective_share: f64,
    /// Sessions that move to another gNB once.
    #[serde(default)]
    pub handover_share: f64,
    /// Longest user packet.
    #[serde(default = "inner_mtu")]
    pub inner_mtu: u16,
    /// Longest outer packet on N3; longer ones go in fragments. Absent: none is ever cut.
    pub outer_mtu: Option<u16>,
}

/// How often each kind of flow is chosen, as weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct Mix {
    pub web: u32,
    pub video: u32,
    pub voice: u32,
    pub dns: u32,
    pub ping: u32,
    /// A subscriber who scans ports of hosts on the Internet.
    pub scan: u32,
    /// Ephemeral ports 2152 and 8805 with payload that is neither GTP-U nor PFCP.
    pub odd_ports: u32,
}

/// SMFs that share their sessions: one goes on where another failed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SmfSet {
    pub members: Vec<Spanned<String>>,
}

/// Periods, in seconds, of what the equipment does all day; absent: never.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Background {
    pub echo_seconds: Option<Spanned<u64>>,
    pub heartbeat_seconds: Option<Spanned<u64>>,
    pub dns_seconds: Option<Spanned<u64>>,
    pub ntp_seconds: Option<Spanned<u64>>,
    pub syslog_seconds: Option<Spanned<u64>>,
    pub netconf_seconds: Option<Spanned<u64>>,
    pub ping_seconds: Option<Spanned<u64>>,
    pub arp_seconds: Option<Spanned<u64>>,
    pub lldp_seconds: Option<Spanned<u64>>,
}

/// Traffic that looks like misbehaviour and is none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Confounders {
    /// A management station that scans the equipment; nobody answers it with data.
    pub scanner: Option<Spanned<Scanner>>,
    /// Scans from the Internet, against subscribers and the UPFs' own N6 addresses.
    pub n6_scans_per_minute: Option<Spanned<u64>>,
    /// ICMP errors about flows that are allowed.
    pub icmp_errors_seconds: Option<Spanned<u64>>,
    /// LACP, STP, VRRP, neighbour discovery, multicast from link-local addresses.
    pub link_protocols_seconds: Option<Spanned<u64>>,
    /// Subscribers of a neighbour, masqueraded on N6.
    pub nat: Option<Spanned<Nat>>,
    /// What detections of evasions must stay silent for.
    pub lookalikes: Option<Spanned<Lookalikes>>,
    /// What detections by sessions must stay silent for.
    pub sessions: Option<Spanned<Upheavals>>,
    /// What looks like a patient theft and is declared.
    pub routine: Vec<Routine>,
    /// What proof of conservation must stay silent for.
    pub followed: Option<Spanned<Followed>>,
    /// What detections by content must stay silent for.
    pub content: Option<Spanned<Content>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scanner {
    pub address: Ipv4Addr,
    #[serde(deserialize_with = "mac")]
    pub mac: Spanned<MacAddr>,
    pub start_seconds: u64,
    /// Ports tried on every equipment's O&M address.
    pub ports: Vec<u16>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nat {
    pub addresses: Spanned<Ipv4Net>,
    pub flows_per_minute: u64,
}

/// Nothing but G-PDUs of mixed sizes between the first gNB and the first UPF, evenly spaced.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Imix {
    pub tunnels: u32,
    pub frames: u64,
}

impl Scenario {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file can't be read, or is not a scenario: then with file, line and column.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Unreadable { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Checks a text; `path` is what errors name it by.
    ///
    /// # Errors
    /// The text is not a scenario.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            invalid(text, path, at, error.message(), "see pcaps/scenarios for every key")
        })?;
        match scenario.check() {
            Ok(()) => Ok(scenario),
            Err(fault) => Err(invalid(text, path, fault.at, &fault.what, &fault.remedy)),
        }
    }

    /// The scenario's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it lasts.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        *self.duration_seconds.get_ref()
    }

    /// How many boxes are installed in it.
    #[must_use]
    pub fn equipment(&self) -> usize {
        self.equipment.len()
    }
}

impl std::str::FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        Self::parse(text, Path::new("scenario"))
    }
}

fn invalid(text: &str, path: &Path, at: usize, what: &str, remedy: &str) -> ScenarioError {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    ScenarioError::Invalid {
        path: path.into(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what: what.trim().replace('\n', " "),
        remedy: remedy.into(),
    }
}

fn inner_mtu() -> u16 {
    1_400
}

pub(crate) fn https() -> u16 {
    443
}

/// The classic pcap format counts seconds in 32 bits, from 1970 on.
fn timestamp<'de, D: Deserializer<'de>>(from: D) -> Result<jiff::Timestamp, D::Error> {
    let value = toml::value::Datetime::deserialize(from)?;
    let time: jiff::Timestamp = value.to_string().parse().map_err(|_| {
        de::Error::custom(format!("{value} has no offset: write it as 2026-01-05T00:00:00Z"))
    })?;
    if !(0..=i64::from(u32::MAX) - 2 * LONGEST_SECONDS as i64).contains(&time.as_second()) {
        return Err(de::Error::custom(format!("{value} is not within 1970 to 2105")));
    }
    Ok(time)
}

/// A name whose labels and whole fit into DNS.
pub(crate) fn domain_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let fits = |label: &str| (1..=63).contains(&label.len());
    if name.len() <= 253 && name.is_ascii() && name.split('.').all(fits) {
        Ok(name)
    } else {
        Err(de::Error::custom(format!("{name:?} is no domain name: write it as a.b.c")))
    }
}

fn mac<'de, D: Deserializer<'de>>(from: D) -> Result<Spanned<MacAddr>, D::Error> {
    let text = Spanned::<String>::deserialize(from)?;
    let span = text.span();
    match text.get_ref().parse() {
        Ok(mac) => Ok(Spanned::new(span, mac)),
        Err(_) => Err(de::Error::custom(format!("{:?} is no MAC address", text.get_ref()))),
    }
}

pub(crate) fn slice<'de, D: Deserializer<'de>>(from: D) -> Result<Slice, D::Error> {
    let text = String::deserialize(from)?;
    let parse = || {
        let (sst, sd) = text.split_once('-')?;
        let sd = u32::from_str_radix(sd, 16).ok().filter(|_| sd.len() == 6)?;
        let [_, a, b, c] = sd.to_be_bytes();
        Some(Slice { sst: sst.parse().ok()?, sd: [a, b, c] })
    };
    parse().ok_or_else(|| {
        de::Error::custom(format!("{text:?} is no slice: write SST-SD, as in 1-010203"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../scenarios/demo.toml");

    fn refusal(from: &str, to: &str) -> String {
        assert!(DEMO.contains(from), "the demo has {from:?}");
        let text = DEMO.replacen(from, to, 1);
        Scenario::parse(&text, Path::new("x.toml")).unwrap_err().to_string()
    }

    fn line_of(needle: &str) -> usize {
        DEMO.lines().position(|line| line.contains(needle)).unwrap() + 1
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("seed =", "sead =", "unknown field `sead`"),
            ("start = 2026-01-05T00:00:00Z", "start = 2026-01-05", "has no offset"),
            ("n4 = \"10.0.2.0/24\"", "n4 = \"10.0.2.1/24\"", "has bits set beyond its prefix"),
            ("equipment = \"gnb-3\"", "equipment = \"gnb-33\"", "no equipment \"gnb-33\""),
            ("n3 = \"10.0.0.2\"", "n3 = \"10.0.0.1\"", "this address is taken"),
            ("n3 = \"10.0.0.2\"", "n3 = \"10.9.0.2\"", "is not in the range of n3"),
            ("role = \"smf\"", "role = \"amf\"", "needs equipment of the role smf"),
            ("slice = \"1-010203\"", "slice = \"one\"", "is no slice"),
            ("dnn = \"internet\"", "dnn = \"a..b\"", "is no domain name"),
            ("start = 2026-", "start = 1926-", "is not within 1970 to 2105"),
            ("hold_seconds = 300", "hold_seconds = 9000000000000", "is out of range"),
            ("start_seconds = 150", "start_seconds = 9000000000000", "is out of range"),
            ("id = \"gnb-2\"", "id = \"\"", "an id of 0 octets"),
        ];
        for (from, to, expected) in cases {
            let text = refusal(from, to);
            assert!(text.contains(expected), "{text}");
            assert_eq!(text.matches("; ").count(), 2, "what; where; what to do: {text}");
            assert!(text.contains("x.toml:"), "{text}");
        }
        let text = refusal("equipment = \"gnb-3\"", "equipment = \"gnb-33\"");
        let line = line_of("equipment = \"gnb-3\"");
        assert!(text.contains(&format!("x.toml:{line}:13")), "{text}");
    }

    #[test]
    fn the_bundled_scenarios_are_valid() {
        for name in ["demo", "small", "imix", "benign", "shapes", "evasion", "sessions", "proof"] {
            let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            assert_eq!(Scenario::load(path).unwrap().name(), name);
        }
    }
}
