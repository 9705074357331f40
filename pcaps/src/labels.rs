//! The ground truth beside a capture: what was injected when, and how many messages of each type
//! there are.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stage::{Message, Packet};
use crate::theft::Expectation;

/// `labels.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Labels {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's seed.
    pub seed: u64,
    /// Frames in the capture, or in all of its files.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// The scenario's first moment, RFC 3339.
    pub start: String,
    /// The moment when the scenario is over, RFC 3339.
    pub end: String,
    /// What was injected.
    pub thefts: Vec<Theft>,
    /// How many messages of each type.
    pub messages: Messages,
    /// Frames by link.
    pub links: BTreeMap<&'static str, u64>,
    /// What is labelled frame by frame: shapes, and the evasions with their look-alikes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// Frames that belong together, under a name.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// The shape's name, the theft's id or the look-alike's key; no two groups share one.
    pub name: String,
    /// What kind of group it is.
    pub kind: GroupKind,
    /// A display filter of Wireshark 4.0 that holds for a frame of the group; empty where it does
    /// not know the shape.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub claim: &'static str,
    /// The gravest severity that an alert about it may have; absent: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<&'static str>,
    /// The numbers of its frames in order of time, from 1, over all files of the capture.
    pub frames: Vec<u64>,
}

/// Kinds of groups.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupKind {
    /// A synthetic shape that keeps the rules of its protocols.
    Shape,
    /// A synthetic shape that breaks them.
    Broken,
    /// Misbehaviour; the theft of the same id says what to expect.
    Theft,
    /// What looks like misbehaviour and must stay silent.
    Silent,
}

impl Group {
    /// A group without frames yet.
    pub(crate) fn new(name: impl Into<String>, kind: GroupKind) -> Self {
        Self { name: name.into(), kind, claim: "", at_most: None, frames: Vec::new() }
    }
}

/// Messages by decimal type. A message in fragments counts once.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Messages {
    /// GTP-U messages outside any tunnel.
    pub gtpu: BTreeMap<u8, u64>,
    /// PFCP messages.
    pub pfcp: BTreeMap<u8, u64>,
}

/// One theft as it was sent.
#[derive(Clone, Debug, Serialize)]
pub struct Theft {
    /// What is expected of it.
    #[serde(flatten)]
    pub expectation: Expectation,
    /// Its first packet, RFC 3339; absent if the scenario ended before.
    pub first: Option<String>,
    /// Its last packet, RFC 3339.
    pub last: Option<String>,
    /// Its packets of both directions.
    pub packets: u64,
}

impl Labels {
    /// Counts a packet of the capture.
    pub fn count(&mut self, packet: &Packet) {
        self.frames += 1;
        self.bytes += packet.frame.len() as u64;
        *self.links.entry(packet.link.name()).or_default() += 1;
        for message in packet.message.iter().chain(&packet.further) {
            match message {
                Message::Gtpu(kind) => *self.messages.gtpu.entry(*kind).or_default() += 1,
                Message::Pfcp(kind) => *self.messages.pfcp.entry(*kind).or_default() += 1,
            }
        }
        if let Some(group) = packet.group.and_then(|index| self.groups.get_mut(index)) {
            group.frames.push(self.frames);
        }
        if let Some(theft) = packet.theft.and_then(|index| self.thefts.get_mut(index)) {
            let time = rfc3339(packet.time_ns.into());
            theft.packets += 1;
            theft.first.get_or_insert_with(|| time.clone());
            theft.last = Some(time);
        }
    }
}

/// A moment in UTC with microseconds; nanoseconds since 1970.
pub(crate) fn rfc3339(ns: i128) -> String {
    let time = jiff::Timestamp::from_nanosecond(ns).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.6}")
}
