//! The frames that come with verdicts, and which alert gets which. They are written when the alert is
//! told of, so that the hash in its last event is always that of the capture as it stands.

use weir_engine::contract::exhibit::Kept;
use weir_engine::contract::verdict::{Activity, Alert};
use weir_engine::detect::{CATALOGUE, OF_CONTROL};

use super::Recorder;
use crate::alerts::{Saying, Subject, dedup};
use crate::cases::{AlertId, neighbourhood};
use crate::evidence::{Cabinet, Capture, Exhibit, Gone};
use crate::narrate::Story;

/// The key of what is remembered of equipment and a network.
fn pair(equipment: &str, peer: std::net::IpAddr) -> String {
    format!("{equipment}|{}", neighbourhood(peer))
}

impl Recorder {
    /// Keeps frames of alerts from now on. Those that waited when the process before was killed are lost.
    pub fn furnish(&mut self, mut cabinet: Cabinet) {
        cabinet.lose(Gone::Waiting, self.progress.waiting);
        self.cabinet = Some(cabinet);
    }

    /// The captures, if any are kept.
    pub fn cabinet(&mut self) -> Option<&mut Cabinet> {
        self.cabinet.as_mut()
    }

    /// Takes the frames of the verdict that is taken in next.
    pub fn bring(&mut self, frames: Vec<Kept>) {
        self.frames = frames;
    }

    /// Remembers the first frames of a spell, for what is found by it later.
    pub(super) fn remember(&mut self, id: &str, activity: &Activity) {
        let peer = match (activity.source, activity.destination) {
            (Some(_), None) => activity.tuple.destination,
            (None, Some(_)) => activity.tuple.source,
            _ => return,
        };
        self.recent.put(pair(id, peer), &self.frames);
    }

    /// Sets an alert's frames aside until it is told of: those that came with it, or that were
    /// remembered for it.
    pub(super) fn set_aside(&mut self, alert: &Alert, subject: &Subject) {
        let frames = if OF_CONTROL.contains(&alert.detection) {
            let peer = alert.peer.or(alert.outer.map(|outer| outer.destination));
            match (&subject.equipment, peer) {
                (Some(id), Some(peer)) => self.recent.take(&pair(id, peer)),
                _ => Vec::new(),
            }
        } else {
            std::mem::take(&mut self.frames)
        };
        if !frames.is_empty() {
            let given_up = self.aside.put(dedup(alert, subject), &frames);
            if let Some(cabinet) = &mut self.cabinet {
                cabinet.lose(Gone::Waiting, given_up);
            }
        }
    }

    /// Takes the frames that were set aside for an alert.
    pub(super) fn frames_of(&mut self, saying: &Saying) -> Vec<Kept> {
        self.aside.take(&saying.dedup)
    }

    /// Adds to an alert's capture what was set aside for it; gives the capture as it stands. An alert
    /// whose frames can't be written is told without.
    pub(super) fn keep(
        &mut self,
        saying: &Saying,
        story: &Story,
        is_apart: bool,
        frames: &[Kept],
    ) -> Option<Capture> {
        let before = saying.row.evidence.as_ref();
        let Some(cabinet) = self.cabinet.as_mut().filter(|_| !frames.is_empty()) else {
            return before.cloned();
        };
        let alert = &saying.row.alert;
        let detection = CATALOGUE[usize::from(alert.detection)].id;
        let id = AlertId::of(&saying.dedup).to_string();
        let text = inscription(&id, &self.site, saying, story);
        let exhibit = Exhibit { id: &id, detection, text: &text, first: alert.first, is_apart };
        let taps = &self.taps.taps;
        let tap = |number: u16| taps.get(usize::from(number)).map_or("unknown", |it| &it.name);
        match cabinet.add(&exhibit, before, frames, tap) {
            Ok(None) => before.cloned(),
            Ok(Some(capture)) => {
                self.alerts.prove(&saying.dedup, &capture);
                Some(capture)
            }
            Err(error) => {
                cabinet.lose(Gone::Failed, 1);
                if !std::mem::replace(&mut self.complained, true) {
                    eprintln!(
                        "error: evidence can't be written: {error}; make room: alerts come without frames meanwhile"
                    );
                }
                before.cloned()
            }
        }
    }
}

/// What stands at the beginning of a capture.
fn inscription(id: &str, site: &str, saying: &Saying, story: &Story) -> String {
    let alert = &saying.row.alert;
    let detection = &CATALOGUE[usize::from(alert.detection)];
    let equipment = saying.row.subject.equipment.as_deref().unwrap_or("unknown");
    let build = saying.row.subject.build.as_ref();
    let build = build.map(|(vendor, model, build)| format!(" ({vendor} {model} {build})"));
    format!(
        "Weir alert {id} at {site}\n{}: {}\nEquipment: {equipment}{}\nFirst packet: {}\n\
         Observed: {}\nExpected: {}\nWhy: {}\nNext: {}",
        detection.id,
        detection.signature,
        build.unwrap_or_default(),
        crate::eve::timestamp(alert.first),
        story.observed,
        story.expected,
        story.why,
        story.next,
    )
}
