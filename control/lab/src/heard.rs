//! What Weir said of a case: the alerts of its event file, each with its first word and its last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;

/// An alert from its first word to its last.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Which detection speaks.
    pub detection: String,
    /// How grave it was in the end.
    pub severity: String,
    /// The suspect's id; none if there is none.
    pub equipment: Option<String>,
    /// The far end.
    pub peer: Option<IpAddr>,
    /// Its id, if it is equipment.
    pub peer_equipment: Option<String>,
    /// Whether a more specific detection explains it.
    pub is_superseded: bool,
    /// Its first packet, in nanoseconds since 1970.
    pub first: u64,
    /// Its last packet.
    pub last: u64,
    /// The last packet before it was said.
    pub said: u64,
    /// What was seen, in words.
    pub observed: String,
}

/// The keys of an event that are read.
#[derive(Deserialize)]
struct Line {
    timestamp: jiff::Timestamp,
    weir: Body,
}

#[derive(Deserialize)]
struct Body {
    detection: String,
    severity: String,
    equipment: Option<Suspect>,
    peer: Option<Peer>,
    observed: String,
    first: jiff::Timestamp,
    last: jiff::Timestamp,
    superseded_by: Option<String>,
    dedup: String,
}

#[derive(Deserialize)]
struct Suspect {
    id: String,
}

#[derive(Deserialize)]
struct Peer {
    ip: IpAddr,
    equipment: Option<String>,
}

/// Nanoseconds since 1970; 0 before.
pub(crate) fn nanos(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

/// Reads the alerts of an event file, in the order in which they were first said, and gives every
/// other line to `other`.
///
/// # Errors
/// The file can't be read, or an event in it is none.
pub fn alerts(
    path: &Path,
    mut other: impl FnMut(&str) -> Result<(), serde_json::Error>,
) -> io::Result<Vec<Alert>> {
    let mut alerts: Vec<Alert> = Vec::new();
    let mut known = BTreeMap::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        if !line.contains(r#""event_type":"alert""#) {
            other(&line)?;
            continue;
        }
        let Line { timestamp, weir } = serde_json::from_str(&line)?;
        let (peer, peer_equipment) =
            weir.peer.map_or((None, None), |peer| (Some(peer.ip), peer.equipment));
        let alert = Alert {
            detection: weir.detection,
            severity: weir.severity,
            equipment: weir.equipment.map(|suspect| suspect.id),
            peer,
            peer_equipment,
            is_superseded: weir.superseded_by.is_some(),
            first: nanos(weir.first),
            last: nanos(weir.last),
            said: nanos(timestamp),
            observed: weir.observed,
        };
        match known.get(&weir.dedup) {
            Some(at) => {
                let earlier: &mut Alert = &mut alerts[*at];
                let (said, first) = (earlier.said, earlier.first.min(alert.first));
                *earlier = Alert { said, first, ..alert };
            }
            None => {
                known.insert(weir.dedup, alerts.len());
                alerts.push(alert);
            }
        }
    }
    Ok(alerts)
}
