//! How far this control process came: what it stores with every batch beside the alerts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_engine::Nanos;
use weir_engine::contract::verdict::Severity;

/// Why an event that the sensor made or control owed is not in the event file, or the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Lost {
    /// The event file could not be written and the ring filled up meanwhile.
    EventFile,
    /// The record was written over before it was read.
    Overwritten,
    /// The record could not be read: the sensor does not keep to the protocol.
    Malformed,
    /// The journal could not be written and the ring filled up meanwhile.
    Journal,
}

impl Lost {
    /// Every reason, in the order of its counter.
    pub const ALL: [Lost; 4] = [Lost::EventFile, Lost::Overwritten, Lost::Malformed, Lost::Journal];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Lost::EventFile => "event_file",
            Lost::Overwritten => "overwritten",
            Lost::Malformed => "malformed",
            Lost::Journal => "journal",
        }
    }
}

/// What control counts itself, since the sensor's start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// Alerts said, by detection and the severity that they began with.
    pub alerts: BTreeMap<(u16, Severity), u64>,
    /// Alerts not said, by detection.
    pub suppressed: BTreeMap<u16, u64>,
    /// Events lost, by [`Lost`].
    pub lost: [u64; Lost::ALL.len()],
}

impl Tally {
    /// Counts lost events.
    pub fn lose(&mut self, reason: Lost, events: u64) {
        self.lost[reason as usize] += events;
    }
}

/// The place in the event file that is committed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mark {
    /// The file's inode: another file at the same path is not this one.
    pub inode: u64,
    /// Bytes of it that are committed.
    pub length: u64,
}

/// How far this control process came.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// The life of the sensor that is followed.
    pub boot: Option<[u8; 16]>,
    /// The next record of it.
    pub sequence: u64,
    /// Records that the sensor had lost before the last one read.
    pub lost_before: u64,
    /// The event file, unless events go to standard output.
    pub events: Option<Mark>,
    /// The file of restricted events.
    pub restricted: Option<Mark>,
    /// The journal, and that of restricted events.
    pub journals: [weir_journal::Mark; 2],
    /// Whether the sensor that was followed last replays captures.
    pub replay: bool,
    /// The hash of each version that came into force in this life of the sensor.
    pub policies: BTreeMap<u64, [u8; 32]>,
    /// The version in force.
    pub policy: u64,
    /// The packet time that has come.
    pub latest: Nanos,
    /// Whether its input has ended.
    pub ended: bool,
    /// Counters.
    pub tally: Tally,
    /// Frames that wait in memory for the next event of their alert.
    pub waiting: u64,
}
