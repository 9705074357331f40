//! The frames that come with verdicts, and which alert gets which.

use weir_engine::contract::exhibit::Kept;
use weir_engine::contract::verdict::{Activity, Alert};
use weir_engine::detect::{CATALOGUE, OF_CONTROL};

use super::Recorder;
use crate::alerts::{Subject, dedup, is_restricted};
use crate::cases::{AlertId, neighbourhood};
use crate::evidence::{Cabinet, Capture, Exhibit};
use crate::store::Store;

impl Recorder {
    /// Keeps frames of alerts from now on.
    pub fn furnish(&mut self, cabinet: Cabinet) {
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
        self.recent.put(id, &neighbourhood(peer), &self.frames);
    }

    /// The frames of an alert that came with it, or that were remembered for it.
    pub(super) fn frames_of(&mut self, alert: &Alert, subject: &Subject) -> Vec<Kept> {
        if !OF_CONTROL.contains(&alert.detection) {
            return std::mem::take(&mut self.frames);
        }
        let peer = alert.peer.or(alert.outer.map(|outer| outer.destination));
        match (&subject.equipment, peer) {
            (Some(id), Some(peer)) => self.recent.take(id, &neighbourhood(peer)),
            _ => Vec::new(),
        }
    }

    /// Adds frames to an alert's capture. An alert whose frames can't be written is told without.
    pub(super) fn keep(
        &mut self,
        alert: &Alert,
        subject: &Subject,
        frames: &[Kept],
        store: &Store,
    ) -> Option<Capture> {
        self.cabinet.as_ref()?;
        let key = dedup(alert, subject);
        let before = self.alerts.evidence(&key).cloned();
        let (id, detection) = (AlertId::of(&key).to_string(), CATALOGUE.get(usize::from(alert.detection))?);
        let text = match before {
            Some(_) => String::new(),
            None => self.inscription(&id, alert, subject, store),
        };
        let exhibit = Exhibit {
            id: &id,
            detection: detection.id,
            text: &text,
            first: alert.first,
            is_apart: self.is_apart() && is_restricted(alert.detection),
        };
        let taps = self.taps.clone();
        let tap_name = |number: u16| {
            taps.taps.get(usize::from(number)).map_or_else(|| "unknown".into(), |tap| tap.name.clone())
        };
        let cabinet = self.cabinet.as_mut()?;
        match cabinet.add(&exhibit, before.as_ref(), frames, tap_name) {
            Ok(capture) => capture,
            Err(error) => {
                if !self.complained {
                    eprintln!("error: evidence can't be written: {error}; make room: alerts come without their frames meanwhile");
                }
                self.complained = true;
                cabinet.failed();
                None
            }
        }
    }

    /// What stands at the beginning of a capture.
    fn inscription(&mut self, id: &str, alert: &Alert, subject: &Subject, store: &Store) -> String {
        let rulebook = self.rulebook(alert.policy, store);
        let suspect = subject.equipment.as_deref();
        let story = self.story(alert, suspect, rulebook.as_deref());
        let detection = &CATALOGUE[usize::from(alert.detection)];
        let build = subject.build.as_ref().map(|(vendor, model, build)| {
            format!("\nEquipment: {} ({vendor} {model} {build})", suspect.unwrap_or("unknown"))
        });
        format!(
            "Weir alert {id} at {}\n{}: {}{}\nFirst packet: {}\nObserved: {}\nExpected: {}\nWhy: {}\nNext: {}",
            self.site,
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
}
