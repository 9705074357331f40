//! The way to the sensor: its socket, the greeting, the shared memory, the policy.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use weir_engine::contract::SCHEMA;
use weir_engine::contract::greeting::{Greeting, PolicyReply, message};
use weir_engine::contract::words::BLOCK;
use weir_shm::channel::{ChannelError, Connection};
use weir_shm::{AttachError, Attachment, BootId};

/// The longest frame that a sensor sends: names of taps and ports above all.
const MOST_BYTES: usize = 1 << 20;
/// How long one frame may take once it has begun.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no sensor.
#[derive(Debug, thiserror::Error)]
pub enum NoSensor {
    /// The socket.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The memory.
    #[error(transparent)]
    Memory(#[from] AttachError),
    /// The greeting is none, or does not fit the memory.
    #[error(
        "the sensor's greeting is damaged: {0}; the sensor's socket; install one release of both"
    )]
    Greeting(&'static str),
}

/// A sensor that control is attached to. The memory outlives the sensor.
pub struct Sensor {
    connection: Connection,
    /// What it said of itself.
    pub greeting: Arc<Greeting>,
    /// The memory, shared with whoever reads counters.
    pub attachment: Arc<Mutex<Attachment>>,
    /// Its life.
    pub boot: BootId,
    /// When that began, in nanoseconds since 1970.
    pub started: u64,
    /// Slots of the event ring.
    pub slots: u64,
}

/// What came over the socket.
pub enum Message {
    /// What became of a policy.
    Reply(PolicyReply),
    /// The sensor is gone, and why.
    Gone(ChannelError),
}

impl Sensor {
    /// Connects to the socket and takes what the sensor hands over.
    ///
    /// # Errors
    /// Whatever is missing or does not fit.
    pub fn attach(socket: &Path) -> Result<Self, NoSensor> {
        let mut connection = Connection::connect(socket)?;
        connection.set_timeout(TIMEOUT);
        let frame = connection.receive(MOST_BYTES)?;
        if frame.kind != message::GREETING {
            return Err(NoSensor::Greeting("another frame came first"));
        }
        let greeting =
            Greeting::decode(&frame.payload).ok_or(NoSensor::Greeting("its bytes mean nothing"))?;
        let [data, cursor] = <[OwnedFd; 2]>::try_from(frame.fds)
            .map_err(|_| NoSensor::Greeting("not two files of memory came with it"))?;
        let attachment = Attachment::open(data, cursor, SCHEMA)?;
        let shape = attachment.shape();
        if shape.blocks != greeting.blocks() || shape.words_per_block < BLOCK {
            return Err(NoSensor::Greeting("it names other blocks than the memory has"));
        }
        let ports = greeting.ports.len();
        if greeting
            .lanes
            .iter()
            .any(|lane| usize::from(lane.port) >= ports || lane.worker >= greeting.workers)
        {
            return Err(NoSensor::Greeting("a lane belongs to no port or worker"));
        }
        Ok(Self {
            connection,
            greeting: Arc::new(greeting),
            boot: attachment.boot_id(),
            started: attachment.started(),
            slots: shape.ring_slots as u64,
            attachment: Arc::new(Mutex::new(attachment)),
        })
    }

    /// Sends a policy, or says that there will be none.
    ///
    /// # Errors
    /// What the socket says.
    pub fn send_policy(&mut self, policy: Option<&[u8]>) -> Result<(), ChannelError> {
        match policy {
            Some(bytes) => self.connection.send(message::POLICY, bytes, &[]),
            None => self.connection.send(message::NO_POLICY, &[], &[]),
        }
    }

    /// Waits at most `patience` for a message of the sensor.
    pub fn listen(&mut self, patience: Duration) -> Option<Message> {
        let milliseconds = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        let mut socket = [PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        // An interrupted wait is a short one.
        if poll(&mut socket, PollTimeout::from(milliseconds)).unwrap_or(0) == 0 {
            return None;
        }
        match self.connection.receive(MOST_BYTES) {
            Ok(frame) if frame.kind == message::POLICY_REPLY => {
                PolicyReply::decode(&frame.payload).map(Message::Reply)
            }
            // Kinds of a later release concern a later release.
            Ok(_) | Err(ChannelError::Idle) => None,
            Err(error) => Some(Message::Gone(error)),
        }
    }
}
