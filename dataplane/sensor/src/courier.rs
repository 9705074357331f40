//! The socket's thread: hands the memory to whoever is control, and takes its
//! policy.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use weir_engine::contract::greeting::{Greeting, PolicyReply, message};
use weir_policy::MAX_BYTES;
use weir_shm::Handover;
use weir_shm::channel::{ChannelError, Connection, Listener};

use crate::court::Notice;
use crate::policy::{LastGood, PolicySlot, compile};
use crate::stop::Stop;

/// How long a wait for control may last before a stop is looked for.
const NAP: Duration = Duration::from_millis(100);

/// What the courier's thread is given.
pub(crate) struct Courier {
    pub(crate) listener: Listener,
    pub(crate) handover: Handover,
    pub(crate) greeting: Greeting,
    pub(crate) policy: Arc<PolicySlot>,
    /// Where a good policy is kept.
    pub(crate) last_good: LastGood,
    pub(crate) notice: Arc<Notice>,
    /// Told once, when control has said what the policy is.
    pub(crate) briefed: crossbeam::channel::Sender<()>,
    pub(crate) stop: Stop,
}

impl Courier {
    /// Serves one control after the other until a stop.
    pub(crate) fn serve(mut self) {
        while !self.stop.is_asked() {
            match self.listener.accept(NAP) {
                Ok(connection) => self.attend(connection),
                Err(ChannelError::Idle) => {}
                Err(error) => {
                    eprintln!("warning: {error}");
                    std::thread::sleep(NAP);
                }
            }
        }
    }

    fn attend(&mut self, mut connection: Connection) {
        self.greeting.policy = self.policy.current().map(|rules| rules.sha256());
        let fds = [self.handover.data(), self.handover.cursor()];
        if connection.send(message::GREETING, &self.greeting.encode(), &fds).is_err() {
            return;
        }
        self.notice.attached.store(true, Ordering::Relaxed);
        connection.set_timeout(NAP);
        while !self.stop.is_asked() {
            match connection.receive(MAX_BYTES) {
                Ok(frame) if frame.kind == message::POLICY => {
                    let reply = self.take(&frame.payload);
                    if connection.send(message::POLICY_REPLY, &reply.encode(), &[]).is_err() {
                        break;
                    }
                    if matches!(reply, PolicyReply::Accepted { .. }) {
                        let _ = self.briefed.try_send(());
                    }
                }
                Ok(frame) if frame.kind == message::NO_POLICY => {
                    let _ = self.briefed.try_send(());
                }
                Ok(frame) => {
                    eprintln!("warning: control sent an unknown message {}; socket", frame.kind);
                    break;
                }
                Err(ChannelError::Idle) => {}
                Err(ChannelError::Closed) => break,
                Err(error) => {
                    eprintln!("warning: {error}");
                    break;
                }
            }
        }
        self.notice.attached.store(false, Ordering::Relaxed);
    }

    fn take(&self, bytes: &[u8]) -> PolicyReply {
        let rules = match compile(bytes) {
            Ok(rules) => rules,
            Err(error) => return PolicyReply::Refused { reason: error.to_string() },
        };
        // A control that comes back says again what is in force; nothing changes.
        if let Some(current) = self.policy.current()
            && current.sha256() == rules.sha256()
        {
            return PolicyReply::Accepted { version: current.version() };
        }
        let version = rules.version();
        self.policy.put(Arc::new(rules));
        if let Err(error) = self.last_good.keep(bytes) {
            eprintln!(
                "warning: the policy is in force but can't be kept; {error}; state directory"
            );
        }
        PolicyReply::Accepted { version }
    }
}
