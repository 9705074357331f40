//! `weir learn`: a candidate policy from what was seen. It proposes; a person allows.

mod course;
#[cfg(test)]
mod fixture;
mod groups;
mod kept;
mod page;
mod present;
mod propose;
mod seen;
mod suspicion;
mod talks;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use weir_engine::Nanos;
use weir_policy::{Inventory, Policy};

use crate::check::{Files, Findings};
use crate::failure::Failure;
use crate::output::print;
use crate::replay::{self, Place};

use kept::{Kept, Since};
use page::Origin;
use seen::{Lines, Seen};
use talks::Talks;

#[derive(clap::Args)]
#[command(
    after_help = "Nothing that it writes is allowed: every entry is commented out, what deserves \
suspicion stands last, each by itself with the reason. Exit codes: 0 written, 1 a capture is damaged \
(what was read is used) or the work failed, 2 usage or configuration."
)]
pub(crate) struct Options {
    #[command(flatten)]
    rules: Files,
    /// Captures to learn from, replayed through sensor and control
    #[arg(value_name = "CAPTURE", required_unless_present = "since", conflicts_with = "since")]
    captures: Vec<PathBuf>,
    /// Learn instead from the events that a running control has kept: those of the last 7d, 12h, 30m
    /// or 2w, or since 2026-01-31 or 2026-01-31T06:00:00Z
    #[arg(long, value_name = "AGO|TIME")]
    since: Option<Since>,
    /// Control's state directory, where it keeps eve.json; instead of the one that weir.toml names
    #[arg(long, value_name = "DIR", requires = "since", conflicts_with = "events")]
    state_dir: Option<PathBuf>,
    /// Control's event files, the older ones first
    #[arg(long, value_name = "FILE", requires = "since", num_args = 1..)]
    events: Vec<PathBuf>,
    /// Where the candidate policy goes; - for standard output
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    out: PathBuf,
    /// Write one JSON object instead of TOML
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let present = Present::of(&options.rules)?;
    keeps_its_inputs(options, &options.captures)?;
    let since = options.since.map_or(Nanos(0), |since| since.moment());
    let mut talks = Talks::since(&present.inventory, since);
    let (inputs, code) = match options.since {
        None => (options.captures.clone(), from_captures(options, &mut talks)?),
        Some(_) => (from_kept(options, &present, since, &mut talks)?, 0),
    };
    if talks.counts.flows == 0 {
        eprintln!(
            "warning: no flow of equipment was seen; there is nothing to propose; check that the \
             inventory lists the addresses of what was recorded"
        );
    }
    let candidate = propose::propose(&talks);
    let origin = Origin {
        inputs: inputs.iter().map(|path| path.display().to_string()).collect(),
        policy: present.policy_name,
    };
    let text = match options.json {
        true => format!("{:#}\n", page::json(&candidate, &talks, &origin)),
        false => page::toml(&candidate, &talks, &origin),
    };
    keeps_its_inputs(options, &inputs)?;
    write(&options.out, &text)?;
    if code == 0 { Ok(()) } else { Err(Failure::Said(code)) }
}

/// What is installed, and what it may do at present.
struct Present {
    inventory: Inventory,
    policy: Option<Policy>,
    policy_name: Option<String>,
}

impl Present {
    /// Reads the files that are given, all mistakes of which are said.
    fn of(files: &Files) -> Result<Self, Failure> {
        let findings = Findings::of(files);
        for error in findings.errors() {
            eprintln!("{error}");
        }
        if findings.has_errors() {
            return Err(Failure::Said(2));
        }
        let named = files.paths();
        let Some(path) = named.inventory else {
            return Err(Failure::usage(
                "learning needs to know what is equipment; the command line; give --inventory, or a \
                 --config that names one",
            ));
        };
        // They were read just now; whoever changed them meanwhile starts again.
        let changed =
            |_| Failure::usage(format!("a file changed; {}; start again", path.display()));
        let inventory = weir_policy::load_inventory(&path).map_err(changed)?.value;
        let policy = match &named.policy {
            Some(path) => Some(weir_policy::load_policy(path, &inventory).map_err(changed)?.value),
            None => None,
        };
        let policy_name = named.policy.map(|path| path.display().to_string());
        Ok(Self { inventory, policy, policy_name })
    }
}

/// Replays the captures; gives the exit code that a damaged one asks for.
fn from_captures(options: &Options, talks: &mut Talks<'_>) -> Result<u8, Failure> {
    let place = Place::make()?;
    let events = place.path().join("events");
    let outcome = replay::rehearse(&options.rules, &options.captures, &place, &events)?;
    if outcome.code > 1 {
        return Err(Failure::Said(outcome.code));
    }
    read(&events, talks, |record| record.is_allowed)?;
    Ok(outcome.code)
}

/// Reads what a running control has kept; gives the files.
fn from_kept(
    options: &Options,
    present: &Present,
    since: Nanos,
    talks: &mut Talks<'_>,
) -> Result<Vec<PathBuf>, Failure> {
    let kept = Kept::find(&options.events, options.state_dir.as_deref(), &options.rules)?;
    let mut newest = None;
    for path in &kept.files {
        let allows = |record: &seen::Record| {
            newest = newest.max(Some(record.last));
            let policy = present.policy.as_ref();
            policy.is_some_and(|policy| present::allows(policy, &present.inventory, record))
        };
        read(path, talks, allows)?;
    }
    if talks.counts.flows == 0 {
        return Err(kept.empty(newest, since));
    }
    Ok(kept.files)
}

fn read(
    path: &Path,
    talks: &mut Talks<'_>,
    mut allows: impl FnMut(&seen::Record) -> bool,
) -> Result<(), Failure> {
    let unreadable = |why: std::io::Error| {
        Failure::work(format!(
            "the events can't be read: {why}; {}; check its path and its permissions",
            path.display()
        ))
    };
    let file = BufReader::new(File::open(path).map_err(unreadable)?);
    let take = |seen: Seen| match seen {
        Seen::Flow(record) => {
            let is_allowed = allows(&record);
            talks.take(&record, is_allowed);
        }
        Seen::Flagged(flagged) => talks.flag(&flagged),
    };
    let Lines { read, broken } = seen::read(file, take).map_err(unreadable)?;
    if broken > 0 {
        eprintln!(
            "warning: {broken} of {read} lines are no events and were left out; {}; if it is \
             control's file, the last one may just be written",
            path.display()
        );
    }
    Ok(())
}

/// Refuses to write over what is read.
fn keeps_its_inputs(options: &Options, inputs: &[PathBuf]) -> Result<(), Failure> {
    let place = |path: &Path| path.canonicalize().ok();
    let Some(out) = place(&options.out) else { return Ok(()) };
    let paths = options.rules.paths();
    let rules = [&options.rules.config, &paths.inventory, &paths.policy];
    let inputs = rules.into_iter().flatten().chain(inputs);
    if inputs.filter_map(|path| place(path)).any(|path| path == out) {
        return Err(Failure::usage(format!(
            "the candidate policy would be written over a file that is read; {}; give --out a file \
             of its own, and merge by hand what you want to allow",
            options.out.display()
        )));
    }
    Ok(())
}

fn write(out: &Path, text: &str) -> Result<(), Failure> {
    if out.as_os_str() == "-" {
        return print(text.trim_end());
    }
    File::create(out).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|why| {
        Failure::work(format!(
            "can't write the candidate policy: {why}; {}; choose another place with --out",
            out.display()
        ))
    })
}
