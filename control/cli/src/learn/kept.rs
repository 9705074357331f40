//! What a running control has kept: its event files, and from when on they are read.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use weir_engine::Nanos;

use crate::check::Files;
use crate::failure::Failure;

use crate::text::moment;

/// From when on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Since(Timestamp);

impl FromStr for Since {
    type Err = &'static str;

    /// `7d`, `12h`, `30m`, `2w` before now; a date, or a moment in UTC.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write 7d, 12h, 30m, 2w, 2026-01-31 or 2026-01-31T06:00:00Z";
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(Self(moment));
        }
        if let Ok(moment) = format!("{text}T00:00:00Z").parse::<Timestamp>() {
            return Ok(Self(moment));
        }
        let unit = text.chars().next_back().ok_or(WRONG)?;
        let number: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| WRONG)?;
        let seconds = match unit {
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return Err(WRONG),
        };
        let ago = number.checked_mul(seconds).filter(|ago| *ago > 0).ok_or(WRONG)?;
        let moment = Timestamp::now().checked_sub(SignedDuration::from_secs(ago));
        moment.map(Self).map_err(|_| "that is longer ago than there are dates")
    }
}

impl Since {
    pub(crate) fn moment(self) -> Nanos {
        Nanos(u64::try_from(self.0.as_nanosecond()).unwrap_or_default())
    }
}

/// An event file, and before it those that control has put aside, the oldest first.
fn beside(path: &Path) -> Vec<PathBuf> {
    let aside = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    // Control leaves no gap among them but after a crash, and fills that at its next turn.
    let mut found: Vec<PathBuf> =
        (1..=MOST_ASIDE).map(aside).filter(|path| path.is_file()).collect();
    found.reverse();
    found.push(path.to_owned());
    found
}

/// The event files of a control.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) files: Vec<PathBuf>,
}

/// Where control looks if nothing names another place.
const EVENTS: &str = "eve.json";
/// As many as weir.toml may let control keep.
const MOST_ASIDE: u32 = 1000;

impl Kept {
    /// Those that are named, else the one in the state directory.
    pub(crate) fn find(
        events: &[PathBuf],
        state_dir: Option<&Path>,
        files: &Files,
    ) -> Result<Self, Failure> {
        let files = match (events, state_dir) {
            ([], Some(directory)) => beside(&directory.join(EVENTS)),
            ([], None) => beside(&Self::configured(files)?.join(EVENTS)),
            (named, _) => named.to_vec(),
        };
        if let Some(path) = files.iter().find(|path| !path.is_file()) {
            return Err(Failure::usage(format!(
                "no events are kept here: {}; control writes them to {EVENTS} in its state directory \
                 unless its --events names another file, and keeps none with --events -; name that \
                 file with --events, or start control so that it keeps them and learn later",
                path.display()
            )));
        }
        Ok(Self { files })
    }

    fn configured(files: &Files) -> Result<PathBuf, Failure> {
        let Some(config) = &files.config else {
            return Err(Failure::usage(
                "nothing says where control keeps its events; the command line; give --config, \
                 --state-dir DIR or --events FILE",
            ));
        };
        let changed =
            |_| Failure::usage(format!("the file changed; {}; start again", config.display()));
        Ok(weir_policy::load_config(config).map_err(changed)?.value.control.state_dir)
    }

    /// Why nothing came out.
    pub(crate) fn empty(&self, newest: Option<Nanos>, since: Nanos) -> Failure {
        let names: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
        let found = match newest {
            Some(newest) => format!("its newest flow ended {} UTC", moment(newest)),
            None => "there is no flow of equipment in it".into(),
        };
        Failure::work(format!(
            "no flow of equipment since {} UTC; {}: {found}; look further back with --since, or name \
             the file that control writes now with --events",
            moment(since),
            names.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_control_has_put_aside_is_read_too_the_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["eve.json", "eve.json.1", "eve.json.3", "eve.json.next", "restricted.json.1"] {
            std::fs::write(path(name), "").unwrap();
        }
        let found = Kept::find(&[], Some(directory.path()), &Files::default()).unwrap().files;
        assert_eq!(found, [path("eve.json.3"), path("eve.json.1"), path("eve.json")]);
        let named = Kept::find(&[path("eve.json.1")], None, &Files::default()).unwrap().files;
        assert_eq!(named, [path("eve.json.1")]);
    }

    #[test]
    fn spans_dates_and_moments_are_read() {
        let now = Timestamp::now().as_second();
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("30m", 1_800), ("2w", 1_209_600)]
        {
            let ago = now - text.parse::<Since>().unwrap().0.as_second();
            assert!((seconds - 1..=seconds + 1).contains(&ago), "{text}: {ago}");
        }
        let date: Since = "2026-01-05".parse().unwrap();
        assert_eq!(date, "2026-01-05T00:00:00Z".parse().unwrap());
        assert_eq!(date.moment(), Nanos::from_secs(1_767_571_200));
        for wrong in ["", "7", "d", "-7d", "0d", "7y", "99999999999999999d", "7é", "soon"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
        assert!("900000000000d".parse::<Since>().is_err());
    }
}
