//! What hides in the user plane's headers, inside G-PDUs or in tunnels that are not GTP-U.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::intensity::Intensity;
use crate::site::Site;

const NEST: &str = "GTP-NEST";
const INSIDE: &str = "GTP-CPINUP";
const TUNNEL: &str = "TUN-FOREIGN";
const HEADER: &str = "GTP-HDRCOV";

macro_rules! families {
    ($(($name:literal, $detection:expr, $half:ident, $place:expr),)*) => {
        pub(crate) const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            detection: $detection,
            site: Site::Evasions,
            half: Half::$half,
            attack: |intensity, draw| evasion($name, $place, intensity, draw),
        },)*];
    };
}

families! {
    ("nested-by-equipment", NEST, Scored, Place::N3),
    ("pfcp-inside", INSIDE, Tuned, Place::To("10.0.2.1")),
    ("gtpc-inside", INSIDE, Scored, Place::To("10.0.2.100")),
    ("ngap-inside", INSIDE, Scored, Place::To("10.0.10.131")),
    ("gre", TUNNEL, Tuned, Place::Outside),
    ("ip-in-ip", TUNNEL, Scored, Place::Outside),
    ("vxlan", TUNNEL, Scored, Place::Outside),
    ("wireguard", TUNNEL, Tuned, Place::Outside),
    ("esp", TUNNEL, Scored, Place::Outside),
    ("l2tp", TUNNEL, Tuned, Place::Outside),
    ("erspan", TUNNEL, Scored, Place::Outside),
    ("clear-gtpu", TUNNEL, Scored, Place::Backhaul),
    ("reserved-bit", HEADER, Tuned, Place::Upf),
    ("unknown-extension", HEADER, Scored, Place::Upf),
    ("trailing-bytes", HEADER, Tuned, Place::Upf),
    ("private-extension", HEADER, Scored, Place::Upf),
    ("oversized-echo", HEADER, Scored, Place::Upf),
    ("frequent-echo", HEADER, Tuned, Place::Upf),
}

/// Where it leads.
enum Place {
    /// A subscriber's packet to somebody outside.
    N3,
    /// To this address.
    To(&'static str),
    Outside,
    /// To the UPF, from where only ESP may come.
    Backhaul,
    Upf,
}

fn evasion(how: &str, place: Place, intensity: Intensity, draw: &mut Draw) -> Option<String> {
    // An Echo more than twice a minute is what fires; of everything else one packet does.
    let (packets, every) = match how {
        "frequent-echo" => intensity.of([
            Some((70, 2_000)),
            Some((28, 5_000)),
            Some((9, 18_000)),
            Some((5, 35_000)),
        ])?,
        "private-extension" | "oversized-echo" => {
            intensity.of([Some((4, 35_000)), Some((3, 40_000)), Some((1, 1_000)), None])?
        }
        "reserved-bit" => {
            intensity.of([Some((120, 250)), Some((40, 500)), Some((8, 1_000)), None])?
        }
        _ => intensity.of([Some((60, 250)), Some((12, 1_000)), Some((2, 2_000)), None])?,
    };
    let node = match place {
        Place::Backhaul => "gnb-3",
        _ => *draw.one(&["gnb-1", "gnb-2", "gnb-4", "gnb-5"]),
    };
    let peer = match place {
        Place::N3 | Place::Outside => draw.stranger(),
        Place::To(address) => address.into(),
        Place::Backhaul | Place::Upf => "10.0.1.1".into(),
    };
    let start = draw.between(20, 60);
    Some(format!(
        "\n[[theft.evasion]]\nid = \"{how}\"\nhow = \"{how}\"\nequipment = \"{node}\"\n\
         peer = \"{peer}\"\nstart_seconds = {start}\npackets = {packets}\n\
         every_milliseconds = {every}\n"
    ))
}
