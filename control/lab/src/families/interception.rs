//! Interception beyond what is authorised.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::site::Site;

/// Sessions that are copied, and for how many seconds, from loud to evasive. At the site four may be, three are, and
/// an excess is told after two minutes: to a thirty-second part of them and ten seconds more.
type Streams = [Option<(u64, u64)>; 4];

/// With three more the UPF by itself copies four, which PFCP-DUPL allows; so with two, one too many.
const EXCESS: Streams = [Some((7, 400)), Some((3, 300)), Some((2, 145)), Some((2, 90))];
/// To who is no mediation function nothing may be copied for a moment.
const ELSEWHERE: Streams = [Some((6, 200)), Some((2, 60)), Some((1, 5)), None];

macro_rules! families {
    ($(($name:literal, $half:ident, $to:literal, $streams:expr),)*) => {
        pub(crate) const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            detection: "LI-UNMATCHED",
            site: Site::Interception,
            half: Half::$half,
            attack: |intensity, draw| Some(streams($name, $to, intensity.of($streams)?, draw)),
        },)*];
    };
}

families! {
    ("excess-interception", Tuned, "10.0.1.200", EXCESS),
    ("foreign-mediation", Scored, "", ELSEWHERE),
}

/// Copies of a UPF's sessions to a place; none: to a stranger.
fn streams(name: &str, to: &str, (sessions, seconds): (u64, u64), draw: &mut Draw) -> String {
    let start = draw.between(330, 470);
    let every = draw.between(700, 1_500);
    let to = if to.is_empty() { draw.stranger() } else { to.to_owned() };
    format!(
        "\n[[theft.interception]]\nid = \"{name}\"\nequipment = \"upf-1\"\npeer = \"{to}\"\n\
         start_seconds = {start}\nseconds = {seconds}\nsessions = {sessions}\n\
         every_milliseconds = {every}\n"
    )
}
