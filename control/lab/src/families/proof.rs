//! What only packets that are followed tell: one of 256 is, so that how likely a leak is found depends on
//! how many packets it has.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::site::Site;

/// Packets of the subscriber, and milliseconds between them, from loud to evasive.
type Pace = [(u64, u64); 4];

/// Of each packet both ways are copied, and three of the copies must be followed ones. Of so many
/// copies 40, 12, 6 and 1 are followed, as a mean: three or more come by (Poisson) chance in all of
/// the first, 99.9 %, 94 % and 8 % of the cases.
const COPIES: Pace = [(5_000, 10), (1_500, 20), (768, 40), (128, 100)];

/// Of each packet one is made. In each of five minutes in a row ten or so of them must be followed
/// ones, more than three times their root and one in 200 of what came. In a minute 47, 23, 17 and 6 are
/// followed, as a mean; of the seventeen at least ten in 97 % of the minutes, so in five in a row of
/// six in about nine cases of ten.
const MADE: Pace = [(80_000, 5), (40_000, 10), (29_000, 14), (10_000, 40)];

macro_rules! families {
    ($(($name:literal, $detection:literal, $half:ident, $pace:expr, $last:literal, $with_peer:literal),)*) => {
        pub(crate) const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            detection: $detection,
            site: Site::Proof,
            half: Half::$half,
            attack: |intensity, draw| Some(leak($name, intensity.of($pace), $last, $with_peer, draw)),
        },)*];
    };
}

families! {
    ("copy-to-stranger", "CNS-DUP", Tuned, COPIES, 240, true),
    ("copy-to-peer", "CNS-DUP", Scored, COPIES, 240, false),
    ("bare-copy", "CNS-DUP", Scored, COPIES, 240, true),
    ("own-uplink", "CNS-BALANCE", Tuned, MADE, 45, false),
    ("own-downlink", "CNS-BALANCE", Scored, MADE, 45, false),
}

/// A leak that begins by `last`.
fn leak(
    how: &str,
    (packets, every): (u64, u64),
    last: u64,
    with_peer: bool,
    draw: &mut Draw,
) -> String {
    let start = draw.between(30, last);
    let peer = if with_peer { format!("peer = \"{}\"\n", draw.stranger()) } else { String::new() };
    format!(
        "\n[[theft.leak]]\nid = \"{how}\"\nhow = \"{how}\"\nequipment = \"upf-1\"\n{peer}\
         start_seconds = {start}\npackets = {packets}\nevery_milliseconds = {every}\n"
    )
}
