//! `weir-sender`: replays captures into a port, to load another device. It inspects nothing, and it
//! is the only program of Weir that can send: the sensor has no means to.
#![forbid(unsafe_code)]

mod device;
mod options;
mod sending;
mod summary;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use weir_capture::{Source, is_standard_input};
use weir_engine::decode::Ports;
use weir_playback::{Content, Passes, Stop, Unplayed, Wishes, rehearse};

use crate::device::Opened;
use crate::options::Options;
use crate::sending::{Captures, Course};
use crate::summary::Summary;

/// The work failed.
const FAILED: u8 = 1;
/// Usage or configuration.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let (port, captures, stop) = match prepare(&options) {
        Ok(prepared) => prepared,
        Err(error) => return report(&error, REFUSED),
    };
    match play(&options, port, captures, &stop) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, FAILED),
    }
}

fn report(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}

/// Opens captures and port; nothing is sent yet.
fn prepare(options: &Options) -> anyhow::Result<(Opened, Captures, Stop)> {
    if options.files.iter().filter(|file| is_standard_input(file)).count() > 1 {
        bail!("standard input is one capture; the command line; name - once");
    }
    let mut captures = Captures::default();
    for file in &options.files {
        let source = weir_capture::open(file).with_context(|| {
            format!(
                "can't read the capture; {}; check the name and its permissions",
                file.display()
            )
        })?;
        let (content, input) = match source {
            Source::Mapped(map) => (Some(Content::Mapped(map)), None),
            Source::Stream(input) => (None, Some(input)),
        };
        captures.add(file.display().to_string(), content, input);
    }
    let stop = Stop::by_signal()?;
    let port = device::open(&options.to)?;
    Ok((port, captures, stop))
}

fn play(
    options: &Options,
    mut port: Opened,
    mut captures: Captures,
    stop: &Stop,
) -> anyhow::Result<()> {
    let wishes =
        Wishes { preload: options.preload, passes: options.passes, ports: Ports::default() };
    let mut unplayed: Vec<Unplayed<'_>> = captures.unplayed();
    let anew: Option<Passes> = rehearse(&mut unplayed, &wishes, stop)?;
    let shortcomings = anew.iter().flat_map(|anew| anew.survey().shortcomings());
    shortcomings.for_each(|shortcoming| eprintln!("warning: {shortcoming}"));
    let course = Course { passes: options.passes, anew: anew.as_ref(), speed: options.speed, stop };
    let sent = sending::send(&mut port.port, &mut captures, &course)?;
    let summary = Summary::of(&sent, port.port.stats().ok(), options.passes);
    // What a device still holds goes out before the summary says that it is done.
    drop(port);
    write(options.summary.as_deref(), &summary)?;
    if stop.is_asked() {
        bail!("stopped before the end; the captures; run the replay again for the whole of them");
    }
    if sent.ended.is_empty() { Ok(()) } else { bail!("{}", sent.ended.join("\nerror: ")) }
}

fn write(place: Option<&Path>, summary: &Summary) -> anyhow::Result<()> {
    let text = serde_json::to_string(summary)? + "\n";
    let place = place.filter(|place| place.as_os_str() != "-");
    let written = match place {
        Some(path) => File::create(path).and_then(|mut file| file.write_all(text.as_bytes())),
        None => std::io::stdout().lock().write_all(text.as_bytes()),
    };
    written.with_context(|| {
        let place = place.map_or("standard output".into(), |path| path.display().to_string());
        format!("can't write the summary; {place}; make room or choose another file")
    })
}
