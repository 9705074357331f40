//! A case's labels held against what Weir said. The labels are read here, after the replay, and
//! nowhere before.

use std::net::IpAddr;

use weir_pcaps::{Labels, Theft};

use crate::heard::{Alert, nanos};
use crate::intensity::Intensity;

/// What an alert may count after the last packet of its cause, in nanoseconds: a rate falls seconds
/// after it rose, and what is done in consequence goes on for a while.
pub(crate) const AFTERWARDS: u64 = 20_000_000_000;

/// The detection about the sensor itself: it accuses nobody.
const NOTED: &str = "OPS-BLIND";

/// How a theft was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// From its first packet to the last one before the alert, in seconds of packet time.
    pub latency_seconds: f64,
    /// Bytes of it until then.
    pub bytes_before: u64,
    /// Whether the alert names its equipment.
    pub names_equipment: bool,
    /// Alerts about it, of its own detection and of others.
    pub alerts: u64,
}

/// One theft, and what became of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id in the scenario.
    pub id: String,
    /// The detection that should name it.
    pub detection: String,
    /// Bytes that it sent in all.
    pub bytes: u64,
    /// How it was found; none if it was missed.
    pub hit: Option<Hit>,
}

/// A case, judged.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The family; none on a good day.
    pub family: Option<&'static str>,
    /// The detection of the family.
    pub detection: Option<&'static str>,
    /// How boldly it was made.
    pub intensity: Option<Intensity>,
    /// Its seed.
    pub seed: u64,
    /// Share of frames that the tap lost.
    pub loss: f64,
    /// Every theft in it.
    pub thefts: Vec<Found>,
    /// Alerts that nothing explains.
    pub false_alarms: Vec<Alert>,
    /// Alerts that accuse nobody: superseded ones, and the sensor about itself.
    pub informative: u64,
    /// Equipment × days that were watched.
    pub equipment_days: f64,
}

/// The network that one alert is about: the peer's /24 or /48.
pub(crate) fn neighbourhood(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            [a, b, c, 0].into()
        }
        IpAddr::V6(six) => {
            let [a, b, c, ..] = six.segments();
            [a, b, c, 0, 0, 0, 0, 0].into()
        }
    }
}

/// A theft's first and last packet; none if the scenario ended before.
pub(crate) fn span(theft: &Theft) -> Option<(u64, u64)> {
    let time = |text: &Option<String>| text.as_ref()?.parse().ok().map(nanos);
    Some((time(&theft.first)?, time(&theft.last)?))
}

fn is_about(theft: &Theft, alert: &Alert) -> bool {
    let Some((first, last)) = span(theft) else { return false };
    let expected = &theft.expectation;
    let is_at_equipment = match &expected.equipment {
        None => alert.equipment.is_none(),
        own => alert.equipment == *own || alert.peer_equipment == *own,
    };
    let is_at_peer = match (alert.peer, expected.peer) {
        (Some(other), Some(peer)) => neighbourhood(other) == neighbourhood(peer),
        _ => false,
    };
    let is_then = alert.first <= last + AFTERWARDS && first <= alert.last;
    (is_at_equipment || is_at_peer) && is_then
}

/// Holds what was said against the labels.
pub fn judge(labels: &Labels, said: &[Alert]) -> (Vec<Found>, Vec<Alert>, u64) {
    let sent: Vec<&Theft> = labels.thefts.iter().filter(|theft| theft.packets > 0).collect();
    let is_informative = |alert: &Alert| alert.severity == "info" || alert.is_superseded;
    // Nobody is woken by what is only noted, but for what is never more than noted.
    let is_told = |alert: &Alert| !is_informative(alert) || alert.detection == NOTED;
    let is_named = |theft: &Theft, alert: &Alert| {
        alert.detection == theft.expectation.detection && is_told(alert) && is_about(theft, alert)
    };
    let is_beside = |theft: &Theft, alert: &Alert| {
        theft.expectation.also.contains(&alert.detection.as_str()) && is_about(theft, alert)
    };
    let found = sent.iter().map(|theft| {
        let mut hits = said.iter().filter(|alert| is_named(theft, alert)).peekable();
        let own = &theft.expectation.equipment;
        let is_own = |alert: &&Alert| {
            (own.is_none() || alert.equipment == *own)
                && (is_named(theft, alert) || is_beside(theft, alert))
        };
        let alerts = said.iter().filter(is_own).count();
        let first = hits.peek().copied();
        let names_equipment = hits.any(|alert| alert.equipment == theft.expectation.equipment);
        Found {
            id: theft.expectation.id.clone(),
            detection: theft.expectation.detection.into(),
            bytes: theft.bytes,
            hit: first.map(|alert| Hit {
                latency_seconds: span(theft)
                    .map_or(0.0, |(first, _)| alert.said.saturating_sub(first) as f64 / 1e9),
                bytes_before: theft.course.before(alert.said),
                names_equipment,
                alerts: alerts as u64,
            }),
        }
    });
    let found = found.collect();
    let informative = said.iter().filter(|it| is_informative(it)).count() as u64;
    let is_explained =
        |alert: &&Alert| sent.iter().any(|it| is_named(it, alert) || is_beside(it, alert));
    let false_alarms =
        said.iter().filter(|it| !is_informative(it) && !is_explained(it)).cloned().collect();
    (found, false_alarms, informative)
}

#[cfg(test)]
mod tests {
    use weir_pcaps::Scenario;

    use super::*;
    use crate::draw::Draw;
    use crate::family::Family;

    /// A case's labels, all of it played.
    fn labels(family: &str) -> Labels {
        let [family] = Family::chosen(&[family.into()]).unwrap()[..] else { panic!() };
        let attack = (family.attack)(Intensity::Moderate, &mut Draw::new("test", 1)).unwrap();
        let text = family.site.text("test", 1) + &attack;
        let scenario: Scenario = text.parse().unwrap();
        let mut generation = scenario.generate();
        while generation.next().is_some() {}
        generation.labels().clone()
    }

    fn alert(theft: &Theft, detection: &str) -> Alert {
        let (first, last) = span(theft).unwrap();
        Alert {
            detection: detection.into(),
            severity: "high".into(),
            equipment: theft.expectation.equipment.clone(),
            peer: theft.expectation.peer,
            peer_equipment: None,
            is_superseded: false,
            first,
            last,
            said: first + 2_000_000_000,
            observed: String::new(),
        }
    }

    #[test]
    fn an_alert_is_a_hit_a_companion_or_false() {
        let labels = labels("orphan-tunnel");
        let theft = &labels.thefts[0];
        let hit = alert(theft, "GTP-ORPHAN");
        let elsewhere = Alert {
            equipment: Some("gnb-9".into()),
            peer: Some([192, 0, 2, 1].into()),
            ..hit.clone()
        };
        let later = Alert { first: hit.last + 60_000_000_000, ..hit.clone() };
        let of_another = alert(theft, "PFCP-FLOOD");
        let info = Alert { severity: "info".into(), ..of_another.clone() };
        let (found, wrong, informative) =
            judge(&labels, &[hit, elsewhere.clone(), later.clone(), of_another.clone(), info]);
        assert_eq!(wrong, [elsewhere, later, of_another]);
        assert_eq!(informative, 1);
        let hit = found[0].hit.as_ref().unwrap();
        assert_eq!((hit.latency_seconds, hit.alerts, hit.names_equipment), (2.0, 1, true));
        // Two of the ten seconds that it takes.
        let share = hit.bytes_before as f64 / found[0].bytes as f64;
        assert!((0.1..0.35).contains(&share), "{hit:?}");
    }

    #[test]
    fn what_the_precedence_allows_is_neither() {
        let labels = labels("teid-scan");
        let beside = alert(&labels.thefts[0], "GTP-ORPHAN");
        let (found, wrong, _) = judge(&labels, &[beside]);
        assert!(found[0].hit.is_none() && wrong.is_empty());
    }

    #[test]
    fn what_is_only_noted_finds_nothing() {
        let labels = labels("orphan-tunnel");
        let noted = Alert { severity: "info".into(), ..alert(&labels.thefts[0], "GTP-ORPHAN") };
        let (found, wrong, informative) = judge(&labels, &[noted]);
        assert!(found[0].hit.is_none() && wrong.is_empty());
        assert_eq!(informative, 1);
    }

    #[test]
    fn whoever_is_named_instead_is_told_of() {
        let labels = labels("orphan-tunnel");
        let theft = &labels.thefts[0];
        let wrong = Alert { equipment: Some("upf-1".into()), ..alert(theft, "GTP-ORPHAN") };
        let (found, ..) = judge(&labels, &[wrong]);
        assert!(!found[0].hit.as_ref().unwrap().names_equipment);
    }
}
