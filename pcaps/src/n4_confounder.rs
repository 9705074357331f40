//! What turns sessions upside down on a good day: each kind is what the detections that judge by
//! sessions must stay silent for.

mod beside;
mod failure;
mod insertion;
mod lost_answer;
mod mobility;
mod restart;

use serde::Deserialize;
use toml::Spanned;

use crate::chance::Chance;
use crate::guest::{Place, Visit};
use crate::labels::{Group, GroupKind};
use crate::n4::{self, rules};
use crate::plan::{Link, Plan};
use crate::scenario::{Role, Scenario};
use crate::stage::{Actor, MILLI, Micros, SECOND, Stage};

/// What SCENARIO.toml says of them. The SMFs of failover and set deletion are the first two of the
/// first set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upheavals {
    /// From one of a kind to the next, where a kind repeats itself.
    pub every_seconds: u64,
    /// When many move to the next gNB at once, and how many.
    pub storm_at_seconds: u64,
    pub storm_subscribers: u64,
    /// The UPF that restarts and is released, and when.
    pub restarts: Spanned<String>,
    pub restart_at_seconds: u64,
    /// When the last of the SMFs restarts.
    pub smf_restart_at_seconds: u64,
    pub release_at_seconds: u64,
    /// When an SMF fails and another goes on.
    pub failover_at_seconds: u64,
    pub set_deletion_at_seconds: u64,
    /// Sessions that began before the capture, and how long they go on.
    pub mid_stream_sessions: u64,
    pub mid_stream_until_seconds: u64,
    /// The UPF that is put between a gNB and the first UPF.
    pub inserted: Spanned<String>,
    /// The two ends of F1-U and of S1-U.
    pub f1: [Spanned<String>; 2],
    pub s1: [Spanned<String>; 2],
}

/// Who takes part.
struct Cast {
    gnbs: Vec<usize>,
    smfs: Vec<usize>,
    /// Two SMFs that share their sessions.
    set: [usize; 2],
    upf: usize,
    /// The UPFs that have N4.
    upfs: Vec<usize>,
    restarts: usize,
    end: Micros,
}

/// How long before its upheaval a guest attaches.
const BEFORE: Micros = 25 * SECOND;
/// The associations are set up within the first second.
const FIRST: Micros = 3 * SECOND;

/// Brings them onto the stage.
pub(crate) fn enter(stage: &mut Stage, said: &Upheavals, scenario: &Scenario) {
    let plan = &stage.plan;
    let smfs = plan.with(Role::Smf, &[Link::N4]);
    let set = match scenario.smf_set.first().map(|set| set.members.as_slice()) {
        Some([one, other, ..]) => [one, other].map(|id| plan.named(id.get_ref())),
        // The check asks for a set of two.
        _ => return,
    };
    let cast = Cast {
        gnbs: plan.with(Role::Gnb, &[Link::N3]),
        upf: plan.with(Role::Upf, &[Link::N3, Link::N4, Link::N6])[0],
        upfs: plan.with(Role::Upf, &[Link::N4]),
        restarts: plan.named(said.restarts.get_ref()),
        smfs,
        set,
        end: scenario.duration_seconds.get_ref() * SECOND - 3 * SECOND,
    };
    mobility::enter(stage, said, &cast);
    failure::enter(stage, said, &cast);
    restart::enter(stage, said, &cast);
    insertion::enter(stage, said, &cast);
    beside::enter(stage, said, &cast, &scenario.confounders);
    two_data_networks(stage, &cast);
    late_addresses(stage, &cast);
    bundles(stage, said, &cast);
    lost_answer::enter(stage, said, &cast);
}

/// The SMF and UPF of the sessions that began before the capture: their association did too.
pub(crate) fn associated_before(scenario: &Scenario, plan: &Plan) -> Option<(usize, usize)> {
    let said = scenario.confounders.sessions.as_ref()?.get_ref();
    let smf = scenario.smf_set.first()?.members.first()?;
    let upf = plan.with(Role::Upf, &[Link::N3, Link::N4, Link::N6]).first().copied()?;
    (said.mid_stream_sessions > 0).then(|| (plan.named(smf.get_ref()), upf))
}

impl Cast {
    fn place(&self) -> Place {
        Place { smf: self.set[0], upf: self.upf, gnb: self.gnbs[0] }
    }
}

fn silent(stage: &mut Stage, name: &str) -> usize {
    stage.label(Group::new(name, GroupKind::Silent))
}

/// One address at one UPF, once in each data network.
fn two_data_networks(stage: &mut Stage, cast: &Cast) {
    let Some(second) = stage.plan.second.clone() else { return };
    let group = silent(stage, "two-dnns");
    for n in 0..4 {
        let from = FIRST + n * 900 * MILLI;
        let first = cast.place().attachment(stage);
        let mut other = cast.place().attachment(stage);
        other.ue = first.ue;
        other.realm = second.clone();
        other.gnb = cast.gnbs[1 % cast.gnbs.len()];
        Visit::enter(stage, &first, (from, cast.end / 2), Some(group));
        Visit::enter(stage, &other, (from + 5 * SECOND, cast.end / 2), Some(group));
    }
}

/// IPv6 sessions that are established without their prefix.
fn late_addresses(stage: &mut Stage, cast: &Cast) {
    let group = silent(stage, "late-address");
    for n in 0..4 {
        let mut guest = cast.place().attachment(stage);
        guest.ue = stage.plan.subscriber(guest.slot as u32, true);
        guest.late_address = true;
        let from = FIRST + n * 40 * SECOND;
        Visit::enter(stage, &guest, (from, (from + 90 * SECOND).min(cast.end)), Some(group));
    }
}

/// Two sessions that are changed in one datagram, again and again: a flow comes and goes.
fn bundles(stage: &mut Stage, said: &Upheavals, cast: &Cast) {
    let group = silent(stage, "bundled-messages");
    let slots = [(); 2].map(|()| {
        let guest = cast.place().attachment(stage);
        Visit::enter(stage, &guest, (FIRST, cast.end), Some(group));
        guest.slot
    });
    let (every, chance) = (said.every_seconds * SECOND, stage.chance());
    stage.enter(
        FIRST + every,
        Bundles { slots, group, every, added: false, until: cast.end, chance },
    );
}

struct Bundles {
    slots: [usize; 2],
    group: usize,
    every: Micros,
    /// The flow is there.
    added: bool,
    until: Micros,
    chance: Chance,
}

impl Actor for Bundles {
    fn wake(&mut self, now: Micros, stage: &mut Stage) -> Option<Micros> {
        stage.group = Some(self.group);
        let [one, other] = self.slots.map(|slot| stage.sessions[slot].clone());
        if let (Some(one), Some(other)) = (one, other) {
            let user_plane = stage.plan.nodes[one.upf].on(Link::N3);
            let flow = match self.added {
                false => rules::added_flow(&one.realm, one.ue, (one.uplink_teid, user_plane)),
                true => rules::removed_flow(),
            };
            self.added = !self.added;
            let both = [(&one, flow), (&other, vec![rules::rates(30_000, 150_000)])];
            n4::bundled_changes(stage, now, both, &mut self.chance);
        }
        (now + self.every < self.until).then_some(now + self.every)
    }
}
