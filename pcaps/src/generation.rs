//! From a scenario to packets in order of time, and to the files of a directory.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::blinding::Blinded;
use crate::capture::{Capture, LinkType};
use crate::chance::Chance;
use crate::imix;
use crate::labels::{Labels, Messages, Theft, rfc3339};
use crate::n3::Path as GtpPath;
use crate::n4::Association;
use crate::plan::Link;
use crate::scenario::{Layout, Role, Scenario};
use crate::stage::{MILLI, Packet, SECOND, Stage};
use crate::{
    blinding, confounder, interception, inventory, n4_confounder, oam, policy, shapes, subscriber,
    theft,
};

/// A scenario as it plays: packets in order of time. Memory is bounded by what is active at once.
pub struct Generation {
    stage: Stage,
    labels: Labels,
    link_type: LinkType,
    blinded: Vec<Blinded>,
    /// Share of frames that the tap loses, and by what chance.
    loss: (f64, Chance),
}

impl Iterator for Generation {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        loop {
            let mut packet = self.stage.next_packet()?;
            let mut is_captured = true;
            for blinded in &mut self.blinded {
                is_captured &= blinded.pass(&mut packet);
            }
            // What the link type has no room for was never captured.
            let Some(frame) = self.link_type.dress(packet.frame) else { continue };
            let packet = Packet { frame, ..packet };
            self.labels.count_sent(&packet);
            let (share, chance) = &mut self.loss;
            if !is_captured || *share > 0.0 && chance.happens(*share) {
                continue;
            }
            self.labels.count(&packet);
            return Some(packet);
        }
    }
}

impl Generation {
    /// The ground truth of the packets that were taken so far.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// How far the writing of a capture is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Frames written.
    pub frames: u64,
    /// Share of the scenario's time that they cover, 0 to 1.
    pub share: f64,
}

/// What `write_to` wrote.
#[derive(Clone, Debug)]
pub struct Report {
    /// The capture, or the captures of the links.
    pub captures: Vec<PathBuf>,
    /// `labels.json`.
    pub labels_file: PathBuf,
    /// `inventory.toml`.
    pub inventory_file: PathBuf,
    /// `policy.toml`.
    pub policy_file: PathBuf,
    /// `weir.toml`, which names these and `li.toml`, if there is lawful interception.
    pub config_file: Option<PathBuf>,
    /// What `labels.json` says.
    pub labels: Labels,
}

/// Why a scenario could not be written. The text says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The system refused a file or directory.
    #[error("can't write: {source}; {}; make room or give a writable directory", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The labels can't be put into JSON.
    #[error("can't be put into JSON: {0}; labels.json; report this as a mistake of Weir's")]
    Json(#[from] serde_json::Error),
    /// A text of the scenario can't be put into TOML.
    #[error("can't be put into TOML: {0}; the scenario's texts; take control characters out")]
    Toml(#[from] toml::ser::Error),
}

/// The stream of chance by which the tap loses frames: no actor comes to have it.
const LOSS: u64 = u64::MAX;

/// Where the files of a scenario with lawful interception are.
const CONFIG: &str = "[paths]\ninventory = \"inventory.toml\"\npolicy = \"policy.toml\"\n\
                      lawful_intercept = \"li.toml\"\n";

/// Frames between two reports of progress.
const PROGRESS_FRAMES: u64 = 4_096;

impl Scenario {
    /// Plays the scenario. The same scenario gives the same packets, always.
    #[must_use]
    pub fn generate(&self) -> Generation {
        let mut stage = Stage::new(self);
        self.enter_associations(&mut stage);
        self.enter_paths(&mut stage);
        oam::enter(&mut stage, &self.background, self.start);
        let thefts = theft::enter(&mut stage, self);
        confounder::enter(&mut stage, self);
        if let Some(habits) = &self.subscribers {
            subscriber::enter(&mut stage, habits.get_ref());
        }
        let seconds = *self.duration_seconds.get_ref();
        if let Some(mix) = &self.imix {
            let (tunnels, frames) = (mix.get_ref().tunnels, mix.get_ref().frames);
            let (duration, chance) = (seconds * SECOND, stage.chance());
            stage.enter(0, imix::Mix { tunnels, frames, sent: 0, duration, chance });
        }
        if let Some(shapes) = &self.shapes {
            shapes::enter(&mut stage, shapes.get_ref());
        }
        let start = self.start.as_nanosecond();
        let labels = Labels {
            scenario: self.name.clone(),
            seed: self.seed,
            frames: 0,
            bytes: 0,
            start: rfc3339(start),
            end: rfc3339(start + i128::from(seconds) * 1_000_000_000),
            thefts: thefts.into_iter().map(Theft::unsent).collect(),
            messages: Messages::default(),
            links: BTreeMap::new(),
            groups: std::mem::take(&mut stage.groups),
        };
        let first = labels.thefts.len() - self.theft.blinding.len();
        let blinded = blinding::all(&stage, self, first);
        let lost = self.tap.as_ref().map_or(0.0, |tap| tap.get_ref().loss_share);
        let loss = (lost, Chance::new(self.seed, LOSS));
        Generation { stage, labels, link_type: self.link_type, blinded, loss }
    }

    /// Octets after which the tap cuts frames off.
    pub(crate) fn snap_bytes(&self) -> Option<u32> {
        self.tap.as_ref()?.get_ref().snap_bytes
    }

    /// Writes the capture (`capture.pcap` or `.pcapng`, or one file a link: `n3.pcap` …), `labels.json`,
    /// `inventory.toml` and `policy.toml` into a directory, which is made if it is not there; with
    /// lawful interception `li.toml`, of mode 0600, and a `weir.toml` that names it.
    ///
    /// # Errors
    /// A file could not be written; what was written before stays.
    pub fn write_to(
        &self,
        directory: impl AsRef<Path>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Report, WriteError> {
        let directory = directory.as_ref();
        std::fs::create_dir_all(directory).map_err(refused(directory))?;
        let names: &[&str] = match self.capture {
            Layout::Mixed => &["capture"],
            Layout::PerLink => &Link::ALL.map(Link::name),
        };
        let mut captures = Vec::with_capacity(names.len());
        for name in names {
            let path = directory.join(format!("{name}.{}", self.format.extension()));
            let capture = Capture::create(&path, self.format, self.link_type, self.snap_bytes());
            captures.push(capture.map_err(refused(&path))?);
        }
        let start = u64::try_from(self.start.as_nanosecond()).unwrap_or(0);
        let whole = self.duration_seconds.get_ref() * 1_000_000_000;
        let mut generation = self.generate();
        while let Some(packet) = generation.next() {
            let file = match self.capture {
                Layout::Mixed => &mut captures[0],
                Layout::PerLink => &mut captures[packet.link as usize],
            };
            file.write(&packet).map_err(refused(file.path()))?;
            let frames = generation.labels.frames;
            if frames.is_multiple_of(PROGRESS_FRAMES) {
                let share = (packet.time_ns - start) as f64 / whole as f64;
                progress(Progress { frames, share });
            }
        }
        let labels = generation.labels;
        progress(Progress { frames: labels.frames, share: 1.0 });
        let mut paths = Vec::with_capacity(captures.len());
        for capture in captures {
            let path = capture.path().to_owned();
            paths.push(capture.finish().map_err(refused(&path))?);
        }
        let json = serde_json::to_string_pretty(&labels)? + "\n";
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(refused(&path))?;
            Ok::<_, WriteError>(path)
        };
        let config_file = match &self.interception {
            None => None,
            Some(said) => {
                let path = write("li.toml", &interception::text(said.get_ref())?)?;
                let private = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(&path, private).map_err(refused(&path))?;
                Some(write("weir.toml", CONFIG)?)
            }
        };
        Ok(Report {
            captures: paths,
            labels_file: write("labels.json", &json)?,
            inventory_file: write("inventory.toml", &inventory::text(self)?)?,
            policy_file: write("policy.toml", &policy::text(self)?)?,
            config_file,
            labels,
        })
    }

    /// The text of the matching `inventory.toml`.
    ///
    /// # Errors
    /// A text of the scenario can't be put into TOML.
    pub fn inventory(&self) -> Result<String, WriteError> {
        Ok(inventory::text(self)?)
    }

    /// The text of the matching `policy.toml`.
    ///
    /// # Errors
    /// A text of the scenario can't be put into TOML.
    pub fn policy(&self) -> Result<String, WriteError> {
        Ok(policy::text(self)?)
    }

    /// Every SMF with every UPF, in the first moments.
    fn enter_associations(&self, stage: &mut Stage) {
        if self.subscribers.is_none() && self.background.heartbeat_seconds.is_none() {
            return;
        }
        let every = self.background.heartbeat_seconds.as_ref().map(|s| s.get_ref() * SECOND);
        let before = n4_confounder::associated_before(self, &stage.plan);
        for smf in stage.plan.with(Role::Smf, &[Link::N4]) {
            for (n, upf) in stage.plan.with(Role::Upf, &[Link::N4]).into_iter().enumerate() {
                let chance = stage.chance();
                let set_up = before == Some((smf, upf));
                let association = Association { smf, upf, every, set_up, chance };
                stage.enter((100 + 90 * (n as u64 % 9)) * MILLI, association);
            }
        }
    }

    /// Every gNB with every UPF, probed from both ends.
    fn enter_paths(&self, stage: &mut Stage) {
        let Some(every) = &self.background.echo_seconds else { return };
        let every = every.get_ref() * SECOND;
        let mut upfs = stage.plan.with(Role::Upf, &[Link::N3]);
        upfs.retain(|upf| !stage.plan.nodes[*upf].reserved);
        for gnb in stage.plan.with(Role::Gnb, &[Link::N3]) {
            for upf in upfs.iter().copied() {
                for (from, to) in [(gnb, upf), (upf, gnb)] {
                    let mut chance = stage.chance();
                    let (at, sequence) = (chance.below(every), chance.u16());
                    stage.enter(at, GtpPath { from, to, every, sequence, chance });
                }
            }
        }
    }
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> WriteError + '_ {
    move |source| WriteError::File { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_what_is_active_not_the_capture() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/benign.toml");
        let mut generation = Scenario::load(path).unwrap().generate();
        let (mut frames, mut most) = (0, 0);
        while generation.next().is_some() {
            frames += 1;
            most = most.max(generation.stage.pending());
        }
        assert!(frames > 100_000, "{frames} frames");
        // 200 subscribers with some flows each, and the equipment's routines.
        assert!(most < 2_000, "{most} waiting");
    }
}
