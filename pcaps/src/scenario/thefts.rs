//! What SCENARIO.toml says of the injected misbehaviour.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use toml::Spanned;

use super::{domain_name, https, mac};
use crate::blinding::Blinding;
use crate::conservation::Leak;
use crate::covert::Covert;
use crate::evasion::Evasion;
use crate::frame::MacAddr;
use crate::interception::Streams;
use crate::n4_attack::Attack;
use crate::visits::Patient;

/// The injected misbehaviour, by kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Thefts {
    pub call_home: Vec<CallHome>,
    pub reverse_shell: Vec<ReverseShell>,
    pub gtp_peer: Vec<GtpPeer>,
    pub unknown_box: Vec<UnknownBox>,
    pub backdoor: Vec<Backdoor>,
    pub evasion: Vec<Evasion>,
    pub session: Vec<Attack>,
    pub patient: Vec<Patient>,
    pub leak: Vec<Leak>,
    pub covert: Vec<Covert>,
    pub interception: Vec<Streams>,
    pub blinding: Vec<Blinding>,
}

/// Equipment looks a name up, opens TLS to it and reports periodically.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallHome {
    pub id: Spanned<String>,
    pub equipment: Spanned<String>,
    #[serde(deserialize_with = "domain_name")]
    pub server_name: String,
    pub peer: Spanned<Ipv4Addr>,
    #[serde(default = "https")]
    pub port: u16,
    pub start_seconds: u64,
    pub every_seconds: u64,
    pub reports: u64,
    pub report_bytes: u16,
}

/// Equipment connects out and is typed to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReverseShell {
    pub id: Spanned<String>,
    pub equipment: Spanned<String>,
    pub peer: Spanned<Ipv4Addr>,
    pub port: u16,
    pub start_seconds: u64,
    pub commands: u64,
}

/// G-PDUs between a UPF and an outer address that nobody declared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GtpPeer {
    pub id: Spanned<String>,
    pub equipment: Spanned<String>,
    pub peer: Spanned<Ipv4Addr>,
    pub start_seconds: u64,
    pub packets: u64,
    pub every_milliseconds: u64,
    #[serde(default)]
    pub direction: Flow,
}

/// Which way the G-PDUs of a rogue peer go, seen from the equipment.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flow {
    Out,
    In,
    #[default]
    Both,
}

/// A box that nobody installed, talking on the O&M link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnknownBox {
    pub id: Spanned<String>,
    pub address: Spanned<Ipv4Addr>,
    #[serde(deserialize_with = "mac")]
    pub mac: Spanned<MacAddr>,
    pub to: Spanned<Target>,
    pub port: u16,
    pub start_seconds: u64,
    pub packets: u64,
    pub every_milliseconds: u64,
}

/// Whom an unknown box talks to: an address, or equipment by id.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Target {
    Address(IpAddr),
    Equipment(String),
}

/// A peer from outside connects in, and the equipment answers with data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backdoor {
    pub id: Spanned<String>,
    pub equipment: Spanned<String>,
    pub peer: Spanned<Ipv4Addr>,
    pub port: u16,
    pub start_seconds: u64,
    pub exchanges: u64,
}
