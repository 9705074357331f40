//! Lawful interception: how much of it is authorised, who is intercepted, and who is beyond that.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::chance::Chance;
use crate::frame;
use crate::gtpu::{self, Container, Direction};
use crate::guest::{self, Place, Visit};
use crate::labels::{Group, GroupKind};
use crate::n4::{self, rules};
use crate::plan::Link;
use crate::scenario::{Role, Scenario};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};
use crate::theft::Expectation;

/// How long an intercepted guest is there before.
const BEFORE: Micros = 5 * SECOND;
const FIRST_TEID: u32 = 0x6700_0001;

/// What SCENARIO.toml says of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interception {
    /// How late what is authorised is told.
    pub feed_lag_seconds: u64,
    #[serde(default)]
    pub authorised: Vec<Authorised>,
    /// Who is intercepted with right, though it be told late.
    #[serde(default)]
    pub warrant: Vec<Streams>,
}

/// One `[[authorised]]` of li.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authorised {
    pub upf: Option<Spanned<String>>,
    pub to: Spanned<Ipv4Addr>,
    pub sessions: u32,
}

/// Sessions of a UPF whose downlink is copied to one place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Streams {
    pub id: Spanned<String>,
    /// The UPF that copies.
    pub equipment: Spanned<String>,
    pub peer: Spanned<Ipv4Addr>,
    pub start_seconds: u64,
    pub seconds: u64,
    pub sessions: u64,
    /// From one packet that is copied to the next, in each session.
    pub every_milliseconds: u64,
}

#[derive(Serialize)]
struct File<'a> {
    authorised: Vec<Order<'a>>,
}

#[derive(Serialize)]
struct Order<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    upf: Option<&'a str>,
    to: Ipv4Addr,
    sessions: u32,
}

/// The text of `li.toml`.
pub(crate) fn text(said: &Interception) -> Result<String, toml::ser::Error> {
    let orders = said.authorised.iter().map(|authorised| Order {
        upf: authorised.upf.as_ref().map(|upf| upf.get_ref().as_str()),
        to: *authorised.to.get_ref(),
        sessions: authorised.sessions,
    });
    toml::to_string(&File { authorised: orders.collect() })
}

/// Brings those that are beyond what is authorised onto the stage; the first has the index `first`
/// among the thefts.
pub(crate) fn enter(stage: &mut Stage, scenario: &Scenario, first: usize) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for streams in &scenario.theft.interception {
        let id = streams.id.get_ref();
        let group = stage.label(Group::new(id, GroupKind::Theft));
        enter_streams(stage, streams, group, Some(first + expected.len()));
        expected.push(Expectation {
            id: id.clone(),
            kind: "interception",
            detection: "LI-UNMATCHED",
            severity: Some("critical"),
            also: &["PFCP-DUPL", "CNS-DUP", "GTP-PEER", "INV-UNKNOWN"],
            equipment: Some(streams.equipment.get_ref().clone()),
            // LI-UNMATCHED tells counts alone; where copies go is what the others beside it tell.
            peer: Some((*streams.peer.get_ref()).into()),
            note: "subscribers' downlink is copied, and more of it than is authorised".into(),
        });
    }
    expected
}

/// Brings those who are intercepted with right onto the stage.
pub(crate) fn enter_warrants(stage: &mut Stage, said: &Interception) {
    for warrant in &said.warrant {
        let group = stage.label(Group::new(warrant.id.get_ref(), GroupKind::Silent));
        enter_streams(stage, warrant, group, None);
    }
}

fn enter_streams(stage: &mut Stage, said: &Streams, group: usize, theft: Option<usize>) {
    let upf = stage.plan.named(said.equipment.get_ref());
    let smf = stage.plan.with(Role::Smf, &[Link::N4])[0];
    let gnb = stage.plan.with(Role::Gnb, &[Link::N3])[0];
    let start = said.start_seconds * SECOND;
    let until = start + said.seconds * SECOND;
    for n in 0..said.sessions {
        let guest = Place { smf, upf, gnb }.attachment(stage);
        // They do not all come in one moment.
        let at = start + n * 300 * MILLI;
        Visit::enter(stage, &guest, (at.saturating_sub(BEFORE), until), None);
        let copied = Copied {
            slot: guest.slot,
            to: *said.peer.get_ref(),
            teid: FIRST_TEID + guest.slot as u32,
            group,
            theft,
            ordered: false,
            every: said.every_milliseconds * MILLI,
            until,
            chance: stage.chance(),
        };
        stage.enter(at, copied);
    }
}

/// A session that is copied: first the order, then the copies, until it is over.
struct Copied {
    slot: usize,
    to: Ipv4Addr,
    teid: u32,
    group: usize,
    theft: Option<usize>,
    ordered: bool,
    every: Micros,
    until: Micros,
    chance: Chance,
}

impl Actor for Copied {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        let session = stage.sessions[self.slot].clone()?;
        if now >= self.until {
            return None;
        }
        let mark = |stage: &mut Stage, this: &Self| {
            (stage.group, stage.theft) = (Some(this.group), this.theft);
        };
        if !self.ordered {
            self.ordered = true;
            mark(stage, self);
            let change = rules::duplication((self.teid, self.to));
            n4::modify(stage, now, &session, &[change], &mut self.chance);
            return Some(now + self.every);
        }
        let packet = guest::inward(stage, session.ue, self.slot, &mut self.chance);
        stage.downlink(now, self.slot, (9, false), &packet);
        mark(stage, self);
        let psc = Container { direction: Direction::Downlink, qfi: 9, rqi: false };
        let copy = gtpu::g_pdu(self.teid, None, psc, &frame::forwarded(&packet));
        let own = stage.plan.nodes[session.upf].on(Link::N3);
        stage.gtpu(now + 45, (own, self.to), &copy, None);
        Some(now + self.every)
    }
}
