//! Data in what every network has: questions for names, echoes, the time, logs, hellos.

use super::patient::patient;
use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::intensity::Intensity;
use crate::site::{SUSPECTS, Site, gnb};

const NAMES: &str = "COV-DNS";
const ECHOES: &str = "COV-ICMP";
const TIME: &str = "COV-TIME";
const CRYPTO: &str = "EGR-CRYPTO";

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Two weeks in which equipment becomes known, and the days after them.
const KNOWN: Site = Site::Weeks { days: 17, gnbs: SUSPECTS };

pub(crate) const FAMILIES: &[Family] = &[
    family("dns-tunnel", NAMES, Half::Tuned, Site::Plain, dns_tunnel),
    family("dns-heavy-names", NAMES, Half::Scored, Site::Plain, dns_heavy_names),
    family("dns-long-label", NAMES, Half::Scored, Site::Plain, dns_long_label),
    family("icmp-tunnel", ECHOES, Half::Tuned, Site::Plain, icmp_tunnel),
    family("icmp-replies", ECHOES, Half::Scored, Site::Plain, icmp_replies),
    family("icmp-lengths", ECHOES, Half::Scored, Site::Plain, icmp_lengths),
    family("ntp-stranger", TIME, Half::Scored, Site::Plain, ntp_stranger),
    family("ntp-control", TIME, Half::Tuned, Site::Plain, ntp_control),
    family("ntp-behind", TIME, Half::Scored, Site::Plain, ntp_behind),
    family("ntp-often", TIME, Half::Tuned, Site::Plain, ntp_often),
    family("ptp-element", TIME, Half::Scored, Site::Plain, ptp_element),
    family("ciphered-log", CRYPTO, Half::Tuned, Site::Plain, ciphered_log),
    family("doh", CRYPTO, Half::Scored, Site::Plain, doh),
    family("new-library", CRYPTO, Half::Tuned, KNOWN, new_library),
    family("new-name", CRYPTO, Half::Scored, KNOWN, new_name),
];

const fn family(
    name: &'static str,
    detection: &'static str,
    half: Half,
    site: Site,
    attack: fn(Intensity, &mut Draw) -> Option<String>,
) -> Family {
    Family { name, detection, site, half, attack }
}

const NODES: [&str; 4] = ["gnb-1", "gnb-2", "gnb-3", "gnb-4"];

/// Packets, milliseconds from one to the next, and octets in each.
type Pace = (u64, u64, u64);

/// A covert channel from its parts; it has time until the site's end.
fn covert(how: &str, peer: Option<&str>, (packets, every, bytes): Pace, draw: &mut Draw) -> String {
    let (node, start) = (draw.one(&NODES), draw.between(70, 120));
    let peer = peer.map(|peer| format!("peer = \"{peer}\"\n")).unwrap_or_default();
    format!(
        "\n[[theft.covert]]\nid = \"{how}\"\nhow = \"{how}\"\nequipment = \"{node}\"\n{peer}\
         domain = \"sync{}.cloud.example\"\nstart_seconds = {start}\npackets = {packets}\n\
         every_milliseconds = {every}\nbytes = {bytes}\n",
        draw.between(1, 99)
    )
}

/// A hundred different names beneath a domain. Beneath many domains there may be more.
fn dns_tunnel(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    if intensity == Intensity::Evasive && draw.between(0, 1) == 1 {
        return Some(covert("dns-spread", None, (300, 400, draw.between(20, 40)), draw));
    }
    let (packets, every) = intensity.of([(400, 300), (200, 600), (105, 1_000), (90, 1_000)]);
    // So few octets that the names are told by their number.
    let bytes = draw.between(12, 30);
    Some(covert("dns-tunnel", None, (packets, every, bytes), draw))
}

/// Four kibibytes of information a day, in fewer names than a hundred: such a name carries 700 to 800
/// bits, however its letters fall.
fn dns_heavy_names(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let pace = intensity.of([(95, 600, 180), (75, 1_500, 160), (50, 2_500, 155), (38, 3_000, 155)]);
    Some(covert("dns-tunnel", None, pace, draw))
}

/// A first label longer than 48 octets.
fn dns_long_label(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let pace = intensity.of([(60, 1_000, 63), (12, 5_000, 60), (1, 1_000, 49), (20, 4_000, 48)]);
    Some(covert("dns-long-label", None, pace, draw))
}

/// Eight echoes of different contents, to a stranger or to the management station.
fn icmp_tunnel(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let stranger = draw.stranger();
    let peer = draw.one(&[stranger.as_str(), "10.0.10.204"]).to_owned();
    let (packets, every) = intensity.of([(200, 500), (40, 2_500), (9, 10_000), (7, 10_000)]);
    let bytes = intensity.of([draw.between(200, 1_200), draw.between(40, 200), 24, 24]);
    Some(covert("icmp-tunnel", Some(peer), (packets, every, bytes), draw))
}

/// Two replies that do not hold what was asked.
fn icmp_replies(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let stranger = draw.stranger();
    let peer = draw.one(&[stranger.as_str(), "10.0.10.204"]).to_owned();
    let (packets, every) = intensity.of([(100, 1_000), (12, 8_000), (2, 15_000), (1, 15_000)]);
    let bytes = draw.between(24, 400);
    Some(covert("icmp-unlike", Some(peer), (packets, every, bytes), draw))
}

/// 256 octets to who is declared nowhere. A shorter ping is EGR-NOTALLOWED's.
fn icmp_lengths(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let pace =
        intensity.of([(60, 2_000, 1_200), (8, 9_000, 600), (1, 1_000, 256), (9, 9_000, 255)]);
    let peer = draw.stranger();
    Some(covert("icmp-large", Some(&peer), pace, draw))
}

/// One question does. The low bits of honest questions to the own server are what remains.
fn time(how: &str, peer: Option<&str>, intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let bytes = 4 * draw.between(4, 60);
    let (how, peer, packets, every) = match intensity {
        Intensity::Loud => (how, peer, 60, 2_000),
        Intensity::Moderate => (how, peer, 8, 16_000),
        Intensity::Threshold => (how, peer, 1, 1_000),
        Intensity::Evasive => ("ntp-low-bits", None, 8, 17_000),
    };
    Some(covert(how, peer, (packets, every, bytes), draw))
}

fn ntp_stranger(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let peer = draw.stranger();
    time("ntp-server", Some(&peer), intensity, draw)
}

fn ntp_control(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    time("ntp-mode", None, intensity, draw)
}

fn ntp_behind(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    time("ntp-length", None, intensity, draw)
}

/// One question in 16 s, and 32 beyond.
fn ntp_often(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (packets, every) = intensity.of([(180, 800), (100, 1_500), (46, 3_000), (24, 6_000)]);
    Some(covert("ntp-often", None, (packets, every, 1), draw))
}

/// One element does, to a stranger or a box of the network. Among the clocks of a path there is room.
fn ptp_element(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let stranger = draw.stranger();
    let peer = draw.one(&[stranger.as_str(), "10.0.10.254"]).to_owned();
    let (how, packets, every) = intensity.of([
        ("ptp-tlv", 100, 1_000),
        ("ptp-tlv", 12, 8_000),
        ("ptp-tlv", 1, 1_000),
        ("ptp-path-trace", 20, 4_000),
    ]);
    Some(covert(how, Some(peer), (packets, every, 2 * draw.between(4, 40)), draw))
}

/// 512 octets of a flow that nobody can read. Fewer a flow, or letters, are what remains.
fn ciphered_log(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let other = *draw.one(&["entropy-scattered", "entropy-text"]);
    let (how, pace) = intensity.of([
        ("entropy", (60, 1_000, 900)),
        ("entropy", (12, 8_000, 200)),
        ("entropy", (3, 15_000, 180)),
        (other, (30, 3_000, 300)),
    ]);
    Some(covert(how, None, pace, draw))
}

/// A resolver that is known, or called like one. One that is neither remains.
fn doh(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (vec![draw.one(&NODES).to_string()], draw.stranger());
    let known = *draw.one(&["dns.google", "dns.quad9.net", "doh.cloud.example", "dns-3.example"]);
    let (name, visits, every) = intensity.of([
        (known, 30, 5),
        (known, 8, 15),
        (known, 1, 5),
        ("sync.cloud.example", 8, 15),
    ]);
    let (start, bytes) = (draw.between(70, 120), draw.between(100, 600));
    let rest = format!(
        "server_name = \"{name}\"\nstart_seconds = {start}\nevery_seconds = {every}\n\
         visits = {visits}\njitter = 0.5\nspread = 0.5\nsent_bytes = {bytes}\nreceived_bytes = 900"
    );
    Some(patient("doh", false, &node, &[peer], &rest))
}

/// A gNB that says hello to a server of its maker's many times a day, and that server: the policy
/// allows the flow.
fn acquainted(draw: &mut Draw) -> (Vec<String>, &'static str, &'static str) {
    let number =
        3 * draw.between(1, u64::from(SUSPECTS) / 3 - 1) as u32 + draw.between(1, 2) as u32;
    let (peer, name) = match number % 3 {
        1 => ("192.0.2.20", "licence.vendor-b.example"),
        _ => ("192.0.2.40", "telemetry.vendor-c.example"),
    };
    (vec![gnb(number)], peer, name)
}

fn hello(
    (node, peer, name): (&[String], &str, &str),
    library: &str,
    start: u64,
    intensity: Intensity,
    draw: &mut Draw,
) -> String {
    let (visits, every) = intensity.of([(40, HOUR / 2), (6, 3 * HOUR), (1, HOUR), (6, 3 * HOUR)]);
    let bytes = draw.between(500, 4_000);
    let rest = format!(
        "server_name = \"{name}\"\nlibrary = \"{library}\"\nstart_seconds = {start}\n\
         every_seconds = {every}\nvisits = {visits}\njitter = 0.5\nspread = 0.5\n\
         sent_bytes = {bytes}\nreceived_bytes = 900"
    );
    patient("new-hello", false, node, &[peer.to_owned()], &rest)
}

/// To the server and by the name that it always turns to; who does so in its first days is not new.
fn new_library(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer, name) = acquainted(draw);
    let day = if intensity == Intensity::Evasive { 5 } else { 15 };
    let start = day * DAY + draw.between(HOUR, DAY - HOUR);
    Some(hello((&node, peer, name), "other", start, intensity, draw))
}

/// By its own library, at the address that it always turns to. By the usual name nobody is new.
fn new_name(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer, usual) = acquainted(draw);
    let other = format!("files{}.cloud.example", draw.between(1, 99));
    let name = if intensity == Intensity::Evasive { usual } else { &other };
    let start = 15 * DAY + draw.between(HOUR, DAY - HOUR);
    Some(hello((&node, peer, name), "own", start, intensity, draw))
}
