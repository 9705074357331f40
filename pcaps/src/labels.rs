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
    /// Bytes of their frames.
    pub bytes: u64,
    /// How it went on.
    #[serde(skip)]
    pub course: Course,
}

impl Theft {
    /// One of which nothing was sent yet.
    #[must_use]
    pub fn unsent(expectation: Expectation) -> Self {
        let course = Course::default();
        Self { expectation, first: None, last: None, packets: 0, bytes: 0, course }
    }
}

/// What a theft had sent by when: at most so many points of it, evenly many packets apart.
#[derive(Clone, Debug, Default)]
pub struct Course {
    points: Vec<(u64, u64)>,
    /// Every so many packets are a point, as a power of two.
    stride: u32,
}

/// Points of a course: more are thinned out.
const POINTS: usize = 4_096;

impl Course {
    fn add(&mut self, time_ns: u64, packet: u64, bytes: u64) {
        if !packet.is_multiple_of(1 << self.stride) {
            return;
        }
        self.points.push((time_ns, bytes));
        if self.points.len() == POINTS {
            self.stride += 1;
            let mut n = 0;
            self.points.retain(|_| {
                n += 1;
                n % 2 == 1
            });
        }
    }

    /// Bytes that were sent before a time, in nanoseconds since 1970.
    #[must_use]
    pub fn before(&self, time_ns: u64) -> u64 {
        let until = self.points.partition_point(|(at, _)| *at <= time_ns);
        until.checked_sub(1).map_or(0, |last| self.points[last].1)
    }
}

impl Labels {
    /// Counts what a theft sent, whether or not the tap saw it.
    pub(crate) fn count_sent(&mut self, packet: &Packet) {
        let Some(theft) = packet.theft.and_then(|index| self.thefts.get_mut(index)) else { return };
        let time = || rfc3339(packet.time_ns.into());
        theft.first.get_or_insert_with(time);
        theft.last = Some(time());
        theft.bytes += packet.frame.len() as u64;
        theft.course.add(packet.time_ns, theft.packets, theft.bytes);
        theft.packets += 1;
    }

    /// Counts a packet of the capture.
    pub(crate) fn count(&mut self, packet: &Packet) {
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
    }
}

/// A moment in UTC with microseconds; nanoseconds since 1970.
pub(crate) fn rfc3339(ns: i128) -> String {
    let time = jiff::Timestamp::from_nanosecond(ns).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.6}")
}
