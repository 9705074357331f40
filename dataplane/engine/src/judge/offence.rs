//! What a detection found wrong with a flow.

use crate::contract::verdict::{Fact, Initiator, Severity};
use crate::judge::flow::Way;

/// A detection's finding about one flow. A way names the end that sends in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offence {
    /// The detection's position in the catalogue.
    pub detection: u16,
    /// How grave.
    pub severity: Severity,
    /// The equipment at fault, if equipment is.
    pub suspect: Option<Way>,
    /// The other side.
    pub peer: Way,
    /// Who opened the conversation.
    pub initiator: Initiator,
    /// What was seen.
    pub fact: Fact,
}
