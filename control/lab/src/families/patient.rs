//! What shows only over hours and weeks.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::intensity::Intensity;
use crate::site::{SUSPECTS, Site, gnb, of_build_with};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const MEBIBYTE: u64 = 1 << 20;

pub(crate) const FAMILIES: &[Family] = &[
    family("beacon", "BCN-PERIODIC", Half::Tuned, 9, beacon),
    family("beacon-in-turn", "BCN-PERIODIC", Half::Scored, 9, beacon_in_turn),
    family("beacon-to-friend", "BCN-PERIODIC", Half::Scored, 9, beacon_to_friend),
    family("cohort", "EGR-COHORT", Half::Scored, 4, cohort),
    family("burst-upload", "EGR-VOLUME", Half::Tuned, 10, burst_upload),
    family("nightly-upload", "EGR-VOLUME", Half::Scored, 8, nightly_upload),
    family("long-connection", "EGR-LONGCONN", Half::Scored, 2, long_connection),
    family("remote-session", "OAM-WINDOW", Half::Scored, 2, remote_session),
];

const fn family(
    name: &'static str,
    detection: &'static str,
    half: Half,
    days: u64,
    attack: fn(Intensity, &mut Draw) -> Option<String>,
) -> Family {
    Family { name, detection, site: Site::Weeks { days, gnbs: SUSPECTS }, half, attack }
}

/// A patient theft from its parts.
pub(crate) fn patient(
    how: &str,
    is_allowed: bool,
    nodes: &[String],
    peers: &[String],
    rest: &str,
) -> String {
    let list =
        |of: &[String]| of.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
    format!(
        "\n[[theft.patient]]\nid = \"{how}\"\nhow = \"{how}\"\nallowed = {is_allowed}\n\
         [theft.patient.visits]\nequipment = [{}]\npeers = [{}]\n{rest}\n",
        list(nodes),
        list(peers)
    )
}

fn suspect(draw: &mut Draw) -> Vec<String> {
    vec![gnb(draw.between(3, u64::from(SUSPECTS) - 1) as u32)]
}

/// A rhythm: 24 beats and six hours are what is needed, and a jitter of 30 % with missing beats and
/// nights is what must still be found.
fn rhythm(intensity: Intensity, draw: &mut Draw) -> String {
    let start = draw.between(HOUR, 4 * HOUR);
    let bytes = draw.between(300, 3_000);
    let (every, jitter, missed, spread, quiet) = match intensity {
        Intensity::Loud => (draw.between(300, 900), 0.03, 0.0, 0.0, false),
        Intensity::Moderate => (draw.between(1_200, 3_600), 0.15, 0.05, 0.1, false),
        Intensity::Threshold => {
            (draw.between(2_400, 7 * HOUR), 0.30, 0.15, 0.2, draw.between(0, 1) == 1)
        }
        Intensity::Evasive => (draw.between(2_400, 7_200), 2.0, 0.0, 0.5, false),
    };
    // A night gap would leave too few beats of a slow rhythm within the days that are played.
    let quiet = if quiet && every < 2 * HOUR { "quiet_hours = [22, 5]\n" } else { "" };
    let visits = (8 * DAY / every).min(if intensity == Intensity::Loud { 200 } else { 400 });
    format!(
        "{quiet}start_seconds = {start}\nevery_seconds = {every}\nvisits = {visits}\n\
         jitter = {jitter}\nmissed = {missed}\nspread = {spread}\nsent_bytes = {bytes}\n\
         received_bytes = 300"
    )
}

fn beacon(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (suspect(draw), draw.stranger());
    let rest = format!("server_name = \"status.cloud.example\"\n{}", rhythm(intensity, draw));
    Some(patient("beacon", false, &node, &[peer], &rest))
}

/// One implant that turns to another peer each time.
fn beacon_in_turn(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let node = suspect(draw);
    let count = draw.between(3, 8);
    let peers: Vec<String> = (0..count).map(|n| format!("198.51.100.{}", 20 + 11 * n)).collect();
    Some(patient("beacon", false, &node, &peers, &rhythm(intensity, draw)))
}

/// To a peer that the policy allows.
fn beacon_to_friend(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (suspect(draw), draw.stranger());
    let rest = format!("server_name = \"portal.vendor.example\"\n{}", rhythm(intensity, draw));
    Some(patient("beacon", true, &node, &[peer], &rest))
}

/// At least three and 30 % of a build.
fn cohort(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let build = of_build_with(draw.between(0, 5) as u32, SUSPECTS);
    let count = intensity.of([build.len(), build.len(), 3, 2]);
    let nodes = draw.some(&build, count);
    let peer = draw.stranger();
    let start = draw.between(HOUR, 20 * HOUR);
    let (every, visits) = intensity.of([(4 * HOUR, 18), (12 * HOUR, 6), (DAY, 3), (DAY, 3)]);
    let rest = format!(
        "server_name = \"sync.cloud.example\"\nstart_seconds = {start}\nevery_seconds = {every}\n\
         visits = {visits}\njitter = 0.5\nspread = 0.5\nsent_bytes = 4000\nreceived_bytes = 900"
    );
    Some(patient("cohort", false, &nodes, &[peer], &rest))
}

/// Three hours of a week far above what is usual, by 50 MiB at least.
fn burst_upload(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (suspect(draw), draw.stranger());
    let (mebibytes, visits) = intensity.of([(400, 6), (160, 5), (75, 4), (35, 6)]);
    let (bytes, start) = (mebibytes * MEBIBYTE, 4 * DAY + draw.between(0, DAY));
    let every = draw.between(5 * HOUR, 16 * HOUR);
    let rest = format!(
        "start_seconds = {start}\nevery_seconds = {every}\nvisits = {visits}\njitter = 0.4\n\
         spread = 0.1\nsent_bytes = {bytes}\nreceived_bytes = 2000"
    );
    Some(patient("upload", true, &node, &[peer], &rest))
}

/// The same hour on three of five days, since before anybody looked.
fn nightly_upload(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (suspect(draw), draw.stranger());
    let (mebibytes, missed) = intensity.of([(300, 0.0), (120, 0.1), (70, 0.2), (30, 0.0)]);
    let (bytes, hour) = (mebibytes * MEBIBYTE, draw.between(0, 5));
    let start = hour * HOUR + draw.between(600, 1_800);
    let rest = format!(
        "start_seconds = {start}\nevery_seconds = {DAY}\nvisits = 8\njitter = 0.004\n\
         missed = {missed}\nspread = 0.1\nsent_bytes = {bytes}\nreceived_bytes = 2000"
    );
    Some(patient("upload", true, &node, &[peer], &rest))
}

/// Longer than four hours.
fn long_connection(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (suspect(draw), draw.stranger());
    let minutes = intensity.of([36 * 60, 10 * 60, 4 * 60 + 25, 3 * 60 + 30]);
    let (every, start) = (draw.between(200, 500), draw.between(HOUR, 8 * HOUR));
    let visits = minutes * 60 / every + 1;
    let port = draw.one(&[443_u16, 1_194, 8_443]);
    let rest = format!(
        "port = {port}\nkeeps_connection = true\nstart_seconds = {start}\nevery_seconds = {every}\n\
         visits = {visits}\njitter = 0.3\nspread = 0.5\nsent_bytes = 300\nreceived_bytes = 200"
    );
    Some(patient("long-connection", false, &node, &[peer], &rest))
}

/// A thousand bytes each way within a session of management that nobody announced.
fn remote_session(intensity: Intensity, draw: &mut Draw) -> Option<String> {
    let (node, peer) = (suspect(draw), draw.stranger());
    let (bytes, visits) = intensity.of([(3_000_000, 6), (200_000, 2), (3_000, 1), (600, 1)]);
    let (start, port) = (draw.between(HOUR, DAY), *draw.one(&[22_u16, 830]));
    let rest = format!(
        "port = {port}\nincoming = true\nstart_seconds = {start}\nevery_seconds = {}\n\
         visits = {visits}\njitter = 0.5\nspread = 0.2\nsent_bytes = {bytes}\nreceived_bytes = {bytes}",
        3 * HOUR
    );
    Some(patient("remote-session", draw.between(0, 1) == 1, &node, &[peer], &rest))
}
