//! What deserves suspicion in a talk, and why. A baseline learned on site may learn the theft: what
//! has been there since installation shows in who else does it, not in when it began.

use std::fmt;

use weir_analytics::rhythm::Rhythm;
use weir_engine::Nanos;
use weir_policy::{EquipmentId, Role, RoleSet};

use super::talks::{Far, Key, Place, Talk, Talks};
use crate::text::{bytes, plain, span};

/// Beats that make a rhythm, and how far their intervals may scatter: as BCN-PERIODIC has it, which also
/// looks at the hours over which they are spread, and so at more than a capture of minutes shows.
const BEATS: usize = 8;
const WIDEST: f64 = 0.25;
/// What is a large upload: so many bytes, and so many times what came back.
const LARGE: u64 = 1 << 20;
const TIMES: u64 = 4;
/// Nights that tell something, and how long must have been watched.
const NIGHTS: u32 = 2;
const WATCHED: Nanos = Nanos::from_secs(24 * 3600);
/// Remote access and configuration: SSH, Telnet, SNMP, NETCONF, RDP, WinRM, VNC.
const MANAGEMENT: [(u8, u16); 11] = [
    (6, 22),
    (6, 23),
    (6, 161),
    (17, 161),
    (6, 830),
    (6, 2323),
    (6, 3389),
    (17, 3389),
    (6, 5900),
    (6, 5985),
    (6, 5986),
];
const PERIODIC: &str = "BCN-PERIODIC";
/// Detections that ask for nothing but a rule: learning is about these.
const ASK_FOR_A_RULE: [&str; 5] =
    ["EGR-NOTALLOWED", "INV-UNKNOWN", "GTP-PEER", "PFCP-PEER", "OPS-BLIND"];
/// Detections of which a declared timer, session or night's work between equipment is no evidence.
const OF_TIMERS: [&str; 4] = [PERIODIC, "EGR-LONGCONN", "EGR-VOLUME", "OAM-WINDOW"];

/// Why a talk deserves suspicion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// All of a build do it.
    SharedByBuild { installed: u32, build: String },
    /// Nobody of another vendor does it.
    OneVendor { vendor: String, showing: usize, role: Role, others: usize },
    /// It beats.
    Periodic { period: Nanos, beats: usize },
    /// It becomes more and more.
    Growing { first: u64, last: u64 },
    /// It happens at night only.
    Nightly { nights: u32 },
    /// A stranger opened it, and the equipment answered with data.
    AnsweredOutside,
    /// Much more is sent than received.
    LargeUpload { sent: u64, received: u64 },
    /// Remote access by what is no management system, or by a stranger.
    Management,
    /// Who opened it is a guess.
    OpeningMissed,
    /// A detection that no rule of this kind silences named both ends.
    Flagged { detection: String },
}

impl Reason {
    /// The name in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::SharedByBuild { .. } => "shared_by_build",
            Self::OneVendor { .. } => "never_seen_at_other_vendors",
            Self::Periodic { .. } => "periodic",
            Self::Growing { .. } => "growing",
            Self::Nightly { .. } => "only_at_night",
            Self::AnsweredOutside => "answered_from_outside",
            Self::LargeUpload { .. } => "large_upload",
            Self::Management => "management_port",
            Self::OpeningMissed => "opening_missed",
            Self::Flagged { detection } if detection == PERIODIC => "periodic",
            Self::Flagged { .. } => "flagged",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedByBuild { installed, build } => {
                write!(f, "shared by a whole build: all {installed} of {} turn there", plain(build))
            }
            Self::OneVendor { vendor, showing, role, others } => write!(
                f,
                "never seen at other vendors: {showing} {role} of {} there, and none of the {others} of \
                 other vendors",
                plain(vendor)
            ),
            Self::Periodic { period, beats } => {
                write!(f, "periodic: about every {} ({beats} beats)", span(*period))
            }
            Self::Growing { first, last } => write!(
                f,
                "growing: {} sent in the first quarter of the time, {} in the last",
                bytes(*first),
                bytes(*last)
            ),
            Self::Nightly { nights } => {
                write!(f, "only at night: between 22:00 and 06:00 UTC on {nights} days")
            }
            Self::AnsweredOutside => {
                f.write_str("answered from outside: a stranger opened it and got data")
            }
            Self::LargeUpload { sent, received } => {
                write!(f, "large uploads: {} sent, {} received", bytes(*sent), bytes(*received))
            }
            Self::Management => f.write_str(
                "port of management: remote access that no management system of the inventory opened",
            ),
            Self::OpeningMissed => {
                f.write_str("opening not seen: who opened it is guessed from the ports")
            }
            Self::Flagged { detection } => {
                let what = match detection.as_str() {
                    PERIODIC => "periodic: a rhythm inside its flows",
                    "EGR-COHORT" => "shared by its build and hardly by others",
                    "EGR-VOLUME" => "more than usual, or the same heap every night",
                    "EGR-LONGCONN" => "a flow that never ends",
                    _ => "more than a missing rule",
                };
                write!(f, "{what}: {} flagged it or its network", plain(detection))
            }
        }
    }
}

/// The rhythm in which a talk's flows begin, if they do so in one.
pub(crate) fn rhythm(talk: &Talk) -> Option<Rhythm> {
    let rhythm = Rhythm::of(&talk.beats())?;
    let is_regular = rhythm.beats >= BEATS && rhythm.scatter <= WIDEST;
    is_regular.then_some(rhythm)
}

/// Everything that makes a talk suspicious; none for what only wants a rule.
pub(crate) fn reasons(key: &Key, talk: &Talk, talks: &Talks<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if matches!(key.far, Far::Stranger(_)) {
        company(key, talk, talks, &mut reasons);
        stranger(talk, talks, &mut reasons);
    }
    if is_management(key, talks) {
        reasons.push(Reason::Management);
    }
    if talk.is_guessed {
        reasons.push(Reason::OpeningMissed);
    }
    let is_equipment = matches!(key.far, Far::Equipment(_));
    let found = talks.findings(key.equipment, key.far).filter(|detection| {
        !(ASK_FOR_A_RULE.contains(detection) || is_equipment && OF_TIMERS.contains(detection))
    });
    reasons.extend(found.map(|detection| Reason::Flagged { detection: detection.into() }));
    reasons
}

/// What shows in the talk itself.
fn stranger(talk: &Talk, talks: &Talks<'_>, reasons: &mut Vec<Reason>) {
    if let Some(rhythm) = rhythm(talk) {
        reasons.push(Reason::Periodic { period: rhythm.period, beats: rhythm.beats });
    }
    if let Some((first, last)) = talk.course.growth() {
        reasons.push(Reason::Growing { first, last });
    }
    let watched = talks.span.map_or(Nanos(0), |(first, last)| last.since(first));
    if talk.is_nightly && talk.days >= NIGHTS && watched >= WATCHED {
        reasons.push(Reason::Nightly { nights: talk.days });
    }
    if talk.was_answered {
        reasons.push(Reason::AnsweredOutside);
    }
    let (sent, received) = (talk.sent.1, talk.received.1);
    if sent >= LARGE && sent / TIMES >= received {
        reasons.push(Reason::LargeUpload { sent, received });
    }
}

/// Who else turns there, and who does not.
fn company(key: &Key, talk: &Talk, talks: &Talks<'_>, reasons: &mut Vec<Reason>) {
    let Far::Stranger(address) = key.far else { return };
    let inventory = talks.inventory;
    let Some(entry) = inventory.entry(key.equipment) else { return };
    let names = talk.names.iter().map(|name| Place::Name(name.to_ascii_lowercase()));
    let mut visitors: Vec<EquipmentId> = std::iter::once(Place::of(address))
        .chain(names)
        .flat_map(|place| talks.visitors(&place).collect::<Vec<_>>())
        .collect();
    visitors.sort_unstable();
    visitors.dedup();
    let installed = inventory.same_build(key.equipment);
    let cohort = inventory.cohort(key.equipment);
    let showing = visitors.iter().filter(|id| inventory.cohort(**id) == cohort).count();
    if installed >= 2 && showing == installed as usize {
        let build = [&entry.vendor, &entry.model, &entry.build].map(String::as_str).join(" ");
        reasons.push(Reason::SharedByBuild { installed, build });
    }
    let Some(role) = entry.roles.iter().next().filter(|_| !entry.vendor.is_empty()) else { return };
    // Those who were not seen at all show nothing.
    let of_others = |id: &EquipmentId| {
        inventory.entry(*id).is_some_and(|other| {
            other.roles.contains(role) && !other.vendor.is_empty() && other.vendor != entry.vendor
        })
    };
    let others = talks.active().filter(of_others).count();
    if others > 0 && !visitors.iter().any(of_others) {
        let same = |id: &&EquipmentId| {
            inventory
                .entry(**id)
                .is_some_and(|other| other.vendor == entry.vendor && other.roles.contains(role))
        };
        let showing = visitors.iter().filter(same).count();
        reasons.push(Reason::OneVendor { vendor: entry.vendor.clone(), showing, role, others });
    }
}

/// Management systems may manage equipment. Nobody else may, and nobody from outside.
fn is_management(key: &Key, talks: &Talks<'_>) -> bool {
    let is_such = key.port.is_some_and(|port| MANAGEMENT.contains(&(key.protocol, port)));
    let manages = |roles: RoleSet| roles.contains(Role::Oam);
    let opener = talks.inventory.entry(key.equipment);
    is_such && (matches!(key.far, Far::Stranger(_)) || !opener.is_some_and(|it| manages(it.roles)))
}

#[cfg(test)]
#[path = "suspicion_tests.rs"]
mod tests;
