//! `weir events verify`: whether anything was removed from the journal, or altered in it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use weir_journal::{Head, Report, verify};

use crate::failure::Failure;
use crate::output::print;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tell whether any line of the journal was removed or altered
    Verify(Options),
}

/// Where weir-control keeps its journals, in its state directory.
const PLACE: &str = "journal";
/// That of what everybody may know, and that of a named role.
const OPEN: &str = "open";
const RESTRICTED: &str = "restricted";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The state directory of weir-control [default: that of --config, or /var/lib/weir]
    #[arg(value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The site's weir.toml
    #[arg(long, value_name = "FILE", conflicts_with = "state_dir")]
    config: Option<PathBuf>,
    /// The end of the journal as somebody noted it: it must still be in it
    #[arg(long, value_name = "SEQUENCE:HASH")]
    anchor: Vec<Head>,
    /// A file of events as they were sent elsewhere: all ends that its stats name must be in the
    /// journal
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
    /// Print what was found as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(Command::Verify(options): &Command) -> Result<(), Failure> {
    let place = state_dir(options)?.join(PLACE);
    let mut anchors = options.anchor.clone();
    if let Some(path) = &options.anchors {
        anchors.extend(noted(path)?);
    }
    let open = examine(&place.join(OPEN), &anchors)?;
    // Of restricted events nobody outside is told the end.
    let restricted = place.join(RESTRICTED);
    let restricted = if restricted.is_dir() { Some(examine(&restricted, &[])?) } else { None };
    let journals: Vec<Examined> = [Some(open), restricted].into_iter().flatten().collect();
    let is_whole = journals.iter().all(|one| one.report.is_whole());
    if options.json {
        let found = Found { whole: is_whole, anchors: anchors.len(), journals: &journals };
        print(serde_json::to_string(&found).map_err(Failure::work)?)?;
    } else {
        for one in &journals {
            one.complain();
            print(one.closing_line())?;
        }
        if is_whole && anchors.is_empty() {
            eprintln!(
                "note: that the end was cut off shows only by an end that was noted elsewhere: --anchor, --anchors"
            );
        }
    }
    if is_whole { Ok(()) } else { Err(Failure::Said(1)) }
}

fn state_dir(options: &Options) -> Result<PathBuf, Failure> {
    if let Some(directory) = &options.state_dir {
        return Ok(directory.clone());
    }
    let config = match &options.config {
        Some(path) => weir_policy::load_config(path),
        None => weir_policy::config_from_str("weir.toml", ""),
    };
    config.map(|checked| checked.value.control.state_dir).map_err(|found| {
        found.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
        Failure::Said(2)
    })
}

/// The stats of an event file, as far as they are looked at.
#[derive(Deserialize)]
struct Stats {
    weir: Ends,
}

#[derive(Deserialize)]
struct Ends {
    journal: Option<Head>,
}

/// The journal's ends that a file of events names.
fn noted(path: &Path) -> Result<Vec<Head>, Failure> {
    let unread = |why: std::io::Error| {
        Failure::usage(format!(
            "can't read the events: {why}; {}; name another file",
            path.display()
        ))
    };
    let mut heads = Vec::new();
    for line in BufReader::new(File::open(path).map_err(unread)?).split(b'\n') {
        let line = line.map_err(unread)?;
        heads.extend(serde_json::from_slice(&line).ok().and_then(|Stats { weir }| weir.journal));
    }
    if heads.is_empty() {
        return Err(Failure::usage(format!(
            "no stats event names an end of the journal; {}; name a file of a live weir-control's events",
            path.display()
        )));
    }
    Ok(heads)
}

/// A journal that was gone through.
struct Examined {
    place: PathBuf,
    report: Report,
}

fn examine(place: &Path, anchors: &[Head]) -> Result<Examined, Failure> {
    let bar = ProgressBar::new(0);
    let style = "{prefix} {wide_bar} {bytes} of {total_bytes}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_prefix(place.display().to_string());
    let report = verify(place, anchors, &mut |read, total| {
        bar.set_length(total);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    let report = report.map_err(|why| {
        let place = place.display();
        Failure::work(format!(
            "can't read the journal: {why}; {place}; name weir-control's state directory, and be its user or root"
        ))
    })?;
    if report.segments == 0 {
        return Err(Failure::work(format!(
            "there is no journal, or all of it was removed; {}; name weir-control's state directory",
            place.display()
        )));
    }
    Ok(Examined { place: place.to_owned(), report })
}

impl Examined {
    fn complain(&self) {
        let Report { faults, fault_count, lost, .. } = &self.report;
        for fault in faults {
            eprintln!("error: {}; {}:{}", fault.kind, fault.file.display(), fault.line);
        }
        let unsaid = fault_count - faults.len() as u64;
        if unsaid > 0 {
            eprintln!("error: and {unsaid} more; {}", self.place.display());
        }
        if *lost > 0 {
            eprintln!(
                "note: weir-control itself missed {lost} of these lines when it started: the disk lost them, or somebody cut them off"
            );
        }
    }

    fn closing_line(&self) -> String {
        let Report { segments, lines, first, head, removed, unfinished, fault_count, .. } =
            &self.report;
        let mut text = format!(
            "{}: {lines} lines from {first} on in {segments} files, end {head}",
            self.place.display()
        );
        if *removed > 0 {
            text += &format!("; the {removed} before were removed for age or room");
        }
        if *unfinished {
            text += "; the last one is being written";
        }
        text + &match fault_count {
            0 => ": nothing was removed or altered".into(),
            1 => ": 1 fault".into(),
            many => format!(": {many} faults"),
        }
    }
}

/// What was found, for machines.
#[derive(Serialize)]
struct Found<'a> {
    whole: bool,
    anchors: usize,
    journals: &'a [Examined],
}

impl Serialize for Examined {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fault<'a> {
            file: &'a Path,
            line: u64,
            what: String,
        }
        #[derive(Serialize)]
        struct Journal<'a> {
            place: &'a Path,
            files: usize,
            lines: u64,
            first: u64,
            end: Head,
            removed: u64,
            lost: u64,
            unfinished: bool,
            fault_count: u64,
            faults: Vec<Fault<'a>>,
        }
        let report = &self.report;
        let faults = report.faults.iter().map(|fault| Fault {
            file: &fault.file,
            line: fault.line,
            what: fault.kind.to_string(),
        });
        Journal {
            place: &self.place,
            files: report.segments,
            lines: report.lines,
            first: report.first,
            end: report.head,
            removed: report.removed,
            lost: report.lost,
            unfinished: report.unfinished,
            fault_count: report.fault_count,
            faults: faults.collect(),
        }
        .serialize(serializer)
    }
}
