//! Equipment sends, or answers, what nobody asked it to; boxes and peers that nobody installed.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::intensity::Intensity;
use crate::site::Site;

const EGRESS: &str = "EGR-NOTALLOWED";

pub(crate) const FAMILIES: &[Family] = &[
    family("call-home", EGRESS, Half::Tuned, call_home),
    family("reverse-shell", EGRESS, Half::Scored, reverse_shell),
    family("backdoor", EGRESS, Half::Scored, backdoor),
    family("rogue-gtp", "GTP-PEER", Half::Tuned, rogue_gtp),
    family("rogue-gtp-one-way", "GTP-PEER", Half::Scored, rogue_gtp_one_way),
    family("unknown-box", "INV-UNKNOWN", Half::Scored, unknown_box),
];

const fn family(
    name: &'static str,
    detection: &'static str,
    half: Half,
    attack: fn(Intensity, &mut Draw) -> Option<String>,
) -> Family {
    Family { name, detection, site: Site::Plain, half, attack }
}

const NODES: [&str; 2] = ["gnb-1", "gnb-2"];

fn call_home(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (reports, every) = intensity.of([(40, 3), (12, 8), (1, 10), (0, 10)]);
    let (node, peer, start) = (draw.one(&NODES), draw.stranger(), draw.between(70, 140));
    let bytes = draw.between(200, 1_200);
    Some(format!(
        "\n[[theft.call_home]]\nid = \"call-home\"\nequipment = \"{node}\"\n\
         server_name = \"cdn{}.cloud.example\"\npeer = \"{peer}\"\nstart_seconds = {start}\n\
         every_seconds = {every}\nreports = {reports}\nreport_bytes = {bytes}\n",
        draw.between(1, 99)
    ))
}

fn reverse_shell(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let commands = intensity.of([Some(25), Some(8), Some(1), None])?;
    let (node, peer, start) = (draw.one(&NODES), draw.stranger(), draw.between(70, 140));
    let port = draw.one(&[443_u16, 4_444, 5_555, 8_080]);
    Some(format!(
        "\n[[theft.reverse_shell]]\nid = \"reverse-shell\"\nequipment = \"{node}\"\n\
         peer = \"{peer}\"\nport = {port}\nstart_seconds = {start}\ncommands = {commands}\n"
    ))
}

fn backdoor(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let exchanges = intensity.of([Some(25), Some(6), Some(1), None])?;
    let (node, peer, start) = (draw.one(&NODES), draw.stranger(), draw.between(70, 140));
    let port = draw.one(&[22_u16, 2_222, 8_443, 50_001]);
    Some(format!(
        "\n[[theft.backdoor]]\nid = \"backdoor\"\nequipment = \"{node}\"\npeer = \"{peer}\"\n\
         port = {port}\nstart_seconds = {start}\nexchanges = {exchanges}\n"
    ))
}

fn gtp(intensity: Intensity, draw: &mut Draw, direction: &str) -> Option<String> {
    let (packets, every) =
        intensity.of([Some((400, 200)), Some((40, 1_000)), Some((2, 500)), None])?;
    let (peer, start) = (draw.stranger(), draw.between(70, 140));
    Some(format!(
        "\n[[theft.gtp_peer]]\nid = \"rogue-gtp\"\nequipment = \"upf-1\"\npeer = \"{peer}\"\n\
         start_seconds = {start}\npackets = {packets}\nevery_milliseconds = {every}\n\
         direction = \"{direction}\"\n"
    ))
}

fn rogue_gtp(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    gtp(intensity, draw, "both")
}

fn rogue_gtp_one_way(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let direction = *draw.one(&["out", "in"]);
    gtp(intensity, draw, direction)
}

/// Fires at three packets in a minute.
fn unknown_box(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (packets, every) = intensity.of([(60, 1_000), (12, 5_000), (4, 15_000), (4, 40_000)]);
    let (node, host, start) = (draw.one(&NODES), draw.between(60, 90), draw.between(70, 120));
    let port = draw.one(&[161_u16, 514, 5_060]);
    Some(format!(
        "\n[[theft.unknown_box]]\nid = \"unknown-box\"\naddress = \"10.0.10.{host}\"\n\
         mac = \"02:4f:00:66:66:66\"\nto = \"{node}\"\nport = {port}\nstart_seconds = {start}\n\
         packets = {packets}\nevery_milliseconds = {every}\n"
    ))
}
