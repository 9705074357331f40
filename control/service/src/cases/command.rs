//! What people ask of the process that alone writes the store, and what becomes of it.

use std::sync::mpsc;

use serde::Serialize;
use serde_json::{Value, json};

use super::AlertId;
use super::status::Status;
use super::suppression::Draft;

/// Characters of a note.
pub const NOTE: usize = 2_000;

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// The name of the token.
    pub name: String,
    /// Whether restricted alerts are there for this one.
    pub sees_restricted: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// To put an alert somewhere.
    Alert(AlertId, Change),
    /// To put all alerts of an incident somewhere, but for those that are suppressed.
    Incident(u64, Change),
    /// To silence something.
    Suppress(Draft),
    /// To silence it no longer.
    Revoke {
        /// The suppression's number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// To take equipment over.
    Import(Import),
    /// To take an alert's frames away.
    TakeEvidence(AlertId),
    /// To be told the addresses of a session's subscriber.
    Reveal {
        /// The session, by its SEIDs.
        session: String,
        /// Why.
        reason: String,
    },
    /// To be told the addresses of the subscribers that an alert names.
    RevealAlert {
        /// The alert.
        id: AlertId,
        /// Why.
        reason: String,
    },
    /// To be told the sessions of an address.
    LookUp {
        /// The address's pseudonym.
        pseudonym: String,
        /// Why.
        reason: String,
    },
}

/// Equipment that somebody hands over.
#[derive(Clone, Debug)]
pub struct Import {
    /// What becomes of what was imported before.
    pub mode: Mode,
    /// Whether it is only asked what would come of it.
    pub dry_run: bool,
    /// The entries, as `inventory.toml` has them.
    pub text: String,
}

/// What becomes of what was imported before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// It stays, but for entries of the same id.
    Merge,
    /// It goes.
    Replace,
}

impl Mode {
    /// Both.
    pub const ALL: [Mode; 2] = [Mode::Merge, Mode::Replace];

    /// As requests name it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Merge => "merge",
            Mode::Replace => "replace",
        }
    }
}

/// Where an alert is put, and why.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where to.
    pub status: Status,
    /// What is to be known of it.
    pub note: Option<String>,
}

impl Command {
    /// As the audit names the deed.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Alert(..) => "alert_status",
            Self::Incident(..) => "incident_status",
            Self::Suppress(_) => "suppress",
            Self::Revoke { .. } => "revoke_suppression",
            Self::Import(_) => "inventory_import",
            Self::TakeEvidence(_) => "evidence.take",
            Self::Reveal { .. } | Self::RevealAlert { .. } => "identity.reveal",
            Self::LookUp { .. } => "identity.look_up",
        }
    }

    /// To what it is done; nothing yet where it makes something.
    pub fn object(&self) -> String {
        match self {
            Self::Alert(id, _) | Self::TakeEvidence(id) | Self::RevealAlert { id, .. } => {
                id.to_string()
            }
            Self::Incident(number, _) | Self::Revoke { number, .. } => number.to_string(),
            Self::Suppress(draft) => draft.detection.clone(),
            Self::Import(import) => import.mode.name().into(),
            Self::Reveal { session, .. } => session.clone(),
            Self::LookUp { pseudonym, .. } => pseudonym.clone(),
        }
    }

    /// How.
    pub fn detail(&self) -> Value {
        match self {
            Self::Alert(_, change) | Self::Incident(_, change) => {
                json!({ "status": change.status.name(), "note": change.note })
            }
            Self::TakeEvidence(_) => json!({}),
            Self::Suppress(draft) => json!({
                "equipment": draft.equipment,
                "peer": draft.peer.map(|net| net.to_string()),
                "until": crate::eve::timestamp(draft.until),
                "reason": draft.reason,
            }),
            Self::Revoke { reason, .. }
            | Self::Reveal { reason, .. }
            | Self::RevealAlert { reason, .. }
            | Self::LookUp { reason, .. } => json!({ "reason": reason }),
            Self::Import(import) => json!({ "bytes": import.text.len() }),
        }
    }
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Done {
    /// Alerts were put where they should be.
    Changed {
        /// How many so far.
        alerts: u64,
        /// Whether more are to follow, by and by.
        pending: bool,
    },
    /// The suppression with this number holds.
    Suppressed {
        /// Its number.
        number: u64,
        /// Stored alerts that it silenced so far.
        alerts: u64,
        /// Whether more are to follow, by and by.
        pending: bool,
    },
    /// It holds no longer.
    Revoked,
    /// The inventory has these entries, or would have.
    Imported {
        /// Ids that were not imported before.
        added: Vec<String>,
        /// Those whose entries are others now.
        changed: Vec<String>,
        /// Those that are gone.
        removed: Vec<String>,
        /// The policy's version from then on; none where it was only asked.
        version: Option<u64>,
    },
    /// It is noted that somebody wants to know, or have, something.
    Noted,
}

/// What is wrong with a text that was sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mistake {
    /// In which text.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// Why nothing was done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing, or not for this one.
    #[error("there is none of that name")]
    Absent,
    /// It can't be meant so.
    #[error("{0}")]
    Invalid(String),
    /// A text that came with it can't.
    #[error("the text has mistakes; see each")]
    Mistakes(Vec<Mistake>),
    /// The store can't be written.
    #[error("{0}")]
    Unavailable(String),
}

/// A command with who asks, and where the answer goes. What is answered with [`Done`] is on the disk.
pub struct Order {
    /// Who.
    pub actor: Actor,
    /// What.
    pub command: Command,
    /// Where the answer goes.
    pub reply: mpsc::SyncSender<Result<Done, Refused>>,
}
