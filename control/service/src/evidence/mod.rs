//! Evidence: the frames of an alert as a capture that anybody's tools open, with the alert's text in
//! it, and a hash in the alert's events by which it is known again.
//!
//! A capture grows while its alert does. How long it is and what it hashes to is stored with the
//! alert, so that after a crash what was written beyond that is cut off before anybody sees it.

mod pcapng;
mod recent;
mod room;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_engine::Nanos;
use weir_engine::contract::exhibit::Kept;
use weir_engine::exhibits::Cause;

use crate::rulebook::hex;

pub use recent::Recent;
pub use room::{Gone, Limits, Room};

/// Frames of one capture.
const FRAMES: u32 = 64;

/// The directory of evidence in the state directory.
pub const EVIDENCE: &str = "evidence";
/// The directory in which restricted alerts' captures lie.
const RESTRICTED: &str = "restricted";

/// A capture as it is committed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Capture {
    /// Its place in the directory of evidence.
    pub pcap: String,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Frames in it.
    pub frames: u32,
    /// Its bytes.
    bytes: u64,
    /// Its interfaces: a tap and how its frames begin.
    interfaces: Vec<(u16, u16)>,
}

/// Whose capture it is, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Exhibit<'a> {
    /// The alert's id.
    pub id: &'a str,
    /// The detection's id.
    pub detection: &'a str,
    /// What stands at the beginning of the file.
    pub text: &'a str,
    /// The alert's first packet.
    pub first: Nanos,
    /// Whether it lies apart.
    pub is_apart: bool,
}

/// Where captures lie.
#[derive(Debug)]
pub struct Cabinet {
    directory: PathBuf,
    room: Room,
}

impl Cabinet {
    /// Opens or makes the directory, which is for this user alone. The captures that may still grow are
    /// as they were `committed` from then on; one of which that is not so is removed, and counted: files
    /// are not synced, and after a crash of the system may lack some of their end or have zeros there.
    ///
    /// # Errors
    /// What the system says.
    pub fn open<'c>(
        directory: PathBuf,
        limits: Limits,
        committed: impl Iterator<Item = &'c Capture>,
    ) -> io::Result<Self> {
        let apart = directory.join(RESTRICTED);
        DirBuilder::new().recursive(true).mode(0o700).create(&apart)?;
        let mut broken = 0;
        for capture in committed {
            broken += u64::from(!capture.restore(&directory)?);
        }
        let mut room = Room::of(&[&directory, &apart], limits)?;
        room.lose(Gone::Failed, broken);
        Ok(Self { directory, room })
    }

    /// Adds frames to an alert's capture, or begins one; none if there is nothing to add.
    ///
    /// # Errors
    /// What the system says. What was committed before still stands in the file, and nothing else; there
    /// is none if there was none.
    pub fn add<'t>(
        &mut self,
        exhibit: &Exhibit<'_>,
        before: Option<&Capture>,
        frames: &[Kept],
        tap_name: impl Fn(u16) -> &'t str,
    ) -> io::Result<Option<Capture>> {
        let left = FRAMES.saturating_sub(before.map_or(0, |capture| capture.frames)) as usize;
        let frames = frames.get(..left).unwrap_or(frames);
        if frames.is_empty() || (before.is_none() && !self.room.admits()) {
            return Ok(None);
        }
        let mut capture = before.cloned().unwrap_or_else(|| Capture::of(exhibit));
        let path = self.directory.join(&capture.pcap);
        let mut options = OpenOptions::new();
        let mut file = options.create(true).read(true).append(true).mode(0o600).open(&path)?;
        let known = capture.known(&mut file)?;
        let mut added = Vec::new();
        if known == 0 {
            // It was removed meanwhile, or is new.
            capture = Capture::of(exhibit);
            added = pcapng::section(exhibit.text);
        }
        for frame in frames {
            let of = (frame.head.tap, frame.head.link_type);
            let place = capture.interfaces.iter().position(|known| *known == of);
            let place = place.unwrap_or_else(|| {
                added.extend(pcapng::interface(tap_name(of.0), of.1));
                capture.interfaces.push(of);
                capture.interfaces.len() - 1
            });
            capture.frames += 1;
            let comment = comment(exhibit, frame, capture.frames);
            added.extend(pcapng::packet(place as u32, frame, &comment));
        }
        match file.write_all(&added).and_then(|()| hash(&mut file)) {
            Ok(sha256) => capture.sha256 = sha256,
            Err(error) => {
                // Neither needs room on the disk; should it fail all the same, the next frames try again.
                let _ = if known == 0 { fs::remove_file(&path) } else { file.set_len(known) };
                return Err(error);
            }
        }
        capture.bytes = known + added.len() as u64;
        self.room.grew(&path, capture.bytes);
        Ok(Some(capture))
    }

    /// Removes the oldest captures that are too many, and what is too old at `now`.
    pub fn retain(&mut self, now: std::time::SystemTime) {
        self.room.retain(now);
    }

    /// What was removed, or never written, by reason.
    pub fn gone(&self) -> [u64; Gone::ALL.len()] {
        self.room.gone()
    }

    /// Bytes of all captures.
    pub fn bytes(&self) -> u64 {
        self.room.bytes()
    }

    /// Counts captures that are not there, or frames that waited in vain.
    pub fn lose(&mut self, why: Gone, count: u64) {
        self.room.lose(why, count);
    }
}

impl Capture {
    fn of(exhibit: &Exhibit<'_>) -> Self {
        let name = format!("{}-{}.pcapng", exhibit.detection, exhibit.id);
        let pcap = if exhibit.is_apart { format!("{RESTRICTED}/{name}") } else { name };
        Self { pcap, sha256: [0; 32], frames: 0, bytes: 0, interfaces: Vec::new() }
    }

    /// Makes the file what was committed; false if it does not begin with that, and so is removed.
    fn restore(&self, directory: &Path) -> io::Result<bool> {
        let path = directory.join(&self.pcap);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            // It was removed for its age or size.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut committed = Vec::new();
        (&file).take(self.bytes).read_to_end(&mut committed)?;
        let is_there = <[u8; 32]>::from(Sha256::digest(&committed)) == self.sha256;
        if is_there {
            file.set_len(self.bytes)?;
        } else {
            fs::remove_file(&path)?;
        }
        Ok(is_there)
    }

    /// Cuts off what was written and never committed; gives how much stands in the file.
    fn known(&self, file: &mut File) -> io::Result<u64> {
        let length = file.metadata()?.len();
        // A file that lost some of what was committed is not what the alert tells of.
        let known = if length < self.bytes { 0 } else { self.bytes };
        file.set_len(known)?;
        Ok(known)
    }
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut whole = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut whole)?;
    Ok(Sha256::digest(&whole).into())
}

/// The part of a capture's file that its alert's event tells of, if it is that: control adds frames before
/// the event that names them, so that more may stand there.
pub fn told<'f>(file: &'f [u8], sha256: &str) -> Option<&'f [u8]> {
    let mut hasher = Sha256::new();
    let mut begin = 0;
    pcapng::ends(file).find_map(|end| {
        let block = file.get(std::mem::replace(&mut begin, end)..end)?;
        hasher.update(block);
        let is_all = hex(&hasher.clone().finalize()) == sha256;
        is_all.then(|| file.get(..end)).flatten()
    })
}

/// Where an alert's capture is, if what its event says is a place in the directory.
pub fn place(directory: &Path, pcap: &str) -> Option<PathBuf> {
    let apart = pcap.strip_prefix(RESTRICTED).and_then(|rest| rest.strip_prefix('/'));
    let name = apart.unwrap_or(pcap);
    let is_name = name.ends_with(".pcapng")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !name.starts_with('.');
    is_name.then(|| directory.join(pcap))
}

fn comment(exhibit: &Exhibit<'_>, frame: &Kept, number: u32) -> String {
    let (time, first) = (frame.head.time.0, exhibit.first.0);
    let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
    let when = match time.cmp(&first) {
        std::cmp::Ordering::Less => {
            format!("{:.6} s before the first packet of the alert", seconds(time, first))
        }
        std::cmp::Ordering::Equal => "at the time of the alert's first packet".into(),
        std::cmp::Ordering::Greater => {
            format!("{:.6} s after the first packet of the alert", seconds(first, time))
        }
    };
    let what = Cause::ALL.get(usize::from(frame.head.cause)).map_or("a frame", |it| words(*it));
    let cut = if (frame.bytes.len() as u64) < u64::from(frame.head.wire_len) {
        format!("; {} of {} bytes are kept", frame.bytes.len(), frame.head.wire_len)
    } else {
        String::new()
    };
    format!("Weir {} {}, frame {number}: {what}; {when}{cut}", exhibit.detection, exhibit.id)
}

fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::Stranger => "between equipment and an address that nobody declared",
        Cause::Listed => "between equipment and a declared address",
        Cause::Pair => "a G-PDU with an end that nobody declared",
        Cause::Stray => "a G-PDU in a tunnel that no session had",
        Cause::OtherSender => "a G-PDU of another sender than the tunnel's before",
        Cause::OddUser => "a user's packet that is not its tunnel's",
        Cause::Complaint => "an Error Indication",
        Cause::OddHeader => "a GTP-U header that is odd",
        Cause::Nested => "a tunnel inside a tunnel",
        Cause::Inside => "a user's packet where none should go",
        Cause::Unlisted => "equipment in clothes that are not listed",
        Cause::Signalling => "PFCP between declared equipment",
        Cause::StrangersSignalling => "PFCP with an end that nobody declared",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::contract::exhibit::Head;

    const EXHIBIT: Exhibit<'_> = Exhibit {
        id: "00000000000000ab",
        detection: "EGR-NOTALLOWED",
        text: "EGR-NOTALLOWED: gnb-1 opened a flow",
        first: Nanos(5_000_000_000),
        is_apart: false,
    };

    fn frame(tap: u16, time: u64) -> Kept {
        let head = Head { time: Nanos(time), tap, link_type: 1, wire_len: 90, len: 60, cause: 0 };
        Kept { head, bytes: vec![7; 60] }
    }

    fn cabinet(directory: &Path) -> Cabinet {
        opened(directory, &[])
    }

    fn opened(directory: &Path, committed: &[&Capture]) -> Cabinet {
        let (directory, committed) = (directory.join("evidence"), committed.iter().copied());
        Cabinet::open(directory, Limits::default(), committed).unwrap()
    }

    fn name(tap: u16) -> &'static str {
        if tap == 0 { "n3" } else { "n4" }
    }

    fn times(directory: &Path, capture: &Capture) -> Vec<u64> {
        let file = std::fs::read(directory.join("evidence").join(&capture.pcap)).unwrap();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&file)), capture.sha256);
        let reader = weir_capture::Reader::open(&file).unwrap();
        reader.map(|packet| packet.unwrap().time.0).collect()
    }

    #[test]
    fn a_capture_grows_with_its_alert_and_is_known_by_its_hash() {
        let directory = tempfile::tempdir().unwrap();
        let mut cabinet = cabinet(directory.path());
        let first = cabinet.add(&EXHIBIT, None, &[frame(0, 1), frame(1, 2)], name);
        let first = first.unwrap().unwrap();
        assert_eq!(first.pcap, "EGR-NOTALLOWED-00000000000000ab.pcapng");
        assert_eq!(times(directory.path(), &first), [1, 2]);
        let more = cabinet.add(&EXHIBIT, Some(&first), &[frame(0, 3)], name).unwrap().unwrap();
        assert_eq!((more.frames, more.interfaces.len()), (3, 2));
        assert_eq!(times(directory.path(), &more), [1, 2, 3]);
        assert_eq!(cabinet.add(&EXHIBIT, Some(&more), &[], name).unwrap(), None);
        let many: Vec<_> = (10..200).map(|time| frame(0, time)).collect();
        let full = cabinet.add(&EXHIBIT, Some(&more), &many, name).unwrap().unwrap();
        assert_eq!(full.frames, FRAMES);
        assert_eq!(cabinet.add(&EXHIBIT, Some(&full), &many, name).unwrap(), None);
        assert_eq!(cabinet.bytes(), full.bytes);
    }

    #[test]
    fn what_was_not_committed_is_cut_off_and_what_was_removed_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut cabinet = cabinet(directory.path());
        let committed = cabinet.add(&EXHIBIT, None, &[frame(0, 1)], name).unwrap().unwrap();
        // Written, and the process died before that was stored.
        cabinet.add(&EXHIBIT, Some(&committed), &[frame(0, 2)], name).unwrap();
        let again = cabinet.add(&EXHIBIT, Some(&committed), &[frame(0, 2)], name);
        assert_eq!(times(directory.path(), &again.unwrap().unwrap()), [1, 2]);
        let unknown = cabinet.add(&EXHIBIT, None, &[frame(0, 9)], name).unwrap().unwrap();
        assert_eq!(times(directory.path(), &unknown), [9]);
        std::fs::remove_file(directory.path().join("evidence").join(&unknown.pcap)).unwrap();
        let anew = cabinet.add(&EXHIBIT, Some(&unknown), &[frame(0, 10)], name).unwrap().unwrap();
        assert_eq!((times(directory.path(), &anew), anew.frames), (vec![10], 1));
    }

    #[test]
    fn a_start_leaves_of_a_capture_what_was_committed_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let other = Exhibit { id: "00000000000000cd", ..EXHIBIT };
        let mut before = cabinet(directory.path());
        let one = before.add(&EXHIBIT, None, &[frame(0, 1)], name).unwrap().unwrap();
        before.add(&EXHIBIT, Some(&one), &[frame(0, 2)], name).unwrap();
        let two = before.add(&other, None, &[frame(0, 3)], name).unwrap().unwrap();
        let zeroed = Exhibit { id: "00000000000000aa", ..EXHIBIT };
        let three = before.add(&zeroed, None, &[frame(0, 3)], name).unwrap().unwrap();
        // The system crashed: some of a file never came to the disk, and of another only its length did.
        let evidence = directory.path().join("evidence");
        let [path, zeros] = [&two, &three].map(|capture| evidence.join(&capture.pcap));
        OpenOptions::new().write(true).open(&path).unwrap().set_len(two.bytes - 1).unwrap();
        let file = OpenOptions::new().write(true).open(&zeros).unwrap();
        file.set_len(three.bytes / 2).unwrap();
        file.set_len(three.bytes).unwrap();
        let removed = Capture { pcap: "GTP-PEER-00000000000000ef.pcapng".into(), ..two.clone() };
        let after = opened(directory.path(), &[&one, &two, &three, &removed]);
        assert_eq!(times(directory.path(), &one), [1]);
        assert!(!path.exists() && !zeros.exists());
        assert_eq!((after.bytes(), after.gone()), (one.bytes, [0, 0, 0, 2, 0]));
    }

    #[test]
    fn restricted_captures_lie_apart_and_no_name_leads_out_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mut cabinet = cabinet(directory.path());
        let exhibit = Exhibit { is_apart: true, ..EXHIBIT };
        let capture = cabinet.add(&exhibit, None, &[frame(0, 1)], name).unwrap().unwrap();
        assert_eq!(capture.pcap, "restricted/EGR-NOTALLOWED-00000000000000ab.pcapng");
        let base = Path::new("/e");
        assert_eq!(place(base, &capture.pcap), Some(base.join(&capture.pcap)));
        for wrong in ["../x.pcapng", "a/b.pcapng", ".pcapng", "restricted/../x.pcapng", "x.db", ""]
        {
            assert_eq!(place(base, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_comment_says_what_the_frame_is_and_when_it_came() {
        let before = comment(&EXHIBIT, &frame(0, 4_500_000_000), 1);
        assert!(before.contains("0.500000 s before"), "{before}");
        assert!(before.ends_with("; 60 of 90 bytes are kept"), "{before}");
        assert!(comment(&EXHIBIT, &frame(0, 5_000_000_000), 2).contains("alert's first packet"));
        assert!(comment(&EXHIBIT, &frame(0, 6_000_000_000), 3).contains("1.000000 s after"));
    }
}
