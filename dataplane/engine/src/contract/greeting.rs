//! What the sensor says of itself when control attaches: the names behind the
//! blocks of counters.

use serde::{Deserialize, Serialize};

use crate::rules::Link;

/// Kinds of frames on the socket between the two processes.
pub mod message {
    /// Sensor to control, with the two memory files: a [`super::Greeting`].
    pub const GREETING: u8 = 1;
    /// Control to sensor: a policy message, encoded.
    pub const POLICY: u8 = 2;
    /// Sensor to control: a [`super::PolicyReply`].
    pub const POLICY_REPLY: u8 = 3;
    /// Control to sensor: there will be no policy; begin without one.
    pub const NO_POLICY: u8 = 4;
}

/// A tap as configured.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TapName {
    /// Its name.
    pub name: String,
    /// Its link.
    pub link: Link,
}

/// A lane: one worker's share of one queue of one port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LaneName {
    /// The port's index in [`Greeting::ports`].
    pub port: u16,
    /// The queue's number.
    pub queue: u16,
    /// The worker's number.
    pub worker: u16,
}

/// Names and counts of everything in the shared memory. The blocks are, in this
/// order: one a lane, one a worker, one a port, one a receive thread, one for the judge.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Greeting {
    /// The sensor's version.
    pub version: String,
    /// The site's name.
    pub site: String,
    /// Whether captures are replayed (and so come to an end).
    pub replay: bool,
    /// The taps, by [`crate::TapId`].
    pub taps: Vec<TapName>,
    /// The ports' names.
    pub ports: Vec<String>,
    /// The lanes.
    pub lanes: Vec<LaneName>,
    /// The number of workers.
    pub workers: u16,
    /// The number of threads that receive for the workers; 0 where workers receive themselves.
    pub receivers: u16,
    /// The hash of the policy in force, if there is one.
    pub policy: Option<[u8; 32]>,
}

impl Greeting {
    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.receiver_block(usize::from(self.receivers)) + 1
    }

    /// The index of a lane's block.
    pub fn lane_block(&self, lane: usize) -> usize {
        lane
    }

    /// The index of a worker's block.
    pub fn worker_block(&self, worker: usize) -> usize {
        self.lanes.len() + worker
    }

    /// The index of a port's block.
    pub fn port_block(&self, port: usize) -> usize {
        self.lanes.len() + usize::from(self.workers) + port
    }

    /// The index of a receive thread's block.
    pub fn receiver_block(&self, receiver: usize) -> usize {
        self.port_block(self.ports.len()) + receiver
    }

    /// The index of the judge's block.
    pub fn judge_block(&self) -> usize {
        self.blocks() - 1
    }

    /// As bytes on the socket.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// From bytes on the socket; none if they are no greeting.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// What became of a policy that control sent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum PolicyReply {
    /// It is in force from the next burst on.
    Accepted {
        /// Its version.
        version: u64,
    },
    /// It was refused, and the one before stays in force.
    Refused {
        /// Why.
        reason: String,
    },
}

impl PolicyReply {
    /// As bytes on the socket.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// From bytes on the socket; none if they are no reply.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
