//! What only the state of sessions tells: on N4, and on N3 against what N4 says.

use crate::draw::Draw;
use crate::family::{Family, Half};
use crate::site::{SUSPECTS, Site};

/// Packets and milliseconds between them, from loud to evasive.
type Pace = [Option<(u64, u64)>; 4];

macro_rules! families {
    ($(($name:literal, $detection:literal, $half:ident, $who:expr, $pace:expr),)*) => {
        pub(crate) const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            detection: $detection,
            site: $who.site(),
            half: Half::$half,
            attack: |intensity, draw| attack($name, $who, intensity.of($pace)?, draw),
        },)*];
    };
}

/// Few requests: the first that is forged already contradicts what the owner does.
const REQUESTS: Pace = [Some((10, 2_500)), Some((5, 4_000)), Some((2, 6_000)), None];
/// Traffic follows the change.
const CHANGES: Pace = [Some((30, 500)), Some((12, 1_000)), Some((3, 2_000)), None];
const GHOSTS: Pace = [Some((10, 1_500)), Some((3, 2_000)), Some((1, 2_000)), None];

families! {
    ("forged-deletion", "PFCP-PEER", Tuned, Who::Smf, REQUESTS),
    ("sequence-theft", "PFCP-PEER", Scored, Who::Smf, REQUESTS),
    ("forged-removal", "PFCP-PEER", Scored, Who::Smf, REQUESTS),
    ("seid-theft", "PFCP-PEER", Tuned, Who::OtherSmf, REQUESTS),
    ("rogue-peer", "PFCP-PEER", Scored, Who::UpfWithStranger, [Some((20, 1_000)), Some((9, 1_500)), Some((2, 1_500)), None]),
    ("node-id-theft", "PFCP-PEER", Scored, Who::UpfWithStranger, [Some((14, 1_000)), Some((7, 1_500)), Some((2, 1_500)), None]),
    ("forged-redirection", "PFCP-REDIR", Scored, Who::SmfToStranger, CHANGES),
    ("address-takeover", "PFCP-REDIR", Tuned, Who::Smf, CHANGES),
    ("tunnel-takeover", "PFCP-REDIR", Scored, Who::Smf, CHANGES),
    ("duplication", "PFCP-DUPL", Scored, Who::SmfToStranger, CHANGES),
    // 64 unknown TEIDs in 10 s.
    ("teid-scan", "GTP-TEIDSCAN", Scored, Who::Gnb, [Some((400, 25)), Some((150, 50)), Some((75, 120)), Some((60, 1_000))]),
    ("cloned-tunnel", "GTP-TEIDCLONE", Scored, Who::Gnb, [Some((80, 250)), Some((24, 500)), Some((3, 1_000)), None]),
    // Ten G-PDUs a direction.
    ("orphan-tunnel", "GTP-ORPHAN", Scored, Who::Gnb, [Some((160, 100)), Some((40, 250)), Some((11, 500)), Some((8, 500))]),
    // Five packets.
    ("spoofed-subscriber", "GTP-UESPOOF", Scored, Who::Gnb, [Some((40, 250)), Some((20, 500)), Some((6, 1_000)), Some((4, 1_000))]),
    ("ghost-address", "PFCP-GHOST", Tuned, Who::Smf, GHOSTS),
    ("ghost-dnn", "PFCP-GHOST", Scored, Who::Smf, GHOSTS),
    ("ghost-nameless", "PFCP-GHOST", Scored, Who::Smf, GHOSTS),
    // A packet a second for ten minutes.
    ("ghost-one-way", "PFCP-GHOST", Tuned, Who::OneOfWeeks, [Some((6_000, 200)), Some((2_400, 400)), Some((1_000, 800)), Some((500, 3_000))]),
    // Ten heartbeats a second for three seconds.
    ("heartbeat-flood", "PFCP-FLOOD", Scored, Who::OtherSmf, [Some((600, 20)), Some((160, 50)), Some((55, 80)), Some((40, 150))]),
    // A hundred establishments of which a third is not answered.
    ("establishment-flood", "PFCP-FLOOD", Tuned, Who::SmfToReserved, [Some((400, 25)), Some((180, 40)), Some((120, 60)), Some((60, 100))]),
}

/// In whose name, and where.
enum Who {
    Smf,
    OtherSmf,
    SmfToStranger,
    SmfToReserved,
    UpfWithStranger,
    Gnb,
    /// The SMF of a site where days pass.
    OneOfWeeks,
}

impl Who {
    const fn site(&self) -> Site {
        match self {
            Self::OneOfWeeks => Site::Weeks { days: 1, gnbs: SUSPECTS },
            _ => Site::Sessions,
        }
    }
}

fn attack(how: &str, who: Who, (packets, every): (u64, u64), draw: &mut Draw) -> Option<String> {
    let upf = *draw.one(&["upf-1", "upf-3"]);
    let (node, upf) = match who {
        Who::Smf | Who::SmfToStranger => (*draw.one(&["smf-1", "smf-2"]), upf),
        Who::OtherSmf => ("smf-3", "upf-1"),
        Who::SmfToReserved => ("smf-3", "upf-4"),
        Who::UpfWithStranger => (upf, upf),
        Who::OneOfWeeks => ("smf-1", *draw.one(&["upf-1", "upf-2"])),
        Who::Gnb => (*draw.one(&["gnb-2", "gnb-3", "gnb-4", "gnb-5"]), "upf-1"),
    };
    let peer = match who {
        Who::SmfToStranger => draw.stranger(),
        Who::UpfWithStranger => format!("10.0.3.{}", draw.between(60, 99)),
        _ => String::new(),
    };
    let peer = if peer.is_empty() { peer } else { format!("peer = \"{peer}\"\n") };
    let start = draw.between(270, 400);
    Some(format!(
        "\n[[theft.session]]\nid = \"{how}\"\nhow = \"{how}\"\nequipment = \"{node}\"\n\
         upf = \"{upf}\"\n{peer}start_seconds = {start}\npackets = {packets}\n\
         every_milliseconds = {every}\n"
    ))
}
