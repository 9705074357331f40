//! What blinds Weir: a tap that loses one direction of N4, a clock that is set back. Nothing on the
//! network changes by it, only what is captured.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::frame;
use crate::plan::Link;
use crate::scenario::{Role, Scenario};
use crate::stage::{Packet, Stage};
use crate::theft::Expectation;

const ETHERNET: usize = 14;
const SECOND_NS: u64 = 1_000_000_000;
/// The streams of chance by which N4 is lost: no actor comes to have one.
const LOSS: u64 = u64::MAX - 1;

/// One of them, as SCENARIO.toml says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blinding {
    pub id: Spanned<String>,
    pub how: How,
    pub start_seconds: u64,
    /// How long N4 is lost; of a clock, what was captured so soon after belongs to it.
    pub seconds: u64,
    /// Of N4: the share that is lost. Of a clock: by how many seconds it is set back.
    pub amount: f64,
}

/// What happens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// What UPFs send on N4 does not reach Weir.
    N4OneWay,
    /// The clock of the tap goes on from an earlier time.
    ClockBack,
}

/// A blinding that is under way, or to come.
pub(crate) struct Blinded {
    theft: usize,
    how: How,
    from: u64,
    until: u64,
    amount: f64,
    upfs: Vec<IpAddr>,
    chance: Chance,
}

/// What is expected of them.
pub(crate) fn expected(scenario: &Scenario) -> impl Iterator<Item = Expectation> {
    scenario.theft.blinding.iter().map(|blinding| Expectation {
        id: blinding.id.get_ref().clone(),
        kind: match blinding.how {
            How::N4OneWay => "n4-one-way",
            How::ClockBack => "clock-back",
        },
        detection: "OPS-BLIND",
        severity: Some("info"),
        also: &[],
        equipment: None,
        peer: None,
        note: match blinding.how {
            How::N4OneWay => "what UPFs send on N4 is not captured".into(),
            How::ClockBack => "the clock of the tap is set back".into(),
        },
    })
}

/// The blindings of a scenario; the first has the index `first` among the thefts.
pub(crate) fn all(stage: &Stage, scenario: &Scenario, first: usize) -> Vec<Blinded> {
    let upfs = stage.plan.with(Role::Upf, &[Link::N4]);
    let upfs: Vec<IpAddr> =
        upfs.into_iter().map(|upf| stage.plan.nodes[upf].on(Link::N4).into()).collect();
    let start = |seconds: u64| stage.start_ns() + seconds * SECOND_NS;
    let blindings = scenario.theft.blinding.iter().enumerate();
    blindings
        .map(|(n, said)| Blinded {
            theft: first + n,
            how: said.how,
            from: start(said.start_seconds),
            until: start(said.start_seconds + said.seconds),
            amount: said.amount,
            upfs: upfs.clone(),
            chance: Chance::new(scenario.seed, LOSS - n as u64),
        })
        .collect()
}

impl Blinded {
    /// What becomes of a packet, whose frame is still Ethernet: marked, and perhaps dated back;
    /// no if it is not captured.
    pub(crate) fn pass(&mut self, packet: &mut Packet) -> bool {
        let is_within = (self.from..self.until).contains(&packet.time_ns);
        match self.how {
            How::N4OneWay => {
                let is_upfs = || {
                    let (source, _) = frame::ends(&packet.frame[ETHERNET..]);
                    packet.link == Link::N4 && self.upfs.contains(&source)
                };
                if !is_within || !is_upfs() || !self.chance.happens(self.amount) {
                    return true;
                }
                packet.theft = packet.theft.or(Some(self.theft));
                false
            }
            How::ClockBack => {
                if is_within {
                    packet.theft = packet.theft.or(Some(self.theft));
                }
                if packet.time_ns >= self.from {
                    packet.time_ns -= (self.amount * SECOND_NS as f64) as u64;
                }
                true
            }
        }
    }
}
