//! What the demonstration proves: which injected theft was caught by which alert.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use weir_pcaps::Theft;

use crate::failure::Failure;

/// An event, of which only alerts are read.
#[derive(Deserialize)]
#[serde(tag = "event_type", rename_all = "lowercase")]
enum Event {
    Alert {
        weir: Alert,
    },
    #[serde(other)]
    Other,
}

/// An alert.
#[derive(Clone, Debug, Deserialize)]
struct Alert {
    detection: String,
    severity: String,
    equipment: Option<Equipment>,
    peer: Option<Peer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Equipment {
    id: String,
    vendor: String,
    build: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Peer {
    ip: IpAddr,
}

/// The thefts, each with its alert, and the grave alerts that no theft explains.
pub(crate) struct Verdict<'t> {
    thefts: Vec<(&'t Theft, Option<Alert>)>,
    others: Vec<Alert>,
}

impl<'t> Verdict<'t> {
    /// Compares the thefts with the events of a replay.
    pub(crate) fn reach(thefts: &'t [Theft], events: &Path) -> Result<Self, Failure> {
        let failed = |why: &dyn fmt::Display| {
            Failure::work(format!(
                "can't read the events: {why}; {}; see the messages above",
                events.display()
            ))
        };
        let file = File::open(events).map_err(|why| failed(&why))?;
        let mut alerts = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(|why| failed(&why))?;
            if let Event::Alert { weir } =
                serde_json::from_str(&line).map_err(|why| failed(&why))?
            {
                alerts.push(weir);
            }
        }
        Ok(Self::compare(thefts, alerts))
    }

    fn compare(thefts: &'t [Theft], alerts: Vec<Alert>) -> Self {
        let caught = |theft: &Theft| alerts.iter().find(|alert| alert.tells(theft)).cloned();
        let unexplained = |alert: &Alert| {
            matches!(alert.severity.as_str(), "high" | "critical")
                && !thefts.iter().any(|theft| alert.tells(theft))
        };
        let mut seen = HashSet::new();
        // Updates repeat their alert.
        let others = alerts.iter().filter(|alert| unexplained(alert) && seen.insert(alert.key()));
        Self {
            others: others.cloned().collect(),
            thefts: thefts.iter().map(|theft| (theft, caught(theft))).collect(),
        }
    }

    /// Whether every theft was caught and nothing else was called grave.
    pub(crate) fn is_clean(&self) -> bool {
        self.others.is_empty() && self.thefts.iter().all(|(_, alert)| alert.is_some())
    }
}

impl Alert {
    /// Whether this alert is the one that the theft should raise.
    fn tells(&self, theft: &Theft) -> bool {
        let expected = &theft.expectation;
        let suspect = self.equipment.as_ref().map(|suspect| &suspect.id);
        self.detection == expected.detection
            && self.peer.as_ref().map(|peer| peer.ip) == expected.peer
            && (suspect.is_none()
                || expected.equipment.is_none()
                || suspect == expected.equipment.as_ref())
    }

    fn key(&self) -> (String, String, Option<IpAddr>) {
        let suspect = self.equipment.as_ref().map(|suspect| suspect.id.clone());
        (
            self.detection.clone(),
            suspect.unwrap_or_default(),
            self.peer.as_ref().map(|peer| peer.ip),
        )
    }

    fn columns(&self) -> [String; 5] {
        let suspect = self.equipment.clone().unwrap_or_default();
        let peer = self.peer.as_ref().map(|peer| peer.ip.to_string());
        [
            self.detection.clone(),
            self.severity.clone(),
            suspect.id,
            format!("{} {}", suspect.vendor, suspect.build).trim().into(),
            peer.unwrap_or_default(),
        ]
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, columns: &[String; 5]| {
            let [detection, severity, id, build, peer] = columns;
            let line =
                format!("{name:<15}  {detection:<14}  {severity:<8}  {id:<8}  {build:<20}  {peer}");
            writeln!(f, "{}", line.trim_end())
        };
        let title = ["alert", "severity", "from", "vendor, build", "peer"].map(String::from);
        row("injected theft", &title)?;
        for (theft, alert) in &self.thefts {
            let expected = &theft.expectation;
            let columns = alert.as_ref().map(Alert::columns).unwrap_or_else(|| {
                let equipment = expected.equipment.clone().unwrap_or_default();
                let detection = expected.detection.to_owned();
                let peer = expected.peer.map(|peer| peer.to_string()).unwrap_or_default();
                [detection, "MISSED".into(), equipment, String::new(), peer]
            });
            row(&expected.id, &columns)?;
        }
        for alert in &self.others {
            row("(none of them)", &alert.columns())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_pcaps::Expectation;

    fn theft() -> Theft {
        let expectation = Expectation {
            id: "call-home".into(),
            kind: "call_home",
            detection: "EGR-NOTALLOWED",
            severity: None,
            also: &[],
            equipment: Some("gnb-1".into()),
            peer: Some("198.51.100.7".parse().unwrap()),
            note: String::new(),
        };
        Theft { packets: 9, ..Theft::unsent(expectation) }
    }

    fn alert(detection: &str, severity: &str, equipment: &str, peer: &str) -> Alert {
        let json = format!(
            r#"{{"detection":"{detection}","severity":"{severity}","peer":{{"ip":"{peer}"}},
                 "equipment":{{"id":"{equipment}","vendor":"Vendor A","build":"V3"}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_theft_is_caught_by_its_own_alert_only() {
        let thefts = [theft()];
        let right = alert("EGR-NOTALLOWED", "high", "gnb-1", "198.51.100.7");
        let verdict = Verdict::compare(&thefts, vec![right.clone(), right.clone()]);
        assert!(verdict.is_clean());
        assert!(verdict.to_string().contains("gnb-1     Vendor A V3           198.51.100.7"));
        for wrong in [
            alert("GTP-PEER", "high", "gnb-1", "198.51.100.7"),
            alert("EGR-NOTALLOWED", "high", "gnb-2", "198.51.100.7"),
            alert("EGR-NOTALLOWED", "high", "gnb-1", "198.51.100.8"),
        ] {
            let verdict = Verdict::compare(&thefts, vec![wrong]);
            assert!(verdict.to_string().contains("MISSED") && verdict.others.len() == 1);
        }
    }

    #[test]
    fn the_other_events_of_a_file_are_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let events = concat!(
            r#"{"event_type":"health","weir":{"site":"lab","subject":"sensor"}}"#,
            "\n",
            r#"{"event_type":"alert","flow_id":"0x1","weir":{"detection":"EGR-NOTALLOWED","#,
            r#""severity":"high","peer":{"ip":"198.51.100.7","name":null},"equipment":"#,
            r#"{"id":"gnb-1","vendor":"Vendor A","model":"X","build":"V3","components":[]}}}"#,
            "\n",
        );
        std::fs::write(file.path(), events).unwrap();
        let thefts = [theft()];
        assert!(Verdict::reach(&thefts, file.path()).unwrap().is_clean());
        std::fs::write(file.path(), &events[..100]).unwrap();
        assert!(matches!(Verdict::reach(&thefts, file.path()), Err(Failure::Work(_))));
    }

    #[test]
    fn only_grave_alerts_spoil_the_demonstration_and_each_once() {
        let thefts = [theft()];
        let right = alert("EGR-NOTALLOWED", "high", "gnb-1", "198.51.100.7");
        let mild = alert("INV-UNKNOWN", "medium", "gnb-4", "10.9.9.9");
        assert!(Verdict::compare(&thefts, vec![right.clone(), mild]).is_clean());
        let grave = alert("GTP-PEER", "critical", "upf-1", "10.9.9.9");
        let verdict = Verdict::compare(&thefts, vec![right, grave.clone(), grave]);
        assert!(!verdict.is_clean());
        assert_eq!(verdict.to_string().matches("(none of them)").count(), 1);
    }
}
