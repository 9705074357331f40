//! What keeps Weir from seeing: it is to say so.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::site::Site;

/// How much, from loud to evasive: a share of N4, or seconds.
type Amount = [Option<f64>; 4];

/// Of N4's transactions nine of ten must be seen whole within a minute.
const SHARE: Amount = [Some(1.0), Some(0.6), Some(0.25), Some(0.03)];
/// More than a second from one frame to the next, which are up to a second apart.
const SECONDS: Amount = [Some(60.0), Some(12.0), Some(2.5), Some(0.8)];

macro_rules! families {
    ($(($name:literal, $half:ident, $amount:expr),)*) => {
        pub(crate) const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            detection: "OPS-BLIND",
            site: Site::Interception,
            half: Half::$half,
            attack: |intensity, draw| Some(blinding($name, intensity.of($amount)?, draw)),
        },)*];
    };
}

families! {
    ("n4-one-way", Tuned, SHARE),
    ("clock-back", Scored, SECONDS),
}

fn blinding(how: &str, amount: f64, draw: &mut Draw) -> String {
    let start = draw.between(250, 500);
    let seconds = draw.between(150, 250);
    format!(
        "\n[[theft.blinding]]\nid = \"{how}\"\nhow = \"{how}\"\nstart_seconds = {start}\n\
         seconds = {seconds}\namount = {amount:?}\n"
    )
}
