//! A request and its answer, and what a tap makes of them.

use std::net::SocketAddr;

use crate::chance::Chance;
use crate::labels::{Group, GroupKind};
use crate::n4::Habits;
use crate::stage::{MILLI, Micros, Stage};

/// Which half of a transaction the tap may fail to deliver. What would leave the session's tunnels
/// unknown for good is never lost: no detector could tell such tunnels from orphans.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exposure {
    /// None, and their order stands.
    None,
    Request,
    Response,
    Either,
}

/// A transaction between two sockets.
pub(crate) struct Exchange {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub exposure: Exposure,
}

/// What taps do to N4, and the groups that it is labelled by.
pub(crate) struct Mishaps {
    reordered: (f64, usize),
    lost: (f64, usize),
    repeated: (f64, usize),
}

/// How long a node waits for an answer before it asks again.
const PATIENCE: Micros = 900 * MILLI;

impl Mishaps {
    pub(crate) fn new(habits: &Habits, groups: &mut Vec<Group>) -> Option<Self> {
        if habits.reordered_share + habits.lost_share + habits.repeated_share == 0.0 {
            return None;
        }
        let mut label = |name: &str| {
            groups.push(Group::new(name, GroupKind::Silent));
            groups.len() - 1
        };
        Some(Self {
            reordered: (habits.reordered_share, label("reordered-n4")),
            lost: (habits.lost_share, label("lost-n4")),
            repeated: (habits.repeated_share, label("repeated-n4")),
        })
    }
}

/// Plays the transaction.
pub(crate) fn exchange(
    stage: &mut Stage,
    (at, answer_at): (Micros, Micros),
    exchange: &Exchange,
    chance: &mut Chance,
) {
    let mut times = (Some(at), Some(answer_at));
    let mut again = false;
    let group = stage.group;
    if let Some(mishaps) = stage.mishaps.as_ref().filter(|_| exchange.exposure != Exposure::None) {
        let (reordered, lost, repeated) = (mishaps.reordered, mishaps.lost, mishaps.repeated);
        if chance.happens(reordered.0) {
            stage.group = Some(reordered.1);
            times = (Some(answer_at), Some(at));
        } else if chance.happens(lost.0) {
            stage.group = Some(lost.1);
            let request = match exchange.exposure {
                Exposure::Either => chance.happens(0.5),
                exposure => exposure == Exposure::Request,
            };
            if request {
                times.0 = None;
            } else {
                times.1 = None;
            }
        } else if chance.happens(repeated.0) {
            stage.group = Some(repeated.1);
            again = true;
        }
    }
    let Exchange { from, to, request, response, .. } = exchange;
    if let Some(at) = times.0 {
        stage.pfcp(at, (*from, *to), request);
    }
    if let Some(at) = times.1 {
        stage.pfcp(at, (*to, *from), response);
    }
    if again {
        stage.pfcp(at + PATIENCE, (*from, *to), request);
        stage.pfcp(answer_at + PATIENCE, (*to, *from), response);
    }
    stage.group = group;
}
